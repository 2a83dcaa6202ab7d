"""spk_decode against sums, maxima and leads."""

import cocotb
import numpy as np
from bench import SEEDS, Receiver, Sender, integer, reset, signed, start
from cocotb.triggers import ClockCycles
from monitors import Channel

from spikeline.model import early_exit
from spikeline.model.spec import RESULT, SCORE_PAIR, Decode

INPUTS = (
    "config_classes", "config_decode", "config_exit", "config_margin", "scores", "every_step",
    "s_membranes", "s_spikes", "s_user", "s_valid", "m_axis_tready",
)  # fmt: skip


class Bench:
    """Steps in, results out; tags go on from packet to packet."""

    def __init__(self, dut, rng):
        self.dut, self.rng, self.tag, self.images = dut, rng, 0, 0
        self.out = Channel(dut, "m_axis_tvalid", "m_axis_tready", ("m_axis_tdata", "m_axis_tlast"))

    def queue(self, membranes: np.ndarray, spikes: np.ndarray) -> None:
        """Steps of a packet: membranes, int (B, T, classes built), and spikes, bool of that shape."""
        images, steps, built = membranes.shape
        bits = len(self.dut.s_membranes) // built
        for n in range(images):
            self.tag = (self.tag + 1) % 256
            for t in range(steps):
                packed = sum((int(m) & ((1 << bits) - 1)) << bits * c for c, m in enumerate(membranes[n, t]))
                place = (n + 1 == images) << 3 | (n == 0) << 2 | (t + 1 == steps) << 1 | (t == 0)
                self.source.queue.append((packed, integer(spikes[n, t]), self.tag << 4 | place))


def expected(counted: np.ndarray, margin: int | None, scores: bool, every_step: bool) -> list[tuple[int, int]]:
    """Words and TLAST of what is counted, (B, T, classes)."""
    values = counted.cumsum(1)
    images, steps, classes = counted.shape
    used = np.full(images, steps)
    if margin is not None and not every_step:
        _, used = early_exit.decide(counted, margin)
    words = []
    for n in range(images):
        for t in range(1, steps + 1) if every_step else [int(used[n])]:
            now = values[n, t - 1]
            last = n + 1 == images and t == used[n]
            result = [RESULT.pack(label=int(now.argmax()), steps=t, image=n)]
            if scores:
                padded = [*(int(v) & 0xFFFF_FFFF for v in now), 0]
                result += [SCORE_PAIR.pack(even=padded[c], odd=padded[c + 1]) for c in range(0, classes, 2)]
            words += [(word, 0) for word in result]
            words[-1] = (words[-1][0], int(last))
    return words


@cocotb.test()
@cocotb.parametrize(exits=[False, True], scores=[0, 1], every_step=[0, 1], seed=SEEDS)
async def results(dut, exits, scores, every_step, seed):
    """Label, steps and values for any number of classes, both ways to count, ties, early exit, and noise in unused classes."""
    rng = np.random.default_rng([seed, exits, scores, every_step])
    bench = Bench(dut, rng)
    await start(dut, INPUTS, (bench.out,))
    receiver = Receiver(dut, bench.out, "m_axis_tready", rng)
    bench.source = Sender(dut, "s_valid", "s_ready", ("s_membranes", "s_spikes", "s_user"), rng)
    built, bits = int(dut.CLASSES.value), int(dut.MEMBRANE_BITS.value)
    done = cocotb.start_soon(count_images(dut, bench))
    for _ in range(4):
        classes = int(rng.integers(2 if exits else 1, built + 1))
        decode = Decode(int(rng.integers(2)))
        images, steps = int(rng.integers(1, 7)), int(rng.integers(1, 7))
        most = 1 << (bits - 1)
        reach = min(most, int(rng.choice([2, 20, most])))
        membranes = rng.integers(-reach, reach, (images, steps, built))
        spikes = rng.random(membranes.shape) < 0.4
        counted = (membranes if decode == Decode.MEMBRANE else spikes)[..., :classes].astype(np.int64)
        margin = int(rng.choice([0, 1, reach // 2, 2 * reach])) if exits else None
        dut.config_classes.value, dut.config_decode.value = classes, int(decode)
        dut.config_exit.value, dut.config_margin.value = int(exits), margin or 0
        dut.scores.value, dut.every_step.value = scores, every_step
        await ClockCycles(dut.aclk, 2)
        bench.images = 0
        bench.queue(membranes, spikes)
        await bench.source.done()
        words = expected(counted, margin, bool(scores), bool(every_step))
        got = await receiver.take(len(words))
        assert [(signed(w, 64), last) for w, last in got] == [(signed(w, 64), last) for w, last in words]
        assert bench.images == images
        assert dut.idle.value == 1
    done.cancel()


async def count_images(dut, bench: Bench) -> None:
    while True:
        await ClockCycles(dut.aclk, 1)
        bench.images += int(dut.image_done.value)


@cocotb.test()
async def reset_at_any_cycle(dut):
    """No result of an image before a reset comes after it."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, rng)
    await start(dut, INPUTS, (bench.out,))
    receiver = Receiver(dut, bench.out, "m_axis_tready", rng)
    built = int(dut.CLASSES.value)
    dut.config_classes.value, dut.scores.value, dut.config_exit.value, dut.config_margin.value = built, 1, 1, 12
    for _ in range(8):
        membranes = rng.integers(-8, 8, (3, 4, built))
        bench.source = Sender(dut, "s_valid", "s_ready", ("s_membranes", "s_spikes", "s_user"), rng)
        bench.queue(membranes, membranes > 0)
        await ClockCycles(dut.aclk, int(rng.integers(1, 80)))
        bench.source.stop()
        await reset(dut)
        bench.out.passed, bench.tag = [], 0
        bench.source = Sender(dut, "s_valid", "s_ready", ("s_membranes", "s_spikes", "s_user"), rng)
        bench.queue(membranes, membranes > 0)
        words = expected(membranes, 12, True, False)
        assert await receiver.take(len(words)) == words
        bench.source.stop()
