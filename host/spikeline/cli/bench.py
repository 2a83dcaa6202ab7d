"""`spikeline bench`: accuracy, speed, power and energy of networks over all test images."""

import argparse
import json
from typing import Any

from spikeline.cli.arguments import file_to_write, path, positive
from spikeline.cli.progress import Progress
from spikeline.cli.samples import add_data, found
from spikeline.errors import DeviceError
from spikeline.measure.power import SOURCES


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    bench = subparsers.add_parser("bench", help="Measure networks over all test images: accuracy, speed, power, energy.")
    bench.add_argument("models", type=path, nargs="+", metavar="MODEL", help="Model files to measure.")
    bench.add_argument(
        "--backend",
        choices=("sim", "board"),
        help="What to run on (default: board with --bitstream, else sim of the smallest geometry that fits).",
    )
    bench.add_argument(
        "--bitstream", type=path, metavar="FILE", help="Bitstream of the board, its .hwh beside it (default: none)."
    )
    bench.add_argument(
        "--images", type=positive, metavar="N", help="Number of test images to classify, from the first on (default: all)."
    )
    bench.add_argument(
        "--batch", type=positive, default=10_000, metavar="N", help="Images in one transfer (default: %(default)s)."
    )
    bench.add_argument(
        "--power",
        default="none",
        metavar="SOURCE",
        help=f"What measures the power of the board: {SOURCES} (default: %(default)s).",
    )
    bench.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        help="Seconds of idle time, then of work, over which --power measures (default: %(default)s).",
    )
    bench.add_argument(
        "--sweep", type=path, metavar="MODEL", help="Model whose time steps and input activity are swept as well (default: none)."
    )
    bench.add_argument("--area", type=path, metavar="FILE", help="Report of `make area` to include (default: none).")
    bench.add_argument("--timing", type=path, metavar="FILE", help="Report of `make timing` to include (default: none).")
    add_data(bench)
    bench.add_argument(
        "--out",
        type=file_to_write,
        required=True,
        metavar="FILE",
        help="JSON file to write; the plot of a sweep is written beside it.",
    )
    bench.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spikeline.files import atomic
    from spikeline.measure import bench, evaluate, plots
    from spikeline.measure.power import open_source
    from spikeline.measure.result_files import areas

    if args.backend == "board" and args.bitstream is None:
        raise DeviceError("the backend board needs a bitstream; name its .bit file with --bitstream")
    if args.backend == "sim" and args.bitstream is not None:
        raise DeviceError("the backend sim takes no bitstream; leave --bitstream out, or use --backend board")
    find = found(args, [*args.models, *([args.sweep] if args.sweep else [])])
    target = bench.Target(args.bitstream, open_source(args.power), args.seconds, args.batch, args.images)
    report: dict[str, Any] = {"commit": evaluate.commit(), "backend": "board" if args.bitstream else "sim"}
    report["power_source"] = target.power.power_source
    area = areas(args.area, args.timing)  # refused before anything is measured
    report["results"] = bench.networks(args.models, find, Progress, target)
    report["sweeps"] = bench.sweeps(args.sweep, find, Progress) if args.sweep else {}
    report["area"] = area
    with atomic(args.out) as file:
        file.write_text(json.dumps(report, indent=1) + "\n")
    if args.sweep:
        plots.sweeps(args.out.with_suffix(".png"), report)

    def left(r: dict[str, Any]) -> str:
        """Share of the speed that is left with a memory like a board's."""
        return f"{r['board_like_memory']['of_ideal']:.1%}" if "board_like_memory" in r else ""

    titles = f"{'cycles':>7} {'latency':>9} {'steps':>5} {'wrong':>5} {'memory':>7}"
    print(f"{'network':<32} {'input':<7} {'accuracy':>8} {'images/s':>10} {titles}")
    for r in report["results"]:
        speed = (
            f"{r['images_per_second']:>10,.0f} {r['cycles_per_image']:>7.1f} {r['latency_us']:>6.2f} µs {r['mean_steps']:>5.2f}"
        )
        print(
            f"{r['name']:<32} {r['input']:<7} {evaluate.mean_accuracy(r):>8.2%} {speed} {r['golden_mismatches']:>5} {left(r):>7}"
        )
    print(f"at {report['results'][0]['fclk_mhz']:g} MHz, from RTL cycle counts; accuracy: mean over encoder seeds; {args.out}")
    print("memory: the share of the speed that is left where the memory is as late and as busy as a board's")
    _print_energy(report["results"])


def _print_energy(results: list[dict[str, Any]]) -> None:
    for r in results:
        if r["power"]["energy_per_image_uj"] is not None:
            energy = f"{r['power']['active_w']:.3f} W, {r['power']['energy_per_image_uj']:.2f} µJ an image"
            print(f"{r['name']:<32} {r['input']:<7} {energy} ({r['power_source']}: {r['power']['sensor']})")
