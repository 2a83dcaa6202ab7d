"""Continuous ONNX → integer network: the ONNX executor over all steps = golden model, spike for spike and state for state.

Scales are short dyadic numbers, so the executor's float32 arithmetic is exact.
"""

import argparse
import dataclasses
import json
from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from spikeline.cli import info
from spikeline.data import recordings
from spikeline.errors import CompileError
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from spikeline_compiler import memfiles
from spikeline_compiler.graph import Graph
from spikeline_compiler.lower import compile_onnx
from spikeline_compiler.passes import PASSES
from spikeline_compiler.verify import execute_steps, verify
from support.onnx_builders import Builder, geometry, spikeline, spikes_for
from support.onnx_steps import Step


def room(state_bits=13, weight_bits=8, **more):
    wide = geometry(weight_bits=weight_bits, membrane_bits=state_bits + 1)
    return dataclasses.replace(wide, continuous=True, max_leak=4, **more)


def same(a: Layer, b: Layer):
    np.testing.assert_array_equal(a.weights, b.weights)
    np.testing.assert_array_equal(a.thresholds, b.thresholds)
    np.testing.assert_array_equal(*(np.zeros(x.neurons, np.int32) if x.biases is None else x.biases for x in (a, b)))
    assert (a.state_bits, a.leak, a.reset, a.biased) == (b.state_bits, b.leak, b.reset, b.biased)


def integers(weights, thresholds, biases=None, **more):
    biases = None if biases is None or not np.any(biases) else np.asarray(biases, np.int32)
    thresholds = np.broadcast_to(np.asarray(thresholds, np.int32), np.shape(weights)[1]).copy()
    return Layer(np.asarray(weights, np.int8), thresholds, biases=biases, **more)


# -- random networks ---------------------------------------------------------------------------------------------------

FREEDOMS = ("swap", "identity", "late", "divide", "maxmin", "gemm", "unnamed")


