"""NIR in: networks of other frameworks fire here as they fire there, spike for spike, or are refused in one line."""

import json
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from spikeline.data import mnist
from spikeline.errors import CompileError, DataError, SpikelineError
from spikeline.model import golden
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry, LayerGeometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Reset
from spikeline_compiler.lower import compile_with_warnings
from spikeline_compiler.lower import read as read_onnx
from spikeline_training.nir import exact, reference
from spikeline_training.nir.convert import compare, convert, float_layers, import_nir
from spikeline_training.nir.exact import InexactError
from spikeline_training.nir.read import Dense, read
from spikeline_training.nir.reference import FloatLayer
from spikeline_training.nir.rules import RULES, Neuron

PEERS = ("SnnTorch", "SpikingJelly", "SpikingJellyKeepsInput", "Norse")
WIDTHS = (60, 40, 20, 10)
STEPS = {1.0: 8, 0.5: 4, 0.75: 3, 0.875: 2}
# Which of a framework's neurons, by what they keep and their reset, an integer layer equals.
EXACT = [
    *(("SnnTorch", keep, "zero") for keep in STEPS),
    ("SnnTorch", 1.0, "subtract"),
    *(("SpikingJelly", keep, reset) for keep in STEPS for reset in ("zero", "subtract")),
    *(("SpikingJellyKeepsInput", keep, reset) for keep in (0.5, 0.75) for reset in ("zero", "subtract")),
    *(("Norse", keep, "zero") for keep in STEPS),
]


@pytest.fixture(scope="module")
def peers():
    """The frameworks. They take ten seconds to import, so one worker does, when a test of this module runs."""
    from support import peers

    return peers


def trains(inputs, steps, samples=300, rate=0.3, seed=1):
    return (np.random.default_rng(seed).random((samples, steps, inputs)) < rate).astype(np.uint8)


def template(sizes, steps):
    layers = tuple(Layer(np.zeros((i, o), np.int8), np.zeros(o, np.int32)) for i, o in pairwise(sizes))
    return Network(layers, 8, steps)


def exported(peers, tmp_path, kind, keep=1.0, reset="zero", spiking=False, widths=WIDTHS):
    """A peer with weights on a grid, and its network as read from the file that its exporter writes."""
    decays = keep < 1 and kind in ("SpikingJelly", "Norse")  # the input, to 1 − keep of it: the more it must be
    digits = 2 + round(np.log2(1 - keep)) if decays else 2
    peer = peers.put_on_grid(peers.PEERS[kind](widths, keep, reset, spiking), digits)
    peer.export(tmp_path / "net.nir")
    return peer, float_layers(read(tmp_path / "net.nir"), peer.name, reset)


def same_spikes(peer, layers, steps, spikes, bits=None):
    """Spikes of every layer and class values of peer, float network and integers; returns the integer network."""
    imported = convert(layers, template([spikes.shape[2], *(len(x.dense.weights) for x in layers)], steps), bits)
    trace = golden.run(imported.network, spikes)
    with torch.no_grad():
        theirs, values = peer.run(torch.from_numpy(spikes).float().transpose(0, 1))
    fired, sums = reference.run(layers, spikes)
    assert len(theirs) == len(fired) == sum(x.neuron is not None for x in layers)
    for ours, floats, expected in zip(trace.spikes, fired, theirs, strict=False):
        expected = expected.transpose(0, 1).numpy()
        assert 0.01 < expected.mean() < 0.98
        assert (ours == expected).all()
        assert (floats == expected).all()
    assert (sums == values.numpy()).all()
    assert (trace.labels == values.numpy().argmax(1)).all()
    return imported


@pytest.mark.parametrize(("kind", "keep", "reset"), EXACT)
def test_every_spike_is_the_frameworks_own(peers, tmp_path, kind, keep, reset):
    spiking = keep in (1.0, 0.75)
    peer, layers = exported(peers, tmp_path, kind, keep, reset, spiking)
    imported = same_spikes(peer, layers, STEPS[keep], trains(WIDTHS[0], STEPS[keep]))
    assert imported.network.decode == (Decode.SPIKE_COUNT if spiking else Decode.MEMBRANE)
    assert imported.inexact == [None] * 3


