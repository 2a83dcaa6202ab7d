"""The subcommands `spikeline train`, `export` and `import`. Heavy imports wait until one of them runs."""

import argparse
from typing import Any

from spikeline.cli.arguments import file_to_write, folder_to_write, name_or_path, natural, path, positive, seconds
from spikeline.cli.samples import add_data, add_options, add_source, options


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommands to the `spikeline` command."""
    train = subparsers.add_parser("train", help="Train a spiking network.")
    train.add_argument(
        "--preset",
        type=name_or_path,
        required=True,
        metavar="NAME_OR_FILE",
        help="Preset to train: the name of a shipped one or a .toml file.",
    )
    train.add_argument(
        "--out",
        required=True,
        type=folder_to_write,
        metavar="DIR",
        help="Folder to write the checkpoint, the metrics and the TensorBoard log to.",
    )
    add_source(train, "the preset's")
    add_options(train)
    train.add_argument(
        "--resume", action="store_true", help="Continue from the checkpoint in --out, also to a larger number of --epochs."
    )
    train.add_argument(
        "--hidden",
        type=_hidden,
        metavar="H,...",
        help="Neurons of each hidden layer, '' for none; inputs and classes are those of the data (default: the preset's).",
    )
    train.add_argument(
        "--time-steps",
        type=int,
        metavar="T",
        help="Time steps of an image; discontinuous training does not depend on it (default: the preset's).",
    )
    train.add_argument("--epochs", type=int, metavar="N", help="Passes over the training images (default: the preset's).")
    train.add_argument("--seed", type=int, metavar="N", help="Seed of all that the training draws (default: the preset's).")
    train.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="Another value for any key of the preset, written as in TOML; may be repeated (default: none).",
    )
    train.add_argument(
        "--threads",
        type=positive,
        default=1,
        metavar="N",
        help="Processor threads; more than one gain little here (default: %(default)s).",
    )
    train.set_defaults(run=_train)

    export = subparsers.add_parser("export", help="Write a trained network as QONNX and prove it, spike for spike.")
    export.add_argument("--checkpoint", required=True, type=path, metavar="FILE", help="Checkpoint of a training, checkpoint.pt.")
    export.add_argument(
        "--out", required=True, type=file_to_write, metavar="FILE", help="ONNX file to write; the proof is written beside it."
    )
    add_data(export, "what the checkpoint says")
    export.add_argument(
        "--verify", type=positive, default=1000, metavar="N", help="Number of test images to prove it on (default: %(default)s)."
    )
    export.set_defaults(run=_export)
    _register_import(subparsers)


def _register_import(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("import", help="Write a network of another framework, a NIR file, as QONNX and prove it.")
    parser.add_argument("nir", type=path, metavar="FILE", help="NIR file, as the framework's exporter writes it.")
    add_source(parser, None)
    parser.add_argument(
        "--reset",
        required=True,
        choices=("subtract", "zero"),
        help="What firing does to a membrane, which NIR leaves open: it loses the threshold, or starts from zero.",
    )
    parser.add_argument(
        "--from",
        dest="framework",
        choices=("nir", "snntorch", "spikingjelly", "norse", "sinabs"),
        default="nir",
        help="Framework whose rule of time the network has; nir: NIR's own equations (default: %(default)s).",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(2, 4, 8),
        help="Bits of a weight to quantise to where a layer is not exact (default: refuse what is not exact).",
    )
    parser.add_argument(
        "--fine-tune",
        type=natural,
        default=0,
        metavar="EPOCHS",
        help="Passes over the training samples with Brevitas (default: %(default)s).",
    )
    parser.add_argument(
        "--time-steps", type=positive, default=8, metavar="T", help="Time steps of a sample (default: %(default)s)."
    )
    parser.add_argument(
        "--encoder",
        choices=("bernoulli", "latency", "threshold", "events"),
        default="bernoulli",
        help="What makes spikes of images; bernoulli is what rate coding is elsewhere (default: %(default)s).",
    )
    parser.add_argument("--dt", type=seconds, metavar="SECONDS", help="Time step of the export (default: the framework's).")
    parser.add_argument(
        "--out", required=True, type=file_to_write, metavar="FILE", help="ONNX file to write; the proof is written beside it."
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="Seed of encoder and fine-tuning (default: %(default)s)."
    )
    parser.add_argument(
        "--verify", type=positive, default=1000, metavar="N", help="Number of test images to prove it on (default: %(default)s)."
    )
    parser.add_argument(
        "--threads", type=positive, default=1, metavar="N", help="Processor threads of the fine-tuning (default: %(default)s)."
    )
    parser.set_defaults(run=_import)


def _hidden(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if text]


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

    from spikeline.data import data_sets
    from spikeline_training import preset
    from spikeline_training.train import CHECKPOINT, train

    given = ("hidden", "time_steps", "epochs", "seed")
    values = dict(args.set) | {key: v for key in given if (v := getattr(args, key)) is not None}
    name = args.data or values.get("data") or preset.data_of(args.preset)
    source = data_sets.find(name, args.root, args.strict, **options(args))
    chosen = preset.load(args.preset, source, **values)
    torch.set_num_threads(args.threads)
    last = train(chosen, args.out, source, args.resume, after_epoch=_report)
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
    from spikeline_training.export import export_checkpoint

    proof = export_checkpoint(args.checkpoint, args.out, args.verify, args.root, args.strict, args.data, args.other_data)
    print(
        f"{args.out}: {proof['spikes_compared']} spikes of {proof['images']} images at T = {proof['time_steps']} "
        f"agree, accuracy {100 * proof['accuracy']:.2f} %"
    )


def _import(args: argparse.Namespace) -> None:
    import torch

    from spikeline_training.nir.convert import import_nir

    torch.set_num_threads(args.threads)
    proof = import_nir(
        args.nir,
        args.out,
        args.data,
        args.reset,
        args.framework,
        bits=args.bits,
        epochs=args.fine_tune,
        time_steps=args.time_steps,
        encoder=args.encoder,
        dt=args.dt,
        root=args.root,
        strict=args.strict,
        seed=args.seed,
        images=args.verify,
    )
    for layer in proof["layers"]:
        share = layer["spikes_differing"]
        differing = "" if share is None else f"; {100 * share:.2f} % of its spikes differ"
        print(f"{layer['node']}: {'exact' if layer['exact'] else layer['changed']}{differing}")
    print(
        f"{args.out}: accuracy {100 * proof['accuracy']:.2f} %, of the float network {100 * proof['float_accuracy']:.2f} %; "
        f"{proof['spikes_compared']} spikes of {proof['images']} images at T = {proof['time_steps']} agree"
    )
