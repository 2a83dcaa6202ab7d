"""The integer network, the geometry it has to fit, and the words that it is packed in."""

import dataclasses
import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeline.errors import DeviceError, ModelError
from spikeline.model.bit_fields import BitFields
from spikeline.model.geometry import FOLDER, Geometry, LayerGeometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder
from support.strategies import layer, networks, random_layer


def test_membrane_range_is_reached_and_never_left():
    """All 2^6 inputs, in the worst order of their spikes: partial sums included."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = random_layer(rng, 6, 3)
        seen = []
        for spikes in itertools.product((0, 1), repeat=6):
            terms = np.sort(x.weights[np.flatnonzero(spikes)].astype(int), axis=0)
            rising, falling = np.cumsum(terms, axis=0), np.cumsum(terms[::-1], axis=0)
            sums = np.concatenate([np.zeros((1, 3), int), rising, falling]) - x.thresholds
            seen += [sums.min(), sums.max()]
        assert x.membrane_range == (min(seen), max(seen))


@pytest.mark.parametrize("planes", [1, 2])
def test_membrane_range_of_direct_input_is_reached_and_never_left(planes):
    """All levels of 4 inputs; row after row of every plane in the worst order, doubled between planes, then −θ."""
    rng = np.random.default_rng(planes)
    for _ in range(20):
        x = random_layer(rng, 4, 3)
        seen = [np.zeros(3, int)]
        for levels in itertools.product(range(1 << planes), repeat=4):
            u = np.zeros(3, int)
            for plane in range(planes - 1, -1, -1):
                rows = x.weights[[level >> plane & 1 == 1 for level in levels]].astype(int)
                for order in (np.sort(rows, axis=0), np.sort(rows, axis=0)[::-1]):
                    seen += [2 * u, *(2 * u + order.cumsum(0))]
                u = 2 * u + rows.sum(0)
            seen.append(u - x.thresholds)
        network = Network((x,), 4, planes, Encoder.DIRECT)
        assert network.membrane_range(0) == (min(map(np.min, seen)), max(map(np.max, seen)))


def test_direct_input_is_of_a_pixel_s_bits_decided_once_and_for_a_geometry_that_takes_it():
    with pytest.raises(ModelError, match=r"takes 1\.\.8"):
        Network((layer([[1, 2]], [0, 0]),), 4, 9, Encoder.DIRECT)
    lasting = Layer(np.ones((1, 2), np.int8), np.ones(2, np.int32), 8)
    with pytest.raises(ModelError, match="no membrane can last"):
        Network((lasting, ONE), 4, 2, Encoder.DIRECT)
    network = Network((layer([[1, 2]], [0, 0]),), 4, 8, Encoder.DIRECT)
    assert Geometry.smallest(network).name == "tiny"
    with pytest.raises(
        ModelError,
        match="z020-256 takes no direct input; take a geometry that does, such as k26-256, tiny, tiny-conv, z020-256-direct",
    ):
        Geometry.load("z020-256").require(network)
    wide = Network((Layer(np.ones((784, 10), np.int8), np.zeros(10, np.int32)),), 4, 8, Encoder.DIRECT)
    assert Geometry.smallest(wide).name == "z020-256-direct"
    assert Geometry.smallest(replace(wide, encoder=Encoder.BERNOULLI)).name == "z020-256"


@pytest.mark.parametrize(
    ("weights", "threshold", "bits"),
    [
        *[([[127]], 0, 8), ([[127]], -1, 9), ([[-128]], 0, 8), ([[-128]], 1, 9)],
        *[([[0]], 0, 1), ([[0]], 1, 1), ([[0]], 8, 4), ([[0]], -4, 4)],
    ],
)
def test_membrane_bits_at_the_powers_of_two(weights, threshold, bits):
    assert Network((layer(weights, [threshold]),), 8, 1).membrane_bits == bits


@given(networks())
def test_membrane_bits_hold_the_range_and_no_bit_less_does(network):
    bits = network.membrane_bits
    ranges = [network.membrane_range(n) for n in range(len(network.layers))]
    assert all(-(1 << bits - 1) <= low and high < 1 << bits - 1 for low, high in ranges)
    if bits > 1:
        assert not all(-(1 << bits - 2) <= low and high < 1 << bits - 2 for low, high in ranges)


ONE = layer([[1, 2], [0, -1]], [1, 1])


@pytest.mark.parametrize(
    ("layers", "more", "message"),
    [
        ((), {}, "layer"),
        ((ONE,) * 9, {}, "layers"),
        ((ONE,), {"weight_bits": 3}, "use 2, 4 or 8"),
        ((ONE,), {"weight_bits": 1}, "use 2, 4 or 8"),
        ((ONE,), {"time_steps": 0}, "1 to 65535"),
        ((ONE,), {"time_steps": 1 << 16}, "1 to 65535"),
        ((ONE,), {"weight_bits": 2}, "does not fit 2 bits"),
        ((ONE, layer([[1]], [1])), {}, "layer 1 has 1 inputs but layer 0 has 2"),
        ((Layer(np.ones((2, 2), np.int16), ONE.thresholds),), {}, "int8"),
        ((Layer(np.ones((0, 2), np.int8), ONE.thresholds),), {}, "not empty"),
        ((Layer(np.ones(2, np.int8), ONE.thresholds),), {}, r"\(inputs, neurons\)"),
        ((Layer(ONE.weights, np.ones(3, np.int32)),), {}, "one for each of the 2 neurons"),
        ((Layer(ONE.weights, np.ones(2, np.int64)),), {}, "int32"),
        ((Layer(np.ones((1 << 16, 1), np.int8), np.ones(1, np.int32)),), {}, "less than 65536"),
        ((layer([[1]], [-(2**31)]), ONE), {}, "layer 0: membranes overflow 32 bits"),
        ((layer([[1]], [-(2**30)]),), {"time_steps": 4}, "overflow 32 bits; use fewer time steps"),
    ],
)
def test_unsound_networks_are_refused(layers, more, message):
    with pytest.raises(ModelError, match=message):
        Network(layers, **({"weight_bits": 4, "time_steps": 1} | more))


def test_sizes():
    assert Network((ONE, ONE), 4, 1).sizes == [2, 2, 2]


# -- geometry ----------------------------------------------------------------------------------------------------------

TINY = json.loads((FOLDER / "tiny.json").read_text())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_every_geometry_is_sound_and_takes_a_network_of_its_size(path):
    geometry = Geometry.load(path.stem)
    assert geometry == Geometry.load(path)
    rooms = [geometry.input_room if n == 0 else x.inputs for n, x in enumerate(geometry.layers)]
    rooms[0] = min(rooms[0], geometry.layers[0].inputs)
    pairs = zip(rooms, geometry.layers, strict=True)
    layers = [Layer(np.zeros((inputs, x.neurons), np.int8), np.zeros(x.neurons, np.int32)) for inputs, x in pairs]
    layers[-1] = Layer(layers[-1].weights[:, : geometry.classes], layers[-1].thresholds[: geometry.classes])
    network = Network(tuple(layers), geometry.weight_bits, 1)
    assert geometry.misfits(network) == []
    width = rooms[0]
    first = Layer(np.zeros((1, width), np.int8), np.zeros(width, np.int32))
    deeper = dataclasses.replace(network, layers=(first, *layers))
    assert any("layers, the accelerator has" in x for x in geometry.misfits(deeper))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network((layer([[1, 1]], [0, 0]),), 8, 1), "weights are packed for 8 bits, the accelerator has 4"),
        (Network((random_layer(np.random.default_rng(0), 101, 48),), 4, 1), "layer 0 is 101×48.*room for 100×48.*"),
        (Network((random_layer(np.random.default_rng(0), 100, 49),), 4, 1), "layer 0 is 100×49.*room for 100×48.*"),
        (Network((random_layer(np.random.default_rng(0), 5, 11),), 4, 1), "11 classes, the accelerator tells 10 apart"),
        (Network((layer([[1]], [2048]), layer([[1]], [0])), 4, 1), None),
        (Network((layer([[1]], [2049]), layer([[1]], [0])), 4, 1), "membranes need 13 bits, the accelerator has 12"),
    ],
)
def test_misfits_are_told_in_words(network, words):
    problems = "; ".join(Geometry.load("tiny").misfits(network))
    assert re.fullmatch(words or "", problems)


@pytest.mark.parametrize(
    "change",
    [
        {"weight_bits": 3},
        {"membrane_bits": 25},
        {"membrane_bits": 3},
        {"classes": 17},
        {"classes": 1},
        {"layers": []},
        {"layers": TINY["layers"] * 3},
        {"layers": [{"inputs": 100, "neurons": 40, "spikes_per_cycle": 2}]},
        {"layers": [{"inputs": 100, "neurons": 48, "spikes_per_cycle": 3}]},
        {"layers": [{"inputs": 100, "neurons": 48}]},
        {"layers": [{"inputs": 100, "neurons": 48, "spikes_per_cycle": 2, "colour": 1}]},
        {"layers": [TINY["layers"][0], TINY["layers"][2]]},
        {"layers": 7},
        {"weight_bits": "four"},
    ],
)
def test_unsound_geometries_are_refused(tmp_path, change):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(TINY))
    assert Geometry.load(path).layers == Geometry.load("tiny").layers
    path.write_text(json.dumps(TINY | change))
    with pytest.raises(DeviceError, match=r"mine\.json"):
        Geometry.load(path)


def test_missing_and_damaged_geometries_are_refused(tmp_path):
    with pytest.raises(DeviceError, match="no geometry moon; there are k26-256, tiny, tiny-conv, z020-1024, z020-256"):
        Geometry.load("moon")
    for text in ("{", "[]", "null", '"x"', '{"layers": []}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(DeviceError, match="geometry"):
            Geometry.load(tmp_path / "x.json")


# -- words -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 16), min_size=1, max_size=4), st.data())
def test_word_fields_round_trip(widths, data):
    lows = [sum(widths[:n]) for n in range(len(widths))]
    word = BitFields(64, **{f"f{n}": (low, width) for n, (low, width) in enumerate(zip(lows, widths, strict=True))})
    values = {f"f{n}": data.draw(st.integers(0, (1 << width) - 1)) for n, width in enumerate(widths)}
    packed = word.pack(**values)
    assert packed == sum(values[f"f{n}"] << low for n, low in enumerate(lows))
    assert word.unpack(packed) == word.unpack(np.uint64(packed)) == values
    fields = word.unpack_array(np.array([packed, 0], np.uint64))
    assert {name: x.tolist() for name, x in fields.items()} == {name: [value, 0] for name, value in values.items()}


def test_word_refuses_what_does_not_fit():
    word = BitFields(8, low=(0, 3), high=(4, 4))
    assert word.pack(high=15) == 0xF0
    for bad in (8, -1):
        with pytest.raises(ValueError, match=f"low = {bad} does not fit its 3 bits"):
            word.pack(low=bad)


def continuous(weights, threshold, state_bits, **options):
    """A continuous layer of one neuron."""
    return Layer(np.array([[w] for w in weights], np.int8), np.array([threshold], np.int32), state_bits, **options)


def alone(x):
    return Network((x,), 4, 2, decode=Decode.SPIKE_COUNT)


def test_a_step_must_leave_room_beside_the_state():
    """One neuron on 7 + 7 and −7 − 1: a state of 5 bits has room for 16 up, and for 16 down with the threshold."""
    assert alone(continuous([7, 7, -7, -1], 8, 5)).membrane_bits == 6
    for tight in (continuous([7, 7, 3, -7], 8, 5), continuous([7, 7, -7, -1], 9, 5)):
        with pytest.raises(ModelError, match="more than a state of 5 bits leaves room for"):
            alone(tight)
    for bias in (-1, 3):
        with pytest.raises(ModelError, match="more than a state of 5 bits"):
            alone(continuous([7, 7, -7, -1], 8, 5, biases=np.array([bias], np.int32)))


REFUSED = {
    "threshold": (lambda: continuous([1], 0, 5), "1 or more"),
    "state": (lambda: continuous([1], 1, 24), "2 to 23"),
    "leak": (lambda: continuous([1], 1, 5, leak=16), "shift of 1 to 15"),
    "biases": (lambda: continuous([1], 1, 5, biases=np.zeros(2, np.int32)), "biases must be int32"),
    "discontinuous leak": (lambda: continuous([1], 1, 0, leak=1), "biases in the thresholds, and no leak"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_a_continuous_layer_cannot_be(case):
    make, message = REFUSED[case]
    with pytest.raises(ModelError, match=message):
        alone(make())


def test_a_continuous_output_is_read_by_its_spikes():
    with pytest.raises(ModelError, match="read it by its spikes"):
        Network((continuous([1], 1, 5),), 4, 2, decode=Decode.MEMBRANE)


def test_latency_needs_a_band_of_pixels_for_each_step():
    with pytest.raises(ModelError, match=r"1\.\.192"):
        Network((layer([[1, 2]], [0, 0]),), 4, 193, Encoder.LATENCY)


def test_geometry_of_continuous_networks():
    network = alone(continuous([1] * 20, 3, 11, leak=2))
    built = Geometry("x", (LayerGeometry(32, 16, 1),), 4, 12, 2, 100, continuous=True, max_leak=2)
    assert not built.misfits(network)
    for change, message in (
        ({"continuous": False, "max_leak": 0}, "discontinuous only"),
        ({"membrane_bits": 14}, "11 bits, the accelerator's 13"),
        ({"max_leak": 1}, "shift of 2, the accelerator up to 1"),
    ):
        with pytest.raises(ModelError, match=message):
            dataclasses.replace(built, **change).require(network)
