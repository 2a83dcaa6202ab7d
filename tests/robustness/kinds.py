"""The kinds of files that a user can be sent, by name. Each can make a damaged one, and knows the documented way in for it."""

import argparse
import contextlib
import importlib
import io
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

NAMES = {
    **dict.fromkeys(("onnx", "model"), "models"),
    **dict.fromkeys(("preset", "checkpoint"), "training"),
    **dict.fromkeys(("mnist", "events", "meter"), "data"),
    **dict.fromkeys(("npz", "idx", "pictures"), "own_data"),
    "nir": "nir_files",
    **dict.fromkeys(("geometry", "estimate", "report", "proof", "tables", "hwh"), "reports"),
}


class Kind(ABC):
    """One kind of file."""

    file: str  # its name
    named = ""  # what of the name every message must have, if not all

    @abstractmethod
    def make(self, rng: random.Random, folder: Path) -> None:
        """Write a damaged file, and the sound ones around it that the way in needs."""

    @abstractmethod
    def enter(self, rng: random.Random, folder: Path) -> None:
        """Give it to the function that the command line calls. It works, or raises a SpikelineError; nothing else."""


def kind(name: str) -> Kind:
    """The kind of that name; only what it needs is imported. `planted` has every fault: it tests the fuzz target itself."""
    return getattr(importlib.import_module(f"robustness.{NAMES.get(name, 'planted')}"), name.capitalize())()


def command(register: Callable[[argparse._SubParsersAction], None], *words: str | Path) -> str:
    """Run a subcommand as `spikeline` does; returns what it prints."""
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args([str(word) for word in words])
    with contextlib.redirect_stdout(io.StringIO()) as output:
        args.run(args)
    return output.getvalue()


def misplace(rng: random.Random, path: Path) -> None:
    """Put something that is no file, or an absurdly large one, where the file is."""
    if path.is_dir():
        return
    path.unlink(missing_ok=True)
    how = rng.randrange(6)
    if how == 0:
        path.mkdir()
    elif how == 1:
        path.symlink_to(path)
    elif how == 2:
        os.mkfifo(path)
    elif how == 3:
        path.symlink_to("/dev/zero")
    elif how == 4:
        path.touch()
        os.truncate(path, rng.choice((0, 1 << 32, 1 << 40)))
    # else it is missing
