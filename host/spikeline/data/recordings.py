"""Recordings of an event camera, and the spike trains that they become.

An event camera has no frames: each pixel reports by itself, with a time, when it has become brighter (ON) or darker (OFF).
Here it has SIZE x SIZE pixels, as in N-MNIST (Orchard et al., 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spikeline.errors import DataError

SIZE = 34  # sensor pixels in x and in y
DURATION_US = 300_000  # of a recording
POOLS = (1, 2)  # sensor pixels of a cell, each way


@dataclass(frozen=True, eq=False)
class Recording:
    """The events of one recording in the order of time; all arrays are of shape (events,).

    `x` and `y` are uint8 of 0..33, `polarity` uint8 of 0 (OFF) and 1 (ON), `time` int32 in µs from the start, not negative.
    Raises DataError if they are not.
    """

    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray
    time: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in (("x", np.uint8), ("y", np.uint8), ("polarity", np.uint8), ("time", np.int32)):
            values = getattr(self, name)
            if values.dtype != kind or values.shape != (len(self),) or values.ndim != 1:
                raise DataError(
                    f"{name} of events is {values.dtype} of shape {values.shape}; expected {np.dtype(kind)} (events,)"
                )
        if len(self) and (max(self.x.max(), self.y.max()) >= SIZE or self.polarity.max() > 1):
            raise DataError(f"events lie outside the {SIZE} x {SIZE} sensor, or have a polarity other than 0 and 1")
        if len(self) and (self.time[0] < 0 or (np.diff(self.time) < 0).any()):
            raise DataError("times of events are negative or go backwards")

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, eq=False)
class PackedSpikes:
    """Spike trains of a data set, eight spikes a byte, of which batches are unpacked as they are needed.

    `packed` is uint8 (images, T, ceil(N / 8)), the least significant bit first; `inputs` is N. `oddities` counts what was met
    in the recordings and mended.
    """

    packed: np.ndarray
    inputs: int
    oddities: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def time_steps(self) -> int:
        """T."""
        return self.packed.shape[1]

    def batch(self, indices: np.ndarray | slice) -> np.ndarray:
        """Spikes of the images at `indices`, integers (B,) in any order, or a slice: uint8 (B, T, N) of 0 and 1."""
        return np.unpackbits(self.packed[indices], axis=-1, count=self.inputs, bitorder="little")


def inputs(pool: int) -> int:
    """How many addresses N binned events have: 2,312 for `pool` 1, 578 for 2. Raises DataError for another `pool`."""
    if pool not in POOLS:
        raise DataError(f"pool is {pool}; a cell is 1 x 1 or 2 x 2 sensor pixels")
    return 2 * (SIZE // pool) ** 2


def bin_events(recording: Recording, time_steps: int, duration_us: int, pool: int) -> np.ndarray:
    """Spike trains of one recording: uint8 (T, N), 1 where any event falls.

    An event at `time` µs belongs to step time * T // `duration_us`, or the last if that is beyond it. A cell is `pool` x `pool`
    sensor pixels; its address is polarity * cells + (y // pool) * width + x // pool, with width = 34 // pool and
    cells = width². Raises DataError if `pool` is not 1 or 2, or T or `duration_us` is not at least 1.
    """
    spikes = np.zeros((checked_steps(time_steps), inputs(pool)), np.uint8)
    if duration_us < 1:
        raise DataError(f"duration_us is {duration_us}; it must be at least 1")
    pixel = recording.y.astype(np.int64) * SIZE + recording.x
    spikes[step_of(recording.time, time_steps, duration_us), address_of(pixel, recording.polarity, pool)] = 1
    return spikes


def checked_steps(time_steps: int) -> int:
    """`time_steps` itself. Raises DataError if it is not at least 1."""
    if time_steps < 1:
        raise DataError(f"time_steps is {time_steps}; it must be at least 1")
    return time_steps


def step_of(time: np.ndarray, time_steps: int, duration_us: int) -> np.ndarray:
    """The time step, int64 (events,), of times in µs; see `bin_events`."""
    return np.minimum(time.astype(np.int64) * time_steps // duration_us, time_steps - 1)


def address_of(pixel: np.ndarray, polarity: np.ndarray, pool: int) -> np.ndarray:
    """The input, int64 (events,), of events at sensor pixels 34 y + x; see `bin_events`."""
    y, x = np.divmod(pixel, SIZE)
    width = SIZE // pool
    return polarity * width**2 + y // pool * width + x // pool
