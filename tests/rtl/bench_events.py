"""spk_events against the spike trains whose addresses it is given."""

import cocotb
import numpy as np
from bench import LONGEST, SEEDS, Sender, pulse, share, start
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from monitors import Channel

from spikeline.device.packets import pack_events
from spikeline.model.spec import EVENT

INPUTS = ("config_inputs", "config_time_steps", "s_begin", "s_data", "s_valid", "no_image_left", "m_ready")
STEP, FILLER = EVENT.pack(is_step=1), 0xFFFF


class Bench:
    """Words in, events out: as its neighbours, `spk_loader` and `spk_input`, would."""

    def __init__(self, dut, rng):
        self.dut, self.rng, self.share = dut, rng, share(rng)
        self.out = Channel(dut, "m_valid", "m_ready", ("m_step_end", "m_input"))
        self.images = self.left = 0

    async def begin(self, inputs: int, steps: int) -> None:
        self.dut.config_inputs.value, self.dut.config_time_steps.value = inputs, steps
        self.source = Sender(self.dut, "s_valid", "s_ready", ("s_data",), self.rng)
        cocotb.start_soon(self._loader())
        cocotb.start_soon(self._input())

    async def _loader(self) -> None:
        while True:
            await RisingEdge(self.dut.aclk)
            ended = self.dut.image_end.value == 1
            await FallingEdge(self.dut.aclk)
            self.images += ended
            self.left -= ended
            self.dut.no_image_left.value = int(self.left <= 0)

    async def _input(self) -> None:
        """Is not ready in the cycle after the end of a step: its vector is full."""
        while True:
            await FallingEdge(self.dut.aclk)
            full = bool(self.out.passed) and self.out.passed[-1][0] and len(self.out.passed) != self.seen
            self.seen = len(self.out.passed)
            self.dut.m_ready.value = int(not full and self.rng.random() >= self.share)

    seen = 0

    async def packet(self, words: list[int], images: int) -> list[tuple[int, int]]:
        """Send a packet; return what came of it."""
        self.images, self.left, self.out.passed, self.seen = 0, images, [], 0
        await pulse(self.dut, "s_begin")
        self.source.queue.extend((word,) for word in words)
        for _ in range(LONGEST):
            await RisingEdge(self.dut.aclk)
            if self.dut.invalid.value == 1:
                self.source.queue.clear()
                self.source.offered = False
            if not self.source.queue and self.dut.idle.value == 1:
                break
        else:
            raise AssertionError("never idle")
        await ClockCycles(self.dut.aclk, 4)
        return [(end, None if end else value) for end, value in self.out.passed]


def events(spikes: np.ndarray) -> list[tuple[int, int | None]]:
    """(0, input) for each spike and (1, None) for each end of a step."""
    return [e for image in spikes for step in image for e in [*((0, int(i)) for i in np.flatnonzero(step)), (1, None)]]


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def images(dut, seed):
    """Images with busy, empty and skipped steps; every spike at its step, every step ended, every image counted."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await start(dut, INPUTS, (bench.out,))
    inputs, steps = int(rng.integers(1, 300)), int(rng.integers(1, 7))
    await bench.begin(inputs, steps)
    for _ in range(4):
        count = int(rng.integers(1, 5))
        spikes = rng.random((count, steps, inputs)) < rng.choice([0, 0.02, 0.3], (count, steps, 1))
        assert await bench.packet(pack_events(spikes.astype(np.uint8))[2:].tolist(), count) == events(spikes)
        assert bench.images == count
        assert dut.invalid.value == 0


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def invalid(dut, seed):
    """What cannot be is told; what was before it has come, nothing after; and the next packet is sound."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    monitor = await start(dut, INPUTS, (bench.out,))
    monitor.forgiven = True  # that no image is left shows a cycle late, in which the next module takes nothing
    inputs, steps = 40, 3
    await bench.begin(inputs, steps)
    before = [7, STEP | 1, 39, FILLER]
    shown = [(0, 7), (1, None), (0, 39)]
    for wrong, came in (
        ([40], []),
        ([0x7FFF], []),
        ([STEP | 4], []),
        ([STEP | 0x7FFE], []),
        ([STEP | 0], []),
        ([3, STEP | 2, 5, STEP | 1], [(0, 3), (1, None), (0, 5)]),
        ([STEP | 3, FILLER, FILLER, FILLER, 2], [(1, None), (1, None)]),  # one image was promised
    ):
        entries = [*before, *wrong]
        entries += [FILLER] * (-len(entries) % 4) + [3, STEP | 3, 1, 1]
        got = await bench.packet(np.array(entries, "<u2").view("<u8").tolist(), 1)
        assert (got, dut.invalid.value) == (shown + came, 1), wrong
        spikes = rng.random((2, steps, inputs)) < 0.1
        assert await bench.packet(pack_events(spikes.astype(np.uint8))[2:].tolist(), 2) == events(spikes)
        assert dut.invalid.value == 0
