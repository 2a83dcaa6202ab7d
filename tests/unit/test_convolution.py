"""Convolutions in the integer network, the golden model, the model file and the geometry: equal to torch, or refused in words."""

import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.device.driver import Driver
from spikeline.errors import DeviceError, ModelError
from spikeline.model import golden, model_file, network
from spikeline.model.encode import to_pixels
from spikeline.model.geometry import FOLDER, ConvolutionGeometry, Geometry
from spikeline.model.network import Layer, Network, Window
from spikeline.model.spec import CONFIG_LAYER, Decode, Encoder, Reset
from support import convolutions

seeds = st.integers(0, 2**32 - 1)


@st.composite
def networks(draw, **more):
    return convolutions.network(np.random.default_rng(draw(seeds)), **more)


# -- golden model ------------------------------------------------------------------------------------------------------


def currents(layer, x):
    """What torch makes of the spikes, or whole numbers, (B, inputs): int (B, neurons)."""
    w = torch.from_numpy(layer.weights.astype(np.float64))
    x = torch.from_numpy(x.astype(np.float64))
    if (seen := layer.window) is None:
        return (x @ w).numpy().astype(int)
    kernel = w.T.reshape(-1, seen.channels, seen.kernel, seen.kernel)
    maps = x.reshape(-1, seen.channels, seen.height, seen.width)
    return F.conv2d(maps, kernel, stride=seen.stride, padding=seen.padding).flatten(1).numpy().astype(int)


def pooled(layer, fired):
    seen = layer.window
    if seen is None or not seen.pool:
        return fired
    maps = torch.from_numpy(fired.reshape(-1, layer.columns, *seen.positions).astype(np.float32))
    return F.max_pool2d(maps, 2).flatten(1).numpy() > 0


