"""Every data set: those known by name, and files and folders by their path. A further one is a reader, and an entry here."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data import idx, mnist, nmnist, npz, pictures, saccades, tonic_sets
from spikeline.data.data_set import DataSet
from spikeline.data.digest import digest
from spikeline.data.recordings import N_MNIST, PackedSpikes
from spikeline.errors import DataError
from spikeline.files import expand

DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts it
OPTIONS = ("resize", "crop", "test_every")  # of `find`, that a model remembers


def _mnist(root: Path | None, strict: bool) -> DataSet:
    shape, counts = (28, 28), {"train": 60_000, "test": 10_000}

    def trains(split: str, time_steps: int, pool: int) -> tuple[PackedSpikes, np.ndarray]:
        spikes, labels = saccades.load(split, time_steps, pool, root)
        pixels, _ = mnist.load(split, root)
        return replace(spikes, sha256=digest(shape, [pixels.data], labels)), labels

    return DataSet(
        "mnist", "MNIST", shape, DIGITS, counts, lambda split: mnist.load(split, root), trains, N_MNIST, trains_name="saccades"
    )


def _fashion_mnist(root: Path | None, strict: bool) -> DataSet:
    folder = root or (DEBIAN if DEBIAN.is_dir() else None)
    if folder is not None:
        return idx.find(existing(folder), "fashion-mnist", "Fashion-MNIST", CLOTHES)
    missing = "name the folder of its four IDX files with --root, or `apt-get install dataset-fashion-mnist`"
    counts = {"train": 60_000, "test": 10_000}
    return DataSet(
        "fashion-mnist", "Fashion-MNIST", (28, 28), CLOTHES, counts, lambda split: (np.empty(0), None),
        missing=f"Fashion-MNIST is not fetched: {missing}",
    )  # fmt: skip


def _nmnist(root: Path | None, strict: bool) -> DataSet:
    def trains(split: str, time_steps: int, pool: int) -> tuple[PackedSpikes, np.ndarray]:
        assert root is not None
        return nmnist.load(split, time_steps, pool, root, strict)

    missing = "" if root else "N-MNIST is not fetched: name its folder, which holds Train and Test, with --root"
    counts = {"train": 60_000, "test": 10_000}
    return DataSet("nmnist", "N-MNIST", (2, 34, 34), DIGITS, counts, trains=trains, sensor=N_MNIST, missing=missing)


NAMES: dict[str, Callable[[Path | None, bool], DataSet]] = {
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "nmnist": _nmnist,
}
KNOWN = f"{', '.join(NAMES)}, tonic:NAME"


def by_name(spec: str) -> bool:
    """Whether this is the name of a data set, and not a path."""
    return spec in NAMES or spec.startswith(tonic_sets.PREFIX)


def find(spec: str | Path, root: Path | None = None, strict: bool = False, **options: Any) -> DataSet:
    """The data set of a name or a path: a .npz file, a folder of IDX files, or of pictures.

    root: folder of the files of a named one; None is the cache, or where its package puts it. strict: refuse recordings with
    oddities that are otherwise mended and counted. options: those of `OPTIONS` that are not None; `resize` and `crop` are
    (H, W), see `pictures.fit`; for `test_every` see `tonic_sets.find`.
    Reads no more than what says how many samples there are, and of which shape and classes. Raises DataError.
    """
    wanted = {key: value for key, value in options.items() if value is not None}
    size, crop = (tuple(x) if (x := wanted.get(key)) else None for key in ("resize", "crop"))
    test_every = wanted.get("test_every")
    text = str(spec)
    if text.startswith(tonic_sets.PREFIX):
        found = tonic_sets.find(text, root, test_every)
    elif text in NAMES:
        found = NAMES[text](root, strict)
    else:
        if root is not None:
            raise DataError(f"--root goes with the name of a data set ({KNOWN}); {text} is a path: leave out --root")
        path = existing(Path(expand(text)))
        if path.is_dir() and not idx.present(path):
            return replace(pictures.find(path, path.resolve().name, size, crop), options=_remembered(wanted))  # type: ignore[arg-type]
        found = idx.find(path, path.resolve().name) if path.is_dir() else _file(path)
    if test_every is not None and not found.options:
        raise DataError(f"{found.title} is split as it is; --test-every goes with sets of tonic that have no splits")
    return _fitted(found, size, crop, wanted) if size or crop else found


def _file(path: Path) -> DataSet:
    if path.suffix.lower() != ".npz":
        how = "name the folder of IDX files" if "ubyte" in path.name else "save the arrays by np.savez, or name a folder"
        raise DataError(f"{path} is no data set; it must be a .npz file, or a folder of IDX files or of pictures: {how}")
    return npz.find(path, path.stem)


def existing(path: Path) -> Path:
    """The path itself. Raises DataError if there is nothing there."""
    if not path.exists():
        known = "; correct the path" if len(path.parts) > 1 else f"; known by name are {KNOWN}"
        raise DataError(f"there is no data set {path}: no such file or folder{known}")
    return path


def _fitted(data: DataSet, size: Any, crop: Any, wanted: dict[str, Any]) -> DataSet:
    """Images scaled or cut as `pictures.fit` does."""
    if data.images is None or len(data.shape) != 2:
        raise DataError(f"{data.title} has no pictures of rows and columns; leave out --resize and --crop")
    shape, read = pictures.fit(np.zeros(data.shape, np.uint8), size, crop, data.title).shape, data.images

    def images(split: str) -> tuple[np.ndarray, np.ndarray | None]:
        pixels, labels = read(split)
        rows = pixels.reshape(-1, *data.shape)
        return np.stack([pictures.fit(x, size, crop, data.title) for x in rows]).reshape(len(pixels), -1), labels

    return replace(data, shape=shape, images=images, trains=None, sensor=None, options=_remembered(wanted), _read={})


def _remembered(wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: list(x) if isinstance(x, tuple) else x for key, x in wanted.items()}
