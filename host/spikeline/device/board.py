"""The accelerator on a PYNQ board: its bitstream, registers, DMA and buffers, by the `pynq` package."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spikeline import overlay as overlay_package
from spikeline.device import hand_off, numpy_for_pynq, ownership
from spikeline.device.driver import Driver
from spikeline.errors import DeviceError
from spikeline.model.spec import DMA_CR, DMA_LENGTH, DMA_SR, DmaRegister, Register

try:
    import pynq
    import pynq.lib.dma
    from pynq.buffer import PynqBuffer
except ImportError as error:
    raise DeviceError(
        f"the pynq package cannot be imported ({error}); on a PYNQ image use its own Python: source /etc/profile.d/pynq_venv.sh; "
        "for the simulated board run `pip install 'spikeline[sim]'`"
    ) from None
numpy_for_pynq.check(PynqBuffer)

SMALLEST = 1024  # words of a buffer: XRT may place smaller ones where a DMA of 32-bit addresses does not reach
CHANNEL_TIMEOUT = 1.0  # seconds in which a DMA channel has to follow a command
DMA_ERRORS = {
    "internal_error": "a packet did not fit its buffer",
    "slave_error": "the memory refused an access",
    "decode_error": "a buffer is not in memory that the DMA reaches",
}
PRIVILEGE = "the programmable logic needs root; run it by sudo, with the image's environment: sudo -E env PATH=$PATH …"


class Registers(pynq.DefaultIP):
    """The accelerator's AXI4-Lite registers, by name in `register_map`; bound to the packaged IP and to the bare module."""

    bindto: ClassVar = [hand_off.VLNV["ACCELERATOR"], hand_off.MODULE_REFERENCE]


