"""Layers that an integer layer equals to the bit, and why others do not.

The integers are the floats in units of a power of two so small that nothing is ever rounded, over all time steps:

* a leak of 1 − 2^-k divides by 2^k in each step but the first, so weights are multiplied by 2^(k (T − 1)) beforehand;
* v > θ is v ≥ θ + 1 in integers, where a reset puts v to 0. Where it subtracts, it must take θ, not θ + 1: then a bias of
  −1 in each step makes the difference, which stays below one unit of the weights if that is divided into T or more.

Whether the weights then still fit their bits, and all membranes their state, is computed for each layer.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from spikeline.model.network import Layer, Window
from spikeline.model.spec import Reset
from spikeline_training.integers import Affine, snap
from spikeline_training.nir.reference import FloatLayer
from spikeline_training.nir.rules import Neuron

FEWEST_STATE_BITS, MOST_STATE_BITS = 13, 23  # the built-in continuous geometry's, and what a network may have
FINEST = 40  # binary digits behind the point that are looked for


class InexactError(Exception):
    """A layer that no integer layer equals; the message is the reason and the fix."""


@dataclass(frozen=True)
class Integers:
    """A layer in integers: weights and biases int64 (neurons, inputs) and (neurons,), thresholds (neurons,), and its unit."""

    weights: np.ndarray
    biases: np.ndarray
    thresholds: np.ndarray | None  # None of an output layer that is read by its membrane
    grid: float = 1.0  # what one unit is worth in floats: a power of two, of an output layer any number; a reset takes 1
    leak: int = 0
    reset: Reset = Reset.ZERO
    lasting: bool = True
    window: Window | None = None  # of a convolution, whose rows are maps

    def state_bits(self, steps: int) -> int:
        """The fewest bits of a state that no spike train of so many steps can saturate."""
        if self.thresholds is None or not self.lasting:
            return 0
        low, high, (falls, rises) = np.zeros(len(self.weights)), np.zeros(len(self.weights)), self.reach
        for _ in range(steps):  # a leak is left out: it only brings membranes nearer to 0
            low = low + falls
            after = high + rises - (self.thresholds if self.reset == Reset.SUBTRACT else math.inf)
            high = np.maximum(np.minimum(self.thresholds - 1, high + rises), after)
        return max(_bits(float(min(low.min(), -high.max() - 1))), self.step_bits)

    @property
    def step_bits(self) -> int:
        """The fewest bits of a state that one step cannot move across: less is no network."""
        assert self.thresholds is not None
        falls, rises = self.reach
        furthest = max(float((self.thresholds - falls).max()), float(rises.max()), float(self.thresholds.max()))
        return _bits(-furthest - 1)

    @property
    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """By how much one step can lower and raise each membrane."""
        falls = np.minimum(self.weights, 0).sum(1) + np.minimum(self.biases, 0)
        return falls, np.maximum(self.weights, 0).sum(1) + np.maximum(self.biases, 0)

    def layer(self, state_bits: int) -> tuple[Layer, Affine]:
        """As the network and the float graph take it."""
        weights, biases = self.weights.astype(np.int8), self.biases.astype(np.int32)
        if self.thresholds is None:  # any scale will do: class values are compared with one another
            scale = np.array(2.0 ** min(round(math.log2(self.grid)), 0), np.float32)
            return Layer(weights.T.copy(), -biases), Affine(scale, biases.astype(np.float32) * scale)
        if not self.lasting:
            ones = np.ones(len(weights))
            layer, affine = snap(weights, ones, 1.5 - (self.thresholds - self.biases))  # half-way between two sums
            return replace(layer, window=self.window), affine
        given = biases if biases.any() else None
        thresholds = self.thresholds.astype(np.int32)
        layer = Layer(weights.T.copy(), thresholds, state_bits, given, self.leak, self.reset, self.window)
        return layer, Affine(np.array(self.grid, np.float32), (biases * self.grid).astype(np.float32))


def integers(layer: FloatLayer, steps: int, bits: int) -> Integers:
    """The integer layer that fires as the float layer does in each of `steps` steps, with weights of `bits` bits.

    Raises InexactError.
    """
    neuron, weights, bias = layer.neuron, layer.dense.weights, layer.dense.bias
    if neuron is None:
        return _output(weights, bias, bits)
    weights, bias = neuron.gain[:, None] * weights, neuron.gain * bias
    stateless = neuron.keep == 0 or steps == 1
    leak = 0 if stateless else shift(neuron.keep)
    if neuron.late and not stateless:
        raise InexactError(
            "the reset takes θ one step late, after the decay, so θ / β before it; train with reset_mechanism='zero'"
        )
    if neuron.several and (np.maximum(weights, 0).sum(1) + bias > neuron.threshold).any():
        fix = "train with spike_fn=SingleSpike and give --from spikingjelly --dt 1, whose rule it then is"
        raise InexactError(f"a neuron may fire several times in a step; {fix}")
    subtracts = neuron.reset == Reset.SUBTRACT and not stateless
    drifts = subtracts and neuron.strict
    if drifts and leak:
        raise InexactError("it fires above θ, leaks and subtracts θ, where v ≥ θ + 1 would subtract θ + 1; give --reset zero")
    if subtracts:  # a reset takes 1 in the float graph
        weights, bias, threshold = weights / neuron.threshold[:, None], bias / neuron.threshold, np.ones(len(weights))
    else:
        threshold = neuron.threshold
    finer = leak * (steps - 1) + (math.ceil(math.log2(steps)) if drifts else 0)
    digits = _digits(np.append(weights, bias), neuron, 0 if subtracts else -FINEST) + finer
    if (size := float(np.abs(weights).max())) * 2.0**digits > largest(bits):
        needed = math.ceil(math.log2(size * 2.0**digits + 1)) + 1 if size else 2
        reason = f", {finer} of them for the leak and the comparison over {steps} time steps" if finer else ""
        raise InexactError(f"its weights would need {needed} bits{reason}; quantise with --bits, or take fewer time steps")
    unit = 2.0**digits
    thresholds = np.floor(threshold * unit) + 1 if neuron.strict and not drifts else np.ceil(threshold * unit)
    found = Integers(
        _int(weights * unit),
        _int(bias * unit) - drifts,
        _int(thresholds),
        1 / unit,
        leak,
        neuron.reset if not stateless else Reset.ZERO,
        not stateless,
        layer.dense.window,
    )
    if found.state_bits(steps) > MOST_STATE_BITS:
        raise InexactError(
            f"its membranes would need {found.state_bits(steps)} bits; quantise with --bits, or take fewer time steps"
        )
    return found


def largest(bits: int) -> int:
    """The largest weight of so many bits, whose range is symmetric."""
    return 2 ** (bits - 1) - 1


def shift(keep: float) -> int:
    """k of a share of 1 − 2^-k that is kept, 0 of 1. Raises InexactError for any other."""
    lost = 1 - keep
    if lost == 0:
        return 0
    k = round(-math.log2(lost))
    if lost != 2.0**-k or not 1 <= k <= 15:
        raise InexactError(
            f"it keeps {keep:.6g} of its membrane, where a leak is a shift and keeps 1 − 2^-k; train with 0.5, 0.75, 0.875 …"
        )
    return k


def _output(weights: np.ndarray, bias: np.ndarray, bits: int) -> Integers:
    digits = _digits(np.append(weights, bias), None, -FINEST)
    if np.abs(weights).max() * 2.0**digits > largest(bits):
        raise InexactError(f"its weights are no multiples of a power of two that fit {bits} bits; quantise with --bits")
    return Integers(_int(weights * 2.0**digits), _int(bias * 2.0**digits), None, 2.0**-digits)


def _digits(values: np.ndarray, neuron: Neuron | None, fewest: int) -> int:
    """Binary digits behind the point that all values have, at least `fewest`. Raises InexactError for more than can matter."""
    for digits in range(fewest, FINEST):
        scaled = values * 2.0**digits
        if (scaled == np.rint(scaled)).all():
            return digits
    what = "of the threshold" if neuron and neuron.reset == Reset.SUBTRACT else "of a power of two"
    raise InexactError(f"its weights and biases are no small multiples {what}; quantise with --bits")


def _int(values: np.ndarray) -> np.ndarray:
    if (np.abs(values) >= 2.0**53).any():
        raise InexactError("a threshold or bias is too large beside its weights; quantise with --bits")
    return np.asarray(values).astype(np.int64)


def _bits(lowest: float) -> int:
    return 1 + max(1, math.ceil(math.log2(max(-lowest, 1))))
