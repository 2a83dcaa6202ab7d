"""A PYNQ board without the board: a `pynq.Device` whose programmable logic is the Verilated accelerator and a DMA model.

The `pynq` package above it is the real one. The processor and the DMA each see memory of their own, and only a flush or an
invalidation copies between them, so a missing one shows.
"""

import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pynq
from pynq.buffer import PynqBuffer
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
from pynqmetadata.frontends import Metadata

from spikeline import hwh, sim
from spikeline.dma_model import DmaModel
from spikeline.geometry import Geometry
from spikeline.sim import SimDevice
from spikeline.spec import Base

MEMORY_BASE = 0x1000_0000
MEMORY_BYTES = 128 << 20  # what a PYNQ-Z2 image sets aside for buffers
PAGE = 4096
SLCR = 0xF800_0000  # the processor's clock registers: PLLs of a 50 MHz crystal, then dividers as `pynq` sets them
SLCR_VALUES = {0x100: 26 << 12, 0x104: 21 << 12, 0x108: hwh.IO_PLL_MHZ // 50 << 12, 0x120: 2 << 8}
SLCR_VALUES |= {0x170 + 0x10 * n: 1 << 20 | 10 << 8 for n in range(4)}


class Memory:
    """Physical memory for buffers, seen by the processor (`host`) and by the DMA (`dma`)."""

    def __init__(self) -> None:
        self.host = np.zeros(MEMORY_BYTES, np.uint8)
        self.dma = np.zeros(MEMORY_BYTES, np.uint8)
        self.taken: dict[int, int] = {}  # page-aligned offset → bytes

    def take(self, size: int) -> int:
        """Offset of `size` free bytes, the first that there are. Raises MemoryError."""
        at = 0
        for offset, taken in sorted(self.taken.items()):
            if offset - at >= size:
                break
            at = -(-(offset + taken) // PAGE) * PAGE
        if at + size > MEMORY_BYTES:
            raise MemoryError(f"no {size:,} contiguous bytes of {MEMORY_BYTES:,}")
        self.taken[at] = size
        return at


class Buffer(PynqBuffer):
    """A buffer that gives its memory back once it is freed; parts of it have none to give."""

    takes: tuple[Memory, int] | None = None  # memory and offset

    def freebuffer(self) -> None:
        if self.takes is not None:
            memory, at = self.takes
            del memory.taken[at]
            self.takes = None


class SimulatedBoard(pynq.Device):
    """The board. `downloads` counts bitstreams."""

    def __init__(self, geometry: Geometry):
        super().__init__(f"simulated-{geometry.name}")
        self.name, self.arch = "simulated", "armv7l"
        self.capabilities = {"REGISTER_RW": True}
        self.geometry = geometry
        self.memory = Memory()
        self.downloads = 0
        self._slcr = dict(SLCR_VALUES)
        self._folder = tempfile.TemporaryDirectory(prefix="spikeline-")
        self.simulator = SimDevice(geometry)
        self.dma = DmaModel(self.simulator, self.memory.dma, MEMORY_BASE)

    @property
    def bitstream(self) -> Path:
        """A file to name to `pynq.Overlay`: it holds nothing, its .hwh beside it describes the board design."""
        path = Path(self._folder.name) / "spikeline.bit"
        if not path.exists():
            path.write_bytes(b"")
            path.with_suffix(".hwh").write_text(hwh.write(self.geometry, sim.parameters(self.geometry)))
        return path

    # ---- registers: pynq.MMIO ----

    def read_registers(self, address: int, length: int) -> bytes:
        """What `pynq.MMIO` reads."""
        return b"".join(struct.pack("<I", self._read(address + n)) for n in range(0, length, 4))

    def write_registers(self, address: int, data: bytes) -> None:
        """What `pynq.MMIO` writes."""
        for n, (value,) in enumerate(struct.iter_unpack("<I", bytes(data))):
            self._write(address + 4 * n, value)

    def _read(self, address: int) -> int:
        if 0 <= address - Base.ACCELERATOR < hwh.RANGE:
            return self.simulator.read(address - Base.ACCELERATOR)
        if 0 <= address - Base.DMA < hwh.RANGE:
            return self.dma.read(address - Base.DMA)
        if address - SLCR in self._slcr:
            return self._slcr[address - SLCR]
        raise OSError(f"bus error: nothing answers at 0x{address:08x}")

    def _write(self, address: int, value: int) -> None:
        if 0 <= address - Base.ACCELERATOR < hwh.RANGE:
            self.simulator.write(address - Base.ACCELERATOR, value)
        elif 0 <= address - Base.DMA < hwh.RANGE:
            self.dma.write(address - Base.DMA, value)
        elif address - SLCR in self._slcr:
            self._slcr[address - SLCR] = value
        else:
            raise OSError(f"bus error: nothing answers at 0x{address:08x}")

    # ---- memory: pynq.allocate ----

    def allocate(self, shape: tuple[int, ...], dtype: Any = "u4", cacheable: bool = False, **_: Any) -> Buffer:
        """A buffer of physical memory; without `cacheable` the processor's writes would go straight through."""
        dtype = np.dtype(dtype)
        at = self.memory.take(int(np.prod(shape)) * dtype.itemsize)
        view = self.memory.host if cacheable else self.memory.dma
        buffer = Buffer(
            shape, dtype, buffer=view.data, offset=at, device=self, device_address=MEMORY_BASE + at, coherent=not cacheable
        )
        buffer.takes = self.memory, at
        return buffer

    def flush(self, bo: Any, offset: int, pointer: int, size: int) -> None:
        """Write the processor's cache back."""
        self._copy(self.memory.dma, self.memory.host, pointer, size)

    def invalidate(self, bo: Any, offset: int, pointer: int, size: int) -> None:
        """Drop what the processor's cache holds."""
        self._copy(self.memory.host, self.memory.dma, pointer, size)

    def _copy(self, to: np.ndarray, source: np.ndarray, pointer: int, size: int) -> None:
        at = pointer - self.memory.host.ctypes.data
        to[at : at + size] = source[at : at + size]

    # ---- bitstream: pynq.Overlay ----

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        """Parse the .hwh beside the bitstream."""
        if hasattr(pynq.Clocks, "_real_instance"):
            del pynq.Clocks._real_instance  # it would go on with the clocks of the first device that was used
        parser = RuntimeMetadataParser(Metadata(input=str(Path(bitfile_name).with_suffix(".hwh"))))
        parser.refresh_hierarchy_dict()
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Configure the logic: the accelerator and the DMA start anew."""
        self.simulator.restart()
        self.dma = DmaModel(self.simulator, self.memory.dma, MEMORY_BASE)
        self.downloads += 1
        self.post_download(bitstream, parser)

    def close(self) -> None:
        """Free the simulator and the files."""
        self.simulator.close()
        self._folder.cleanup()
