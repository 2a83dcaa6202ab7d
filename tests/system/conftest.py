"""The simulated accelerator, and random networks for it."""

from dataclasses import replace

import numpy as np
import pytest

from spikeline.model.geometry import Geometry
from spikeline.model.network import Network
from spikeline.model.spec import Encoder
from spikeline.simulation.verilated import SimDevice
from support import networks
from support.runner import Runner


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
def random_network():
    """Make a network that fits the tiny geometry, for spikes or Bernoulli pixels, without early exit; see `networks.network`."""

    def make(
        rng: np.random.Generator, layers: int | None = None, time_steps: int | None = None, continuous: float = 0.3
    ) -> Network:
        return replace(networks.network(rng, layers, time_steps, continuous, Encoder.BERNOULLI), exit_margin=None)

    return make


@pytest.fixture
def random_spikes():
    """Make spike trains (B, T, N), from silent to all ones."""
    return networks.trains
