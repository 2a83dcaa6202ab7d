"""spk_regs against a model of its registers."""

import cocotb
import numpy as np
from accelerator import pauses
from bench import PERIOD, SEEDS
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from monitors import LiteMonitor, watch

from spikeline.model.spec import COMMANDS, CONTROL, ERROR, INTERRUPT, MEMORY_ERROR, STATUS, Register

EVENTS = ("count_cycle", "count_image", "count_step", "count_stall_input", "count_stall_output")
MEMORY = {  # what comes from the memory, and its bits
    "quiet": 1,
    "send_done": 1,
    "receive_done": 1,
    "sends": 32,
    "receives": 32,
    "sends_left": 8,
    "receives_left": 8,
    "memory_error": 1,
    "memory_error_code": 3,
    "memory_error_receive": 1,
    "memory_error_address": 40,
}
INPUTS = (
    "idle",
    "loaded",
    "model",
    "error_valid",
    "error_code",
    "error_packet",
    "error_layer",
    *MEMORY,
    *EVENTS,
    "count_row_reads",
)
LAYERS = 3
LOWS = [Register.CYCLES_LO + 8 * n for n in range(len(EVENTS))] + [Register.ROW_READS_LO + 8 * n for n in range(LAYERS)]
CHANNELS = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")


class Bench:
    """The slave, with a master that stalls; or, without, with its wires at rest."""

    def __init__(self, dut, rng, master: bool = True):
        self.dut, self.rng = dut, rng
        for name in (*INPUTS, *(f"s_axil_{name}" for name in CHANNELS)):
            getattr(dut, name).value = 0
        dut.aresetn.value, dut.quiet.value = 0, 1
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

    # ---- without a master, at falling edges: what is written is taken at the rising edge between ----
    async def write_now(self, address: int, data: int, strobe: int = 15) -> None:
        dut = self.dut
        dut.s_axil_awaddr.value, dut.s_axil_wdata.value, dut.s_axil_wstrb.value = address, data, strobe
        dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = dut.s_axil_bready.value = 1
        await FallingEdge(dut.aclk)
        dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 0

    async def read_now(self, address: int) -> int:
        dut = self.dut
        dut.s_axil_araddr.value, dut.s_axil_arvalid.value, dut.s_axil_rready.value = address, 1, 1
        await FallingEdge(dut.aclk)
        dut.s_axil_arvalid.value = 0
        value = int(dut.s_axil_rdata.value)
        await FallingEdge(dut.aclk)
        return value


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
    """MODEL is what the core says while a model is loaded, and zero without one; a write changes nothing."""
    rng = np.random.default_rng(5)
    bench = Bench(dut, rng)
    await bench.reset()
    for word in rng.integers(1, 1 << 32, 8).tolist():
        for loaded in (0, 1):
            dut.loaded.value, dut.model.value = loaded, word
            await bench.write(Register.MODEL, 0xFFFF_FFFF)
            assert await bench.read(Register.MODEL) == loaded * word
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


# ---- the memory ----
@cocotb.test()
async def what_the_memory_says(dut):
    """Counts, commands left and the error are read as they are; the address of the next command is kept, byte by byte."""
    rng = np.random.default_rng(7)
    bench = Bench(dut, rng)
    await bench.reset()
    for _ in range(4):
        told = {name: int(rng.integers(1 << bits)) for name, bits in MEMORY.items() if bits > 1}
        told["memory_error_receive"] = int(rng.integers(2))
        await FallingEdge(dut.aclk)
        for name, value in told.items():
            getattr(dut, name).value = value
        for register, expected in {
            Register.SENT: told["sends"],
            Register.RECEIVED: told["receives"],
            Register.COMMANDS: COMMANDS.pack(sends=told["sends_left"], receives=told["receives_left"]),
            Register.MEMORY_ERROR: MEMORY_ERROR.pack(code=told["memory_error_code"], receive=told["memory_error_receive"]),
            Register.ERROR_ADDRESS_LO: told["memory_error_address"] & 0xFFFF_FFFF,
            Register.ERROR_ADDRESS_HI: told["memory_error_address"] >> 32,
        }.items():
            await bench.write(register, 0xFFFF_FFFF)
            assert await bench.read(register) == expected
    place = bytearray(8)
    for n in rng.permutation(8).tolist():
        place[n] = int(rng.integers(1, 256))
        await bench.master.write(Register.ADDRESS_LO + n, place[n : n + 1])
        assert int(dut.command_address.value) == int.from_bytes(place[:5], "little")
    assert await bench.read(Register.ADDRESS_LO) == int.from_bytes(place[:4], "little")
    assert await bench.read(Register.ADDRESS_HI) == place[4]
    assert bench.monitor.idle


