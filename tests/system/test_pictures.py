"""Pictures in memory of the device are sent as they lie, and jobs keep the accelerator at work."""

import asyncio
import gc
import threading
import time
import tracemalloc
from concurrent.futures import CancelledError
from dataclasses import replace

import numpy as np
import pytest

from spikeline import Accelerator, DeviceError, Pixels
from spikeline.device import board as board_module
from spikeline.errors import DataError
from spikeline.model import golden, model_file
from spikeline.model.spec import SEND, Encoder, Register


@pytest.fixture(params=[96, 100, 13])
def network(request, random_network):
    """Of inputs that are whole words, and that are not."""
    rng = np.random.default_rng(request.param)
    made = random_network(rng, 2, time_steps=3)
    first = made.layers[0]
    weights = rng.integers(-7, 8, (request.param, first.neurons)).astype(first.weights.dtype)
    return replace(made, layers=(replace(first, weights=weights), *made.layers[1:]), encoder=Encoder.BERNOULLI, exit_margin=None)


@pytest.fixture
def accelerator(network, tiny):
    with Accelerator(model=model_file.build(network), geometry=tiny) as opened:
        yield opened


@pytest.fixture
def pictures(accelerator, network):
    images = accelerator.buffer(40)
    images[:] = np.random.default_rng(1).integers(0, 256, images.shape)
    return images


@pytest.fixture
def sends(accelerator, monkeypatch):
    """What is queued to be sent from now on: addresses and words."""
    device, found, at = accelerator._backend.device, [], [0]
    write = device.write

    def watched(register, value):
        if register == Register.ADDRESS_LO:
            at[0] = value
        elif register == Register.SEND:
            found.append((at[0], SEND.unpack(value)["words"], SEND.unpack(value)["last"]))
        write(register, value)

    monkeypatch.setattr(device, "write", watched)
    return found


def labels(network, pixels, seed=0, first=0):
    return golden.run(network, Pixels(pixels, seed, first).trains(network)).labels


def test_a_buffer_is_zeros_of_the_shape_of_the_images(accelerator, network):
    images = accelerator.buffer(7)
    assert (images.shape, images.dtype, images.any()) == ((7, network.sizes[0]), np.uint8, False)
    assert images.ctypes.data % 8 == 0
    assert accelerator.buffer(0).shape == (0, network.sizes[0])
    assert len(accelerator.infer(accelerator.buffer(0)).labels) == 0
    for wrong in (-1, 1.5, None):
        with pytest.raises(DataError, match="images is"):
            accelerator.buffer(wrong)


