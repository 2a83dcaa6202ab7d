"""Record how often every signal of the accelerator toggles while it classifies images: a SAIF file for Vivado's power estimate.

python -m spikeline_rtl.boards.activity MODEL.img --out build/bit/activity.saif [--images 20] [--geometry z020-256]
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.data import samples
from spikeline.data.samples import Samples
from spikeline.device.driver import Driver
from spikeline.device.packets import Pixels
from spikeline.errors import DataError
from spikeline.files import atomic
from spikeline.model import model_file
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import Model
from spikeline.simulation import verilated, wrapper
from spikeline.simulation.verilated import SimDevice

# Where block_design.tcl and wrapper.py put the accelerator; implement.tcl strips the first name, which is that of the design.
INSTANCES = ("system_wrapper", "system_i", "spikeline_0", "inst", "accelerator")


def test_images(path: Path, count: int) -> tuple[Model, Samples]:
    """A model and the first `count` of its test images. Raises DataError for one that takes events, ModelError."""
    model = model_file.load(path)
    given = samples.of(model)
    if given.pixels is None:
        raise DataError(f"{path} takes events; name a network that takes pixels")
    return model, given.first(min(count, len(given)))


def simulate(geometry: Geometry, model: Model, pixels: np.ndarray, out: Path) -> tuple[int, np.ndarray]:
    """Classify images, uint8 (B, inputs), in one transfer, and write Verilator's activity; returns clock cycles and labels.

    Loading the network is left out: it is over before the work that the estimate is about. A signal that is high at the
    beginning counts one toggle more than it has.
    """
    geometry.require(model.network)
    device = SimDevice(geometry, saif=True)
    try:
        driver = Driver(device, geometry.name, geometry.clock_mhz)
        driver.load(model)
        begin = device.cycles
        device.activity(out)
        ((labels, _, _),) = driver.classify([Pixels(pixels)])
        device.activity(None)
        return device.cycles - begin, labels
    finally:
        device.close()


def record(geometry: Geometry, model: Model, pixels: np.ndarray, out: Path) -> tuple[int, np.ndarray]:
    """As `simulate`, and write the activity in the place of the board's design."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.saif"
        result = simulate(geometry, model, pixels, raw)
        with open(raw) as source, atomic(out) as path, open(path, "w") as target:
            target.writelines(place(source))
    return result


@dataclass
class Cell:
    """An instance of a module, with the signals of the generate blocks in it."""

    name: str
    module: str
    nets: list[str] = field(default_factory=list)  # lines
    cells: list["Cell"] = field(default_factory=list)

    def lines(self, indent: str) -> Iterator[str]:
        yield f"{indent}(INSTANCE {self.name}\n"
        yield from [f"{indent} (NET\n", *(f"{indent}  {net}\n" for net in self.nets), f"{indent} )\n"]
        for cell in self.cells:
            yield from cell.lines(indent + " ")
        yield f"{indent})\n"


def instances() -> dict[str, dict[str, str]]:
    """Of each module in rtl/: its instances, and the modules that they are of."""
    found = {}
    for path in (p for p in verilated.sources() if p.suffix == ".v"):
        cells = re.findall(r"^ *(spk_\w+) (?:#\((?:.|\n)*?\) )?(\w+) \(", path.read_text(), re.MULTILINE)
        found[path.stem] = {name: module for module, name in cells}
    return found


def place(lines: Iterable[str]) -> Iterator[str]:
    """Verilator's SAIF file of the module that a board has, as that of the board's design with it in its place.

    To Verilator a generate block is a scope; in Vivado's netlist it only is a part of names: `layer[0].core`.
    """
    modules = instances() | {"": {"TOP": "TOP"}, "TOP": {wrapper.NAME: wrapper.NAME}, wrapper.NAME: {INSTANCES[-1]: "spikeline"}}
    shell = Cell("", "")
    scopes = [(shell, "")]  # around a line: the cell, and the generate blocks within it
    for line in lines:
        text = line.strip()
        cell, blocks = scopes[-1]
        if text.startswith("(INSTANCE "):
            name = text.split()[1]
            if name in modules[cell.module]:
                cell.cells.append(Cell(blocks + name, modules[cell.module][name]))
                scopes.append((cell.cells[-1], ""))
            else:
                scopes.append((cell, f"{blocks}{name}."))
        elif text == "(NET":
            scopes.append(scopes[-1])
        elif text == ")" and len(scopes) > 1:
            scopes.pop()
        elif len(scopes) > 1:
            cell.nets.append("(" + blocks.replace("[", r"\[").replace("]", r"\]") + text[1:])
        elif text == ")":  # the end of the file
            yield "".join(f" (INSTANCE {name}\n" for name in INSTANCES[:-1])
            # TOP is Verilator's shell around the module: its ports once more
            yield from shell.cells[0].cells[0].cells[0].lines("  ")
            yield " )\n" * len(INSTANCES[:-1])
            yield line
        else:
            yield line.replace("1ps", "1 ps") if text.startswith("(TIMESCALE") else line


def placed(path: Path) -> bool:
    """Is this the activity of the accelerator within the board's design, named as in Vivado's netlist?"""
    text = path.read_text(errors="replace")
    inside = r"\s*\(INSTANCE ".join(INSTANCES)
    return bool(re.search(rf"\(INSTANCE {inside}\b", text)) and not re.search(r"\(INSTANCE [^\s.]*\]$", text, re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model from `spikeline compile`")
    parser.add_argument("--out", type=file_to_write, default="build/bit/activity.saif", metavar="FILE", help="(%(default)s)")
    parser.add_argument("--images", type=int, default=20, metavar="N", help="the first N test images of MNIST (%(default)s)")
    parser.add_argument("--geometry", default="z020-256", metavar="NAME", help="sizes to build, or a .json (%(default)s)")
    args = parser.parse_args()

    model, given = test_images(args.model, args.images)
    cycles, labels = record(Geometry.load(args.geometry), model, given.pixels, args.out)
    right = int((labels == given.labels).sum())
    print(f"{args.out}: {cycles:,} clock cycles, {right} of {len(labels)} images right")


if __name__ == "__main__":
    sys.exit(status("activity", main))
