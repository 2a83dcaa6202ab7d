"""Labelled samples in the form that a network takes: images that are encoded, or spike trains that were events.

A network is scored on the data set that it was trained on. Its model says which that is; of one that does not say, the
user does, and what contradicts is refused: labels of other data would give an accuracy that means nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from spikeline.data import recordings
from spikeline.data.data_sets import DATA_SETS
from spikeline.data.recordings import PackedSpikes
from spikeline.errors import DataError
from spikeline.model.encode import encode
from spikeline.model.model_file import Model
from spikeline.model.network import Network
from spikeline.model.spec import Encoder

BATCH = 500  # samples of which all spikes and membranes are in memory at a time


@dataclass(frozen=True)
class Samples:
    """B labelled samples for a network of T time steps and N inputs."""

    name: str  # of data set and split, such as `mnist-test`
    labels: np.ndarray  # uint8 (B,)
    pixels: np.ndarray | None  # uint8 (B, N), of a network with an encoder
    trains: PackedSpikes | None  # of one without
    encoder: str
    time_steps: int
    seed: int  # of the Bernoulli encoder
    oddities: Mapping[str, int] = field(default_factory=dict)  # what was met in the whole split as it was read, and how often

    def __len__(self) -> int:
        return len(self.labels)

    def spikes(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Spike trains of samples `start` up to `stop`, uint8 (b, T, N) of 0 and 1."""
        part = slice(start, len(self) if stop is None else min(stop, len(self)))
        if self.trains is not None:
            return self.trains.batch(part)
        assert self.pixels is not None
        return encode(self.pixels[part], self.encoder, self.time_steps, self.seed, first_image=start)

    def batches(self, size: int = BATCH) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Spike trains, uint8 (b, T, N), and labels of up to `size` samples at a time, in order: a board has little memory."""
        for start in range(0, len(self), size):
            yield self.spikes(start, start + size), self.labels[start : start + size]

    def first(self, count: int) -> "Samples":
        """The first `count`. Raises DataError if there are not as many."""
        if count > len(self):
            raise DataError(f"{count} images are asked for; {self.name} has {len(self)}")
        return replace(self, labels=self.labels[:count], pixels=None if self.pixels is None else self.pixels[:count])


Find = Callable[..., Samples]  # of a model, as `of` is


def agreed(said: str | None, given: str | None) -> str | None:
    """The data set of a network by what its file says and what the user says, None if neither does. Raises DataError."""
    if said and given and said != given:
        raise DataError(f"the network was trained on {said}, not on {given}; leave out --data")
    return said or given


def data_set(model: Model, given: str | None = None) -> str:
    """The data set that a model is scored on: its own, or of one that does not say `given`. Checks that they go together.

    Raises DataError if nobody says, if what is said contradicts, and as `check` does. Nothing is read.
    """
    data = agreed(model.dataset, given)
    if data is None:
        raise DataError("the network does not say what it was trained on; if that was MNIST, add --data mnist")
    check(model.network, data)
    return data


def check(network: Network, data: str) -> None:
    """Raise DataError unless the data set is known and makes inputs and classes of the network's kind and number."""
    if data not in DATA_SETS:
        raise DataError(f"the data set {data!r} is not known here; known are {', '.join(DATA_SETS)}")
    known, size, classes = DATA_SETS[data], network.sizes[0], network.sizes[-1]
    if classes != known.classes:
        raise DataError(f"the network tells {classes} classes apart and {data} has {known.classes}; it was trained on other data")
    if network.encoder == Encoder.EVENTS:
        made = [recordings.inputs(pool) for pool in recordings.POOLS]
        if size not in made:
            raise DataError(f"the network has {size} inputs; events of {data} make {' or '.join(map(str, made))}")
    elif known.images is None:
        raise DataError(f"the network takes images, by its {network.encoder.name.lower()} encoder, and {known.title} has events")
    elif size != known.pixels:
        raise DataError(f"the network has {size} inputs; {known.title} images have {known.pixels}")


def require_folder(data: str, root: Path | None) -> None:
    """Raise DataError for data that are not fetched if no folder is named."""
    if DATA_SETS[data].folder and root is None:
        raise DataError(f"{DATA_SETS[data].title} is not fetched: name its folder, {DATA_SETS[data].folder}, with --root")


def load_trains(
    data: str, split: str, inputs: int, time_steps: int, root: Path | None, strict: bool = False
) -> tuple[PackedSpikes, np.ndarray]:
    """Spike trains of a data set for a network of so many inputs and time steps, and labels uint8 (B,). Raises DataError."""
    require_folder(data, root)
    pool = next(pool for pool in recordings.POOLS if recordings.inputs(pool) == inputs)
    return DATA_SETS[data].trains(split, time_steps, pool, root, strict)


def load(
    network: Network, split: str = "test", data: str = "mnist", root: Path | None = None, seed: int = 0, strict: bool = False
) -> Samples:
    """Samples of a split, `train` or `test`, for `network`: images if it has an encoder, else spike trains.

    data: a name of `data_sets.DATA_SETS`. root: the folder of its files; None is the cache, for one that is fetched. strict:
    refuse recordings with oddities that are otherwise mended and counted. Raises DataError for data that are missing or do
    not suit.
    """
    check(network, data)
    known, encoder, time_steps = DATA_SETS[data], network.encoder.name.lower(), network.time_steps
    if network.encoder == Encoder.EVENTS:
        trains, labels = load_trains(data, split, network.sizes[0], time_steps, root, strict)
        return Samples(f"{known.trains_name}-{split}", labels, None, trains, encoder, time_steps, seed, trains.oddities)
    assert known.images is not None
    pixels, labels = known.images(split, root)
    return Samples(f"{data}-{split}", labels, pixels, None, encoder, time_steps, seed)


def of(
    model: Model,
    split: str = "test",
    given: str | None = None,
    root: Path | None = None,
    seed: int = 0,
    strict: bool = False,
) -> Samples:
    """Samples of a split of the model's own data set, or of one that does not say of the `given`; see `data_set` and `load`."""
    return load(model.network, split, data_set(model, given), root, seed, strict)
