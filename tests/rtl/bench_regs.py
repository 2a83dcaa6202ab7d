"""spk_regs against a model of its registers."""

import cocotb
import numpy as np
from accelerator import pauses
from bench import PERIOD, SEEDS
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from monitors import LiteMonitor, watch

from spikeline.model.spec import CONTROL, ERROR, STATUS, Register

EVENTS = ("count_cycle", "count_image", "count_step", "count_stall_input", "count_stall_output")
INPUTS = ("idle", "loaded", "error_valid", "error_code", "error_packet", "error_layer", *EVENTS, "count_row_reads")
LAYERS = 3
LOWS = [Register.CYCLES_LO + 8 * n for n in range(len(EVENTS))] + [Register.ROW_READS_LO + 8 * n for n in range(LAYERS)]
CHANNELS = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")


class Bench:
    """The slave, with a master that stalls; or, without, with its wires at rest."""

    def __init__(self, dut, rng, master: bool = True):
        self.dut, self.rng = dut, rng
        for name in (*INPUTS, *(f"s_axil_{name}" for name in CHANNELS)):
            getattr(dut, name).value = 0
        dut.aresetn.value = 0
        Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)
        self.monitor = LiteMonitor(dut)
        watch(dut.aclk, self.monitor)
        if master:
            self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.aclk, dut.aresetn, False)
            w, r = self.master.write_if, self.master.read_if
            for part in (w.aw_channel, w.w_channel, w.b_channel, r.ar_channel, r.r_channel):
                part.set_pause_generator(pauses(rng, (0, 0.3, 0.8)))

    async def reset(self) -> None:
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, 3)
        await FallingEdge(self.dut.aclk)
        self.dut.aresetn.value = 1

    async def read(self, address: int) -> int:
        return await self.master.read_dword(address)

    async def write(self, address: int, value: int) -> None:
        await self.master.write_dword(address, value)


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def counters(dut, seed):
    """Every event counts once, in its counter; clearing sets all to zero; a reset too."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    for round_ in range(2):
        await bench.reset()
        total = np.zeros(len(LOWS), int)
        for _ in range(100):
            events, rows = rng.integers(0, 2, len(EVENTS)), rng.integers(0, 9, LAYERS)
            for name, value in zip(EVENTS, events, strict=True):
                getattr(dut, name).value = int(value)
            dut.count_row_reads.value = sum(int(v) << 4 * n for n, v in enumerate(rows))
            await FallingEdge(dut.aclk)
            total += [*events, *rows]
        for name in (*EVENTS, "count_row_reads"):
            getattr(dut, name).value = 0
        assert [await bench.read(low) for low in LOWS] == total.tolist()
        if round_:
            await bench.write(Register.CONTROL, CONTROL.pack(clear_counters=1))
            assert [await bench.read(low) for low in LOWS] == [0] * len(LOWS)
    assert bench.monitor.idle


@cocotb.test()
async def high_words(dut):
    """A carry between the reads of the two halves does not tear them apart; 48 bits, then from zero."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, rng)
    await bench.reset()
    near = (1 << 48) - (1 << 32) - 20  # the low word is about to overflow
    for _ in range(12):
        dut.count_cycle.value = 0
        await FallingEdge(dut.aclk)
        dut.counter_reg.value = sum(near << 48 * n for n in range(len(LOWS)))
        await FallingEdge(dut.aclk)
        dut.count_cycle.value = 1
        await ClockCycles(dut.aclk, int(rng.integers(1, 15)))
        low = await bench.read(Register.CYCLES_LO)
        await ClockCycles(dut.aclk, 30)
        high = await bench.read(Register.CYCLES_HI)
        assert near <= (high << 32 | low) < near + 200
        assert await bench.read(Register.ROW_READS_LO) == near & 0xFFFF_FFFF
        assert await bench.read(Register.ROW_READS_HI) == near >> 32
    dut.count_cycle.value = 0
    dut.counter_reg.value = (1 << 48) - 1
    await FallingEdge(dut.aclk)
    dut.count_cycle.value = 1
    await FallingEdge(dut.aclk)
    dut.count_cycle.value = 0
    assert (await bench.read(Register.CYCLES_LO), await bench.read(Register.CYCLES_HI)) == (0, 0)
    assert await bench.read(Register.IMAGES_LO) == 0


