"""spk_scan against np.flatnonzero."""

from collections import deque

import cocotb
import numpy as np
from bench import SEEDS, integer, reset, share, start
from cocotb.triggers import FallingEdge, RisingEdge

INPUTS = ("s_spikes", "s_user", "s_valid", "start")


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def every_spike_once(dut, seed):
    """Each set bit of the lane once, lowest first, a cycle each; an empty vector takes one; users stay with their vector."""
    rng = np.random.default_rng(seed)
    await start(dut, INPUTS)
    inputs, lanes, lane = (int(getattr(dut, name).value) for name in ("INPUTS", "LANES", "LANE"))
    wait_in, wait_start = share(rng), share(rng)
    if seed % 2:  # leave it in the middle of work
        dut.s_spikes.value, dut.s_valid.value, dut.start.value = (1 << inputs) - 1, 1, 0
        for _ in range(int(rng.integers(1, 6))):
            await FallingEdge(dut.aclk)
        dut.s_valid.value = 0
        await reset(dut)
    vectors = [rng.random(inputs) < rng.choice([0, 0.03, 0.5, 1]) for _ in range(25)]
    taken: deque[np.ndarray] = deque()
    expected: deque[int] = deque()
    running, cycles, owed, offered, sent, steps = False, 0, 1, False, 0, 0
    while steps < len(vectors) or running:
        await FallingEdge(dut.aclk)
        if not offered:
            offered = sent < len(vectors) and rng.random() >= wait_in
            dut.s_valid.value = int(offered)
            dut.s_spikes.value = integer(vectors[sent]) if offered else (1 << inputs) - 1
            dut.s_user.value = sent % 16
        may_start = dut.next_valid.value == 1 and (not running or dut.done.value == 1)
        begins = may_start and rng.random() >= wait_start
        dut.start.value = int(begins)
        await RisingEdge(dut.aclk)
        if dut.valid.value == 1:
            assert running, "a spike outside a step"
            assert dut.index.value == expected.popleft()
        if running:
            cycles += 1
            assert cycles <= owed
            if dut.done.value == 1:
                assert not expected, "spikes are left"
                assert cycles == owed
                running = False
        if begins:
            indices = np.flatnonzero(taken.popleft()[lane::lanes])
            expected.extend(indices.tolist())
            assert dut.next_user.value == steps % 16
            running, cycles, owed, steps = True, 0, max(1, len(indices)), steps + 1
        if offered and dut.s_ready.value == 1:
            taken.append(vectors[sent])
            offered, sent = False, sent + 1
    await FallingEdge(dut.aclk)
    dut.start.value = 0
    for _ in range(10):
        await RisingEdge(dut.aclk)
        assert (dut.empty.value, dut.valid.value, dut.next_valid.value) == (1, 0, 0)
