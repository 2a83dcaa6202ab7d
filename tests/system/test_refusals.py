"""Data and networks that cannot be used, by the commands as a user types them: one line that names the fix, and no file."""

import gzip
import os
import struct
import zipfile
from itertools import pairwise

import nir
import numpy as np
import pytest
from PIL import Image

from spikeline.cli.main import main
from spikeline.model import model_file
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder
from support import own_data
from support.own_data import NAMES, arrays

VALUES = arrays()
IMAGES, LABELS = VALUES["train_images"], VALUES["train_labels"]
TEST, TRUTH = VALUES["test_images"], VALUES["test_labels"]
TRAINS, TRAIN_LABELS = own_data.spikes(20, 6, 30, 5)
TRAIN = "train --preset small --hidden 8 --epochs 1 --set batch=20 --out out --data"
RUN, RUN_EVENTS = (f"run {x} --backend golden --out out.csv --data" for x in ("images.img", "events.img"))
IMPORT = "import net.nir --reset zero --data mine.npz --out net.onnx"


def npz(**changed):
    """A .npz file of the data, some of them changed or, if None, left out."""
    values = {key: x for key, x in {**VALUES, **changed}.items() if x is not None}
    return lambda folder: own_data.npz(folder / "my.npz", **values)


def damaged(change):
    """A .npz file with other bytes."""
    return lambda folder: npz()(folder).write_bytes(change((folder / "my.npz").read_bytes()))


def cut_array(folder):
    """A whole ZIP archive with an array that its header says to be longer."""
    npz()(folder)
    with zipfile.ZipFile(folder / "my.npz") as whole, zipfile.ZipFile(folder / "cut.npz", "w") as cut:
        for name in whole.namelist():
            content = whole.read(name)
            cut.writestr(name, content[:300] if name == "train_images.npy" else content)
    (folder / "cut.npz").rename(folder / "my.npz")


def idx(name, change):
    """A folder of IDX files with one changed; what is gzipped ends in .gz."""

    def make(folder):
        path = own_data.idx(folder / "my", VALUES, name.endswith(".gz")) / name
        content = change(path.read_bytes())
        path.unlink() if content is None else path.write_bytes(content)

    return make


def png(change):
    """A folder of pictures with something done to it."""
    return lambda folder: change(own_data.png(folder / "my", VALUES))


