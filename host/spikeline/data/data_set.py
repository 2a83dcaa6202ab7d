"""What a data set says of itself before it is read, and what is read of a split."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from spikeline.data.digest import digest
from spikeline.data.recordings import PackedSpikes, Sensor
from spikeline.errors import DataError

SPLITS = ("train", "test")
MOST_CLASSES = 1 << 16

# Of a split: images uint8 (B, pixels), and labels uint8 or uint16 (B,), or None.
Images = Callable[[str], tuple[np.ndarray, "np.ndarray | None"]]
# Of split, time steps and pool: spike trains, and labels.
Trains = Callable[[str, int, int], tuple[PackedSpikes, "np.ndarray | None"]]


@dataclass(frozen=True, eq=False)
class Split:
    """What is read of a split: `samples` are images, uint8 (B, pixels), or spike trains; `labels` (B,) are None if it has none.

    `sha256` is that of `digest`, by which the same samples are known wherever they come from.
    """

    samples: np.ndarray | PackedSpikes
    labels: np.ndarray | None
    sha256: str

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set: images, which are encoded; recordings of a sensor, which are binned; or spike trains as they are."""

    name: str  # what a model remembers it by
    title: str  # in sentences
    shape: tuple[int, ...]  # of an image (H, W) or (pixels,); of a recording (polarities, H, W); of a spike train (T, inputs)
    classes: tuple[str, ...]  # () if nothing is labelled
    counts: Mapping[str, int]  # samples of each split; empty as long as the files are not named
    images: Images | None = None
    trains: Trains | None = None
    sensor: Sensor | None = None  # what the trains were recorded with, if they were
    trains_name: str = ""  # what reports call the trains of data that are images as well
    numbered: bool = False  # the classes are numbers up to the largest label, for nobody names them
    options: Mapping[str, Any] = field(default_factory=dict)  # how it is read, such as `resize`; a model remembers them
    missing: str = ""  # why it cannot be read, and what to do about it
    _read: dict[tuple, Split] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """images, recordings or spike trains."""
        return "images" if self.images else "recordings" if self.sensor else "spike trains"

    @property
    def facts(self) -> dict[str, Any]:
        """What a model remembers of the data set, as plain values; see `spikeline.model.model_file`."""
        return {"name": self.name, "shape": list(self.shape), "classes": list(self.classes), **self.options}

    def inputs(self, encoder: str, pool: int = 1) -> int:
        """The inputs of a network with that encoder; `pool` is that of recordings. Raises DataError if it does not suit."""
        if encoder != "events":
            if self.images is None:
                raise DataError(
                    f"the network takes images, by its {encoder} encoder, and {self.title} has events; take a network of events"
                )
            return prod(self.shape)
        if self.trains is None:
            raise DataError(f"the network takes events, and {self.title} has images; take a network with an encoder")
        return self.sensor.inputs(pool) if self.sensor else self.shape[1]

    def maps(self, encoder: str, pool: int = 1) -> tuple[int, int, int]:
        """Channels, height and width of those inputs. Raises DataError if they have none, or do not suit."""
        self.inputs(encoder, pool)
        if encoder == "events" and self.sensor:
            return (self.sensor.polarities, *self.sensor.cells(pool))
        if encoder == "events" or len(self.shape) != 2:
            raise DataError(f"{self.title} has samples of shape {self.shape}, and a convolution needs rows and columns")
        return (1, self.shape[0], self.shape[1])

    def pool_of(self, inputs: int, known: int | None = None) -> int:
        """The side of a cell, in sensor pixels, that makes so many inputs: `known`, or the smallest. Raises DataError."""
        if self.sensor is None or known:
            return known or 1
        pools = range(1, max(self.sensor.width, self.sensor.height) + 1)
        made = [self.sensor.inputs(pool) for pool in pools]
        if inputs not in made:
            some = " or ".join(map(str, made[:2]))
            more = ", or fewer by a larger pool" if len(made) > 2 and self.sensor.width > 34 else ""
            raise DataError(f"the network has {inputs} inputs; events of {self.name} make {some}{more}")
        return pools[made.index(inputs)]

    def require(self, split: str | None = None) -> None:
        """Raise DataError if the files are not there, or have no such split."""
        if self.missing:
            raise DataError(self.missing)
        if split is not None and not self.counts.get(split):
            purpose = {"train": "it cannot be trained on", "test": "nothing can be scored on it"}.get(split, "use train or test")
            has = " and ".join(name for name in self.counts) or "nothing"
            raise DataError(f"{self.title} has no {split} split, only {has}: {purpose}, and none is drawn at random; add one")

    def read(self, split: str, time_steps: int | None = None, pool: int = 1) -> Split:
        """Read a split: as images, or with `time_steps` as spike trains. Once; later calls get the same. Raises DataError."""
        self.require(split)
        key = (split, time_steps, pool)
        if key not in self._read:
            if time_steps is None:
                assert self.images is not None
                images, labels = self.images(split)
                self._read[key] = Split(images, labels, digest(self.shape, [images.data], labels))
            else:
                assert self.trains is not None
                trains, labels = self.trains(split, time_steps, pool)
                sha256 = trains.sha256 or digest(self.shape, [trains.packed.data], labels)
                self._read[key] = Split(trains, labels, sha256)
        return self._read[key]


def checked_labels(labels: Any, count: int, where: str) -> np.ndarray:
    """Labels as uint8, or uint16 where there are more than 256 classes. Raises DataError, naming `where`, for what are none."""
    labels = np.asarray(labels)
    if labels.shape != (count,):
        fix = "store one for each sample"
        if labels.size == count:
            fix = "store labels.reshape(-1)"
        elif labels.ndim == 2 and len(labels) == count:
            fix = "if they are one-hot, store labels.argmax(1)"
        raise DataError(f"{where}: labels are of shape {labels.shape} for {count} samples, expected ({count},); {fix}")
    if labels.dtype.kind not in "iu":
        what = "text; number them from 0 and give the names as `classes`" if labels.dtype.kind in "US" else f"{labels.dtype}"
        raise DataError(f"{where}: labels are {what}; they must be integers from 0 on: labels.astype(np.uint8)")
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0 or high >= MOST_CLASSES:
        raise DataError(f"{where}: labels go from {low} to {high}; number the classes 0 to at most {MOST_CLASSES - 1}")
    return labels.astype(np.uint8 if high < 256 else np.uint16)


def checked_classes(names: Iterable[Any], labels: Iterable[np.ndarray | None], where: str) -> tuple[str, ...]:
    """Names of classes, at least as many as there are labels. Raises DataError, naming `where`."""
    classes = tuple(str(name) for name in names)
    needed = 1 + max((int(x.max(initial=0)) for x in labels if x is not None), default=-1)
    if len(classes) < needed:
        raise DataError(f"{where}: {len(classes)} classes are named and labels go up to {needed - 1}; name {needed}")
    wrong = next((name for name in classes if not name or not name.isprintable()), None)
    if wrong is not None or len(set(classes)) < len(classes):
        named = ", ".join(map(ascii, classes[:8]))
        raise DataError(f"{where}: class names must be printable and each another one, not {named}; rename them")
    return classes


def numbers(labels: Iterable[np.ndarray | None]) -> tuple[str, ...]:
    """Classes that nobody names: the numbers up to the largest label, () if nothing is labelled."""
    most = max((int(x.max(initial=0)) for x in labels if x is not None), default=-1)
    return tuple(str(n) for n in range(most + 1))
