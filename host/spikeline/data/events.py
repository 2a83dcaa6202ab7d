"""Event streams, and MNIST as an event camera would see it: simulated saccades after N-MNIST (Orchard et al., 2015).

An event camera has no frames: each pixel reports by itself, with a time, when it has become brighter (ON) or darker (OFF).

stimulus    The 28 x 28 digit, black around, moves over a 34 x 34 sensor along a triangle and back to where it began: three
            legs of 100 ms, each of 32 straight micro-steps of 1/16 or 2/16 of a pixel in x and in y. (In N-MNIST the
            camera moved; to the sensor it is the same.)
brightness  Bilinear between the pixels of the digit, rounded down to 1/16 of a level.
events      Each sensor pixel has a reference level, at first its brightness. At the end of a micro-step, a brightness of at
            least CONTRAST levels above or below the reference makes an event and moves the reference by CONTRAST towards it.
            A micro-step changes no brightness by more than 48 levels, so one event is always enough.
time        In whole microseconds, where the brightness crosses the contrast on a straight line through the micro-step.

All of it is integer arithmetic, so an image has the same events everywhere and in every batch. There is no noise, and since
the digit returns, each pixel has as many ON as OFF events.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spikeline.data import mnist
from spikeline.errors import DataError
from spikeline.files import atomic, cache_dir, caching

SIZE = 34  # sensor pixels in x and in y
DURATION_US = 300_000  # of a recording
CONTRAST = 96  # levels of 0..255
POOLS = (1, 2)  # sensor pixels of a cell, each way
_DIGIT = 28
_MARGIN = 6  # black pixels around the digit, as far as the path needs them
_MICRO_US = 3125
_START = (16, 16)  # all positions are x, y of the digit's corner on the sensor, in 1/16 of a pixel
_LEGS = ((1, 2), (1, -2), (-2, 0))  # the move of a micro-step
_PATH = np.cumsum([_START] + [move for move in _LEGS for _ in range(32)], axis=0)  # (97, 2)
_CHUNK = 256  # images simulated at a time: keeps their brightness in the processor's cache


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one recording in the order of time; all arrays are of shape (events,).

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


def saccades(pixels: np.ndarray) -> Events:
    """Events of one image, uint8 (784,), under the saccades defined above. Raises DataError for another type or shape."""
    parts = list(_simulate(pixels[None]))
    _, pixel, polarity, time = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(time, kind="stable")
    y, x = np.divmod(pixel[order], SIZE)
    return Events(x.astype(np.uint8), y.astype(np.uint8), polarity[order].astype(np.uint8), time[order].astype(np.int32))


def bin_events(events: Events, time_steps: int, duration_us: int, pool: int) -> np.ndarray:
    """Spike trains of one recording: uint8 (T, N), 1 where any event falls.

    An event at `time` µs belongs to step time * T // `duration_us`, or the last if that is beyond it. A cell is `pool` x `pool`
    sensor pixels; its address is polarity * cells + (y // pool) * width + x // pool, with width = 34 // pool and
    cells = width². Raises DataError if `pool` is not 1 or 2, or T or `duration_us` is not at least 1.
    """
    spikes = np.zeros((_checked_steps(time_steps), inputs(pool)), np.uint8)
    if duration_us < 1:
        raise DataError(f"duration_us is {duration_us}; it must be at least 1")
    pixel = events.y.astype(np.int64) * SIZE + events.x
    spikes[_step(events.time, time_steps, duration_us), _address(pixel, events.polarity, pool)] = 1
    return spikes


def saccade_spikes(pixels: np.ndarray, time_steps: int, pool: int) -> np.ndarray:
    """Binned events of a batch of images, uint8 (B, 784), as `saccades` and `bin_events` make them one by one.

    Returns uint8 (B, T, N) of 0 and 1, N as in `inputs`. Raises DataError as those two do.
    """
    spikes = np.zeros((len(pixels), _checked_steps(time_steps), inputs(pool)), np.uint8)
    for start in range(0, len(pixels), _CHUNK):
        for image, pixel, polarity, time in _simulate(pixels[start : start + _CHUNK]):
            spikes[start + image, _step(time, time_steps, DURATION_US), _address(pixel, polarity, pool)] = 1
    return spikes


def load_saccades(split: str, time_steps: int, pool: int, root: Path | str | None = None) -> tuple[PackedSpikes, np.ndarray]:
    """Binned saccades of all MNIST images of a split, in their order, and their labels.

    `split` and `root` are those of `mnist.load`; `time_steps` and `pool` those of `bin_events`. Made once, in about ten
    seconds for 60,000 images, and kept in the cache until this file changes.
    Returns `(spikes, labels)`: PackedSpikes and uint8 (images,) of 0..9. Raises DataError as `mnist.load` and `bin_events` do.
    """
    size = inputs(pool)
    _checked_steps(time_steps)
    pixels, labels = mnist.load(split, root)
    key = hashlib.sha256(Path(__file__).read_bytes() + pixels.tobytes()).hexdigest()[:16]
    file = cache_dir() / "saccades" / f"{split}-{time_steps}-{pool}-{key}.bin"
    shape = (len(pixels), time_steps, -(-size // 8))
    packed = _cached(file, shape)
    if packed is None:
        print(f"simulating saccades of {len(pixels):,} images (once; about ten seconds)", file=sys.stderr, flush=True)
        packed = np.empty(shape, np.uint8)
        for start in range(0, len(pixels), _CHUNK):
            spikes = saccade_spikes(pixels[start : start + _CHUNK], time_steps, pool)
            packed[start : start + _CHUNK] = np.packbits(spikes, axis=-1, bitorder="little")
        try:
            with caching(DataError), atomic(file) as path, open(path, "wb") as stream:
                stream.write(hashlib.sha256(packed.data).digest())
                packed.tofile(stream)
        except DataError as error:
            print(f"spikeline: simulated again next time: {error}", file=sys.stderr)
    return PackedSpikes(packed, size), labels


def _cached(file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """What the file holds after its checksum, or None if it is missing or damaged."""
    if not file.is_file():
        return None
    content = np.fromfile(file, np.uint8)
    digest, packed = content[:32], content[32:]
    if packed.size != np.prod(shape) or digest.tobytes() != hashlib.sha256(packed.data).digest():
        return None
    return packed.reshape(shape)


def _simulate(pixels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """For each micro-step its events: image, sensor pixel (34 y + x), polarity and time in µs, each (events,).

    They are in the order of pixel and image; an event of a later micro-step has a later time.
    """
    frames = _brightness(pixels)
    old = next(frames)
    reference = old.copy()
    contrast = 16 * CONTRAST
    for step, new in enumerate(frames):
        difference = new - reference
        where = np.flatnonzero(np.abs(difference) >= contrast)
        polarity = difference[where] > 0
        sign = np.where(polarity, 1, -1)
        begin = sign * (old[where] - reference[where])  # below the contrast, and the end is not
        change = sign * new[where] - sign * old[where]
        time = step * _MICRO_US + ((contrast - begin) * _MICRO_US - 1) // change  # the last µs before the crossing
        pixel, image = np.divmod(where, len(pixels))
        yield image, pixel, polarity, time
        reference[where] += (sign * contrast).astype(np.int16)
        old = new


def _brightness(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """What the sensor sees at the start and after each micro-step, in 1/16 of a level: int16 (1156 * B,), images innermost."""
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != mnist.PIXELS:
        raise DataError(f"images are {pixels.dtype}, each of shape {pixels.shape[1:]}; expected uint8 of shape ({mnist.PIXELS},)")
    canvas = np.zeros((SIZE + _MARGIN - 1, SIZE + _MARGIN - 1, len(pixels)), np.uint16)
    inside = slice(_MARGIN, _MARGIN + _DIGIT)
    canvas[inside, inside] = pixels.T.reshape(_DIGIT, _DIGIT, -1)
    for left, top in _PATH.tolist():
        (x, x_part), (y, y_part) = divmod(left, 16), divmod(top, 16)
        rows = canvas[_MARGIN - y :][:SIZE] * np.uint16(16 - y_part)
        rows += canvas[_MARGIN - y - 1 :][:SIZE] * np.uint16(y_part)
        frame = rows[:, _MARGIN - x :][:, :SIZE] * np.uint16(16 - x_part)
        frame += rows[:, _MARGIN - x - 1 :][:, :SIZE] * np.uint16(x_part)
        frame >>= 4
        yield frame.view(np.int16).ravel()  # at most 16 * 255


def _checked_steps(time_steps: int) -> int:
    if time_steps < 1:
        raise DataError(f"time_steps is {time_steps}; it must be at least 1")
    return time_steps


def _step(time: np.ndarray, time_steps: int, duration_us: int) -> np.ndarray:
    return np.minimum(time.astype(np.int64) * time_steps // duration_us, time_steps - 1)


def _address(pixel: np.ndarray, polarity: np.ndarray, pool: int) -> np.ndarray:
    y, x = np.divmod(pixel, SIZE)
    width = SIZE // pool
    return polarity * width**2 + y // pool * width + x // pool
