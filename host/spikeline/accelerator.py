"""The API: load an image, classify batches, read counters. On a board, the simulated board or the golden model."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeline import golden, image, throughput
from spikeline.batch import Batch, Events, Pixels, Spikes
from spikeline.driver import Answer, Counters, Driver
from spikeline.encode import encode
from spikeline.errors import DataError, DeviceError, ImageError
from spikeline.geometry import Geometry
from spikeline.image import Image
from spikeline.network import Network

if TYPE_CHECKING:
    from spikeline.board import Board
    from spikeline.sim import SimDevice
    from spikeline.simulated_board import SimulatedBoard

BACKENDS = ("board", "sim", "golden")
INPUTS = ("pixels", "spikes", "events")
BATCH = 1000  # images of one transfer


@dataclass(frozen=True)
class Result:
    """What a batch of B images was classified as."""

    labels: np.ndarray  # uint16 (B,)
    steps: np.ndarray  # uint16 (B,): time steps used
    values: np.ndarray | None  # int32 (B, classes): what the class is read from, if asked for


class _Golden:
    """The golden model with the calls of a driver."""

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        self.image: Image | None = None
        self._images = 0
        self._row_reads = np.zeros(0, np.int64)

    def load(self, image: Image) -> None:
        self.image = image
        self.clear_counters()

    def classify(
        self,
        batches: Iterable[Batch],
        scores: bool = False,
        every_step: bool = False,
        progress: Callable[[int], None] = lambda images: None,
    ) -> list[Answer]:
        if self.image is None:
            raise DeviceError("no model is loaded; load an image first")
        answers: list[Answer] = []
        done = 0
        for batch in batches:
            trace = golden.run(self.image.network, batch.trains(self.image.network))
            self._images += len(batch)
            self._row_reads = self._row_reads + trace.row_reads.sum((0, 1))
            values, labels, steps = trace.values, trace.labels, trace.steps
            if every_step:
                values, labels = trace.running
                steps = np.broadcast_to(np.arange(1, labels.shape[1] + 1, dtype=np.uint16), labels.shape)
            answers.append((labels, steps, values if scores else None))
            progress(done := done + len(batch))
        return answers

    def counters(self) -> Counters:
        steps = self.image.network.time_steps if self.image else 0
        return Counters(self._images, self._images * steps, tuple(int(n) for n in self._row_reads))

    def clear_counters(self) -> None:
        self._images = 0
        self._row_reads = np.zeros(len(self.image.network.layers) if self.image else 0, np.int64)

    def reset(self) -> None:
        self.image = None

    def close(self) -> None:
        pass


class Accelerator:
    """A spiking network accelerator. Use it as a context manager, or `close` it.

        Accelerator("spikeline.bit", "model.img")        on a board: loads the bitstream, then the network
        Accelerator(model="model.img")                   on the simulated board: the Verilated RTL under the real `pynq`
        Accelerator(model="model.img", backend="golden") the integer model in numpy

    bitstream: .bit file, its .hwh beside it. model: an image, or the path of an image file. backend: `board` if there is a
    bitstream, else `sim`, unless it is said. geometry: name or JSON file of what a simulator is built with; a board says itself.
    device: the `pynq.Device` to use instead of the board's own. timeout: seconds without progress after which a wait gives up.

    Raises DeviceError if the backend cannot be had, ImageError if the image cannot be used; see `spikeline.errors`.
    """

    def __init__(
        self,
        bitstream: Path | str | None = None,
        model: Image | Path | str | None = None,
        *,
        backend: str | None = None,
        geometry: Geometry | str | Path = "z020-256",
        device: Any = None,
        timeout: float = 30.0,
    ):
        if isinstance(bitstream, Image) or Path(bitstream or "").suffix == ".img":
            raise ImageError("an image is no bitstream; pass it as model=")
        backend = backend or ("sim" if bitstream is None else "board")
        if backend not in BACKENDS:
            raise DeviceError(f"no backend {backend}; there are {', '.join(BACKENDS)}")
        if backend == "board" and bitstream is None:
            raise DeviceError("the backend board needs a bitstream; name its .bit file")
        if backend != "board" and bitstream is not None:
            raise DeviceError(f"the backend {backend} takes no bitstream; leave it out, or use the backend board")
        model = image.load(model) if isinstance(model, str | Path) else model
        self._board: SimulatedBoard | None = None
        self._backend: Driver | _Golden
        try:
            if backend == "board":
                self._backend = self._on_board(Path(bitstream or ""), device, timeout)
            else:
                built = geometry if isinstance(geometry, Geometry) else Geometry.load(geometry)
                if backend == "golden":
                    self._backend = _Golden(built)
                else:
                    if model is not None:  # before anything is built for it
                        built.require(model.network)
                    self._backend = self._simulated(built, timeout)
            if model is not None:
                self.load(model)
        except BaseException:
            self.close()
            raise
        self.geometry = self._backend.geometry

    def _on_board(self, bitstream: Path, device: Any, timeout: float) -> Driver:
        from spikeline.board import Board  # needs pynq

        return self._driver(Board(bitstream, device), bitstream.stem, timeout)

    def _simulated(self, built: Geometry, timeout: float) -> Driver:
        from spikeline.board import Board
        from spikeline.simulated_board import SimulatedBoard

        self._board = SimulatedBoard(built)
        return self._driver(Board(self._board.bitstream, self._board), built.name, timeout)

    def _driver(self, board: "Board", name: str, timeout: float) -> Driver:
        try:
            return Driver(board, name, board.clock_mhz, timeout)
        except BaseException:
            board.close()
            raise

    @property
    def simulator(self) -> "SimDevice | None":
        """The Verilated accelerator, to look inside; None where there is none."""
        return self._board.simulator if self._board else None

    def load(self, model: Image | Path | str) -> None:
        """Load a network: an image or the path of an image file. A model that is there already is replaced."""
        self._backend.load(model if isinstance(model, Image) else image.load(model))

    @property
    def image(self) -> Image | None:
        """The loaded image."""
        return self._backend.image

    def infer(
        self,
        pixels: np.ndarray,
        seed: int = 0,
        scores: bool = False,
        input: str = "pixels",
        batch: int = BATCH,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Result:
        """Classify images, uint8 (B, inputs), encoded as the network was trained for; `seed` is the Bernoulli encoder's.

        input: `pixels` sends raw images, which the accelerator encodes; `spikes` encodes here and sends the spike trains,
        `events` too, as the addresses of those that fire.
        Neither this nor `batch`, the images of one transfer, changes the result. `progress` is called with the images done.
        """
        self._check_pixels(pixels)
        if input not in INPUTS:
            raise DataError(f"no input {input}; there are {', '.join(INPUTS)}")
        return self._classify(self._batches(pixels, seed, input, batch), scores, progress)

    def _check_pixels(self, pixels: np.ndarray) -> None:
        if self.image is None:
            raise DeviceError("no model is loaded; load an image first")
        inputs = self.image.network.sizes[0]
        if pixels.ndim != 2 or pixels.dtype != np.uint8 or pixels.shape[1] != inputs:
            raise DataError(f"images must be uint8 (B, {inputs}), not {pixels.dtype} {pixels.shape}")

    def _batches(self, pixels: np.ndarray, seed: int, input: str, size: int) -> Iterator[Batch]:
        assert self.image is not None
        network = self.image.network
        for at in range(0, len(pixels), size):
            part = pixels[at : at + size]
            if input == "pixels":
                yield Pixels(part, seed, at)
            else:
                spikes = encode(part, network.encoder.name.lower(), network.time_steps, seed, first_image=at)
                yield Events(spikes) if input == "events" else Spikes(spikes)

    def infer_spikes(self, spikes: np.ndarray, scores: bool = False, events: bool = False) -> Result:
        """Classify spike trains, uint8 or bool (B, T, inputs) of 0/1, in one transfer, of `events` if so said."""
        self._network(spikes)
        return self._classify([Events(spikes) if events else Spikes(spikes)] if len(spikes) else [], scores)

    def _classify(self, batches: Iterable[Batch], scores: bool, progress: Callable[[int], None] = lambda done: None) -> Result:
        assert self.image is not None
        answers = self._backend.classify(batches, scores, progress=progress)
        return _join([Result(*answer) for answer in answers], self.image.network.layers[-1].neurons, scores)

    def running(self, spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How a decision forms: class values after each time step and the class that leads then.

        Of spike trains, uint8 or bool (B, T, inputs) of 0/1: int32 (B, T, classes) and uint16 (B, T). No image ends early.
        """
        self._network(spikes)
        ((labels, _, values),) = self._backend.classify([Spikes(spikes)], scores=True, every_step=True)
        assert values is not None
        return values, labels

    def _network(self, spikes: np.ndarray) -> Network:
        """The loaded network, if `spikes` are of its shape."""
        if self.image is None:
            raise DeviceError("no model is loaded; load an image first")
        network = self.image.network
        if spikes.ndim != 3 or spikes.shape[1:] != (network.time_steps, network.sizes[0]):
            raise DataError(f"spikes must be (B, {network.time_steps}, {network.sizes[0]}), not {spikes.shape}")
        return network

    def trace(self, spikes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray | None]]:
        """Run spike trains (B, T, inputs) and look inside: what every neuron did at every step.

        Returns the spikes of each layer, bool (B, T, neurons); u − θ of the output layer, int32 (B, T, classes); the
        membranes of each layer that is continuous after each step, int32 (B, T, neurons).
        Raises DeviceError on a device that cannot be looked into.
        """
        network = self._network(spikes)
        if isinstance(self._backend, _Golden):
            trace = golden.run(network, spikes, states=True)
            return trace.spikes, trace.membranes, trace.states
        device = self.simulator
        if device is None:
            raise DeviceError("only the golden model and the simulator show single spikes; use the backend sim")
        device.record(True)
        self.infer_spikes(spikes)
        fired = [
            device.recorded_spikes(n)[:, : layer.neurons].reshape(*spikes.shape[:2], layer.neurons)
            for n, layer in enumerate(network.layers)
        ]
        last = len(network.layers) - 1
        membranes = device.recorded_membranes(last)[:, : network.sizes[-1]].reshape(*spikes.shape[:2], network.sizes[-1])
        states = [
            device.recorded_states(n)[:, : layer.neurons].reshape(*spikes.shape[:2], layer.neurons) if layer.continuous else None
            for n, layer in enumerate(network.layers)
        ]
        device.record(False)
        return fired, membranes, states

    def throughput_test(self, pixels: np.ndarray, seed: int = 0) -> dict[str, Any]:
        """Speed of one batch of images, uint8 (B, inputs), by FINN's names: see `spikeline.throughput`.

        Raises DeviceError on the golden model, which has no clock.
        """
        self._check_pixels(pixels)
        if not isinstance(self._backend, Driver):
            raise DeviceError("the golden model has no clock to test the throughput by; use the backend sim or board")
        return throughput.measure(self._backend, Pixels(pixels, seed), simulated=self._board is not None)

    @property
    def overlay(self) -> Any:
        """The `pynq.Overlay`, whose IP has the registers by name in `register_map`; None with the golden model."""
        return getattr(self._backend.device, "overlay", None) if isinstance(self._backend, Driver) else None

    @property
    def waiting_seconds(self) -> float:
        """Processor time so far, in s, that went into waiting for hardware; on the simulated board its clock runs then."""
        return self._backend.waiting if isinstance(self._backend, Driver) else 0.0

    def counters(self) -> Counters:
        """What was counted since `clear_counters` or power-on."""
        return self._backend.counters()

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        self._backend.clear_counters()

    def reset(self) -> None:
        """Stop all work and forget the model and any error, without a new bitstream; load an image before the next `infer`."""
        self._backend.reset()

    def close(self) -> None:
        """Free the device and its buffers; a bitstream stays loaded."""
        if hasattr(self, "_backend"):
            self._backend.close()
        if self._board:
            self._board.close()

    def __enter__(self) -> "Accelerator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _join(results: list[Result], classes: int, scores: bool) -> Result:
    if not results:
        none = np.zeros(0, np.uint16)
        return Result(none, none, np.zeros((0, classes), np.int32) if scores else None)
    return Result(
        np.concatenate([r.labels for r in results]),
        np.concatenate([r.steps for r in results]),
        np.concatenate([r.values for r in results if r.values is not None]) if scores else None,
    )
