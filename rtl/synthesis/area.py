"""Map geometries to their devices with Yosys and write what each needs as JSON.

python -m spikeline_rtl.synthesis.area [GEOMETRY ...] [--out build/area/report.json]
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.errors import DeviceError
from spikeline.measure.evaluate import commit
from spikeline.model.geometry import Geometry
from spikeline_rtl.synthesis.tools import synthesise, tool, version, write_report

GEOMETRIES = ["tiny", "z020-256", "z020-512", "z020-1024", "z020-256-direct", "tiny-conv", "z020-conv", "zu3-256", "k26-256"]


@dataclass(frozen=True)
class Device:
    """What a device has, and how Yosys calls its family."""

    family: str
    lut: int
    ff: int
    ramb36: int
    dsp: int
    uram: int = 0

    @property
    def synth(self) -> str:
        """Yosys' command. Memories are put into UltraRAM only where the Verilog says so."""
        return f"synth_xilinx -family {self.family} -flatten -noiopad -noclkbuf{' -uram' if self.uram else ''}"


DEVICES = {  # DS190; DS891 and DS987
    "XC7Z020": Device("xc7", lut=53_200, ff=106_400, ramb36=140, dsp=220),
    "XCZU3EG": Device("xcup", lut=70_560, ff=141_120, ramb36=216, dsp=360),
    "XCK26": Device("xcup", lut=117_120, ff=234_240, ramb36=144, dsp=1_248, uram=64),
    "XCZU7EV": Device("xcup", lut=230_400, ff=460_800, ramb36=312, dsp=1_728, uram=96),
}

LUTS = ["INV", *(f"LUT{n}" for n in range(1, 7))]  # an inverter that Yosys leaves is a LUT of its own
LUTRAM = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32X1S": 1, "RAM64X1S": 1}
LUTRAM |= {"RAM32M16": 8, "RAM64M8": 8}
SRL = ["SRL16E", "SRLC16E", "SRLC32E"]
FF = ["FDRE", "FDSE", "FDCE", "FDPE"]
RAMB36, RAMB18, DSP, URAM = ["RAMB36E1", "RAMB36E2"], ["RAMB18E1", "RAMB18E2"], ["DSP48E1", "DSP48E2"], ["URAM288"]
CARRY = ["CARRY4"]  # Yosys' own for UltraScale+ too, whose CARRY8 is two
FREE = ["MUXF7", "MUXF8", "MUXF9"]  # come with the LUTs that they join
SHARES = {"lut": "lut", "lut_paired": "lut_paired", "ff": "ff", "ramb36": "bram", "dsp": "dsp", "uram": "uram"}


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


def resources(cells: dict[str, int], device: Device) -> dict[str, Any]:
    """The resources that Yosys' cells take, and their shares of `device`. Raises ValueError for a cell that it does not have."""
    known = {*LUTS, *LUTRAM, *SRL, *FF, *RAMB36, *RAMB18, *DSP, *CARRY, *FREE, *(URAM if device.uram else [])}
    if unknown := set(cells) - known:
        raise ValueError(f"no count for cells of type {', '.join(sorted(unknown))}")
    lutram = sum(count * cells.get(name, 0) for name, count in LUTRAM.items())
    srl = total(cells, SRL)
    used: dict[str, Any] = {
        "lut": total(cells, LUTS) + lutram + srl,
        "lut_paired": paired_luts(cells) + lutram + srl,
        "lutram": lutram,
        "srl": srl,
        "ff": total(cells, FF),
        "ramb36": total(cells, RAMB36) + total(cells, RAMB18) / 2,
        "dsp": total(cells, DSP),
        "carry4": total(cells, CARRY),
    }
    if device.uram:
        used["uram"] = total(cells, URAM)
    has = {"lut_paired": device.lut, **vars(device)}
    return used | {f"{share}_share": round(used[name] / has[name], 4) for name, share in SHARES.items() if name in used}


def by_module(modules: dict[str, dict[str, int]], device: Device) -> dict[str, dict[str, float]]:
    """Resources of all instances of each module, each mapped by itself and without those in it; most LUTs first.

    Their sum is some percent more than the whole, which is mapped flat but for the slices and what decides their neurons.
    """
    names = ("lut", "ff", "ramb36", "dsp")
    found = {name: {kind: resources(cells, device)[kind] for kind in names} for name, cells in modules.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]["lut"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("geometry", nargs="*", default=GEOMETRIES, help=f"name or JSON file (default: {', '.join(GEOMETRIES)})")
    parser.add_argument("--out", type=file_to_write, default="build/area/report.json", metavar="FILE", help="(%(default)s)")
    args = parser.parse_args()

    for name in args.geometry:
        geometry = Geometry.load(name)
        if geometry.device not in DEVICES:
            raise DeviceError(f"{name} is for the device {geometry.device}; there are {', '.join(DEVICES)}")
        device = DEVICES[geometry.device]
        source = commit()  # of the Verilog that Yosys reads now
        folder = args.out.parent / geometry.name
        cells, _, seconds = synthesise(geometry, device.synth, folder)
        _, modules, more = synthesise(geometry, device.synth, folder / "modules", keep="*spk_*")
        entry = {
            "geometry": geometry.name,
            "device": geometry.device,
            **resources(cells, device),
            "counted": "lut: every LUT1-6 and inverter takes a LUT6; lut_paired: small LUTs share one where sizes allow",
            "cells": dict(sorted(cells.items())),
            "modules": by_module(modules, device),
            "tool": version(tool("yosys")),
            "commit": source,
            "seconds": round(seconds + more),
        }
        write_report(args.out, entry)
        print(json.dumps({k: v for k, v in entry.items() if k not in ("cells", "modules")}), flush=True)


if __name__ == "__main__":
    sys.exit(status("area", main))
