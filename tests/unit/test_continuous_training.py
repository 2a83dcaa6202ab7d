"""Training and export of continuous networks: gradients through time, exact integers, a proof that can fail."""

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("brevitas", reason="training needs the train extra")

import onnx
from onnx import numpy_helper

from spikeline.errors import PresetError, SpikelineError
from spikeline.model import encode, golden, model_file
from spikeline.model.geometry import Geometry
from spikeline_compiler.lower import compile_onnx
from spikeline_training import checkpoint, export, preset
from spikeline_training.graph import Step, write
from spikeline_training.integers import convert, integers
from spikeline_training.layers import SparseLinear
from spikeline_training.network import SpikingNetwork
from spikeline_training.neurons import Neurons
from spikeline_training.quantiser import PowerOfTwo
from spikeline_training.train import train
from spikeline_training.training_data import sample_steps

TINY = dataclasses.replace(
    preset.load("mnist-cc-latency"),
    hidden=(40, 24),
    sizes=(784, 40, 24, 10),
    time_steps=4,
    train_images=4096,
    epochs=3,
    batch=64,
)
KINDS = list(itertools.product((0, 2), ("subtract", "zero"), (False, True)))  # leak, reset, bias


def busy(leak=0, reset="subtract", bias=True, bits=4, state_bits=13, seed=0):
    """An untrained network whose neurons fire and are held down a lot, and biases that are not 0."""
    torch.manual_seed(seed)
    chosen = dataclasses.replace(TINY, leak=leak, reset=reset, bias=bias, weight_bits=bits, state_bits=state_bits, time_steps=12)
    network = SpikingNetwork(chosen)
    with torch.no_grad():
        for layer in network.layers:
            layer.bias.uniform_(-0.3, 0.3) if bias else layer.bias.zero_()
    return network.eval()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_the_sum_over_rows_that_spike_is_the_dense_product_to_the_bit(share):
    """Values and the gradients of weights and biases, whatever share of the inputs spikes."""
    torch.manual_seed(1)
    spikes = (torch.rand(5, 16, 60) < share).float()
    weights, bias = (torch.randint(-7, 8, shape) / 64 for shape in ((24, 60), (24,)))
    gradient, found = torch.randn(5, 16, 24), []
    for product in (SparseLinear.apply, F.linear):
        w, b = weights.clone().requires_grad_(), bias.clone().requires_grad_()
        current = product(spikes, w, b)
        current.backward(gradient)
        found.append((current.detach(), w.grad, b.grad))
    for sparse, dense in zip(*found, strict=True):
        assert torch.equal(sparse, dense)


@pytest.mark.parametrize(("leak", "reset"), list(itertools.product((0, 1, 3), ("subtract", "zero"))))
def test_neurons_do_the_arithmetic_of_the_contract(leak, reset):
    """In integers on a grid of 1/16, with a state of 6 bits, ±2: neuron by neuron, step by step; both ends are met."""
    rng = np.random.default_rng(leak)
    current = rng.integers(-30, 40, (20, 3, 7))
    spikes = Neurons.apply(torch.from_numpy(current / 16).float(), 1 / 16, leak, reset == "zero", 6)
    seen = set()
    for b, h in np.ndindex(3, 7):
        v = 0
        for t in range(20):
            v -= v >> leak if leak and t else 0
            v += int(current[t, b, h])
            fires = v >= 16
            v = (0 if reset == "zero" else v - 16) if fires else v
            v = min(max(v, -32), 31)
            seen.add(v)
            assert spikes[t, b, h] == fires
    assert -32 in seen
    assert reset == "zero" or 31 in seen


def unrolled(current, leak, to_zero):
    """The same neurons for automatic differentiation: a straight-through spike, and the reset as a given number."""
    v, spikes = torch.zeros_like(current[0]), []
    for x in current:
        v = v * (1 - 2.0**-leak if leak else 1) + x  # unrounded: currents are multiples of enough
        window = ((v >= 0) & (v < 2)).to(v.dtype).detach()
        fires = (v >= 1).to(v.dtype)
        spikes.append(fires.detach() + window * (v - v.detach()))
        v = v * (1 - fires.detach()) if to_zero else v - fires.detach()
    return torch.stack(spikes)


