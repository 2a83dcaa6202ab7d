"""The embedded runtime on the board's processor: both ARM programs of the MNIST example, emulated, on the Verilated accelerator.

The Linux program runs under QEMU's user mode; its registers are in another process. The program without an operating system
boots on QEMU's Zynq, whose programmable logic is empty: a debugger stops it at each access to a register and answers.
"""

import json
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from spikeline.cli.demo import SHIPPED
from spikeline.data import mnist
from spikeline.device.packets import Pixels
from spikeline.files import atomic
from spikeline.measure import evaluate
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import (
    CONTROL,
    FEATURES,
    FEATURES_COMMANDS,
    GEOMETRY,
    ID,
    LAYER,
    VERSION,
    VERSION_MAJOR,
    VERSION_MINOR,
    Base,
    Encoder,
    Register,
)
from spikeline.simulation import verilated
from spikeline.simulation.verilated import MEMORY_BASE, SimDevice

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "firmware/examples/mnist"
PORTS = ROOT / "firmware/runtime/ports"
MODEL = SHIPPED / "mnist-dc-256.img"
REPORT = ROOT / "build/c-runtime/size.json"
DIGITS = 320
MEMORY = 512 << 20  # of the board
PROMPT = 30.0  # seconds that an emulated program may take to the next sign of life
FIRST = 0x100000  # address of the program without an operating system
PACKAGES = {
    "make": "make",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
    "qemu-arm": "qemu-user",
    "qemu-system-arm": "qemu-system-arm",
}


def run(*command: str | Path, environment: dict[str, str] | None = None, status: int = 0) -> str:
    if shutil.which(command[0]) is None and not Path(command[0]).exists():
        pytest.skip(f"{command[0]} is missing; run `sudo apt-get install {PACKAGES[str(command[0])]}`")
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of all programs, made without a word of a compiler or linker."""
    for tool in PACKAGES:
        run(tool, "--version")
    out = tmp_path_factory.mktemp("c")
    settings = (f"OUT={out}", f"MODEL={MODEL}", f"IMAGES={DIGITS}")
    assert run("make", "-s", "-C", EXAMPLE, *settings, "linux", "linux-simulated", "zynq", "server") == ""
    return out


@pytest.fixture(scope="module")
def expected() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and time steps of the golden model, and the truth."""
    network = model_file.load(MODEL).network
    pixels, truth = mnist.load("test")
    trace = golden.run(network, Pixels(pixels[:DIGITS]).trains(network))
    return trace.labels, trace.steps, truth[:DIGITS]


def printed_labels(printed: str) -> list[int]:
    return [int(x) for x in "".join(re.findall(r"^labels (\d+)$", printed, re.M))]


