"""spk_seed against spikeline.model.encode."""

import cocotb
import numpy as np
from bench import SEEDS, reset, start
from cocotb.triggers import FallingEdge, RisingEdge

from spikeline.model.encode import image_seed
from spikeline.model.spec import SEED_STATE

CYCLES = 32


class Bench:
    def __init__(self, dut):
        self.dut = dut

    async def ask(self, state: int | None = None) -> None:
        """For the seed of a state, or for the next one."""
        await FallingEdge(self.dut.aclk)
        self.dut.load.value, self.dut.next.value = int(state is not None), int(state is None)
        self.dut.state.value = state or 0
        await FallingEdge(self.dut.aclk)
        self.dut.load.value, self.dut.next.value, self.dut.state.value = 0, 0, 2**64 - 1

    async def seed(self) -> int:
        """The seed, which comes when it should and stays."""
        for _ in range(CYCLES):
            assert self.dut.busy.value == 1
            await RisingEdge(self.dut.aclk)
        await FallingEdge(self.dut.aclk)
        assert self.dut.busy.value == 0
        return int(self.dut.seed.value)


def seeds(state: int, count: int = 1) -> list[int]:
    """What they must be."""
    return image_seed(state - SEED_STATE, 0, count).tolist()


@cocotb.test()
async def every_bit_of_the_state(dut):
    """Single bits, those below them, none and all: every place of the shifts and of the products."""
    bench = Bench(dut)
    await start(dut, ("load", "state", "next"))
    for state in [0, 2**64 - 1, *(1 << n for n in range(64)), *((1 << n) - 1 for n in range(1, 64))]:
        await bench.ask(state)
        assert [await bench.seed()] == seeds(state), hex(state)
    assert seeds(0) == [1]


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def one_after_another(dut, seed):
    """Packets of several images, some taken up in the middle of a seed, or after a reset there; state 0 among them."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut)
    await start(dut, ("load", "state", "next"))
    for n in range(20):
        state = int(rng.integers(2**64, dtype=np.uint64)) if n else 2**64 - 2 * SEED_STATE % 2**64
        expected = seeds(state, 4)
        await bench.ask(state)
        for image in range(4):
            assert await bench.seed() == expected[image]
            if rng.random() < 0.2:
                for _ in range(int(rng.integers(50))):
                    await FallingEdge(dut.aclk)
                assert int(dut.seed.value) == expected[image]
            await bench.ask()
        for _ in range(int(rng.integers(CYCLES))):
            await FallingEdge(dut.aclk)
        if rng.random() < 0.3:
            await reset(dut, 1)
            assert dut.busy.value == 0
