"""`spikeline demo`: the steps of `make demo`, from training or from the trained model that comes with Spikeline."""

import hashlib
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from spikeline.cli import demo, main
from spikeline.data import mnist, samples
from spikeline.measure import evaluate
from spikeline.model import model_file

ROOT = Path(__file__).parents[2]
TRAINED = demo.SHIPPED / "mnist-dc-256.img"


@pytest.mark.parametrize("mode", demo.PRESETS)
def test_it_runs_the_commands_of_make_demo(mode, monkeypatch):
    """As `make` would run them if nothing were there: the same subcommands with the same arguments."""
    monkeypatch.chdir(ROOT)
    planned = subprocess.run(["make", "-n", "-B", "demo", f"MODE={mode}"], capture_output=True, text=True, check=True).stdout
    lines = [shlex.split(line)[1:] for line in planned.splitlines() if line.startswith(".venv/bin/spikeline ")]
    out = Path(demo.FOLDERS[mode])
    own = demo.commands(demo.PRESETS[mode], out / "model.img", out, demo.GEOMETRIES[mode])
    parse = main._parser().parse_args
    assert [vars(parse(words)) for words in own] == [vars(parse(words)) for words in lines]
    assert [words[0] for words in own] == ["train", "export", "compile", "report"]


def test_training_path(tmp_path, capsys):
    out = tmp_path / "out"
    assert main.main(["demo", "--preset", "tiny", "--images", "20", "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert (report["images"], report["layers"], report["golden_mismatches"]) == (20, [784, 32, 32, 10], 0)
    assert (report["onnx_mismatches"], report["onnx_images"]) == (0, 1000)
    assert {"checkpoint.pt", "model.onnx", "model.img", "raster.png"} <= {path.name for path in out.iterdir()}
    assert capsys.readouterr().out.startswith("$ spikeline train --preset tiny ")


@pytest.fixture
def untrainable(monkeypatch):
    """An environment in which the packages for training are missing."""
    monkeypatch.setattr(demo, "find_spec", lambda package: None)


def test_where_nothing_can_be_trained_the_shipped_model_runs(untrainable, tmp_path, capsys):
    assert main.main(["demo", "--images", "20", "--out", str(tmp_path)]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("mnist-dc-256 as it comes with Spikeline, 98.96% of the test images; ")
    assert first.endswith("to train it here: pip install 'spikeline[train]'")
    assert second.startswith(f"$ spikeline report {shlex.quote(str(TRAINED))} ")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["images"], report["golden_mismatches"], report["onnx_images"]) == (20, 0, 1000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train"], "training needs packages that are not installed; run `pip install 'spikeline[train]'`"),
        (["--preset", "tiny"], "training needs packages that are not installed"),
        (
            ["--mode", "events"],
            "no trained model of mnist-cc-events comes with Spikeline; train it: `pip install 'spikeline[train]'`",
        ),
    ],
)
def test_what_cannot_be_trained_there_says_how_it_can(untrainable, arguments, message, tmp_path, capsys):
    assert main.main(["demo", *arguments, "--out", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_step_that_fails_ends_it_with_its_status(tmp_path, monkeypatch):
    broken = tmp_path / "models"
    shutil.copytree(demo.SHIPPED, broken)
    (broken / TRAINED.name).write_bytes(TRAINED.read_bytes()[:-8])
    monkeypatch.setattr(demo, "SHIPPED", broken)
    with pytest.raises(SystemExit) as ended:
        main.main(["demo", "--trained", "--images", "1", "--out", str(tmp_path / "out")])
    assert ended.value.code == 1


def test_the_shipped_model_is_what_its_description_says():
    """Accuracy over all test images by the golden model, on the very files that it names."""
    facts = json.loads(TRAINED.with_suffix(".json").read_text())
    assert hashlib.sha256(TRAINED.read_bytes()).hexdigest() == facts["model_sha256"]
    folder = mnist.fetch()
    files = {path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in facts["test_files_sha256"]}
    assert files == facts["test_files_sha256"]
    model = model_file.load(TRAINED)
    given = samples.of(model, seed=facts["encoder_seed"])
    wrong = evaluate.golden_mismatches(model.network, given, given.labels)
    assert (len(given), 1 - wrong / len(given)) == (facts["accuracy_images"], facts["accuracy"])
    assert (model.dataset, model.network.time_steps) == (facts["dataset"], facts["time_steps"])