@pytest.mark.long
@pytest.mark.parametrize(("kind", "keep", "reset"), EXACT)
def test_every_spike_of_1000_digits_is_the_frameworks_own(peers, tmp_path, kind, keep, reset):
    peer, layers = exported(peers, tmp_path, kind, keep, reset, widths=(784, 128, 64, 10))
    spikes = encode(mnist.load("test")[0][:1000], "bernoulli", STEPS[keep])
    same_spikes(peer, layers, STEPS[keep], spikes)


@pytest.mark.parametrize(("kind", "spiking"), [*((kind, False) for kind in PEERS), ("SnnTorch", True)])
def test_file_to_onnx_to_integers(peers, tmp_path, digits, kind, spiking):
    """The whole command, and the compiler gives back the network that was proved."""
    peer, _ = exported(peers, tmp_path, kind, 0.5, spiking=spiking, widths=(784, 24, 16, 10))
    proof = import_nir(tmp_path / "net.nir", tmp_path / "net.onnx", "mnist", "zero", peer.name, time_steps=3, images=60)
    assert proof["onnx_mismatches"] == 0
    assert proof["spikes_compared"] == 60 * 3 * (40 + 10 * spiking)
    assert [x["exact"] for x in proof["layers"]] == [True] * 3
    assert proof["accuracy"] == proof["float_accuracy"]
    bits = compiled(tmp_path / "net.onnx")
    assert [x.leak for x in bits.layers] == [1, 1, int(spiking)]
    spikes = trains(784, 3, 50)
    imported = convert(float_layers(read(tmp_path / "net.nir"), peer.name, "zero"), template((784, 24, 16, 10), 3))
    for ours, theirs in zip(golden.run(bits, spikes).spikes, golden.run(imported.network, spikes).spikes, strict=True):
        assert (ours == theirs).all()


def compiled(path):

    metadata = read_onnx(path).metadata
    weight_bits, state_bits = (int(metadata[key]) for key in ("weight_bits", "state_bits"))
    rooms = tuple(LayerGeometry(i, o, 1) for i, o in ((784, 64), (64, 64), (64, 64)))
    network, warnings = compile_with_warnings(path, Geometry("wide", rooms, weight_bits, state_bits + 1, 16, 100, True, 15))
    assert not warnings
    return network


def test_integers_equal_floats_wherever_they_are_said_to():
    """Random rules of time, gains, thresholds, weights and numbers of steps."""
    rng, equal, refused = np.random.default_rng(0), 0, 0
    for _ in range(300):
        steps, k = int(rng.integers(1, 9)), int(rng.choice([0, 0, 1, 2, 15]))
        weights, bias = rng.integers(-3, 4, (20, 30)) / 4 * 2.0 ** rng.integers(-2, 3), rng.integers(-2, 3, 20) / 4
        threshold, gain = (np.full(20, float(rng.choice(x))) for x in ([1, 0.5, 0.75, 1.3], [1, 0.5]))
        reset, strict = Reset(int(rng.integers(2))), bool(rng.integers(2))
        late = bool(k and reset == Reset.SUBTRACT and rng.integers(2))
        neuron = Neuron(1 - 2.0**-k if k else 1.0, gain, threshold, reset, strict, late)
        layer = FloatLayer(Dense("fc", weights, bias), neuron)
        try:
            found = exact.integers(layer, steps, 8)
        except InexactError:
            refused += 1
            continue
        built, _ = found.layer(max(2, found.state_bits(steps)))
        spikes = trains(30, steps, 40, seed=equal)
        trace = golden.run(Network((built,), 8, steps, decode=Decode.SPIKE_COUNT), spikes, states=True)
        assert (trace.spikes[0] == (reference.run([layer], spikes)[0][0] > 0)).all()
        states = trace.states[0]
        if states is not None:  # an end of the state would mean that it saturated
            assert -(1 << built.state_bits - 1) < states.min()
            assert states.max() < (1 << built.state_bits - 1) - 1
        equal += 1
    assert equal > 100
    assert refused > 50