@pytest.mark.parametrize(("leak", "to_zero"), list(itertools.product((0, 1), (False, True))))
def test_gradients_go_back_through_time(leak, to_zero):
    torch.manual_seed(0)
    current = (torch.randint(-(2**10), 2**11, (6, 4, 5)) * 2.0**-10).double()
    weight = torch.randn(6, 4, 5).double()
    ours, theirs = current.clone().requires_grad_(), current.clone().requires_grad_()
    grid = 2.0**-30  # so fine that no leak is rounded
    a, b = Neurons.apply(ours, grid, leak, to_zero, 40), unrolled(theirs, leak, to_zero)
    assert torch.equal(a, b)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    last_only = torch.zeros_like(weight)
    last_only[-1] = 1
    ours.grad = None
    (Neurons.apply(ours, grid, leak, to_zero, 40) * last_only).sum().backward()
    assert ours.grad[0].abs().sum() > 0 or to_zero  # the first step is answerable for the last


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_weights_lie_on_one_power_of_two(bits):
    torch.manual_seed(bits)
    weight = (0.3 * torch.randn(50, 40)).requires_grad_()
    value, scale, _, _ = PowerOfTwo(bits)(weight)
    whole = value / scale
    largest = max(1, 2 ** (bits - 1) - 1)
    assert torch.log2(scale) == torch.log2(scale).round()
    assert torch.equal(whole, whole.round())
    assert whole.abs().max() == largest
    value.sum().backward()
    assert set(weight.grad.unique().tolist()) == ({1.0} if bits == 1 else {0.0, 1.0})
    inside = (weight.detach() / scale).round().abs() <= largest
    assert bits == 1 or torch.equal(weight.grad == 1, inside)


def test_latency_spikes_are_those_of_the_encoder():
    pixels = torch.arange(256, dtype=torch.uint8)[None]
    for time_steps in (1, 3, 8, 100, 192):
        ours = sample_steps(pixels, "latency", time_steps)
        np.testing.assert_array_equal(ours.numpy().transpose(1, 0, 2), encode.latency(pixels.numpy(), time_steps))


@pytest.mark.parametrize(("leak", "reset", "bias"), KINDS)
@pytest.mark.parametrize("bits", [2, 4])
def test_what_is_trained_is_the_integer_network(leak, reset, bias, bits):
    """Every class value after every step, and so every spike, from random input; states saturate on the way."""
    for state_bits in (13, 10):
        network = busy(leak, reset, bias, bits, state_bits)
        try:
            whole = integers(network)
        except PresetError:
            assert state_bits == 10  # too few for one step
            continue
        spikes = (np.random.default_rng(0).random((20, 12, 784)) < 0.15).astype(np.uint8)
        with torch.no_grad():
            values, rates = network(torch.from_numpy(spikes).transpose(0, 1).float())
            grid = float(network.layers[-1].linear.quant_weight().scale)
        trace = golden.run(whole, spikes)
        np.testing.assert_array_equal((values / grid).numpy().transpose(1, 0, 2), trace.running[0])
        for rate, fired in zip(rates, trace.spikes, strict=False):
            assert float(rate) == pytest.approx(fired.mean(), abs=1e-6)
        assert 0 < trace.spikes[1].mean() < 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training, its folder and last metrics."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(TINY, folder)


def test_a_short_training_learns_and_the_same_seed_gives_the_same_bits(trained, tmp_path):
    folder, last = trained
    assert last["test_accuracy"] > 0.5
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path, after_epoch=lambda metrics: interrupt(metrics["epoch"] == 1))
    assert train(TINY, tmp_path, resume=True)["loss"] == last["loss"]
    ours, theirs = (torch.load(x / "checkpoint.pt", weights_only=True)["network"] for x in (folder, tmp_path))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def interrupt(now):
    if now:
        raise KeyboardInterrupt


def test_the_loss_may_look_at_every_step(tmp_path):
    every = dataclasses.replace(TINY, loss_at="every", train_images=1024, epochs=1)
    assert (
        train(every, tmp_path / "every")["loss"] != train(dataclasses.replace(every, loss_at="last"), tmp_path / "last")["loss"]
    )


@pytest.fixture(scope="module")
def exported(trained):
    """The file of the short training and its proof."""
    folder, _ = trained
    proof = export.export_checkpoint(folder / "checkpoint.pt", folder / "model.onnx", images=30)
    return folder / "model.onnx", proof


