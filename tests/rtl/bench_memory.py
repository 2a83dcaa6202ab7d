"""spk_memory: commands of both kinds at once, against a memory with errors and against the AxiRam of cocotbext-axi."""

import itertools

import cocotb
import numpy as np
from bench import SEEDS, Receiver, Sender, share
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from memory import Bench, Timing, axi_ram, word
from monitors import known

COMMAND = ("command_address", "command_bytes", "command_last", "command_receive", "command_valid")
INPUTS = (*COMMAND, "s_axis_tdata", "s_axis_tlast", "s_axis_tvalid", "m_axis_tready")
DEPTH = 8
SLVERR, DECERR, SHORT, LONG, FULL, UNFIT = range(2, 8)


class Memory(Bench):
    """The module with a stream to each side, and what is to come of its commands."""

    def __init__(self, dut, rng, memory=True):
        super().__init__(dut, rng, INPUTS, memory)
        self.receiver = Receiver(dut, self.out, "m_axis_tready", rng)
        self.packets = Sender(dut, "s_axis_tvalid", "s_axis_tready", ("s_axis_tdata", "s_axis_tlast"), rng)
        self.given = [0, 0]  # commands, sends and receives
        self.done = [0, 0]
        self.words: list[tuple[int, int]] = []  # that m_axis is to carry
        self.written: dict[int, int] = {}
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        wires = (self.dut.send_done, self.dut.receive_done)
        while True:
            await RisingEdge(self.dut.aclk)
            if self.running:
                self.done = [n + known(wire, "done") for n, wire in zip(self.done, wires, strict=True)]

    def pace(self, timing: Timing | None = None) -> None:
        self.set(timing or Timing.draw(self.rng))
        self.packets.share, self.receiver.share = (0, 0) if timing else (share(self.rng), share(self.rng))

    async def command(self, address: int, size: int, last: int = 0, receive: int = 0) -> None:
        """A command for one cycle, whether there is room for it or not; `size` in bytes."""
        await FallingEdge(self.dut.aclk)
        for name, value in zip(COMMAND, (address, size, last, receive, 1), strict=True):
            getattr(self.dut, name).value = value
        await FallingEdge(self.dut.aclk)
        self.dut.command_valid.value = 0

    async def send(self, address: int, words: int, last: int) -> None:
        await self.room(0)
        self.words += [(word(address + 8 * n), int(last and n == words - 1)) for n in range(words)]
        await self.command(address, 8 * words, last)

    async def receive(self, address: int, words: int) -> None:
        await self.room(1)
        data = self.rng.integers(1 << 64, size=words, dtype=np.uint64).tolist()
        self.packets.queue += [(value, int(n == words - 1)) for n, value in enumerate(data)]
        self.written |= {address + 8 * n: value for n, value in enumerate(data)}
        await self.command(address, 8 * words, 0, 1)

    async def room(self, kind: int) -> None:
        """Wait until fewer than a queue of commands are not done: what software knows."""
        await self.until(lambda: self.given[kind] - self.done[kind] < DEPTH)
        self.given[kind] += 1

    async def some(self, commands: int, most: int) -> None:
        for _ in range(commands):
            address, words = self.place(most)
            if self.rng.random() < 0.5:
                await self.send(address, words, int(self.rng.integers(2)))
            else:
                await self.receive(address, words)

    async def check(self) -> None:
        """All that was commanded comes, is written and is counted, and nothing else."""
        await self.until(lambda: self.done == self.given)
        assert await self.receiver.take(len(self.words)) == self.words
        assert self.writes.written == self.written
        assert self.counts() == (*self.given, 0, 0)
        assert self.dut.quiet.value == 1

    def counts(self) -> tuple[int, int, int, int]:
        dut = self.dut
        return tuple(known(wire, "status") for wire in (dut.sends, dut.receives, dut.error_valid, dut.error_code))

    async def reset(self) -> None:
        self.packets.stop()
        await super().reset()
        self.start_again()

    def start_again(self) -> None:
        self.packets = Sender(self.dut, "s_axis_tvalid", "s_axis_tready", ("s_axis_tdata", "s_axis_tlast"), self.rng)
        self.given, self.done, self.words, self.written, self.writes.written = [0, 0], [0, 0], [], {}, {}
        assert self.counts() == (0, 0, 0, 0)


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def both_ways(dut, seed):
    """Sends and receives at once, as many as the queues hold, at any pace."""
    bench = Memory(dut, np.random.default_rng(seed))
    await bench.begin()
    for _ in range(3):
        bench.pace()
        await bench.some(30, 40)
        await bench.check()
        await bench.reset()


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def resets(dut, seed):
    """Soft or hard, at any moment: nothing is left, and all works after it."""
    bench = Memory(dut, np.random.default_rng([seed, 1]))
    await bench.begin()
    for n in range(12):
        bench.pace()
        task = cocotb.start_soon(bench.some(12, 40))
        await ClockCycles(dut.aclk, int(bench.rng.integers(20, 300)))
        task.cancel()
        dut.command_valid.value = 0
        if n % 3:
            await bench.reset()
        else:
            await FallingEdge(dut.aclk)
            dut.aresetn.value, bench.running = 0, False
            bench.packets.stop()
            for side in bench.sides:
                side.clear()
            await bench.begin()
            await RisingEdge(dut.aclk)
            bench.out.passed.clear()
            bench.start_again()
        await bench.some(4, 20)
        await bench.check()


