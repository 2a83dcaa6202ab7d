"""spk_convolve against the golden model: every position that is handed on, in order, and every membrane that lasts."""

from dataclasses import replace

import cocotb
import numpy as np
from bench import SEEDS, Receiver, Sender, integer, pulse, reset, signed, start
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from monitors import Channel

from spikeline.model import golden, model_file
from spikeline.model.geometry import ConvolutionGeometry
from spikeline.model.network import KERNELS, LARGEST_SIDE, Layer, Network, Window
from spikeline.model.spec import Encoder
from support.networks import fresh, lasting

CONFIG = ("channels", "maps", "window", "direct", "continuous", "reset_zero", "biased", "leak")
INPUTS = (
    "clear", "weight_write", "threshold_write", "bias_write", "write_row", "write_slice", "write_pair", "write_odd",
    "write_data", "s_end", "s_spikes", "s_data", "s_valid", "m_ready", *(f"config_{name}" for name in CONFIG),
)  # fmt: skip
PARAMETERS = (
    "MAPS", "IN_MAPS", "ROWS", "WORDS", "POSITIONS", "WEIGHT_BITS", "MEMBRANE_BITS", "CONTINUOUS", "MAX_LEAK", "DIRECT",
    "USER_BITS",
)  # fmt: skip
ROUNDS = 8
ORDERS = ("as sent", "backwards", "by columns", "columns backwards", "shuffled", "to and fro")


