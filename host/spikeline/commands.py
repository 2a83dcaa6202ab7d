"""Subcommands of the runtime: data, info, sim, run, report, bench, power, energy."""

import argparse
import json
import sys
import time
from typing import Any

from spikeline import sample_arguments
from spikeline.accelerator import BACKENDS, INPUTS
from spikeline.arguments import file_to_write, folder_to_write, name_or_path, path
from spikeline.energy import commands as energy
from spikeline.errors import DataError, DeviceError
from spikeline.power import SOURCES


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommands."""
    data = subparsers.add_parser("data", help="fetch and check MNIST; write it as events")
    data.add_argument("--root", type=path, metavar="DIR", help="keep it here instead of the cache")
    data.add_argument("--saccades", type=folder_to_write, metavar="DIR", help="write simulated saccades here, as N-MNIST files")
    data.add_argument("--split", choices=("train", "test"), default="test", help="of --saccades: %(choices)s (%(default)s)")
    data.add_argument("--images", type=_positive, default=1000, metavar="N", help="of --saccades: the first N (%(default)s)")
    data.set_defaults(run=run_data)

    info = subparsers.add_parser("info", help="say what is in a memory image")
    info.add_argument("image", type=path)
    info.add_argument("--json", action="store_true", help="as JSON")
    info.set_defaults(run=run_info)

    sim = subparsers.add_parser("sim", help="build the simulated accelerator of a geometry; cached")
    sim.add_argument(
        "--geometry", type=name_or_path, default="z020-256", metavar="NAME", help="sizes to build, or a .json (%(default)s)"
    )
    sim.set_defaults(run=run_sim)

    run = subparsers.add_parser("run", help="classify test images on the accelerator")
    _image_and_backend(run)
    run.add_argument("--json", action="store_true", help="report as JSON")
    run.set_defaults(run=run_run)

    report = subparsers.add_parser("report", help="run, compare with the golden model, draw; what `make demo` ends with")
    _image_and_backend(report)
    report.add_argument(
        "--out", type=folder_to_write, required=True, metavar="DIR", help="folder for report.json and the pictures"
    )
    report.add_argument("--trace", type=int, default=1000, metavar="N", help="images whose every spike is compared (%(default)s)")
    report.set_defaults(run=run_report)

    bench = subparsers.add_parser("bench", help="measure networks over all test images: accuracy, speed, power, energy")
    bench.add_argument("models", type=path, nargs="+", metavar="IMAGE", help="memory images")
    bench.add_argument("--backend", choices=("sim", "board"), help="board, or simulated of the smallest geometry that fits")
    bench.add_argument("--bitstream", type=path, metavar="FILE", help="the board's .bit, its .hwh beside it")
    bench.add_argument("--images", type=_positive, metavar="N", help="the first N test images (all)")
    bench.add_argument("--batch", type=_positive, default=10_000, metavar="N", help="images of one transfer (%(default)s)")
    bench.add_argument("--power", default="none", metavar="SOURCE", help=f"of the board: {SOURCES} (%(default)s)")
    bench.add_argument("--seconds", type=float, default=5.0, help="that the board is idle, then busy, for --power (%(default)s)")
    bench.add_argument("--sweep", type=path, metavar="IMAGE", help="sweep time steps and activity of this one")
    bench.add_argument("--area", type=path, metavar="FILE", help="report of `make area` to take up")
    bench.add_argument("--timing", type=path, metavar="FILE", help="report of `make timing` to take up")
    sample_arguments.add_data(bench)
    bench.add_argument("--out", type=file_to_write, required=True, metavar="FILE", help="JSON file; the plot stands beside it")
    bench.set_defaults(run=run_bench)

    power = subparsers.add_parser("power", help="put a USB meter's log, of another computer, into a benchmark of a board")
    power.add_argument("report", type=file_to_write, help="from `spikeline bench --backend board`; it is completed in place")
    power.add_argument("--csv", type=path, required=True, metavar="FILE", help="the log: times, and watts or volts and amperes")
    power.add_argument("--offset", type=float, default=0.0, metavar="S", help="seconds to add to its times (%(default)s)")
    power.set_defaults(run=run_power)

    energy.register(subparsers, _Progress)


def _image_and_backend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=path, help="memory image from `spikeline compile`")
    parser.add_argument("--backend", metavar="NAME", help=f"{', '.join(BACKENDS)} (board with --bitstream, else sim)")
    parser.add_argument("--bitstream", type=path, metavar="FILE", help="the board's .bit, its .hwh beside it")
    parser.add_argument(
        "--geometry", type=name_or_path, default="z020-256", metavar="NAME", help="sizes that are built, or a .json (%(default)s)"
    )
    sample_arguments.add_data(parser)
    parser.add_argument("--images", type=_positive, metavar="N", help="the first N test images (all)")
    parser.add_argument("--input", choices=INPUTS, help="what is sent: %(choices)s (pixels, or events if there is no encoder)")
    parser.add_argument("--seed", type=int, default=0, help="of the Bernoulli encoder (%(default)s)")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def run_data(args: argparse.Namespace) -> None:
    from spikeline import events, mnist, nmnist

    print(f"MNIST is complete in {mnist.fetch(args.root)}")
    if args.saccades is None:
        return
    pixels, labels = mnist.load(args.split, args.root)
    if args.images > len(pixels):
        raise DataError(f"--images {args.images}: MNIST has {len(pixels)} images in its {args.split} split")
    folder = args.saccades / nmnist.FOLDERS[args.split]
    for n in range(args.images):
        nmnist.write(folder / str(labels[n]) / f"{n + 1:05d}.bin", events.saccades(pixels[n]))
    print(f"saccades of the first {args.images:,} {args.split} images are in {folder}")


def run_info(args: argparse.Namespace) -> None:
    from spikeline import image

    loaded = image.load(args.image)
    network = loaded.network
    packets = iter(loaded.packets[1:])
    layers: list[dict[str, Any]] = []
    for x in network.layers:
        layer: dict[str, Any] = {"inputs": x.inputs, "neurons": x.neurons, "membrane_range": x.membrane_range}
        for kind in ("threshold", "bias", "weight") if x.continuous else ("threshold", "weight"):
            layer[f"{kind}_bytes"] = next(packets).nbytes - 8
        if x.continuous:
            layer |= {"state_bits": x.state_bits, "leak": x.leak, "reset": x.reset.name.lower(), "biased": x.biased}
        layers.append(layer)
    facts: dict[str, Any] = {
        "layers": network.sizes,
        "weight_bits": network.weight_bits,
        "membrane_bits": network.membrane_bits,
        "time_steps": network.time_steps,
        "encoder": network.encoder.name.lower(),
        "decode": network.decode.name.lower(),
        "dataset": loaded.dataset,
        "bytes": loaded.nbytes,
        "crc32": f"{loaded.crc:08x}",
        "memory": layers,
    }
    if args.json:
        print(json.dumps(facts))
        return
    print(f"{args.image}: {'-'.join(map(str, network.sizes))}, {network.weight_bits}-bit weights in memory")
    print(f"{network.time_steps} time steps, {facts['encoder']} input, class from the {facts['decode'].replace('_', ' ')}")
    print(f"{'layer':>5} {'inputs':>7} {'neurons':>8} {'weights':>10} {'thresholds':>11}  membrane")
    for n, layer in enumerate(layers):
        low, high = layer["membrane_range"]
        sizes = f"{layer['weight_bytes']:>8} B {layer['threshold_bytes']:>9} B"
        print(f"{n:>5} {layer['inputs']:>7} {layer['neurons']:>8} {sizes}  {low} … {high}{_lasting(layer)}")
    print(f"membranes need {network.membrane_bits} bits; {loaded.nbytes} bytes of packets; CRC-32 {loaded.crc:08x}")
    print(f"trained on {loaded.dataset or 'a data set that it does not name'}")


def _lasting(layer: dict[str, Any]) -> str:
    if "state_bits" not in layer:
        return ""
    bias = f"bias {layer['bias_bytes']} B" if layer["biased"] else "no bias"
    leak = f"leak {layer['leak']}" if layer["leak"] else "no leak"
    return f"; continuous, {layer['state_bits']}-bit state, {leak}, reset {layer['reset']}, {bias}"


def run_sim(args: argparse.Namespace) -> None:
    from spikeline.geometry import Geometry
    from spikeline.sim import build

    print(f"simulator in {build(Geometry.load(args.geometry))}")


class _Progress:
    """A line that tells how far a run is; nothing where no one watches."""

    def __init__(self, total: int, what: str):
        self.total, self.what, self.start = total, what, time.perf_counter()

    def __call__(self, done: int) -> None:
        if sys.stderr.isatty():
            rate = done / (time.perf_counter() - self.start)
            left = (self.total - done) / rate
            end = "\r" if done < self.total else "\n"
            print(
                f"{self.what}: {done:,}/{self.total:,} images, {rate:,.0f}/s, {left:.0f} s left ",
                end=end,
                file=sys.stderr,
                flush=True,
            )


def _measure(args: argparse.Namespace) -> tuple[Any, Any, dict[str, Any]]:
    """Load the image and its samples, open the accelerator, classify; the caller closes the accelerator."""
    from spikeline import image, report
    from spikeline.accelerator import Accelerator

    find = sample_arguments.found(args, [args.image])
    model = image.load(args.image)
    given = find(model, seed=args.seed)
    given = given.first(args.images or len(given))
    accelerator = Accelerator(args.bitstream, model, backend=args.backend, geometry=args.geometry)
    backend = args.backend or ("board" if args.bitstream else "sim")
    try:
        input = args.input or ("events" if given.pixels is None else "pixels")
        figures = report.measure(accelerator, given, input, _Progress(len(given), backend))
    except BaseException:
        accelerator.close()
        raise
    oddities = {"oddities": dict(given.oddities)} if given.oddities else {}
    return accelerator, given, {"dataset": given.name, **oddities, "backend": backend, **figures, "commit": report.commit()}


def _lines(figures: dict[str, Any]) -> list[tuple[str, str]]:
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


def _table(figures: dict[str, Any]) -> None:
    for name, value in _lines(figures):
        print(f"  {name:<26} {value}")


def run_run(args: argparse.Namespace) -> None:
    accelerator, _, figures = _measure(args)
    accelerator.close()
    del figures["labels"]
    if args.json:
        print(json.dumps(figures))
    else:
        _table(figures)


def run_report(args: argparse.Namespace) -> None:
    from spikeline import pictures, report
    from spikeline.figures import proof
    from spikeline.files import atomic

    accelerator, given, figures = _measure(args)
    with accelerator:
        network = accelerator.image.network
        traced = 0 if accelerator.simulator is None and figures["backend"] == "board" else min(args.trace, len(given))
        compared, reference = report.compare(accelerator, figures, given, traced)
    figures |= compared
    figures |= report.over_encoder_seeds(network, given)
    figures |= proof(args.image)
    figures["accuracy_by_step"] = report.accuracy_by_step(reference.counted, given.labels)
    if network.continuous:
        figures["accuracy_cleared"] = report.accuracy_cleared(network, given)
    labels = figures.pop("labels")

    trains = [given.spikes(0, 1)[0], *(spikes[0] for spikes in reference.spikes[:-1])]
    picture = given.pixels[0] if given.pixels is not None else trains[0].sum(0).reshape(2, -1).sum(0)  # where events were
    pictures.raster(args.out / "raster.png", picture, trains, int(labels[0]), int(given.labels[0]))
    pictures.confusion(args.out / "confusion.png", labels, given.labels, network.sizes[-1])
    pictures.accuracy(args.out / "accuracy.png", figures["accuracy_by_step"])
    with atomic(args.out / "report.json") as file:
        file.write_text(json.dumps(figures, indent=1) + "\n")
    _table(figures)
    print(f"  report and pictures        {args.out}/")


def run_bench(args: argparse.Namespace) -> None:
    from spikeline import bench, mnist, pictures, report
    from spikeline.figures import areas
    from spikeline.files import atomic
    from spikeline.power import open_source

    if args.backend == "board" and args.bitstream is None:
        raise DeviceError("the backend board needs a bitstream; name its .bit file with --bitstream")
    if args.backend == "sim" and args.bitstream is not None:
        raise DeviceError("the backend sim takes no bitstream; leave --bitstream out, or use --backend board")
    find = sample_arguments.found(args, [*args.models, *([args.sweep] if args.sweep else [])])
    total = args.images or mnist.FILES["test", "labels"].images
    target = bench.Target(args.bitstream, open_source(args.power), args.seconds, args.batch, args.images)
    figures: dict[str, Any] = {"commit": report.commit(), "backend": "board" if args.bitstream else "sim"}
    figures["power_source"] = target.power.power_source
    area = areas(args.area, args.timing)  # refused before anything is measured
    figures["results"] = bench.networks(args.models, find, lambda what: _Progress(total, what), target)
    figures["sweeps"] = bench.sweeps(args.sweep, find, lambda what: _Progress(total, what)) if args.sweep else {}
    figures["area"] = area
    with atomic(args.out) as file:
        file.write_text(json.dumps(figures, indent=1) + "\n")
    if args.sweep:
        pictures.sweeps(args.out.with_suffix(".png"), figures)
    print(f"{'network':<32} {'input':<7} {'accuracy':>8} {'images/s':>10} {'cycles':>7} {'latency':>9} {'steps':>5} {'wrong':>5}")
    for r in figures["results"]:
        speed = (
            f"{r['images_per_second']:>10,.0f} {r['cycles_per_image']:>7.1f} {r['latency_us']:>6.2f} µs {r['mean_steps']:>5.2f}"
        )
        print(f"{r['name']:<32} {r['input']:<7} {report.mean_accuracy(r):>8.2%} {speed} {r['golden_mismatches']:>5}")
    print(f"at {figures['results'][0]['fclk_mhz']:g} MHz, from RTL cycle counts; accuracy: mean over encoder seeds; {args.out}")
    _print_energy(figures["results"])


def _print_energy(results: list[dict[str, Any]]) -> None:
    for r in results:
        if r["power"]["energy_per_image_uj"] is not None:
            energy = f"{r['power']['active_w']:.3f} W, {r['power']['energy_per_image_uj']:.2f} µJ an image"
            print(f"{r['name']:<32} {r['input']:<7} {energy} ({r['power_source']}: {r['power']['sensor']})")


def run_power(args: argparse.Namespace) -> None:
    from spikeline.figures import board_bench
    from spikeline.files import atomic
    from spikeline.power import merge_csv

    figures = board_bench(args.report)
    for r in figures["results"]:
        power = r["power"]
        try:
            r["power"] = {**merge_csv(power, args.csv, args.offset, power["images"]), "images": power["images"]}
        except DataError as error:
            raise DataError(f"{args.report}, {r['name']}: {error}") from None
        r["power_source"] = r["power"]["power_source"]
        print(
            f"{r['name']:<32} {r['input']:<7} {r['power']['active_w']:.3f} W, {r['power']['energy_per_image_uj']:.2f} µJ an image"
        )
    figures["power_source"] = "measured"
    with atomic(args.report) as file:
        file.write_text(json.dumps(figures, indent=1) + "\n")
