"""`spikeline run`: classify test images, or samples of the user's, labelled or not."""

import argparse
import csv
import json

from spikeline.cli.arguments import file_to_write
from spikeline.cli.target import add_target, measure, print_table


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("run", help="Classify test images on the accelerator.")
    add_target(parser)
    parser.add_argument("--json", action="store_true", help="Print JSON instead of a table.")
    parser.add_argument(
        "--out",
        type=file_to_write,
        metavar="FILE",
        help="CSV file to write each sample's label, class name and, if it is labelled, true class to (default: none).",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spikeline.files import atomic

    accelerator, given, report = measure(args, labelled=False)
    accelerator.close()
    labels = report.pop("labels").tolist()
    if args.out is not None:
        truth = [] if given.labels is None else given.labels.tolist()
        with atomic(args.out) as file, open(file, "w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            rows.writerow(["sample", "label", "class", *(["truth"] if truth else [])])
            rows.writerows([n, label, given.class_name(label), *truth[n : n + 1]] for n, label in enumerate(labels))
    if args.json:
        print(json.dumps(report))
    else:
        print_table(report)
