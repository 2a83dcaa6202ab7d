"""Drive the accelerator by its registers and memory: what every device, simulated or real, has in common."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import Any

import numpy as np

from spikeline.device import throughput
from spikeline.device.backend import Backend, Counters, Result
from spikeline.device.ownership import Turns
from spikeline.device.packets import Batch
from spikeline.device.transfers import Device, Transfers
from spikeline.errors import DeviceError
from spikeline.model.geometry import ConvolutionGeometry, Geometry, LayerGeometry
from spikeline.model.model_file import Model
from spikeline.model.network import VALUE_BITS
from spikeline.model.spec import (
    CONTROL,
    CONVOLUTION,
    ERROR,
    FEATURES,
    GEOMETRY,
    ID,
    LAYER,
    RESULT,
    STATUS,
    VERSION,
    VERSION_MAJOR,
    VERSION_MINOR,
    ErrorCode,
    PacketType,
    Register,
)

AHEAD = 2  # batches that are under way while the next one is packed
RESET_TIMEOUT = 1.0  # seconds in which the memory has to end what it has begun

FIXES = {
    ErrorCode.CONFIG: "compile for this accelerator's geometry",
    ErrorCode.LAYER: "compile for this accelerator's geometry",
    ErrorCode.NOT_LOADED: "load a model first",
    ErrorCode.CHECKSUM: "it was changed in memory or on its way; load the model again",
}


class Driver(Backend):
    """The accelerator behind a device. `timeout` is the longest wait, in seconds, without any progress.

    `waiting` is the processor time, in seconds, that went into looking whether the accelerator is done. No call ends, in
    whatever way, with a transfer under way.

    Raises DeviceError for a device that is no accelerator or speaks another interface.
    """

    def __init__(self, device: Device, name: str, clock_mhz: float, timeout: float = 30.0):
        self.device = device
        self.timeout = timeout
        self.turns = Turns()
        self._under_way = False
        self._waited = 0.0
        if (found := device.read(Register.ID)) != ID:
            raise DeviceError(f"no Spikeline accelerator here (identity 0x{found:08x}); load its bitstream")
        version = VERSION.unpack(device.read(Register.VERSION))
        if version["major"] != VERSION_MAJOR or version["minor"] < VERSION_MINOR:
            raise DeviceError(
                f"the accelerator speaks interface {version['major']}.{version['minor']}, this runtime "
                f"{VERSION_MAJOR}.{VERSION_MINOR}; install matching versions"
            )
        if not FEATURES.unpack(device.read(Register.FEATURES))["commands"]:
            text = "this accelerator takes packets as a stream and has no memory port"
            raise DeviceError(f"{text}; load the bitstream of one that has: its top is spikeline.v")
        self.geometry = self._geometry(name, clock_mhz)
        self.transfers = Transfers(device)
        if not self._idle() or any(device.read(x) for x in (Register.ERROR, Register.MEMORY_ERROR, Register.COMMANDS)):
            self.reset()  # an earlier program ended in the middle of its work

    def _geometry(self, name: str, clock_mhz: float) -> Geometry:
        sizes = GEOMETRY.unpack(self.device.read(Register.GEOMETRY))
        parallel = self.device.read(Register.PARALLEL)
        features = FEATURES.unpack(self.device.read(Register.FEATURES))
        first = features["convolutions"]  # of the fully connected ones
        layers = [LAYER.unpack(self.device.read(Register.LAYER + 4 * n)) for n in range(sizes["layers"])]
        rooms = [CONVOLUTION.unpack(self.device.read(Register.CONVOLUTION + 4 * n)) for n in range(first)]
        return Geometry(
            name,
            tuple(LayerGeometry(**x, spikes_per_cycle=parallel >> 4 * n & 15) for n, x in enumerate(layers) if n >= first),
            convolutions=tuple(
                ConvolutionGeometry(x["neurons"], x["inputs"], **room) for x, room in zip(layers, rooms, strict=False)
            ),
            inputs=self.device.read(Register.INPUTS) if first else 0,
            clock_mhz=clock_mhz,
            weight_bits=sizes["weight_bits"],
            membrane_bits=sizes["membrane_bits"],
            classes=sizes["classes"],
            continuous=bool(features["continuous"]),
            max_leak=features["max_leak"],
            direct=bool(features["direct"]),
            group=features["group"],
        )

    def load(self, model: Model) -> None:
        """Send a network to the accelerator, whatever state that is in. Raises ModelError, nothing sent, if it does not fit."""
        self.geometry.require(model.network)
        self.reset()
        with self.mended():
            for packet in model.packets:
                send = self.device.buffer("send0", len(packet))
                send[:] = packet
                self.start(send)
                self.wait()
        if not self._holds(model):
            raise DeviceError("the accelerator did not take the model; load it again")
        self.model = model

    def adopt(self, model: Model) -> bool:
        """Go on with the model that the accelerator holds, if it is `model`; says whether it is."""
        if self._holds(model):
            self.model = model
            return True
        return False

    def _holds(self, model: Model) -> bool:
        loaded = STATUS.unpack(self.device.read(Register.STATUS))["loaded"]
        return bool(loaded) and self.device.read(Register.MODEL) == model.identity

    def check(self) -> bool:
        """Does the accelerator hold the loaded model, without an error? Reads registers, and changes nothing."""
        errors = (Register.ERROR, Register.MEMORY_ERROR)
        return self.model is not None and self._holds(self.model) and not any(self.device.read(x) for x in errors)

    def require_model(self) -> Model:
        """The loaded model. Raises DeviceError without one, and if the accelerator does not hold it any more."""
        if self.model is None and (held := self.device.read(Register.MODEL)):
            other = f"the accelerator holds that of identity {held:08x}, of another program"
            raise DeviceError(f"no model is loaded ({other}); load one first")
        model = super().require_model()
        if not self._holds(model):
            self.model = None
            what = "its bitstream was loaded again, or another program has used it"
            raise DeviceError(f"the accelerator no longer holds this model: {what}; load() it again")
        return model

    def buffer(self, images: int) -> np.ndarray:
        """Images of zeros in memory of the device, uint8 (images, inputs), each at a multiple of 8 bytes."""
        size = self.require_model().network.sizes[0]
        words = -(-size // 8)
        memory = np.asarray(self.device.allocate(images * words))
        memory[:] = 0
        return memory.view(np.uint8).reshape(images, 8 * words)[:, :size]

    def stream(
        self,
        more: Callable[[], Batch | None],
        scores: bool = False,
        every_step: bool = False,
        progress: Callable[[int], None] = lambda images: None,
        ready: Callable[[], bool] | None = None,
    ) -> Iterator[Result]:
        """Classify batches, one transfer each.

        While the accelerator works on some, another is packed and queued, and the results of the one before are read.
        Raises DeviceError, with the accelerator to be loaded anew, if it refuses a packet or makes no progress. Whatever else
        ends the work, such as an interrupt, leaves it idle with the same model.
        """
        self.require_model()
        running: deque[tuple[np.ndarray, Batch]] = deque()
        begun = told = self.device.read(Register.IMAGES_LO)

        def count(images: int) -> None:
            nonlocal told
            if images != told:
                told = images
                progress(images - begun & 0xFFFFFFFF)

        def ready_now() -> bool:
            return ready is not None and len(running) <= AHEAD and ready()

        with self.mended():
            self.ask(scores, every_step)
            slots = cycle(range(AHEAD + 1))
            while True:
                while len(running) <= AHEAD and (batch := more()) is not None:
                    send, receive = self.prepare(batch, scores, every_step, next(slots))
                    self.start(send, receive)
                    running.append((receive, batch))
                if not running:
                    return
                if self.wait(count, len(running) - 1, None if ready is None else ready_now):
                    yield self.unpack(*running.popleft(), scores, every_step)

    @contextmanager
    def mended(self) -> Iterator[None]:
        """If the block ends by an error of the host, stop what is under way, and load the model again."""
        try:
            yield
        except BaseException:
            if self._under_way:
                model = self.model
                with suppress(DeviceError):  # the error that ended the block is the one to tell
                    self.reset()
                    if model is not None:
                        self.load(model)
            raise

    def ask(self, scores: bool = False, every_step: bool = False) -> None:
        """Say what the results of the batches to come shall hold."""
        self.device.write(Register.CONTROL, CONTROL.pack(scores=scores, every_step=every_step))

    def prepare(
        self, batch: Batch, scores: bool = False, every_step: bool = False, slot: int = 0
    ) -> tuple[np.ndarray | tuple[np.ndarray, ...], np.ndarray]:
        """Pack a batch; return its packet and room for the results, all memory of the device.

        Images that lie in such memory are not copied: the packet is then two parts, its first words and the images.
        """
        network = super().require_model().network
        words = 1 + -(-self._classes // 2) if scores else 1
        results = len(batch) * (network.decisions if every_step else 1)
        place = batch.place
        images = None if place is None else self.device.at(*place)
        send = self.device.buffer(f"send{slot}", batch.words - (0 if images is None else images.size))
        batch.pack(np.asarray(send))
        return send if images is None else (send, images), self.device.buffer(f"receive{slot}", results * words)

    def unpack(self, receive: np.ndarray, batch: Batch, scores: bool = False, every_step: bool = False) -> Result:
        """Read the results of a batch. Raises DeviceError if one is missing or out of order."""
        assert self.model is not None
        steps = self.model.network.decisions if every_step else 1  # of each image that have a result
        records = np.asarray(receive).reshape(len(batch) * steps, -1)
        words = RESULT.unpack_array(records[:, 0])
        if (words["image"] != np.repeat(np.arange(len(batch)), steps)).any():
            raise DeviceError("results came back out of order or lost; reset() and load the model again")
        values = records[:, 1:].copy().view(f"<i{VALUE_BITS // 8}")[:, : self._classes] if scores else None
        labels, used = words["label"].astype(np.uint16), words["steps"].astype(np.uint16)
        if every_step:
            labels, used = labels.reshape(-1, steps), used.reshape(-1, steps)
            values = None if values is None else values.reshape(-1, steps, self._classes)
        return Result(labels, used, values)

    @property
    def _classes(self) -> int:
        assert self.model is not None
        return self.model.network.layers[-1].neurons

    def start(self, send: np.ndarray | tuple[np.ndarray, ...], receive: np.ndarray | None = None) -> None:
        """Queue a packet, or its parts, and room for what comes of it, all memory of the device; to be followed by `wait`."""
        self._under_way = True
        self.transfers.start(send, receive)

    def wait(
        self,
        progress: Callable[[int], None] = lambda images: None,
        left: int = 0,
        ready: Callable[[], bool] | None = None,
    ) -> bool:
        """Wait until at most `left` transfers are under way; `progress` is told the counter of images whenever it has moved.

        ready: ends the wait too, and lets the thread rest meanwhile. Returns whether no more than `left` are under way.
        Raises DeviceError, after a reset, for a refused packet and for a device that makes no progress.
        """
        begin = time.thread_time()
        images, since = None, time.monotonic()
        self._under_way, done = True, False
        while not done and not (ready is not None and ready()):
            try:
                done, now = self._look(left)
                if now == images and not done and time.monotonic() - since > self.timeout:
                    text = f"the accelerator made no progress for {self.timeout:g} s"
                    raise DeviceError(f"{text}; reset() and load the model again")
            except DeviceError:
                with suppress(DeviceError):  # of a device that does not answer either
                    self.reset()
                raise
            if now != images:
                images, since = now, time.monotonic()
                progress(now)
            if ready is not None and not done:
                self.rest(time.monotonic() - since)
        self._under_way = not done or left > 0
        self._waited += time.thread_time() - begin
        return done

    def rest(self, waited: float) -> None:
        """Leave the processor to others for a little of the time that a wait has lasted, in s; here not at all."""

    def _look(self, left: int) -> tuple[bool, int]:
        """Are at most `left` transfers under way, and the counter of images. Raises DeviceError for one that failed."""
        done = self.transfers.poll() <= left and (left > 0 or self._idle())
        error = ERROR.unpack(self.device.read(Register.ERROR))  # after the look at idle: of what is done all errors are known
        if error["code"]:
            code = ErrorCode(error["code"])
            kind = next((k.name for k in PacketType if k == error["packet"]), f"unknown (type {error['packet']})")
            fix = FIXES.get(code, "reset() and send a sound packet")
            raise DeviceError(f"the accelerator refused a {kind} packet of layer {error['layer']}: {code.name}; {fix}")
        if fault := self.transfers.fault():
            raise DeviceError(f"the transfer stopped: {fault}; reset() and load the model again")
        return done, self.device.read(Register.IMAGES_LO)

    @property
    def waiting(self) -> float:
        return self._waited

    def _idle(self) -> bool:
        return bool(STATUS.unpack(self.device.read(Register.STATUS))["idle"])

    def throughput_test(self, batch: Batch) -> dict[str, Any]:
        """Run a batch step by step and time each; see `spikeline.device.throughput`. Raises DeviceError as `classify` does."""
        timed = throughput.Stopwatch()

        def flush(send: np.ndarray | tuple[np.ndarray, ...]) -> None:
            for part in send if isinstance(send, tuple) else (send,):
                self.device.flush(part)

        def run() -> None:
            self.start(send, receive)
            self.wait()

        self.require_model()
        with self.mended():
            self.ask()
            self.prepare(batch)  # memory that is touched for the first time is slow
            send, receive = timed("pack_input", lambda: self.prepare(batch))
            timed("copy_input_data_to_device", lambda: flush(send))
            begun = self.counters().cycles or 0
            timed("runtime", run)
            cycles = (self.counters().cycles or 0) - begun
            timed("copy_output_data_from_device", lambda: self.device.invalidate(receive))
            timed("unpack_output", lambda: self.unpack(receive, batch))
        simulated = cycles if self.simulator is not None else None
        return throughput.report(timed.times, len(batch), 8 * batch.words, receive.nbytes, self.geometry.clock_mhz, simulated)

    def counters(self) -> Counters:
        """Read all counters."""
        read = self.device.read

        def wide(low: int) -> int:
            value = read(low)  # captures the high word
            return read(low + 4) << 32 | value

        every = range(len(self.geometry.convolutions) + len(self.geometry.layers))
        cores = self.geometry.cores(self.model.network) if self.model else every
        return Counters(
            images=wide(Register.IMAGES_LO),
            steps=wide(Register.STEPS_LO),
            row_reads=tuple(wide(Register.ROW_READS_LO + 8 * n) for n in cores),
            cycles=wide(Register.CYCLES_LO),
            stall_input=wide(Register.STALL_INPUT_LO),
            stall_output=wide(Register.STALL_OUTPUT_LO),
        )

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        self.device.write(Register.CONTROL, CONTROL.pack(clear_counters=1))

    def reset(self) -> None:
        """Stop all work and forget the model and any error; the bitstream stays.

        The accelerator ends the bursts that it has begun and asks for no more. Raises DeviceError if the memory does not answer.
        """
        self.model = None
        self.device.write(Register.CONTROL, CONTROL.pack(reset=1, clear_error=1))
        deadline = time.monotonic() + RESET_TIMEOUT
        while not self._idle():
            if time.monotonic() > deadline:
                text = f"the memory did not end the last burst within {RESET_TIMEOUT:g} s"
                raise DeviceError(f"{text}; load the bitstream again")
        self.transfers.forget()
        self._under_way = False

    def close(self) -> None:
        """Let go of the device, with nothing under way."""
        try:
            if self._under_way:
                self.reset()
        finally:
            self.device.close()
