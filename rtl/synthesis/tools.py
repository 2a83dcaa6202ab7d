"""What area.py and timing.py share: the Yosys script of a geometry, the open tools, and the report files."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated

Cells = dict[str, int]


def tool(name: str) -> str:
    """The program that $YOSYS or $NEXTPNR_ECP5 names, else the pinned PyPI build, else a native one."""
    chosen = os.environ.get(name.upper().replace("-", "_"))
    found = chosen or shutil.which(f"yowasp-{name}", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    found = found or shutil.which(name)
    if found is None:
        sys.exit(f"{name} is missing; run `pip install yowasp-{name}`")
    return found


def version(program: str) -> str:
    """One line, such as `Yosys 0.70 (git sha1 28ba3cb92)`."""
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    line = (result.stdout + result.stderr).splitlines()[0]
    return re.sub(r", (Release|Debug|Clang|clang|g\+\+|gcc).*\)", ")", line.replace('"', ""))


def run(command: list[str], log: Path) -> float:
    """Run `command` in the folder of `log`, its output; return the seconds it took. Exits with the log's name if it fails.

    Files are best named relative to that folder: the PyPI builds have a /tmp of their own.
    """
    begin = time.monotonic()
    with open(log, "w") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent).returncode
    if status:
        sys.exit(f"{Path(command[0]).name} failed; see {log}")
    return time.monotonic() - begin


def synthesise(geometry: Geometry, synth: str, folder: Path, then: str = "") -> tuple[Cells, float]:
    """Run Yosys' `synth`, and `then`, on a geometry; return its cells by type and the seconds it took. Files go to `folder`.

    The slices, all alike, are mapped once and the rest is flattened around them: faster than all flat, and smaller,
    because flat Yosys orders the operands of an adder by name and half of the time in the way that costs a LUT more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rtl = os.path.relpath(verilated.RTL, folder)
    verilog = " ".join(f"{rtl}/{p.name}" for p in verilated.sources() if p.suffix == ".v")
    parameters = " ".join(f"-set {name} {value}" for name, value in verilated.parameters(geometry).items())
    (folder / "synth.ys").write_text(
        f"read_verilog -I{rtl} {verilog}\n"
        f"chparam {parameters} spikeline\n"
        "hierarchy -check -top spikeline\n"
        "setattr -mod -set keep_hierarchy 1 *spk_slice*\n"
        f"{synth} -top spikeline\n"
        "tee -q -o stat.json stat -json\n"
        f"{then}\n"
    )
    seconds = run([tool("yosys"), "-q", "-s", "synth.ys"], folder / "yosys.log")
    cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    return {name: count for name, count in cells.items() if not name.startswith("$")}, seconds  # without modules and notes


def total(cells: Cells, names: Iterable[str]) -> int:
    """How many cells are of one of these types."""
    return sum(cells.get(name, 0) for name in names)


def write_report(path: Path, entry: dict[str, Any]) -> None:
    """Put `entry` into the report, in place of the one of the same geometry; so a run that is cut short loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = json.loads(path.read_text()) if path.exists() else []
    entries = [e for e in entries if e["geometry"] != entry["geometry"]] + [entry]
    path.write_text(json.dumps(entries, indent=2) + "\n")
