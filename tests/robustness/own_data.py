"""Data of a user in each form that is read by path: .npz, IDX, folders of pictures, and spike trains in an .npz."""

import gzip
import io
import random
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from robustness.data import bomb, odd_idx
from robustness.kinds import Kind, command, misplace
from robustness.mutate import damaged
from spikeline.cli import data
from support import own_data

VALUES = own_data.arrays((5, 4), 5, 20, 10)
NAMES = tuple(own_data.NAMES)
OTHER = ("ant", "0", "01", ".hidden", "train", "new\nline", "é" * 60, " ", "..x", "x.png")


class Read(Kind):
    """What `spikeline data` tells of it, now and then scaled or cut."""

    named = "my"

    def enter(self, rng: random.Random, folder: Path) -> None:
        more = rng.choice(([],) * 6 + (["--resize", "3x3"], ["--crop", "3x3"], ["--crop", "5x4", "--resize", "2x9"], ["--json"]))
        command(data.register, "data", folder / self.file, *more)


class Npz(Read):
    file = "my.npz"

    def make(self, rng: random.Random, folder: Path) -> None:
        values = {**VALUES, "classes": np.array(NAMES)} if rng.random() < 0.7 else spikes()
        for _ in range(rng.choice((0, 1, 1, 2))):
            odd_array(rng, values)
        how, content = rng.random(), zipped(rng, values, rng.random() < 0.3)
        (folder / self.file).write_bytes(damaged(rng, content) if how < 0.3 else content)


def spikes() -> dict[str, np.ndarray]:
    trains, labels = own_data.spikes(10, 3, 9, 3)
    return {"train_spikes": trains, "train_labels": labels, "test_spikes": trains, "test_labels": labels}


def odd_array(rng: random.Random, values: dict[str, np.ndarray]) -> None:
    """Change one: its type, shape, values or name, or leave it out."""
    key = rng.choice(list(values) or ["x"])
    x, how = values.pop(key, np.zeros(3)), rng.randrange(9)
    kinds = ("u1", "i1", "i8", "u8", "f2", "f8", "c8", "?", "U3", "S2", "M8[s]", "V2", "O", ">u2")
    if how == 0:
        values[rng.choice(("images", "labels", "x_train", "y_test", "classes", "spikes", "a/b", "", "é"))] = x
    elif how == 1:
        values[key] = np.array(rng.choice((0, -1, 1 << 40, np.nan, np.inf, "", "a\nb", b"\xff", None, (), [[]], {})))
    elif how == 2:
        values[key] = x.reshape(rng.choice(((-1,), (1, -1), (-1, 1), (*x.shape, 1), (1, *x.shape))))
    elif how == 3:
        values[key] = x[: rng.randrange(len(x) + 1)] if x.ndim else x
    elif how < 8:
        try:
            values[key] = x.astype(rng.choice(kinds))
        except (TypeError, ValueError):
            values[key] = np.zeros(x.shape, rng.choice(kinds))


def zipped(rng: random.Random, values: dict[str, np.ndarray], odd: bool) -> bytes:
    """The archive; if `odd`, one member is damaged before its sum is taken, comes twice, or is a bomb."""
    out, chosen = io.BytesIO(), rng.choice(list(values) or [""])
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))) as archive:
        for key, x in values.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, x, version=rng.choice((None, (1, 0), (2, 0), (3, 0))))
            content = file.getvalue()
            if odd and key == chosen:
                how = rng.random()
                if how < 0.02:
                    content = content[:128] + bytes(1 << 26)
                elif how < 0.5:  # the header, which says type and shape
                    content = damaged(rng, content[:128]) + content[128:]
                else:
                    content = damaged(rng, content)
            archive.writestr(f"{key}.npy", content, zipfile.ZIP_DEFLATED if len(content) > 1 << 20 else None)
    return out.getvalue()


class Idx(Read):
    file = "my"

    def make(self, rng: random.Random, folder: Path) -> None:
        path = own_data.idx(folder / self.file, VALUES, packed := rng.random() < 0.5)
        for file in rng.sample(sorted(path.iterdir()), rng.choice((1, 1, 1, 2))):
            content, how = file.read_bytes(), rng.random()
            if packed:
                content = damaged(rng, content) if how < 0.5 else gzip.compress(odd_idx(rng, gzip.decompress(content)), 1)
                file.write_bytes(bomb() if how > 0.99 else content)
            else:
                file.write_bytes(odd_idx(rng, content))
            if rng.random() < 0.1:
                file.rename(file.with_name(rng.choice((f"more-{file.name}", file.name.partition("-")[2], f"{file.name}.gz"))))
            elif rng.random() < 0.05:
                misplace(rng, file)


class Pictures(Read):
    file = "my"

    def __init__(self) -> None:
        self.sound = [
            picture(x, kind) for x in VALUES["test_images"][:5] for kind in ("PNG", "BMP", "GIF", "TIFF", "JPEG", "WEBP")
        ]

    def make(self, rng: random.Random, folder: Path) -> None:
        path = folder / self.file
        for split in ("train", "test"):
            for name in NAMES[:3]:
                (path / split / name).mkdir(parents=True)
                (path / split / name / "1.png").write_bytes(rng.choice(self.sound))
        places = sorted(path.rglob("*"))
        for _ in range(rng.choice((1, 1, 2, 3))):
            place, how = rng.choice(places), rng.randrange(7)
            if place.is_file() and how < 4:
                place.write_bytes(damaged(rng, place.read_bytes()))
            elif place.is_file() and how == 4:
                misplace(rng, place)
                places.remove(place)
            elif how == 5 and place.is_dir():
                (place / rng.choice(OTHER)).mkdir(exist_ok=True)
            elif place.is_dir():
                new = place / rng.choice(("x.png", "X.JPG", "x.tif", ".x.png", "x.txt", "x.pdf", "x.eps", "x.fits"))
                new.write_bytes(rng.choice((b"", b"x", rng.choice(self.sound), picture(np.zeros((3, 3), np.uint8), "PNG"))))


def picture(pixels: np.ndarray, kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()
