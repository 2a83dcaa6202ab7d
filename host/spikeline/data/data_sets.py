"""The data sets that are known by name. A further one is a reader beside this file, and an entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeline.data import mnist, nmnist, saccades
from spikeline.data.recordings import PackedSpikes

# Of (split, folder or None for the cache): images uint8 (B, pixels), labels uint8 (B,).
Images = Callable[[str, Path | None], tuple[np.ndarray, np.ndarray]]
# Of (split, time steps, pool, folder or None, strict): spike trains, labels uint8 (B,).
Trains = Callable[[str, int, int, Path | None, bool], tuple[PackedSpikes, np.ndarray]]


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set before it is read; its splits are `train` and `test`."""

    name: str
    title: str  # in sentences
    classes: int
    trains: Trains  # what an event camera recorded of it, or would have
    trains_name: str  # what reports call these
    pixels: int = 0  # of an image; 0 for recordings alone
    images: Images | None = None
    folder: str = ""  # what the user's folder of it holds, for one that is not fetched


def _saccades(split: str, time_steps: int, pool: int, root: Path | None, strict: bool) -> tuple[PackedSpikes, np.ndarray]:
    return saccades.load(split, time_steps, pool, root)  # made here, so there is nothing to be strict about


def _recordings(split: str, time_steps: int, pool: int, root: Path | None, strict: bool) -> tuple[PackedSpikes, np.ndarray]:
    assert root is not None
    return nmnist.load(split, time_steps, pool, root, strict)


def _digits(split: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
    return mnist.load(split, root)


DATA_SETS = {
    x.name: x
    for x in (
        DataSet("mnist", "MNIST", 10, _saccades, "saccades", mnist.PIXELS, _digits),
        DataSet("nmnist", "N-MNIST", 10, _recordings, "nmnist", folder="which holds Train and Test"),
    )
}
