"""Packets that are wrong: the right error code, drained to TLAST, and nothing else changed."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from spikeline.device.packets import Pixels, Spikes, pack_events, packed
from spikeline.device.transfers import QUEUE, Transfers
from spikeline.errors import DeviceError, ModelError
from spikeline.model import golden, model_file
from spikeline.model.network import Layer, Network
from spikeline.model.spec import (
    CONTROL,
    ERROR,
    HEADER,
    STATUS,
    Encoder,
    ErrorCode,
    PacketType,
    Register,
)
from spikeline.simulation.verilated import MEMORY_BASE, Timing
from support.memory import change, send, start
from support.networks import lasting
from support.packets import HARMLESS, STEP, config, header, unsound

WORD = np.uint64


@pytest.fixture
def loaded(driver, random_network):
    """A driver with a network of three layers, two of them continuous, and a check that it still works."""
    rng = np.random.default_rng(0)
    network = replace(random_network(rng, 3, time_steps=2, continuous=0), encoder=Encoder.BERNOULLI)
    network = replace(network, layers=(*(lasting(rng, x.weights, 11) for x in network.layers[:2]), network.layers[2]))
    driver.load(model_file.build(network))
    spikes = (rng.random((5, 2, network.sizes[0])) < 0.3).astype(np.uint8)
    expected = golden.run(network, spikes).labels

    def still_works():
        np.testing.assert_array_equal(driver.run(spikes, scores=False)[0], expected)

    def again():
        """After a packet that gave only some of its results, which nobody can take."""
        driver.reset()
        driver.load(model_file.build(network))
        still_works()

    # Packets that a test has sent itself make another identity of the model.
    driver._holds = lambda model: STATUS.unpack(driver.device.read(Register.STATUS))["loaded"]
    still_works()
    return driver, network, spikes, still_works, again


def of_layer_0(driver, kind):
    """The loaded model's packet of a kind."""
    return next(p for p in driver.model.packets if HEADER.unpack(p[0])["kind"] == kind)


def classified(driver, words):
    """Send a packet that is not as it should be; return how many of its images are classified."""
    before = driver.counters().images
    start(driver.device, words)
    driver.device.idle(5000)
    return driver.counters().images - before


def error(device):
    return ERROR.unpack(device.read(Register.ERROR))


@pytest.mark.parametrize("name", HARMLESS)
def test_refused_packet_leaves_the_model_as_it_is(loaded, name):
    driver, _, _, still_works, *_ = loaded
    words, code = HARMLESS[name]
    driver.device.timing(Timing((3, 30), 0.3, 0.3))
    send(driver.device, words)
    assert error(driver.device)["code"] == code
    assert error(driver.device)["packet"] == words[0] & 0xFF
    assert STATUS.unpack(driver.device.read(Register.STATUS)) == {"idle": 1, "loaded": 1}
    driver.device.write(Register.CONTROL, 2)  # clear_error
    assert error(driver.device)["code"] == ErrorCode.NONE
    still_works()


def test_first_error_stays_until_cleared(loaded):
    driver, *_ = loaded
    send(driver.device, HARMLESS["unknown type"][0])
    send(driver.device, HARMLESS["wrong magic"][0])
    assert error(driver.device) == {"code": ErrorCode.TYPE, "packet": 9, "layer": 0}


@pytest.mark.parametrize("kind", [PacketType.SPIKES, PacketType.PIXELS, PacketType.EVENTS])
def test_images_before_a_model(device, kind):
    send(device, [header(kind, 2), 1, 2])
    assert error(device)["code"] == ErrorCode.NOT_LOADED


@pytest.mark.parametrize("kind", [PacketType.WEIGHTS, PacketType.THRESHOLDS, PacketType.BIASES])
def test_model_cut_short_counts_as_not_loaded_until_sent_again(loaded, kind):
    driver, _, spikes, still_works, *_ = loaded
    packet = of_layer_0(driver, kind)
    send(driver.device, packet[:-1])
    assert error(driver.device) == {"code": ErrorCode.SHORT, "packet": kind, "layer": 0}
    assert not STATUS.unpack(driver.device.read(Register.STATUS))["loaded"]
    driver.device.write(Register.CONTROL, 2)
    send(driver.device, packed(Spikes(spikes)))
    assert error(driver.device)["code"] == ErrorCode.NOT_LOADED
    driver.device.write(Register.CONTROL, 2)
    send(driver.device, packet)
    still_works()


