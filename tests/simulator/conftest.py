"""The simulated accelerator, and random networks for it."""

from itertools import pairwise

import numpy as np
import pytest

from spikeline.driver import Driver
from spikeline.geometry import Geometry
from spikeline.network import Layer, Network
from spikeline.sim import SimDevice
from spikeline.spec import Decode


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
    return Driver(device, tiny.name, tiny.clock_mhz, timeout=20)


@pytest.fixture
def random_network(tiny):
    """Make a network that fits the tiny geometry: any depth, odd sizes, extreme weights, busy and silent neurons."""

    def make(rng: np.random.Generator, layers: int | None = None, time_steps: int | None = None) -> Network:
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
        return Network(tuple(made), tiny.weight_bits, steps, decode=Decode(int(rng.integers(2))))

    return make


@pytest.fixture
def random_spikes():
    """Make spike trains (B, T, N), from silent to all ones."""

    def make(rng: np.random.Generator, network: Network, batch: int) -> np.ndarray:
        rate = rng.choice([0, 0.02, 0.15, 0.5, 1], (batch, network.time_steps, 1))
        return (rng.random((batch, network.time_steps, network.sizes[0])) < rate).astype(np.uint8)

    return make
