"""Who owns a board, what is in flight when something goes wrong, and handles that are closed."""

import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from spikeline import Accelerator
from spikeline.device import ownership
from spikeline.device.board import Board
from spikeline.device.driver import Driver
from spikeline.device.packets import Pixels
from spikeline.errors import DataError, DeviceError
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.spec import CONTROL, Encoder, Register
from spikeline.simulation.board import MEMORY_BYTES, SimulatedBoard
from spikeline.simulation.verilated import Timing

TAKEN = "another handle has taken this accelerator over since; use that one, or open a new one"
CLOSED = "closed; open a new one"
INPUT_CALLS = ("infer", "running", "trace", "encode", "throughput_test")


@pytest.fixture(scope="module")
def models():
    """Two networks of one shape that differ in their answers, and pixels."""
    from support import networks

    rng = np.random.default_rng(5)
    one = replace(networks.network(rng, 3, 3, 0.3, Encoder.BERNOULLI), exit_margin=None)
    last = one.layers[-1]
    turned = replace(last, weights=last.weights[:, ::-1].copy(), thresholds=last.thresholds[::-1].copy())
    two = replace(one, layers=(*one.layers[:-1], turned))
    pixels = rng.integers(0, 256, (40, one.sizes[0])).astype(np.uint8)
    labels = [golden.run(n, encode(pixels, "bernoulli", n.time_steps)).labels for n in (one, two)]
    assert (labels[0] != labels[1]).any()
    return model_file.build(one), model_file.build(two), pixels, *labels


@pytest.fixture
def board(tiny):
    board = SimulatedBoard(tiny)
    yield board
    board.close()


# ---- one owner ----


def test_who_opens_last_owns_the_board(board, models):
    one, two, pixels, _, of_two = models
    first = Accelerator(board.bitstream, one, device=board)
    registers = first.overlay
    second = Accelerator(board.bitstream, two, device=board)
    for call in (
        lambda: first.infer(pixels),
        lambda: first.load(one),
        first.reset,
        first.counters,
        first.clear_counters,
        lambda: first.throughput_test(pixels),
        lambda: first.overlay,
    ):
        with pytest.raises(DeviceError, match=TAKEN):
            call()
    first.close()
    del registers
    np.testing.assert_array_equal(second.infer(pixels).labels, of_two)
    second.close()


def test_a_cell_that_is_run_again_takes_the_board_over(board, models):
    one, _, pixels, of_one, _ = models
    for _ in range(4):
        accelerator = Accelerator(board.bitstream, one, device=board)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
    accelerator.close()
    assert board.memory.taken == {}


def test_a_handle_that_cannot_be_opened_takes_nothing_over(board, models, tmp_path):
    one, _, pixels, of_one, _ = models
    with Accelerator(board.bitstream, one, device=board) as accelerator:
        (tmp_path / "x.bit").touch()
        (tmp_path / "x.hwh").write_text("<EDKSYSTEM/>")
        for name, model in (("none.bit", one), ("x.bit", one), ("x.bit", "none.img")):
            with pytest.raises(Exception, match=r"missing|cannot be loaded|cannot read"):
                Accelerator(tmp_path / name, model, device=board)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)


OTHER = """
import sys
from spikeline.device.ownership import Lease
class Device:
    tag, lock_folder = "board", sys.argv[1]
device = Device()
lease = Lease(device)
print("opened", flush=True)
sys.stdin.read()
"""


def test_another_process_is_kept_out_until_the_owner_has_gone(board, models, tmp_path):
    one, _, pixels, of_one, _ = models
    bitstream, board.tag, own = board.bitstream, "board", board.lock_folder
    board.lock_folder = tmp_path
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    for end in ("release", "kill"):
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "opened\n"
        with pytest.raises(DeviceError, match=f"in use by process {other.pid} .*; close it there, or end that process"):
            Accelerator(bitstream, one, device=board)
        assert board.downloads == (end == "kill")
        other.kill() if end == "kill" else other.stdin.close()
        other.wait()
        other.stdout.close()
        with Accelerator(bitstream, one, device=board) as accelerator:
            refused = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert f"in use by process {os.getpid()}" in refused.stderr
            np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
    board.lock_folder = own