@st.composite
def networks(draw):
    """(builder, layers it means), of as few state bits as are allowed, so that states saturate, or a few more."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    free = draw(st.sets(st.sampled_from(FREEDOMS)))
    leak, reset = draw(st.integers(0, 4)), draw(st.sampled_from(list(Reset)))
    amplitude = 1.0 if reset == Reset.ZERO or "divide" not in free else draw(st.sampled_from([1.0, 0.75, 2.0]))
    bits = draw(st.sampled_from([1, 2, 3, 4, 8]))
    low, high = (-1, 1) if bits == 1 else (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1)
    hidden = []
    for inputs, neurons in pairwise(sizes[:-1]):
        weights = rng.integers(low, high, (inputs, neurons), endpoint=True)
        shift = rng.integers(0, 6, neurons) if "maxmin" in free else np.full(neurons, rng.integers(0, 6))
        biases = rng.integers(-9, 9, neurons) if draw(st.booleans()) else None
        hidden.append((weights, shift, biases))
    weights = rng.integers(low, high, sizes[-2:], endpoint=True)
    biases = rng.integers(-9, 9, sizes[-1]) if draw(st.booleans()) else None
    last = integers(weights, 0 if biases is None else -biases)
    needed = [max(map(abs, last.membrane_range))]
    for w, shift, b in hidden:
        b = np.zeros(len(shift)) if b is None else b
        needed.append((np.maximum(w, 0).sum(0) + np.maximum(b, 0)).max())
        needed.append((np.maximum(-w, 0).sum(0) + np.maximum(-b, 0) + 2**shift).max())
    state_bits = max(3, int(max(needed) - 1).bit_length() + 1) + draw(st.sampled_from([0, 0, 1, 5]))
    steps = draw(st.integers(1, 5))
    more = {"leak": str(leak), "reset": reset.name.lower()} if hidden else {}
    b = Step(sizes[0], state_bits, free, time_steps=str(steps), **more)
    layers = []
    for w, shift, bias in hidden:
        scale = amplitude * 2.0**-shift
        b.hidden(w, scale if "maxmin" in free else scale[0], bias, leak, reset.name.lower(), amplitude)
        layers.append(integers(w, 2**shift, bias, state_bits=state_bits, leak=leak, reset=reset))
    b.output(weights, 2.0 ** rng.integers(-3, 3) * amplitude, biases)
    return b, [*layers, last]


@settings(max_examples=100, deadline=None)
@given(networks())
def test_random_networks_equal_the_executor(tmp_path_factory, drawn):
    builder, layers = drawn
    folder = tmp_path_factory.mktemp("continuous")
    network = compile_onnx(builder.save(folder), room(builder.state_bits))
    for ours, meant in zip(network.layers, layers, strict=True):
        same(ours, meant)
    assert (network.decode, network.continuous) == (Decode.MEMBRANE, len(layers) > 1)
    spikes = spikes_for(builder.inputs, batch=8, steps=network.time_steps, seed=len(layers))
    result = verify(folder / "model.onnx", model_file.build(network), spikes)
    neurons = sum(x.neurons for x in layers[:-1])
    count = 8 * network.time_steps * neurons
    expected = {"images": 8, "time_steps": network.time_steps, "spikes_compared": count, "states_compared": count}
    assert result == expected | {"onnx_mismatches": 0}


def example(state_bits=8, leak=2, reset="subtract", **more):
    rng = np.random.default_rng(3)
    b = Step(20, state_bits, leak=str(leak), reset=reset, **more)
    b.hidden(rng.integers(-7, 8, (20, 16)), 0.125, rng.integers(-5, 6, 16), leak, reset)
    b.hidden(rng.integers(-7, 8, (16, 12)), 0.0625, None, leak, reset)
    return b.output(rng.integers(-7, 8, (12, 10)), 0.25, rng.integers(-9, 9, 10))


def test_states_spikes_and_classes_of_the_executor(tmp_path):
    """Without `verify`: what the executor makes, against the golden model; some states do saturate."""
    b = example(leak=0)
    network = compile_onnx(b.save(tmp_path), room(8))
    spikes = spikes_for(20, batch=50, steps=9)
    states = {"v0_in": "v0_out", "v1_in": "v1_out", "v_out_in": "membrane"}
    seen = execute_steps(b.model(), spikes, ["v0_out", "v1_out", "membrane"], states)
    trace = golden.run(network, spikes, states=True)
    for real, scale, state in zip(seen, (0.125, 0.0625, 0.25), [*trace.states[:2], trace.running[0]], strict=True):
        np.testing.assert_array_equal(real / scale, state)
    np.testing.assert_array_equal(seen[2][:, -1].argmax(1), trace.labels)
    assert trace.states[0].min() == -128
    assert 0.05 < trace.spikes[1].mean() < 0.95


def test_round_trip_through_an_image_file(tmp_path):
    for n, (leak, reset) in enumerate([(0, "subtract"), (3, "zero")]):
        network = compile_onnx(example(leak=leak, reset=reset).save(tmp_path), room(8))
        model_file.save(model_file.build(network), tmp_path / f"{n}.img")
        loaded = model_file.load(tmp_path / f"{n}.img").network
        for a, b in zip(network.layers, loaded.layers, strict=True):
            same(a, b)
        assert [x.leak for x in loaded.layers] == [leak, leak, 0]
        assert (loaded.time_steps, loaded.encoder, loaded.sizes) == (5, Encoder.BERNOULLI, [20, 16, 12, 10])


def test_verify_sees_every_wrong_number(tmp_path):
    path = example(leak=0).save(tmp_path)
    network = compile_onnx(path, room(8))
    spikes = spikes_for(20, batch=60, steps=9)
    for n, layer in enumerate(network.layers):
        changes = [{"thresholds": layer.thresholds + np.int32(1)}, {"weights": layer.weights + np.int8(1)}]
        if layer.continuous:
            zeros = np.zeros(layer.neurons, np.int32)
            biases = (zeros if layer.biases is None else layer.biases) + np.int32(1)
            changes += [{"biases": biases}, {"leak": 1}, {"leak": 4}, {"reset": Reset.ZERO}, {"state_bits": 9}]
        for change in changes:
            layers = list(network.layers)
            layers[n] = dataclasses.replace(layer, **change)
            wrong = model_file.build(dataclasses.replace(network, layers=tuple(layers)))
            assert verify(path, wrong, spikes)["onnx_mismatches"] > 0, (n, change.keys())


def test_verify_sees_a_state_that_no_spike_depends_on(tmp_path):
    """One neuron that never fires and whose spikes no class hears: only its state tells a leak of 1 from none."""
    b = Step(1, 8).hidden([[1]], 2.0**-5, leak=1).output([[0]])
    path = b.save(tmp_path)
    network = compile_onnx(path, room(8))
    spikes = np.ones((2, 3, 1), np.uint8)
    assert verify(path, model_file.build(network), spikes)["onnx_mismatches"] == 0
    silent = dataclasses.replace(network.layers[0], leak=0)
    wrong = model_file.build(dataclasses.replace(network, layers=(silent, network.layers[1])))
    assert verify(path, wrong, spikes)["onnx_mismatches"] == 2


def test_batches_of_the_executor_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("spikeline_compiler.verify.ROWS", 7)
    path = example().save(tmp_path)
    result = verify(path, model_file.build(compile_onnx(path, room(8))), spikes_for(20, batch=20, steps=4))
    assert (result["onnx_mismatches"], result["states_compared"]) == (0, 20 * 4 * 28)


def test_passes_keep_states_and_are_idempotent():
    b = Step(6, 8, ("gemm", "identity", "swap"))
    b.hidden(np.ones((6, 5)), leak=1, reset="zero").hidden(np.ones((5, 4)), leak=1, reset="zero").output(np.ones((4, 3)))
    graph = Graph(b.model())
    for rewrite in PASSES:
        rewrite(graph)
        once = graph.to_model()
        rewrite(graph)
        assert graph.to_model() == once
        onnx.checker.check_model(once)
        spikes, names = spikes_for(6, batch=9), ["v0_out", "v1_out", "membrane"]
        for x, y in zip(*(execute_steps(m, spikes, names, graph.states) for m in (b.model(), once)), strict=True):
            np.testing.assert_array_equal(x, y)
    assert "Identity" not in {n.op_type for n in graph.nodes}


def test_identities_at_inputs_and_outputs(tmp_path):
    b = Step(4, 8)
    b.x = b.node("Identity", b.x)
    b.taken.append(("v0_in", 3))
    b.current(np.eye(4)[:, :3], 0.5, None)
    membrane = b.integrate(b.node("Identity", "v0_in"), 0.5, None)
    spikes = b.spike().x
    b.node("Identity", b.clipped(b.node("Sub", membrane, b.node("Identity", spikes)), 0.5))
    b.left.append((b.named("v0_out"), 3))
    b.output(np.ones((3, 2)))
    network = compile_onnx(b.save(tmp_path), room(8))
    assert verify(tmp_path / "model.onnx", model_file.build(network), spikes_for(4, steps=5))["onnx_mismatches"] == 0


def test_clip_by_attributes(tmp_path):
    b = Step(4, 8)
    b.opset = 10
    b.hidden(np.ones((4, 3)), 0.5)
    at = next(i for i, n in enumerate(b.nodes) if n.op_type == "Clip")
    b.nodes[at] = helper.make_node("Clip", b.nodes[at].input[:1], ["v0_out"], min=-64.0, max=63.5)
    assert compile_onnx(b.output(np.ones((3, 2))).save(tmp_path), room(8)).layers[0].state_bits == 8


def test_negative_scales_negate_the_weights(tmp_path):
    """The sum is subtracted from the bias instead of added."""
    b = Step(3, 8, reset="zero", leak="1")
    b.taken.append(("v0_in", 2))
    b.dense([[1, -3], [2, 2], [-1, 0]], 0.25)
    b.x = b.node("Sub", b.const([0.5, -1.0]), b.x)
    membrane = b.integrate(b.leaked("v0_in", 0.25, 1), 0.25, None)
    spikes = b.spike().x
    b.clipped(b.node("Mul", membrane, b.node("Sub", b.const(1.0), spikes)), 0.25)
    b.left.append((b.named("v0_out"), 2))
    network = compile_onnx(b.output(np.ones((2, 2))).save(tmp_path), room(8))
    same(
        network.layers[0],
        integers([[-1, 3], [-2, -2], [1, 0]], 4, [2, -4], state_bits=8, leak=1, reset=Reset.ZERO),
    )
    assert verify(tmp_path / "model.onnx", model_file.build(network), spikes_for(3, steps=5))["onnx_mismatches"] == 0


def test_a_threshold_between_two_states_is_the_next_one_if_the_reset_is_to_zero(tmp_path):
    path = whole(scale=0.375, reset="zero").save(tmp_path)
    network = compile_onnx(path, room(8))
    assert network.layers[0].thresholds.tolist() == [3, 3, 3]
    assert verify(path, model_file.build(network), spikes_for(4, steps=5))["onnx_mismatches"] == 0


@pytest.mark.parametrize("form", ["compare", "subtract, compare", "floor, clamp", "sign"])
def test_spikes_of_a_membrane_that_lasts_in_other_forms(tmp_path, form):
    b = Step(4, 8, leak="2", reset="subtract")
    b.taken.append(("v0_in", 3))
    b.current(np.ones((4, 3)), 0.125, [1, 0, -1])
    b.x = membrane = b.integrate(b.leaked("v0_in", 0.125, 2), 0.125, None)
    if form == "compare":
        b.comparison()
    elif form == "subtract, compare":
        b.then("Sub", b.const(1.0)).comparison(threshold=0.0)
    elif form == "floor, clamp":
        b.then("Floor").then("Clip", b.const(0.0), b.const(1.0))
    else:
        b.then("Sub", b.const(0.9375)).then("Sign").then("Relu")
    spikes = b.x
    b.clipped(b.node("Sub", membrane, spikes), 0.125)
    b.left.append((b.named("v0_out"), 3))
    b.x = b.node("Mul", spikes, b.const(0.5))
    path = b.output(np.ones((3, 2))).save(tmp_path)
    network = compile_onnx(path, room(8))
    assert network.layers[0].thresholds.tolist() == [8, 8, 8]
    assert verify(path, model_file.build(network), spikes_for(4, batch=20, steps=9))["onnx_mismatches"] == 0


def test_metadata_may_be_absent(tmp_path):
    b = example()
    b.metadata = {"note": "no word of integration", "pool": "none"}
    network = compile_onnx(b.save(tmp_path), room(8), 7, "latency")
    assert (network.continuous, network.time_steps, network.encoder) == (True, 7, Encoder.LATENCY)
    assert network.layers[0].leak == 2


@pytest.mark.parametrize("encoder", ["threshold", "bernoulli", "latency", "events"])
def test_encoders(tmp_path, encoder):
    for b in (example(encoder=encoder, pool="2"), Builder(4, encoder=encoder).dense(np.ones((4, 3)))):
        assert compile_onnx(b.save(tmp_path), room(8)).encoder == Encoder[encoder.upper()]


def test_room_for_one_step_is_used_to_the_last(tmp_path):
    """Σ positive weights + bias = 2^(V-1) is allowed, one more is not; the same on the negative side with θ."""
    for weight, bias, fits in ((60, 64, True), (60, 65, False), (-60, -56, True), (-60, -57, False)):
        weights = [[weight], [weight // 15]]
        path = Step(2, 8).hidden(weights, 0.125, [bias]).output([[1]]).save(tmp_path)
        if fits:
            network = compile_onnx(path, room(8))
            assert verify(path, model_file.build(network), spikes_for(2, batch=20, steps=5))["onnx_mismatches"] == 0
        else:
            with pytest.raises(CompileError, match=r"membranes of layer 0 reach from .* 9 bits, -256 to 255; use a geometry"):
                compile_onnx(path, room(8))


# -- refusals ----------------------------------------------------------------------------------------------------------


def step():
    return Step(4, 8)


def whole(biases=None, leak=0, reset="subtract", scale=0.125, metadata=(), **more):
    b = step()
    b.metadata |= dict(metadata)
    b.hidden(np.ones((4, 3)), scale, biases, leak, reset, **more)
    return b.output(np.ones((3, 2)))


def patched(b, at, change):
    """Apply `change` to the node that is named, or makes the tensor, `at`."""
    change(next(n for n in b.nodes if at in (n.name, n.output[0])))
    return b


def rewired(at, index, value, **more):
    b = whole(**more)
    return patched(b, at, lambda node: node.input.__setitem__(index, b.const(value) if not isinstance(value, str) else value))


def renamed(at, op, **more):
    return patched(whole(**more), at, lambda node: setattr(node, "op_type", op))


def inserted(op, *constants, before=None, **more):
    """An operator between the current and the membrane."""
    b = Step(4, 8)
    b.taken.append(("v0_in", 3))
    b.current(np.ones((4, 3)), 0.125, None)
    if before:
        b.integrate("v0_in", 0.125, None)
    b.then(op, *(b.const(np.full(3, x)) for x in constants), name="op", **more)
    if not before:
        b.integrate("v0_in", 0.125, None)
    membrane = b.x
    spikes = b.spike().x
    b.clipped(b.node("Sub", membrane, spikes), 0.125)
    b.left.append((b.named("v0_out"), 3))
    return b.output(np.ones((3, 2)))


def without_state():
    b = step().dense(np.ones((4, 3)), 0.125).spike(name="act")
    return b.output(np.ones((3, 2)))


def no_spike():
    return step().dense(np.ones((4, 3)), 0.5).hidden(np.ones((3, 3))).output(np.ones((3, 2)))


def leaky_output():
    b = step().current(np.ones((4, 2)), 0.5, None)
    b.taken.append(("v_out_in", 2))
    b.integrate(b.leaked("v_out_in", 0.5, 1), 0.5, None)
    b.left.append((b.named("membrane"), 2))
    return b


def crossed():
    b = step().hidden(np.ones((4, 3))).hidden(np.ones((3, 3))).output(np.ones((3, 2)))
    for node in b.nodes:
        swap = {"v0_in": "v1_in", "v1_in": "v0_in"}
        node.input[:] = [swap.get(x, x) for x in node.input]
    return b


def residual():
    b = step().hidden(np.ones((4, 3)))
    b.taken.append(("v1_in", 3))
    start = b.x
    b.current(np.ones((3, 3)), 0.5, None)
    b.x = b.node("Add", b.x, start, name="residual")
    b.left.append((b.integrate("v1_in", 0.5, None), 3))
    return b.output(np.ones((3, 2)))


def useless_state():
    b = whole()
    b.node("Identity", "extra_in")
    b.taken.insert(1, ("extra_in", 3))
    b.left.append((b.named("extra_out"), 3))
    return b


def ends_early():
    b = step().hidden(np.ones((4, 3)))
    b.left.insert(0, (b.node("Identity", "v_out_in"), 3))
    b.taken.append(("v_out_in", 3))
    return b


def missing(which):
    b = whole()
    getattr(b, which).pop(1 if which == "left" else 0)
    if which == "taken":
        b.constants.append(onnx.numpy_helper.from_array(np.zeros(3, np.float32), "v0_in"))
    return b


def wide_state():
    b = whole()
    b.taken[0] = ("v0_in", 1)
    return b


def clipped_twice():
    b = whole()
    at = next(i for i, n in enumerate(b.nodes) if n.name == "clip0")
    b.nodes.insert(at, helper.make_node("Max", [b.nodes[at].input[0], b.const(-8.0)], ["narrowed"]))
    b.nodes[at + 1].input[0] = "narrowed"
    return b


def clip_to_infinity():
    b = step().hidden(np.ones((4, 3)))
    b.opset = 10
    at = next(i for i, n in enumerate(b.nodes) if n.op_type == "Clip")
    b.nodes[at] = helper.make_node("Clip", b.nodes[at].input[:1], ["v0_out"], min=-np.inf, max=15.875)
    return b.output(np.ones((3, 2)))


def one_end():
    b = patched(whole(), "clip0", lambda node: node.input.pop())
    return patched(b, "clip0", lambda node: setattr(node, "op_type", "Max"))


def rounding_half(node):
    next(a for a in node.attribute if a.name == "rounding_mode").s = b"HALF_UP"


REFUSALS = {
    "bias between": (lambda: whole([0, 0.5, 0]), "bias of neuron 1 in layer 0 is 0.5 times", "n1_MatMul", "quantised biases"),
    "bias too large": (lambda: whole([0, 2.0**30, 0]), "bias of neuron 1 in layer 0", "more than 24 bits", "quantised biases"),
    "threshold between": (lambda: whole(scale=0.375), "neuron 0 in layer 0 fires at 3 but its reset takes 2.666666667", "whole"),
    "threshold far off": (lambda: whole(scale=2.0**-25), "neuron 0 in layer 0 fires at 256 but", "range of the state"),
    "scale that rounds": (lambda: whole(scale=0.1), "'clip0'", "-128 to 126.9999962 times", "power of two"),
    "reset by another amount": (lambda: patched(whole(), "spike0", rounding_half), "fires at 4 but its reset takes 8", "itself"),
    "BatchNormalization": (
        lambda: inserted("BatchNormalization", 1, 0, 0, 1), "'op'", "off the integers", "without BatchNormalization",
    ),
    "BatchNormalization of the membrane": (
        lambda: inserted("BatchNormalization", 1, 0, 0, 1, before=True), "'op'", "off the integers", "without BatchNorm",
    ),
    "Relu": (lambda: inserted("Relu"), "'op'", "does not see a membrane", "state input"),
    "Sin of the membrane": (lambda: inserted("Sin", before=True), "'op'", "no Sin", "MatMul or Gemm"),
    "Relu of the membrane": (lambda: inserted("Relu", before=True), "'op'", "do not reset", "subtract the spikes"),
    "scaled membrane": (lambda: inserted("Mul", 2, before=True), "'op'", "do not reset", "subtract the spikes"),
    "scale of 0": (lambda: inserted("Mul", 0), "scale of 0", "bounded away"),
    "no lasting membrane": (without_state, "'act'", "does not see a membrane", "discontinuous integration"),
    "no spike": (no_spike, "no membrane lasts in the layer before", "state input"),
    "leak not rounded": (lambda: renamed("t3", "Neg", leak=2), "'leak0'", "not rounded down", "Floor"),
    "leak rounded otherwise": (lambda: renamed("t3", "Round", leak=2), "'leak0'", "not rounded down", "Floor"),
    "leak that is no power of two": (
        lambda: rewired("t2", 1, 3.0, leak=2), "'leak0'", "takes 0.125 · ⌊3 · v⌋", "steps of 0.125", "1/(s·2^k)",
    ),
    "leak in other units": (lambda: rewired("t4", 1, 0.25, leak=2), "'leak0'", "takes 0.25 · ⌊2 · v⌋", "s·Floor"),
    "leak of something else": (lambda: rewired("t2", 0, "v_out_in", leak=2), "no share of 'v0_in'", "s·Floor"),
    "leaks that differ": (lambda: rewired("t2", 1, [1.0, 2.0, 4.0], leak=2), "leaks of [1, 2, 3]", "one leak"),
    "leaky output": (leaky_output, "'leak0'", "output layer leaks", "adds up"),
    "leak against metadata": (lambda: whole(leak=2, metadata={"leak": "3"}), "'leak0'", "leak = 2", "metadata say 3", "agree"),
    "no leak against metadata": (lambda: whole(metadata={"leak": "3"}), "'n2_Add'", "leak = 0", "metadata say 3", "agree"),
    "reset against metadata": (lambda: whole(metadata={"reset": "zero"}), "'reset0'", "reset = subtract", "say zero", "agree"),
    "bits against metadata": (lambda: whole(metadata={"state_bits": "13"}), "'clip0'", "state_bits = 8", "say 13", "agree"),
    "no reset": (lambda: renamed("reset0", "Mul"), "'spike0'", "do not reset", "subtract the spikes"),
    "reset of half": (lambda: rewired("t4", 0, 0.5, reset="zero"), "makes 0.5 - spikes", "1 - spikes"),
    "no clip": (lambda: rewired("clip0", 1, -1e9), "'clip0'", "-8000000000 to 127 times", "2^(V-1)"),
    "clip off by one": (lambda: rewired("clip0", 2, 16.0), "'clip0'", "-128 to 128 times", "2^(V-1)"),
    "clip without an end": (one_end, "'clip0'", "no lower and upper end", "2^(V-1)"),
    "clip within the clip": (clipped_twice, "'clip0'", "-64 to 127 times", "2^(V-1)"),
    "clip to infinity": (clip_to_infinity, "Clip node", "min is -inf", "2^(V-1)"),
    "mean instead of clip": (lambda: renamed("clip0", "Mean"), "'clip0'", "after its reset", "2^(V-1)"),
    "spikes of two values": (lambda: whole(amplitude=-1.0), "'reset0'", "spikes are -1 and 0", "spikes of 0 and 1"),
    "crossed states": (crossed, "'v1_in' is paired with output 'v1_out'", "leaves 'v0_out'", "x_in and x_out"),
    "residual": (residual, "branches", "'residual'", "plain chain"),
    "useless state": (useless_state, "'extra_in' is not connected", "plain chain"),
    "no output layer": (ends_early, "nothing leads on from 't3'", "plain chain"),
    "state output missing": (lambda: missing("left"), "3 inputs and 1 outputs", "membranes of all"),
    "state input missing": (lambda: missing("taken"), "branches", "each with its membrane as state input and output"),
    "state of another width": (wide_state, "1 values for 3 neurons", "one for each"),
    "no states": (lambda: Builder(4, integration="continuous").dense(np.ones((4, 3))), "no state inputs", "discontinuous"),
    "says discontinuous": (lambda: whole(metadata={"integration": "discontinuous"}), "3 inputs and 2 outputs", "continuous"),
    "unknown integration": (lambda: whole(metadata={"integration": "resonant"}), "resonant is not known", "continuous"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_names_the_node_the_reason_and_the_fix(tmp_path, case):
    make, *words = REFUSALS[case]
    with pytest.raises(CompileError) as caught:
        compile_onnx(make().save(tmp_path), room(8))
    for word in words:
        assert word in str(caught.value)


def test_geometry_that_cannot(tmp_path):
    path = example(leak=4).save(tmp_path)
    discontinuous = dataclasses.replace(room(8), continuous=False, max_leak=0)
    with pytest.raises(CompileError, match=r"layer 0 is continuous .* discontinuous networks only; take .*of 9 bits \(none is"):
        compile_onnx(path, discontinuous)
    with pytest.raises(CompileError, match=r"'n1_MatMul': layer 0 has a state of 8 bits .* at 9; .* train with state_bits = 9"):
        compile_onnx(path, room(9))
    with pytest.raises(CompileError, match=r"membranes of 14 bits \(.*z020-256.*\), or train with state_bits = 9"):
        compile_onnx(example(13).save(tmp_path), room(9))
    with pytest.raises(CompileError, match="layer 0 leaks by a shift of 4, the accelerator up to 3"):
        compile_onnx(example(leak=4).save(tmp_path), dataclasses.replace(room(8), max_leak=3))


def test_damaged_files(tmp_path):
    path, rng, refused = tmp_path / "model.onnx", np.random.default_rng(0), 0
    whole_file = example().model().SerializeToString()
    for trial in range(300):
        data = bytearray(whole_file)
        if trial % 3:
            for at in rng.integers(0, len(data), 2):
                data[at] ^= 1 << rng.integers(8)
        else:
            data = data[: rng.integers(len(data))]
        path.write_bytes(data)
        try:  # whatever still is a network may compile; nothing but CompileError may come out
            compile_onnx(path, room(8))
        except CompileError:
            refused += 1
    assert refused > 150


def test_any_node_taken_away_or_changed_is_refused_or_harmless(tmp_path):
    """What compiles after that equals the executor still."""
    path, rng, refused, spikes = tmp_path / "model.onnx", np.random.default_rng(0), 0, spikes_for(20, batch=10, steps=5)
    nodes = len(example().nodes)
    for trial in range(150):
        b = example(reset=("subtract", "zero")[trial % 2])
        node = b.nodes[trial % nodes]
        tensors = [x for n in b.nodes[: trial % nodes] for x in n.output] + ["spikes", "v0_in", "v1_in", "v_out_in"]
        if trial < 2 * nodes:
            node.input[rng.integers(len(node.input))] = rng.choice(tensors)
        else:
            node.op_type = str(rng.choice(["Add", "Sub", "Mul", "Div", "Floor", "Max", "Min", "Identity"]))
            node.domain = ""
        onnx.save(b.model(), path)
        try:
            network = compile_onnx(path, room(8))
        except CompileError:
            refused += 1
            continue
        assert verify(path, model_file.build(network), spikes)["onnx_mismatches"] == 0, (trial, node)
    assert refused > 100


# -- memory files and the command --------------------------------------------------------------------------------------


def tiny_room():
    return dataclasses.replace(Geometry.load("tiny"), continuous=True, max_leak=4)


def test_memory_files_hold_the_biases(tmp_path):
    rng = np.random.default_rng(0)
    last = integers(rng.integers(-7, 8, (30, 10)), rng.integers(-99, 99, 10))
    hidden = [
        integers(rng.integers(-7, 8, (i, o)), 64, b, state_bits=11, leak=n)
        for n, (i, o, b) in enumerate([(98, 41, rng.integers(-99, 99, 41)), (41, 30, None)])
    ]
    network = Network((*hidden, last), 4, 3)
    memfiles.write(model_file.build(network), tiny_room(), tmp_path / "mem")
    index = {x["file"]: x for x in json.loads((tmp_path / "mem" / "index.json").read_text())["memories"]}
    for n, (layer, size) in enumerate(zip(network.layers, tiny_room().layers, strict=True)):
        for kind, values in (("biases", layer.biases), ("thresholds", layer.thresholds)):
            name = f"layer{n}_{kind}.mem"
            assert index[name] == {"file": name, "kind": kind, "layer": n, "bits": 12, "depth": size.neurons}
            words = [int(line, 16) for line in (tmp_path / "mem" / name).read_text().split()]
            used = [0] * layer.neurons if values is None else values.tolist()
            assert [x - (1 << 12) if x >> 11 else x for x in words] == [*used, *[0] * (size.neurons - layer.neurons)]
    discontinuous = dataclasses.replace(tiny_room(), continuous=False, max_leak=0)
    memfiles.write(model_file.build(Network((last,), 4, 3)), discontinuous, tmp_path / "mem")
    assert not list((tmp_path / "mem").glob("*biases*"))


@pytest.fixture
def geometry_file(tmp_path):
    """A geometry file with room for events, as the command takes it."""
    layers = [{"inputs": i, "neurons": o, "spikes_per_cycle": 2} for i, o in ((1024, 64), (64, 64), (64, 16))]
    sizes = {"weight_bits": 4, "membrane_bits": 14, "classes": 16, "clock_mhz": 100, "continuous": True, "max_leak": 4}
    (tmp_path / "events.json").write_text(json.dumps(sizes | {"layers": layers}))
    return tmp_path / "events.json"


def digit_network(encoder, inputs, dataset=None):
    rng = np.random.default_rng(1)
    more = {"dataset": dataset} if dataset else {}
    b = Step(inputs, 13, encoder=encoder, leak="3", reset="subtract", pool="2", time_steps="6", **more)
    b.hidden(rng.integers(-3, 5, (inputs, 40)), 2.0**-6, rng.integers(-5, 6, 40), 3)
    b.hidden(rng.integers(-3, 5, (40, 40)), 2.0**-5, None, 3)
    return b.output(rng.integers(-7, 8, (40, 10)), 0.5, rng.integers(-9, 9, 10))


@pytest.mark.parametrize("encoder", ["bernoulli", "latency", "events"])
def test_command_verifies_and_picks_the_margin_on_what_the_encoder_makes(tmp_path, capsys, geometry_file, digits, encoder):
    model = digit_network(encoder, recordings.inputs(2) if encoder == "events" else 784, "mnist").save(tmp_path)
    out = tmp_path / "m.img"
    options = ("--out", out, "--geometry", geometry_file, "--verify", 50, "--early-exit", 0.01, "--mem-dir", tmp_path / "mem")
    spikeline(model, *options, "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["verify"]["onnx_mismatches"] == 0
    assert report["verify"]["samples"] == ("saccades-test" if encoder == "events" else "mnist-test")
    assert report["verify"]["states_compared"] == report["verify"]["spikes_compared"] == 50 * 6 * 80
    network = model_file.load(out).network
    assert network.exit_margin == report["exit_margin"]
    first, _, last = report["layers"]
    assert first["integration"] == "continuous"
    assert (first["state_bits"], first["leak"], first["reset"]) == (13, 3, "subtract")
    assert first["biases"] == [network.layers[0].biases.min(), network.layers[0].biases.max()]
    assert last["integration"] == "discontinuous"
    spikeline(model, *options)
    table = capsys.readouterr().out
    assert "continuous, 13-bit state, leak 3, reset subtract, bias -5…5" in table
    assert f"{50 * 6 * 80} states, all equal to the ONNX" in table


def test_events_of_another_size_are_random(tmp_path, capsys, geometry_file):
    model = digit_network("events", 100).save(tmp_path)
    spikeline(model, "--out", tmp_path / "m.img", "--geometry", geometry_file, "--verify", 20)
    assert "verified: 20 images of random spikes" in capsys.readouterr().out
    with pytest.raises(CompileError, match=r"does not say what it was trained on .*--early-exit"):
        spikeline(model, "--out", tmp_path / "m.img", "--geometry", geometry_file, "--early-exit", 0.01)


def test_mismatch_names_the_cause(tmp_path, geometry_file, monkeypatch):
    model = digit_network("bernoulli", 100).save(tmp_path)
    monkeypatch.setattr("spikeline_compiler.verify.verify", lambda *_: {"onnx_mismatches": 3, "images": 9})
    with pytest.raises(CompileError, match=r"differ on 3 of 9 images.*scale that is a power of two"):
        spikeline(model, "--out", tmp_path / "m.img", "--geometry", geometry_file, "--verify", 9)
    assert not (tmp_path / "m.img").exists()


def test_info_tells_of_lasting_membranes(tmp_path, capsys):
    network = compile_onnx(example(leak=3, reset="zero").save(tmp_path), room(8))
    model_file.save(model_file.build(network), tmp_path / "m.img")
    info.run(argparse.Namespace(model=tmp_path / "m.img", json=True))
    first, second, last = json.loads(capsys.readouterr().out)["memory"]
    assert first.items() >= {"state_bits": 8, "leak": 3, "reset": "zero", "biased": True, "bias_bytes": 64}.items()
    assert (first["threshold_bytes"], first["weight_bytes"], second["biased"]) == (64, 20 * 16, False)
    assert "state_bits" not in last
    info.run(argparse.Namespace(model=tmp_path / "m.img", json=False))
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].endswith("continuous, 8-bit state, leak 3, reset zero, bias 64 B")
    assert lines[4].endswith("no bias")
    assert "continuous" not in lines[5]
