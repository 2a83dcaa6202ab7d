"""The embedded C runtime on the simulated accelerator: equal to the golden model, and every status of it provoked and mended.

`firmware/tests/check.c` runs it, built with AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import re
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest

from spikeline.data import samples
from spikeline.device.packets import Batch, Events, Pixels, Spikes, packed
from spikeline.errors import ModelError
from spikeline.files import atomic
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import HEADER_BYTES, WORD
from spikeline.model.network import Layer, Network
from spikeline.model.spec import (
    CONFIG,
    CONFIG_LAYER,
    CONTROL,
    FEATURES,
    GEOMETRY,
    HEADER,
    ID,
    LAYER,
    STATUS,
    VERSION,
    VERSION_MAJOR,
    VERSION_MINOR,
    Base,
    Decode,
    Encoder,
    ErrorCode,
    ModelField,
    PacketType,
    Register,
)
from spikeline.simulation import verilated
from spikeline.simulation.verilated import MEMORY_BASE
from support import networks

ROOT = Path(__file__).parents[2]
TESTS, RUNTIME, BUILD = ROOT / "firmware/tests", ROOT / "firmware/runtime", ROOT / "build"
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1", "-g"]
FLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
TIMEOUT = 1000  # simulated microseconds
POLL = 2000  # cycles
MEMORY = 16 << 20

_body = re.search(r"enum spk_status \{(.*?)\n\};", (RUNTIME / "spikeline.h").read_text(), re.S)
assert _body
Status = IntEnum("Status", {name: n for n, name in enumerate(re.findall(r"^ *SPK_(\w+)", _body[1], re.M))})  # type: ignore[misc]


@dataclass(frozen=True)
class Answer:
    """What check.c says to a line."""

    status: Status
    reads: int
    waits: int  # for an interrupt
    microseconds: int
    error: tuple[ErrorCode, int, int]  # code, packet, layer
    address: int  # of a memory error
    loaded: bool
    more: str


@dataclass(frozen=True)
class Results:
    labels: np.ndarray
    steps: np.ndarray
    values: np.ndarray | None


class Runtime:
    """The C program, and a line for each function."""

    def __init__(self, program: Path, *arguments: object, folder: Path):
        self.folder = folder
        self.process = subprocess.Popen(
            [str(program), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __call__(self, *words: object) -> Answer:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(" ".join(str(int(w)) if isinstance(w, int | np.integer) else str(w) for w in words) + "\n")
        fields = self.process.stdout.readline().split(maxsplit=9)
        assert fields, f"{words[0]}: check.c has ended with status {self.process.wait()}"
        status, reads, waits, microseconds, code, kind, layer, address, loaded = map(int, fields[:9])
        more = fields[9] if len(fields) > 9 else ""
        error = ErrorCode(code), kind, layer
        return Answer(Status(status), reads, waits, microseconds, error, address, bool(loaded), more)

    def open(self, timeout: int = TIMEOUT, address: int = Base.ACCELERATOR) -> Answer:
        return self("open", timeout, address)

    def attach(self, model: model_file.Model | bytes | Path, timeout: int = TIMEOUT) -> Answer:
        if not isinstance(model, Path):
            model = self.write("image", model if isinstance(model, bytes) else image_bytes(model))
        return self("attach", model, timeout)

    def load_behind_its_back(self, network: Network) -> None:
        """Load a network as another program would: what is loaded is not what this device was told of."""
        assert self.load(model_file.build(network)).status == Status.OK
        self("pretend", model_file.load(self.folder / "sound").identity)  # a network of the same sizes

    def load(self, model: model_file.Model | bytes | Path) -> Answer:
        if isinstance(model, Path):
            return self("load", model)
        data = model if isinstance(model, bytes) else image_bytes(model)
        return self("load", self.write("image", data))

    def infer(
        self, pixels: np.ndarray, seed: int = 0, values: bool = True, at_once: int = 13, buffer: int | None = None
    ) -> tuple[Answer, Results | None]:
        """`at_once`: images in one transfer."""
        buffer = self.sizes(at_once, values)[0] if buffer is None else buffer
        rows = np.full((len(pixels), -(-pixels.shape[1] // 8) * 8), 0xFF, np.uint8)  # what lies between images does not matter
        rows[:, : pixels.shape[1]] = pixels
        pixels_file, out = self.write("pixels", rows.tobytes()), self.folder / "out"
        answer = self("infer", pixels_file, len(pixels), seed, buffer, values, out)
        return answer, self._results(answer, out, len(pixels), values)

    def packet(self, batch: Batch | np.ndarray, images: int | None = None, values: bool = True) -> tuple[Answer, Results | None]:
        words = batch if isinstance(batch, np.ndarray) else packed(batch)
        images = len(batch) if images is None else images
        out = self.folder / "out"
        answer = self("packet", self.write("packet", words.tobytes()), images, values, out)
        return answer, self._results(answer, out, images, values)

    def sizes(self, images: int, values: bool) -> tuple[int, int]:
        """Bytes of the buffer of `spk_infer` and of the results."""
        buffer, results = self("sizes", images, values).more.split()
        return int(buffer), int(results)

    def fault(self, **faults: int) -> None:
        for name, value in faults.items():
            self("fault", name, value)

    def memory(self, seed: int = 1, latency: tuple[int, int] = (0, 0), read: float = 0, write: float = 0, pause: int = 0) -> None:
        """What the memory is like: latency in cycles, shares of stalled cycles, µs for which it stands still from now on."""
        self("memory", seed, *latency, int(read * 65536), int(write * 65536), pause)

    def no_faults(self) -> None:
        self.memory()
        self.fault(physical_offset=0, refuse_send=0, refuse_receive=0, change_bits=0, answer_address=0)
        self.fault(no_flush=0, no_invalidate_before=0, no_invalidate_after=0, access_cycles=10)

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def _results(self, answer: Answer, path: Path, images: int, values: bool) -> Results | None:
        if answer.status != Status.OK:
            return None
        data = np.fromfile(path, np.uint8)
        results = data[: 4 * images].view("<u2").reshape(images, 2)
        class_values = data[4 * images :].view("<i4").reshape(images, -1) if values and images else None
        return Results(results[:, 0], results[:, 1], class_values)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(60) == 0  # no leak either


def image_bytes(model: model_file.Model) -> bytes:
    return model_file.to_bytes(model)


def build(name: str, *sources: str) -> Path:
    """Compile a program of firmware/tests."""
    files = [str(TESTS / source) for source in sources] + [str(RUNTIME / "spikeline.c")]
    with atomic(BUILD / "c-runtime/checked" / name) as path:
        command = ["gcc", *FLAGS, f"-I{RUNTIME}", *files, "-ldl", "-o", str(path)]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        path.chmod(0o755)
    return BUILD / "c-runtime/checked" / name


@pytest.fixture(scope="session")
def program() -> Path:
    return build("check", "check.c", "remote.c", "simulated.c")


@pytest.fixture
def fresh(program, tiny, tmp_path):
    """The runtime before spk_open."""
    runtime = Runtime(program, verilated.build(tiny), MEMORY, folder=tmp_path)
    runtime.fault(poll_cycles=POLL)
    yield runtime
    runtime.close()


@pytest.fixture
def network(random_network):
    made = random_network(np.random.default_rng(5), 3, time_steps=3)
    assert made.sizes[-1] > 2
    return replace(made, encoder=Encoder.BERNOULLI)


@pytest.fixture
def pixels(network):
    return np.random.default_rng(6).integers(0, 256, (40, network.sizes[0])).astype(np.uint8)


@pytest.fixture
def expected(network, pixels):
    return golden.run(network, encode(pixels, "bernoulli", network.time_steps))


@pytest.fixture
def runtime(fresh, network):
    """With a network."""
    assert fresh.open().status == Status.OK
    assert fresh.load(model_file.build(network)).status == Status.OK
    return fresh


def check(run: tuple[Answer, Results | None], trace: golden.Trace) -> None:
    answer, results = run
    assert answer.status == Status.OK
    assert results is not None
    np.testing.assert_array_equal(results.labels, trace.labels)
    np.testing.assert_array_equal(results.steps, trace.steps)
    if results.values is not None:
        np.testing.assert_array_equal(results.values, trace.values)


# ---- right answers ----


@pytest.mark.parametrize(
    ("folder", "count"),
    [
        ("models/mnist-dc-256+epochs~6", 2000),
        ("models/mnist-cc-latency+epochs~3", 2000),
        ("models/mnist-cc-events+epochs~2", 1000),
    ],
)
def test_real_images_equal_the_golden_model(program, tmp_path, folder, count):
    path = BUILD / folder / "model.img"
    assert path.exists(), f"{path} is missing; `make test` makes it"
    network = model_file.load(path).network
    given = samples.load(network).first(count) if network.encoder != Encoder.EVENTS else samples.load(network)
    runtime = Runtime(program, verilated.build(Geometry.load("z020-256")), MEMORY, folder=tmp_path)
    assert runtime.open(timeout=100_000).status == Status.OK
    assert runtime.load(path).status == Status.OK
    spikes = given.spikes(0, count)
    run = runtime.packet(Events(spikes)) if given.pixels is None else runtime.infer(given.pixels, at_once=300)
    check(run, golden.run(network, spikes))
    runtime.close()


@pytest.mark.parametrize("seed", range(24))
def test_random_networks(fresh, random_network, random_spikes, seed):
    """Of every kind, one after another, in transfers of any size, by every packet, under stalls; counters too."""
    rng = np.random.default_rng(seed)
    assert fresh.open(timeout=100_000).status == Status.OK
    for _ in range(3):
        network = replace(random_network(rng, time_steps=int(rng.integers(1, 9))), encoder=Encoder(int(rng.integers(3))))
        network = networks.direct(rng, network) if rng.random() < 0.25 else network
        if rng.random() < 0.3 and network.sizes[-1] > 1:
            network = replace(network, exit_margin=int(rng.integers(50)))
        fresh.memory(int(rng.integers(1, 1 << 32)), ((0, 0), (20, 80))[int(rng.integers(2))], *rng.choice([0, 0.1, 0.5, 0.9], 2))
        fresh("interrupts", int(rng.integers(2)))
        assert fresh.load(model_file.build(network)).status == Status.OK
        fresh("clear")
        traces = []
        for _ in range(2):
            start, count, values = int(rng.integers(1 << 63)) * 2 + 1, int(rng.integers(1, 40)), bool(rng.integers(2))
            pixels = rng.integers(0, 256, (count, network.sizes[0])).astype(np.uint8)
            trace = golden.run(network, encode(pixels, network.encoder.name.lower(), network.time_steps, start))
            check(fresh.infer(pixels, start, values, at_once=int(rng.integers(1, 9))), trace)
            check(fresh.packet(Pixels(pixels, start), values=values), trace)
            spikes = random_spikes(rng, network, count)
            kind = (Spikes, Events)[int(rng.integers(2))]
            check(fresh.packet(kind(spikes), values=values), other := golden.run(network, spikes))
            traces += [trace, trace, other]
        counted = [int(x) for x in fresh("counters").more.split()]
        assert counted[1] == sum(len(t.labels) for t in traces)
        if network.exit_margin is None:
            assert counted[2] == counted[1] * network.time_steps
            reads = sum(t.row_reads.sum((0, 1)) for t in traces)
            assert counted[5 : 5 + len(network.layers)] == list(reads)


@pytest.mark.parametrize("at_once", [1, 7, 13, 39, 40, 1000])
@pytest.mark.parametrize("values", [False, True])
def test_buffers_of_any_size_give_the_same(runtime, pixels, expected, at_once, values):
    check(runtime.infer(pixels, values=values, at_once=at_once), expected)


def test_buffer_of_any_bytes(runtime, pixels, expected):
    """Whatever number of images goes in a transfer; one byte less than one image is too small."""
    sizes = [runtime.sizes(n, True)[0] for n in range(1, 12)]
    assert all(a <= b for a, b in pairwise(sizes))
    for size in [*sizes, *(s - 1 for s in sizes[1:]), *(s + 8 for s in sizes)]:
        check(runtime.infer(pixels, buffer=size), expected)
    assert runtime.infer(pixels, buffer=sizes[0] - 1)[0].status == Status.ERR_ARGUMENT


@pytest.mark.parametrize("seed", [0, (1 << 64) - 1, (1 << 64) - 0x9E3779B97F4A7C15])
def test_seeds_at_the_ends(runtime, network, pixels, seed):
    """The last makes a generator of zero, which becomes one."""
    check(runtime.infer(pixels, seed), golden.run(network, encode(pixels, "bernoulli", network.time_steps, seed)))


def test_no_images(runtime, pixels):
    assert runtime.infer(pixels[:0])[0].status == Status.OK
    assert runtime.infer(pixels[:0], buffer=0)[0].status == Status.OK


def test_buffers_of_4_gib_are_refused(runtime):
    assert 0 < runtime.sizes(1 << 20, True)[0] < 1 << 32
    assert runtime.sizes((1 << 32) - 1, True)[0] == 0


def test_geometry_and_needs(runtime, tiny, network):
    built = [len(tiny.layers), tiny.weight_bits, tiny.membrane_bits, tiny.classes, tiny.continuous, tiny.max_leak, tiny.direct]
    assert runtime("device").more.split() == [str(int(x)) for x in [*built, tiny.layers[0].inputs, tiny.layers[0].neurons]]
    answer = runtime("check", runtime.write("image", image_bytes(model_file.build(network))))
    needs = [len(network.layers), network.weight_bits, network.membrane_bits, *network.sizes[-1:], *network.sizes[:2]]
    assert answer.status == Status.OK
    assert answer.more.split() == [str(x) for x in needs]


def test_counters_are_of_64_bits(runtime):
    answers(runtime, Base.ACCELERATOR + Register.CYCLES_HI, 0xFFFFFFFF, 7)
    assert int(runtime("counters").more.split()[0]) >> 32 == 7


def test_deadline_is_of_progress_not_of_the_whole(runtime, pixels, expected):
    """A transfer may take many times the timeout as long as images come."""
    timeout = 50
    runtime.fault(poll_cycles=100)  # less than an image
    assert runtime.open(timeout).status == Status.OK
    assert runtime.load(runtime.folder / "image").status == Status.OK
    runtime.memory(read=0.98)
    run = runtime.infer(pixels, at_once=40)
    check(run, expected)
    assert run[0].microseconds > 3 * timeout


def test_clock_may_wrap(sound, mended):
    """In every wait: of a reset, a load and a transfer."""
    sound.fault(poll_cycles=20)  # so that each looks at the clock
    for start in range(0, 3000, 300):
        sound.fault(clock_start=(1 << 32) - start)
        mended()


def test_memory_of_another_process(program, network, pixels, expected, tiny, tmp_path):
    """The server and its client; a path of a socket must be short."""
    server_program = build("server", "server.c", "simulated.c")
    path = tmp_path / "s"
    server = subprocess.Popen([str(server_program), str(verilated.build(tiny)), str(path), str(1 << 20)])
    while not path.exists():
        assert server.poll() is None
    client = Runtime(program, "remote", path, folder=tmp_path)
    assert client.open().status == Status.OK
    assert client.load(model_file.build(network)).status == Status.OK
    check(client.infer(pixels), expected)
    client.close()
    assert server.wait(60) == 0
    assert not path.exists()
    assert not Path(f"{path}.memory").exists()


# ---- every status ----


@dataclass(frozen=True)
class Scenario:
    """How to provoke a status. `keeps`: the network that is loaded stays. `opened`: spk_open went well."""

    provoke: Callable[[Runtime, np.ndarray], Answer]
    status: Status
    keeps: bool
    opened: bool
    error: tuple[ErrorCode, int, int]


SCENARIOS: dict[str, Scenario] = {}
NO_ERROR = (ErrorCode.NONE, 0, 0)


def provokes(status: Status, keeps: bool = False, opened: bool = True, error: tuple[ErrorCode, int, int] = NO_ERROR):
    def add(function):
        SCENARIOS[function.__name__] = Scenario(function, status, keeps, opened, error)
        return function

    return add


def answers(runtime: Runtime, address: int, clear: int, bits: int, skip: int = 0) -> None:
    """Let a register be read otherwise, after `skip` reads."""
    runtime.fault(answer_address=address, answer_mask=clear, answer_set=bits, answer_skip=skip)


@provokes(Status.ERR_IDENTITY, opened=False)
def something_else_there(runtime, pixels):
    return runtime.open(address=Base.ACCELERATOR + 0x400)


@provokes(Status.ERR_IDENTITY, opened=False)
def wrong_identity(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.ID, 0xFFFFFFFF, ID ^ 1)
    return runtime.open()


@provokes(Status.ERR_VERSION, opened=False)
def newer_interface(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.VERSION, 0xFFFFFFFF, VERSION.pack(major=VERSION_MAJOR + 1))
    return runtime.open()


@provokes(Status.ERR_VERSION, opened=False)
def older_interface(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.VERSION, 0xFFFFFFFF, VERSION.pack(major=VERSION_MAJOR - 1, minor=9))
    return runtime.open()


if VERSION_MINOR:  # else there is none before it

    @provokes(Status.ERR_VERSION, opened=False)
    def interface_that_lacks_a_register(runtime, pixels):
        older = VERSION.pack(major=VERSION_MAJOR, minor=VERSION_MINOR - 1)
        answers(runtime, Base.ACCELERATOR + Register.VERSION, 0xFFFFFFFF, older)
        return runtime.open()


def stand_still(runtime: Runtime, pixels: np.ndarray, microseconds: int) -> None:
    """Leave a transfer of another program under way, and memory that answers to nothing."""
    runtime.memory(pause=microseconds)
    runtime("leave", runtime.write("left", packed(Pixels(pixels)).tobytes()), 0)


@provokes(Status.ERR_RESET, opened=False)
def open_while_memory_stands_still(runtime, pixels):
    stand_still(runtime, pixels, 2 * TIMEOUT)
    return runtime.open()


@provokes(Status.ERR_RESET)
def reset_while_memory_stands_still(runtime, pixels):
    stand_still(runtime, pixels, 2 * TIMEOUT)
    return runtime("reset")


@provokes(Status.ERR_RESET)
def transfer_that_cannot_be_stopped(runtime, pixels):
    runtime.memory(pause=4 * TIMEOUT)
    return runtime.infer(pixels)[0]


def damaged(at: int, bits: int, crc: bool = True):
    """Load the image with bits of a byte flipped."""

    def load(runtime, pixels):
        data = bytearray((runtime.folder / "sound").read_bytes())
        data[at] ^= bits
        return runtime.load(sealed(data) if crc else bytes(data))

    return load


def sealed(data: bytes | bytearray) -> bytes:
    """With the length and CRC-32 that it should have."""
    data = bytearray(data)
    data[ModelField.BODY_BYTES : ModelField.BODY_BYTES + 4] = (len(data) - HEADER_BYTES).to_bytes(4, "little")
    data[ModelField.CRC : ModelField.CRC + 4] = bytes(4)
    data[ModelField.CRC : ModelField.CRC + 4] = zlib.crc32(data).to_bytes(4, "little")
    return bytes(data)


for name, status, load in [
    ("magic", Status.ERR_MAGIC, damaged(ModelField.MAGIC + 2, 0x20)),
    ("version", Status.ERR_MODEL_VERSION, damaged(ModelField.VERSION, 3)),
    ("crc", Status.ERR_CRC, damaged(ModelField.CRC + 3, 0x80, crc=False)),
    ("damaged_geometry", Status.ERR_CRC, damaged(ModelField.GEOMETRY + 1, 1, crc=False)),
    ("damaged_reserved_word", Status.ERR_CRC, damaged(ModelField.GEOMETRY + 5, 1, crc=False)),
    ("damaged_packet", Status.ERR_CRC, damaged(HEADER_BYTES + 100, 4, crc=False)),
    ("damaged_end", Status.ERR_CRC, damaged(-1, 1, crc=False)),
    ("length_of_the_header", Status.ERR_TRUNCATED, damaged(ModelField.BODY_BYTES, 8, crc=False)),
    ("contradicting_packet", Status.ERR_PACKETS, damaged(HEADER_BYTES, 1)),
]:
    provokes(status, keeps=True)(load)
    SCENARIOS[name] = SCENARIOS.pop("load")


@provokes(Status.ERR_GEOMETRY, keeps=True)
def network_too_large(runtime, pixels):
    network = Network((Layer(np.ones((101, 4), np.int8), np.ones(4, np.int32)),), 4, 1)
    return runtime.load(model_file.build(network))


@provokes(Status.ERR_REFUSED, error=(ErrorCode.CONFIG, PacketType.CONFIG, 0))
def accelerator_smaller_than_it_says(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.LAYER, 0xFFFFFFFF, LAYER.pack(inputs=1000, neurons=48))
    assert runtime.open().status == Status.OK
    return network_too_large(runtime, pixels)


@provokes(Status.ERR_NOT_LOADED)
def nothing_loaded(runtime, pixels):
    assert runtime("reset").status == Status.OK
    assert runtime.packet(Pixels(pixels))[0].status == Status.ERR_NOT_LOADED
    return runtime.infer(pixels, buffer=4096)[0]


@provokes(Status.ERR_NOT_LOADED)
def load_without_effect(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.STATUS, STATUS.pack(loaded=1), 0)
    return runtime.load(runtime.folder / "sound")


@provokes(Status.ERR_ENCODER)
def events_network_given_pixels(runtime, pixels):
    network = model_file.load(runtime.folder / "sound").network
    assert runtime.load(model_file.build(replace(network, encoder=Encoder.EVENTS))).status == Status.OK
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_ARGUMENT, keeps=True)
def arguments(runtime, pixels):
    *refused, last = map(int, runtime("arguments").more.split())
    assert refused == [Status.ERR_ARGUMENT] * 33
    assert last == Status.OK
    return runtime.infer(pixels, buffer=8)[0]


# Longer than a transfer may take, and not so long as a reset may take besides.
TOO_LONG = TIMEOUT + TIMEOUT // 2


@provokes(Status.ERR_TIMEOUT)
def memory_that_stands_still(runtime, pixels):
    runtime.memory(pause=TOO_LONG)
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_TIMEOUT)
def memory_that_stands_still_while_the_clock_wraps(runtime, pixels):
    runtime.memory(pause=TOO_LONG)
    runtime.fault(clock_start=(1 << 32) - TIMEOUT)
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_TIMEOUT)
def load_while_memory_stands_still(runtime, pixels):
    runtime.memory(pause=TOO_LONG)
    return runtime.load(runtime.folder / "sound")


@provokes(Status.ERR_TIMEOUT)
def packet_while_memory_stands_still(runtime, pixels):
    runtime.memory(pause=TOO_LONG)
    return runtime.packet(Pixels(pixels[:3]))[0]


@provokes(Status.ERR_TIMEOUT)
def results_that_are_never_counted(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.RECEIVED, 0xFFFFFFFF, 0)
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_RESET)
def never_idle(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.STATUS, STATUS.pack(idle=1), 0)
    return runtime.infer(pixels)[0]


for way in ("send", "receive"):
    for transfer in (1, 3, 4):

        def refuse(runtime, pixels, way=way, transfer=transfer):
            """The memory of the first transfer, of the last of those under way at once, and of one that uses its part again."""
            runtime.fault(**{f"refuse_{way}": transfer})
            answer = runtime.infer(pixels, at_once=7)[0]
            assert MEMORY_BASE < answer.address < MEMORY_BASE + MEMORY
            return answer

        provokes(Status.ERR_MEMORY)(refuse)
        SCENARIOS[f"memory_that_refuses_{way}_{transfer}"] = SCENARIOS.pop("refuse")


@provokes(Status.ERR_MEMORY)
def model_in_memory_that_refuses(runtime, pixels):
    runtime.fault(refuse_send=2)
    return runtime.load(runtime.folder / "sound")


@provokes(Status.ERR_ADDRESS)
def buffer_that_the_accelerator_does_not_reach(runtime, pixels):
    runtime.fault(physical_offset=MEMORY)
    answer = runtime.infer(pixels)[0]
    assert MEMORY_BASE + MEMORY < answer.address < MEMORY_BASE + 2 * MEMORY
    return answer


@provokes(Status.ERR_ADDRESS)
def model_that_the_accelerator_does_not_reach(runtime, pixels):
    runtime.fault(physical_offset=0xE0000000)
    return runtime.load(runtime.folder / "sound")


@provokes(Status.ERR_ADDRESS)
def physical_address_between_words(runtime, pixels):
    runtime.fault(physical_offset=4)
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_MODEL)
def queue_full_of_commands_of_somebody_else(runtime, pixels):
    empty = runtime.write("empty", b"")
    for _ in range(8):
        runtime("leave", empty, 8)
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_RESULTS)
def more_results_than_are_due(runtime, pixels):
    return runtime.packet(Pixels(pixels), images=len(pixels) - 1)[0]


@provokes(Status.ERR_RESULTS)
def fewer_results_than_are_due(runtime, pixels):
    return runtime.packet(Pixels(pixels), images=len(pixels) + 1)[0]


@provokes(Status.ERR_RESULTS)
def results_out_of_order(runtime, pixels):
    runtime.fault(change_word=2 * 5 + 1, change_bits=1)  # the number of image 5
    return runtime.infer(pixels, values=False)[0]


@provokes(Status.ERR_RESULTS)
def class_that_is_not_there(runtime, pixels):
    runtime.fault(change_word=2 * 12, change_bits=0x100)  # the label of image 12
    return runtime.infer(pixels, values=False)[0]


def pixel_packet(pixels: np.ndarray, **header: int) -> np.ndarray:
    words = packed(Pixels(pixels))
    words[0] = HEADER.pack(**(HEADER.unpack(words[0]) | header))
    return words


@provokes(Status.ERR_REFUSED, error=(ErrorCode.CHECKSUM, PacketType.THRESHOLDS, 0))
def bit_that_flips_on_its_way(runtime, pixels):
    """The CRC-32 of the file was right when it was looked at."""
    model = model_file.load(runtime.folder / "sound")
    data = bytearray(image_bytes(model))
    data[HEADER_BYTES + model.packets[0].nbytes + 13] ^= 0x20
    return runtime.load(sealed(data))


@provokes(Status.ERR_REFUSED, error=(ErrorCode.HEADER, PacketType.PIXELS, 0))
def packet_without_magic(runtime, pixels):
    return runtime.packet(pixel_packet(pixels, magic=0), images=40)[0]


@provokes(Status.ERR_REFUSED, error=(ErrorCode.TYPE, 9, 0))
def packet_of_unknown_type(runtime, pixels):
    return runtime.packet(pixel_packet(pixels, kind=9), images=40)[0]


@provokes(Status.ERR_REFUSED, error=(ErrorCode.LAYER, PacketType.WEIGHTS, 7))
def weights_of_a_layer_that_is_not_there(runtime, pixels):
    return runtime.packet(pixel_packet(pixels, kind=PacketType.WEIGHTS, layer=7), images=40)[0]


@provokes(Status.ERR_REFUSED, error=(ErrorCode.LENGTH, PacketType.PIXELS, 0))
def packet_of_no_length(runtime, pixels):
    return runtime.packet(pixel_packet(pixels, length=0), images=40)[0]


@provokes(Status.ERR_REFUSED, error=(ErrorCode.SHORT, PacketType.PIXELS, 0))
def packet_cut_short(runtime, pixels):
    return runtime.packet(packed(Pixels(pixels))[:-3], images=40)[0]


@provokes(Status.ERR_REFUSED, error=(ErrorCode.LONG, PacketType.PIXELS, 0))
def packet_that_goes_on(runtime, pixels):
    return runtime.packet(np.append(packed(Pixels(pixels)), np.uint64(1)), images=40)[0]


@provokes(Status.ERR_REFUSED, error=(ErrorCode.NOT_LOADED, PacketType.PIXELS, 0))
def model_that_went_at_the_last_moment(runtime, pixels):
    model = model_file.load(runtime.folder / "sound").identity
    runtime("write", Base.ACCELERATOR + Register.CONTROL, CONTROL.pack(reset=1))
    answers(runtime, Base.ACCELERATOR + Register.MODEL, 0xFFFFFFFF, model)
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_MODEL)
def accelerator_reset_by_somebody_else(runtime, pixels):
    runtime("write", Base.ACCELERATOR + Register.CONTROL, CONTROL.pack(reset=1))
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_MODEL)
def network_loaded_by_somebody_else(runtime, pixels):
    """Of the same sizes, so that nothing else would show it."""
    network = model_file.load(runtime.folder / "sound").network
    other = replace(
        network, layers=(replace(network.layers[0], weights=network.layers[0].weights[::-1].copy()), *network.layers[1:])
    )
    runtime.load_behind_its_back(other)
    assert runtime.packet(Pixels(pixels))[0].status == Status.ERR_MODEL
    return runtime.infer(pixels)[0]


@provokes(Status.ERR_MODEL)
def network_loaded_by_somebody_else_meanwhile(runtime, pixels):
    """Seen after the first transfer, with others under way, or after the only one."""
    answers(runtime, Base.ACCELERATOR + Register.MODEL, 0xFFFFFFFF, 1, skip=1)
    assert runtime.packet(Pixels(pixels))[0].status == Status.ERR_MODEL
    runtime.no_faults()
    assert runtime.load(runtime.folder / "sound").status == Status.OK
    answers(runtime, Base.ACCELERATOR + Register.MODEL, 0xFFFFFFFF, 1, skip=1)
    return runtime.infer(pixels, at_once=5)[0]


@provokes(Status.ERR_MODEL)
def load_that_somebody_else_overtakes(runtime, pixels):
    answers(runtime, Base.ACCELERATOR + Register.MODEL, 0xFFFFFFFF, 1)
    return runtime.load(runtime.folder / "sound")


@provokes(Status.ERR_REFUSED, error=(ErrorCode.EVENT, PacketType.EVENTS, 0))
def event_beyond_the_inputs(runtime, pixels):
    words = packed(Events(np.zeros((2, 3, pixels.shape[1]), np.uint8)))
    words[2] = int(words[2]) & ~0xFFFF | pixels.shape[1]
    return runtime.packet(words, images=2)[0]


@pytest.fixture
def sound(runtime, network):
    """With the image in a file that stays."""
    runtime.write("sound", image_bytes(model_file.build(network)))
    return runtime


@pytest.fixture
def mended(sound, pixels, expected):
    """Check that after spk_reset and spk_load all works again."""

    def check_it(opened: bool = True) -> None:
        assert (sound("reset") if opened else sound.open()).status == Status.OK
        assert sound.infer(pixels, buffer=4096)[0].status == Status.ERR_NOT_LOADED
        assert sound.load(sound.folder / "sound").status == Status.OK
        check(sound.infer(pixels), expected)

    return check_it


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_error_is_told_in_time_and_mended(sound, pixels, expected, mended, name):
    scenario = SCENARIOS[name]
    answer = scenario.provoke(sound, pixels)
    assert answer.status == scenario.status
    if scenario.status == Status.ERR_REFUSED:
        assert answer.error == scenario.error
    if scenario.status in (Status.ERR_TIMEOUT, Status.ERR_RESET):
        assert answer.microseconds > TIMEOUT
    assert answer.microseconds < 3 * TIMEOUT + 100
    assert answer.reads * 10 <= (answer.microseconds + 1) * 100  # cycles: no time passes without notice
    sound.no_faults()
    if scenario.keeps:
        check(sound.infer(pixels), expected)
    mended(scenario.opened)


@pytest.mark.parametrize("name", [n for n, s in SCENARIOS.items() if s.opened and not s.keeps])
def test_nothing_wrong_comes_after_an_error_that_is_not_mended(sound, pixels, expected, mended, name):
    SCENARIOS[name].provoke(sound, pixels)
    sound.no_faults()
    for _ in range(3):
        run = sound.infer(pixels, buffer=8192)
        if run[0].status == Status.OK:
            check(run, expected)
    mended()


@pytest.mark.parametrize(
    "name", ["load_while_memory_stands_still", "model_in_memory_that_refuses", "accelerator_smaller_than_it_says"]
)
def test_no_network_is_left_by_a_load_that_failed(sound, pixels, name):
    assert not SCENARIOS[name].provoke(sound, pixels).loaded
    sound.no_faults()
    assert sound.infer(pixels, buffer=4096)[0].status == Status.ERR_NOT_LOADED


def test_every_status_is_provoked():
    assert {s.status for s in SCENARIOS.values()} | {Status.OK} == set(Status)
    assert {s.error[0] for s in SCENARIOS.values()} == set(ErrorCode)


def test_every_status_has_a_message_of_its_own(fresh):
    messages = [fresh("message", status).more for status in [*Status, len(Status)]]
    assert all(messages)
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize("fault", ["no_flush", "no_invalidate_before", "no_invalidate_after"])
def test_missing_cache_maintenance_shows(sound, pixels, expected, mended, fault):
    """The processor's memory and the accelerator's are two, so each call of it is needed."""
    sound.fault(**{fault: 1})
    answer, results = sound.infer(pixels, at_once=9)
    assert answer.status != Status.OK or (results.labels != expected.labels).any()
    sound.no_faults()
    mended()


def test_results_that_nobody_waits_for_do_not_head_the_next(sound, pixels, expected):
    """Neither those of a transfer that was given up, nor those that another program left to come."""
    for _ in range(3):
        sound.memory(pause=TOO_LONG)
        assert sound.infer(pixels)[0].status == Status.ERR_TIMEOUT
        sound.no_faults()
        assert sound.load(sound.folder / "sound").status == Status.OK
        check(sound.infer(pixels), expected)
    sound("leave", sound.write("packet", packed(Pixels(pixels)).tobytes()), 8 * len(pixels))
    assert sound.open().status == Status.OK
    assert sound.load(sound.folder / "sound").status == Status.OK
    check(sound.infer(pixels), expected)


def test_addresses_of_more_than_32_bits(runtime, pixels, expected):
    """Are commanded whole, whatever another command has left in their upper half."""
    runtime.fault(physical_offset=5 << 32)
    runtime.infer(pixels)
    assert read(runtime, Register.ADDRESS_HI) == 5
    assert runtime("reset").status == Status.OK
    runtime.no_faults()
    assert runtime.load(runtime.folder / "image").status == Status.OK
    check(runtime.infer(pixels), expected)
    assert read(runtime, Register.ADDRESS_HI) == 0


# ---- queue and interrupts ----


def read(runtime: Runtime, register: Register) -> int:
    return int(runtime("read", Base.ACCELERATOR + register).more)


@pytest.mark.parametrize("at_once", [1, 7, 13, 20, 39, 40])
def test_as_many_images_in_a_transfer_as_a_third_of_the_buffer_has_room_for(runtime, pixels, expected, at_once):
    """For their results, after a line for the first words of the packet; the images are another command."""
    sent, received = read(runtime, Register.SENT), read(runtime, Register.RECEIVED)
    check(runtime.infer(pixels, at_once=at_once), expected)
    buffer, results = runtime.sizes(at_once, True)
    transfers = -(-len(pixels) // ((buffer // 3 - 64) // (results // at_once)))
    assert read(runtime, Register.RECEIVED) - received == transfers
    assert read(runtime, Register.SENT) - sent == 2 * transfers


def test_two_transfers_are_under_way_while_the_third_is_queued(runtime, pixels, expected):
    runtime("ahead")
    for at_once, ahead in ((40, 1), (20, 2), (8, 3)):  # with that one
        check(runtime.infer(pixels, at_once=at_once), expected)
        assert int(runtime("ahead").more) == ahead


def test_accelerator_does_not_wait_for_the_processor(runtime, pixels, expected):
    """As long as that takes no longer for a batch than the work: 300 cycles here, and about 400."""
    runtime.fault(poll_cycles=1, access_cycles=1, pack_cycles=300)
    runtime("clear")
    answer = runtime.infer(np.tile(pixels, (8, 1)), at_once=8, values=False)[0]
    busy = int(runtime("counters").more.split()[0])
    assert answer.status == Status.OK
    assert busy > 0.95 * (100 * answer.microseconds - 300)
    runtime.fault(access_cycles=10, pack_cycles=0)


@pytest.mark.parametrize("access", [1, 10, 50, *range(300, 1500, 150)])
def test_no_interrupt_is_lost(sound, pixels, expected, access):
    """Whenever it comes: between the look and the sleep, or between any two accesses. A lost one would cost the whole timeout."""
    sound.fault(poll_cycles=1)
    polled = sound.infer(pixels, at_once=5)[0]
    assert polled.waits == 0
    sound("interrupts", 1)
    sound.fault(access_cycles=access)
    assert sound.open(timeout=1_000_000).status == Status.OK
    loaded = sound.load(sound.folder / "sound")
    run = sound.infer(pixels, at_once=5)
    check(run, expected)
    check(sound.packet(Pixels(pixels)), expected)
    sound.fault(access_cycles=10)
    for answer in (loaded, run[0]):
        assert answer.status == Status.OK
        assert answer.microseconds < 500_000
    assert run[0].waits <= 8 + (access < 50)
    if access == 10:
        assert run[0].waits > 0
        assert run[0].reads < polled.reads + 40
    assert read(sound, Register.INTERRUPT_ENABLE) == 0


@pytest.mark.parametrize("name", ["memory_that_stands_still", "memory_that_refuses_send_3", "packet_cut_short", "never_idle"])
def test_errors_and_deadlines_end_a_sleep(sound, pixels, mended, name):
    sound("interrupts", 1)
    sound.fault(poll_cycles=1)
    answer = SCENARIOS[name].provoke(sound, pixels)
    assert answer.status == SCENARIOS[name].status
    assert answer.microseconds < 3 * TIMEOUT + 100
    sound.no_faults()
    assert read(sound, Register.INTERRUPT_ENABLE) == 0
    mended()


def test_line_that_never_rises_costs_time_and_no_results(sound, pixels, expected):
    """Of an interrupt that is not connected: the deadline of each sleep ends it, and progress counts."""
    sound("interrupts", 1)
    sound.fault(no_interrupt=1, poll_cycles=1)
    run = sound.infer(pixels, at_once=20)
    check(run, expected)
    assert run[0].microseconds > TIMEOUT
    sound.fault(no_interrupt=0)


# ---- attaching ----


def test_attach_to_a_network_that_is_loaded(sound, pixels, expected):
    """Without a reset, a load, or a change of what is counted."""
    check(sound.infer(pixels), expected)
    counted = sound("counters").more
    assert sound.attach(sound.folder / "sound").status == Status.OK
    assert sound("counters").more == counted
    check(sound.infer(pixels), expected)
    assert sound("reset").status == Status.OK


def test_attach_writes_nothing_where_it_does_not_fit(sound, network, pixels, expected):
    model = model_file.build(network)
    other = model_file.build(replace(network, time_steps=network.time_steps + 1))
    status, features = (Base.ACCELERATOR + register for register in (Register.STATUS, Register.FEATURES))
    for refuse, because in (
        (lambda: sound.attach(other), Status.ERR_MODEL),
        (lambda: sound.attach(image_bytes(model)[:-1]), Status.ERR_TRUNCATED),
        (lambda: answers(sound, status, STATUS.pack(idle=1), 0) or sound.attach(model), Status.ERR_MODEL),
        (lambda: answers(sound, status, STATUS.pack(loaded=1), 0) or sound.attach(model), Status.ERR_MODEL),
        (lambda: answers(sound, Base.ACCELERATOR + Register.COMMANDS, 0, 0x100) or sound.attach(model), Status.ERR_MODEL),
        (lambda: answers(sound, Base.ACCELERATOR + Register.ID, 1, 0) or sound.attach(model), Status.ERR_IDENTITY),
        (lambda: answers(sound, features, FEATURES.pack(commands=255), 0) or sound.attach(model), Status.ERR_VERSION),
    ):
        answer = refuse()
        assert (answer.status, answer.loaded) == (because, False)
        assert sound.infer(pixels, buffer=4096)[0].status == Status.ERR_NOT_LOADED
        sound.no_faults()
    assert sound.attach(model).status == Status.OK
    check(sound.infer(pixels), expected)
    assert sound("reset").status == Status.OK
    assert sound.attach(model).status == Status.ERR_MODEL


# ---- images ----


def test_image_of_any_other_length(sound, network, pixels, expected):
    """Cut at every word, around every packet and in the header, or grown; with a right CRC too."""
    model = model_file.build(network)
    data = image_bytes(model)
    ends = [HEADER_BYTES + n for n in accumulate([0, *(p.nbytes for p in model.packets)])]
    near = {end + n for end in ends for n in (-8, -4, -1, 0, 1, 4, 7, 8, 12)}
    for length in sorted({0, 1, 3, 4, 8, 11, 12, 16, *near} | set(range(0, len(data), 8))):
        other = (data + bytes(12))[:length]
        if length == len(data):
            continue
        assert sound.load(other).status == Status.ERR_TRUNCATED, length
        if length >= HEADER_BYTES:
            assert sound.load(sealed(other)).status == Status.ERR_PACKETS, length
    check(sound.infer(pixels), expected)


NOTED = {"dataset": {"name": "Zahlen über hundert", "classes": ["eins"] * 3}}


def test_note_after_the_packets_is_passed_over(fresh, network, pixels, expected):
    assert fresh.open().status == Status.OK
    assert fresh.load(model_file.build(network, NOTED)).status == Status.OK
    check(fresh.infer(pixels), expected)


@pytest.mark.parametrize("words", [-1, 0.5, 1, 1 << 14, (1 << 29) - 1])
def test_note_of_another_length_than_the_header_says(sound, network, pixels, expected, words):
    data = bytearray(image_bytes(model_file.build(network, NOTED)))
    at = ModelField.NOTE_BYTES
    length = int.from_bytes(data[at : at + 4], "little") + int(8 * words)
    data[at : at + 4] = (length % (1 << 32)).to_bytes(4, "little")
    assert sound.load(sealed(data)).status == Status.ERR_PACKETS
    with pytest.raises(ModelError):
        model_file.parse(sealed(data))
    check(sound.infer(pixels), expected)


def test_note_that_is_too_long(sound, network):
    data = bytearray(image_bytes(model_file.build(network)))
    length = model_file.LARGEST_NOTE + 8
    data[ModelField.NOTE_BYTES : ModelField.NOTE_BYTES + 4] = length.to_bytes(4, "little")
    assert sound("check", sound.write("image", sealed(data + b" " * length))).status == Status.ERR_PACKETS


def change(words: np.ndarray, at: int, word, **fields: int) -> None:
    words[at] = word.pack(**(word.unpack(words[at]) | fields))


G, L = ModelField.GEOMETRY // 4, ModelField.LAYER // 4


def no_layers(h: np.ndarray, p: list[np.ndarray]) -> None:
    change(h, G, GEOMETRY, layers=0)
    change(p[0], 1, CONFIG, layers=0)
    p[:] = [model_file.sealed(PacketType.CONFIG, p[0][1:2])]


def nine_layers(h: np.ndarray, p: list[np.ndarray]) -> None:
    classes = LAYER.unpack(h[L + 2])["neurons"]
    change(h, G, GEOMETRY, layers=9)
    h[L + 3 :] = LAYER.pack(inputs=classes, neurons=classes)
    change(p[0], 1, CONFIG, layers=9)
    more = np.full(6, CONFIG_LAYER.pack(inputs=classes, neurons=classes), WORD)
    p[0] = model_file.sealed(PacketType.CONFIG, np.concatenate([p[0][1:-1], more]))


def no_inputs(h: np.ndarray, p: list[np.ndarray]) -> None:
    change(h, L, LAYER, inputs=0)
    change(p[0], 2, CONFIG_LAYER, inputs=0)
    p[3] = model_file.sealed(PacketType.WEIGHTS, p[3][:0])


def no_classes(h: np.ndarray, p: list[np.ndarray]) -> None:
    change(h, G, GEOMETRY, classes=0)
    change(h, L + 2, LAYER, neurons=0)
    change(p[0], 4, CONFIG_LAYER, neurons=0)
    p[-2:] = [model_file.sealed(kind, p[-1][:0], 2) for kind in (PacketType.THRESHOLDS, PacketType.WEIGHTS)]


def broken_chain(h: np.ndarray, p: list[np.ndarray]) -> None:
    inputs = LAYER.unpack(h[L + 1])["inputs"]
    change(h, L + 1, LAYER, inputs=2 * inputs)
    change(p[0], 3, CONFIG_LAYER, inputs=2 * inputs)
    p[6] = model_file.sealed(PacketType.WEIGHTS, np.tile(p[6][1:-1], 2), 1)


def no_state(h: np.ndarray, p: list[np.ndarray]) -> None:
    change(p[0], 2, CONFIG_LAYER, state_bits=0)
    p.pop(2)


# Of a network of three layers, the first two continuous: header (words of 32 bits), packets CONFIG, then thresholds, biases,
# weights of layer 0, and so on.
CONTRADICTIONS: dict[str, Callable[[np.ndarray, list[np.ndarray]], object]] = {
    "no layers": no_layers,
    "nine layers": nine_layers,
    "a layer less in the header": lambda h, p: change(h, G, GEOMETRY, layers=2),
    "a layer more in the header": lambda h, p: change(h, G, GEOMETRY, layers=4),
    "a layer less in CONFIG": lambda h, p: change(p[0], 1, CONFIG, layers=2),
    "weights of no bits": lambda h, p: change(h, G, GEOMETRY, weight_bits=0),
    "weights of 3 bits": lambda h, p: change(h, G, GEOMETRY, weight_bits=3),
    "weights of 8 bits": lambda h, p: change(h, G, GEOMETRY, weight_bits=8),
    "another number of classes": lambda h, p: change(h, G, GEOMETRY, classes=GEOMETRY.unpack(h[G])["classes"] + 1),
    "no time steps": lambda h, p: change(p[0], 1, CONFIG, time_steps=0),
    "an encoder that is not there": lambda h, p: change(p[0], 1, CONFIG, encoder=5),
    "direct input and membranes that last": lambda h, p: change(p[0], 1, CONFIG, encoder=Encoder.DIRECT, time_steps=1),
    "other inputs in the header": lambda h, p: change(h, L, LAYER, inputs=1),
    "other neurons in the header": lambda h, p: change(h, L + 2, LAYER, neurons=1),
    "other inputs in CONFIG": lambda h, p: change(p[0], 2, CONFIG_LAYER, inputs=99),
    "other neurons in CONFIG": lambda h, p: change(p[0], 3, CONFIG_LAYER, neurons=31),
    "layers that do not follow": broken_chain,
    "no inputs": no_inputs,
    "no classes": no_classes,
    "most inputs": lambda h, p: (change(h, L, LAYER, inputs=0xFFFF), change(p[0], 2, CONFIG_LAYER, inputs=0xFFFF)),
    "a state of no bits": no_state,
    "biases of a discontinuous layer": lambda h, p: change(p[0], 2, CONFIG_LAYER, continuous=0),
    "a continuous layer without biases": lambda h, p: change(p[0], 4, CONFIG_LAYER, continuous=1, state_bits=11),
    "no CONFIG": lambda h, p: p.pop(0),
    "CONFIG of another length": lambda h, p: change(p[0], 0, HEADER, length=6),
    "CONFIG of no length": lambda h, p: change(p[0], 0, HEADER, length=0),
    "CONFIG that is none": lambda h, p: change(p[0], 0, HEADER, kind=PacketType.PIXELS),
    "CONFIG of a layer": lambda h, p: change(p[0], 0, HEADER, layer=1),
    "two CONFIGs": lambda h, p: p.insert(0, p[0]),
    "another kind of packet": lambda h, p: change(p[1], 0, HEADER, kind=PacketType.BIASES),
    "another layer": lambda h, p: change(p[3], 0, HEADER, layer=1),
    "another magic": lambda h, p: change(p[-1], 0, HEADER, magic=0),
    "a length less by one": lambda h, p: change(p[3], 0, HEADER, length=len(p[3]) - 2),
    "a length more by one": lambda h, p: change(p[3], 0, HEADER, length=len(p[3])),
    "a length of nothing": lambda h, p: change(p[-1], 0, HEADER, length=0),
    "a length of 2^31": lambda h, p: change(p[-1], 0, HEADER, length=1 << 31),
    "the largest length": lambda h, p: change(p[-1], 0, HEADER, length=(1 << 32) - 1),
    "packets in another order": lambda h, p: p.insert(1, p.pop(2)),
    "a packet twice": lambda h, p: p.insert(1, p[1]),
    "a packet missing": lambda h, p: p.pop(3),
    "the last packet missing": lambda h, p: p.pop(),
    "a packet more": lambda h, p: p.append(p[-1]),
    "a word more": lambda h, p: p.append(np.zeros(1, WORD)),
}


@pytest.fixture
def continuous(random_network):
    rng = np.random.default_rng(3)
    while True:
        network = random_network(rng, 3, continuous=1)
        if [x.continuous for x in network.layers] == [True, True, False] and network.sizes[1] > 16:
            return network


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_packets_that_contradict(sound, continuous, pixels, expected, name):
    model = model_file.build(continuous)
    assert sound("check", sound.write("image", image_bytes(model))).status == Status.OK
    header, packets = np.frombuffer(image_bytes(model)[:HEADER_BYTES], "<u4").copy(), [p.copy() for p in model.packets]
    CONTRADICTIONS[name](header, packets)
    data = sealed(header.tobytes() + b"".join(p.tobytes() for p in packets))
    with pytest.raises(ModelError):
        model_file.parse(data)
    assert sound("check", sound.write("image", data)).status == Status.ERR_PACKETS
    assert sound.load(data).status == Status.ERR_PACKETS
    check(sound.infer(pixels), expected)


def flat(*sizes: int, bits: int = 4, **first: object) -> Network:
    """A network of these sizes; `first`: fields of its first layer."""
    made = [Layer(np.ones(shape, np.int8), np.ones(shape[1], np.int32)) for shape in pairwise(sizes)]
    return Network((replace(made[0], **first), *made[1:]), bits, 1, decode=Decode.SPIKE_COUNT)


TOO_LARGE = {
    "layers": flat(3, 3, 3, 3, 3),
    "inputs": flat(101, 4, 3),
    "neurons of layer 0": flat(10, 49, 3),
    "neurons of layer 1": flat(10, 10, 33, 3),
    "classes": flat(10, 11),
    "weights of 2 bits": flat(10, 3, bits=2),
    "weights of 8 bits": flat(10, 3, bits=8),
    "membrane": flat(10, 3, thresholds=np.full(3, 3000, np.int32)),
    "state of more bits": flat(10, 3, 3, state_bits=12),
    "state of fewer bits": flat(10, 3, 3, state_bits=10),
    "leak": flat(10, 3, 3, state_bits=11, leak=5),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_network_too_large_in_each_way(sound, tiny, pixels, expected, name):
    with pytest.raises(ModelError, match="does not fit"):
        tiny.require(TOO_LARGE[name])
    answer = sound.load(model_file.build(TOO_LARGE[name]))
    assert answer.status == Status.ERR_GEOMETRY
    check(sound.infer(pixels), expected)


# A register of a smaller accelerator, and a network that is too large for this alone.
SMALLER = {
    "continuous": (Register.FEATURES, FEATURES.pack(commands=8), flat(10, 3, 3, state_bits=11)),
    "layers": (Register.GEOMETRY, GEOMETRY.pack(layers=1, weight_bits=4, membrane_bits=12, classes=10), flat(10, 3, 3)),
    "neurons": (Register.LAYER, LAYER.pack(inputs=100, neurons=5), flat(10, 6, 3)),
}


@pytest.mark.parametrize("name", SMALLER)
def test_network_too_large_for_a_smaller_accelerator(sound, mended, name):
    register, value, network = SMALLER[name]
    assert sound.load(model_file.build(network)).status == Status.OK
    answers(sound, Base.ACCELERATOR + register, 0xFFFFFFFF, value)
    assert sound.open().status == Status.OK
    assert sound.load(model_file.build(network)).status == Status.ERR_GEOMETRY
    sound.no_faults()
    mended(opened=False)


def test_largest_network_fits(sound):
    assert sound.load(model_file.build(flat(100, 48, 32, 10))).status == Status.OK


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_let_through_is_taken_or_refused(sound, random_network, mended, seed):
    """With a right CRC: spk_check takes all that Python's reader takes, and the accelerator copes with the rest."""
    rng = np.random.default_rng(seed)
    let_through = 0
    for _ in range(60):
        network = random_network(rng)
        model = model_file.build(network)
        data = bytearray(image_bytes(model))
        starts = [HEADER_BYTES + n for n in accumulate([0, *(p.nbytes for p in model.packets)])][:-1]
        sensitive = [
            *range(ModelField.GEOMETRY, HEADER_BYTES + model.packets[0].nbytes),
            *(s + n for s in starts for n in range(8)),
        ]
        for _ in range(int(rng.integers(1, 3))):
            data[int(rng.choice(sensitive))] ^= 1 << int(rng.integers(8))
        data = sealed(data)
        try:
            model_file.parse(data)
            sane = True
        except ModelError:
            sane = False
        status = sound("check", sound.write("image", data)).status
        assert status in (Status.OK, Status.ERR_PACKETS)
        assert status == Status.OK or not sane
        if status != Status.OK:
            continue
        let_through += 1
        status = sound.load(data).status
        assert status in (Status.OK, Status.ERR_GEOMETRY, Status.ERR_REFUSED)
        if status == Status.OK:
            pixels = rng.integers(0, 256, (3, network.sizes[0])).astype(np.uint8)
            status = sound.infer(pixels)[0].status
            assert status in (Status.OK, Status.ERR_ENCODER, Status.ERR_REFUSED, Status.ERR_TIMEOUT)
        if status not in (Status.OK, Status.ERR_GEOMETRY):
            assert sound("reset").status == Status.OK
    assert let_through > 5
    mended()
