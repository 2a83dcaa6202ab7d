"""Presets, of which a network is trained, and checkpoints, which are exported."""

import random
import zipfile
from pathlib import Path
from typing import Any

import torch

from robustness.kinds import Kind
from robustness.mutate import HOSTILE, damaged, damaged_lines, damaged_tree
from spikeline.errors import PresetError
from spikeline_training import checkpoint, preset
from spikeline_training.integers import integers
from spikeline_training.network import SpikingNetwork

VALUES = (
    *(
        "0",
        "-1",
        "1",
        "2",
        "16",
        "255",
        "1e400",
        "-inf",
        "nan",
        "0.5",
        "true",
        "'a'",
        '"é\\u0000"',
        "[]",
        "[1, 'a']",
        "{}",
        "{a = 1}",
    ),
    *("9" * 400, "9" * 5000, "0x" + "f" * 4000, "0b1", "1979-05-27T07:32:00Z", "[784, 10]", "[784, 0, 10]", "[784, 4096, 10]"),
    *(
        f"[784, {'4096, ' * 200}10]",
        "[" * 3000,
        "[" * 300 + "]" * 300,
        "{a = " * 600,
        "'''",
        '"' + "x" * 100_000 + '"',
        "'events'",
    ),
    *("'latency'", "'threshold'", "'continuous'", "'nmnist'", "[2312, 8, 10]", "[true, 2, 10]", "[784.0, 8, 10]"),
)
LINES = (
    *(f"{key} = {value}" for key in preset.Preset.__dataclass_fields__ for value in VALUES),
    *(
        "[table]",
        "[[array]]",
        "[preset.sizes]",
        "a.b.c = 1",
        "." * 99,
        "=",
        "seed",
        "unknown = 1",
        "name = {a = [1]}",
        "\ufeff",
        "\0",
    ),
    *("a." * 3000 + "a = 1", "# é", "name = ''", "name = '../../x'", "\x7f", "\\", "sizes = [784, 8, 10]\nsizes = [784, 8, 10]"),
)
SMALL = {"train_images": 64, "batch": 32, "epochs": 1, "time_steps": 2}


class Preset(Kind):
    file = "preset.toml"

    def __init__(self) -> None:
        self.seeds = [(preset.FOLDER / f"{name}.toml").read_text() for name in preset.names()]

    def make(self, rng: random.Random, folder: Path) -> None:
        text = rng.choice(self.seeds)
        how = rng.random()
        if how < 0.75:
            text = damaged_lines(rng, text, VALUES, LINES)
        data = text.encode("utf-8", "surrogatepass")
        (folder / self.file).write_bytes(damaged(rng, data) if how > 0.65 else data)

    def enter(self, rng: random.Random, folder: Path) -> None:
        chosen = preset.load(str(folder / self.file))
        assert preset.from_dict(chosen.as_dict(), self.file) == chosen


class Checkpoint(Kind):
    file = "checkpoint.pt"

    def __init__(self) -> None:
        lasting = {"integration": "continuous", "encoder": "latency", "bias": True}
        self.presets = [
            preset.from_dict(SMALL | {"sizes": [784, 3, 10]}, "seed"),
            preset.from_dict(SMALL | lasting | {"sizes": [784, 3, 2, 10]}, "seed"),
        ]

    def make(self, rng: random.Random, folder: Path) -> None:
        path, chosen = folder / self.file, rng.choice(self.presets)
        network = SpikingNetwork(chosen)
        optimizer = torch.optim.Adam(network.parameters())
        checkpoint.save(path, chosen, network, optimizer, [{"epoch": 1, "loss": 0.5}])
        how = rng.random()
        if how < 0.7:
            state = torch.load(path, weights_only=True)
            torch.save(damaged_tree(rng, state, (*HOSTILE, *tensors(rng)), 2), path, _use_new_zipfile_serialization=how < 0.65)
        elif how < 0.9:
            path.write_bytes(damaged(rng, path.read_bytes()))
        else:
            swap_member(rng, path)

    def enter(self, rng: random.Random, folder: Path) -> None:
        network, _, _ = checkpoint.load(folder / self.file)
        try:
            integers(network)
        except PresetError as error:
            raise PresetError(f"{self.file}: {error}") from None  # as `export` does
        chosen = rng.choice(self.presets)
        again = SpikingNetwork(chosen)
        checkpoint.restore(folder / self.file, chosen, again, torch.optim.Adam(again.parameters(), fused=True))


def tensors(rng: random.Random) -> tuple[Any, ...]:
    """Tensors that no training leaves."""
    shape = rng.choice(((), (0,), (3,), (3, 784), (10, 3), (1, 1, 1)))
    return (
        *(torch.full(shape, x) for x in (float("nan"), float("inf"), -1e38, 1e-45, 0.0, 2.0)),
        *(torch.zeros(shape, dtype=x) for x in (torch.float64, torch.float16, torch.int8, torch.bool, torch.complex64)),
        *(
            torch.zeros(1).expand(1 << 40),
            torch.zeros(shape).to_sparse(),
            torch.nn.Parameter(torch.ones(shape)),
            torch.Size((1, 2)),
        ),
    )


def swap_member(rng: random.Random, path: Path) -> None:
    """Rewrite the archive with one member damaged, dropped, compressed or blown up."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen, how = rng.choice(list(members)), rng.randrange(4)
    if how == 0:
        members[chosen] = damaged(rng, members[chosen])
    elif how == 1:
        del members[chosen]
    elif how == 2:
        members[chosen] += bytes(64 << 20)
    compression = zipfile.ZIP_DEFLATED if how > 1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
