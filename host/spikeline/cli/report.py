"""`spikeline report`: classify, compare with the golden model, draw; what `make demo` ends with."""

import argparse
import json

from spikeline.cli.arguments import folder_to_write
from spikeline.cli.target import add_target, measure, print_table


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    report = subparsers.add_parser(
        "report", help="Classify test images, compare with the golden model, draw; what `make demo` ends with."
    )
    add_target(report)
    report.add_argument(
        "--out", type=folder_to_write, required=True, metavar="DIR", help="Folder to write report.json and the plots to."
    )
    report.add_argument(
        "--trace",
        type=int,
        default=1000,
        metavar="N",
        help="Number of images of which every spike and membrane is compared (default: %(default)s).",
    )
    report.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spikeline.files import atomic
    from spikeline.measure import evaluate, plots
    from spikeline.measure.result_files import proof

    accelerator, given, metrics = measure(args)
    with accelerator:
        network = accelerator.model.network
        traced = min(args.trace, len(given)) if accelerator.can_trace else 0
        compared, reference = evaluate.compare(accelerator, metrics, given, traced)
    metrics |= compared
    metrics |= evaluate.over_encoder_seeds(network, given)
    metrics |= proof(args.model)
    metrics["accuracy_by_step"] = evaluate.accuracy_by_step(reference.counted, given.labels)
    if network.continuous:
        metrics["accuracy_cleared"] = evaluate.accuracy_cleared(network, given)
    labels = metrics.pop("labels")

    trains = [given.spikes(0, 1)[0], *(spikes[0] for spikes in reference.spikes[:-1])]
    names = [given.class_name(n) for n in range(network.sizes[-1])]
    picture = plots.picture(given.pixels[0] if given.pixels is not None else trains[0].sum(0), given.shape)
    plots.raster(args.out / "raster.png", picture, trains, names[labels[0]], names[given.labels[0]])
    plots.confusion(args.out / "confusion.png", labels, given.labels, names)
    plots.accuracy(args.out / "accuracy.png", metrics["accuracy_by_step"])
    with atomic(args.out / "report.json") as file:
        file.write_text(json.dumps(metrics, indent=1) + "\n")
    print_table(metrics)
    print(f"  report and plots           {args.out}/")
