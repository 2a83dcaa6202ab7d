"""Place and route a geometry with nextpnr on an ECP5, an open device, and write its clock and critical path as JSON.

The ECP5 stands in for the XC7Z020, which no open tool times: what it shows is which path is longest, and how it moves from
one version of the Verilog to the next, not the clock of a board.

    python -m spikeline_rtl.synthesis.timing [GEOMETRY ...] [--out build/timing/report.json]
"""

import argparse
import json
import re
import sys
from typing import Any

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.measure.evaluate import commit
from spikeline.model.geometry import Geometry
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
    parser.add_argument("--out", type=file_to_write, default="build/timing/report.json", metavar="FILE", help="(%(default)s)")
    args = parser.parse_args()

    for name in args.geometry:
        geometry = Geometry.load(name)
        source = commit()  # of the Verilog that Yosys reads now
        folder = args.out.parent / geometry.name
        _, _, synthesis_seconds = synthesise(geometry, "synth_ecp5", folder, ["write_json netlist.json"])
        command = [tool("nextpnr-ecp5"), "-q", *DEVICE, "--json", "netlist.json", "--report", "nextpnr.json"]
        command += ["--lpf-allow-unconstrained", "--timing-allow-fail", "--freq", f"{geometry.clock_mhz:g}", "--seed", args.seed]
        seconds = run(command, folder / "nextpnr.log")
        report = json.loads((folder / "nextpnr.json").read_text())
        (clock,) = report["fmax"].values()
        entry = {
            "geometry": geometry.name,
            "device": DEVICE_NAME,
            "mhz": round(clock["achieved"], 2),
            "critical_path": critical_path(report),
            "utilization": {k: v for k, v in report["utilization"].items() if v["used"]},
            "seed": int(args.seed),
            "tools": [version(tool("yosys")), version(tool("nextpnr-ecp5"))],
            "commit": source,
            "seconds": round(synthesis_seconds + seconds),
        }
        write_report(args.out, entry)
        print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    sys.exit(status("timing", main))
