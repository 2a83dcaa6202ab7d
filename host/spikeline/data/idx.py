"""IDX files, the format of MNIST (LeCun, Cortes and Burges), gzipped or not.

A file is two zero bytes, the type (8: uint8), the number of dimensions, each dimension in 32 bits, the most significant byte
first, and the values. A folder of them has images, (N, H, W) or (N, inputs), and labels, (N,), of one split or of both, by the
names of MNIST: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…` or `test-…`, with any words around.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikeline.data.data_set import DataSet, checked_classes, checked_labels, numbers
from spikeline.errors import DataError
from spikeline.files import ordinary

UINT8 = 8
LARGEST = 1 << 33  # bytes of values
MARKS = {"train": ("train",), "test": ("t10k", "test")}  # what the names of a split's files have in them
CHUNK = 1 << 24  # bytes that are read at a time
FAULTS = (OSError, EOFError, zlib.error, struct.error, MemoryError)


def find(folder: Path, name: str, title: str = "", classes: tuple[str, ...] = ()) -> DataSet:
    """The data set in a folder of IDX files. Raises DataError, naming the file, for what is none."""
    files = {(split, kind): _file(folder, split, kind) for split in MARKS for kind in ("images", "labels")}
    shapes, labels = {}, {}
    for split in MARKS:
        images, labelled = files[split, "images"], files[split, "labels"]
        if images is None:
            if labelled:
                raise DataError(f"{folder} has {labelled.name} and no images to go with it; put them there")
            continue
        shapes[split] = _shape(images)
        if len(shapes[split]) not in (2, 3) or not all(shapes[split]):
            raise DataError(f"{images} has the shape {shapes[split]}; images have (N, H, W) or (N, inputs)")
        labels[split] = checked_labels(read(labelled), shapes[split][0], str(labelled)) if labelled else None
    if not shapes:
        raise DataError(f"{folder} has no IDX files of images, such as t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz")
    of_one = {shape[1:] for shape in shapes.values()}
    if len(of_one) > 1:
        raise DataError(
            f"{folder} has images of {' and '.join(map(str, sorted(of_one)))} pixels; both splits must be of one shape"
        )
    named = checked_classes(classes, labels.values(), str(folder)) if classes else numbers(labels.values())

    def images_of(split: str) -> tuple[np.ndarray, np.ndarray | None]:
        path = files[split, "images"]
        assert path is not None
        return read(path).reshape(shapes[split][0], -1), labels[split]

    counts = {split: shape[0] for split, shape in shapes.items()}
    return DataSet(name, title or name, of_one.pop(), named, counts, images_of, numbered=not classes)


def present(folder: Path) -> bool:
    """Whether there are IDX files of images in a folder."""
    return any(_matches(file.name, split, "images") for file in folder.iterdir() for split in MARKS)


def read(path: Path) -> np.ndarray:
    """The values of a file, uint8. Raises DataError, naming it, for another or a damaged one."""
    try:
        with _open(path) as file:
            shape = _header(file, path)
            count = math.prod(shape)
            content = bytearray()
            while part := file.read(min(CHUNK, count + 1 - len(content))):  # a header may say more than there is memory
                content += part
    except FAULTS as error:
        raise DataError(f"{path} cannot be read ({error or 'it takes too much memory'}); restore it") from None
    if len(content) != count:
        what = "ends early" if len(content) < count else "goes on"
        raise DataError(f"{path} {what}: its header says {shape}, {count:,} values; restore it")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(path: Path) -> tuple[int, ...]:
    try:
        with _open(path) as file:
            return _header(file, path)
    except FAULTS as error:
        raise DataError(f"{path} cannot be read ({error or 'it takes too much memory'}); restore it") from None


def _open(path: Path) -> BinaryIO:
    ordinary(path)
    return gzip.open(path) if path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]


def _header(file: BinaryIO, path: Path) -> tuple[int, ...]:
    zero, kind, dimensions = struct.unpack(">HBB", file.read(4))
    if zero:
        raise DataError(f"{path} is no IDX file; it must begin with two zero bytes (a gzipped one must be named .gz)")
    if kind != UINT8 or not 1 <= dimensions <= 3:
        raise DataError(f"{path} has {dimensions} dimensions of type {kind:#04x}; expected 1 to 3 of type 0x08, uint8")
    shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
    if math.prod(shape) > LARGEST:
        raise DataError(f"{path} says that it holds {math.prod(shape):,} values; at most {LARGEST:,} are read")
    return shape


def _file(folder: Path, split: str, kind: str) -> Path | None:
    found = sorted(file for file in folder.iterdir() if _matches(file.name, split, kind))
    if len({file.name.removesuffix(".gz") for file in found}) > 1:
        raise DataError(f"{folder} has more than one file of {split} {kind}: {', '.join(x.name for x in found)}; leave one")
    return found[0] if found else None


def _matches(name: str, split: str, kind: str) -> bool:
    parts = name.removesuffix(".gz").replace(".", "-").split("-")
    return not name.startswith(".") and parts[-1] == "ubyte" and kind in parts and any(mark in parts for mark in MARKS[split])
