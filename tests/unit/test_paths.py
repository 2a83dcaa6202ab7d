"""Caches, paths, the environment: what cannot be written, has a space, or is not there gets one clear line; nothing is lost."""

import errno
import os
import pwd
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spikeline import files
from spikeline.cli import arguments, main
from spikeline.data import mnist, saccades
from spikeline.device import numpy_for_pynq
from spikeline.errors import DataError, DeviceError

ROOT = Path(__file__).resolve().parents[2]
SPIKELINE = [sys.executable, "-m", "spikeline.cli.main"]


@pytest.fixture
def sealed(tmp_path, monkeypatch):
    """A folder that takes no files, whoever asks: the system's answer is played, for root may write anywhere."""
    folder = tmp_path / "sealed"
    folder.mkdir()
    real_open, real_mkdir = os.open, os.mkdir

    def refuse(path):
        if isinstance(path, (str, os.PathLike)) and Path(path).is_relative_to(folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def opened(path, flags, *more, **others):
        if flags & (os.O_WRONLY | os.O_RDWR):
            refuse(path)
        return real_open(path, flags, *more, **others)

    def made(path, *more, **others):
        refuse(path)
        return real_mkdir(path, *more, **others)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "mkdir", made)
    return folder


# The folder of the cache


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Neither cache nor home is named."""
    for name in ("SPIKELINE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "{}"}, "{}/.cache/spikeline"),
        ({"HOME": "{}", "SPIKELINE_CACHE": "", "XDG_CACHE_HOME": ""}, "{}/.cache/spikeline"),
        ({"HOME": "{}", "XDG_CACHE_HOME": "{}/x y"}, "{}/x y/spikeline"),
        ({"HOME": "{}", "XDG_CACHE_HOME": "relative"}, "{}/.cache/spikeline"),
        ({"HOME": "{}", "SPIKELINE_CACHE": "{}/é"}, "{}/é"),
        ({"HOME": "{}", "SPIKELINE_CACHE": "~/c"}, "{}/c"),
        ({"HOME": "{}", "SPIKELINE_CACHE": "c"}, "{}/c"),
        ({"HOME": "{}/missing"}, "{}/spikeline-" + str(os.getuid())),
        ({"HOME": "relative"}, "{}/spikeline-" + str(os.getuid())),
    ],
)
def test_where_the_cache_is(environment, tmp_path, variables, expected):
    environment.chdir(tmp_path)
    for name, value in variables.items():
        environment.setenv(name, value.format(tmp_path))
    assert str(files.cache_dir()) == expected.format(tmp_path)


def test_an_empty_home_is_that_of_the_user(environment, tmp_path):
    known = pwd.getpwuid(os.getuid())
    environment.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_dir=str(tmp_path)) if number == known.pw_uid else None)
    environment.setenv("HOME", "")
    assert files.cache_dir() == tmp_path / ".cache/spikeline"
    assert arguments.path("~/x") == tmp_path / "x"


def test_a_home_that_cannot_be_written_is_none(environment, tmp_path):
    environment.setenv("HOME", str(tmp_path))
    environment.setattr(os, "access", lambda path, mode: False)
    assert files.cache_dir() == tmp_path / f"spikeline-{os.getuid()}"
    (tmp_path / ".cache/spikeline").mkdir(parents=True)  # what it holds serves
    assert files.cache_dir() == tmp_path / ".cache/spikeline"


def test_without_home_and_user(environment, tmp_path):
    """As of a container's user: no name, so nowhere a home is written down."""

    def unknown(number):
        raise KeyError(number)

    environment.setattr(pwd, "getpwuid", unknown)
    assert files.cache_dir() == tmp_path / f"spikeline-{os.getuid()}"
    with pytest.raises(DataError, match=r"~/x\.img: no such home folder is known here; write the whole path"):
        arguments.path("~/x.img")


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/"), lambda p: p.mkdir() or p.chmod(0o777), lambda p: p.touch()])
def test_a_temporary_cache_of_another_is_not_used(environment, tmp_path, make):
    environment.setenv("HOME", "/missing")
    make(tmp_path / f"spikeline-{os.getuid()}")
    with pytest.raises(DataError, match="SPIKELINE_CACHE"):
        files.cache_dir()