def test_a_forked_process_touches_nothing(board, models):
    one, _, pixels, of_one, _ = models
    accelerator = Accelerator(board.bitstream, one, device=board)
    read, write = os.pipe()
    if not (child := os.fork()):
        said = []
        for call in (lambda: accelerator.infer(pixels), lambda: Accelerator(board.bitstream, one, device=board)):
            try:
                call()
                said.append("no error")
            except DeviceError as error:
                said.append(str(error))
        accelerator.close()
        os.write(write, "\n".join(said).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with open(read) as pipe:
        used, opened = pipe.read().split("\n")
    assert f"is that of process {os.getpid()}; open one of your own" in used
    assert f"in use by process {os.getpid()}" in opened
    np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
    accelerator.close()


def test_a_lock_does_not_outlive_its_owner_in_a_forked_process(tmp_path):
    class Device:
        tag, lock_folder = "board", tmp_path

    mine, other = Device(), Device()
    lease = ownership.Lease(mine)
    read, write = os.pipe()
    if not (child := os.fork()):
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    with pytest.raises(DeviceError, match="in use"):
        ownership.Lease(other)
    lease.release()
    ownership.Lease(other).release()
    os.close(write)
    os.close(read)
    os.waitpid(child, 0)


def test_a_lock_that_cannot_be_written_is_named(tmp_path):
    class Device:
        tag, lock_folder = "board", tmp_path / "none"

    device = Device()
    with pytest.raises(DeviceError, match=r"cannot open the lock .*spikeline-board\.lock: No such file"):
        ownership.Lease(device)


def test_a_bitstream_that_is_loaded_anew_is_noticed(board, models):
    """By whatever program: what the accelerator holds is compared with what was loaded."""
    one, two, pixels, of_one, of_two = models
    with Accelerator(board.bitstream, one, device=board, timeout=5) as accelerator:
        accelerator.overlay.download()
        with pytest.raises(DeviceError, match=r"no longer holds this model: .*; load\(\) it again"):
            accelerator.infer(pixels)
        accelerator.load(one)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
        for packet in two.packets:  # a program that goes to the registers by itself
            driver = accelerator._backend
            send = driver.device.buffer("send0", len(packet))
            send[:] = packet
            driver.start(send)
            driver.wait()
        for call in (accelerator.infer, accelerator.throughput_test):
            with pytest.raises(DeviceError, match=r"no longer holds|no model is loaded"):
                call(pixels)
        accelerator.load(two)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_two)


def test_a_bitstream_that_is_loaded_under_a_transfer(board, models):
    one, _, pixels, of_one, _ = models
    with Accelerator(board.bitstream, one, device=board, timeout=3) as accelerator:
        driver = accelerator._backend
        send, receive = driver.prepare(Pixels(pixels))
        driver.start(send, receive)
        accelerator.overlay.download()
        with pytest.raises(DeviceError, match=r"was reset in the middle of a transfer; reset\(\) and load the model again"):
            driver.wait()
        accelerator.reset()
        accelerator.load(one)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)


def test_another_program_resets_the_accelerator(board, models):
    one, _, pixels, of_one, _ = models
    with Accelerator(board.bitstream, one, device=board, timeout=3) as accelerator:
        reset = CONTROL.pack(reset=1)
        with pytest.raises(DeviceError, match=r"was reset in the middle of a transfer; reset\(\) and load the model again"):
            accelerator.infer(pixels, batch=5, progress=lambda done: board.simulator.write(Register.CONTROL, reset))
        with pytest.raises(DeviceError, match="no model is loaded"):
            accelerator.infer(pixels)
        accelerator.load(one)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)


# ---- attaching ----


def test_attaching_goes_on_with_the_model_that_is_there(board, models, monkeypatch):
    one, two, pixels, of_one, of_two = models
    Accelerator(board.bitstream, one, device=board).close()
    loads = []
    load = Driver.load
    monkeypatch.setattr(Driver, "load", lambda self, image: (loads.append(image), load(self, image))[1])
    with Accelerator(board.bitstream, one, device=board, download=False) as accelerator:
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
    assert loads == []
    bare = Accelerator(board.bitstream, device=board, download=False)
    with pytest.raises(DeviceError, match=f"holds that of identity {one.identity:08x}"):
        bare.infer(pixels)
    with Accelerator(board.bitstream, two, device=board, download=False) as accelerator:
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_two)
    assert loads == [two]
    assert board.downloads == 1


