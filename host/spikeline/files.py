"""Write a file whole or not at all, swap folders; read a file that is a file, and not larger than it may be; the cache."""

import ctypes
import errno
import json
import math
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikeline.errors import DataError, SpikelineError

REMEDIES = {
    "make room there, or write elsewhere": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "change its permissions, or write elsewhere": (errno.EACCES, errno.EPERM),
    "write elsewhere": (errno.EROFS,),
    "make the folder, or correct the path": (errno.ENOENT,),
    "a part of the path is a file: correct the path": (errno.ENOTDIR, errno.EEXIST),
    "name a file, not a folder": (errno.EISDIR,),
    "shorten the path": (errno.ENAMETOOLONG,),
    "allow more open files: ulimit -n 4096": (errno.EMFILE, errno.ENFILE),
    "free memory": (errno.ENOMEM,),
}  # by what the system said


def remedy(error: OSError) -> str:
    """What mends an error of the file system."""
    return next((fix for fix, numbers in REMEDIES.items() if error.errno in numbers), "look at that path, or use another")


def expand(path: Path | str) -> str:
    """A path with the home folder in the place of its `~`. Raises DataError if there is none."""
    text = str(path)
    if text == "~" or text.startswith("~/"):
        text = f"{_home() or '~'}{text[1:]}"
    expanded = os.path.expanduser(text)  # somebody else's
    if expanded.startswith("~"):
        raise DataError(f"{path}: no such home folder is known here; write the whole path, or ./~… for a name with a ~")
    return expanded


def _home() -> Path | None:
    """$HOME, else what the system knows; None if neither is an absolute path."""
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a user without a name, as containers have
        return None
    return Path(home) if os.path.isabs(home) else None


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` when the block ends without an error."""
    path = Path(expand(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    os.chmod(name, 0o644)
    try:
        yield Path(name)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def try_writing(folder: Path) -> None:
    """Raises OSError if no file can be made in the folder; leaves nothing behind."""
    with tempfile.TemporaryFile(dir=folder):
        pass


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


def ordinary(path: Path | str) -> os.stat_result:
    """What is known of an ordinary file. Raises OSError for a folder, and for a pipe, which may never end."""
    facts = os.stat(path)
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return facts


def read(path: Path | str, most: int) -> bytes:
    """The content of an `ordinary` file of at most `most` bytes. Raises OSError for another, and for a larger one."""
    path = expand(path)
    facts = ordinary(path)
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
    """Folder for data sets and built simulators, absolute: $SPIKELINE_CACHE, else spikeline in $XDG_CACHE_HOME or ~/.cache.

    An empty variable counts as none. Who has no home that can be written gets a folder of their own beside temporary files.
    Raises DataError if that is somebody else's.
    """
    if chosen := os.environ.get("SPIKELINE_CACHE"):
        return Path(os.path.abspath(expand(chosen)))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # its standard: another one is to be ignored
        return Path(base) / "spikeline"
    home = _home()
    if home and home.is_dir():
        folder = home / ".cache/spikeline"
        nearest = next(x for x in (folder, folder.parent, home) if x.exists())
        if nearest == folder or os.access(nearest, os.W_OK | os.X_OK):
            return folder
    return _own_temporary_folder()


def _own_temporary_folder() -> Path:
    """A folder that no one else can have put a simulator into."""
    folder = Path(tempfile.gettempdir()).absolute() / f"spikeline-{os.getuid()}"
    with caching(DataError):
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o022:
            raise DataError(f"{folder} is not this user's alone; name a folder of yours for the cache by SPIKELINE_CACHE")
    return folder


@contextmanager
def caching(error: type[SpikelineError]) -> Iterator[None]:
    """Around what writes into the cache: raises `error`, which names the variable that moves it, where that is not possible."""
    try:
        yield
    except OSError as cause:
        place = f"{cause.filename}: " if cause.filename else ""
        text = f"cannot write to the cache: {place}{cause.strerror or cause}; {remedy(cause)}"
        raise error(f"{text}: set SPIKELINE_CACHE to a folder that can be written") from None
