"""spk_crc against zlib."""

import zlib

import cocotb
import numpy as np
from accelerator import PERIOD
from bench import SEEDS
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from spikeline.model.model_file import WORD

LENGTHS = (1, 2, 3, 40)


class Bench:
    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        dut.valid.value = 0
        Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)

    async def crc(self, words: np.ndarray, gaps: float) -> int:
        """Words of one message, noise between them; what stands two cycles after the last."""
        for n, word in enumerate(words.tolist()):
            while self.rng.random() < gaps:
                await self.offer(0, int(self.rng.integers(1 << 62)), int(self.rng.integers(2)))
            await self.offer(1, word, int(n == 0))
        await self.offer(0, 0, 0)
        return int(self.dut.crc.value)

    async def offer(self, valid: int, data: int, first: int) -> None:
        self.dut.valid.value, self.dut.data.value, self.dut.first.value = valid, data, first
        await FallingEdge(self.dut.aclk)


@cocotb.test()
async def every_bit(dut):
    """A remainder is linear in its message: right for no bit and for each by itself, early or late, it is right for all."""
    bench = Bench(dut, np.random.default_rng(0))
    await FallingEdge(dut.aclk)
    for length in (1, 2, 3):
        messages = np.zeros((64 * length + 1, length), WORD)
        for bit in range(64 * length):
            messages[bit, bit // 64] = 1 << bit % 64
        for message in messages:
            assert await bench.crc(message, 0) == zlib.crc32(message.tobytes())


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def messages_with_gaps(dut, seed):
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await FallingEdge(dut.aclk)
    for length in (*LENGTHS, *rng.integers(1, 30, 6).tolist()):
        message = rng.integers(0, 1 << 64, length, WORD)
        assert await bench.crc(message, float(rng.choice([0, 0.3, 0.8]))) == zlib.crc32(message.tobytes())
