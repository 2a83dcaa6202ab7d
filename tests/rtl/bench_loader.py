"""spk_loader against a model of packets: what it writes, what it passes on, what it refuses."""

from dataclasses import replace

import cocotb
import numpy as np
from bench import SEEDS, Sender, reset, share, start
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from spikeline.device.packets import Events, Pixels, Spikes, packed
from spikeline.model import model_file
from spikeline.model.network import Network
from spikeline.model.spec import CONFIG, CONFIG_LAYER, HEADER, Encoder, ErrorCode, PacketType, Reset
from support.networks import batch, lasting, network
from support.packets import HARMLESS, header

INPUTS = (
    "s_axis_tdata", "s_axis_tvalid", "s_axis_tlast", "spikes_ready", "pixels_ready", "events_ready", "spikes_image_end",
    "pixels_image_end", "events_image_end", "events_invalid", "events_idle", "encode_idle", "input_idle", "layers_idle",
)  # fmt: skip
STREAMS = ("spikes", "pixels", "events")
WRITES = ("weight", "threshold", "bias")


class Bench:
    """The loader, and the modules that it feeds: they take words, count them, and say when an image is whole."""

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.written: list[tuple] = []  # (what, layer, row, slice, word) or (what, layer, pair, word)
        self.passed: list[tuple[str, int, int]] = []  # stream, word, last
        self.begun: list[str] = []
        self.errors: list[tuple[int, int, int]] = []
        self.images = dict.fromkeys(STREAMS, 0)
        self.stride = dict.fromkeys(STREAMS, 1)  # words of an image
        self.even: tuple = ()  # the first write of a pair
        self.pending = 0  # images of events taken, of which the end has not been told

    async def begin(self) -> None:
        await start(self.dut, INPUTS)
        self.source = Sender(self.dut, "s_axis_tvalid", "s_axis_tready", ("s_axis_tdata", "s_axis_tlast"), self.rng)
        self.share = share(self.rng)
        cocotb.start_soon(self._neighbours())

    async def _neighbours(self) -> None:
        dut, count = self.dut, dict.fromkeys(STREAMS, 0)
        while True:
            await FallingEdge(dut.aclk)
            for name in STREAMS:
                getattr(dut, f"{name}_ready").value = int(self.rng.random() >= self.share)
            for name in ("spikes", "pixels"):
                seeded = count[name] >= 0  # of pixels the first word belongs to no image
                getattr(dut, f"{name}_image_end").value = int(seeded and (count[name] + 1) % self.stride[name] == 0)
            ends = self.pending > 0 and self.rng.random() < 0.5
            dut.events_image_end.value = int(ends)
            self.pending -= ends
            dut.events_idle.value = int(not self.pending)
            for name in ("encode_idle", "input_idle", "layers_idle"):
                getattr(dut, name).value = int(self.rng.random() >= self.share)
            await RisingEdge(dut.aclk)
            for name in STREAMS:
                if getattr(dut, f"{name}_begin").value == 1:
                    self.begun.append(name)
                    count[name] = -1 if name == "pixels" else 0
                if getattr(dut, f"{name}_valid").value == 1 and getattr(dut, f"{name}_ready").value == 1:
                    word = int(dut.image_data.value)
                    self.passed.append((name, word, int(dut.image_last.value) if name != "events" else 0))
                    count[name] += 1
                    if name == "events":
                        self.pending += word == IMAGE_END
                    elif count[name] > 0 and count[name] % self.stride[name] == 0:
                        self.images[name] += 1
            for what in WRITES:
                layers = int(getattr(dut, f"{what}_write").value)
                if layers:
                    assert layers & (layers - 1) == 0, "writes to two layers"
                    place = ("write_row", "write_slice") if what == "weight" else ("write_pair",)
                    where = [int(getattr(dut, name).value) for name in place]
                    write = (what, layers.bit_length() - 1, *where, int(dut.write_data.value))
                    if what == "weight":
                        self.written.append(write)
                    elif dut.write_odd.value == 0:
                        self.even = write
                    else:
                        assert write == self.even, "the halves of a pair are written one after the other"
                        self.written.append(write)
            if dut.error_valid.value == 1:
                self.errors.append(tuple(int(getattr(dut, f"error_{x}").value) for x in ("code", "packet", "layer")))

    async def send(self, words) -> None:
        """Send a packet, TLAST on its last word, and wait until the loader is idle again and stays so."""
        self.source.queue.extend((int(word), n + 1 == len(words)) for n, word in enumerate(words))
        await self.source.done()
        for _ in range(2000):
            await RisingEdge(self.dut.aclk)
            if self.dut.idle.value == 1:
                break
        else:
            raise AssertionError("never idle")
        await ClockCycles(self.dut.aclk, 5)
        assert self.dut.idle.value == 1

    def taken(self) -> tuple[list, list, list, list]:
        """What was written, passed on, begun and refused since the last call."""
        result = (self.written, self.passed, self.begun, self.errors)
        self.written, self.passed, self.begun, self.errors = [], [], [], []
        return result

    async def load(self, net: Network) -> None:
        """Load a network and compare every write."""
        for packet in model_file.build(net).packets:
            await self.send(packet)
        written, passed, begun, errors = self.taken()
        assert (passed, begun, errors) == ([], [], [])
        assert written == writes(net)
        assert self.dut.loaded.value == 1
        assert self.dut.model.value == model_file.build(net).identity
        self.net = net
        self.stride = {
            "spikes": net.time_steps * -(-net.sizes[0] // 64),
            "pixels": -(-net.sizes[0] // 8),
            "events": 1,
        }
        self.check_configuration(net)

    def check_configuration(self, net: Network) -> None:
        dut, words = self.dut, model_file.build(net).packets[0]
        fields = CONFIG.unpack(words[1])
        for name, value in (*fields.items(), ("exit", net.exit_margin is not None), ("encoder", net.encoder)):
            assert getattr(dut, f"config_{name}").value == value, name
        for n, word in enumerate(words[2:-1]):
            layer = CONFIG_LAYER.unpack(word)
            for name, width, value in (
                ("inputs", 16, layer["inputs"]),
                ("neurons", 16, layer["neurons"]),
                ("continuous", 1, layer["continuous"]),
                ("reset_zero", 1, layer["reset"] == Reset.ZERO),
                ("biased", 1, layer["biased"]),
                ("leak", 4, layer["leak"]),
            ):
                whole = str(getattr(dut, f"config_{name}").value)
                assert int(whole[len(whole) - (n + 1) * width : len(whole) - n * width], 2) == value, (name, n)


IMAGE_END = 0xFFFF_FFFF_FFFF_8001  # a word of events that stands for a whole image


def writes(net: Network) -> list[tuple]:
    """Writes that load a network: thresholds negated, as words of two."""
    result = []
    for n, layer in enumerate(net.layers):
        packets = [p for p in model_file.build(net).packets[1:] if HEADER.unpack(p[0])["layer"] == n]
        for packet in packets:
            kind, words = HEADER.unpack(packet[0])["kind"], [int(w) for w in packet[1:-1]]
            if kind == PacketType.WEIGHTS:
                slices = -(-layer.neurons // (64 // net.weight_bits))
                result += [("weight", n, k // slices, k % slices, w) for k, w in enumerate(words)]
            elif kind == PacketType.THRESHOLDS:
                result += [("threshold", n, k, negated(w)) for k, w in enumerate(words)]
            else:
                result += [("bias", n, k, w) for k, w in enumerate(words)]
    return result


def negated(word: int) -> int:
    mask = 0xFFFF_FFFF
    return -(word & mask) & mask | (-(word >> 32) & mask) << 32


def events(images: int) -> list[int]:
    """A packet of events of which every word is an image."""
    return [header(PacketType.EVENTS, 1 + images), images, *[IMAGE_END] * images]


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def sound_packets(dut, seed):
    """Networks are written word by word; images are passed on word by word, those of the last marked."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    for _ in range(3):
        bench.share = share(rng)
        await bench.load(replace(network(rng), encoder=Encoder.BERNOULLI))
        for kind, name in ((Spikes, "spikes"), (Pixels, "pixels"), (Events, "events"), (Spikes, "spikes")):
            images = int(rng.integers(1, 5))
            words = events(images) if kind is Events else packed(batch(rng, bench.net, images, kind)).tolist()
            await bench.send(words)
            body = words[2:] if kind is Events else words[1:]
            last = len(body) - bench.stride[name]
            expected = [(name, w, int(k >= last and kind is not Events)) for k, w in enumerate(body)]
            assert bench.taken() == ([], expected, [name], [])
            assert dut.loaded.value == 1


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def refused_packets(dut, seed):
    """Of a packet that is refused nothing is written or passed on; it is drained, and named once; the network stays."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    net = replace(network(rng, 3, 2, 0), exit_margin=None, encoder=Encoder.BERNOULLI)
    first = [lasting(rng, layer.weights) for layer in net.layers[:2]]
    await bench.load(replace(net, layers=(*first, net.layers[2])))
    for name, (words, code) in HARMLESS.items():
        await bench.send(words)
        fields = HEADER.unpack(words[0])
        written, passed, _, errors = bench.taken()  # that a packet begins is told of a refused one too
        assert (written, passed, errors) == ([], [], [(code, fields["kind"], fields["layer"])]), name
        assert dut.loaded.value == 1
        bench.check_configuration(bench.net)
    await bench.send(events(2))
    assert len(bench.taken()[1]) == 2


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def cut_and_too_long(dut, seed):
    """What there is of a model's packet is written, nothing beyond its length, and it is not loaded; images go as far."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    await bench.load(replace(network(rng, continuous=1), encoder=Encoder.THRESHOLD))
    for packet in model_file.build(bench.net).packets[1:]:
        fields = HEADER.unpack(packet[0])
        for words, code in ((packet[: int(rng.integers(1, len(packet)))], ErrorCode.SHORT), ([*packet, 1, 2, 3], ErrorCode.LONG)):
            await bench.send(words)
            written, passed, _, errors = bench.taken()
            assert errors == [(code, fields["kind"], fields["layer"])]
            assert len(written) == min(len(words) - 1, len(packet) - 2)
            assert passed == []
            assert dut.loaded.value == (len(words) == 1)
            if len(words) > 1:
                await bench.send(events(1))
                written, passed, _, errors = bench.taken()
                assert (written, passed, errors) == ([], [], [(ErrorCode.NOT_LOADED, PacketType.EVENTS, 0)])
            await bench.send(packet)
            assert len(bench.taken()[0]) == len(packet) - 2
            assert dut.loaded.value == 1
    for kind, name in ((Spikes, "spikes"), (Pixels, "pixels")):
        whole = packed(batch(rng, bench.net, 3, kind)).tolist()
        bad_length = [header(whole[0] & 0xFF, len(whole) - 2), *whole[1:-1]]
        for words, code in ((whole[:-2], ErrorCode.SHORT), ([*whole, 7, 8], ErrorCode.LONG), (bad_length, ErrorCode.LENGTH)):
            await bench.send(words)
            written, passed, begun, errors = bench.taken()
            if code == ErrorCode.LENGTH and bench.stride[name] == 1:
                assert errors == []  # an image less
                continue
            assert errors == [(code, whole[0] & 0xFF, 0)]
            assert (written, begun) == ([], [name])
            assert [w for _, w, _ in passed] == words[1 : len(whole)]
    for words, code in ((events(3)[:-1], ErrorCode.SHORT), ([*events(3), 5], ErrorCode.LONG), (fewer(3), ErrorCode.LENGTH)):
        await bench.send(words)
        assert bench.taken()[3] == [(code, PacketType.EVENTS, 0)]


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def damaged(dut, seed):
    """Each bit of a packet that flips on its way is found: a configuration is not taken over, a layer is not loaded."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    await bench.load(replace(network(rng, continuous=1), encoder=Encoder.THRESHOLD))
    packets = model_file.build(bench.net).packets
    for n, packet in enumerate(packets):
        fields = HEADER.unpack(packet[0])
        last = len(packet) - 1
        for at in {1, last, *rng.integers(1, last, 3).tolist()}:
            words = packet.copy()
            words[at] ^= np.uint64(1) << np.uint64(rng.integers(64))
            await bench.send(words)
            assert bench.taken()[3] == [(ErrorCode.CHECKSUM, fields["kind"], fields["layer"])]
            assert dut.loaded.value == (n == 0)
            bench.check_configuration(bench.net)
        before, was = int(dut.model.value), bench.net if n == 0 else None
        await bench.send(packet)
        bench.taken()
        if was:
            assert (int(dut.loaded.value), int(dut.model.value)) == (0, int(packet[-1]))
            await bench.load(was)
        else:  # only what was taken counts
            rotated = before << 1 & 0xFFFFFFFF | before >> 31
            assert (int(dut.loaded.value), int(dut.model.value)) == (1, rotated ^ int(packet[-1]))


def fewer(images: int) -> list[int]:
    """A packet of events that promises an image more than come."""
    words = events(images)
    return [words[0], images + 1, *words[2:]]


@cocotb.test()
async def reset_at_any_cycle(dut):
    """Nothing is loaded after a reset, wherever it comes, and the next packet is read from its header."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, rng)
    await bench.begin()
    for _ in range(8):
        net = network(rng)
        for packet in model_file.build(net).packets:
            bench.source.queue.extend((int(w), n + 1 == len(packet)) for n, w in enumerate(packet))
        await ClockCycles(dut.aclk, int(rng.integers(1, 120)))
        bench.source.stop()
        await reset(dut)
        await RisingEdge(dut.aclk)
        assert (dut.loaded.value, dut.idle.value) == (0, 1)
        bench.taken()
        bench.source = Sender(dut, "s_axis_tvalid", "s_axis_tready", ("s_axis_tdata", "s_axis_tlast"), rng)
        await bench.send(events(1))
        assert bench.taken()[3] == [(ErrorCode.NOT_LOADED, PacketType.EVENTS, 0)]
        await bench.load(replace(net, encoder=Encoder.THRESHOLD))