def test_the_export_is_proved_and_compiles_to_the_same_integers(exported, trained):
    path, proof = exported
    assert proof["onnx_mismatches"] == 0
    assert proof["spikes_compared"] == 30 * 4 * (40 + 24)
    assert proof["membranes_compared"] == 30 * 4 * (40 + 24 + 10)
    assert proof["accuracy"] == trained[1]["test_accuracy"]
    network, _, _ = checkpoint.load(trained[0] / "checkpoint.pt")
    whole, compiled = integers(network), compile_onnx(path, Geometry.load("z020-256"))
    assert model_file.build(compiled).crc == model_file.build(dataclasses.replace(whole, weight_bits=compiled.weight_bits)).crc


def test_names_and_metadata_are_as_documented(exported):
    model = onnx.load(exported[0])
    assert [x.name for x in model.graph.input] == ["spikes", "v0_in", "v1_in", "v_out_in"]
    assert [x.name for x in model.graph.output] == ["membrane", "v0_out", "v1_out"]
    names = [node.name for node in model.graph.node]
    assert names[:7] == [
        f"layer0_{role}" for role in ("weight_quant", "matmul", "bias_add", "integrate", "spike", "reset", "saturate")
    ]
    assert names[-1] == "output_integrate"
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert (facts["integration"], facts["leak"], facts["reset"], facts["state_bits"]) == ("continuous", "0", "subtract", "13")
    assert (facts["encoder"], facts["time_steps"]) == ("latency", "4")


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize(("leak", "reset", "bias"), KINDS)
def test_every_kind_of_neuron_is_exported_exactly(leak, reset, bias, bits):
    network = busy(leak, reset, bias, bits)
    step = Step(*convert(network), bits)
    model = write(step)
    spikes = (np.random.default_rng(1).random((10, 12, 784)) < 0.1).astype(np.uint8)
    assert export.prove(model, step, spikes)["onnx_mismatches"] == 0


@pytest.mark.parametrize("name", ["layer0_weight", "layer1_bias", "layer0_leak_factor", "layer1_highest"])
def test_the_proof_finds_a_changed_constant(name):
    network = busy(leak=2)
    step = Step(*convert(network), 4)
    model = copy.deepcopy(write(step))
    constant = next(x for x in model.graph.initializer if x.name == name)
    changed = numpy_helper.to_array(constant) * np.float32(2.0**-8)
    constant.CopyFrom(numpy_helper.from_array(changed, name))
    spikes = (np.random.default_rng(1).random((10, 12, 784)) < 0.1).astype(np.uint8)
    with pytest.raises(SpikelineError, match=r"differ in \d+ .* at step \d+"):
        export.prove(model, step, spikes)


def mixed(lasting):
    """A network of which a hidden layer's membranes last if `lasting` says so, and its float arithmetic."""
    networks = busy(leak=2, reset="zero"), SpikingNetwork(dataclasses.replace(TINY, integration="discontinuous")).eval()
    for norm in (layer.norm for layer in networks[1].layers[:-1]):
        norm.running_var.fill_(0.02)  # so that some fire
    continuous, discontinuous = (convert(network) for network in networks)
    chosen = [continuous if x else discontinuous for x in (*lasting, True)]
    layers = tuple(network.layers[n] for n, (network, _) in enumerate(chosen))
    affines = [affines[n] for n, (_, affines) in enumerate(chosen)]
    return dataclasses.replace(continuous[0], layers=layers), affines


@pytest.mark.parametrize("lasting", [(True, False), (False, True)])
def test_each_layer_is_exported_by_its_own_kind(lasting):
    network, affines = mixed(lasting)
    step = Step(network, affines, 4)
    model = write(step)
    assert [x.name for x in model.graph.output[1:]] == [f"v{n}_out" for n in range(2) if lasting[n]]
    spikes = (np.random.default_rng(1).random((10, 12, 784)) < 0.1).astype(np.uint8)
    proof = export.prove(model, step, spikes)
    assert proof["spikes_compared"] == 10 * 12 * (40 + 24)
    assert proof["membranes_compared"] == 10 * 12 * (40 * lasting[0] + 24 * lasting[1] + 10)
    fired = golden.run(network, spikes).spikes
    assert all(0 < x.mean() < 1 for x in fired[:2])
