"""Integers of a discontinuous network, and the exported QONNX file: the same spikes all the way."""

import copy
import dataclasses
import hashlib
import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("brevitas", reason="export needs the train extra")

import onnx
from onnx import numpy_helper

from spikeline.data.recordings import PackedSpikes
from spikeline.data.samples import Samples
from spikeline.errors import PresetError, SpikelineError
from spikeline.model import golden
from spikeline.model.encode import encode
from spikeline_training import checkpoint, export, preset, scoring, training_data
from spikeline_training.graph import Step, write
from spikeline_training.integers import convert, integers, snap, threshold
from spikeline_training.network import SpikingNetwork
from spikeline_training.train import train

TINY = dataclasses.replace(preset.load("tiny"), train_images=1024, epochs=1)
BITS = [1, 2, 3, 4, 8]
scales = st.floats(2.0**-20, 8.0, width=32)
float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)


def fires(scale, bias, u):
    """The definition, without rounding."""
    return Fraction(float(scale)) * u + Fraction(float(bias)) >= 1


def random_network(bits, seed=0, **changed):
    """An untrained network whose BatchNorm does all that it can: gains of both signs, one of zero, odd statistics."""
    torch.manual_seed(seed)
    network = SpikingNetwork(dataclasses.replace(TINY, weight_bits=bits, sizes=(784, 40, 24, 10), **changed)).eval()
    for norm in (layer.norm for layer in network.layers[:-1]):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias, std=0.3)
        norm.weight.data[0] = 0
        norm.running_mean.normal_(std=0.3)
        norm.running_var.uniform_(0.05, 0.5)
    return network


def exported_step(network):
    """The model of one time step that is exported."""
    return Step(*convert(network), network.preset.weight_bits)


def random_spikes(batch=300, seed=0):
    return (torch.rand(batch, 784, generator=torch.Generator().manual_seed(seed)) < 0.15).float()


# --- snapping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "bias", "expected"),
    [(0.5, 0.0, 2), (0.25, 1.0, 0), (0.25, 1.01, 0), (0.25, 0.99, 1), (0.25, 2.0, -4), (0.3, 0.0, 4)],
)
def test_firing_happens_on_equality(scale, bias, expected):
    assert threshold(np.float32(scale), np.float32(bias), 100) == expected


@settings(max_examples=300, deadline=None)
@given(scale=scales, bias=float32s, reach=st.integers(1, 300))
def test_the_threshold_is_the_first_sum_that_fires(scale, bias, reach):
    theta = threshold(np.float32(scale), np.float32(bias), reach)
    sums = range(-reach, reach + 1)
    assert [fires(scale, bias, u) for u in sums] == [u >= theta for u in sums]


@settings(max_examples=60, deadline=None)
@given(neurons=st.lists(st.tuples(scales, st.floats(-50, 50, width=32)), min_size=1, max_size=4))
def test_snapping_keeps_the_integer_function_and_a_margin_of_half_a_step(neurons):
    scale, bias = (np.array(column, np.float32) for column in zip(*neurons, strict=True))
    weights = np.full((len(neurons), 40), 7, np.int8)  # sums from -280 to 280
    layer, affine = snap(weights, scale, bias)
    for i in range(len(neurons)):
        for u in range(-280, 281):
            fired = fires(scale[i], bias[i], u)
            assert fired == (u >= layer.thresholds[i])
            assert fired == fires(affine.scale[i], affine.bias[i], u)
            assert fired == bool(np.float32(affine.scale[i] * np.float32(u)) + affine.bias[i] >= np.float32(1))
        boundary = (1 - Fraction(float(affine.bias[i]))) / Fraction(float(affine.scale[i]))
        assert boundary == Fraction(int(layer.thresholds[i])) - Fraction(1, 2)
        assert math.ceil(boundary) == layer.thresholds[i]


def test_a_neuron_of_scale_zero_fires_always_or_never():
    layer, affine = snap(np.array([[1, -2]] * 3, np.int8), np.zeros(3, np.float32), np.array([1, 0.99, 5], np.float32))
    assert layer.thresholds.tolist() == [-3, 4, -3]
    assert (affine.scale > 0).all()


@pytest.mark.parametrize(("scale", "bias"), [(math.nan, 0), (math.inf, 0), (1, math.nan), (1, -math.inf)])
def test_a_neuron_that_is_not_finite_is_refused(scale, bias):
    with pytest.raises(PresetError, match="diverged"):
        snap(np.ones((1, 2), np.int8), np.array([scale], np.float32), np.array([bias], np.float32))


