"""Speed of one batch by the names that FINN's drivers use.

Unlike FINN's test it takes real images: the work of a spiking network is its spikes.

* `runtime[ms]`, `throughput[images/s]`, `DRAM_in_bandwidth[MB/s]`, `DRAM_out_bandwidth[MB/s]`: from the first command
  to the last result. `runtime_source` says how that was timed: by the wall clock, or of simulated hardware by its own cycles
* `pack_input[ms]`: pixels to a packet in the device's memory; `copy_input_data_to_device[ms]`: the flush of it;
  `copy_output_data_from_device[ms]`: the invalidation of the results; `unpack_output[ms]`: results to labels; by the wall clock
* `batch_size`, `fclk[mhz]`
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Stopwatch:
    """Times steps of a batch by the wall clock, under their names and in ms."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    def __call__(self, name: str, step: Callable[[], T]) -> T:
        """What the step returns."""
        begin = time.perf_counter()
        result = step()
        self.times[f"{name}[ms]"] = (time.perf_counter() - begin) * 1e3
        return result


def report(
    times: dict[str, float], images: int, sent: int, received: int, clock_mhz: float, cycles: int | None
) -> dict[str, Any]:
    """Speed of a batch of images, `sent` and `received` bytes. cycles: those that it took, if hardware is simulated."""
    if cycles is not None:
        times = times | {"runtime[ms]": cycles / clock_mhz / 1e3}
    seconds = times["runtime[ms]"] / 1e3
    return {
        "batch_size": images,
        "fclk[mhz]": clock_mhz,
        "throughput[images/s]": images / seconds,
        "DRAM_in_bandwidth[MB/s]": sent / seconds / 1e6,
        "DRAM_out_bandwidth[MB/s]": received / seconds / 1e6,
        "runtime_source": "wall clock" if cycles is None else "RTL cycles at fclk",
        **times,
    }
