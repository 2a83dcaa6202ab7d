"""Data sets by name and by path: every form says and reads the same of the same samples, and what is none is refused."""

import gzip
import json
import re
import struct
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from spikeline.cli.main import main
from spikeline.data import data_sets, mnist, npz, saccades
from spikeline.data.recordings import Sensor, bin_events
from spikeline.errors import DataError
from support import own_data
from support.own_data import NAMES, arrays

VALUES = arrays()
FORMS = ("npz", "keras", "idx", "idx.gz", "png")


def made(folder, form, values=VALUES):
    """The same data set in one of the forms that are read by path."""
    if form == "npz":
        return own_data.npz(folder / "my.npz", **values, classes=np.array(NAMES))
    if form == "keras":
        keras = {f"{'x' if key.endswith('images') else 'y'}_{key.partition('_')[0]}": x for key, x in values.items()}
        return own_data.npz(folder / "my.npz", **keras)
    if form == "png":
        return own_data.png(folder / "my", values)
    return own_data.idx(folder / "my", values, packed=form.endswith("gz"))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_reads_the_same_and_is_known_by_the_same_digest(tmp_path, form):
    found = data_sets.find(made(tmp_path, form))
    assert (found.name, found.kind, found.shape, found.counts) == ("my", "images", (10, 10), {"train": 200, "test": 60})
    assert found.classes == (NAMES if form in ("npz", "png") else tuple("01234"))
    reference = npz.find(made(tmp_path / "reference", "npz"), "other")
    for split, count in found.counts.items():
        read = found.read(split)
        assert np.array_equal(read.samples, VALUES[f"{split}_images"].reshape(count, 100))
        assert (read.samples.dtype, read.labels.dtype) == (np.uint8, np.uint8)
        assert np.array_equal(read.labels, VALUES[f"{split}_labels"])
        assert read.sha256 == reference.read(split).sha256


@pytest.mark.parametrize("change", ["a pixel", "a label", "the shape", "the order"])
def test_the_digest_tells_any_difference(tmp_path, change):
    other = {key: x.copy() for key, x in VALUES.items()}
    if change == "a pixel":
        other["test_images"][-1, -1, -1] ^= 1
    elif change == "a label":
        other["test_labels"][-1] = 0
    elif change == "the shape":
        other = {key: x.reshape(len(x), 5, 20) if x.ndim == 3 else x for key, x in other.items()}
    else:
        other = {key: x[::-1] for key, x in other.items()}
    digests = {data_sets.find(made(tmp_path / x, "npz", y)).read("test").sha256 for x, y in (("a", VALUES), ("b", other))}
    assert len(digests) == 2


def test_mnist_has_one_digest_as_images_and_as_saccades(monkeypatch, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 784), dtype=np.uint8)
    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path))
    monkeypatch.setattr(mnist, "load", lambda split, root=None: (pixels, np.arange(4, dtype=np.uint8)))
    found = data_sets.find("mnist")
    assert found.read("test").sha256 == found.read("test", 3, 2).sha256
    assert np.array_equal(found.read("test", 3, 2).samples.batch(slice(None)), saccades.spike_trains(pixels, 3, 2))


def test_many_classes_have_labels_of_16_bits(tmp_path):
    labels = np.array([0, 299, 7])
    path = own_data.npz(tmp_path / "m.npz", test_images=VALUES["test_images"][:3], test_labels=labels)
    found = data_sets.find(path)
    assert (len(found.classes), found.read("test").labels.dtype, found.read("test").labels.tolist()) == (
        300,
        np.uint16,
        [0, 299, 7],
    )


@pytest.mark.parametrize("keys", [("images",), ("images", "labels"), ("test_images",)])
def test_a_test_set_alone_may_be_unlabelled(tmp_path, keys):
    values = {key: VALUES[f"test_{key.removeprefix('test_')}"] for key in keys}
    found = data_sets.find(own_data.npz(tmp_path / "m.npz", **values))
    assert found.counts == {"test": 60}
    assert (found.read("test").labels is None) == (len(keys) == 1)
    with pytest.raises(DataError, match="has no train split, only test: it cannot be trained on, and none is drawn at random"):
        found.read("train")


