"""The trained demonstration network on the RTL: all 10,000 real test images. `make test` trains it first."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikeline import image, report, samples
from spikeline.accelerator import Accelerator

IMAGE = Path(__file__).parents[2] / "build/demo/model.img"


@pytest.fixture(scope="module")
def run():
    """Classify all test images on the simulated accelerator and compare with the golden model."""
    assert IMAGE.exists(), f"{IMAGE} is missing; `make test` makes it, or run `make compile`"
    model = image.load(IMAGE)
    given = samples.load(model.network)
    with Accelerator(model, "sim") as accelerator:
        figures = report.measure(accelerator, given)
        compared, reference = report.compare(accelerator, figures, given, traced=1000)
    return figures | compared, reference


def test_accuracy_over_all_test_images(run):
    figures, _ = run
    assert figures["images"] == 10_000
    assert figures["layers"] == [784, 256, 256, 10]
    assert figures["time_steps"] <= 4
    assert figures["accuracy"] >= 0.98


def test_every_label_and_1000_images_of_spikes_equal_the_golden_model(run):
    figures, _ = run
    assert figures["golden_mismatches"] == 0
    assert figures["traced_images"] == 1000
    assert figures["spikes_compared"] == 1000 * figures["time_steps"] * sum(figures["layers"][1:])
    assert figures["spike_mismatches"] == 0
    assert figures["membrane_mismatches"] == 0


def test_counters_equal_the_golden_models_spikes(run):
    figures, reference = run
    assert figures["weight_row_reads_per_layer"] == list(reference.row_reads.sum((0, 1)) / 10_000)


def test_onnx_equals_the_golden_model():
    verified = json.loads(Path(f"{IMAGE}.verify.json").read_text())
    assert verified["onnx_mismatches"] == 0
    assert verified["images"] >= 1000


def test_brevitas_equals_the_onnx():
    proof = json.loads((IMAGE.parent / "model.proof.json").read_text())
    assert proof["onnx_mismatches"] == 0
    assert proof["images"] >= 1000


def test_comparison_finds_a_planted_difference():
    """The comparison itself can fail: weights changed in the accelerator alone show."""
    model = image.load(IMAGE)
    given = samples.load(model.network).first(50)
    with Accelerator(model, "sim") as accelerator:
        weights = model.packets[2].copy()
        weights[1:] = np.roll(weights[1:], 16 * 50)  # the weights of other pixels
        accelerator._backend.device.start(weights)
        while not accelerator._backend.device.poll():
            pass
        figures = report.measure(accelerator, given)
        compared, _ = report.compare(accelerator, figures, given, traced=10)
    assert compared["golden_mismatches"] > 0
    assert compared["spike_mismatches"] > 0
