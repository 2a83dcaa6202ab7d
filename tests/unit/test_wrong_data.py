"""A network is scored on the data set that it was trained on, or not at all: by every command, before anything runs."""

import json
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("qonnx", reason="compiling needs the train extra")

from spikeline.cli.main import main
from spikeline.data import mnist, nmnist, samples
from spikeline.data.recordings import Recording, inputs
from spikeline.errors import DataError
from spikeline.model import model_file
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder
from support.onnx_builders import Builder

SIZES = (784, 12, 10)


def network(sizes=SIZES, encoder=Encoder.BERNOULLI):
    rng = np.random.default_rng(0)
    shapes = pairwise(sizes)
    layers = [Layer(rng.integers(-7, 8, x).astype(np.int8), rng.integers(0, 9, x[1]).astype(np.int32)) for x in shapes]
    return Network(tuple(layers), 4, 2, encoder)


def model(folder, name, dataset, *args):
    path = folder / name / "model.img"
    model_file.save(model_file.build(network(*args), {"dataset": {"name": dataset}} if dataset else {}), path)
    return str(path)


def graph(folder, dataset=None, sizes=SIZES, encoder="bernoulli"):
    """A QONNX file that says what it was trained on, or does not."""
    rng = np.random.default_rng(0)
    b = Builder(sizes[0], encoder=encoder, time_steps="2", **({"dataset": dataset} if dataset else {}))
    for i, o in pairwise(sizes[:-1]):
        b.dense(rng.integers(-7, 8, (i, o)), 0.25, 4).spike()
    b.dense(rng.integers(-7, 8, sizes[-2:]), 0.5, 4)
    return str(b.save(folder))


@pytest.fixture
def digits(monkeypatch, tmp_path):
    """60 random pictures instead of MNIST; tells whether they were read."""
    rng, reads = np.random.default_rng(0), []
    pixels = rng.integers(0, 256, (60, 784), dtype=np.uint8)

    def load(split, root=None):
        reads.append(split)
        return pixels, np.arange(60, dtype=np.uint8) % 10

    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "load", load)
    return reads


def refusal(capsys, *words):
    assert main(list(words)) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    return shown.err


UNKNOWN = "does not say what it was trained on; if that was MNIST, add --data mnist"
MODELS = {
    "of nothing it says": ((None,), (), UNKNOWN),
    "of data that are not here": (
        ("cifar10",),
        (),
        "the data set 'cifar10' is not known here by its name; known are mnist, fashion-mnist, nmnist, tonic:NAME",
    ),
    "of other data than the user says": (("fashion-mnist",), ("--data", "mnist"), "trained on fashion-mnist, not on mnist"),
    "of N-MNIST, called MNIST": (("nmnist", (578, 10), Encoder.EVENTS), ("--data", "mnist"), "trained on nmnist, not on mnist"),
    "fewer classes": (("mnist", (784, 12, 7)), (), "tells 7 classes apart and mnist has 10"),
    "fewer classes, of nothing it says": ((None, (784, 12, 7)), ("--data", "mnist"), "tells 7 classes apart and mnist has 10"),
    "more classes": (("mnist", (784, 12, 11)), (), "tells 11 classes apart and mnist has 10"),
    "classes of events": (("nmnist", (578, 11), Encoder.EVENTS), ("--root", "x"), "tells 11 classes apart and nmnist has 10"),
    "inputs": (("mnist", (100, 10)), (), "has 100 inputs; MNIST images have 784"),
    "inputs, of nothing it says": ((None, (100, 10)), ("--data", "mnist"), "has 100 inputs; MNIST images have 784"),
    "inputs of events": (("mnist", (99, 10), Encoder.EVENTS), (), "has 99 inputs; events of mnist make 2312 or 578"),
    "images for events": (("nmnist",), ("--root", "x"), "takes images, by its bernoulli encoder, and N-MNIST has events"),
    "events without a folder": (("nmnist", (578, 10), Encoder.EVENTS), (), "name its folder, which holds Train and Test"),
}


@pytest.mark.parametrize(("made", "options", "message"), MODELS.values(), ids=MODELS.keys())
def test_it_is_not_run(tmp_path, capsys, digits, made, options, message):
    path = model(tmp_path, "wrong", *made)
    said = refusal(capsys, "run", path, "--backend", "golden", *options)
    assert message in said
    assert path in said
    assert digits == []


@pytest.mark.parametrize("words", ["report {}", "bench {}", "energy {}", "bench {s} {}", "energy {s} --sweep {}"])
@pytest.mark.parametrize("case", ["of nothing it says", "fewer classes", "events without a folder"])
def test_no_command_scores_it(tmp_path, capsys, digits, monkeypatch, words, case):
    """And of several models, none is run before the one is refused."""
    made, options, message = MODELS[case]
    path, sound = model(tmp_path, "wrong", *made), model(tmp_path, "sound", "mnist")
    for module in ("energy.measure", "measure.bench"):
        monkeypatch.setattr(f"spikeline.{module}.run", lambda *_: pytest.fail("it runs"))
    words = [word.format(path, s=sound) for word in words.split()]
    assert message in refusal(capsys, *words, "--out", str(tmp_path / "out"), *options)
    assert not (tmp_path / "out").exists()
    assert digits == []