@pytest.mark.parametrize(
    ("kind", "keep", "reset", "reason"),
    [
        ("SnnTorch", 0.5, "subtract", "the reset takes θ one step late"),
        ("SnnTorch", 0.9, "zero", "a leak is a shift"),
        ("SpikingJelly", 0.6, "zero", "a leak is a shift"),
        ("Norse", 0.5, "subtract", "it fires above θ, leaks and subtracts θ"),
        ("Norse", 0.8, "zero", "a leak is a shift"),
        ("SpikingJelly", 0.75, "zero", "its weights would need"),
    ],
)
def test_another_timing_is_refused_and_with_bits_said(peers, tmp_path, kind, keep, reset, reason):
    _, layers = exported(peers, tmp_path, kind, keep, reset)
    steps = 10 if reason.startswith("its weights") else 4
    with pytest.raises(CompileError, match=reason) as error:
        convert(layers, template(WIDTHS, steps))
    assert "\n" not in str(error.value)
    assert "--bits" in str(error.value)
    assert "node " in str(error.value)


class Calibration:
    """Training samples that are random spike trains."""

    pixels, encoder = None, "events"

    def __init__(self, inputs, steps, samples=200):
        self.all, self.time_steps = trains(inputs, steps, samples, seed=7), steps
        self.truth = (self.all.sum((1, 2)) % 10).astype(np.uint8)
        self.trains = self

    def __len__(self):
        return len(self.all)

    def spikes(self, start=0, stop=None):
        return self.all[start:stop]

    def batch(self, chosen):
        return self.all[chosen]


def floats(peers, tmp_path, kind, keep, reset, seed=0):
    torch.manual_seed(seed)
    peer = peers.PEERS[kind](WIDTHS, keep, reset)
    with torch.no_grad():
        for x in peer.linear:
            x.weight.mul_(3)
    peer.export(tmp_path / "net.nir")
    return peer, float_layers(read(tmp_path / "net.nir"), peer.name, reset)


@pytest.mark.parametrize(("kind", "keep"), [("SnnTorch", 0.9), ("SpikingJelly", 0.7), ("Norse", 0.8), ("SnnTorch", 1.0)])
def test_quantised_layers_come_near_and_say_what_changed(peers, tmp_path, kind, keep):
    """Eight bits come nearer than two; the float network is the framework's own."""
    peer, layers = floats(peers, tmp_path, kind, keep, "zero" if kind == "Norse" else "subtract")
    spikes, steps = trains(WIDTHS[0], 6), 6
    with torch.no_grad():
        theirs, _ = peer.run(torch.from_numpy(spikes).float().transpose(0, 1))
    ours, _ = reference.run(layers, spikes)
    assert all((a != b.transpose(0, 1).numpy()).mean() < 1e-3 for a, b in zip(ours, theirs, strict=True))
    shares = {}
    for bits in (2, 8):
        imported = convert(layers, template(WIDTHS, steps), bits, Calibration(WIDTHS[0], steps))
        assert imported.network.weight_bits == bits
        told = compare(layers, imported, spikes)["layers"]
        assert [x["exact"] for x in told] == [False] * 3
        assert ("in place of" in told[0]["changed"]) == (keep < 1)
        shares[bits] = told[0]["spikes_differing"]
    assert shares[8] < min(0.1, shares[2])


