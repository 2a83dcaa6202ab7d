"""spk_layer, with its scanners, slices, memories and queue, against the golden model of one layer."""

import cocotb
import numpy as np
from bench import SEEDS, Receiver, Sender, integer, reset, signed, start
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from monitors import Channel

from spikeline.model import golden
from spikeline.model.model_file import pack_weights
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Reset
from support.networks import direct, fresh, lasting

INPUTS = (
    "config_neurons", "config_direct", "config_continuous", "config_reset_zero", "config_biased", "config_leak",
    "weight_write", "threshold_write", "bias_write", "write_row", "write_slice", "write_pair", "write_odd", "write_data",
    "s_spikes", "s_user", "s_valid", "exit_valid", "exit_tag", "m_ready",
)  # fmt: skip
FIELDS = ("s_spikes", "s_user", "exit_valid", "exit_tag")


class Bench:
    def __init__(self, dut, rng):
        self.dut, self.rng, self.rows = dut, rng, 0
        self.inputs, self.neurons, self.weight_bits, self.membrane_bits, self.classes = (
            int(getattr(dut, name).value) for name in ("INPUTS", "NEURONS", "WEIGHT_BITS", "MEMBRANE_BITS", "CLASSES")
        )
        self.continuous, self.max_leak, self.direct = (int(getattr(dut, x).value) for x in ("CONTINUOUS", "MAX_LEAK", "DIRECT"))
        self.out = Channel(dut, "m_valid", "m_ready", ("m_user",))
        self.vectors: list[tuple[int, int]] = []

    async def begin(self) -> None:
        await start(self.dut, INPUTS, (self.out,))
        self.receiver = Receiver(self.dut, self.out, "m_ready", self.rng)
        cocotb.start_soon(self._look())

    async def _look(self) -> None:
        """Spikes and membranes of every step that is taken; of neurons out of use, membranes are not known."""
        while True:
            await RisingEdge(self.dut.aclk)
            self.rows += int(self.dut.row_reads.value)
            if self.dut.m_valid.value == 1 and self.dut.m_ready.value == 1:
                self.vectors.append((int(self.dut.m_spikes.value), str(self.dut.m_membranes.value)))

    def layer(self) -> Layer:
        limit = 1 << (self.weight_bits - 1)
        shape = (int(self.rng.integers(1, self.inputs + 1)), int(self.rng.integers(1, self.neurons + 1)))
        weights = self.rng.integers(-limit, limit, shape).astype(np.int8)
        if self.continuous and self.rng.random() < 0.7:
            return lasting(self.rng, weights, self.membrane_bits - 1, self.max_leak)
        return fresh(self.rng, weights)

    def network(self, layer: Layer, time_steps: int) -> Network:
        """Of this one layer; with direct input, if it can and may."""
        net = Network((layer,), self.weight_bits, time_steps, decode=Decode.SPIKE_COUNT)
        if not self.direct or layer.continuous or self.rng.random() < 0.5:
            return net
        return direct(self.rng, net, time_steps, self.membrane_bits)

    async def load(self, layer: Layer, is_direct: bool = False) -> None:
        dut = self.dut
        dut.config_direct.value = int(is_direct)
        dut.config_neurons.value, dut.config_continuous.value = layer.neurons, int(layer.continuous)
        dut.config_reset_zero.value = int(layer.reset == Reset.ZERO)
        dut.config_biased.value, dut.config_leak.value = int(layer.biased), layer.leak
        await ClockCycles(dut.aclk, 3)
        for row, words in enumerate(pack_weights(layer.weights, self.weight_bits)):
            for slice_, word in enumerate(words):
                await self._write("weight_write", int(word), row=row, slice=slice_)
        await self._pairs("threshold_write", -layer.thresholds)
        if layer.continuous:
            await self._pairs("bias_write", np.zeros(layer.neurons, int) if layer.biases is None else layer.biases)
        await FallingEdge(dut.aclk)
        dut.weight_write.value = dut.threshold_write.value = dut.bias_write.value = 0
        await ClockCycles(dut.aclk, 4)

    async def _pairs(self, what: str, values: np.ndarray) -> None:
        padded = [*(int(v) & 0xFFFF_FFFF for v in values), 0]
        for pair in range(-(-len(values) // 2)):
            for odd in range(2):
                await self._write(what, padded[2 * pair] | padded[2 * pair + 1] << 32, pair=pair, odd=odd)

    async def _write(self, what: str, data: int, row: int = 0, slice: int = 0, pair: int = 0, odd: int = 0) -> None:
        await FallingEdge(self.dut.aclk)
        for name in ("weight_write", "threshold_write", "bias_write"):
            getattr(self.dut, name).value = int(name == what)
        self.dut.write_row.value, self.dut.write_slice.value, self.dut.write_pair.value = row, slice, pair
        self.dut.write_odd.value, self.dut.write_data.value = odd, data

    def queue(self, spikes: np.ndarray, dropped: dict[int, int]) -> None:
        """Steps of images, bool (B, T, inputs); of image n in `dropped` those from dropped[n] on are not wanted any more."""
        images, steps, _ = spikes.shape
        for n in range(images):
            for t in range(steps):
                user = (n + 1) << 4 | (t + 1 == steps) << 1 | (t == 0)
                self.source.queue.append((integer(spikes[n, t]), user, int(t >= dropped.get(n, steps)), n + 1))

    def membranes(self, bits: str) -> list[int | None]:
        """Of the first neurons, lowest first; None where a bit is not known."""
        width = self.membrane_bits
        parts = [bits[len(bits) - (c + 1) * width : len(bits) - c * width] for c in range(self.classes)]
        return [signed(int(p, 2), width) if set(p) <= {"0", "1"} else None for p in parts]


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def steps(dut, seed):
    """Layers loaded after each other; every spike of every step, membranes of the output, rows counted, steps dropped."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    for _ in range(4):
        images, time_steps = 4, int(rng.integers(1, 9))
        net = bench.network(bench.layer(), time_steps)
        (layer,) = net.layers
        await bench.load(layer, net.direct)
        bench.source = Sender(dut, "s_valid", "s_ready", FIELDS, rng)
        trains = rng.random((images, time_steps, layer.inputs)) < rng.choice([0, 0.05, 0.4, 1], (images, time_steps, 1))
        dropped = {n: int(rng.integers(1, time_steps + 1)) for n in range(images) if rng.random() < 0.3 and not net.direct}
        bench.rows = 0
        bench.queue(trains, dropped)
        await bench.source.done()
        bench.source.stop()
        kept = [(n, t) for n in range(images) for t in range(dropped.get(n, net.decisions))]
        got = await bench.receiver.take(len(kept))
        reference = golden.run(net, trains)
        for (n, t), (user,), (spikes, membranes) in zip(kept, got, bench.vectors, strict=True):
            assert user == (n + 1) << 4 | (t + 1 == net.decisions) << 1 | (t == 0)
            assert spikes == integer(reference.spikes[0][n, t]), (n, t)
            if not layer.continuous:
                used = min(bench.classes, layer.neurons)
                assert bench.membranes(membranes)[:used] == reference.membranes[n, t, :used].tolist()
        bench.vectors = []
        assert bench.rows == sum(int(reference.row_reads[n, t, 0]) for n, t in kept)
        assert dut.idle.value == 1


@cocotb.test()
async def reset_at_any_cycle(dut):
    """Steps under way are gone; the same layer goes on afterwards, its memories as they were."""
    rng = np.random.default_rng(1)
    bench = Bench(dut, rng)
    await bench.begin()
    layer = bench.layer()
    await bench.load(layer)
    for _ in range(6):
        trains = rng.random((3, 4, layer.inputs)) < 0.5
        bench.source = Sender(dut, "s_valid", "s_ready", FIELDS, rng)
        bench.queue(trains, {})
        await ClockCycles(dut.aclk, int(rng.integers(1, 100)))
        bench.source.stop()
        await reset(dut)
        bench.out.passed, bench.vectors, bench.rows = [], [], 0
        bench.source = Sender(dut, "s_valid", "s_ready", FIELDS, rng)
        bench.queue(trains, {})
        await bench.receiver.take(12)
        bench.source.stop()
        reference = golden.run(Network((layer,), bench.weight_bits, 4, decode=Decode.SPIKE_COUNT), trains).spikes[0]
        assert [v for v, _ in bench.vectors] == [integer(step) for image in reference for step in image]
        assert bench.rows == trains.sum()
        assert dut.idle.value == 1
