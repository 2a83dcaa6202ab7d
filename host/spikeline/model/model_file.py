"""The model file: a header, the packets that load a network, in the order in which the accelerator takes them, and a note.

The note is for software, which the accelerator never sees: a JSON object of what else is known of the network. Its keys:

    dataset   what the network was trained on: an object of `name`, `shape` of a sample, `classes`, their names, and
              `test_sha256`, by which the test set is known; and how it is read, if that had to be said: `resize` and `crop`,
              (H, W), `pool` and `test_every`. All but `name` may be missing. `spikeline.data.samples` reads it

Layout in docs/registers.md (`Model file header`, `Stream words`). All words are little-endian.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.errors import ModelError
from spikeline.files import atomic, parse_json, read
from spikeline.model.encode import latency_band
from spikeline.model.network import Layer, Network, Window
from spikeline.model.spec import (
    CONFIG,
    CONFIG_LAYER,
    GEOMETRY,
    HEADER,
    HEADER_MAGIC,
    LAYER,
    MODEL_MAGIC,
    MODEL_VERSION,
    Decode,
    Encoder,
    ModelField,
    PacketType,
    Reset,
)

HEADER_BYTES = 64
LARGEST = 1 << 24  # bytes of a file: no FPGA has as much block RAM
LARGEST_NOTE = 1 << 16  # bytes
WORD = np.dtype("<u8")


@dataclass(frozen=True)
class Model:
    """A network with its packets; each packet is uint64 (words,), header and checksum included. `note` is plain JSON data.

    crc: the CRC-32 of its file, 32 bits.
    """

    network: Network
    packets: tuple[np.ndarray, ...]
    crc: int
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all packets."""
        return sum(p.nbytes for p in self.packets)

    @property
    def identity(self) -> int:
        """What the accelerator's register MODEL holds once the packets are loaded, 32 bits. A note makes no difference."""
        identity = 0
        for checksum in (int(packet[-1]) for packet in self.packets):
            identity = (identity << 1 & 0xFFFFFFFF | identity >> 31) ^ checksum
        return identity

    @property
    def dataset(self) -> str | None:
        """Name of the data set that the network was trained on; None if that is not known."""
        return self.note["dataset"]["name"] if "dataset" in self.note else None


def packet(kind: PacketType, body: np.ndarray, layer: int = 0) -> np.ndarray:
    """Put the header before `body`, uint64 (words,)."""
    header = HEADER.pack(kind=kind, layer=layer, magic=HEADER_MAGIC, length=len(body))
    return np.concatenate([np.array([header], WORD), body.astype(WORD, copy=False)])


def sealed(kind: PacketType, body: np.ndarray, layer: int = 0) -> np.ndarray:
    """A packet of a model: header, `body` and, as the last word, the CRC-32 of both."""
    whole = packet(kind, np.append(body.astype(WORD, copy=False), WORD.type(0)), layer)
    whole[-1] = zlib.crc32(whole[:-1].tobytes())
    return whole