def test_fine_tuning_lowers_the_loss_and_gives_the_same_layers_again(peers, tmp_path):
    _, layers = floats(peers, tmp_path, "SnnTorch", 0.9, "subtract")
    said, found = [], []
    for _ in range(2):
        found.append(convert(layers, template(WIDTHS, 4), 4, Calibration(WIDTHS[0], 4), 3, say=said.append))
    first, second = found
    for a, b in zip(first.network.layers, second.network.layers, strict=True):
        assert (a.weights == b.weights).all()
    assert all("fine-tuned for 3 epochs" in x for x in first.inexact)
    losses = [float(x.split()[-1]) for x in said]
    assert losses[2] < losses[0]
    assert losses[:3] == losses[3:]


def graph(*nodes, edges=None):
    """A chain of these nodes between Input and Output, written to a file."""
    names = {f"n{n}": node for n, node in enumerate(nodes)}
    names = {"input": nir.Input({"input": np.array([6])}), **names, "output": nir.Output({"output": np.array([4])})}
    keys = list(names)
    return nir.NIRGraph(names, edges or list(pairwise(keys)), type_check=False)


ONE, NONE = np.ones(4), np.zeros(4)
LINEAR, SQUARE = nir.Linear(np.ones((4, 6))), nir.Linear(np.ones((4, 4)))
IF, LIF = nir.IF(ONE * 1e4, ONE, NONE), nir.LIF(ONE * 2e-4, ONE * 2, NONE, ONE, NONE)
THRESHOLD = nir.Threshold(ONE)
CONV = nir.Conv2d((6, 6), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1))


@pytest.mark.parametrize(
    ("nodes", "framework", "reset", "reason"),
    [
        ([LINEAR, nir.CubaLIF(ONE, ONE, ONE, NONE, ONE, NONE)], "nir", "zero", r"'n1' \(CubaLIF\): its synaptic current"),
        ([LINEAR, nir.LI(ONE, ONE, NONE)], "nir", "zero", r"'n1' \(LI\): a leaky membrane that never fires"),
        ([LINEAR, nir.I(ONE)], "nir", "zero", r"'n1' \(I\)"),
        ([LINEAR, nir.Scale(ONE), IF], "nir", "zero", r"'n1' \(Scale\): there are no factors"),
        ([LINEAR, nir.Delay(ONE), IF], "nir", "zero", r"'n1' \(Delay\)"),
        ([CONV], "nir", "zero", r"'n0' \(Conv2d\): the last layer is a convolution; end with Linear"),
        (
            [nir.SumPool2d(2, 2, 0)],
            "nir",
            "zero",
            r"\(SumPool2d\): a sum of four spikes is 0 to 4.*Conv2d with a stride of 2",
        ),
        ([nir.AvgPool2d(2, 2, 0)], "nir", "zero", r"\(AvgPool2d\): a mean of four spikes is a share.*stride of 2"),
        ([LINEAR, SQUARE], "nir", "zero", "no neurons between"),
        ([IF], "nir", "zero", "no weights before it"),
        ([LINEAR, IF, IF], "nir", "zero", "no weights before it"),
        ([], "nir", "zero", "no Linear, Affine or Conv2d node"),
        ([LINEAR, IF, LINEAR], "nir", "zero", "6 inputs behind 4 neurons"),
        ([LINEAR, nir.IF(ONE, -ONE, NONE)], "nir", "zero", "a threshold of -1"),
        ([LINEAR, nir.IF(ONE * 1e4, ONE, ONE / 2)], "nir", "zero", "v_reset is not 0"),
        ([LINEAR, nir.LIF(ONE, ONE, ONE / 2, ONE, NONE)], "nir", "zero", "v_leak is not 0"),
        (
            [LINEAR, nir.LIF(np.arange(1, 5) * 1e-3, ONE, NONE, ONE, NONE)],
            "nir",
            "zero",
            "one time constant for each layer",
        ),
        ([LINEAR, nir.LIF(ONE * 1e-5, ONE, NONE, ONE, NONE)], "snntorch", "zero", "name the framework that wrote it with --from"),
        ([LINEAR, IF], "norse", "subtract", "give --reset zero"),
        ([LINEAR, LIF], "sinabs", "subtract", "norm_input"),
        ([LINEAR, nir.IF(np.ones(3) * 1e4, np.ones(3), np.zeros(3))], "nir", "zero", "3 neurons behind weights for 4"),
        ([nir.Linear(np.full((4, 6), np.nan)), IF], "nir", "zero", "not finite"),
        ([LINEAR, IF], "lava", "zero", "the framework 'lava' is not known"),
    ],
)
def test_what_is_unsupported_is_refused_in_one_line(tmp_path, nodes, framework, reset, reason):
    nir.write(tmp_path / "net.nir", graph(*nodes))
    with pytest.raises(SpikelineError, match=reason) as error:
        float_layers(read(tmp_path / "net.nir"), framework, reset)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ([("input", "n0"), ("n0", "n1"), ("n1", "n0"), ("n1", "output")], "branches"),
        ([("input", "n0"), ("n0", "n1"), ("n1", "n0")], "a node that is before it"),
        ([("input", "n0"), ("n0", "output")], "no edge leads"),
        ([("input", "n0"), ("n0", "x")], "not there"),
    ],
)
def test_what_is_no_chain_is_refused(tmp_path, edges, reason):
    nir.write(tmp_path / "net.nir", graph(SQUARE, IF, edges=edges))
    with pytest.raises(CompileError, match=reason):
        read(tmp_path / "net.nir")


