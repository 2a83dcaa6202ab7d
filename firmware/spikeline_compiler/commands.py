"""The `compile` subcommand."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeline.arguments import file_to_write, folder_to_write, name_or_path, path

if TYPE_CHECKING:
    from spikeline.geometry import Geometry
    from spikeline.image import Image
    from spikeline.network import Layer, Network
    from spikeline.samples import Samples

MARGIN_IMAGES = 10_000
CHUNK = 1000  # images that the golden model runs at once


def register(subparsers: argparse._SubParsersAction) -> None:
    from spikeline.samples import DATA

    parser = subparsers.add_parser("compile", help="turn a trained network (QONNX) into a memory image")
    parser.add_argument("model", type=path, help="ONNX file of one time step")
    parser.add_argument("--out", type=file_to_write, required=True, metavar="IMAGE", help="memory image to write")
    parser.add_argument(
        "--geometry", type=name_or_path, default="z020-256", metavar="NAME", help="built sizes, or a .json (%(default)s)"
    )
    parser.add_argument("--mem-dir", type=folder_to_write, metavar="DIR", help="also write one $readmemh file for each memory")
    parser.add_argument("--verify", type=int, default=0, metavar="N", help="compare spikes with the ONNX on N images")
    parser.add_argument("--data", choices=DATA, default="mnist", help="to verify and pick margins on: %(choices)s (%(default)s)")
    parser.add_argument("--root", type=path, metavar="DIR", help="folder of the data set's files instead of the cache")
    parser.add_argument("--time-steps", type=int, metavar="T", help="instead of the file's metadata")
    parser.add_argument("--encoder", metavar="NAME", help="instead of the file's metadata")
    parser.add_argument(
        "--early-exit",
        type=float,
        metavar="LOSS",
        help="stop images that are decided; the margin costs at most this share of accuracy on training images (0.0005)",
    )
    parser.add_argument("--json", action="store_true", help="report in JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Compile, and write only what was proved to be equal. Raises SpikelineError."""
    from spikeline import image as images
    from spikeline.errors import CompileError
    from spikeline.files import atomic, remedy
    from spikeline.geometry import Geometry
    from spikeline_compiler import memfiles
    from spikeline_compiler.lower import compile_onnx

    if args.verify < 0:
        raise CompileError(f"--verify {args.verify}: give the number of images, 0 for none")
    geometry = Geometry.load(args.geometry)
    image = images.build(compile_onnx(args.model, geometry, args.time_steps, args.encoder))
    report = describe(image, geometry)
    proof = Path(f"{args.out}.verify.json")
    if args.verify:
        report["verify"] = check(args.model, image, args.verify, args.root, args.data)
    if args.early_exit is not None:
        report["exit_margin"] = margin(image.network, args.early_exit, args.root, args.data)
        image = images.build(replace(image.network, exit_margin=report["exit_margin"]))
        report["crc"] = f"{image.crc:08x}"
    try:
        proof.unlink(missing_ok=True)  # it spoke of the image that is replaced now
        if args.mem_dir:
            report["memories"] = memfiles.write(image, geometry, args.mem_dir)
        images.save(image, args.out)
        if args.verify:
            with atomic(proof) as file:
                file.write_text(json.dumps(report["verify"], indent=1) + "\n")
    except OSError as error:
        raise CompileError(f"cannot write {error.filename or args.out} ({error.strerror}); {remedy(error)}") from None
    print(json.dumps(report, indent=1) if args.json else table(report, args.out))


def margin(network: "Network", loss: float, root: Path | None, data: str = "mnist") -> int:
    """Pick the early-exit margin of a network on MNIST training images; see `spikeline.early_exit.pick_margin`."""
    import numpy as np

    from spikeline import early_exit, golden
    from spikeline.errors import CompileError

    found = samples(network, "train", MARGIN_IMAGES, 1, root, data)  # not the seed of tests
    if found is None:
        raise CompileError(f"--early-exit picks on MNIST, this network has {network.sizes[0]} inputs; leave it out")
    counted = [golden.run(network, found.spikes(n, n + CHUNK)).counted for n in range(0, len(found), CHUNK)]
    return early_exit.pick_margin(np.concatenate(counted), found.labels, loss)


