"""Data sets in one .npz file of NumPy arrays. Pickled objects in it are never loaded.

train_images, test_images   uint8 (N, H, W) or (N, inputs), 0..255; also x_train, x_test, as Keras has them
train_spikes, test_spikes   instead: 0 and 1, (N, T, inputs)
train_labels, test_labels   integers (N,), the classes numbered from 0; also y_train, y_test
images, spikes, labels      a test set alone; labels may be missing, of samples that are to be classified
classes                     names of the classes, if they have any
"""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data.data_set import SPLITS, DataSet, checked_classes, checked_labels, numbers
from spikeline.data.recordings import PackedSpikes, packed_bits
from spikeline.errors import DataError
from spikeline.files import ordinary

LARGEST = 1 << 33  # bytes of an array
CHUNK = 1000  # spike trains that are packed at a time


def find(path: Path, name: str) -> DataSet:
    """The data set in a file. Raises DataError, naming the file and the array, for what is none."""
    headers = _headers(path)
    keys = {(split, kind): _key(headers, split, kind) for split in SPLITS for kind in ("images", "spikes", "labels")}
    kinds = {kind for (_, kind), key in keys.items() if key and kind != "labels"}
    if len(kinds) != 1:
        has = ", ".join(sorted(headers)[:12]) or "nothing"
        fix = "keep the images or the spikes" if kinds else "save it by np.savez(path, train_images=…, train_labels=…, test_…)"
        raise DataError(f"{path} has {has}: {'both images and spikes' if kinds else 'no images and no spikes'}; {fix}")
    (kind,) = kinds
    shapes, labels = {}, {}
    for split in SPLITS:
        key, labelled = keys[split, kind], keys[split, "labels"]
        if key is None:
            if labelled:
                raise DataError(f"{path} has {labelled} and no {kind} to go with it; add them")
            continue
        shapes[split] = _checked(path, key, kind, *headers[key])
        labels[split] = checked_labels(_load(path, labelled), shapes[split][0], f"{path}, {labelled}") if labelled else None
    of_one = {shape[1:] for shape in shapes.values()}
    if len(of_one) > 1:
        raise DataError(f"{path} has {kind} of {' and '.join(map(str, sorted(of_one)))}; both splits must be of one shape")
    if "classes" in headers:
        given = _load(path, "classes")
        if given.ndim != 1 or given.dtype.kind not in "USiu":
            raise DataError(f"{path}, classes is {given.dtype} of shape {given.shape}; expected names, text of shape (classes,)")
        names = [x.decode(errors="replace") if isinstance(x, bytes) else x for x in given.tolist()]
        classes = checked_classes(names, labels.values(), str(path))
    else:
        classes = numbers(labels.values())

    def images(split: str) -> tuple[np.ndarray, np.ndarray | None]:
        key = keys[split, "images"]
        assert key is not None
        return _load(path, key).reshape(shapes[split][0], -1), labels[split]

    def trains(split: str, time_steps: int, pool: int) -> tuple[PackedSpikes, np.ndarray | None]:
        key = keys[split, "spikes"]
        assert key is not None
        found, (_, steps, inputs) = _load(path, key), shapes[split]
        if steps != time_steps:
            raise DataError(f"{path} has spike trains of {steps} time steps, not {time_steps}; train with --time-steps {steps}")
        other = next((x for x in (found[n : n + CHUNK] for n in range(0, len(found), CHUNK)) if x.max() > 1 or x.min() < 0), None)
        if other is not None:
            raise DataError(
                f"{path}, {key} goes from {other.min()} to {other.max()}; spikes are 0 or 1: (spikes > 0).astype(np.uint8)"
            )
        packed = [packed_bits(found[n : n + CHUNK].astype(np.uint8)) for n in range(0, len(found), CHUNK)]
        return PackedSpikes(np.concatenate(packed), inputs), labels[split]

    readers: dict[str, Any] = {"images": images} if kind == "images" else {"trains": trains}
    counts = {split: shape[0] for split, shape in shapes.items()}
    return DataSet(name, name, of_one.pop(), classes, counts, numbered="classes" not in headers, **readers)


def _key(headers: dict[str, Any], split: str, kind: str) -> str | None:
    """What the file calls the array of a split and kind, None if it has none."""
    keras = {"images": "x", "labels": "y"}.get(kind)
    names = [f"{split}_{kind}", *([f"{keras}_{split}"] if keras else []), *([kind] if split == "test" else [])]
    return next((name for name in names if name in headers), None)


def _checked(path: Path, key: str, kind: str, shape: tuple[int, ...], dtype: np.dtype) -> tuple[int, ...]:
    """The shape of images or spikes. Raises DataError, with the line that converts, for what they cannot be."""
    where = f"{path}, {key} is {dtype} of shape {shape}"
    if kind == "spikes":
        if len(shape) != 3 or dtype.kind not in "bui":
            raise DataError(f"{where}; spikes are 0 and 1, (N, T, inputs): (spikes > 0).astype(np.uint8)")
    elif dtype.kind not in "buif":
        raise DataError(f"{where}; images are numbers, grey levels of 0 to 255 as uint8")
    elif dtype.kind == "f":
        raise DataError(f"{where}; grey levels are uint8, 0 to 255: np.rint({key} * 255).astype(np.uint8) if they are 0 to 1 now")
    elif dtype != np.uint8:
        raise DataError(f"{where}; grey levels are uint8, 0 to 255: {key}.astype(np.uint8), times 255 if they are 0 and 1 now")
    elif len(shape) == 4 and (axis := next((x for x in (-1, 1) if shape[x] in (1, 3, 4)), None)):
        fix = f"{key}.squeeze({axis})" if shape[axis] == 1 else f"{key}.mean({axis}).astype(np.uint8)"
        raise DataError(f"{where}; images have one grey level a pixel, (N, H, W): {fix}")
    elif len(shape) not in (2, 3):
        raise DataError(f"{where}; images are (N, H, W) or (N, inputs)")
    if not all(shape):
        raise DataError(f"{where}: there is nothing in it; leave it out")
    return shape


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each array, without loading any. Raises DataError."""
    found = {}
    try:
        ordinary(path)
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
                    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
                    shape, _, dtype = reader(file)
                found[member.filename.removesuffix(".npy")] = (shape, dtype)
    except Exception as error:  # a damaged archive can fail in any way
        raise DataError(f"{path} is no .npz file that can be read ({error}); save it by np.savez") from None
    for key, (shape, dtype) in found.items():
        if dtype.hasobject:
            raise DataError(f"{path}, {key} holds pickled objects, which are not loaded; save plain arrays of numbers or text")
        if math.prod(shape) * dtype.itemsize > LARGEST:
            raise DataError(f"{path}, {key} has the shape {shape}; at most {LARGEST:,} bytes are read")
    return found


def _load(path: Path, key: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[key]
    except Exception as error:
        raise DataError(f"{path}, {key} cannot be read ({error}); save the file again") from None
