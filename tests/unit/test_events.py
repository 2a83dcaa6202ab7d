"""Simulated saccades against a scalar implementation of their definition, the properties of events, binning and the cache."""

import hashlib
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.data import mnist, recordings, saccades
from spikeline.data.recordings import DURATION_US, SIZE, PackedSpikes, Recording, bin_events, inputs
from spikeline.data.saccades import simulate, spike_trains
from spikeline.errors import DataError


@pytest.fixture(scope="module")
def digits():
    return mnist.load("test")[0][:300]


def random_recording(generator, count, duration=DURATION_US):
    x, y = generator.integers(0, SIZE, (2, count), np.uint8)
    time = np.sort(generator.integers(0, duration, count)).astype(np.int32)
    return Recording(x, y, generator.integers(0, 2, count, np.uint8), time)


def scalar_saccades(pixels):
    """The definition, one sensor pixel at a time: sorted (time, y, x, polarity)."""
    path = [(Fraction(1), Fraction(1))]
    for dx, dy in ((1, 2), (1, -2), (-2, 0)):
        path += [(path[-1][0] + Fraction(n * dx, 16), path[-1][1] + Fraction(n * dy, 16)) for n in range(1, 33)]

    def level(x, y):
        return int(pixels[y * 28 + x]) if 0 <= x < 28 and 0 <= y < 28 else 0

    def brightness(x, y, corner):
        u, v = x - corner[0], y - corner[1]
        i, j = int(u // 1), int(v // 1)
        a, b = u - i, v - j
        upper = (1 - a) * level(i, j) + a * level(i + 1, j)
        lower = (1 - a) * level(i, j + 1) + a * level(i + 1, j + 1)
        return ((1 - b) * upper + b * lower) * 16 // 1

    found = []
    for y in range(SIZE):
        for x in range(SIZE):
            seen = [brightness(x, y, corner) for corner in path]
            reference = seen[0]
            for n, (old, new) in enumerate(itertools.pairwise(seen)):
                if abs(new - reference) >= 16 * 96:
                    sign = 1 if new > reference else -1
                    share = Fraction(16 * 96 - sign * (old - reference), sign * (new - old))
                    found.append((int(-(-(n + share) * 3125 // 1)) - 1, y, x, int(sign > 0)))
                    reference += sign * 16 * 96
                    assert abs(new - reference) < 16 * 96
    return sorted(found)


@pytest.mark.parametrize("kind", ["noise", "digit"])
def test_saccades_equal_the_scalar_definition(kind, digits):
    if kind == "noise":  # a corner of it: the scalar definition is slow
        pixels = np.zeros((28, 28), np.uint8)
        pixels[20:, 20:] = np.random.default_rng(0).choice(np.array([0, 1, 96, 128, 255], np.uint8), (8, 8))
    else:
        pixels = digits[0]
    events = simulate(pixels.reshape(784))
    listed = list(zip(*(a.tolist() for a in (events.time, events.y, events.x, events.polarity)), strict=True))
    assert listed == scalar_saccades(pixels.reshape(784))


def test_known_answer():
    pixels = (np.arange(784) * 37 % 256).astype(np.uint8)
    events = simulate(pixels)
    content = b"".join(a.tobytes() for a in (events.x, events.y, events.polarity, events.time.astype("<i4")))
    assert (len(events), hashlib.sha256(content).hexdigest()) == KNOWN_ANSWER


KNOWN_ANSWER = (3126, "336768dc199c7a3411b398e3d132c82d6298482fde45ccb6ceb7e75679a90f75")


def test_a_digit_makes_on_and_off_events_in_order_within_the_recording(digits):
    for events in map(simulate, digits[:20]):
        assert 300 < len(events) < 2500
        assert 2 * events.polarity.sum() == len(events)
        assert (np.diff(events.time) >= 0).all()
        assert 0 <= events.time[0] <= events.time[-1] < DURATION_US
        for leg in range(3):  # each saccade is seen
            assert ((events.time // 100_000) == leg).sum() > 50


def test_an_edge_makes_an_event_for_each_contrast_that_it_crosses():
    """The bright left half of an image moves four pixels to the right over two legs, and back in the third."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[:, :14] = 255
    events = simulate(pixels.reshape(784))
    for x in range(SIZE):
        here = (events.x == x) & (events.y == 15)
        expected = [0, 0, 1, 1] if 1 <= x < 5 else [1, 1, 0, 0] if 15 <= x < 19 else []  # 255 has room for two
        assert events.polarity[here].tolist() == expected
        assert (events.time[here] >= 200_000).tolist() == [False, False, True, True][: len(expected)]


@pytest.mark.parametrize("level", [0, 95])
def test_an_image_below_the_contrast_makes_no_events(level):
    pixels = np.full((1, 784), level, np.uint8)
    events = simulate(pixels[0])
    assert len(events) == 0
    assert events.time.dtype == np.int32
    assert not spike_trains(pixels, 4, 1).any()
    assert not bin_events(events, 4, DURATION_US, 1).any()


@pytest.mark.parametrize(("time_steps", "pool"), [(1, 2), (10, 2), (10, 1), (7, 1), (250, 2)])
def test_a_batch_is_its_images_one_by_one(digits, time_steps, pool):
    spikes = spike_trains(digits[:12], time_steps, pool)
    single = [bin_events(simulate(image), time_steps, DURATION_US, pool) for image in digits[:12]]
    assert spikes.dtype == np.uint8
    assert spikes.shape == (12, time_steps, inputs(pool))
    assert np.array_equal(spikes, np.stack(single))


def test_batches_make_the_spikes_of_the_whole(digits):
    whole = spike_trains(digits, 10, 2)
    parts = [spike_trains(digits[a:b], 10, 2) for a, b in ((0, 1), (1, 1), (1, 258), (258, 300))]
    assert np.array_equal(whole, np.concatenate(parts))


def test_pooled_spikes_are_any_of_their_cell(digits):
    fine = spike_trains(digits[:20], 10, 1).reshape(20, 10, 2, 17, 2, 17, 2)
    assert np.array_equal(spike_trains(digits[:20], 10, 2), fine.any(axis=(4, 6)).reshape(20, 10, 578))


def test_binning_places_known_events():
    events = Recording(
        *(np.array(values, np.uint8) for values in ([0, 33, 3, 3], [0, 33, 2, 2], [0, 1, 1, 1])),
        np.array([0, 99, 100, 900], np.int32),
    )
    for pool, addresses in ((1, (0, 1156 + 1155, 1156 + 71)), (2, (0, 289 + 288, 289 + 18))):
        spikes = bin_events(events, 3, 300, pool)
        assert spikes.dtype == np.uint8
        assert spikes.shape == (3, inputs(pool))
        assert np.argwhere(spikes).tolist() == [[0, addresses[0]], [0, addresses[1]], [1, addresses[2]], [2, addresses[2]]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 200), st.integers(1, 40), st.sampled_from([1, 2]))
def test_binning_equals_the_scalar_definition(seed, count, time_steps, pool):
    events = random_recording(np.random.default_rng(seed), count, 400_000)
    width = SIZE // pool
    expected = np.zeros((time_steps, inputs(pool)), int)
    for x, y, polarity, time in zip(*(a.tolist() for a in (events.x, events.y, events.polarity, events.time)), strict=True):
        step = min(time * time_steps // DURATION_US, time_steps - 1)
        expected[step, polarity * width * width + (y // pool) * width + x // pool] = 1
    assert bin_events(events, time_steps, DURATION_US, pool).tolist() == expected.tolist()


def test_late_times_do_not_overflow():
    late = Recording(*np.ones((3, 1), np.uint8), np.array([2**31 - 1], np.int32))
    assert np.argwhere(bin_events(late, 1000, 2**31, 1))[0, 0] == 999


TWO = np.zeros(2, np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros(2)}, "x of events is float64"),
        ({"time": np.zeros(2, np.int64)}, "time of events is int64"),
        ({"y": np.zeros(3, np.uint8)}, "y of events"),
        ({"x": np.array([0, 34], np.uint8)}, "outside the 34 x 34 sensor"),
        ({"y": np.array([34, 0], np.uint8)}, "outside"),
        ({"polarity": np.array([0, 2], np.uint8)}, "polarity other than"),
        ({"time": np.array([-1, 0], np.int32)}, "negative"),
        ({"time": np.array([2, 1], np.int32)}, "backwards"),
    ],
)
def test_events_that_cannot_be_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        Recording(**({"x": TWO, "y": TWO, "polarity": TWO, "time": np.zeros(2, np.int32)} | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate(np.zeros((28, 28), np.uint8)), r"\(28, 28\)"),
        (lambda: simulate(np.zeros(784)), "float64"),
        (lambda: spike_trains(np.zeros((1, 783), np.uint8), 1, 1), r"\(783,\)"),
        (lambda: spike_trains(np.zeros((1, 784), np.uint8), 0, 1), "time_steps is 0"),
        (lambda: spike_trains(np.zeros((1, 784), np.uint8), 1, 35), "pool is 35"),
        (lambda: bin_events(simulate(np.zeros(784, np.uint8)), 0, 10, 1), "time_steps is 0"),
        (lambda: bin_events(simulate(np.zeros(784, np.uint8)), 1, 0, 1), "duration_us is 0"),
        (lambda: saccades.load("test", 0, 2), "time_steps is 0"),
        (lambda: saccades.load("test", 4, 0), "pool is 0"),
        (lambda: saccades.load("validation", 4, 2), "no split"),
    ],
)
def test_arguments_out_of_range_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.fixture
def small(monkeypatch, tmp_path, digits):
    """MNIST of seven images and an empty cache; lists the sizes of the batches that are simulated."""
    calls = []

    def counted(pixels, *arguments):
        calls.append(len(pixels))
        return spike_trains(pixels, *arguments)

    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path))
    monkeypatch.setattr(mnist, "load", lambda split, root: (digits[:7], np.arange(7, dtype=np.uint8)))
    monkeypatch.setattr(saccades, "spike_trains", counted)
    return calls


@pytest.mark.parametrize("pool", [1, 2])
def test_a_data_set_gives_the_batches_of_its_images(small, digits, pool):
    spikes, labels = saccades.load("test", 5, pool)
    assert isinstance(spikes, PackedSpikes)
    assert (len(spikes), spikes.time_steps, spikes.inputs) == (7, 5, inputs(pool))
    assert labels.tolist() == list(range(7))
    expected = spike_trains(digits[:7], 5, pool)
    assert np.array_equal(spikes.batch(np.array([6, 0, 0])), expected[[6, 0, 0]])
    assert np.array_equal(spikes.batch(slice(2, 4)), expected[2:4])
    assert np.array_equal(spikes.batch(slice(None)), expected)


def test_a_data_set_is_made_once_for_each_of_its_parameters(small):
    first, _ = saccades.load("test", 5, 2)
    again, _ = saccades.load("test", 5, 2)
    assert np.array_equal(first.packed, again.packed)
    assert small == [7]
    saccades.load("test", 4, 2)
    saccades.load("test", 5, 1)
    assert small == [7, 7, 7]


@pytest.mark.parametrize("damage", [lambda c: c[:-1] + bytes([c[-1] ^ 1]), lambda c: c[:40], lambda c: b"", lambda c: c + b"\0"])
def test_a_damaged_cache_is_made_again(small, tmp_path, damage):
    intact, _ = saccades.load("test", 5, 2)
    (file,) = (tmp_path / "saccades").iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    again, _ = saccades.load("test", 5, 2)
    assert np.array_equal(intact.packed, again.packed)
    assert small == [7, 7]
    assert file.read_bytes() == content


def test_spikes_of_an_older_definition_are_not_used(small, monkeypatch, tmp_path):
    """Simulation and binning stand in two files; a change of either makes the cache anew."""
    for n, module in enumerate((saccades, recordings), 1):
        saccades.load("test", 5, 2)
        changed = tmp_path / f"changed{n}.py"
        changed.write_text(f"# {n}")
        monkeypatch.setattr(module, "__file__", str(changed))
        saccades.load("test", 5, 2)
        assert small == [7] * (n + 1)
