"""A PYNQ board without the board: a `pynq.Device` whose programmable logic is the Verilated accelerator.

The `pynq` package above it is the real one. The processor and the accelerator each see memory of their own, and only a flush
or an invalidation copies between them, so a missing one shows; and buffers end as XRT's do, so one that is freed too early shows.
"""

import os
import shutil
import struct
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pynq
from pynq.buffer import PynqBuffer
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynqmetadata.frontends import Metadata

from spikeline.device import hand_off
from spikeline.device.hand_off import ZYNQ_7000, ZYNQ_ULTRASCALE, Processor
from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated
from spikeline.simulation.verilated import MEMORY_BASE, MEMORY_BYTES, PAGE, SimDevice

SMALLEST = 8192  # bytes of a buffer, as PYNQ 3.1 allocates it

# The processor's clock registers: PLLs of the crystals that `pynq` assumes, then dividers as it sets them.
CLOCKS = {
    ZYNQ_7000: {0xF800_0100: 26 << 12, 0xF800_0104: 21 << 12, 0xF800_0108: 20 << 12, 0xF800_0120: 2 << 8}
    | {0xF800_0170 + 0x10 * n: 1 << 20 | 10 << 8 for n in range(4)},
    ZYNQ_ULTRASCALE: {0xFF5E_0020: 1 << 16 | 90 << 8, 0xFF5E_0030: 1 << 16 | 64 << 8}  # 33.333 MHz · 90 / 2
    | {0xFF5E_00C0 + 4 * n: 1 << 24 | 1 << 16 | 15 << 8 for n in range(4)}
    | {0xFD1A_0020: 1 << 16 | 72 << 8, 0xFD1A_002C: 1 << 16 | 64 << 8, 0xFD1A_0038: 1 << 16 | 64 << 8, 0xFD1A_0060: 1 << 8},
}


