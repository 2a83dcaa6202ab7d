"""A process that is killed at any moment leaves the old file or the new one, and pairs that agree; so does a full disk."""

import ast
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from robustness import kill
from robustness.fuzz import FOLDERS, ROOT
from robustness.writers import WRITERS, Writer
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


WRITES = {
    "write_text",
    "write_bytes",
    "savefig",
    "tofile",
    "save",
    "savez",
    "dump",
    "to_csv",
    "imsave",
    "copyfile",
    "copy2",
    "move",
}
OTHERWISE = {
    "host/spikeline/files.py": "has `atomic` itself",
    "firmware/spikeline_compiler/memfiles.py": "writes a folder, which takes its name when it is whole",
    "host/spikeline/simulation/verilated.py": "writes a lock and a log",
    "host/spikeline/simulation/board.py": "writes into a temporary folder",
    "training/spikeline_training/train.py": "has TensorBoard append its events",
}


def unguarded(source: str) -> list[str]:
    """Calls that write a file and are not below `with atomic(…)`."""
    found = []

    def visit(node: ast.AST, guarded: bool) -> None:
        if isinstance(node, ast.With):
            guarded = guarded or any(ast.unparse(x.context_expr).startswith("atomic(") for x in node.items)
        if isinstance(node, ast.Call) and not guarded:
            name = ast.unparse(node.func)
            modes = [x.value for x in (*node.args, *(k.value for k in node.keywords)) if isinstance(x, ast.Constant)]
            opens = name.split(".")[-1] == "open" and any(
                isinstance(m, str) and set(m) & set("wax+") and len(m) < 4 for m in modes
            )
            ours = name in ("model_file.save", "checkpoint.save")  # which do it
            if opens or (name.split(".")[-1] in WRITES and not ours):
                found.append(name)
        for child in ast.iter_child_nodes(node):
            visit(child, guarded)

    visit(ast.parse(source), False)
    return found


def test_the_packages_write_by_nothing_else():
    packages = ("host/spikeline", "training/spikeline_training", "firmware/spikeline_compiler", "firmware/examples")
    sources = [path for folder in packages for path in sorted((ROOT / folder).rglob("*.py"))]
    assert {ROOT / path for path in OTHERWISE} <= set(sources)
    sources = [path for path in sources if str(path.relative_to(ROOT)) not in OTHERWISE]
    assert len(sources) > 40
    assert {str(path): found for path in sources if (found := unguarded(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source", ["p.write_text(x)", "with open(p, 'w') as f:\n  f.write(x)", "torch.save(x, p)", "open(p, mode='ab')"]
)
def test_the_search_finds(source):
    assert unguarded(source)
    assert not unguarded("with atomic(p) as t:\n" + "".join(f"  {line}\n" for line in source.splitlines()))
