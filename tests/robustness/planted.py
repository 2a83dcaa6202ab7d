"""A way in with every fault that the fuzz target is to find, but for the first case."""

import os
import random
from pathlib import Path

from robustness.kinds import Kind
from spikeline.errors import DataError


class Planted(Kind):
    file = "planted.txt"

    def __init__(self) -> None:
        self.cases = 0

    def make(self, rng: random.Random, folder: Path) -> None:
        (folder / self.file).write_text("x" * 9)

    def enter(self, rng: random.Random, folder: Path) -> None:
        self.cases += 1
        how, path = rng.randrange(8) if self.cases > 1 else 7, folder / self.file
        if how == 0:
            raise KeyError("a bare traceback")
        if how == 1:
            raise DataError(f"{path} is damaged")  # and now?
        if how == 2:
            raise DataError("the file is damaged; mend it")  # which?
        if how == 3:
            bytearray(1 << 33)
        if how == 4:
            os.abort()
        if how == 5:
            while True:
                pass
        if how == 6:
            raise DataError(f"{path} is damaged; mend it")