def by_torch(net, spikes):
    """Spikes and states of each layer, (B, T, outputs) and (B, T, neurons)."""
    steps = [to_pixels(spikes) >> 8 - net.time_steps] if net.direct else list(spikes.swapaxes(0, 1))
    found = []
    for layer in net.layers:
        thresholds = np.repeat(layer.thresholds, layer.neurons // layer.columns)
        biases = 0 if layer.biases is None else np.repeat(layer.biases, layer.neurons // layer.columns)
        v, fired, states = np.zeros((len(spikes), layer.neurons), int), [], []
        largest = 2 ** (layer.state_bits - 1) if layer.continuous else 0
        for t, x in enumerate(steps):
            v = (v - (v // 2**layer.leak if t and layer.leak else 0) if layer.continuous else 0) + currents(layer, x) + biases
            over = v >= thresholds
            if layer.continuous:
                v = np.where(over, v - thresholds if layer.reset == Reset.SUBTRACT else 0, v).clip(-largest, largest - 1)
            states.append(v)
            fired.append(pooled(layer, over))
        found.append((np.stack(fired, 1), np.stack(states, 1)))
        steps = fired
    return found


@settings(max_examples=80, deadline=None)
@given(networks(), seeds)
def test_golden_model_is_what_torch_computes(net, seed):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((5, net.time_steps, net.sizes[0])) < rng.random((5, 1, 1))).astype(np.uint8)
    trace = golden.run(net, spikes, states=True)
    entering = spikes.sum(1, keepdims=True) if net.direct else spikes
    for n, (layer, (fired, states)) in enumerate(zip(net.layers, by_torch(net, spikes), strict=True)):
        np.testing.assert_array_equal(trace.spikes[n], fired)
        assert fired.shape[-1] == layer.outputs == net.sizes[n + 1]
        assert states.shape[-1] == layer.neurons
        if layer.continuous:
            np.testing.assert_array_equal(trace.states[n], states)
        np.testing.assert_array_equal(trace.row_reads[..., n], entering.sum(-1))
        entering = fired


@given(networks(convolutions=1), seeds)
def test_patches_in_parts_are_the_same(net, seed):
    spikes = np.random.default_rng(seed).integers(0, 2, (9, net.sizes[0]), np.uint8)
    whole = net.layers[0].sums(spikes)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(network, "PATCH_VALUES", 1)
        np.testing.assert_array_equal(net.layers[0].sums(spikes), whole)


@given(networks())
def test_no_images(net):
    trace = golden.run(net, np.zeros((0, net.time_steps, net.sizes[0]), np.uint8))
    assert [x.shape for x in trace.spikes] == [(0, net.decisions, x.outputs) for x in net.layers]
    assert trace.labels.shape == (0,)


@settings(max_examples=40, deadline=None)
@given(networks(convolutions=1, side=4, maps=2, continuous=0))
def test_membrane_range_is_that_of_the_whole_kernel(net):
    """No input makes a sum beyond it, partial sums included; the interior reaches it where there is one."""
    layer, n = net.layers[0], 0
    if net.direct:
        net = replace(net, encoder=Encoder.BERNOULLI)
    low, high = net.membrane_range(n)
    w = layer.weights.astype(int)
    reach = np.minimum(w, 0).sum(0), np.maximum(w, 0).sum(0)
    assert (low, high) == ((reach[0] - layer.thresholds).min(), (reach[1] - layer.thresholds).max())
    spikes = np.random.default_rng(0).integers(0, 2, (50, net.sizes[0]), np.uint8)
    membranes = layer.sums(spikes) - layer.of_neurons(layer.thresholds)
    assert low <= membranes.min()
    assert membranes.max() <= high


@given(networks(convolutions=1), seeds)
def test_what_pooling_drops_is_not_decided(net, seed):
    layer = net.layers[0]
    values = np.random.default_rng(seed).integers(1, 99, (2, layer.neurons))
    decided = layer.decided(values)
    assert set(decided[decided != values].tolist()) <= {0}
    some = np.zeros(layer.neurons, bool)
    for n in range(layer.neurons):
        some[n] = True
        assert layer.handed_on(some).any() == decided[0, n].astype(bool)
        some[n] = False
    dense = net.layers[-1]
    assert dense.decided(values) is values


def test_words_for_a_window():
    assert str(Window(1, 28, 28, 3, 2, 1, True)) == "3×3 over 1×28×28, stride 2, padding 1, 2×2 pooling"
    assert str(Window(16, 7, 5, 1)) == "1×1 over 16×7×5"


# -- network -----------------------------------------------------------------------------------------------------------

FAULTS = [
    (Window(1, 8, 8, 5), "a kernel of 5×5; use one of 1×1, 3×3"),
    (Window(1, 8, 8, 0), "a kernel of 0×0; use one of 1×1, 3×3"),
    (Window(1, 8, 8, 3, 3), "a stride of 3; use 1 or 2"),
    (Window(1, 8, 8, 3, 0), "a stride of 0; use 1 or 2"),
    (Window(1, 8, 8, 3, 1, 2), "a padding of 2; use 0 or, to keep the size, 1"),
    (Window(1, 8, 8, 1, 1, 1), "a padding of 1; use 0 or, to keep the size, 0"),
    (Window(0, 8, 8), "maps of 0×8×8; use sides of 1 to 64"),
    (Window(1, 65, 8), "maps of 1×65×8; use sides of 1 to 64"),
    (Window(1, 8, 0), "maps of 1×8×0; use sides of 1 to 64"),
    (Window(1, 8, 2), "no position left of maps of 8×2; use padding, or leave out the pooling"),
    (Window(1, 3, 3, pool=True), "no position left of maps of 3×3; use padding, or leave out the pooling"),
]


@pytest.mark.parametrize(("window", "words"), FAULTS, ids=lambda x: x if isinstance(x, str) else "")
def test_unsound_windows_are_refused(window, words):
    assert window.fault() == words
    layer = Layer(np.ones((max(window.fan_in, 1), 2), np.int8), np.ones(2, np.int32), window=window)
    with pytest.raises(ModelError, match=re.escape(f"layer 0: {words}")):
        Network((layer,), 4, 1)


def convolution(window, maps=2, **more):
    return Layer(np.ones((window.fan_in, maps), np.int8), np.ones(maps, np.int32), window=window, **more)


def dense(inputs, neurons=2):
    return Layer(np.ones((inputs, neurons), np.int8), np.ones(neurons, np.int32))


SEEN = Window(1, 6, 6)
FEWER_ROWS = replace(convolution(SEEN), weights=np.ones((8, 2), np.int8))
UNSOUND = {
    "rows of weights": ((FEWER_ROWS, dense(32)), "8 rows of weights where the kernel has 9"),
    "thresholds": (
        (replace(convolution(SEEN), thresholds=np.ones(3, np.int32)), dense(32)),
        "one for each of the 2 neurons",
    ),
    "biases": (
        (convolution(SEEN, state_bits=11, biases=np.ones(32, np.int32)), dense(32)),
        "biases must be int32, one for each of the 2",
    ),
    "last": ((convolution(SEEN),), "layer 0 is a convolution; the last layer must be fully connected"),
    "behind a fully connected layer": (
        (dense(36, 36), convolution(SEEN), dense(32)),
        "layer 1 is a convolution behind a fully connected layer; put the convolutions first",
    ),
    "other maps": (
        (convolution(SEEN), convolution(Window(2, 2, 8, 1)), dense(32)),
        "layer 1 takes maps of 2×2×8 but layer 0 makes 2×4×4",
    ),
    "pooled maps": (
        (convolution(replace(SEEN, pool=True)), convolution(Window(2, 4, 4, 1)), dense(32)),
        "layer 1 takes maps of 2×4×4 but layer 0 makes 2×2×2",
    ),
    "other inputs behind": ((convolution(SEEN), dense(31)), "layer 1 has 31 inputs but layer 0 has 32 neurons"),
    "too many inputs": ((convolution(Window(17, 64, 64, 1)), dense(8192)), "is 69632×8192: must be less than 65536"),
    "too many outputs": ((convolution(Window(1, 64, 64, 1), 17), dense(1)), "is 4096×69632: must be less than 65536"),
    "continuous and tight": ((convolution(SEEN, state_bits=4), dense(32)), "more than a state of 4 bits"),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_unsound_networks_are_refused(case):
    layers, words = UNSOUND[case]
    with pytest.raises(ModelError, match=words):
        Network(layers, 4, 1)


def test_sizes_are_of_what_is_handed_on():
    net = Network((convolution(replace(SEEN, pool=True), 3), convolution(Window(3, 2, 2, 3, padding=1), 5), dense(20, 4)), 4, 1)
    assert (net.sizes, net.convolutions) == ([36, 12, 20, 4], 2)
    assert [(x.inputs, x.columns, x.neurons, x.outputs) for x in net.layers] == [(36, 3, 48, 12), (12, 5, 20, 20), (20, 4, 4, 4)]


# -- model file --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(networks())
def test_model_file_round_trip(net):
    built = model_file.build(net)
    data = model_file.to_bytes(built)
    loaded = model_file.parse(data)
    assert model_file.to_bytes(loaded) == data
    assert [replace(x, weights=None, thresholds=None, biases=None) for x in loaded.network.layers] == [
        replace(x, weights=None, thresholds=None, biases=None) for x in net.layers
    ]
    for ours, meant in zip(loaded.network.layers, net.layers, strict=True):
        np.testing.assert_array_equal(ours.weights, meant.weights)
        np.testing.assert_array_equal(ours.thresholds, meant.thresholds)
        if meant.biased:
            np.testing.assert_array_equal(ours.biases, meant.biases)


def example():
    rng = np.random.default_rng(1)

    def filled(layer):
        return replace(layer, weights=rng.integers(-8, 8, layer.weights.shape).astype(np.int8))

    first, second = convolution(Window(1, 8, 6, 3, 2, 1, True), 2), convolution(Window(2, 2, 1, 1), 3)
    return Network((filled(first), filled(second), filled(dense(6, 4))), 4, 3, decode=Decode.SPIKE_COUNT)


def test_words_of_a_convolution_in_the_file():
    """As docs/registers.md says; and the rows behind maps stand position by position, the channels of each together."""
    net = example()
    config, *packets = model_file.build(net).packets
    fields = {"continuous": 0, "reset": 0, "biased": 0, "leak": 0, "state_bits": 0}
    first = {"kernel": 3, "height": 8, "width": 6, "stride": 1, "padded": 1, "pool": 1}
    second = {"kernel": 1, "height": 2, "width": 1, "stride": 0, "padded": 0, "pool": 0}
    assert CONFIG_LAYER.unpack(config[2]) == fields | first | {"inputs": 1, "neurons": 2}
    assert CONFIG_LAYER.unpack(config[3]) == fields | second | {"inputs": 2, "neurons": 3}
    assert CONFIG_LAYER.unpack(config[4]) == fields | dict.fromkeys(first, 0) | {"inputs": 6, "neurons": 4}
    assert [len(x) for x in packets] == [3, 11, 4, 4, 4, 8]  # header and checksum, and pairs of thresholds or rows
    rows = model_file.unpack_weights(packets[1][1:-1].reshape(-1, 1), 2, 4)
    np.testing.assert_array_equal(rows, net.layers[0].weights)
    rows = model_file.unpack_weights(packets[5][1:-1].reshape(-1, 1), 4, 4)
    np.testing.assert_array_equal(rows, net.layers[2].weights[[0, 2, 4, 1, 3, 5]])


def test_every_truncation_and_every_flipped_bit_is_refused():
    data = model_file.to_bytes(model_file.build(example()))
    for length in range(len(data)):
        with pytest.raises(ModelError, match=r"compile the network again|make one"):
            model_file.parse(data[:length])
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            with pytest.raises(ModelError, match=r"compile|make one"):
                model_file.parse(bytes(flipped))


@pytest.mark.parametrize("name", [x for x in CONFIG_LAYER.fields if x != "reset"])  # where no membrane lasts, it says nothing
@pytest.mark.parametrize("layer", range(3))
def test_a_config_that_contradicts_with_right_checksums_is_refused(name, layer):
    """Each bit of each field of a layer."""
    model = model_file.build(example())
    for bit in range(7):
        fields = CONFIG_LAYER.unpack(model.packets[0][2 + layer])
        try:
            word = CONFIG_LAYER.pack(**fields | {name: fields[name] ^ 1 << bit})
        except ValueError:  # the field has fewer bits
            break
        config = model.packets[0].copy()
        config[2 + layer] = word
        config[-1] = zlib.crc32(config[:-1].tobytes())
        changed = replace(model, packets=(config, *model.packets[1:]))
        changed = replace(changed, crc=zlib.crc32(model_file.to_bytes(replace(changed, crc=0))))
        try:
            found = model_file.parse(model_file.to_bytes(changed)).network
        except ModelError:
            continue
        # What is left is another sound network of the same packets.
        assert found.layers[layer].window != example().layers[layer].window
        assert found.sizes == example().sizes


# -- geometry ----------------------------------------------------------------------------------------------------------

ROOM = Geometry.load("tiny-conv")


def test_smallest_geometry():
    net = Network((convolution(SEEN), dense(32)), 4, 1)
    assert Geometry.smallest(net).name == "tiny-conv"
    assert Geometry.smallest(Network((convolution(Window(2, 34, 34, 3, 2, 1, True)), dense(128)), 4, 1)).name == "zu3-conv"
    with pytest.raises(DeviceError, match="fits no shipped geometry"):
        Geometry.smallest(Network((convolution(Window(4, 34, 34, 3, 2, 1)), dense(578)), 4, 1))


MISFITS = [
    ({"convolutions": ()}, r"1 convolution, the accelerator has 0 \(tiny-conv, z020-conv, zu3-conv have as many\)"),
    ({"inputs": 35}, "36 inputs, the accelerator has 35"),
    ({"convolutions": (ConvolutionGeometry(16, 26, 64, 64),)}, "layer 0 would take 27 words of weights of 26"),
    ({"convolutions": (ConvolutionGeometry(16, 64, 11, 64),)}, "layer 0 would take 12 words of membranes of 11"),
    ({"convolutions": (ConvolutionGeometry(16, 64, 64, 48),)}, "layer 0 would take 49 places to hand spikes on of 48"),
    (
        {"convolutions": (ConvolutionGeometry(16, 16, 11, 15),)},
        "layer 0 would take 27 words of weights of 16, 12 words of membranes of 11, 49 places to hand spikes on of 15",
    ),
    ({"convolutions": (ConvolutionGeometry(48, 16, 16, 17),)}, None),  # all maps at once: 9 words and 4, 17 places
    ({"layers": tuple(replace(x, inputs=700, neurons=16) for x in ROOM.layers)}, None),
    ({"layers": tuple(replace(x, inputs=600, neurons=16) for x in ROOM.layers)}, "layer 1 is 656×2, .* has room for 600×16"),
]


@pytest.mark.parametrize(("change", "words"), MISFITS)
def test_misfits_are_told_in_words(change, words):
    """41 maps of 4×4: three rounds through a core of 16."""
    net = Network((convolution(SEEN, 41), dense(656)), 4, 1)
    layers = tuple(replace(x, inputs=656) for x in ROOM.layers)
    problems = "; ".join(replace(ROOM, **{"layers": layers} | change).misfits(net))
    assert re.fullmatch(words or "", problems)


def test_a_second_convolution_needs_a_second_core_and_fully_connected_layers_come_behind():
    net = Network((convolution(SEEN, 4), convolution(Window(4, 4, 4, 1), 4), dense(64, 16), dense(16)), 4, 1)
    assert ROOM.misfits(net) == []
    one = replace(ROOM, convolutions=ROOM.convolutions[:1])
    assert one.misfits(net)[0].startswith("2 convolutions, the accelerator has 1")
    assert ROOM.misfits(Network(tuple(dense(x, y) for x, y in ((256, 48), (48, 10))), 4, 1)) == []  # none at all


@pytest.mark.parametrize(
    "change",
    [
        {"maps": 0},
        {"maps": 24},
        {"maps": 80},
        {"rows": 15},
        {"rows": 4097},
        {"words": 15},
        {"positions": 4097},
        {"distributed": 2},
        {"colour": 1},
        {"maps": "many"},
    ],
)
def test_unsound_cores_are_refused(tmp_path, change):
    data = json.loads((FOLDER / "tiny-conv.json").read_text())
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data))
    assert Geometry.load(path) == replace(ROOM, name="mine")
    data["convolutions"][0] |= change
    path.write_text(json.dumps(data))
    with pytest.raises(DeviceError, match=r"mine\.json is no"):
        Geometry.load(path)


@pytest.mark.parametrize(("cores", "layers", "sound"), [(4, 1, True), (4, 4, True), (5, 1, False), (4, 5, False), (1, 8, False)])
def test_at_most_four_cores_and_eight_layers(tmp_path, cores, layers, sound):
    data = json.loads((FOLDER / "tiny-conv.json").read_text())
    data |= {
        "convolutions": data["convolutions"][:1] * cores,
        "layers": [{"inputs": 48, "neurons": 48, "spikes_per_cycle": 2}] * layers,
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(data))
    if sound:
        assert len(Geometry.load(path).convolutions) == cores
    else:
        with pytest.raises(DeviceError, match="up to 4 convolutions, counted as layers"):
            Geometry.load(path)


class Registers:
    """A device that is no more than its registers, of an accelerator that has nothing to do."""

    def __init__(self, geometry):
        self.words = convolutions.registers(geometry)

    def read(self, address):
        return int(self.words[address // 4])


@pytest.mark.parametrize("name", ["tiny", "tiny-conv", "z020-conv", "z020-256"])
def test_driver_reads_the_geometry_from_the_registers(name):
    geometry = Geometry.load(name)
    assert Driver(Registers(geometry), name, geometry.clock_mhz).geometry == geometry
