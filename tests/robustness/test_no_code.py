"""No file that a user can be sent is ever read by something that runs what it says: found in the sources, and tried."""

import ast
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from robustness.kinds import command
from robustness.training import Checkpoint
from spikeline.data import nmnist
from spikeline.errors import SpikelineError
from spikeline.measure import meter
from spikeline.measure.power import open_source
from spikeline.model import model_file
from spikeline.model.geometry import Geometry
from spikeline_compiler import commands as compiler
from spikeline_training import checkpoint, preset
from spikeline_training.network import SpikingNetwork

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("host", "training", "firmware", "rtl", "docs")
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "jsonpickle",
    "yaml",
    "runpy",
    "imp",
}
CALLS = {"eval", "exec", "compile", "__import__"}
LOADERS = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)}
IMPORTS = {"importlib.import_module", "pandas.read_pickle", "pd.read_pickle", "torch.jit.load", "torch.package.PackageImporter"}


def findings(source: str) -> list[str]:
    """What could run code that a file holds: modules, calls, and loaders that are not told to keep to plain data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [x.name for x in node.names if x.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module] if node.module.split(".")[0] in MODULES else []
            names = {f"{node.module}.{x.name}" for x in node.names}
            found += [x for x in names if x in LOADERS or x in IMPORTS]  # by another name it could not be followed
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {x.arg: getattr(x.value, "value", None) for x in node.keywords}
            key, safe = LOADERS.get(name, ("", None))
            runs = name in CALLS | IMPORTS or name.split(".")[0] in MODULES or given.get("allow_pickle") or given.get("shell")
            if runs or given.get(key) is not safe:
                found.append(name)
    return found


SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_there_are_sources():
    assert len(SOURCES) > 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_loads_code(path):
    assert findings(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        *(
            "import pickle",
            "from joblib import load",
            "eval(x)",
            "import torch\ntorch.load(p)",
            "torch.load(p, weights_only=False)",
        ),
        *(
            "torch.load(p, weights_only=flag)",
            "np.load(p)",
            "np.load(p, allow_pickle=True)",
            "from torch import load",
            "yaml.load(x)",
        ),
        *("subprocess.run(x, shell=True)", "importlib.import_module(x)", "import os, marshal", "np.savez(p, allow_pickle=True)"),
    ],
)
def test_the_search_finds(source):
    assert findings(source)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def trap(tmp_path):
    return tmp_path / "executed"


def payloads(trap: Path, folder: Path) -> list[Path]:
    """The payload in every wrapping that a loader of ours might open."""
    torch.save(Payload(trap), folder / "new.pt")
    torch.save(Payload(trap), folder / "old.pt", _use_new_zipfile_serialization=False)
    (folder / "bare.pkl").write_bytes(pickle.dumps(Payload(trap)))
    np.save(folder / "array.npy", np.array([Payload(trap)], object), allow_pickle=True)
    np.savez(folder / "arrays.npz", x=np.array([Payload(trap)], object))
    sound = preset.from_dict({"sizes": [784, 3, 10]}, "seed")
    network = SpikingNetwork(sound)
    checkpoint.save(folder / "checkpoint.pt", sound, network, torch.optim.Adam(network.parameters()), [])
    with zipfile.ZipFile(folder / "checkpoint.pt") as archive, zipfile.ZipFile(folder / "inside.pt", "w") as other:
        for name in archive.namelist():
            other.writestr(name, pickle.dumps(Payload(trap), 2) if name.endswith("data.pkl") else archive.read(name))
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    torch.save(state | {"history": [Payload(trap)]}, folder / "within.pt")
    return [path for path in folder.iterdir() if path.name != "checkpoint.pt" and path != trap]


def test_a_payload_runs_where_it_is_let(tmp_path, trap):
    pickle.loads(pickle.dumps(Payload(trap)))
    assert trap.exists()


READERS = {
    "checkpoint": lambda path, out: checkpoint.load(path),
    "onnx": lambda path, out: command(compiler.register, "compile", path, "--out", out / "x.img"),
    "model": lambda path, out: model_file.load(path),
    "preset": lambda path, out: preset.load(str(path.rename(path.with_suffix(".toml")))),
    "geometry": lambda path, out: Geometry.load(path.rename(path.with_suffix(".json"))),
    "meter": lambda path, out: meter.read(path),
    "estimate": lambda path, out: open_source(f"estimate:{path}"),
    "recording": lambda path, out: nmnist.read(path),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
def test_no_reader_runs_a_payload(reader, trap, tmp_path):
    (tmp_path / "files").mkdir()
    for path in payloads(trap, tmp_path / "files"):
        with pytest.raises(SpikelineError):
            reader(path, tmp_path)
        assert not trap.exists(), f"{path.name} was executed"


def test_a_resumed_training_runs_no_payload(trap, tmp_path):
    sound = Checkpoint().presets[0]
    for path in payloads(trap, tmp_path):
        network = SpikingNetwork(sound)
        with pytest.raises(SpikelineError):
            checkpoint.restore(path, sound, network, torch.optim.Adam(network.parameters()))
        assert not trap.exists()


def test_the_command_answers_in_one_line(tmp_path, trap):
    """The whole program: exit status 1, one line, no traceback."""
    path = payloads(trap, tmp_path)[0]
    words = ["export", "--checkpoint", str(path), "--out", str(tmp_path / "model.onnx")]
    result = subprocess.run([sys.executable, "-m", "spikeline.cli.main", *words], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("spikeline: ")
    assert result.stderr.count("\n") == 1
    assert not trap.exists()
