"""Spike encoders: pixels to spike trains, defined to the bit so that hardware and software make the same spikes.

threshold   A pixel spikes, at every time step, iff it is at least 128.

bernoulli   A pixel spikes iff it is above r, a byte drawn anew for each pixel and time step, so with probability
            pixel / 256. Each image has a generator of its own:

            seeding     SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the generator of image i starts from the
                        (i + 1)-th output of the reference SplitMix64 whose state starts at `seed`; 0 becomes 1.
                            z = seed + (i + 1) * 0x9E3779B97F4A7C15
                            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
                            z = (z ^ (z >> 27)) * 0x94D049BB133111EB
                            x = z ^ (z >> 31)
            advance     xorshift64 (Marsaglia, 2003), full period 2^64 - 1:
                            x ^= x << 13;  x ^= x >> 7;  x ^= x << 17
            order       for each time step, for each group k of 8 consecutive pixels: advance once; the r of pixel
                        8k + j is byte j of x, byte 0 being the least significant. A last group of fewer pixels
                        uses the low bytes of its word.

            All arithmetic is modulo 2^64.

latency     A pixel spikes once, at step t = (255 - pixel) // D with the band D = 192 // T, or never if t is not below
            T: the brighter the earlier, and those below 256 - T * D, which is 64 if T divides 192, not at all. T is at
            most 192.

direct      A pixel spikes at step t iff its bit 7 - t is 1: the T planes of the image's highest bits, the highest first.
            T is 1 to 8. Layer 0 doubles its membranes from one plane to the next, so that they add up, exactly,
                u = sum_t 2^(T-1-t) sum_i w_i * spike_i(t) = sum_i w_i * (pixel_i >> (8 - T)),
            and decides once, after the last plane. Other texts give a network such real inputs without spikes and say
            direct encoding, or direct coding (Rueckauer et al., Frontiers in Neuroscience 11:682, 2017: analog input).
"""

import numpy as np

from spikeline.errors import DataError
from spikeline.model.spec import SEED_STATE

THRESHOLD = 128  # a pixel of at least this spikes
PIXEL_BITS = 8
LATENCY_SPAN = 192  # the brightest levels, shared out among the time steps
_CHUNK = 512  # images encoded at a time: keeps the random words in the processor's cache


def encode(pixels: np.ndarray, encoder: str, time_steps: int, seed: int = 0, first_image: int = 0) -> np.ndarray:
    """Spike trains of a batch of images.

    `pixels` is uint8 (B, N); `encoder` is one of ENCODERS; `seed` (any integer, taken modulo 2^64) and the index
    `first_image` of the batch's first image matter to random encoders only: batches encode like the whole.
    Returns uint8 (B, T, N) of 0 and 1. Raises DataError for an unknown encoder or arguments out of range.
    """
    if encoder not in ENCODERS:
        raise DataError(f"unknown encoder {encoder!r}; known are {', '.join(ENCODERS)}")
    if time_steps < 1:
        raise DataError(f"time_steps is {time_steps}; it must be at least 1")
    if encoder == "bernoulli":
        return bernoulli(pixels, time_steps, seed, first_image)
    if encoder == "latency":
        return latency(pixels, time_steps)
    if encoder == "direct":
        return direct(pixels, time_steps)
    return np.repeat(threshold(pixels)[:, None, :], time_steps, axis=1)


def threshold(pixels: np.ndarray) -> np.ndarray:
    """Spikes of one time step, the same at every one: uint8 of the shape of `pixels` (uint8). Raises DataError."""
    return (_checked(pixels) >= THRESHOLD).astype(np.uint8)


def bernoulli(pixels: np.ndarray, time_steps: int, seed: int = 0, first_image: int = 0) -> np.ndarray:
    """Random spikes with probability pixel / 256. Shapes and errors as in `encode`; the draw is defined above."""
    batch, size = _checked(pixels).shape
    if first_image < 0:
        raise DataError(f"first_image is {first_image}; it must not be negative")
    spikes = np.empty((batch, time_steps, size), np.uint8)  # (B, T, N)
    for start in range(0, batch, _CHUNK):
        chunk = pixels[start : start + _CHUNK]  # (b, N)
        draws = _random_bytes(image_seed(seed, first_image + start, len(chunk)), time_steps, size)  # (b, T, N)
        np.greater(chunk[:, None, :], draws, out=spikes[start : start + _CHUNK], casting="unsafe")
    return spikes


