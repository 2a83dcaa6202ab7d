"""Drive the accelerator by its registers and streams: what every device, simulated or real, has in common."""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spikeline.encode import image_seed
from spikeline.errors import DeviceError
from spikeline.geometry import Geometry, LayerGeometry
from spikeline.image import Image, pack_events, pack_pixels, pack_spikes
from spikeline.network import VALUE_BITS
from spikeline.spec import (
    CONTROL,
    ERROR,
    FEATURES,
    GEOMETRY,
    ID,
    LAYER,
    RESULT,
    STATUS,
    VERSION,
    VERSION_MAJOR,
    ErrorCode,
    PacketType,
    Register,
)

MAX_TRANSFER = (1 << 26) - 8  # bytes: the DMA counts with 26 bits

# Labels uint16 (B,), steps uint16 (B,), values int32 (B, classes) or None; with `every_step`, (B, T) and (B, T, classes).
Answer = tuple[np.ndarray, np.ndarray, np.ndarray | None]

FIXES = {
    ErrorCode.CONFIG: "compile for this accelerator's geometry",
    ErrorCode.LAYER: "compile for this accelerator's geometry",
    ErrorCode.NOT_LOADED: "load an image first",
}


class Device(Protocol):
    """Registers, one stream in and one out."""

    def read(self, address: int) -> int: ...
    def write(self, address: int, value: int) -> None: ...
    def start(self, send: np.ndarray, receive: np.ndarray | None = None) -> None: ...
    def poll(self) -> bool: ...
    @property
    def progress(self) -> int: ...
    def halt(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Counters:
    """What the accelerator counted since the counters were cleared."""

    images: int
    steps: int  # time steps
    row_reads: tuple[int, ...]  # per layer: weight rows read, one for every spike that enters the layer
    cycles: int | None = None  # clock cycles with work under way; None where no hardware is
    stall_input: int | None = None  # of them, waiting for spikes from the host
    stall_output: int | None = None  # of them, with a result that the host does not take


class Driver:
    """The accelerator behind a device. `timeout` is the longest wait, in seconds, without any progress."""

    def __init__(self, device: Device, name: str, clock_mhz: float, timeout: float = 30.0):
        self.device = device
        self.timeout = timeout
        if (found := device.read(Register.ID)) != ID:
            raise DeviceError(f"no Spikeline accelerator here (identity 0x{found:08x}); load its bitstream")
        if (major := VERSION.unpack(device.read(Register.VERSION))["major"]) != VERSION_MAJOR:
            raise DeviceError(
                f"the accelerator speaks interface {major}, this runtime {VERSION_MAJOR}; install matching versions"
            )
        self.geometry = self._geometry(name, clock_mhz)
        self.image: Image | None = None

    def _geometry(self, name: str, clock_mhz: float) -> Geometry:
        sizes = GEOMETRY.unpack(self.device.read(Register.GEOMETRY))
        parallel = self.device.read(Register.PARALLEL)
        features = FEATURES.unpack(self.device.read(Register.FEATURES))
        layers = [LAYER.unpack(self.device.read(Register.LAYER + 4 * n)) for n in range(sizes["layers"])]
        return Geometry(
            name,
            tuple(LayerGeometry(**x, spikes_per_cycle=parallel >> 4 * n & 15) for n, x in enumerate(layers)),
            clock_mhz=clock_mhz,
            weight_bits=sizes["weight_bits"],
            membrane_bits=sizes["membrane_bits"],
            classes=sizes["classes"],
            continuous=bool(features["continuous"]),
            max_leak=features["max_leak"],
        )

    def load(self, image: Image) -> None:
        """Send a network to the accelerator. Raises ImageError, with nothing sent, if it does not fit."""
        self.geometry.require(image.network)
        self.image = None
        for packet in image.packets:
            self.device.start(packet)
            self._wait()
        if not STATUS.unpack(self.device.read(Register.STATUS))["loaded"]:
            raise DeviceError("the accelerator did not take the model; reset() and load it again")
        self.image = image

    def run(self, spikes: np.ndarray, scores: bool, every_step: bool = False, events: bool = False) -> Answer:
        """Classify spike trains, uint8 (B, T, N) of 0/1, sent as spike vectors or as address events."""
        return self._send(pack_events(spikes) if events else pack_spikes(spikes), len(spikes), scores, every_step)

    def run_pixels(self, pixels: np.ndarray, seed: int, first_image: int, scores: bool) -> Answer:
        """Classify images, uint8 (B, N), by the encoder on chip; `seed` and `first_image` as in `spikeline.encode`."""
        return self._send(pack_pixels(pixels, image_seed(seed, first_image, len(pixels))), len(pixels), scores)

    def _send(self, send: np.ndarray, images: int, scores: bool, every_step: bool = False) -> Answer:
        if self.image is None:
            raise DeviceError("no model is loaded; load an image first")
        if send.nbytes > MAX_TRANSFER:
            raise DeviceError(f"{send.nbytes} bytes in one transfer, the DMA takes {MAX_TRANSFER}; use a smaller batch")
        classes = self.image.network.layers[-1].neurons
        words = 1 + -(-classes // 2) if scores else 1
        steps = self.image.network.time_steps if every_step else 1  # of each image that have a result
        receive = np.zeros((images * steps, words), np.uint64)
        self.device.write(Register.CONTROL, CONTROL.pack(scores=scores, every_step=every_step))
        self.device.start(send, receive)
        self._wait()
        results = RESULT.unpack_array(receive[:, 0])
        if (results["image"] != np.repeat(np.arange(images), steps)).any():
            raise DeviceError("results came back out of order or lost; reset() and run again")
        values = receive[:, 1:].copy().view(f"<i{VALUE_BITS // 8}")[:, :classes] if scores else None
        labels, used = results["label"].astype(np.uint16), results["steps"].astype(np.uint16)
        if every_step:
            labels, used = labels.reshape(images, steps), used.reshape(images, steps)
            values = None if values is None else values.reshape(images, steps, classes)
        return labels, used, values

    def _wait(self) -> None:
        """Wait until the transfer is done. Raises DeviceError for a refused packet and for a device that makes no progress."""
        progress, since = self.device.progress, time.monotonic()
        while True:
            done = self.device.poll() and STATUS.unpack(self.device.read(Register.STATUS))["idle"]
            error = ERROR.unpack(self.device.read(Register.ERROR))
            if error["code"]:
                self._fail(error)
            if done:
                return
            if self.device.progress != progress:
                progress, since = self.device.progress, time.monotonic()
            elif time.monotonic() - since > self.timeout:
                self.device.halt()
                raise DeviceError(f"the accelerator made no progress for {self.timeout:g} s; reset() and load the model again")

    def _fail(self, error: dict[str, int]) -> None:
        self.device.halt()
        code = ErrorCode(error["code"])
        kind = next((k.name for k in PacketType if k == error["packet"]), f"unknown (type {error['packet']})")
        fix = FIXES.get(code, "reset() and send a sound packet")
        raise DeviceError(f"the accelerator refused a {kind} packet of layer {error['layer']}: {code.name}; {fix}")

    def counters(self) -> Counters:
        """Read all counters."""
        read = self.device.read

        def wide(low: int) -> int:
            value = read(low)  # captures the high word
            return read(low + 4) << 32 | value

        layers = self.image.network.layers if self.image else self.geometry.layers
        return Counters(
            images=wide(Register.IMAGES_LO),
            steps=wide(Register.STEPS_LO),
            row_reads=tuple(wide(Register.ROW_READS_LO + 8 * n) for n in range(len(layers))),
            cycles=wide(Register.CYCLES_LO),
            stall_input=wide(Register.STALL_INPUT_LO),
            stall_output=wide(Register.STALL_OUTPUT_LO),
        )

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        self.device.write(Register.CONTROL, CONTROL.pack(clear_counters=1))

    def reset(self) -> None:
        """Stop all work and forget the model and any error."""
        self.device.halt()
        self.device.write(Register.CONTROL, CONTROL.pack(reset=1, clear_error=1))
        self.image = None

    def close(self) -> None:
        """Let go of the device."""
        self.device.close()
