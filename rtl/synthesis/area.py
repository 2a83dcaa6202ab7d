"""Map geometries to the XC7Z020 with Yosys and write what each needs as JSON.

python -m spikeline_rtl.synthesis.area [GEOMETRY ...] [--out build/area/report.json]
"""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.measure.evaluate import commit
from spikeline.model.geometry import Geometry
from spikeline_rtl.synthesis.tools import synthesise, tool, version, write_report

SYNTH = "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf"
GEOMETRIES = ["tiny", "z020-256", "z020-512", "z020-1024", "z020-256-direct"]
XC7Z020 = {"lut": 53_200, "ff": 106_400, "ramb36": 140, "dsp": 220}

LUTS = ["INV", *(f"LUT{n}" for n in range(1, 7))]  # an inverter that Yosys leaves is a LUT of its own
LUTRAM = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32X1S": 1, "RAM64X1S": 1}
SRL = ["SRL16E", "SRLC16E", "SRLC32E"]
FF = ["FDRE", "FDSE", "FDCE", "FDPE"]
OTHER = ["RAMB36E1", "RAMB18E1", "DSP48E1", "CARRY4"]
FREE = ["MUXF7", "MUXF8"]  # come with the LUTs that they join


def total(cells: dict[str, int], names: Iterable[str]) -> int:
    """How many cells are of one of these types."""
    return sum(cells.get(name, 0) for name in names)


def paired_luts(cells: dict[str, int]) -> int:
    """Logic LUTs if each of three to five inputs took in a smaller one, five inputs in all: Yosys' estimate of logic cells.

    No placement is looked at, and pairs that share inputs are not: an estimate, not a bound.
    """
    one, two, three = (total(cells, names) for names in (["INV", "LUT1"], ["LUT2"], ["LUT3"]))
    four, five, six = (cells.get(f"LUT{n}", 0) for n in (4, 5, 6))
    one -= min(one, five)
    in_four = min(one, four)
    one -= in_four
    two -= min(two, four - in_four)
    return six + five + four + three + (max(one + two - three, 0) + 1) // 2


def resources(cells: dict[str, int]) -> dict[str, Any]:
    """The device's resources that Yosys' cells take, and their shares of an XC7Z020. Raises ValueError for an unknown cell."""
    if unknown := set(cells) - {*LUTS, *LUTRAM, *SRL, *FF, *OTHER, *FREE}:
        raise ValueError(f"no count for cells of type {', '.join(sorted(unknown))}")
    lutram = sum(count * cells.get(name, 0) for name, count in LUTRAM.items())
    srl = total(cells, SRL)
    used: dict[str, Any] = {
        "lut": total(cells, LUTS) + lutram + srl,
        "lut_paired": paired_luts(cells) + lutram + srl,
        "lutram": lutram,
        "srl": srl,
        "ff": total(cells, FF),
        "ramb36": cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) / 2,
        "dsp": cells.get("DSP48E1", 0),
        "carry4": cells.get("CARRY4", 0),
    }
    shares = {"lut": "lut", "lut_paired": "lut", "ff": "ff", "ramb36": "ramb36", "dsp": "dsp"}
    for name, kind in shares.items():
        used[f"{name.replace('ramb36', 'bram')}_share"] = round(used[name] / XC7Z020[kind], 4)
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("geometry", nargs="*", default=GEOMETRIES, help=f"name or JSON file (default: {', '.join(GEOMETRIES)})")
    parser.add_argument("--out", type=file_to_write, default="build/area/report.json", metavar="FILE", help="(%(default)s)")
    args = parser.parse_args()

    for name in args.geometry:
        geometry = Geometry.load(name)
        source = commit()  # of the Verilog that Yosys reads now
        cells, seconds = synthesise(geometry, SYNTH, args.out.parent / geometry.name)
        entry = {
            "geometry": geometry.name,
            "device": "XC7Z020",
            **resources(cells),
            "counted": "lut: every LUT1-6 and inverter takes a LUT6; lut_paired: small LUTs share one where sizes allow",
            "cells": dict(sorted(cells.items())),
            "tool": version(tool("yosys")),
            "commit": source,
            "seconds": round(seconds),
        }
        write_report(args.out, entry)
        print(json.dumps({k: v for k, v in entry.items() if k != "cells"}), flush=True)


if __name__ == "__main__":
    sys.exit(status("area", main))
