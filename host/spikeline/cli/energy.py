"""Subcommand `energy`: what an image would cost on a chip, before there is one."""

import argparse
import json
from typing import Any

from spikeline.cli.arguments import folder_to_write, name_or_path, path, positive
from spikeline.cli.progress import Progress
from spikeline.cli.samples import add_data, found
from spikeline.device.packets import INPUTS

UNKNOWN = (
    "supply voltage, clock and process corner of the 40 nm chip",
    "which accuracy goes with which energy between 48.4 and 773 nJ, and which network and time steps",
    "which parts are in it: input and its encoding, memory, clock tree, leakage, input and output",
    "whether it was simulated after layout or measured",
)  # of Yin et al. 2017


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    energy = subparsers.add_parser("energy", help="Estimate the energy per image on a chip from what the Verilog does; draw it.")
    energy.add_argument("models", type=path, nargs="+", metavar="MODEL", help="Model files to estimate.")
    energy.add_argument(
        "--images", type=positive, metavar="N", help="Number of test images to classify, from the first on (default: all)."
    )
    energy.add_argument(
        "--profile",
        type=name_or_path,
        default="asic-40nm",
        metavar="NAME",
        help="Energy profile: a shipped technology or a .json file (default: %(default)s).",
    )
    energy.add_argument(
        "--parallel",
        type=_parallel,
        default=(4, 2),
        metavar="P,…",
        help="Spikes that each layer takes per clock cycle; the last value holds for all further layers (default: 4,2).",
    )
    energy.add_argument(
        "--input", choices=INPUTS, help="What is sent: %(choices)s (default: pixels, or events if there is no encoder)."
    )
    energy.add_argument(
        "--sweep",
        type=path,
        nargs="+",
        default=[],
        metavar="MODEL",
        help="Models whose time steps and early exit are swept as well (default: none).",
    )
    add_data(energy)
    energy.add_argument(
        "--out", type=folder_to_write, required=True, metavar="DIR", help="Folder to write report.json and frontier.png to."
    )
    energy.set_defaults(run=run)


def _parallel(text: str) -> tuple[int, ...]:
    lanes = tuple(int(x) for x in text.split(","))
    if not all(x in (1, 2, 4, 8) for x in lanes):
        raise argparse.ArgumentTypeError("a layer takes 1, 2, 4 or 8 spikes per cycle")
    return lanes


def run(args: argparse.Namespace) -> None:
    """Estimate, print, write report.json and draw frontier.png."""
    from spikeline.energy import frontier, measure, model
    from spikeline.files import atomic
    from spikeline.measure import evaluate

    profile = model.load(args.profile)
    find = found(args, [*args.models, *args.sweep])
    report: dict[str, Any] = {
        "estimate": "pre-silicon estimate, not a measurement",
        "profile": profile.name,
        "profile_title": profile.title,
        "profile_sha256": profile.sha256,
        "clock_mhz": profile.clock_mhz,
        "commit": evaluate.commit(),
        "hardware": "of each network's own sizes: memories of its layers, weights of the bits that they need",
        "unknown_of_paper": list(UNKNOWN),
    }
    results = measure.networks(args.models, profile, args.images, find, Progress, args.parallel, args.input)
    report["dataset"] = ", ".join(sorted({r["dataset"] for r in results}))
    report["results"] = results
    report["sweeps"] = [
        r for swept in args.sweep for r in measure.sweep(swept, profile, args.images, find, Progress, args.parallel, args.input)
    ]
    report["frontier"] = [r["name"] for r in measure.pareto(results + report["sweeps"])]
    with atomic(args.out / "report.json") as file:
        file.write_text(json.dumps(report, indent=1) + "\n")
    frontier.draw(args.out / "frontier.png", report)
    _print(report)
    print(f"{args.out}/report.json, {args.out}/frontier.png")


def _print(report: dict[str, Any]) -> None:
    rows = report["results"] + report["sweeps"]
    width = max(len(r["name"]) for r in rows)
    print(
        f"{'network':<{width}} {'size':<18} {'bits':>4} {'steps':>11} {'accuracy':>8} {'nJ/image':>8} {'interval':>15} "
        f"{'memory':>6} {'logic':>6} {'leak':>5} {'cycles':>7}"
    )
    for r in rows:
        steps = f"{r['mean_steps']:.2f} of {r['time_steps']}"
        shares = f"{r['memory_share']:>6.0%} {r['logic_share']:>6.0%} {r['leakage_share']:>5.0%}"
        size, accuracy = "-".join(map(str, r["layers"])), r["accuracy_mean"]
        interval = f"{r['nj_low']:.1f} … {r['nj_high']:.1f}"
        print(
            f"{r['name']:<{width}} {size:<18} {r['weight_bits']:>4} {steps:>11} {accuracy:>8.2%} {r['nj_typical']:>8.1f} "
            f"{interval:>15} {shares} {r['cycles_per_image']:>7.1f}"
        )
    images = rows[0]["images"]
    print(
        f"pre-silicon estimates, not measurements: {images:,} images, profile {report['profile']}, {report['clock_mhz']:g} MHz,"
    )
    print("hardware of each network's own sizes; interval: all constants low, all high. Not known about the paper's energies:")
    for unknown in report["unknown_of_paper"]:
        print(f"  {unknown}")