@cocotb.test()
async def first_error(dut):
    """The first error stays until it is cleared, by CONTROL.clear_error or a reset; one that comes with the clearing is lost."""
    rng = np.random.default_rng(2)
    bench = Bench(dut, rng)
    await bench.reset()

    async def happen(code: int, packet: int, layer: int) -> None:
        await FallingEdge(dut.aclk)
        dut.error_valid.value, dut.error_code.value, dut.error_packet.value, dut.error_layer.value = 1, code, packet, layer
        await FallingEdge(dut.aclk)
        dut.error_valid.value = 0

    async def seen() -> dict[str, int]:
        return ERROR.unpack(await bench.read(Register.ERROR))

    none = {"code": 0, "packet": 0, "layer": 0}
    for clear in (CONTROL.pack(clear_error=1), CONTROL.pack(reset=1)):
        assert await seen() == none
        await happen(5, 3, 2)
        await happen(7, 1, 0)
        assert await seen() == {"code": 5, "packet": 3, "layer": 2}
        await bench.write(Register.CONTROL, CONTROL.pack(clear_counters=1, scores=1))
        assert (await seen())["code"] == 5
        await bench.write(Register.CONTROL, clear)
    await happen(255, 255, 255)
    assert await seen() == {"code": 255, "packet": 255, "layer": 255}
    await bench.reset()
    assert await seen() == none
    assert bench.monitor.idle


@cocotb.test()
async def model(dut):
    """MODEL keeps what is written, byte by byte, while a model is loaded; a cycle without one, or a reset, clears it."""
    rng = np.random.default_rng(5)
    bench = Bench(dut, rng)
    await bench.reset()
    await bench.write(Register.MODEL, 0xFFFF_FFFF)
    assert await bench.read(Register.MODEL) == 0, "named without a model"

    async def unload() -> None:
        await FallingEdge(dut.aclk)
        dut.loaded.value = 0
        await FallingEdge(dut.aclk)
        dut.loaded.value = 1

    dut.loaded.value = 1
    for forget in (unload, lambda: bench.write(Register.CONTROL, CONTROL.pack(reset=1)), bench.reset):
        expected = bytearray(4)
        for strobe in rng.permutation(16).tolist():
            word = rng.integers(1, 256, 4, np.uint8).tobytes()
            for n in (n for n in range(4) if strobe >> n & 1):
                await bench.master.write(Register.MODEL + n, word[n : n + 1])
                expected[n] = word[n]
            assert await bench.read(Register.MODEL) == int.from_bytes(expected, "little")
            await bench.write(Register.CONTROL, CONTROL.pack(clear_error=1, clear_counters=1))
            await bench.write(Register.MODEL + 4, 0xFFFF_FFFF)
        await forget()
        assert await bench.read(Register.MODEL) == 0
    assert bench.monitor.idle


@cocotb.test()
async def model_written_while_it_is_forgotten(dut):
    """A write in the very cycle in which `loaded` falls is lost; one in the cycle after stays."""
    bench = Bench(dut, np.random.default_rng(6), master=False)
    await bench.reset()
    dut.loaded.value = dut.s_axil_bready.value = dut.s_axil_rready.value = 1

    async def write(address: int, data: int) -> None:
        dut.s_axil_awaddr.value, dut.s_axil_wdata.value, dut.s_axil_wstrb.value = address, data, 15
        dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 1
        await FallingEdge(dut.aclk)
        dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 0

    async def named() -> int:
        await FallingEdge(dut.aclk)
        dut.s_axil_araddr.value, dut.s_axil_arvalid.value = Register.MODEL, 1
        await FallingEdge(dut.aclk)
        dut.s_axil_arvalid.value = 0
        await FallingEdge(dut.aclk)
        return int(dut.s_axil_rdata.value)

    for early, expected in ((0, 0), (1, 0x1234_5678)):
        await FallingEdge(dut.aclk)
        dut.loaded.value = 0
        for _ in range(early):
            await FallingEdge(dut.aclk)
            dut.loaded.value = 1
        await write(Register.MODEL, 0x1234_5678)
        dut.loaded.value = 1
        assert await named() == expected
    assert bench.monitor.idle


