"""The accelerator between registers and memory: what it finds there, what it leaves there, and that nothing else changes."""

from collections.abc import Callable
from itertools import product

import cocotb
import numpy as np
from accelerator import LONGEST, PERIOD, ROUNDS, pauses
from bench_images import KINDS, compare
from cocotb.clock import Clock
from cocotb.handle import SimHandleBase
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from memory import axi_ram, channels
from monitors import LiteMonitor, Monitor, watch

from spikeline.device.packets import Batch, packed
from spikeline.device.transfers import QUEUE
from spikeline.model import golden, model_file
from spikeline.model.network import Network
from spikeline.model.spec import COMMANDS, CONTROL, ERROR, INTERRUPT, MEMORY_ERROR, RECEIVE, SEND, STATUS, MemoryFault, Register
from support.networks import batch, network

SIZE = 1 << 18  # bytes of memory


class Board:
    """The top module with a memory of others' making; `memory` is what it must hold."""

    def __init__(self, dut: SimHandleBase, rng: np.random.Generator):
        self.dut, self.rng, self.free, self.queued = dut, rng, 0, [0, 0]
        Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)
        dut.aresetn.value = 0
        self.ram = axi_ram(dut, rng, SIZE)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, dut.aresetn, False)
        w, r = self.master.write_if, self.master.read_if
        for part in (w, r):
            part.log.setLevel("ERROR")
        for part in (w.aw_channel, w.w_channel, w.b_channel, r.ar_channel, r.r_channel):
            part.set_pause_generator(pauses(rng, (0, 0.1, 0.3)))
        self.memory = bytearray(rng.bytes(SIZE))
        self.ram.write(0, self.memory)
        bus, self.lite = Monitor(dut.aresetn, 0), LiteMonitor(dut)
        bus.channels = channels(dut)
        watch(dut.aclk, bus, self.lite)

    async def reset(self) -> None:
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 4)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 1)
        self.queued = [0, 0]

    async def soft_reset(self) -> None:
        await self.write(Register.CONTROL, CONTROL.pack(reset=1))
        await self.until(Register.STATUS, lambda status: status & STATUS.pack(idle=1))
        self.queued = [0, 0]

    # ---- registers ----
    async def read(self, address: int) -> int:
        return await with_timeout(self.master.read_dword(address), LONGEST * PERIOD, "ns")

    async def write(self, address: int, value: int) -> None:
        await with_timeout(self.master.write_dword(address, value), LONGEST * PERIOD, "ns")

    async def until(self, register: Register, so: Callable[[int], int]) -> None:
        """Wait until what is read of a register is so."""
        for _ in range(LONGEST // 200):
            if so(await self.read(register)):
                return
            await ClockCycles(self.dut.aclk, 20)
        raise AssertionError(
            f"{register.name} is {await self.read(register):x}, memory error {await self.read(Register.MEMORY_ERROR):x}"
        )

    # ---- memory ----
    def place(self, words: int) -> int:
        """An address that is not in use, at no distance from the last one or at some."""
        at = self.free + 8 * int(self.rng.integers(3))
        at = at if at + 8 * words <= SIZE else 0
        self.free = at + 8 * words
        return at

    def put(self, words: np.ndarray) -> int:
        at, data = self.place(len(words)), words.tobytes()
        self.ram.write(at, data)
        self.memory[at : at + len(data)] = data
        return at

    def words(self, at: int, count: int) -> np.ndarray:
        return np.frombuffer(self.ram.read(at, 8 * count), np.uint64)

    def only(self, at: int, count: int) -> None:
        """These words of memory may have changed, and nothing else."""
        self.memory[at : at + 8 * count] = self.ram.read(at, 8 * count)
        assert self.ram.read(0, SIZE) == self.memory

    # ---- commands ----
    async def push(self, register: Register, at: int, value: int) -> None:
        """Queue a command once there is room for it."""
        kind = register == Register.RECEIVE
        if self.queued[kind] >= QUEUE:
            field = ("sends", "receives")[kind]
            await self.until(Register.COMMANDS, lambda word: COMMANDS.unpack(word)[field] < QUEUE)
            self.queued[kind] = COMMANDS.unpack(await self.read(Register.COMMANDS))[field]
        self.queued[kind] += 1
        await self.write(Register.ADDRESS_LO, at)
        await self.write(register, value)

    async def send(self, words: np.ndarray, parts: int = 1) -> None:
        """Send a packet that lies in so many parts."""
        cuts = np.sort(self.rng.integers(1, len(words), parts - 1)) if len(words) > 1 else []
        pieces = [piece for piece in np.split(np.asarray(words, np.uint64), cuts) if len(piece)]
        for n, piece in enumerate(pieces):
            await self.push(Register.SEND, self.put(piece), SEND.pack(words=len(piece), last=n == len(pieces) - 1))

    async def load(self, net: Network) -> None:
        for packet in model_file.build(net).packets:
            await self.send(packet, int(self.rng.integers(1, 4)))

    async def classify(self, images: Batch, results: int, parts: int = 1) -> int:
        """Queue a batch, and a place for so many words of results; return where that is."""
        at = self.place(results)
        await self.push(Register.RECEIVE, at, RECEIVE.pack(words=results))
        await self.send(packed(images), parts)
        return at

    async def works(self, net: Network) -> None:
        """One of each kind, some of them gathered, all queued one after the other."""
        begun, asked = await self.read(Register.RECEIVED), []
        for kind in self.rng.permutation(list(KINDS)):
            images = batch(self.rng, net, int(self.rng.integers(1, 5)), KINDS[kind])
            asked.append((images, await self.classify(images, len(images), int(self.rng.integers(1, 5)))))
        await self.until(Register.RECEIVED, lambda count: count - begun == len(asked))
        for images, at in asked:
            compare(self.words(at, len(images)).tolist(), net, images)
            self.memory[at : at + 8 * len(images)] = self.ram.read(at, 8 * len(images))
        await self.until(Register.STATUS, lambda status: status == STATUS.pack(idle=1, loaded=1))
        assert self.ram.read(0, SIZE) == self.memory
        assert await self.read(Register.COMMANDS) == await self.read(Register.MEMORY_ERROR) == 0
        assert await self.read(Register.ERROR) == 0
        assert self.lite.idle


def fed(rng: np.random.Generator) -> Network:
    """A network that takes images of every kind."""
    return network(rng, encoder=None)


async def start(handle: SimHandleBase, seed: list[int]) -> Board:
    board = Board(handle, np.random.default_rng(seed))
    await board.reset()
    return board


@cocotb.test()
@cocotb.parametrize(seed=range(ROUNDS))
async def all_kinds(handle, seed):
    """Networks and batches follow each other without a pause."""
    board = await start(handle, [seed, 1])
    for _ in range(2):
        net = fed(board.rng)
        await board.load(net)
        for _ in range(2):
            await board.works(net)


@cocotb.test()
@cocotb.parametrize(seed=range(ROUNDS))
async def values_of_every_step(handle, seed):
    """Several words an image, over more than one burst."""
    board = await start(handle, [seed, 2])
    net = fed(board.rng)
    await board.load(net)
    await board.write(Register.CONTROL, CONTROL.pack(scores=1, every_step=1))
    images = batch(board.rng, net, 7)
    results = len(images) * net.decisions * (1 + -(-net.sizes[-1] // 2))
    at = await board.classify(images, results, 3)
    await board.until(Register.RECEIVED, lambda count: count == 1)
    compare(board.words(at, results).tolist(), net, images, scores=True, every_step=True)
    board.only(at, results)


@cocotb.test()
@cocotb.parametrize(seed=range(ROUNDS))
async def resets(handle, seed):
    """At any cycle: of what was under way only right results are in memory, nothing is written later, and all works again."""
    board = await start(handle, [seed, 3])
    for soft, loaded in product((True, False), (True, False)):
        net = fed(board.rng)
        if loaded:
            await board.load(net)
            images = batch(board.rng, net, 6)
            at = await board.classify(images, 6, 2)
            await ClockCycles(handle.aclk, int(board.rng.integers(400)))
        else:
            task = cocotb.start_soon(board.load(net))
            await ClockCycles(handle.aclk, int(board.rng.integers(200, 600)))
            task.cancel()
            await ClockCycles(handle.aclk, 100)  # for the access that was under way
        await (board.soft_reset() if soft else board.reset())
        if loaded:
            labels = golden.run(net, images.trains(net)).labels.tolist()
            old = np.frombuffer(board.memory[at : at + 48], np.uint64).tolist()
            for image, (word, was) in enumerate(zip(board.words(at, 6).tolist(), old, strict=True)):
                assert word == was or (word & 0xFFFF, word >> 32) == (labels[image], image)
            board.only(at, 6)
        counts = [await board.read(r) for r in (Register.SENT, Register.RECEIVED, Register.COMMANDS, Register.INTERRUPT)]
        assert counts == [0, 0, 0, 0]
        assert STATUS.unpack(await board.read(Register.STATUS)) == {"idle": 1, "loaded": 0}
        await ClockCycles(handle.aclk, 200)
        assert board.ram.read(0, SIZE) == board.memory
        await board.load(net)
        await board.works(net)


@cocotb.test()
async def interrupt_line(handle):
    """It rises when results are in memory, once they all are, and when something fails; it falls when that is cleared."""
    board = await start(handle, [4])
    net = fed(board.rng)
    await board.load(net)
    await board.write(Register.INTERRUPT_ENABLE, INTERRUPT.pack(received=1, failed=1))
    for _ in range(4):
        images = batch(board.rng, net, 5)
        assert handle.irq.value == 0
        at = await board.classify(images, 5)
        await with_timeout(RisingEdge(handle.irq), LONGEST * PERIOD, "ns")
        compare(board.words(at, 5).tolist(), net, images)
        board.only(at, 5)
        assert INTERRUPT.unpack(await board.read(Register.INTERRUPT))["received"] == 1
        await board.write(Register.INTERRUPT, INTERRUPT.pack(received=1))
        await ClockCycles(handle.aclk, 2)
    at = await board.classify(batch(board.rng, net, 5), 4)
    await with_timeout(RisingEdge(handle.irq), LONGEST * PERIOD, "ns")
    assert await board.read(Register.MEMORY_ERROR) == MEMORY_ERROR.pack(code=MemoryFault.LONG, receive=1)
    assert await board.read(Register.ERROR_ADDRESS_LO) == max(at, at + 24 & ~127)  # of the last burst
    board.only(at, 4)
    await board.soft_reset()
    assert handle.irq.value == 0
    await board.load(net)
    await board.works(net)


@cocotb.test()
async def refused_packets(handle):
    """A packet that is refused is sent whole, and told by an interrupt; results that do not come leave their place alone."""
    board = await start(handle, [5])
    net = fed(board.rng)
    await board.write(Register.INTERRUPT_ENABLE, INTERRUPT.pack(failed=1))
    images = batch(board.rng, net, 3)
    await board.classify(images, 3)
    await with_timeout(RisingEdge(handle.irq), LONGEST * PERIOD, "ns")
    await board.until(Register.SENT, lambda count: count == 1)
    assert ERROR.unpack(await board.read(Register.ERROR))["code"] != 0
    assert COMMANDS.unpack(await board.read(Register.COMMANDS)) == {"sends": 0, "receives": 1}
    assert board.ram.read(0, SIZE) == board.memory
    await board.soft_reset()
    await board.load(net)
    await board.works(net)


@cocotb.test()
async def counts_wrap(handle):
    """SENT and RECEIVED have 32 bits, then go on from zero."""
    board = await start(handle, [6])
    await FallingEdge(handle.aclk)
    handle.memory.sends.value = handle.memory.receives.value = 0xFFFF_FFFF
    net = fed(board.rng)
    images = batch(board.rng, net, 1)
    await board.load(net)
    await board.until(Register.COMMANDS, lambda word: word == 0)
    sent = await board.read(Register.SENT)
    at = await board.classify(images, 1)
    await board.until(Register.RECEIVED, lambda count: count == 0)
    assert 0 < sent < 100
    assert await board.read(Register.SENT) == sent + 1
    compare(board.words(at, 1).tolist(), net, images)
