"""A memory behind an AXI4 master without IDs: latency, stalls and errors at will, and the rules of bursts.

Reads find `word(address)`, a value of its own for each address; writes are kept, byte strobes all or none.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cocotb
import numpy as np
from accelerator import PERIOD, pauses
from bench import LONGEST, Sender, share
from cocotb.clock import Clock
from cocotb.handle import SimHandleBase
from cocotb.triggers import FallingEdge, RisingEdge
from cocotb.types import LogicArray
from cocotbext.axi import AxiBus, AxiRam
from monitors import Channel, Monitor, known, watch

CONSTANTS = {"size": 3, "burst": 1, "cache": 3, "prot": 0}  # 8 bytes a word, INCR, normal and not cached
MOST_OPEN = 4


def word(address: int) -> int:
    """What memory holds at an address."""
    return address * 0x9E37_79B9_7F4A_7C15 + 0x1234_5678 & 0xFFFF_FFFF_FFFF_FFFF


@dataclass
class Burst:
    """One under way: words still to come, and the cycle from which on memory answers."""

    address: int
    words: int
    due: int
    left: int


@dataclass
class Timing:
    """Cycles from an address, or from the last word of a write, to the answer, 1 or more; how often each channel waits."""

    latency: int = 1
    jitter: int = 0
    stalls: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Timing":
        return cls(int(rng.choice([1, 3, 25])), int(rng.choice([0, 5, 30])), float(rng.choice([0, 0.2, 0.7])))


class Side:
    """Reads or writes: their channels, bursts that were asked for, and the responses that are not OKAY."""

    INPUTS: tuple[str, ...] = ()
    OUTPUTS: tuple[str, ...] = ()

    def __init__(self, dut: SimHandleBase, rng: np.random.Generator):
        self.dut, self.rng, self.timing = dut, rng, Timing()
        self.wires = {name: getattr(dut, f"m_axi_{name}") for name in (*self.INPUTS, *self.OUTPUTS)}
        self.driven = dict.fromkeys(self.INPUTS, 0)
        for name in self.INPUTS:
            self.wires[name].value = 0
        self.asked: list[tuple[int, int]] = []  # address and words of each burst
        self.faults: dict[int, int] = {}  # responses, by address of the word (reads) or of the burst (writes)

    def clear(self) -> None:
        """Forget what is under way: a hard reset of the bus."""

    def drive(self, **values: int) -> None:
        """Set wires; one that stays as it is costs no time."""
        for name, value in values.items():
            if self.driven[name] != value:
                self.driven[name] = self.wires[name].value = value

    def see(self, name: str) -> int:
        return known(self.wires[name], name)

    def goes(self) -> bool:
        """Does a channel not wait in this cycle?"""
        return not self.timing.stalls or self.rng.random() >= self.timing.stalls

    def burst(self, channel: str, cycle: int) -> Burst:
        """What an address channel asks for, which must be a burst as the HP ports of a Zynq-7000 take it."""
        address, words = self.see(f"{channel}addr"), self.see(f"{channel}len") + 1
        for name, value in CONSTANTS.items():
            wires = getattr(self.dut, f"m_axi_{channel}{name}", None)  # of spk_memory alone
            assert wires is None or wires.value == value
        assert address % 8 == 0
        assert words <= 16
        assert address // 4096 == (address + 8 * words - 1) // 4096, f"{words} words at {address:x} cross 4 KiB"
        self.asked.append((address, words))
        wait = self.timing.latency + (int(self.rng.integers(self.timing.jitter + 1)) if self.timing.jitter else 0)
        return Burst(address, words, cycle + wait, words)


class Reads(Side):
    """The channels AR and R."""

    INPUTS = ("arready", "rvalid", "rdata", "rresp", "rlast")
    OUTPUTS = ("arvalid", "araddr", "arlen", "rready")

    def __init__(self, dut: SimHandleBase, rng: np.random.Generator):
        super().__init__(dut, rng)
        self.open: deque[Burst] = deque()

    def clear(self) -> None:
        self.open.clear()

    def fall(self, cycle: int) -> None:
        """Set the wires for the next rising edge."""
        valid = bool(self.open) and cycle + 1 >= self.open[0].due and self.goes()
        self.drive(arready=int(self.goes()), rvalid=int(valid))
        if valid:
            burst = self.open[0]
            address = burst.address + 8 * (burst.words - burst.left)
            self.drive(rdata=word(address), rresp=self.faults.get(address, 0), rlast=int(burst.left == 1))

    def rise(self, cycle: int) -> None:
        """See what passes at a rising edge."""
        if self.driven["rvalid"]:
            assert self.see("rready"), "the bus waits for the reader"
            self.open[0].left -= 1
            if not self.open[0].left:
                self.open.popleft()
        if self.driven["arready"] and self.see("arvalid"):
            self.open.append(self.burst("ar", cycle))
            assert len(self.open) <= MOST_OPEN


class Writes(Side):
    """The channels AW, W and B."""

    INPUTS = ("awready", "wready", "bvalid", "bresp")
    OUTPUTS = ("awvalid", "awaddr", "awlen", "wvalid", "wdata", "wstrb", "wlast", "bready")

    def __init__(self, dut: SimHandleBase, rng: np.random.Generator):
        super().__init__(dut, rng)
        self.written: dict[int, int] = {}  # words by address
        self.masked = 0  # words without strobes
        self.words: deque[tuple[int, int, int]] = deque()  # data, strobe and last of those whose address is to come
        self.addressed: deque[Burst] = deque()  # bursts whose words are to come
        self.answers: deque[tuple[int, int]] = deque()  # when, and which
        self.within = False  # a burst of words has begun

    def clear(self) -> None:
        for under_way in (self.words, self.addressed, self.answers):
            under_way.clear()
        self.within = False

    @property
    def open(self) -> bool:
        return bool(self.words or self.addressed or self.answers or self.within)

    def fall(self, cycle: int) -> None:
        valid = bool(self.answers) and cycle + 1 >= self.answers[0][0] and self.goes()
        self.drive(awready=int(self.goes()), wready=int(self.goes()), bvalid=int(valid))
        if valid:
            self.drive(bresp=self.answers[0][1])

    def rise(self, cycle: int) -> None:
        if self.driven["bvalid"]:
            assert self.see("bready"), "the bus waits for the writer"
            self.answers.popleft()
        valid = self.see("wvalid")
        assert valid or not self.within, "a burst waits for its words"
        if valid and self.driven["wready"]:
            self.words.append((self.see("wdata"), self.see("wstrb"), self.see("wlast")))
            self.within = not self.words[-1][2]
        if self.driven["awready"] and self.see("awvalid"):
            self.addressed.append(self.burst("aw", cycle))
        while self.words and self.addressed:
            burst = self.addressed[0]
            (data, strobe, last), address = self.words.popleft(), burst.address + 8 * (burst.words - burst.left)
            assert strobe in (0, 255)
            if strobe:
                assert address not in self.written, f"{address:x} is written twice"
                self.written[address] = data
            self.masked += not strobe
            burst.left -= 1
            assert last == (burst.left == 0), "WLAST is not at the last word"
            if last:
                self.addressed.popleft()
                self.answers.append((max(burst.due, cycle + self.timing.latency), self.faults.get(burst.address, 0)))
        assert len(self.addressed) + len(self.answers) <= MOST_OPEN


def channels(dut: SimHandleBase) -> list[Channel]:
    """What a master offers on its bus, to be watched."""
    found = []
    for channel, payload in {"ar": ("addr", "len"), "aw": ("addr", "len"), "w": ("data", "strb", "last")}.items():
        p = f"m_axi_{channel}"
        if hasattr(dut, f"{p}valid"):
            found.append(Channel(dut, f"{p}valid", f"{p}ready", tuple(p + field for field in payload)))
    return found


class Absent:
    """The ID wire that our masters do not have, and the AxiRam asks for: always zero, whatever is driven."""

    value = property(lambda self: LogicArray("0"), lambda self, _: None)

    def __len__(self) -> int:
        return 1

    def setimmediatevalue(self, _: object) -> None:
        """Nothing is driven."""


def axi_ram(dut: SimHandleBase, rng: np.random.Generator, size: int) -> AxiRam:
    """A memory of others' making; each of its channels stalls by a pattern of its own."""
    bus = AxiBus.from_prefix(dut, "m_axi")
    for channel, name in ((bus.write.aw, "awid"), (bus.write.b, "bid"), (bus.read.ar, "arid"), (bus.read.r, "rid")):
        channel._signals[name] = Absent()
        setattr(channel, name, channel._signals[name])
    ram = AxiRam(bus, dut.aclk, dut.aresetn, False, size=size)
    w, r = ram.write_if, ram.read_if
    for part in (w, r, w.aw_channel, w.w_channel, w.b_channel, r.ar_channel, r.r_channel):
        part.log.setLevel("ERROR")
    for part in (w.aw_channel, w.w_channel, w.b_channel, r.ar_channel, r.r_channel):
        part.set_pause_generator(pauses(rng, (0, 0.3, 0.8)))
    return ram


