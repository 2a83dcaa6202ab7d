"""Two views of a geometry's clock, as JSON: placed and routed on an ECP5, and estimated for the XC7Z020 from its netlist.

No open tool places and times the XC7Z020. nextpnr on an ECP5, an open device, stands in for it: what that shows is which path
is longest, and how it moves from one version of the Verilog to the next, not the clock of a board. `netlist_timing.py` estimates
the longest paths of the netlist for the XC7Z020 itself.

    python -m spikeline_rtl.synthesis.timing [GEOMETRY ...] [--only stand-in|estimate] [--out build/timing/report.json]
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.measure.evaluate import commit
from spikeline.model.geometry import Geometry
from spikeline_rtl.synthesis import area, netlist_timing
from spikeline_rtl.synthesis.tools import run, synthesise, tool, version, write_report

GEOMETRIES = ["tiny"]  # has every structure of the others; those take far longer
DEVICE = ["--85k", "--package", "CABGA756", "--speed", "6"]
DEVICE_NAME = "Lattice LFE5U-85F, slowest speed grade: an open stand-in, not the XC7Z020"
CELL = re.compile(r"_(?:LUT4|PFUMX|L6MUX21|CCU2C|TRELLIS_FF|TRELLIS_DPR16X4|DP16KD|MULT18X18D)(?:_.*)?$|\$.*$|(?:\.\d+)+$")


def signal(name: str) -> str:
    """The signal of the Verilog that Yosys named a cell or net after: `a.b_reg_LUT4_A_Z[3]` is `a.b_reg`."""
    return re.sub(r"\[\d+\]$", "", re.sub(CELL, "", name))


def critical_path(report: dict[str, Any]) -> dict[str, Any]:
    """The longest path from register to register in a nextpnr report, in terms of the Verilog."""
    paths = [p["path"] for p in report["critical_paths"] if p["from"].startswith("posedge") and p["to"].startswith("posedge")]
    path = max(paths, key=lambda hops: sum(hop["delay"] for hop in hops))
    logic = [hop for hop in path if hop["type"] == "logic"]
    carry = [hop for hop in logic if hop["to"]["port"] == "FCO"]
    nets = [signal(hop["net"]) for hop in path if hop["type"] == "routing" and hop["to"]["port"] != "FCI"]
    delays = {kind: sum(hop["delay"] for hop in path if hop["type"] == kind) for kind in ("logic", "routing")}
    return {
        "start": signal(path[0]["from"]["cell"]),
        "end": f"{signal(path[-1]['to']['cell'])}.{path[-1]['to']['port']}",
        "through": [net for n, net in enumerate(nets) if n == 0 or net != nets[n - 1]],
        "levels": len(logic) - len(carry),
        "carry_bits": len(carry),
        "delay_ns": round(sum(hop["delay"] for hop in path), 2),
        "routing_ns": round(delays["routing"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("geometry", nargs="*", default=GEOMETRIES, help=f"name or JSON file (default: {', '.join(GEOMETRIES)})")
    parser.add_argument("--seed", default="1", help="of the placer")
    parser.add_argument("--only", choices=("stand-in", "estimate"), help="of the two views (default: both)")
    parser.add_argument("--out", type=file_to_write, default="build/timing/report.json", metavar="FILE", help="(%(default)s)")
    args = parser.parse_args()

    for name in args.geometry:
        geometry = Geometry.load(name)
        entry: dict[str, Any] = {"geometry": geometry.name, "commit": commit()}  # of the Verilog that Yosys reads now
        folder = args.out.parent / geometry.name
        if args.only != "estimate":
            entry |= stand_in(geometry, folder, args.seed)
        if args.only != "stand-in":
            entry["estimate"] = estimate(geometry, folder / "xc7")
        write_report(args.out, entry)
        print(json.dumps(entry), flush=True)


def stand_in(geometry: Geometry, folder: Path, seed: str) -> dict[str, Any]:
    """Place and route on the ECP5: its clock, critical path and utilisation."""
    _, _, synthesis_seconds = synthesise(geometry, "synth_ecp5", folder, ["write_json netlist.json"])
    command = [tool("nextpnr-ecp5"), "-q", *DEVICE, "--json", "netlist.json", "--report", "nextpnr.json"]
    command += ["--lpf-allow-unconstrained", "--timing-allow-fail", "--freq", f"{geometry.clock_mhz:g}", "--seed", seed]
    seconds = run(command, folder / "nextpnr.log")
    report = json.loads((folder / "nextpnr.json").read_text())
    (clock,) = report["fmax"].values()
    return {
        "device": DEVICE_NAME,
        "mhz": round(clock["achieved"], 2),
        "critical_path": critical_path(report),
        "utilization": {k: v for k, v in report["utilization"].items() if v["used"]},
        "seed": int(seed),
        "tools": [version(tool("yosys")), version(tool("nextpnr-ecp5"))],
        "seconds": round(synthesis_seconds + seconds),
    }


def estimate(geometry: Geometry, folder: Path) -> dict[str, Any]:
    """The ten longest paths of the XC7Z020's netlist, and the period that the longest would allow."""
    flat = ["setattr -mod -unset keep_hierarchy *", "flatten", "opt_clean -purge", "write_json netlist.json"]
    synthesise(geometry, area.DEVICES[geometry.device].synth, folder, flat)
    paths = netlist_timing.longest_paths(json.loads((folder / "netlist.json").read_text())["modules"]["spikeline"])
    return {
        "device": netlist_timing.DEVICE,
        "wire": netlist_timing.WIRE,
        "period_ns": paths[0]["delay_ns"],
        "paths": paths,
        "tool": version(tool("yosys")),
    }


if __name__ == "__main__":
    sys.exit(status("timing", main))
