"""Arguments that subcommands share: paths, where `~` is a home folder and what is to be written is tried first; data sets."""

import argparse
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from spikeline import image, samples
from spikeline.errors import DataError
from spikeline.files import expand, remedy, try_writing
from spikeline.samples import DATA, Find


def path(text: str) -> Path:
    """A path; the shell leaves the `~` of `--out=~/x` alone. Raises DataError where no home folder is known."""
    return Path(name_or_path(text))


def name_or_path(text: str) -> str:
    """A path, or the name of something that is shipped. Raises DataError as `path` does."""
    return expand(text)


def file_to_write(text: str) -> Path:
    """A file that can be written. Raises DataError, with the fix, for one that cannot; nothing is left behind."""
    target = path(text)
    if target.is_dir() or not target.name:
        raise DataError(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise DataError(f"{target} is no ordinary file; name one")
    _try(target.parent, target)
    return target


def folder_to_write(text: str) -> Path:
    """A folder, old or new, in which files can be written. Raises DataError as `file_to_write` does."""
    target = path(text)
    if target.exists() and not target.is_dir():
        raise DataError(f"{target} is a file; name a folder")
    _try(target, target)
    return target


def _try(folder: Path, target: Path) -> None:
    """Write in the folder, or in the one in which it would be made."""
    try:
        while not folder.exists():
            folder = folder.parent
        try_writing(folder)
    except OSError as error:
        raise DataError(f"cannot write {target}: {folder}: {error.strerror}; {remedy(error)}") from None


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data, --root and --strict."""
    parser.add_argument(
        "--data", choices=DATA, help="what the network was trained on, if it does not say: %(choices)s; mnist also as saccades"
    )
    parser.add_argument("--root", type=path, metavar="DIR", help="folder of the data set's files instead of the cache")
    parser.add_argument("--strict", action="store_true", help="refuse recordings of N-MNIST with oddities that are else mended")


def found(args: argparse.Namespace, models: Iterable[Path]) -> Find:
    """How to find the samples of each of these models. Raises DataError, naming the model, before any work for one without."""
    for file in models:
        try:
            samples.require_folder(samples.data_set(image.load(file), args.data), args.root)
        except DataError as error:
            raise DataError(f"{file}: {error}") from None
    return partial(samples.of, given=args.data, root=args.root, strict=args.strict)
