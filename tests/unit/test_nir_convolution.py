"""Convolutions in NIR: the integers fire as torch and the framework's rule do, spike for spike, or are refused in one line."""

import dataclasses

import nir
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.errors import CompileError
from spikeline.model import golden
from spikeline.model.geometry import Geometry
from spikeline.model.network import Window
from spikeline.model.spec import Encoder
from spikeline_compiler.lower import compile_onnx
from spikeline_training.nir import reference
from spikeline_training.nir.convert import _template, compare, convert, float_layers, import_nir
from spikeline_training.nir.read import layers as chain

ONE, NONE = np.ones(1), np.zeros(1)
KEPT = nir.LIF(np.full(1, 2e-4), np.full(1, 2.0), NONE, ONE)  # v = v / 2 + I


def nodes(*given, shape=(1, 6, 7)):
    """A graph of these, one behind the other: nodes and edges."""
    whole = {"input": nir.Input(np.array(shape)), **{f"n{k}": x for k, x in enumerate(given)}, "output": nir.Output(ONE)}
    return whole, list(zip(list(whole), list(whole)[1:], strict=False))


def conv(weights, bias=None, stride=1, padding=0, sides=None, dilation=1, groups=1):
    weights = np.asarray(weights, float)
    return nir.Conv2d(sides, weights, stride, padding, dilation, groups, np.zeros(len(weights)) if bias is None else bias)


def threshold(neuron, shape):
    """A neuron node whose parameters are written for each neuron, as some exporters do."""
    return type(neuron)(**{key: np.broadcast_to(value, shape).copy() for key, value in vars(neuron).items() if key in PARAMETERS})


