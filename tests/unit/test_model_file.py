"""The model: round trips, and every damage told as an ModelError that helps."""

import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeline.device.packets import Spikes, packed
from spikeline.errors import ModelError
from spikeline.model import model_file
from spikeline.model.network import Network
from spikeline.model.spec import CONFIG, HEADER, HEADER_MAGIC, MODEL_VERSION, Decode, Encoder, ModelField, PacketType
from support.strategies import layer, networks

SMALL = Network((layer([[1, -2, 3], [0, 7, -8]], [1, -1, 5]), layer([[1, 2], [3, 4], [-5, 6]], [0, 9])), 4, 3)


def file_bytes(network, folder):
    model_file.save(model_file.build(network), folder / "m.img")
    return (folder / "m.img").read_bytes()


def with_crc(data):
    """The file with the CRC that its other bytes need."""
    at = ModelField.CRC
    data = bytearray(data)
    data[at : at + 4] = bytes(4)
    data[at : at + 4] = struct.pack("<I", zlib.crc32(data))
    return bytes(data)


def put(data, at, value, form="<I"):
    data = bytearray(data)
    struct.pack_into(form, data, at, value)
    return bytes(data)


def assert_same(a, b):
    assert (a.weight_bits, a.time_steps, a.encoder, a.decode) == (b.weight_bits, b.time_steps, b.encoder, b.decode)
    assert len(a.layers) == len(b.layers)
    for x, y in zip(a.layers, b.layers, strict=True):
        np.testing.assert_array_equal(x.weights, y.weights)
        np.testing.assert_array_equal(x.thresholds, y.thresholds)


@given(networks())
def test_image_round_trip(tmp_path_factory, network):
    path = tmp_path_factory.mktemp("image") / "m.img"
    built = model_file.build(network)
    model_file.save(built, path)
    loaded = model_file.load(path)
    assert_same(loaded.network, network)
    assert loaded.crc == built.crc
    assert loaded.nbytes == path.stat().st_size - model_file.HEADER_BYTES
    for x, y in zip(loaded.packets, built.packets, strict=True):
        np.testing.assert_array_equal(x, y)


def test_file_to_the_byte(tmp_path):
    """The layout of docs/registers.md, written out by hand for a network of one layer."""
    network = Network((layer([[1, -1, 7], [-8, 0, 2]], [5, -6, 7]),), 4, 9, Encoder.BERNOULLI, Decode.SPIKE_COUNT)
    data = file_bytes(network, tmp_path)
    body = struct.pack(
        "<12Q",
        3 << 32 | 0x4B50 << 16 | 1,  # CONFIG
        1 << 28 | 1 << 24 | 9 << 8 | 1,
        3 << 16 | 2,
        0,
        3 << 32 | 0x4B50 << 16 | 2,  # THRESHOLDS
        (0xFFFFFFFA << 32) | 5,
        7,
        0,
        3 << 32 | 0x4B50 << 16 | 3,  # WEIGHTS, a row for each input
        0x7F1,
        0x208,
        0,
    )
    for end in (24, 56, 88):  # checksums
        body = put(body, end, zlib.crc32(body[end - 24 : end]))
    assert data[64:] == body
    # u − θ: −8 − 5 = −13 up to 1 + 6 = 7, and 9 − 7; five bits
    header = struct.pack("<4s4I", b"SPKI", 3, zlib.crc32(put(data, 8, 0)), len(body), 3 << 24 | 5 << 16 | 4 << 8 | 1)
    assert data[:64] == (header + bytes(12) + struct.pack("<I", 3 << 16 | 2)).ljust(64, b"\0")


