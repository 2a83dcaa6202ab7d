"""The API: load an image, classify batches, read counters. On the golden model, the simulated accelerator or a board."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeline import golden, image
from spikeline.driver import Answer, Counters, Driver
from spikeline.encode import encode
from spikeline.errors import DataError, DeviceError
from spikeline.geometry import Geometry
from spikeline.image import Image
from spikeline.network import Network
from spikeline.sim import SimDevice

BACKENDS = ("sim", "golden")
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

    def run(self, spikes: np.ndarray, scores: bool, every_step: bool = False, events: bool = False) -> Answer:
        if self.image is None:
            raise DeviceError("no model is loaded; load an image first")
        trace = golden.run(self.image.network, spikes)
        self._images += len(spikes)
        self._row_reads = self._row_reads + trace.row_reads.sum((0, 1))
        if every_step:
            values, labels = trace.running
            steps = np.broadcast_to(np.arange(1, spikes.shape[1] + 1, dtype=np.uint16), labels.shape)
            return labels, steps, values if scores else None
        return trace.labels, trace.steps, trace.values if scores else None

    def run_pixels(self, pixels: np.ndarray, seed: int, first_image: int, scores: bool) -> Answer:
        if self.image is None:
            raise DeviceError("no model is loaded; load an image first")
        network = self.image.network
        return self.run(encode(pixels, network.encoder.name.lower(), network.time_steps, seed, first_image), scores)

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

    backend: `sim`, the Verilated RTL, or `golden`, the integer model in numpy. geometry: name or JSON file of what is built.
    timeout: seconds without progress after which a wait gives up.

    Raises DeviceError if the backend cannot be had, ImageError if the image cannot be used; see `spikeline.errors`.
    """

    def __init__(
        self,
        model: Image | Path | str | None = None,
        backend: str = "sim",
        geometry: Geometry | str | Path = "z020-256",
        timeout: float = 30.0,
    ):
        built = geometry if isinstance(geometry, Geometry) else Geometry.load(geometry)
        if model is not None:  # before anything is built for it
            model = model if isinstance(model, Image) else image.load(model)
            if backend != "golden":
                built.require(model.network)
        self._backend: Driver | _Golden
        if backend == "golden":
            self._backend = _Golden(built)
        elif backend == "sim":
            self._backend = Driver(SimDevice(built), built.name, built.clock_mhz, timeout)
        else:
            raise DeviceError(f"no backend {backend}; there are {', '.join(BACKENDS)}")
        self.geometry = built
        if model is not None:
            self.load(model)

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
        if self.image is None:
            raise DeviceError("no model is loaded; load an image first")
        network = self.image.network
        if pixels.ndim != 2 or pixels.dtype != np.uint8 or pixels.shape[1] != network.sizes[0]:
            raise DataError(f"images must be uint8 (B, {network.sizes[0]}), not {pixels.dtype} {pixels.shape}")
        if input not in INPUTS:
            raise DataError(f"no input {input}; there are {', '.join(INPUTS)}")
        results = []
        for at in range(0, len(pixels), batch):
            part = pixels[at : at + batch]
            if input == "pixels":
                results.append(Result(*self._backend.run_pixels(part, seed, at, scores)))
            else:
                spikes = encode(part, network.encoder.name.lower(), network.time_steps, seed, first_image=at)
                results.append(self.infer_spikes(spikes, scores, events=input == "events"))
            progress(at + len(part))
        return _join(results, network.layers[-1].neurons, scores)

    def infer_spikes(self, spikes: np.ndarray, scores: bool = False, events: bool = False) -> Result:
        """Classify spike trains, uint8 or bool (B, T, inputs) of 0/1, in one transfer, of `events` if so said."""
        network = self._network(spikes)
        if not len(spikes):
            return _join([], network.layers[-1].neurons, scores)
        return Result(*self._backend.run(spikes, scores, events=events))

    def running(self, spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How a decision forms: class values after each time step and the class that leads then.

        Of spike trains, uint8 or bool (B, T, inputs) of 0/1: int32 (B, T, classes) and uint16 (B, T). No image ends early.
        """
        self._network(spikes)
        labels, _, values = self._backend.run(spikes, scores=True, every_step=True)
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
        device = self._backend.device
        if not isinstance(device, SimDevice):
            raise DeviceError("only the golden model and the simulator show single spikes; use --backend sim")
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

    def counters(self) -> Counters:
        """What was counted since `clear_counters` or power-on."""
        return self._backend.counters()

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        self._backend.clear_counters()

    def reset(self) -> None:
        """Stop all work and forget the model and any error; load an image again before the next `infer`."""
        self._backend.reset()

    def close(self) -> None:
        """Free the device."""
        self._backend.close()

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
