"""Labelled samples in the form that a network takes: images that are encoded, or spike trains that were events."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikeline import events, mnist, nmnist
from spikeline.encode import encode
from spikeline.errors import DataError
from spikeline.events import PackedSpikes
from spikeline.network import Network
from spikeline.spec import Encoder

DATA = ("mnist", "nmnist")


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

    def __len__(self) -> int:
        return len(self.labels)

    def spikes(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Spike trains of samples `start` up to `stop`, uint8 (b, T, N) of 0 and 1."""
        part = slice(start, len(self) if stop is None else min(stop, len(self)))
        if self.trains is not None:
            return self.trains.batch(part)
        assert self.pixels is not None
        return encode(self.pixels[part], self.encoder, self.time_steps, self.seed, first_image=start)

    def first(self, count: int) -> "Samples":
        """The first `count`. Raises DataError if there are not as many."""
        if count > len(self):
            raise DataError(f"{count} images are asked for; {self.name} has {len(self)}")
        return replace(self, labels=self.labels[:count], pixels=None if self.pixels is None else self.pixels[:count])


def load_events(data: str, split: str, time_steps: int, pool: int, root: Path | None) -> tuple[PackedSpikes, np.ndarray]:
    """Binned events of `mnist`, by saccades, or of `nmnist`, and labels uint8 (B,); see `load`."""
    if data == "mnist":
        return events.load_saccades(split, time_steps, pool, root)
    if root is None:
        raise DataError("N-MNIST is not fetched: name its folder, which holds Train and Test, with --root")
    return nmnist.load(split, time_steps, pool, root)


def load(network: Network, split: str = "test", data: str = "mnist", root: Path | None = None, seed: int = 0) -> Samples:
    """Samples of a split, `train` or `test`, for `network`.

    data: `mnist`, which a network without an encoder sees by simulated saccades, or `nmnist` from the folder `root`; of MNIST
    too, `root` is the folder of the files instead of the cache. Raises DataError for data that are missing or do not suit.
    """
    if data not in DATA:
        raise DataError(f"no data set {data!r}; there are {', '.join(DATA)}")
    encoder = network.encoder.name.lower()
    size, time_steps = network.sizes[0], network.time_steps
    if network.encoder == Encoder.EVENTS:
        pools = {events.inputs(pool): pool for pool in (1, 2)}
        if size not in pools:
            raise DataError(f"the network has {size} inputs; events make {' or '.join(map(str, pools))}")
        trains, labels = load_events(data, split, time_steps, pools[size], root)
        name = f"nmnist-{split}" if data == "nmnist" else f"saccades-{split}"
        return Samples(name, labels, None, trains, encoder, time_steps, seed)
    if data == "nmnist":
        raise DataError(f"the network takes images, by its {encoder} encoder, and N-MNIST has events")
    pixels, labels = mnist.load(split, root)
    if size != pixels.shape[1]:
        raise DataError(f"the network has {size} inputs; MNIST images have {pixels.shape[1]}")
    return Samples(f"mnist-{split}", labels, pixels, None, encoder, time_steps, seed)
