"""Data sets and logs: MNIST as raw files, from a mirror and from npm; recordings of an event camera; logs of a power meter."""

import gzip
import hashlib
import io
import random
import struct
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from robustness.kinds import Kind, misplace
from robustness.mutate import damaged, damaged_lines
from spikeline.data import mnist, nmnist, recordings, saccades
from spikeline.data.mnist import IdxFile
from spikeline.measure import meter

IMAGES = {"train": 6, "test": 4}


@cache
def digits() -> tuple[dict[tuple[str, str], IdxFile], dict[str, bytes]]:
    """A small MNIST: what `mnist.FILES` says of it, and its files."""
    rng = np.random.default_rng(0)
    files, contents = {}, {}
    for (split, kind), full in mnist.FILES.items():
        count = IMAGES[split]
        dims = (count, 28, 28) if kind == "images" else (count,)
        top = 256 if kind == "images" else 10
        content = (
            struct.pack(f">{1 + len(dims)}I", 0x800 + len(dims), *dims) + rng.integers(0, top, dims).astype(np.uint8).tobytes()
        )
        files[split, kind] = full._replace(images=count, md5=hashlib.md5(content, usedforsecurity=False).hexdigest())
        contents[full.name] = content
    return files, contents


@cache
def bomb() -> bytes:
    """Gzip that unpacks to four gigabytes of zeros."""
    return gzip.compress(bytes(64 << 20), 9) * 64


def small() -> Any:
    """Let `mnist` know the small MNIST alone."""
    return mock.patch.dict(mnist.FILES, digits()[0])


def odd_idx(rng: random.Random, content: bytes) -> bytes:
    """An IDX file with another magic, other dimensions, cut, grown or damaged."""
    how = rng.randrange(3)
    if how == 0:
        words = [0x801, 0x803, 0x80D, 0x1F8B0800, 0, 1, 28, 10_000, 60_000, 1 << 31, 0xFFFFFFFF]
        at = 4 * rng.randrange(4)
        return content[:at] + struct.pack(">I", rng.choice(words)) + content[at + 4 :]
    if how == 1:
        return rng.choice((content[: rng.randrange(len(content))], content + b"\0", b"", content * 2, gzip.compress(content)))
    return damaged(rng, content)


class Mnist(Kind):
    """From a folder of the user's; by a mirror's gzip, by npm's archive; all are served damaged files."""

    file = "-ubyte"

    def make(self, rng: random.Random, folder: Path) -> None:
        _, contents = digits()
        self.way = rng.choice(("root", "mirror", "npm"))
        served = dict(contents)
        for name in rng.sample(list(served), rng.choice((1, 1, 2, 4))):
            served[name] = odd_idx(rng, served[name])
        if self.way == "root":
            (folder / "mnist").mkdir()
            for name, content in served.items():
                (folder / "mnist" / name).write_bytes(content)
            if rng.random() < 0.1:
                (folder / "mnist" / name).unlink()
        elif self.way == "mirror":
            for name, content in served.items():
                packed = gzip.compress(content, 1)
                packed = damaged(rng, packed) if rng.random() < 0.5 else packed
                (folder / f"{name}.gz").write_bytes(bomb() if rng.random() < 0.01 else packed)
        else:
            (folder / "mnist.tgz").write_bytes(odd_archive(rng, served))

    def enter(self, rng: random.Random, folder: Path) -> None:
        with small():
            if self.way == "root":
                mnist.load("test", folder / "mnist")
                return
            sources = (f"{mnist.MIRRORS[0]}",) if self.way == "mirror" else tuple(x for x in mnist.SOURCES if "npm" in x)
            with (
                mock.patch.dict("os.environ", SPIKELINE_CACHE=str(folder / "cache")),
                mock.patch.dict(mnist.SOURCES, {x: mnist.SOURCES[x] for x in sources}, clear=True),
                mock.patch("urllib.request.urlopen", lambda url, timeout: (folder / url.rpartition("/")[2]).open("rb")),
                mock.patch("shutil.which", lambda name: name),
                mock.patch("subprocess.run", lambda command, cwd, **_: _pack(folder, Path(cwd))),
            ):
                mnist.load("test")


def _pack(folder: Path, to: Path) -> subprocess.CompletedProcess:
    """What `npm pack` does."""
    (to / "mnist.tgz").write_bytes((folder / "mnist.tgz").read_bytes())
    return subprocess.CompletedProcess([], 0)


