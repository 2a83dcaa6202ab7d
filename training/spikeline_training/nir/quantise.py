"""Quantisation after training: the integer layer that comes nearest to a float layer on the user's samples.

Of a firing layer, the weights of each neuron are put in units of its threshold, which is a power of two in integers, and rounded.
Tried are: that power, from the one at which no weight is clipped on; a factor on weights and bias of each neuron, which makes up
for what rounding the leak does to its charge; and both leaks 1 − 2^-k next to the layer's. Taken is what gives spike counts with
the least mean squared error, of inputs that are the spikes of the quantised layer before. Of an output layer that is read by its
membrane, the scale is the one that gives class values with the least mean squared error, and biases put their means right.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikeline.errors import CompileError, ModelError
from spikeline.model import golden
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Reset
from spikeline_training.nir.exact import FEWEST_STATE_BITS, MOST_STATE_BITS, Integers, largest
from spikeline_training.nir.reference import FloatLayer
from spikeline_training.nir.rules import Neuron

FACTORS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4)  # on the weights of a firing neuron
CLIPS = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4)  # the largest integer stands for this share of the largest weight of an output layer


@dataclass(frozen=True)
class Fitted:
    """A quantised layer, and the floats that it was rounded from: multiples of the grid once rounded, threshold 1."""

    integers: Integers
    weights: np.ndarray  # float64 (neurons, inputs)
    bias: np.ndarray  # float64 (neurons,)


def quantise(layer: FloatLayer, spikes: np.ndarray, wanted: np.ndarray, bits: int) -> Fitted:
    """The layer with weights of `bits` bits that makes of `spikes`, (B, T, inputs), about what is wanted.

    wanted: the float network's spikes of this layer, (B, T, neurons), or class values (B, neurons). Raises CompileError if
    no such layer is possible.
    """
    fit = _firing if layer.neuron else _summing
    tried = list(fit(layer, spikes, wanted.sum(1) if layer.neuron else wanted, bits))
    if not tried:
        raise CompileError(f"node {layer.dense.name!r}: no weights of {bits} bits keep its membranes in range; use fewer inputs")
    return min(tried, key=lambda x: x[0])[1]


def _firing(layer: FloatLayer, spikes: np.ndarray, wanted: np.ndarray, bits: int) -> Iterator[tuple[float, Fitted]]:
    """Mean squared errors of spike counts and layers: one for each leak and threshold, with the best factor of each neuron."""
    neuron, weights, bias = layer.neuron, layer.dense.weights, layer.dense.bias
    assert neuron is not None
    threshold, extra = neuron.threshold, 0.0
    if neuron.late:  # fires at θ and takes θ / β: as if it fired at θ / β with a membrane that is higher by θ / β − θ
        threshold, extra = neuron.threshold / neuron.keep, 1 - neuron.keep
    weights, bias = (neuron.gain / threshold)[:, None] * weights, neuron.gain / threshold * bias
    lasting = neuron.keep > 0
    first = max(math.floor(math.log2(largest(bits) / max(float(np.abs(weights).max()), 1e-20))), 0)
    for power in range(first, min(first + 4, MOST_STATE_BITS)):
        for leak in leaks(neuron) if lasting else [0]:

            def scaled(factor: np.ndarray, power: int = power, leak: int = leak) -> Fitted:
                w, b = factor[:, None] * weights, factor * bias + extra * 2.0**-leak * (leak > 0)
                found = _rounded(w * 2**power, b * 2**power, 2**power, bits, 2.0**-power)
                reset = neuron.reset if lasting else Reset.ZERO
                found = replace(found, leak=leak, reset=reset, lasting=lasting, window=layer.dense.window)
                return Fitted(found, w, b)

            possible, errors = [], []
            for factor in FACTORS:
                made = execute(scaled(np.full(len(weights), factor)).integers, spikes, bits)
                if made is not None:
                    possible.append(factor)
                    error = np.square(made.sum(1) - wanted).reshape(len(wanted), layer.dense.columns, -1)
                    errors.append(error.mean((0, 2)))  # (columns,)
            if possible:
                yield float(np.min(errors, 0).mean()), scaled(np.array(possible)[np.argmin(errors, 0)])


def _summing(layer: FloatLayer, spikes: np.ndarray, wanted: np.ndarray, bits: int) -> Iterator[tuple[float, Fitted]]:
    """Mean squared errors of class values and output layers, one for each scale; biases make the means right."""
    weights, steps = layer.dense.weights, spikes.shape[1]
    for clip in CLIPS:
        unit = clip * max(float(np.abs(weights).max()), 1e-20) / largest(bits)
        made = execute(_rounded(weights / unit, np.zeros(len(weights)), None, bits, unit), spikes, bits)
        assert made is not None
        values = made.sum(1) * unit
        bias = (wanted - values).mean(0) / steps
        found = _rounded(weights / unit, bias / unit, None, bits, unit)
        error = float(np.square(values + found.biases * unit * steps - wanted).mean())
        yield error, Fitted(found, weights, bias)


def execute(integers: Integers, spikes: np.ndarray, bits: int) -> np.ndarray | None:
    """Spikes, or what each step adds to the class values, (B, T, neurons); None if one step can overflow its state."""
    decode = Decode.SPIKE_COUNT if integers.thresholds is not None else Decode.MEMBRANE
    layer = integers.layer(state_bits(integers))[0]
    end = Layer(np.zeros((layer.outputs, 1), np.int8), np.ones(1, np.int32))
    behind = [end] if layer.window else []  # no network ends in a convolution
    try:
        network = Network((layer, *behind), 8, spikes.shape[1], decode=decode)
    except ModelError:
        return None
    trace = golden.run(network, spikes)
    return trace.spikes[0] if behind else trace.counted


def state_bits(integers: Integers) -> int:
    """The bits of a state that a quantised layer gets: as the built-in geometries have, or as many more as one step needs."""
    return max(FEWEST_STATE_BITS, integers.step_bits) if integers.lasting and integers.thresholds is not None else 0


def leaks(neuron: Neuron) -> list[int]:
    """The shifts k whose 1 − 2^-k is next to what the neurons keep, 0 for all of it."""
    if neuron.keep == 1:
        return [0]
    exponent = -math.log2(1 - neuron.keep)
    return sorted({min(max(k, 1), 15) for k in (math.floor(exponent), math.ceil(exponent))})


def approximations(layer: FloatLayer, integers: Integers) -> list[str]:
    """What of the layer's rule of time the integer layer only comes near to, a sentence each."""
    neuron, found = layer.neuron, list[str]()
    if neuron is None or neuron.keep == 0:
        return found
    kept = 1 - 2.0**-integers.leak if integers.leak else 1.0
    if kept != neuron.keep:
        found.append(f"it keeps {kept:.6g} of its membrane in place of {neuron.keep:.6g}")
    if neuron.late:
        found.append("its late reset, of θ after the decay, is one of θ / β before it, and a bias")
    if neuron.several:
        found.append("several spikes in one step are one")
    return found


def _rounded(weights: np.ndarray, bias: np.ndarray, threshold: int | None, bits: int, grid: float) -> Integers:
    whole = np.rint(weights).clip(-largest(bits), largest(bits)).astype(np.int64)
    thresholds = None if threshold is None else np.full(len(weights), threshold)
    return Integers(whole, np.rint(bias).astype(np.int64), thresholds, grid)
