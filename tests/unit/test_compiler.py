"""ONNX → integer network: every pass, every boundary, every refusal; ONNX executor = golden model, spike for spike.

Scales, biases and BatchNormalization constants are dyadic, so the executor's float32 arithmetic is exact and a membrane
may lie exactly on its threshold without any tolerance.
"""

import dataclasses
import json
from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from spikeline.errors import CompileError, DataError, DeviceError, SpikelineError
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder
from spikeline_compiler import memfiles
from spikeline_compiler.graph import Graph
from spikeline_compiler.lower import compile_onnx, stages
from spikeline_compiler.passes import PASSES
from spikeline_compiler.verify import execute, verify
from support.onnx_builders import (
    QONNX,
    SPIKE_FORMS,
    WEIGHT_FORMS,
    Builder,
    assert_equal_to_onnx,
    compiled,
    geometry,
    small,
    spikeline,
    spikes_for,
)


def mixed(rng):
    """A network with every operator that is mapped."""
    w = [rng.integers(-7, 8, shape) for shape in pairwise((12, 9, 7, 6, 5, 6, 7, 3))] + [rng.integers(-7, 8, (6, 6))]
    b = Builder(12)
    b.opset = 15
    b.then("Identity").then("Dropout")
    b.dense(w[0], 2.0 ** rng.integers(-3, 1, 9), 4, "transposed").batchnorm(*dyadic_batchnorm(rng, 9)).spike()
    b.then("Flatten", axis=1)
    b.dense(w[1], 0.25, 4, "gemm_transposed", bias=np.arange(7) / 4).spike(scale=2.0)
    b.reshape(-1, 7)
    b.dense(w[2], 0.5, 4, "gemm").then("Sub", b.const(0.5)).then("Div", b.const([-2.0])).spike(rounding_mode="ROUND")
    constant = b.node("Constant", value=numpy_helper.from_array(np.float32(0.25)))
    b.dense(w[3], 0.5, 4, "qcdq")
    b.x = b.node("Mul", constant, b.x)
    b.x = b.node("Sub", b.const(np.arange(5)), b.x)
    b.spike(rounding_mode="CEIL")
    b.dense(w[4], 0.5, 4, "qcdq_float")
    b.x = b.node("CastLike", b.node("GreaterOrEqual", b.x, b.const(0.5)), b.x)
    b.fired().then("Identity")
    b.dense(w[7], 0.5, 4).comparison(*(("Greater", 0.5), ("GreaterOrEqual", -2.0))[rng.integers(2)])
    b.dense(w[5], 0.5, 4).qcdq_spike(2.0)
    return b.dense(w[6], 0.5, 4, "plain").then("Identity")


def dyadic_batchnorm(rng, n):
    return (
        rng.choice([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 4.0], n),
        rng.integers(-8, 8, n) / 4,
        rng.integers(-8, 8, n) / 2,
        rng.choice([0.25, 1.0, 4.0], n),
    )


# -- passes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at", range(len(PASSES)), ids=[p.__name__ for p in PASSES])
def test_pass_keeps_the_function_and_is_idempotent(at, seed):
    builder = mixed(np.random.default_rng(seed))
    graph = Graph(builder.model())
    for earlier in PASSES[:at]:
        earlier(graph)
    before = graph.to_model()
    PASSES[at](graph)
    after = graph.to_model()
    assert after != before, "the network has nothing for this pass to do"
    PASSES[at](graph)
    assert graph.to_model() == after
    onnx.checker.check_model(after)
    rows = spikes_for(12, batch=30).reshape(-1, 12)
    assert len(builder.spikes) == 7
    tensors = [*builder.spikes, builder.x]
    for x, y in zip(execute(before, rows, tensors), execute(after, rows, tensors), strict=True):
        np.testing.assert_array_equal(x, y)


def test_after_all_passes_only_layers_are_left():
    graph = Graph(mixed(np.random.default_rng(0)).model())
    for rewrite in PASSES:
        rewrite(graph)
    ops = {n.op_type for n in graph.nodes}
    spikes = {"Quant", "Cast", "GreaterOrEqual", "QuantizeLinear", "Clip", "DequantizeLinear"}
    assert ops - {"Greater"} == {"MatMul", "Mul", "Add", "Sub", "Div", "BatchNormalization"} | spikes
    assert len(stages(graph)) == 8


def test_mixed_network_equals_the_executor(tmp_path):
    for seed in range(5):
        builder = mixed(np.random.default_rng(seed))
        network = assert_equal_to_onnx(builder, tmp_path, spikes=spikes_for(12, batch=40, seed=seed))
        assert network.sizes == [12, 9, 7, 6, 5, 6, 6, 7, 3]


