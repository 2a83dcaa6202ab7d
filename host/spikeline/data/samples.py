"""Samples in the form that a network takes: images that are encoded, or spike trains that were events.

A network is scored on the data set that it was trained on. Its model remembers which: name, shape, classes and the SHA-256 of the
test set. Of a model that does not say, the user does; what contradicts is refused, for the labels of other data would give an
accuracy that means nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data.data_set import DataSet
from spikeline.data.data_sets import KNOWN, OPTIONS, by_name, find
from spikeline.data.recordings import PackedSpikes
from spikeline.errors import DataError
from spikeline.model.encode import encode
from spikeline.model.model_file import Model
from spikeline.model.network import Network
from spikeline.model.spec import Encoder

BATCH = 500  # samples of which all spikes and membranes are in memory at a time
UNSAID = "the network does not say what it was trained on; if that was MNIST, add --data mnist"


@dataclass(frozen=True)
class Samples:
    """B samples, labelled or not, for a network of T time steps and N inputs."""

    name: str  # of data set and split, such as `mnist-test`
    labels: np.ndarray | None  # uint8 or uint16 (B,)
    pixels: np.ndarray | None  # uint8 (B, N), of a network with an encoder
    trains: PackedSpikes | None  # of one without
    encoder: str
    time_steps: int
    seed: int  # of the Bernoulli encoder
    oddities: Mapping[str, int] = field(default_factory=dict)  # what was met in the whole split as it was read, and how often
    classes: tuple[str, ...] = ()  # names, () if they are not known
    shape: tuple[int, ...] = ()  # of the inputs: (H, W), (polarities, H, W) or (N,)
    sha256: str = ""  # of the whole split; see `spikeline.data.digest`
    trained_on: str = ""  # the data set of the network, if these are other samples and the user insists

    def __len__(self) -> int:
        return len(self.pixels) if self.pixels is not None else len(self.trains) if self.trains is not None else 0

    @property
    def truth(self) -> np.ndarray:
        """The labels. Raises DataError if there are none."""
        if self.labels is None:
            raise DataError(
                f"{self.name} has no labels, and this needs them; `spikeline run MODEL --data … --out FILE` classifies"
            )
        return self.labels

    def class_name(self, label: int) -> str:
        """The name of a class, its number if it has none."""
        return self.classes[label] if label < len(self.classes) else str(label)

    def spikes(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Spike trains of samples `start` up to `stop`, uint8 (b, T, N) of 0 and 1."""
        part = slice(start, len(self) if stop is None else min(stop, len(self)))
        if self.trains is not None:
            return self.trains.batch(part)
        assert self.pixels is not None
        return encode(self.pixels[part], self.encoder, self.time_steps, self.seed, first_image=start)

    def batches(self, size: int = BATCH) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Spike trains, uint8 (b, T, N), and labels of up to `size` samples at a time, in order: a board has little memory."""
        for start in range(0, len(self), size):
            labels = None if self.labels is None else self.labels[start : start + size]
            yield self.spikes(start, start + size), labels

    def first(self, count: int) -> "Samples":
        """The first `count`. Raises DataError if there are not as many."""
        if count > len(self):
            raise DataError(f"{count} images are asked for; {self.name} has {len(self)}")
        if count == len(self):
            return self
        labels = None if self.labels is None else self.labels[:count]
        trains = None if self.trains is None else replace(self.trains, packed=self.trains.packed[:count])
        return replace(self, labels=labels, trains=trains, pixels=None if self.pixels is None else self.pixels[:count])


Find = Callable[..., Samples]  # of a model, as `of` is


def check(network: Network, data: DataSet) -> None:
    """Raise DataError unless the data set makes inputs and classes of the network's kind and number."""
    size, classes, count = network.sizes[0], network.sizes[-1], len(data.classes)
    if count and (classes < count if data.numbered else classes != count):
        raise DataError(f"the network tells {classes} classes apart and {data.name} has {count}; it was trained on other data")
    encoder = network.encoder.name.lower()
    if network.encoder == Encoder.EVENTS and data.sensor:
        data.pool_of(size)
    elif size != (made := data.inputs(encoder)):
        what = "images" if data.images else "spike trains"
        raise DataError(f"the network has {size} inputs; {data.title} {what} have {made}")


