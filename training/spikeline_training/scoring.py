"""How well an integer network does on labelled samples, and how much it spikes: the golden model's word on any training."""

import numpy as np

from spikeline.data.samples import Samples
from spikeline.model import golden
from spikeline.model.network import Network

BATCH = 500  # samples that rates are averaged over first
CHUNK = 100  # samples in the golden model at a time: those of convolutions stay in the cache


def execute(network: Network, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """All samples in the golden model: what each step adds to the class values, int (B, T, classes), and row reads.

    Row reads, int64 (B, T, layers), are the spikes that enter each layer at each step.
    """
    traces = (golden.run(network, spikes) for spikes, _ in samples.batches(CHUNK))
    counted, row_reads = zip(*((trace.counted, trace.row_reads) for trace in traces), strict=True)
    return np.concatenate(counted), np.concatenate(row_reads)


def score(network: Network, samples: Samples) -> tuple[float, list[float]]:
    """Accuracy, 0 to 1, and spikes per neuron and time step of the input and of each hidden layer, means over the samples."""
    counted, row_reads = execute(network, samples)
    accuracy = float((counted.sum(1).argmax(-1) == samples.truth).mean())  # argmax: the first of equals
    batches, sizes = range(0, len(samples), BATCH), np.array(network.sizes[:-1])
    steps = np.array([network.time_steps, *[network.decisions] * (len(sizes) - 1)])  # in which each is read
    if network.continuous:
        return accuracy, (row_reads.sum((0, 1)) / len(samples) / steps / sizes).tolist()
    # Each batch's mean in float32: histories in checkpoints are written so, and resumed runs end with the same bytes.
    reads = np.add.reduceat(row_reads.sum(1), batches)  # (batches, layers)
    images = np.array([min(BATCH, len(samples) - start) for start in batches])[:, None]
    rates = reads.astype(np.float32) / (images * steps * sizes).astype(np.float32)
    return accuracy, ((rates.astype(np.float64) * images).sum(0) / len(samples)).tolist()
