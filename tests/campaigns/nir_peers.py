"""Peers: networks that snnTorch, SpikingJelly and Norse train on MNIST, imported through NIR; and what of each converts.

nir_peers.py --out docs/results/nir.json

Each framework trains as its tutorials do, writes a NIR file by its own exporter, and is scored on all test images by its own
forward pass, on the same Bernoulli spikes as the imported networks. docs/nir.md shows the tables.
"""

import argparse
import json
import tempfile
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import torch

from spikeline.cli.arguments import file_to_write
from spikeline.data import mnist
from spikeline.errors import CompileError
from spikeline.files import atomic
from spikeline.measure import evaluate
from spikeline.model.encode import encode
from spikeline.model.network import Layer, Network
from spikeline_training.nir.convert import convert, float_layers, import_nir
from spikeline_training.nir.read import layers as chain
from spikeline_training.nir.read import read
from spikeline_training.nir.rules import RULES
from support.peers import PEERS, train

STEPS, HIDDEN = 8, 256
# Framework, what its neurons keep, reset, whether the last layer fires: as the tutorials have it.
TRAINED = [
    ("SnnTorch", 0.9, "subtract", True),
    ("SpikingJelly", 0.5, "zero", True),
    ("Norse", 0.9, "zero", False),
]
KEPT = ("accuracy", "float_accuracy", "accuracy_images", "labels_differing", "compared", "layers")  # of a proof


def trained(kind: str, keep: float, reset: str, spiking: bool, images: int, epochs: int, folder: Path) -> tuple[Path, float]:
    """The NIR file of a network trained on so many images, and its accuracy on all test images by its own forward pass."""
    pixels, labels = (torch.from_numpy(x[:images].copy()) for x in mnist.load("train"))
    peer = train(PEERS[kind]((784, HIDDEN, 10), keep, reset, spiking), pixels, labels.long(), STEPS, epochs)
    peer.export(folder / f"{kind}.nir")
    return folder / f"{kind}.nir", accuracy(peer)


def accuracy(peer: torch.nn.Module) -> float:
    """Share of all test images that the framework's forward pass gets right."""
    pixels, labels = mnist.load("test")
    right = 0
    for start in range(0, len(labels), 500):
        spikes = encode(pixels[start : start + 500], "bernoulli", STEPS, 0, first_image=start)
        with torch.no_grad():
            _, values = peer.run(torch.from_numpy(spikes).float().transpose(0, 1))
        right += int((values.argmax(1).numpy() == labels[start : start + 500]).sum())
    return right / len(labels)


def imports(path: Path, kind: str, reset: str, own: float, folder: Path) -> list[dict]:
    """The network in 8 and in 4 bits, quantised after training and fine-tuned for two epochs."""
    rows = []
    for bits, epochs in ((8, 0), (4, 0), (4, 2)):
        name = PEERS[kind].name
        proof = import_nir(
            path, folder / "net.onnx", "mnist", reset, name, bits=bits, epochs=epochs, time_steps=STEPS, say=lambda _: None
        )
        kept = {
            key: proof[key] for key in ("accuracy", "accuracy_images", "float_accuracy", "labels_differing", "compared", "layers")
        }
        rows.append({"bits": bits, "epochs": epochs, "own_accuracy": own, **kept})
        print(kind, {key: rows[-1][key] for key in ("bits", "epochs", "own_accuracy", "float_accuracy", "accuracy")}, flush=True)
    return rows


def conversions() -> list[dict]:
    """Each node under each rule: exact, quantised with what changes, or refused with the reason."""
    one, none, found = np.ones(4), np.zeros(4), []
    for framework, rule in RULES.items():
        dt = rule.dt
        decay = {"norse": dt * dt}.get(framework, dt)  # Norse writes dt · τ
        unit = one if framework in ("norse", "sinabs") else one / dt
        cases = [("Threshold", "", nir.Threshold(one))] if framework == "nir" else []
        if framework != "snntorch":
            cases.append(("IF", "", nir.IF(unit, one, none)))
        else:
            cases.append(("LIF", "β = 1", nir.LIF(one * np.inf, one * np.inf, none, one, none)))
        for share in (2, 10):
            label = "β = 1 − 2^-k" if share == 2 else "other β"
            cases.append(("LIF", label, nir.LIF(one * decay * share, one * share, none, one, none)))
        cases.append(("CubaLIF", "", nir.CubaLIF(one, one, one, none, one, none)))
        for node, which, made in cases:
            for reset in ("subtract", "zero"):
                found.append(
                    {"framework": framework, "node": node, "which": which, "reset": reset, **_outcome(made, framework, reset)}
                )
    return found


def _outcome(node: nir.NIRNode, framework: str, reset: str) -> dict:
    weights = nir.Linear(np.arange(-12, 12).reshape(4, 6) % 7 / 4.0 - 0.5)
    nodes = {
        "input": nir.Input({"input": np.array([6])}),
        "fc": weights,
        "n": node,
        "output": nir.Output({"output": np.array([4])}),
    }
    try:
        (layer,) = float_layers(chain(nodes, list(pairwise(nodes))), framework, reset)
    except CompileError as error:
        return {"outcome": "refused", "why": str(error).split("): ", 1)[1]}
    template = Network((Layer(np.zeros((6, 4), np.int8), np.zeros(4, np.int32)),), 8, 3)
    try:
        convert([layer], template)
    except CompileError as error:
        return {"outcome": "quantised", "why": str(error).split(": ", 1)[1].removesuffix("; or accept that with --bits 8")}
    return {"outcome": "exact", "why": ""}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60000, metavar="N")
    parser.add_argument("--epochs", type=int, default=2, metavar="N")
    parser.add_argument("--out", type=file_to_write, required=True, metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = []
    with tempfile.TemporaryDirectory() as name:
        for kind, keep, reset, spiking in TRAINED:
            path, own = trained(kind, keep, reset, spiking, args.images, args.epochs, Path(name))
            rows = imports(path, kind, reset, own, Path(name))
            sizes = [784, *(x.neurons for x in read(path))]
            output = "spike count" if spiking else "membrane"
            networks.append(
                {"framework": PEERS[kind].name, "keep": keep, "reset": reset, "output": output, "sizes": sizes, "rows": rows}
            )
    report = {
        "command": "make peers",
        "commit": evaluate.commit(),
        "time_steps": STEPS,
        "trained_on": args.images,
        "epochs": args.epochs,
        "networks": networks,
        "conversions": conversions(),
    }
    with atomic(args.out) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
