"""The float network, executed under its framework's rule: what the integers are compared with."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spikeline.model.spec import Reset
from spikeline_training.nir.read import Dense
from spikeline_training.nir.rules import Neuron


@dataclass(frozen=True)
class FloatLayer:
    """Weights as NIR has them, and their neurons under the rule of a framework; None of a last layer read by its membrane."""

    dense: Dense
    neuron: Neuron | None


def currents(layer: FloatLayer, spikes: np.ndarray) -> np.ndarray:
    """W s + b, float32 (B, T, columns, positions), of spikes (B, T, inputs)."""
    dense, (batch, steps, _) = layer.dense, spikes.shape
    rows, weights = spikes.reshape(batch * steps, -1), dense.weights.T.astype(np.float32)
    seen = dense.window.patches(rows) if dense.window else rows[:, None]  # (B · T, positions, fan-in)
    sums = seen.astype(np.float32) @ weights + dense.bias.astype(np.float32)
    return sums.swapaxes(1, 2).reshape(batch, steps, dense.columns, dense.positions)


def fire(neuron: Neuron, current: np.ndarray) -> np.ndarray:
    """Spikes of neurons, float32 (B, T, neurons): 0 and 1, more only of those that fire several times in a step.

    current: float32 (B, T, columns, positions).
    """
    keep, gain, threshold = (np.reshape(x, (-1, 1)).astype(np.float32) for x in (neuron.keep, neuron.gain, neuron.threshold))
    fired, v, spikes = np.empty_like(current), np.zeros_like(current[:, 0]), np.zeros_like(current[:, 0])
    for t in range(current.shape[1]):
        v = keep * v + gain * current[:, t]
        if neuron.late:
            v -= spikes * threshold
        spikes = (v > threshold if neuron.strict else v >= threshold).astype(np.float32)
        if neuron.several:
            spikes *= np.floor(v / threshold)
        if not neuron.late:
            v = v - spikes * threshold if neuron.reset == Reset.SUBTRACT else np.where(spikes > 0, np.float32(0), v)
        fired[:, t] = spikes
    return fired.reshape(*fired.shape[:2], -1)


def run(layers: list[FloatLayer], spikes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Spikes of each layer that fires, (B, T, neurons), and the class values after all steps, float32 (B, classes)."""
    fired, x = list[np.ndarray](), spikes
    for layer in layers:
        current = currents(layer, x)
        if layer.neuron is None:
            return fired, current.sum(1)[..., 0]
        x = fire(layer.neuron, current)
        fired.append(x)
    return fired, x.sum(1)


def accuracy(layers: list[FloatLayer], batches: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> float:
    """Share of the labelled samples, spike trains and labels, that the float network gets right."""
    right = total = 0
    for spikes, labels in batches:
        assert labels is not None
        _, values = run(layers, spikes)
        right, total = right + int((values.argmax(1) == labels).sum()), total + len(labels)
    return right / total