class Board:
    """A `spikeline.device.driver.Device` over `pynq`: overlay, DMA in simple mode, two buffers for each direction.

    bitstream: the .bit file, its .hwh beside it; a bare name is looked for in spikeline/overlay too. device: a `pynq.Device`,
    the board's own if None. download: False leaves the logic, and the model in it, as they are.
    Whoever opens a board owns it: an older handle of this process has lost it then, and another process is refused. `turns`
    are those of all handles; opening takes one.
    Buffers are cacheable: `pynq` flushes what is sent, what is received is invalidated here.
    Raises DeviceError that names the fix; until the bitstream is found sound, an older handle keeps the board.
    """

    def __init__(self, bitstream: Path | str, device: Any = None, download: bool = True):
        bitstream = Path(bitstream)
        packaged = Path(overlay_package.__file__).parent / bitstream.name
        if not bitstream.is_file() and bitstream.parent == Path(".") and packaged.is_file():
            bitstream = packaged
        for path in (bitstream, bitstream.with_suffix(".hwh")):
            if not path.is_file():
                raise DeviceError(f"{path} is missing; copy .bit and .hwh of one build side by side (`make bit` makes them)")
        self._name = bitstream.name
        self._memory: dict[tuple[str, int], PynqBuffer] = {}
        self._sending: PynqBuffer | None = None  # what is in flight, and so must stay
        self._receiving: PynqBuffer | None = None
        self._receiving_done = True
        self._device = _active_device() if device is None else device
        self.turns = ownership.turns(self._device)
        with self.turns.take():
            try:
                self._open(bitstream, download)
            except PermissionError as error:
                raise DeviceError(f"{error}; {PRIVILEGE}") from None
            except DeviceError:
                raise
            except OSError as error:
                raise DeviceError(f"{bitstream} cannot be loaded: {error}; {PRIVILEGE}") from None
            except Exception as error:  # whatever pynq meets in a .hwh that is damaged
                raise DeviceError(f"{bitstream} cannot be loaded: {error!r}; is its .hwh whole, and of the same build?") from None

    def _open(self, bitstream: Path, download: bool) -> None:
        if not download:
            _check_programmed(bitstream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # pynq's, about every file that it leaves open
            self._overlay: Any = pynq.Overlay(str(bitstream), device=self._device, download=False)
            accelerator, dma = self._find(Registers), self._find(pynq.lib.dma.DMA)
            self._check_dma(self._overlay.ip_dict[dma]["parameters"])
            self._lease: ownership.Lease | None = ownership.Lease(self._device)
            try:
                if download:
                    self._overlay.download()
                self._ip = getattr(self._overlay, accelerator)
                self._check_build(bitstream, self._overlay.ip_dict[accelerator]["parameters"])
                described = self._overlay.ip_dict[dma]
                self._mmio = pynq.MMIO(described["phys_addr"], described["addr_range"], device=self._device)
                self._reset_dma()  # whatever an earlier program left: pynq's driver waits for a DMA that has failed, without end
                self._dma = getattr(self._overlay, dma)
            except BaseException:
                self._lease.release()
                raise

    def _find(self, driver: type) -> str:
        """The name of the one IP of the overlay that is bound to `driver`."""
        found = {name: ip["type"] for name, ip in self._overlay.ip_dict.items()}
        bound = [name for name, ip in self._overlay.ip_dict.items() if ip.get("driver") is driver]
        if len(bound) != 1:
            listed = ", ".join(f"{name} ({kind})" for name, kind in found.items())
            wanted = " or ".join(driver.bindto)  # type: ignore[attr-defined]
            text = f"{self._name}: the overlay has {len(bound)} of {wanted}, needs one; it has {listed}"
            raise DeviceError(f"{text}; load a Spikeline bitstream")
        return bound[0]

    def _check_dma(self, parameters: dict[str, Any]) -> None:
        bits, needed = int(parameters.get("c_sg_length_width", 0)), DMA_LENGTH.fields["bytes"][1]
        both = all(int(parameters.get(f"c_include_{channel}", 0)) for channel in ("mm2s", "s2mm"))
        if not both or int(parameters.get("c_include_sg", 1)) or bits < needed:
            raise DeviceError(
                f"{self._name}: the DMA must have both channels, no scatter-gather and a length of {needed} bits "
                f"(it has {bits}); "
                "build the design with `make bit`"
            )

    def _check_build(self, bitstream: Path, parameters: dict[str, Any]) -> None:
        """Are the .hwh and what runs in the logic of one build?"""
        stated = str(parameters.get("BUILD", ""))
        built = self.read(Register.BUILD)
        if stated.startswith("0x") and int(stated, 16) != built:
            raise DeviceError(
                f"{bitstream.with_suffix('.hwh').name} is of build {stated}, the loaded bitstream of 0x{built:08x}; "
                "copy .bit and .hwh of one build"
            )

    def _check(self) -> None:
        if self._lease is None:
            raise DeviceError("this board is closed; open a new one")
        self._lease.check()

    @property
    def overlay(self) -> Any:
        """The `pynq.Overlay`."""
        self._check()
        return self._overlay

    @property
    def clock_mhz(self) -> float:
        """What the accelerator is clocked with: FCLK0 of the processor."""
        return float(pynq.Clocks.fclk0_mhz)

    def read(self, address: int) -> int:
        """Read a 32-bit register of the accelerator."""
        self._check()
        return int(self._ip.read(int(address)))

    def write(self, address: int, value: int) -> None:
        """Write a 32-bit register of the accelerator."""
        self._check()
        self._ip.write(int(address), int(value))

    def buffer(self, name: str, words: int) -> np.ndarray:
        """Memory that the DMA reaches, uint64 (words,): a part of a buffer that is kept until `close` or until it must grow.

        Each name has a buffer for each range of sizes, since newer XRT flushes a buffer whole. One that has to grow is let
        go of, not freed: PYNQ frees it when nothing looks at it any more, and may unmap another's memory before that.
        """
        self._check()
        size = max(words, SMALLEST)
        key = name, (size - 1).bit_length() // 2
        memory = self._memory.get(key)
        if memory is None or memory.size < size:
            del memory
            self._memory.pop(key, None)
            try:
                memory = self._allocate(size)
            except DeviceError:
                self._memory.clear()  # what is in flight is held elsewhere
                memory = self._allocate(size)
            self._memory[key] = memory
        return memory[:words]

    def _allocate(self, words: int) -> PynqBuffer:
        try:
            return pynq.allocate((words,), np.uint64, target=self._device, cacheable=True)
        except (MemoryError, RuntimeError, OSError) as error:
            raise DeviceError(f"no memory for {8 * words:,} bytes of DMA buffer ({error}); use a smaller batch") from None

    def _ours(self, memory: np.ndarray) -> PynqBuffer:
        self._check()
        if not (isinstance(memory, PynqBuffer) and memory.device is self._device):
            raise DeviceError("only what `buffer` returned can be streamed: the DMA reaches no other memory")
        return memory

    def flush(self, memory: np.ndarray) -> None:
        """Write what the processor's cache holds of it back to memory."""
        self._ours(memory).flush()

    def invalidate(self, memory: np.ndarray) -> None:
        """Drop what the processor's cache holds of it."""
        self._ours(memory).invalidate()

    def start(self, send: np.ndarray, receive: np.ndarray | None = None) -> None:
        """Queue `receive`, if any, then send; both are from `buffer`."""
        send, receive = self._ours(send), None if receive is None else self._ours(receive)
        self._sending, self._receiving = send, receive
        self._receiving_done = receive is None
        try:
            if receive is not None:
                receive.invalidate()  # no line of it may be written back over what the DMA writes
                self._dma.recvchannel.transfer(receive)
            self._dma.sendchannel.transfer(send)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"{error}; reset() and load the model again") from None

    def poll(self) -> bool:
        """Is all that was started done? Raises DeviceError for a DMA that met an error or was halted."""
        self._check()
        if not self._receiving_done and self._idle("S2MM"):
            assert self._receiving is not None
            came = DMA_LENGTH.unpack(self._mmio.read(DmaRegister.S2MM_LENGTH))["bytes"]
            if came != self._receiving.nbytes:
                raise DeviceError(f"{came} bytes of results, {self._receiving.nbytes} were due; reset() and load the model again")
            self._receiving.invalidate()  # before it is read
            self._receiving_done = True
        return self._idle("MM2S") and self._receiving_done

    def _idle(self, channel: str) -> bool:
        status = DMA_SR.unpack(self._mmio.read(DmaRegister[f"{channel}_SR"]))
        way = "sending" if channel == "MM2S" else "receiving"
        for name, meaning in DMA_ERRORS.items():
            if status[name]:
                raise DeviceError(f"the DMA stopped {way}: {meaning}; reset() and load the model again")
        if status["halted"]:
            raise DeviceError(f"the DMA was halted while {way}; reset() and load the model again")
        return bool(status["idle"])

    def halt(self) -> None:
        """Reset the DMA, both channels, and start it again. Raises DeviceError if it does not follow."""
        self._check()
        self._reset_dma()
        for channel in (self._dma.sendchannel, self._dma.recvchannel):
            channel.start()  # it runs already, so this does not wait; it tells pynq that the next transfer is the first

    def _reset_dma(self) -> None:
        self._mmio.write(DmaRegister.MM2S_CR, DMA_CR.pack(reset=1))
        self._await(lambda: not DMA_CR.unpack(self._mmio.read(DmaRegister.MM2S_CR))["reset"])
        for control, status in ((DmaRegister.MM2S_CR, DmaRegister.MM2S_SR), (DmaRegister.S2MM_CR, DmaRegister.S2MM_SR)):
            self._mmio.write(control, DMA_CR.pack(run=1))
            self._await(partial(self._running, status))
        self._sending, self._receiving, self._receiving_done = None, None, True

    def _running(self, status: DmaRegister) -> bool:
        return not DMA_SR.unpack(self._mmio.read(status))["halted"]

    def _await(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + CHANNEL_TIMEOUT
        while not done():
            if time.monotonic() > deadline:
                raise DeviceError(f"the DMA did not come out of reset within {CHANNEL_TIMEOUT:g} s; load the bitstream again")

    def close(self) -> None:
        """Let go of the board and of all buffers; nothing of it is touched, and the bitstream stays loaded."""
        if self._lease is not None:
            self._lease.release()
        self._lease = self._sending = self._receiving = self._overlay = self._ip = self._dma = None
        self._memory.clear()


class BoardDriver(Driver):
    """The driver of a board, which it owns. Raises DeviceError, with the board closed, if no accelerator answers."""

    def __init__(self, board: Board, name: str, timeout: float = 30.0):
        self._board = board
        try:
            with board.turns.take():
                super().__init__(board, name, board.clock_mhz, timeout)
        except BaseException:
            board.close()
            raise
        self.turns = board.turns

    @property
    def overlay(self) -> Any:
        return self._board.overlay


def _check_programmed(bitstream: Path) -> None:
    """Raise DeviceError if pynq has recorded that the logic was loaded with another file than `bitstream`."""
    try:
        from pynq.pl_server.global_state import bitstream_hash, load_global_state

        state = load_global_state()
    except (ImportError, OSError, ValueError):  # nothing is recorded
        return
    if getattr(state, "bitfile_hash", "") not in ("", bitstream_hash(str(bitstream))):
        raise DeviceError(f"the logic holds {state.bitfile_name}, not {bitstream}; leave out download=False to load it")


def _active_device() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the exception says it
        try:
            return pynq.Device.active_device
        except RuntimeError:
            raise DeviceError(
                "no PYNQ device here; run this on a board (as root, `source /etc/profile.d/xrt_setup.sh` first), "
                "or without a bitstream for the simulated board"
            ) from None
