"""Recordings of an event camera, or of another sensor with addresses, and the spike trains that they become.

An event camera has no frames: each pixel reports by itself, with a time, when it has become brighter (ON) or darker (OFF).
That of N-MNIST (Orchard et al., 2015) has SIZE x SIZE pixels, and so have recordings that do not say otherwise.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikeline.data.digest import digest
from spikeline.errors import DataError

SIZE = 34  # sensor pixels of N-MNIST in x and in y
DURATION_US = 300_000  # of a recording of N-MNIST


@dataclass(frozen=True)
class Sensor:
    """What records: pixels in x and in y, and kinds of events of each (2: OFF and ON; 1: a cochlea's channels)."""

    width: int
    height: int
    polarities: int = 2

    def cells(self, pool: int) -> tuple[int, int]:
        """Cells in y and in x, each of `pool` x `pool` pixels, the last of what is left. Raises DataError for a bad `pool`."""
        if not 1 <= pool <= max(self.width, self.height):
            raise DataError(f"pool is {pool}; a cell has 1 to {max(self.width, self.height)} sensor pixels each way")
        return -(-self.height // pool), -(-self.width // pool)

    def inputs(self, pool: int) -> int:
        """How many addresses N binned events have. Raises DataError for a bad `pool`."""
        rows, columns = self.cells(pool)
        return self.polarities * rows * columns

    def address(self, x: np.ndarray, y: np.ndarray, polarity: np.ndarray, pool: int) -> np.ndarray:
        """The input, int64 (events,), of events; see `bin_events`."""
        rows, columns = self.cells(pool)
        return (polarity.astype(np.int64) * rows + y.astype(np.int64) // pool) * columns + x.astype(np.int64) // pool


N_MNIST = Sensor(SIZE, SIZE)


@dataclass(frozen=True, eq=False)
class Recording:
    """The events of one recording in the order of time; all arrays are of shape (events,).

    `x` and `y` are uint8 (uint16 of a larger sensor), `polarity` uint8 of 0 (OFF) and 1 (ON), `time` int32 in µs from the
    start, not negative. Raises DataError if they are not, or lie outside the sensor.
    """

    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray
    time: np.ndarray
    sensor: Sensor = N_MNIST

    def __post_init__(self) -> None:
        place = np.uint8 if max(self.sensor.width, self.sensor.height) <= 256 else np.uint16
        for name, kind in (("x", place), ("y", place), ("polarity", np.uint8), ("time", np.int32)):
            values = getattr(self, name)
            if values.dtype != kind or values.shape != (len(self),) or values.ndim != 1:
                raise DataError(
                    f"{name} of events is {values.dtype} of shape {values.shape}; expected {np.dtype(kind)} (events,)"
                )
        width, height, polarities = self.sensor.width, self.sensor.height, self.sensor.polarities
        if len(self) and (self.x.max() >= width or self.y.max() >= height or self.polarity.max() >= polarities):
            legal = "other than 0 and 1" if polarities == 2 else f"of {polarities} or more"
            raise DataError(f"events lie outside the {width} x {height} sensor, or have a polarity {legal}")
        if len(self) and (self.time[0] < 0 or (np.diff(self.time) < 0).any()):
            raise DataError("times of events are negative or go backwards")

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, eq=False)
class PackedSpikes:
    """Spike trains of a data set, eight spikes a byte, of which batches are unpacked as they are needed.

    `packed` is uint8 (images, T, ceil(N / 8)), the least significant bit first; `inputs` is N. `oddities` counts what was met
    in the recordings and mended. `sha256` is that of the recordings, or images, that they were made of, None if there are none.
    """

    packed: np.ndarray
    inputs: int
    oddities: Mapping[str, int] = field(default_factory=dict)
    sha256: str | None = None

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
    """How many addresses N binned events of N-MNIST have: 2,312 for `pool` 1, 578 for 2. Raises DataError for a bad `pool`."""
    return N_MNIST.inputs(pool)


def bin_events(recording: Recording, time_steps: int, duration_us: int, pool: int) -> np.ndarray:
    """Spike trains of one recording: uint8 (T, N), 1 where any event falls.

    An event at `time` µs belongs to step time * T // `duration_us`, or the last if that is beyond it. A cell is `pool` x `pool`
    sensor pixels; its address is (polarity * rows + y // pool) * columns + x // pool, with `Sensor.cells` rows and columns.
    Raises DataError for a bad `pool`, or if T or `duration_us` is not at least 1.
    """
    sensor = recording.sensor
    spikes = np.zeros((checked_steps(time_steps), sensor.inputs(pool)), np.uint8)
    if duration_us < 1:
        raise DataError(f"duration_us is {duration_us}; it must be at least 1")
    address = sensor.address(recording.x, recording.y, recording.polarity, pool)
    spikes[step_of(recording.time, time_steps, duration_us), address] = 1
    return spikes


def packed_bits(spikes: np.ndarray) -> np.ndarray:
    """Spikes (…, N) of 0 and 1 as `PackedSpikes` keeps them, uint8 (…, ceil(N / 8))."""
    return np.packbits(spikes, axis=-1, bitorder="little")


def bin_all(
    recordings: Iterable[Recording],
    labels: np.ndarray,
    sensor: Sensor,
    time_steps: int,
    pool: int,
    duration_us: int | None = None,
) -> PackedSpikes:
    """Spike trains of a split, as `bin_events` makes them one by one, with the SHA-256 of recordings and labels, (recordings,).

    duration_us: what all recordings count as; None takes each from its first event to its last. Raises DataError.
    """
    packed = np.zeros((len(labels), checked_steps(time_steps), -(-sensor.inputs(pool) // 8)), np.uint8)

    def binned() -> Iterator[bytes]:
        for train, recording in zip(packed, recordings, strict=True):
            length = duration_us
            if length is None:
                first, last = (int(recording.time[n]) for n in (0, -1)) if len(recording) else (0, 0)
                recording, length = replace(recording, time=recording.time - np.int32(first)), last - first + 1
            train[:] = packed_bits(bin_events(recording, time_steps, length, pool))
            columns = zip(
                (recording.x, recording.y, recording.polarity, recording.time), ("<u2", "<u2", "u1", "<i4"), strict=True
            )
            yield len(recording).to_bytes(8, "little") + b"".join(values.astype(kind).tobytes() for values, kind in columns)

    sha256 = digest((sensor.polarities, sensor.height, sensor.width), binned(), labels)
    return PackedSpikes(packed, sensor.inputs(pool), sha256=sha256)


def checked_steps(time_steps: int) -> int:
    """`time_steps` itself. Raises DataError if it is not at least 1."""
    if time_steps < 1:
        raise DataError(f"time_steps is {time_steps}; it must be at least 1")
    return time_steps


def step_of(time: np.ndarray, time_steps: int, duration_us: int) -> np.ndarray:
    """The time step, int64 (events,), of times in µs; see `bin_events`."""
    return np.minimum(time.astype(np.int64) * time_steps // duration_us, time_steps - 1)
