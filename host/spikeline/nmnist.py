"""N-MNIST recordings (Orchard et al., 2015): MNIST before a moving event camera, one binary file a digit.

A file is a list of events of five bytes, in the order of time:

    byte 0      x, 0..33
    byte 1      y, 0..33
    byte 2      bit 7: polarity, 1 is ON; bits 6..0: bits 22..16 of the time
    byte 3, 4   bits 15..8 and 7..0 of the time, in microseconds

The data set is the folders Train/0 to Train/9 and Test/0 to Test/9 of .bin files, each named by the number of its image. It
can be had from https://www.garrickorchard.com/datasets/n-mnist; nothing is fetched.
"""

from pathlib import Path

import numpy as np

from spikeline.errors import DataError
from spikeline.events import DURATION_US, SIZE, Events, PackedSpikes, bin_events, inputs
from spikeline.files import atomic
from spikeline.files import read as read_bytes

FOLDERS = {"train": "Train", "test": "Test"}
MAX_TIME = 2**23 - 1  # µs
LARGEST = 1 << 24  # bytes of a recording
_EVENT = 5  # bytes


def read(path: Path | str) -> Events:
    """Events of one recording.

    Raises DataError, with the file and the offset of the first wrong event in bytes, for a file that cannot be read or ends
    within an event, and for events that lie outside the sensor or go back in time.
    """
    try:
        content = np.frombuffer(read_bytes(path, LARGEST), np.uint8)
    except OSError as error:
        raise DataError(f"cannot read the recording {path}: {error.strerror}; restore or remove it") from None
    whole = len(content) // _EVENT * _EVENT
    x, y, high, middle, low = content[:whole].reshape(-1, _EVENT).T
    time = (high & 0x7F).astype(np.int32) << 16 | middle.astype(np.int32) << 8 | low
    outside = (x >= SIZE) | (y >= SIZE)
    backwards = np.diff(time, prepend=0) < 0
    if (outside | backwards).any():
        first = int((outside | backwards).argmax())
        what = f"lies at x = {x[first]}, y = {y[first]}, outside the {SIZE} x {SIZE} sensor"
        if not outside[first]:
            what = f"goes back in time, from {time[first - 1]} to {time[first]} µs"
        raise DataError(f"{path}: the event at byte {first * _EVENT} {what}; the file is damaged, or no N-MNIST recording")
    if whole != len(content):
        raise DataError(f"{path}: ends within the event at byte {whole}; the file is damaged, or no N-MNIST recording")
    return Events(x.copy(), y.copy(), high >> 7, time)


def write(path: Path | str, events: Events) -> None:
    """Write one recording, whole or not at all. Raises DataError for a time beyond 23 bits."""
    time = events.time
    if len(events) and time[-1] > MAX_TIME:
        raise DataError(f"{path}: an event at {time[-1]} µs; the format ends at {MAX_TIME} µs")
    columns = (events.x, events.y, events.polarity << 7 | time >> 16, time >> 8 & 0xFF, time & 0xFF)
    with atomic(path) as temporary:
        np.stack(columns, axis=1).astype(np.uint8).tofile(temporary)


def load(split: str, time_steps: int, pool: int, root: Path | str) -> tuple[PackedSpikes, np.ndarray]:
    """Binned recordings of a split, and their labels, which are the names of their folders.

    `split` is "train" or "test", `root` the folder that holds Train and Test; `time_steps` and `pool` are those of
    `bin_events`. All recordings count as 300 ms long; what comes later falls into the last step. They are ordered by file
    name, so as MNIST is. Returns `(spikes, labels)`: PackedSpikes and uint8 (recordings,) of 0..9.
    Raises DataError if the split is unknown, a folder is missing or empty, or a file is damaged, and as `bin_events` does.
    """
    if split not in FOLDERS:
        raise DataError(f"N-MNIST has no split {split!r}; use 'train' or 'test'")
    files: list[Path] = []
    for label in range(10):
        folder = Path(root) / FOLDERS[split] / str(label)
        found = list(folder.glob("[!.]*.bin"))  # not what a `write` that was killed has left
        if not found:
            raise DataError(
                f"no N-MNIST recordings (.bin) in {folder}; {root} must hold {FOLDERS[split]}/0 to {FOLDERS[split]}/9"
            )
        files += found
    files.sort(key=lambda file: (file.name, file.parent.name))
    binned = (bin_events(read(file), time_steps, DURATION_US, pool) for file in files)
    packed = np.stack([np.packbits(spikes, axis=-1, bitorder="little") for spikes in binned])
    return PackedSpikes(packed, inputs(pool)), np.array([int(file.parent.name) for file in files], np.uint8)