@given(st.sampled_from([2, 4, 8]), st.integers(1, 7), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_weight_packing_round_trip(bits, inputs, neurons, seed):
    limit = 1 << (bits - 1)
    weights = np.random.default_rng(seed).integers(-limit, limit, (inputs, neurons)).astype(np.int8)
    words = model_file.pack_weights(weights, bits)
    assert words.shape == (inputs, -(-neurons * bits // 64))
    np.testing.assert_array_equal(model_file.unpack_weights(words, neurons, bits), weights)
    for i, n in ((0, 0), (inputs - 1, neurons - 1)):
        lane = int(words[i, n * bits // 64]) >> n * bits % 64 & (1 << bits) - 1
        assert lane == weights[i, n] % (1 << bits)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_spike_packet(batch, steps, inputs, seed):
    spikes = np.random.default_rng(seed).integers(0, 2, (batch, steps, inputs), np.uint8)
    packet = packed(Spikes(spikes))
    each = -(-inputs // 64)
    header = {"kind": PacketType.SPIKES, "layer": 0, "magic": HEADER_MAGIC, "length": batch * steps * each}
    assert HEADER.unpack(packet[0]) == header
    words = packet[1:].reshape(batch, steps, each)
    bits = np.array([(words[..., i // 64] >> np.uint64(i % 64)) & np.uint64(1) for i in range(each * 64)])
    np.testing.assert_array_equal(np.moveaxis(bits, 0, -1)[..., :inputs], spikes)
    assert not bits[inputs:].any(), "padding"


def test_every_truncation_is_refused(tmp_path):
    data = file_bytes(SMALL, tmp_path)
    for length in range(len(data)):
        with pytest.raises(ModelError, match=r"compile the network again|make one"):
            model_file.parse(data[:length])
    with pytest.raises(ModelError, match="cut short or grown"):
        model_file.parse(data + b"\0")


def test_every_flipped_bit_is_refused(tmp_path):
    data = file_bytes(SMALL, tmp_path)
    for at in range(len(data)):
        for bit in range(8):
            with pytest.raises(ModelError, match=r"compile|make one"):
                model_file.parse(put(data, at, data[at] ^ 1 << bit, "B"))


@pytest.mark.parametrize("value", [0, 1, 3, 255, 0x80, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
def test_changed_words_behind_a_sound_crc(tmp_path, value):
    """Whatever a word says, the file is refused or it is, to the byte, the file of the network that it was read as."""
    data = file_bytes(SMALL, tmp_path)
    refused = 0
    for at in range(0, len(data), 4):
        for changed in (with_crc(put(data, at, value)), with_crc(put(data, at, data[at] ^ value & 0xFF, "B"))):
            try:
                network = model_file.parse(changed).network
            except ModelError:
                refused += 1
            else:
                assert file_bytes(network, tmp_path) == changed
    assert refused > 15


def body(*packets):
    return b"".join(p.tobytes() for p in packets)


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_lost_and_repeated_packets(tmp_path, seed):
    data = file_bytes(SMALL, tmp_path)
    packets = list(model_file.build(SMALL).packets)
    rng = np.random.default_rng(seed)
    at, other = rng.choice(len(packets), 2, replace=False)
    lost, repeated, swapped = packets[:at] + packets[at + 1 :], [*packets, packets[at]], packets.copy()
    swapped[at], swapped[other] = packets[other], packets[at]
    for wrong in (lost, repeated, swapped, [], packets[:1]):
        whole = data[:64] + body(*wrong)
        whole = with_crc(put(whole, ModelField.BODY_BYTES, len(whole) - 64))
        with pytest.raises(ModelError, match=r"compile the network again|layer"):
            model_file.parse(whole)


def test_magic_version_and_crc_are_told_apart(tmp_path):
    data = file_bytes(SMALL, tmp_path)
    version = f"version 1, this runtime reads {MODEL_VERSION}; compile the network again"
    messages = {ModelField.MAGIC: "wrong magic", ModelField.VERSION: version}
    for at, message in (messages | {ModelField.CRC: "damaged"}).items():
        with pytest.raises(ModelError, match=message):
            model_file.parse(put(data, at, 1))


def test_packet_that_runs_past_the_end(tmp_path):
    data = file_bytes(SMALL, tmp_path)
    with pytest.raises(ModelError, match="runs past the end"):
        model_file.parse(with_crc(put(data, model_file.HEADER_BYTES + 4, 1000)))


def test_checksum_of_each_packet_and_identity_of_all(tmp_path):
    """The last word is the CRC-32 of those before it; a note does not change who the model is, and any other word does."""
    model = model_file.build(SMALL)
    for packet in model.packets:
        assert int(packet[-1]) == zlib.crc32(packet[:-1].tobytes())
    assert model_file.build(SMALL, {"dataset": {"name": "mnist"}}).identity == model.identity
    assert model_file.build(replace(SMALL, time_steps=SMALL.time_steps + 1)).identity != model.identity
    data = file_bytes(SMALL, tmp_path)
    for at in (model_file.HEADER_BYTES + 8 * len(model.packets[0]) - 8, len(data) - 8):
        with pytest.raises(ModelError, match="header, packets and note disagree"):
            model_file.parse(with_crc(put(data, at, 1)))


@pytest.mark.parametrize("bits", [0, 1, 3, 16, 255])
def test_weight_bits_that_do_not_pack(tmp_path, bits):
    data = file_bytes(SMALL, tmp_path)
    with pytest.raises(ModelError, match=f"weights of {bits} bits"):
        model_file.parse(with_crc(put(data, ModelField.GEOMETRY + 1, bits, "B")))


def test_more_classes_than_the_header_can_tell(tmp_path):
    """256 output neurons: the packets are sound, but no header agrees with them."""
    network = Network((layer(np.ones((1, 256)), np.ones(256)),), 4, 1)
    config = np.array([CONFIG.pack(layers=1, time_steps=1), 256 << 16 | 1], np.uint64)
    packets = [
        model_file.packet(PacketType.CONFIG, config),
        model_file.packet(PacketType.THRESHOLDS, model_file.pack_pairs(network.layers[0].thresholds)),
        model_file.packet(PacketType.WEIGHTS, model_file.pack_weights(network.layers[0].weights, 4).reshape(-1)),
    ]
    whole = file_bytes(SMALL, tmp_path)[:64] + body(*packets)
    with pytest.raises(ModelError, match="inconsistent"):
        model_file.parse(with_crc(put(whole, ModelField.BODY_BYTES, len(whole) - 64)))


NOTES = [
    {"dataset": {"name": "mnist"}},
    {"dataset": {"name": "Früchte", "classes": ["Äpfel", "梨", "\n"], "shape": [3, 2]}, "later": [1, 0.25, None, True]},
    {"later": {}},
]


@pytest.mark.parametrize("note", NOTES)
def test_note_round_trip_and_to_the_byte(tmp_path, note):
    built = model_file.build(SMALL, note)
    model_file.save(built, tmp_path / "m.img")
    loaded = model_file.load(tmp_path / "m.img")
    assert loaded.note == note
    assert loaded.dataset == note.get("dataset", {}).get("name")
    assert_same(loaded.network, SMALL)
    assert loaded.crc == built.crc != model_file.build(SMALL).crc
    data, plain = (tmp_path / "m.img").read_bytes(), model_file.to_bytes(model_file.build(SMALL))
    length = struct.unpack_from("<I", data, 0x14)[0]
    text = json.dumps(note, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert data[len(plain) :] == text.ljust(length)
    assert data[64 : len(plain)] == plain[64:]
    assert length % 8 == 0
    assert struct.unpack_from("<I", data, 0x0C)[0] == len(data) - 64


def test_without_a_note_nothing_is_known():
    assert model_file.parse(model_file.to_bytes(model_file.build(SMALL))).dataset is None


@pytest.mark.parametrize(
    "text",
    [
        *('{"dataset":"mnist"}', '{"dataset":{}}', '{"dataset":{"name":1}}', '{"dataset":{"name":""}}', '{"dataset":null}'),
        *('{"dataset":{"name":"a\\nb"}}', "[]", "1", "", "{}", "{", '{"b":1,"a":1}', '{"a": 1}', '{"a":1,"a":1}', '{"a":NaN}'),
        *('{"a":1e999}', '{"a":"\\ud800"}', '{"a":"\udcff"}', '{"a":' * 9000, '{"a":' + "[" * 900 + "]" * 900 + "}x"),
        *('{"a":' + "9" * 5000 + "}", '{"a":1}' + " " * 8 * 9000),
    ],
)
def test_a_note_that_no_one_wrote_so_is_refused(text):
    """Behind a sound CRC; the network before it is sound."""
    plain = model_file.to_bytes(model_file.build(SMALL))
    note = text.encode("utf-8", "surrogateescape")
    note = note.ljust(-(-max(len(note), 1) // 8) * 8)
    data = put(put(plain + note, ModelField.NOTE_BYTES, len(note)), ModelField.BODY_BYTES, len(plain) + len(note) - 64)
    with pytest.raises(ModelError, match=r"note .*compile the network again"):
        model_file.parse(with_crc(data))


@pytest.mark.parametrize("length", [1, 7, 8, 64, 1 << 14, 1 << 31, (1 << 32) - 8])
def test_a_note_of_another_length_than_the_header_says(length):
    data = model_file.to_bytes(model_file.build(SMALL, NOTES[0]))
    with pytest.raises(ModelError, match="compile the network again"):
        model_file.parse(with_crc(put(data, ModelField.NOTE_BYTES, length)))


@pytest.mark.parametrize(
    "note", [{"dataset": {"name": 1}}, {"dataset": "mnist"}, {"dataset": {"name": "mnist", "classes": ["x" * (1 << 16)]}}]
)
def test_a_note_that_could_not_be_read_is_not_built(note):
    with pytest.raises(ModelError):
        model_file.build(SMALL, note)


def test_unknown_encoder(tmp_path):
    data = file_bytes(SMALL, tmp_path)
    at = model_file.HEADER_BYTES + 8
    config = CONFIG.unpack(struct.unpack_from("<Q", data, at)[0])
    with pytest.raises(ModelError, match="Encoder"):
        model_file.parse(with_crc(put(data, at, CONFIG.pack(**config | {"encoder": 9}), "<Q")))


def test_load_names_the_file(tmp_path):
    with pytest.raises(ModelError, match=r"none\.img.*spikeline compile"):
        model_file.load(tmp_path / "none.img")
    with pytest.raises(ModelError, match="cannot read"):
        model_file.load(tmp_path)
    (tmp_path / "text.img").write_text("x" * 200)
    with pytest.raises(ModelError, match=r"text\.img: not a Spikeline model"):
        model_file.load(tmp_path / "text.img")


def test_save_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    before = file_bytes(SMALL, tmp_path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_file, "_header", fail)
    broken = model_file.Model(SMALL, (), 0)
    with pytest.raises(OSError, match="No space"):
        model_file.save(broken, tmp_path / "m.img")
    assert (tmp_path / "m.img").read_bytes() == before
    assert [x.name for x in tmp_path.iterdir()] == ["m.img"]
