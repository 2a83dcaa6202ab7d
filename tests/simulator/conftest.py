"""The simulated accelerator, and random networks for it."""

from itertools import pairwise

import numpy as np
import pytest

from spikeline.batch import Events, Pixels, Spikes
from spikeline.driver import Answer, Driver
from spikeline.geometry import Geometry
from spikeline.network import Layer, Network
from spikeline.sim import SimDevice
from spikeline.spec import Decode, Reset


class Runner(Driver):
    """A driver that runs one batch at a time."""

    def run(self, spikes: np.ndarray, scores: bool, every_step: bool = False, events: bool = False) -> Answer:
        (answer,) = self.classify([Events(spikes) if events else Spikes(spikes)], scores, every_step)
        return answer

    def run_pixels(self, pixels: np.ndarray, seed: int, first_image: int, scores: bool) -> Answer:
        (answer,) = self.classify([Pixels(pixels, seed, first_image)], scores)
        return answer


@pytest.fixture(scope="session")
def tiny() -> Geometry:
    return Geometry.load("tiny")


@pytest.fixture
def device(tiny):
    device = SimDevice(tiny)
    yield device
    device.close()


@pytest.fixture
def driver(device, tiny):
    return Runner(device, tiny.name, tiny.clock_mhz, timeout=20)


@pytest.fixture
def random_network(tiny):
    """Make a network that fits the tiny geometry: any depth, odd sizes, extreme weights, busy and silent neurons.

    `continuous` is the share of layers whose membranes last.
    """

    def make(
        rng: np.random.Generator, layers: int | None = None, time_steps: int | None = None, continuous: float = 0.3
    ) -> Network:
        layers = layers or int(rng.integers(1, len(tiny.layers) + 1))
        sizes = [int(rng.integers(1, tiny.layers[0].inputs + 1))]
        sizes += [int(rng.integers(1, tiny.layers[n].neurons + 1)) for n in range(layers - 1)]
        sizes += [int(rng.integers(1, tiny.classes + 1))]
        made = []
        for inputs, neurons in pairwise(sizes):
            weights = rng.integers(-8, 8, (inputs, neurons))
            if rng.random() < 0.3:  # the largest sums that there are
                weights[:, rng.integers(neurons)] = rng.choice([-8, 7])
            reach = np.maximum(weights, 0).sum(0) + 2
            thresholds = rng.integers(-reach // 3, reach // 2 + 1)
            made.append(Layer(weights.astype(np.int8), thresholds.astype(np.int32)))
        steps = time_steps or int(rng.integers(1, 6))
        decode = Decode(int(rng.integers(2)))
        for n in range(layers - (decode == Decode.MEMBRANE)):
            if rng.random() < continuous:
                made[n] = lasting(rng, made[n].weights, tiny.membrane_bits - 1)
        return Network(tuple(made), tiny.weight_bits, steps, decode=decode)

    return make


def lasting(rng: np.random.Generator, weights: np.ndarray, state_bits: int) -> Layer:
    """A continuous layer: thresholds from 1, where a busy neuron's membrane rises to the end, to what it seldom reaches."""
    neurons = weights.shape[1]
    room = (1 << (state_bits - 1)) + np.minimum(weights, 0).sum(0, dtype=int)  # for the threshold, and a bias below 0
    biases = rng.integers(-40, 41, neurons) if rng.random() < 0.5 else np.zeros(neurons, int)
    thresholds = np.minimum(rng.choice([1, 5, 40, 200], neurons) + rng.integers(0, 20, neurons), room - 40)
    leak, reset = int(rng.choice([0, 0, 1, 2, 3, 4])), Reset(int(rng.integers(2)))
    used = biases.astype(np.int32) if biases.any() else None
    return Layer(weights, thresholds.astype(np.int32), state_bits, used, leak, reset)


@pytest.fixture
def random_spikes():
    """Make spike trains (B, T, N), from silent to all ones."""

    def make(rng: np.random.Generator, network: Network, batch: int) -> np.ndarray:
        rate = rng.choice([0, 0.02, 0.15, 0.5, 1], (batch, network.time_steps, 1))
        return (rng.random((batch, network.time_steps, network.sizes[0])) < rate).astype(np.uint8)

    return make
