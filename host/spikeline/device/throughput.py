"""Speed of one batch by the names that FINN's drivers use.

Unlike FINN's test it takes real images: the work of a spiking network is its spikes.

* `runtime[ms]`, `throughput[images/s]`, `DRAM_in_bandwidth[MB/s]`, `DRAM_out_bandwidth[MB/s]`: from the start of the DMA to
  the last result. `runtime_source` says how that was timed: by the wall clock, or of simulated hardware by its own cycles
* `pack_input[ms]`: pixels to a packet in the DMA's buffer; `copy_input_data_to_device[ms]`: the flush of it;
  `copy_output_data_from_device[ms]`: the invalidation of the results; `unpack_output[ms]`: results to labels; by the wall clock
* `batch_size`, `fclk[mhz]`
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from spikeline.device.packets import Batch

if TYPE_CHECKING:
    from spikeline.device.driver import Driver

T = TypeVar("T")


def measure(driver: "Driver", batch: Batch) -> dict[str, Any]:
    """Run a batch step by step. Raises DeviceError as `Driver.classify` does."""
    times: dict[str, float] = {}
    simulated = driver.simulator is not None

    def timed(name: str, step: Callable[[], T]) -> T:
        begin = time.perf_counter()
        result = step()
        times[f"{name}[ms]"] = (time.perf_counter() - begin) * 1e3
        return result

    def run() -> None:
        driver.start(send, receive)
        driver.wait()

    driver.require_model()
    with driver.mended():
        driver.ask()
        driver.prepare(batch)  # memory that is touched for the first time is slow
        send, receive = timed("pack_input", lambda: driver.prepare(batch))
        timed("copy_input_data_to_device", lambda: driver.device.flush(send))
        begun = driver.counters().cycles or 0
        timed("runtime", run)
        cycles = (driver.counters().cycles or 0) - begun
        timed("copy_output_data_from_device", lambda: driver.device.invalidate(receive))
        timed("unpack_output", lambda: driver.unpack(receive, batch))
    clock_mhz = driver.geometry.clock_mhz
    if simulated:
        times["runtime[ms]"] = cycles / clock_mhz / 1e3
    seconds = times["runtime[ms]"] / 1e3
    return {
        "batch_size": len(batch),
        "fclk[mhz]": clock_mhz,
        "throughput[images/s]": len(batch) / seconds,
        "DRAM_in_bandwidth[MB/s]": send.nbytes / seconds / 1e6,
        "DRAM_out_bandwidth[MB/s]": receive.nbytes / seconds / 1e6,
        "runtime_source": "RTL cycles at fclk" if simulated else "wall clock",
        **times,
    }