class Memory:
    """Memory for buffers: what the processor sees by its own addresses (`host`), what the accelerator by physical ones (`logic`).

    Both addresses of a buffer are given out and given back apart, as Linux and XRT do it. So a mapping that is taken away
    twice may by then be another buffer's.
    """

    def __init__(self) -> None:
        self.host = np.zeros(MEMORY_BYTES, np.uint8)
        self.logic = np.zeros(MEMORY_BYTES, np.uint8)
        self.taken: dict[int, int] = {}  # page-aligned physical offset → bytes
        self.mapped: dict[int, int] = {}  # page-aligned offset in `host` → bytes

    def free(self) -> None:
        """Let go of the memory now, whoever still holds the board; buffers keep theirs."""
        self.host = self.logic = np.zeros(0, np.uint8)

    def take(self, size: int) -> int:
        """Physical offset of `size` free bytes, the first that there are. Raises MemoryError."""
        return _first_fit(self.taken, size)

    def map(self, size: int) -> int:
        """Offset in `host` of `size` bytes that nothing is mapped to. Raises MemoryError."""
        return _first_fit(self.mapped, size)

    def unmap(self, at: int, size: int) -> None:
        """Take away all mappings of these pages, whoever's they are: munmap does not ask."""
        end = at + -(-size // PAGE) * PAGE
        for start, length in list(self.mapped.items()):
            if start < end and at < start + length:
                del self.mapped[start]


def _first_fit(spans: dict[int, int], size: int) -> int:
    at = 0
    for offset, taken in sorted(spans.items()):
        if offset - at >= size:
            break
        at = -(-(offset + taken) // PAGE) * PAGE
    if at + size > MEMORY_BYTES:
        raise MemoryError(f"no {size:,} contiguous bytes of {MEMORY_BYTES:,}")
    spans[at] = size
    return at


class BufferObject:
    """What XRT keeps of a buffer. Its destructor unmaps, even if `freebuffer` has done so before."""

    def __init__(self, memory: Memory, size: int):
        self.memory = memory
        self.size = max(size, SMALLEST)
        self.at = memory.take(self.size)
        self.pointer = memory.map(self.size)

    def __del__(self) -> None:
        if hasattr(self, "pointer"):
            self.memory.unmap(self.pointer, self.size)
        if hasattr(self, "at"):
            self.memory.taken.pop(self.at, None)

    def check(self) -> None:
        """Raise RuntimeError where a board's process dies of a segmentation fault."""
        if self.memory.mapped.get(self.pointer) != self.size:
            raise RuntimeError(f"segmentation fault: the buffer of {self.size:,} bytes is no longer mapped")


class Buffer(PynqBuffer):
    """A buffer whose `freebuffer` unmaps and lets go of the buffer object, as that of PYNQ 3.1 does; so does its end."""

    freed: bool

    def freebuffer(self) -> None:
        if hasattr(self, "memory") and not self.freed:  # the whole, not a part of it
            self.freed = True
            self.memory.unmap(self.bo.pointer, self.nbytes)
            del self.bo


class SimulatedBoard(pynq.Device):
    """The board. `downloads` counts bitstreams, `seconds` is the processor time that its logic and its caches took.

    processor: its kind. described: its .hwh, with `{BUILD}` where the build stands; one of our own if None. base: where its
    buffers lie; above 4 GiB the accelerator is simulated with 40 bits of an address.
    """

    def __init__(
        self, geometry: Geometry, processor: Processor = ZYNQ_7000, described: str | None = None, base: int = MEMORY_BASE
    ):
        super().__init__(f"simulated-{geometry.name}")
        self.name, self.arch = "simulated", processor.machine
        self.processor, self.described, self.base = processor, described, base
        self.capabilities = {"REGISTER_RW": True}
        self.geometry = geometry
        self.memory = Memory()
        self.downloads = 0
        self.seconds = 0.0
        self._clocks = dict(CLOCKS[processor])
        self.simulator = SimDevice(geometry, memory=self.memory.logic, base=base)
        self.lock_folder = Path(tempfile.mkdtemp(prefix="spikeline-"))  # of its own: no other process can reach this board
        self._clean = weakref.finalize(self, _remove, self.lock_folder, os.getpid())

    @property
    def bitstream(self) -> Path:
        """A file to name to `pynq.Overlay`: it holds nothing, its .hwh beside it describes the board design."""
        path = self.lock_folder / "spikeline.bit"
        if not path.exists():
            path.write_bytes(b"")
            build = int(verilated.parameters(self.geometry)["BUILD"].removeprefix("32'h"), 16)
            described = self.described and self.described.replace("{BUILD}", f"0x{build:08X}")
            path.with_suffix(".hwh").write_text(described or hand_off.write(self.geometry, build, self.processor))
        return path

    # ---- registers: pynq.MMIO ----

    def read_registers(self, address: int, length: int) -> bytes:
        """What `pynq.MMIO` reads."""
        with self._hardware():
            return b"".join(struct.pack("<I", self._read(address + n)) for n in range(0, length, 4))

    def write_registers(self, address: int, data: bytes) -> None:
        """What `pynq.MMIO` writes."""
        with self._hardware():
            for n, (value,) in enumerate(struct.iter_unpack("<I", bytes(data))):
                self._write(address + 4 * n, value)

    def _read(self, address: int) -> int:
        if 0 <= (offset := address - self.processor.registers) < hand_off.RANGE:
            return self.simulator.read(offset)
        if address in self._clocks:
            return self._clocks[address]
        raise OSError(f"bus error: nothing answers at 0x{address:08x}")

    def _write(self, address: int, value: int) -> None:
        if 0 <= (offset := address - self.processor.registers) < hand_off.RANGE:
            self.simulator.write(offset, value)
        elif address in self._clocks:
            self._clocks[address] = value
        else:
            raise OSError(f"bus error: nothing answers at 0x{address:08x}")

    # ---- memory: pynq.allocate ----

    def allocate(self, shape: tuple[int, ...], dtype: Any = "u4", cacheable: bool = False, **_: Any) -> Buffer:
        """A buffer of physical memory; without `cacheable` the processor's writes would go straight through."""
        dtype = np.dtype(dtype)
        bo = BufferObject(self.memory, int(np.prod(shape)) * dtype.itemsize)
        view, offset = (self.memory.host, bo.pointer) if cacheable else (self.memory.logic, bo.at)
        buffer = Buffer(
            shape, dtype, buffer=view.data, offset=offset, device=self, device_address=self.base + bo.at, bo=bo,
            coherent=not cacheable,
        )  # fmt: skip
        buffer.memory = self.memory
        return buffer

    def flush(self, bo: BufferObject, offset: int, pointer: int, size: int) -> None:
        """Write the processor's cache back."""
        self._copy(*self._parts(bo, offset, size))

    def invalidate(self, bo: BufferObject, offset: int, pointer: int, size: int) -> None:
        """Drop what the processor's cache holds."""
        logic, host = self._parts(bo, offset, size)
        self._copy(host, logic)

    def _copy(self, to: np.ndarray, given: np.ndarray) -> None:
        with self._hardware():
            to[:] = given

    @contextmanager
    def _hardware(self) -> Iterator[None]:
        """What a board does by itself."""
        begin = time.thread_time()
        try:
            yield
        finally:
            self.seconds += time.thread_time() - begin

    def _parts(self, bo: BufferObject, offset: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """A part of a buffer as the accelerator and as the processor sees it."""
        bo.check()
        return self.memory.logic[bo.at + offset :][:size], self.memory.host[bo.pointer + offset :][:size]

    # ---- bitstream: pynq.Overlay ----

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        """Parse the .hwh beside the bitstream."""
        if hasattr(pynq.Clocks, "_real_instance"):
            del pynq.Clocks._real_instance  # it would go on with the clocks of the first device that was used
        parser = RuntimeMetadataParser(Metadata(input=str(Path(bitfile_name).with_suffix(".hwh"))))
        parser.refresh_hierarchy_dict()
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Configure the logic: the accelerator starts anew."""
        self.simulator.restart()
        self.downloads += 1
        self.post_download(bitstream, parser)

    def close(self) -> None:
        """Free the simulator, its memory and the files; further calls raise DeviceError."""
        self.simulator.close()
        self.memory.free()
        self._clean()


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a process that was forked leaves it alone
        shutil.rmtree(folder, ignore_errors=True)
