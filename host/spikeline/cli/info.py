"""`spikeline info`: what is in a model."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spikeline.cli.arguments import path

if TYPE_CHECKING:
    from spikeline.model.network import Layer


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    info = subparsers.add_parser("info", help="Show what is in a model.")
    info.add_argument("model", type=path, metavar="MODEL", help="Model file to read.")
    info.add_argument("--json", action="store_true", help="Print JSON instead of a table.")
    info.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spikeline.model import model_file

    loaded = model_file.load(args.model)
    network = loaded.network
    packets = iter(loaded.packets[1:])
    layers: list[dict[str, Any]] = []
    for n, x in enumerate(network.layers):
        layer: dict[str, Any] = {"inputs": x.inputs, "neurons": x.neurons, "membrane_range": network.membrane_range(n)}
        if x.window:
            layer |= {"outputs": x.outputs, "maps": x.columns, "window": asdict(x.window)}
        for kind in ("threshold", "bias", "weight") if x.continuous else ("threshold", "weight"):
            layer[f"{kind}_bytes"] = next(packets).nbytes - 16  # header and checksum
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
    print(f"{args.model}: {'-'.join(map(str, network.sizes))}, {network.weight_bits}-bit weights in memory")
    steps = f"one time step of {network.time_steps} bit planes" if network.direct else f"{network.time_steps} time steps"
    print(f"{steps}, {facts['encoder']} input, class from the {facts['decode'].replace('_', ' ')}")
    print(f"{'layer':>5} {'inputs':>7} {'neurons':>8} {'weights':>10} {'thresholds':>11}  membrane")
    for n, layer in enumerate(layers):
        low, high = layer["membrane_range"]
        sizes = f"{layer['weight_bytes']:>8} B {layer['threshold_bytes']:>9} B"
        kind = _convolution(network.layers[n])
        print(f"{n:>5} {layer['inputs']:>7} {layer['neurons']:>8} {sizes}  {low} … {high}{kind}{_lasting(layer)}")
    print(f"membranes need {network.membrane_bits} bits; {loaded.nbytes} bytes of packets; CRC-32 {loaded.crc:08x}")
    print(f"trained on {loaded.dataset or 'a data set that it does not name'}")


def _convolution(layer: "Layer") -> str:
    if layer.window is None:
        return ""
    return f"; convolution {layer.window}, into {layer.columns}×{'×'.join(map(str, layer.window.pooled))}"


def _lasting(layer: dict[str, Any]) -> str:
    if "state_bits" not in layer:
        return ""
    bias = f"bias {layer['bias_bytes']} B" if layer["biased"] else "no bias"
    leak = f"leak {layer['leak']}" if layer["leak"] else "no leak"
    return f"; continuous, {layer['state_bits']}-bit state, {leak}, reset {layer['reset']}, {bias}"
