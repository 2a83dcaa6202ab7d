"""The notebook, executed: on the simulated board, and on what takes itself for a real one, with a power meter."""

import base64
import json
import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from spikeline import notebooks
from spikeline.data import mnist
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder

NOTEBOOK = Path(notebooks.__file__).parent / "mnist_on_the_accelerator.ipynb"
IMAGES = 60
PICTURES = ["confusion", "digits", "latency", "raster", "running", "throughput-plot"]  # cells that draw one
WATTS = re.compile(r"\d\s*[mµ]?[WJ]\b")

# A cell to put in front: the device of `pynq` is a simulated board, and a meter logs 2 W. The notebook takes both for real.
BOARD = """
import os, threading, time
import pynq
from spikeline import Geometry
from spikeline.simulation.board import SimulatedBoard

board = pynq.Device.active_device = SimulatedBoard(Geometry.load("z020-256"))
os.environ["SPIKELINE_BITSTREAM"] = str(board.bitstream)

def meter():
    with open("meter.csv", "w", buffering=1) as log:
        log.write("time,power_W\\n")
        while True:
            log.write(f"{time.time():.6f},2.0\\n")
            time.sleep(0.01)

threading.Thread(target=meter, daemon=True).start()
"""


@pytest.fixture(scope="module")
def network():
    """An untrained network for MNIST-sized images."""
    rng = np.random.default_rng(0)
    layers = tuple(
        Layer(rng.integers(-7, 8, (i, n)).astype(np.int8), rng.integers(0, 40, n).astype(np.int32))
        for i, n in ((784, 32), (32, 10))
    )
    return Network(layers, 4, 2, Encoder.BERNOULLI)


@pytest.fixture
def execute(network, tmp_path):
    """Execute the notebook with this interpreter, in a folder of its own; return its code cells by their ids."""

    def run(before: str = "", again: bool = False, **settings: str):
        model_file.save(model_file.build(network, {"dataset": {"name": "mnist"}}), tmp_path / "model.img")
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "this interpreter",
            "language": "python",
            "env": {"SPIKELINE_IMAGES": str(IMAGES), "IPYTHONDIR": str(tmp_path / "ipython"), **settings},
        }
        (tmp_path / "kernels/this").mkdir(parents=True)
        (tmp_path / "kernels/this/kernel.json").write_text(json.dumps(spec))
        manager = AsyncKernelManager(
            kernel_name="this",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")]),
            connection_file=str(tmp_path / "connection.json"),
        )
        notebook = nbformat.read(NOTEBOOK, 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if again:  # each cell once more, the last one first
            notebook.cells += [nbformat.v4.new_code_cell(cell.source) for cell in reversed(code)]
        if before:
            notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
        client = NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
        client.execute(cleanup_kc=True)
        return {cell.id: cell for cell in code}

    return run


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def pictures(cells):
    """Ids of the cells that show pictures, one for each; none is blank."""
    shown = []
    for name, cell in cells.items():
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                file = base64.b64decode(output.data["image/png"])
                assert file.startswith(b"\x89PNG")
                assert len(file) > 5000, name
                shown.append(name)
    return sorted(shown)


def check_labels(cells, network):
    """Accuracy is the golden model's, before the fault and after."""
    pixels, truth = (x[:IMAGES] for x in mnist.load("test"))
    labels = golden.run(network, encode(pixels, "bernoulli", network.time_steps)).labels
    accuracy = f"{(labels == truth).mean():.2%}"
    assert f"accuracy  {accuracy} of {IMAGES} test images" in printed(cells["classify"])
    assert f"{IMAGES} images" in printed(cells["counters"])
    assert "refused a WEIGHTS packet of layer 1: SHORT" in printed(cells["fault"])
    assert "no model is loaded; load one first" in printed(cells["fault"])
    assert printed(cells["reset"]) == "labels are the same as before\n"


def test_the_committed_file_is_valid_and_holds_no_outputs():
    notebook = nbformat.read(NOTEBOOK, nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        assert not cell.metadata, cell.id
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.id


def test_on_the_simulated_board(execute, network):
    cells = execute(again=True, SPIKELINE_POWER="csv:meter.csv")  # after the last cell, from any cell on
    assert pictures(cells) == PICTURES
    check_labels(cells, network)
    assert "board     simulated, 100 MHz" in printed(cells["open"])
    assert "inside: RTL" in printed(cells["spikes"])
    for name in ("classify", "latency", "throughput"):
        assert "RTL cycles at fclk" in printed(cells[name])
    by_wall_clock = [line for cell in cells.values() for line in printed(cell).splitlines() if "wall clock" in line]
    assert [line[:16] for line in by_wall_clock] == ["host, batch of 1"]
    assert printed(cells["power"]) == "not measured: a simulated board draws no power\n"
    assert not any(WATTS.search(printed(cell)) for cell in cells.values())


def test_on_a_board_with_a_meter(execute, network):
    cells = execute(BOARD, SPIKELINE_POWER="csv:meter.csv", SPIKELINE_SECONDS="0.4")
    assert pictures(cells) == sorted([*PICTURES, "power-plot"])
    check_labels(cells, network)
    assert "spikeline.bit, 100 MHz" in printed(cells["open"])
    assert "inside: golden model" in printed(cells["spikes"])
    assert "cycle counter at fclk" in printed(cells["classify"])
    assert "wall clock of the call" in printed(cells["latency"])
    assert printed(cells["throughput"]).splitlines()[0].endswith("wall clock")
    assert "measured: meter's log meter.csv" in printed(cells["power"])
    assert "idle 2.000 W, active 2.000 W, work adds 0.000 W" in printed(cells["power"])
    energy, dynamic = map(float, re.findall(r"([\d.]+) µJ", printed(cells["power"])))
    assert energy > 0
    assert dynamic == 0
    assert not any(WATTS.search(printed(cell)) for name, cell in cells.items() if name != "power")


@pytest.mark.long
def test_on_a_board_without_a_sensor(execute):
    cells = execute(BOARD)
    assert pictures(cells) == PICTURES
    assert printed(cells["power"]).startswith("not measured: no sensor is named in POWER")
    assert not any(WATTS.search(printed(cell)) for cell in cells.values())


def test_a_missing_model_is_said_clearly(execute):
    with pytest.raises(CellExecutionError, match=r"missing\.img.*make it with `spikeline compile`") as raised:
        execute(SPIKELINE_MODEL="missing.img")
    assert raised.value.ename == "ModelError"
