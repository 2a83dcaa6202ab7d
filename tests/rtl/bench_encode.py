"""spk_encode against spikeline.encode."""

import cocotb
import numpy as np
from bench import SEEDS, Receiver, Sender, pulse, reset, start
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from monitors import Channel

from spikeline.device.packets import Pixels, packed
from spikeline.model.encode import ENCODERS, encode, latency_band

INPUTS = (
    "config_inputs", "config_time_steps", "config_bernoulli", "config_latency", "config_latency_band", "config_direct",
    "s_begin", "s_data", "s_last", "s_valid", "m_ready", "skip",
)  # fmt: skip

IMAGES = 6  # of which some are decided early


class Bench:
    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.out = Channel(dut, "m_valid", "m_ready", ("m_data", "m_first", "m_start", "m_last"), partly="m_data")

    async def configure(self, encoder: str, inputs: int, steps: int) -> None:
        self.encoder, self.inputs, self.steps = encoder, inputs, steps
        self.dut.config_inputs.value, self.dut.config_time_steps.value = inputs, steps
        self.dut.config_bernoulli.value = int(encoder == "bernoulli")
        self.dut.config_latency.value = int(encoder == "latency")
        self.dut.config_direct.value = int(encoder == "direct")
        self.dut.config_latency_band.value = latency_band(steps) if encoder == "latency" else 0
        await ClockCycles(self.dut.aclk, 4)

    async def send(self, images: int, cut: int = 0) -> np.ndarray:
        """Send images, but not their last `cut` words; return the words of spikes that are to come, (B, T, words)."""
        rng, seed, first = self.rng, int(self.rng.integers(1 << 40)), int(self.rng.integers(1000))
        pixels = rng.integers(0, 256, (images, self.inputs)).astype(np.uint8)
        pixels[rng.random(pixels.shape) < 0.2] = rng.choice([0, 127, 128, 255])
        _, state, *words = packed(Pixels(pixels, seed, first)).tolist()
        size = len(words) // images
        await pulse(self.dut, "s_begin")
        items = [(state, 0), *((word, n // size + 1 == images) for n, word in enumerate(words))]
        self.source.queue.extend(items[: len(items) - cut] if cut else items)
        spikes = encode(pixels, self.encoder, self.steps, seed, first)
        padded = np.zeros((images, self.steps, -(-self.inputs // 64) * 64), np.uint8)
        padded[..., : self.inputs] = spikes
        return np.packbits(padded, axis=-1, bitorder="little").view("<u8")[: images - -(-cut // size)]

    def words(self, got: list[tuple[int, ...]]) -> list[int]:
        """Their data without what lies beyond the last pixel."""
        stride = -(-self.inputs // 64)
        mask = (1 << (self.inputs - 1) % 64 + 1) - 1
        return [data & mask if (n + 1) % stride == 0 else data for n, (data, *_) in enumerate(got)]


@cocotb.test()
@cocotb.parametrize(encoder=list(ENCODERS), seed=SEEDS)
async def spikes(dut, encoder, seed):
    """Packets after each other, some of them cut, each image with its places: the spikes of every time step."""
    rng = np.random.default_rng([seed, list(ENCODERS).index(encoder)])
    bench = Bench(dut, rng)
    await start(dut, INPUTS, (bench.out,))
    receiver = Receiver(dut, bench.out, "m_ready", rng)
    bench.source = Sender(dut, "s_valid", "s_ready", ("s_data", "s_last"), rng)
    room = int(dut.INPUTS.value)
    for inputs in (room, int(rng.integers(1, room))):
        await bench.configure(encoder, inputs, int(rng.integers(1, 9 if encoder == "direct" else 5)))
        for cut in (int(rng.integers(1, 20)), 0):
            images = int(rng.integers(2, 4))
            expected = await bench.send(images, cut=min(cut, images * (inputs // 8)))
            await bench.source.done()
            got = await receiver.take(expected.size)
            assert bench.words(got) == expected.reshape(-1).tolist()
            per_image = expected[0].size if len(expected) else 1
            for k, (_, first, starts, last) in enumerate(got):
                n, at = divmod(k, per_image)
                assert (starts, first, last) == (at == 0, at == 0 and n == 0, n + 1 == images)
            assert dut.idle.value == 1


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def decided_early(dut, seed):
    """An image that is decided ends somewhere after that; those after it are whole."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    monitor = await start(dut, INPUTS, (bench.out,))
    Receiver(dut, bench.out, "m_ready", rng)
    bench.source = Sender(dut, "s_valid", "s_ready", ("s_data", "s_last"), rng)
    inputs = int(dut.INPUTS.value)
    await bench.configure("bernoulli", inputs, 5)
    expected = await bench.send(IMAGES)
    per_image = expected[0].size
    decided = {n: int(rng.integers(1, per_image)) for n in range(IMAGES) if rng.random() < 0.6}
    decided[IMAGES - 1] = 2
    image, at, taken, skips = -1, 0, 0, False
    while bench.source.queue or dut.idle.value == 0:
        await FallingEdge(dut.aclk)
        for word in bench.out.passed[taken:]:
            taken += 1
            if word[2]:
                if image >= 0:
                    assert at == per_image or image in decided, "an image that is not decided is cut"
                image, at, skips = image + 1, 0, False
            assert bench.words([(0,)] * (at % (inputs // 64 + 1)) + [word])[-1] == expected[image].reshape(-1)[at]
            at += 1
        skips = skips or (image in decided and at >= decided[image])
        dut.skip.value = int(skips)
        monitor.forgiven = skips
    assert image == IMAGES - 1
    assert taken < IMAGES * per_image, "no step was saved"
    await ClockCycles(dut.aclk, 30)
    assert len(bench.out.passed) == taken


@cocotb.test()
async def reset_at_any_cycle(dut):
    """Nothing of what was there comes after a reset."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, rng)
    await start(dut, INPUTS, (bench.out,))
    receiver = Receiver(dut, bench.out, "m_ready", rng)
    for _ in range(4):
        bench.source = Sender(dut, "s_valid", "s_ready", ("s_data", "s_last"), rng)
        await bench.configure("threshold", 33, 3)
        await bench.send(4)
        await ClockCycles(dut.aclk, int(rng.integers(1, 60)))
        bench.source.stop()
        await reset(dut)
        bench.out.passed = []
        await RisingEdge(dut.aclk)
        assert dut.idle.value == 1
        bench.source = Sender(dut, "s_valid", "s_ready", ("s_data", "s_last"), rng)
        expected = await bench.send(2)
        assert bench.words(await receiver.take(expected.size)) == expected.reshape(-1).tolist()
        bench.source.stop()