def check(model: Path, image: "Image", count: int, root: Path | None, data: str = "mnist") -> dict[str, int]:
    """Verify on `count` MNIST test images, or on random spikes for a network of another input size.

    Raises CompileError if any image differs.
    """
    import numpy as np

    from spikeline.errors import CompileError
    from spikeline_compiler.verify import verify

    network = image.network
    found = samples(network, "test", count, 0, root, data)
    if found is None:
        rng = np.random.default_rng(0)
        density = np.linspace(0, 1, count)[:, None, None]  # from silence to all inputs at once
        spikes = (rng.random((count, network.time_steps, network.sizes[0])) < density).astype(np.uint8)
    else:
        spikes = found.spikes()
    result = verify(model, image, spikes)
    if result["onnx_mismatches"]:
        cause = "A membrane may lie so near the threshold that float32 rounds it across: export biases half-way between two "
        cause += "multiples of the scale"
        if network.continuous:
            cause = "float32 may not hold its membranes exactly: export weights with a scale that is a power of two"
        raise CompileError(
            f"ONNX and golden model differ on {result['onnx_mismatches']} of {result['images']} images, so no image is "
            f"written. {cause}"
        )
    return result


def samples(network: "Network", split: str, count: int, seed: int, root: Path | None, data: str) -> "Samples | None":
    """The first `count` samples of the data set; None if the network takes other inputs."""
    from spikeline import events, mnist
    from spikeline import samples as sets
    from spikeline.spec import Encoder

    suited = [events.inputs(pool) for pool in (1, 2)] if network.encoder == Encoder.EVENTS else [mnist.PIXELS]
    if network.sizes[0] not in suited:
        return None
    found = sets.load(network, split, data, root, seed)
    return found.first(min(count, len(found)))


def describe(image: "Image", geometry: "Geometry") -> dict[str, Any]:
    """What the image holds, as plain data."""
    network = image.network
    return {
        "geometry": geometry.name,
        "sizes": network.sizes,
        "time_steps": network.time_steps,
        "encoder": network.encoder.name.lower(),
        "decode": network.decode.name.lower(),
        "membrane_bits": {"needed": network.membrane_bits, "available": geometry.membrane_bits},
        "layers": [
            {
                "inputs": layer.inputs,
                "neurons": layer.neurons,
                "weight_bits": network.weight_bits,
                "weights": [int(layer.weights.min()), int(layer.weights.max())],
                "thresholds": [int(layer.thresholds.min()), int(layer.thresholds.max())],
                "membranes": list(layer.membrane_range),
                **lasting(layer),
            }
            for layer in network.layers
        ],
        "bytes": image.nbytes,
        "crc": f"{image.crc:08x}",
    }


def lasting(layer: "Layer") -> dict[str, Any]:
    """Whether a layer's membrane lasts from step to step, and how, as plain data."""
    if not layer.continuous:
        return {"integration": "discontinuous"}
    biases = [0] if layer.biases is None else layer.biases
    return {
        "integration": "continuous",
        "state_bits": layer.state_bits,
        "leak": layer.leak,
        "reset": layer.reset.name.lower(),
        "biases": [int(min(biases)), int(max(biases))],
    }


def table(report: dict[str, Any], out: Path) -> str:
    """`describe` for a reader."""
    row = "{:>5} {:>7} {:>8} {:>5} {:>11} {:>15} {:>15}  {}".format
    lines = [row("layer", "fan-in", "neurons", "bits", "weights", "thresholds", "membranes", "integration")]
    for n, layer in enumerate(report["layers"]):
        ranges = ("{}…{}".format(*layer[key]) for key in ("weights", "thresholds", "membranes"))
        lines.append(row(n, layer["inputs"], layer["neurons"], layer["weight_bits"], *ranges, integration(layer)))
    bits = report["membrane_bits"]
    lines.append(
        f"{report['time_steps']} time steps, {report['encoder']} encoder, {report['decode']} decode; "
        f"membranes need {bits['needed']} of {bits['available']} bits"
    )
    if check := report.get("verify"):
        states = f", {check['states_compared']} states" if "states_compared" in check else ""
        lines.append(f"verified: {check['images']} images, {check['spikes_compared']} spikes{states}, all equal to the ONNX")
    if "exit_margin" in report:
        lines.append(f"early exit once the class leads by {report['exit_margin']}")
    if "memories" in report:
        lines.append(f"{report['memories']} memory files")
    lines.append(f"{out}: {report['bytes']} bytes, CRC {report['crc']}, for {report['geometry']}")
    return "\n".join(lines)


def integration(layer: dict[str, Any]) -> str:
    """`lasting` for a reader."""
    if layer["integration"] == "discontinuous":
        return "discontinuous"
    biases = "{}…{}".format(*layer["biases"]) if any(layer["biases"]) else "none"
    return f"continuous, {layer['state_bits']}-bit state, leak {layer['leak'] or 'none'}, reset {layer['reset']}, bias {biases}"