@cocotb.test()
async def status_and_control(dut):
    """STATUS is what the core says; the bits of CONTROL reach it, resets as one pulse; aresetn sets it to zero."""
    rng = np.random.default_rng(3)
    bench = Bench(dut, rng)
    await bench.reset()
    for idle, loaded in ((0, 0), (1, 0), (0, 1), (1, 1)):
        await FallingEdge(dut.aclk)
        dut.idle.value, dut.loaded.value = idle, loaded
        assert STATUS.unpack(await bench.read(Register.STATUS)) == {"idle": idle, "loaded": loaded}
    pulses = 0

    async def count() -> None:
        nonlocal pulses
        while True:
            await RisingEdge(dut.aclk)
            pulses += int(dut.soft_reset.value)

    cocotb.start_soon(count())
    for n in range(8):
        scores, every_step, reset = n & 1, n >> 1 & 1, n >> 2
        await bench.write(Register.CONTROL, CONTROL.pack(scores=scores, every_step=every_step, reset=reset))
        await ClockCycles(dut.aclk, 2)
        assert (dut.scores.value, dut.every_step.value) == (scores, every_step)
        assert await bench.read(Register.CONTROL) == CONTROL.pack(scores=scores, every_step=every_step)
    assert pulses == 4
    await bench.reset()
    await ClockCycles(dut.aclk, 1)
    assert (dut.scores.value, dut.every_step.value, dut.soft_reset.value) == (0, 0, 0)


@cocotb.test()
async def strobes_and_order(dut):
    """All sixteen strobes; the address before the data, after it and with it; unaligned addresses name their word."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, rng, master=False)
    await bench.reset()
    scores = every_step = 0
    for strobe in [*range(16), *rng.integers(0, 16, 40).tolist()]:
        address = int(rng.choice([Register.CONTROL, Register.CONTROL + 1, Register.CONTROL + 3, Register.STATUS, 0x80C, 0xFFC]))
        data = int(rng.integers(1 << 32)) & ~CONTROL.pack(reset=1)
        dut.s_axil_awaddr.value, dut.s_axil_wdata.value, dut.s_axil_wstrb.value = address, data, int(strobe)
        first = int(rng.integers(3))
        await FallingEdge(dut.aclk)
        if first < 2:
            (dut.s_axil_awvalid, dut.s_axil_wvalid)[first].value = 1
            for _ in range(int(rng.integers(1, 4))):
                await RisingEdge(dut.aclk)
                assert (dut.s_axil_awready.value, dut.s_axil_wready.value) == (0, 0)
            await FallingEdge(dut.aclk)
        dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 1
        await RisingEdge(dut.aclk)
        assert (dut.s_axil_awready.value, dut.s_axil_wready.value) == (1, 1)
        await FallingEdge(dut.aclk)
        dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 0
        for _ in range(int(rng.integers(1, 4))):
            await FallingEdge(dut.aclk)
            assert dut.s_axil_bvalid.value == 1
        dut.s_axil_bready.value = 1
        await FallingEdge(dut.aclk)
        assert dut.s_axil_bvalid.value == 0
        dut.s_axil_bready.value = 0
        if address & ~3 == Register.CONTROL and strobe & 2:
            scores, every_step = data >> 8 & 1, data >> 9 & 1
        assert (dut.scores.value, dut.every_step.value) == (scores, every_step)
    assert bench.monitor.idle
