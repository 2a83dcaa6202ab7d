"""The cycle model = the CYCLES counter of the RTL, without error, whatever limits the throughput."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from spikeline.cli.demo import SHIPPED
from spikeline.data import mnist
from spikeline.errors import ModelError
from spikeline.measure import cycles
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network, Window
from spikeline.model.spec import Decode, Encoder
from spikeline.simulation.verilated import SimDevice
from support import networks
from support.runner import Runner

MODEL = SHIPPED / "mnist-dc-256.img"
ALWAYS, NEVER = -1000, 1000  # thresholds


@dataclass(frozen=True)
class Case:
    """A packet: `pixels` (B, N) if they are what is sent, and the spikes (B, T, N) that it makes, or `events`."""

    network: Network
    spikes: np.ndarray
    scores: bool = False
    pixels: np.ndarray | None = None
    events: bool = False
    every_step: bool = False

    def counted(self, driver: Runner) -> int:
        """Cycles that the RTL counts."""
        driver.load(model_file.build(self.network))
        driver.clear_counters()
        if self.pixels is None:
            driver.run(self.spikes, self.scores, self.every_step, self.events)
        else:
            driver.run_pixels(self.pixels, 0, 0, self.scores)
        return driver.counters().cycles

    def predicted(self, driver: Runner) -> cycles.Prediction:
        trace = golden.run(self.network, self.spikes)
        input = "events" if self.events else "spikes" if self.pixels is None else "pixels"
        return cycles.predict(driver.geometry, self.network, self.spikes, trace, self.scores, input, self.every_step)


def from_pixels(network: Network, pixels: np.ndarray, scores: bool = False) -> Case:
    return Case(network, encode(pixels, network.encoder.name.lower(), network.time_steps), scores, pixels)


@pytest.fixture
def z020():
    geometry = Geometry.load("z020-256")
    device = SimDevice(geometry)
    yield Runner(device, geometry.name, geometry.clock_mhz)
    device.close()


def chain(fires: list[int], sizes: list[int], time_steps: int) -> Network:
    """A network in which, whatever the input, just the first `fires[k]` neurons of layer k fire at every step."""
    layers = []
    for k, (inputs, neurons) in enumerate(pairwise(sizes)):
        thresholds = np.where(np.arange(neurons) < fires[k], ALWAYS, NEVER)
        layers.append(Layer(np.ones((inputs, neurons), np.int8), thresholds.astype(np.int32)))
    return Network(tuple(layers), 4, time_steps)


SIZES = [100, 48, 32, 10]
# what limits: value of every pixel, neurons that fire in each layer, images, time steps
LIMITED = {
    "input": (0, [0, 0, 0], 40, 1),  # 13 words for an image of pixels, or its seed
    "encode": (0, [0, 0, 0], 4, 40),  # four rows a step
    "layer 0": (255, [2, 2, 0], 5, 20),
    "layer 1": (0, [48, 2, 0], 5, 20),  # the queue before it fills
    "layer 2": (0, [0, 32, 0], 5, 20),  # both queues before it fill, and the input waits
    "decode": (0, [0, 0, 0], 40, 1),  # CLASSES cycles an image and five words of scores
}


@pytest.mark.parametrize("limit", LIMITED)
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("packet", ["spikes", "pixels", "seeded"])
def test_each_stage_in_turn_limits_the_throughput(driver, limit, scores, packet):
    pixel, fires, batch, time_steps = LIMITED[limit]
    network = replace(chain(fires, SIZES, time_steps), encoder=Encoder.BERNOULLI if packet == "seeded" else Encoder.THRESHOLD)
    case = from_pixels(network, np.full((batch, SIZES[0]), pixel, np.uint8), scores)
    if packet == "spikes":
        case = replace(case, pixels=None)
        limit = {"encode": "input", "input": "decode"}.get(limit, limit)  # two words a step
    elif time_steps == 1:
        limit = "decode" if scores and packet == "pixels" else "input"  # 17 cycles, 13 words, 33 cycles of the seed
    prediction = case.predicted(driver)
    assert prediction.cycles == case.counted(driver)
    assert prediction.limit == limit
    assert prediction.work[limit] <= prediction.cycles < prediction.work[limit] + 120  # the others are hidden behind it


def bursts(length: int) -> Case:
    """`length` silent steps, which make every neuron of layer 0 fire, then as many of all ones, which make none fire.

    So layer 0 runs ahead until the queue is full, then falls behind while layer 1 works it off: every place counts.
    """
    first = Layer(np.full((100, 48), -1, np.int8), np.zeros(48, np.int32))
    last = Layer(np.ones((48, 10), np.int8), np.zeros(10, np.int32))
    spikes = np.zeros((6, 2 * length, 100), np.uint8)
    spikes[:, length:] = 1
    return Case(Network((first, last), 4, 2 * length), spikes)


@pytest.mark.parametrize("length", [1, 7, 15, 16, 17, 18, 19, 30, 100])
def test_queues_that_fill_and_drain(driver, length):
    case = bursts(length)
    assert case.predicted(driver).cycles == case.counted(driver)


@pytest.mark.parametrize("inputs", [1, 8, 9, 32, 33, 63, 64, 65, 96, 97, 100])
def test_every_number_of_words_and_rows(driver, inputs):
    white = np.full((30, inputs), 255, np.uint8)
    for pixels in (0 * white, white, white * (np.arange(30, dtype=np.uint8)[:, None] % 2)):
        for time_steps in (1, 2, 3, 9):
            sent = from_pixels(chain([inputs % 40, 0], [inputs, 40, 10], time_steps), pixels)
            for case in (sent, replace(sent, pixels=None)):
                assert case.predicted(driver).cycles == case.counted(driver)


def random_cases(random_network, random_spikes, seed: int, count: int) -> Iterator[Case]:
    rng = np.random.default_rng(seed)
    for n in range(count):
        network = random_network(rng, time_steps=int(rng.integers(1, 21)))
        spikes = random_spikes(rng, network, int(rng.integers(1, 41)))
        if n % 10 < 2:
            spikes[:] = n % 10  # silent, all ones
        yield Case(network, spikes, bool(rng.integers(2)), None, bool(rng.integers(2)), rng.random() < 0.2)
        network = replace(network, encoder=Encoder(int(rng.integers(3))))
        brightness = rng.choice([0, 0.02, 0.15, 0.5, 1], (len(spikes), 1))
        pixels = rng.integers(0, 256, (len(spikes), network.sizes[0])) * brightness
        yield from_pixels(network, pixels.astype(np.uint8), bool(rng.integers(2)))


@pytest.mark.parametrize("seed", range(10))
def test_random_networks(driver, random_network, random_spikes, seed):
    for case in random_cases(random_network, random_spikes, seed, 15):
        assert case.predicted(driver).cycles == case.counted(driver)


@pytest.mark.parametrize("seed", range(10))
def test_wide_layers_of_many_groups(z020, seed):
    """Bursts between silent steps in lanes of up to 13 groups: which group is fetched when decides when the next words fit."""
    rng = np.random.default_rng(seed)
    sizes = [784, *[256, 256][: seed % 3], 10]
    layers = [
        Layer(rng.integers(-8, 8, size).astype(np.int8), rng.integers(-90, 120, size[1]).astype(np.int32))
        for size in pairwise(sizes)
    ]
    rate = rng.choice([0, 0.003, 0.01, 0.05, 0.3], (30, 6, 1))
    spikes = (rng.random((30, 6, 784)) < rate * rng.choice([0.2, 1, 3], (30, 6, 784))).astype(np.uint8)
    case = Case(Network(tuple(layers), 4, 6), spikes)
    assert case.predicted(z020).cycles == case.counted(z020)


@pytest.mark.parametrize("seed", range(8))
def test_direct_input(driver, random_network, seed):
    """Planes that are no work for the layers behind, and queues behind them that are full of whole images."""
    rng = np.random.default_rng(seed)
    for n in range(8):
        network = networks.direct(rng, random_network(rng))
        if network.sizes[-1] > 1 and n % 4 == 0:
            network = replace(network, exit_margin=int(rng.integers(100)))
        pixels = networks.pictures(rng, network, int(rng.integers(1, 41))) * rng.choice([0, 1], network.sizes[0]).astype(np.uint8)
        sent = from_pixels(network, pixels, bool(rng.integers(2)))
        for case in (sent, replace(sent, pixels=None, events=bool(n % 2), every_step=rng.random() < 0.3)):
            assert case.predicted(driver).cycles == case.counted(driver)


@pytest.mark.parametrize("planes", [1, 3, 5])
def test_direct_input_before_a_slow_layer(driver, planes):
    """Nothing enters, but layer 1 has 48 spikes an image: the queue fills, and only last planes take a place in it."""
    first, *others = chain([48, 2, 0], SIZES, planes).layers
    network = Network((replace(first, weights=0 * first.weights), *others), 4, planes, Encoder.DIRECT)
    sent = from_pixels(network, np.zeros((60, SIZES[0]), np.uint8))
    for case in (sent, replace(sent, pixels=None)):
        prediction = case.predicted(driver)
        assert prediction.cycles == case.counted(driver)
        assert prediction.limit == "layer 1"


def test_packets_add_up(driver, random_network, random_spikes):
    rng = np.random.default_rng(3)
    network = random_network(rng, 3, time_steps=4)
    driver.load(model_file.build(network))
    driver.clear_counters()
    expected = 0
    for batch in (1, 1, 12, 3):
        spikes = random_spikes(rng, network, batch)
        expected += Case(network, spikes).predicted(driver).cycles
        driver.run(spikes, scores=False)
    assert driver.counters().cycles == expected


CONSTANTS = ("LOADER", "SEED", "SCAN", "PIPELINE", "SETTLE", "DECODE", "QUEUE", "GROUP", "WORD", "PIXELS", "ROW")


def test_every_constant_matters(driver, random_network, random_spikes, monkeypatch):
    """The comparison can fail: with any constant of the model changed, a prediction is wrong."""
    cases = [*random_cases(random_network, random_spikes, 0, 30), bursts(30)]
    cases += [Case(chain([0], [inputs, 10], 4), np.zeros((2, 4, inputs), np.uint8)) for inputs in (64, 65)]
    cases += [from_pixels(chain([0], [inputs, 10], 40), np.zeros((2, inputs), np.uint8)) for inputs in (64, 65)]
    given_up = replace(chain([0], [64, 10], 40), exit_margin=0)
    cases.append(Case(given_up, np.zeros((1, 40, 64), np.uint8), events=True))  # long before its last event
    counts = [case.counted(driver) for case in cases]
    for name in CONSTANTS:
        for change in (-1, 1):
            with monkeypatch.context() as patch:
                patch.setattr(cycles, name, getattr(cycles, name) + change)
                assert [case.predicted(driver).cycles for case in cases] != counts, f"{name} {change:+}"


@pytest.mark.parametrize("seed", range(10))
def test_early_exit(driver, random_network, random_spikes, seed):
    """Whatever the margin: images that are decided at once, in between and never, and what is dropped at every place."""
    rng = np.random.default_rng(seed)
    for case in random_cases(random_network, random_spikes, seed, 15):
        trace = golden.run(case.network, case.spikes)
        counted = trace.membranes if case.network.decode == Decode.MEMBRANE else trace.spikes[-1]
        if counted.shape[-1] < 2:
            continue
        margins = np.quantile(np.ptp(counted.cumsum(1), axis=-1), rng.random(3)).astype(int)
        for margin in margins:
            early = replace(case, network=replace(case.network, exit_margin=int(margin)))
            assert early.predicted(driver).cycles == early.counted(driver)


@pytest.mark.parametrize("inputs", [20, 32, 33, 64, 65, 96, 100])
def test_early_exit_at_every_phase_of_the_encoder(driver, inputs):
    """Images of one row to four, of few spikes and of many, are given up wherever the encoder is with them."""
    rng = np.random.default_rng(inputs)
    layer = Layer(rng.integers(-8, 8, (inputs, 10)).astype(np.int8), np.zeros(10, np.int32))
    pixels = (rng.integers(0, 256, (60, inputs)) * rng.choice([0, 0.1, 0.5, 1], (60, 1))).astype(np.uint8)
    for time_steps in (2, 5, 9, 14, 20, 27, 35, 44):
        case = from_pixels(
            Network((layer,), 4, time_steps, encoder=Encoder.BERNOULLI, exit_margin=int(rng.integers(200))), pixels
        )
        assert case.predicted(driver).cycles == case.counted(driver)


@pytest.mark.parametrize("packet", ["spikes", "pixels"])
def test_demonstration_network_on_mnist(z020, packet):
    network = replace(model_file.load(MODEL).network, exit_margin=None)
    pixels = mnist.load("test")[0]
    for part in (pixels[:200], pixels[200:201], pixels[201:202]):
        case = from_pixels(network, part)
        case = case if packet == "pixels" else replace(case, pixels=None)
        assert case.predicted(z020).cycles == case.counted(z020)


# -- convolutions ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def convolutions():
    geometry = Geometry.load("tiny-conv")
    device = SimDevice(geometry)
    yield Runner(device, geometry.name, geometry.clock_mhz)
    device.close()


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", ["spikes", "events", "lasting", "pixels", "planes"])
def test_convolutions(convolutions, kind, seed):
    """Any window, several rounds, maps that are silent or full, images whose work overlaps."""
    rng = np.random.default_rng(seed)
    planes = int(rng.integers(1, 9)) if kind == "planes" else 0
    net = networks.convolutional(rng, convolutions.geometry, kind == "lasting", planes, int(kind == "pixels"))
    batch = int(rng.integers(1, 8))
    if kind in ("pixels", "planes"):
        pixels = rng.integers(0, 256, (batch, net.sizes[0])) * (rng.random((batch, net.sizes[0])) < 0.3)
        case = from_pixels(net, pixels.astype(np.uint8), scores=bool(seed % 2))
    else:
        density = rng.choice([0, 0.05, 0.3, 1])
        spikes = (rng.random((batch, net.time_steps, net.sizes[0])) < density).astype(np.uint8)
        case = Case(net, spikes, scores=bool(seed % 2), events=kind == "events")
    assert case.predicted(convolutions).cycles == case.counted(convolutions)


def test_convolutions_whose_queues_fill(convolutions):
    """What is handed on is gathered a spike a cycle, so a core waits for room in its queue."""
    rng = np.random.default_rng(3)
    excites, inhibits = np.ones((1, 16), np.int8), np.full((1, 16), -1, np.int8)
    first = Layer(np.concatenate([excites, inhibits]), np.ones(16, np.int32), window=Window(2, 6, 5, 1))  # 480 spikes of 30
    last = Layer(rng.integers(-7, 8, (480, 10)).astype(np.int8), np.full(10, 9, np.int32))
    net = Network((first, last), 4, 30, Encoder.EVENTS)
    spikes = np.zeros((4, 30, 2, 30), np.uint8)
    spikes[:, :10, 0] = 1  # much to gather
    spikes[:, 10:, 1] = 1  # then nothing, but much to add up
    spikes = spikes.reshape(4, 30, 60)
    for case in (Case(net, spikes), Case(net, spikes, every_step=True)):
        assert case.predicted(convolutions).cycles == case.counted(convolutions)


def test_early_exit_behind_convolutions_is_refused(convolutions):
    net = replace(networks.convolutional(np.random.default_rng(0), convolutions.geometry, time_steps=3), exit_margin=2)
    case = Case(net, np.zeros((1, 3, net.sizes[0]), np.uint8))
    with pytest.raises(ModelError, match="early exit behind convolutions"):
        case.predicted(convolutions)
