"""What `run` and `report` have in common: model, samples and accelerator in, a report and its table out."""

import argparse
from typing import Any

from spikeline.accelerator import BACKENDS
from spikeline.cli.arguments import name_or_path, path, positive
from spikeline.cli.progress import Progress
from spikeline.cli.samples import add_data, found
from spikeline.device.packets import INPUTS


def add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=path, metavar="MODEL", help="Model file, made by `spikeline compile`.")
    parser.add_argument(
        "--backend", metavar="NAME", help=f"What to run on: {', '.join(BACKENDS)} (default: board with --bitstream, else sim)."
    )
    parser.add_argument(
        "--bitstream", type=path, metavar="FILE", help="Bitstream of the board, its .hwh beside it (default: none)."
    )
    parser.add_argument(
        "--geometry",
        type=name_or_path,
        default="z020-256",
        metavar="NAME",
        help="Geometry of the simulated accelerator: a shipped one or a .json file (default: %(default)s).",
    )
    add_data(parser)
    parser.add_argument(
        "--images", type=positive, metavar="N", help="Number of test images to classify, from the first on (default: all)."
    )
    parser.add_argument(
        "--input", choices=INPUTS, help="What is sent: %(choices)s (default: pixels, or events if there is no encoder)."
    )
    parser.add_argument("--seed", type=int, default=0, help="Seed of the Bernoulli encoder (default: %(default)s).")


def measure(args: argparse.Namespace, labelled: bool = True) -> tuple[Any, Any, dict[str, Any]]:
    """Load the model and its samples, open the accelerator, classify; the caller closes the accelerator.

    labelled: samples without labels are refused.
    """
    from spikeline.accelerator import Accelerator
    from spikeline.measure import evaluate
    from spikeline.model import model_file

    find = found(args, [args.model], labelled)
    model = model_file.load(args.model)
    given = find(model, seed=args.seed)
    given = given.first(args.images or len(given))
    accelerator = Accelerator(args.bitstream, model, backend=args.backend, geometry=args.geometry)
    backend = args.backend or ("board" if args.bitstream else "sim")
    try:
        input = args.input or ("events" if given.pixels is None else "pixels")
        report = evaluate.measure(accelerator, given, input, Progress(backend, len(given)))
    except BaseException:
        accelerator.close()
        raise
    return accelerator, given, {**evaluate.described(given), "backend": backend, **report, "commit": evaluate.commit()}


def print_table(report: dict[str, Any]) -> None:
    for name, value in lines(report):
        print(f"  {name:<26} {value}")


def lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    steps = "bit planes" if report["encoder"] == "direct" else "time steps"
    size = "-".join(map(str, report["layers"]))
    rows = [
        ("network", f"{size}, {report['weight_bits']}-bit weights, {report['time_steps']} {steps}"),
        ("integration", f"{report['integration']}, {report['encoder']} input, sent as {report['input']}"),
        _accuracy(report),
        *(
            [("OTHER DATA", f"trained on {report['trained_on']}, scored on {report['dataset']}")]
            if "trained_on" in report
            else []
        ),
        *_over_seeds(report),
        *([("with membranes cleared", f"{report['accuracy_cleared']:.2%}")] if "accuracy_cleared" in report else []),
        ("input spikes per image", f"{report['input_spikes_per_image']:,.1f}"),
        ("hidden spikes per image", f"{report['hidden_spikes_per_image']:,.1f}"),
        *([("time steps used", f"{report['mean_steps']:.2f} of {report['time_steps']}")] if steps == "time steps" else []),
    ]
    if "cycles_per_image" in report:
        clock = f"at {report['fclk_mhz']:g} MHz, from RTL cycles"
        rows += [
            ("cycles per image", f"{report['cycles_per_image']:.1f}"),
            ("images per second", f"{report['images_per_second']:,.0f} {clock}"),
            ("latency of one image", f"{report['latency_us']:.2f} µs {clock}"),
            ("host CPU time per image", f"{report['host_cpu_us_per_image']:.2f} µs"),
        ]
    if "simulated_images_per_second" in report:
        rows.append(("simulated", f"{report['simulated_images_per_second']:,.0f} images per second of this computer"))
    if "measured_images_per_second" in report:
        rows.append(("measured, with the host", f"{report['measured_images_per_second']:,.0f} images per second"))
    if "golden_mismatches" in report:
        rows.append(("differs from golden model", f"{report['golden_mismatches']} of {report['images']:,} labels"))
    if "spike_mismatches" in report:
        spikes = f"{report['spike_mismatches']} of {report['spikes_compared']:,} neuron states"
        rows += [
            ("", f"{spikes} over {report['traced_images']:,} images"),
            ("", f"{report['membrane_mismatches']} of {report['membranes_compared']:,} membranes"),
        ]
        if report["onnx_mismatches"] is not None:
            rows.append(("ONNX differs from golden", f"{report['onnx_mismatches']} of {report['onnx_images']:,} images"))
    return rows


def _accuracy(report: dict[str, Any]) -> tuple[str, str]:
    if "accuracy" not in report:
        return "classified", f"{report['images']:,} samples without labels of {report['dataset']}"
    return "accuracy", f"{report['accuracy']:.2%} of {report['images']:,} test images{_of_seed(report)}"


def _of_seed(report: dict[str, Any]) -> str:
    seeds = report.get("encoder_seeds")
    return f", encoder seed {seeds[0]}" if seeds else ""


def _over_seeds(report: dict[str, Any]) -> list[tuple[str, str]]:
    if not (seeds := report.get("encoder_seeds")):
        return []
    spread = f"{report['accuracy_mean']:.2%} ± {100 * report['accuracy_std']:.2f}"
    ends = f"{report['accuracy_min']:.2%} … {report['accuracy_max']:.2%}"
    return [("", f"{spread}, {ends} over {len(seeds)} encoder seeds, by the golden model")]
