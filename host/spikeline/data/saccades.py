"""MNIST as an event camera would see it: simulated saccades after N-MNIST (Orchard et al., 2015).

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
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spikeline.data import mnist, recordings
from spikeline.data.recordings import DURATION_US, N_MNIST, SIZE, PackedSpikes, Recording, checked_steps, inputs, step_of
from spikeline.errors import DataError
from spikeline.files import atomic, cache_dir, caching

CONTRAST = 96  # levels of 0..255
_DIGIT = 28
_MARGIN = 6  # black pixels around the digit, as far as the path needs them
_MICRO_US = 3125
_START = (16, 16)  # all positions are x, y of the digit's corner on the sensor, in 1/16 of a pixel
_LEGS = ((1, 2), (1, -2), (-2, 0))  # the move of a micro-step
_PATH = np.cumsum([_START] + [move for move in _LEGS for _ in range(32)], axis=0)  # (97, 2)
_CHUNK = 256  # images simulated at a time: keeps their brightness in the processor's cache


def simulate(pixels: np.ndarray) -> Recording:
    """Events of one image, uint8 (784,), under the saccades defined above. Raises DataError for another type or shape."""
    parts = list(_simulate(pixels[None]))
    _, pixel, polarity, time = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(time, kind="stable")
    y, x = np.divmod(pixel[order], SIZE)
    return Recording(x.astype(np.uint8), y.astype(np.uint8), polarity[order].astype(np.uint8), time[order].astype(np.int32))


def spike_trains(pixels: np.ndarray, time_steps: int, pool: int) -> np.ndarray:
    """Binned events of a batch of images, uint8 (B, 784), as `simulate` and `bin_events` make them one by one.

    Returns uint8 (B, T, N) of 0 and 1, N as in `inputs`. Raises DataError as those two do.
    """
    trains = np.zeros((len(pixels), checked_steps(time_steps), inputs(pool)), np.uint8)
    for start in range(0, len(pixels), _CHUNK):
        for image, pixel, polarity, time in _simulate(pixels[start : start + _CHUNK]):
            y, x = np.divmod(pixel, SIZE)
            trains[start + image, step_of(time, time_steps, DURATION_US), N_MNIST.address(x, y, polarity, pool)] = 1
    return trains


def load(split: str, time_steps: int, pool: int, root: Path | str | None = None) -> tuple[PackedSpikes, np.ndarray]:
    """Binned saccades of all MNIST images of a split, in their order, and their labels.

    `split` and `root` are those of `mnist.load`; `time_steps` and `pool` those of `bin_events`. Made once, in about ten
    seconds for 60,000 images, and kept in the cache until the code that makes them changes.
    Returns `(spikes, labels)`: PackedSpikes and uint8 (images,) of 0..9. Raises DataError as `mnist.load` and `bin_events` do.
    """
    size = inputs(pool)
    checked_steps(time_steps)
    pixels, labels = mnist.load(split, root)
    code = b"".join(Path(file).read_bytes() for file in (__file__, recordings.__file__))
    key = hashlib.sha256(code + pixels.tobytes()).hexdigest()[:16]
    file = cache_dir() / "saccades" / f"{split}-{time_steps}-{pool}-{key}.bin"
    shape = (len(pixels), time_steps, -(-size // 8))
    packed = _cached(file, shape)
    if packed is None:
        print(f"simulating saccades of {len(pixels):,} images (once; about ten seconds)", file=sys.stderr, flush=True)
        packed = np.empty(shape, np.uint8)
        for start in range(0, len(pixels), _CHUNK):
            trains = spike_trains(pixels[start : start + _CHUNK], time_steps, pool)
            packed[start : start + _CHUNK] = np.packbits(trains, axis=-1, bitorder="little")
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