class Bench:
    """A module with its memory, its clock and its two resets; what it offers is watched."""

    def __init__(self, dut: SimHandleBase, rng: np.random.Generator, inputs: tuple[str, ...], memory: bool = True):
        self.dut, self.rng, self.cycle, self.running = dut, rng, 0, False
        for name in (*inputs, "aresetn", "reset"):
            getattr(dut, name).value = 0
        self.pages = (1 << dut.ADDRESS_BITS.value.to_unsigned() - 12) - 256
        self.bus = Monitor(dut.aresetn, 0)  # a soft reset takes nothing back
        self.streams = Monitor(dut.aresetn, 0)
        self.reads = Reads(dut, rng) if memory and hasattr(dut, "m_axi_arvalid") else None
        self.writes = Writes(dut, rng) if memory and hasattr(dut, "m_axi_awvalid") else None
        self.sides = [side for side in (self.reads, self.writes) if side]
        self.bus.channels += channels(dut)
        if hasattr(dut, "m_axis_tvalid"):
            self.out = Channel(dut, "m_axis_tvalid", "m_axis_tready", ("m_axis_tdata", "m_axis_tlast"))
            self.streams.channels.append(self.out)
        Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)
        watch(dut.aclk, self.bus, self.streams)
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await FallingEdge(self.dut.aclk)
            for side in self.sides:
                side.fall(self.cycle)
            await RisingEdge(self.dut.aclk)
            self.cycle += 1
            if self.running:
                for side in self.sides:
                    side.rise(self.cycle)

    def set(self, timing: Timing) -> None:
        for side in self.sides:
            side.timing = timing

    def place(self, most: int) -> tuple[int, int]:
        """An address, half of them near a border of 4 KiB, and a number of words."""
        words, page = 1 + int(self.rng.integers(most)), int(self.rng.integers(self.pages))
        first = self.rng.integers(512) if self.rng.random() < 0.5 else 512 - self.rng.integers(words)
        return (page << 12) + 8 * int(first), words

    async def begin(self) -> None:
        """Leave a hard reset."""
        for _ in range(3):
            await FallingEdge(self.dut.aclk)
        self.dut.aresetn.value, self.running = 1, True

    async def reset(self) -> None:
        """A soft reset, held until `quiet`. No burst may be open then."""
        await FallingEdge(self.dut.aclk)
        self.dut.reset.value = 1
        self.streams.forgiven = True
        await self.until(lambda: self.dut.quiet.value == 1)
        for side in self.sides:
            assert not side.open, "a burst is open after a reset"
        await FallingEdge(self.dut.aclk)
        self.dut.reset.value = 0
        self.streams.forgiven = False
        if hasattr(self, "out"):
            self.out.clear()
            self.out.passed.clear()

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait for a rising edge at which something is so."""
        for _ in range(LONGEST):
            await RisingEdge(self.dut.aclk)
            if so():
                return
        raise AssertionError("it never comes")


class Master(Bench):
    """spk_reader or spk_writer alone, with `stop` as spk_memory drives it."""

    def __init__(self, dut: SimHandleBase, rng: np.random.Generator, inputs: tuple[str, ...]):
        super().__init__(dut, rng, inputs)
        self.done = 0
        self.errors: list[tuple[int, int]] = []  # codes and addresses
        self.senders: list[Sender] = []
        self.give()
        cocotb.start_soon(self._stop())

    def give(self) -> None:
        """Begin to send, with nothing to be sent yet."""

    async def _stop(self) -> None:
        dut, stop = self.dut, False
        wires = [getattr(dut, name) for name in ("done", "error_valid", "reset")]
        while True:
            await RisingEdge(dut.aclk)
            if not self.running:
                continue
            done, error, reset = (known(wire, "status") for wire in wires)
            self.done += done
            if error:
                assert not stop
                self.errors.append((int(dut.error_code.value), int(dut.error_address.value) << 3))
            if stop != ((stop or error) and not reset):
                stop = not stop
                await FallingEdge(dut.aclk)
                dut.stop.value = int(stop)

    def pace(self, timing: Timing | None = None) -> None:
        """Time and stalls of all channels: as said and none, or by chance."""
        self.set(timing or Timing.draw(self.rng))
        for sender in self.senders:
            sender.share = 0 if timing else share(self.rng)

    async def reset(self) -> None:
        """A soft reset; what is commanded or sent during it is lost."""
        for sender in self.senders:
            sender.stop()
        await super().reset()
        self.give()
