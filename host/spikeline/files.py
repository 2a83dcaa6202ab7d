"""Write a file whole or not at all, swap folders; read a file that is a file, and not larger than it may be."""

import ctypes
import errno
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    os.chmod(name, 0o644)
    try:
        yield Path(name)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def exchange(one: Path, other: Path) -> None:
    """Let two folders of one file system swap their names: in one step, where Linux and the file system can."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
        here, exchanged = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if swap(here, os.fsencode(one), here, os.fsencode(other), exchanged):
            raise OSError(ctypes.get_errno(), "renameat2")
    except (AttributeError, OSError):
        aside = one.with_name(f"{one.name}.aside")
        os.replace(other, aside)
        os.replace(one, other)
        os.replace(aside, one)


def read(path: Path | str, most: int) -> bytes:
    """The content of a file of at most `most` bytes. Raises OSError for a larger one, and for a pipe, which may never end."""
    facts = os.stat(path)
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    if facts.st_size > most:
        raise OSError(errno.EFBIG, f"{facts.st_size:,} bytes where at most {most:,} make sense", str(path))
    return Path(path).read_bytes()


def read_json(path: Path | str, most: int = 1 << 24) -> Any:
    """Plain data from a JSON file, numbers finite. Raises OSError as `read` does, ValueError for what is no such JSON."""
    return parse_json(read(path, most))


def parse_json(content: bytes) -> Any:
    """Plain data from JSON, numbers finite. Raises ValueError for what is no such JSON."""
    try:
        return json.loads(content, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no finite number")
    return value


def cache_dir() -> Path:
    """Folder for data sets and built simulators: $SPIKELINE_CACHE, else ~/.cache/spikeline."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spikeline"
    return Path(os.environ.get("SPIKELINE_CACHE", default)).expanduser()