@cocotb.test()
async def bad_commands(dut):
    """A command that cannot be carried out is refused at once, by name of its kind; nothing is done after it."""
    bench = Memory(dut, np.random.default_rng(2))
    await bench.begin()
    bench.pace(Timing())
    for receive, (address, size) in itertools.product((0, 1), ((0x1000, 0), (0x1004, 8), (0x1001, 8), (0x1000, 12), (0x1000, 7))):
        await bench.command(address, size, 1, receive)
        await RisingEdge(dut.aclk)
        assert bench.counts() == (0, 0, 1, UNFIT)
        assert dut.error_receive.value == receive
        await bench.command(0x2000, 64, 1, receive)
        await bench.command(0x2001, 64, 1, 1 - receive)  # an error that is not the first
        await ClockCycles(dut.aclk, 30)
        assert bench.counts() == (0, 0, 1, UNFIT)
        assert dut.error_receive.value == receive
        assert not bench.reads.asked
        await bench.reset()
        bench.start_again()


@cocotb.test()
async def full_queues(dut):
    """A queue takes eight commands beside those in work; one more is an error, and one queue is not the other."""
    bench = Memory(dut, np.random.default_rng(3))
    await bench.begin()
    bench.set(Timing(stalls=1.0))
    for kind, begun in ((0, 2), (1, 1)):  # a send is offered and the next split; a receive waits for its words
        for n in range(begun + DEPTH):
            await bench.command(0x1000 * n, 64, 1, kind)
            await ClockCycles(dut.aclk, 3)
        await bench.command(0x8000, 64, 1, 1 - kind)
        await RisingEdge(dut.aclk)
        assert dut.error_valid.value == 0
        await bench.command(0x9000, 64, 1, kind)
        await RisingEdge(dut.aclk)
        assert (dut.error_valid.value, dut.error_code.value, dut.error_receive.value) == (1, FULL, kind)
        bench.set(Timing())
        await bench.reset()
        bench.set(Timing(stalls=1.0))


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def errors(dut, seed):
    """The first error of bus or packet is kept with its direction and the address of its burst; nothing begins after it."""
    bench = Memory(dut, np.random.default_rng([seed, 4]))
    await bench.begin()
    for code, receive in itertools.chain.from_iterable(
        [((SLVERR, 0), (DECERR, 0), (SLVERR, 1), (DECERR, 1), (SHORT, 1), (LONG, 1))] * 2
    ):
        bench.pace()
        await bench.some(4, 30)
        await bench.check()
        address = 0x40_0000 + 0x80 * int(bench.rng.integers(100))
        bench.reads.asked, bench.writes.asked = [], []
        if receive:
            bench.writes.faults = {address + 0x80: code} if code <= DECERR else {}
            await bench.receive(address, 40)
            if code > DECERR:
                bench.packets.queue.pop()
                bench.packets.queue += [(0, 0)] * (2 if code == LONG else 0)
                bench.packets.queue[-1] = (0, 1)
        else:
            bench.reads.faults = {address + 0x98: code}
            await bench.send(address, 40, 1)
        await bench.until(lambda: dut.error_valid.value == 1)
        burst = address + (0x80 if code <= DECERR else 0x100)
        got = [known(wire, "error") for wire in (dut.error_code, dut.error_receive, dut.error_address)]
        assert got == [code, receive, burst]
        await bench.until(lambda: dut.quiet.value == 1)
        asked = len(bench.reads.asked), len(bench.writes.asked)
        for kind in (0, 1):
            await bench.command(0x50_0000, 64, 1, kind)
        await ClockCycles(dut.aclk, 40)
        assert (len(bench.reads.asked), len(bench.writes.asked)) == asked
        assert [known(wire, "error") for wire in (dut.error_code, dut.error_receive, dut.error_address)] == got
        bench.reads.faults, bench.writes.faults = {}, {}
        await bench.reset()


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def memory_of_others(dut, seed):
    """Through a memory that others wrote: what is sent comes back as a packet, and is found at another place."""
    rng = np.random.default_rng([seed, 6])
    bench = Memory(dut, rng, memory=False)
    dut.aresetn.value = 0
    ram = axi_ram(dut, rng, 1 << 16)
    await bench.begin()
    for _ in range(12):
        words = int(rng.integers(1, 100))
        source, target = (int(rng.integers(4096 - words)) * 8 + half for half in (0, 1 << 15))
        data = rng.bytes(8 * words)
        ram.write(source, data)
        before = ram.read(target - 8 if target > 1 << 15 else target, 8)
        await bench.command(target, 8 * words, 0, 1)
        await bench.command(source, 8 * words, 1, 0)
        got = await bench.receiver.take(words)
        assert [value for value, _ in got] == np.frombuffer(data, np.uint64).tolist()
        assert [last for _, last in got] == [0] * (words - 1) + [1]
        bench.packets.queue += got
        done = bench.done[1]
        await bench.until(lambda: bench.done[1] > done)  # noqa: B023
        assert ram.read(target, 8 * words) == data
        assert target == 1 << 15 or ram.read(target - 8, 8) == before