def test_a_folder_of_pictures_is_a_test_set_without_labels(tmp_path):
    own_data.png(tmp_path, VALUES)
    found = data_sets.find(tmp_path / "test" / "bee")
    assert (found.counts, found.classes, found.read("test").labels) == ({"test": 12}, (), None)
    assert np.array_equal(found.read("test").samples[0], VALUES["test_images"][1].ravel())


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    own_data.png(tmp_path, VALUES, ("0", "2", "11", "3", "1"))
    assert data_sets.find(tmp_path).classes == ("0", "1", "2", "3", "11")


def test_pictures_are_scaled_and_cut_alike_in_every_form(tmp_path):
    options = {"resize": (7, 5), "crop": (8, 6)}
    reads = [data_sets.find(made(tmp_path / form, form), **options) for form in ("npz", "idx", "png")]
    assert {x.shape for x in reads} == {(7, 5)}
    assert {x.read("test").sha256 for x in reads} == {reads[0].read("test").sha256}
    assert reads[0].facts["crop"] == [8, 6]
    cut = data_sets.find(tmp_path / "npz" / "my.npz", crop=(4, 6)).read("test").samples.reshape(-1, 4, 6)
    assert np.array_equal(cut, VALUES["test_images"][:, 3:7, 2:8])


def test_colours_become_grey(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split / "a").mkdir(parents=True)
        Image.new("RGB", (4, 3), (255, 0, 0)).save(tmp_path / split / "a" / "x.png")
    assert data_sets.find(tmp_path).read("test").samples.tolist() == [[76] * 12]


def test_spike_trains_are_read_as_they_are(tmp_path):
    trains, labels = own_data.spikes(20, 6, 30, 3)
    path = own_data.npz(tmp_path / "s.npz", train_spikes=trains, train_labels=labels, test_spikes=trains > 0, test_labels=labels)
    found = data_sets.find(path)
    assert (found.kind, found.shape, found.inputs("events")) == ("spike trains", (6, 30), 30)
    assert np.array_equal(found.read("test", 6).samples.batch(slice(None)), trains)
    assert found.read("test", 6).sha256 == found.read("train", 6).sha256
    with pytest.raises(DataError, match="of 6 time steps, not 4; train with --time-steps 6"):
        found.read("test", 4)


# -- what is refused ------------------------------------------------------------------------------------------------------


