"""The integer golden model: executes a network exactly as the arithmetic contract says. The reference for RTL and C."""

from dataclasses import dataclass

import numpy as np

from spikeline.model import early_exit
from spikeline.model.encode import from_planes
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Reset


@dataclass(frozen=True)
class Trace:
    """Everything that a network did with a batch of B images over T time steps; of direct input T is 1, its one decision."""

    spikes: list[np.ndarray]  # per layer bool (B, T, outputs): did u reach θ; of an output read by its membrane, of no effect
    membranes: np.ndarray  # int32 (B, T, classes): u − θ of the output layer at every step, or its v if it is continuous
    states: list[np.ndarray | None]  # per layer int32 (B, T, neurons): v after every step; None if discontinuous or not asked for
    counted: np.ndarray  # (B, T, classes): what each step adds to the class values
    values: np.ndarray  # int32 (B, classes): what the class is read from
    labels: np.ndarray  # uint16 (B,)
    steps: np.ndarray  # uint16 (B,): time steps used, fewer than T only with early exit
    row_reads: np.ndarray  # int64 (B, T, layers): spikes that enter each layer, each of which reads one row of weights

    @property
    def running(self) -> tuple[np.ndarray, np.ndarray]:
        """Class values after each time step, int32 (B, T, classes), and the class that leads then, uint16 (B, T)."""
        values = self.counted.cumsum(1, dtype=np.int32)
        return values, values.argmax(-1).astype(np.uint16)  # the first of equals


def run(network: Network, spikes: np.ndarray, states: bool = False) -> Trace:
    """Execute `network` on input spikes, uint8 or bool (B, T, inputs) of 0/1, as `network.Layer` says.

    states: keep every lasting membrane. Sums are exact: |Σ w| ≤ 65535 · 128 < 2^24.
    """
    batch, steps, inputs = spikes.shape
    fired, kept, row_reads = [], [], []
    x = spikes.reshape(batch * steps, inputs)
    for n, layer in enumerate(network.layers):
        reads = x.sum(1, dtype=np.int64).reshape(batch, steps)
        sums = layer.sums(x).reshape(batch, steps, layer.neurons)
        if n == 0 and network.direct:  # the steps are planes of the pixels
            sums, reads, steps = from_planes(sums), reads.sum(1, keepdims=True), 1
        row_reads.append(reads)
        if layer.continuous:
            membranes, spiked = _continuous(layer, sums)
        else:
            membranes = sums - layer.of_neurons(layer.thresholds)
            spiked = membranes >= 0
        spiked = layer.handed_on(spiked)
        fired.append(spiked)
        kept.append(membranes if states and layer.continuous else None)
        x = spiked.reshape(batch * steps, layer.outputs)
    counted = membranes if network.decode == Decode.MEMBRANE else fired[-1]
    values = counted.cumsum(1, dtype=np.int32)  # (B, T, classes)
    used = np.full(batch, steps)
    if network.exit_margin is not None:
        _, used = early_exit.decide(counted, network.exit_margin)
    values = values[np.arange(batch), used - 1]
    labels = values.argmax(1).astype(np.uint16)  # the first of equals
    return Trace(fired, membranes, kept, counted, values, labels, used.astype(np.uint16), np.stack(row_reads, -1))


def _continuous(layer: Layer, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States int32 and spikes bool, both (B, T, neurons), of the weight sums of a continuous layer's spikes."""
    largest = (1 << (layer.state_bits - 1)) - 1
    states, spikes = np.empty_like(sums), np.empty(sums.shape, bool)
    thresholds = layer.of_neurons(layer.thresholds)
    biases = 0 if layer.biases is None else layer.of_neurons(layer.biases)
    v = np.zeros_like(sums[:, 0])
    for t in range(sums.shape[1]):
        if t and layer.leak:
            v = v - (v >> layer.leak)
        v = v + sums[:, t] + biases
        spikes[:, t] = v >= thresholds
        v = np.where(spikes[:, t], v - thresholds if layer.reset == Reset.SUBTRACT else 0, v)
        states[:, t] = v = v.clip(-largest - 1, largest)
    return states, spikes
