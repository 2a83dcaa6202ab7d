"""The accelerator where things go wrong, or come at once: resets, wrong packets, registers, no pause between networks."""

from dataclasses import replace

import cocotb
import numpy as np
from accelerator import ROUNDS, Accelerator
from bench_images import KINDS, check

from spikeline.device.packets import Events, Pixels, Spikes, packed
from spikeline.model import golden, model_file, spec
from spikeline.model.network import Network
from spikeline.model.spec import (
    CONTROL,
    FEATURES,
    GEOMETRY,
    HEADER,
    LAYER,
    STATUS,
    VERSION,
    Encoder,
    ErrorCode,
    PacketType,
    Register,
)
from support.networks import TINY, batch, lasting, network, trains
from support.packets import HARMLESS, header, unsound


async def start(handle, rng: np.random.Generator) -> Accelerator:
    dut = Accelerator(handle, rng)
    await dut.reset()
    return dut


def three_layers(rng: np.random.Generator) -> Network:
    """Two continuous layers and one that is not, so that there is a wrong packet of every kind."""
    net = replace(network(rng, 3, 2, 0, Encoder.BERNOULLI), exit_margin=None)
    biased = [lasting(rng, x.weights) for x in net.layers[:2]]
    return replace(net, layers=(*biased, net.layers[2]))


async def works(dut: Accelerator, net: Network) -> None:
    """Some images of any kind come out right."""
    images = batch(dut.rng, net, 2)
    dut.classify(images)
    await check(dut, net, images, scores=False, every_step=False)


def of_layer(net: Network, kind: PacketType, layer: int = 0) -> np.ndarray:
    """The packet of a kind that loads a layer."""
    for packet in model_file.build(net).packets:
        fields = HEADER.unpack(packet[0])
        if (fields["kind"], fields["layer"]) == (kind, layer):
            return packet
    raise LookupError(kind)


# ---- packets that are wrong ----
@cocotb.test()
async def refused_packets(handle):
    """Each wrong header and configuration: named, drained, and the network that is loaded goes on."""
    rng = np.random.default_rng(1)
    dut, net = await start(handle, rng), three_layers(rng)
    await dut.load(net)
    for name, (words, code) in HARMLESS.items():
        dut.stall()
        dut.send(words)
        await dut.idle()
        assert await dut.error() == {"code": code, "packet": words[0] & 0xFF, "layer": words[0] >> 8 & 0xFF}, name
        assert STATUS.unpack(await dut.read(Register.STATUS)) == {"idle": 1, "loaded": 1}, name
        await works(dut, net)
    await dut.drained()


@cocotb.test()
async def first_error_stays(handle):
    """Two wrong packets and images between them, queued at once."""
    rng = np.random.default_rng(2)
    dut, net = await start(handle, rng), three_layers(rng)
    await dut.load(net)
    dut.send(HARMLESS["unknown type"][0])
    await works(dut, net)
    dut.send(HARMLESS["wrong magic"][0])
    await works(dut, net)
    await dut.idle()
    assert await dut.error() == {"code": ErrorCode.TYPE, "packet": 9, "layer": 0}
    await dut.drained()


@cocotb.test()
@cocotb.parametrize(kind=[PacketType.THRESHOLDS, PacketType.BIASES, PacketType.WEIGHTS])
async def model_cut_or_too_long(handle, kind):
    """A layer that was not sent whole is not loaded: images are refused until it is sent again."""
    rng = np.random.default_rng([3, kind])
    dut, net = await start(handle, rng), three_layers(rng)
    await dut.load(net)
    for layer in (0, 1):
        whole = of_layer(net, kind, layer)
        for wrong, code in ((whole[: int(rng.integers(1, len(whole)))], ErrorCode.SHORT), ([*whole, 1, 2], ErrorCode.LONG)):
            dut.send(wrong)
            await dut.idle()
            assert await dut.error() == {"code": code, "packet": kind, "layer": layer}
            if len(wrong) > 1:  # something was written
                await dut.drained(loaded=False)
                for images in (Spikes, Events, Pixels):
                    dut.send(packed(batch(rng, net, 2, images)))
                    await dut.idle()
                    assert (await dut.error())["code"] == ErrorCode.NOT_LOADED
            dut.send(whole)
            await dut.idle()
            await works(dut, net)
    await dut.drained()