@pytest.mark.parametrize("seed", range(3))
def test_every_flipped_bit_of_a_model_is_found(loaded, seed):
    """Bits of the header are told by what they break; the model stays, or is refused whole, and loading it mends all."""
    driver, _, spikes, still_works, again = loaded
    rng = np.random.default_rng(seed)
    for packet in driver.model.packets:
        words = packet.copy()
        bit = int(rng.integers(64 * len(words)))
        words[bit // 64] ^= WORD(1 << bit % 64)
        send(driver.device, words)
        found = error(driver.device)["code"]
        assert found == ErrorCode.CHECKSUM or (bit < 64 and found != ErrorCode.NONE), bit
        driver.device.write(Register.CONTROL, CONTROL.pack(clear_error=1))
        if STATUS.unpack(driver.device.read(Register.STATUS))["loaded"]:
            still_works()
        else:
            send(driver.device, packed(Spikes(spikes)))
            assert error(driver.device)["code"] == ErrorCode.NOT_LOADED
            again()


def test_load_after_a_bit_of_memory_has_flipped(driver, random_network, monkeypatch):
    """In memory, after it was written and before it is read: the driver says which packet, and the next load works."""
    model = model_file.build(random_network(np.random.default_rng(5), 3, time_steps=2))
    flush = driver.device.flush

    def flip(memory):
        flush(memory)
        if HEADER.unpack(memory[0])["kind"] == PacketType.WEIGHTS:
            driver.device.memory[driver.device.address(memory) - MEMORY_BASE + 8] ^= 1 << 5

    monkeypatch.setattr(driver.device, "flush", flip)
    with pytest.raises(DeviceError, match="refused a WEIGHTS packet of layer 0: CHECKSUM; it was changed in memory or on its"):
        driver.load(model)
    assert not driver.check()
    monkeypatch.undo()
    driver.load(model)
    assert driver.check()


@pytest.mark.parametrize("left_out", range(1, 9))
def test_a_new_configuration_wants_the_whole_model_again(loaded, left_out):
    """What was loaded before it does not count, whichever of the packets is missing."""
    driver, _, spikes, still_works, *_ = loaded
    packets = driver.model.packets
    assert len(packets) == 9  # configuration; weights and thresholds of three layers, biases of two
    for n, packet in enumerate(packets):
        if n != left_out:
            send(driver.device, packet)
    assert not STATUS.unpack(driver.device.read(Register.STATUS))["loaded"]
    send(driver.device, packed(Spikes(spikes)))
    assert error(driver.device)["code"] == ErrorCode.NOT_LOADED
    driver.device.write(Register.CONTROL, 2)
    send(driver.device, packets[left_out])
    still_works()


def test_weights_that_go_on_too_long(loaded):
    driver, *_ = loaded
    send(driver.device, np.append(of_layer_0(driver, PacketType.WEIGHTS), np.arange(9, dtype=WORD)))
    assert error(driver.device)["code"] == ErrorCode.LONG
    assert not STATUS.unpack(driver.device.read(Register.STATUS))["loaded"]


@pytest.mark.parametrize("words_left", [1, 3])
def test_spikes_cut_short_lose_only_the_last_image(loaded, words_left):
    driver, network, spikes, _, again = loaded
    words_per_image = network.time_steps * -(-network.sizes[0] // 64)
    images = classified(driver, packed(Spikes(spikes))[:-words_left])
    assert error(driver.device)["code"] == ErrorCode.SHORT
    assert images == len(spikes) - -(-words_left // words_per_image)
    again()


@pytest.mark.parametrize("name", unsound(100))
@pytest.mark.parametrize("more", [0, 3])
def test_unsound_events_lose_only_what_follows(loaded, name, more):
    driver, network, spikes, _, again = loaded
    assert network.sizes[0] <= 100
    entries, code = unsound(network.sizes[0])[name]
    words = np.array([5, STEP | 1, 3, STEP | 2, *entries], "<u2").view(WORD)
    words = np.concatenate([np.array([2], WORD), words, np.full(more, 0xFFFFFFFFFFFFFFFF, WORD)])
    driver.device.timing(Timing((3, 30), 0.3))
    images = classified(driver, np.concatenate([np.array([header(PacketType.EVENTS, len(words))], WORD), words]))
    code = ErrorCode.EVENT if name == "an image too many" else code
    assert error(driver.device) == {"code": code, "packet": PacketType.EVENTS, "layer": 0}
    assert images == (2 if name == "an image too many" else 1)
    again()
    spikes = np.ones((4, 2, network.sizes[0]), np.uint8)
    np.testing.assert_array_equal(driver.run(spikes, False, events=True)[0], golden.run(network, spikes).labels)


def test_events_cut_short(loaded):
    driver, _, spikes, _, again = loaded
    packet = pack_events(spikes)
    assert classified(driver, packet[:-1]) == len(spikes) - 1
    assert error(driver.device) == {"code": ErrorCode.SHORT, "packet": PacketType.EVENTS, "layer": 0}
    again()


def test_a_network_without_an_encoder_takes_no_pixels(driver, random_network):
    network = replace(random_network(np.random.default_rng(0), 2), encoder=Encoder.EVENTS)
    driver.load(model_file.build(network))
    with pytest.raises(DeviceError, match="PIXELS packet of layer 0: TYPE"):
        driver.run_pixels(np.zeros((1, network.sizes[0]), np.uint8), 0, 0, scores=False)


@pytest.mark.parametrize("words_left", [1, 2, 13, 14, 20])
def test_pixels_cut_short_lose_only_the_last_images(loaded, words_left):
    driver, network, _, _, again = loaded
    pixels = np.random.default_rng(0).integers(0, 256, (5, network.sizes[0])).astype(np.uint8)
    packet = packed(Pixels(pixels))
    words_per_image = -(-network.sizes[0] // 8)
    assert classified(driver, packet[:-words_left]) == 5 - -(-words_left // words_per_image)
    assert error(driver.device) == {"code": ErrorCode.SHORT, "packet": PacketType.PIXELS, "layer": 0}
    again()
    assert (driver.run_pixels(pixels, 0, 0, scores=False)[1] == network.time_steps).all()


@pytest.mark.parametrize("kind", [PacketType.SPIKES, PacketType.PIXELS])
def test_images_that_are_not_whole(loaded, kind):
    driver, network, spikes, _, again = loaded
    pixels = np.zeros((3, network.sizes[0]), np.uint8)
    whole = packed(Spikes(spikes)) if kind == PacketType.SPIKES else packed(Pixels(pixels))
    packet = whole[:-1].copy()
    packet[0] = header(kind, len(packet) - 1)
    classified(driver, packet)
    assert error(driver.device)["code"] == ErrorCode.LENGTH
    again()


def test_spikes_that_go_on_too_long_give_their_results(loaded):
    driver, _, spikes, still_works, *_ = loaded
    received = send(driver.device, np.append(packed(Spikes(spikes)), WORD(5)), len(spikes))
    np.testing.assert_array_equal(received & WORD(0xFFFF), golden.run(driver.model.network, spikes).labels)
    assert error(driver.device)["code"] == ErrorCode.LONG
    driver.device.write(Register.CONTROL, 2)
    still_works()


@pytest.mark.parametrize("seed", range(12))
def test_reset_in_the_middle_of_anything(loaded, seed):
    driver, network, spikes, still_works, *_ = loaded
    rng = np.random.default_rng(seed)
    packet = packed(Spikes(spikes)) if seed % 2 else driver.model.packets[2 + 2 * (seed % 3)]
    change(driver.device, rng)
    start(driver.device, packet, len(spikes) if seed % 2 else 0)
    driver.device.idle(int(rng.integers(1, 3 * len(packet))))
    driver.reset()
    assert STATUS.unpack(driver.device.read(Register.STATUS)) == {"idle": 1, "loaded": 0}
    with pytest.raises(DeviceError, match="load one first"):
        driver.run(spikes, scores=False)
    driver.load(model_file.build(network))
    still_works()


def test_results_wait_for_a_slow_receiver(loaded):
    """Far more images than the queues hold, sent before anyone takes a result: nothing is lost."""
    driver, network, *_ = loaded
    rng = np.random.default_rng(3)
    spikes = (rng.random((60, network.time_steps, network.sizes[0])) < 0.2).astype(np.uint8)
    driver.device.timing(Timing(stall_write=0.998))
    labels, _, _ = driver.run(spikes, scores=False)
    np.testing.assert_array_equal(labels, golden.run(network, spikes).labels)
    assert driver.counters().stall_output > 10_000


def test_packets_back_to_back(loaded):
    """All that the queues take, at once: each transfer has its own results, in its own memory and nowhere else."""
    driver, _, spikes, *_ = loaded
    device, expected = driver.device, golden.run(driver.model.network, spikes).labels
    transfers, packet = Transfers(device), packed(Spikes(spikes))
    sent, received = device.buffer("sent", len(packet)), device.buffer("received", QUEUE * (len(spikes) + 1))
    sent[:] = packet
    received[:] = 7
    parts = received.reshape(QUEUE, -1)
    for part in parts:
        transfers.start(sent, part[:-1])
    while transfers.poll():
        pass
    np.testing.assert_array_equal(parts[:, :-1] & WORD(0xFFFF), np.tile(expected, (QUEUE, 1)))
    np.testing.assert_array_equal(parts[:, :-1] >> WORD(32), np.tile(np.arange(len(spikes)), (QUEUE, 1)))
    assert (parts[:, -1] == 7).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_packet_is_gathered_from_parts(loaded, seed):
    """Header here, images there, in parts of any size."""
    driver, network, spikes, *_ = loaded
    device, rng = driver.device, np.random.default_rng(seed)
    packet = packed(Spikes(spikes))
    change(device, rng)
    cuts = [0, 1, *sorted(rng.choice(np.arange(2, len(packet)), 5, replace=False)), len(packet)]
    memory, transfers = device.buffer("parts", 3 * len(packet)), Transfers(device)
    received = device.buffer("received", len(spikes))
    for begin, end in pairwise(cuts):
        part = memory[2 * begin : begin + end]
        part[:] = packet[begin:end]
        transfers.start(part, received if begin == 0 else None, last=end == len(packet))
    while transfers.poll():
        assert device.read(Register.MEMORY_ERROR) == 0
    np.testing.assert_array_equal(received & WORD(0xFFFF), golden.run(network, spikes).labels)


@pytest.mark.parametrize("seed", range(5))
def test_a_model_waits_for_the_images_before_it(loaded, random_network, seed):
    """It is sent while the network before it still works: each image is classified by the one that it was sent for."""
    driver, network, spikes, *_ = loaded
    device, rng = driver.device, np.random.default_rng(seed)
    other = random_network(rng, int(rng.integers(1, 4)))
    transfers, expected = Transfers(device), []
    for number, (net, images) in enumerate(((network, 3), (other, 4), (network, 5), (other, 2))):
        spikes = np.ones((images, net.time_steps, net.sizes[0]), np.uint8)
        packets = [*(model_file.build(net).packets if number else ()), packed(Spikes(spikes))]
        received = device.buffer(f"received{number}", images)
        for n, packet in enumerate(packets):
            memory = device.buffer(f"packet{number}.{n}", len(packet))
            memory[:] = packet
            while transfers.poll() >= QUEUE:
                pass
            transfers.start(memory, received if n + 1 == len(packets) else None)
        expected.append((received, golden.run(net, spikes).labels))
    while transfers.poll():
        pass
    assert error(device)["code"] == ErrorCode.NONE
    for words, labels in expected:
        np.testing.assert_array_equal(words & WORD(0xFFFF), labels)


def test_driver_refuses_a_network_that_does_not_fit(driver):
    big = Network((Layer(np.ones((101, 4), np.int8), np.ones(4, np.int32)),), 4, 1)
    with pytest.raises(ModelError, match="room for 100×48"):
        driver.load(model_file.build(big))


def test_driver_names_the_refused_packet(driver, random_network):
    model = model_file.build(random_network(np.random.default_rng(2), 2, continuous=0))
    broken = model_file.Model(model.network, (model.packets[0], model.packets[2], model.packets[1][:-1]), model.crc)
    with pytest.raises(DeviceError, match="THRESHOLDS packet of layer 0: SHORT"):
        driver.load(broken)
    driver.reset()
    driver.load(model)


def test_wait_without_progress_ends(driver, random_network):
    network = random_network(np.random.default_rng(4), 1)
    driver.load(model_file.build(network))
    driver.timeout = 0.05
    driver.device.timing(Timing(stall_write=1))  # the memory never takes a word
    with pytest.raises(DeviceError, match="no progress"):
        driver.run(np.ones((1, network.time_steps, network.sizes[0]), np.uint8), scores=False)


@pytest.mark.parametrize("value", [0x5555, 0xAAAA, 0xFFFF])
def test_every_bit_of_a_size_counts(loaded, value):
    """Sizes far beyond what is built are refused, whichever of their bits says so; then T takes every bit."""
    driver, _, spikes, still_works, *_ = loaded
    device = driver.device
    for layers in ([(value, 5)], [(5, value)], [(5, 5), (5, value)], [(5, 5), (5, 5), (value, 5)]):
        send(device, config(layers))
        assert error(device)["code"] == ErrorCode.CONFIG
        device.write(Register.CONTROL, CONTROL.pack(clear_error=1))
    send(device, [header(PacketType.EVENTS, 1), value << 16 | value])
    assert error(device)["code"] == ErrorCode.LENGTH
    device.write(Register.CONTROL, CONTROL.pack(clear_error=1))
    for lone in (value << 16, value):
        send(device, [header(PacketType.WEIGHTS, lone), 1])
        assert error(device)["code"] in (ErrorCode.LENGTH, ErrorCode.SHORT)
        device.write(Register.CONTROL, CONTROL.pack(clear_error=1))
    still_works()
    small = Network((Layer(np.ones((3, 2), np.int8), np.zeros(2, np.int32)),), 4, value, exit_margin=0)
    spikes = np.zeros((2, value, 3), np.uint8)
    spikes[1] = 1
    driver.load(model_file.build(small))
    labels, steps, _ = driver.run(spikes, scores=True)
    assert labels.tolist() == [0, 0]
    assert steps.tolist() == [1, 1]