def test_files_that_are_no_nir_are_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("no HDF5")
    with pytest.raises(DataError, match="no NIR graph"):
        read(tmp_path / "text.nir")


def test_neurons_without_a_memory_are_discontinuous(tmp_path):
    """Threshold nodes; and mixed with others they are refused."""
    rng = np.random.default_rng(0)
    weights = [
        nir.Affine(rng.integers(-3, 4, shape) / 4, rng.integers(-2, 3, shape[0]) / 8) for shape in ((4, 6), (4, 4), (4, 4))
    ]
    nir.write(tmp_path / "net.nir", graph(weights[0], THRESHOLD, weights[1], THRESHOLD, weights[2]))
    layers = float_layers(read(tmp_path / "net.nir"), "nir", "zero")
    imported = convert(layers, template((6, 4, 4, 4), 5))
    assert not imported.network.continuous
    assert compare(layers, imported, trains(6, 5))["labels_differing"] == 0
    nir.write(tmp_path / "net.nir", graph(weights[0], THRESHOLD, weights[1], IF))
    with pytest.raises(CompileError, match="with and without a memory"):
        convert(float_layers(read(tmp_path / "net.nir"), "nir", "zero"), template((6, 4, 4), 5))


def test_sinabs_fires_several_times_unless_no_membrane_gets_that_far(tmp_path):
    """Its exporter's file, as its source says: an IF with r = 1."""
    for weight, passes in ((1 / 8, True), (1.0, False)):
        nir.write(tmp_path / "net.nir", graph(nir.Affine(np.full((4, 6), weight), NONE), nir.IF(ONE, ONE, NONE)))
        layers = float_layers(read(tmp_path / "net.nir"), "sinabs", "subtract")
        spikes = trains(6, 5, rate=0.8)
        assert (reference.run(layers, spikes)[0][0].max() > 1) != passes
        if passes:
            assert compare(layers, convert(layers, template((6, 4), 5)), spikes)["labels_differing"] == 0
        else:
            with pytest.raises(CompileError, match="several times in a step"):
                convert(layers, template((6, 4), 5))


def test_an_integer_network_that_should_be_exact_and_is_not_writes_nothing(peers, tmp_path, digits, monkeypatch):
    peer, _ = exported(peers, tmp_path, "SpikingJelly", widths=(784, 24, 16, 10))
    whole = reference.fire
    monkeypatch.setattr(reference, "fire", lambda neuron, current: 1 - whole(neuron, current))
    with pytest.raises(SpikelineError, match="should be exact"):
        import_nir(tmp_path / "net.nir", tmp_path / "net.onnx", "mnist", "zero", peer.name, time_steps=3, images=60)
    assert not (tmp_path / "net.onnx").exists()