def load(
    network: Network,
    split: str = "test",
    data: DataSet | str = "mnist",
    root: Path | None = None,
    seed: int = 0,
    strict: bool = False,
    pool: int | None = None,
) -> Samples:
    """Samples of a split, `train` or `test`, for `network`: images if it has an encoder, else spike trains.

    data: a data set, or what `data_sets.find` takes with `root` and `strict`. pool: the side of a cell of recordings, where
    the number of inputs does not tell. Raises DataError for data that are missing or do not suit.
    """
    data = data if isinstance(data, DataSet) else find(data, root, strict)
    check(network, data)
    data.require(split)
    encoder, steps = network.encoder.name.lower(), network.time_steps
    pixels: np.ndarray | None = None
    trains: PackedSpikes | None = None
    name, shape = data.name, data.shape
    if network.encoder == Encoder.EVENTS:
        pool = data.pool_of(network.sizes[0], pool)
        read = data.read(split, steps, pool)
        assert isinstance(read.samples, PackedSpikes)
        trains, name = read.samples, data.trains_name or data.name
        shape = (data.sensor.polarities, *data.sensor.cells(pool)) if data.sensor else (trains.inputs,)
    else:
        read = data.read(split)
        assert isinstance(read.samples, np.ndarray)
        pixels = read.samples
    more = (trains.oddities if trains else {}, data.classes, shape, read.sha256)
    return Samples(f"{name}-{split}", read.labels, pixels, trains, encoder, steps, seed, *more)


def source(
    note: Mapping[str, Any] | None, given: str | None = None, root: Path | None = None, strict: bool = False, other: bool = False
) -> DataSet:
    """The data set of a network, by what its file remembers (`note`, None if nothing) and what the user says.

    It is read as the note says. Raises DataError if nobody says, or if the two are known to differ, unless the user insists on
    `other` data; by their test sets that is found when they are read, see `of`.
    """
    if note is None and given is None:
        raise DataError(UNSAID)
    note = note or {}
    name = note.get("name", given)
    if given is None and not by_name(name):
        said = f"the data set {name!r} is not known here by its name; known are {KNOWN}"
        raise DataError(f"{said}; if it is a file or folder of yours, add --data PATH")
    named_both = given is not None and by_name(given) and by_name(name)
    if given not in (None, name) and not other and (named_both or "test_sha256" not in note):
        raise DataError(f"the network was trained on {name}, not on {given}; leave out --data")
    return find(given or name, root, strict, **{key: note.get(key) for key in OPTIONS})


def of(
    model: Model,
    split: str = "test",
    given: str | None = None,
    root: Path | None = None,
    seed: int = 0,
    strict: bool = False,
    other: bool = False,
) -> Samples:
    """Samples of a split of the model's own data set, or of one that does not say of the `given`; see `source` and `load`.

    That it is its own is told by the test set, and by nothing else if the model remembers its SHA-256. With `other`, any data
    that suit are taken, and `Samples.trained_on` says what was meant. Samples without labels cannot be scored, so they may be
    any. Raises DataError.
    """
    network, note = model.network, model.note.get("dataset")
    data = source(note, given, root, strict, other)
    return own(network, note, data, split, seed, other)


def own(
    network: Network, note: Mapping[str, Any] | None, data: DataSet, split: str = "test", seed: int = 0, other: bool = False
) -> Samples:
    """As `of`, of a data set that is found."""
    note = note or {}
    shape = tuple(note.get("shape", data.shape))
    if data.images and len(shape) == len(data.shape) == 2 and shape != data.shape and not other:
        (rows, columns), (height, width) = shape, data.shape
        raise DataError(
            f"the network was trained on images of {rows} x {columns} (rows x columns) and {data.name} has {height} x {width}; "
            "reshape them, or add --other-data"
        )
    found = load(network, split, data, seed=seed, pool=note.get("pool"))
    wanted, name = note.get("test_sha256"), note.get("name", data.name)
    classes = tuple(note.get("classes", ())) or data.classes
    differs = data.name != name
    if wanted and found.labels is not None:
        test = found if split == "test" else load(network, "test", data, pool=note.get("pool"))
        differs = test.sha256 != wanted
        if differs and not other:
            raise DataError(
                f"the network was trained on {name}, and the test set of {data.name} is another (SHA-256 {test.sha256[:12]}…, "
                f"not {wanted[:12]}…); name its own with --data, or add --other-data to score it on this all the same"
            )
    return replace(found, classes=classes, trained_on=name if differs and found.labels is not None else "")


def require(model: Model, given: str | None = None, root: Path | None = None, other: bool = False) -> None:
    """Raise DataError, before any work, for what `of` would refuse without reading samples."""
    data = source(model.note.get("dataset"), given, root, other=other)
    check(model.network, data)
    data.require()