# -- thresholds --------------------------------------------------------------------------------------------------------


def test_neuron_fires_on_equality_and_not_one_below(tmp_path):
    """u = 0 … 8 against scale · u + bias ≥ 1 with the equality hit exactly."""
    scale = np.array([0.25, 0.25, 0.5, 1.0, 0.125, 0.25])
    bias = np.array([0.0, -0.5, 0.0, -4.0, 0.0, 0.125])
    b = Builder(8).dense(np.ones((8, 6)), scale, bias=bias).spike()
    network = assert_equal_to_onnx(b, tmp_path)
    assert network.layers[0].thresholds.tolist() == [4, 6, 2, 5, 8, 4]
    counts = np.tril(np.ones((9, 8), np.uint8), -1)[:, None]  # u = 0, 1, … 8
    fired = golden.run(network, counts).spikes[0][:, 0]
    np.testing.assert_array_equal(fired, np.arange(9)[:, None] >= [4, 6, 2, 5, 8, 4])


def test_negative_and_zero_gamma(tmp_path):
    gamma, beta = [-1.0, -1.0, 0.0, 0.0, 0.0, -0.5], [3.0, 0.0, 1.0, 0.75, 2.0, 1.0]
    weights = np.tile([[3], [-2], [1]], 6)
    b = Builder(3).dense(weights).batchnorm(gamma, beta, np.zeros(6), np.ones(6)).spike()
    network = assert_equal_to_onnx(b, tmp_path)
    layer = network.layers[0]
    assert layer.weights[:, 0].tolist() == [-3, 2, -1]
    assert layer.thresholds.tolist() == [-2, 1, -2, 5, -2, 0]  # fires iff u ≤ 2, u ≤ −1, always, never, always, u ≤ 0


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        *[("FLOOR", 4), ("DOWN", 4), ("CEIL", 1), ("UP", 1)],
        *[("HALF_UP", 2), ("ROUND", 3), ("HALF_EVEN", 3), ("HALF_DOWN", 3)],
    ],
)
def test_every_rounding_mode_of_the_spike(tmp_path, rounding, expected):
    b = Builder(6).dense(np.ones((6, 1)), 0.25).spike(rounding_mode=rounding)
    assert assert_equal_to_onnx(b, tmp_path).layers[0].thresholds.tolist() == [expected]


def test_amplitude_of_a_spike_scales_the_next_layer(tmp_path):
    b = Builder(4).dense(np.ones((4, 4))).spike(scale=0.5).dense(np.ones((4, 2)), bias=np.zeros(2)).spike()
    network = assert_equal_to_onnx(b, tmp_path)
    assert network.layers[0].thresholds.tolist() == [1] * 4  # u ≥ 0.5
    assert network.layers[1].thresholds.tolist() == [2] * 2  # 0.5 · u ≥ 1


def test_thresholds_out_of_reach_are_drawn_in(tmp_path):
    b = Builder(3).dense([[2, 2], [-1, -1], [1, 1]], bias=[1e30, -1e30]).spike()
    network = assert_equal_to_onnx(b, tmp_path)
    assert network.layers[0].thresholds.tolist() == [-1, 4]
    assert network.membrane_bits == 4


def test_output_bias_and_negative_output_scale(tmp_path):
    b = Builder(3).dense([[1, -3], [2, 2], [-1, 0]], 0.25, bias=[0.5, -1.25]).then("Mul", "minus")
    b.constants.append(numpy_helper.from_array(np.float32(-2), "minus"))
    network = assert_equal_to_onnx(b, tmp_path)
    assert network.layers[0].weights.tolist() == [[-1, 3], [-2, -2], [1, 0]]
    assert network.layers[0].thresholds.tolist() == [2, -5]
    assert network.decode == Decode.MEMBRANE


def test_output_bias_may_be_a_multiple_rounded_to_float32(tmp_path):
    scale = np.float32(0.1)
    b = Builder(3).dense(np.ones((3, 2)), scale, bias=np.array([3, -7], np.float32) * scale)
    assert compiled(b, tmp_path).layers[0].thresholds.tolist() == [-3, 7]


@pytest.mark.parametrize("form", WEIGHT_FORMS)
def test_every_form_of_weights(tmp_path, form):
    weights = np.random.default_rng(1).integers(-8, 8, (10, 6))
    b = Builder(10).dense(weights, 2.0 ** np.arange(-3, 3), 4, form, bias=np.arange(6) / 8).spike()
    b.dense(np.eye(6)[:, :3], 0.5, 4, form)
    network = assert_equal_to_onnx(b, tmp_path, geometry(weight_bits=4))
    np.testing.assert_array_equal(network.layers[0].weights, weights)


