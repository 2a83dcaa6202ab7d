"""spk_writer: memory holds the packets of the stream, each where its command says, and nothing else was written."""

import cocotb
import numpy as np
from bench import SEEDS, Sender
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from memory import Master, Timing
from monitors import known

INPUTS = ("stop", "command_address", "command_words", "command_valid", "s_axis_tdata", "s_axis_tlast", "s_axis_tvalid")
SLVERR, DECERR, SHORT, LONG = 2, 3, 4, 5


class Writer(Master):
    """The writer with its commands and packets."""

    def __init__(self, dut, rng):
        super().__init__(dut, rng, INPUTS)

    def give(self) -> None:
        self.commands = Sender(self.dut, "command_valid", "command_ready", ("command_address", "command_words"), self.rng)
        self.packets = Sender(self.dut, "s_axis_tvalid", "s_axis_tready", ("s_axis_tdata", "s_axis_tlast"), self.rng)
        self.senders = [self.commands, self.packets]

    def receive(self, address: int, words: int, sent: int | None = None) -> dict[int, int]:
        """Command a packet of so many words and send one, of so many unless said otherwise; return what is to be written."""
        self.commands.queue.append((address >> 3, words))
        data = self.rng.integers(1 << 64, size=words if sent is None else sent, dtype=np.uint64).tolist()
        self.packets.queue += [(value, int(n == len(data) - 1)) for n, value in enumerate(data)]
        return {address + 8 * n: value for n, value in enumerate(data)}

    def some(self, packets: int = 15, most: int = 50) -> dict[int, int]:
        """Packets by chance; return what is to be written."""
        expected: dict[int, int] = {}
        for _ in range(packets):
            expected |= self.receive(*self.place(most))
        return expected

    async def complete(self, packets: int) -> dict[int, int]:
        """Wait for the last of so many packets; return what was written since this was asked last."""
        await self.until(lambda: self.done >= packets)
        await ClockCycles(self.dut.aclk, 5)
        assert (self.done, self.writes.open, known(self.dut.quiet, "quiet")) == (packets, False, 1)
        return self.forget()

    def forget(self) -> dict[int, int]:
        written, self.writes.written, self.writes.asked, self.done = self.writes.written, {}, [], 0
        return written


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def packets(dut, seed):
    """Any packets, any latency, any stalls: each word at its place, and no other was written."""
    bench = Writer(dut, np.random.default_rng(seed))
    await bench.begin()
    for _ in range(3):
        bench.pace()
        expected = bench.some() | bench.receive(0x1FF8, 300)
        assert await bench.complete(16) == expected
    assert not bench.errors
    assert not bench.writes.masked


@cocotb.test()
async def borders(dut):
    """Every way to cross 4 KiB within two bursts, and every place of a first word in its burst."""
    bench = Writer(dut, np.random.default_rng(1))
    await bench.begin()
    bench.pace(Timing())
    for before in range(34):
        expected = {}
        for n, after in enumerate((0, 1, 15, 16, 17)):
            expected |= bench.receive(0x7000 + 0x10000 * n - 8 * before, before + after + 1)
        assert await bench.complete(5) == expected


@cocotb.test()
async def bandwidth(dut):
    """An ideal memory takes a word a cycle from a long packet, and one that answers after 40 cycles as well."""
    bench = Writer(dut, np.random.default_rng(2))
    await bench.begin()
    for latency in (1, 40):
        bench.pace(Timing(latency))
        expected, begin = bench.receive(0x1000, 1000), bench.cycle
        while not bench.done:
            await RisingEdge(dut.aclk)
        assert bench.cycle - begin < 1000 + 16 + latency + 10  # gathered, written, answered
        assert await bench.complete(1) == expected


@cocotb.test()
async def slow_results(dut):
    """Results that come one by one are gathered: a burst for each 128 bytes, begun when its last word is there."""
    bench = Writer(dut, np.random.default_rng(3))
    await bench.begin()
    bench.pace(Timing())
    bench.packets.share = 0.9
    expected = bench.receive(0x1040, 45)
    asked = bench.writes.asked
    assert await bench.complete(1) == expected
    assert asked == [(0x1040, 8), (0x1080, 16), (0x1100, 16), (0x1180, 5)]


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def resets(dut, seed):
    """A soft reset at any moment: every burst is finished, of its words at most one more is written, and all works after it."""
    bench = Writer(dut, np.random.default_rng([seed, 4]))
    await bench.begin()
    for _ in range(20):
        bench.pace()
        expected = bench.some(8)
        await ClockCycles(dut.aclk, int(bench.rng.integers(1, 200)))
        await FallingEdge(dut.aclk)
        before = len(bench.writes.written) + sum(strobe != 0 for _, strobe, _ in bench.writes.words)
        await bench.reset()
        written = bench.forget()
        assert len(written) <= before + 2
        assert written.items() <= expected.items()
        expected = bench.some(2, 20)
        assert await bench.complete(2) == expected
    assert not bench.errors
    assert bench.writes.masked


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def refused(dut, seed):
    """The first answer that is an error is told with the address of its burst; no other burst begins."""
    bench = Writer(dut, np.random.default_rng([seed, 5]))
    await bench.begin()
    for n in range(15):
        bench.pace()
        expected, code = bench.some(5, 40), SLVERR + n % 2
        given = [(8 * first, words) for first, words in bench.commands.queue]
        addresses = list(expected)
        at = int(bench.rng.integers(len(addresses)))
        # The burst that holds the word `at`: it starts with its command, or at a multiple of 128 bytes
        command = next(a for a, words in given if a <= addresses[at] < a + 8 * words)
        burst = max(command, addresses[at] & ~127)
        bench.writes.faults = {burst: code}
        await bench.until(lambda: bench.errors)
        asked = len(bench.writes.asked) + (dut.m_axi_awvalid.value == 1)
        await bench.until(lambda: dut.quiet.value == 1)
        await ClockCycles(dut.aclk, 40)
        assert bench.errors == [(code, burst)]
        assert len(bench.writes.asked) <= asked + 1, "asked for more after an error"
        assert bench.done == [a for a, _ in given].index(command)
        assert bench.writes.written.items() <= expected.items()
        await bench.reset()
        bench.forget()
        bench.errors, bench.writes.faults = [], {}


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def wrong_length(dut, seed):
    """A packet shorter or longer than its command is an error; the packets before it are written, nothing after it is."""
    bench = Writer(dut, np.random.default_rng([seed, 6]))
    await bench.begin()
    for n in range(20):
        bench.pace()
        fine = bench.some(2, 20)
        off = int(bench.rng.choice([1, 2, 20]))
        words = int(bench.rng.integers(1 if n % 2 else off + 1, 60))
        sent = words + off if n % 2 else words - off
        address = 0x4000 + 8 * int(bench.rng.integers(512))
        wrong = bench.receive(address, words, sent)
        bench.some(2, 20)
        await bench.until(lambda: bench.errors)
        await bench.until(lambda: dut.quiet.value == 1)
        await ClockCycles(dut.aclk, 40)
        ((code, burst),) = bench.errors
        assert code == (LONG if n % 2 else SHORT)
        assert bench.done <= 2, "what is answered after an error is not counted"
        written = bench.writes.written
        assert fine.items() <= written.items() <= (fine | wrong).items()
        assert burst == address + 8 * (len(written) - len(fine)), "the burst after those that were written"
        assert len(written) - len(fine) < words
        await bench.reset()
        bench.forget()
        bench.errors = []
