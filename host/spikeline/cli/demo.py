"""`spikeline demo`: the whole flow, from training to a report of the simulated accelerator; what `make demo` does.

Where the packages for training are missing, it starts from a trained model that comes with Spikeline.
"""

import argparse
import shlex
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from spikeline.cli.arguments import folder_to_write, name_or_path, positive
from spikeline.errors import ModelError, PresetError
from spikeline.files import read_json

PRESETS = {
    "discontinuous": "mnist-dc-256",
    "continuous": "mnist-cc-latency",
    "events": "mnist-cc-events",
    "convolution": "mnist-conv-fast",
}
FOLDERS = {mode: "build/demo" if mode == "discontinuous" else f"build/demo-{mode}" for mode in PRESETS}
GEOMETRIES = {mode: "z020-conv" if mode == "convolution" else "z020-256" for mode in PRESETS}
SHIPPED = Path(__file__).parents[1] / "models"
FLOW = {"training": "brevitas", "compiler": "qonnx"}  # packages in the order of the data, and what they need
TRAINABLE = "pip install 'spikeline[train]'"


def register(subparsers: argparse._SubParsersAction, command: Callable[[list[str]], int]) -> None:
    """Add the subcommand, which runs others by `command`."""
    demo = subparsers.add_parser("demo", help="Run the whole flow on MNIST and report, as `make demo` does.")
    demo.add_argument(
        "--mode", choices=PRESETS, default="discontinuous", help="Which network: %(choices)s (default: %(default)s)."
    )
    source = demo.add_mutually_exclusive_group()
    source.add_argument(
        "--train", action="store_true", default=None, help="Train the network (default: if the packages for it are installed)."
    )
    source.add_argument(
        "--trained",
        action="store_false",
        dest="train",
        help="Use the trained model that comes with Spikeline instead of training one.",
    )
    demo.add_argument(
        "--preset",
        type=name_or_path,
        metavar="NAME_OR_FILE",
        help="Preset to train: the name of a shipped one or a .toml file (default: that of the mode).",
    )
    demo.add_argument(
        "--geometry",
        type=name_or_path,
        metavar="NAME",
        help="Geometry of the simulated accelerator: a shipped one or a .json file (default: z020-256, or that of the mode).",
    )
    demo.add_argument(
        "--images", type=positive, metavar="N", help="Number of test images to classify, from the first on (default: all)."
    )
    demo.add_argument(
        "--out", type=folder_to_write, metavar="DIR", help="Folder to write to (default: build/demo, or build/demo-MODE)."
    )
    demo.set_defaults(run=partial(run, command=command))


def run(args: argparse.Namespace, command: Callable[[list[str]], int]) -> None:
    """Run one subcommand after the other. Exits with the status of one that fails."""
    installed = all(find_spec(package) for package in FLOW.values())
    preset = args.preset or PRESETS[args.mode]
    train = installed or args.preset is not None if args.train is None else args.train
    if train and not installed:
        raise PresetError(f"training needs packages that are not installed; run `{TRAINABLE}`")
    out = args.out or folder_to_write(FOLDERS[args.mode])
    model = out / "model.img"
    if not train:
        model = shipped(preset, installed)
    geometry = args.geometry or GEOMETRIES[args.mode]
    for words in commands(preset if train else None, model, out, geometry, args.images):
        print(f"$ spikeline {shlex.join(words)}", flush=True)
        if status := command(words):
            sys.exit(status)


def shipped(preset: str, trainable: bool) -> Path:
    """The trained model of a preset that comes with Spikeline; says so. Raises ModelError if there is none."""
    model, how = SHIPPED / f"{preset}.img", "spikeline demo --train" if trainable else TRAINABLE
    if not model.exists():
        raise ModelError(f"no trained model of {preset} comes with Spikeline; train it: `{how}`")
    facts = read_json(model.with_suffix(".json"))
    print(f"{preset} as it comes with Spikeline, {facts['accuracy']:.2%} of the test images; to train it here: {how}")
    return model


def commands(preset: str | None, model: Path, out: Path, geometry: str, images: int | None = None) -> list[list[str]]:
    """The subcommands of the flow: all of it for a preset to train, else the report of a model that is there."""
    flow = [
        ["train", "--preset", f"{preset}", "--out", f"{out}", "--resume"],
        ["export", "--checkpoint", f"{out / 'checkpoint.pt'}", "--out", f"{out / 'model.onnx'}", "--verify", "1000"],
        ["compile", f"{out / 'model.onnx'}", "--out", f"{model}", "--geometry", geometry, "--verify", "1000"],
    ]
    report = ["report", f"{model}", "--geometry", geometry, "--out", f"{out}"]
    return [*(flow if preset else []), report + (["--images", f"{images}"] if images else [])]
