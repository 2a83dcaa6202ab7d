"""Small data sets of every form, with something to learn: each class is bright in a band of its own."""

import gzip
import struct
from pathlib import Path

import numpy as np

NAMES = ("ant", "bee", "cat", "dog", "eel")


def pictures(count: int, shape: tuple[int, int], classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (count, H, W) and labels uint8 (count,): noise, and a bright band of rows by class."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 90, (count, *shape), dtype=np.uint8)
    labels = (np.arange(count) % classes).astype(np.uint8)
    band = shape[0] // classes
    for image, label in zip(images, labels, strict=True):
        image[label * band : (label + 1) * band] += np.uint8(150)
    return images, labels


def arrays(shape: tuple[int, int] = (10, 10), classes: int = 5, train: int = 200, test: int = 60) -> dict[str, np.ndarray]:
    """Both splits as a .npz names them."""
    splits = {"train": pictures(train, shape, classes, 1), "test": pictures(test, shape, classes, 2)}
    return {f"{split}_{kind}": x for split, pair in splits.items() for kind, x in zip(("images", "labels"), pair, strict=True)}


def npz(path: Path, **values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **values)
    return path


def idx(folder: Path, values: dict[str, np.ndarray], packed: bool = False) -> Path:
    """A folder of IDX files, as MNIST's are named."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, x in values.items():
        split, kind = key.split("_")
        name = f"{'t10k' if split == 'test' else split}-{kind}-idx{x.ndim}-ubyte"
        content = struct.pack(f">HBB{x.ndim}I", 0, 8, x.ndim, *x.shape) + x.astype(np.uint8).tobytes()
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


def png(folder: Path, values: dict[str, np.ndarray], names: tuple[str, ...] = NAMES) -> Path:
    """A folder of pictures by class, numbered in the order of the arrays."""
    from PIL import Image

    for split in ("train", "test"):
        for n, (image, label) in enumerate(zip(values[f"{split}_images"], values[f"{split}_labels"], strict=True)):
            path = folder / split / names[label] / f"{n:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return folder


def spikes(count: int, time_steps: int, inputs: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Spike trains uint8 (count, T, inputs) and labels: each class fires in a band of inputs of its own."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.uint8)
    trains = rng.random((count, time_steps, inputs)) < 0.05
    band = inputs // classes
    for train, label in zip(trains, labels, strict=True):
        train[:, label * band : (label + 1) * band] |= rng.random((time_steps, band)) < 0.4
    return trains.astype(np.uint8), labels
