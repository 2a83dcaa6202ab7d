"""spk_reader: what its stream carries is what memory holds, in the order of the commands."""

import cocotb
import numpy as np
from bench import SEEDS, Receiver, Sender, share
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from memory import Master, Timing, word
from monitors import known

INPUTS = ("stop", "command_address", "command_words", "command_last", "command_valid", "m_axis_tready")
SLVERR, DECERR = 2, 3
FIRST = 3  # cycles from a command to the first word, besides the latency of memory


class Reader(Master):
    """The reader with its commands and a receiver."""

    def __init__(self, dut, rng):
        super().__init__(dut, rng, INPUTS)
        self.taken: list[int] = []  # cycles in which a command was taken
        self.came: list[int] = []  # and a word came
        self.receiver = Receiver(dut, self.out, "m_axis_tready", rng)
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        dut = self.dut
        pairs = {"command_valid": "command_ready", "m_axis_tvalid": "m_axis_tready"}
        wires = [(getattr(dut, valid), getattr(dut, ready)) for valid, ready in pairs.items()]
        while True:
            await RisingEdge(dut.aclk)
            if self.running:
                for cycles, (valid, ready) in zip((self.taken, self.came), wires, strict=True):
                    if known(valid, "valid") and known(ready, "ready"):
                        cycles.append(self.cycle)

    def give(self) -> None:
        fields = ("command_address", "command_words", "command_last")
        self.commands = Sender(self.dut, "command_valid", "command_ready", fields, self.rng)
        self.senders = [self.commands]

    def pace(self, timing: Timing | None = None) -> None:
        super().pace(timing)
        self.receiver.share = 0 if timing else share(self.rng)

    def send(self, address: int, words: int, last: int) -> list[tuple[int, int]]:
        """Give a command; return what the stream is to carry for it."""
        self.commands.queue.append((address >> 3, words, last))
        return [(word(address + 8 * n), int(last and n == words - 1)) for n in range(words)]

    def some(self, commands: int = 15, most: int = 50) -> list[tuple[int, int]]:
        """Give commands by chance; return what the stream is to carry."""
        return [item for _ in range(commands) for item in self.send(*self.place(most), int(self.rng.integers(2)))]


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def commands(dut, seed):
    """Any commands, any latency, any stalls: each word once, in order, TLAST where it was asked for."""
    bench = Reader(dut, np.random.default_rng(seed))
    await bench.begin()
    for _ in range(3):
        bench.pace()
        bench.done = 0
        expected = bench.some() + bench.send(0x1FF8, 300, 1)
        assert await bench.receiver.take(len(expected)) == expected
        assert bench.done == 16
        assert dut.quiet.value == 1
    assert not bench.errors


@cocotb.test()
async def borders(dut):
    """Every way to cross 4 KiB within two bursts, and every place of a first word in its burst."""
    bench = Reader(dut, np.random.default_rng(1))
    await bench.begin()
    bench.pace(Timing())
    for before in range(34):
        expected = [item for after in (0, 1, 15, 16, 17) for item in bench.send(0x7000 - 8 * before, before + after + 1, 1)]
        assert await bench.receiver.take(len(expected)) == expected


@cocotb.test()
async def bandwidth(dut):
    """An ideal memory gives a word a cycle, also from command to command; one with 40 cycles of latency at least 95 %."""
    bench = Reader(dut, np.random.default_rng(2))
    await bench.begin()
    for latency, most in ((1, 1.0), (40, 1 / 0.95)):
        bench.pace(Timing(latency))
        for sizes in ([1000], [2, 98, 98, 98, 98, 16, 98, 300], [64] * 16):
            await FallingEdge(dut.aclk)
            bench.came, bench.taken = [], []
            expected = [item for n, words in enumerate(sizes) for item in bench.send(0x10000 * n, words, 0)]
            assert await bench.receiver.take(len(expected)) == expected
            first, cycles = bench.came[0] - bench.taken[0], bench.came[-1] - bench.came[0] + 1
            assert first == FIRST + latency
            assert cycles <= most * len(expected)


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def resets(dut, seed):
    """A soft reset at any moment: no burst stays open, nothing is left of what was commanded, and all works after it."""
    bench = Reader(dut, np.random.default_rng([seed, 4]))
    await bench.begin()
    for _ in range(15):
        bench.pace()
        bench.some(10)
        await ClockCycles(dut.aclk, int(bench.rng.integers(1, 200)))
        await bench.reset()
        bench.done = 0
        expected = bench.some(2, 20)
        assert await bench.receiver.take(len(expected)) == expected
        assert bench.done == 2
    assert not bench.errors


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def errors(dut, seed):
    """The first error is told with the address of its burst; what came before it is passed on, it and what follows is not."""
    bench = Reader(dut, np.random.default_rng([seed, 5]))
    await bench.begin()
    for n in range(15):
        bench.pace()
        bench.done, bench.errors, bench.reads.asked = 0, [], []
        expected, code = bench.some(5, 30), SLVERR + n % 2
        given = list(bench.commands.queue)
        addresses = [8 * (first + k) for first, words, _ in given for k in range(words)]
        at = 0 if n == 0 else int(bench.rng.integers(len(addresses)))
        bench.reads.faults = {address: DECERR for address in addresses[at + 1 : at + 9]} | {addresses[at]: code}
        await bench.until(lambda: bench.errors)
        asked = len(bench.reads.asked) + (dut.m_axi_arvalid.value == 1 and dut.m_axi_arready.value == 0)
        assert await bench.receiver.take(at) == expected[:at]
        await bench.until(lambda: dut.quiet.value == 1)
        first = next(a for a, w in bench.reads.asked if a <= addresses[at] < a + 8 * w)
        assert bench.errors == [(code, first)]
        assert len(bench.reads.asked) <= asked + 1, "asked for more after an error"
        ends = np.cumsum([words for _, words, _ in given])
        assert bench.done == (ends <= at).sum()
        await bench.reset()
