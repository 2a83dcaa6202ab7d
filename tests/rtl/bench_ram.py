"""spk_ram against an array."""

import cocotb
import numpy as np
from bench import PERIOD, SEEDS
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def words(dut, seed):
    """Both ports at once: what was read two cycles ago comes if it counts, else zero."""
    rng = np.random.default_rng(seed)
    Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)
    depth, width = dut.DEPTH.value.to_unsigned(), len(dut.a_wdata)
    memory, shown = {}, {"a": deque_of(2), "b": deque_of(2)}
    dut.a_valid.value = dut.b_valid.value = dut.a_read.value = dut.b_read.value = 0
    for cycle in range(3 * depth):
        await FallingEdge(dut.aclk)
        write = cycle < depth or rng.random() < 0.3
        address = {p: int(rng.integers(depth)) for p in "ab"}
        if cycle < depth:
            address["a"] = cycle
        read = {p: cycle >= depth and rng.random() < 0.7 for p in "ab"}
        read["a"] &= not write
        read["b"] &= not (write and address["a"] == address["b"])  # what comes then is not said
        data = int.from_bytes(rng.bytes(width // 8), "little")
        dut.a_write.value, dut.a_wdata.value = int(write), data
        for p in "ab":
            getattr(dut, f"{p}_read").value = int(read[p])
            getattr(dut, f"{p}_address").value = address[p]
            getattr(dut, f"{p}_valid").value = int(shown[p][1] is not None)
        await RisingEdge(dut.aclk)
        if cycle > 3:
            for p in "ab":
                assert getattr(dut, f"{p}_rdata").value == (shown[p][0] or 0)
        for p in "ab":
            shown[p] = [shown[p][1], memory[address[p]] if read[p] else None]
        if write:
            memory[address["a"]] = data


def deque_of(length: int) -> list:
    return [None] * length