@pytest.mark.parametrize("fault", ["a transfer under way", "an error", "a memory that refused", "results that never come"])
def test_attaching_to_what_a_dead_program_left(board, models, fault):
    one, _, pixels, of_one, _ = models
    dead = Accelerator(board.bitstream, one, device=board)
    send, receive = dead._backend.prepare(Pixels(pixels))
    if fault == "an error":
        send[0] = 0
    if fault == "results that never come":
        board.simulator.write(Register.ADDRESS_LO, receive.device_address)
        board.simulator.write(Register.RECEIVE, receive.nbytes)
    else:
        if fault == "a memory that refused":
            board.simulator.fail(send.device_address, send.nbytes)
        dead._backend.start(send, receive)
    board.simulator.idle(300)
    board.simulator.fail(0, 0)
    with Accelerator(board.bitstream, one, device=board, download=False) as accelerator:
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
    assert board.downloads == 1


# ---- in flight ----


def test_no_memory_for_the_second_buffer(board, models):
    """The first transfer is under way then: it is stopped, its buffers stay its own, and the message's advice works."""
    one, _, pixels, of_one, _ = models
    many = np.tile(pixels, (500, 1))
    with Accelerator(board.bitstream, one, device=board, timeout=5) as accelerator:
        free = 10_000 * 8 * (2 + -(-pixels.shape[1] // 8)) + 90_000
        board.memory.taken[free] = MEMORY_BYTES - free
        with pytest.raises(DeviceError, match=r"no memory for .*; use a smaller batch"):
            accelerator.infer(many, batch=10_000)
        assert not board.simulator.busy
        for batch in (40, 20, 1, 40):
            np.testing.assert_array_equal(accelerator.infer(pixels, batch=batch).labels, of_one)
        accelerator.load(one)
        np.testing.assert_array_equal(accelerator.infer(pixels, batch=7).labels, of_one)
        del board.memory.taken[free]


@pytest.mark.parametrize("at", [1, 2, 5])
def test_an_interrupt_in_load(board, models, monkeypatch, at):
    one, _, pixels, of_one, _ = models
    with Accelerator(board.bitstream, one, device=board, timeout=5) as accelerator:
        calls = iter(range(1, 100))
        wait = Driver.wait

        def stop(self, *arguments):
            if next(calls) == at:
                raise KeyboardInterrupt
            return wait(self, *arguments)

        monkeypatch.setattr(Driver, "wait", stop)
        with pytest.raises(KeyboardInterrupt):
            accelerator.load(one)
        with pytest.raises(DeviceError, match="no model is loaded"):
            accelerator.infer(pixels)
        for _ in range(2):
            accelerator.load(one)
            np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)


def test_an_interrupt_in_a_throughput_test(board, models, monkeypatch):
    one, _, pixels, of_one, _ = models
    with Accelerator(board.bitstream, one, device=board, timeout=5) as accelerator:
        wait, raised = Driver.wait, []

        def stop(self, *arguments):
            if not raised:
                raised.append(True)
                raise KeyboardInterrupt
            return wait(self, *arguments)

        monkeypatch.setattr(Driver, "wait", stop)
        with pytest.raises(KeyboardInterrupt):
            accelerator.throughput_test(pixels)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)


@pytest.mark.parametrize("after", [0, 30, 100, 1500, 6000])
def test_a_reset_under_a_transfer_leaves_the_memory_alone(board, models, after):
    """Bursts that have begun end before the reset does, however late the memory is; then nothing is written any more."""
    one, _, pixels, of_one, _ = models
    with Accelerator(board.bitstream, one, device=board, timeout=5) as accelerator:
        driver = accelerator._backend
        board.simulator.timing(Timing((20, 300), 0.3, 0.3))
        send, receive = driver.prepare(Pixels(np.tile(pixels, (20, 1))))
        driver.start(send, receive)
        board.simulator.idle(after)
        driver.reset()
        assert not board.simulator.busy
        before = board.memory.logic.copy()
        board.simulator.idle(3000)
        np.testing.assert_array_equal(board.memory.logic, before)
        accelerator.load(one)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)


