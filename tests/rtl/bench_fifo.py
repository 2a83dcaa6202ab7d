"""spk_fifo against a queue."""

from collections import deque

import cocotb
import numpy as np
from bench import SEEDS, reset, start
from cocotb.triggers import FallingEdge, RisingEdge


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def queue(dut, seed):
    """Any pattern of writing and reading, with a reset now and then: nothing is lost, repeated or overtaken."""
    rng = np.random.default_rng(seed)
    await start(dut, ("s_data", "s_valid", "m_ready"))
    width, depth = len(dut.s_data), dut.DEPTH.value.to_unsigned()
    model: deque[int] = deque()
    for cycle in range(600):
        if rng.random() < 0.01:
            dut.s_valid.value = 0
            await reset(dut, 1)
            model.clear()
        if cycle % 50 == 0:
            write, read = rng.choice([0.1, 0.5, 1], 2)
        await FallingEdge(dut.aclk)
        data = int.from_bytes(rng.bytes(width // 8), "little")
        s_valid, m_ready = len(model) < depth and rng.random() < write, rng.random() < read
        dut.s_data.value, dut.s_valid.value, dut.m_ready.value = data, int(s_valid), int(m_ready)
        await RisingEdge(dut.aclk)
        assert dut.m_valid.value == bool(model)
        if model:
            assert dut.m_data.value == model[0]
            if m_ready:
                model.popleft()
        if s_valid:
            model.append(data)
    await FallingEdge(dut.aclk)
    dut.s_valid.value, dut.m_ready.value = 0, 1
    while model:
        await RisingEdge(dut.aclk)
        assert dut.m_data.value == model.popleft()
    await RisingEdge(dut.aclk)
    assert dut.m_valid.value == 0
