"""ONNX networks, which are compiled, and models, which are shown and run."""

import random
import struct
import zlib
from pathlib import Path

import numpy as np

from robustness import mutate_onnx, network_seeds, onnx_seeds
from robustness.kinds import Kind, command
from robustness.mutate import damaged
from spikeline import Accelerator, Spikes
from spikeline.cli import info
from spikeline.model import model_file
from spikeline.model.bit_fields import BitFields
from spikeline.model.model_file import HEADER_BYTES, WORD
from spikeline.model.spec import CONFIG, CONFIG_LAYER, GEOMETRY, HEADER, LAYER, ModelField
from spikeline_compiler import commands as compiler

VERIFIED = 0.02  # of the cases are also run by the QONNX executor, which takes its time
ENOUGH = 1 << 18  # spikes of one image: a network that is larger is not run


class Onnx(Kind):
    file = "model.onnx"

    def __init__(self) -> None:
        self.seeds = onnx_seeds.seeds()

    def make(self, rng: random.Random, folder: Path) -> None:
        seed = rng.choice(self.seeds)
        data = damaged(rng, seed.SerializeToString()) if rng.random() < 0.3 else mutate_onnx.broken(rng, seed)
        (folder / self.file).write_bytes(data)
        (folder / "weights.bin").write_bytes(bytes(1 << 12))
        (folder / "link.bin").symlink_to("/etc/passwd")

    def enter(self, rng: random.Random, folder: Path) -> None:
        out, more = folder / "model.img", ["--verify", "2"] if rng.random() < VERIFIED else []
        geometry = rng.choice(("tiny", "tiny-conv"))
        command(compiler.register, "compile", folder / self.file, "--out", out, "--geometry", geometry, "--json", *more)
        model_file.load(out)


class Model(Kind):
    file = "model.img"

    def make(self, rng: random.Random, folder: Path) -> None:
        model = rng.choice(network_seeds.models())
        data = model_file.to_bytes(model)
        header, note = data[:HEADER_BYTES], data[HEADER_BYTES + model.nbytes :]
        how = rng.random()
        if how < 0.2:
            data = damaged(rng, data)
        elif how < 0.4:  # damage that the CRC does not show
            data = signed(damaged(rng, header) + data[HEADER_BYTES:])
        elif how < 0.6:
            data = signed(header + damaged(rng, data[HEADER_BYTES:]))
        elif how < 0.7:
            data = signed(data[: len(data) - len(note)] + damaged(rng, note))
        else:
            header, packets = odd_packets(rng, header, model.packets)
            data = signed(header, packets + note)
        (folder / self.file).write_bytes(data)

    def enter(self, rng: random.Random, folder: Path) -> None:
        command(info.register, "info", folder / self.file, *rng.choice(([], ["--json"])))
        network = model_file.load(folder / self.file).network
        if network.time_steps * max(network.sizes) <= ENOUGH:
            geometry = rng.choice(("tiny", "tiny-conv"))
            with Accelerator(model=folder / self.file, backend="golden", geometry=geometry) as accelerator:
                accelerator.infer(Spikes(np.ones((1, network.time_steps, network.sizes[0]), np.uint8)))


def signed(header: bytes, packets: bytes = b"") -> bytes:
    """A file whose header has the length and the CRC of what it holds."""
    data = bytearray((header + packets).ljust(HEADER_BYTES, b"\0"))
    data[ModelField.BODY_BYTES : ModelField.BODY_BYTES + 4] = struct.pack("<I", len(data) - HEADER_BYTES)
    data[ModelField.CRC : ModelField.CRC + 4] = bytes(4)
    data[ModelField.CRC : ModelField.CRC + 4] = struct.pack("<I", zlib.crc32(data))
    return bytes(data)


def odd_packets(rng: random.Random, header: bytes, packets: tuple[np.ndarray, ...]) -> tuple[bytes, bytes]:
    """Fields of header, CONFIG and packet headers changed; packets dropped, doubled, swapped, cut or grown."""
    words, changed = np.frombuffer(header, "<u4").copy(), [p.copy() for p in packets]
    for _ in range(rng.randint(1, 3)):
        how, at = rng.randrange(8), rng.randrange(len(changed)) if changed else 0
        if how == 0 or not changed:
            words[ModelField.GEOMETRY // 4] = field(rng, GEOMETRY, words[ModelField.GEOMETRY // 4])
        elif how == 1:
            n = ModelField.LAYER // 4 + rng.randrange(8)
            words[n] = field(rng, LAYER, words[n])
        elif how == 2 and len(changed[0]) > 1:
            changed[0][1] = field(rng, CONFIG, changed[0][1])
        elif how == 3 and len(changed[0]) > 2:
            n = rng.randrange(2, len(changed[0]))
            changed[0][n] = field(rng, CONFIG_LAYER, changed[0][n])
        elif how == 4:
            changed[at][0] = field(rng, HEADER, changed[at][0])
        elif how == 5:
            del changed[at]
        elif how == 6:
            changed.insert(rng.randrange(len(changed) + 1), changed[at].copy())
        else:
            body = np.frombuffer(
                damaged(rng, changed[at][1:].tobytes(), 1).ljust(8, b"\0")[: len(changed[at]) * 16 // 8 * 8], "u1"
            )
            body = body[: len(body) // 8 * 8].view(WORD)
            length = HEADER.pack(**{**HEADER.unpack(changed[at][0]), "length": len(body)})
            changed[at] = np.concatenate([np.array([length], WORD), body])
    return words.tobytes(), b"".join(p.tobytes() for p in changed)


def field(rng: random.Random, word: BitFields, value: int) -> int:
    """`value` with one field at an end of its range, or anywhere in it."""
    name, (_, bits) = rng.choice(list(word.fields.items()))
    top = (1 << bits) - 1
    return word.pack(**{**word.unpack(value), name: min(top, rng.choice((0, 1, 2, top, top >> 1, rng.randrange(top + 1))))})
