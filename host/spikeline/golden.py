"""The integer golden model: executes a network exactly as the arithmetic contract says. The reference for RTL and C."""

from dataclasses import dataclass

import numpy as np

from spikeline import early_exit
from spikeline.network import Network
from spikeline.spec import Decode


@dataclass(frozen=True)
class Trace:
    """Everything that a network did with a batch of B images over T time steps."""

    spikes: list[np.ndarray]  # per layer bool (B, T, neurons): did u reach θ; of an output read by its membrane, of no effect
    membranes: np.ndarray  # int32 (B, T, classes): u − θ of the output layer at every step
    values: np.ndarray  # int32 (B, classes): what the class is read from
    labels: np.ndarray  # uint16 (B,)
    steps: np.ndarray  # uint16 (B,): time steps used, fewer than T only with early exit
    row_reads: np.ndarray  # int64 (B, T, layers): spikes that enter each layer, each of which reads one row of weights


def run(network: Network, spikes: np.ndarray) -> Trace:
    """Execute `network` on input spikes, uint8 or bool (B, T, inputs) of 0/1.

    Discontinuous integration (Yin et al. 2017, section II): every step stands alone, u = Σ_{i: s_i = 1} W_i, and a
    neuron fires iff u ≥ θ. Sums are exact: in float32 every integer up to 2^24 is, and |u| ≤ 65535 · 128 < 2^24.
    """
    batch, steps, _ = spikes.shape
    fired, row_reads = [], []
    x = spikes.reshape(batch * steps, -1)
    for layer in network.layers:
        row_reads.append(x.sum(1, dtype=np.int64).reshape(batch, steps))
        membrane = (x.astype(np.float32) @ layer.weights.astype(np.float32)).astype(np.int32) - layer.thresholds
        x = membrane >= 0
        fired.append(x.reshape(batch, steps, -1))
    membranes = membrane.reshape(batch, steps, -1)
    counted = membranes if network.decode == Decode.MEMBRANE else fired[-1]
    values = counted.cumsum(1, dtype=np.int32)  # (B, T, classes)
    used = np.full(batch, steps)
    if network.exit_margin is not None:
        _, used = early_exit.decide(counted, network.exit_margin)
    values = values[np.arange(batch), used - 1]
    labels = values.argmax(1).astype(np.uint16)  # the first of equals
    return Trace(fired, membranes, values, labels, used.astype(np.uint16), np.stack(row_reads, -1))
