"""Write a file whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def cache_dir() -> Path:
    """Folder for data sets and built simulators: $SPIKELINE_CACHE, else ~/.cache/spikeline."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spikeline"
    return Path(os.environ.get("SPIKELINE_CACHE", default)).expanduser()
