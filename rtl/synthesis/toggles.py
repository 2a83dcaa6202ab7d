"""Measure `toggle_share` of the energy profiles: toggles of a register bit for each cycle that its clock is let through.

python -m spikeline_rtl.synthesis.toggles MODEL.img ... [--images 20] [--out docs/results/toggles.json]

The Verilated accelerator classifies test images and records every signal. A discontinuous network runs on z020-256 built without
continuous integration and with membranes of 12 bits, as hardware of its own would be.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.energy import activity, saif
from spikeline.files import atomic
from spikeline.measure.evaluate import commit, name_of
from spikeline.model import golden
from spikeline.model.geometry import Geometry
from spikeline.model.network import Network
from spikeline_rtl.boards.activity import simulate, test_images

ROOT = Path(__file__).parents[2]


def built(network: Network) -> Geometry:
    """What a network runs on."""
    room = Geometry.load("z020-256")
    if network.continuous:
        return room
    return replace(room, name="z020-256-discontinuous", continuous=False, max_leak=0, membrane_bits=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.img")
    parser.add_argument("--images", type=int, default=20, help="the first N test images (%(default)s)")
    parser.add_argument("--out", type=file_to_write, default=str(ROOT / "docs/results/toggles.json"), help="(%(default)s)")
    args = parser.parse_args()
    results = []
    for path in args.models:
        model, given = test_images(path, args.images)
        network, geometry, spikes = model.network, built(model.network), given.spikes()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "activity.saif"
            simulate(geometry, model, given.pixels, file)
            toggles = sum(net.toggles for _, net in saif.read(file).registers())
        counts, _ = activity.count(geometry, network, spikes, golden.run(network, spikes), "pixels")
        clocked = counts.total("clocked_bits")
        name = name_of(path)
        results.append({"name": name, "geometry": geometry.name, "toggles": toggles, "clocked_bits": clocked})
        results[-1]["toggle_share"] = round(toggles / clocked, 4)
        print(f"{name}: {toggles:,} toggles in {clocked:,} cycles of register bits, {toggles / clocked:.3f}", flush=True)
    with atomic(args.out) as part:
        part.write_text(json.dumps({"images": args.images, "commit": commit(), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(status("toggles", main))