def latency(pixels: np.ndarray, time_steps: int) -> np.ndarray:
    """At most one spike for each pixel, the brighter the earlier. Shapes and errors as in `encode` and `latency_band`."""
    band = latency_band(time_steps)
    step = (255 - _checked(pixels)) // band  # (B, N)
    return (step[:, None, :] == np.arange(time_steps, dtype=np.uint8)[:, None]).view(np.uint8)


def latency_band(time_steps: int) -> int:
    """How many pixel levels spike at the same step: D, 1..192. Raises DataError unless `time_steps` is 1..192."""
    if not 1 <= time_steps <= LATENCY_SPAN:
        raise DataError(f"time_steps is {time_steps}; the latency encoder takes 1..{LATENCY_SPAN}")
    return LATENCY_SPAN // time_steps


def direct(pixels: np.ndarray, time_steps: int) -> np.ndarray:
    """Bit planes, the highest first. Shapes and errors as in `encode`; DataError unless `time_steps` is 1..8 as well."""
    shifts = 7 - np.arange(bit_planes(time_steps), dtype=np.uint8)
    return _checked(pixels)[:, None, :] >> shifts[:, None] & np.uint8(1)


def bit_planes(time_steps: int) -> int:
    """`time_steps` itself, which is the number of planes of direct input. Raises DataError unless it is 1..8."""
    if not 1 <= time_steps <= PIXEL_BITS:
        raise DataError(f"time_steps is {time_steps}; direct input sends a bit of the pixels a step, so it takes 1..{PIXEL_BITS}")
    return time_steps


def from_planes(planes: np.ndarray) -> np.ndarray:
    """The whole numbers that bit planes make, the highest first: integers (B, T, ...) → int32 (B, 1, ...).

    Of sums of weights, one for each plane, what layer 0 makes of them by doubling.
    """
    whole = np.zeros_like(planes[:, :1], np.int32)
    for step in range(planes.shape[1]):
        whole = (whole << 1) + planes[:, step : step + 1]
    return whole


def to_pixels(planes: np.ndarray) -> np.ndarray:
    """The pixels that these planes were sent of, with 0 for the bits that were not: uint8 (B, T, N) → uint8 (B, N)."""
    return (from_planes(planes)[:, 0] << PIXEL_BITS - planes.shape[1]).astype(np.uint8)


def seed_state(seed: int, first_image: int) -> int:
    """State of SplitMix64 for image `first_image`, below 2^64: what a PIXELS packet that begins with that image holds."""
    return (seed + (first_image + 1) * SEED_STATE) % 2**64


def image_seed(seed: int, first_image: int, count: int = 1) -> np.ndarray:
    """Initial generator states, uint64 (count,), of the images from `first_image` on; never 0."""
    z = np.uint64(seed_state(seed, first_image)) + np.arange(count, dtype=np.uint64) * np.uint64(SEED_STATE)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    z[z == 0] = 1
    return z


def _random_bytes(state: np.ndarray, time_steps: int, size: int) -> np.ndarray:
    """The draws r, uint8 (B, T, N), of generators that start from `state`, uint64 (B,)."""
    groups = -(-size // 8)
    x = state.copy()
    words = np.empty((time_steps * groups, len(x)), "<u8")  # (T * G, B)
    for word in words:
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
        word[:] = x
    draws = np.ascontiguousarray(words.T).view(np.uint8)  # (B, T * G * 8)
    return draws.reshape(len(x), time_steps, groups * 8)[:, :, :size]


def _checked(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise DataError(f"pixels are {pixels.dtype} of shape {pixels.shape}; expected uint8 of shape (images, pixels)")
    return pixels


ENCODERS = ("threshold", "bernoulli", "latency", "direct")
