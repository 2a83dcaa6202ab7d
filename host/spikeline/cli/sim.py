"""`spikeline sim`: build the simulated accelerator."""

import argparse

from spikeline.cli.arguments import name_or_path


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    sim = subparsers.add_parser("sim", help="Build the simulated accelerator of a geometry, and keep it in the cache.")
    sim.add_argument(
        "--geometry",
        type=name_or_path,
        default="z020-256",
        metavar="NAME",
        help="Geometry to build: a shipped one or a .json file (default: %(default)s).",
    )
    sim.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spikeline.model.geometry import Geometry
    from spikeline.simulation.verilated import build

    print(f"simulator in {build(Geometry.load(args.geometry))}")
