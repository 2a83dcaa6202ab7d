"""The `compile` subcommand."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeline.cli.arguments import file_to_write, folder_to_write, name_or_path, path

if TYPE_CHECKING:
    from spikeline.data.samples import Find, Samples
    from spikeline.model.geometry import Geometry
    from spikeline.model.model_file import Model
    from spikeline.model.network import Layer, Network

MARGIN_IMAGES = 10_000


def register(subparsers: argparse._SubParsersAction) -> None:
    from spikeline.cli.samples import add_data

    parser = subparsers.add_parser("compile", help="Turn a trained network (QONNX) into a model for the accelerator.")
    parser.add_argument("model", type=path, metavar="ONNX", help="ONNX file of one time step of the network.")
    parser.add_argument("--out", type=file_to_write, required=True, metavar="MODEL", help="Model file to write.")
    parser.add_argument(
        "--geometry",
        type=name_or_path,
        default="z020-256",
        metavar="NAME",
        help="Geometry of the accelerator: a shipped one or a .json file (default: %(default)s).",
    )
    parser.add_argument(
        "--mem-dir",
        type=folder_to_write,
        metavar="DIR",
        help="Folder to write one $readmemh file for each memory to (default: none is written).",
    )
    parser.add_argument(
        "--verify",
        type=int,
        default=0,
        metavar="N",
        help="Number of test samples on which every spike is compared with the ONNX (default: %(default)s).",
    )
    add_data(parser)
    parser.add_argument("--time-steps", type=int, metavar="T", help="Time steps of an image (default: what the ONNX file says).")
    parser.add_argument("--encoder", metavar="NAME", help="Encoder of the input (default: what the ONNX file says).")
    parser.add_argument(
        "--early-exit",
        type=float,
        metavar="LOSS",
        help="Stop an image once its class is decided; the share of accuracy, 0 to 1, that this may cost on training images, "
        "such as 0.0005 (default: use all time steps).",
    )
    parser.add_argument("--json", action="store_true", help="Print the report as JSON instead of a table.")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Compile, and write only what was proved to be equal. Warnings go to standard error. Raises SpikelineError.

    An ONNX file that is not the one of the proof beside it is compiled only if it is proved afresh, with --verify.
    """
    from spikeline.errors import CompileError
    from spikeline.files import atomic, remedy
    from spikeline.model import model_file
    from spikeline.model.geometry import Geometry
    from spikeline_compiler import memfiles
    from spikeline_compiler.lower import compile_with_warnings, trained_on
    from spikeline_compiler.proof import mismatch

    if args.verify < 0:
        raise CompileError(f"--verify {args.verify}: give the number of images, 0 for none")
    geometry = Geometry.load(args.geometry)
    changed = mismatch(args.model)
    if changed and not args.verify:
        raise CompileError(f"{changed}; prove it afresh with --verify 1000, export it again, or remove the proof")
    network, warnings = compile_with_warnings(args.model, geometry, args.time_steps, args.encoder)
    if changed:
        warnings.append(f"{changed}; it is proved afresh here")
    note, find = data_set(network, trained_on(args.model), args)
    name = note["name"] if note else None
    model = model_file.build(network, {"dataset": note} if note else {})
    report = describe(model, geometry) | {"warnings": warnings}
    proof = Path(f"{args.out}.verify.json")
    if args.early_exit is not None and find is None:
        raise CompileError(f"{args.model}: {unknown(name)}, and --early-exit picks a margin on that; leave out --early-exit")
    if args.verify:
        report["verify"] = check(args.model, model, args.verify, find)
    if args.early_exit is not None and find is not None:
        report["exit_margin"] = margin(network, args.early_exit, find)
        model = model_file.build(replace(network, exit_margin=report["exit_margin"]), model.note)
        report["crc"] = f"{model.crc:08x}"
    try:
        if args.mem_dir:
            report["memories"] = memfiles.write(model, geometry, args.mem_dir)
        proof.unlink(missing_ok=True)  # it spoke of the model that is replaced now
        model_file.save(model, args.out)
        if args.verify:
            with atomic(proof) as file:
                file.write_text(json.dumps(report["verify"], indent=1) + "\n")
    except OSError as error:
        raise CompileError(f"cannot write {error.filename or args.out} ({error.strerror}); {remedy(error)}") from None
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(report, indent=1) if args.json else table(report, args.out))