# --- folding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", BITS)
def test_folding_keeps_every_spike(bits):
    network, spikes = random_network(bits), random_spikes()
    seen = []
    for layer in network.layers[:-1]:
        layer.spike.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    with torch.no_grad():
        membrane, _ = network(spikes)
    trace = golden.run(integers(network), spikes[:, None].numpy().astype(np.uint8))  # one step
    layers = [torch.from_numpy(fired[:, 0]).float() for fired in trace.spikes[:-1]]
    for (u, theirs), s in zip(seen, layers, strict=True):
        differing = theirs != s
        assert ((u[differing] - 1).abs() < 1e-4).all()  # only where float rounding decides
        assert differing.float().mean() < 1e-3
        assert 0.05 < s.mean() < 0.95
    same = (layers[-1] == seen[-1][1]).all(1)
    scale = network.layers[-1].linear.quant_weight().scale
    assert same.float().mean() > 0.9
    assert torch.allclose(torch.from_numpy(trace.membranes[:, 0])[same] * scale, membrane[same], atol=1e-4)


@pytest.mark.parametrize("bits", BITS)
def test_the_exported_model_holds_exactly_the_integers(bits):
    network, affines = convert(random_network(bits))
    step = Step(network, affines, bits)
    for linear, layer, affine in zip(step.sums, network.layers, affines, strict=True):
        quantised = linear.quant_weight()
        assert torch.equal(quantised.value / quantised.scale, torch.from_numpy(layer.weights.T.copy()).float())
        assert quantised.scale.flatten().tolist() == np.ravel(affine.scale).tolist()


@pytest.mark.parametrize("bits", BITS)
def test_float_arithmetic_is_exact_in_any_order(bits):
    step, spikes = exported_step(random_network(bits)), random_spikes(50)
    linear, bias = step.sums[0], step.biases[0]
    order = torch.randperm(784)
    with torch.no_grad():
        weight = linear.quant_weight().value
        u = bias(spikes @ weight.T)
        assert torch.equal(u, bias(spikes[:, order] @ weight[:, order].T))
        assert torch.equal(u.double(), spikes.double() @ weight.double().T + bias.bias.double())
        assert ((u - 1).abs() >= linear.quant_weight().scale.T / 2).all()


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("trained")
    train(TINY, out)
    return out / "checkpoint.pt"


@pytest.fixture(scope="module")
def exported(trained):
    """Path of the exported network, and its proof."""
    out = trained.parent / "model.onnx"
    return out, export.export_checkpoint(trained, out, images=200)


