"""The runtime, without a checkout, over each version of `pynq` that boards have: unmodified, with the packages it asks for."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from spikeline.device import hand_off
from support import pynq_session

ROOT = Path(__file__).parents[2]
# PYNQ 4 dropped the Zynq-7000.
SESSIONS = [("3.0.1", "zynq7000"), ("3.0.1", "zynq_ultrascale"), ("3.1.2", "zynq7000"), ("3.1.2", "zynq_ultrascale")]
SESSIONS += [("4.0.0", "zynq_ultrascale")]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Spikeline as it is installed, beside what a session needs of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (folder / "support").symlink_to(ROOT / "tests/support")
    return folder


def test_the_processors_are_those_of_the_runtime():
    assert {name: p.machine for name, p in hand_off.PROCESSORS.items()} == pynq_session.MACHINES
    assert {kind for _, kind in SESSIONS} == set(pynq_session.MACHINES)


@pytest.mark.parametrize(("version", "processor"), SESSIONS)
def test_session(version, processor, installed):
    python = ROOT / f".venv/pynq-{version}/bin/python"
    assert python.exists(), f"{python} is missing; `make test` makes it, or run `make .venv/pynq-{version}/.ready`"
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONWARNINGS": "ignore"}
    command = [python, "-m", "support.pynq_session", processor]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=installed)
    assert done.returncode == 0, done.stderr
    ran = json.loads(done.stdout.splitlines()[-1])
    assert ran["pynq"] == version
    assert ran["files"] > 50
    pins = (ROOT / f"tests/support/pynq/{version}.txt").read_text().split()
    assert {f"pynq=={version}", f"numpy=={ran['numpy']}"} <= set(pins)


def test_a_session_can_fail(tmp_path):
    """Where nothing is installed, and for a processor that there is not."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    for command in ([sys.executable, "-S"], [sys.executable]):
        arguments = ["-m", "support.pynq_session", "zynq7000" if "-S" in command else "versal"]
        assert subprocess.run([*command, *arguments], capture_output=True, env=environment, cwd=tmp_path).returncode
