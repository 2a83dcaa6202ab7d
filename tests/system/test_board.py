"""The runtime of a board over the unmodified `pynq` package and the simulated board: right answers, and every fault answered."""

import base64
import hashlib
import importlib.metadata
import itertools
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pynq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynq.buffer import PynqBuffer

from spikeline import Accelerator, Events
from spikeline.device.board import Board, Registers
from spikeline.device.driver import Driver
from spikeline.device.packets import Pixels, Spikes, packed
from spikeline.device.transfers import Transfers
from spikeline.errors import DeviceError, ModelError
from spikeline.model import golden, model_file, spec
from spikeline.model.encode import encode
from spikeline.model.model_file import WORD
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder, Register
from spikeline.simulation.board import MEMORY_BYTES, PAGE, Memory, SimulatedBoard
from spikeline.simulation.verilated import Timing
from support.memory import change


@pytest.fixture
def board(tiny):
    board = SimulatedBoard(tiny)
    yield board
    board.close()


@pytest.fixture
def network(random_network):
    return replace(random_network(np.random.default_rng(5), 3, time_steps=3), encoder=Encoder.BERNOULLI)


@pytest.fixture
def pixels(network):
    return np.random.default_rng(6).integers(0, 256, (40, network.sizes[0])).astype(np.uint8)


@pytest.fixture
def expected(network, pixels):
    return golden.run(network, encode(pixels, "bernoulli", network.time_steps)).labels


@pytest.fixture
def accelerator(board, network):
    with Accelerator(board.bitstream, model_file.build(network), device=board, timeout=0.5) as accelerator:
        yield accelerator


def rewrite(board, change):
    """Change the .hwh of the board's bitstream."""
    path = board.bitstream.with_suffix(".hwh")
    tree = ElementTree.parse(path)
    change(tree.getroot())
    tree.write(path)


# ---- right answers ----


def test_pynq_is_unmodified():
    """Every file of the installed package is as its wheel recorded it."""
    files = [f for f in importlib.metadata.files("pynq") if f.suffix == ".py" and f.hash]
    assert len(files) > 50
    for file in files:
        digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value, file


def test_the_classes_are_pynqs(accelerator):
    device = accelerator._backend.device
    assert type(accelerator.overlay) is pynq.Overlay
    assert type(device._ip) is Registers
    assert isinstance(device.buffer("send0", 8), PynqBuffer)
    assert isinstance(accelerator._backend, Driver)


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_and_batches_equal_the_golden_model(board, random_network, random_spikes, seed):
    """Discontinuous and continuous, one model after another, all three inputs, under random stalls."""
    rng = np.random.default_rng(seed)
    with Accelerator(board.bitstream, device=board) as accelerator:
        for _ in range(3):
            network = random_network(rng)
            accelerator.load(model_file.build(network))
            change(board.simulator, rng)
            for kind in (Spikes, Events):
                spikes = random_spikes(rng, network, int(rng.integers(1, 30)))
                result, trace = accelerator.infer(kind(spikes), scores=True), golden.run(network, spikes)
                np.testing.assert_array_equal(result.labels, trace.labels)
                np.testing.assert_array_equal(result.values, trace.values)
            np.testing.assert_array_equal(accelerator.running(Spikes(spikes))[0], trace.running[0])
    assert board.downloads == 1


@pytest.mark.parametrize("batch", [1, 7, 13, 39, 40, 1000])
def test_batches_of_any_size_give_the_same(accelerator, pixels, expected, batch):
    seen = []
    np.testing.assert_array_equal(accelerator.infer(pixels, batch=batch, progress=seen.append).labels, expected)
    assert seen[-1] == len(pixels)
    assert seen == sorted(set(seen))


def test_the_next_batch_is_packed_while_one_runs(accelerator, board, pixels, monkeypatch):
    busy = []
    pack = Pixels.pack
    monkeypatch.setattr(Pixels, "pack", lambda self, out: (busy.append(board.simulator.busy), pack(self, out))[1])
    accelerator.infer(pixels, batch=10)
    assert busy == [False, True, True, True]