@cocotb.test()
async def commands(dut):
    """SEND and RECEIVE, written with all four bytes, give one command each; with fewer, or during a reset, none."""
    rng = np.random.default_rng(8)
    bench = Bench(dut, rng, master=False)
    await bench.reset()
    seen = []

    async def watch_commands() -> None:
        while True:
            await RisingEdge(dut.aclk)
            if dut.command_valid.value == 1:
                fields = dut.command_receive, dut.command_last, dut.command_bytes, dut.command_address
                seen.append(tuple(int(field.value) for field in fields))

    cocotb.start_soon(watch_commands())
    place = 0xAB_0123_4568
    await FallingEdge(dut.aclk)
    for register, value in ((Register.ADDRESS_LO, place & 0xFFFF_FFFF), (Register.ADDRESS_HI, place >> 32)):
        await bench.write_now(register, value)
        await FallingEdge(dut.aclk)
    for strobe in rng.permutation(np.repeat(np.arange(1, 16), 2)).tolist() + [15] * 10:
        receive, value, seen[:] = int(rng.integers(2)), int(rng.integers(1 << 32)), []
        await bench.write_now((Register.SEND, Register.RECEIVE)[receive], value, strobe)
        for _ in range(3):
            await FallingEdge(dut.aclk)
        asked = [(1, value, place)] if receive else [(0, value & ~1, place)]
        assert [(r, size, address) for r, _, size, address in seen] == (asked if strobe == 15 else [])
        assert receive or all(last == value & 1 for _, last, *_ in seen)
    seen.clear()
    dut.quiet.value = 0
    await bench.write_now(Register.CONTROL, CONTROL.pack(reset=1))
    for register in (Register.SEND, Register.RECEIVE):
        await FallingEdge(dut.aclk)
        assert dut.soft_reset.value == 1
        await bench.write_now(register, 64)
    dut.quiet.value = 1
    for _ in range(3):
        await FallingEdge(dut.aclk)
    assert (dut.soft_reset.value, seen) == (0, [])
    assert bench.monitor.idle


@cocotb.test()
async def interrupts(dut):
    """What happens stays in INTERRUPT until a 1 is written over it; enabled, it holds the line; a reset forgets it."""
    bench = Bench(dut, np.random.default_rng(9), master=False)
    await bench.reset()
    await FallingEdge(dut.aclk)

    async def pulse(name: str) -> None:
        getattr(dut, name).value = 1
        await FallingEdge(dut.aclk)
        getattr(dut, name).value = 0
        await FallingEdge(dut.aclk)

    async def pending() -> set[str]:
        return {name for name, value in INTERRUPT.unpack(await bench.read_now(Register.INTERRUPT)).items() if value}

    for wire, name in (
        ("receive_done", "received"),
        ("send_done", "sent"),
        ("memory_error", "failed"),
        ("error_valid", "failed"),
    ):
        dut.error_code.value = 4
        await bench.write_now(Register.INTERRUPT_ENABLE, INTERRUPT.pack(**{name: 1}))
        assert await pending() == set()
        await pulse(wire)
        await FallingEdge(dut.aclk)  # an error is told a cycle later
        await FallingEdge(dut.aclk)
        assert (await pending(), dut.irq.value) == ({name}, 1)
        await bench.write_now(Register.INTERRUPT, INTERRUPT.pack(**{name: 1}) ^ 7)
        assert (await pending(), dut.irq.value) == ({name}, 1)
        await bench.write_now(Register.INTERRUPT_ENABLE, INTERRUPT.pack(**{name: 1}) ^ 7)
        assert (await pending(), dut.irq.value) == ({name}, 0)
        await bench.write_now(Register.INTERRUPT, 7)
        assert await pending() == set()
    await bench.write_now(Register.INTERRUPT_ENABLE, 7)
    await FallingEdge(dut.aclk)
    dut.memory_error.value = 1  # while the error of the core stays: told, though something had failed already
    await FallingEdge(dut.aclk)
    await FallingEdge(dut.aclk)
    assert await pending() == {"failed"}
    await bench.write_now(Register.INTERRUPT, 7)
    assert await pending() == set(), "told once"
    dut.send_done.value = 1  # in the cycle in which it is cleared
    await bench.write_now(Register.INTERRUPT, 7)
    dut.send_done.value = 0
    assert await pending() == {"sent"}
    dut.memory_error.value = 0
    await bench.write_now(Register.CONTROL, CONTROL.pack(reset=1))
    await FallingEdge(dut.aclk)
    await FallingEdge(dut.aclk)
    assert (await pending(), dut.irq.value) == (set(), 0)
    assert await bench.read_now(Register.INTERRUPT_ENABLE) == 7
    assert bench.monitor.idle