def pack_weights(weights: np.ndarray, bits: int) -> np.ndarray:
    """Pack int8 (inputs, neurons) row by row into uint64 (inputs, slices): neuron n at lane n mod (64 / bits) of its slice."""
    lanes = 64 // bits
    inputs, neurons = weights.shape
    padded = np.zeros((inputs, -(-neurons // lanes) * lanes), np.uint8)
    padded[:, :neurons] = weights.view(np.uint8) & ((1 << bits) - 1)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return np.bitwise_or.reduce(padded.reshape(inputs, -1, len(shifts)) << shifts, -1).view(WORD)


def unpack_weights(words: np.ndarray, neurons: int, bits: int) -> np.ndarray:
    """Undo `pack_weights`."""
    raw = words.view(np.int8)[:, :, None] << np.arange(8 - bits, -1, -bits, dtype=np.int8)  # the sign bit is the highest
    return (raw >> np.int8(8 - bits)).reshape(len(words), -1)[:, :neurons]


def pack_pairs(values: np.ndarray) -> np.ndarray:
    """Pack thresholds or biases, int32 (neurons,), two to a word; an odd last one stands with a zero."""
    padded = np.zeros(-(-len(values) // 2) * 2, "<i4")
    padded[: len(values)] = values
    return padded.view(WORD)


def pack_note(note: Mapping[str, Any]) -> bytes:
    """A note in whole words, the one way there is to write it; nothing for an empty one. Raises ModelError for an unsound one."""
    if not note:
        return b""
    if "dataset" in note and (fault := dataset_fault(note["dataset"])):
        raise ModelError(f"the note's data set {fault}")
    text = json.dumps(note, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % WORD.itemsize)
    if len(text) > LARGEST_NOTE:
        raise ModelError(f"a note of {len(text):,} bytes; at most {LARGEST_NOTE:,} are kept")
    return text


def dataset_fault(facts: Any) -> str | None:
    """What is wrong with what a note says of a data set, None if nothing is; see the keys at the top. Others may stand there."""
    name = facts.get("name") if isinstance(facts, Mapping) else None
    if not isinstance(name, str) or not name or not name.isprintable():
        return "has no name"
    if not isinstance(classes := facts.get("classes", []), list) or not all(isinstance(x, str) for x in classes):
        return "has no list of names as classes"
    sizes = {"shape": facts.get("shape", [1]), **{key: facts.get(key, [1, 1]) for key in ("resize", "crop")}}
    counts = {key: [facts.get(key, 1)] for key in ("pool", "test_every")}
    for key, values in (sizes | counts).items():
        if not isinstance(values, list) or not values or not all(type(n) is int and 0 < n < 1 << 31 for n in values):
            return f"has {key} that is no size"
        if key in ("resize", "crop") and len(values) != 2:
            return f"has {key} that is no pair of sizes"
    if not isinstance(facts.get("test_sha256", ""), str):
        return "has a test_sha256 that is no text"
    return None


def unpack_note(text: bytes) -> dict[str, Any]:
    """Undo `pack_note`. Raises ValueError or ModelError for what it does not write."""
    note = parse_json(text) if text else {}
    if not isinstance(note, dict) or pack_note(note) != text:
        raise ValueError("the note is no JSON object as it would be written")
    return note


def build(network: Network, note: Mapping[str, Any] | None = None) -> Model:
    """Turn an integer network into its packets; `note` is what else is known of it. Raises ModelError for an unsound note."""
    note = note or {}
    config = CONFIG.pack(
        layers=len(network.layers),
        time_steps=network.time_steps,
        decode=network.decode,
        encoder=network.encoder,
        exit=network.exit_margin is not None,
        margin=network.exit_margin or 0,
        latency_band=latency_band(network.time_steps) if network.encoder == Encoder.LATENCY else 0,
    )
    sizes = [
        CONFIG_LAYER.pack(
            inputs=layer.window.channels if layer.window else layer.inputs,
            neurons=layer.columns,
            continuous=layer.continuous,
            reset=layer.reset,
            biased=layer.biased,
            leak=layer.leak,
            state_bits=layer.state_bits,
            **_window_fields(layer.window),
        )
        for layer in network.layers
    ]
    packets = [sealed(PacketType.CONFIG, np.array([config, *sizes], WORD))]
    for n, layer in enumerate(network.layers):
        packets.append(sealed(PacketType.THRESHOLDS, pack_pairs(layer.thresholds), n))
        if layer.continuous:
            biases = np.zeros(layer.columns, np.int32) if layer.biases is None else layer.biases
            packets.append(sealed(PacketType.BIASES, pack_pairs(biases), n))
        rows = layer.weights[row_order(layer, network.layers[n - 1] if n else None)]
        packets.append(sealed(PacketType.WEIGHTS, pack_weights(rows, network.weight_bits).reshape(-1), n))
    model = Model(network, tuple(packets), 0, note)
    return replace(model, crc=zlib.crc32(to_bytes(model)))


def _window_fields(window: Window | None) -> dict[str, int]:
    """What a CONFIG_LAYER says of a convolution."""
    if window is None:
        return {}
    padded, stride = window.padding > 0, window.stride - 1
    return dict(kernel=window.kernel, height=window.height, width=window.width, stride=stride, padded=padded, pool=window.pool)


def _window(size: Mapping[str, int]) -> Window | None:
    """Undo `_window_fields`."""
    kernel = size["kernel"]
    if not kernel:
        return None
    padding = kernel // 2 if size["padded"] else 0
    return Window(size["inputs"], size["height"], size["width"], kernel, size["stride"] + 1, padding, bool(size["pool"]))


def row_order(layer: Layer, before: Layer | None) -> np.ndarray:
    """In which order the accelerator keeps the weights of a layer behind another, int (rows,): row i there is row order[i].

    Maps that enter a fully connected layer come to it position by position, and the channels of a position together.
    """
    order = np.arange(len(layer.weights))
    if before and before.window and layer.window is None:
        return order.reshape(before.columns, -1).T.reshape(-1)
    return order


def to_bytes(model: Model) -> bytes:
    """The file of a model."""
    note = pack_note(model.note)
    return b"".join([_header(model.network, model.packets, model.crc, len(note)), *(p.tobytes() for p in model.packets), note])


def _header(network: Network, packets: tuple[np.ndarray, ...], crc: int = 0, note_bytes: int = 0) -> bytes:
    words = np.zeros(HEADER_BYTES // 4, "<u4")
    words[ModelField.MAGIC // 4] = MODEL_MAGIC
    words[ModelField.VERSION // 4] = MODEL_VERSION
    words[ModelField.CRC // 4] = crc
    words[ModelField.BODY_BYTES // 4] = sum(p.nbytes for p in packets) + note_bytes
    words[ModelField.NOTE_BYTES // 4] = note_bytes
    words[ModelField.GEOMETRY // 4] = GEOMETRY.pack(
        layers=len(network.layers),
        weight_bits=network.weight_bits,
        membrane_bits=network.membrane_bits,
        classes=network.layers[-1].neurons,
    )
    for n, layer in enumerate(network.layers):
        words[ModelField.LAYER // 4 + n] = LAYER.pack(inputs=layer.inputs, neurons=layer.outputs)
    return words.tobytes()


def save(model: Model, path: Path | str) -> None:
    """Write a model file, whole or not at all."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(to_bytes(model))


def load(path: Path | str) -> Model:
    """Read and check a model file. Raises ModelError that names the file, what is wrong with it and what to do."""
    try:
        data = read(path, LARGEST)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}; make it with `spikeline compile`") from None
    try:
        return parse(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def parse(data: bytes) -> Model:
    """Read a model from memory; see `load`."""
    again = "compile the network again"
    if len(data) < HEADER_BYTES:
        raise ModelError(f"only {len(data)} bytes, not a model; {again}")
    words = np.frombuffer(data[:HEADER_BYTES], "<u4")
    if words[ModelField.MAGIC // 4] != MODEL_MAGIC:
        raise ModelError("not a Spikeline model (wrong magic); make one with `spikeline compile`")
    if words[ModelField.VERSION // 4] != MODEL_VERSION:
        raise ModelError(f"model file version {words[ModelField.VERSION // 4]}, this runtime reads {MODEL_VERSION}; {again}")
    body = len(data) - HEADER_BYTES
    if words[ModelField.BODY_BYTES // 4] != body:
        raise ModelError(f"{body} bytes where the header says {words[ModelField.BODY_BYTES // 4]}: cut short or grown; {again}")
    crc = int(words[ModelField.CRC // 4])
    at = ModelField.CRC
    if crc != zlib.crc32(data[:at] + bytes(4) + data[at + 4 :]):
        raise ModelError(f"CRC-32 does not match: the file is damaged; {again}")
    end = len(data) - int(words[ModelField.NOTE_BYTES // 4])
    try:
        if end < HEADER_BYTES:
            raise ValueError("the note is longer than the file")
        packets = _split(np.frombuffer(data[HEADER_BYTES:end], WORD))
        network = _network(packets, GEOMETRY.unpack(words[ModelField.GEOMETRY // 4])["weight_bits"])
        model = build(network, unpack_note(data[end:]))
    except (ModelError, ValueError, IndexError, KeyError, RecursionError) as error:  # a sound CRC over what makes no sense
        raise ModelError(f"packets or note are inconsistent ({error}); {again}") from None
    if to_bytes(model) != data:  # its CRC-32 would not tell: a packet with a right checksum of its own never changes that
        raise ModelError(f"header, packets and note disagree; {again}")
    return replace(model, packets=tuple(packets))


def _split(words: np.ndarray) -> list[np.ndarray]:
    packets, at = [], 0
    while at < len(words):
        end = at + 1 + HEADER.unpack(words[at])["length"]
        if end > len(words):
            raise ValueError("a packet runs past the end")
        packets.append(words[at:end])
        at = end
    return packets


def _network(packets: list[np.ndarray], weight_bits: int) -> Network:
    if weight_bits not in (2, 4, 8):
        raise ValueError(f"weights of {weight_bits} bits")
    config = CONFIG.unpack(packets[0][1])
    sizes = [CONFIG_LAYER.unpack(word) for word in packets[0][2:-1]]
    if len(sizes) != config["layers"] or len(packets) != 1 + sum(2 + size["continuous"] for size in sizes):
        raise ValueError("CONFIG does not match the packets that follow")
    bodies = (p[1:-1] for p in packets[1:])
    layers: list[Layer] = []
    for size in sizes:
        window, neurons = _window(size), size["neurons"]
        thresholds = next(bodies).view("<i4")[:neurons].astype(np.int32)
        biases = next(bodies).view("<i4")[:neurons].astype(np.int32) if size["continuous"] else None
        rows = window.fan_in if window else size["inputs"]
        weights = unpack_weights(next(bodies).reshape(rows, -1), neurons, weight_bits)
        if biases is not None and not size["biased"]:
            biases = None
        layer = Layer(weights, thresholds, size["state_bits"], biases, size["leak"], Reset(size["reset"]), window)
        order = row_order(layer, layers[-1] if layers else None)
        layers.append(replace(layer, weights=weights[order.argsort()]))
    encoder, decode = Encoder(config["encoder"]), Decode(config["decode"])
    margin = config["margin"] if config["exit"] else None
    return Network(tuple(layers), weight_bits, config["time_steps"], encoder, decode, margin)
