"""What callers pass to the API: converted where there is no doubt, else refused in a line that says what to write."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeline import Accelerator, Events, Pixels, Spikes, inputs
from spikeline.errors import DataError, DeviceError, ModelError
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder

LEVELS = np.random.default_rng(0).integers(0, 256, (6, 12)).astype(np.uint8)
TRAINS = np.random.default_rng(1).integers(0, 2, (6, 3, 12)).astype(np.uint8)


class Tensor:
    """What a tensor that needs a gradient does."""

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")

    def detach(self):
        return self


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    "given",
    [
        LEVELS,
        LEVELS.tolist(),
        list(LEVELS),
        tuple(map(tuple, LEVELS)),
        np.asfortranarray(LEVELS),
        np.repeat(LEVELS, 2, 1)[:, ::2],
        LEVELS[::-1][::-1],
        read_only(LEVELS),
        np.matrix(LEVELS),
        np.ma.array(LEVELS),
        memoryview(LEVELS),
        LEVELS.reshape(6, 3, 4),
        LEVELS.reshape(6, 1, 3, 4),
        LEVELS.reshape(6, 3, 4, 1),
        *(LEVELS.astype(kind) for kind in ("i2", "u2", "i4", ">i4", "i8", "u8", "f2", "f4", "f8")),
        LEVELS / 255,
        (LEVELS / 255).astype(np.float32),
        (LEVELS / 255).astype(np.float16),
    ],
)
def test_images_of_many_kinds_are_the_same_images(given):
    seen = inputs.pixels(given, 12)
    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(seen, LEVELS)


def test_black_and_white_and_single_images():
    np.testing.assert_array_equal(inputs.pixels(LEVELS > 127, 12), (LEVELS > 127) * 255)
    np.testing.assert_array_equal(inputs.pixels((LEVELS > 127).astype(float), 12), (LEVELS > 127) * 255)
    np.testing.assert_array_equal(inputs.pixels(LEVELS // 255, 12), LEVELS // 255)  # uint8 are levels, even if dark
    for single in (LEVELS[0], LEVELS[0].reshape(3, 4), LEVELS[0].tolist(), LEVELS[0].reshape(1, 3, 4)):
        np.testing.assert_array_equal(inputs.pixels(single, 12), LEVELS[:1])
    for none in (LEVELS[:0], [], np.zeros((0, 3, 4))):
        assert inputs.pixels(none, 12).shape == (0, 12)
    batch = np.full((12, 12), 7)  # of 12 images, not an image of 144
    assert inputs.pixels(batch, 12).shape == (12, 12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (LEVELS[:, :-1], "images must be (B, 12), not (6, 11)"),
        (LEVELS.T, "images must be (B, 12), not (12, 6); pass images.T"),
        (LEVELS[0, :5], "images must be (B, 12), not (5,)"),
        (np.uint8(3), "images must be (B, 12), not ()"),
        (LEVELS.reshape(3, 2, 12), "images must be (B, 12), not (3, 2, 12); of spike trains, pass Spikes(trains)"),
        (LEVELS.astype(int) + 1000, "images go up to 1"),
        (LEVELS - 128.0, "undo what was subtracted and divided, such as images * std + mean"),
        (LEVELS.astype(int) - 1, "grey levels are 0…255"),
        (LEVELS * 0.999, "neither 0…1 nor whole levels 0…255; pass np.clip(np.rint(images), 0, 255).astype(np.uint8)"),
        ((LEVELS > 127).astype(int), "of 0 and 1: pass images * 255 if 1 is white"),
        (np.where(LEVELS > 9, LEVELS, np.nan), "a NaN or an infinity"),
        (np.where(LEVELS > 9, LEVELS, np.inf), "a NaN or an infinity"),
        (LEVELS.astype(complex), "pass a numpy array of numbers"),
        (LEVELS.astype(str), "pass a numpy array of numbers"),
        (LEVELS.astype(object), "pass a numpy array of numbers"),
        (["a.png", "b.png"], "pass a numpy array of numbers"),
        (None, "pass a numpy array of numbers"),
        ([[1, 2], [3]], "pass a numpy array, all of one shape"),
        (np.ma.masked_less(LEVELS, 9), "masked entries; fill them: images.filled(0)"),
        (Tensor(), "pass images.detach().cpu().numpy()"),
    ],
)
def test_images_in_doubt_are_refused(given, message):
    with pytest.raises(DataError, match=re.escape(message)):
        inputs.pixels(given, 12)


@pytest.mark.parametrize("kind", ["u1", "?", "i8", "f4", "f8", "u2"])
def test_spikes_of_many_kinds_are_the_same_spikes(kind):
    for given in (TRAINS.astype(kind), TRAINS.astype(kind).tolist(), TRAINS.astype(kind).reshape(6, 3, 4, 3)):
        seen = inputs.spikes(given, 3, 12)
        assert seen.dtype == np.uint8
        np.testing.assert_array_equal(seen, TRAINS)
    np.testing.assert_array_equal(inputs.spikes(TRAINS[0].astype(kind), 3, 12), TRAINS[:1])
    assert inputs.spikes(TRAINS[:0].astype(kind), 3, 12).shape == (0, 3, 12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (TRAINS * 255, "spikes must be 0 or 1, and one is 255; pass spikes > 0"),
        (TRAINS * 2, "spikes must be 0 or 1, and one is 2"),
        (TRAINS * -1.0, "spikes must be 0 or 1, and one is -1.0"),
        (TRAINS * 0.5, "spikes must be 0 or 1, and one is 0.5"),
        (np.where(TRAINS, np.nan, 0), "spikes must be 0 or 1, and one is nan"),
        (
            TRAINS.transpose(1, 0, 2),
            "not (3, 6, 12), which is time first; pass spikes.transpose(1, 0, 2)",
        ),
        (LEVELS, "not (6, 12); of images, pass Pixels(images)"),
        (TRAINS[:, :2], "spikes must be (B, 3, 12), not (6, 2, 12)"),
        (None, "pass a numpy array of numbers"),
    ],
)
def test_spikes_in_doubt_are_refused(given, message):
    with pytest.raises(DataError, match=re.escape(message)):
        inputs.spikes(given, 3, 12)


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.int8])
def test_whole_numbers_of_any_type(kind):
    assert inputs.whole(kind(7), "batch", 1) == 7
    assert type(inputs.whole(kind(7), "batch", 1)) is int


@pytest.mark.parametrize("wrong", [None, 1.0, 1.5, "7", True, np.bool_(True), [7], np.float64(3), float("nan")])
def test_other_things_are_no_whole_numbers(wrong):
    with pytest.raises(DataError, match=r"batch is .*; it must be a whole number"):
        inputs.whole(wrong, "batch", 1)


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    layers = tuple(
        Layer(rng.integers(-7, 8, (i, n)).astype(np.int8), rng.integers(0, 9, n).astype(np.int32)) for i, n in ((12, 9), (9, 4))
    )
    return model_file.build(Network(layers, 4, 3, Encoder.BERNOULLI))


@pytest.mark.parametrize("backend", ["golden", "sim"])
def test_no_wrong_argument_costs_the_model(model, backend):
    with Accelerator(model=model, backend=backend, geometry="tiny") as accelerator:
        labels = accelerator.infer(LEVELS).labels
        wrong = [
            lambda: accelerator.infer(LEVELS[:, :5]),
            *(lambda v=v: accelerator.infer(LEVELS, batch=v) for v in (0, -1, None, 1.5)),
            *(lambda v=v: accelerator.infer(Pixels(LEVELS, seed=v)) for v in (-1, 2**64, 1.5, None)),
            *(lambda v=v: accelerator.infer(Pixels(LEVELS, first_image=v)) for v in (-1, 1.5, None)),
            *(lambda v=v: accelerator.running(LEVELS, batch=v) for v in (0, None)),
            *(lambda kind=kind: accelerator.infer(kind(TRAINS * 2)) for kind in (Spikes, Events)),
            *(lambda kind=kind: accelerator.running(kind(LEVELS)) for kind in (Spikes, Events)),
            *(lambda call=call: call(TRAINS) for call in (accelerator.infer, accelerator.running, accelerator.trace)),
            lambda: accelerator.encode(LEVELS[:, :5]),
            lambda: accelerator.trace(Spikes(TRAINS.transpose(1, 0, 2))),
            lambda: accelerator.load("no such file"),
            lambda: accelerator.load(5),
            lambda: accelerator.load(""),
            lambda: accelerator.load("/"),
            lambda: accelerator.throughput_test(LEVELS[:0]),
        ]
        for call in wrong:
            with pytest.raises((DataError, ModelError, DeviceError)):
                call()
            np.testing.assert_array_equal(accelerator.infer(LEVELS).labels, labels)
        np.testing.assert_array_equal(accelerator.infer(LEVELS, batch=np.int64(4)).labels, labels)
        np.testing.assert_array_equal(accelerator.infer(Pixels(LEVELS, seed=np.int32(0))).labels, labels)
        np.testing.assert_array_equal(accelerator.infer(LEVELS, batch=10**12, progress=None).labels, labels)
        assert accelerator.infer(LEVELS[:0], scores=True).values.shape == (0, 4)
        assert accelerator.infer(Events(TRAINS[:0])).labels.shape == (0,)
        assert accelerator.running(Spikes(TRAINS[:0]))[0].shape == (0, 3, 4)
        assert accelerator.trace(Spikes(TRAINS[:0]))[1].shape == (0, 3, 4)


def test_a_network_of_events_takes_no_images(model):
    changed = model_file.build(replace(model.network, encoder=Encoder.EVENTS))
    with Accelerator(model=changed, backend="golden") as accelerator:
        for call in (accelerator.infer, accelerator.running, accelerator.trace, accelerator.encode):
            for given in (LEVELS, Pixels(LEVELS)):
                with pytest.raises(DataError, match=r"no encoder for images; pass Events\(trains\)"):
                    call(given)
        accelerator.infer(Spikes(TRAINS))
        accelerator.infer(Events(TRAINS))


@pytest.mark.parametrize("backend", ["golden", "sim"])
def test_every_kind_of_input_says_the_same(model, backend):
    """Pixels, and their spike trains as vectors and as events, whole and in batches, to each call that takes them."""
    expected = golden.run(model.network, encode(LEVELS, "bernoulli", 3, seed=9, first_image=2), states=True)
    with Accelerator(model=model, backend=backend, geometry="tiny") as accelerator:
        pixels = Pixels(LEVELS.tolist(), seed=9, first_image=2)
        trains = accelerator.encode(pixels)
        np.testing.assert_array_equal(trains, encode(LEVELS, "bernoulli", 3, seed=9, first_image=2))
        for given in (pixels, Spikes(trains), Events(trains.tolist())):
            for batch in (1, 4, 100):
                result = accelerator.infer(given, scores=True, batch=batch)
                np.testing.assert_array_equal(result.labels, expected.labels)
                np.testing.assert_array_equal(result.values, expected.values)
                values, leading = accelerator.running(given, batch=batch)
                np.testing.assert_array_equal(values, expected.running[0])
                np.testing.assert_array_equal(leading, expected.running[1])
            fired, membranes, _ = accelerator.trace(given)
            np.testing.assert_array_equal(membranes, expected.membranes)
            for got, spikes in zip(fired, expected.spikes, strict=True):
                np.testing.assert_array_equal(got, spikes)


def test_pixels_are_encoded_with_their_seed_and_place(model):
    with Accelerator(model=model, backend="golden") as accelerator:
        trains = accelerator.encode(Pixels(LEVELS, seed=4))
        np.testing.assert_array_equal(accelerator.encode(Pixels(LEVELS[2:], seed=4, first_image=2)), trains[2:])
        np.testing.assert_array_equal(accelerator.encode(LEVELS), accelerator.encode(Pixels(LEVELS)))
        assert (accelerator.encode(LEVELS) != trains).any()
        np.testing.assert_array_equal(accelerator.encode(Spikes(TRAINS)), TRAINS)


def test_what_a_backend_cannot_do_is_said(model):
    with Accelerator(model=model, backend="golden") as accelerator:
        assert (accelerator.has_clock, accelerator.can_trace) == (False, True)
        assert accelerator.overlay is None
        assert accelerator.simulator is None
        with pytest.raises(DeviceError, match="the golden model has no clock to test the throughput by"):
            accelerator.throughput_test(LEVELS)


def test_paths_in_every_form(model, tmp_path, monkeypatch):
    path = tmp_path / "my models/réseau é.img"
    model_file.save(model, path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in (path, str(path), str(path).encode(), "~/my models/réseau é.img"):
        with Accelerator(model=given, backend="golden") as accelerator:
            assert accelerator.model.crc == model.crc


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": ""}, ModelError, "model is empty; name a file"),
        ({"model": 5}, ModelError, "model is int; it must be the path of a file"),
        ({"model": np.zeros(3)}, ModelError, "model is ndarray; it must be"),
        ({"bitstream": ""}, DataError, "bitstream is empty; name a file"),
        ({"bitstream": "/"}, DeviceError, "/ is no bitstream; name a .bit file"),
        ({"bitstream": "design.xsa"}, DeviceError, "is a hardware archive; unzip it and name the .bit in it"),
        ({"bitstream": b"x.bit"}, DeviceError, "x.bit is missing; copy .bit and .hwh"),
        ({"bitstream": "~/x.bit"}, DeviceError, str(Path("~/x.bit").expanduser())),
        ({"geometry": "TINY"}, DeviceError, "no geometry TINY; there are k26-256, tiny"),
        ({"backend": "SIM"}, DeviceError, "no backend SIM; there are board, sim, golden"),
        ({"timeout": 0}, DataError, "timeout is 0; it must be a number of seconds above 0"),
    ],
)
def test_arguments_of_an_accelerator(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        Accelerator(**arguments)
