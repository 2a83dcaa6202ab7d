"""Trained networks of all modes: accuracy over all 10,000 real test images, and what the RTL does with them.

The network of the demo, which comes trained with Spikeline, runs on all of them. Those that `make test` trains but briefly
run on 1,000, the whole ones of `make long` on all.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from spikeline import Accelerator
from spikeline.cli.demo import SHIPPED
from spikeline.data import samples
from spikeline.measure import evaluate
from spikeline.model import model_file
from spikeline.model.spec import PacketType, Register

BUILD = Path(__file__).parents[2] / "build"
MODEL = SHIPPED / "mnist-dc-256.img"
# model, layers, time steps, input, images on the RTL, least accuracy over all images
MODES = {
    "discontinuous, as it comes": (MODEL, [784, 256, 256, 10], 4, "pixels", 10_000, 0.985),
    "discontinuous, 6 epochs": (BUILD / "models/mnist-dc-256+epochs~6/model.img", [784, 256, 256, 10], 4, "pixels", 1000, 0.975),
    "continuous, 3 epochs": (BUILD / "models/mnist-cc-latency+epochs~3/model.img", [784, 256, 256, 10], 8, "pixels", 1000, 0.97),
    "events, 2 epochs": (BUILD / "models/mnist-cc-events+epochs~2/model.img", [578, 256, 256, 10], 10, "events", 1000, 0.95),
    "discontinuous": (BUILD / "demo/model.img", [784, 256, 256, 10], 4, "pixels", 10_000, 0.985),
    "continuous": (BUILD / "demo-continuous/model.img", [784, 256, 256, 10], 8, "pixels", 10_000, 0.98),
    "events": (BUILD / "demo-events/model.img", [578, 256, 256, 10], 10, "events", 10_000, 0.97),
    "convolution": (BUILD / "demo-convolution/model.img", [784, 3136, 1568, 128, 10], 1, "pixels", 10_000, 0.988),
}
WHOLE = ("discontinuous", "continuous", "events", "convolution")  # trained by `make long`


def modes(chosen):
    """Those modes as parameters of a test."""
    return [pytest.param(mode, marks=[pytest.mark.long] if mode in WHOLE else []) for mode in chosen]


TRAINED_HERE = modes(mode for mode in MODES if MODES[mode][0] != MODEL)


@pytest.fixture(scope="module", params=modes(MODES))
def run(request):
    """Classify test images on the simulated accelerator and compare with the golden model."""
    path, _, _, input, images, _ = MODES[request.param]
    assert path.exists(), f"{path} is missing; `make test` makes it, or `make long`"
    model = model_file.load(path)
    whole = samples.load(model.network)
    given = whole.first(images)
    with Accelerator(model=model) as accelerator:
        figures = evaluate.measure(accelerator, given, input)
        compared, reference = evaluate.compare(accelerator, figures, given, traced=1000)
        if model.network.continuous:
            figures["accuracy_cleared"] = evaluate.accuracy_cleared(model.network, given)
    wrong = evaluate.golden_mismatches(model.network, whole, whole.labels)
    assert len(whole) == 10_000
    figures["accuracy_of_all"] = 1 - wrong / len(whole)
    return request.param, figures | compared, reference


def test_accuracy_over_all_test_images(run):
    mode, figures, _ = run
    _, layers, time_steps, _, images, least = MODES[mode]
    assert figures["images"] == images
    assert figures["layers"] == layers
    assert figures["time_steps"] <= time_steps
    assert figures["accuracy_of_all"] >= least


def test_state_that_lasts_is_what_does_it(run):
    _, figures, _ = run
    if figures["integration"] == "discontinuous":
        assert "accuracy_cleared" not in figures
    else:
        assert figures["accuracy_cleared"] < figures["accuracy"] - 0.1


def test_every_label_and_1000_images_of_spikes_equal_the_golden_model(run):
    _, figures, _ = run
    assert figures["golden_mismatches"] == 0
    assert figures["traced_images"] == 1000
    assert figures["running_mismatches"] == 0
    assert figures["spikes_compared"] == 1000 * figures["time_steps"] * sum(figures["layers"][1:])
    lasting = sum(figures["layers"][1:-1]) if figures["integration"] == "continuous" else 0
    assert figures["membranes_compared"] == 1000 * figures["time_steps"] * (lasting + figures["layers"][-1])
    assert figures["spike_mismatches"] == 0
    assert figures["membrane_mismatches"] == 0


def test_counters_equal_the_golden_models_spikes(run):
    _, figures, reference = run
    assert figures["weight_row_reads_per_layer"] == list(reference.row_reads.sum((0, 1)) / figures["images"])


@pytest.mark.parametrize("mode", TRAINED_HERE)
def test_brevitas_onnx_and_golden_model_are_equal(mode):
    path = MODES[mode][0]
    for proof in (path.with_name("model.proof.json"), path.with_name("model.img.verify.json")):
        figures = json.loads(proof.read_text())
        assert figures["onnx_mismatches"] == 0
        assert figures["images"] >= 1000


def test_comparison_finds_a_planted_difference(monkeypatch):
    """The comparison itself can fail: weights changed in the accelerator alone show."""
    model = model_file.load(MODEL)
    given = samples.load(model.network).first(50)
    with Accelerator(model=model) as accelerator:
        weights = model.packets[2]
        weights = model_file.sealed(PacketType.WEIGHTS, np.roll(weights[1:-1], 16 * 50))  # the weights of other pixels
        driver = accelerator._backend
        memory = driver.device.buffer("weights", len(weights))
        memory[:] = weights
        driver.start(memory)
        driver.wait()
        monkeypatch.setattr(type(model), "identity", accelerator.simulator.read(Register.MODEL))  # as if it were ours
        figures = evaluate.measure(accelerator, given)
        compared, _ = evaluate.compare(accelerator, figures, given, traced=10)
    assert compared["golden_mismatches"] > 0
    assert compared["spike_mismatches"] > 0