IMAGES, LABELS = VALUES["test_images"], VALUES["test_labels"]
WRONG_NPZ = {
    "floats": ({"test_images": IMAGES / np.float32(255)}, r"np.rint\(test_images \* 255\).astype\(np.uint8\)"),
    "integers": ({"test_images": IMAGES.astype(int)}, r"test_images.astype\(np.uint8\)"),
    "truth values": ({"test_images": IMAGES > 9}, "times 255 if they are 0 and 1 now"),
    "colours": ({"test_images": np.zeros((2, 3, 3, 3), np.uint8)}, "one grey level a pixel"),
    "one channel": ({"test_images": np.zeros((2, 3, 3, 1), np.uint8)}, r"test_images.squeeze\(-1\)"),
    "one dimension": ({"test_images": np.zeros(9, np.uint8)}, r"images are \(N, H, W\) or \(N, inputs\)"),
    "none": ({"test_images": IMAGES[:0]}, "there is nothing in it"),
    "fewer labels": ({"test_images": IMAGES, "test_labels": LABELS[1:]}, r"of shape \(59,\) for 60 samples"),
    "one-hot labels": ({"test_images": IMAGES, "test_labels": np.eye(5, dtype=int)[LABELS]}, r"store labels.argmax\(1\)"),
    "labels in a column": ({"test_images": IMAGES, "test_labels": LABELS[:, None]}, r"labels.reshape\(-1\)"),
    "float labels": ({"test_images": IMAGES, "test_labels": LABELS / 1.0}, "must be integers"),
    "text labels": ({"test_images": IMAGES, "test_labels": LABELS.astype(str)}, "number them from 0 and give the names as"),
    "labels below 0": ({"test_images": IMAGES, "test_labels": LABELS.astype(int) - 1}, "go from -1 to 3"),
    "labels without images": ({"test_images": IMAGES, "train_labels": LABELS}, "train_labels and no images to go with"),
    "too few names": ({"test_images": IMAGES, "test_labels": LABELS, "classes": np.array(["a"])}, "1 classes are named"),
    "a name twice": ({"test_images": IMAGES, "classes": np.array(["a", "a"])}, "each another one"),
    "names that are none": ({"test_images": IMAGES, "classes": np.zeros(5)}, "expected names"),
    "pickled objects": ({"test_images": np.array([{}, ()], object)}, "holds pickled objects, which are not loaded"),
    "pickled names": ({"test_images": IMAGES, "classes": np.array(["a", 1], object)}, "holds pickled objects"),
    "two shapes": ({"test_images": IMAGES, "train_images": IMAGES[:, 1:]}, "both splits must be of one shape"),
    "images and spikes": ({"test_images": IMAGES, "test_spikes": IMAGES}, "both images and spikes"),
    "neither": ({"pictures": IMAGES}, "has pictures: no images and no spikes; save it by np.savez"),
    "spikes of 2": ({"test_spikes": IMAGES}, r"spikes are 0 or 1: \(spikes > 0\)"),
    "spikes without time": ({"test_spikes": LABELS}, r"spikes are 0 and 1, \(N, T, inputs\)"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "message"), WRONG_NPZ.values(), ids=WRONG_NPZ.keys())
def test_a_wrong_npz_is_refused_with_the_fix(tmp_path, capsys, values, message):
    path = own_data.npz(tmp_path / "m.npz", **values)

    def read():
        found = data_sets.find(path)
        found.read("test", *([found.shape[0]] if found.images is None else []))

    with pytest.raises(DataError, match=message) as error:
        read()
    assert str(path) in str(error.value)


def idx_bytes(*shape, kind=8, zero=0, extra=0):
    size = max(0, int(np.prod(shape)) + extra)
    return struct.pack(f">HBB{len(shape)}I", zero, kind, len(shape), *shape) + bytes(size)


TEST_IMAGES = "t10k-images-idx3-ubyte"
WRONG_FILES = {
    "an IDX file cut short": ({TEST_IMAGES: idx_bytes(2, 3, 3, extra=-1)}, "ends early"),
    "an IDX file grown": ({TEST_IMAGES: idx_bytes(2, 3, 3, extra=1)}, "goes on"),
    "IDX of floats": ({TEST_IMAGES: idx_bytes(2, 3, 3, kind=13)}, "of type 0x0d; expected"),
    "IDX of nothing": ({TEST_IMAGES: b""}, "cannot be read"),
    "no IDX": ({TEST_IMAGES: b"GIF89a.............."}, "must begin with two zero bytes"),
    "gzip that is not called so": ({TEST_IMAGES: gzip.compress(idx_bytes(2, 3, 3))}, "a gzipped one must be named .gz"),
    "gzip that is none": ({f"{TEST_IMAGES}.gz": idx_bytes(2, 3, 3)}, "cannot be read"),
    "IDX too large": ({TEST_IMAGES: struct.pack(">HBB3I", 0, 8, 3, 1 << 31, 1 << 31, 1 << 31)}, "at most"),
    "IDX of one dimension": ({TEST_IMAGES: idx_bytes(2)}, r"images have \(N, H, W\)"),
    "IDX without images": ({TEST_IMAGES: idx_bytes(2, 3, 3), "train-labels-idx1-ubyte": idx_bytes(2)}, "no images to go with"),
    "IDX labels of another number": ({TEST_IMAGES: idx_bytes(2, 3, 3), "t10k-labels-idx1-ubyte": idx_bytes(3)}, "for 2 samples"),
    "two IDX files of a kind": ({TEST_IMAGES: idx_bytes(2, 3, 3), "test-images-idx3-ubyte": idx_bytes(2, 3, 3)}, "leave one"),
    "no picture": ({"test/a/x.png": b"no picture"}, "no picture that can be read"),
    "an empty folder": ({"x.txt": b""}, "has no pictures; put them in"),
    "a class without pictures": ({"test/a/x.txt": b"", "train/b/x.png": b""}, "has no pictures; remove it"),
    "pictures beside classes": ({"test/a/x.png": b"", "test/y.png": b""}, "lies beside the folders of classes"),
}


