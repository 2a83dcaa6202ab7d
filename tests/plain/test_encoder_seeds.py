"""Accuracy over encoder seeds: the mean and the spread that documents print, never the best seed."""

import statistics
from dataclasses import replace

import numpy as np
import pytest

from spikeline import golden, report
from spikeline.encode import encode
from spikeline.energy import measure
from spikeline.network import Layer, Network
from spikeline.samples import Samples
from spikeline.spec import Encoder

IMAGES, INPUTS, STEPS = 300, 16, 2


@pytest.fixture(scope="module")
def network() -> Network:
    rng = np.random.default_rng(1)
    return Network((Layer(rng.integers(-7, 8, (INPUTS, 4)).astype(np.int8), np.zeros(4, np.int32)),), 4, STEPS, Encoder.BERNOULLI)


@pytest.fixture(scope="module")
def given(network) -> Samples:
    """Samples of which the network classes some right under every seed."""
    pixels = np.random.default_rng(2).integers(0, 256, (IMAGES, INPUTS)).astype(np.uint8)
    labels = golden.run(network, encode(pixels, "bernoulli", STEPS, seed=99)).labels.astype(np.uint8)
    return Samples("random", labels, pixels, None, "bernoulli", STEPS, 7)


def test_mean_and_spread_are_those_of_five_seeds_from_the_given_one(network, given):
    single = []
    for seed in range(7, 12):
        labels = golden.run(network, encode(given.pixels, "bernoulli", STEPS, seed)).labels
        single.append(float((labels == given.labels).mean()))
    assert len(set(single)) > 1
    found = report.over_encoder_seeds(network, given)
    assert found["encoder_seeds"] == [7, 8, 9, 10, 11]
    assert found["accuracy_mean"] == pytest.approx(statistics.mean(single))
    assert (found["accuracy_min"], found["accuracy_max"]) == (min(single), max(single))
    assert found["accuracy_std"] == pytest.approx(statistics.stdev(single))


def test_an_encoder_that_draws_nothing_has_one_accuracy(network, given):
    fixed = replace(network, encoder=Encoder.THRESHOLD)
    found = report.over_encoder_seeds(fixed, replace(given, encoder="threshold"))
    assert found["encoder_seeds"] is None
    assert found["accuracy_mean"] == found["accuracy_min"] == found["accuracy_max"]
    assert found["accuracy_std"] == 0


def test_the_frontier_of_energy_is_of_means():
    lucky = {"name": "lucky", "nj_typical": 1, "accuracy": 0.99, "accuracy_mean": 0.97}
    steady = {"name": "steady", "nj_typical": 2, "accuracy": 0.98, "accuracy_mean": 0.98}
    assert [r["name"] for r in measure.pareto([lucky, steady])] == ["lucky", "steady"]