def test_a_model_is_scored_on_its_own_data(tmp_path, capsys, digits):
    own, unsaid = model(tmp_path, "own", "mnist"), model(tmp_path, "unsaid", None)
    found = []
    for words in ((own,), (own, "--data", "mnist"), (unsaid, "--data", "mnist")):
        assert main(["run", *words, "--backend", "golden", "--images", "20", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["dataset"] == "mnist-test"
    assert {x["accuracy"] for x in found} == {found[0]["accuracy"]}
    assert main(["info", own]) == 0
    assert "trained on mnist" in capsys.readouterr().out
    assert main(["info", unsaid]) == 0
    assert "trained on a data set that it does not name" in capsys.readouterr().out


def recordings(root, oddity=b""):
    """An N-MNIST of one recording a class."""
    for label in range(10):
        place = np.array([label, 5], np.uint8)
        path = root / "Test" / str(label) / f"{label:05d}.bin"
        nmnist.write(path, Recording(place, place, np.array([0, 1], np.uint8), np.array([3, 200_000], np.int32)))
    path.write_bytes(oddity + path.read_bytes())


def test_events_are_the_models_own_and_their_oddities_are_reported(tmp_path, capsys, digits):
    recordings(tmp_path / "n", b"\x00\xf0\x00\x00\x00")
    path = model(tmp_path, "own", "nmnist", (inputs(2), 10), Encoder.EVENTS)
    words = ["run", path, "--backend", "golden", "--root", str(tmp_path / "n"), "--json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["dataset"] == "nmnist-test"
    assert json.loads(shown.out)["oddities"] == {"overflow_marks": 1}
    assert "1 overflow marks in 10 recordings, mended; --strict refuses them" in shown.err
    assert "9/00009.bin: the event at byte 0 marks that the clock ran over" in refusal(capsys, *words, "--strict")
    assert digits == []


def test_without_a_name_python_is_told_so():
    with pytest.raises(DataError, match=UNKNOWN):
        samples.of(model_file.build(network()))


# -- compile --------------------------------------------------------------------------------------------------------------


def test_a_foreign_network_is_verified_on_random_spikes_and_says_so(tmp_path, capsys, digits):
    out = tmp_path / "m.img"
    assert main(["compile", graph(tmp_path), "--out", str(out), "--verify", "20"]) == 0
    shown = capsys.readouterr().out
    assert "verified: 20 images of random spikes" in shown
    assert "does not say what it was trained on (if that was MNIST, add --data mnist)" in shown
    assert json.loads((tmp_path / "m.img.verify.json").read_text())["samples"] == "random spikes"
    assert model_file.load(out).dataset is None
    assert digits == []


@pytest.mark.parametrize(("said", "options"), [(None, ("--data", "mnist")), ("mnist", ()), ("mnist", ("--data", "mnist"))])
def test_its_data_set_goes_into_the_image(tmp_path, capsys, digits, said, options):
    out = tmp_path / "m.img"
    words = ["compile", graph(tmp_path, said), "--out", str(out), "--verify", "20", "--early-exit", "0.5", *options, "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["verify"]["samples"]) == ("mnist", "mnist-test")
    assert model_file.load(out).dataset == "mnist"
    assert report["crc"] == f"{model_file.load(out).crc:08x}"
    assert model_file.load(out).network.exit_margin == report["exit_margin"]
    assert digits == ["test", "train"]


COMPILED = {
    "no data for a margin": ((None,), ("--early-exit", "0.01"), "(if that was MNIST, add --data mnist), and --early-exit picks"),
    "data that are not here": (("cifar10",), ("--early-exit", "0.1"), "is a file or folder, add --data PATH), and --early"),
    "other data": (("nmnist",), ("--data", "mnist"), "trained on nmnist, not on mnist; leave out --data"),
    "classes": ((None, (784, 12, 7)), ("--data", "mnist"), "tells 7 classes apart and mnist has 10"),
    "classes of its own data": (("mnist", (784, 12, 7)), (), "tells 7 classes apart and mnist has 10"),
    "inputs": ((None, (100, 12, 10)), ("--data", "mnist"), "has 100 inputs; MNIST images have 784"),
    "inputs of its own data": (("mnist", (100, 12, 10)), ("--verify", "9"), "has 100 inputs; MNIST images have 784"),
    "kind": ((None,), ("--data", "nmnist"), "takes images, by its bernoulli encoder, and N-MNIST has events"),
    "no folder": (("nmnist", (578, 12, 10), "events"), ("--verify", "9"), "name its folder, which holds Train and Test"),
    "no name": (("a\nb",), (), "its metadata's dataset is no name of at most 200 characters"),
    "a long name": (("a" * 201,), (), "its metadata's dataset is no name of at most 200 characters"),
}


@pytest.mark.parametrize(("made", "options", "message"), COMPILED.values(), ids=COMPILED.keys())
def test_nothing_is_compiled_against_the_wrong_data(tmp_path, capsys, digits, made, options, message):
    (tmp_path / "m.img").write_bytes(b"of before")
    said = refusal(capsys, "compile", graph(tmp_path, *made), "--out", str(tmp_path / "m.img"), *options)
    assert message in said
    assert (tmp_path / "m.img").read_bytes() == b"of before"
    assert digits == []


def test_a_network_of_data_that_are_not_here_is_compiled_and_keeps_their_name(tmp_path, capsys, digits):
    out = tmp_path / "m.img"
    assert main(["compile", graph(tmp_path, "Früchte", (784, 12, 3)), "--out", str(out), "--verify", "9"]) == 0
    assert "verified: 9 images of random spikes" in capsys.readouterr().out
    assert model_file.load(out).dataset == "Früchte"
    assert "'Früchte' is not known here" in refusal(capsys, "run", str(out), "--backend", "golden")
