"""How far a run is."""

import sys
import time


class Progress:
    """A line that tells how far a run is; nothing where no one watches."""

    def __init__(self, what: str, total: int):
        self.total, self.what, self.start = total, what, time.perf_counter()

    def __call__(self, done: int) -> None:
        if sys.stderr.isatty():
            rate = done / (time.perf_counter() - self.start)
            left = (self.total - done) / rate
            end = "\r" if done < self.total else "\n"
            print(
                f"{self.what}: {done:,}/{self.total:,} images, {rate:,.0f}/s, {left:.0f} s left ",
                end=end,
                file=sys.stderr,
                flush=True,
            )