@cocotb.test()
@cocotb.parametrize(kind=["spikes", "pixels", "events"], seed=range(ROUNDS))
async def images_cut_or_too_long(handle, kind, seed):
    """Of a packet of images that is cut, what was whole is classified; and so is all of one that goes on too long."""
    rng = np.random.default_rng([4, seed, list(KINDS).index(kind)])
    dut, net = await start(handle, rng), three_layers(rng)
    await dut.load(net)
    for _ in range(2):
        images = batch(rng, net, 4, KINDS[kind])
        words = packed(images)
        ends = ends_of(words, kind, net)
        expected = golden.run(net, images.trains(net)).labels
        kept = int(rng.integers(1, len(words)))
        for sent, code in (
            (words[:kept], ErrorCode.SHORT),
            (np.append(words, rng.integers(0, 1 << 63, int(rng.integers(1, 9)), np.uint64)), ErrorCode.LONG),
            (np.append(np.uint64(header(words[0] & np.uint64(0xFF), len(words) - 2)), words[1:-1]), ErrorCode.LENGTH),
        ):
            before = dut.received.words
            dut.send(sent)
            await dut.idle()
            whole = int((ends <= len(sent)).sum())
            assert (await dut.error()) == {"code": code, "packet": HEADER.unpack(words[0])["kind"], "layer": 0}
            got = [word & 0xFFFF for word, _ in dut.received.channel.passed[before:]]
            assert got == expected[:whole].tolist()
            dut.images += whole
            ended = len(dut.received.packets) and whole == len(images)
            while not dut.sink.empty():
                dut.sink.recv_nowait()
            if not ended:  # no TLAST came: whoever receives must be reset too
                await dut.soft_reset()
                await dut.load(net)
            await works(dut, net)
    await dut.drained()


