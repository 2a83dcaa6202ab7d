"""Record how often every signal of the accelerator toggles while it classifies images: a SAIF file for Vivado's power estimate.

activity.py MODEL.img --out build/bit/activity.saif [--images 20] [--geometry z020-256]
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from spikeline import image, samples
from spikeline.batch import Pixels
from spikeline.driver import Driver
from spikeline.errors import DataError, SpikelineError
from spikeline.files import atomic
from spikeline.geometry import Geometry
from spikeline.image import Image
from spikeline.sim import SimDevice

# Where block_design.tcl puts the accelerator; implement.tcl strips the first name, which is that of the design.
INSTANCES = ("system_wrapper", "system_i", "spikeline_0", "inst")


def record(geometry: Geometry, model: Image, pixels: np.ndarray, out: Path) -> tuple[int, np.ndarray]:
    """Classify images, uint8 (B, inputs), in one transfer, and write the activity; returns clock cycles and labels.

    Loading the network is left out: it is over before the work that the estimate is about. A signal that is high at the
    beginning counts one toggle more than it has.
    """
    geometry.require(model.network)
    device = SimDevice(geometry, saif=True)
    try:
        driver = Driver(device, geometry.name, geometry.clock_mhz)
        driver.load(model)
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw.saif"
            begin = device.cycles
            device.activity(raw)
            ((labels, _, _),) = driver.classify([Pixels(pixels)])
            device.activity(None)
            with open(raw) as source, atomic(out) as path, open(path, "w") as target:
                target.writelines(place(source))
        return device.cycles - begin, labels
    finally:
        device.close()


def place(lines: Iterable[str]) -> Iterator[str]:
    """Verilator's SAIF file of the accelerator alone, as that of the board's design with the accelerator in it."""
    skip = False
    for line in lines:
        if line.startswith("(TIMESCALE"):
            line = line.replace("1ps", "1 ps")
        if line == " (INSTANCE TOP\n":  # Verilator's shell around the top module: its ports once more
            yield "".join(f" (INSTANCE {name}\n" for name in INSTANCES[:-1])
            skip = True
        elif line == "  (INSTANCE spikeline\n":
            yield f"  (INSTANCE {INSTANCES[-1]}\n"
            skip = False
        elif line == " )\n":  # the end of that shell
            yield " )\n" * len(INSTANCES[:-1])
        elif not skip:
            yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="memory image from `spikeline compile`")
    parser.add_argument("--out", type=Path, default=Path("build/bit/activity.saif"), metavar="FILE", help="(%(default)s)")
    parser.add_argument("--images", type=int, default=20, metavar="N", help="the first N test images of MNIST (%(default)s)")
    parser.add_argument("--geometry", default="z020-256", metavar="NAME", help="sizes to build, or a .json (%(default)s)")
    args = parser.parse_args()

    try:
        model = image.load(args.model)
        given = samples.of(model)
        if given.pixels is None:
            raise DataError(f"{args.model} takes events; name a network that takes pixels")
        cycles, labels = record(Geometry.load(args.geometry), model, given.pixels[: args.images], args.out)
    except SpikelineError as error:
        sys.exit(str(error))
    right = int((labels == given.labels[: len(labels)]).sum())
    print(f"{args.out}: {cycles:,} clock cycles, {right} of {len(labels)} images right")


if __name__ == "__main__":
    main()