def test_the_proof_counts_what_it_compared(exported):
    out, proof = exported
    assert json.loads(out.with_suffix(".proof.json").read_text()) == proof
    assert proof["images"] == 200
    assert proof["time_steps"] == 2
    assert proof["spikes_compared"] == 200 * 2 * (32 + 32)
    assert proof["membranes_compared"] == 200 * 2 * 10
    assert proof["onnx_mismatches"] == 0
    assert proof["onnx_sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


def test_the_proofs_accuracy_is_the_trainings(exported, trained):
    history = torch.load(trained, weights_only=True)["history"]
    assert exported[1]["accuracy"] == history[-1]["test_accuracy"]


def test_the_graph_is_the_documented_one(exported):
    model = onnx.load(exported[0])
    onnx.checker.check_model(model)
    hidden = [("weight_quant", "Quant"), ("matmul", "MatMul"), ("bias_add", "Add"), ("spike", "Quant")]
    expected = [(f"layer{i}_{role}", op) for i in (0, 1) for role, op in hidden]
    expected += [("output_weight_quant", "Quant"), ("output_matmul", "MatMul")]
    assert [(node.name, node.op_type) for node in model.graph.node] == expected
    for values, name, shape in ((model.graph.input, "spikes", [1, 784]), (model.graph.output, "membrane", [1, 10])):
        assert [value.name for value in values] == [name]
        assert [d.dim_value for d in values[0].type.tensor_type.shape.dim] == shape
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    assert shapes["layer0_weight_scale"] == [1, 32]
    assert shapes["output_weight_scale"] == []
    used = {name for node in model.graph.node for name in node.input}
    assert set(shapes) == used - {"spikes"} - {node.output[0] for node in model.graph.node}


def test_metadata_says_how_to_run_it(exported):
    metadata = {entry.key: entry.value for entry in onnx.load(exported[0]).metadata_props}
    assert metadata["accuracy"] == f"{exported[1]['accuracy']:.4f}"
    expected = {
        "spikeline_version": "1",
        "integration": "discontinuous",
        "encoder": "bernoulli",
        "time_steps": "2",
        "output": "membrane",
        "preset": "tiny",
        "sizes": "784,32,32,10",
        "weight_bits": "4",
        "seed": "0",
        "eval_seed": "0",
        "epochs_trained": "1",
    }
    assert expected.items() <= metadata.items()


def test_exporting_twice_gives_the_same_bytes(exported, trained, tmp_path):
    export.export_checkpoint(trained, tmp_path / "again.onnx", images=1)
    assert (tmp_path / "again.onnx").read_bytes() == exported[0].read_bytes()


@pytest.mark.parametrize(("bits", "planes"), [(4, 4), (1, 8)])
def test_direct_input_folds_exports_and_proves(bits, planes):
    """What training sees, pixels / 256 without the bits that are not sent, is what integers and ONNX make of the planes."""
    network = random_network(bits, encoder="direct", time_steps=planes)
    pixels = np.random.default_rng(planes).integers(0, 256, (60, 784)).astype(np.uint8)
    pixels[np.random.default_rng(0).random(pixels.shape) < 0.8] = 0
    planes_sent = encode(pixels, "direct", planes)
    seen = []
    for layer in network.layers[:-1]:
        layer.spike.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    with torch.no_grad():
        network(training_data.sample(torch.from_numpy(pixels), "direct", planes))
    trace = golden.run(integers(network), planes_sent)
    u, theirs = seen[0]
    assert 0.1 < theirs.mean() < 0.9
    differ = torch.from_numpy(trace.spikes[0][:, 0]) != theirs.bool()
    assert ((u - 1).abs()[differ] < 1e-4).all(), "only where float rounding decides"
    step = exported_step(network)
    model = write(step)
    assert [x.name for x in model.graph.input] == ["pixels"]
    proof = export.prove(model, step, planes_sent)
    assert (proof["spikes_compared"], proof["membranes_compared"], proof["time_steps"]) == (60 * 64, 600, planes)
    changed = dataclasses.replace(step.network.layers[0], thresholds=step.network.layers[0].thresholds + (64 << planes))
    step.network = dataclasses.replace(step.network, layers=(changed, *step.network.layers[1:]))
    with pytest.raises(SpikelineError, match="integers"):
        export.prove(model, step, planes_sent)


@pytest.mark.parametrize("bits", BITS)
def test_every_weight_width_exports_and_proves(bits):
    network = random_network(bits)
    step = exported_step(network)
    model = write(step)
    spikes = random_spikes(60).to(torch.uint8).view(30, 2, 784).numpy()
    assert export.prove(model, step, spikes)["spikes_compared"] == 30 * 2 * 64
    kinds = {node.name: node.op_type for node in model.graph.node}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.name.endswith("_spike"):
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            assert node.op_type == "Quant"
            assert attributes == {"signed": 0, "narrow": 0, "rounding_mode": b"FLOOR"}
            assert [float(constants[name]) for name in node.input[1:]] == [1, 0, 1]  # scale, zero point, bits
    assert kinds["layer0_weight_quant"] == ("BipolarQuant" if bits == 1 else "Quant")


@pytest.mark.parametrize("batch", [500, 7])
def test_the_score_is_that_of_the_golden_model(monkeypatch, batch):
    """Accuracy, and rates as means of float32 batches, each of them that of torch."""
    monkeypatch.setattr(scoring, "BATCH", batch)
    network = integers(random_network(4))
    spikes = random_spikes(60).to(torch.uint8).view(30, 2, 784).numpy()
    packed = PackedSpikes(np.packbits(spikes, axis=-1, bitorder="little"), 784)
    trace = golden.run(network, spikes)
    labels = trace.labels.astype(np.uint8)
    labels[:9] = (labels[:9] + 1) % 10
    accuracy, rates = scoring.score(network, Samples("test", labels, None, packed, "bernoulli", 2, 0))
    assert accuracy == 21 / 30
    for rate, layer in zip(rates, [spikes, *trace.spikes[:-1]], strict=True):
        batches = torch.from_numpy(layer).float().split(batch)
        assert rate == sum(float(x.mean()) * len(x) for x in batches) / 30


def array(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def change(model, name, edit):
    tensor = array(model, name)
    values = numpy_helper.to_array(tensor).copy()
    edit(values)
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def round_spikes(model):
    node = next(node for node in model.graph.node if node.name == "layer1_spike")
    next(a for a in node.attribute if a.name == "rounding_mode").s = b"ROUND"


DAMAGES = {
    "hidden weights": lambda m: change(m, "layer0_weight", lambda w: w[400:412].__iadd__(0.25)),
    "hidden bias": lambda m: change(m, "layer1_bias", lambda b: b.__iadd__(0.5)),
    "rounding": round_spikes,
    "output scale": lambda m: change(m, "output_weight_scale", lambda s: s.__imul__(2)),
    "output weight": lambda m: change(m, "output_weight", lambda w: w.__imul__(-1)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_corrupted_file_fails_the_proof_and_is_not_left(exported, trained, tmp_path, monkeypatch, damage):
    model = copy.deepcopy(onnx.load(exported[0]))
    damage(model)
    monkeypatch.setattr(export, "write", lambda *args: model)
    (tmp_path / "model.onnx").write_bytes(b"from an earlier export")
    with pytest.raises(SpikelineError, match="differ in"):
        export.export_checkpoint(trained, tmp_path / "model.onnx", images=50)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_diverged_is_not_exported(trained, tmp_path):
    network, tiny, history = checkpoint.load(trained)
    network.layers[0].norm.running_mean[3] = math.nan
    optimizer = torch.optim.Adam(network.parameters())
    checkpoint.save(tmp_path / "checkpoint.pt", tiny, network, optimizer, history)
    with pytest.raises(PresetError, match="diverged"):
        export.export_checkpoint(tmp_path / "checkpoint.pt", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