def test_up_to_three_batches_are_queued(accelerator, board, pixels, monkeypatch):
    queued = []
    start = Transfers.start
    monkeypatch.setattr(Transfers, "start", lambda self, *rest: (queued.append(len(self._flying)), start(self, *rest))[1])
    accelerator.infer(pixels, batch=5)
    assert queued == [0, 1, 2, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("method", ["flush", "invalidate"])
def test_a_missing_flush_or_invalidation_shows(accelerator, pixels, expected, monkeypatch, method):
    monkeypatch.setattr(PynqBuffer, method, lambda self: None)
    try:
        labels = accelerator.infer(pixels).labels
    except DeviceError:
        return
    assert (labels != expected).any()


def test_processor_and_accelerator_see_memory_of_their_own(board):
    with board.allocate((4,), "u8", cacheable=True) as buffer:
        at = buffer.physical_address - 0x1000_0000
        buffer[:] = 7
        assert not board.memory.logic[at : at + 32].any()
        buffer[1:2].flush()
        assert board.memory.logic[at : at + 32].view("u8").tolist() == [0, 7, 0, 0]
        board.memory.logic[at] = 9
        assert buffer[0] == 7
        buffer.invalidate()
        assert buffer.tolist() == [9, 7, 0, 0]
    with board.allocate((4,), "u8") as uncached:
        uncached[:] = 3
        at = uncached.physical_address - 0x1000_0000
        assert board.memory.logic[at : at + 32].view("u8").tolist() == [3] * 4


@given(st.lists(st.tuples(st.integers(1, MEMORY_BYTES // 4), st.booleans()), max_size=30))
def test_memory_is_given_out_once(requests):
    memory = object.__new__(Memory)
    memory.taken = {}
    for size, keep in requests:
        try:
            at = memory.take(size)
        except MemoryError:
            continue
        assert at % PAGE == 0
        assert at + size <= MEMORY_BYTES
        spans = sorted((a, a + n) for a, n in memory.taken.items())
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        if not keep:
            del memory.taken[at]


def test_registers_by_name_and_clock(accelerator, tiny):
    registers = accelerator._backend.device._ip.register_map
    assert registers.ID.value == spec.ID
    assert registers.GEOMETRY.membrane_bits == tiny.membrane_bits
    assert registers.LAYER_1.neurons == tiny.layers[1].neurons
    assert registers.STATUS.loaded == 1
    assert accelerator.geometry.clock_mhz == tiny.clock_mhz == pynq.Clocks.fclk0_mhz


def test_clock_is_the_boards_not_the_builds(tiny, network):
    board = SimulatedBoard(replace(tiny, clock_mhz=50))
    with Accelerator(board.bitstream, device=board) as accelerator:
        assert accelerator.geometry.clock_mhz == 50
    board.close()


def test_pynq_finds_driver_overlays_and_notebooks():
    groups = {group: [e.value for e in importlib.metadata.entry_points(group=f"pynq.{group}")] for group in ("lib", "overlays")}
    assert groups == {"lib": ["spikeline.device.board"], "overlays": ["spikeline.overlay"]}
    (notebooks,) = importlib.metadata.entry_points(group="pynq.notebooks")
    assert notebooks.value == "spikeline.notebooks"
    paths = pynq.bitstream.pynqutils.setup_utils.ExtensionsManager("pynq.overlays").paths
    assert any(path.rstrip("/").endswith("spikeline/overlay") for path in paths)


def test_buffers_are_kept_until_they_must_grow(board, network, pixels):
    """Whatever the sizes of the batches, nothing is given back before the end, and a small batch has a small buffer."""
    many = np.tile(pixels, (200, 1))
    with Accelerator(board.bitstream, model_file.build(network), device=board) as accelerator:
        device, held = accelerator._backend.device, {}
        for images in (40, 8000, 1, 40, 8000, 3, 6000, 1):
            accelerator.infer(many[:images], batch=8000)
            assert board.memory.taken.items() >= held.items()
            held = dict(board.memory.taken)
        assert min(held.values()) == 8192
        assert device.buffer("send0", 10).base.nbytes == 8192
        assert device.buffer("send0", 100_000).base.nbytes >= 800_000
    assert board.memory.taken == board.memory.mapped == {}


def test_a_buffer_that_is_looked_at_is_not_unmapped_under_the_eye(board, network, pixels):
    """Parts of buffers that live longer than the buffer's use: no mapping is taken away twice, over a newer one."""
    with Accelerator(board.bitstream, model_file.build(network), device=board) as accelerator:
        device = accelerator._backend.device
        kept = [device.buffer("send0", words) for words in (5000, 6000, 7000, 8000)]
        for words in (8100, 8192, 3000):
            device.buffer("send0", words)
        del kept[::2]
        for images in (40, 7, 40):
            assert len(accelerator.infer(pixels[:images]).labels) == images
        for memory in (*kept, device.buffer("send0", 8192)):
            memory.flush()  # raises where a board would die
    del kept, memory
    assert board.memory.taken == board.memory.mapped == {}


def test_the_board_sees_a_buffer_that_is_freed_under_a_view(board):
    """What PYNQ 3.1 and XRT do with it: the late end of the first takes the second's memory away."""
    first = board.allocate((1024,), "u8", cacheable=True)
    view = first[:5]
    first.freebuffer()
    del first
    second = board.allocate((1024,), "u8", cacheable=True)
    second.flush()
    del view
    with pytest.raises(RuntimeError, match="segmentation fault"):
        second.flush()


def test_buffers_are_freed_after_an_error(board, network):
    def work():
        with Accelerator(board.bitstream, model_file.build(network), device=board) as accelerator:
            accelerator.infer(Spikes(np.ones((2, 3, network.sizes[0]), np.uint8)))
            assert board.memory.taken
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert board.memory.taken == {}


def test_throughput_has_finns_names(accelerator, pixels):
    figures = accelerator.throughput_test(pixels)
    assert figures["batch_size"] == len(pixels)
    assert figures["fclk[mhz]"] == 100
    seconds = figures["runtime[ms]"] / 1e3
    assert figures["runtime_source"] == "wall clock"
    assert figures["throughput[images/s]"] == pytest.approx(len(pixels) / seconds)
    assert figures["DRAM_in_bandwidth[MB/s]"] == pytest.approx(Pixels(pixels).words * 8e-6 / seconds)
    assert figures["DRAM_out_bandwidth[MB/s]"] == pytest.approx(len(pixels) * 8e-6 / seconds)
    for name in ("pack_input", "copy_input_data_to_device", "copy_output_data_from_device", "unpack_output"):
        assert 0 < figures[f"{name}[ms]"] < 1000


def test_a_board_cannot_be_looked_into(accelerator, pixels):
    assert (accelerator.has_clock, accelerator.can_trace) == (True, False)
    with pytest.raises(DeviceError, match="only the golden model and the simulator show single spikes; use the backend sim"):
        accelerator.trace(pixels)


def test_throughput_does_not_depend_on_what_was_asked_before(accelerator, pixels):
    accelerator.infer(pixels, scores=True)
    accelerator.throughput_test(pixels)
    accelerator.running(pixels)
    accelerator.throughput_test(pixels)


def test_throughput_of_a_simulated_board_is_of_its_cycles(network, pixels):
    with Accelerator(model=model_file.build(network), geometry="tiny") as accelerator:
        accelerator.infer(pixels)
        once = accelerator.counters().cycles
        figures = accelerator.throughput_test(pixels)
    assert figures["runtime_source"] == "RTL cycles at fclk"
    assert figures["runtime[ms]"] == pytest.approx(once / 1e5)
    with (
        Accelerator(model=model_file.build(network), backend="golden") as reference,
        pytest.raises(DeviceError, match="no clock"),
    ):
        reference.throughput_test(pixels)


# ---- faults ----


@pytest.fixture
def recovers(accelerator, board, network, pixels, expected):
    """Check that after reset() and a model the accelerator works again, with the bitstream that is loaded."""

    def check():
        accelerator.reset()
        with pytest.raises(DeviceError, match="no model is loaded; load one first"):
            accelerator.infer(pixels)
        accelerator.load(model_file.build(network))
        np.testing.assert_array_equal(accelerator.infer(pixels, batch=15).labels, expected)
        assert board.downloads == 1

    return check


@pytest.mark.parametrize("timing", [Timing(stall_read=1), Timing(stall_write=1), Timing((10**9, 10**9))])
def test_memory_that_stalls(accelerator, board, pixels, recovers, monkeypatch, timing):
    monkeypatch.setattr("spikeline.device.driver.RESET_TIMEOUT", 0.05)
    board.simulator.timing(timing)
    with pytest.raises(DeviceError, match=r"no progress for 0\.5 s; reset\(\) and load the model again"):
        accelerator.infer(pixels)
    board.simulator.timing(Timing())
    if timing.latency[0]:  # a burst is open for ever
        with pytest.raises(DeviceError, match="did not end the last burst"):
            accelerator.reset()
        board.simulator.restart()
        return
    recovers()


@pytest.mark.parametrize("way", ["sending from", "receiving to"])
@pytest.mark.parametrize("where", ["refused", "nowhere"])
def test_memory_that_fails(accelerator, board, pixels, recovers, monkeypatch, way, where):
    """Named with its address."""
    driver = accelerator._backend
    send, receive = driver.prepare(Pixels(pixels))
    failing = send if way == "sending from" else receive
    at = 0x2000_0000 if where == "nowhere" else failing.device_address
    if where == "refused":
        board.simulator.fail(at, 8)
    else:
        address = driver.device.address
        monkeypatch.setattr(driver.device, "address", lambda memory: at if memory is failing else address(memory))
    driver.start(send, receive)
    cause = "the memory refused an access" if where == "refused" else "there is no memory"
    with pytest.raises(DeviceError, match=rf"stopped: {cause}, {way} 0x{at:08x}; reset\(\) and load the model again"):
        driver.wait()
    board.simulator.fail(0, 0)
    recovers()


def test_refused_packet(accelerator, board, pixels, recovers):
    driver = accelerator._backend
    send, receive = driver.prepare(Pixels(pixels))
    send[0] = 0
    driver.start(send, receive)
    with pytest.raises(DeviceError, match=r"refused .* HEADER; reset"):
        driver.wait()
    recovers()


def test_results_longer_than_the_buffer(accelerator, board, pixels, recovers):
    driver = accelerator._backend
    send, receive = driver.prepare(Pixels(pixels))
    driver.start(send, receive[:-1])
    with pytest.raises(DeviceError, match="there were more results than were due, receiving to 0x"):
        driver.wait()
    recovers()


def test_results_shorter_than_the_buffer(accelerator, board, pixels, recovers):
    driver = accelerator._backend
    driver.prepare(Pixels(pixels))
    send, _ = driver.prepare(Pixels(pixels[:20]))
    driver.start(send, driver.device.buffer("receive0", 40))
    with pytest.raises(DeviceError, match="there were fewer results than were due, receiving to 0x"):
        driver.wait()
    recovers()


def test_results_out_of_order(accelerator, pixels):
    driver = accelerator._backend
    batch = Pixels(pixels)
    send, receive = driver.prepare(batch)
    driver.start(send, receive)
    driver.wait()
    with pytest.raises(DeviceError, match="out of order or lost"):
        driver.unpack(receive[::-1], batch)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ValueError, MemoryError, DeviceError])
def test_an_error_of_the_host_stops_the_transfer_and_keeps_the_model(accelerator, board, pixels, expected, recovers, interrupt):
    def stop(done):
        raise interrupt

    with pytest.raises(interrupt):
        accelerator.infer(pixels, batch=10, progress=stop)
    assert not board.simulator.busy
    np.testing.assert_array_equal(accelerator.infer(pixels, batch=15).labels, expected)
    recovers()


def test_memory_that_the_accelerator_does_not_reach(accelerator, board, pixels):
    device = accelerator._backend.device
    transfers = Transfers(device)
    with pytest.raises(DeviceError, match="only what `buffer` returned"):
        transfers.start(packed(Pixels(pixels)))
    with pytest.raises(DeviceError, match="only what `buffer` returned"):
        transfers.start(device.buffer("send0", 8), np.zeros(3, WORD))
    for off in (device.buffer("send0", 8).view(np.uint8)[4:12], device.buffer("send0", 8)[::2]):
        with pytest.raises(DeviceError, match="only whole words, one after another"):
            transfers.start(off)
    assert not board.simulator.busy


def test_no_memory_left(accelerator, board):
    board.memory.taken[1 << 20] = MEMORY_BYTES - (1 << 20)
    with pytest.raises(DeviceError, match=r"no memory for 16,000,000 bytes of buffer .* use a smaller batch"):
        accelerator._backend.device.buffer("send0", 2_000_000)
    del board.memory.taken[1 << 20]


def test_model_that_does_not_fit(accelerator, board, pixels, recovers):
    big = Network((Layer(np.ones((101, 4), np.int8), np.ones(4, np.int32)),), 4, 1)
    with pytest.raises(ModelError, match="room for 100×48"):
        accelerator.load(model_file.build(big))
    assert accelerator.model is not None  # nothing was sent: the model that was there still is
    recovers()


def test_missing_and_damaged_files(board, tmp_path):
    with pytest.raises(DeviceError, match=r"none\.bit is missing"):
        Board(tmp_path / "none.bit", board)
    with pytest.raises(DeviceError, match=r"spikeline\.bit is missing"):
        Board("spikeline.bit", board)  # not beside the package either: `make bit` has not run here
    bit = tmp_path / "x.bit"
    bit.touch()
    with pytest.raises(DeviceError, match=r"x\.hwh is missing; copy \.bit and \.hwh"):
        Board(bit, board)
    whole = board.bitstream.with_suffix(".hwh").read_text()
    for damage in ("", "<EDKSYSTEM>", "<EDKSYSTEM/>", whole[: len(whole) // 2]):
        bit.with_suffix(".hwh").write_text(damage)
        with pytest.raises(DeviceError, match=r"is its \.hwh whole, and of the same build"):
            Board(bit, board)


def test_bitstream_of_something_else(board):
    def rename(root):
        module = root.find(".//MODULE[@INSTANCE='spikeline_0']")
        module.set("VLNV", "somebody:ip:else:1.0")

    rewrite(board, rename)
    with pytest.raises(
        DeviceError, match=r"has 0 of xilinx\.com:module_ref:spikeline_ip:1\.0, .*spikeline_0 \(somebody.*load a Spikeline"
    ):
        Accelerator(board.bitstream, device=board)


def test_hwh_of_another_build(board):
    rewrite(board, lambda root: root.find(".//PARAMETER[@NAME='BUILD']").set("VALUE", "0x00000001"))
    with pytest.raises(DeviceError, match=r"spikeline\.hwh is of build 0x00000001, the loaded bitstream of 0x"):
        Accelerator(board.bitstream, device=board)
    assert board.memory.taken == {}


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        (Register.ID, 0x1234, "no Spikeline accelerator here .identity 0x00001234.; load its bitstream"),
        (Register.VERSION, 0x1_0001, r"speaks interface 1\.1, this runtime 3\.0; install matching versions"),
    ],
)
def test_logic_that_speaks_otherwise(board, monkeypatch, register, value, message):
    read = board.simulator.read
    monkeypatch.setattr(board.simulator, "read", lambda address: value if address == register else read(address))
    with pytest.raises(DeviceError, match=message):
        Accelerator(board.bitstream, device=board)


@pytest.mark.parametrize("error", [PermissionError("Operation not permitted"), OSError("Root permissions required.")])
def test_no_privilege(board, monkeypatch, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr(board, "read_registers", refuse)
    with pytest.raises(DeviceError, match="the programmable logic needs root; run it by sudo"):
        Accelerator(board.bitstream, device=board)


def test_no_device(board):
    with pytest.raises(DeviceError, match="no PYNQ device here; run this on a board"):
        Accelerator(board.bitstream)


def test_no_pynq():
    block = "import sys; sys.modules['pynq'] = None\nfrom spikeline import Accelerator\n"
    result = subprocess.run([sys.executable, "-c", f"{block}Accelerator('x.bit')"], capture_output=True, text=True)
    assert "DeviceError: the pynq package cannot be imported" in result.stderr
    result = subprocess.run([sys.executable, "-c", f"{block}Accelerator(geometry='tiny')"], capture_output=True, text=True)
    assert "pip install 'spikeline[sim]'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"bitstream": "model.img"}, ModelError, "a model is no bitstream; pass it as model="),
        ({"backend": "board"}, DeviceError, "needs a bitstream; name its .bit file"),
        ({"bitstream": "x.bit", "backend": "golden"}, DeviceError, "takes no bitstream"),
        ({"backend": "fpga"}, DeviceError, "no backend fpga; there are board, sim, golden"),
    ],
)
def test_arguments_that_contradict(arguments, error, message):
    with pytest.raises(error, match=message):
        Accelerator(**arguments)
