"""The API: load a model, classify batches, read counters. On a board, the simulated board or the golden model."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeline import inputs
from spikeline.device import packets
from spikeline.device.backend import Backend, Counters, Inside, Result
from spikeline.device.golden import Golden
from spikeline.device.jobs import Jobs, Work
from spikeline.errors import DataError, DeviceError, ModelError
from spikeline.model import model_file
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import Model
from spikeline.model.network import Network

if TYPE_CHECKING:
    from spikeline.simulation.verilated import SimDevice

BACKENDS = ("board", "sim", "golden")
BATCH = 1000  # images of one transfer


class Accelerator:
    """A spiking network accelerator. Use it as a context manager, or `close` it.

        Accelerator("spikeline.bit", "model.img")        on a board: loads the bitstream, then the network
        Accelerator(model="model.img")                   on the simulated board: the Verilated RTL under the real `pynq`
        Accelerator(model="model.img", backend="golden") the integer model in numpy

    bitstream: .bit file, its .hwh beside it. model: a model, or the path of its file. backend: default `board` if there is a
    bitstream, else `sim`. geometry: name or JSON file of what a simulator is built with; a board says itself.
    device: the `pynq.Device` to use instead of the board's own. timeout: seconds without progress after which a wait gives up.
    download: False attaches to a board that is programmed already; `model` is loaded only if the accelerator does not hold it.

    What goes in is `Pixels(images, seed=…)`, which the accelerator encodes as the network was trained for, `Spikes(trains)` or
    `Events(trains)`; any other array is taken as pixels.

    A board belongs to who opened it last in a process: an older accelerator raises DeviceError from then on and touches
    nothing, and another process cannot open the board until this one has closed it or ended.
    Threads may share an accelerator: each call waits for the one under way, and for what `infer_async` was asked for before. A
    call from within its own `progress` function, or a future's callback, is a DeviceError. After `close`, everything is.

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
        checked = None if model is None else _model(model)
        self._closed = False
        if file is not None:
            self._backend = _board(file, device, timeout, download)
        else:
            built = geometry if isinstance(geometry, Geometry) else Geometry.load(inputs.path(geometry, "geometry"))
            self._backend = Golden(built) if backend == "golden" else _simulated(built, checked, timeout)
        self._jobs = Jobs(self._backend)
        if checked is not None:
            try:
                with self._call() as opened:
                    if not opened.adopt(checked):
                        opened.load(checked)
            except BaseException:
                self.close()
                raise

    @contextmanager
    def _call(self) -> Iterator[Backend]:
        """The backend, for the time of one call."""
        self._open()
        self._jobs.wait()
        with self._open().turns.take():
            yield self._open()

    def _open(self) -> Backend:
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
    def has_clock(self) -> bool:
        """Does it count cycles? The golden model has no clock."""
        return self._open().has_clock

    @property
    def can_trace(self) -> bool:
        """Does `trace` show what happens inside? A board does not."""
        return self._open().can_trace

    @property
    def simulator(self) -> "SimDevice | None":
        """The Verilated accelerator, to look inside; None where there is none."""
        return self._open().simulator

    @property
    def overlay(self) -> Any:
        """The `pynq.Overlay`, whose IP has the registers by name in `register_map`; None with the golden model."""
        return self._open().overlay

    @property
    def waiting_seconds(self) -> float:
        """Processor time so far, in s, that went into waiting for hardware; on the simulated board its clock runs then."""
        return self._open().waiting

    @property
    def model(self) -> Model | None:
        """The loaded model."""
        return self._open().model

    def load(self, model: Model | Path | str) -> None:
        """Load a model, or the file of that path. One that is there already is replaced.

        Raises ModelError, with the model that is there kept, for one that cannot be read or does not fit.
        """
        checked = _model(model)
        with self._call() as backend:
            backend.load(checked)

    def check(self) -> bool:
        """Does the accelerator still hold the model that was loaded, and report no error? Nothing is changed by the question.

        It compares a checksum of each packet of a model as it takes it, and `load` raises DeviceError for one that has changed in
        memory or on its way. MODEL holds what it took; that, STATUS.loaded, ERROR and MEMORY_ERROR are read here. So False says
        that a bitstream was loaded, that another program reset it or loaded a network, or that an error is waiting; `load` mends
        each. What changes within the accelerator after the loading, as a weight by radiation, is not seen.
        """
        with self._call() as backend:
            return backend.check()

    def infer(
        self,
        given: Any,
        *,
        scores: bool = False,
        batch: int = BATCH,
        progress: Callable[[int], None] | None = None,
    ) -> Result:
        """Classify `Pixels`, `Spikes`, `Events`, or an array of pixels.

        scores: also return the values that the class is read from. batch: images of one transfer, which does not change the
        result. `progress` is called with the images done.
        """
        with self._call() as backend:
            return _classify(backend, given, batch, scores, progress=progress or (lambda done: None))

    def infer_async(self, given: Any, *, scores: bool = False, batch: int = BATCH) -> "Future[Result]":
        """The same in the background: returns at once, with the future of what `infer` returns or raises.

        Jobs are done in order, and the accelerator goes from one to the next without a pause. What is given must stay as it is
        until the future is done. `close` cancels the jobs that have not begun.
        """
        self._open()
        return self._jobs.submit(lambda backend: _work(backend, given, batch, scores), scores)

    def buffer(self, images: int) -> np.ndarray:
        """Memory for images that the accelerator reads by itself: zeros, uint8 (images, inputs of the loaded network).

        Images in it, or a slice of images, are sent as they lie, without a copy; for a network of another number of inputs they
        are copied. It is memory of the device for as long as anything refers to it, and after `close` still the processor's.
        """
        count = inputs.whole(images, "images", 0)
        with self._call() as backend:
            return backend.buffer(count)

    def running(self, given: Any, *, batch: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
        """How a decision forms: class values after each time step and the class that leads then.

        Of input as `infer` takes it: int32 (B, T, classes) and uint16 (B, T). No image ends early.
        """
        with self._call() as backend:
            result = _classify(backend, given, batch, scores=True, every_step=True)
            assert result.values is not None
            return result.values, result.labels

    def trace(self, given: Any) -> Inside:
        """Run input as `infer` takes it, in one transfer, and look inside: what every neuron did at every step.

        Returns the spikes that leave each layer, bool (B, T, outputs); u − θ of the output layer, int32 (B, T, classes); the
        membranes of each layer that is continuous after each step, int32 (B, T, neurons). Of a convolution these are maps one
        after another; of a neuron in an odd last row or column that pooling drops the membrane is 0. T is 1 with direct input.
        Raises DeviceError on a device that cannot be looked into.
        """
        with self._call() as backend:
            return backend.trace(_checked(given, backend))

    def encode(self, given: Any) -> np.ndarray:
        """The spike trains that the accelerator makes of images, `Pixels` or an array: uint8 (B, T, inputs) of 0 and 1."""
        with self._call() as backend:
            return _checked(given, backend).trains(backend.require_model().network)

    def throughput_test(self, given: Any) -> dict[str, Any]:
        """Speed of one batch of input as `infer` takes it, by FINN's names: see `spikeline.device.throughput`.

        Raises DeviceError on the golden model, which has no clock.
        """
        with self._call() as backend:
            checked = _checked(given, backend)
            if backend.has_clock and not len(checked):
                raise DataError("no images to test the throughput by; pass one at least")
            return backend.throughput_test(checked)

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
        """Free the device; a bitstream and its model stay loaded. All later calls but this raise DeviceError.

        Waits for what is under way, and cancels the jobs of `infer_async` that have not begun.
        """
        if self._closed:
            return
        self._jobs.cancel()
        with self._backend.turns.take():
            self._closed = True
            self._backend.close()

    def __enter__(self) -> "Accelerator":
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _board(bitstream: Path, device: Any, timeout: float, download: bool) -> Backend:
    from spikeline.device.board import Board, BoardDriver  # needs pynq

    return BoardDriver(Board(bitstream, device, download), bitstream.stem, timeout)


def _simulated(geometry: Geometry, model: Model | None, timeout: float) -> Backend:
    if model is not None:
        geometry.require(model.network)  # before a simulator is built for it
    from spikeline.simulation.backend import SimulatedDriver  # needs pynq and Verilator

    return SimulatedDriver(geometry, timeout)


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


def _checked(given: Any, backend: Backend) -> packets.Batch:
    """Input in the form that is sent. Raises DataError for what the loaded network cannot take."""
    return packets.batch(given).checked(backend.require_model().network)


def _classify(
    backend: Backend,
    given: Any,
    batch: int,
    scores: bool,
    every_step: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Result:
    parts, join = _work(backend, given, batch, scores, every_step)
    return join(backend.classify(parts, scores, every_step, progress))


def _work(backend: Backend, given: Any, batch: int, scores: bool, every_step: bool = False) -> Work:
    """The batches of input, and what their results are together."""
    network = backend.require_model().network
    checked, size = packets.batch(given).checked(network), inputs.whole(batch, "batch", 1)
    nothing = _nothing(network, every_step)

    def join(results: list[Result]) -> Result:
        results = results or [nothing]
        values = np.concatenate([r.values for r in results if r.values is not None]) if scores else None
        return Result(np.concatenate([r.labels for r in results]), np.concatenate([r.steps for r in results]), values)

    return (checked.part(at, at + size) for at in range(0, len(checked), size)), join


def _nothing(network: Network, every_step: bool) -> Result:
    """The result of no images."""
    shape = (0, network.decisions) if every_step else (0,)
    return Result(np.zeros(shape, np.uint16), np.zeros(shape, np.uint16), np.zeros((*shape, network.sizes[-1]), np.int32))