def test_a_memory_that_never_answers_a_burst(board, models, monkeypatch):
    """Then a reset cannot end, and says so."""
    one, _, pixels, of_one, _ = models
    monkeypatch.setattr("spikeline.device.driver.RESET_TIMEOUT", 0.05)
    with Accelerator(board.bitstream, one, device=board, timeout=0.2) as accelerator:
        board.simulator.timing(Timing(stall_read=0.9999, latency=(10**6, 10**6)))
        with pytest.raises(DeviceError, match="no progress"):
            accelerator.infer(pixels)
        with pytest.raises(DeviceError, match=r"did not end the last burst within 0\.05 s; load the bitstream again"):
            accelerator.reset()
        accelerator.overlay.download()
        board.simulator.timing(Timing())
        accelerator.load(one)
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)


# ---- closed is closed ----


@pytest.mark.parametrize("backend", ["sim", "golden", "board"])
def test_check_says_what_the_accelerator_holds(board, models, backend):
    """True while it is the model that was loaded; False after what another program does to it, and without one."""
    one, two, pixels, of_one, _ = models
    where = {"geometry": "tiny", "backend": backend} if backend != "board" else {"bitstream": board.bitstream, "device": board}
    with Accelerator(**where) as accelerator:
        assert not accelerator.check()
        accelerator.load(one)
        assert accelerator.check()
        np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
        assert accelerator.check()
        if (device := accelerator.simulator) is not None:
            device.write(Register.SEND, 1)  # no words: an error of the memory
            assert not accelerator.check()
            assert not accelerator.check()  # nothing is changed by the question
            accelerator.load(one)
            accelerator._backend.load(two)
            accelerator._backend.model = one
            assert not accelerator.check()
            device.write(Register.CONTROL, CONTROL.pack(reset=1))
            assert not accelerator.check()
            accelerator.load(one)
        assert accelerator.check()
        accelerator.reset()
        assert not accelerator.check()


@pytest.mark.parametrize("backend", ["sim", "golden", "board"])
def test_closed_is_closed(board, models, backend):
    one, _, pixels, _, _ = models
    where = {"geometry": "tiny", "backend": backend} if backend != "board" else {"bitstream": board.bitstream, "device": board}
    accelerator = Accelerator(model=one, **where)
    kept = None
    if backend != "golden":
        kept = accelerator.overlay.spikeline_0.register_map, accelerator._backend.device
    simulator = accelerator.simulator
    accelerator.close()
    accelerator.close()
    calls = {
        name: (lambda name=name: getattr(accelerator, name))
        for name in ("model", "geometry", "has_clock", "can_trace", "simulator", "overlay", "waiting_seconds")
    }
    calls |= {name: getattr(accelerator, name) for name in ("counters", "clear_counters", "check", "reset", "__enter__")}
    calls |= {name: (lambda name=name: getattr(accelerator, name)(pixels)) for name in INPUT_CALLS}
    calls["load"] = lambda: accelerator.load(one)
    calls["buffer"] = lambda: accelerator.buffer(1)
    calls["infer_async"] = lambda: accelerator.infer_async(pixels)
    public = {name for name in dir(Accelerator) if not name.startswith("_")}
    assert public - calls.keys() == {"close", "closed"}
    assert accelerator.closed
    for call in calls.values():
        with pytest.raises(DeviceError, match=CLOSED):
            call()
    if simulator is not None:
        registers, device = kept
        for call in (lambda: registers.STATUS.idle, lambda: registers.ID.value, lambda: simulator.cycles, simulator.restart):
            with pytest.raises(DeviceError, match=CLOSED):
                call()
        for call in (lambda: device.read(0), lambda: device.buffer("x", 1), lambda: device.overlay):
            with pytest.raises(DeviceError, match=CLOSED):
                call()


def test_every_call_of_a_closed_simulator(tiny):
    from spikeline.simulation.verilated import SimDevice

    device = SimDevice(tiny)
    device.close()
    arguments = {"read": (0,), "write": (0, 0), "run": (1,), "idle": (1,), "timing": (Timing(),), "fail": (0, 0)}
    arguments |= {"activity": (None,), "record": (True,)}
    recorded = ("spikes", "membranes", "states", "positions", "decisions")
    arguments |= {f"recorded_{what}": (0,) for what in recorded}
    harmless = {"close", "geometry", "memory", "buffer", "allocate", "at", "address", "flush", "invalidate"}
    for name in {name for name in dir(SimDevice) if not name.startswith("_")} - harmless:
        with pytest.raises(DeviceError, match=CLOSED):
            getattr(device, name)(*arguments.get(name, ()))


