"""The SHA-256 by which a split of a data set is known, wherever its samples come from."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np


def digest(shape: tuple[int, ...], samples: Iterable[Any], labels: np.ndarray | None) -> str:
    """SHA-256 of a split: the shape of a sample, the samples' bytes in their order, the labels as 16-bit integers.

    Files do not count, nor names of classes: the same pictures as IDX, .npz or folders of PNG files have the same.
    """
    sha = hashlib.sha256(f"spikeline data set 1 {tuple(shape)} ".encode())
    for part in samples:
        sha.update(part)
    sha.update(b"unlabelled" if labels is None else labels.astype("<u2").tobytes())
    return sha.hexdigest()
