"""Build the bitstream of a board with Vivado, and write what it uses, how fast it is and what power it is estimated to take.

python -m spikeline_rtl.boards.bit BOARD [--geometry NAME] [--out FOLDER] [--saif FILE]

FOLDER takes spikeline.bit and spikeline.hwh, both or none, and then utilization.json, timing.json and power.json; FOLDER/vivado
the project, the reports and the log. A figure that cannot be read from a report is null, and a warning. $VIVADO is the command
to run, if it is not the `vivado` of the PATH.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from spikeline.cli.arguments import folder_to_write
from spikeline.cli.status import status
from spikeline.files import atomic
from spikeline.measure.evaluate import commit
from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated, wrapper
from spikeline_rtl.boards import activity, reports
from spikeline_rtl.boards.board import FOLDER, Board, names

DELIVERED = ("spikeline.hwh", "spikeline.bit")
RESULTS = ("utilization.json", "timing.json", "power.json", *DELIVERED)


def vivado() -> list[str]:
    """The command, as words. Exits if there is none."""
    name, *words = shlex.split(os.environ.get("VIVADO") or "vivado")
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} is missing; install Vivado 2022.1 or newer and run `source …/settings64.sh` of its folder")
    return [os.path.abspath(found), *words]


def prepare(board: Board, geometry: Geometry, work: Path) -> None:
    """Write what the Tcl reads into `work`: what the board is, and the wrapper."""
    (work / "board.tcl").write_text(board.tcl(geometry))
    (work / f"{wrapper.NAME}.v").write_text(verilated.top(geometry, board.processor.address_bits))


def run(work: Path, saif: Path | None) -> None:
    """Run the Tcl in the folder `work`, which is prepared. Exits, with what the log says, if no bitstream comes of it."""
    log = work / "vivado.log"
    command = [*vivado(), "-mode", "batch", "-nojournal", "-log", str(log), "-source", str(FOLDER / "build.tcl")]
    command += ["-tclargs", str(work), *([str(saif)] if saif else [])]
    status = subprocess.run(command, cwd=work).returncode
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if not all((work / name).is_file() for name in DELIVERED):
        sys.exit("\n".join([*(line for line in lines if line.startswith("ERROR")), f"Vivado failed; see {log}"]))
    for line in lines:
        if line.startswith("WARNING: spikeline: "):
            reports.tell(line.removeprefix("WARNING: spikeline: "))
    if status:
        reports.tell(f"Vivado ended with status {status} after the bitstream was written; see {log}")


def figures(work: Path, saif: Path | None) -> dict[str, dict[str, Any]]:
    """What the reports in `work` say, by the name of the JSON file; what they do not is null, and a warning."""
    found, tool, part = {}, None, None
    for name, read in {"timing": reports.timing, "power": reports.power, "utilization": reports.utilization}.items():
        path = work / f"{name}.rpt"
        try:
            text = path.read_text(errors="replace")
        except OSError as error:
            text = ""
            reports.tell(f"{path} cannot be read: {error.strerror}")

        def doubt(what: str, path: Path = path) -> None:
            reports.tell(f"{path}: {what}")

        found[f"{name}.json"] = read(text, doubt if text else lambda what: None)
        head = reports.header(text)
        tool, part = tool or head.get("Tool Version"), head.get("Device") or part
    tool = tool and " ".join(tool.split()[:2])
    found["power.json"] |= {"activity": str(saif or "vectorless"), "source": f"Vivado report_power, {tool or 'unknown version'}"}
    return {name: entry | {"part": part, "tool": tool} for name, entry in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board", help=f"one of {', '.join(names())}")
    parser.add_argument("--geometry", metavar="NAME", help="sizes to build, or a .json (default: the board's)")
    parser.add_argument("--out", type=folder_to_write, metavar="FOLDER", help="default: build/bit/BOARD")
    parser.add_argument("--saif", type=Path, metavar="FILE", help="activity for the power estimate, from activity.py")
    args = parser.parse_args()

    board = Board.load(args.board)
    geometry = Geometry.load(args.geometry or board.geometry)
    saif = args.saif and args.saif.resolve()
    if saif and not saif.is_file():
        sys.exit(f"{saif} is missing; `python -m spikeline_rtl.boards.activity` makes it")
    if saif and not activity.placed(saif):
        sys.exit(
            f"{saif} has no {'/'.join(activity.INSTANCES)} with the names of the netlist; "
            "make it with `python -m spikeline_rtl.boards.activity`"
        )
    vivado()

    out = (args.out or Path("build/bit") / board.name).resolve()
    for name in RESULTS:  # of an earlier build
        (out / name).unlink(missing_ok=True)
    work = out / "vivado"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    prepare(board, geometry, work)
    source = commit()  # of the Verilog that Vivado reads now

    run(work, saif)
    build = {"board": board.name, "geometry": geometry.name, "commit": source}
    for name in DELIVERED:
        os.replace(work / name, out / name)
    for name, entry in figures(work, saif).items():
        with atomic(out / name) as path:
            path.write_text(json.dumps(entry | build, indent=2) + "\n")
    print(f"{out / 'spikeline.bit'} with spikeline.hwh and its figures beside it")


if __name__ == "__main__":
    sys.exit(status("bit", main))