def data_set(
    network: "Network", said: dict[str, Any] | None, args: argparse.Namespace
) -> "tuple[dict[str, Any] | None, Find | None]":
    """What the model's note says of the data set, None if nobody knows it, and how samples are found, None if they cannot be.

    Nothing is read but what `said`, the file's metadata, and the user's --data say of it. Raises CompileError if they differ or
    do not suit the network.
    """
    from spikeline.data import samples
    from spikeline.data.data_sets import by_name
    from spikeline.errors import CompileError, DataError

    if args.data is None and (said is None or not by_name(said["name"])):
        return said, None
    needed = args.verify or args.early_exit is not None
    try:
        source = samples.source(said, args.data, args.root, args.strict, args.other_data)
        samples.check(network, source)
        if needed:
            source.require()
    except DataError as error:
        if said and not needed and args.data is None and said["name"].startswith("tonic:"):
            return said, None  # its files are not here, and not needed
        raise CompileError(f"{args.model}: {error}") from None

    def find(network: "Network", split: str, seed: int = 0) -> "Samples":
        return samples.own(network, said, source, split, seed, args.other_data)

    if said is None and source.counts.get("test") and not source.missing:
        said = {**source.facts, **({} if not needed else {"test_sha256": find(network, "test").sha256})}
    return said or source.facts, find


def unknown(data: str | None) -> str:
    """Why there are no samples of a network's data set."""
    if data:
        return (
            f"the network was trained on {data}, which is not known here by its name (if it is a file or folder, add --data PATH)"
        )
    return "the network does not say what it was trained on (if that was MNIST, add --data mnist)"


def margin(network: "Network", loss: float, find: "Find") -> int:
    """Pick the early-exit margin of a network on its training samples; see `spikeline.model.early_exit.pick_margin`."""
    import numpy as np

    from spikeline.model import early_exit, golden

    found = find(network, "train", seed=1)  # not the seed of tests
    found = found.first(min(MARGIN_IMAGES, len(found)))
    truth = found.truth
    counted = [golden.run(network, spikes).counted for spikes, _ in found.batches()]
    return early_exit.pick_margin(np.concatenate(counted), truth, loss)


def check(onnx: Path, model: "Model", count: int, find: "Find | None") -> dict[str, Any]:
    """Verify on `count` test samples of the network's data set, or on random spikes if there are none of it.

    Adds to what `verify` returns which `samples` those were. Raises CompileError if any differs.
    """
    import numpy as np

    from spikeline.errors import CompileError
    from spikeline_compiler.verify import verify

    network = model.network
    if find is None:
        rng = np.random.default_rng(0)
        density = np.linspace(0, 1, count)[:, None, None]  # from silence to all inputs at once
        spikes = (rng.random((count, network.time_steps, network.sizes[0])) < density).astype(np.uint8)
        name = "random spikes"
    else:
        found = find(network, "test")
        found = found.first(min(count, len(found)))
        spikes, name = found.spikes(), found.name
    result = verify(onnx, model, spikes)
    if result["onnx_mismatches"]:
        cause = "A membrane may lie so near the threshold that float32 rounds it across: export biases half-way between two "
        cause += "multiples of the scale"
        if network.continuous:
            cause = "float32 may not hold its membranes exactly: export weights with a scale that is a power of two"
        raise CompileError(
            f"ONNX and golden model differ on {result['onnx_mismatches']} of {result['images']} images, so no model is "
            f"written. {cause}"
        )
    return {"samples": name, **result}


def describe(model: "Model", geometry: "Geometry") -> dict[str, Any]:
    """What the model holds, as plain data."""
    network = model.network
    return {
        "geometry": geometry.name,
        "sizes": network.sizes,
        "time_steps": network.time_steps,
        "encoder": network.encoder.name.lower(),
        "decode": network.decode.name.lower(),
        "dataset": model.dataset,
        "membrane_bits": {"needed": network.membrane_bits, "available": geometry.membrane_bits},
        "layers": [
            {
                "inputs": layer.inputs,
                "neurons": layer.neurons,
                "weight_bits": network.weight_bits,
                "weights": [int(layer.weights.min()), int(layer.weights.max())],
                "thresholds": [int(layer.thresholds.min()), int(layer.thresholds.max())],
                "membranes": list(network.membrane_range(n)),
                **({"fan_in": layer.window.fan_in, "window": str(layer.window)} if layer.window else {}),
                **lasting(layer),
            }
            for n, layer in enumerate(network.layers)
        ],
        "bytes": model.nbytes,
        "crc": f"{model.crc:08x}",
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
        window = f"; convolution {layer['window']}" if "window" in layer else ""
        fan_in = layer.get("fan_in", layer["inputs"])
        lines.append(row(n, fan_in, layer["neurons"], layer["weight_bits"], *ranges, integration(layer) + window))
    bits = report["membrane_bits"]
    lines.append(
        f"{report['time_steps']} time steps, {report['encoder']} encoder, {report['decode']} decode; "
        f"membranes need {bits['needed']} of {bits['available']} bits"
    )
    if check := report.get("verify"):
        states = f", {check['states_compared']} states" if "states_compared" in check else ""
        images = f"{check['images']} images of {check['samples']}"
        lines.append(f"verified: {images}, {check['spikes_compared']} spikes{states}, all equal to the ONNX")
        if report["dataset"] is None:
            lines.append(unknown(None))
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
