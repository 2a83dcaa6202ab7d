"""The encoders against a scalar implementation of their definition, known answers and statistics."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.errors import DataError
from spikeline.model.encode import (
    ENCODERS,
    bernoulli,
    direct,
    encode,
    from_planes,
    image_seed,
    latency,
    latency_band,
    threshold,
    to_pixels,
)

MASK = 2**64 - 1


def scalar_splitmix64(seed: int):
    """The reference generator: yields its outputs."""
    state = seed & MASK
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def scalar_bernoulli(pixels: list[int], time_steps: int, seed: int, image: int) -> list[list[int]]:
    """One image, one pixel at a time."""
    outputs = scalar_splitmix64(seed)
    for _ in range(image):
        next(outputs)
    x = next(outputs) or 1
    train = []
    for _ in range(time_steps):
        step = []
        for i, pixel in enumerate(pixels):
            if i % 8 == 0:
                x ^= (x << 13) & MASK
                x ^= x >> 7
                x ^= (x << 17) & MASK
            step.append(int(pixel > (x >> (8 * (i % 8))) & 0xFF))
        train.append(step)
    return train


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 40),
    time_steps=st.integers(1, 5),
    seed=st.integers(0, MASK),
    first=st.integers(0, 70000),
    data=st.randoms(use_true_random=False),
)
def test_bernoulli_equals_the_scalar_definition(size, time_steps, seed, first, data):
    pixels = [[data.randrange(256) for _ in range(size)] for _ in range(3)]
    expected = [scalar_bernoulli(row, time_steps, seed, first + i) for i, row in enumerate(pixels)]
    assert bernoulli(np.array(pixels, np.uint8), time_steps, seed, first).tolist() == expected


def test_image_seeds_are_the_published_splitmix64_sequence():
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert image_seed(1234567, 0, 4).tolist() == expected
    assert image_seed(1234567, 2, 2).tolist() == expected[2:]


def test_a_zero_seed_state_becomes_one():
    assert image_seed(-0x9E3779B97F4A7C15, 0).tolist() == [1]


def test_known_answer():
    pixels = (np.arange(2 * 784) % 256).astype(np.uint8).reshape(2, 784)
    spikes = bernoulli(pixels, 3, seed=42, first_image=7)
    assert hashlib.sha256(spikes.tobytes()).hexdigest() == KNOWN_ANSWER
    assert "".join(map(str, spikes[0, 0, 96:128])) == KNOWN_SPIKES


KNOWN_ANSWER = "c730ecc755ee79d56341859345f576352f3f761ffdf0b8e191f62bae409c7a66"
KNOWN_SPIKES = "00110011011100001100000000101100"


def test_batches_encode_like_the_whole():
    pixels = np.random.default_rng(0).integers(0, 256, (1100, 20), np.uint8)
    whole = bernoulli(pixels, 2, seed=5)
    parts = [bernoulli(pixels[a:b], 2, seed=5, first_image=a) for a, b in ((0, 1), (1, 700), (700, 1100))]
    assert np.array_equal(whole, np.concatenate(parts))


def test_spike_probability_is_the_pixel_over_256():
    levels = np.arange(256, dtype=np.uint8)
    rates = bernoulli(np.repeat(levels[None], 2000, 0), 10, seed=1).mean((0, 1))
    p = levels / 256
    assert rates[0] == 0
    assert (np.abs(rates - p) < 5 * np.sqrt(p * (1 - p) / 20000) + 1e-12).all()


def test_steps_pixels_and_images_are_uncorrelated():
    spikes = bernoulli(np.full((4000, 16), 128, np.uint8), 4, seed=3).astype(float) - 0.5
    limit = 5 / 4 / np.sqrt(spikes[:, 1:].size)  # five standard deviations of a mean of products of ±1/2
    assert abs((spikes[:, 1:] * spikes[:, :-1]).mean()) < limit
    assert abs((spikes[:, :, 1:] * spikes[:, :, :-1]).mean()) < limit
    assert abs((spikes[1:] * spikes[:-1]).mean()) < limit


def test_seeds_give_different_spikes():
    pixels = np.full((2, 64), 128, np.uint8)
    assert not np.array_equal(bernoulli(pixels, 1, 0), bernoulli(pixels, 1, 1))
    assert not np.array_equal(*bernoulli(pixels, 1, 0))


def test_threshold_is_128_at_every_step():
    pixels = np.array([[0, 127, 128, 255]], np.uint8)
    assert threshold(pixels).tolist() == [[0, 0, 1, 1]]
    assert encode(pixels, "threshold", 3).tolist() == [[[0, 0, 1, 1]] * 3]


@pytest.mark.parametrize("time_steps", [1, 2, 3, 4, 7, 8, 10, 100, 191, 192])
def test_latency_equals_the_scalar_definition(time_steps):
    levels = np.arange(256, dtype=np.uint8)[None]
    spikes = latency(levels, time_steps)
    expected = np.zeros((time_steps, 256), int)
    for pixel in range(256):
        t = (255 - pixel) // (192 // time_steps)
        if t < time_steps:
            expected[t, pixel] = 1
    assert spikes[0].tolist() == expected.tolist()
    assert np.array_equal(encode(levels, "latency", time_steps, seed=3), spikes)


@pytest.mark.parametrize("time_steps", [1, 5, 8, 100, 192])
def test_latency_spikes_at_most_once_and_the_brighter_never_later(time_steps):
    spikes = latency(np.arange(256, dtype=np.uint8)[None], time_steps)[0]  # (T, 256)
    fires = spikes.any(0)
    assert spikes.sum(0).max() == 1
    assert spikes[0, 255] == 1
    assert (np.diff(fires.astype(int)) >= 0).all()
    assert (np.diff(spikes.argmax(0)[fires]) <= 0).all()


def test_latency_of_known_pixels():
    pixels = np.array([[255, 232, 231, 64, 63, 0]], np.uint8)
    assert [np.flatnonzero(train).tolist() for train in latency(pixels, 8)[0].T] == [[0], [0], [1], [7], [], []]
    assert [np.flatnonzero(train).tolist() for train in latency(pixels, 192)[0].T] == [[0], [23], [24], [191], [], []]


@pytest.mark.parametrize(("time_steps", "band"), [(1, 192), (7, 27), (8, 24), (96, 2), (97, 1), (192, 1)])
def test_latency_band(time_steps, band):
    assert latency_band(time_steps) == band


@pytest.mark.parametrize("time_steps", [-1, 0, 193])
def test_latency_refuses_steps_without_a_band(time_steps):
    with pytest.raises(DataError, match=f"time_steps is {time_steps}"):
        latency_band(time_steps)
    with pytest.raises(DataError, match=f"time_steps is {time_steps}"):
        encode(np.zeros((1, 8), np.uint8), "latency", time_steps)


def test_latency_refuses_what_are_no_pixels():
    with pytest.raises(DataError, match="float64"):
        latency(np.zeros((1, 8)), 4)


@pytest.mark.parametrize("planes", range(1, 9))
def test_direct_sends_the_highest_bits_of_every_level(planes):
    pixels = np.arange(256, dtype=np.uint8)[None]
    spikes = direct(pixels, planes)  # (1, T, 256)
    for level in range(256):
        assert spikes[0, :, level].tolist() == [int(bit) for bit in f"{level:08b}"[:planes]]
    np.testing.assert_array_equal(from_planes(spikes)[:, 0], pixels >> 8 - planes)
    np.testing.assert_array_equal(to_pixels(spikes), pixels & 0xFF << 8 - planes)
    np.testing.assert_array_equal(encode(pixels, "direct", planes, seed=3), spikes)


def test_one_plane_is_the_threshold_encoder():
    pixels = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(direct(pixels, 1)[:, 0], threshold(pixels))


@pytest.mark.parametrize("planes", [0, 9])
def test_direct_takes_as_many_steps_as_a_pixel_has_bits(planes):
    with pytest.raises(DataError, match=r"time_steps is \d"):
        encode(np.zeros((1, 8), np.uint8), "direct", planes)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encode_returns_bytes_of_zero_and_one(encoder):
    spikes = encode(np.full((2, 9), 200, np.uint8), encoder, 3)
    assert spikes.dtype == np.uint8
    assert spikes.shape == (2, 3, 9)
    assert set(np.unique(spikes)) <= {0, 1}


def test_an_unknown_encoder_names_the_known_ones():
    with pytest.raises(DataError, match=r"'morse'.*threshold, bernoulli"):
        encode(np.zeros((1, 8), np.uint8), "morse", 1)


@pytest.mark.parametrize(
    ("pixels", "time_steps", "first"),
    [
        (np.zeros((1, 8)), 1, 0),
        (np.zeros(8, np.uint8), 1, 0),
        (np.zeros((1, 8), np.uint8), 0, 0),
        (np.zeros((1, 8), np.uint8), 1, -1),
    ],
    ids=["float pixels", "one dimension", "no time step", "negative image"],
)
def test_arguments_out_of_range_are_refused(pixels, time_steps, first):
    with pytest.raises(DataError):
        encode(pixels, "bernoulli", time_steps, 0, first)
