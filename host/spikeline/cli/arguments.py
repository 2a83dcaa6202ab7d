"""Paths on the command line: `~` is a home folder, and what is to be written is tried before the work begins."""

import argparse
import math
from pathlib import Path

from spikeline.errors import DataError
from spikeline.files import expand, remedy, try_writing


def path(text: str) -> Path:
    """A path; the shell leaves the `~` of `--out=~/x` alone. Raises DataError where no home folder is known."""
    return Path(name_or_path(text))


def name_or_path(text: str) -> str:
    """A path, or the name of something that is shipped. Raises DataError as `path` does, and for no text at all."""
    if not text:
        raise DataError("a name or path on the command line is empty, maybe of a variable that is not set; name one")
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


def positive(text: str) -> int:
    return _at_least(1, text)


def natural(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}")
    return value


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return value


def spare_inputs(args: argparse.Namespace) -> None:
    """Raises DataError if the file to write, --out, is also one that is read: it would be lost."""
    out = getattr(args, "out", None)
    if out is None or not Path(out).is_file():
        return
    for name, value in vars(args).items():
        for given in value if isinstance(value, list) else [value]:
            if name != "out" and isinstance(given, str | Path) and Path(given).exists() and Path(given).samefile(out):
                raise DataError(f"--out {out} is what is read; name another file")