def check_output(printed: str, expected: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """What the example says is what the golden model says."""
    labels, steps, truth = expected
    assert printed_labels(printed) == labels.tolist()
    correct = int((labels == truth).sum())
    percent = correct * 10_000 // DIGITS
    assert f"accuracy {percent // 100}.{percent % 100:02} % ({correct} of {DIGITS})" in printed
    assert f"steps {steps.mean():.2f} an image" in printed
    assert "network 784-256-256-10, 4-bit weights, 4 time steps" in printed
    cycles = re.search(r"^cycles (\d+\.\d) an image$", printed, re.M)
    assert cycles, printed
    assert 100 < float(cycles[1]) < 150
    assert re.search(r"^time \d+ us, \d+ images/s$", printed, re.M)
    assert re.search(r"^stalls \d+ cycles for input, \d+ for output$", printed, re.M)
    assert printed.endswith("done\n")


@contextmanager
def process(*command: str | Path) -> Iterator[subprocess.Popen]:
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_for(child: subprocess.Popen, there) -> None:
    deadline = time.monotonic() + PROMPT
    while not there():
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline, f"{child.args[0]} says nothing"
        time.sleep(0.02)


# ---- Linux ----


def linux_simulated(programs: Path, server: Path, geometry: str, folder: Path) -> str:
    """What the Linux program prints that classifies on the Verilated accelerator of a geometry."""
    path = folder / "socket"
    with process(server, verilated.build(Geometry.load(geometry)), path, str(4 << 20)) as child:
        wait_for(child, path.exists)
        return run("qemu-arm", programs / "mnist-linux-simulated", environment={"SPIKELINE_SOCKET": str(path)})


def test_linux_program_classifies_as_the_golden_model(built, expected, tmp_path):
    check_output(linux_simulated(built, built / "server", "z020-256", tmp_path), expected)


@pytest.mark.long
def test_linux_program_classifies_direct_input_as_the_golden_model(built, tmp_path):
    """Of a network whose weights are drawn: labels are no digits, but those of the golden model."""
    rng, (pixels, _) = np.random.default_rng(0), mnist.load("test")
    values, layers = (pixels[:DIGITS] >> 4).astype(int), []
    for shape in ((784, 32), (32, 10)):
        weights = rng.integers(-8, 8, shape).astype(np.int8)
        thresholds = np.median(values @ weights, 0).astype(np.int32)  # each neuron fires for half of the digits
        values = values @ weights >= thresholds
        layers.append(Layer(weights, thresholds))
    network = Network(tuple(layers), 4, 4, Encoder.DIRECT)
    model_file.save(model_file.build(network, {"dataset": {"name": "mnist"}}), tmp_path / "direct.img")
    settings = (f"OUT={tmp_path / 'c'}", f"MODEL={tmp_path / 'direct.img'}", f"IMAGES={DIGITS}")
    assert run("make", "-s", "-C", EXAMPLE, *settings, "linux-simulated") == ""
    labels = golden.run(network, Pixels(pixels[:DIGITS]).trains(network)).labels
    assert len(set(labels.tolist())) == 10, "or the comparison says little"
    printed = linux_simulated(tmp_path / "c", built / "server", "z020-256-direct", tmp_path)
    assert printed_labels(printed) == labels.tolist()
    assert printed.endswith("done\n")


@pytest.fixture
def board(tmp_path) -> Path:
    """A file system as a board shows it, with registers that only stand there and never change by themselves."""
    folder = tmp_path / "sys/class/u-dma-buf/udmabuf0"
    folder.mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    for name, text in {"phys_addr": "0x1e900000\n", "size": "65536\n", "sync_for_cpu": "", "sync_for_device": ""}.items():
        (folder / name).write_text(text)
    (tmp_path / "dev/udmabuf0").write_bytes(bytes(65536))
    registers = np.zeros(1024, "<u4")
    registers[Register.ID // 4] = ID
    registers[Register.VERSION // 4] = VERSION.pack(major=VERSION_MAJOR, minor=VERSION_MINOR)
    registers[Register.GEOMETRY // 4] = GEOMETRY.pack(layers=1, weight_bits=4, membrane_bits=14, classes=16)
    registers[Register.LAYER // 4] = LAYER.pack(inputs=784, neurons=16)
    registers[Register.FEATURES // 4] = FEATURES.pack(commands=FEATURES_COMMANDS)
    with open(tmp_path / "dev/mem", "wb") as file:
        file.seek(Base.ACCELERATOR)
        file.write(registers.tobytes())
    (tmp_path / "dev/uio0").write_bytes(registers.tobytes())
    return tmp_path


UIO = {"SPIKELINE_ACCELERATOR": "/dev/uio0"}


def linux(built: Path, board: Path, status: int = 1, program: str = "mnist-linux", **environment: str) -> str:
    """Run a program that finds the files of `board` in place of this computer's."""
    assert (board / "dev/mem").exists()
    return run("qemu-arm", "-L", board, built / program, environment=environment, status=status)


def test_linux_port_finds_the_registers(built, board):
    """It reads identity and geometry, then resets an accelerator that is never idle. UIO first: no other computer has it."""
    for registers, file, at in ((UIO, "dev/uio0", 0), ({}, "dev/mem", int(Base.ACCELERATOR))):
        assert "the memory does not end the last burst" in linux(built, board, **registers)
        with open(board / file, "rb") as memory:
            memory.seek(at + Register.CONTROL)
            assert struct.unpack("<I", memory.read(4)) == (CONTROL.pack(reset=1, clear_error=1),)


def test_linux_port_says_what_is_missing(built, board):
    (board / "dev/uio0").write_bytes(bytes(4096))
    assert "no Spikeline accelerator here; load its bitstream" in linux(built, board, **UIO)
    for wrong in ("0x1F000000", "0x1F000000:0", "0x1F000001:4096", "0x1F000000:4096x"):
        assert "SPIKELINE_RESERVED: Invalid argument; name ADDRESS:BYTES" in linux(built, board, SPIKELINE_RESERVED=wrong, **UIO)
    assert "/dev/udmabuf7: No such file or directory" in linux(built, board, SPIKELINE_BUFFER="udmabuf7", **UIO)
    (board / "dev/udmabuf0").unlink()
    assert "/dev/udmabuf0: No such file or directory; load the module" in linux(built, board, **UIO)
    (board / "dev/uio0").unlink()
    assert "/dev/uio0: No such file or directory; run as root, or name a UIO device" in linux(built, board, **UIO)


MEMORY_PROGRAM = """
#include <stdio.h>
#include "port.h"
int main(void)
{
    struct spk_platform p;
    void *memory;
    size_t bytes;
    if (port_open(&p, &memory, &bytes) != 0) return 2;
    ((unsigned char *)memory)[5] = 77;
    p.flush(p.context, (char *)memory + 100, 100);
    p.invalidate(p.context, (char *)memory + 4096, 4096);
    (void)printf("%lx %lx\\n", (unsigned long)bytes, (unsigned long)p.physical(p.context, (char *)memory + 16));
    return 0;
}
"""


def test_linux_port_keeps_memory_coherent(built, board):
    """Whole lines around what is named, in the right direction; nothing of uncached memory."""
    (board / "memory.c").write_text(MEMORY_PROGRAM)
    options = ["-static", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{PORTS}", f"-I{PORTS.parent}"]
    run("arm-linux-gnueabihf-gcc", *options, board / "memory.c", PORTS / "linux/linux.c", "-o", board / "memory")
    assert linux(board, board, 0, "memory", **UIO) == "10000 1e900010\n"
    folder = board / "sys/class/u-dma-buf/udmabuf0"
    assert (folder / "sync_for_device").read_text() == f"0x{64:08X}{192 - 64 + 64 | 1 << 2 | 1:08X}"
    assert (folder / "sync_for_cpu").read_text() == f"0x{4096:08X}{4096 | 2 << 2 | 1:08X}"
    assert (board / "dev/udmabuf0").read_bytes()[5] == 77

    (folder / "sync_for_cpu").write_text("")
    assert linux(board, board, 0, "memory", SPIKELINE_RESERVED="0x1F000000:0x8000", **UIO) == "8000 1f000010\n"
    assert (folder / "sync_for_cpu").read_text() == ""
    with open(board / "dev/mem", "rb") as memory:
        memory.seek(0x1F000005)
        assert memory.read(1) == b"M"


INTERRUPT_PROGRAM = """
#include "linux.c"
#include <signal.h>
#include <sys/socket.h>
static int kernel; /* the other end of the UIO device */
static void expect(int holds, const char *what)
{
    if (holds) return;
    (void)fputs(what, stderr);
    exit(1);
}
static unsigned waits(const struct spk_platform *p, unsigned microseconds)
{
    const unsigned since = p->microseconds(p->context);
    p->wait(p->context, microseconds);
    return p->microseconds(p->context) - since;
}
int main(void)
{
    struct spk_platform p;
    void *memory;
    size_t bytes;
    unsigned enabled = 0U, count = 5U;
    int ends[2];
    expect(port_open(&p, &memory, &bytes) == 0, "open");
    if (getenv("SPIKELINE_ACCELERATOR") == NULL) return p.wait == NULL ? 0 : 1;
    expect(p.wait != NULL && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socket");
    port.interrupt = ends[0];
    kernel = ends[1];
    expect(waits(&p, 20000U) >= 20000U, "no interrupt comes, and the time is not waited for");
    expect(read(kernel, &enabled, 4) == 4 && enabled == 1U, "the interrupt is not let through");
    expect(write(kernel, &count, 4) == 4, "write");
    expect(waits(&p, 20000000U) < 10000000U, "an interrupt that has come does not end the sleep");
    expect(read(kernel, &enabled, 4) == 4 && enabled == 1U, "the interrupt is not let through again");
    expect(waits(&p, 20000U) >= 20000U, "an interrupt is taken twice");
    expect(close(kernel) == 0, "close");
    expect(signal(SIGPIPE, SIG_IGN) != SIG_ERR && waits(&p, 20000000U) < 10000000U, "a device without interrupts is waited for");
    return 0;
}
"""


def test_linux_port_waits_for_the_interrupt_of_a_uio_device(built, board):
    """The device is a pair of sockets: what is written lets the interrupt through, what is read is the count of interrupts."""
    (board / "interrupt.c").write_text(INTERRUPT_PROGRAM)
    options = ["-static", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{PORTS}", f"-I{PORTS.parent}", f"-I{PORTS / 'linux'}"]
    run("arm-linux-gnueabihf-gcc", *options, board / "interrupt.c", "-o", board / "interrupt")
    for registers in (UIO, {}):
        linux(board, board, 0, "interrupt", **registers)


# ---- without an operating system ----


def zynq(elf: Path, folder: Path, *options: str) -> tuple[str | Path, ...]:
    """The command that boots a program; the UART writes to the file `uart`."""
    return (
        "qemu-system-arm", "-M", "xilinx-zynq-a9,memory-backend=ddr", "-m", f"{MEMORY >> 20}M", "-display", "none",
        "-object", f"memory-backend-file,id=ddr,size={MEMORY >> 20}M,mem-path={folder / 'ddr'},share=on",
        "-monitor", "none", "-serial", f"file:{folder / 'uart'}", *options, "-kernel", elf,
    )  # fmt: skip


def boot(elf: Path, folder: Path, until: str) -> str:
    """Boot a program and read the UART until it has said what ends with this pattern."""
    uart = folder / "uart"
    with process(*zynq(elf, folder)) as machine:
        wait_for(machine, lambda: uart.exists() and re.search(until, uart.read_text()))
    return uart.read_text()


def symbols(elf: Path) -> dict[str, int]:
    return {line.split()[2]: int(line.split()[0], 16) for line in run("arm-none-eabi-nm", elf).splitlines()}


def test_zynq_program_without_logic_says_so(built, tmp_path):
    printed = boot(built / "mnist-zynq.elf", tmp_path, "address\n$")
    assert printed == (
        "\nSpikeline: MNIST\naccelerator at 0x43c00000\n"
        "\nerror: accelerator: no Spikeline accelerator here; load its bitstream and check the address\n"
    )


FAULTS = {
    "data abort": ("(void)*(volatile int *)64", "address 0x00000040, status 0x00000005"),
    "prefetch abort": ("((void (*)(void))0x40000000)()", "address 0x40000000, status 0x0000000d"),
    "undefined instruction": ('__asm__ volatile("udf #0")', "status 0x00000000"),
    "supervisor call": ('__asm__ volatile("svc #0")', "status 0x00000000"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_zynq_faults_are_told(built, tmp_path, name):
    """Null pointers and jumps into registers do not go unnoticed either: nothing is mapped, or executed, there."""
    statement, told = FAULTS[name]
    source, elf = tmp_path / "fault.c", tmp_path / "fault.elf"
    source.write_text(f"int main(void) {{ {statement}; return 0; }}\n")
    parts = [source, PORTS / "zynq/start.S", PORTS / "zynq/zynq.c"]
    options = ["-mcpu=cortex-a9", "-mthumb", "-std=c99", "-Os", f"-I{PORTS.parent}", "-nostartfiles"]
    run("arm-none-eabi-gcc", *options, "-z", "noexecstack", "-T", PORTS / "zynq/zynq.ld", *parts, "-o", elf)
    printed = boot(elf, tmp_path, r"status \w+\n$")
    at = re.search(rf"fault: {name} at 0x([0-9a-f]+), (address .*)", printed)
    assert at, printed
    assert told in at[2]
    if name != "prefetch abort":
        assert 0 <= int(at[1], 16) - symbols(elf)["main"] < 16


class Debugger:
    """QEMU's end of the GDB protocol, as far as it takes to stop at functions and answer for them."""

    def __init__(self, machine: subprocess.Popen, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PROMPT)
        wait_for(machine, lambda: self._socket.connect_ex(str(path)) == 0)
        self._file = self._socket.makefile("rb")

    def ask(self, text: str) -> str:
        """Send a packet, return the answer; `c` and `s` are answered when the program stands again."""
        self._socket.sendall(f"${text}#{sum(text.encode()) & 255:02x}".encode())
        while self._file.read(1) != b"$":
            pass
        answer = b"".join(iter(lambda: self._file.read(1), b"#"))
        self._file.read(2)
        self._socket.sendall(b"+")
        return answer.decode()

    def stop_at(self, address: int) -> None:
        assert self.ask(f"Z0,{address:x},2") == "OK"

    @property
    def registers(self) -> list[int]:
        """r0 to r15."""
        return list(struct.unpack("<16I", bytes.fromhex(self.ask("g")[:128])))

    @registers.setter
    def registers(self, values: list[int]) -> None:
        assert self.ask(f"G{struct.pack('<16I', *values).hex()}{self.ask('g')[128:]}") == "OK"

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_zynq_program_classifies_as_the_golden_model(built, expected, tmp_path):
    """Start-up, translation table, port and runtime, as they go onto the board. Only what is flushed does the accelerator see."""
    elf = built / "mnist-zynq.elf"
    functions = {symbols(elf)[name]: name for name in ("read32", "write32", "flush", "invalidate", "zynq_stop")}
    accelerator_sees = np.zeros(MEMORY, np.uint8)
    device = SimDevice(Geometry.load("z020-256"), memory=accelerator_sees)
    processor_sees = np.memmap(tmp_path / "ddr", np.uint8, "w+", shape=MEMORY)
    accesses = 0
    with process(*zynq(elf, tmp_path, "-S", "-gdb", f"unix:{tmp_path / 'gdb'},server=on,wait=off")) as machine:
        debugger = Debugger(machine, tmp_path / "gdb")
        for address in functions:
            debugger.stop_at(address)
        while True:
            assert debugger.ask("c").startswith("T05")
            r = debugger.registers
            name, address, value = functions[r[15]], r[1], r[2]
            offset = address - Base.ACCELERATOR
            if name == "zynq_stop":
                break
            if name in ("read32", "write32") and 0 <= offset < 0x1000:
                accesses += 1
                if name == "read32":
                    r[0] = device.read(offset)
                else:
                    device.write(offset, value + MEMORY_BASE if offset == Register.ADDRESS_LO else value)
                r[15] = r[14] & ~1  # the function has returned
                debugger.registers = r
                continue
            if name == "flush":
                accelerator_sees[address : address + value] = processor_sees[address : address + value]
            elif name == "invalidate":
                processor_sees[address : address + value] = accelerator_sees[address : address + value]
            debugger.ask("s")
        debugger.close()
    device.close()
    check_output((tmp_path / "uart").read_text(), expected)
    assert accesses > 100
    del processor_sees
    (tmp_path / "ddr").unlink()


def test_zynq_program_is_laid_out_for_the_board(built):
    elf = built / "mnist-zynq.elf"
    assert f"Entry point address:               0x{FIRST:x}" in run("arm-none-eabi-readelf", "-h", elf)
    segments = re.findall(r"LOAD +\S+ 0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) (.{3})", run("arm-none-eabi-readelf", "-lW", elf))
    assert [flags for *_, flags in segments] == ["R E", "RW "]
    for virtual, physical, size, _ in segments:
        assert virtual == physical
        assert FIRST <= int(virtual, 16) <= int(virtual, 16) + int(size, 16) <= MEMORY
    at = symbols(elf)
    assert at["vectors"] == FIRST
    assert at["translation"] % 16384 == 0
    assert at["buffer"] % 64 == 0
    table = run("arm-none-eabi-objdump", "-d", f"--start-address={FIRST}", f"--stop-address={FIRST + 32}", elf)
    targets = re.findall(r"\tb\t\w+ <([\w+]+)>", table)
    assert targets == [
        "start", "undefined", "supervisor_call", "prefetch_abort", "data_abort", "vectors+0x14", "interrupt", "fast_interrupt",
    ]  # fmt: skip


def test_zynq_program_takes_little_of_the_library(built):
    """Copying, filling and dividing are all that compiler and C library add: no heap, no printf, no start-up code."""
    assert run("arm-none-eabi-nm", "-u", built / "mnist-zynq.elf") == ""
    own = set()
    for name in ("spikeline", "main", "zynq", "start", "data"):
        own |= {line.split()[-1] for line in run("arm-none-eabi-nm", "--defined-only", built / f"zynq/{name}.o").splitlines()}
    defined = run("arm-none-eabi-nm", built / "mnist-zynq.elf").splitlines()
    added = {line.split()[2] for line in defined if line.split()[1] in "TtWw"} - own
    added = {name for name in added if not name.startswith("$") and not re.search("div|_from_arm$", name)}
    assert added <= {"memcpy", "memset"}


@pytest.mark.parametrize("machine", ["zynq", "linux"])
def test_runtime_has_no_floating_point(built, machine):
    listing = run("arm-none-eabi-objdump", "-d", built / machine / "spikeline.o")
    mnemonics = re.findall(r"^ +\w+:\t[\w ]+\t(\S+)", listing, re.M)
    assert len(mnemonics) > 500
    assert [m for m in mnemonics if m.startswith("v")] == []


# ---- size ----


def sizes(file: Path) -> dict[str, int]:
    numbers = run("arm-none-eabi-size", file).splitlines()[1].split()
    return dict(zip(("text", "data", "bss"), map(int, numbers[:3]), strict=True))


def frames(elf: Path) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Bytes of stack and callees of every function, read off the instructions: for what comes compiled."""
    frame: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for line in run("arm-none-eabi-objdump", "-d", elf).splitlines():
        if start := re.match(r"\w+ <(\S+)>:", line):
            name = start[1]
            frame[name], calls[name] = 0, set()
        elif pushed := re.search(r"\t(?:push|stmdb\tsp!,|stmfd\tsp!,).*\{(.*)\}", line):
            assert "-" not in pushed[1], line
            frame[name] += 4 * len(pushed[1].split(","))
        elif lowered := re.search(r"\tsub\S*\tsp, (?:sp, )?#(\d+)|\[sp, #-(\d+)\]!", line):
            frame[name] += int(lowered[1] or lowered[2])
        elif (called := re.search(r"\tblx?\t\w+ <([^+>]+)>", line)) and called[1] != name:
            calls[name].add(called[1])
    return frame, calls


def call_graph(*files: Path) -> tuple[dict[str, int], dict[str, set[str]]]:
    """The same of what the compiler has told about its own functions; calls through pointers are `__indirect_call`."""
    frame: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for text in (file.read_text() for file in files):
        for name, size, kind in re.findall(r'node: \{ title: "(?:[^"]*:)?([^":]+)" label: "[^"]*\\n(\d+) bytes \((\w+)\)"', text):
            assert kind == "static", f"the stack of {name} is {kind}"
            frame[name] = int(size)
        for caller, callee in re.findall(r'edge: \{ sourcename: "(?:[^"]*:)?([^":]+)" targetname: "(?:[^"]*:)?([^":]+)"', text):
            calls.setdefault(caller, set()).add(callee)
    return frame, calls


def deepest(
    name: str, frame: dict[str, int], calls: dict[str, set[str]], above: tuple[str, ...] = ()
) -> tuple[int, tuple[str, ...]]:
    """Bytes of stack below the call of a function, and the chain that takes them."""
    assert name not in above, f"{name} calls itself"
    below = [deepest(callee, frame, calls, (*above, name)) for callee in sorted(calls.get(name, ()))]
    size, chain = max(below, default=(0, ()), key=lambda x: x[0])
    return frame[name] + size, (name, *chain)


PLATFORM = ("read32", "write32", "flush", "invalidate", "physical", "microseconds", "barrier")  # it polls


def test_size_and_stack(built):
    """What the runtime takes on a Cortex-A9: code, no memory of its own, and stack with the deepest function of the port."""
    library = sizes(built / "zynq/spikeline.o")
    assert library["text"] <= 8192
    assert (library["data"], library["bss"]) == (0, 0)

    elf = built / "mnist-zynq.elf"
    frame, calls = call_graph(built / "zynq/spikeline.ci", built / "zynq/zynq.ci")
    functions = sorted(name for name in frame if name.startswith("spk_"))
    compiled, compiled_calls = frames(elf)
    at = symbols(elf)
    labels = {at[name]: name for name in compiled}
    frame = {**compiled, **frame, "__indirect_call": 0}
    for name, callees in calls.items():  # under another name, or a division that the compiler then did without
        calls[name] = {c if c in frame else labels[at[c]] for c in callees if c in frame or c in at}
    calls = {**compiled_calls, **calls, "__indirect_call": set(PLATFORM)}
    depth = {name: deepest(name, frame, calls) for name in functions}
    worst = max(functions, key=lambda name: depth[name][0])
    assert 100 < depth[worst][0] <= 1024

    command = run("make", "-n", "-B", "-C", EXAMPLE, f"OUT={built}", built / "zynq/spikeline.o").split()
    figures = {
        "commit": evaluate.commit(),
        "compiler": run("arm-none-eabi-gcc", "--version").splitlines()[0],
        "options": " ".join(word for word in command if word.startswith(("-O", "-m"))),
        "library": library,
        "library_linux": sizes(built / "linux/spikeline.o"),
        "port_zynq": sizes(built / "zynq/zynq.o"),
        "stack": {name: depth[name][0] for name in functions},
        "stack_worst": depth[worst][0],
        "stack_chain": depth[worst][1],
        "recursion": False,
    }
    with atomic(REPORT) as path:
        path.write_text(json.dumps(figures, indent=2) + "\n")


def test_frames_are_read_as_the_compiler_counts_them(built):
    """Where both are known."""
    told, _ = call_graph(built / "zynq/spikeline.ci")
    read, _ = frames(built / "zynq/spikeline.o")
    both = told.keys() & read.keys()
    assert len(both) > 15
    assert {name: told[name] for name in both} == {name: read[name] for name in both}
