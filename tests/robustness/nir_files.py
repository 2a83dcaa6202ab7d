"""Networks of other frameworks, NIR files: nodes, edges and arrays changed, and the HDF5 around them damaged."""

import random
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from robustness.kinds import Kind, command
from robustness.mutate import damaged
from spikeline_training import commands
from support import own_data

INPUTS, CLASSES = 20, 5
ONES, ZEROS = np.ones(4, np.float32), np.zeros(4, np.float32)
VALUES: tuple[Any, ...] = (
    *(0.0, -1.0, 1e30, 1e-30, 1e300, np.nan, np.inf, -np.inf, 3, b"", b"a", "é\n", True, 1j),
    *(np.zeros(0), np.zeros((4, 0)), np.ones(3), np.ones((4, 4)), np.ones((2, 2, 2)), np.full(4, 1e-4), np.ones(4, "i8"), ZEROS),
)
TYPES = ("Linear", "Affine", "IF", "LIF", "CubaLIF", "LI", "Threshold", "Flatten", "Input", "Output", "Conv2d", "NIRGraph", "New")


class Nir(Kind):
    file = "net.nir"

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.seeds = [written(Path(folder) / "x.nir", n) for n in range(5)]

    def make(self, rng: random.Random, folder: Path) -> None:
        path = folder / self.file
        path.write_bytes(rng.choice(self.seeds))
        own_data.npz(folder / "my.npz", **own_data.arrays((5, 4), CLASSES, 20, 10))
        if rng.random() < 0.75:
            with h5py.File(path, "r+") as file:
                for _ in range(rng.randint(1, 3)):
                    odd_item(rng, file)
        else:
            path.write_bytes(damaged(rng, path.read_bytes()))

    def enter(self, rng: random.Random, folder: Path) -> None:
        words = ["--reset", rng.choice(("subtract", "zero")), "--from", rng.choice(("nir", "snntorch", "spikingjelly", "norse"))]
        words += ["--time-steps", rng.choice(("1", "3")), "--verify", "4"]
        words += rng.choice(([], ["--bits", "8"], ["--bits", "2"], ["--dt", "1e-3"]))
        files = ["--data", folder / "my.npz", "--out", folder / "net.onnx"]
        command(commands.register, "import", folder / self.file, *files, *words)


def written(path: Path, kind: int) -> bytes:
    """A network with one kind of neurons, or none that last; the last one begins with a convolution."""
    rng = np.random.default_rng(kind)
    first, last = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((4, INPUTS), (CLASSES, 4)))
    neuron = (
        nir.IF(ONES * 1e4, ONES, ZEROS),
        nir.LIF(ONES * 2e-4, ONES * 2, ZEROS, ONES, ZEROS),
        nir.Threshold(ONES),
        nir.LIF(ONES * 3e-4, ONES * 3, ZEROS, ONES, ZEROS),
        nir.IF(ONES * 1e4, ONES, ZEROS),
    )[kind]
    weights: Any = nir.Affine(first, ZEROS)
    if kind == 4:  # 4 maps of 3×2
        weights = nir.Conv2d((5, 4), first.reshape(4, 1, 5, 4)[:, :, :3, :3], 2, 1, 1, 1, ZEROS)
        last = np.tile(last, 6)
    nodes = {
        "input": nir.Input({"input": np.array([1, 5, 4] if kind == 4 else [INPUTS])}),
        "a": weights,
        "b": neuron,
        "c": nir.Linear(last),
        "output": nir.Output({"output": np.array([CLASSES])}),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    return path.read_bytes()


def odd_item(rng: random.Random, file: h5py.File) -> None:
    """Leave out or replace a group or an array, move a node, or change an edge."""
    items = list[str]()
    file.visit(items.append)
    name = rng.choice(items or ["x"])
    how, item = rng.random(), file.get(name)
    if name.endswith("/edges") and how < 0.8:
        edges = [[x.decode() for x in pair] for pair in item[()]] if item.shape else []
        edge = rng.choice(edges) if edges else ["a", "b"]
        edge[rng.randrange(2)] = rng.choice(("input", "a", "b", "c", "output", "none", "é\n"))
        edges = rng.choice((edges, edges[1:], [*edges, edge]))
        del file[name]
        file[name] = np.array([[x.encode() for x in pair] for pair in edges] or np.zeros((0, 2), "S1"))
    elif name.endswith("/type") and how < 0.8:
        del file[name]
        file[name] = rng.choice(TYPES).encode() if how < 0.7 else rng.choice(VALUES)
    elif how < 0.2 and item is not None:
        del file[name]
    elif how < 0.3 and item is not None:
        file.move(name, f"{name.rpartition('/')[0]}/{rng.choice(('a', 'q', 'input', 'é'))}{rng.randrange(99)}")
    elif isinstance(item, h5py.Dataset):
        old, new = item[()], rng.choice(VALUES)
        if isinstance(old, np.ndarray) and old.dtype.kind == "f" and isinstance(new, float) and how < 0.8:
            new = np.where(np.arange(old.size).reshape(old.shape) % rng.choice((1, 2, 99)), old, new)
        del file[name]
        file[name] = new
