"""Random networks: ONNX run by the QONNX executor = compiler = golden model = Verilog, spike for spike."""

import json
from dataclasses import replace

import numpy as np
import pytest

from campaigns.random_networks import REGRESSIONS, Bench, search
from spikeline.model import golden
from support.recipes import Recipe, build

SHARE = 100  # networks in a search
CONVOLVED = 220  # and in one of convolutions


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_all_agree(bench):
    search(bench, SHARE, 3, convolved=False)
    kinds = {"continuous", "discontinuous", "leak", "sent as events", "sent as direct"}
    assert not kinds - bench.seen.keys(), "the search is as wide as it says"
    assert bench.seen["spikes"] > 1000


def test_all_convolutions_agree(bench):
    search(bench, CONVOLVED, 3, convolved=True)
    kinds = {"kernel 1×1", "kernel 3×3", "stride 1", "stride 2", "padded", "pooled", "several rounds", "early exit", "leak"}
    kinds |= {f"{n} convolutions" for n in (1, 2, 3)} | {"continuous", "discontinuous", "sent as events", "sent as direct"}
    assert not kinds - bench.seen.keys(), "the search is as wide as it says"
    assert bench.seen["spikes"] > 10_000


def test_what_failed_once(bench):
    for file in sorted(REGRESSIONS.glob("*.json")):
        print(file)
        bench.check(Recipe.of(json.loads(file.read_text())), executor=True)


def test_a_failure_is_found_shrunk_and_kept(bench, tmp_path, monkeypatch):
    """A golden model whose thresholds are one too high: the smallest network that tells is kept."""
    monkeypatch.setattr("campaigns.random_networks.REGRESSIONS", tmp_path)
    run = golden.run

    def wrong(network, spikes, states=False):
        layers = [replace(x, thresholds=x.thresholds + 1) for x in network.layers[:-1]]
        return run(replace(network, layers=(*layers, network.layers[-1])), spikes, states)

    def checked(recipe, executor):
        _, network = build(recipe)
        trains = np.ones((1, network.time_steps, network.sizes[0]), np.uint8)
        np.testing.assert_array_equal(wrong(network, trains).values, run(network, trains).values)

    monkeypatch.setattr(bench, "check", checked)
    with pytest.raises(AssertionError):
        search(bench, SHARE, 1)
    (kept,) = tmp_path.glob("*.json")
    recipe = Recipe.of(json.loads(kept.read_text()))
    assert max(*recipe.sizes, recipe.time_steps) <= 4, "shrunk"
    assert len(recipe.sizes) > 2, "a single layer is read by its membrane"