def odd_archive(rng: random.Random, served: dict[str, bytes]) -> bytes:
    """A tar.gz whose members are links, folders, lie about their size, are missing or damaged."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in served.items():
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(content)
            if rng.random() < 0.2:
                info.type = rng.choice(
                    (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE)
                )
                info.linkname, info.size = rng.choice(("/etc/passwd", info.name, "../../x", "")), 0
            archive.addfile(info, io.BytesIO(content))
    plain = bytearray(out.getvalue())
    if rng.random() < 0.5:
        plain = bytearray(damaged(rng, bytes(plain)))
    if rng.random() < 0.01:
        return bomb()
    packed = gzip.compress(bytes(plain), 1)
    return damaged(rng, packed) if rng.random() < 0.4 else packed


class Events(Kind):
    """Recordings in the folders of N-MNIST, and the cache of simulated ones, which is made anew if it is damaged."""

    file = ".bin"

    def __init__(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (10, mnist.PIXELS)).astype(np.uint8) * (np.arange(784) % 9 == 0)
        self.recordings = [recorded(saccades.simulate(x.astype(np.uint8))) for x in pixels]

    def make(self, rng: random.Random, folder: Path) -> None:
        chosen = rng.randrange(10)
        for label, recording in enumerate(self.recordings):
            path = folder / "Test" / str(label) / f"{label:05d}.bin"
            path.parent.mkdir(parents=True)
            path.write_bytes(odd_recording(rng, recording) if label == chosen else recording)
        self.one = path.parents[1] / str(chosen) / f"{chosen:05d}.bin"
        if rng.random() < 0.02:
            misplace(rng, self.one)

    def enter(self, rng: random.Random, folder: Path) -> None:
        strict = rng.random() < 0.5
        nmnist.read(self.one, strict)
        nmnist.load("test", rng.choice((1, 3, 10)), rng.choice((1, 2)), folder, strict)


def recorded(given: recordings.Recording) -> bytes:
    """The file of a recording."""
    with tempfile.TemporaryDirectory() as folder:
        nmnist.write(Path(folder) / "x.bin", given)
        return (Path(folder) / "x.bin").read_bytes()


def odd_recording(rng: random.Random, content: bytes) -> bytes:
    """Events that lie elsewhere or go back, a file cut within one, or damaged."""
    how, count = rng.random(), len(content) // 5
    if how < 0.4:
        return damaged(rng, content)
    changed = bytearray(content)
    at = 5 * rng.randrange(count)
    if how < 0.5:
        changed[at + rng.randrange(5)] = rng.choice((0, 33, 34, 127, 128, 240, 255))
    elif how < 0.6:
        for n in rng.sample(range(count), rng.randint(1, count)):
            changed[5 * n + 1] = 240
    elif how < 0.7:
        del changed[rng.randrange(len(changed)) :]
    elif how < 0.8:
        changed[at : at + 5] = b"\x21\x21\xff\xff\xff"
    elif how < 0.9:
        order = list(range(count))
        rng.shuffle(order)
        changed = bytearray(b"".join(content[5 * n : 5 * n + 5] for n in order))
    else:
        changed = bytearray(rng.choice((b"", b"\0" * 5, content * 50, b"\x00\x00\x80\x00\x00" * 1000)))
    return bytes(changed)


CELLS = (
    *(
        "",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1",
        "0",
        "1e308",
        "abc",
        '"',
        '""',
        '"a\nb"',
        "1,5",
        "1;5",
        "\t",
        "2024-01-01T00:00:00",
        "é",
    ),
    *(
        "2024-02-30T00:00:00",
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59.999999+00:00",
        "2024-01-01T00:00:00+99:99",
        "\0",
        "1_0",
        "٣",
    ),
    *(
        "time,power",
        "time,power (mW),power (W)",
        "time,voltage,current",
        "time,volts,amps,watts",
        "a" * 140_000,
        "1," * 3000,
        "time",
    ),
    *(
        "9" * 400,
        "9" * 5000,
        "2024-01-01T00:00:00." + "1" * 300,
        "0000-00-00",
        "-0001-01-01",
        "0001-01-01T00:00:00+23:59",
        "1e-320",
    ),
)


class Meter(Kind):
    file = "meter.csv"

    def make(self, rng: random.Random, folder: Path) -> None:
        text = rng.choice(
            (
                "time,power (mW)\n" + "".join(f"{1.7e9 + n},{2500 + n % 7}\n" for n in range(20)),
                "2024-01-01T00:00:00,2.5\n2024-01-01T00:00:01,2.6\n2024-01-01T00:00:02.5,2.7\n",
                "Meter;5\nTime (s);Voltage (V);Current (mA)\n" + "".join(f"{n},5;5,01;{500 + n}\n" for n in range(20)),
                "stamp\tvolts\tamps\n1700000000000\t5\t0.5\n1700000000020\t5\t0.6\n",
            )
        )
        how = rng.random()
        data = (damaged_lines(rng, text, CELLS, CELLS) if how < 0.75 else text).encode("utf-8", "surrogatepass")
        (folder / self.file).write_bytes(damaged(rng, data) if how > 0.6 else data)

    def enter(self, rng: random.Random, folder: Path) -> None:
        times, watts = meter.read(folder / self.file)
        assert len(times) == len(watts) > 0
        assert (abs(watts) <= meter.LARGEST_W).all()
        assert (abs(times) <= meter.LATEST).all()
        assert (np.diff(times) >= 0).all()
