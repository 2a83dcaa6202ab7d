"""The simulated accelerator, and random networks for it."""

from dataclasses import replace

import networks
import numpy as np
import pytest

from spikeline.batch import Events, Pixels, Spikes
from spikeline.driver import Answer, Driver
from spikeline.geometry import Geometry
from spikeline.network import Network
from spikeline.sim import SimDevice
from spikeline.spec import Encoder


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