PARAMETERS = ("r", "tau", "v_threshold", "v_leak", "v_reset", "threshold")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["IF", "LIF", "Threshold"]), st.booleans())
def test_every_spike_is_that_of_torch(seed, kind, each):
    rng = np.random.default_rng(seed)
    kernel, stride = int(rng.choice([1, 3])), int(rng.integers(1, 3))
    padding = int(rng.integers(2)) * (kernel // 2)
    shape = tuple(int(x) for x in rng.integers((1, 3, 3), (3, 8, 8)))
    weights, bias = rng.integers(-3, 4, (3, shape[0], kernel, kernel)) / 4, rng.integers(-2, 3, 3) / 4
    sides = tuple((x + 2 * padding - kernel) // stride + 1 for x in shape[1:])
    made = {"IF": nir.IF(np.full(1, 1e4), ONE, NONE), "LIF": KEPT, "Threshold": nir.Threshold(ONE)}[kind]
    written = {0: padding, 1: (padding, padding)}[int(rng.integers(2))]
    if padding == kernel // 2 and stride == 1:
        written = "same"
    last = nir.Linear(rng.integers(-3, 4, (4, 3 * sides[0] * sides[1])).astype(float))
    flat = nir.Flatten(np.array([3, *sides]), 0)
    first = conv(weights, bias, stride, written, shape[1:] if rng.random() < 0.5 else None)
    graph = nodes(first, threshold(made, (3, *sides)) if each else made, flat, last, shape=shape)
    dense = chain(*graph)
    assert dense[0].window == Window(*shape, kernel, stride, padding)
    floats = float_layers(dense, "nir", "zero")
    imported = convert(floats, _template(dense, 3, "bernoulli"))
    spikes = (rng.random((20, 3, int(np.prod(shape)))) < 0.4).astype(np.uint8)
    trace = golden.run(imported.network, spikes)
    maps = torch.from_numpy(spikes.reshape(60, *shape).astype(np.float32))
    current = F.conv2d(maps, torch.tensor(weights).float(), torch.tensor(bias).float(), stride, padding).numpy()
    current = current.reshape(20, 3, -1)
    v, expected = np.zeros_like(current[:, 0]), []
    for t in range(3):
        v = {"IF": v + current[:, t], "LIF": v / 2 + current[:, t], "Threshold": current[:, t]}[kind]
        expected.append(v > 1)
        v = np.where(v > 1, 0, v)
    np.testing.assert_array_equal(trace.spikes[0], np.stack(expected, 1))
    told = compare(floats, imported, spikes)
    assert (told["labels_differing"], told["layers"][0]["spikes_differing"]) == (0, 0)


def floats_of(rng, maps=4):
    """A network of weights on no grid."""
    graph = nodes(
        conv(rng.normal(size=(maps, 1, 3, 3)), padding=1, stride=2),
        nir.LIF(np.full(1, 1e-3), np.full(1, 10.0), NONE, ONE),
        nir.Flatten(np.array([maps, 3, 4]), 0),
        nir.Linear(rng.normal(size=(3, 12 * maps))),
    )
    return chain(*graph)


def samples_of(rng, count=64, steps=4):
    return (rng.random((count, steps, 42)) < 0.4).astype(np.uint8)


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_on_no_grid_are_quantised(bits):
    rng = np.random.default_rng(bits)
    dense = floats_of(rng)
    floats = float_layers(dense, "nir", "zero")
    spikes = samples_of(rng)

    class Train:
        def spikes(self, start, stop):
            return spikes

    template = _template(dense, 4, "bernoulli")
    assert (template.sizes, template.encoder) == ([42, 48, 3], Encoder.BERNOULLI)
    imported = convert(floats, template, bits, Train())
    fired, _ = reference.run(floats, spikes)
    ours = golden.run(imported.network, spikes).spikes[0]
    assert imported.network.layers[0].window == dense[0].window
    assert 0.02 < fired[0].mean() < 0.9
    assert (ours != fired[0]).mean() < (0.1 if bits == 4 else 0.05)


def test_fine_tuning_convolves_as_the_integers_do():
    """The trained layer, before and after, fires as its own integers."""
    from spikeline_training.nir.fine_tune import Dense
    from spikeline_training.nir.quantise import quantise, state_bits

    rng = np.random.default_rng(3)
    floats = float_layers(floats_of(rng), "nir", "zero")
    spikes = samples_of(rng)
    fitted = quantise(floats[0], spikes, reference.run(floats, spikes)[0][0], 8)
    layer = Dense(fitted, 8, state_bits(fitted.integers))
    with torch.no_grad():
        theirs = layer(torch.from_numpy(spikes).float().transpose(0, 1)).transpose(0, 1).numpy()
    from spikeline_training.nir.quantise import execute

    np.testing.assert_array_equal(execute(layer.integers(), spikes, 8), theirs > 0)


UNEVEN = nir.IF(np.full((1, 4, 5), 1e4), np.arange(1.0, 21).reshape(1, 4, 5), np.zeros((1, 4, 5)))
LINEAR = nir.Linear(np.ones((2, 20)))
IF = nir.IF(np.full(1, 1e4), ONE, NONE)
FLAT = nir.Flatten(np.array([1, 4, 5]), 0)
REFUSED = {
    "a kernel of 5": ([conv(np.ones((1, 1, 5, 5)))], r"a kernel of 5×5; use one of 1×1, 3×3"),
    "an oblong kernel": ([conv(np.ones((1, 1, 1, 3)))], "a kernel of 1×3 with strides of 1 and 1; use the same both ways"),
    "unequal strides": ([conv(np.ones((1, 1, 3, 3)), stride=(1, 2))], "strides of 1 and 2; use the same both ways"),
    "a stride of 3": ([conv(np.ones((1, 1, 3, 3)), stride=3)], "a stride of 3; use 1 or 2"),
    "dilation": ([conv(np.ones((1, 1, 3, 3)), dilation=2)], "dilations of 2 and 2 and 1 groups; train with a dilation of 1"),
    "groups": ([conv(np.ones((2, 1, 3, 3)), groups=2)], "2 groups; train with a dilation of 1 and one group"),
    "paddings": ([conv(np.ones((1, 1, 3, 3)), padding=(0, 1))], "paddings of 0 and 1; pad all sides alike"),
    "a padding of 2": ([conv(np.ones((1, 1, 3, 3)), padding=2)], "a padding of 2; use 0 or, to keep the size, 1"),
    "no kernel": ([conv(np.ones((1, 3, 3)))], r"weights of shape \(1, 3, 3\); they must be \(maps, channels, kernel, kernel\)"),
    "flat before": ([FLAT, conv(np.ones((1, 1, 3, 3)))], "what it takes is flat; put all convolutions before"),
    "Linear before": ([nir.Linear(np.ones((42, 42))), IF, conv(np.ones((1, 1, 3, 3)))], "what it takes is flat"),
    "no neurons": ([conv(np.ones((1, 1, 3, 3))), conv(np.ones((1, 1, 3, 3)))], "no neurons between"),
    "other channels": ([conv(np.ones((2, 1, 3, 3))), IF, conv(np.ones((1, 3, 1, 1)))], "for 3 channels behind 2 maps"),
    "other inputs": ([conv(np.ones((1, 1, 3, 3))), IF, FLAT, nir.Linear(np.ones((2, 21)))], "21 inputs behind 20 neurons"),
    "last": ([conv(np.ones((1, 1, 3, 3))), IF], "the last layer is a convolution; end with Linear"),
    "other thresholds in a map": (
        [
            conv(np.ones((1, 1, 3, 3))),
            UNEVEN,
            FLAT,
            LINEAR,
        ],
        "differ from position to position of a map; train with one threshold",
    ),
    "summed": ([conv(np.ones((1, 1, 3, 3))), IF, nir.SumPool2d(2, 2, 0), FLAT, LINEAR], "a sum of four spikes is 0 to 4"),
    "averaged": ([conv(np.ones((1, 1, 3, 3))), IF, nir.AvgPool2d(2, 2, 0), FLAT, LINEAR], "a mean of four spikes is a share"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusal_names_the_node_the_reason_and_the_fix(case):
    given, words = REFUSED[case]
    with pytest.raises(CompileError, match=words) as caught:
        float_layers(chain(*nodes(*given)), "nir", "zero")
    assert "node 'n" in str(caught.value)


def test_a_file_that_does_not_say_the_size_of_its_maps():
    with pytest.raises(CompileError, match=r"does not say the size of its maps; export it with its input_shape, \(H, W\)"):
        chain(*nodes(conv(np.ones((1, 1, 3, 3))), shape=(42,)))


def test_file_to_onnx_to_integers(tmp_path, digits):
    """The whole command, and the compiler gives back the network that was proved."""
    rng = np.random.default_rng(1)
    whole, edges = nodes(
        conv(rng.integers(-3, 4, (2, 1, 3, 3)) / 4, padding=1, stride=2, sides=(28, 28)),
        IF,
        conv(rng.integers(-2, 3, (3, 2, 3, 3)) / 4, stride=2, sides=(14, 14)),
        IF,
        nir.Flatten(np.array([3, 6, 6]), 0),
        nir.Linear(rng.integers(-2, 3, (10, 108)).astype(float)),
        shape=(1, 28, 28),
    )
    nir.write(tmp_path / "net.nir", nir.NIRGraph(whole, edges, type_check=False))
    proof = import_nir(tmp_path / "net.nir", tmp_path / "net.onnx", "mnist", "zero", time_steps=3, images=60)
    assert (proof["onnx_mismatches"], proof["labels_differing"]) == (0, 0)
    assert proof["spikes_compared"] == 60 * 3 * (2 * 14 * 14 + 3 * 6 * 6)
    assert [x["exact"] for x in proof["layers"]] == [True] * 3
    room = dataclasses.replace(Geometry.load("z020-conv"), membrane_bits=14)
    network = compile_onnx(tmp_path / "net.onnx", room)
    assert [x.window for x in network.layers] == [Window(1, 28, 28, 3, 2, 1), Window(2, 14, 14, 3, 2), None]
