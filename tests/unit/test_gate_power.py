"""Power of the mapped logic: Yosys maps a layer for real, to a library of five cells; a script stands in for OpenSTA."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from spikeline.energy import saif
from spikeline.model.geometry import Geometry
from spikeline_rtl.synthesis import power as gate_power

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long  # Yosys maps a layer: two minutes

GATES = {"INV": "!A", "BUF": "A", "NAND2": "!(A B)", "NOR2": "!(A+B)"}
LAYER = 2  # of `tiny`: one scan lane, 32 inputs, 16 neurons


def liberty() -> str:
    pin = "pin ({0}) {{ direction : input; capacitance : 1; }}"
    cells = []
    for name, function in GATES.items():
        inputs = " ".join(pin.format(p) for p in ("AB" if "B" in function else "A"))
        cells.append(f'cell ({name}) {{ area : 1; {inputs} pin (Y) {{ direction : output; function : "{function}"; }} }}')
    clock = "pin (C) { direction : input; clock : true; capacitance : 1; }"
    flip_flop = f'ff (IQ, IQN) {{ clocked_on : "C"; next_state : "D"; }} {clock} {pin.format("D")}'
    cells.append(f'cell (DFF) {{ area : 6; {flip_flop} pin (Q) {{ direction : output; function : "IQ"; }} }}')
    units = 'time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; capacitive_load_unit (1, ff);'
    return f"library (five) {{ {units}\n" + "\n".join(cells) + "\n}\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "five.lib"
    path.write_text(liberty())
    return path


@pytest.fixture(scope="module")
def mapped(library, tmp_path_factory):
    """The mapped layer and the folder with its netlist."""
    folder = tmp_path_factory.mktemp("mapped")
    return gate_power.synthesise(Geometry.load("tiny"), LAYER, library, folder), folder


def test_only_cells_of_the_library_are_left(mapped):
    module, folder = mapped
    assert {cell["type"] for cell in module["cells"].values()} <= {*GATES, "DFF"}
    assert re.search(r"module spk_layer\(", (folder / "netlist.v").read_text())


def test_every_register_is_found_by_its_name_in_the_verilog(mapped):
    """Of each neuron its membrane, start, threshold and addend; the memories are inputs, not flip-flops."""
    module, _ = mapped
    found = gate_power.registers(module)
    bits = {name: len(cells) for name, cells in found.items()}
    for n in range(16):
        for register in ("membrane_reg", "continuous/threshold_reg", "continuous/addend_reg"):
            path = f"slice[0]/slice/neuron[{n}]/{register}"
            assert bits[path] >= 7, path
            assert bits[path] <= 12, path
    assert bits["slice[0]/slice/bank[0]/single/ram/a_rdata"] == 64
    flip_flops = [cell for cell in module["cells"].values() if cell["type"] == "DFF"]
    assert 0.8 * len(flip_flops) < sum(bits.values()) <= len(flip_flops) < 2000  # the queue alone would be 2,368 more
    shown = [name for name, port in module["ports"].items() if name.startswith("memories.") and port["direction"] == "input"]
    assert shown


def test_measured_activity_reaches_the_flip_flops_by_name(mapped):
    module, _ = mapped
    path = f"core/layer[{LAYER}]/core/slice[0]/slice/neuron[3]/membrane_reg"
    word = f"core/layer[{LAYER}]/core/slice[0]/slice/bank[0]/single/ram/a_word_reg"
    file = saif.Saif(
        1000, {"aclk": saif.Net(1, 500, 200), path: saif.Net(12, 12 * 250, 12 * 40), word: saif.Net(64, 64 * 500, 64 * 50)}
    )
    commands, told = gate_power.tcl(module, LAYER, 200, file)
    (line,) = [x for x in commands.splitlines() if "-pins" in x and "40" in x and "0.250000" in x]
    assert "-activity 0.400000 -duty 0.250000" in line
    cells = re.findall(r"(\S+)/Q", line)
    assert 7 <= len(cells) <= 12
    register = module["netnames"]["slice[0].slice.neuron[3].membrane_reg"]["bits"]
    assert {module["cells"][cell.strip("{")]["connections"]["Q"][0] for cell in cells} <= set(register)
    assert told == len(cells) + 64
    assert "create_clock -name aclk -period 5 " in commands
    assert "-input_ports [get_ports {memories." in commands
    assert "-activity 0.500000 -duty 0.500000" in commands


def run(library: Path, out: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "spikeline_rtl.synthesis.power", "--liberty", str(library), "--out", str(out)]
    clean = {k: v for k, v in os.environ.items() if k != "STA"}
    return subprocess.run([*command, "--layer", str(LAYER)], capture_output=True, text=True, env={**clean, **environment})


@pytest.fixture
def stand_in(tmp_path):
    """A command that stands in for OpenSTA: keeps its arguments and its Tcl, checks its files, prints a report."""

    def make(printed: str) -> str:
        path = tmp_path / "sta"
        path.write_text(
            f'#!/bin/sh\nset -e\necho "$@" > {tmp_path}/arguments\ncat power.tcl > {tmp_path}/power.tcl\n'
            f"test -s library.lib\ntest -s netlist.v\nprintf '{printed}'\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def test_power_is_what_opensta_reports(library, stand_in, tmp_path):
    sta = stand_in("Sequential 1.0e-03 2.0e-04 3.0e-06 1.203e-03 90.0%%\\nTotal 2.0e-03 5.0e-04 4.0e-06 2.504e-03 100.0%%\\n")
    result = run(library, tmp_path / "out", STA=sta)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "out/tiny-layer-2/report.json").read_text())
    assert (report["internal_w"], report["switching_w"], report["leakage_w"], report["power_w"]) == (2e-3, 5e-4, 4e-6, 2.504e-3)
    assert report["liberty"] == "five.lib"
    assert "not a measurement" in report["estimate"]
    assert report["flip_flops"] > 500
    assert (tmp_path / "arguments").read_text().split() == ["-no_splash", "-exit", "power.tcl"]
    script = (tmp_path / "power.tcl").read_text().splitlines()
    steps = ["read_liberty", "read_verilog", "link_design", "create_clock", "report_power", "exit"]
    assert [line.split()[0] for line in script if line] == steps

    sta = stand_in("Error: no such file")
    result = run(library, tmp_path / "out", STA=sta)
    assert result.returncode != 0
    assert "OpenSTA reported no total power; see" in result.stderr


def test_a_library_that_is_not_there(tmp_path):
    result = run(tmp_path / "none.lib", tmp_path / "out")
    assert result.returncode != 0
    assert "no Liberty file" in result.stderr
    assert "FreePDK45" in result.stderr


def test_without_opensta_it_says_how_to_get_it(library, tmp_path):
    """On a PATH of nothing: what this machine has installed does not matter."""
    (tmp_path / "nothing").mkdir()
    result = run(library, tmp_path / "out", PATH=str(tmp_path / "nothing"))
    assert result.returncode == 0, result.stderr
    assert "OpenSTA is missing" in result.stdout
    assert "power_w" not in json.loads((tmp_path / "out/tiny-layer-2/report.json").read_text())


def test_opensta_of_the_path(library, stand_in, tmp_path):
    sta = Path(stand_in("Total 2.0e-03 5.0e-04 4.0e-06 2.504e-03 100.0%%\\n"))
    result = run(library, tmp_path / "out", PATH=f"{sta.parent}{os.pathsep}{os.environ['PATH']}")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "out/tiny-layer-2/report.json").read_text())["power_w"] == 2.504e-3


def test_a_layer_that_is_not_there(library, tmp_path):
    command = [sys.executable, "-m", "spikeline_rtl.synthesis.power", "--liberty", str(library), "--layer", "3"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0
    assert "tiny has layers 0 to 2" in result.stderr
