"""Accuracy over encoder seeds: the mean and the spread that documents print, never the best seed."""

import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeline.cli import main
from spikeline.data.samples import Samples
from spikeline.energy import measure
from spikeline.measure import evaluate
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder

ROOT = Path(__file__).parents[2]
ADDED = {"encoder_seeds", "accuracy_mean", "accuracy_min", "accuracy_max", "accuracy_std"}
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
    found = evaluate.over_encoder_seeds(network, given)
    assert found["encoder_seeds"] == [7, 8, 9, 10, 11]
    assert found["accuracy_mean"] == pytest.approx(statistics.mean(single))
    assert (found["accuracy_min"], found["accuracy_max"]) == (min(single), max(single))
    assert found["accuracy_std"] == pytest.approx(statistics.stdev(single))


def test_an_encoder_that_draws_nothing_has_one_accuracy(network, given):
    fixed = replace(network, encoder=Encoder.THRESHOLD)
    found = evaluate.over_encoder_seeds(fixed, replace(given, encoder="threshold"))
    assert found["encoder_seeds"] is None
    assert found["accuracy_mean"] == found["accuracy_min"] == found["accuracy_max"]
    assert found["accuracy_std"] == 0


def test_the_frontier_of_energy_is_of_means():
    lucky = {"name": "lucky", "nj_typical": 1, "accuracy": 0.99, "accuracy_mean": 0.97}
    steady = {"name": "steady", "nj_typical": 2, "accuracy": 0.98, "accuracy_mean": 0.98}
    assert [r["name"] for r in measure.pareto([lucky, steady])] == ["lucky", "steady"]


def test_a_report_is_completed_by_its_own_network_or_left_alone(tmp_path):
    """`docs/encoder_seeds.py` gives what `spikeline energy` would, and refuses another network's model."""
    rng = np.random.default_rng(5)
    paths = []
    for name in ("own", "other"):
        layers = tuple(
            Layer(rng.integers(-7, 8, (i, n)).astype(np.int8), rng.integers(0, 40, n).astype(np.int32))
            for i, n in ((784, 16), (16, 10))
        )
        paths.append(tmp_path / name / "model.img")
        paths[-1].parent.mkdir()
        model_file.save(model_file.build(Network(layers, 4, 2, Encoder.BERNOULLI), {"dataset": {"name": "mnist"}}), paths[-1])
    own, other = paths
    assert main.main(["energy", str(own), "--images", "40", "--out", str(tmp_path)]) == 0
    file = tmp_path / "report.json"
    complete = json.loads(file.read_text())
    old = {**complete, "results": [{k: v for k, v in r.items() if k not in ADDED} for r in complete["results"]]}
    file.write_text(json.dumps(old))

    def complete_with(path):
        (tmp_path / "own" / "model.img").write_bytes(path.read_bytes())
        command = [sys.executable, str(ROOT / "docs/encoder_seeds.py"), str(file), str(own)]
        return subprocess.run(command, capture_output=True, text=True)

    mine = own.read_bytes()
    refused = complete_with(other)
    assert refused.returncode == 1
    assert "another network's" in refused.stderr
    assert json.loads(file.read_text()) == old
    other.write_bytes(mine)
    assert complete_with(other).returncode == 0
    assert json.loads(file.read_text())["results"] == complete["results"]
