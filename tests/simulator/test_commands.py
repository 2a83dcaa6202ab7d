"""The command line as a user meets it: what it prints and writes, and one clear line for every mistake."""

import json

import numpy as np
import pytest

from spikeline import commands, image
from spikeline.cli import main
from spikeline.network import Layer, Network
from spikeline.spec import Encoder


@pytest.fixture
def model(tmp_path):
    """An untrained network for MNIST-sized images, as an image file."""
    rng = np.random.default_rng(0)
    layers = tuple(
        Layer(rng.integers(-7, 8, (i, n)).astype(np.int8), rng.integers(0, 40, n).astype(np.int32))
        for i, n in ((784, 32), (32, 10))
    )
    path = tmp_path / "model.img"
    image.save(image.build(Network(layers, 4, 2, Encoder.BERNOULLI)), path)
    return path


def test_help_lists_the_flow(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    for command in ("data", "train", "export", "compile", "info", "sim", "run", "report", "bench"):
        assert f"\n    {command}" in listed


def test_info(model, capsys):
    assert main(["info", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "784-32-10" in shown
    assert f"{image.load(model).crc:08x}" in shown
    assert main(["info", str(model), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["layers"] == [784, 32, 10]
    assert facts["memory"][0]["weight_bytes"] == 784 * 32 // 2


def test_run_gives_the_same_labels_on_both_backends(model, capsys):
    reports = []
    for backend in ("golden", "sim"):
        assert main(["run", str(model), "--backend", backend, "--images", "50", "--json"]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    for key in ("accuracy", "input_spikes_per_image", "hidden_spikes_per_image", "weight_row_reads_per_image"):
        assert reports[0][key] == reports[1][key]
    assert "cycles_per_image" not in reports[0]
    assert reports[1]["images_per_second"] == pytest.approx(1e8 / reports[1]["cycles_per_image"])


def test_report_has_the_promised_keys_and_pictures(model, tmp_path, capsys):
    assert main(["report", str(model), "--images", "40", "--trace", "10", "--out", str(tmp_path / "out")]) == 0
    assert "0 of 40 labels" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out/report.json").read_text())
    promised = """dataset images accuracy time_steps layers weight_bits encoder golden_mismatches onnx_mismatches
        fclk_mhz cycles_per_image latency_cycles images_per_second input_spikes_per_image hidden_spikes_per_image
        weight_row_reads_per_image simulated_images_per_second commit"""
    assert set(promised.split()) <= set(figures)
    assert figures["golden_mismatches"] == figures["spike_mismatches"] == 0
    for name in ("raster", "confusion", "accuracy"):
        assert (tmp_path / f"out/{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "missing.img"], "make it with `spikeline compile`"),
        (["run", "{model}", "--backend", "fpga"], "no backend fpga; there are board, sim, golden"),
        (["run", "{model}", "--geometry", "huge"], "no geometry huge; there are tiny, z020-1024, z020-256"),
        (["run", "{model}", "--geometry", "tiny", "--backend", "sim"], "room for 100×48"),
        (["run", "{model}", "--images", "20000"], "mnist-test has 10000"),
        (["run", "{text}"], "not an image"),
        (["compile", "{text}", "--out", "x.img"], "ONNX"),
        (["train", "--preset", "none", "--out", "x"], "preset"),
        (["export", "--checkpoint", "{text}", "--out", "x.onnx"], "checkpoint"),
    ],
)
def test_mistakes_get_one_clear_line(model, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("hello")
    filled = [a.format(model=model, text=tmp_path / "text") for a in arguments]
    assert main(filled) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.img", "text"]


def test_images_must_be_positive():
    with pytest.raises(SystemExit):
        main(["run", "x.img", "--images", "0"])


def test_progress_is_silent_where_no_one_watches(capsys):
    commands._Progress(10, "sim")(10)
    assert capsys.readouterr().err == ""