def ends_of(words: np.ndarray, kind: str, net: Network) -> np.ndarray:
    """How many words of a packet there must be for each of its images to be whole."""
    if kind == "spikes":
        stride = net.time_steps * -(-net.sizes[0] // 64)
    elif kind == "pixels":
        stride = 1 + -(-net.sizes[0] // 8)
    else:
        entries = words[2:].view("<u2").reshape(-1, 4)
        return 3 + np.flatnonzero((entries == 0x8000 | net.time_steps).any(1))
    return np.arange(1 + stride, len(words) + 1, stride)


@cocotb.test()
async def unsound_events(handle):
    """Events that make no sense lose what follows, not what was before."""
    rng = np.random.default_rng(5)
    dut, net = await start(handle, rng), three_layers(rng)
    await dut.load(net)
    step = 0x8000
    for name, (entries, code) in unsound(net.sizes[0]).items():
        for more in (0, 3):
            dut.stall()
            words = np.array([5 % net.sizes[0], step | 1, 3 % net.sizes[0], step | 2, *entries], "<u2").view(np.uint64)
            words = [2, *words.tolist(), *[0xFFFF_FFFF_FFFF_FFFF] * more]
            before = dut.received.words
            dut.send([header(PacketType.EVENTS, len(words)), *words])
            await dut.idle()
            code = ErrorCode.EVENT if name == "an image too many" else code
            assert await dut.error() == {"code": code, "packet": PacketType.EVENTS, "layer": 0}, name
            whole = 2 if name == "an image too many" else 1
            assert dut.received.words - before == whole, name
            dut.images += whole
            while not dut.sink.empty():
                dut.sink.recv_nowait()
            if whole < 2:
                await dut.soft_reset()
                await dut.load(net)
            await works(dut, net)
    await dut.drained()


# ---- resets ----
@cocotb.test()
@cocotb.parametrize(soft=[False, True], work=["load", "spikes", "pixels", "events"], seed=range(ROUNDS))
async def reset_at_any_cycle(handle, soft, work, seed):
    """In the middle of a packet or an image: nothing of it is seen afterwards."""
    rng = np.random.default_rng([6, seed, soft, ["load", *KINDS].index(work)])
    dut = await start(handle, rng)
    for _ in range(2):
        net = replace(network(rng), encoder=Encoder.BERNOULLI)
        dut.stall()
        if work == "load":
            packets = model_file.build(net).packets
        else:
            await dut.load(net)
            packets = [packed(batch(rng, net, int(rng.integers(1, 8)), KINDS[work])) for _ in range(2)]
        for packet in packets:
            dut.send(packet)
        await dut.cycles(int(rng.integers(1, 2 * sum(map(len, packets)))))
        await (dut.soft_reset() if soft else dut.reset(int(rng.integers(2, 20))))
        assert all([await dut.counter(low) == 0 for low in COUNTERS])
        await dut.drained(loaded=False)
        dut.send(packed(batch(rng, net, 1, Spikes)))
        await dut.idle()
        assert (await dut.error())["code"] == ErrorCode.NOT_LOADED
        other = network(rng)
        await dut.load(other)
        await works(dut, other)
        await dut.drained()


# ---- without a pause ----
@cocotb.test()
@cocotb.parametrize(seed=range(ROUNDS))
async def networks_and_images_back_to_back(handle, seed):
    """Networks, wrong packets and images of all kinds queued at once: each image is classified by the network before it."""
    rng = np.random.default_rng([7, seed])
    dut = await start(handle, rng)
    asked = []
    for _ in range(4):
        net = network(rng)
        for packet in model_file.build(net).packets:
            dut.send(packet)
        for _ in range(int(rng.integers(1, 4))):
            images = batch(rng, net, int(rng.integers(1, 6)))
            dut.classify(images)
            asked.append((net, images))
    for net, images in asked:
        await check(dut, net, images, scores=False, every_step=False)
    await dut.drained()


@cocotb.test()
async def receiver_that_takes_nothing(handle):
    """Far more images than the queues hold wait for their receiver; not one is lost."""
    rng = np.random.default_rng(8)
    dut = await start(handle, None)
    dut.rng = rng
    net = network(rng, 3, 2)
    await dut.load(net)
    dut.sink.pause = True
    images = Spikes(trains(rng, net, 80))
    dut.classify(images)
    await dut.cycles(1500)
    assert dut.received.words == 0
    assert not dut.source.idle(), "more room than there is"
    assert await dut.counter(Register.STALL_OUTPUT_LO) > 1000
    dut.sink.pause = False
    await check(dut, net, images, scores=False, every_step=False)
    await dut.drained()


@cocotb.test()
async def sender_that_waits(handle):
    """A sender that leaves a packet for a while: STALL_INPUT counts it."""
    rng = np.random.default_rng(9)
    dut = await start(handle, None)
    dut.rng = rng
    net = network(rng, 2, 4)
    await dut.load(net)
    images = Spikes(trains(rng, net, 3))
    dut.classify(images)
    await dut.cycles(15)
    dut.source.pause = True
    await dut.cycles(500)
    dut.source.pause = False
    await check(dut, net, images, scores=False, every_step=False)
    assert 480 <= await dut.counter(Register.STALL_INPUT_LO) <= 520
    await dut.drained()


# ---- registers ----
WRITABLE = {Register.ADDRESS_LO: 0xFFFF_FFFF, Register.ADDRESS_HI: 0xFF, Register.INTERRUPT_ENABLE: 7}  # and their bits
COUNTERS = [
    *range(Register.CYCLES_LO, Register.STALL_OUTPUT_LO + 1, 8),
    *(Register.ROW_READS_LO + 8 * n for n in range(len(TINY.layers))),
]


@cocotb.test()
async def identity_and_geometry(handle):
    dut = await start(handle, np.random.default_rng(10))
    assert await dut.read(Register.ID) == spec.ID
    assert VERSION.unpack(await dut.read(Register.VERSION)) == {"major": spec.VERSION_MAJOR, "minor": spec.VERSION_MINOR}
    assert await dut.read(Register.BUILD) != 0
    assert GEOMETRY.unpack(await dut.read(Register.GEOMETRY)) == {
        "layers": len(TINY.layers),
        "weight_bits": TINY.weight_bits,
        "membrane_bits": TINY.membrane_bits,
        "classes": TINY.classes,
    }
    assert FEATURES.unpack(await dut.read(Register.FEATURES)) == {
        "continuous": 1,
        "max_leak": TINY.max_leak,
        "direct": 1,
        "commands": 0,  # a stream brings the packets
    }
    for n, layer in enumerate(TINY.layers):
        assert LAYER.unpack(await dut.read(Register.LAYER + 4 * n)) == {"inputs": layer.inputs, "neurons": layer.neurons}
        assert await dut.read(Register.PARALLEL) >> 4 * n & 15 == layer.spikes_per_cycle
    await dut.drained(loaded=False)


@cocotb.test()
async def identity_of_the_model(handle):
    """MODEL stays through images and refused packets; it follows each packet that is taken, and is zero without a model."""
    rng = np.random.default_rng(14)
    dut, net = await start(handle, rng), three_layers(rng)
    model = model_file.build(net)
    assert await dut.read(Register.MODEL) == 0, "no model is loaded"
    await dut.load(net)
    assert await dut.read(Register.MODEL) == model.identity
    dut.send(packed(batch(rng, net, 2, Spikes)))
    await dut.idle()
    dut.images += 2
    await dut.packet()
    for words, code in HARMLESS.values():
        dut.send(words)
        await dut.idle()
        assert (await dut.error())["code"] == code
        assert await dut.read(Register.MODEL) == model.identity
    identity = model.identity
    for packet in model.packets[1:]:
        dut.send(packet)
        await dut.idle()
        assert STATUS.unpack(await dut.read(Register.STATUS))["loaded"] == 1
        identity = (identity << 1 & 0xFFFFFFFF | identity >> 31) ^ int(packet[-1])
        assert await dut.read(Register.MODEL) == identity, PacketType(HEADER.unpack(packet[0])["kind"]).name
    await works(dut, net)
    dut.send(model.packets[0])
    await dut.idle()
    assert await dut.read(Register.MODEL) == 0, "CONFIG"
    for reset in (dut.soft_reset, dut.reset):
        await dut.load(net)
        assert await dut.read(Register.MODEL) == model.identity
        await reset()
        assert await dut.read(Register.MODEL) == 0
    await dut.drained(loaded=False)


@cocotb.test()
async def reading_and_writing_what_is_not_to_be_written(handle):
    """Every word of the map and a sample of what lies beyond: writes change three registers, unmapped words read zero."""
    rng = np.random.default_rng(11)
    dut = await start(handle, rng)
    mapped = {int(r) for r in Register if not r.name.startswith(("LAYER", "ROW_READS"))}
    mapped |= {Register.LAYER + 4 * n for n in range(3)} | {Register.ROW_READS_LO + 4 * n for n in range(6)}
    sample = rng.choice(np.arange(0x100, 0x1000, 4), 30, replace=False).tolist()
    words = [*range(0, 0x100, 4), *sample, 0xFFC]
    before = {address: await dut.read(address) for address in words}
    assert [a for a in words if a not in mapped and before[a]] == []
    for address in words:
        if address != Register.CONTROL:
            await dut.write(address, 0xFFFF_FFFF)
    assert {address: await dut.read(address) for address in words} == before | WRITABLE
    await dut.drained(loaded=False)


@cocotb.test()
async def byte_strobes(handle):
    """Only the bytes that are strobed are written, and clear or reset."""
    rng = np.random.default_rng(12)
    dut, net = await start(handle, rng), three_layers(rng)
    await dut.load(net)
    both = CONTROL.pack(scores=1, every_step=1)
    await dut.write(Register.CONTROL, both)
    for at, data in ((0, b"\x00"), (2, b"\x00\x00"), (3, b"\xff"), (2, b"\xff")):
        await dut.master.write(Register.CONTROL + at, data)
        assert await dut.read(Register.CONTROL) == both
    await dut.master.write(Register.CONTROL + 1, b"\x02")
    assert await dut.read(Register.CONTROL) == CONTROL.pack(every_step=1)
    await dut.master.write(Register.CONTROL + 1, b"\x00\xff\xff")
    assert await dut.read(Register.CONTROL) == 0
    dut.send(HARMLESS["unknown type"][0])
    await dut.idle()
    await dut.master.write(Register.CONTROL + 1, b"\x00\x07\x07")  # the bits of another byte clear and reset nothing
    assert (await dut.error())["code"] == ErrorCode.TYPE
    await works(dut, net)
    await dut.drained()


@cocotb.test()
async def registers_of_a_busy_accelerator(handle):
    """Reads and writes at any time, many under way at once: each has its answer and no image is disturbed."""
    rng = np.random.default_rng(13)
    dut, net = await start(handle, rng), three_layers(rng)
    await dut.load(net)
    asked = [batch(rng, net, 6) for _ in range(4)]
    for images in asked:
        dut.classify(images)
    for _ in range(15):
        reads = [cocotb.start_soon(dut.read(a)) for a in (Register.ID, Register.CONTROL, 0x7C, Register.VERSION)]
        writes = [cocotb.start_soon(dut.write(a, 0xFFFF_FFFF)) for a in (Register.ID, Register.SEND, 0x78, 0xFFC)]
        assert [await task for task in reads] == [spec.ID, 0, 0, VERSION.pack(major=spec.VERSION_MAJOR, minor=spec.VERSION_MINOR)]
        for task in writes:
            await task
    for images in asked:
        await check(dut, net, images, scores=False, every_step=False)
    await dut.drained()
