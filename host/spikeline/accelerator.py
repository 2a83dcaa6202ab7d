"""The API: load a model, classify batches, read counters. On a board, the simulated board or the golden model."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeline import inputs
from spikeline.device.driver import Answer, Counters, Driver
from spikeline.device.ownership import Turns
from spikeline.device.packets import Batch, Events, Pixels, Spikes
from spikeline.errors import DataError, DeviceError, ModelError
from spikeline.measure import throughput
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import Model
from spikeline.model.network import Network
from spikeline.model.spec import Encoder

if TYPE_CHECKING:
    from spikeline.device.board import Board
    from spikeline.simulation.board import SimulatedBoard
    from spikeline.simulation.verilated import SimDevice

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
        self.model: Model | None = None
        self._images = 0
        self._row_reads = np.zeros(0, np.int64)

    def load(self, model: Model) -> None:
        self.model = model
        self.clear_counters()

    def require_model(self) -> Model:
        if self.model is None:
            raise DeviceError("no model is loaded; load one first")
        return self.model

    def classify(
        self,
        batches: Iterable[Batch],
        scores: bool = False,
        every_step: bool = False,
        progress: Callable[[int], None] = lambda images: None,
    ) -> list[Answer]:
        network = self.require_model().network
        answers: list[Answer] = []
        done = 0
        for batch in batches:
            trace = golden.run(network, batch.trains(network))
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
        steps = self.model.network.time_steps if self.model else 0
        return Counters(self._images, self._images * steps, tuple(int(n) for n in self._row_reads))

    def clear_counters(self) -> None:
        self._images = 0
        self._row_reads = np.zeros(len(self.model.network.layers) if self.model else 0, np.int64)

    def reset(self) -> None:
        self.model = None

    def close(self) -> None:
        pass


class Accelerator:
    """A spiking network accelerator. Use it as a context manager, or `close` it.

        Accelerator("spikeline.bit", "model.img")        on a board: loads the bitstream, then the network
        Accelerator(model="model.img")                   on the simulated board: the Verilated RTL under the real `pynq`
        Accelerator(model="model.img", backend="golden") the integer model in numpy

    bitstream: .bit file, its .hwh beside it. model: a model, or the path of its file. backend: `board` if there is a
    bitstream, else `sim`, unless it is said. geometry: name or JSON file of what a simulator is built with; a board says itself.
    device: the `pynq.Device` to use instead of the board's own. timeout: seconds without progress after which a wait gives up.
    download: False attaches to a board that is programmed already; `model` is loaded only if the accelerator does not hold it.

    A board belongs to who opened it last in a process: an older accelerator raises DeviceError from then on and touches
    nothing, and another process cannot open the board until this one has closed it or ended.
    Threads may share an accelerator: each call waits for the one under way. A call from within its own `progress` function
    is a DeviceError. After `close`, everything is.

    Arguments are checked before anything is sent, and an error of the host, or an interrupt, leaves the model loaded.
    Raises DeviceError if the backend cannot be had, ModelError if the model cannot be used, DataError for arguments that make
    no sense; see `spikeline.errors`.
    """

    def __init__(
        self,
        bitstream: Path | str | None = None,
        model: Model | Path | str | None = None,
        *,
        backend: str | None = None,
        geometry: Geometry | str | Path = "z020-256",
        device: Any = None,
        timeout: float = 30.0,
        download: bool = True,
    ):
        backend = backend or ("sim" if bitstream is None else "board")
        if backend not in BACKENDS:
            raise DeviceError(f"no backend {backend}; there are {', '.join(BACKENDS)}")
        if backend == "board" and bitstream is None:
            raise DeviceError("the backend board needs a bitstream; name its .bit file")
        if backend != "board" and bitstream is not None:
            raise DeviceError(f"the backend {backend} takes no bitstream; leave it out, or use the backend board")
        timeout = inputs.seconds(timeout, "timeout")
        file = None if bitstream is None else _bitstream(bitstream)
        model = None if model is None else _model(model)
        self._board: SimulatedBoard | None = None
        self._backend: Driver | _Golden
        self._turns = Turns()
        self._closed = False
        try:
            if file is not None:
                self._backend = self._on_board(file, device, timeout, download)
            else:
                built = geometry if isinstance(geometry, Geometry) else Geometry.load(inputs.path(geometry, "geometry"))
                if model is not None and backend == "sim":  # before anything is built for it
                    built.require(model.network)
                self._backend = _Golden(built) if backend == "golden" else self._simulated(built, timeout)
            if model is not None:
                with self._call() as opened:
                    if not (isinstance(opened, Driver) and opened.adopt(model)):
                        opened.load(model)
        except BaseException:
            self.close()
            raise

    def _on_board(self, bitstream: Path, device: Any, timeout: float, download: bool) -> Driver:
        from spikeline.device.board import Board  # needs pynq

        return self._driver(Board(bitstream, device, download), bitstream.stem, timeout)

    def _simulated(self, built: Geometry, timeout: float) -> Driver:
        from spikeline.device.board import Board
        from spikeline.simulation.board import SimulatedBoard

        self._board = SimulatedBoard(built)
        return self._driver(Board(self._board.bitstream, self._board), built.name, timeout)

    def _driver(self, board: "Board", name: str, timeout: float) -> Driver:
        self._turns = board.turns
        try:
            with self._turns.take():
                return Driver(board, name, board.clock_mhz, timeout)
        except BaseException:
            board.close()
            raise

    @contextmanager
    def _call(self) -> Iterator[Driver | _Golden]:
        """The backend, for the time of one call."""
        self._open()
        with self._turns.take():
            yield self._open()

    def _open(self) -> Driver | _Golden:
        if self._closed:
            raise DeviceError("this accelerator is closed; open a new one")
        return self._backend

    @property
    def closed(self) -> bool:
        """Has it been closed?"""
        return self._closed

    @property
    def geometry(self) -> Geometry:
        """What the accelerator was built with, and its clock."""
        return self._open().geometry

    @property
    def simulator(self) -> "SimDevice | None":
        """The Verilated accelerator, to look inside; None where there is none."""
        self._open()
        return self._board.simulator if self._board else None

    def load(self, model: Model | Path | str) -> None:
        """Load a model, or the file of that path. One that is there already is replaced.

        Raises ModelError, with the model that is there kept, for one that cannot be read or does not fit.
        """
        checked = _model(model)
        with self._call() as backend:
            backend.load(checked)

    @property
    def model(self) -> Model | None:
        """The loaded model."""
        return self._open().model

    def infer(
        self,
        pixels: Any,
        seed: int = 0,
        scores: bool = False,
        input: str = "pixels",
        batch: int = BATCH,
        progress: Callable[[int], None] | None = None,
    ) -> Result:
        """Classify images, uint8 (B, inputs) or what `inputs.pixels` makes that of, encoded as the network was trained for.

        seed: of the Bernoulli encoder, 0 to 2^64 − 1. input: `pixels` sends raw images, which the accelerator encodes;
        `spikes` encodes here and sends the spike trains, `events` too, as the addresses of those that fire.
        Neither this nor `batch`, the images of one transfer, changes the result. `progress` is called with the images done.
        """
        with self._call() as backend:
            network = backend.require_model().network
            given = _pixels(pixels, network)
            seed = inputs.whole(seed, "seed", 0, 2**64 - 1)
            batch = inputs.whole(batch, "batch", 1)
            if input not in INPUTS:
                raise DataError(f"no input {input!r}; there are {', '.join(INPUTS)}")
            batches = _batches(given, network, seed, input, batch)
            return _classify(backend, batches, scores, progress or (lambda done: None))

    def infer_spikes(self, spikes: Any, scores: bool = False, events: bool = False) -> Result:
        """Classify spike trains, (B, T, inputs) of 0/1 (see `inputs.spikes`), in one transfer, of `events` if so said."""
        with self._call() as backend:
            given = _spikes(spikes, backend.require_model().network)
            return _classify(backend, [Events(given) if events else Spikes(given)] if len(given) else [], scores)

    def running(self, spikes: Any) -> tuple[np.ndarray, np.ndarray]:
        """How a decision forms: class values after each time step and the class that leads then.

        Of spike trains, (B, T, inputs) of 0/1: int32 (B, T, classes) and uint16 (B, T). No image ends early.
        """
        with self._call() as backend:
            network = backend.require_model().network
            given = _spikes(spikes, network)
            if not len(given):
                none = (0, network.time_steps)
                return np.zeros((*none, network.sizes[-1]), np.int32), np.zeros(none, np.uint16)
            ((labels, _, values),) = backend.classify([Spikes(given)], scores=True, every_step=True)
            assert values is not None
            return values, labels

    def trace(self, spikes: Any) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray | None]]:
        """Run spike trains (B, T, inputs) and look inside: what every neuron did at every step.

        Returns the spikes of each layer, bool (B, T, neurons); u − θ of the output layer, int32 (B, T, classes); the
        membranes of each layer that is continuous after each step, int32 (B, T, neurons).
        Raises DeviceError on a device that cannot be looked into.
        """
        with self._call() as backend:
            network = backend.require_model().network
            given = _spikes(spikes, network)
            if isinstance(backend, _Golden):
                trace = golden.run(network, given, states=True)
                return trace.spikes, trace.membranes, trace.states
            device = self.simulator
            if device is None:
                raise DeviceError("only the golden model and the simulator show single spikes; use the backend sim")
            device.record(True)
            try:
                _classify(backend, [Spikes(given)] if len(given) else [], False)
                return _recorded(device, network, len(given))
            finally:
                device.record(False)

    def throughput_test(self, pixels: Any, seed: int = 0) -> dict[str, Any]:
        """Speed of one batch of images, as `infer` takes them, by FINN's names: see `spikeline.measure.throughput`.

        Raises DeviceError on the golden model, which has no clock.
        """
        with self._call() as backend:
            given = _pixels(pixels, backend.require_model().network)
            seed = inputs.whole(seed, "seed", 0, 2**64 - 1)
            if not isinstance(backend, Driver):
                raise DeviceError("the golden model has no clock to test the throughput by; use the backend sim or board")
            if not len(given):
                raise DataError("no images to test the throughput by; pass one at least")
            return throughput.measure(backend, Pixels(given, seed), simulated=self._board is not None)

    @property
    def overlay(self) -> Any:
        """The `pynq.Overlay`, whose IP has the registers by name in `register_map`; None with the golden model."""
        backend = self._open()
        return getattr(backend.device, "overlay", None) if isinstance(backend, Driver) else None

    @property
    def waiting_seconds(self) -> float:
        """Processor time so far, in s, that went into waiting for hardware; on the simulated board its clock runs then."""
        backend = self._open()
        return backend.waiting if isinstance(backend, Driver) else 0.0

    def counters(self) -> Counters:
        """What was counted since `clear_counters` or power-on."""
        with self._call() as backend:
            return backend.counters()

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        with self._call() as backend:
            backend.clear_counters()

    def reset(self) -> None:
        """Stop all work and forget the model and any error, without a new bitstream; load a model before the next `infer`."""
        with self._call() as backend:
            backend.reset()

    def close(self) -> None:
        """Free the device and its buffers; a bitstream and its model stay loaded. All later calls but this raise DeviceError."""
        if self._closed:
            return
        with self._turns.take():
            self._closed = True
            try:
                if hasattr(self, "_backend"):
                    self._backend.close()
            finally:
                if self._board:
                    self._board.close()

    def __enter__(self) -> "Accelerator":
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bitstream(given: Any) -> Path:
    """The path of a bitstream. Raises ModelError for a model, DeviceError for another file than a .bit."""
    if isinstance(given, Model):
        raise ModelError("a model is no bitstream; pass it as model=")
    file = inputs.path(given, "bitstream")
    if file.suffix == ".img":
        raise ModelError("a model is no bitstream; pass it as model=")
    if file.suffix == ".xsa":
        raise DeviceError(f"{file} is a hardware archive; unzip it and name the .bit in it, the .hwh beside that")
    if file.suffix != ".bit":
        raise DeviceError(f"{file} is no bitstream; name a .bit file, its .hwh beside it")
    return file


def _model(model: Any) -> Model:
    """The model itself, or that of a file. Raises ModelError."""
    if isinstance(model, Model):
        return model
    try:
        return model_file.load(inputs.path(model, "model"))
    except DataError as error:
        raise ModelError(str(error)) from None


def _pixels(given: Any, network: Network) -> np.ndarray:
    """Images for a network, uint8 (B, inputs). Raises DataError."""
    if network.encoder == Encoder.EVENTS:
        raise DataError("the network was trained on events and has no encoder for images; pass spike trains to infer_spikes")
    return inputs.pixels(given, network.sizes[0])


def _spikes(given: Any, network: Network) -> np.ndarray:
    """Spike trains for a network, uint8 (B, T, inputs) of 0/1. Raises DataError."""
    return inputs.spikes(given, network.time_steps, network.sizes[0])


def _batches(pixels: np.ndarray, network: Network, seed: int, input: str, size: int) -> Iterator[Batch]:
    for at in range(0, len(pixels), size):
        part = pixels[at : at + size]
        if input == "pixels":
            yield Pixels(part, seed, at)
        else:
            spikes = encode(part, network.encoder.name.lower(), network.time_steps, seed, first_image=at)
            yield Events(spikes) if input == "events" else Spikes(spikes)


def _classify(
    backend: Driver | _Golden, batches: Iterable[Batch], scores: bool, progress: Callable[[int], None] = lambda done: None
) -> Result:
    classes = backend.require_model().network.sizes[-1]
    answers = backend.classify(batches, scores, progress=progress)
    return _join([Result(*answer) for answer in answers], classes, scores)


def _recorded(device: "SimDevice", network: Network, images: int) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray | None]]:
    """What `Accelerator.trace` returns of the simulator's record."""

    def shaped(values: np.ndarray, neurons: int) -> np.ndarray:
        return values[:, :neurons].reshape(images, network.time_steps, neurons)

    fired = [shaped(device.recorded_spikes(n), layer.neurons) for n, layer in enumerate(network.layers)]
    membranes = shaped(device.recorded_membranes(len(network.layers) - 1), network.sizes[-1])
    states = [
        shaped(device.recorded_states(n), layer.neurons) if layer.continuous else None for n, layer in enumerate(network.layers)
    ]
    return fired, membranes, states


def _join(results: list[Result], classes: int, scores: bool) -> Result:
    if not results:
        none = np.zeros(0, np.uint16)
        return Result(none, none, np.zeros((0, classes), np.int32) if scores else None)
    return Result(
        np.concatenate([r.labels for r in results]),
        np.concatenate([r.steps for r in results]),
        np.concatenate([r.values for r in results if r.values is not None]) if scores else None,
    )
