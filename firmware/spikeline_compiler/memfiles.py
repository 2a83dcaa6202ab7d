"""One `$readmemh` file for each memory of the accelerator, for simulation and for bitstreams with built-in weights.

    layer{l}_slice{s}_bank{b}.mem   weights of neurons s·L to s·L + L − 1, L = 64 / weight_bits, the first in the low
                                    bits. Input i is read by scan lane p = i mod P, P = spikes per cycle: bank p // 2,
                                    address (i // P)·2 + p mod 2. For P = 1: bank 0, address i.
    layer{l}_thresholds.mem         thresholds, one word of membrane_bits for each neuron
    layer{l}_biases.mem             biases, the same, if the geometry is continuous
    index.json                      what is there

All memories of the geometry are written; what the network does not use is zero.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spikeline.errors import CompileError
from spikeline.files import exchange
from spikeline.model.geometry import Geometry, LayerGeometry
from spikeline.model.model_file import Model, pack_weights


def bank_words(words: np.ndarray, room: LayerGeometry) -> np.ndarray:
    """Spread weight rows, uint64 (inputs, slices), over the memories: uint64 (slices, banks, depth)."""
    parallel = room.spikes_per_cycle
    ports = min(parallel, 2)
    groups = -(-room.inputs // parallel)
    padded = np.zeros((groups * parallel, words.shape[1]), np.uint64)
    padded[: len(words)] = words
    grid = padded.reshape(groups, parallel // ports, ports, -1)
    return grid.transpose(3, 1, 0, 2).reshape(words.shape[1], parallel // ports, groups * ports)


def memories(model: Model, geometry: Geometry) -> Iterator[tuple[dict, np.ndarray]]:
    """Each memory: its entry in the index, and its words, uint64 (depth,)."""
    for n, room in enumerate(geometry.layers):
        weights = np.zeros((room.inputs, room.neurons), np.int8)
        columns = {"thresholds": np.zeros(room.neurons, np.int64)}
        if geometry.continuous:
            columns["biases"] = np.zeros(room.neurons, np.int64)
        if n < len(model.network.layers):
            layer = model.network.layers[n]
            weights[: layer.inputs, : layer.neurons] = layer.weights
            columns["thresholds"][: layer.neurons] = layer.thresholds
            if layer.biases is not None:
                columns["biases"][: layer.neurons] = layer.biases
        banks = bank_words(pack_weights(weights, geometry.weight_bits), room)
        for s, b in np.ndindex(banks.shape[:2]):
            name, where = f"layer{n}_slice{s}_bank{b}.mem", {"layer": n, "slice": s, "bank": b}
            yield {"file": name, "kind": "weights", **where, "bits": 64, "depth": banks.shape[2]}, banks[s, b]
        for kind, values in columns.items():
            words = values.astype(np.uint64) & np.uint64((1 << geometry.membrane_bits) - 1)
            entry = {"file": f"layer{n}_{kind}.mem", "kind": kind, "layer": n}
            yield entry | {"bits": geometry.membrane_bits, "depth": room.neurons}, words


def write(model: Model, geometry: Geometry, folder: Path | str) -> int:
    """Write the folder, whole or not at all, in the place of an older one; returns the number of memories.

    Raises CompileError for a folder that holds something else, and for a geometry with convolutions.
    """
    if geometry.convolutions:
        raise CompileError(
            f"memory files are written of fully connected layers only, and {geometry.name} has convolutions; leave out --mem-dir"
        )
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / "index.json").is_file())):
        raise CompileError(f"{folder} exists and holds no memory files; name a new or an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        new = temporary / "new"
        new.mkdir()
        index = []
        for entry, words in memories(model, geometry):
            digits = -(-entry["bits"] // 4)
            (new / entry["file"]).write_text("".join(f"{int(w):0{digits}x}\n" for w in words))
            index.append(entry)
        header = {"geometry": geometry.name, "crc": f"{model.crc:08x}", "weight_bits": geometry.weight_bits}
        (new / "index.json").write_text(json.dumps(header | {"memories": index}, indent=1) + "\n")
        if folder.exists():
            exchange(new, folder)
        else:
            os.replace(new, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(index)