def test_pictures_in_a_buffer_are_sent_as_they_lie(accelerator, network, pictures, sends):
    """By the addresses that are queued: two words of a header, then the user's own memory, batch by batch."""
    result = accelerator.infer(Pixels(pictures, seed=5), batch=15)
    np.testing.assert_array_equal(result.labels, labels(network, pictures, 5))
    stride = -(-network.sizes[0] // 8)
    assert [(words, last) for _, words, last in sends] == [
        (2, 0),
        (15 * stride, 1),
        (2, 0),
        (15 * stride, 1),
        (2, 0),
        (10 * stride, 1),
    ]
    bodies = [address for address, *_ in sends[1::2]]
    assert np.diff(bodies).tolist() == [15 * 8 * stride] * 2
    backend = accelerator._backend
    memory = backend.device.at(pictures.ctypes.data, 40 * stride)
    assert bodies[0] == backend.device.address(memory)


@pytest.mark.parametrize("images", [slice(3, 30), slice(7, 8), slice(39, None), slice(5, 5)])
def test_a_slice_of_images_is_sent_as_it_lies(accelerator, network, pictures, sends, images):
    part = pictures[images]
    np.testing.assert_array_equal(accelerator.infer(part).labels, labels(network, part))
    assert len(sends) == (2 if len(part) else 0)


@pytest.mark.parametrize("kind", ["own", "every other", "backwards", "fortran", "read only", "list", "of another type"])
def test_whatever_lies_otherwise_is_copied_and_gives_the_same(accelerator, network, pictures, sends, kind):
    given = {
        "own": pictures.copy(),
        "every other": pictures[::2],
        "backwards": pictures[::-1],
        "fortran": np.asfortranarray(pictures),
        "read only": np.frombuffer(pictures.tobytes(), np.uint8).reshape(pictures.shape),
        "list": pictures.tolist(),
        "of another type": pictures.astype(np.int64),
    }[kind]
    np.testing.assert_array_equal(accelerator.infer(given).labels, labels(network, np.asarray(given, np.uint8)))
    assert len(sends) == 1


def test_what_lies_between_the_images_does_not_matter(accelerator, network, pictures):
    stride = -(-network.sizes[0] // 8)
    words = np.asarray(accelerator._backend.device.at(pictures.ctypes.data, 40 * stride))
    kept = pictures.copy()
    words[:] = 2**64 - 1
    pictures[:] = kept
    np.testing.assert_array_equal(accelerator.infer(pictures).labels, labels(network, kept))


def test_nothing_of_the_size_of_the_pictures_is_allocated(accelerator):
    images = accelerator.buffer(20_000)
    size = images.nbytes
    accelerator.infer(images[:10])
    tracemalloc.start()
    accelerator._backend.prepare(Pixels(images))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 10


def test_a_buffer_outlives_its_accelerator_and_is_not_sent_by_another(network, tiny):
    with Accelerator(model=model_file.build(network), geometry=tiny) as first:
        images = first.buffer(20)
        images[:] = 200
        expected = first.infer(images).labels
    images[3] = 201  # it is still memory
    images[3] = 200
    with Accelerator(model=model_file.build(network), geometry=tiny) as second:
        np.testing.assert_array_equal(second.infer(images).labels, expected)
        assert second._backend.device.at(images.ctypes.data, 1) is None
    with pytest.raises(DeviceError, match="closed"):
        first.buffer(1)


def test_buffers_are_freed_when_nothing_looks_at_them(accelerator):
    taken = accelerator._backend._simulated.memory.taken
    before = len(taken)
    images = accelerator.buffer(3)
    part = accelerator.buffer(500)[5:7]
    assert len(taken) == before + 2
    del images
    gc.collect()
    assert len(taken) == before + 1
    assert part.shape[0] == 2
    del part
    gc.collect()
    assert len(taken) == before


def test_a_larger_buffer_leaves_a_smaller_one_alone(accelerator, network, pictures):
    kept = pictures.copy()
    accelerator.buffer(3000)[:] = 255
    np.testing.assert_array_equal(accelerator.infer(pictures).labels, labels(network, kept))


def test_a_buffer_for_another_number_of_inputs(accelerator, network, pictures, random_network):
    other = random_network(np.random.default_rng(8), 2, time_steps=2)
    other = replace(other, encoder=Encoder.BERNOULLI, exit_margin=None)
    accelerator.load(model_file.build(other))
    if other.sizes[0] != network.sizes[0]:
        with pytest.raises(DataError, match="images must be"):
            accelerator.infer(pictures)
    again = np.resize(pictures, (12, other.sizes[0]))
    np.testing.assert_array_equal(accelerator.infer(again).labels, labels(other, again))


def test_a_reset_with_pictures_under_way(accelerator, network, pictures):
    """Their memory is kept until the accelerator has let go of it."""
    driver = accelerator._backend
    send, receive = driver.prepare(Pixels(np.asarray(pictures)))
    driver.start(send, receive)
    accelerator.reset()
    accelerator.load(model_file.build(network))
    np.testing.assert_array_equal(accelerator.infer(pictures).labels, labels(network, pictures))


def test_pictures_whose_last_reference_goes_while_they_are_under_way(accelerator, network):
    kept = np.full((30, network.sizes[0]), 77, np.uint8)
    images = accelerator.buffer(30)
    images[:] = kept
    future = accelerator.infer_async(images, batch=7)
    del images
    gc.collect()
    np.testing.assert_array_equal(future.result(60).labels, labels(network, kept))


# ---- jobs ----


def test_jobs_give_what_calls_give_in_order(accelerator, network, pictures):
    order = []
    jobs = [
        (pictures[:17], False), (np.asarray(pictures[17:]), False), (pictures[:0], False), (pictures[5:6], True), (pictures, True)
    ]  # fmt: skip
    futures = [accelerator.infer_async(images, scores=scores, batch=6) for images, scores in jobs]
    for n, future in enumerate(futures):
        future.add_done_callback(lambda _, n=n: order.append(n))
    for future, (images, scores) in zip(futures, jobs, strict=True):
        got, expected = future.result(60), accelerator.infer(images, scores=scores)
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.steps, expected.steps)
        assert (got.values is None) == (not scores)
        if scores:
            np.testing.assert_array_equal(got.values, expected.values)
    assert order == sorted(order)
    assert accelerator._jobs._thread is None, "no thread is left behind"


def test_the_accelerator_goes_from_job_to_job_without_a_pause(accelerator, pictures, sends, monkeypatch):
    """While one works the next is queued: when a result is read, words of later ones have been queued."""
    driver, queued = accelerator._backend, []
    unpack = driver.unpack
    monkeypatch.setattr(driver, "unpack", lambda *given: (queued.append(len(sends)), unpack(*given))[1])
    with driver.turns.take():  # until all are asked for
        futures = [accelerator.infer_async(pictures) for _ in range(5)]
    for future in futures:
        future.result(60)
    assert queued == [6, 8, 10, 10, 10]


def test_a_job_that_comes_while_the_last_is_under_way_is_queued_at_once(accelerator, pictures, sends, monkeypatch):
    driver, seen, asked = accelerator._backend, [], threading.Event()
    look = driver._look

    def slow(left):
        if not asked.is_set():
            futures.append(accelerator.infer_async(pictures))
            asked.set()
            return False, 0
        seen.append(len(sends))
        return look(left)

    futures = []
    monkeypatch.setattr(driver, "_look", slow)
    futures.append(accelerator.infer_async(pictures))
    assert asked.wait(60)
    for future in list(futures):
        future.result(60)
    accelerator.infer(pictures[:1])
    assert seen[0] == 4, "both were under way before the first was looked at again"


def test_errors_arrive_in_the_future_and_jobs_after_them_are_done(accelerator, network, pictures):
    wrong = accelerator.infer_async(np.zeros((3, 1), np.uint8))
    batch = accelerator.infer_async(pictures, batch=0)
    sound = accelerator.infer_async(pictures)
    assert isinstance(wrong.exception(60), DataError)
    assert isinstance(batch.exception(60), DataError)
    np.testing.assert_array_equal(sound.result(60).labels, labels(network, pictures))


def test_a_device_that_fails_fails_what_is_under_way(accelerator, network, pictures):
    driver = accelerator._backend
    with driver.turns.take():
        futures = [accelerator.infer_async(pictures) for _ in range(3)]
        driver.geometry, kept = driver.geometry, driver.unpack
        driver.unpack = lambda *given: (_ for _ in ()).throw(DeviceError("lost"))
    assert all("lost" in str(future.exception(60)) for future in futures)
    driver.unpack = kept
    np.testing.assert_array_equal(accelerator.infer(pictures).labels, labels(network, pictures))


def test_calls_wait_for_the_jobs_before_them(accelerator, network, pictures, random_network):
    """A model that is loaded is not that of jobs that were asked for before."""
    expected = labels(network, pictures)
    other = replace(random_network(np.random.default_rng(3), 1, time_steps=1), encoder=Encoder.THRESHOLD, exit_margin=None)
    futures = [accelerator.infer_async(pictures, batch=3) for _ in range(3)]
    accelerator.load(model_file.build(other))
    for future in futures:
        assert future.done()
        np.testing.assert_array_equal(future.result().labels, expected)


def test_jobs_are_cancelled_one_by_one_and_by_close(network, tiny):
    accelerator = Accelerator(model=model_file.build(network), geometry=tiny)
    images = accelerator.buffer(10)
    with accelerator._backend.turns.take():
        futures = [accelerator.infer_async(images, scores=bool(n % 2)) for n in range(4)]
        assert futures[1].cancel()
        closing = threading.Thread(target=accelerator.close)
        closing.start()
        while not futures[3].cancelled():
            time.sleep(0.001)
    closing.join(60)
    assert accelerator.closed
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(60)
    with pytest.raises(DeviceError, match="closed"):
        accelerator.infer_async(images)


def test_a_callback_may_ask_for_more_but_not_wait(accelerator, pictures):
    told = []

    def callback(_):
        for call in (accelerator.counters, accelerator.close, lambda: accelerator.infer(pictures)):
            with pytest.raises(DeviceError, match="under way in this very thread"):
                call()
        told.append(accelerator.infer_async(pictures[:2]))

    with accelerator._backend.turns.take():
        accelerator.infer_async(pictures).add_done_callback(callback)
    accelerator.counters()
    assert len(told[0].result(60).labels) == 2


def test_jobs_of_many_threads(accelerator, network, pictures):
    expected, wrong = labels(network, pictures), []

    def ask():
        for _ in range(5):
            if (accelerator.infer_async(pictures, batch=11).result(60).labels != expected).any():
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not wrong


def test_the_golden_model_has_jobs_and_buffers_too(network):
    with Accelerator(model=model_file.build(network), backend="golden") as accelerator:
        images = accelerator.buffer(9)
        images[:] = 130
        futures = [accelerator.infer_async(images, batch=4, scores=True) for _ in range(3)]
        for future in futures:
            np.testing.assert_array_equal(future.result(60).labels, labels(network, images))


# ---- interrupt ----


class Line:
    """What `pynq.Interrupt` is of a line that pynq finds: here the simulator's."""

    def __init__(self, simulator):
        self.simulator, self.waits = simulator, 0

    async def wait(self):
        self.waits += 1
        while not self.simulator.interrupt:
            self.simulator.run(100)
            await asyncio.sleep(0)


@pytest.fixture
def line(accelerator, monkeypatch):
    """The interrupt of the accelerator's board, and an event loop that runs in a thread, as a notebook's does."""
    board = accelerator._backend._board
    loop, made = asyncio.new_event_loop(), Line(accelerator.simulator)
    monkeypatch.setattr(board, "_interrupt", made)
    monkeypatch.setattr(board, "_loop", loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


def test_jobs_sleep_until_the_interrupt(accelerator, network, pictures, line, monkeypatch):
    monkeypatch.setattr(board_module, "LONGEST_REST", 30.0)  # the interrupt alone ends it
    looks = []
    look = accelerator._backend._look
    monkeypatch.setattr(accelerator._backend, "_look", lambda left: (looks.append(left), look(left))[1])
    futures = [accelerator.infer_async(pictures, batch=20) for _ in range(3)]
    for future in futures:
        np.testing.assert_array_equal(future.result(60).labels, labels(network, pictures))
    assert 0 < line.waits <= len(looks) <= 40
    assert accelerator._backend.device.read(Register.INTERRUPT_ENABLE) == 0


def test_jobs_are_polled_where_no_loop_runs(accelerator, network, pictures, line, monkeypatch):
    monkeypatch.setattr(accelerator._backend._board, "_loop", asyncio.new_event_loop())
    np.testing.assert_array_equal(accelerator.infer_async(pictures).result(60).labels, labels(network, pictures))
    assert line.waits == 0
    accelerator._backend._board._loop.close()