def test_handles_that_nobody_closes_leave_no_simulator(tiny, models):
    """Closed or not: what is gone is freed."""
    import gc
    import weakref

    one, _, pixels, _, _ = models
    gone = []
    for _ in range(3):
        accelerator = Accelerator(model=one, geometry="tiny")
        accelerator.infer(pixels[:2])
        gone.append((weakref.ref(accelerator.simulator), accelerator.simulator._off))
    del accelerator
    gc.collect()
    assert [(ref(), off.alive) for ref, off in gone[:2]] == [(None, False)] * 2


# ---- threads ----


def test_threads_take_turns(board, models):
    one, _, pixels, of_one, _ = models
    wrong = []
    with Accelerator(board.bitstream, one, device=board) as accelerator:

        def work():
            for n in range(6):
                try:
                    labels = accelerator.infer(pixels, batch=10 + n).labels
                    wrong.append((labels != of_one).sum())
                    accelerator.counters()
                except Exception as error:
                    wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == [0] * 24


def test_a_call_within_a_call(board, models):
    one, _, pixels, of_one, _ = models
    with Accelerator(board.bitstream, one, device=board) as accelerator:
        for call in (accelerator.counters, accelerator.reset, accelerator.close, lambda: accelerator.infer(pixels)):
            with pytest.raises(DeviceError, match="a call is under way in this very thread"):
                accelerator.infer(pixels, batch=10, progress=lambda done, call=call: call())
            np.testing.assert_array_equal(accelerator.infer(pixels).labels, of_one)
        with pytest.raises(DeviceError, match="under way in this very thread"):
            accelerator.infer(pixels, progress=lambda done: Accelerator(board.bitstream, one, device=board))


def test_a_thread_that_opens_the_board_waits_for_the_call_under_way(board, models):
    one, two, pixels, of_one, of_two = models
    first = Accelerator(board.bitstream, one, device=board)
    begun, opened = threading.Event(), []

    def open_another():
        begun.wait()
        opened.append(Accelerator(board.bitstream, two, device=board))

    thread = threading.Thread(target=open_another)
    thread.start()
    labels = first.infer(pixels, batch=5, progress=lambda done: begun.set()).labels
    np.testing.assert_array_equal(labels, of_one)
    thread.join()
    with pytest.raises(DeviceError, match=TAKEN):
        first.infer(pixels)
    np.testing.assert_array_equal(opened[0].infer(pixels).labels, of_two)
    opened[0].close()


def test_boards_of_their_own_do_not_meet(models):
    one, two, pixels, of_one, of_two = models
    with (
        Accelerator(model=one, geometry="tiny") as first,
        Accelerator(model=two, geometry="tiny") as second,
        Accelerator(model=one, backend="golden") as third,
    ):
        for _ in range(2):
            for accelerator, labels in ((first, of_one), (second, of_two), (third, of_one)):
                np.testing.assert_array_equal(accelerator.infer(pixels).labels, labels)


def test_board_refuses_what_it_was_not_asked_to_attach_to(board, monkeypatch):
    """pynq has recorded which bitstream the logic holds."""
    import pynq.pl_server.global_state as states

    state = states.GlobalState(bitfile_name="base.bit", active_name="x", timestamp="", bitfile_hash="12")
    monkeypatch.setattr(states, "load_global_state", lambda *_: state)
    with pytest.raises(DeviceError, match=r"the logic holds base\.bit, not .*; leave out download=False"):
        Board(board.bitstream, board, download=False)
    Board(board.bitstream, board).close()


@pytest.mark.parametrize("timeout", [0, -1, None, float("nan"), float("inf"), "5", True])
def test_timeouts_that_make_no_sense(board, timeout):
    with pytest.raises(DataError, match=r"timeout is .*; it must be a number of seconds above 0"):
        Accelerator(board.bitstream, device=board, timeout=timeout)
    assert board.downloads == 0
