"""Data sets of the `tonic` package (https://tonic.readthedocs.io), by its own readers, from files that the user has.

`tonic:NMNIST`, `tonic:DVSGesture`, `tonic:SHD`, `tonic:CIFAR10DVS` and whatever else of `tonic.datasets` has one sensor, and
classes that are numbers. The folder is the one that tonic calls `save_to`; nothing is fetched. Samples are in the order of
their files' names. A recording counts from its first event to its last, but one of N-MNIST as long as all of them, 300 ms.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data.data_set import DataSet, checked_classes, checked_labels
from spikeline.data.recordings import DURATION_US, PackedSpikes, Recording, Sensor, bin_all
from spikeline.errors import DataError

PREFIX = "tonic:"
DURATIONS = {"NMNIST": DURATION_US}  # µs, of sets whose recordings are all as long


def find(name: str, root: Path | None, test_every: int | None = None) -> DataSet:
    """The data set of that name, with its prefix. Raises DataError if tonic or the files are missing.

    test_every: of a set that has no splits, sample number `test_every` of each so many is a test sample, and the others train.
    """
    kind = _kind(name)
    if root is None:
        raise DataError(f"{name} is not fetched: name the folder that tonic would save to, with {kind.__name__} in it, by --root")
    parameters = inspect.signature(kind).parameters
    if "train" in parameters:
        if test_every is not None:
            raise DataError(f"{name} has splits of its own; leave out --test-every")
        parts = {split: _opened(kind, root, name, train=split == "train") for split in ("train", "test")}
        orders = {split: _order(found) for split, found in parts.items()}
    else:
        whole = _opened(kind, root, name)
        parts, order = dict.fromkeys(("train", "test"), whole), _order(whole)
        if test_every is None:
            raise DataError(f"{name} has no splits; say which samples are the test by --test-every 10: each tenth, by file name")
        chosen = np.arange(len(order)) % test_every == test_every - 1
        orders = {"train": order[~chosen], "test": order[chosen]}
    orders = {split: order for split, order in orders.items() if len(order)}
    if not orders:
        raise DataError(
            f"{root} has no recordings of {name}; name the folder in which {kind.__name__} is, with its files unpacked"
        )
    sensor = Sensor(*map(int, kind.sensor_size))
    labels = {split: _labels(parts[split], order, name) for split, order in orders.items()}
    names: Any = getattr(parts["test"], "classes", ())  # a list, an array of bytes, or numbers by name
    ordered = sorted(names, key=names.__getitem__) if isinstance(names, dict) else names
    classes = checked_classes((x.decode() if isinstance(x, bytes) else x for x in ordered), labels.values(), name)

    def recordings(split: str) -> Iterator[Recording]:
        for n in orders[split]:
            try:
                events = parts[split][int(n)][0]
            except Exception as error:  # whatever tonic's reader meets in a damaged file
                raise DataError(f"{name}: tonic cannot read recording {n} of its {split} split ({error!r}); restore it") from None
            yield _recording(events, sensor)

    def trains(split: str, time_steps: int, pool: int) -> tuple[PackedSpikes, np.ndarray]:
        duration = DURATIONS.get(kind.__name__)
        return bin_all(recordings(split), labels[split], sensor, time_steps, pool, duration), labels[split]

    shape, counts = (sensor.polarities, sensor.height, sensor.width), {split: len(order) for split, order in orders.items()}
    options = {"test_every": test_every} if test_every else {}
    return DataSet(name, f"tonic's {kind.__name__}", shape, classes, counts, trains=trains, sensor=sensor, options=options)


def _kind(name: str) -> Any:
    """tonic's class of a data set. Raises DataError."""
    try:
        import tonic
    except ImportError:
        raise DataError(f"{name} needs the package tonic; pip install 'spikeline[tonic]'") from None
    kinds = {
        x: kind
        for x in tonic.datasets.__all__
        if len(getattr(kind := getattr(tonic.datasets, x), "sensor_size", None) or ()) == 3 and hasattr(kind, "__getitem__")
    }
    wanted = name.removeprefix(PREFIX)
    if wanted not in kinds:
        raise DataError(f"{name}: tonic has no data set {wanted} of one sensor; there are {', '.join(sorted(kinds))}")
    return kinds[wanted]


def _opened(kind: Any, root: Path, name: str, **options: bool) -> Any:
    """tonic's data set on the files that there are: it takes them as whole, and fetches nothing."""
    offline = type(kind.__name__, (kind,), {"_check_exists": lambda self: True})
    folder = root.parent if root.name == kind.__name__ and not (root / kind.__name__).is_dir() else root
    try:
        return offline(str(folder), **options)
    except Exception as error:  # whatever tonic's reader meets
        raise DataError(f"{name}: tonic cannot read {folder / kind.__name__} ({error!r}); put its unpacked files there") from None


def _order(found: Any) -> np.ndarray:
    """Indices in the order of file names, or as they stand if there are no files of samples."""
    files = found.data if all(isinstance(x, str) for x in found.data) else []
    return np.array(sorted(range(len(files)), key=files.__getitem__) if files else range(len(found)), int)


def _labels(found: Any, order: np.ndarray, name: str) -> np.ndarray:
    try:
        targets = found.targets if len(found.targets) else [found[n][1] for n in range(len(found))]
        numbers = np.array([targets[n] for n in order])
    except Exception as error:  # of sets that are about something else than classes
        raise DataError(f"{name} has no classes that are numbers ({error!r}); take another data set") from None
    return checked_labels(numbers, len(order), name)


def _recording(events: np.ndarray, sensor: Sensor) -> Recording:
    """A recording of tonic's structured events, in the order of time."""
    order = np.argsort(events["t"], kind="stable")
    place = np.uint8 if max(sensor.width, sensor.height) <= 256 else np.uint16
    x, time = events["x"][order], events["t"][order].astype(np.int64)
    y = events["y"][order] if "y" in events.dtype.names else np.zeros(len(x))
    polarity = events["p"][order] if sensor.polarities > 1 else np.zeros(len(x))
    if len(time):
        time = time - min(int(time[0]), 0) if time[-1] < 2**31 else time - time[0]
        if time[-1] >= 2**31:
            raise DataError(f"a recording lasts {int(time[-1]):,} µs; at most 2,147,483,647 are read")
    return Recording(x.astype(place), y.astype(place), polarity.astype(np.uint8), time.astype(np.int32), sensor)
