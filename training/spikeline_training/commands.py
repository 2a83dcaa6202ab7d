"""The subcommands `spikeline train` and `spikeline export`. Heavy imports wait until one of them runs."""

import argparse
from typing import Any

from spikeline.cli.arguments import file_to_write, folder_to_write, name_or_path, path, positive

STRICT = "refuse recordings of N-MNIST with oddities that are else mended"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add both subcommands to the `spikeline` command."""
    train = subparsers.add_parser("train", help="train a spiking network")
    train.add_argument(
        "--preset", type=name_or_path, required=True, metavar="NAME_OR_FILE", help="a shipped preset or a .toml file"
    )
    train.add_argument("--out", required=True, type=folder_to_write, metavar="DIR", help="checkpoint, metrics and events go here")
    train.add_argument("--data", metavar="NAME", help="instead of the preset's: mnist or nmnist")
    train.add_argument("--root", type=path, metavar="DIR", help="folder of the data set's files (MNIST: fetched and cached)")
    train.add_argument("--strict", action="store_true", help=STRICT)
    train.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out, also to more --epochs")
    train.add_argument("--sizes", type=_sizes, metavar="784,H,...,10", help="instead of the preset's layers")
    train.add_argument("--time-steps", type=int, metavar="T", help="instead of the preset's; training does not depend on it")
    train.add_argument("--epochs", type=int, help="instead of the preset's")
    train.add_argument("--seed", type=int, help="instead of the preset's")
    train.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="KEY=VALUE", help="any key of the preset, as in its TOML"
    )
    train.add_argument("--threads", type=positive, default=1, help="processor threads (1: more gain little here)")
    train.set_defaults(run=_train)

    export = subparsers.add_parser("export", help="write a trained network as QONNX and prove it spike for spike")
    export.add_argument("--checkpoint", required=True, type=path, metavar="FILE", help="checkpoint.pt of a training")
    export.add_argument("--out", required=True, type=file_to_write, metavar="FILE", help="the .onnx file to write")
    export.add_argument("--root", type=path, metavar="DIR", help="folder of the data set's files (MNIST: fetched and cached)")
    export.add_argument("--strict", action="store_true", help=STRICT)
    export.add_argument("--verify", type=positive, default=1000, metavar="N", help="test images to prove on (1000)")
    export.set_defaults(run=_export)


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def _setting(text: str) -> tuple[str, Any]:
    from spikeline_training import preset

    try:
        ((key, value),) = preset.parsed(text).items()
    except ValueError:
        message = f"{text!r} is not KEY=VALUE with a value as TOML writes it, such as activity=0.1"
        raise argparse.ArgumentTypeError(message) from None
    return key, value


def _train(args: argparse.Namespace) -> None:
    import torch

    from spikeline_training import preset
    from spikeline_training.train import CHECKPOINT, train

    given = ("data", "sizes", "time_steps", "epochs", "seed")
    chosen = preset.load(args.preset, **dict(args.set) | {key: v for key in given if (v := getattr(args, key)) is not None})
    torch.set_num_threads(args.threads)
    last = train(chosen, args.out, args.root, args.resume, after_epoch=_report, strict=args.strict)
    print(
        f"{chosen.name}: {100 * last['test_accuracy']:.2f} % of the test images at T = {chosen.time_steps}; "
        f"{args.out / CHECKPOINT}"
    )


def _report(metrics: dict) -> None:
    rates = " ".join(f"{100 * rate:.1f}" for rate in metrics["spike_rates"])
    print(
        f"epoch {metrics['epoch']}: loss {metrics['loss']:.4f}, train {100 * metrics['train_accuracy']:.2f} %, "
        f"test {100 * metrics['test_accuracy']:.2f} % at T = {metrics['time_steps']}, spike rates {rates} %, "
        f"{metrics['seconds']:.1f} s",
        flush=True,
    )


def _export(args: argparse.Namespace) -> None:
    from spikeline_training.export import export

    proof = export(args.checkpoint, args.out, args.verify, args.root, args.strict)
    print(
        f"{args.out}: {proof['spikes_compared']} spikes of {proof['images']} images at T = {proof['time_steps']} "
        f"agree, accuracy {100 * proof['accuracy']:.2f} %"
    )
