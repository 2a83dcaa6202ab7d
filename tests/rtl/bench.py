"""What the benches of single modules share. Inputs change at falling edges, everything is sampled at rising ones."""

from collections import deque
from itertools import count

import cocotb
import numpy as np
from accelerator import PERIOD, ROUNDS
from cocotb.clock import Clock
from cocotb.handle import SimHandleBase
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from monitors import Channel, Monitor, watch

SEEDS = range(ROUNDS)
LONGEST = 20_000  # clock cycles that anything may take


async def start(dut: SimHandleBase, inputs: tuple[str, ...], outputs: tuple[Channel, ...] = ()) -> Monitor:
    """Begin with all inputs low and a reset; return what watches the rules of the outputs."""
    for name in inputs:
        getattr(dut, name).value = 0
    Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)
    monitor = Monitor(dut.reset, 1)
    monitor.channels = list(outputs)
    watch(dut.aclk, monitor)
    await reset(dut)
    return monitor


async def reset(dut: SimHandleBase, cycles: int = 3) -> None:
    await FallingEdge(dut.aclk)
    dut.reset.value = 1
    for _ in range(cycles):
        await FallingEdge(dut.aclk)
    dut.reset.value = 0


async def pulse(dut: SimHandleBase, name: str) -> None:
    """Hold an input high for one cycle."""
    await FallingEdge(dut.aclk)
    getattr(dut, name).value = 1
    await FallingEdge(dut.aclk)
    getattr(dut, name).value = 0


def share(rng: np.random.Generator) -> float:
    """How often to wait."""
    return float(rng.choice([0, 0.2, 0.8]))


class Sender:
    """Sends tuples through a valid / ready pair, waiting at random; what it carries between them is noise."""

    def __init__(self, dut, valid: str, ready: str, fields: tuple[str, ...], rng: np.random.Generator):
        self.dut, self.rng, self.share = dut, rng, share(rng)
        self.valid, self.ready = getattr(dut, valid), getattr(dut, ready)
        self.fields = [getattr(dut, name) for name in fields]
        self.queue: deque[tuple[int, ...]] = deque()
        self.sent = 0
        self.offered = False
        self.task = cocotb.start_soon(self._run())

    async def _run(self) -> None:
        for n in count():
            await FallingEdge(self.dut.aclk)
            if not self.offered:
                self.offered = bool(self.queue) and self.rng.random() >= self.share
                self.valid.value = int(self.offered)
                item = self.queue[0] if self.offered else [0 if n % 2 else (1 << len(f)) - 1 for f in self.fields]
                for field, value in zip(self.fields, item, strict=True):
                    field.value = int(value)
            await RisingEdge(self.dut.aclk)
            if self.offered and self.ready.value == 1:
                self.offered = False
                self.queue.popleft()
                self.sent += 1

    def stop(self) -> None:
        """Send nothing more; all its wires are low."""
        self.task.cancel()
        for signal in (self.valid, *self.fields):
            signal.value = 0

    async def done(self) -> None:
        """Wait until all has been taken."""
        for _ in range(LONGEST):
            if not self.queue:
                return
            await RisingEdge(self.dut.aclk)
        raise AssertionError(f"{len(self.queue)} words are not taken")


class Receiver:
    """Takes what a channel sends, waiting at random."""

    def __init__(self, dut, channel: Channel, ready: str, rng: np.random.Generator):
        self.dut, self.channel, self.ready, self.rng, self.share = dut, channel, getattr(dut, ready), rng, share(rng)
        self.task = cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await FallingEdge(self.dut.aclk)
            self.ready.value = int(self.rng.random() >= self.share)

    async def take(self, items: int) -> list[tuple[int, ...]]:
        """The next items, of which no more may come in the cycles after the last."""
        for _ in range(LONGEST):
            if len(self.channel.passed) >= items:
                break
            await RisingEdge(self.dut.aclk)
        await ClockCycles(self.dut.aclk, 60)
        assert len(self.channel.passed) == items, f"{len(self.channel.passed)} items instead of {items}"
        taken, self.channel.passed = self.channel.passed, []
        return taken


def integer(bits: np.ndarray) -> int:
    """The number whose bit i is bits[i]."""
    return int.from_bytes(np.packbits(np.asarray(bits, np.uint8), bitorder="little").tobytes(), "little")


def signed(value: int, bits: int) -> int:
    return value - (value >> (bits - 1) << bits)