@pytest.mark.parametrize("memory", [2, 4, 8])
@pytest.mark.parametrize(("bits", "values"), [(1, [-1, 1]), (2, [-2, -1, 0, 1]), (2, [-1, 0, 1]), (3, [-4, 3]), (4, [-8, 7])])
def test_weights_narrower_than_the_memory_are_extended(tmp_path, memory, bits, values):
    weights = np.random.default_rng(2).choice(values, (9, 5))
    b = Builder(9).dense(weights, 0.5, bits).spike()
    if bits > memory:
        with pytest.raises(CompileError, match=r"n1_MatMul.*keeps 2 bits.*fewer bits"):
            compiled(b, tmp_path, geometry(weight_bits=memory))
    else:
        network = assert_equal_to_onnx(b, tmp_path, geometry(weight_bits=memory))
        np.testing.assert_array_equal(network.layers[0].weights, weights)
        model_file.save(model_file.build(network), tmp_path / "m.img")
        np.testing.assert_array_equal(model_file.load(tmp_path / "m.img").network.layers[0].weights, weights)


def test_dead_nodes_do_not_matter(tmp_path):
    b = Builder(3).dense(np.ones((3, 2)))
    kept = b.x
    b.then("Relu")
    b.x = kept
    assert compiled(b, tmp_path).sizes == [3, 2]


def test_symbolic_batch(tmp_path):
    b = mixed(np.random.default_rng(0))
    b.batch = "N"
    assert_equal_to_onnx(b, tmp_path)


@pytest.mark.parametrize("form", SPIKE_FORMS)
def test_every_form_of_a_spike(tmp_path, form):
    """Sums at, below and above each threshold, which are whole and half."""
    rng = np.random.default_rng(0)
    b = Builder(7)
    SPIKE_FORMS[form](b.dense(rng.integers(-3, 4, (7, 9)), 0.5, 4))
    b.dense(rng.integers(-3, 4, (9, 3)), 1, 4)
    every = (np.arange(128)[:, None] >> np.arange(7) & 1).astype(np.uint8)[:, None]
    fires = golden.run(assert_equal_to_onnx(b, tmp_path, spikes=every), every).spikes[0]
    assert 0 < fires.mean() < 1


def test_thresholds_of_comparisons_may_be_one_for_each_neuron(tmp_path):
    b = Builder(3).dense(np.full((3, 4), 1)).comparison(threshold=[1.0, 2.0, 3.0, 4.0]).dense(np.full((4, 2), 1), 1)
    assert assert_equal_to_onnx(b, tmp_path).layers[0].thresholds.tolist() == [1, 2, 3, 4]


# -- random networks ---------------------------------------------------------------------------------------------------


