"""Equal runs give equal bytes, in other folders and processes: checkpoint, network, proofs and model."""

import os
import subprocess
import sys

import onnx
import pytest

pytest.importorskip("brevitas", reason="training needs the train extra")

PROGRAM = """
import sys, time
from pathlib import Path
import torch
from spikeline.cli.main import main
from spikeline_training import checkpoint, preset
from spikeline_training.network import SpikingNetwork
torch.set_num_threads(1)
for name, shipped in (("dc", "tiny"), ("cc", "mnist-cc-latency")):
    chosen = preset.load(shipped, hidden=[8, 8], time_steps=2)
    folder = Path(sys.argv[1]) / name
    torch.manual_seed(0)
    network = SpikingNetwork(chosen)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    history = [{"epoch": 1, "loss": 0.5, "seconds": time.time()}]
    checkpoint.save(folder / "checkpoint.pt", chosen, network, optimizer, history)
    options = ["--checkpoint", str(folder / "checkpoint.pt"), "--out", str(folder / "model.onnx"), "--verify", "5"]
    assert main(["export", *options]) == 0
    assert main(["compile", str(folder / "model.onnx"), "--out", str(folder / "model.img"), "--verify", "5"]) == 0
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same run, twice, side by side; sets have another order in each."""
    made = [tmp_path_factory.mktemp(name) for name in ("one", "another")]
    runs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], env=os.environ | {"PYTHONHASHSEED": str(n)})
        for n, folder in enumerate(made, 1)
    ]
    assert [run.wait() for run in runs] == [0, 0]
    return made


@pytest.mark.parametrize("file", ["checkpoint.pt", "model.onnx", "model.proof.json", "model.img", "model.img.verify.json"])
@pytest.mark.parametrize("integration", ["dc", "cc"])
def test_equal_runs_give_equal_bytes(folders, integration, file):
    one, another = (folder / integration / file for folder in folders)
    assert one.read_bytes() == another.read_bytes()


@pytest.mark.parametrize("integration", ["dc", "cc"])
def test_a_network_names_no_tensor_that_it_does_not_have(folders, integration):
    graph = onnx.load(folders[0] / integration / "model.onnx").graph
    there = {x.name for x in (*graph.input, *graph.initializer)} | {name for node in graph.node for name in node.output}
    named = {x.name for x in (*graph.value_info, *graph.output)} | {x.tensor_name for x in graph.quantization_annotation}
    assert named <= there
    assert {name for node in graph.node for name in node.input} <= there
