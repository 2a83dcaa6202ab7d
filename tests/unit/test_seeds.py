"""The measurement over seeds is of what any preset trains: the integer network that is exported, of any integration and input."""

import json

import pytest
import torch

pytest.importorskip("brevitas", reason="training needs the train extra")

from spikeline.data import samples
from spikeline.measure import cycles
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline_compiler.lower import compile_onnx
from spikeline_training import checkpoint, export, preset, scoring, seeds
from spikeline_training.integers import integers
from spikeline_training.network import SpikingNetwork


@pytest.fixture
def few(monkeypatch, digits):
    """Fewer samples than there are random pictures."""
    monkeypatch.setattr(seeds, "EXIT_IMAGES", 50)
    monkeypatch.setattr(scoring, "BATCH", 25)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tiny", "mnist-test"),
        ("mnist-dc-threshold", "mnist-test"),
        ("mnist-cc-latency", "mnist-test"),
        ("mnist-cc-events", "saccades-test"),
        ("mnist-direct", "mnist-test"),
    ],
)
def test_every_kind_of_preset_is_measured_as_it_is_compiled(tmp_path, few, name, data):
    chosen = preset.load(name, hidden=[9])
    torch.manual_seed(1)
    trained = SpikingNetwork(chosen)
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, chosen, trained, torch.optim.Adam(trained.parameters()), [{"epoch": 1}, {"epoch": 2}])
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({"epoch": n, "seconds": 1.5 * n}) + "\n" for n in (1, 2)))
    test, results = seeds.measure(path)
    assert (test["dataset"], test["images"], test["fclk_mhz"]) == (data, 60, 100)
    assert results["seconds"] == 4.5

    export.export_checkpoint(path, tmp_path / "model.onnx", images=2)
    geometry = Geometry.load(test["geometry"])
    compiled = compile_onnx(tmp_path / "model.onnx", geometry)
    network = integers(checkpoint.load(path)[0])
    assert model_file.build(network).crc == model_file.build(compiled).crc
    given = samples.load(compiled)
    trace = golden.run(compiled, given.spikes())
    assert results["accuracy"] == float((trace.labels == given.labels).mean())
    assert results["spikes_per_step"] == [round(float(n), 2) for n in trace.row_reads.mean((0, 1))]
    predicted = cycles.predict(geometry, compiled, given.spikes(), trace, input=test["input"])
    assert results["cycles_per_image"] == round(predicted.cycles / 60, 2)
    assert ("early_exit" in results) == (compiled.decisions > 1)