@st.composite
def networks(draw):
    """A chain of 1 to 4 layers with odd sizes, every width and form of weights, extreme weights, biases and gammas."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    memory = draw(st.sampled_from([2, 4, 8]))
    sizes = draw(st.lists(st.integers(1, 19), min_size=2, max_size=5))
    count = draw(st.booleans())
    b = Builder(sizes[0], output="spike_count" if count else "membrane")
    for n, (inputs, neurons) in enumerate(pairwise(sizes)):
        last = n == len(sizes) - 2 and not count
        bits = draw(st.sampled_from([x for x in (1, 2, 3, 4, 8) if x <= memory]))
        low, high = (-1, 1) if bits == 1 else (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1)  # narrow: may be negated
        weights = rng.integers(low, high, (inputs, neurons), endpoint=True)
        if draw(st.booleans()) or bits == 1:
            weights = rng.choice([low, high], (inputs, neurons))
        forms = ("quant", "transposed", "gemm", "gemm_transposed") if bits == 1 else WEIGHT_FORMS
        scale = 2.0 ** (draw(st.integers(-4, 3)) if last else rng.integers(-4, 4, neurons))
        steps = draw(st.sampled_from([1, 16, 100_000]))
        bias = None if draw(st.booleans()) else rng.integers(-steps, steps, neurons, endpoint=True) * scale
        b.dense(weights, scale, bits, draw(st.sampled_from(forms)), bias)
        if not last:
            if draw(st.booleans()):
                b.batchnorm(*dyadic_batchnorm(rng, neurons))
            form = draw(st.sampled_from(["FLOOR", "FLOOR", "ROUND", "HALF_UP", "CEIL", *SPIKE_FORMS]))
            b.spike(rounding_mode=form) if form.isupper() else SPIKE_FORMS[form](b)
    return b, memory


@settings(max_examples=250, deadline=None)
@given(networks())
def test_random_networks_equal_the_executor(tmp_path_factory, drawn):
    builder, memory = drawn
    folder = tmp_path_factory.mktemp("random")
    network = assert_equal_to_onnx(builder, folder, geometry(weight_bits=memory), spikes_for(builder.inputs, batch=12))
    assert network.decode.name.lower() == builder.metadata["output"]


def test_verify_sees_one_wrong_threshold_and_one_wrong_weight(tmp_path):
    network = compiled(small(), tmp_path, geometry(size=128))
    spikes = spikes_for(99, batch=200)
    for n, layer in enumerate(network.layers):
        for change in ({"thresholds": layer.thresholds + 1}, {"weights": layer.weights + np.int8(1)}):
            layers = list(network.layers)
            layers[n] = dataclasses.replace(layer, **change)
            wrong = model_file.build(dataclasses.replace(network, layers=tuple(layers)))
            assert verify(tmp_path / "model.onnx", wrong, spikes)["onnx_mismatches"] > 0, (n, change.keys())


# -- refusals ----------------------------------------------------------------------------------------------------------


def dense(inputs=4, neurons=3, **more):
    return Builder(inputs).dense(np.ones((inputs, neurons)), **more)


def residual():
    b = dense(4, 4).spike(name="spike0")
    start = b.x
    b.dense(np.ones((4, 4)))
    b.x = b.node("Add", b.x, start, name="residual")
    return b.spike()


def weight_quant(bits=4.0, zero_point=0.0, scale=0.5, value=0.5, **more):
    b = Builder(4)
    return b.then("MatMul", b.quant(b.const(np.full((4, 3), value)), scale, bits, zero_point, name="wq", **more))


def constant_op(op, value, **more):
    b = dense()
    return b.then(op, b.const(value), name="op", **more).spike()


def batchnorm(variance=1.0, **more):
    b = dense()
    b.opset = 14  # the first with a training mode
    constants = [b.const(np.full(3, x)) for x in (1.0, 0.0, 0.0, variance)]
    return b.then("BatchNormalization", *constants, name="bn", **more).spike()


def plain(weights, bits=8, **more):
    b = Builder(len(weights))
    return b.then("MatMul", b.const(weights), name="fc", **more)


def operator_on_spikes():
    b = Builder(4)
    return b.then("Mul", b.const([2.0, 1.0, 1.0, 1.0]), name="op").dense(np.ones((4, 3)))


def foreign():
    b = dense()
    b.then("MatMul", b.const(np.eye(3)), name="theirs")
    b.nodes[-1].domain = QONNX  # a name that we know in a domain where it means something else
    return b


def second_operand():
    b = Builder(4)
    b.x = b.node("MatMul", b.const(np.ones((4, 1))), b.x, name="fc")
    return b


REFUSALS = {
    "unknown operator": (lambda: dense().then("Sin", name="sin0"), "'sin0'", "no Sin", "MatMul or Gemm"),
    "unknown operator, unnamed": (lambda: dense().then("Sigmoid", name=""), "makes 't2'", "no Sigmoid", "(u >= threshold)"),
    "more than two values": (lambda: dense().then("Relu", name="relu0"), "'relu0'", "more than two values", "(u >= "),
    "argmax": (lambda: dense().then("ArgMax", name="top"), "'top'", "no ArgMax", "leave it out"),
    "operator of another domain": (foreign, "'theirs'", f"no {QONNX}.MatMul", "maps MatMul"),
    "empty constant": (lambda: constant_op("Add", np.zeros(0)), "'op'", "is empty", "export"),
    "residual": (residual, "branches", "'residual'", "plain chain"),
    "weights of 16 bits": (lambda: weight_quant(bits=16.0, value=500.0), "MatMul", "keeps 8 bits", "fewer bits"),
    "fractional bits": (lambda: weight_quant(bits=3.5), "'wq'", "3.5 bits", "8 bits or fewer"),
    "bits per channel": (lambda: weight_quant(bits=[4.0, 4.0, 8.0]), "'wq'", "bit width for each", "same bit width"),
    "fractional zero point": (lambda: weight_quant(zero_point=0.5), "'wq'", "no integer", "zero point 0"),
    "scale of 0": (lambda: weight_quant(scale=0.0), "'wq'", "scale of 0", "train again"),
    "scale per input": (lambda: weight_quant(scale=[[1.0], [2.0], [1.0], [1.0]]), "MatMul", "input to", "per neuron"),
    "scale of a wrong shape": (lambda: weight_quant(scale=[1.0] * 5), "'wq'", "(5,)", "one for each neuron"),
    "NaN weight": (lambda: weight_quant(value=np.nan), "'wq'", "NaN", "train again"),
    "unknown weight rounding": (lambda: weight_quant(rounding_mode="ODD"), "'wq'", "rounding mode", "use ROUND"),
    "weights not quantised": (lambda: plain(np.linspace(0.1, 0.3, 12).reshape(4, 3)), "'fc'", "not quantised", "8 bits or"),
    "huge weights": (lambda: plain(np.full((4, 3), 1e20) * [1, 2, 1e4]), "'fc'", "more than 16 bits", "8 bits or fewer"),
    "weights beyond the memory": (lambda: plain(np.full((4, 3), 128)), "'fc'", "keeps 8 bits", "fewer bits"),
    "weight that cannot be negated": (
        lambda: (b := plain(np.full((4, 3), -128))).then("Mul", b.const(-1.0)).spike(), "'fc'", "128", "narrow range",
    ),
    "weights of a wrong shape": (lambda: Builder(4).dense(np.ones((5, 3))), "(5, 3) on 4 inputs", "be (4, neurons)"),
    "weights of three dimensions": (lambda: plain(np.ones((1, 4, 3))), "'fc'", "(1, 4, 3)", "must be"),
    "weights first": (second_operand, "'fc'", "second operand", "spikes × weights"),
    "no spike between layers": (lambda: dense(4, 4).dense(np.ones((4, 2))), "MatMul", "no spikes between", "(u >= threshold)"),
    "qcdq of two bits": (lambda: dense().qcdq_spike(high=3), "DequantizeLinear", "more than two values", "(u >= threshold)"),
    "spikes of two bits": (lambda: dense().spike(bits=2.0, name="act"), "'act'", "more than two values", "(u >= threshold)"),
    "narrow spikes": (lambda: dense().spike(narrow=1, name="act"), "'act'", "0 alone", "narrow to 0"),
    "spike scale per neuron": (lambda: dense().spike(scale=[1, 2, 1], name="act"), "'act'", "different values (0", "same"),
    "spike rounding": (lambda: dense().spike(rounding_mode="ODD", name="act"), "'act'", "ODD", "FLOOR"),
    "operator on spikes": (operator_on_spikes, "'op'", "not worth the same", "alike"),
    "constant of a wrong shape": (lambda: constant_op("Add", [1.0, 2.0]), "'op'", "(2,) on 3 neurons", "one for each"),
    "infinite constant": (lambda: constant_op("Add", np.inf), "'op'", "infinity", "train again"),
    "division by 0": (lambda: constant_op("Div", 0.0), "'op'", "division by 0", "bounded away"),
    "negative variance": (lambda: batchnorm(-1.0), "'bn'", "not positive", "epsilon"),
    "training mode": (lambda: batchnorm(training_mode=1), "'bn'", "training mode", "evaluation mode"),
    "reshape": (lambda: dense().reshape(3, -1), "Reshape", "no Reshape", "keep"),
    "output scale per class": (lambda: dense(scale=[0.5, 0.5, 0.25]), "MatMul", "rank them", "one scale for all"),
    "output bias between": (lambda: dense(scale=0.5, bias=[0.5, 0.125, 0.0]), "class 1 is 0.25 times", "whole multiples"),
    "output bias too large": (lambda: dense(bias=[1e30, 0, 0]), "more than 32 bits", "leave out"),
    "decode": (lambda: dense_with(output="spike_count"), "output = spike_count", "membrane", "export"),
    "continuous": (lambda: dense_with(integration="continuous"), "continuous", "discontinuous integration"),
    "encoder": (lambda: dense_with(encoder="phase"), "phase", "threshold, bernoulli", "--encoder"),
    "planes": (lambda: dense_with(encoder="direct", time_steps="9"), "direct input has one for each bit", "1 to 8"),
    "uneven pixels": (lambda: pixels().then("Floor").dense(np.ones((4, 3))), "does not grow evenly", "scale and shift them"),
    "no time steps": (lambda: dense_with(time_steps=""), "not in the metadata", "--time-steps"),
    "time steps": (lambda: dense_with(time_steps="many"), "many", "--time-steps"),
    "class values": (lambda: dense_with(70, 2, time_steps="60000", weight=127), "overflow 32 bits", "fewer time steps"),
    "too wide": (lambda: dense(65, 3), "65×3", "room for 64×64", "larger geometry"),
    "too many classes": (lambda: dense(3, 63), "63 classes", "larger geometry"),
    "empty": (lambda: Builder(4).then("Identity"), "no chain of layers", "at least one"),
}  # fmt: skip


def pixels(inputs=4, planes=8, divisor=255.0):
    """Direct input, scaled as PyTorch code likes it."""
    b = Builder(inputs, encoder="direct", time_steps=str(planes))
    return b.then("Div", b.const(divisor))


@pytest.mark.parametrize("planes", [1, 4, 8])
def test_direct_input(tmp_path, planes):
    """Sums of weight times pixel, with the threshold that scales, biases and the scaling of the pixels mean; ties included."""
    rng = np.random.default_rng(planes)
    weights, bias = rng.integers(-7, 8, (20, 16)), rng.integers(-8, 9, 16) / 4
    b = pixels(20, planes, 256.0).dense(weights, 0.5, 4, bias=bias).spike()
    b.dense(rng.integers(-7, 8, (16, 5)), 0.5, 4)
    given = rng.integers(0, 256, (200, 20)).astype(np.uint8)
    given[:50] = 0
    given[:50, :4] = rng.integers(0, 2, (50, 4)) * 128  # few levels: sums that are the threshold itself
    spikes = encode(given, "direct", planes)
    room = dataclasses.replace(geometry(), direct=True)
    assert compiled(b, tmp_path, room).encoder == Encoder.DIRECT
    network = compiled(b, tmp_path, room)
    result = verify(tmp_path / "model.onnx", model_file.build(network), spikes)
    assert (result["onnx_mismatches"], result["spikes_compared"], result["time_steps"]) == (0, 200 * 16, planes)
    x = 0.5 * (given & 0xFF << 8 - planes).astype(int) @ weights / 256 + bias
    assert (x == 1).any()
    np.testing.assert_array_equal(golden.run(network, spikes).spikes[0][:, 0], x >= 1)
    narrow = dataclasses.replace(room, membrane_bits=network.membrane_bits - 1)
    with pytest.raises(CompileError, match="wider membranes"):
        compiled(b, tmp_path, narrow)
    wrong = dataclasses.replace(
        network, layers=(dataclasses.replace(network.layers[0], thresholds=network.layers[0].thresholds + 1), network.layers[1])
    )
    assert verify(tmp_path / "model.onnx", model_file.build(wrong), spikes)["onnx_mismatches"] > 0


def test_direct_input_needs_a_geometry_that_takes_it(tmp_path):
    spikes_only = dataclasses.replace(geometry(), direct=False)
    with pytest.raises(
        CompileError, match="takes no direct input; take a geometry that does, such as k26-256, tiny, tiny-conv, z020-256-direct"
    ):
        compiled(pixels().dense(np.ones((4, 3))), tmp_path, spikes_only)


def dense_with(inputs=4, neurons=3, weight=1, **metadata):
    return Builder(inputs, **metadata).dense(np.full((inputs, neurons), weight), bias=np.full(neurons, 50_000.0))


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_names_the_node_the_reason_and_the_fix(tmp_path, case):
    make, *words = REFUSALS[case]
    with pytest.raises(CompileError) as caught:
        compiled(make(), tmp_path, geometry(classes=62))
    for word in words:
        assert word in str(caught.value)


def test_layers_beyond_the_geometry(tmp_path):
    b = Builder(4)
    for _ in range(3):
        b.dense(np.ones((4, 4))).spike()
    with pytest.raises(CompileError, match=r"3 layers, the accelerator has 2.*larger geometry"):
        compiled(b, tmp_path, geometry(layers=2))


def test_membranes_are_proved_not_to_overflow(tmp_path):
    """Sixteen weights of 8 and θ = 1: u − θ from −1 to 127 takes exactly 8 bits; one more input takes 9."""
    fits = Builder(16).dense(np.full((16, 2), 8)).spike()
    assert compiled(fits, tmp_path, geometry(membrane_bits=8)).membrane_bits == 8
    refusal = r"membranes of layer 0 reach from -1 to 135 .*8 bits, -128 to 127; use a geometry"
    with pytest.raises(CompileError, match=refusal):
        compiled(Builder(17).dense(np.full((17, 2), 8)).spike(), tmp_path, geometry(membrane_bits=8))


def test_threshold_itself_must_fit_the_membrane(tmp_path):
    """A neuron that never fires has θ = Σ + 1 = 128, one more than 8 bits hold."""
    b = Builder(1).dense([[127]], bias=[-1e6]).spike()
    assert compiled(b, tmp_path, geometry(membrane_bits=9)).layers[0].thresholds.tolist() == [128]
    with pytest.raises(CompileError, match="membranes of layer 0"):
        compiled(b, tmp_path, geometry(membrane_bits=8))


def graph_inputs(*shapes, dtype=TensorProto.FLOAT):
    return [helper.make_tensor_value_info(f"spikes{n or ''}", dtype, shape) for n, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (graph_inputs([1, 4], [1, 3]), "2 inputs.*continuous"),
        (graph_inputs([1, 1, 2, 2]), r"takes images \(batch, 1, 2, 2\); make them flat"),
        (graph_inputs([1, 4], dtype=TensorProto.DOUBLE), "DOUBLE.*float32"),
        (graph_inputs([1, "N"]), r"a known shape, \(batch, inputs\)"),
    ],
)
def test_graph_inputs_that_are_no_spike_vector(tmp_path, inputs, words):
    onnx.save(dense().model(inputs=inputs), tmp_path / "model.onnx")
    with pytest.raises(CompileError, match=words):
        compile_onnx(tmp_path / "model.onnx", geometry())


def test_damaged_files(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(CompileError, match=r"missing\.onnx: it cannot be read"):
        compile_onnx(tmp_path / "missing.onnx", geometry())
    whole = mixed(np.random.default_rng(0)).model().SerializeToString()
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(400):
        data = bytearray(whole)
        if trial % 2:
            data = data[: rng.integers(len(data))]
        else:
            for at in rng.integers(0, len(data), 3):
                data[at] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        try:  # whatever still is a network may compile; nothing but CompileError may come out
            compile_onnx(path, geometry())
        except CompileError:
            refused += 1
    assert refused > 200


def test_old_opset(tmp_path):
    model = dense().model()
    model.opset_import[0].version = 8
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(CompileError, match=r"opset 8; export it at opset 9"):
        compile_onnx(tmp_path / "model.onnx", geometry())


# -- memory files ------------------------------------------------------------------------------------------------------


def tiny_network(rng, weight_bits=4):
    limit = 1 << (weight_bits - 1)
    layers = tuple(
        Layer(rng.integers(-limit, limit, (i, o)).astype(np.int8), rng.integers(-99, 99, o).astype(np.int32))
        for i, o in ((98, 41), (41, 30), (30, 10))
    )
    return Network(layers, weight_bits, 3)


@pytest.mark.parametrize("parallel", [(4, 2, 1), (8, 4, 2), (1, 8, 4)])
def test_memory_files_hold_the_network(tmp_path, parallel):
    """Read the files back by the address rule alone: lane p = i mod P, bank p // 2, address (i // P)·2 + p mod 2."""
    tiny = Geometry.load("tiny")
    rooms = tuple(dataclasses.replace(x, spikes_per_cycle=p) for x, p in zip(tiny.layers, parallel, strict=True))
    room = dataclasses.replace(tiny, layers=rooms)
    network = tiny_network(np.random.default_rng(0))
    folder = tmp_path / "mem"
    count = memfiles.write(model_file.build(network), room, folder)
    index = json.loads((folder / "index.json").read_text())
    assert {x["file"] for x in index["memories"]} | {"index.json"} == {x.name for x in folder.iterdir()}
    assert (
        count
        == len(index["memories"])
        == sum(x.neurons // 16 * max(1, x.spikes_per_cycle // 2) + 1 + tiny.continuous for x in rooms)
    )
    depth = {x["file"]: x["depth"] for x in index["memories"]}
    for n, (layer, size) in enumerate(zip(network.layers, rooms, strict=True)):
        P = size.spikes_per_cycle
        words = {
            (s, b): [int(line, 16) for line in (folder / f"layer{n}_slice{s}_bank{b}.mem").read_text().split()]
            for s in range(size.neurons // 16)
            for b in range(max(1, P // 2))
        }
        for (s, b), lines in words.items():
            words_deep = size.inputs if P == 1 else 2 * -(-size.inputs // P)
            assert len(lines) == depth[f"layer{n}_slice{s}_bank{b}.mem"] == words_deep
        for i in range(size.inputs):
            p = i % P
            bank, address = (0, i) if P == 1 else (p // 2, i // P * 2 + p % 2)
            for neuron in range(size.neurons):
                nibble = words[neuron // 16, bank][address] >> 4 * (neuron % 16) & 15
                used = i < layer.inputs and neuron < layer.neurons
                assert (nibble ^ 8) - 8 == (layer.weights[i, neuron] if used else 0)
        lines = [int(line, 16) for line in (folder / f"layer{n}_thresholds.mem").read_text().split()]
        signed = [x - (1 << 12) if x >> 11 else x for x in lines]
        assert signed == [*layer.thresholds.tolist(), *[0] * (size.neurons - layer.neurons)]


def test_memory_folder_is_replaced_whole(tmp_path, monkeypatch):
    room, folder = Geometry.load("tiny"), tmp_path / "mem"
    first, second = (model_file.build(tiny_network(np.random.default_rng(n))) for n in (0, 1))
    memfiles.write(first, room, folder)
    before = {x.name: x.read_bytes() for x in folder.iterdir()}

    def break_off(*_):
        yield next(memories(second, room))
        raise OSError(28, "No space left on device")

    memories = memfiles.memories
    monkeypatch.setattr(memfiles, "memories", break_off)
    with pytest.raises(OSError, match="No space"):
        memfiles.write(second, room, folder)
    assert {x.name: x.read_bytes() for x in folder.iterdir()} == before
    monkeypatch.undo()
    memfiles.write(second, room, folder)
    assert {x.name: x.read_bytes() for x in folder.iterdir()} != before
    assert [x.name for x in tmp_path.iterdir()] == ["mem"]


def test_memory_files_never_replace_other_files(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CompileError, match="holds no memory files"):
        memfiles.write(model_file.build(tiny_network(np.random.default_rng(0))), Geometry.load("tiny"), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


# -- the command -------------------------------------------------------------------------------------------------------


def test_command_writes_image_memories_and_proof(tmp_path, capsys):
    model, out, mem = small().save(tmp_path), tmp_path / "m.img", tmp_path / "mem"
    spikeline(model, "--out", out, "--geometry", "tiny", "--mem-dir", mem, "--verify", 25, "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["sizes"] == [99, 40, 20, 10]
    assert report["crc"] == f"{model_file.load(out).crc:08x}"
    assert report["bytes"] == model_file.load(out).nbytes == out.stat().st_size - model_file.HEADER_BYTES
    proof = json.loads((tmp_path / "m.img.verify.json").read_text())
    counts = {"images": 25, "time_steps": 2, "spikes_compared": 25 * 2 * 60, "onnx_mismatches": 0}
    assert proof == {"samples": "random spikes", **counts}
    assert report["memories"] == len(list(mem.glob("*.mem")))
    spikeline(model, "--out", out, "--geometry", "tiny", "--time-steps", 7, "--encoder", "threshold")
    network = model_file.load(out).network
    assert (network.time_steps, network.encoder) == (7, Encoder.THRESHOLD)
    assert not (tmp_path / "m.img.verify.json").exists(), "the proof of the image before"
    assert "7 time steps" in capsys.readouterr().out


def test_command_takes_missing_metadata_from_its_options(tmp_path):
    b = small()
    b.metadata = {}
    model, out = b.save(tmp_path), tmp_path / "m.img"
    with pytest.raises(CompileError, match="--encoder"):
        spikeline(model, "--out", out, "--geometry", "tiny", "--time-steps", 3)
    with pytest.raises(CompileError, match="--time-steps"):
        spikeline(model, "--out", out, "--geometry", "tiny", "--encoder", "threshold")
    assert not out.exists()
    spikeline(model, "--out", out, "--geometry", "tiny", "--encoder", "threshold", "--time-steps", 3)
    assert model_file.load(out).network.time_steps == 3


def test_mismatch_leaves_no_image(tmp_path, monkeypatch):
    """A threshold that float32 moves: the bias is far below the resolution of the scaled membrane."""
    b = Builder(4).dense(np.ones((4, 2)), 0.1, bias=np.full(2, 0.7, np.float32)).spike()
    with pytest.raises(CompileError, match=r"differ on [1-9]\d* of 50 images.*half-way"):
        spikeline(b.save(tmp_path), "--out", tmp_path / "m.img", "--geometry", "tiny", "--verify", 50)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["model.onnx"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--geometry", "moon"), "z020-256"),
        (("--verify", "-1"), "number of images"),
        (("--time-steps", "0"), "1 to 65535"),
        (("--time-steps", "-3"), "1 to 65535"),
        (("--out", "/proc/none/m.img"), "cannot write"),
        (("--mem-dir", "/proc/none/mem"), "cannot write"),
    ],
)
def test_bad_options(tmp_path, words, message):
    model = small().save(tmp_path)
    with pytest.raises((CompileError, DeviceError, DataError), match=message):
        spikeline(model, "--out", tmp_path / "m.img", "--geometry", "tiny", *words)
    assert issubclass(CompileError, SpikelineError)
    assert [x.name for x in tmp_path.iterdir()] == ["model.onnx"]