def picture(name, shape=(10, 10)):
    def add(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", shape[::-1]).save(folder / name)

    return add


NOTHING = dict.fromkeys(VALUES)
PIXELS, CLASSES = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DATA = {
    "npz cut": (TRAIN, damaged(lambda x: x[:5000]), "is no .npz file that can be read"),
    "npz with a bit flipped": (TRAIN, damaged(lambda x: x[:9000] + bytes([x[9000] ^ 1]) + x[9001:]), "Bad CRC-32"),
    "an array cut": (TRAIN, cut_array, "my.npz, train_images cannot be read"),
    "a pipe": (TRAIN, lambda x: os.mkfifo(x / "my.npz"), "Not a regular file"),
    "a pickled label": (TRAIN, npz(train_labels=LABELS.astype(object)), "holds pickled objects, which are not loaded"),
    "labels of bytes": (TRAIN, npz(train_labels=LABELS.astype("S1")), "labels are text; number them from 0"),
    "one-hot floats": (TRAIN, npz(train_labels=np.eye(5, dtype=np.float32)[LABELS]), "store labels.argmax(1)"),
    "one-hot of two samples more": (TRAIN, npz(train_labels=np.eye(5)), "expected (200,); store one for each sample"),
    "one label": (TRAIN, npz(train_labels=np.uint8(3)), "labels are of shape () for 200 samples"),
    "huge labels": (TRAIN, npz(train_labels=LABELS.astype(np.uint64) << np.uint64(61)), "number the classes 0 to at most"),
    "labels from 1": (TRAIN, npz(train_labels=LABELS + 1), "has no training sample of 0; add some, or number the others from 0"),
    "a class of the test alone": (TRAIN, npz(train_labels=LABELS % 3), "my has no training sample of 3, 4"),
    "one class": (TRAIN, npz(train_labels=LABELS * 0, test_labels=TRUTH * 0), "has one class"),
    "NaN": (TRAIN, npz(train_images=np.where(IMAGES > 9, np.nan, IMAGES)), "grey levels are uint8"),
    "complex pixels": (TRAIN, npz(train_images=IMAGES.astype(complex)), "images are numbers"),
    "text as images": (TRAIN, npz(train_images=np.array(["a"] * 200)), "images are numbers"),
    "channels first": (TRAIN, npz(train_images=np.stack([IMAGES] * 3, 1)), "train_images.mean(1).astype(np.uint8)"),
    "one channel first": (TRAIN, npz(train_images=IMAGES[:, None]), "train_images.squeeze(1)"),
    "training unlabelled": (TRAIN, npz(train_labels=None), "no labels in its train split, and training needs them; add them"),
    "test unlabelled": (TRAIN, npz(test_labels=None), "no labels in its test split, and training needs them; add them"),
    "no test": (TRAIN, npz(test_images=None, test_labels=None), "has no test split, only train"),
    "fewer samples than a batch": (TRAIN, npz(train_images=IMAGES[:9], train_labels=LABELS[:9]), "lower it"),
    "a class name with a line break": (TRAIN, npz(classes=np.array(["a\n", *"bcde"])), "not 'a\\n', 'b', 'c', 'd', 'e'; rename"),
    "no data named": ("train --preset small --out out --data=", lambda x: None, "is empty, maybe of a variable that is not set"),
    "MATLAB": ("train --preset small --out out --data my.mat", lambda x: (x / "my.mat").touch(), "save the arrays by np.savez"),
    "tonic of no such name": (f"{TRAIN} tonic:NoSuchName --root .", None, "tonic has no data set NoSuchName of one sensor"),
    "tonic without a name": (f"{TRAIN} tonic: --root .", None, "there are ASLDVS"),
    "a root that is a file": (f"{TRAIN} fashion-mnist --root x", lambda x: (x / "x").touch(), "a part of the path is a file"),
    "pictures of two sizes": (TRAIN, png(picture("test/ant/x.png", (9, 9))), "scale them with --resize 28x28"),
    "a class of hidden files": (TRAIN, png(picture("train/fox/.x.png")), "my/train/fox has no pictures; remove it"),
    "a folder in a class": (TRAIN, png(picture("train/ant/more/x.png")), "my/train/ant/more is a folder in a class"),
    "a picture that is gone": (TRAIN, png(lambda x: (x / "train/ant/x.png").symlink_to("nowhere")), "No such file or directory"),
    "a picture that is a pipe": (TRAIN, png(lambda x: os.mkfifo(x / "train/ant/x.png")), "Not a regular file"),
    "a picture cut": (TRAIN, png(lambda x: os.truncate(x / "train/ant/00000.png", 60)), "is no picture that can be read"),
    "IDX of another magic": (TRAIN, idx(PIXELS, lambda x: b"\1\2\3\4" + x[4:]), "must begin with two zero bytes"),
    "IDX cut in its header": (TRAIN, idx(PIXELS, lambda x: x[:9]), "cannot be read"),
    "IDX of no images": (TRAIN, idx(PIXELS, lambda x: x[:4] + struct.pack(">I", 0) + x[8:]), "has the shape (0, 10, 10)"),
    "IDX without labels": (TRAIN, idx(CLASSES, lambda x: None), "has no labels in its train split"),
    "IDX labels that are images": (TRAIN, idx(CLASSES, lambda x: x[:3] + b"\3" + struct.pack(">3I", 2, 10, 10) + x[8:]), "(2,"),
    "IDX label of no class": (TRAIN, idx(CLASSES, lambda x: x[:-1] + b"\xff"), "has no training sample of 5, 6, 7"),
    "gzip cut": (TRAIN, idx(f"{PIXELS}.gz", lambda x: x[: len(x) // 2]), "ended before the end-of-stream marker"),
    "gzip with more behind it": (TRAIN, idx(f"{PIXELS}.gz", lambda x: x + b"more"), "Not a gzipped file"),
    "gzip of another sum": (TRAIN, idx(f"{PIXELS}.gz", lambda x: x[:-8] + b"abcd" + x[-4:]), "CRC check failed"),
    "gzip in gzip": (TRAIN, idx(f"{PIXELS}.gz", gzip.compress), "must begin with two zero bytes"),
    "more classes than the model": (RUN, npz(test_labels=np.arange(60) % 9), "tells 5 classes apart and my has 9"),
    "rows of another length": (RUN, npz(**NOTHING, images=TEST.reshape(60, 4, 25)), "of 10 x 10 (rows x columns) and my has 4 x"),
    "spikes for a model of images": (RUN, npz(**NOTHING, test_spikes=TRAINS), "take a network of events"),
    "spikes of other steps": (RUN_EVENTS, npz(**NOTHING, test_spikes=TRAINS[:, :5]), "of 5 time steps, not 6"),
    "spikes of other inputs": (RUN_EVENTS, npz(**NOTHING, test_spikes=TRAINS[:, :, 1:]), "spike trains have 29"),
    "spikes below 0": (RUN_EVENTS, npz(**NOTHING, test_spikes=-TRAINS.astype(np.int8)), "goes from -1 to 0"),
    "labels over the data": ("run images.img --backend golden --data my.npz --out my.npz", npz(), "is what is read"),
    "scored without labels": ("report images.img --backend golden --out out --data", npz(test_labels=None), "has no labels"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a model of images and one of spike trains."""
    monkeypatch.chdir(tmp_path)
    for name, encoder, inputs, facts in (
        ("images.img", Encoder.BERNOULLI, 100, {"shape": [10, 10], "classes": list(NAMES)}),
        ("events.img", Encoder.EVENTS, 30, {}),
    ):
        network = Network((Layer(np.ones((inputs, 5), np.int8), np.ones(5, np.int32)),), 4, 6, encoder)
        model_file.save(
            model_file.build(network, {"dataset": {"name": "mine", "test_sha256": "0" * 64, **facts}}), tmp_path / name
        )
    return tmp_path


def refused(folder, capsys, words):
    """The one line that a command ends with, after which everything is as it was."""

    def state():
        files = (x for x in folder.rglob("*") if x.is_file())
        return {str(x.relative_to(folder)): x.read_bytes() for x in files}, sorted(map(str, folder.rglob("*")))

    before = state()
    assert main(words.split()) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "; " in shown.err or "leave out" in shown.err
    assert state() == before
    return shown.err


@pytest.mark.parametrize(("words", "make", "message"), DATA.values(), ids=DATA.keys())
def test_data_are_refused(folder, capsys, words, make, message):
    if make:
        make(folder)
    if words.endswith("--data"):
        words += " my" if (folder / "my").is_dir() else " my.npz"
    assert message in refused(folder, capsys, words)


ONES, ZEROS = np.ones(4), np.zeros(4)
FIRST, LAST = np.ones((4, 100), np.float32), np.ones((5, 4), np.float32)
IF = nir.IF(ONES * 1e4, ONES, ZEROS)


def chain(*nodes, edges=None, start=True):
    names = {f"n{n}": node for n, node in enumerate(nodes)} | {"output": nir.Output({"output": np.array([5])})}
    names = ({"input": nir.Input({"input": np.array([100])})} if start else {}) | names
    return nir.NIRGraph(names, edges or list(pairwise(names)), type_check=False)


def network(weights=FIRST, neuron=IF, last=LAST, **more):
    return chain(nir.Linear(weights), neuron, nir.Linear(last), **more)


def leaky(tau):
    return network(neuron=nir.LIF(ONES * tau, ONES * 2, ZEROS, ONES, ZEROS))


LOOP = [("input", "n0"), ("n0", "n1"), ("n1", "n2"), ("n2", "n0")]
FOUR = np.array([4])
RECURRENT = nir.NIRGraph(
    {"input": nir.Input({"input": FOUR}), "n": IF, "w": nir.Linear(np.eye(4)), "output": nir.Output({"output": FOUR})},
    [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")],
    type_check=False,
)  # fmt: skip
NETWORKS = {
    "a cycle": (network(edges=LOOP), "", "an edge leads to 'n0', a node that is before it"),
    "no start": (network(start=False), "", "the graph has 0 inputs"),
    "convolution": (chain(nir.Conv1d(10, np.ones((1, 1, 3)), 1, 0, 1, 1, np.zeros(1)), IF), "", "maps here have two"),
    "currents": (network(neuron=nir.CubaLIF(ONES, ONES, ONES, ZEROS, ONES, ZEROS)), "", "its synaptic current is a second state"),
    "recurrent neurons": (network(neuron=RECURRENT), "", "a graph within the graph, as of recurrent neurons"),
    "text for weights": (network(np.full((4, 100), b"a")), "", "weight is |S1, and must be real numbers; export"),
    "complex weights": (network(FIRST * 1j), "", "weight is complex64, and must be real numbers; export"),
    "NaN": (network(FIRST * np.nan), "", "a weight or bias is not finite"),
    "weights beyond float32": (network(FIRST * 1e300), "--bits 4", "a weight or bias is not finite"),
    "no inputs": (network(FIRST[:, :0]), "", "weights of shape (4, 0)"),
    "other inputs": (network(FIRST[:, 1:]), "", "the network has 99 inputs; mine images have 100"),
    "other classes": (network(last=LAST[1:]), "", "tells 4 classes apart and mine has 5"),
    "a leak that is no shift": (leaky(3e-4), "", "it keeps 0.666667 of its membrane, where a leak is a shift"),
    "that, by the time step": (leaky(2e-4), "--dt 0.00003", "it keeps 0.85 of its membrane"),
    "a negative time constant": (leaky(-1), "", "it would keep 1.0001 of its membrane, which must be 0 to 1"),
    "an endless time constant": (leaky(np.inf), "", "its input counts 0 times"),
    "a threshold out of reach": (network(neuron=nir.IF(ONES * 1e4, ONES * 1e30, ZEROS)), "", "is too large beside its weights"),
    "a threshold that is NaN": (network(neuron=nir.IF(ONES * 1e4, ONES * np.nan, ZEROS)), "", "a threshold of nan"),
    "too many layers": (chain(nir.Linear(FIRST), IF, *[nir.Linear(np.eye(4)), IF] * 8), "", "must be 1 to 8; train one that is"),
    "fine-tuned without labels": (network(), "--data unlabelled.npz --bits 4 --fine-tune 1", "has no labels"),
    "written over itself": (network(), "--out net.nir", "--out net.nir is what is read"),
}  # fmt: skip


@pytest.fixture
def data(folder):
    own_data.npz(folder / "mine.npz", **VALUES)
    own_data.npz(folder / "unlabelled.npz", **{key: x for key, x in VALUES.items() if key != "train_labels"})
    return folder


@pytest.mark.parametrize(("graph", "words", "message"), NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_networks_are_refused(data, capsys, graph, words, message):
    nir.write(data / "net.nir", graph)
    assert message in refused(data, capsys, f"{IMPORT} {words}")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_network(data, capsys, make):
    make("net.nir")
    assert "net.nir is no NIR graph" in refused(data, capsys, IMPORT)


@pytest.mark.parametrize(
    ("words", "message"),
    [("--dt 0", "above 0"), ("--dt nan", "above 0"), ("--fine-tune -1", "at least 0"), ("--bits 3", "2, 4, 8")],
)
def test_usage_is_refused_in_one_line_too(data, capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        main(f"{IMPORT} {words}".split())
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.endswith("; see spikeline import --help\n")
    assert shown.count("\n") == 1
