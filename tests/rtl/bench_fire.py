"""spk_fire against the arithmetic of the golden model, at the ends of the ranges too."""

import cocotb
import numpy as np
from bench import PERIOD, SEEDS, signed
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

INPUTS = (
    "currents", "hold", "active", "index", "restart", "keep", "config_biased", "config_reset_zero", "used",
    "threshold_write", "bias_write", "write_index", "write_value",
)  # fmt: skip
STAGES = 6


class Bench:
    """A group whose neurons are decided as spk_layer has it done: a stage a cycle, the currents held in the second."""

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.group, self.bits, self.continuous, self.max_leak = (
            int(getattr(dut, name).value) for name in ("GROUP", "MEMBRANE_BITS", "CONTINUOUS", "MAX_LEAK")
        )
        self.index_bits = self.group.bit_length() - 1

    def integers(self, bits: int) -> np.ndarray:
        """One a neuron, of so many bits; often the least or the largest."""
        least, most = -(1 << bits - 1), (1 << bits - 1) - 1
        ends = self.rng.choice([least, least + 1, -1, 0, 1, most - 1, most], self.group)
        return np.where(self.rng.random(self.group) < 0.5, ends, self.rng.integers(least, most + 1, self.group))

    async def write(self, what: str, values: np.ndarray) -> None:
        for n, value in enumerate(values):
            await FallingEdge(self.dut.aclk)
            getattr(self.dut, what).value = 1
            self.dut.write_index.value, self.dut.write_value.value = n, int(value) & (1 << self.bits) - 1
        await FallingEdge(self.dut.aclk)
        getattr(self.dut, what).value = 0

    async def decide(self, currents: np.ndarray, restart: bool) -> list[tuple[int, int, int]]:
        """Spike, v − θ and state of each neuron."""
        dut, mask = self.dut, (1 << self.bits) - 1
        results = []
        for cycle in range(self.group + STAGES):
            await FallingEdge(dut.aclk)
            stages = [cycle - stage for stage in range(STAGES)]  # the neuron that each stage holds, if it is one
            active = [0 <= n < self.group for n in stages]
            dut.active.value = sum(1 << k for k, x in enumerate(active) if x)
            dut.index.value = sum((n % self.group) << k * self.index_bits for k, n in enumerate(stages))
            dut.restart.value = int(active[0] and restart)
            dut.hold.value = int(cycle == 1)
            dut.currents.value = sum((int(x) & mask) << n * self.bits for n, x in enumerate(currents)) if cycle == 1 else 0
            if active[-1]:
                state = signed(int(dut.state.value), self.bits - 1) if self.continuous else 0
                results.append((int(dut.spike.value), signed(int(dut.decided.value), self.bits), state))
        return results


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def decisions(dut, seed):
    """Leak, bias, threshold, both resets, saturation; states last from step to step until they start anew."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    for name in INPUTS:
        getattr(dut, name).value = int(name == "used")
    Clock(dut.aclk, PERIOD, unit="ns").start(start_high=False)
    largest = (1 << bench.bits - 2) - 1
    for _ in range(12):
        leak, biased, zero = (int(rng.integers(high + 1)) for high in (bench.max_leak, bench.continuous, 1))
        dut.keep.value = (1 << bench.max_leak) - ((1 << bench.max_leak >> leak) if leak else 0)
        dut.config_biased.value, dut.config_reset_zero.value = biased, zero
        thresholds, biases = bench.integers(bench.bits), bench.integers(bench.bits)
        await bench.write("threshold_write", -thresholds)
        await bench.write("bias_write", biases)
        state = np.zeros(bench.group, int)
        for step in range(4):
            restart = step == 0 or rng.random() < 0.2 or not bench.continuous
            state = np.where(restart, 0, state)
            start_from = state - (state >> leak if leak else 0) + (biases if biased else 0)
            # Of what the compiler lets through: no membrane, with or without its threshold, leaves its bits.
            least, most = -(1 << bench.bits - 1), (1 << bench.bits - 1) - 1
            low = np.maximum(least, least + thresholds) - start_from
            high = np.minimum(most, most + thresholds) - start_from
            wanted = bench.integers(bench.bits)
            membrane = np.clip(wanted, low, high) + start_from
            got = await bench.decide(membrane - start_from, restart)
            fires = membrane >= thresholds
            state = np.where(fires, 0 if zero else membrane - thresholds, membrane).clip(-largest - 1, largest)
            last = state if bench.continuous else np.zeros(bench.group, int)
            assert got == list(zip(fires.astype(int).tolist(), (membrane - thresholds).tolist(), last.tolist(), strict=True))
