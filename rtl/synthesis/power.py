"""Power of one layer core's logic in a standard-cell library that you name: Yosys maps it, OpenSTA adds up.

python -m spikeline_rtl.synthesis.power --liberty FILE [--geometry tiny] [--layer 0] [--model MODEL.img --images 20]
    [--out build/power]

The Verilog is mapped to the library's gates with its memories, weights and queue, cut out: `spikeline energy` prices those.
A model is run on the Verilated accelerator; how often each register then toggled is what OpenSTA is told. Without a model it
assumes its own default activity. OpenSTA (`sta`, or what $STA names) is optional: without it the mapping alone is reported.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from spikeline.cli.arguments import folder_to_write
from spikeline.cli.status import status
from spikeline.energy import saif
from spikeline.errors import DataError
from spikeline.measure.evaluate import commit
from spikeline.model.geometry import Geometry
from spikeline_rtl.boards import activity
from spikeline_rtl.synthesis.tools import ToolError, design, run, tool, version, yosys

MODULES = ("spk_layer", "spk_scan", "spk_slice", "spk_fire", "spk_decide", "spk_ram", "spk_fifo")
TOTAL = re.compile(r"^Total\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", re.MULTILINE)  # internal, switching, leakage, all; W


def parameters(geometry: Geometry, k: int) -> dict[str, int]:
    """Of spk_layer, as spk_core.v builds layer k."""
    room = geometry.layers[k]
    return {
        "INPUTS": room.inputs,
        "NEURONS": room.neurons,
        "PARALLEL": room.spikes_per_cycle,
        "WEIGHT_BITS": geometry.weight_bits,
        "MEMBRANE_BITS": geometry.membrane_bits,
        "CLASSES": geometry.classes,
        "CONTINUOUS": int(geometry.continuous),
        "MAX_LEAK": geometry.max_leak,
        "DIRECT": int(geometry.direct and k == 0),
        "GROUP": geometry.group,
    }


def commands(geometry: Geometry, k: int) -> list[str]:
    """For Yosys, run in a folder that holds the Verilog and `library.lib`. What the memories show becomes inputs."""
    return [
        "read_liberty -lib library.lib",
        *design("spk_layer", parameters(geometry, k), MODULES),
        "proc",
        "flatten -noscopeinfo",
        "opt_clean",
        "memory -nomap",
        "submod -name memories t:$mem_v2",
        "blackbox memories",
        "expose -evert t:memories",
        "synth -top spk_layer -noabc",
        "dfflibmap -liberty library.lib",
        "abc -liberty library.lib",
        "opt_clean",
        "rename -enumerate",
        "tee -q -o stat.json stat -json -liberty library.lib",
        "write_json netlist.json",
        "write_verilog -noattr netlist.v",
    ]


def synthesise(geometry: Geometry, k: int, liberty: Path, folder: Path) -> dict[str, Any]:
    """Map layer k; the module spk_layer of Yosys' JSON netlist. Leaves netlist.v, netlist.json, stat.json in `folder`."""
    for name in ("netlist.json", "netlist.v", "stat.json"):
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(liberty, folder / "library.lib")
    yosys(folder, commands(geometry, k))
    module: dict[str, Any] = json.loads((folder / "netlist.json").read_text())["modules"]["spk_layer"]
    return module


def record(geometry: Geometry, path: Path, images: int) -> saif.Saif:
    """Switching activity of a model's first test images, sent as one batch of pixels. Raises DataError, ModelError."""
    model, given = activity.test_images(path, images)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "activity.saif"
        activity.simulate(geometry, model, given.pixels, file)
        return saif.read(file)


