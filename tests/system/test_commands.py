"""The command line as a user meets it: what it prints and writes, and one clear line for every mistake."""

import json

import numpy as np
import pytest

from spikeline.cli.main import main
from spikeline.cli.progress import Progress
from spikeline.model import model_file
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder
from spikeline.simulation.board import SimulatedBoard


@pytest.fixture
def model(tmp_path):
    """An untrained network for MNIST, as a model file."""
    rng = np.random.default_rng(0)
    layers = tuple(
        Layer(rng.integers(-7, 8, (i, n)).astype(np.int8), rng.integers(0, 40, n).astype(np.int32))
        for i, n in ((784, 32), (32, 10))
    )
    path = tmp_path / "model.img"
    model_file.save(model_file.build(Network(layers, 4, 2, Encoder.BERNOULLI), {"dataset": {"name": "mnist"}}), path)
    return path


def test_help_lists_the_flow(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    for command in ("data", "train", "export", "compile", "info", "sim", "run", "report", "bench", "power"):
        assert f"\n    {command}" in listed


def test_info(model, capsys):
    assert main(["info", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "784-32-10" in shown
    assert f"{model_file.load(model).crc:08x}" in shown
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
        weight_row_reads_per_image simulated_images_per_second commit
        accuracy_mean accuracy_min accuracy_max accuracy_std encoder_seeds"""
    assert set(promised.split()) <= set(figures)
    assert figures["accuracy_min"] <= figures["accuracy"] <= figures["accuracy_max"]
    assert figures["encoder_seeds"] == [0, 1, 2, 3, 4]
    assert figures["golden_mismatches"] == figures["spike_mismatches"] == 0
    for name in ("raster", "confusion", "accuracy"):
        assert (tmp_path / f"out/{name}.png").read_bytes().startswith(b"\x89PNG")


FINN = """runtime[ms] throughput[images/s] DRAM_in_bandwidth[MB/s] DRAM_out_bandwidth[MB/s] fclk[mhz] batch_size
    pack_input[ms] copy_input_data_to_device[ms] copy_output_data_from_device[ms] unpack_output[ms]"""


def test_bench_of_the_simulated_board(model, tmp_path, capsys):
    vendor = tmp_path / "power.json"
    vendor.write_text(json.dumps({"total_w": 1.5, "dynamic_w": 1.3, "static_w": 0.2, "source": "vendor's report"}))
    out = tmp_path / "bench.json"
    assert main(["bench", str(model), "--out", str(out), "--images", "60", "--batch", "60", "--power", f"estimate:{vendor}"]) == 0
    assert "(estimated: vendor's report (estimate))" in capsys.readouterr().out
    figures = json.loads(out.read_text())
    assert (figures["backend"], figures["power_source"]) == ("sim", "estimated")
    for r in figures["results"]:
        assert r["golden_mismatches"] == r["cycle_model_error"] == 0
        assert r["encoder_seeds"] == [0, 1, 2, 3, 4]
        assert r["accuracy_min"] <= r["accuracy_mean"] <= r["accuracy_max"]
        assert r["latency_percentiles_us"]["p50"] <= r["latency_percentiles_us"]["max"] == r["latency_cycles_max"] / 100
        assert r["host_cpu_us_per_image"] > 0
        if r["input"] == "pixels":
            assert r["host_cpu"].keys() == {"batch_size", "any_array_us_per_image", "buffer_us_per_image"}
            assert r["host_cpu"]["buffer_us_per_image"] > 0
        assert r["power"]["energy_per_image_uj"] == pytest.approx(1.5e6 / r["images_per_second"])
        assert "measured_images_per_second" not in r
        assert 0 < r["board_like_memory"]["of_ideal"] <= 1
    assert set(FINN.split()) <= set(figures["results"][0]["throughput_test"])
    assert main(["bench", str(model), "--out", str(out), "--images", "60", "--power", "csv:meter.csv"]) == 1
    assert "a simulated board draws no power to measure" in capsys.readouterr().err


def test_bench_of_a_board_and_a_meters_log(model, tmp_path, capsys, monkeypatch):
    board = SimulatedBoard(Geometry.load("z020-256"))
    monkeypatch.setattr("spikeline.device.board._active_device", lambda: board)
    out = tmp_path / "bench.json"
    options = ["--out", str(out), "--images", "60", "--seconds", "0.1"]
    assert main(["bench", str(model), "--bitstream", str(board.bitstream), *options]) == 0
    figures = json.loads(out.read_text())
    assert (figures["backend"], figures["power_source"]) == ("board", "none")
    (pixels, spikes) = figures["results"]
    assert pixels["golden_mismatches"] == spikes["golden_mismatches"] == 0
    assert pixels["measured_images_per_second"] > 0
    assert set(FINN.split()) <= set(pixels["throughput_test"])
    assert pixels["throughput_test"]["runtime_source"] == "wall clock"
    assert pixels["measured_latency_us"]["p50"] > 0
    assert "simulated_images_per_second" not in pixels
    assert pixels["power"]["active_w"] is None
    assert "µJ" not in capsys.readouterr().out

    phases = [p for r in figures["results"] for p in r["power"]["phases"]]
    assert [p["name"] for p in phases] == ["idle", "active"] * 2
    log = tmp_path / "meter.csv"  # of a clock that is 7 s late; 2 W idle, 2.5 W active
    rows = [
        (p["start"] + (p["stop"] - p["start"]) * n / 10, 2.0 if p["name"] == "idle" else 2.5) for p in phases for n in range(10)
    ]
    log.write_text("time,power_W\n" + "".join(f"{at - 7:.6f},{watts}\n" for at, watts in rows))
    assert main(["power", str(out), "--csv", str(log)]) == 1
    assert "correct the OFFSET" in capsys.readouterr().err
    assert json.loads(out.read_text()) == figures
    assert main(["power", str(out), "--csv", str(log), "--offset", "7"]) == 0
    merged = json.loads(out.read_text())
    for r in merged["results"]:
        assert r["power_source"] == r["power"]["power_source"] == "measured"
        assert (r["power"]["idle_w"], r["power"]["active_w"]) == (2.0, 2.5)
        assert r["power"]["dynamic_w"] == 0.5
        active = r["power"]["phases"][1]["stop"] - r["power"]["phases"][1]["start"]
        assert r["power"]["energy_per_image_uj"] == pytest.approx(2.5e6 * active / r["power"]["images"])
    board.close()


def test_run_on_a_board(model, capsys, monkeypatch):
    board = SimulatedBoard(Geometry.load("z020-256"))
    monkeypatch.setattr("spikeline.device.board._active_device", lambda: board)
    assert main(["run", str(model), "--bitstream", str(board.bitstream), "--images", "30", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["backend"], figures["geometry"]) == ("board", "spikeline")
    board.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "{model}", "--out", "x.json", "--backend", "board"], "name its .bit file with --bitstream"),
        (["bench", "{model}", "--out", "x.json", "--backend", "sim", "--bitstream", "x.bit"], "leave --bitstream out"),
        (["bench", "{model}", "--out", "x.json", "--bitstream", "x.bit"], "x.bit is missing"),
        (["bench", "{model}", "--out", "x.json", "--power", "guess"], "no power source 'guess'"),
        (["power", "{text}", "--csv", "x.csv"], "is no benchmark of a board"),
        (["info", "missing.img"], "make it with `spikeline compile`"),
        (["run", "{model}", "--backend", "fpga"], "no backend fpga; there are board, sim, golden"),
        (["run", "{model}", "--geometry", "huge"], "no geometry huge; there are k26-256, tiny, tiny-conv, z020-1024, z020-256"),
        (["run", "{model}", "--geometry", "tiny", "--backend", "sim"], "room for 100×48"),
        (["run", "{model}", "--images", "20000"], "mnist-test has 10000"),
        (["run", "{text}"], "not a model"),
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
    Progress("sim", 10)(10)
    assert capsys.readouterr().err == ""
