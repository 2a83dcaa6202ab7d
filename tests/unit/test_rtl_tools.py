"""The Verilog is accepted, without a warning, by every tool that must take it; generated files match their source."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyslang.driver import Driver

from spikeline.model.geometry import FOLDER, Geometry
from spikeline.simulation import verilated
from spikeline_rtl.formal import prove
from spikeline_rtl.synthesis import tools

ROOT = Path(__file__).parents[2]
VERILOG = [str(p) for p in verilated.sources() if p.suffix == ".v"]
GEOMETRIES = [Geometry.load(p.stem) for p in sorted(FOLDER.glob("*.json"))]
MEMORY = ["spk_memory", "spk_reader", "spk_writer", "spk_bursts"]
TOPS = {"spikeline": ["spikeline_stream"], "spikeline_stream": ["spikeline", *MEMORY]}  # and the modules that are not in them
NARROW = {"clock_mhz": 100, "weight_bits": 2, "membrane_bits": 12, "classes": 10}
SHAPES = {
    "one layer, 8 spikes a cycle": NARROW | {"layers": [{"inputs": 784, "neurons": 32, "spikes_per_cycle": 8}]},
    "lasting membranes without a leak": NARROW
    | {"continuous": True, "layers": [{"inputs": 100, "neurons": 32, "spikes_per_cycle": 2}]},
    "8-bit weights, 1 spike a cycle": NARROW
    | {
        "weight_bits": 8,
        "classes": 8,
        "membrane_bits": 20,
        "layers": [{"inputs": 100, "neurons": 16, "spikes_per_cycle": 1}],
    },
}


DESIGNS = [("spikeline", name) for name in [*(g.name for g in GEOMETRIES), *SHAPES]] + [("spikeline_stream", "tiny")]


@pytest.fixture(params=DESIGNS, ids="-".join)
def design(request, tmp_path):
    """A top module and its geometry; what tops differ in is the same in all geometries."""
    top, name = request.param
    if name not in SHAPES:
        return top, Geometry.load(name)
    path = tmp_path / "shape.json"
    path.write_text(json.dumps(SHAPES[name]))
    return top, Geometry.load(path)


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is missing; run `sudo apt-get install {name}`")
    return found


@pytest.mark.parametrize("path", [*verilated.RTL.glob("*.v"), *prove.HERE.glob("*.v")], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_lines_fit_beside_each_other(path):
    long = [n for n, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 120]
    assert not long, f"lines of more than 120 characters: {long}"


def test_verilator_lint(design):
    top, geometry = design
    overrides = [f"-G{name}={value}" for name, value in verilated.parameters(geometry).items()]
    program, environment = verilated.verilator()
    command = [
        program,
        "--lint-only",
        "-Wall",
        f"-I{verilated.RTL}",
        str(verilated.RTL / "lint.vlt"),
        str(verilated.RTL / f"{top}.v"),
        *overrides,
    ]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stderr) == (0, "")


# What slang need not say: Verilog's integers are signed, and it widens operands; a label and an instance share a name on purpose;
# a net that nothing reads is found by Verilator, which knows those named `unused`.
SLANG = "sign-compare sign-conversion arith-op-mismatch shadow-hierarchy unused-but-set-net"
# Nor of the wrappers: the solver drives what is left open, and some of what is followed there is for covers and traces.
WRAPPERS = "undriven-net unused-net unused-variable unused-but-set-variable unused-def width-expand"


def slang(*arguments: str, silent: str = SLANG) -> bool:
    """Is it accepted without a warning? What is wrong is printed."""
    driver = Driver()
    driver.addStandardArgs()
    words = ["slang", "-Weverything", *(f"-Wno-{name}" for name in silent.split()), "-Werror", f"-I{verilated.RTL}", *arguments]
    assert driver.parseCommandLine(" ".join(f'"{word}"' for word in words))
    assert driver.processOptions()
    sound = driver.parseAllSources()
    compilation = driver.createCompilation()
    driver.reportCompilation(compilation, True)
    driver.runAnalysis(compilation)
    return driver.reportDiagnostics(True) and sound


def test_slang_accepts(design):
    """A front end that forgives nothing: use before declaration, nets that no one declared, words that are cut."""
    top, geometry = design
    overrides = [f"-G{name}={value}" for name, value in verilated.parameters(geometry).items()]
    assert slang("--std=1364-2005", f"--top={top}", *overrides, *(p for p in VERILOG if Path(p).stem not in TOPS[top]))


@pytest.mark.parametrize("address_bits", [32, 40])
def test_memory_is_accepted(address_bits, tmp_path):
    """The AXI4 master, whose widest address no geometry has."""
    program, environment = verilated.verilator()
    modules = [str(verilated.RTL / f"{name}.v") for name in [*MEMORY, "spk_fifo"]]
    override = f"ADDRESS_BITS={address_bits}"
    lint = [program, "--lint-only", "-Wall", f"-I{verilated.RTL}", f"-G{override}", str(verilated.RTL / "lint.vlt"), modules[0]]
    icarus = [tool("iverilog"), "-g2005", "-Wall", "-s", "spk_memory", f"-Pspk_memory.{override}", "-o", str(tmp_path / "out")]
    for command in (lint, [*icarus, *modules]):
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert (result.returncode, result.stderr) == (0, "")
    assert slang("--std=1364-2005", "--top=spk_memory", f"-G{override}", *modules)


@pytest.mark.parametrize("wrapper", prove.MODULES)
def test_slang_accepts_the_wrapper(wrapper):
    cut = [part for name in prove.CUT.get(wrapper, "").split() for part in name.replace("t:", "").split("/")[1:]]
    modules = [f"{verilated.RTL}/{name}.v" for name in prove.MODULES[wrapper] if f"*{name}*" not in cut]
    top = ["--ignore-unknown-modules", f"--top=formal_{wrapper}", f"{prove.HERE}/{wrapper}.v"]
    assert slang(*top, *modules, silent=f"{SLANG} {WRAPPERS}")


@pytest.mark.parametrize(
    "fault",
    [
        "wire early = later; wire later = in; assign out = early;",
        "assign lost = in; assign out = in;",
        "wire [3:0] wide = {4{in}}; wire [1:0] cut = wide; assign out = ^cut;",
        "assign out = nothing;",
    ],
)
def test_slang_refuses(fault, tmp_path, capfd):
    (tmp_path / "fault.v").write_text(f"module fault (input wire in, output wire out); {fault}\nendmodule\n")
    assert not slang("--std=1364-2005", "--top=fault", str(tmp_path / "fault.v"))
    assert "fault.v:1" in capfd.readouterr().err


def test_icarus_elaborates(design, tmp_path):
    top, geometry = design
    overrides = [f"-P{top}.{name}={value}" for name, value in verilated.parameters(geometry).items()]
    command = [
        tool("iverilog"),
        "-g2005",
        "-Wall",
        f"-I{verilated.RTL}",
        "-s",
        top,
        "-o",
        str(tmp_path / "out"),
        *overrides,
        *VERILOG,
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("top", "wrong"), [("spikeline", "CLASSES=3"), ("spikeline_stream", "CLASSES=3"), ("spikeline", "ADDRESS_BITS=31")]
)
def test_icarus_stops_at_an_illegal_parameter(top, wrong, tmp_path):
    out = tmp_path / "out"
    command = [
        tool("iverilog"),
        "-g2005",
        f"-I{verilated.RTL}",
        "-s",
        top,
        "-o",
        str(out),
        f"-P{top}.{wrong}",
        *VERILOG,
    ]
    subprocess.run(command, check=True)
    result = subprocess.run([tool("vvp"), str(out)], capture_output=True, text=True, timeout=60)
    assert f"Error: {wrong.replace('=', ' = ')}, must be" in result.stdout


# The larger ones take minutes here; Verilator and slang elaborate them too.
SMALL = [g.name for g in GEOMETRIES if g.layers[0].neurons <= 64] + [
    name for name, shape in SHAPES.items() if shape["layers"][0]["neurons"] <= 64
]


@pytest.mark.long
@pytest.mark.parametrize("design", [("spikeline", name) for name in SMALL], indirect=True, ids="-".join)
def test_yosys_elaborates_and_checks(design, tmp_path):
    top, geometry = design
    tools.yosys(tmp_path, [*tools.design(top, verilated.parameters(geometry)), "proc", "check -assert"])


@pytest.mark.parametrize("program", ["-m spikeline_rtl.spec.generate", "-m spikeline_rtl.spec.registers", "docs/waves.py"])
def test_generated_files_match_their_source(program):
    result = subprocess.run([sys.executable, *program.split(), "--check"], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_generated_header_compiles_as_strict_c(tmp_path):
    source = tmp_path / "check.c"
    source.write_text('#include "spikeline_spec.h"\nint main(void) { return SPK_ERROR_CODE_NONE; }\n')
    subprocess.run(
        [
            "gcc",
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wconversion",
            "-Werror",
            f"-I{ROOT / 'firmware/runtime'}",
            str(source),
            "-o",
            str(tmp_path / "check"),
        ],
        check=True,
    )
