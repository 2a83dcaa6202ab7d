"""Convolutions, ONNX → integer network: ONNX executor = golden model, spike for spike, and every refusal.

Scales, biases and BatchNormalization constants are dyadic, so the executor's float32 arithmetic is exact and a membrane may lie
exactly on its threshold.
"""

import dataclasses
import json
import re

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline import Accelerator
from spikeline.cli import main
from spikeline.errors import CompileError
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.network import Window
from spikeline.model.spec import Decode, Reset
from spikeline_compiler.graph import Graph
from spikeline_compiler.lower import compile_onnx, compile_with_warnings
from spikeline_compiler.passes import PASSES
from spikeline_compiler.verify import execute, verify
from support.onnx_builders import (
    CONV_FORMS,
    SPIKE_FORMS,
    Builder,
    assert_equal_to_onnx,
    compiled,
    geometry,
    spikeline,
    spikes_for,
)
from support.onnx_steps import Step


def room(size=4096, **more):
    return geometry(layers=4, size=size, convolutions=4, **more)


def random_window(rng, channels, height, width):
    """A window that leaves at least a position, and pools now and then."""
    while True:
        kernel, stride = int(rng.choice([1, 3])), int(rng.integers(1, 3))
        padding = int(rng.integers(2)) * (kernel // 2)
        window = Window(channels, height, width, kernel, stride, padding, bool(rng.integers(2)))
        if window.fault() is None:
            return window


def pads(rng, window):
    """One of the ways to write a window's padding."""
    forms = [{"pads": [window.padding] * 4}]
    if window.padding == 0:
        forms += [{}, {"auto_pad": "VALID"}]
    if window.padding == window.kernel // 2 and window.stride == 1:
        forms += [{"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}]
    if window.padding and window.stride == 2 and window.height % 2 == window.width % 2 == 0:
        forms += [{"auto_pad": "SAME_LOWER"}, {"pads": [1, 1, 0, 0]}]  # the last row and column of zeros are not looked at
    return forms[rng.integers(len(forms))]


def affine(rng, b, maps):
    """A few operators behind a convolution or fully connected layer, in any order."""
    after = (1, 1) if isinstance(maps, tuple) else ()
    n = maps[0] if after else maps
    for op in rng.permutation(["batchnorm", "Add", "Mul", "Sub from", "Div", "nothing"])[: rng.integers(0, 4)]:
        shape = (1, n, *after) if rng.random() < 0.5 else (n, *after)
        value = (rng.choice([-1.0, 1.0], n) * 2.0 ** rng.integers(-2, 2, n)).reshape(shape)
        if rng.random() < 0.3:
            value = np.float32(value.reshape(-1)[0])
        if op == "batchnorm":
            gamma, beta = rng.choice([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0], n), rng.integers(-8, 8, n) / 4
            b.batchnorm(gamma, beta, rng.integers(-8, 8, n) / 2, rng.choice([0.25, 1.0, 4.0], n))
        elif op == "Sub from":
            b.x = b.node("Sub", b.const(value), b.x)
        elif op != "nothing":
            b.then(op, b.const(value))


@st.composite
def networks(draw, direct=False):
    """(builder, windows that it means)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    more = {"encoder": "direct", "time_steps": str(rng.integers(1, 9))} if direct else {}
    flat = draw(st.booleans())
    b = Builder(int(np.prod(shape)) if flat else shape, **more)
    b.opset = 15
    if flat:
        b.reshape(*draw(st.sampled_from([(1, *shape), (-1, *shape), (1, -1, *shape[1:])])))
    windows = []
    for _ in range(draw(st.integers(1, 3))):
        window, maps = random_window(rng, *shape), int(rng.integers(1, 6))
        bias = rng.integers(-8, 8, maps) / 4 if rng.random() < 0.4 else None
        weights = rng.integers(-7, 8, (maps, shape[0], window.kernel, window.kernel))
        form = str(rng.choice(CONV_FORMS))
        options = {"kernel_shape": [window.kernel] * 2} if rng.random() < 0.5 else {}
        b.conv(
            weights, 2.0 ** rng.integers(-3, 1, maps), 4, form, bias, strides=[window.stride] * 2, **pads(rng, window), **options
        )
        affine(rng, b, (maps, *window.positions))
        SPIKE_FORMS[str(rng.choice(sorted(SPIKE_FORMS)))](b)
        if window.pool:
            b.pool(**[{}, {"ceil_mode": 0}, {"auto_pad": "VALID"}][rng.integers(3)])
        if rng.random() < 0.3:
            b.then("Mul", b.const(rng.choice([0.5, 2.0])))
        windows.append(window)
        shape = (maps, *window.pooled)
    size = int(np.prod(shape))
    b.reshape(*[(1, size), (-1, size), (1, -1), (0, -1)][rng.integers(4)]) if rng.random() < 0.5 else b.then("Flatten", axis=1)
    for neurons in rng.integers(1, 6, draw(st.integers(0, 1))):
        b.dense(rng.integers(-7, 8, (size, neurons)), 2.0 ** rng.integers(-3, 1, neurons), 4)
        affine(rng, b, int(neurons))
        b.comparison()
        size = int(neurons)
    return b.dense(rng.integers(-7, 8, (size, 3)), 0.25, 4), windows


@settings(max_examples=100, deadline=None)
@given(networks())
def test_random_networks_equal_the_executor(tmp_path_factory, drawn):
    builder, windows = drawn
    network = assert_equal_to_onnx(builder, tmp_path_factory.mktemp("convolutions"), room(), spikes_for(builder.inputs, batch=8))
    assert [x.window for x in network.layers[: network.convolutions]] == windows
    assert model_file.parse(model_file.to_bytes(model_file.build(network))).network.sizes == network.sizes


@settings(max_examples=25, deadline=None)
@given(networks(direct=True), st.integers(0, 2**32 - 1))
def test_random_networks_of_direct_input_equal_the_executor(tmp_path_factory, drawn, seed):
    builder, _ = drawn
    folder = tmp_path_factory.mktemp("direct")
    network = compiled(builder, folder, room())
    pixels = np.random.default_rng(seed).integers(0, 256, (6, builder.inputs)).astype(np.uint8)
    result = verify(folder / "model.onnx", model_file.build(network), encode(pixels, "direct", network.time_steps))
    assert (result["onnx_mismatches"], result["images"]) == (0, 6)


def example(b=None, form="quant", **attributes):
    """A convolution of 1×6×5 maps into three maps, pooled, and a fully connected layer."""
    rng = np.random.default_rng(5)
    b = b or Builder((1, 6, 5))
    b.conv(rng.integers(-7, 8, (3, 1, 3, 3)), 0.25, 4, form, [0.25, -0.5, 1.0], **{"pads": [1, 1, 1, 1]} | attributes)
    return b.comparison()


def ended(b, size=18):
    rng = np.random.default_rng(6)
    return b.then("Flatten").dense(rng.integers(-7, 8, (size, 4)), 0.5, 4)


@pytest.mark.parametrize("form", CONV_FORMS)
def test_weights_are_those_that_were_written(tmp_path, form):
    """Row (c · K + ky) · K + kx, and the bias of a map in its threshold."""
    network = assert_equal_to_onnx(ended(example(form=form).pool()), tmp_path, room(), spikes_for(30, batch=40))
    meant = np.random.default_rng(5).integers(-7, 8, (3, 1, 3, 3))
    np.testing.assert_array_equal(network.layers[0].weights, meant.reshape(3, 9).T)
    never = np.maximum(meant, 0).sum((1, 2, 3)) + 1
    assert network.layers[0].thresholds.tolist() == np.minimum([3, 6, 0], never).tolist()  # 0.25 · u + bias ≥ 1
    assert network.layers[0].window == Window(1, 6, 5, 3, 1, 1, pool=True)
    assert (network.sizes, network.decode) == ([30, 18, 4], Decode.MEMBRANE)


@pytest.mark.parametrize("at", range(len(PASSES)), ids=[p.__name__ for p in PASSES])
def test_pass_keeps_the_function_and_is_idempotent(at):
    builder = ended(example(Builder((1, 6, 5))).then("Identity").pool())
    graph = Graph(builder.model())
    for earlier in PASSES[:at]:
        earlier(graph)
    before = graph.to_model()
    PASSES[at](graph)
    after = graph.to_model()
    PASSES[at](graph)
    assert graph.to_model() == after
    onnx.checker.check_model(after)
    rows = spikes_for(30, batch=20).reshape(-1, 30)
    for x, y in zip(*(execute(m, rows, [*builder.spikes, builder.x]) for m in (before, after)), strict=True):
        np.testing.assert_array_equal(x, y)


def test_spikes_that_are_not_0_where_there_is_none(tmp_path):
    """±1: without zeros around them they are a bias; with zeros they are none, for the border sees fewer of them."""

    def pair(**attributes):
        b = Builder((2, 5, 5))
        b.then("Mul", b.const(2.0)).then("Sub", b.const(1.0))
        rng = np.random.default_rng(1)
        b.conv(rng.integers(-7, 8, (4, 2, 3, 3)), 0.25, 4, **attributes)
        return b.comparison()

    assert_equal_to_onnx(ended(pair(), 36), tmp_path, room(), spikes_for(50, batch=40))
    with pytest.raises(CompileError, match=r"zeros stand beside spikes that are -1 where there is none; use spikes of 0"):
        compiled(ended(pair(pads=[1] * 4), 100), tmp_path, room())


def test_channels_may_be_shifted_apart_and_maps_made_flat_keep_it(tmp_path):
    b = Builder((2, 3, 3))
    b.then("Sub", b.const(np.array([0.5, 1.0]).reshape(2, 1, 1)))
    b.conv(np.random.default_rng(2).integers(-7, 8, (3, 2, 1, 1)), 0.5).comparison()
    assert_equal_to_onnx(ended(b, 27), tmp_path, room(), spikes_for(18, batch=30))
    b = Builder((2, 3, 3))
    b.then("Sub", b.const(np.array([0.5, 1.0]).reshape(2, 1, 1)))
    assert_equal_to_onnx(ended(b, 18), tmp_path, room(), spikes_for(18, batch=30))
    b = Builder(18)
    b.then("Sub", b.const(np.repeat([0.5, 1.0], 9))).reshape(1, 2, 3, 3)
    b.conv(np.random.default_rng(2).integers(-7, 8, (3, 2, 1, 1)), 0.5).comparison()
    assert_equal_to_onnx(ended(b, 27), tmp_path, room(), spikes_for(18, batch=30))
    b = Builder(18)
    b.then("Sub", b.const(np.arange(18))).reshape(1, 2, 3, 3)
    with pytest.raises(CompileError, match="differ within a map; shift all spikes of a map alike"):
        compiled(ended(b.conv(np.ones((3, 2, 1, 1))).comparison(), 27), tmp_path, room())


def test_rounding_at_the_border_is_told(tmp_path):
    """0.1 · u ≥ 0.3: float32 makes 0.3 of three of nine inputs, which the interior and the border both can sum to."""
    b = Builder((1, 4, 4))
    b.conv(np.ones((1, 1, 3, 3)), np.float32(0.1), form="plain", pads=[1] * 4).comparison("GreaterOrEqual", np.float32(0.3))
    _, warnings = compile_with_warnings(ended(b, 16).save(tmp_path), room())
    assert len(warnings) == 1
    assert "layer 0: 1 of 1 maps can have a sum so near their threshold" in warnings[0]
    assert "(map 0 at 0.3" in warnings[0]
    exact = Builder((1, 4, 4)).conv(np.ones((1, 1, 3, 3)), 0.125, form="plain", pads=[1] * 4).comparison("GreaterOrEqual", 0.375)
    assert compile_with_warnings(ended(exact, 16).save(tmp_path), room())[1] == []


# -- continuous --------------------------------------------------------------------------------------------------------


@st.composite
def lasting(draw):
    """(builder, windows, leak, reset)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(int(x) for x in rng.integers((1, 1, 1), (4, 9, 9)))
    free = draw(st.sets(st.sampled_from(["swap", "late", "divide", "maxmin", "gemm", "unnamed"])))
    leak, reset = draw(st.integers(0, 4)), draw(st.sampled_from(list(Reset)))
    b = Step(shape, 12, free, time_steps=str(draw(st.integers(1, 4))), leak=str(leak), reset=reset.name.lower())
    windows = []
    for _ in range(draw(st.integers(1, 2))):
        window, maps = random_window(rng, *shape), int(rng.integers(1, 5))
        weights = rng.integers(-7, 8, (maps, shape[0], window.kernel, window.kernel))
        shift = rng.integers(0, 6, maps) if "maxmin" in free else np.int64(rng.integers(0, 6))
        biases = rng.integers(-9, 9, maps) if rng.random() < 0.5 else None
        written = {"strides": [window.stride] * 2, **pads(rng, window)}
        b.hidden(weights, 2.0**-shift, biases, leak, reset.name.lower(), positions=window.positions, **written)
        if window.pool:
            b.pool()
        windows.append(window)
        shape = (maps, *window.pooled)
    b.then("Flatten", axis=1)
    size = int(np.prod(shape))
    if draw(st.booleans()):
        b.hidden(rng.integers(-1, 2, (size, 5)), 0.25, None, leak, reset.name.lower())
        size = 5
    return b.output(rng.integers(-1, 2, (size, 3)), 0.5), windows, leak, reset


@settings(max_examples=50, deadline=None)
@given(lasting())
def test_membranes_of_random_networks_last_as_in_the_executor(tmp_path_factory, drawn):
    builder, windows, leak, reset = drawn
    folder = tmp_path_factory.mktemp("continuous")
    network = compile_onnx(builder.save(folder), continuous_room())
    assert [x.window for x in network.layers[: len(windows)]] == windows
    assert {(x.leak, x.reset, x.state_bits) for x in network.layers[:-1]} == {(leak, reset, 12)}
    spikes = spikes_for(builder.inputs, batch=6, steps=network.time_steps)
    result = verify(folder / "model.onnx", model_file.build(network), spikes)
    assert result["onnx_mismatches"] == 0
    assert result["states_compared"] == 6 * network.time_steps * sum(x.neurons for x in network.layers[:-1])


def continuous_room():
    return dataclasses.replace(room(membrane_bits=13), continuous=True, max_leak=4)


def step(positions=(4, 4), state=None, **convolution):
    b = Step((1, 6, 6))
    b.hidden(np.ones((2, 1, 3, 3), int), positions=positions, **convolution)
    b.taken[0] = (b.taken[0][0], state or b.taken[0][1])
    return b


CONTINUOUS_REFUSALS = {
    "a state of another size": (
        lambda: step(state=(2, 1, 4)).then("Flatten").output(np.ones((32, 2), int)),
        "state input 'v0_in' has 2×1×4 values for 2×4×4 neurons",
    ),
    "pooled twice": (lambda: step().pool().pool().then("Flatten").output(np.ones((2, 2), int)), "not directly behind the spike"),
    "no membrane in a convolution": (
        lambda: Step((1, 6, 6)).conv(np.ones((2, 1, 3, 3))).then("Flatten").output(np.ones((32, 2), int)),
        "the accelerator has no Flatten",
    ),
}


@pytest.mark.parametrize("case", CONTINUOUS_REFUSALS)
def test_refusals_of_continuous_convolutions(tmp_path, case):
    make, words = CONTINUOUS_REFUSALS[case]
    with pytest.raises(CompileError, match=words):
        compile_onnx(make().save(tmp_path), continuous_room())


# -- refusals ----------------------------------------------------------------------------------------------------------


def conv(channels=1, kernel=3, side=8, spikes=True, **attributes):
    b = Builder((channels, side, side))
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    b.conv(np.ones((2, channels // attributes.get("group", 1), *kernel)), form="plain", **attributes)
    return b.comparison() if spikes else b


def dense(b):
    """Whatever comes flat."""
    return b.then("Flatten")


def behind_dense():
    b = Builder(16).dense(np.ones((16, 16))).spike().reshape(1, 1, 4, 4)
    return dense(b.conv(np.ones((2, 1, 1, 1)), form="plain").comparison()).dense(np.ones((32, 2)))


def scale_of_rows():
    b = Builder((2, 4, 4))
    weights = b.quant(b.const(np.ones((3, 2, 3, 3))), np.array([0.5, 1.0]).reshape(1, 2, 1, 1), 4)
    return b.then("Conv", weights).comparison()


def spikes_then(op, **attributes):
    return conv().then(op, **attributes)


REFUSALS = {
    "a kernel of 5": (lambda: conv(kernel=5), "Conv", "a kernel of 5×5", "use one of 1×1, 3×3"),
    "an oblong kernel": (lambda: conv(kernel=(3, 1)), "a kernel of 3×1", "use one of 1×1, 3×3"),
    "dilation": (lambda: conv(dilations=[2, 2]), "dilations of 2 and 2", "dilations of 1"),
    "groups": (lambda: conv(channels=2, group=2), "in 2 groups", "group = 1"),
    "unequal strides": (lambda: conv(strides=[1, 2]), "strides of 1 and 2", "the same stride both ways, 1 or 2"),
    "a stride of 0": (lambda: conv(strides=[0, 0]), "strides of 0 and 0", "1 or 2"),
    "another kernel_shape": (lambda: conv(kernel_shape=[1, 1]), "its kernel_shape is 1×1, its weights 3×3", "export"),
    "an auto_pad that is none": (lambda: conv(auto_pad="SAME"), "auto_pad = SAME is not known", "pad all sides alike"),
    "a pad of less": (lambda: conv(pads=[-1] * 4), "a padding of -1", "use 0 or"),
    "pads of one axis": (lambda: conv(pads=[1, 1]), "pads of 2 numbers", "pad all sides alike"),
    "strides of one axis": (lambda: conv(strides=[1]), "strides of 1 numbers", "work on maps"),
    "a stride of 3": (lambda: conv(strides=[3, 3]), "a stride of 3", "use 1 or 2"),
    "asymmetric pads": (lambda: conv(pads=[0, 0, 1, 1]), "pads of 0, 0, 1, 1", "pad all sides alike"),
    "pads by side": (lambda: conv(pads=[1, 0, 1, 0]), "pads of 1, 0, 1, 0", "pad all sides alike"),
    "wide pads": (lambda: conv(pads=[2] * 4), "a padding of 2", "use 0 or, to keep the size, 1"),
    "pads around a kernel of 1": (lambda: conv(kernel=1, pads=[1] * 4), "a padding of 1", "use 0"),
    "SAME_UPPER": (
        lambda: conv(strides=[2, 2], auto_pad="SAME_UPPER"),
        "pads of 0, 0, 1, 1 (top, left, bottom, right, of auto_pad = SAME_UPPER on maps of 8×8)",
        "pad all sides alike",
    ),
    "no position": (lambda: conv(side=2), "no position left of maps of 2×2", "use padding"),
    "large maps": (lambda: conv(side=65, pads=[1] * 4), "maps of 1×65×65", "use sides of 1 to 64"),
    "pooled membranes": (lambda: conv(spikes=False).pool(), "MaxPool", "it takes membranes", "behind the spike"),
    "flat membranes": (lambda: conv(spikes=False).then("Flatten"), "Flatten", "it takes membranes", "behind the spike"),
    "pool of 3": (lambda: conv().pool(kernel_shape=[3, 3]), "a kernel of 3×3 with strides of 2 and 2", "MaxPool of 2×2"),
    "pool that overlaps": (lambda: conv().pool(strides=[1, 1]), "a kernel of 2×2 with strides of 1 and 1", "MaxPool of 2×2"),
    "pool with pads": (lambda: conv().pool(pads=[1, 1, 1, 1]), "beyond their border", "without padding"),
    "pool that rounds up": (lambda: conv(side=9).pool(ceil_mode=1), "maps of 7×7", "beyond their border"),
    "pool twice": (lambda: conv().pool().pool(), "not directly behind the spike", "MaxPool of 2×2"),
    "pool of inputs": (lambda: ended(Builder((1, 4, 4)).pool(), 4), "not directly behind the spike", "MaxPool of 2×2"),
    "pool of one position": (lambda: conv(side=3).pool(), "no position left", "leave out the pooling"),
    "average": (
        lambda: spikes_then("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
        "the accelerator has no AveragePool",
        "spikes are binary, their average is not: use a stride of 2",
    ),
    "global average": (lambda: spikes_then("GlobalAveragePool"), "no GlobalAveragePool", "a fully connected layer"),
    "global maximum": (lambda: spikes_then("GlobalMaxPool"), "no GlobalMaxPool", "MaxPool of 2×2"),
    "no spikes between": (
        lambda: conv(spikes=False).conv(np.ones((1, 2, 1, 1)), form="plain"),
        "no spikes between",
        "put a spike there",
    ),
    "behind a fully connected layer": (behind_dense, "behind a fully connected layer", "put all convolutions before"),
    "last": (conv, "the last layer is a convolution", "put Flatten and a fully connected layer behind it"),
    "last, flat": (lambda: dense(conv()), "the last layer is a convolution", "a neuron for each class"),
    "maps into MatMul": (lambda: conv().dense(np.ones((6, 2))), "takes images (batch, 2, 6, 6)", "make them flat first"),
    "transposed": (lambda: spikes_then("Transpose", perm=[0, 2, 3, 1]), "no Transpose", "transpose constants only"),
    "a Reshape to pairs": (lambda: conv().reshape(1, 6, 12), "no Reshape", "maps (batch, channels, height, width)"),
    "a scale for each channel": (scale_of_rows, "differs from input to input", "one scale per neuron"),
    "a bias for each position": (
        lambda: (b := conv(spikes=False)).then("Add", b.const(np.arange(36).reshape(6, 6))).comparison(),
        "that differs from position to position of a map",
        "of shape (maps, 1, 1)",
    ),
    "a bias along rows": (
        lambda: (b := conv(spikes=False)).then("Add", b.const(np.arange(6))).comparison(),
        "that differs from position to position of a map",
    ),
    "a bias of too many": (
        lambda: (b := conv(spikes=False)).then("Add", b.const(np.ones((5, 1, 1)))).comparison(),
        "addend of shape (5, 1, 1) on maps of 2×6×6",
        "one for each map or one for all",
    ),
    "weights not quantised": (
        lambda: (b := Builder((1, 8, 8))).then("Conv", b.const(np.random.default_rng(0).normal(size=(2, 1, 3, 3)))),
        "not quantised",
        "8 bits or fewer",
    ),
    "weights that are computed": (
        lambda: (b := Builder((1, 8, 8))).then("Conv", b.node("Softplus", b.const(np.ones((2, 1, 3, 3))))),
        "made by Softplus, not a constant",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_names_the_node_the_reason_and_the_fix(tmp_path, case):
    make, *words = REFUSALS[case]
    with pytest.raises(CompileError) as caught:
        compiled(make(), tmp_path, room())
    for word in words:
        assert word in str(caught.value)


def test_a_geometry_without_room_says_what_it_lacks(tmp_path):
    path = ended(example().pool()).save(tmp_path)
    lacks = r"1 convolution, the accelerator has 0 \(tiny-conv, z020-conv, zu3-conv have as many\).*larger geometry"
    with pytest.raises(CompileError, match=lacks):
        compile_onnx(path, geometry(size=64))


# -- commands ----------------------------------------------------------------------------------------------------------


def test_commands_show_windows_and_the_golden_model_classifies(tmp_path, capsys):
    path, out = ended(example().pool()).save(tmp_path), tmp_path / "m.img"
    spikeline(path, "--out", out, "--geometry", "tiny-conv", "--verify", 20)
    shown = capsys.readouterr().out
    assert re.search(r"^ +0 +9 +90 +4 .*; convolution 3×3 over 1×6×5, padding 1, 2×2 pooling$", shown, re.M)
    assert "720 spikes, all equal to the ONNX" in shown
    main.main(["info", str(out)])
    shown = capsys.readouterr().out
    assert "m.img: 30-18-4, 4-bit weights" in shown
    assert re.search(r"^ +0 +30 +90 .*; convolution 3×3 over 1×6×5, padding 1, 2×2 pooling, into 3×3×2$", shown, re.M)
    main.main(["info", "--json", str(out)])
    first, last = json.loads(capsys.readouterr().out)["memory"]
    window = {"channels": 1, "height": 6, "width": 5, "kernel": 3, "stride": 1, "padding": 1, "pool": True}
    assert (first["maps"], first["outputs"], first["window"], first["threshold_bytes"]) == (3, 18, window, 16)
    assert "window" not in last
    pixels = np.random.default_rng(0).integers(0, 256, (7, 30)).astype(np.uint8)
    with Accelerator(model=out, backend="golden", geometry="tiny-conv") as accelerator:
        labels = accelerator.infer(pixels).labels
        assert accelerator.infer(pixels[:0]).labels.shape == (0,)
    network = model_file.load(out).network
    np.testing.assert_array_equal(labels, golden.run(network, encode(pixels, "bernoulli", 2)).labels)


def test_memory_files_of_convolutions_are_refused_and_the_model_before_keeps_its_proof(tmp_path):
    path, out = ended(example().pool()).save(tmp_path), tmp_path / "m.img"
    spikeline(path, "--out", out, "--geometry", "tiny-conv", "--verify", 2)
    before = {x.name: x.read_bytes() for x in tmp_path.iterdir()}
    with pytest.raises(
        CompileError, match=r"of fully connected layers only, and tiny-conv has convolutions; leave out --mem-dir"
    ):
        spikeline(path, "--out", out, "--geometry", "tiny-conv", "--mem-dir", tmp_path / "mem")
    assert {x.name: x.read_bytes() for x in tmp_path.iterdir()} == before
