"""Data of a user, from files to labels by the commands alone, on the simulated accelerator: bit for bit, and on nothing else."""

import csv
import json

import numpy as np
import pytest

from spikeline.cli.main import main
from spikeline.model import model_file
from support import own_data
from support.own_data import NAMES, arrays

VALUES = arrays()
SMALL = (
    "--preset",
    "small",
    "--hidden",
    "24",
    "--epochs",
    "6",
    "--set",
    "batch=20",
    "--set",
    "peak_lr=0.02",
    "--set",
    "train_steps=2",
)


def run(*words):
    assert main([str(x) for x in words]) == 0, words


def refusal(capsys, *words):
    capsys.readouterr()
    assert main([str(x) for x in words]) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1, shown.err
    return shown.err


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with data in all forms, and the model of a network that was trained on one."""
    folder = tmp_path_factory.mktemp("own")
    path = own_data.npz(folder / "mine.npz", **VALUES, classes=np.array(NAMES))
    own_data.idx(folder / "idx", VALUES)
    own_data.png(folder / "png", VALUES)
    run("train", *SMALL, "--data", path, "--out", folder)
    run("export", "--checkpoint", folder / "checkpoint.pt", "--data", path, "--out", folder / "model.onnx", "--verify", 60)
    compiled = ("compile", folder / "model.onnx", "--data", path, "--geometry", "tiny", "--verify", 60, "--early-exit", 0.5)
    run(*compiled, "--out", folder / "early" / "model.img")
    run(*compiled[:-2], "--out", folder / "model.img")
    return folder


@pytest.mark.parametrize("form", ["mine.npz", "idx", "png"])
def test_the_same_samples_are_its_own_in_every_form(own, capsys, form):
    run("run", own / "model.img", "--data", own / form, "--geometry", "tiny", "--json")
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["accuracy"] > 0.9
    assert report["classes"] == list(NAMES)
    assert report["dataset_sha256"] == model_file.load(own / "model.img").note["dataset"]["test_sha256"]
    assert "trained_on" not in report


def test_report_compares_every_spike_and_names_the_classes(own, tmp_path, capsys):
    run("report", own / "model.img", "--data", own / "png", "--geometry", "tiny", "--out", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["images"], report["golden_mismatches"], report["traced_images"]) == (60, 0, 60)
    assert (report["spike_mismatches"], report["membrane_mismatches"], report["onnx_mismatches"]) == (0, 0, 0)
    assert report["spikes_compared"] == 60 * 4 * (24 + 5)
    assert (report["classes"], report["dataset"]) == (list(NAMES), "png-test")
    assert np.isclose(np.mean(report["accuracy_by_class"]), report["accuracy"])
    assert {x.name for x in tmp_path.iterdir()} == {"report.json", "raster.png", "confusion.png", "accuracy.png"}


def test_the_model_remembers_its_data_and_no_path(own):
    for name in ("model.img", "early/model.img"):
        note = model_file.load(own / name).note["dataset"]
        assert note.keys() == {"name", "shape", "classes", "test_sha256"}
        assert (note["name"], note["shape"], note["classes"]) == ("mine", [10, 10], list(NAMES))
    for name in ("model.img", "model.onnx", "model.proof.json", "checkpoint.pt"):
        assert str(own).encode() not in (own / name).read_bytes()
    assert model_file.load(own / "early/model.img").network.exit_margin is not None


def test_samples_without_labels_are_classified_and_not_scored(own, tmp_path, capsys):
    path = own_data.npz(tmp_path / "new.npz", images=VALUES["test_images"][:7])
    run("run", own / "model.img", "--data", path, "--geometry", "tiny", "--out", tmp_path / "labels.csv")
    assert "7 samples without labels of new-test" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "labels.csv").open()))
    assert [row["sample"] for row in rows] == list("0123456")
    assert all(NAMES[int(row["label"])] == row["class"] for row in rows)
    assert np.mean([int(row["label"]) == truth for row, truth in zip(rows, VALUES["test_labels"], strict=False)]) > 0.8
    for command in ("report", "bench", "energy"):
        words = [command, own / "model.img", "--data", path, "--out", tmp_path / command]
        assert "new-test has no labels, and this needs them" in refusal(capsys, *words)
    words = [
        "compile",
        own / "model.onnx",
        "--data",
        path,
        "--geometry",
        "tiny",
        "--early-exit",
        0.1,
        "--out",
        tmp_path / "x.img",
    ]
    assert "has no train split" in refusal(capsys, *words)


def test_labelled_samples_have_their_truth_in_the_table(own, tmp_path):
    run("run", own / "model.img", "--data", own / "idx", "--backend", "golden", "--out", tmp_path / "labels.csv")
    rows = list(csv.DictReader((tmp_path / "labels.csv").open()))
    assert [int(row["truth"]) for row in rows] == VALUES["test_labels"].tolist()


def test_it_is_scored_on_nothing_else_unless_the_user_insists(own, tmp_path, capsys):
    other = {key: np.roll(x, 1, 1) if x.ndim == 3 else x for key, x in VALUES.items()}
    path = own_data.npz(tmp_path / "other.npz", **other)
    for command in ("run", "report", "bench", "energy"):
        out = [] if command == "run" else ["--out", tmp_path / command]
        said = refusal(capsys, command, own / "model.img", "--data", path, *out)
        assert "was trained on mine, and the test set of other is another (SHA-256" in said
        assert "--other-data" in said
    said = refusal(capsys, "export", "--checkpoint", own / "checkpoint.pt", "--data", path, "--out", tmp_path / "m.onnx")
    assert "the test set of other is another" in said
    said = refusal(capsys, "compile", own / "model.onnx", "--data", path, "--verify", 9, "--out", tmp_path / "m.img")
    assert "the test set of other is another" in said
    run("run", own / "model.img", "--data", path, "--backend", "golden", "--other-data")
    assert "trained on mine, scored on other-test" in capsys.readouterr().out
    run("run", own / "model.img", "--data", path, "--backend", "golden", "--other-data", "--json")
    assert json.loads(capsys.readouterr().out)["trained_on"] == "mine"


WRONG = {
    "nothing": (
        (),
        "'mine' is not known here by its name; known are mnist, fashion-mnist, nmnist, tonic:NAME; if it is a",
    ),
    "another shape": (({"test_images": VALUES["test_images"][:, 1:]},), "the network has 100 inputs; wrong images have 90"),
    "more classes": (
        ({"test_images": VALUES["test_images"], "test_labels": VALUES["test_labels"] + 1},),
        "tells 5 classes apart and wrong has 6",
    ),
    "other names": (
        ({"test_images": VALUES["test_images"], "classes": np.array(["x", "y"])},),
        "tells 5 classes apart and wrong has 2",
    ),
    "spikes": (
        ({"test_spikes": np.zeros((3, 4, 100), np.uint8)},),
        "takes images, by its bernoulli encoder, and wrong has events",
    ),
    "no test": (({"train_images": VALUES["test_images"]},), "wrong has no test split, only train: nothing can be scored on it"),
}


@pytest.mark.parametrize(("made", "message"), WRONG.values(), ids=WRONG.keys())
def test_data_that_do_not_suit_are_refused_in_one_line(own, tmp_path, capsys, made, message):
    path = [own_data.npz(tmp_path / "wrong.npz", **made[0])] if made else []
    assert message in refusal(capsys, "run", own / "model.img", *(x for y in path for x in ("--data", y)), "--backend", "golden")


UNTRAINABLE = {
    "no training split": ({"images": VALUES["test_images"], "labels": VALUES["test_labels"]}, "it cannot be trained on"),
    "no labels": ({**VALUES, "train_labels": None}, "has no labels in its train split, and training needs them"),
    "no test labels": ({**VALUES, "test_labels": None}, "has no labels in its test split, and training needs them"),
    "too few": ({key: x[:9] for key, x in VALUES.items()}, "batch = 20 is more than the 9 training samples of mine; lower it"),
    "spikes": ({f"{x}_spikes": np.zeros((3, 4, 9), np.uint8) for x in ("train", "test")}, "and mine has events"),
}


@pytest.mark.parametrize(("values", "message"), UNTRAINABLE.values(), ids=UNTRAINABLE.keys())
def test_what_cannot_be_trained_on_is_refused_in_one_line(tmp_path, capsys, values, message):
    path = own_data.npz(tmp_path / "mine.npz", **{key: x for key, x in values.items() if x is not None})
    assert message in refusal(capsys, "train", *SMALL, "--data", path, "--out", tmp_path / "out")


def test_a_resumed_training_is_on_the_same_data(own, tmp_path, capsys):
    other = {**VALUES, "test_labels": np.roll(VALUES["test_labels"], 1)}
    path = own_data.npz(tmp_path / "mine.npz", **other, classes=np.array(NAMES))
    words = ["train", *SMALL, "--data", path, "--out", own, "--resume"]
    assert "was trained with another test set of mine" in refusal(capsys, *words)


def test_pictures_that_were_scaled_are_scaled_by_every_later_command(tmp_path, capsys):
    large = {key: x.repeat(2, 1).repeat(3, 2) if x.ndim == 3 else x for key, x in VALUES.items()}
    path = own_data.png(tmp_path / "large", large)
    run("train", *SMALL[:5], "1", *SMALL[6:], "--data", path, "--resize", "10x10", "--out", tmp_path)
    run("export", "--checkpoint", tmp_path / "checkpoint.pt", "--data", path, "--out", tmp_path / "model.onnx", "--verify", 5)
    run("compile", tmp_path / "model.onnx", "--data", path, "--geometry", "tiny", "--verify", 5, "--out", tmp_path / "model.img")
    run("run", tmp_path / "model.img", "--data", path, "--backend", "golden")
    assert model_file.load(tmp_path / "model.img").note["dataset"]["resize"] == [10, 10]


def test_spike_trains_train_a_continuous_network(tmp_path, capsys):
    values = {}
    for n, split in enumerate(("train", "test")):
        values |= dict(zip((f"{split}_spikes", f"{split}_labels"), own_data.spikes(100, 6, 40, 4, n), strict=True))
    path = own_data.npz(tmp_path / "trains.npz", **values)
    words = ("--preset", "small-events", "--hidden", "20", "--epochs", "8", "--set", "batch=10", "--set", "peak_lr=0.02")
    assert "train with --time-steps 6" in refusal(capsys, "train", *words, "--data", path, "--out", tmp_path)
    run("train", *words, "--time-steps", 6, "--data", path, "--out", tmp_path)
    run("export", "--checkpoint", tmp_path / "checkpoint.pt", "--data", path, "--out", tmp_path / "model.onnx", "--verify", 50)
    run("compile", tmp_path / "model.onnx", "--data", path, "--verify", 50, "--out", tmp_path / "model.img")
    capsys.readouterr()
    run("report", tmp_path / "model.img", "--data", path, "--backend", "golden", "--out", tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["accuracy"] > 0.8
    assert (report["input"], report["layers"]) == ("events", [40, 20, 4])


@pytest.mark.long
def test_pictures_of_64_rows_and_100_columns_on_the_verilog(tmp_path, capsys):
    """As large as no shipped geometry takes: one that is written for them."""
    path = own_data.npz(tmp_path / "wide.npz", **arrays((64, 100), 5, 300, 1000))
    layers = [{"inputs": a, "neurons": b, "spikes_per_cycle": 4} for a, b in ((6400, 32), (32, 16))]
    geometry = {"clock_mhz": 100, "weight_bits": 4, "membrane_bits": 18, "classes": 16, "layers": layers}
    (tmp_path / "wide.json").write_text(json.dumps(geometry))
    run("train", *SMALL, "--data", path, "--out", tmp_path)
    run("export", "--checkpoint", tmp_path / "checkpoint.pt", "--data", path, "--out", tmp_path / "model.onnx")
    room = ("--geometry", tmp_path / "wide.json")
    run("compile", tmp_path / "model.onnx", "--data", path, *room, "--verify", 1000, "--out", tmp_path / "model.img")
    run("report", tmp_path / "model.img", "--data", path, *room, "--out", tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["images"], report["golden_mismatches"], report["spike_mismatches"]) == (1000, 0, 0)
    assert report["accuracy"] > 0.9