@pytest.mark.parametrize(("files", "message"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_a_wrong_folder_is_refused_with_the_fix(tmp_path, capsys, files, message):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert main(["data", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert re.search(message, shown.err)
    assert str(tmp_path) in shown.err


def test_pictures_of_unequal_sizes_are_refused_unless_they_are_fitted(tmp_path):
    own_data.png(tmp_path, VALUES)
    Image.new("L", (9, 12)).save(tmp_path / "test" / "bee" / "99999.png")
    with pytest.raises(DataError, match=r"has 10 x 10 pixels and .*99999.png has 9 x 12; scale them with --resize 28x28"):
        data_sets.find(tmp_path).read("test")
    assert data_sets.find(tmp_path, resize=(8, 8)).read("test").samples.shape == (61, 64)
    with pytest.raises(DataError, match=r"99999.png has 9 x 12 pixels, less than --crop 10x10; cut less"):
        data_sets.find(tmp_path, crop=(10, 10)).read("test")


def test_pictures_of_more_than_8_bits_are_refused(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split / "a").mkdir(parents=True)
        Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / split / "a" / "x.png")
    with pytest.raises(DataError, match="more than 8 bits a pixel"):
        data_sets.find(tmp_path)


WRONG_WORDS = {
    "no such path": (("nowhere.npz",), "there is no data set nowhere.npz: no such file or folder; known by name are"),
    "a text": (("x.txt",), "must be a .npz file, or a folder"),
    "an IDX file": (("x-ubyte",), "name the folder of IDX files"),
    "a pickle": (("x.npz",), "is no .npz file that can be read"),
    "a root of a path": (("x.npz", "--root", "."), "leave out --root"),
    "N-MNIST without a folder": (("nmnist",), "name its folder, which holds Train and Test"),
    "tonic without a folder": (("tonic:NMNIST",), "name the folder that tonic would save to, with NMNIST in it, by --root"),
    "tonic of no such name": (("tonic:MNIST",), "tonic has no data set MNIST of one sensor; there are ASLDVS, CIFAR10DVS, D"),
    "tonic of nothing there": (("tonic:NMNIST", "--root", "."), "has no recordings of tonic:NMNIST"),
    "tonic without splits": (("tonic:CIFAR10DVS", "--root", "."), "has no splits; say which samples are the test by"),
    "splits of others": (("mnist", "--test-every", "3"), "--test-every goes with sets of tonic"),
    "recordings scaled": (("nmnist", "--root", ".", "--resize", "8x8"), "leave out --resize and --crop"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG_WORDS.values(), ids=WRONG_WORDS.keys())
def test_what_cannot_be_found_is_said_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    for name, content in (("x.txt", b"a"), ("x-ubyte", b"a"), ("x.npz", b"\x80\x04N.")):
        (tmp_path / name).write_bytes(content)
    assert main(["data", *words]) == 1
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1


# -- tonic's recordings ---------------------------------------------------------------------------------------------------


def tonic_nmnist(root):
    rng = np.random.default_rng(0)
    for split, label in product(("Train", "Test"), range(10)):
        path = root / "NMNIST" / split / str(label) / f"{label:05d}.bin"
        path.parent.mkdir(parents=True)
        x, y, t = rng.integers(0, 34, 9), rng.integers(0, 34, 9), np.sort(rng.integers(0, 300_000, 9))
        rows = np.stack([x, y, rng.integers(0, 2, 9) << 7 | t >> 16, t >> 8 & 255, t & 255], 1)
        path.write_bytes(rows.astype(np.uint8).tobytes())


def test_tonics_n_mnist_is_ours(tmp_path):
    tonic_nmnist(tmp_path)
    ours, theirs = data_sets.find("nmnist", tmp_path / "NMNIST"), data_sets.find("tonic:NMNIST", tmp_path)
    assert theirs.counts == {"train": 10, "test": 10}
    assert theirs.classes[3] == "3 - three"
    for split in ("train", "test"):
        a, b = ours.read(split, 7, 2), theirs.read(split, 7, 2)
        assert np.array_equal(a.samples.packed, b.samples.packed)
        assert np.array_equal(a.labels, b.labels)
        assert a.sha256 == b.sha256 == ours.read(split, 3, 1).sha256


def test_tonics_gestures_are_binned_over_their_own_time(tmp_path):
    rng = np.random.default_rng(0)
    events = {}
    for split, label in product(("Train", "Test"), (4, 0)):
        path = tmp_path / "DVSGesture" / f"ibmGesture{split}" / "user01_fluorescent" / f"{label}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        t = np.sort(rng.integers(50, 900, 30))
        events[split, label] = np.stack([rng.integers(0, 128, 30), rng.integers(0, 128, 30), rng.integers(0, 2, 30), t], 1)
        np.save(path, events[split, label].astype(np.int64))
    found = data_sets.find("tonic:DVSGesture", tmp_path / "DVSGesture")
    assert (found.shape, len(found.classes), found.inputs("events", 4)) == ((2, 128, 128), 11, 2048)
    read = found.read("test", 5, 4)
    assert read.labels.tolist() == [0, 4]
    expected = np.zeros((5, 2048), np.uint8)
    x, y, p, t = events["Test", 4].T
    t = (t - t[0]) * 1000
    expected[np.minimum(t * 5 // (t[-1] + 1), 4), (p * 32 + y // 4) * 32 + x // 4] = 1
    assert np.array_equal(read.samples.batch(np.array([1]))[0], expected)


def test_tonics_spoken_digits_have_one_row_and_no_polarity(tmp_path):
    (tmp_path / "SHD").mkdir()
    for split in ("train", "test"):
        with h5py.File(tmp_path / "SHD" / f"shd_{split}.h5", "w") as file:
            for name, kind, values in (
                ("times", np.float16, [[0.0, 0.5, 1.0], [0.25, 0.5]]),
                ("units", np.uint16, [[0, 699, 5], [9, 8]]),
            ):
                data = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
                for n, row in enumerate(values):
                    data[n] = np.array(row, kind)
            file["labels"] = np.array([1, 19], np.uint16)
            file["extra/keys"] = np.array([f"digit {n}".encode() for n in range(20)])
            file["extra/speaker"] = np.zeros(2)
    found = data_sets.find("tonic:SHD", tmp_path)
    assert (found.shape, found.classes[19], found.inputs("events", 1)) == ((1, 1, 700), "digit 19", 700)
    read = found.read("test", 2, 1)
    assert read.labels.tolist() == [1, 19]
    fired = [[tuple(x) for x in np.argwhere(train)] for train in read.samples.batch(slice(None))]
    assert fired == [[(0, 0), (0, 699), (1, 5)], [(0, 9), (1, 8)]]


def test_a_set_without_splits_is_split_as_the_user_says(tmp_path, monkeypatch):
    """CIFAR10-DVS: the reader of its files is tonic's, and what it gives is put here in their place."""
    import tonic

    kind = np.dtype([("t", np.uint64), ("x", np.uint16), ("y", np.uint16), ("p", bool)])
    for name in ("airplane", "truck"):
        (tmp_path / "CIFAR10DVS" / name).mkdir(parents=True)
        for n in range(4):
            (tmp_path / "CIFAR10DVS" / name / f"{n}.aedat4").write_bytes(bytes([n]))
    monkeypatch.setattr(
        "tonic.datasets.cifar10dvs.read_aedat4",
        lambda path: np.array([(0, 0, 0, 0), (9, Path(path).read_bytes()[0], 127, 1)], kind),
    )
    assert tonic.datasets.CIFAR10DVS.sensor_size == (128, 128, 2)
    found = data_sets.find("tonic:CIFAR10DVS", tmp_path, test_every=4)
    assert (found.counts, found.facts["test_every"]) == ({"train": 6, "test": 2}, 4)
    read = found.read("test", 1, 1)
    assert read.labels.tolist() == [0, 9]
    assert [np.flatnonzero(x[0]).tolist() for x in read.samples.batch(slice(None))] == [[0, 2 * 128 * 128 - 128 + 3]] * 2


def test_cells_of_what_is_left_are_smaller():
    sensor = Sensor(5, 3, 1)
    assert sensor.inputs(2) == 6
    x, y = np.array([4]), np.array([2])
    assert sensor.address(x, y, np.array([0]), 2).tolist() == [5]


# -- the command ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["npz", "png"])
def test_the_data_command_tells_what_is_in_it(tmp_path, capsys, form):
    path = made(tmp_path, form)
    assert main(["data", str(path), "--out", str(tmp_path / "sheet.png")]) == 0
    shown = capsys.readouterr().out
    assert "my: images of 10 x 10 (rows x columns), 5 classes" in shown
    assert "class 2   cat: 40 train, 12 test" in shown
    assert "200 samples, values 0 to 239" in shown
    assert Image.open(tmp_path / "sheet.png").size[0] > 500
    assert main(["data", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["splits"]["test"]["of_class"] == [12] * 5
    assert facts["oddities"] == []


def test_the_data_command_tells_oddities(tmp_path, capsys):
    images = np.zeros((4, 6, 6), np.uint8)
    images[0, 0, 0] = images[1, 0, 0] = 1
    path = own_data.npz(tmp_path / "m.npz", train_images=images, train_labels=np.array([0, 0, 0, 2]), test_images=images[:1])
    assert main(["data", str(path)]) == 0
    shown = capsys.readouterr().out
    notes = (
        "train: no sample of 1",
        "train: 2 samples of one value only",
        "train: no value above 1; if that is white, multiply by 255",
        "train: 2 samples are there more than once",
        "test: no labels; it can be classified",
        "1 samples of the test split are in the training split too",
    )
    for note in notes:
        assert f"note: {note}" in shown


def test_the_data_command_draws_recordings(tmp_path, capsys):
    tonic_nmnist(tmp_path)
    for words in (("nmnist", "--root", tmp_path / "NMNIST", "--pool", "2"), (spike_file(tmp_path),)):
        assert main(["data", *map(str, words), "--out", str(tmp_path / "sheet.png")]) == 0
        assert (tmp_path / "sheet.png").stat().st_size > 1000


def spike_file(folder):
    trains, labels = own_data.spikes(20, 6, 30, 3)
    return own_data.npz(folder / "s.npz", train_spikes=trains, train_labels=labels, test_spikes=trains, test_labels=labels)


def test_events_are_binned_one_by_one_as_together(tmp_path):
    tonic_nmnist(tmp_path)
    from spikeline.data import nmnist

    spikes, _ = nmnist.load("test", 4, 3, tmp_path / "NMNIST")
    one = nmnist.read(tmp_path / "NMNIST" / "Test" / "4" / "00004.bin")
    assert np.array_equal(spikes.batch(slice(4, 5))[0], bin_events(one, 4, 300_000, 3))
