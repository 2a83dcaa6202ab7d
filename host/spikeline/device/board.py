"""The accelerator on a PYNQ board: its bitstream, registers and buffers, by the `pynq` package."""

import asyncio
import time
import warnings
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spikeline import overlay as overlay_package
from spikeline.device import hand_off, numpy_for_pynq, ownership
from spikeline.device.driver import Driver
from spikeline.errors import DeviceError
from spikeline.model.spec import INTERRUPT, REGISTERS, Register

try:
    import pynq
    from pynq.buffer import PynqBuffer
except ImportError as error:
    raise DeviceError(
        f"the pynq package cannot be imported ({error}); on a PYNQ image use its own Python: source /etc/profile.d/pynq_venv.sh; "
        "for the simulated board run `pip install 'spikeline[sim]'`"
    ) from None
numpy_for_pynq.check(PynqBuffer)

LONGEST_REST = 1e-3  # seconds, after which a new job is noticed
INTERRUPT_PIN = "irq"
SMALLEST = 1024  # words of a buffer: XRT may place smaller ones where addresses of 32 bits do not reach
PRIVILEGE = "the programmable logic needs root; run it by sudo, with the image's environment: sudo -E env PATH=$PATH …"


REGISTER_MAP = {
    name: {
        "address_offset": offset,
        "size": 32,
        "access": access,
        "description": name,
        "fields": {
            field: {"bit_offset": lowest, "bit_width": bits, "access": access, "description": field}
            for field, (lowest, bits) in fields.items()
        },
    }
    for name, offset, access, fields in REGISTERS
}


class Registers(pynq.DefaultIP):
    """The accelerator's AXI4-Lite registers, by name in `register_map`; a .hwh lists none for a cell that is a plain module."""

    bindto: ClassVar = [hand_off.VLNV]

    def __init__(self, description: dict[str, Any]):
        super().__init__({**description, "registers": REGISTER_MAP})


class Board:
    """A `spikeline.device.transfers.Device` over `pynq`: overlay, registers and buffers.

    bitstream: the .bit file, its .hwh beside it; a bare name is looked for in spikeline/overlay too. device: a `pynq.Device`,
    the board's own if None. download: False leaves the logic, and the model in it, as they are.
    Whoever opens a board owns it: an older handle of this process has lost it then, and another process is refused. `turns`
    are those of all handles; opening takes one.
    Buffers are cacheable: what is sent has to be flushed, what is received invalidated.
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
        self._lent: weakref.WeakValueDictionary[int, PynqBuffer] = weakref.WeakValueDictionary()  # by address
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
            accelerator = self._find()
            self._lease: ownership.Lease | None = ownership.Lease(self._device)
            try:
                if download:
                    self._overlay.download()
                self._ip = getattr(self._overlay, accelerator)
                self._interrupt = getattr(self._ip, INTERRUPT_PIN, None)  # a `pynq.Interrupt`, if pynq finds the line
                self._loop = asyncio.get_event_loop() if self._interrupt is not None else None  # in which pynq waits for it
                self._check_build(bitstream, self._overlay.ip_dict[accelerator]["parameters"])
            except BaseException:
                self._lease.release()
                raise

    def _find(self) -> str:
        """The name of the one accelerator of the overlay."""
        found = {name: ip["type"] for name, ip in self._overlay.ip_dict.items()}
        bound = [name for name, ip in self._overlay.ip_dict.items() if ip.get("driver") is Registers]
        if len(bound) != 1:
            listed = ", ".join(f"{name} ({kind})" for name, kind in found.items())
            text = f"{self._name}: the overlay has {len(bound)} of {hand_off.VLNV}, needs one; it has {listed}"
            raise DeviceError(f"{text}; load a Spikeline bitstream")
        return bound[0]

    def _check_build(self, bitstream: Path, parameters: dict[str, Any]) -> None:
        """Are the .hwh and what runs in the logic of one build?"""
        stated = hand_off.build(str(parameters.get("BUILD", "")))
        built = self.read(Register.BUILD)
        if stated not in (None, built):
            raise DeviceError(
                f"{bitstream.with_suffix('.hwh').name} is of build 0x{stated:08x}, the loaded bitstream of 0x{built:08x}; "
                "copy .bit and .hwh of one build"
            )

    def await_interrupt(self, seconds: float) -> bool:
        """Sleep until the interrupt of a RECEIVE or an error, at most so long; False, at once, if it cannot be waited for.

        It can where pynq finds the line and the event loop of the thread that opened the board runs, as in a notebook.
        """
        if self._interrupt is None or self._loop is None or not self._loop.is_running():
            return False
        self.write(Register.INTERRUPT_ENABLE, INTERRUPT.pack(received=1, failed=1))
        coming = asyncio.run_coroutine_threadsafe(asyncio.wait_for(self._interrupt.wait(), seconds), self._loop)
        with suppress(TimeoutError):
            coming.result(2 * seconds)
        self.write(Register.INTERRUPT_ENABLE, 0)
        self.write(Register.INTERRUPT, INTERRUPT.pack(received=1, sent=1, failed=1))  # before the look: what comes later stays
        return True

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
        """What the accelerator is clocked with: the processor's first clock."""
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
        """Memory that the accelerator reaches, uint64 (words,): a part of a buffer that is kept until it must grow, or `close`.

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

    def allocate(self, words: int) -> PynqBuffer:
        """Memory that the accelerator reaches, uint64 (words,), which PYNQ frees when nothing looks at it any more."""
        self._check()
        memory = self._allocate(max(words, SMALLEST))
        self._lent[memory.virtual_address] = memory
        return memory[:words]

    def at(self, address: int, words: int) -> PynqBuffer | None:
        """What `allocate` gave at this address of the processor, uint64 (words,); None if not all of it is such memory."""
        for start, memory in list(self._lent.items()):
            if start <= address and address + 8 * words <= start + memory.nbytes and (address - start) % 8 == 0:
                return memory[(address - start) // 8 :][:words]
        return None

    def _allocate(self, words: int) -> PynqBuffer:
        try:
            return pynq.allocate((words,), np.uint64, target=self._device, cacheable=True)
        except (MemoryError, RuntimeError, OSError) as error:
            raise DeviceError(f"no memory for {8 * words:,} bytes of buffer ({error}); use a smaller batch") from None

    def _ours(self, memory: np.ndarray) -> PynqBuffer:
        self._check()
        if not (isinstance(memory, PynqBuffer) and memory.device is self._device):
            raise DeviceError("only what `buffer` returned can be transferred: the accelerator reaches no other memory")
        return memory

    def address(self, memory: np.ndarray) -> int:
        """Where the accelerator finds a part of a buffer."""
        return int(self._ours(memory).device_address)

    def flush(self, memory: np.ndarray) -> None:
        """Write what the processor's cache holds of it back to memory."""
        self._ours(memory).flush()

    def invalidate(self, memory: np.ndarray) -> None:
        """Drop what the processor's cache holds of it."""
        self._ours(memory).invalidate()

    def close(self) -> None:
        """Let go of the board and of all buffers; nothing of it is touched, and the bitstream stays loaded."""
        if self._lease is not None:
            self._lease.release()
        self._lease = self._overlay = self._ip = None
        self._memory.clear()
        self._lent.clear()


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

    def rest(self, waited: float) -> None:
        if not self._board.await_interrupt(LONGEST_REST):
            self.sleep(min(waited / 16, LONGEST_REST))

    def sleep(self, seconds: float) -> None:
        """Leave the processor to others."""
        time.sleep(seconds)


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
