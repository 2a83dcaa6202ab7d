"""The wheel simulates without a checkout: the Verilog is in it, and a trained model, so that `spikeline demo` runs anywhere."""

import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikeline.cli.demo import SHIPPED
from spikeline.data import samples
from spikeline.files import cache_dir
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated
from support import wheels

ROOT = Path(__file__).parents[2]
SNIPPET = """
import sys
import numpy as np
from spikeline.accelerator import Accelerator
from spikeline.cli.demo import SHIPPED
from spikeline.simulation import verilated
with Accelerator(model=SHIPPED / "mnist-dc-256.img") as accelerator:
    np.save("labels.npy", accelerator.infer(np.load(sys.argv[1])).labels)
print(SHIPPED, verilated.RTL)
"""


def test_what_is_in_the_wheel(wheel):
    """Verilog, headers and what Verilator needs beside them; no tests, nothing built, nothing that only a checkout can use."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    verilog = {f"spikeline_rtl/{path.relative_to(verilated.RTL)}" for path in verilated.sources()}
    assert verilog | {"spikeline_rtl/sim/harness.cpp", "spikeline_rtl/sim/probe.vlt"} <= files
    assert {f"spikeline/models/{path.name}" for path in SHIPPED.iterdir()} <= files
    assert {name.split("/")[0] for name in files} == {"spikeline", "spikeline_training", "spikeline_compiler", "spikeline_rtl"}
    kinds = {".py", ".typed", ".json", ".toml", ".img", ".ipynb", ".v", ".vh", ".cpp", ".vlt", ".tcl"}
    assert {Path(name).suffix for name in files} <= kinds
    assert not [name for name in files if "test" in name or "/build/" in name or name.startswith("spikeline_rtl/spec")]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    return wheels.environment(tmp_path_factory.mktemp("installed") / "venv", wheel)


@pytest.fixture
def run(tmp_path):
    """Run a program of an environment in an empty folder, without a way to the checkout; returns what it printed."""
    for name in ("empty", "home"):
        (tmp_path / name).mkdir()

    def run(programs: Path, name: str, *arguments: str) -> str:
        environment = wheels.clean(tmp_path / "home", cache_dir())
        command = [str(programs / name), *arguments]
        done = subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_nothing_of_the_checkout_is_imported(installed, run):
    code = "import spikeline, spikeline_training, spikeline_compiler, spikeline_rtl, sys\n"
    code += "print(*(sys.modules[m].__file__ for m in sys.modules if m.startswith('spikeline')))"
    places = run(installed, "python", "-c", code).split()
    assert len(places) >= 4
    assert all(place.startswith(str(installed.parent)) for place in places)


def test_the_simulator_is_the_one_of_the_checkout(installed, run):
    """Built of the same sources by the same tools, so the cache has it."""
    printed = run(installed, "spikeline", "sim", "--geometry", "tiny")
    assert printed == f"simulator in {verilated.build(Geometry.load('tiny'))}\n"


def test_labels_are_those_of_the_golden_model(installed, run, tmp_path):
    model = model_file.load(SHIPPED / "mnist-dc-256.img")
    given = samples.of(model).first(200)
    np.save(tmp_path / "pixels.npy", given.pixels)
    places = run(installed, "python", "-c", SNIPPET, str(tmp_path / "pixels.npy")).split()
    assert all(place.startswith(str(installed.parent)) for place in places)
    labels = np.load(tmp_path / "empty/labels.npy")
    assert (labels == golden.run(model.network, given.spikes()).labels).all()
    assert (labels == given.labels).mean() > 0.95


def demonstrated(folder: Path, printed: str) -> None:
    """Hold what `spikeline demo --images 100` leaves in a folder to what `make demo` leaves."""
    assert "comes with Spikeline" in printed.splitlines()[0]
    report = json.loads((folder / "build/demo/report.json").read_text())
    expected = json.loads((ROOT / "docs/results/demo.json").read_text())
    assert report.keys() == expected.keys() | {"classes", "accuracy_by_class", "dataset_sha256"}
    assert (report["images"], report["golden_mismatches"], report["spike_mismatches"]) == (100, 0, 0)
    assert report["accuracy"] > 0.95
    assert {path.name for path in (folder / "build/demo").glob("*.png")} == {"raster.png", "confusion.png", "accuracy.png"}


def test_the_demo_with_the_shipped_model(installed, run, tmp_path):
    demonstrated(tmp_path / "empty", run(installed, "spikeline", "demo", "--trained", "--images", "100"))


@pytest.mark.long
def test_the_wheel_from_the_package_index(wheel, run, tmp_path):
    """As a user installs it, in an environment that is empty; nothing can be trained there."""
    programs = wheels.installed(tmp_path / "venv", wheel, "sim")
    assert not list((tmp_path / "venv").glob("lib/*/site-packages/torch"))
    demonstrated(tmp_path / "empty", run(programs, "spikeline", "demo", "--images", "100"))
