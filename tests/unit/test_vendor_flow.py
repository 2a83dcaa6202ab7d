"""The Vivado flow of rtl/boards, run on stand-ins of Vivado's commands: tests/unit/vivado/vivado.tcl says what they check."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyslang.driver import Driver

from spikeline.device import hand_off
from spikeline.measure import power
from spikeline.model import spec
from spikeline.model.geometry import FOLDER, Geometry
from spikeline.simulation import verilated, wrapper
from spikeline_rtl.boards import activity, bit, reports
from spikeline_rtl.boards.board import Board, names

ROOT = Path(__file__).parents[2]
BOARDS = ROOT / "rtl/boards"
STAND_IN = Path(__file__).parent / "vivado"

GEOMETRIES = ["z020-256", "z020-512", "z020-1024"]
BOARD_PARTS = {  # board files that the stand-ins have, the newest last
    "pynq-z1": "www.digilentinc.com:pynq-z1:part0:1.0",
    "pynq-z2": "tul.com.tw:pynq-z2:part0:1.0",
    "zcu104": "xilinx.com:zcu104:part0:1.1",
    "kv260": "xilinx.com:kv260_som:part0:1.3 xilinx.com:kv260_som:part0:1.4",
    "aup-zu3": "realdigital.org:aup-zu3-8gb:part0:1.0",
}
PARTS = {
    "pynq-z1": "xc7z020clg400-1",
    "pynq-z2": "xc7z020clg400-1",
    "zcu104": "xczu7ev-ffvc1156-2-e",
    "kv260": "xck26-sfvc784-2LV-c",
    "aup-zu3": "xczu3eg-sfvc784-2-e",
}
LOW, HIGH = (0, 2 << 30), 0x8_0000_0000  # the DDR of a Zynq UltraScale+: 2 GiB, and where the rest begins
MEMORY = {
    "pynq-z1": {"S_AXI_HP0/HP0_DDR_LOWOCM": (0, 512 << 20)},
    "pynq-z2": {"S_AXI_HP0/HP0_DDR_LOWOCM": (0, 512 << 20)},
    "zcu104": {"SAXIGP2/HP0_DDR_LOW": LOW},
    "kv260": {"SAXIGP2/HP0_DDR_LOW": LOW, "SAXIGP2/HP0_DDR_HIGH": (HIGH, 2 << 30)},
    "aup-zu3": {"SAXIGP2/HP0_DDR_LOW": LOW, "SAXIGP2/HP0_DDR_HIGH": (HIGH, 6 << 30)},
}
# Of each kind of processor: port to the registers, port and parameter of the memory, clock and its parameter, interrupt
PORTS = {
    "zynq7000": (
        "M_AXI_GP0", "S_AXI_HP0", "PCW_S_AXI_HP0_DATA_WIDTH", "FCLK_CLK0", "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ", "IRQ_F2P",
    ),
    "zynq_ultrascale": (
        "M_AXI_HPM0_FPD", "S_AXI_HP0_FPD", "PSU__SAXIGP2__DATA_WIDTH", "pl_clk0", "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ",
        "pl_ps_irq0",
    ),
}  # fmt: skip


def copy_rtl(to: Path) -> Path:
    """A copy of the Verilog and the scripts, to be changed."""
    shutil.copytree(BOARDS, to / "boards", ignore=shutil.ignore_patterns("__pycache__"))
    for path in verilated.sources():
        shutil.copy(path, to)
    return to


@pytest.fixture(scope="session")
def tclsh() -> str:
    found = shutil.which("tclsh")
    if found is None:
        pytest.skip("tclsh is missing; run `sudo apt-get install tcl`")
    return found


@pytest.fixture
def vivado(tclsh, tmp_path):
    """Make a command that stands in for Vivado, with what differs from a build that succeeds."""

    def make(boards: str = " ".join(BOARD_PARTS.values()), **result: object) -> str:
        results = " ".join(f"{name} {{{value}}}" for name, value in result.items())
        setup = tmp_path / "setup.tcl"
        setup.write_text(f"boards {{{boards}}} result {{{results}}} record {{{tmp_path / 'record.json'}}}\n")
        return shlex.join([tclsh, str(STAND_IN / "vivado.tcl"), str(setup)])

    return make


@pytest.fixture
def build(tmp_path, vivado):
    """Run bit.py; returns what it printed, its exit status and the folder of its results."""

    def run(*arguments: str, command: str | None = None) -> tuple[subprocess.CompletedProcess, Path]:
        out = tmp_path / "out"
        environment = os.environ | {"VIVADO": vivado() if command is None else command}
        script = [sys.executable, "-m", "spikeline_rtl.boards.bit", *arguments, "--out", str(out)]
        return subprocess.run(script, env=environment, capture_output=True, text=True), out

    return run


def record(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())


# ---- what is built ----


@pytest.mark.parametrize("board", names())
def test_design(board, build, tmp_path):
    """Cells, memory, interrupt, clock and addresses: those of the runtime and of its .hwh."""
    result, out = build(board)
    assert (result.returncode, result.stderr) == (0, "")
    assert {p.name for p in out.iterdir()} == {*bit.RESULTS, "vivado"}
    made, told = record(tmp_path), Board.load(board)
    sizes, processor = Geometry.load(told.geometry), told.processor
    control, memory, width, clock, rate, interrupt = PORTS[processor.name]
    ps = processor.instance

    assert {n: c["vlnv"] for n, c in made["cells"].items()} == {
        ps: processor.vlnv,
        hand_off.INSTANCE: hand_off.VLNV,
        "reset_0": "xilinx.com:ip:proc_sys_reset:5.0",
        "control_0": "xilinx.com:ip:axi_interconnect:2.1",
        "memory_0": "xilinx.com:ip:axi_interconnect:2.1",
    }
    assert made["projects"]["spikeline"] == {"part": PARTS[board], "board_part": BOARD_PARTS[board].split()[-1]}
    assert float(made["cells"][ps]["parameters"][rate]) == pytest.approx(sizes.clock_mhz, rel=1e-4)
    assert int(made["cells"][ps]["parameters"][width]) == spec.HEADER.bits
    assert made["interfaces"] == {
        f"{ps}/{control}": "control_0/S00_AXI",
        "control_0/M00_AXI": f"{hand_off.INSTANCE}/{hand_off.SLAVE}",
        f"{hand_off.INSTANCE}/m_axi": "memory_0/S00_AXI",
        "memory_0/M00_AXI": f"{ps}/{memory}",
    }
    assert control == processor.control
    clocks = [driver for pin, driver in made["drivers"].items() if pin.lower().endswith(("aclk", "clk"))]
    assert clocks == [f"{ps}/{clock}"] * 10
    assert made["drivers"][f"{ps}/{interrupt}"] == f"{hand_off.INSTANCE}/irq"

    addresses = {(space, segment): (int(at), int(size)) for space, segment, at, size in made["addresses"]}
    memories = {(f"{hand_off.INSTANCE}/m_axi", f"{ps}/{segment}"): where for segment, where in MEMORY[board].items()}
    registers = f"{hand_off.INSTANCE}/{hand_off.SLAVE}/reg0"
    assert addresses == {(f"{ps}/Data", registers): (processor.registers, hand_off.RANGE), **memories}
    assert max(at + size for at, size in memories.values()) <= 1 << processor.address_bits


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_builds_any_geometry(geometry, build, tmp_path):
    result, out = build("pynq-z2", "--geometry", geometry)
    assert (result.returncode, result.stderr) == (0, "")
    made = record(tmp_path)
    sources = [*map(str, verilated.sources()), str(out / "vivado/spikeline_ip.v")]
    assert made["files"][: len(sources)] == sources
    order = ["create_bd_design", "validate_bd_design", "launch_runs", "write_bitstream", "report_power"]
    assert [step for step in made["steps"] if step in order] == [*order[:3], "launch_runs", *order[3:]]  # of two runs
    assert verilated.top(Geometry.load(geometry), 32) == (out / "vivado/spikeline_ip.v").read_text()


def test_a_board_without_preset_needs_its_board_files(build, vivado):
    result, out = build("kv260", command=vivado(boards=BOARD_PARTS["pynq-z2"]))
    assert (result.returncode, [p.name for p in out.iterdir()]) == (1, ["vivado"])
    assert "no board files xilinx.com:kv260_som:part0:*; install them: by Vivado's own Tools" in result.stderr


def instance(top: str, *words: str):
    """An instance of module `top` of Verilog files, elaborated by slang."""
    driver = Driver()
    driver.addStandardArgs()
    assert driver.parseCommandLine(" ".join(f'"{word}"' for word in ["slang", f"--top={top}", f"-I{verilated.RTL}", *words]))
    assert driver.processOptions()
    driver.parseAllSources()
    (found,) = driver.createCompilation().getRoot().topInstances
    return found


@pytest.mark.parametrize(("geometry", "bits"), [*((path.stem, 32) for path in sorted(FOLDER.glob("*.json"))), ("tiny", 40)])
def test_the_wrapper_is_the_accelerator(geometry, bits, tmp_path):
    """Of the same ports, with the parameters with which it is simulated; BUILD is left to be told by the .hwh."""
    sizes = Geometry.load(geometry)
    path = tmp_path / "spikeline_ip.v"
    path.write_text(verilated.top(sizes, bits))
    top = instance(wrapper.NAME, str(path), *map(str, verilated.RTL.glob("*.v")))
    (inner,) = (member for member in top.body if member.name == "accelerator")
    assert inner.body.definition.name == "spikeline"
    ports = [[(p.name, p.direction, p.type.bitWidth) for p in body.portList] for body in (top.body, inner.body)]
    assert ports[0] == ports[1]
    assert len(inner.portConnections) == len(ports[1])
    for connection in inner.portConnections:  # to an output it is an assignment
        expression = getattr(connection.expression, "left", connection.expression)
        assert str(expression.syntax).strip() == connection.port.name
    built = {p.name: int(p.value.convertToInt().value) for p in inner.body.parameters if not p.isLocalParam}
    wanted = {name: int(re.sub(r"^\d+'h", "0x", value), 0) for name, value in verilated.parameters(sizes).items()}
    assert built == {**wanted, "ADDRESS_BITS": bits}
    assert [p.name for p in top.body.parameters] == ["BUILD"]


@pytest.mark.parametrize("board", ["pynq-z1", "pynq-z2"])
def test_board_files_are_used_if_installed(board, build, vivado, tmp_path):
    for installed in ("", BOARD_PARTS[board]):
        result, _ = build(board, command=vivado(boards=installed))
        made = record(tmp_path)
        assert (result.returncode, made["projects"]["spikeline"]["board_part"]) == (0, installed)
        ps = made["cells"][hand_off.ZYNQ_7000.instance]["parameters"]
        assert (ps["PCW_CRYSTAL_PERIPHERAL_FREQMHZ"], ps["PCW_UIPARAM_DDR_BUS_WIDTH"]) == ("50", "16 Bit")
        assert ps["PCW_UART0_PERIPHERAL_ENABLE"] == ("0" if installed else "1")  # by the preset, or by us


def test_figures(build, tmp_path):
    _, out = build("pynq-z2", "--geometry", "z020-512")
    found = {name: json.loads((out / f"{name}.json").read_text()) for name in ("utilization", "timing", "power")}
    for entry in found.values():
        assert (entry["board"], entry["geometry"]) == ("pynq-z2", "z020-512")
        assert (entry["part"], entry["tool"]) == ("xc7z020clg400-1", "Vivado v.2022.1")
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", entry["commit"])
    assert found["utilization"]["lut"] == 38123
    assert (found["timing"]["wns_ns"], found["timing"]["met"]) == (0.127, True)
    assert (found["power"]["total_w"], found["power"]["activity"]) == (2.145, "vectorless")
    source = power.open_source(f"estimate:{out / 'power.json'}")  # as the benchmark reads it
    assert (source.power_source, source.estimate) == ("estimated", (2.145, 1.981, 0.164))


def test_activity_is_read(build, tmp_path):
    saif = tmp_path / "activity.saif"
    saif.write_text("(SAIFILE " + " ".join(f"(INSTANCE {name}" for name in activity.INSTANCES) + " (NET) )))))")
    result, out = build("pynq-z2", "--saif", str(saif))
    assert result.returncode == 0
    estimate = json.loads((out / "power.json").read_text())
    assert (estimate["activity"], estimate["nets_matched"]) == (str(saif), "61%  (60104/98530)")

    inside = "(SAIFILE\n" + "".join(f"(INSTANCE {name}\n" for name in activity.INSTANCES)
    for wrong in ("(SAIFILE (INSTANCE TOP (INSTANCE spikeline)))", f"{inside}(INSTANCE layer[0]\n(INSTANCE core\n))))))"):
        saif.write_text(wrong)  # the second as Verilator has it: a generate block as a scope
        result, fresh = build("pynq-z2", "--saif", str(saif))
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert f"has no {'/'.join(activity.INSTANCES)} with the names of the netlist" in result.stderr
        assert (fresh / "spikeline.bit").exists(), "the earlier build is lost"

    result, _ = build("pynq-z2", "--saif", str(tmp_path / "none.saif"))
    assert (result.returncode, "`python -m spikeline_rtl.boards.activity` makes it" in result.stderr) == (1, True)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"WNS": -0.12}, "WNS -0.12 ns, WHS 0.021 ns"),
        ({"WHS": -0.031}, "WHS -0.031 ns"),
        ({"TPWS": -0.5}, "TPWS -0.5 ns"),
        ({"WNS": ""}, "WNS  ns"),
        ({"FAILED_NETS": 3}, "3 nets not routed"),
        ({"fails": "synth_1"}, "synth_1: ERROR; see"),
        ({"fails": "impl_1"}, "impl_1: ERROR; see"),
        ({"version": "2021.2"}, "Vivado 2021.2 is too old"),
    ],
)
def test_no_bitstream(figures, said, build, vivado):
    build("pynq-z1")  # an earlier result is not taken for this one's
    result, out = build("pynq-z1", command=vivado(**figures))
    assert result.returncode == 1
    assert said in result.stderr
    assert f"see {out / 'vivado/vivado.log'}" in result.stderr
    assert [p.name for p in out.iterdir()] == ["vivado"]
    if "ns" in said:
        assert {p.name for p in out.glob("vivado/*.rpt")} == {"utilization.rpt", "timing.rpt", "route.rpt", "power.rpt"}


def test_missing_vivado(build):
    result, out = build("pynq-z2", command="no-such-vivado")
    assert (result.returncode, out.exists()) == (1, False)
    assert result.stderr.startswith("no-such-vivado is missing; install Vivado 2022.1 or newer and run `source …/settings64.sh`")
    assert result.stderr.count("\n") == 1


def test_unknown_board_and_geometry(build):
    result, out = build("pynq-z9")
    assert (result.returncode, result.stderr) == (
        1,
        "bit: no board pynq-z9; there are aup-zu3, kv260, pynq-z1, pynq-z2, zcu104\n",
    )
    result, out = build("pynq-z2", "--geometry", "z020-9")
    assert (result.returncode, out.exists()) == (1, False)
    assert "no geometry z020-9; there are" in result.stderr


# ---- the stand-ins see what is wrong ----


@pytest.fixture
def scripts(tclsh, tmp_path, vivado):
    """A copy of rtl/, to be changed, how to prepare a folder for a board, and how to run the Tcl there: exit status, output."""
    rtl, out = copy_rtl(tmp_path / "rtl"), tmp_path / "out"
    out.mkdir()

    def run(**setup: str) -> tuple[int, str]:
        command = [*shlex.split(vivado(**setup)), "-mode", "batch", "-nojournal", "-log", str(out / "log")]
        command += ["-source", str(rtl / "boards/build.tcl"), "-tclargs", str(out)]
        result = subprocess.run(command, capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr

    def prepare(board: str) -> Path:
        told = Board.load(board)
        bit.prepare(told, Geometry.load(told.geometry), out)
        return out

    return rtl, prepare, run


@pytest.mark.parametrize("name", ["aclk", "irq"])
def test_a_port_of_no_interface(name, tmp_path, monkeypatch):
    monkeypatch.setattr(verilated, "RTL", copy_rtl(tmp_path / "rtl"))
    path = verilated.RTL / "spikeline.v"
    path.write_text(re.sub(rf"\b{name}\b", f"{name}x", path.read_text()))
    with pytest.raises(ValueError, match=f"port {name}x of spikeline.v is of no interface"):
        verilated.top(Geometry.load("tiny"), 32)


MISTAKES = [
    ("build", "block_design implement", "block_desing implement", "block_desing.tcl"),
    ("build", "source $here/$step.tcl", "lmap x {} {}", "lmap"),
    ("wrapper", "module spikeline_ip", "module spikeline_pi", "no module spikeline_ip"),
    ("wrapper", "spikeline #(", "spikelin #(", "no module spikelin in"),
    ("wrapper", "signal:clock:1.0", "signal:clock:2.0", "port aclk: no interface signal:clock:2.0"),
    ("wrapper", "m_axi WLAST", "m_axi LAST", "LAST is no signal of interface:aximm:1.0"),
    ("wrapper", "m_axi RLAST", "m_axi RRESP", "port m_axi_rlast: m_axi has a RRESP already"),
    ("wrapper", "s_axil AWVALID", "m_axi AWVALID", "m_axi is interface:aximm:1.0, Master and Slave"),
    (
        "wrapper",
        '(* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 irq INTERRUPT" *)',
        "",
        "irq of spikeline_ip is of no interface",
    ),
    ("wrapper", "XIL_INTERFACENAME m_axi", "XIL_INTERFACENAME s_axil", "of m_axi tells of s_axil"),
    ("wrapper", "s_axil:m_axi", "s_axil", "interface m_axi has no clock"),
    ("wrapper", "s_axil:m_axi", "s_axil:maxi", "aclk: no interface maxi"),
    ("wrapper", "ASSOCIATED_RESET aresetn", "ASSOCIATED_RESET areset", "aclk: no reset areset"),
    ("wrapper", "POLARITY ACTIVE_LOW", "POLARITY LOW", "POLARITY of aresetn cannot be LOW"),
    ("wrapper", "SENSITIVITY", "SENSITIVE", "irq has no property SENSITIVE"),
    ("wrapper", "PROTOCOL AXI4LITE", "PROTOCOL AXI4", "s_axil lacks AWLEN"),
    ("wrapper", "PROTOCOL AXI4,", "PROTOCOL AXI4LITE,", "m_axi has AWLEN, which AXI4LITE has not"),
    ("wrapper", "MAX_BURST_LENGTH 16", "MAX_BURST_LENGTH 512", "MAX_BURST_LENGTH of m_axi cannot be 512"),
    ("wrapper", "output wire        irq", "input wire irq", "nothing drives processing_system7_0/IRQ_F2P"),
    ("block_design", "$rtl/*.vh", "$rtl/*.svh", "*.svh"),
    ("block_design", "[concat [glob $rtl/*.v] [glob $rtl/*.vh]]", "[glob $rtl/*.v]", "no header spikeline.vh"),
    ("block_design", "] $out/spikeline_ip.v]", "]]", "no module spikeline_ip"),
    ("spec", "0x43C00000", "0x43C08000", "0x43C08000, 0x10000 bytes is not aligned"),
    ("spec", "0x43C00000", "0x33C00000", "0x33C00000, 0x10000 bytes is outside"),
    ("spec", "spk_memory_bits 64", "spk_memory_bits 48", "PCW_S_AXI_HP0_DATA_WIDTH"),
    ("zynq7000", "spk_ps processing_system7", "spk_ps processing_system8", "no IP xilinx.com:ip:processing_system8:*"),
    ("block_design", "-reference spikeline_ip", "-reference spikeline_pi", "no module spikeline_pi"),
    ("block_design", "-type module -reference", "-type ip -vlnv", "no IP spikeline_ip"),
    ("zynq7000", "PCW_USE_FABRIC_INTERRUPT 1", "PCW_USE_FABRIC_INTERRUPT 0", "processing_system7_0 has no IRQ_F2P"),
    ("zynq7000", "PCW_IRQ_F2P_INTR", "PCW_IRQ_F2P", "no parameter PCW_IRQ_F2P"),
    ("zynq7000", "PCW_USE_S_AXI_HP0 1", "PCW_USE_S_AXI_HP0 0", "processing_system7_0 has no S_AXI_HP0"),
    ("zynq7000", "FPGA0_PERIPHERAL_FREQMHZ $spk_clock_mhz", "FPGA0_PERIPHERAL_FREQMHZ 1000", "FPGA0_PERIPHERAL_FREQMHZ"),
    ("block_design", "bd_rule:$spk_ps", "bd_rule:zynq_ultra_ps_e", "no rule xilinx.com:bd_rule:zynq_ultra_ps_e"),
    ("zynq7000", "{FIXED_IO, DDR}", "{FIXED_IO}", "processing_system7_0/DDR is not connected"),
    ("zynq7000", "make_external", "make_externals", "make_externals"),
    ("block_design", "spk_cell reset_0", "spk_cell reset", "no cell reset_0"),
    ("block_design", "NUM_SI 1", "NUM_SI 2", "memory_0/S01_AXI is not connected"),
    ("block_design", "memory_0/S00_AXI \\", "control_0/S00_AXI \\", "control_0/S00_AXI is connected"),
    ("block_design", "spikeline_0/s_axil \\", "spikeline_0/m_axi \\", "spikeline_0/m_axi are both Master"),
    ("block_design", "    spikeline_0/m_axi        memory_0/S00_AXI \\\n", "", "spikeline_0/m_axi does not reach"),
    ("block_design", "    spikeline_0/irq $ps/$spk_port(interrupt) \\\n", "", "processing_system7_0/IRQ_F2P is not connected"),
    ("block_design", "spikeline_0/irq $", "reset_0/peripheral_reset $", "are intr and rst"),
    ("block_design", "spikeline_0/aclk", "spikeline_0/clk", "spikeline_0 has no clk"),
    ("block_design", " spikeline_0/aclk", "", "spikeline_0/aclk is not connected"),
    ("block_design", "reset_0/slowest_sync_clk ", "", "reset_0/slowest_sync_clk is not connected"),
    ("block_design", "{control_0/ARESETN memory_0/ARESETN}", "{control_0/ARESETN}", "memory_0/ARESETN is not connected"),
    (
        "block_design",
        "        spikeline_0/aresetn\n",
        "        reset_0/peripheral_reset\n",
        "reset_0/peripheral_reset drive one net",
    ),
    ("block_design", "memory_0/S00_ACLK", "memory_0/S00_ACLK memory_0/S00_ARESETN", "memory_0/S00_ARESETN are clk and rst"),
    ("block_design", "connect_bd_net [", "connect_bd_nets [", "connect_bd_nets"),
    ("block_design", "64K -target_address_space", "64K -target_space", "-target_space"),
    ("block_design", "spaces spikeline_0/m_axi", "spaces spikeline_0/Data", "spikeline_0 has no Data"),
    ("block_design", "spikeline_0/s_axil/reg0", "spikeline_0/s_axil/Reg", "spikeline_0 has no s_axil/Reg"),
    ("block_design", "64K", "60K", "0xF000 bytes is not aligned"),
    ("zynq7000", "$spk_base(ACCELERATOR)", "$spk_base(ACCELERATE)", "spk_base(ACCELERATE)"),
    ("zynq7000", "segments S_AXI_HP0", "segments S_AXI_HP1", "processing_system7_0 has no S_AXI_HP1/*"),
    ("block_design", "$ps/$spk_port(segments)/*", "spikeline_0/s_axil/*", "does not reach"),
    ("block_design", "validate_bd_design\n", "", "not validated"),
    ("implement", "get_files system.bd", "get_files sytem.bd", "no sytem.bd"),
    ("implement", "top system_wrapper", "top system_wraper", "no module system_wraper"),
    ("implement", "ExplorePostRoutePhysOpt", "ExplorePostRoute", "no strategy Performance_ExplorePostRoute"),
    ("implement", "{synth_1 impl_1}", "{impl_1 synth_1}", "synth_1 is not done"),
    ("implement", "open_run impl_1", "open_run impl_2", "impl_2"),
    ("implement", "STATS.$name", "STAT.$name", "stat.wns"),
    ("implement", "spikeline.gen", "spikeline.srcs", "system.hwh"),
    ("board", "xc7z020clg400-1", "xc7z020clg400-9", "no part xc7z020clg400-9"),
    ("board", "pynq_ps7.tcl", "pynq_ps8.tcl", "pynq_ps8.tcl"),
    ("pynq_ps7", "MT41J256M16 RE-125", "MT41J256M16 RE-12", "PCW_UIPARAM_DDR_PARTNO"),
    ("pynq_ps7", "PCW_UART0_UART0_IO", "PCW_UART0_IO", "no parameter PCW_UART0_IO"),
]


ULTRASCALE_MISTAKES = [
    ("spec", "0xA0000000", "0xB0000000", "0xB0000000, 0x10000 bytes is outside"),
    ("spec", "spk_memory_bits 64", "spk_memory_bits 48", "PSU__SAXIGP2__DATA_WIDTH"),
    ("spec", "spk_register_bits 32", "spk_register_bits 12", "PSU__MAXIGP0__DATA_WIDTH"),
    ("zynq_ultrascale", "spk_ps zynq_ultra_ps_e", "spk_ps zynq_ultra_ps", "no IP xilinx.com:ip:zynq_ultra_ps:*"),
    ("zynq_ultrascale", "M_AXI_HPM0_FPD", "M_AXI_HPM0_LPD", "zynq_ultra_ps_e_0 has no M_AXI_HPM0_LPD"),
    ("zynq_ultrascale", "M_AXI_GP1 0", "M_AXI_GP1 1", "zynq_ultra_ps_e_0/M_AXI_HPM1_FPD is not connected"),
    ("zynq_ultrascale", "maxihpm0_fpd_aclk", "maxihpm0_aclk", "zynq_ultra_ps_e_0 has no maxihpm0_aclk"),
    ("zynq_ultrascale", "saxihp0_fpd_aclk", "reset_0/aux_reset_in", "has no reset_0/aux_reset_in"),
    ("zynq_ultrascale", "S_AXI_GP2 1", "S_AXI_GP2 0", "zynq_ultra_ps_e_0 has no S_AXI_HP0_FPD"),
    ("zynq_ultrascale", "segments SAXIGP2", "segments SAXIGP3", "zynq_ultra_ps_e_0 has no SAXIGP3/*"),
    ("zynq_ultrascale", "USE__IRQ0 1", "USE__IRQ0 0", "zynq_ultra_ps_e_0 has no pl_ps_irq0"),
    ("zynq_ultrascale", "PL0_ENABLE 1", "PL0_ENABLE 0", "zynq_ultra_ps_e_0 has no pl_clk0"),
    ("zynq_ultrascale", "REF_CTRL__FREQMHZ $", "REF_CTRL__FREQ $", "no parameter PSU__CRL_APB__PL0_REF_CTRL__FREQ"),
    ("zynq_ultrascale", "pl_resetn0", "pl_resetn1", "zynq_ultra_ps_e_0 has no pl_resetn1"),
    ("zynq_ultrascale", "spk_base(ACCELERATOR_ULTRASCALE)", "spk_base(ACCELERATOR)", "0x43C00000, 0x10000 bytes is outside"),
    ("block_design", "exclude_bd_addr_seg $segment", "set ignored $segment; list", "SAXIGP2/HP0_LPS_OCM has no address"),
    ("wrapper", "[39:0] m_axi_a", "[31:0] m_axi_a", "HP0_DDR_HIGH at 0x800000000, 0x80000000 bytes is outside"),
    ("board", "xck26-sfvc784-2LV-c", "xczu7ev-ffvc1156-2-e", "part0:1.4 is a board of xck26-sfvc784-2LV-c"),
    ("board", "zynq_ultrascale", "zynq_ultrascal", "zynq_ultrascal.tcl"),
]


@pytest.mark.parametrize(
    ("board", "script", "right", "wrong", "named"),
    [("pynq-z2", *mistake) for mistake in MISTAKES] + [("kv260", *mistake) for mistake in ULTRASCALE_MISTAKES],
    ids=lambda text: text.strip()[:40],
)
def test_mistake_in_the_scripts(board, script, right, wrong, named, scripts):
    rtl, prepare, run = scripts
    out = prepare(board)
    path = {"wrapper": out / "spikeline_ip.v", "board": out / "board.tcl"}.get(script, rtl / "boards" / f"{script}.tcl")
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    status, printed = run(boards=BOARD_PARTS["kv260"])
    assert status == 1
    assert re.search(rf"^ERROR: .*{re.escape(named)}", printed, re.MULTILINE), printed


@pytest.mark.parametrize("board", ["pynq-z2", "kv260"])
def test_no_mistake_in_the_scripts(board, scripts):
    _, prepare, run = scripts
    prepare(board)
    status, printed = run(boards=BOARD_PARTS["kv260"])
    assert (status, "ERROR" in printed) == (0, False)


# ---- reports ----


def report(name: str) -> str:
    values = {"WNS": "0.127", "WHS": "0.021", "TPWS": "0.000", "SAIF": "---", "MATCHED": "NA"}
    values["MET"] = "All user specified timing constraints are met."
    return re.sub("%([A-Z]+)%", lambda m: values[m[1]], (STAND_IN / f"{name}.rpt").read_text())


def test_utilization_report():
    found = reports.utilization(report("utilization"))
    assert found == {
        "lut": 38123, "lut_share": 0.7166, "lutram": 3110, "srl": 143, "ff": 48210, "ff_share": 0.4531,
        "ramb36": 99.5, "ramb36_share": 0.7107, "dsp": 2, "dsp_share": 0.0091,
    }  # fmt: skip
    older = re.sub(r"^((?:\|[^|\n]*){3})\|[^|\n]*", r"\1", report("utilization"), flags=re.MULTILINE)  # no column Prohibited
    assert "Prohibited" not in older
    assert reports.utilization(older) == found


def test_utilization_report_of_an_ultrascale():
    text = report("utilization")
    for name in ("LUTs", "Registers"):
        text = text.replace(f"| Slice {name}", f"| CLB {name}  ")
    row = next(line for line in text.splitlines() if line.startswith("| DSPs"))
    cells = ["URAM".ljust(len(row.split("|")[1])), "48", "0", "0", "64", "75.00"]
    found = reports.utilization(text.replace(row, f"{row}\n|{'|'.join(cells)}|"))
    assert found == {**reports.utilization(report("utilization")), "uram": 48, "uram_share": 0.75}


def test_timing_report():
    assert reports.timing(report("timing")) == {
        "wns_ns": 0.127, "tns_ns": 0.0, "whs_ns": 0.021, "ths_ns": 0.0, "wpws_ns": 3.75, "tpws_ns": 0.0, "met": True,
        "clocks_mhz": {"clk_fpga_0": 100.0},
    }  # fmt: skip


def test_power_report():
    assert reports.power(report("power")) == {
        "total_w": 2.145, "dynamic_w": 1.981, "static_w": 0.164, "confidence": "Medium", "nets_matched": "NA",
    }  # fmt: skip


def test_report_header():
    for name in ("utilization", "timing", "power"):
        assert reports.header(report(name))["Tool Version"].startswith("Vivado v.2022.1 (lin64)")


@pytest.mark.parametrize(
    ("name", "right", "wrong", "said"),
    [
        ("utilization", "| Slice LUTs ", "| Slice LUT ", "no figure for Slice LUTs"),
        ("utilization", "Available", "Free", "no figure for DSPs"),
        ("utilization", "| 38123 |", "|   n/a |", "no figure for Slice LUTs: n/a"),
        ("timing", "WHS(ns)", "Hold", "no table with columns WNS"),
        ("timing", " 0.127", " NA", "no figure for WNS: NA"),
        ("timing", "Frequency(MHz)", "Frequency", "no table with columns Clock, Frequency"),
        ("power", "Dynamic (W)", "Dynamic", "no figure for Dynamic"),
        ("power", "Confidence Level", "Confidence", "no row Confidence Level"),
        ("power", "| 2.145 ", "| < 3 ", "no figure for Total On-Chip Power (W): < 3"),
        ("timing", "All user specified timing constraints are met.", "", "no line says whether timing is met"),
    ],
)
def test_what_a_report_lacks_is_null_and_told(name, right, wrong, said):
    """And nothing else of it is lost."""
    text, told = report(name), []
    assert right in text
    sound, found = getattr(reports, name)(text), getattr(reports, name)(text.replace(right, wrong), told.append)
    assert any(said in line for line in told)
    assert None in found.values() or found["clocks_mhz"] == {}
    assert found.keys() - {f"{key}_share" for key in sound} <= sound.keys()
    assert all(found[key] in (sound[key], None, {}) for key in found)


@pytest.mark.parametrize(
    ("right", "wrong", "watts"),
    [
        ("2.145        |", "2.391 (Junction temp exceeded!) |", 2.391),
        ("2.145        |", "2.391* |", 2.391),
        ("2.145        |", "2 |", 2),
        ("2.145        |", "1.2e+01 (Over budget) |", 12),
    ],
)
def test_a_remark_beside_a_figure_is_told(right, wrong, watts):
    told = []
    found = reports.power(report("power").replace(right, wrong, 1), told.append)
    assert found["total_w"] == watts
    assert told == ([f"Total On-Chip Power (W): {wrong.removesuffix(' |')}"] if "(" in wrong else [])


@pytest.mark.parametrize("name", ["utilization", "timing", "power"])
@pytest.mark.parametrize("share", range(20))
def test_a_report_cut_short_never_stops_a_build(name, share):
    text, told = report(name), []
    found = getattr(reports, name)(text[: len(text) * share // 20], told.append)
    assert told or found == getattr(reports, name)(text)


@pytest.mark.parametrize("name", ["utilization", "timing", "power"])
@pytest.mark.parametrize("damage", ["Report\n", "", "\xff\xfe| Total On-Chip Power (W) |", None])
def test_a_damaged_report_leaves_the_bitstream(tclsh, build, vivado, tmp_path, name, damage):
    """Damaged or, if Vivado fails in making it, missing: the bitstream is delivered, and what is wrong is said."""
    copy = tmp_path / "standin"
    shutil.copytree(STAND_IN, copy)
    if damage is not None:
        (copy / f"{name}.rpt").write_text(damage, "latin-1")
    fails = "" if damage is not None else {"timing": "report_timing_summary"}.get(name, f"report_{name}")
    result, out = build("pynq-z2", command=vivado(fails=fails).replace(str(STAND_IN), str(copy)))
    assert result.returncode == 0
    assert {p.name for p in out.iterdir()} == {*bit.RESULTS, "vivado"}
    assert f"{out / 'vivado'}/{name}.rpt" in result.stderr
    assert "Traceback" not in result.stderr
    found = json.loads((out / f"{name}.json").read_text())
    assert found[{"utilization": "lut", "timing": "wns_ns", "power": "total_w"}[name]] is None
    assert (found["board"], found["part"]) == ("pynq-z2", "xc7z020clg400-1")


def test_vivado_that_dies_in_a_report_leaves_the_bitstream(tclsh, build, vivado):
    result, out = build("pynq-z2", command=vivado(fails="exit report_route_status"))
    assert result.returncode == 0
    assert {p.name for p in out.iterdir()} == {*bit.RESULTS, "vivado"}
    assert "Vivado ended with status 9 after the bitstream was written" in result.stderr
    assert json.loads((out / "power.json").read_text())["total_w"] is None
