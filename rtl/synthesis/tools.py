"""The open tools behind area, clock, power and proofs: find them, run them, and give Yosys what it reads in one folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spikeline.errors import SpikelineError
from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # programs of the Python environment first


class ToolError(SpikelineError):
    """A tool is missing or failed. The message says how to install it, or which log to read."""


def tool(name: str) -> str:
    """The program that $YOSYS or $NEXTPNR_ECP5 names, else the pinned PyPI build, else a native one. Raises ToolError."""
    chosen = os.environ.get(name.upper().replace("-", "_"))
    found = chosen or shutil.which(f"yowasp-{name}", path=PATH) or shutil.which(name, path=PATH)
    if found is None:
        raise ToolError(f"{name} is missing; run `pip install yowasp-{name}`")
    return found


def version(program: str) -> str:
    """One line, such as `Yosys 0.70 (git sha1 28ba3cb92)`."""
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    line = (result.stdout + result.stderr).splitlines()[0]
    return re.sub(r", (Release|Debug|Clang|clang|g\+\+|gcc).*\)", ")", line.replace('"', ""))


def run(command: list[str], log: Path) -> float:
    """Run `command` in the folder of `log`, its output; return the seconds it took. Raises ToolError that names the log.

    Files are best named relative to that folder: the PyPI builds have a /tmp of their own.
    """
    begin = time.monotonic()
    with open(log, "w") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent).returncode
    if status:
        raise ToolError(f"{Path(command[0]).name} failed; see {log}")
    return time.monotonic() - begin


def design(top: str, parameters: Mapping[str, object], modules: Iterable[str] | None = None) -> list[str]:
    """Commands of Yosys that read modules, by default all of rtl/, and elaborate `top` with these parameters."""
    names = list(modules or (path.stem for path in verilated.sources() if path.suffix == ".v"))
    chosen = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    return [
        f"read_verilog -I. {' '.join(f'{name}.v' for name in names)}",
        *([f"chparam {chosen} {top}"] if chosen else []),
        f"hierarchy -check -top {top}",
    ]


def yosys(folder: Path, commands: Iterable[str], sources: Iterable[Path] | None = None) -> float:
    """Run commands of Yosys in `folder`, which takes `sources`, by default all of rtl/; return the seconds it took.

    All that Yosys reads lies side by side there, because its PyPI build sees no other folder in /tmp. Leaves script.ys and
    yosys.log. Raises ToolError that names the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in verilated.sources() if sources is None else sources:
        shutil.copy(path, folder)
    (folder / "script.ys").write_text("\n".join(commands) + "\n")
    return run([tool("yosys"), "-q", "-s", "script.ys"], folder / "yosys.log")


Cells = dict[str, int]  # how many of each type
KEEP = "*spk_slice* *spk_fire* *spk_bank* *spk_convolve*"  # modules that are mapped by themselves


def synthesise(
    geometry: Geometry, synth: str, folder: Path, then: Iterable[str] = (), keep: str = KEEP
) -> tuple[Cells, dict[str, Cells], float]:
    """Run Yosys' `synth`, and `then`, on a geometry; return its cells, those of each kept module, and the seconds it took.

    Files go to `folder`. Modules of `keep` are mapped by themselves, by default those that a geometry has many of, all
    alike, and the rest is flattened around them: faster than all flat, and smaller, because flat Yosys orders the operands of
    an adder by name and half of the time in the way that costs a LUT more.
    """
    commands = [
        *design("spikeline", verilated.parameters(geometry)),
        f"setattr -mod -set keep_hierarchy 1 {keep}",
        f"{synth} -top spikeline",
        "tee -q -o stat.json stat -json",
        *then,
    ]
    seconds = yosys(folder, commands)
    stat = json.loads((folder / "stat.json").read_text())
    return _primitives(stat["design"]["num_cells_by_type"]), _by_module(stat["modules"]), seconds


def _primitives(cells: Cells) -> Cells:
    """Without modules and notes."""
    return {name: count for name, count in cells.items() if not name.startswith(("$", "spk_"))}


def _by_module(modules: dict[str, Any]) -> dict[str, Cells]:
    """Cells of all instances of each module of rtl/, without those of the modules in it, from Yosys' statistics."""
    cells: dict[str, Cells] = {name.removeprefix("\\"): module["num_cells_by_type"] for name, module in modules.items()}
    instances: Counter[str] = Counter()

    def visit(name: str, count: int) -> None:
        instances[name] += count
        for inside, of_it in cells[name].items():
            if inside.removeprefix("\\") in cells:
                visit(inside.removeprefix("\\"), count * of_it)

    visit("spikeline", 1)
    found: dict[str, Counter[str]] = {}
    for name, count in instances.items():
        module = re.search(r"spikeline|spk_\w+", name)
        assert module is not None
        total = found.setdefault(module[0], Counter())
        for primitive, of_it in _primitives(cells[name]).items():
            total[primitive] += count * of_it
    return {name: dict(total) for name, total in found.items()}


def write_report(path: Path, entry: dict[str, Any]) -> None:
    """Put `entry` into the report, in place of the one of the same geometry; so a run that is cut short loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = json.loads(path.read_text()) if path.exists() else []
    entries = [e for e in entries if e["geometry"] != entry["geometry"]] + [entry]
    path.write_text(json.dumps(entries, indent=2) + "\n")