def test_a_sealed_cache_of_mnist_is_not_for_want_of_npm(sealed, monkeypatch):
    monkeypatch.setenv("SPIKELINE_CACHE", str(sealed))
    monkeypatch.setattr(mnist, "SOURCES", {"never asked": None})
    with pytest.raises(DataError, match=f"cannot write to the cache: {sealed}.*set SPIKELINE_CACHE") as error:
        mnist.fetch()
    assert "npm" not in str(error.value)


def test_saccades_are_returned_though_they_cannot_be_kept(sealed, monkeypatch, capsys):
    pixels, labels = mnist.load("test")
    monkeypatch.setattr(mnist, "load", lambda split, root: (pixels[:5], labels[:5]))
    monkeypatch.setenv("SPIKELINE_CACHE", str(sealed))
    spikes, found = saccades.load("test", 2, 2)
    assert (len(spikes), found.tolist()) == (5, labels[:5].tolist())
    assert "set SPIKELINE_CACHE" in capsys.readouterr().err


# Errors of the file system


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EACCES, "change its permissions"),
        (errno.EROFS, "write elsewhere"),
        (errno.ENOENT, "make the folder"),
        (errno.ENOTDIR, "a part of the path is a file"),
        (errno.EISDIR, "name a file, not a folder"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENAMETOOLONG, "shorten"),
        (errno.EIO, "look at that path"),
    ],
)
def test_each_error_has_its_fix(monkeypatch, capsys, number, fix):
    def fail(args):
        raise OSError(number, os.strerror(number), "/some/file")

    monkeypatch.setattr("spikeline.cli.info.run", fail)
    assert main.main(["info", "x.img"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"spikeline: /some/file: {os.strerror(number)}; ")
    assert fix in said
    assert ("make room" in said) == (number == errno.ENOSPC)


# The output is tried before the work

FOLDERS = {"train", "report", "energy"}
WORK = {
    "train": ["--preset", "mnist-dc-256"],
    "export": ["--checkpoint", "absent.pt"],
    "compile": ["absent.onnx"],
    "report": ["absent.img"],
    "bench": ["absent.img"],
    "energy": ["absent.img"],
}


@pytest.mark.parametrize("command", WORK)
@pytest.mark.parametrize("case", ["of the other kind", "below a file", "sealed", "below what is sealed", "no file"])
def test_the_output_is_tried_first(command, case, tmp_path, sealed, capsys):
    wants_folder = command in FOLDERS
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    out, message = {
        "of the other kind": (tmp_path / ("file" if wants_folder else "folder"), "is a f"),
        "below a file": (tmp_path / "file/x/y", "a part of the path is a file"),
        "sealed": (sealed if wants_folder else sealed / "x", "Read-only file system; write elsewhere"),
        "below what is sealed": (sealed / "x/y/z", "Read-only file system; write elsewhere"),
        "no file": (Path(os.devnull), "is a file" if wants_folder else "no ordinary file"),
    }[case]
    assert main.main([command, *WORK[command], "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert str(out) in said
    assert said.count("\n") == 1
    assert "absent" not in said
    assert sorted(x.name for x in tmp_path.iterdir()) == ["file", "folder", "sealed"]


@pytest.mark.parametrize("command", WORK)
def test_an_output_that_can_be_written_is_not_made_before_its_time(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    seen = []
    register = {"train": "spikeline_training.commands._train", "export": "spikeline_training.commands._export"}
    register |= {"compile": "spikeline_compiler.commands.run"}
    monkeypatch.setattr(register.get(command, f"spikeline.cli.{command}.run"), lambda args, *_: seen.append(args.out))
    assert main.main([command, *WORK[command], "--out=~/new/é x"]) == 0
    assert seen == [tmp_path / "new/é x"]
    assert list(tmp_path.iterdir()) == []


def test_every_path_of_the_command_line_knows_the_home(monkeypatch):
    """No option takes a bare `Path`, which keeps the ~; names of shipped things may be paths too."""
    import argparse

    parser = main._parser()
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    options = [(name, a) for name, sub in subparsers.choices.items() for a in sub._actions]
    assert not [(name, a.dest) for name, a in options if a.type is Path]
    kinds = (arguments.path, arguments.name_or_path, arguments.file_to_write, arguments.folder_to_write)
    assert len([a for _, a in options if a.type in kinds]) > 25
    for dest in ("geometry", "preset", "profile", "out", "root", "image", "models", "csv", "bitstream", "checkpoint"):
        assert all(a.type in kinds for _, a in options if a.dest == dest), dest
    monkeypatch.setenv("HOME", "/somewhere")
    assert [str(kind("~/x")) for kind in kinds[:2]] == ["/somewhere/x"] * 2


# Pipes and terminals


@pytest.fixture
def model(tmp_path):
    import numpy as np

    from spikeline.model import model_file
    from spikeline.model.network import Layer, Network
    from spikeline.model.spec import Encoder

    layer = Layer(np.zeros((784, 10), np.int8), np.zeros(10, np.int32))
    path = tmp_path / "é.img"
    model_file.save(model_file.build(Network((layer,), 4, 2, Encoder.BERNOULLI)), path)
    return path


@pytest.mark.parametrize("arguments", [["info", "{}"], ["--help"]])
def test_a_broken_pipe_is_quiet(model, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [*SPIKELINE, *(a.format(model) for a in arguments)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0 if arguments == ["--help"] else 141, "")  # argparse forgives


def test_a_full_disk_behind_the_output_is_said(model):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*SPIKELINE, "info", model], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "spikeline: No space left on device; make room there, or write elsewhere\n"


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_what_a_terminal_cannot_show_is_replaced(model, variables):
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL")}
    for name, status in ((model, 0), (model.with_name("… µ.img"), 1)):
        done = subprocess.run([*SPIKELINE, "info", name], capture_output=True, env=clean | variables)
        assert done.returncode == status
        assert b"Traceback" not in done.stderr
    done = subprocess.run([*SPIKELINE, "info", model], capture_output=True, env=clean | variables)
    assert b"784-10" in done.stdout


def test_without_any_environment(model, tmp_path):
    command = [*SPIKELINE, "info", str(model)]
    done = subprocess.run(command, capture_output=True, env={"PATH": os.environ["PATH"]}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")


# The checkout


def test_make_goes_by_relative_paths():
    """A path of the checkout may have spaces, at which make would split it."""
    for makefile in (ROOT / "Makefile", ROOT / "firmware/examples/mnist/Makefile"):
        assert not [x for x in ("abspath", "realpath", "$(shell pwd") if x in makefile.read_text()]


def test_make_runs_in_a_path_with_spaces(tmp_path):
    folder = tmp_path / "a é b"
    example = folder / "firmware/examples/mnist"
    example.mkdir(parents=True)
    (folder / "firmware/runtime").symlink_to(ROOT / "firmware/runtime")
    for source in (ROOT / "firmware/examples/mnist").iterdir():
        (example / source.name).symlink_to(source)
    done = subprocess.run(["make", "-n", "-C", example, "MODEL=main.c", "zynq"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "main.c -o" in done.stdout


def test_make_refuses_a_target_with_a_space():
    done = subprocess.run(["make", "-n", "OUT=a b", "help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "OUT=a b: make takes no space in a target; name another folder" in done.stderr


def test_device_errors_are_device_errors(sealed):
    with pytest.raises(DeviceError, match=r"cannot write to the cache: .*: set SPIKELINE_CACHE"), files.caching(DeviceError):
        (sealed / "x").mkdir()


# numpy 2 below pynq 3


class Array2:
    """What numpy 2 has, and numpy 1 has not."""

    device = property(lambda self: "cpu")


class Array1:
    pass


def test_numpy_2_below_pynq_3_is_named():
    with pytest.raises(DeviceError, match=r"pynq 3\.x needs numpy < 2, here is .*: pip install 'numpy<2'"):
        numpy_for_pynq.check(type("PynqBuffer", (Array2,), {}), Array2)
    numpy_for_pynq.check(type("PynqBuffer", (Array1,), {}), Array1)
    numpy_for_pynq.check(type("AnotherPynqsBuffer", (Array2,), {"device": None}), Array2)


# What make keeps in OUT


def test_another_preset_in_the_same_folder_is_trained(tmp_path):
    """And the same one is not: what is there of it stays."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    presets, models = tmp_path / "training/spikeline_training/presets", tmp_path / "host/spikeline/model"
    for file in (presets / "one.toml", presets / "two.toml", models / "encode.py", models / "golden.py"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    program = tmp_path / ".venv/bin/spikeline"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@" >>trained\n')
    program.chmod(0o755)
    (tmp_path / ".venv/.ready").touch()
    for preset in ("one", "one", "two", "two"):
        subprocess.run(["make", "-s", "train", f"PRESET={preset}", "OUT=out"], cwd=tmp_path, check=True)
    trained = (tmp_path / "trained").read_text().splitlines()
    assert [line.split()[-1] for line in trained] == ["one", "two"]
