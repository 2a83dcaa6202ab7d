"""A process that is killed at any moment leaves the old file or the new one, and pairs that agree; so does a full disk."""

import shutil
import tempfile
import time
from pathlib import Path

import pytest

from front_door import kill
from front_door.fuzz import FOLDERS
from front_door.writers import WRITERS, Writer
from spikeline.files import atomic

SIZES = (0, 1, 60, 400, 2000, 5000)  # bytes that a file may have before its writer is killed
TIMES = 8  # kills by the clock
MOST = 200  # file system calls of a writer


@pytest.fixture(params=WRITERS, ids=lambda writer: type(writer).__name__.lower())
def writer(request):
    return request.param


@pytest.fixture
def folder(writer):
    """Makes a folder that holds version 1."""
    with tempfile.TemporaryDirectory(dir=FOLDERS) as made:
        old, new = Path(made) / "old", Path(made) / "new"
        old.mkdir()
        assert kill.ended(kill.child(lambda: writer.write(old, 1)))
        writer.check(old, 1)

        def fresh():
            shutil.rmtree(new, ignore_errors=True)
            return shutil.copytree(old, new)

        yield fresh


def test_killed_before_any_call_to_the_file_system(writer, folder):
    for call in range(MOST):
        new = folder()
        ended = kill.before(lambda new=new: writer.write(new, 2), new, call)
        writer.check(new, 1)
        if ended:
            break
    assert ended, "more calls than were tried"
    assert call > 2, "it was never killed"
    assert set(writer.read(new).values()) <= {2}, "the new version, when nothing stops it"


def test_killed_within_a_file_and_on_a_full_disk(writer, folder):
    for size in SIZES:
        for full in (False, True):
            new = folder()
            ended = kill.within(lambda new=new: writer.write(new, 2), size, full)
            writer.check(new, 1)
            assert not (ended and size == 0), "nothing was written"
            if full:
                assert not [x for x in new.rglob(".*") if x.is_file()], "what an error leaves behind"


def test_killed_at_any_time(writer, folder):
    new = folder()
    start = time.monotonic()
    assert kill.ended(kill.child(lambda: writer.write(new, 2)))
    seconds = time.monotonic() - start
    for n in range(TIMES):
        new = folder()
        kill.after(lambda new=new: writer.write(new, 2), seconds * n / TIMES)
        writer.check(new, 1)


def test_a_folder_that_was_written_to_by_a_killed_process_can_be_written_again(writer, folder):
    new = folder()
    kill.before(lambda: writer.write(new, 2), new, 2)
    assert kill.ended(kill.child(lambda: writer.write(new, 2)))
    assert set(writer.read(new).values()) <= {2}


class Careless(Writer):
    """Writes a file in place, and a pair in the order that lets them disagree."""

    def write(self, folder, version):
        (folder / "one").write_text(str(version) * 3000)
        for name in ("proof", "model"):
            with atomic(folder / name) as path:
                path.write_text(str(version))

    def read(self, folder):
        found = {name: int((folder / name).read_text()) if (folder / name).exists() else None for name in ("proof", "model")}
        assert found["proof"] == found["model"], "a pair that disagrees"
        return found | {"one": {"111": 1, "222": 2}[(folder / "one").read_text()[-3:]]}


@pytest.mark.parametrize("test", [test_killed_before_any_call_to_the_file_system, test_killed_within_a_file_and_on_a_full_disk])
@pytest.mark.parametrize("writer", [Careless()], indirect=True)
def test_a_careless_writer_is_caught(writer, folder, test):
    with pytest.raises((AssertionError, KeyError)):
        test(writer, folder)