def registers(module: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Flip-flops of a mapped layer by the register, in the Verilog's hierarchy, whose bits they are: cells and output pins."""
    names = {}  # a bit has as many names as there are wires that it passes
    for name, net in module["netnames"].items():
        if name.endswith(("_reg", ".a_rdata", ".b_rdata")):
            names |= dict.fromkeys(net["bits"], name.replace(".", "/"))
    found: dict[str, list[tuple[str, str]]] = {}
    for cell, what in module["cells"].items():
        for pin, (bit,) in what["connections"].items():
            if what["port_directions"][pin] == "output" and bit in names:
                found.setdefault(names[bit], []).append((cell, pin))
    return found


def tcl(module: dict[str, Any], k: int, clock_mhz: float, toggled: saif.Saif | None) -> tuple[str, int]:
    """For OpenSTA: what to read, the clock, the measured activity of every register; and how many flip-flops have it."""
    lines = [
        "read_liberty library.lib",
        "read_verilog netlist.v",
        "link_design spk_layer",
        f"create_clock -name aclk -period {1e3 / clock_mhz:g} [get_ports aclk]",
    ]
    told = 0
    if toggled is not None:
        words = [net for path, net in toggled.nets.items() if path.startswith(f"core/layer[{k}]/") and path.endswith("_word_reg")]
        for name, bits in module["ports"].items():
            if name.startswith("memories.") and bits["direction"] == "input":
                total = saif.Net(*(sum(n) for n in zip(*((w.bits, w.high, w.toggles) for w in words), strict=True)))
                lines.append(f"set_power_activity -input_ports [get_ports {{{name}*}}] {_activity(total, toggled)}")
        for name, cells in sorted(registers(module).items()):
            net = toggled.nets.get(f"core/layer[{k}]/core/{name}")
            if net is not None:
                told += len(cells)
                pins = " ".join(f"{cell}/{pin}" for cell, pin in cells)
                lines.append(f"set_power_activity -pins [get_pins {{{pins}}}] {_activity(net, toggled)}")
    lines += ["report_power -digits 8", "exit", ""]
    return "\n".join(lines), told


def _activity(net: saif.Net, toggled: saif.Saif) -> str:
    """Of the mean bit: transitions a clock cycle, share of time high."""
    return f"-activity {net.toggles / net.bits / toggled.cycles:.6f} -duty {net.high / net.bits / toggled.duration:.6f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--liberty", type=Path, required=True, metavar="FILE", help="standard cells, with a flip-flop and a buffer"
    )
    parser.add_argument("--geometry", default="tiny", metavar="NAME", help="sizes to build, or a .json (%(default)s)")
    parser.add_argument("--layer", type=int, default=0, metavar="N", help="of its layers (%(default)s)")
    parser.add_argument("--model", type=Path, metavar="IMAGE", help="whose activity to take; it must fit the geometry")
    parser.add_argument("--images", type=int, default=20, metavar="N", help="the first N test images of MNIST (%(default)s)")
    parser.add_argument("--clock", type=float, metavar="MHZ", help="(that of the geometry)")
    parser.add_argument("--out", type=folder_to_write, default="build/power", metavar="DIR", help="(%(default)s)")
    args = parser.parse_args()

    if not args.liberty.is_file():
        text = f"no Liberty file {args.liberty}; name a library of standard cells, such as FreePDK45's (docs/energy.md)"
        raise DataError(text)
    geometry = Geometry.load(args.geometry)
    if not 0 <= args.layer < len(geometry.layers):
        raise DataError(f"--layer {args.layer}: {geometry.name} has layers 0 to {len(geometry.layers) - 1}")
    toggled = record(geometry, args.model, args.images) if args.model else None
    folder, clock = args.out / f"{geometry.name}-layer-{args.layer}", args.clock or geometry.clock_mhz
    module = synthesise(geometry, args.layer, args.liberty, folder)
    stat = json.loads((folder / "stat.json").read_text())["design"]
    script, told = tcl(module, args.layer, clock, toggled)
    (folder / "power.tcl").write_text(script)
    flip_flops = sum(map(len, registers(module).values()))
    report: dict[str, Any] = {
        "estimate": "pre-silicon estimate, before place and route, without memories; not a measurement",
        "geometry": geometry.name,
        "layer": args.layer,
        "liberty": args.liberty.name,
        "clock_mhz": clock,
        "cells": stat["num_cells"],
        "area": stat.get("area"),
        "flip_flops": flip_flops,
        "flip_flops_with_activity": told,
        "images": args.images if toggled else 0,
        "tool": version(tool("yosys")),
        "commit": commit(),
    }
    sta = os.environ.get("STA") or shutil.which("sta")
    if sta is None:
        print("OpenSTA is missing, so power is not estimated: install `sta` (github.com/parallaxsw/OpenSTA) or name it with $STA")
    else:
        log = folder / "sta.log"
        run([sta, "-no_splash", "-exit", "power.tcl"], log)
        match = TOTAL.search(log.read_text())
        if match is None:
            raise ToolError(f"OpenSTA reported no total power; see {log}")
        report |= dict(zip(("internal_w", "switching_w", "leakage_w", "power_w"), map(float, match.groups()), strict=True))
        if toggled is not None:
            report["nj_per_image"] = report["power_w"] * toggled.cycles / clock / args.images * 1e3  # W · µs = µJ
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    sys.exit(status("power", main))
