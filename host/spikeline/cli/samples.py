"""Arguments that say which samples a network meets, alike in every subcommand that takes a model."""

import argparse
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from spikeline.cli.arguments import path
from spikeline.data import samples
from spikeline.data.data_sets import DATA_SETS
from spikeline.data.samples import Find
from spikeline.errors import DataError
from spikeline.model import model_file


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data, --root and --strict."""
    parser.add_argument(
        "--data",
        choices=tuple(DATA_SETS),
        help="Data set that the network was trained on: %(choices)s; mnist also as saccades (default: what the model says).",
    )
    parser.add_argument("--root", type=path, metavar="DIR", help="Folder of the data set's files (default: the cache).")
    parser.add_argument(
        "--strict", action="store_true", help="Refuse recordings of N-MNIST with oddities instead of mending them."
    )


def found(args: argparse.Namespace, models: Iterable[Path]) -> Find:
    """How to find the samples of each of these models. Raises DataError, naming the model, before any work for one without."""
    for file in models:
        try:
            samples.require_folder(samples.data_set(model_file.load(file), args.data), args.root)
        except DataError as error:
            raise DataError(f"{file}: {error}") from None
    return partial(samples.of, given=args.data, root=args.root, strict=args.strict)
