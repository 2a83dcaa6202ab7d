"""The accelerator under test: clock, reset, streams and registers, all of them watched and, if asked to, stalling at random."""

import os
from collections.abc import Iterator
from itertools import cycle

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import SimHandleBase
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource
from monitors import LiteMonitor, StreamMonitor, watch

from spikeline.device.packets import Batch, packed
from spikeline.model import model_file
from spikeline.model.network import Network
from spikeline.model.spec import CONTROL, ERROR, RESULT, STATUS, ErrorCode, Register

ROUNDS = int(os.environ.get("SPIKELINE_ROUNDS", 1))  # seeds of every random test
PERIOD = 10  # ns
SILENCE = 40  # clock cycles without work in which nothing may come
LONGEST = 100_000  # clock cycles that anything may take
UNKNOWN_AT_FIRST = ("s_axis_tdata", "s_axis_tlast", "s_axil_awaddr", "s_axil_wdata", "s_axil_wstrb", "s_axil_araddr")


def pauses(rng: np.random.Generator, shares: tuple[float, ...]) -> Iterator[bool]:
    """Whether to pause, cycle by cycle: never, now and then, often, or for long."""
    share = float(rng.choice(shares))
    bits = rng.random(1009) < share
    if rng.random() < 0.3:
        bits = np.repeat(bits[:200], rng.integers(1, 40, 200))
    return cycle([*bits.tolist(), False])


class Accelerator:
    """Drives module `spikeline_stream` as a processor and whoever has streams would."""

    def __init__(self, dut: SimHandleBase, rng: np.random.Generator | None = None):
        self.dut = dut
        Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)
        dut.aresetn.value = 0
        wires = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **wires, byte_lanes=1)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **wires, byte_lanes=1)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), **wires)
        for part in (self.source, self.sink, self.master.write_if, self.master.read_if):
            part.log.setLevel("ERROR")
        for name in UNKNOWN_AT_FIRST:  # a netlist is not made for that
            getattr(dut, name).value = 0
        self.sent, self.received = StreamMonitor(dut, "s_axis"), StreamMonitor(dut, "m_axis")
        self.lite = LiteMonitor(dut)
        watch(dut.aclk, self.sent, self.received, self.lite)
        self.images = 0  # whose results are expected, since the counters were cleared
        self.rng = rng
        w, r = self.master.write_if, self.master.read_if
        self.parts = (self.source, self.sink, w.aw_channel, w.w_channel, w.b_channel, r.ar_channel, r.r_channel)
        if rng is not None:
            self.stall()
            cocotb.start_soon(self._pause())

    def stall(self) -> None:
        """From now on all streams and channels stall, each by a pattern of its own."""
        stream, lite = (0, 0.1, 0.3, 0.7), (0, 0.1, 0.3)
        self.patterns = [pauses(self.rng, stream if n < 2 else lite) for n in range(len(self.parts))]

    async def _pause(self) -> None:
        edge = RisingEdge(self.dut.aclk)
        while True:
            for part, pattern in zip(self.parts, self.patterns, strict=True):
                part.pause = next(pattern)
            await edge

    async def cycles(self, count: int) -> None:
        await ClockCycles(self.dut.aclk, count)

    # ---- reset ----
    async def reset(self, cycles: int = 4) -> None:
        """Pull aresetn; both streams start anew."""
        self.dut.aresetn.value = 0
        self.forget()
        await self.cycles(cycles)
        self.dut.aresetn.value = 1
        await self.cycles(1)
        self.images = 0

    async def soft_reset(self) -> None:
        """Reset by CONTROL, and both streams with it."""
        self.sent.forgiven = self.received.forgiven = True
        for part in (self.source, self.sink):
            part._handle_reset(True)
        self.forget()
        await self.write(Register.CONTROL, CONTROL.pack(reset=1, clear_counters=1))
        await self.cycles(3)
        for part in (self.source, self.sink):
            part._handle_reset(False)
        self.sent.forgiven = self.received.forgiven = False
        self.received.open = []
        self.images = 0

    def forget(self) -> None:
        """Drop what is queued to be sent and what has come."""
        self.source.clear()
        self.sink.clear()

    # ---- registers ----
    async def read(self, address: int) -> int:
        return await with_timeout(self.master.read_dword(address), LONGEST * PERIOD, "ns")

    async def write(self, address: int, value: int) -> None:
        await with_timeout(self.master.write_dword(address, value), LONGEST * PERIOD, "ns")

    async def counter(self, low: Register) -> int:
        return await self.read(low) | await self.read(low + 4) << 32

    async def error(self) -> dict[str, int]:
        """The error register, which is cleared."""
        found = ERROR.unpack(await self.read(Register.ERROR))
        await self.control(clear_error=1)
        return found

    async def control(self, **fields: int) -> None:
        await self.write(Register.CONTROL, CONTROL.pack(**fields))

    # ---- streams ----
    def send(self, words: np.ndarray | list[int]) -> None:
        """Queue a packet."""
        self.source.send_nowait([int(word) for word in words])

    async def load(self, network: Network) -> None:
        """Queue the packets of a network, and wait until all are taken."""
        for packet in model_file.build(network).packets:
            self.send(packet)
        await self.idle()

    def classify(self, batch: Batch) -> None:
        """Queue a batch."""
        self.send(packed(batch))
        self.images += len(batch)

    async def packet(self) -> list[int]:
        """Words of the next packet that comes."""
        frame = await with_timeout(self.sink.recv(), LONGEST * PERIOD, "ns")
        return list(frame.tdata)

    async def results(self) -> list[dict[str, int]]:
        """The next packet, of results without values."""
        return [RESULT.unpack(word) for word in await self.packet()]

    async def idle(self) -> None:
        """Wait until all has been sent and nothing is under way."""
        await with_timeout(self.source.wait(), LONGEST * PERIOD, "ns")
        while self.sent.channel.waiting is not None or self.dut.s_axis_tvalid.value == 1:
            await RisingEdge(self.dut.aclk)
        for _ in range(LONGEST):
            if STATUS.unpack(await self.read(Register.STATUS))["idle"]:
                return
            await self.cycles(20)
        raise AssertionError("never idle")

    async def drained(self, loaded: bool = True, error: ErrorCode = ErrorCode.NONE) -> None:
        """Nothing is under way, nothing more comes, nothing is lost, and the counters say so."""
        await self.idle()
        while not self.sink.idle():
            await RisingEdge(self.dut.aclk)
        words = self.received.words
        assert STATUS.unpack(await self.read(Register.STATUS)) == {"idle": 1, "loaded": int(loaded)}
        assert ERROR.unpack(await self.read(Register.ERROR))["code"] == error
        assert await self.counter(Register.IMAGES_LO) == self.images
        cycles = await self.counter(Register.CYCLES_LO)
        await self.cycles(SILENCE)
        assert self.received.words == words, "results that nobody asked for"
        assert not self.received.open, "a packet without TLAST"
        assert self.sink.empty(), "results that no test has looked at"
        assert self.dut.m_axis_tvalid.value == 0
        assert await self.counter(Register.CYCLES_LO) == cycles, "cycles count without work"
        assert self.lite.idle
