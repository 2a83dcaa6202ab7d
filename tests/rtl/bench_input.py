"""spk_input against the vectors that go in as words or as events."""

import cocotb
import numpy as np
from bench import SEEDS, Receiver, Sender, integer, pulse, reset, start
from cocotb.triggers import ClockCycles
from monitors import Channel

S = ("s_data", "s_first", "s_start", "s_last")
E = ("e_step_end", "e_input", "s_last")
INPUTS = (
    "config_inputs",
    "config_time_steps",
    "s_begin",
    "e_begin",
    "s_valid",
    "e_valid",
    "m_ready",
    *S,
    "e_step_end",
    "e_input",
)


class Bench:
    def __init__(self, dut, rng):
        self.dut, self.rng, self.tag = dut, rng, 0
        self.out = Channel(dut, "m_valid", "m_ready", ("m_spikes", "m_user"))

    async def packet(self, kind: str, images: int, inputs: int, steps: int, cut: int = 0) -> None:
        """Send images, but not the last `cut` words or events, and compare the vectors that come."""
        rng, dut = self.rng, self.dut
        dut.config_inputs.value, dut.config_time_steps.value = inputs, steps
        await ClockCycles(dut.aclk, 3)
        spikes = rng.random((images, steps, inputs)) < rng.choice([0, 0.1, 0.9])
        words = -(-inputs // 64)
        if kind == "events":
            await pulse(dut, "e_begin")
            source, items = Sender(dut, "e_valid", "e_ready", E, rng), []
            for n in range(images):
                for t in range(steps):
                    items += [(0, i, 0) for i in rng.permutation(np.flatnonzero(spikes[n, t]))] + [(1, 0, n + 1 == images)]
        else:
            if kind == "spikes":
                await pulse(dut, "s_begin")
            source, items = Sender(dut, "s_valid", "s_ready", S, rng), []
            for n in range(images):
                for t in range(steps):
                    noise = rng.random(words * 64) < 0.5  # beyond the last input
                    noise[:inputs] = spikes[n, t]
                    for w in range(words):
                        start_ = kind == "pixels" and t == 0 and w == 0
                        first = n == 0 if start_ else 0
                        items.append((integer(noise[64 * w : 64 * w + 64]), first, start_, n + 1 == images))
        items = items[: len(items) - cut] if cut else items
        source.queue.extend(items)
        await source.done()
        whole = sum(end for end, *_ in items) if kind == "events" else len(items) // words
        got = await self.receiver.take(whole)
        source.stop()
        seen = set()
        for k, (vector, user) in enumerate(got):
            n, t = divmod(k, steps)
            tag = (self.tag + n + 1) % 256
            seen.add(tag)
            assert vector == integer(spikes[n, t])
            assert user == (tag << 4 | (n + 1 == images) << 3 | (n == 0) << 2 | (t + 1 == steps) << 1 | (t == 0)), (n, t)
        self.tag = int(dut.tag.value)  # an image that was cut may have taken one


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def packets(dut, seed):
    """Packets of all three kinds after each other, some cut: vectors, masks, places and tags."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await start(dut, INPUTS, (bench.out,))
    bench.receiver = Receiver(dut, bench.out, "m_ready", rng)
    room = len(dut.m_spikes)
    for inputs in (room, int(rng.integers(1, room + 1)), int(rng.integers(1, room + 1)), min(64, room)):
        steps = int(rng.integers(1, 5))
        for kind in rng.permutation(["spikes", "events", "pixels", "spikes", "events"]):
            cut = int(rng.integers(1, 6)) if kind != "pixels" and rng.random() < 0.4 else 0
            await bench.packet(str(kind), 3, inputs, steps, cut)
    await reset(dut)
    bench.tag = 0
    await bench.packet("spikes", 2, room, 2)
