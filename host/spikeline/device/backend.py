"""What classifies: an accelerator behind its driver, or the golden model. Calls, results and counters are the same for all."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spikeline.device.ownership import Turns
from spikeline.device.packets import Batch
from spikeline.errors import DeviceError
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import Model

# Spikes that leave each layer, bool (B, T, outputs); u − θ of the output layer, int32 (B, T, classes); and of each layer that
# is continuous, else None, its membranes, int32 (B, T, neurons), 0 of neurons that pooling drops. T is 1 with direct input.
Inside = tuple[list[np.ndarray], np.ndarray, list[np.ndarray | None]]


class Result(NamedTuple):
    """What B images were classified as; with a result for every time step, each shape is (B, T, …)."""

    labels: np.ndarray  # uint16 (B,)
    steps: np.ndarray  # uint16 (B,): time steps used
    values: np.ndarray | None  # int32 (B, classes): what the class is read from, if asked for


@dataclass(frozen=True)
class Counters:
    """What was counted since the counters were cleared."""

    images: int
    steps: int  # time steps
    row_reads: tuple[int, ...]  # per layer: weight rows read, one for every spike that enters the layer
    cycles: int | None = None  # clock cycles with work under way; None where no hardware is
    stall_input: int | None = None  # of them, waiting for spikes from the host
    stall_output: int | None = None  # of them, with a result that the host does not take


class Backend(ABC):
    """Holds one model and classifies batches with it. What a backend cannot do raises DeviceError.

    Calls are made one at a time: whoever uses a backend takes one of its `turns` for each.
    """

    geometry: Geometry
    model: Model | None = None
    turns: Turns
    has_clock = True  # does it count cycles?
    can_trace = False  # does it show single spikes?
    simulator: Any = None  # the Verilated accelerator, if that is what runs

    @property
    def waiting(self) -> float:
        """Processor time so far, in s, that went into waiting for hardware, or into simulating it."""
        return 0.0

    @property
    def overlay(self) -> Any:
        """The `pynq.Overlay`, whose IP has the registers by name in `register_map`; None off a board."""
        return None

    def require_model(self) -> Model:
        """The loaded model. Raises DeviceError if there is none."""
        if self.model is None:
            raise DeviceError("no model is loaded; load one first")
        return self.model

    def adopt(self, model: Model) -> bool:
        """Go on with the model that the accelerator holds already, if it is `model`; says whether it is."""
        return False

    def check(self) -> bool:
        """Is the loaded model still there, as it was sent, and is there no error? Nothing is changed."""
        return self.model is not None

    @abstractmethod
    def load(self, model: Model) -> None:
        """Make `model` the one that classifies. Raises ModelError, the one before kept, if it does not fit."""

    def buffer(self, images: int) -> np.ndarray:
        """Images of zeros, uint8 (images, inputs), where the backend finds them without copying."""
        return np.zeros((images, self.require_model().network.sizes[0]), np.uint8)

    def classify(
        self,
        batches: Iterable[Batch],
        scores: bool = False,
        every_step: bool = False,
        progress: Callable[[int], None] = lambda images: None,
    ) -> list[Result]:
        """Classify batches, one result each; with `every_step`, after each time step. `progress` is told the images done."""
        iterator = iter(batches)
        return list(self.stream(lambda: next(iterator, None), scores, every_step, progress))

    @abstractmethod
    def stream(
        self,
        more: Callable[[], Batch | None],
        scores: bool = False,
        every_step: bool = False,
        progress: Callable[[int], None] = lambda images: None,
        ready: Callable[[], bool] | None = None,
    ) -> Iterator[Result]:
        """Classify what `more` returns, until that is None and all results are given, in order.

        ready: says whether `more` has another batch by now; to be given by a thread that works in the background, which then
        leaves the processor to others while it waits.
        """

    def trace(self, batch: Batch) -> Inside:
        """What every neuron did at every time step."""
        raise DeviceError("only the golden model and the simulator show single spikes; use the backend sim")

    def throughput_test(self, batch: Batch) -> dict[str, Any]:
        """Speed of one batch; see `spikeline.device.throughput`."""
        raise DeviceError("the golden model has no clock to test the throughput by; use the backend sim or board")

    @abstractmethod
    def counters(self) -> Counters:
        """What was counted since `clear_counters`."""

    @abstractmethod
    def clear_counters(self) -> None:
        """Set all counters to zero."""

    @abstractmethod
    def reset(self) -> None:
        """Stop all work and forget the model and any error."""

    @abstractmethod
    def close(self) -> None:
        """Free whatever the backend holds."""
