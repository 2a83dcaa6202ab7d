"""Convolutions while they train and as they are exported: the layers, presets with them, and the proof of their ONNX files."""

import argparse
import copy
import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("brevitas", reason="training needs the train extra")

import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from spikeline.data.data_sets import find
from spikeline.errors import PresetError, SpikelineError
from spikeline.model import golden
from spikeline.model.geometry import Geometry
from spikeline.model.network import Window
from spikeline_training import checkpoint, commands, export, preset
from spikeline_training.graph import Step, write
from spikeline_training.integers import convert_layers, integers
from spikeline_training.layers import (
    ContinuousConvolution,
    ContinuousDense,
    ContinuousLayer,
    ContinuousReadout,
    DiscontinuousConvolution,
    DiscontinuousDense,
    DiscontinuousReadout,
)
from spikeline_training.network import SpikingNetwork
from spikeline_training.train import train

BITS = [1, 2, 3, 4, 8]
STEPS = 3


@st.composite
def windows(draw, shape=None):
    """Any sound window, over maps of `shape` or of up to 8 channels and sides of up to 11."""
    shape = shape or (draw(st.integers(1, 8)), draw(st.integers(1, 11)), draw(st.integers(1, 11)))
    kernel = draw(st.sampled_from([1, 3]))
    padding = draw(st.sampled_from([0, kernel // 2]))
    window = Window(*shape, kernel, draw(st.sampled_from([1, 2])), padding, draw(st.booleans()))
    return window if window.fault() is None else Window(*shape, 1)


@st.composite
def stacks(draw):
    """One or two convolutions, fully connected layers behind them, a readout or not: untrained, but lively. And their bits."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    continuous, fires = draw(st.booleans()), draw(st.booleans())
    bits, shape = draw(st.sampled_from(BITS)), None
    how = {"leak": draw(st.integers(0, 3)), "reset": draw(st.sampled_from(["subtract", "zero"])), "bias": draw(st.booleans())}
    convolution, dense = (
        (ContinuousConvolution, ContinuousDense) if continuous else (DiscontinuousConvolution, DiscontinuousDense)
    )
    how |= {"state_bits": 20} if continuous else {}
    layers = []
    for _ in range(draw(st.integers(1, 2))):
        window = draw(windows(shape))
        layers.append(convolution(window, draw(st.integers(2, 8)), bits, **(how if continuous else {})))
        shape = layers[-1].shape
    sizes = [int(np.prod(shape)), *draw(st.lists(st.integers(2, 20), max_size=2)), draw(st.integers(2, 10))]
    pairs = list(pairwise(sizes))
    layers += [dense(*x, bits, **(how if continuous else {})) for x in pairs[: len(pairs) - (not fires)]]
    if not fires:
        layers.append((ContinuousReadout if continuous else DiscontinuousReadout)(*pairs[-1], bits))
    for layer in layers:
        lively(layer)
    return torch.nn.ModuleList(layers).eval(), bits


def lively(layer):
    """As after some training: BatchNorm of both signs, biases, and weights that make neurons fire."""
    with torch.no_grad():
        if hasattr(layer, "norm"):
            layer.norm.weight.normal_()
            layer.norm.bias.normal_(std=0.3)
            layer.norm.running_mean.normal_(std=0.2)
            layer.norm.running_var.uniform_(0.05, 0.5)
        elif isinstance(layer, ContinuousLayer):
            fan_in = layer.linear.weight[0].numel()
            layer.linear.weight.normal_(std=min(0.2, (0.3 * fan_in) ** -0.5))
            layer.bias.uniform_(-0.3, 0.3) if layer.bias.requires_grad else None


def trains(network, images=6, seed=0):
    rates = np.random.default_rng(seed).choice([0, 0.1, 0.5, 1], (images, network.time_steps, 1), p=[0.1, 0.3, 0.5, 0.1])
    return (np.random.default_rng(seed).random((images, network.time_steps, network.sizes[0])) < rates).astype(np.uint8)


# --- the layers -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(window=windows(), maps=st.integers(1, 8), bits=st.sampled_from(BITS), seed=st.integers(0, 99))
def test_a_discontinuous_convolution_is_that_of_its_integers(window, maps, bits, seed):
    torch.manual_seed(seed)
    layer = DiscontinuousConvolution(window, maps, bits).eval()
    lively(layer)
    spikes = (torch.rand(4, window.channels, window.height, window.width) < 0.4).float()
    quantised = layer.linear.quant_weight()
    whole = (quantised.value / quantised.scale).round()
    assert quantised.scale.shape == (maps, 1, 1, 1)
    assert torch.equal(whole * quantised.scale, quantised.value)
    assert whole.abs().max() <= max(1, 2 ** (bits - 1) - 1)
    sums = F.conv2d(spikes, whole, None, window.stride, window.padding)
    gain, bias = layer.affine()
    membranes = (sums.double() * (gain * quantised.scale.flatten())[:, None, None] + bias[:, None, None]).detach()
    fires = membranes >= 1
    if window.pool:
        fires = F.max_pool2d(fires.float(), 2).bool()
    with torch.no_grad():
        ours = layer(spikes)
        assert torch.equal(layer(spikes.flatten(1)), ours)
    assert ours.shape == (4, *layer.shape) == fires.shape
    if (membranes - 1).abs().min() > 1e-4:  # float rounding does not decide
        assert torch.equal(ours.bool(), fires)


@settings(max_examples=60, deadline=None)
@given(window=windows(), maps=st.integers(1, 8), bits=st.sampled_from(BITS), seed=st.integers(0, 99))
def test_a_continuous_convolution_is_that_of_its_integers(window, maps, bits, seed):
    torch.manual_seed(seed)
    layer = ContinuousConvolution(window, maps, bits, leak=seed % 3, reset=("subtract", "zero")[seed % 2], bias=True)
    lively(layer)
    spikes = (torch.rand(STEPS, 4, window.channels, window.height, window.width) < 0.3).float()
    quantised = layer.linear.quant_weight()
    grid = float(quantised.scale)
    whole, bias = (quantised.value / grid).detach(), (layer.bias / grid).round().detach()
    v, fired = torch.zeros(4, maps, *window.positions), []
    for step in spikes:
        v = v - torch.floor(v / 2**layer.leak) if layer.leak else v
        v = v + F.conv2d(step, whole, bias, window.stride, window.padding)
        s = (v * grid >= 1).float()
        v = v * (1 - s) if layer.reset == "zero" else v - s / grid
        v = v.clamp(-(2**12), 2**12 - 1)
        fired.append(F.max_pool2d(s, 2) if window.pool else s)
    with torch.no_grad():
        assert torch.equal(layer(spikes), torch.stack(fired))
        assert torch.equal(layer(spikes.flatten(2)), torch.stack(fired))


@pytest.mark.parametrize("kind", [DiscontinuousConvolution, ContinuousConvolution])
def test_gradients_reach_weights_and_spikes(kind):
    torch.manual_seed(0)
    layer = kind(Window(2, 8, 8, padding=1, pool=True), 3)
    spikes = (torch.rand(*[3, 4][: layer.axes], 2, 8, 8) < 0.4).float().requires_grad_()
    layer(spikes).sum().backward()
    for gradient in (layer.linear.weight.grad, spikes.grad):
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("kind", [DiscontinuousConvolution, ContinuousConvolution])
@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Window(1, 8, 8, kernel=5), "a kernel of 5×5; use one of 1×1, 3×3"),
        (Window(1, 8, 8, stride=3), "a stride of 3; use 1 or 2"),
        (Window(1, 8, 8, padding=2), "a padding of 2; use 0 or"),
        (Window(1, 2, 8), "no position left"),
        (Window(0, 8, 8), "maps of 0×8×8"),
    ],
)
def test_a_window_that_no_accelerator_takes_is_refused(kind, window, message):
    with pytest.raises(PresetError, match=message):
        kind(window, 4)


# --- the file ---------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(stack=stacks(), seed=st.integers(0, 99))
def test_random_stacks_are_exported_and_proved(stack, seed):
    """Spikes, states and class values of the QONNX executor, of Brevitas and of the golden model; and what is in the file."""
    layers, bits = stack
    network, affines = convert_layers(layers, STEPS, "events")
    step = Step(network, affines, bits)
    model = write(step)
    proof = export.prove(model, step, trains(network, seed=seed))
    fires = [x.neurons for x in network.layers[: len(layers) - (not layers[-1].fires)]]
    assert proof["spikes_compared"] == 6 * STEPS * sum(fires)
    assert network.sizes == [network.layers[0].inputs, *(int(np.prod(x.shape)) for x in layers)]
    onnx.checker.check_model(model)
    first = layers[0].window
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [
        1,
        first.channels,
        first.height,
        first.width,
    ]
    constants = {x.name: list(x.dims) for x in model.graph.initializer}
    for n, layer in enumerate(x for x in layers if x.window):
        window = layer.window
        assert constants[f"layer{n}_weight"] == [layer.columns, window.channels, window.kernel, window.kernel]
        assert constants.get(f"layer{n}_bias", [layer.columns, 1, 1]) == [layer.columns, 1, 1]
        node = next(x for x in model.graph.node if x.name == f"layer{n}_conv")
        assert {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} == {
            "dilations": [1, 1],
            "group": 1,
            "kernel_shape": [window.kernel] * 2,
            "pads": [window.padding] * 4,
            "strides": [window.stride] * 2,
        }


@settings(max_examples=20, deadline=None)
@given(stack=stacks(), seed=st.integers(0, 99))
def test_what_is_trained_over_time_is_the_integer_network(stack, seed):
    layers, _ = stack
    network, _ = convert_layers(layers, STEPS, "events")
    if not network.continuous:
        return
    spikes = trains(network, seed=seed)
    s = torch.from_numpy(spikes).float().transpose(0, 1)
    trace = golden.run(network, spikes)
    with torch.no_grad():
        for layer, fired in zip(layers, trace.spikes, strict=True):
            s = layer(s if layer.window else s.flatten(2))
            if layer.fires:
                np.testing.assert_array_equal(s.flatten(2).numpy().transpose(1, 0, 2), fired)
        if not layers[-1].fires:
            grid = float(layers[-1].linear.quant_weight().scale)
            np.testing.assert_array_equal((s / grid).numpy().transpose(1, 0, 2), trace.running[0])


def two_convolutions(convolution=DiscontinuousConvolution, dense=DiscontinuousDense, readout=DiscontinuousReadout):
    """For 28×28 pixels, as a user stacks them."""
    torch.manual_seed(1)
    first = convolution(Window(1, 28, 28, stride=2, padding=1), 6)
    second = convolution(Window(*first.shape, pool=True), 8)
    hidden, last = dense(8 * 6 * 6, 20), readout(20, 10)
    for layer in (first, second, hidden):
        if hasattr(layer, "norm"):
            layer.norm.running_var.fill_(0.05)
    last_axes = torch.nn.Flatten(-3)
    return torch.nn.Sequential(
        torch.nn.Unflatten(-1, (1, 28, 28)), first, second, torch.nn.Dropout(0.1), last_axes, hidden, last
    ).eval()


def test_a_stack_of_ones_own_is_exported(tmp_path):
    module = two_convolutions()
    proof = export.export(module, tmp_path / "m.onnx", encoder="threshold", time_steps=1, images=20)
    assert proof["onnx_mismatches"] == 0
    assert proof["spikes_compared"] == 20 * (6 * 14 * 14 + 8 * 12 * 12 + 20)
    names = [node.name for node in onnx.load(tmp_path / "m.onnx").graph.node]
    hidden = ["weight_quant", "conv", "bias_add", "spike"]
    assert names[:10] == [*(f"layer{n}_{x}" for n in (0, 1) for x in hidden), "layer1_pool", "layer1_flatten"]
    assert names[10:] == [*(f"layer2_{x}" for x in ("weight_quant", "matmul", "bias_add", "spike")), *OUTPUT]
    facts = {entry.key: entry.value for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert facts["sizes"] == "784,1176,288,20,10"


OUTPUT = ["output_weight_quant", "output_matmul"]


def test_a_stack_of_ones_own_over_time_is_exported(tmp_path):
    module = two_convolutions(ContinuousConvolution, ContinuousDense, ContinuousReadout)
    proof = export.export(module, tmp_path / "m.onnx", encoder="latency", time_steps=4, images=20)
    states = 6 * 14 * 14 + 8 * 12 * 12 + 20
    assert proof["onnx_mismatches"] == 0
    assert (proof["spikes_compared"], proof["membranes_compared"]) == (20 * 4 * states, 20 * 4 * (states + 10))
    graph = onnx.load(tmp_path / "m.onnx").graph
    shapes = {x.name: [d.dim_value for d in x.type.tensor_type.shape.dim] for x in (*graph.input, *graph.output)}
    assert (shapes["v0_in"], shapes["v1_out"], shapes["v2_out"]) == ([1, 6, 14, 14], [1, 8, 12, 12], [1, 20])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[2:], "inputs"),  # the first layer takes 288
        (lambda layers: [layers[2], layers[1], layers[3]], "put the convolutions first"),
        (lambda layers: layers[:2], "the last layer must be fully connected"),
        (lambda layers: [layers[0], layers[2], layers[3]], "inputs but layer 0 has 1176"),
        (lambda layers: [layers[1], layers[0], *layers[2:]], "takes maps of 1×28×28 but layer 0 makes 8×6×6"),
        (lambda layers: [layers[0], torch.nn.MaxPool2d(2), *layers[1:]], "MaxPool2d is no layer that can be exported"),
    ],
)
def test_a_stack_that_is_no_network_is_refused(change, message, tmp_path):
    layers = [x for x in two_convolutions() if hasattr(x, "weight_bits")]
    with pytest.raises(SpikelineError, match=message):
        export.export(torch.nn.Sequential(*change(layers)), tmp_path / "m.onnx", encoder="threshold", time_steps=1)
    assert not list(tmp_path.iterdir())


def constant(name, edit):
    def change(model):
        tensor = next(x for x in model.graph.initializer if x.name == name)
        values = numpy_helper.to_array(tensor).copy()
        edit(values)
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    return change


def attribute(node, name, values):
    def change(model):
        found = next(x for x in model.graph.node if x.name == node)
        next(a for a in found.attribute if a.name == name).ints[:] = values

    return change


DAMAGES = {
    "kernel": constant("layer0_weight", lambda w: w[2].__imul__(-1)),
    "channels": constant("layer1_weight", lambda w: np.copyto(w, w[:, ::-1].copy())),
    "transposed kernel": constant("layer1_weight", lambda w: np.copyto(w, w.swapaxes(2, 3).copy())),
    "bias": constant("layer1_bias", lambda b: b.__iadd__(0.5)),
    "padding": attribute("layer0_conv", "pads", [0, 0, 2, 2]),
    "pooling": attribute("layer1_pool", "kernel_shape", [1, 1]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("integration", ["discontinuous", "continuous"])
def test_the_proof_finds_a_changed_convolution(integration, damage):
    kinds = () if integration == "discontinuous" else (ContinuousConvolution, ContinuousDense, ContinuousReadout)
    layers = [x for x in two_convolutions(*kinds) if hasattr(x, "weight_bits")]
    for layer in layers[:2]:
        if kinds:
            layer.bias.requires_grad_()
            lively(layer)
    step = Step(*convert_layers(layers, 3, "events"), 4)
    model = copy.deepcopy(write(step))
    spikes = (np.random.default_rng(0).random((10, 3, 784)) < 0.2).astype(np.uint8)
    assert export.prove(model, step, spikes)["onnx_mismatches"] == 0
    damage(model)
    with pytest.raises(SpikelineError, match=r"differ in \d+ .* at step \d+"):
        export.prove(model, step, spikes)


@pytest.mark.parametrize("planes", [1, 4, 8])
def test_direct_input_of_a_convolution_is_proved(planes):
    layers = [x for x in two_convolutions() if hasattr(x, "weight_bits")]
    step = Step(*convert_layers(layers, planes, "direct"), 4)
    model = write(step)
    assert [x.name for x in model.graph.input] == ["pixels"]
    spikes = (np.random.default_rng(0).random((10, planes, 784)) < 0.2).astype(np.uint8)
    assert export.prove(model, step, spikes)["spikes_compared"] == 10 * (6 * 14 * 14 + 8 * 12 * 12 + 20)


# --- presets ----------------------------------------------------------------------------------------------------------

SMALL = """convolutions = [{ maps = 4, stride = 2, padding = 1 }, { maps = 6, pool = true }]
hidden = [12]
encoder = "threshold"
time_steps = 1
train_images = 512
batch = 64
epochs = 1
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    return str(tmp_path / "small.toml")


def test_sizes_count_what_convolutions_hand_on(small):
    chosen = preset.load(small)
    assert chosen.maps == (1, 28, 28)
    assert chosen.windows == (Window(1, 28, 28, 3, 2, 1), Window(4, 14, 14, 3, 1, 0, True))
    assert chosen.sizes == (784, 4 * 14 * 14, 6 * 6 * 6, 12, 10)
    assert chosen.hidden == (12,)
    assert integers(SpikingNetwork(chosen).eval()).sizes == list(chosen.sizes)


@pytest.mark.parametrize(("pool", "side"), [(1, 34), (2, 17), (3, 12)])
def test_maps_of_events_are_the_cells_of_the_sensor(small, pool, side):
    chosen = preset.load(small, integration="continuous", encoder="events", time_steps=5, pool=pool)
    assert chosen.maps == (2, side, side)
    assert chosen.sizes[0] == 2 * side * side
    assert preset.from_dict(chosen.as_dict(), "a checkpoint") == chosen


def test_plain_values_make_the_same_preset_again(small):
    first = preset.load(small)
    assert preset.from_dict(first.as_dict(), "a checkpoint") == first
    assert preset.load(small, convolutions=first.as_dict()["convolutions"]) == first
    assert preset.load(small, sizes=list(first.sizes)) == first


@pytest.mark.parametrize(
    ("values", "key", "legal"),
    [
        ({"convolutions": 1}, "convolutions = 1 has the wrong type", "maps = 16"),
        ({"convolutions": [16]}, "convolutions = [16] has the wrong type", "maps = 16"),
        ({"convolutions": [{"map": 16}]}, "convolutions 0: unknown key 'map'", "maps, kernel, stride, padding, pool"),
        ({"convolutions": [{}, {"maps": 0}]}, "convolutions 1: maps = 0", "1..4096"),
        ({"convolutions": [{"maps": 1.5}]}, "convolutions 0: maps = 1.5", "1..4096"),
        ({"convolutions": [{"kernel": 5}]}, "convolutions 0: kernel = 5", "1 or 3"),
        ({"convolutions": [{"stride": 3}]}, "convolutions 0: stride = 3", "1 or 2"),
        ({"convolutions": [{"stride": True}]}, "convolutions 0: stride = True", "1 or 2"),
        ({"convolutions": [{"padding": 2}]}, "convolutions 0: padding = 2", "0, or 1"),
        ({"convolutions": [{"pool": 1}]}, "convolutions 0: pool = 1", "true or false"),
        ({"convolutions": [{"kernel": 1, "padding": 1}]}, "number 0 has a padding of 1", "use 0"),
        ({"convolutions": [{"pool": True}] * 4}, "number 3 has no position left", "use padding"),
        ({"convolutions": [{}] * 7}, "and 1 hidden layers are too many", "at most 7"),
        ({"sizes": [784, 12, 10]}, "sizes", "784-784-216-12-10"),
        ({"maps": [1, 14, 56]}, "maps", "1×28×28"),
        ({"convolutions": [], "maps": [1, 28, 28]}, "maps", "leave it out"),
    ],
)
def test_a_mistake_names_key_file_and_legal_values(small, values, key, legal):
    with pytest.raises(PresetError) as error:
        preset.load(small, **values)
    for part in (key, small, legal):
        assert part in str(error.value)


def test_data_without_rows_and_columns_are_refused(small, tmp_path):
    labels, spikes = np.arange(80) % 2, np.zeros((80, 5, 30), np.uint8)
    np.savez(tmp_path / "trains.npz", train_spikes=spikes, test_spikes=spikes, train_labels=labels, test_labels=labels)
    source = find(str(tmp_path / "trains.npz"))
    with pytest.raises(PresetError, match="a convolution needs rows and columns"):
        preset.load(small, source, integration="continuous", encoder="events", time_steps=5)


@pytest.mark.parametrize("key", ["maps", "sizes", "convolutions"])
def test_a_checkpoint_whose_sizes_do_not_agree_is_refused(small, key):
    values = preset.load(small).as_dict()
    values[key] = {"maps": [1, 14, 56], "sizes": [784, 783, 216, 12, 10], "convolutions": [{"maps": 5}, {"maps": 6}]}[key]
    with pytest.raises(PresetError, match="is not what was read"):
        preset.from_dict(values, "a checkpoint")


@pytest.mark.parametrize("integration", ["discontinuous", "continuous"])
def test_a_preset_trains_resumes_and_exports(small, integration, tmp_path):
    torch.set_num_threads(1)
    lasting = {"integration": "continuous", "encoder": "latency", "time_steps": 3, "bias": True}
    chosen = preset.load(small, schedule="constant", **(lasting if integration == "continuous" else {}))
    longer = dataclasses.replace(chosen, epochs=2)
    train(chosen, tmp_path / "parts")
    last = train(longer, tmp_path / "parts", resume=True)
    train(longer, tmp_path / "whole")
    assert (tmp_path / "parts/checkpoint.pt").read_bytes() == (tmp_path / "whole/checkpoint.pt").read_bytes()
    assert len(last["spike_rates"]) == 4
    network, kept, _ = checkpoint.load(tmp_path / "parts/checkpoint.pt")
    assert dataclasses.replace(kept, dataset=chosen.dataset) == longer
    proof = export.export_checkpoint(tmp_path / "parts/checkpoint.pt", tmp_path / "model.onnx", images=10)
    assert proof["accuracy"] == last["test_accuracy"]
    assert proof["spikes_compared"] == 10 * kept.time_steps * sum(x.neurons for x in integers(network).layers[:-1])


def test_convolutions_are_overruled_on_the_command_line(small, tmp_path):
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers(required=True))
    words = ["train", "--preset", small, "--out", str(tmp_path / "out"), "--hidden", "8"]
    args = parser.parse_args([*words, "--set", "convolutions=[{ maps = 3, stride = 2 }]"])
    args.run(args)
    _, chosen, _ = checkpoint.load(tmp_path / "out/checkpoint.pt")
    assert chosen.sizes == (784, 3 * 13 * 13, 8, 10)


CONVOLUTIONAL = [name for name in preset.names() if preset.load(name).convolutions]


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_shipped_presets_fit_the_geometry_with_convolutions(name):
    """In all but the bits of membranes, which training decides. Only events have more inputs than z020-conv."""
    torch.manual_seed(0)
    chosen = preset.load(name)
    geometry = Geometry.load("zu3-conv" if chosen.encoder == "events" else "z020-conv")
    misfits = geometry.misfits(integers(SpikingNetwork(chosen).eval()))
    assert [x for x in misfits if not x.startswith("membranes")] == []
