"""The Verilog is accepted, without a warning, by every tool that must take it; generated files match their source."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyslang.driver import Driver

from spikeline.model.geometry import FOLDER, Geometry
from spikeline.simulation import verilated, wrapper
from spikeline_rtl.formal import prove
from spikeline_rtl.synthesis import tools

ROOT = Path(__file__).parents[2]
VERILOG = [str(p) for p in verilated.sources() if p.suffix == ".v"]
GEOMETRIES = [Geometry.load(p.stem) for p in sorted(FOLDER.glob("*.json"))]
MEMORY = ["spk_memory", "spk_reader", "spk_writer", "spk_bursts"]
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


# Those of the ZU3 have nothing that the others have not.
@pytest.fixture(params=[g.name for g in GEOMETRIES if not g.name.startswith("zu3")] + list(SHAPES))
def geometry(request, tmp_path):
    if request.param not in SHAPES:
        return Geometry.load(request.param)
    path = tmp_path / "shape.json"
    path.write_text(json.dumps(SHAPES[request.param]))
    return Geometry.load(path)


@pytest.fixture
def top(geometry, tmp_path):
    """The file that Vivado reads beside rtl/*.v: the accelerator with its sizes as literals."""
    path = tmp_path / f"{wrapper.NAME}.v"
    path.write_text(verilated.top(geometry, 40 if geometry.device != "XC7Z020" else 32))
    return str(path)


def without(*names: str) -> list[str]:
    """The Verilog but for some modules: slang refuses what the top does not use."""
    return [path for path in VERILOG if Path(path).stem not in names]


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is missing; run `sudo apt-get install {name}`")
    return found


@pytest.mark.parametrize("path", [*verilated.RTL.glob("*.v"), *prove.HERE.glob("*.v")], ids=lambda p: f"{p.parent.name}/{p.name}")
def test_lines_fit_beside_each_other(path):
    long = [n for n, line in enumerate(path.read_text().splitlines(), 1) if len(line) > 120]
    assert not long, f"lines of more than 120 characters: {long}"


def test_verilator_lint(top):
    program, environment = verilated.verilator()
    command = [program, "--lint-only", "-Wall", f"-I{verilated.RTL}", str(verilated.RTL / "lint.vlt"), top]
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


def test_slang_accepts(top):
    """A front end that forgives nothing: use before declaration, nets that no one declared, words that are cut."""
    assert slang("--std=1364-2005", f"--top={wrapper.NAME}", top, *without("spikeline_stream"))


STREAM = without("spikeline", *MEMORY)
ALONE = [path for path in VERILOG if Path(path).stem in (*MEMORY, "spk_fifo")]


@pytest.mark.parametrize(
    ("top", "override", "modules"),
    [
        ("spk_memory", "ADDRESS_BITS=32", ALONE),
        ("spk_memory", "ADDRESS_BITS=40", ALONE),
        ("spikeline_stream", "CONTINUOUS=1", STREAM),
        ("spikeline_stream", "DIRECT=1", STREAM),
    ],
)
def test_what_can_be_used_by_itself(top, override, modules, tmp_path):
    """The AXI4 master, whose widest address no geometry has, and the accelerator for streams."""
    program, environment = verilated.verilator()
    lint = [program, "--lint-only", "-Wall", f"-I{verilated.RTL}", f"-G{override}", str(verilated.RTL / "lint.vlt")]
    icarus = [tool("iverilog"), "-g2005", "-Wall", f"-I{verilated.RTL}", "-s", top, f"-P{top}.{override}"]
    for command in ([*lint, str(verilated.RTL / f"{top}.v")], [*icarus, "-o", str(tmp_path / "out"), *modules]):
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert (result.returncode, result.stderr) == (0, "")
    assert slang("--std=1364-2005", f"--top={top}", f"-G{override}", *modules)


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


def test_icarus_elaborates(top, tmp_path):
    command = [
        tool("iverilog"),
        "-g2005",
        "-Wall",
        f"-I{verilated.RTL}",
        "-s",
        wrapper.NAME,
        "-o",
        str(tmp_path / "out"),
        top,
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
@pytest.mark.parametrize("geometry", SMALL, indirect=True)
def test_yosys_elaborates_and_checks(geometry, tmp_path):
    tools.yosys(tmp_path, [*tools.design("spikeline", verilated.parameters(geometry)), "proc", "check -assert"])


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