def test_the_command(peers, tmp_path, digits, capsys):
    from spikeline.cli.main import main

    exported(peers, tmp_path, "SnnTorch", 0.5, widths=(784, 24, 16, 10))
    said = [str(tmp_path / "net.nir"), "--data", "mnist", "--reset", "zero", "--from", "snntorch", "--time-steps", "3"]
    main(["import", *said, "--verify", "20", "--out", str(tmp_path / "net.onnx")])
    out = capsys.readouterr().out
    assert "exact; 0.00 % of its spikes differ" in out
    assert "of 20 images at T = 3 agree" in out


def test_the_command_offers_every_framework_that_has_a_rule(capsys):
    from spikeline.cli.main import main

    with pytest.raises(SystemExit):
        main(["import", "--help"])
    assert f"--from {{{','.join(RULES)}}}" in " ".join(capsys.readouterr().out.split())


TAUGHT = [("SnnTorch", 0.9, "subtract"), ("SpikingJelly", 0.5, "zero"), ("Norse", 0.9, "zero")]


@pytest.mark.parametrize(("kind", "keep", "reset"), TAUGHT)
def test_a_brief_training_keeps_its_accuracy_in_8_bits(peers, tmp_path, monkeypatch, kind, keep, reset):
    """2,000 images to train on and 2,000 to be scored on, by the framework's own forward pass, which the float network equals."""
    some = {split: tuple(x[:2000] for x in mnist.load(split)) for split in ("train", "test")}
    monkeypatch.setattr(mnist, "load", lambda split, root=None: some[split])
    pixels, labels = (torch.from_numpy(x.copy()) for x in some["train"])
    peer = peers.train(peers.PEERS[kind]((784, 32, 10), keep, reset), pixels, labels.long(), 4, 2, rate=5e-3)
    peer.export(tmp_path / "net.nir")
    layers = float_layers(read(tmp_path / "net.nir"), peer.name, reset)
    images, truth = some["test"]
    spikes = encode(images, "bernoulli", 4)
    with torch.no_grad():
        (theirs,), values = peer.run(torch.from_numpy(spikes).float().transpose(0, 1))
    (ours,), _ = reference.run(layers, spikes)
    assert (ours != theirs.transpose(0, 1).numpy()).mean() < 1e-4  # of float rounding, in another order of the sums
    own = float((values.argmax(1).numpy() == truth).mean())
    assert own > 0.6
    proof = import_nir(tmp_path / "net.nir", tmp_path / "net.onnx", "mnist", reset, peer.name, bits=8, time_steps=4, images=200)
    assert abs(proof["float_accuracy"] - own) < 0.002
    assert proof["accuracy"] > proof["float_accuracy"] - 0.01
    assert proof["onnx_mismatches"] == 0
    assert np.isfinite([x["spikes_differing"] for x in proof["layers"][:1]]).all()


@pytest.mark.long
@pytest.mark.parametrize("case", range(3))
def test_8_bits_after_training_and_4_bits_fine_tuned_keep_the_frameworks_accuracy(peers, tmp_path, case):
    from campaigns.nir_peers import TRAINED, imports, trained

    kind, keep, reset, spiking = TRAINED[case]
    path, own = trained(kind, keep, reset, spiking, 60000, 3, tmp_path)
    quantised, _, tuned = imports(path, kind, reset, own, tmp_path)
    assert quantised["accuracy"] > own - 0.003
    assert tuned["accuracy"] > own - 0.005


def test_the_documented_table_is_what_converts(peers):
    """Each row of docs/nir.md, converted again."""
    from campaigns.nir_peers import conversions

    written = json.loads((Path(__file__).parents[2] / "docs/results/nir.json").read_text())
    assert conversions() == written["conversions"]
