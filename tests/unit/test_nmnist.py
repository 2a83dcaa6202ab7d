"""N-MNIST files: the published layout, what is refused, and the data set as folders."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.cli.main import main
from spikeline.data import mnist, nmnist
from spikeline.data.recordings import DURATION_US, Recording, bin_events
from spikeline.data.saccades import spike_trains
from spikeline.errors import DataError

HAND_WRITTEN = bytes.fromhex("0a0b80002a" "21000003e8" "0021849abc" "0101ffffff")  # fmt: skip
MEANING = [(10, 11, 1, 42), (33, 0, 0, 1000), (0, 33, 1, 0x049ABC), (1, 1, 1, 2**23 - 1)]  # x, y, polarity, µs


def events_of(rows):
    x, y, polarity, time = np.array(rows, np.int64).reshape(-1, 4).T
    return Recording(x.astype(np.uint8), y.astype(np.uint8), polarity.astype(np.uint8), time.astype(np.int32))


def rows_of(events):
    return list(zip(*(a.tolist() for a in (events.x, events.y, events.polarity, events.time)), strict=True))


def test_read_the_published_layout(tmp_path):
    (tmp_path / "00001.bin").write_bytes(HAND_WRITTEN)
    events = nmnist.read(tmp_path / "00001.bin")
    assert rows_of(events) == MEANING
    assert [a.dtype for a in (events.x, events.y, events.polarity, events.time)] == [np.uint8] * 3 + [np.int32]


def test_write_the_published_layout(tmp_path):
    nmnist.write(tmp_path / "new" / "00001.bin", events_of(MEANING))
    assert (tmp_path / "new" / "00001.bin").read_bytes() == HAND_WRITTEN


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 33), st.integers(0, 33), st.integers(0, 1), st.integers(0, 2**23 - 1)), max_size=50))
def test_what_is_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round.bin"
    rows.sort(key=lambda row: row[3])
    nmnist.write(path, events_of(rows))
    assert rows_of(nmnist.read(path)) == rows


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (HAND_WRITTEN[:-1], ("ends within the event at byte 15",)),
        (HAND_WRITTEN + b"\x01", ("ends within the event at byte 20",)),
        (b"\x01", ("ends within the event at byte 0",)),
        (bytes.fromhex("0a0b80002a" "22000003e8" "ff00000000"), ("event at byte 5", "x = 34, y = 0", "outside")),
        (bytes.fromhex("0a0b80002a" "21000003e8" "05ff0003e8"), ("event at byte 10", "x = 5, y = 255", "outside")),
        (bytes.fromhex("0a0b80002a" "00f0000000" "22000003e8"), ("event at byte 10", "x = 34, y = 0", "outside")),
        (bytes.fromhex("0a0b80002a" "2100000029" "2200000000" "00"), ("event at byte 10", "x = 34")),
        (bytes.fromhex("00f0000000") * 262_144 + HAND_WRITTEN, (f"event at byte {5 * 262_144}", "lies 2,147,483,690 µs")),
    ],
    ids=["cut short", "too long", "one byte", "x", "y", "behind a mark", "behind one out of order", "longer than can be"],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_its_name_and_the_place(tmp_path, content, messages):
    path = tmp_path / "00007.bin"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        nmnist.read(path)
    for part in (str(path), *messages):
        assert part in str(error.value)


MARK = bytes.fromhex("00f0000000")  # at y = 240; x, polarity and time say nothing
RAN_OVER = bytes.fromhex("0102800064") + MARK + bytes.fromhex("030400000a") + b"\xff" + MARK[1:] + bytes.fromhex("0506800005")
OUT_OF_ORDER = bytes.fromhex("0a0b80002a2100000029010200002903040000640506000005")
ODD = {
    "overflow marks": (
        RAN_OVER,
        [(1, 2, 1, 100), (3, 4, 0, 8192 + 10), (5, 6, 1, 2 * 8192 + 5)],
        {"overflow_marks": 2},
        "event at byte 5 marks that the clock ran over; leave out --strict",
    ),
    "events out of order": (
        OUT_OF_ORDER,
        [(5, 6, 0, 5), (33, 0, 0, 41), (1, 2, 0, 41), (10, 11, 1, 42), (3, 4, 0, 100)],
        {"events_out_of_order": 2},
        "event at byte 5 goes back in time, from 42 to 41 µs; leave out --strict",
    ),
    "both": (
        MARK + OUT_OF_ORDER,
        [(5, 6, 0, 8197), (33, 0, 0, 8233), (1, 2, 0, 8233), (10, 11, 1, 8234), (3, 4, 0, 8292)],
        {"overflow_marks": 1, "events_out_of_order": 2},
        "event at byte 0 marks",
    ),
    "marks alone": (MARK * 3, [], {"overflow_marks": 3}, "event at byte 0 marks"),
    "a mark keeps the order": (OUT_OF_ORDER[:5] + MARK + OUT_OF_ORDER[5:10], [(10, 11, 1, 42), (33, 0, 0, 8233)],
                               {"overflow_marks": 1}, "event at byte 5 marks"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "rows", "counts", "refusal"), ODD.values(), ids=ODD.keys())
def test_recordings_as_found_are_read_and_their_oddities_counted(tmp_path, content, rows, counts, refusal):
    path = tmp_path / "00007.bin"
    path.write_bytes(content)
    events, oddities = nmnist.read_counted(path)
    assert rows_of(events) == rows == rows_of(nmnist.read(path))
    assert +oddities == counts
    with pytest.raises(DataError, match=refusal):
        nmnist.read(path, strict=True)


def as_published(content):
    """What the data set's own reader makes of a recording, mark by mark: rows in the order of the file."""
    rows, ahead = [], 0
    for n in range(0, len(content), 5):
        x, y, high, middle, low = content[n : n + 5]
        if y == 240:
            ahead += 8192
        else:
            rows.append((x, y, high >> 7, ((high & 127) << 16 | middle << 8 | low) + ahead))
    return rows


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 33), st.sampled_from([*range(34), *[240] * 9]), *[st.integers(0, 255)] * 3).map(bytes),
        max_size=60,
    )
)
def test_any_order_and_any_marks_give_the_spikes_of_the_published_reader(tmp_path_factory, events):
    path = tmp_path_factory.getbasetemp() / "odd.bin"
    path.write_bytes(b"".join(events))
    expected = as_published(path.read_bytes())
    found, oddities = nmnist.read_counted(path)
    assert rows_of(found) == sorted(expected, key=lambda row: row[3])
    assert oddities["overflow_marks"] == len(events) - len(expected)
    times = [row[3] for row in expected]
    assert oddities["events_out_of_order"] == sum(b < a for a, b in pairwise(times))
    spikes = bin_events(found, 7, DURATION_US, 2)
    by_hand = np.zeros_like(spikes)
    for x, y, polarity, time in expected:
        by_hand[min(time * 7 // DURATION_US, 6), polarity * 289 + y // 2 * 17 + x // 2] = 1
    assert np.array_equal(spikes, by_hand)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the recording .*absent\.bin"):
        nmnist.read(tmp_path / "absent.bin")


def test_a_time_beyond_the_format_is_not_written(tmp_path):
    with pytest.raises(DataError, match=r"late\.bin: an event at 8388608 µs"):
        nmnist.write(tmp_path / "late.bin", events_of([(0, 0, 0, 2**23)]))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def dataset(tmp_path):
    """One recording of each class and a second of class 3, numbered against the order of the classes."""
    recordings = {}
    for number, label in enumerate([3, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 1):
        events = events_of([(label, number, 0, 0), (0, 0, 1, number * 20_000), (label, 33, 1, DURATION_US + 5)])
        nmnist.write(tmp_path / "Test" / str(label) / f"{number:05d}.bin", events)
        recordings[number] = events
    return tmp_path, recordings


@pytest.mark.parametrize("pool", [1, 2])
def test_load_gives_spikes_and_labels_in_the_order_of_file_names(dataset, pool):
    root, recordings = dataset
    spikes, labels = nmnist.load("test", 4, pool, root)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [3, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    expected = np.stack([bin_events(events, 4, DURATION_US, pool) for events in recordings.values()])
    assert np.array_equal(spikes.batch(slice(None)), expected)
    assert expected[0, 3].sum() == 1  # what comes after the 300 ms is in the last step


def test_a_missing_class_split_or_folder_is_named(dataset):
    root, _ = dataset
    with pytest.raises(DataError, match=r"Train/0; .* must hold Train/0 to Train/9"):
        nmnist.load("train", 4, 2, root)
    with pytest.raises(DataError, match="nowhere/Test/0"):
        nmnist.load("test", 4, 2, root / "nowhere")
    with pytest.raises(DataError, match="no split 'valid'"):
        nmnist.load("valid", 4, 2, root)
    (root / "Test" / "6" / "00005.bin").unlink()
    with pytest.raises(DataError, match=r"recordings \(.bin\) in .*Test/6;"):
        nmnist.load("test", 4, 2, root)


def test_a_damaged_recording_of_a_data_set_is_named(dataset):
    root, _ = dataset
    (root / "Test" / "6" / "00005.bin").write_bytes(HAND_WRITTEN[:7])
    with pytest.raises(DataError, match=r"6/00005\.bin: ends within the event at byte 5"):
        nmnist.load("test", 4, 2, root)


def test_oddities_of_a_data_set_are_counted_said_and_refused_if_wanted(dataset, capsys):
    root, _ = dataset
    spikes, _ = nmnist.load("test", 4, 2, root)
    assert spikes.oddities == {}
    assert capsys.readouterr().err == ""
    (root / "Test" / "6" / "00005.bin").write_bytes(RAN_OVER)
    (root / "Test" / "7" / "00004.bin").write_bytes(MARK + OUT_OF_ORDER)
    spikes, _ = nmnist.load("test", 4, 2, root)
    assert spikes.oddities == {"overflow_marks": 3, "events_out_of_order": 2}
    said = "N-MNIST, test: 3 overflow marks and 2 events out of order in 11 recordings, mended; --strict refuses them\n"
    assert capsys.readouterr().err == said
    with pytest.raises(DataError, match=r"7/00004\.bin: the event at byte 0 marks"):
        nmnist.load("test", 4, 2, root, strict=True)


@pytest.mark.parametrize(("time_steps", "pool"), [(0, 2), (-1, 2), (4, 0), (4, 35)])
def test_parameters_out_of_range_are_refused(dataset, time_steps, pool):
    with pytest.raises(DataError):
        nmnist.load("test", time_steps, pool, dataset[0])


def test_the_data_command_writes_saccades_that_load_as_n_mnist(tmp_path, capsys):
    assert main(["data", "--saccades", str(tmp_path), "--split", "train", "--images", "40"]) == 0
    assert f"the first 40 train images are in {tmp_path / 'Train'}" in capsys.readouterr().out
    pixels, labels = mnist.load("train")
    spikes, loaded = nmnist.load("train", 10, 2, tmp_path)
    assert np.array_equal(loaded, labels[:40])
    assert np.array_equal(spikes.batch(slice(None)), spike_trains(pixels[:40], 10, 2))


def test_the_data_command_refuses_more_images_than_there_are(tmp_path, capsys):
    assert main(["data", "--saccades", str(tmp_path), "--images", "10001"]) == 1
    assert "--images 10001: MNIST has 10000 images in its test split" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
