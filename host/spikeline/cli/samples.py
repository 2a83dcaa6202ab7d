"""Arguments that say which samples a network meets, alike in every subcommand that takes a model."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from spikeline.cli.arguments import name_or_path, path, positive
from spikeline.data import samples
from spikeline.data.data_sets import KNOWN
from spikeline.data.samples import Find, Samples
from spikeline.errors import DataError
from spikeline.model import model_file
from spikeline.model.model_file import Model


def add_data(parser: argparse.ArgumentParser, default: str = "what the model says") -> None:
    """Add --data, --root, --strict and --other-data."""
    add_source(parser, default)
    parser.add_argument(
        "--other-data",
        action="store_true",
        help="Score on other data than the network was trained on; the report then says so (default: they are refused).",
    )


def add_source(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Add --data, which is required if there is no default, --root and --strict."""
    what = f"Data set: {KNOWN}, or the path of a .npz file, a folder of IDX files or of pictures"
    parser.add_argument(
        "--data",
        type=name_or_path,
        required=default is None,
        metavar="NAME_OR_PATH",
        help=f"{what} (default: {default})." if default else f"{what}.",
    )
    add_root(parser)


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add --root and --strict."""
    parser.add_argument(
        "--root", type=path, metavar="DIR", help="Folder of the files of a data set known by name (default: the cache)."
    )
    parser.add_argument(
        "--strict", action="store_true", help="Refuse recordings of N-MNIST with oddities instead of mending them."
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how data are read that need it said: --resize, --crop and --test-every. A model remembers them."""
    parser.add_argument("--resize", type=_size, metavar="HxW", help="Scale pictures to so many rows and columns (default: none).")
    parser.add_argument(
        "--crop", type=_size, metavar="HxW", help="Cut pictures around their centre to so many rows and columns (default: none)."
    )
    parser.add_argument(
        "--test-every",
        type=positive,
        metavar="N",
        help="Of a set of tonic without splits, every N-th sample is the test (default: such a set is refused).",
    )


def options(args: argparse.Namespace) -> dict[str, object]:
    """What `add_options` added, as `data_sets.find` takes it."""
    return {"resize": args.resize, "crop": args.crop, "test_every": args.test_every}


def _size(text: str) -> tuple[int, int]:
    if not re.fullmatch("[1-9][0-9]{0,3}x[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError("must be rows x columns, such as 28x28")
    rows, columns = text.split("x")
    return int(rows), int(columns)


def found(args: argparse.Namespace, models: Iterable[Path], labelled: bool = True) -> Find:
    """How to find the samples of each of these models. Raises DataError, naming the model, before any work for one without.

    labelled: the samples must have labels.
    """
    for file in models:
        try:
            samples.require(model_file.load(file), args.data, args.root, args.other_data)
        except DataError as error:
            raise DataError(f"{file}: {error}") from None

    def find(model: Model, split: str = "test", seed: int = 0) -> Samples:
        given = samples.of(model, split, args.data, args.root, seed, args.strict, args.other_data)
        if labelled:
            _ = given.truth
        return given

    return find
