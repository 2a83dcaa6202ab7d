"""Folders of pictures by class: `train/CLASS/*.png` and `test/CLASS/*.png`, in any format that Pillow reads, taken as grey.

Classes are in the order of their names, numbers in the order of numbers. Pictures are in the order of file names over all
classes, as N-MNIST is. A folder that holds pictures itself is a test set without labels.
"""

from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data.data_set import SPLITS, DataSet, checked_classes
from spikeline.errors import DataError
from spikeline.files import ordinary

DEEP = ("I", "F")  # Pillow's modes of more than 8 bits a pixel begin with these
FIX = "scale them with --resize 28x28, cut them with --crop 28x28, or make them alike"


def find(folder: Path, name: str, size: tuple[int, int] | None = None, crop: tuple[int, int] | None = None) -> DataSet:
    """The data set in a folder. size, crop: (H, W) that each picture is scaled to, or cut to around its centre; see `fit`.

    Raises DataError for a folder that holds none, and for pictures of unequal sizes if they are not fitted.
    """
    files = {split: _files(folder / split) for split in SPLITS if (folder / split).is_dir()} or {"test": _pictures(folder)}
    files = {split: found for split, found in files.items() if found}
    if not files:
        raise DataError(f"{folder} has no pictures; put them in {folder}/train/CLASS and {folder}/test/CLASS")
    unlabelled = [split for split, found in files.items() if found[0].parent in (folder, folder / split)]
    names = {file.parent.name for split, found in files.items() if split not in unlabelled for file in found}
    classes = checked_classes(_in_order(names), [], str(folder))
    number = {name: n for n, name in enumerate(classes)}
    first = next(iter(files.values()))[0]
    shape = fit(_grey(first), size, crop, first).shape

    def images(split: str) -> tuple[np.ndarray, np.ndarray | None]:
        found = files[split]
        pixels = np.empty((len(found), *shape), np.uint8)
        for row, file in zip(pixels, found, strict=True):
            picture = fit(_grey(file), size, crop, file)
            if picture.shape != shape:
                sizes = f"{first} has {shape[1]} x {shape[0]} pixels and {file} has {picture.shape[1]} x {picture.shape[0]}"
                raise DataError(f"{sizes}; {FIX}")
            row[:] = picture
        labels = None
        if split not in unlabelled:
            labels = np.array([number[file.parent.name] for file in found], np.uint8 if len(classes) <= 256 else np.uint16)
        return pixels.reshape(len(found), -1), labels

    counts = {split: len(found) for split, found in files.items()}
    return DataSet(name, name, shape, classes, counts, images)


def fit(picture: np.ndarray, size: tuple[int, int] | None, crop: tuple[int, int] | None, where: object) -> np.ndarray:
    """A picture, uint8 (H, W), cut around its centre to `crop` and then scaled to `size`, both (H, W), where they are given.

    Scaled as Pillow does with its `BILINEAR` filter. Raises DataError for one that is smaller than `crop`.
    """
    if crop is not None:
        top, left = ((have - want) // 2 for have, want in zip(picture.shape, crop, strict=True))
        if top < 0 or left < 0:
            have = f"{picture.shape[1]} x {picture.shape[0]}"
            raise DataError(f"{where} has {have} pixels, less than --crop {crop[0]}x{crop[1]}; cut less, or use --resize")
        picture = picture[top : top + crop[0], left : left + crop[1]]
    if size is not None:
        image = _pillow()
        picture = np.asarray(image.fromarray(picture).resize(size[::-1], image.Resampling.BILINEAR))
    return picture


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise DataError("pictures are read and scaled by Pillow, which is not installed; pip install pillow") from None
    return Image


def _grey(file: Path) -> np.ndarray:
    image = _pillow()
    try:
        ordinary(file)
        with image.open(file) as picture:
            if picture.mode.startswith(DEEP):
                raise DataError(f"{file} has more than 8 bits a pixel (Pillow's mode {picture.mode}); save it with 8")
            return np.asarray(picture.convert("L"))
    except DataError:
        raise
    except Exception as error:  # a damaged picture can fail in any way
        raise DataError(f"{file} is no picture that can be read ({error}); remove or restore it") from None


def _files(folder: Path) -> list[Path]:
    """Pictures in the folders of classes in a folder, or in itself if it has no folders."""
    classes = [x for x in folder.iterdir() if x.is_dir() and not x.name.startswith(".")]
    own = _pictures(folder)
    if classes and own:
        raise DataError(f"{own[0]} lies beside the folders of classes; put it into one of them")
    empty = next((x for x in classes if not _pictures(x)), None)
    if empty is not None:
        raise DataError(f"{empty} has no pictures; remove it, or put some there")
    deeper = next((y for x in classes for y in x.iterdir() if not y.suffix and not y.name.startswith(".") and y.is_dir()), None)
    if deeper is not None:
        raise DataError(f"{deeper} is a folder in a class; put its pictures into {deeper.parent}, or move it away")
    found = [file for x in classes for file in _pictures(x)] or own
    return sorted(found, key=lambda file: (file.name, file.parent.name))


def _pictures(folder: Path) -> list[Path]:
    known = _pillow().registered_extensions()
    return sorted(x for x in folder.iterdir() if x.suffix.lower() in known and not x.name.startswith(".") and not x.is_dir())


def _in_order(names: set[str]) -> list[str]:
    return sorted(names, key=int) if all(x.isdecimal() for x in names) else sorted(names)