class Bench:
    """The core, what sends to it and what takes from it."""

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.__dict__ |= {name.lower(): int(getattr(dut, name).value) for name in PARAMETERS}
        self.unit = ConvolutionGeometry(self.maps, self.rows, self.words, self.positions)

    async def begin(self) -> None:
        self.output = Channel(self.dut, "m_valid", "m_ready", ("m_end", "m_data", "m_spikes"), partly="m_spikes")
        await start(self.dut, INPUTS, (self.output,))
        self.connect()
        self.states: list[list[int]] = []
        self.reads = 0
        cocotb.start_soon(self._watch())

    def connect(self) -> None:
        self.source = Sender(self.dut, "s_valid", "s_ready", ("s_end", "s_data", "s_spikes"), self.rng)
        self.sink = Receiver(self.dut, self.output, "m_ready", self.rng)

    async def _watch(self) -> None:
        """Membranes as they are decided; spikes that are added."""
        dut, bits = self.dut, self.membrane_bits - 1
        while True:
            await RisingEdge(dut.aclk)
            self.reads += dut.row_read.value == 1
            if self.continuous and dut.decided.value == 1:
                # Of maps that are not in use, what lasts may be unknown.
                text = str(dut.states.value)[::-1]
                self.states.append([number(text[m * bits : (m + 1) * bits][::-1]) for m in range(self.maps)])

    def window(self) -> Window:
        """A window that fits: of every size, and often of the smallest and the widest."""
        for _ in range(10_000):
            kernel, stride, pool = int(self.rng.choice(KERNELS)), int(self.rng.integers(1, 3)), bool(self.rng.integers(2))
            height, width = (int(x) for x in self.rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, LARGEST_SIDE - 1, LARGEST_SIDE], 2))
            channels = int(self.rng.integers(1, 1 + min(ROUNDS * self.in_maps, self.rows // kernel**2)))
            made = Window(channels, height, width, kernel, stride, int(self.rng.integers(2)) * (kernel // 2), pool)
            # What a step takes: a cycle for each spike in each round.
            if height * width * channels <= 200 and not made.fault() and not self.unit.misfit(empty(made, 1)):
                return made
        raise AssertionError("no window fits")

    def layer(self, direct: int = 0) -> Layer:
        """A layer that fits; direct: for so many planes."""
        window = self.window()
        most = next(n for n in range(ROUNDS * self.maps, 0, -1) if not self.unit.misfit(empty(window, n)))
        maps = int(self.rng.choice([1, most, self.rng.integers(1, most + 1)]))
        limit = 1 << self.weight_bits - 1
        weights = self.rng.integers(-limit, limit, (window.fan_in, maps)).astype(np.int8)
        largest = (1 << direct) - 1 if direct else 1
        room = 1 << self.membrane_bits - 3
        weights[np.abs(weights.astype(int)).cumsum(0).max(1) * largest >= room] = 0
        if self.continuous and not direct and self.rng.random() < 0.6:
            made = lasting(self.rng, weights, self.membrane_bits - 1, self.max_leak)
        else:
            made = fresh(self.rng, weights)
            made = replace(made, thresholds=made.thresholds * largest)
        return replace(made, window=window)

    async def load(self, layer: Layer, direct: bool = False) -> None:
        """Configure, clear, and write weights, thresholds and biases."""
        dut, window = self.dut, layer.window
        word = {"kernel": window.kernel, "height": window.height << 2, "width": window.width << 9}
        fields = sum(word.values()) | (window.stride - 1) << 16 | (window.padding > 0) << 17 | window.pool << 18
        values = (window.channels, layer.columns, fields, direct, layer.continuous, layer.reset, layer.biased, layer.leak)
        await FallingEdge(dut.aclk)
        for name, value in zip(CONFIG, values, strict=True):
            getattr(dut, f"config_{name}").value = int(value)
        for _ in range(12):  # until all that follows from it has settled
            await FallingEdge(dut.aclk)
        await pulse(dut, "clear")
        for row, slices in enumerate(model_file.pack_weights(layer.weights, self.weight_bits)):
            for n, data in enumerate(slices):
                await self._write("weight_write", write_row=row, write_slice=n, write_data=data)
        biases = np.zeros(layer.columns, np.int32) if layer.biases is None else layer.biases
        for name, numbers in (("threshold_write", -layer.thresholds), ("bias_write", biases)):
            for n, data in enumerate(model_file.pack_pairs(numbers)):
                for odd in (0, 1):
                    await self._write(name, write_pair=n, write_odd=odd, write_data=data)

    async def _write(self, name: str, **values: int) -> None:
        for key, value in values.items():
            getattr(self.dut, key).value = int(value)
        await pulse(self.dut, name)

    def step(self, layer: Layer, spikes: np.ndarray, user: int, order: str) -> None:
        """Queue the spikes of a step, bool (channels, height, width), and its end."""
        window = layer.window
        turns = -(-window.channels // self.in_maps)
        padded = np.zeros((turns * self.in_maps, window.height, window.width), bool)
        padded[: window.channels] = spikes
        items = []
        for turn, some in enumerate(padded.reshape(turns, self.in_maps, window.height, window.width)):
            for y, x in np.argwhere(some.any(0)).tolist():
                data = (((user & 1) << 6 | y) << 6 | x) << 3 | turn
                items.append((y, x, data, integer(some[:, y, x])))
        if order == "shuffled":
            items = [items[n] for n in self.rng.permutation(len(items))]
        elif "columns" in order:
            items.sort(key=lambda item: (item[1], item[0]))
        elif order == "to and fro":  # positions one apart follow each other again and again
            items = [item for n in range(0, len(items), 3) for item in (*items[n : n + 3 : 2], *items[n + 1 : n + 2])]
        if order.endswith("backwards"):
            items.reverse()
        self.source.queue.extend((0, data, mask) for _, _, data, mask in items)
        self.source.queue.append((1, user, 0))

    def expected(self, layer: Layer, fired: np.ndarray, user: int) -> list[tuple[int, int, int]]:
        """What is handed on of a step, of the spikes (outputs,)."""
        height, width = layer.window.pooled
        maps = fired.reshape(layer.columns, height, width)
        items = []
        for y in range(height):
            for x in range(width):
                for turn in range(self.unit.rounds(layer)):
                    if mask := integer(maps[turn * self.maps : (turn + 1) * self.maps, y, x]):
                        number = (y * width + x) * layer.columns + turn * self.maps
                        items.append((0, ((number << 6 | y) << 6 | x) << 3 | turn, mask))
        return [*items, (1, user, 0)]


def number(bits: str) -> int | None:
    """The signed number of a text of bits, None if one is unknown."""
    return signed(int(bits, 2), len(bits)) if set(bits) <= {"0", "1"} else None


def empty(window: Window, maps: int) -> Layer:
    return Layer(np.zeros((window.fan_in, maps), np.int8), np.zeros(maps, np.int32), window=window)


def reference(layer: Layer, spikes: np.ndarray, direct: bool) -> golden.Trace:
    """The golden model's trace of a network that begins with the layer, spikes (B, T, inputs)."""
    last = Layer(np.ones((layer.outputs, 1), np.int8), np.zeros(1, np.int32))
    encoder = Encoder.DIRECT if direct else Encoder.BERNOULLI
    return golden.run(Network((layer, last), 8, spikes.shape[1], encoder), spikes, states=True)


def users(steps: int, direct: bool, tag: int) -> list[int]:
    """{tag, is it the last image?, exit, last step, first step} of the steps of an image."""
    return [tag << 4 | (t + 1 == steps) << 1 | (t == 0) for t in range(steps)]


async def classify(bench: Bench, layer: Layer, spikes: np.ndarray, direct: bool) -> None:
    """Send images, bool (B, T, inputs), and compare all that comes of them."""
    window, trace = layer.window, reference(layer, spikes, direct)
    expected = []
    bench.states.clear()
    bench.reads = 0
    for b, image in enumerate(spikes):
        order = str(bench.rng.choice(ORDERS))
        for t, (one, user) in enumerate(zip(image, users(len(image), direct, b % 256), strict=True)):
            bench.step(layer, one.reshape(window.channels, window.height, window.width), user, order)
            if not direct:
                expected += bench.expected(layer, trace.spikes[0][b, t], user)
        if direct:
            expected += bench.expected(layer, trace.spikes[0][b, 0], user | 1)
    got = await bench.sink.take(len(expected))
    found = [(end, data & 0xFFF if end else data, 0 if end else mask) for end, data, mask in got]
    assert found == expected, next(
        (n, window, layer.columns, *x) for n, x in enumerate(zip(found, expected, strict=False)) if x[0] != x[1]
    )
    assert bench.dut.idle.value == 1
    assert bench.reads == spikes.sum()
    if layer.continuous:
        compare_states(bench, layer, trace.states[0])


def compare_states(bench: Bench, layer: Layer, states: np.ndarray) -> None:
    """The membranes (B, T, neurons) as they are decided: of 2×2 positions that are pooled four, in each round."""
    (height, width), side = layer.window.pooled, 2 if layer.window.pool else 1
    maps = states.reshape(-1, layer.columns, *layer.window.positions)
    rounds = bench.unit.rounds(layer)
    got = iter(bench.states)
    for step in maps:
        for y in range(height):
            for x in range(width):
                for turn in range(rounds):
                    part = step[turn * bench.maps : (turn + 1) * bench.maps]
                    for place in range(side * side):
                        want = part[:, side * y + place // 2, side * x + place % 2].tolist()
                        assert next(got)[: len(want)] == want
    assert next(got, None) is None


def images(rng: np.random.Generator, layer: Layer, count: int, steps: int) -> np.ndarray:
    """Spikes, bool (B, T, inputs): from silent to all ones; of some images only the border, only one map, or one position."""
    window = layer.window
    shape = (count, steps, window.channels, window.height, window.width)
    spikes = rng.random(shape) < rng.choice([0, 0.05, 0.3, 1], (count, steps, 1, 1, 1))
    for image in spikes:
        kind = rng.integers(6)
        if kind == 0:
            image[:] = 1
            image[..., 1:-1, 1:-1] = 0
        elif kind == 1:
            image[:] = 0
            image[:, rng.integers(window.channels)] = 1
        elif kind == 2:
            y, x = (int(rng.choice([0, side // 2, side - 1])) for side in shape[-2:])
            image[:] = 0
            image[..., y, x] = 1
    return spikes.reshape(count, steps, -1)


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def every_position(dut, seed):
    """Layers one after the other, whatever their sizes, the order of the spikes and the stalls on both sides."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    for _ in range(6):
        layer = bench.layer()
        await bench.load(layer)
        await classify(bench, layer, images(rng, layer, 2, 3), False)


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def every_plane(dut, seed):
    """Direct input: currents are doubled from plane to plane, and what is left of an image that was cut short is cleared."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    if not bench.direct:
        return
    for planes in (1, 3, 2):
        layer = bench.layer(planes)
        await bench.load(layer, direct=True)
        await classify(bench, layer, images(rng, layer, 3, planes), True)
        if planes > 1:
            for t, user in enumerate(users(planes, True, 9)[:-1]):
                ones = np.ones((layer.window.channels, layer.window.height, layer.window.width), bool)
                bench.step(layer, ones, user, ORDERS[t])
            await bench.source.done()
            for _ in range(3):  # a plane is doubled before its end is taken
                await ClockCycles(dut.aclk, bench.words + 20)
            await classify(bench, layer, images(rng, layer, 2, planes), True)


@cocotb.test()
@cocotb.parametrize(seed=SEEDS)
async def neighbours_one_after_the_other(dut, seed):
    """The same position, and those one and two further, in each direction, cycle after cycle: no sum is lost."""
    rng = np.random.default_rng(seed)
    bench = Bench(dut, rng)
    await bench.begin()
    window = Window(1, 5, 5, 3, 1, 1, False)
    layer = replace(fresh(rng, rng.integers(-1, 2, (9, 3)).astype(np.int8)), window=window)
    await bench.load(layer)
    for sink in (0, 0.5):
        bench.source.share, bench.sink.share = 0, sink
        for step in (1, 2, 5, 6, 4, 10, 24):
            places = [(n * step) % 25 for n in range(30)]
            counts = np.bincount(places, minlength=25)
            bench.source.queue.extend((0, ((n // 5) << 6 | n % 5) << 3, 1) for n in places)
            bench.source.queue.append((1, 3, 0))
            sums = window.patches(counts[None].astype(np.int32))[0] @ layer.weights.astype(int)
            expected = bench.expected(layer, (sums >= layer.thresholds).T.ravel(), 3)
            got = await bench.sink.take(len(expected))
            assert [(end, data, 0 if end else mask) for end, data, mask in got] == expected


@cocotb.test()
async def the_last_spike_of_a_step_is_in_time(dut):
    """Its word is the first to be decided, or to be doubled, as soon as the end of the step or of the plane allows: it counts."""
    rng = np.random.default_rng(4)
    bench = Bench(dut, rng)
    await bench.begin()
    bench.source.share = bench.sink.share = 0
    window = Window(1, 3, 3, 3, 1, 1, False)
    corner = np.arange(9) == 0
    for planes in (1, *[2] * bench.direct):
        fires_by_it = np.full(2, planes, np.int32)
        layer = Layer(np.ones((9, 2), np.int8), fires_by_it, window=window)
        await bench.load(layer, direct=planes > 1)
        spikes = np.zeros((3, 2, 9), bool)
        spikes[:, 0] = corner
        await classify(bench, layer, spikes, planes > 1)


@cocotb.test()
async def reset_in_the_middle(dut):
    """Wherever a reset comes, nothing comes of what was sent before, and the next network finds its memory clear."""
    rng = np.random.default_rng(2)
    bench = Bench(dut, rng)
    await bench.begin()
    for _ in range(3):
        layer = bench.layer()
        await bench.load(layer)
        ones = np.ones((layer.window.channels, layer.window.height, layer.window.width), bool)
        for user in users(3, False, 1):
            bench.step(layer, ones, user, "as sent")
        await ClockCycles(dut.aclk, int(rng.integers(1, 200)))
        bench.source.stop()
        await reset(dut)
        await RisingEdge(dut.aclk)
        assert (dut.idle.value, dut.m_valid.value) == (1, 0)
        bench.output.passed.clear()
        bench.sink.task.cancel()
        bench.connect()
        await bench.load(layer)
        await classify(bench, layer, images(rng, layer, 1, 3), False)
