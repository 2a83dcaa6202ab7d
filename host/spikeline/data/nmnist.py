"""N-MNIST recordings (Orchard et al., 2015): MNIST before a moving event camera, one binary file a digit.

A file is a list of events of five bytes:

    byte 0      x, 0..33
    byte 1      y, 0..33
    byte 2      bit 7: polarity, 1 is ON; bits 6..0: bits 22..16 of the time
    byte 3, 4   bits 15..8 and 7..0 of the time, in microseconds

Recordings as they are found hold two oddities. An event at y = 240 is no event but a mark that the camera's clock ran over: all
times from there on are 8192 µs later than they say. And some events stand before earlier ones. Both are read as the published
reader of the data set and `tonic` read them, and counted; events are put in the order of time, equal times as they stood.

The data set is the folders Train/0 to Train/9 and Test/0 to Test/9 of .bin files, each named by the number of its image. It
can be had from https://www.garrickorchard.com/datasets/n-mnist; nothing is fetched.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeline.data.recordings import DURATION_US, N_MNIST, SIZE, PackedSpikes, Recording, bin_all
from spikeline.errors import DataError
from spikeline.files import atomic
from spikeline.files import read as read_bytes

FOLDERS = {"train": "Train", "test": "Test"}
MAX_TIME = 2**23 - 1  # µs, that an event can say
LATEST = 2**31 - 1  # µs, that marks can make of it
OVERFLOW_Y, OVERFLOW_US = 240, 2**13
LARGEST = 1 << 24  # bytes of a recording
DAMAGED = "the file is damaged, or no N-MNIST recording"
LENIENT = "leave out --strict to have it mended and counted"
_EVENT = 5  # bytes


def read(path: Path | str, strict: bool = False) -> Recording:
    """Events of one recording, in the order of time. With `strict`, oddities are refused too; see `read_counted`."""
    return read_counted(path, strict)[0]


def read_counted(path: Path | str, strict: bool = False) -> tuple[Recording, Counter[str]]:
    """Events of one recording, in the order of time, and its oddities.

    Those are overflow_marks, and events_out_of_order, whose time is less than that of the event before.

    Raises DataError, with the file and the offset of the first wrong event in bytes, for a file that cannot be read or ends
    within an event, for events that lie outside the sensor, and with `strict` for the oddities.
    """
    try:
        content = np.frombuffer(read_bytes(path, LARGEST), np.uint8)
    except OSError as error:
        raise DataError(f"cannot read the recording {path}: {error.strerror}; restore or remove it") from None
    whole = len(content) // _EVENT * _EVENT
    x, y, high, middle, low = content[:whole].reshape(-1, _EVENT).T
    mark = y == OVERFLOW_Y
    time = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    time += OVERFLOW_US * mark.cumsum()
    outside = ~mark & ((x >= SIZE) | (y >= SIZE) | (time > LATEST))
    backwards = np.zeros(len(time), bool)
    backwards[~mark] = np.diff(time[~mark], prepend=0) < 0
    refused = outside | mark | backwards if strict else outside
    if refused.any():
        first = int(refused.argmax())
        if mark[first]:
            what = f"marks that the clock ran over; {LENIENT}"
        elif not outside[first]:
            what = f"goes back in time, from {time[:first][~mark[:first]][-1]} to {time[first]} µs; {LENIENT}"
        elif time[first] > LATEST:
            what = f"lies {time[first]:,} µs after the start; {DAMAGED}"
        else:
            what = f"lies at x = {x[first]}, y = {y[first]}, outside the {SIZE} x {SIZE} sensor; {DAMAGED}"
        raise DataError(f"{path}: the event at byte {first * _EVENT} {what}")
    if whole != len(content):
        raise DataError(f"{path}: ends within the event at byte {whole}; {DAMAGED}")
    order = np.flatnonzero(~mark)[np.argsort(time[~mark], kind="stable")]
    oddities = Counter(overflow_marks=int(mark.sum()), events_out_of_order=int(backwards.sum()))
    return Recording(x[order], y[order], high[order] >> 7, time[order].astype(np.int32)), oddities


def write(path: Path | str, recording: Recording) -> None:
    """Write one recording, whole or not at all. Raises DataError for a time beyond 23 bits."""
    time = recording.time
    if len(recording) and time[-1] > MAX_TIME:
        raise DataError(f"{path}: an event at {time[-1]} µs; the format ends at {MAX_TIME} µs")
    columns = (recording.x, recording.y, recording.polarity << 7 | time >> 16, time >> 8 & 0xFF, time & 0xFF)
    with atomic(path) as temporary:
        np.stack(columns, axis=1).astype(np.uint8).tofile(temporary)


def load(split: str, time_steps: int, pool: int, root: Path | str, strict: bool = False) -> tuple[PackedSpikes, np.ndarray]:
    """Binned recordings of a split, and their labels, which are the names of their folders.

    `split` is "train" or "test", `root` the folder that holds Train and Test; `time_steps` and `pool` are those of
    `bin_events`. All recordings count as 300 ms long; what comes later falls into the last step. They are ordered by file
    name, so as MNIST is. Returns `(spikes, labels)`: PackedSpikes, with the oddities of all recordings, and uint8 (recordings,)
    of 0..9; what oddities there are is also said on stderr. With `strict` they are refused.
    Raises DataError if the split is unknown, a folder is missing or empty, or a file is damaged, and as `bin_events` does.
    """
    files = recordings(split, root)
    labels = np.array([int(file.parent.name) for file in files], np.uint8)
    oddities = Counter[str]()

    def read_all() -> Iterator[Recording]:
        for file in files:
            recording, odd = read_counted(file, strict)
            oddities.update(odd)
            yield recording

    spikes = bin_all(read_all(), labels, N_MNIST, time_steps, pool, DURATION_US)
    if met := dict(+oddities):
        told = " and ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in met.items())
        print(f"N-MNIST, {split}: {told} in {len(files):,} recordings, mended; --strict refuses them", file=sys.stderr)
    return replace(spikes, oddities=met), labels


def recordings(split: str, root: Path | str) -> list[Path]:
    """The files of a split in the order of their names. Raises DataError if there are none of a class, or no such split."""
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
    return sorted(files, key=lambda file: (file.name, file.parent.name))
