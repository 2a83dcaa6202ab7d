"""The golden model as a backend: the arithmetic contract in numpy, without hardware and without a clock."""

from collections.abc import Callable, Iterator

import numpy as np

from spikeline.device.backend import Backend, Counters, Inside, Result
from spikeline.device.ownership import Turns
from spikeline.device.packets import Batch
from spikeline.model import golden
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import Model


class Golden(Backend):
    """Executes any network; `geometry` is only what it says to be built with."""

    has_clock = False
    can_trace = True
    _row_reads: np.ndarray  # int64 (layers,)

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        self.turns = Turns()
        self.clear_counters()

    def load(self, model: Model) -> None:
        self.model = model
        self.clear_counters()

    def stream(
        self,
        more: Callable[[], Batch | None],
        scores: bool = False,
        every_step: bool = False,
        progress: Callable[[int], None] = lambda images: None,
        ready: Callable[[], bool] | None = None,
    ) -> Iterator[Result]:
        network = self.require_model().network
        done = 0
        while (batch := more()) is not None:
            trace = golden.run(network, batch.trains(network))
            self._images += len(batch)
            self._row_reads = self._row_reads + trace.row_reads.sum((0, 1))
            values, labels, steps = trace.values, trace.labels, trace.steps
            if every_step:
                values, labels = trace.running
                steps = np.broadcast_to(np.arange(1, labels.shape[1] + 1, dtype=np.uint16), labels.shape)
            progress(done := done + len(batch))
            yield Result(labels, steps, values if scores else None)

    def trace(self, batch: Batch) -> Inside:
        network = self.require_model().network
        trace = golden.run(network, batch.trains(network), states=True)
        states = [None if v is None else x.decided(v) for x, v in zip(network.layers, trace.states, strict=True)]
        return trace.spikes, trace.membranes, states

    def counters(self) -> Counters:
        steps = self.model.network.time_steps if self.model else 0
        return Counters(self._images, self._images * steps, tuple(int(n) for n in self._row_reads))

    def clear_counters(self) -> None:
        self._images = 0
        self._row_reads = np.zeros(len(self.model.network.layers) if self.model else 0, np.int64)

    def reset(self) -> None:
        self.model = None

    def close(self) -> None:
        """Nothing: it holds no device."""
