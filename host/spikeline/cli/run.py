"""`spikeline run`: classify test images."""

import argparse
import json

from spikeline.cli.target import add_target, measure, print_table


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("run", help="Classify test images on the accelerator.")
    add_target(parser)
    parser.add_argument("--json", action="store_true", help="Print JSON instead of a table.")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    accelerator, _, report = measure(args)
    accelerator.close()
    del report["labels"]
    if args.json:
        print(json.dumps(report))
    else:
        print_table(report)
