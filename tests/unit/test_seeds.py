"""training/seeds.py measures what any preset trains: the integer network that is exported, whatever its integration and input."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("brevitas", reason="training needs the train extra")

from spikeline.data import mnist, samples
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline_compiler.lower import compile_onnx
from spikeline_training import checkpoint, export, fold, preset

SPEC = importlib.util.spec_from_file_location("seeds", Path(__file__).parents[2] / "training/seeds.py")
seeds = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(seeds)


@pytest.fixture
def digits(monkeypatch, tmp_path):
    """60 random pictures instead of MNIST."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 784), dtype=np.uint8) * (rng.random((60, 784)) < 0.3).astype(np.uint8)
    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "load", lambda split, root=None: (pixels, np.arange(60, dtype=np.uint8) % 10))
    monkeypatch.setattr(seeds, "EXIT_IMAGES", 50)
    monkeypatch.setattr(seeds, "CHUNK", 25)


@pytest.mark.parametrize(
    ("name", "sizes", "data"),
    [
        ("tiny", [784, 9, 10], "mnist-test"),
        ("mnist-dc-threshold", [784, 9, 10], "mnist-test"),
        ("mnist-cc-latency", [784, 9, 10], "mnist-test"),
        ("mnist-cc-events", [578, 9, 10], "saccades-test"),
    ],
)
def test_every_kind_of_preset_is_measured_as_it_is_compiled(tmp_path, digits, name, sizes, data):
    chosen = preset.load(name, sizes=sizes)
    torch.manual_seed(1)
    network = checkpoint.build(chosen)
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, chosen, network, torch.optim.Adam(network.parameters()), [{"epoch": 1}, {"epoch": 2}])
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({"epoch": n, "seconds": 1.5 * n}) + "\n" for n in (1, 2)))
    found, figures = seeds.measure(path)
    assert found == {"dataset": data, "images": 60}
    assert figures["seconds"] == 4.5

    export.export(path, tmp_path / "model.onnx", images=2)
    compiled = compile_onnx(tmp_path / "model.onnx", Geometry.load("z020-256"))
    whole = fold.integers(checkpoint.load(path)[0])
    assert model_file.build(whole).crc == model_file.build(compiled).crc
    given = samples.load(compiled)
    trace = golden.run(compiled, given.spikes())
    assert figures["accuracy"] == float((trace.labels == given.labels).mean())
    assert figures["spikes_per_step"] == [round(float(n), 2) for n in trace.row_reads.mean((0, 1))]
    assert ("early_exit" in figures) == (chosen.time_steps > 1)
