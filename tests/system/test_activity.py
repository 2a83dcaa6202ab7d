"""Activity for the vendor's power estimate: duration, clock and busy signals are right, and it begins anew."""

import json
import re

import numpy as np
import pytest

from spikeline.device.packets import Pixels
from spikeline.errors import DeviceError
from spikeline.model import golden, model_file
from spikeline.simulation import verilated
from spikeline.simulation.verilated import SimDevice
from spikeline_rtl.boards import activity
from spikeline_rtl.synthesis import tools


def duration(saif: str) -> int:
    return int(re.search(r"^\(DURATION (\d+)\)", saif, re.MULTILINE)[1])


def toggles(saif: str, name: str) -> list[int]:
    """Of each bit of a signal of the top module: toggle counts."""
    bits = re.findall(rf"^ *\({name}(?:\\\[\d+\\\])? .*\(TC (\d+)\)\)$", saif.split("(INSTANCE core")[0], re.MULTILINE)
    assert bits
    return [int(count) for count in bits]


@pytest.fixture(scope="module")
def recorded(tiny, tmp_path_factory):
    """A device that has recorded 100 idle cycles and then, anew, 40 with a register access; cycles and both files."""
    device = SimDevice(tiny, saif=True)
    device.idle(5)
    folder = tmp_path_factory.mktemp("saif")
    files = []
    for n, work in enumerate((lambda: device.idle(100), lambda: (device.write(0x0C, 0x300), device.idle(40)))):
        begin = device.cycles
        device.activity(folder / f"{n}.saif")
        work()
        device.activity(None)
        files.append((device.cycles - begin, (folder / f"{n}.saif").read_text()))
    yield files
    device.close()


def test_duration_and_clock(recorded, tiny):
    for cycles, saif in recorded:
        assert duration(saif) == cycles * 1e6 / tiny.clock_mhz
        assert set(toggles(saif, "aclk")) == {2 * cycles}


def test_only_what_works_toggles(recorded):
    (_, idle), (_, access) = recorded
    assert max(toggles(idle, "s_axil_awvalid") + toggles(idle, "s_axil_wdata") + toggles(idle, "m_axi_arvalid")) == 0
    assert set(toggles(access, "s_axil_awvalid")) == {2}
    assert sum(toggles(access, "s_axil_wdata")) > 0


def test_each_bit_is_low_or_high_all_the_time(recorded):
    for _, saif in recorded:
        whole = duration(saif)
        times = re.findall(r"\(T0 (\d+)\) \(T1 (\d+)\)", saif)
        assert len(times) > 1000
        assert {int(low) + int(high) for low, high in times} == {whole}


def test_classification_in_the_place_of_the_board_design(tiny, random_network, tmp_path):
    rng = np.random.default_rng(1)
    network = random_network(rng, layers=3)
    pixels = rng.integers(0, 256, (3, network.sizes[0])).astype(np.uint8)
    cycles, labels = activity.record(tiny, model_file.build(network), pixels, tmp_path / "out.saif")
    assert (labels == golden.run(network, Pixels(pixels).trains(network)).labels).all()
    saif = (tmp_path / "out.saif").read_text()
    assert duration(saif) == cycles * 1e6 / tiny.clock_mhz
    assert set(toggles(saif, "aclk")) == {2 * cycles}
    assert sum(toggles(saif, "m_axi_rdata")) > 0
    assert saif.count("(") == saif.count(")")
    path = r"\s+".join(rf"\(INSTANCE {name}" for name in activity.INSTANCES)
    assert re.search(rf"{path}\s+\(NET\s+\(aclk ", saif)
    assert "TIMESCALE 1 ps" in saif
    assert "INSTANCE TOP" not in saif


@pytest.fixture(scope="module")
def netlist(tiny, tmp_path_factory):
    """Signals of the elaborated Verilog, by path below the top, as Yosys knows them; like Vivado, it flattens generate blocks."""
    folder = tmp_path_factory.mktemp("netlist")
    tools.yosys(folder, [*tools.design("spikeline", verilated.parameters(tiny)), "proc -noopt", "write_json design.json"])
    modules = json.loads((folder / "design.json").read_text())["modules"]
    (top,) = (name for name, module in modules.items() if module["attributes"].get("top"))
    found = {}

    def walk(module: str, path: str) -> None:
        found[path] = set(modules[module]["netnames"])
        for name, cell in modules[module]["cells"].items():
            if cell["type"] in modules:
                walk(cell["type"], f"{path}/{name}")

    walk(top, activity.INSTANCES[-1])
    return found


@pytest.mark.long
def test_names_are_those_of_the_netlist(recorded, netlist):
    """Every instance is a cell of the netlist, every cell is recorded, and every register has a net of its name."""
    path, seen, bits, missed = [], set(), 0, set()
    for line in "".join(activity.place(recorded[0][1].splitlines(keepends=True))).splitlines():
        text = line.strip().replace("\\", "")
        if text.startswith("(INSTANCE "):
            path.append(text.split()[1])
            seen.add("/".join(path[len(activity.INSTANCES) - 1 :]))
        elif text == "(NET":
            path.append("")
        elif text == ")" and path:
            path.pop()
        elif path:
            cell, name = "/".join(path[len(activity.INSTANCES) - 1 : -1]), re.sub(r"\[\d+\]$", "", text[1:].split()[0])
            if name.endswith("_reg"):
                bits += 1
                missed |= {f"{cell}/{name}"} if name not in netlist[cell] else set()
    assert seen - {""} == netlist.keys()
    assert bits > 5000
    assert not missed


def test_a_simulator_without_it_says_so(device, tmp_path):
    with pytest.raises(DeviceError, match="saif=True"):
        device.activity(tmp_path / "none.saif")
