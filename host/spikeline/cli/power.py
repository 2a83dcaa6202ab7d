"""`spikeline power`: put the log of a USB meter into a benchmark of a board."""

import argparse
import json

from spikeline.cli.arguments import file_to_write, path
from spikeline.errors import DataError


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    power = subparsers.add_parser("power", help="Add a USB meter's log to a benchmark of a board.")
    power.add_argument(
        "report",
        type=file_to_write,
        metavar="REPORT",
        help="Report of `spikeline bench --backend board`; it is completed in place.",
    )
    power.add_argument(
        "--csv", type=path, required=True, metavar="FILE", help="Log of the meter: times with watts, or with volts and amperes."
    )
    power.add_argument(
        "--offset", type=float, default=0.0, metavar="S", help="Seconds to add to the times of the log (default: %(default)s)."
    )
    power.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spikeline.files import atomic
    from spikeline.measure.power import merge_csv
    from spikeline.measure.result_files import board_bench

    report = board_bench(args.report)
    for r in report["results"]:
        power = r["power"]
        try:
            r["power"] = {**merge_csv(power, args.csv, args.offset, power["images"]), "images": power["images"]}
        except DataError as error:
            raise DataError(f"{args.report}, {r['name']}: {error}") from None
        r["power_source"] = r["power"]["power_source"]
        print(
            f"{r['name']:<32} {r['input']:<7} {r['power']['active_w']:.3f} W, {r['power']['energy_per_image_uj']:.2f} µJ an image"
        )
    report["power_source"] = "measured"
    with atomic(args.report) as file:
        file.write_text(json.dumps(report, indent=1) + "\n")
