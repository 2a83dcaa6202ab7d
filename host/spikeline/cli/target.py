"""What `run` and `report` have in common: model, samples and accelerator in, a table of figures out."""

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


def measure(args: argparse.Namespace) -> tuple[Any, Any, dict[str, Any]]:
    """Load the model and its samples, open the accelerator, classify; the caller closes the accelerator."""
    from spikeline.accelerator import Accelerator
    from spikeline.measure import evaluate
    from spikeline.model import model_file

    find = found(args, [args.model])
    model = model_file.load(args.model)
    given = find(model, seed=args.seed)
    given = given.first(args.images or len(given))
    accelerator = Accelerator(args.bitstream, model, backend=args.backend, geometry=args.geometry)
    backend = args.backend or ("board" if args.bitstream else "sim")
    try:
        input = args.input or ("events" if given.pixels is None else "pixels")
        figures = evaluate.measure(accelerator, given, input, Progress(backend, len(given)))
    except BaseException:
        accelerator.close()
        raise
    oddities = {"oddities": dict(given.oddities)} if given.oddities else {}
    return accelerator, given, {"dataset": given.name, **oddities, "backend": backend, **figures, "commit": evaluate.commit()}


def print_table(figures: dict[str, Any]) -> None:
    for name, value in lines(figures):
        print(f"  {name:<26} {value}")


def lines(figures: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (
            "network",
            f"{'-'.join(map(str, figures['layers']))}, {figures['weight_bits']}-bit weights, {figures['time_steps']} time steps",
        ),
        ("integration", f"{figures['integration']}, {figures['encoder']} input, sent as {figures['input']}"),
        ("accuracy", f"{figures['accuracy']:.2%} of {figures['images']:,} test images{_of_seed(figures)}"),
        *_over_seeds(figures),
        *([("with membranes cleared", f"{figures['accuracy_cleared']:.2%}")] if "accuracy_cleared" in figures else []),
        ("input spikes per image", f"{figures['input_spikes_per_image']:,.1f}"),
        ("hidden spikes per image", f"{figures['hidden_spikes_per_image']:,.1f}"),
        ("time steps used", f"{figures['mean_steps']:.2f} of {figures['time_steps']}"),
    ]
    if "cycles_per_image" in figures:
        clock = f"at {figures['fclk_mhz']:g} MHz, from RTL cycles"
        rows += [
            ("cycles per image", f"{figures['cycles_per_image']:.1f}"),
            ("images per second", f"{figures['images_per_second']:,.0f} {clock}"),
            ("latency of one image", f"{figures['latency_us']:.2f} µs {clock}"),
            ("host CPU time per image", f"{figures['host_cpu_us_per_image']:.2f} µs"),
        ]
    if "simulated_images_per_second" in figures:
        rows.append(("simulated", f"{figures['simulated_images_per_second']:,.0f} images per second of this computer"))
    if "measured_images_per_second" in figures:
        rows.append(("measured, with the host", f"{figures['measured_images_per_second']:,.0f} images per second"))
    if "golden_mismatches" in figures:
        rows.append(("differs from golden model", f"{figures['golden_mismatches']} of {figures['images']:,} labels"))
    if "spike_mismatches" in figures:
        spikes = f"{figures['spike_mismatches']} of {figures['spikes_compared']:,} neuron states"
        rows += [
            ("", f"{spikes} over {figures['traced_images']:,} images"),
            ("", f"{figures['membrane_mismatches']} of {figures['membranes_compared']:,} membranes"),
        ]
        if figures["onnx_mismatches"] is not None:
            rows.append(("ONNX differs from golden", f"{figures['onnx_mismatches']} of {figures['onnx_images']:,} images"))
    return rows


def _of_seed(figures: dict[str, Any]) -> str:
    seeds = figures.get("encoder_seeds")
    return f", encoder seed {seeds[0]}" if seeds else ""


def _over_seeds(figures: dict[str, Any]) -> list[tuple[str, str]]:
    if not (seeds := figures.get("encoder_seeds")):
        return []
    spread = f"{figures['accuracy_mean']:.2%} ± {100 * figures['accuracy_std']:.2f}"
    ends = f"{figures['accuracy_min']:.2%} … {figures['accuracy_max']:.2%}"
    return [("", f"{spread}, {ends} over {len(seeds)} encoder seeds, by the golden model")]
