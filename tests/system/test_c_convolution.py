"""The embedded C runtime on models with convolutions: it takes what Python takes, and refuses what does not fit, as Python."""

import ctypes
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeline.errors import ModelError
from spikeline.model import model_file
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import HEADER_BYTES
from spikeline.model.network import Layer, Network, Window
from spikeline.model.spec import CONFIG_LAYER, ModelField
from support import convolutions

FIRMWARE = Path(__file__).parents[2] / "firmware"
OK, ERR_VERSION, ERR_PACKETS, ERR_GEOMETRY, ERR_TIMEOUT = 0, 3, 8, 9, 13


class Built(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint8) for name in ("layers", "weight_bits", "membrane_bits", "classes", "convolutions")]
    _fields_ += [("layer", ctypes.c_uint16 * 16)]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing; run `sudo apt-get install gcc`")
    out = tmp_path_factory.mktemp("c") / "fits.so"
    sources = [FIRMWARE / "runtime/spikeline.c", FIRMWARE / "tests/fits.c"]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1", "-shared", "-fPIC", "-fsanitize=undefined"]
    flags += ["-fno-sanitize-recover=all", f"-I{FIRMWARE / 'runtime'}"]
    subprocess.run(["gcc", *flags, *map(str, sources), "-o", str(out)], check=True)
    return ctypes.CDLL(str(out))


def load(library, geometry: Geometry, data: bytes, **features: int) -> tuple[int, Built]:
    words, built = convolutions.registers(geometry, **features), Built()
    model = np.zeros(-(-len(data) // 8), np.uint64)
    model.view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in (words, model)]
    return library.fits_load(*pointers, ctypes.c_size_t(len(data)), ctypes.byref(built)), built


def sealed(data: bytes) -> bytes:
    at = ModelField.CRC
    return data[:at] + zlib.crc32(data[:at] + bytes(4) + data[at + 4 :]).to_bytes(4, "little") + data[at + 4 :]


def test_what_the_registers_tell(library):
    geometry = Geometry.load("z020-conv")
    status, built = load(library, geometry, b"")
    assert (status, built.layers, built.convolutions) != (OK, 0, 0)
    assert (built.layers, built.convolutions, built.weight_bits) == (4, 2, 4)
    assert list(built.layer[:8]) == [64, 16, 512, 32, 1568, 128, 128, 16]


@pytest.mark.parametrize("convolutions", [5, 7])
def test_an_accelerator_with_more_convolutions_than_are_known(library, convolutions):
    assert load(library, Geometry.load("tiny-conv"), b"", convolutions=convolutions)[0] == ERR_VERSION


@pytest.mark.parametrize("seed", range(6))
def test_what_fits_in_python_fits_in_c(library, seed):
    """Sizes around what the networks need: each limit decides now and then."""
    rng = np.random.default_rng(seed)
    seen = set()
    for _ in range(60):
        network = convolutions.network(rng)
        base = Geometry.load(str(rng.choice(["tiny-conv", "z020-conv", "tiny"])))
        cores = tuple(
            replace(
                x,
                rows=int(rng.choice([x.rows, 16, 64, 300])),
                words=int(rng.choice([x.words, 16, 20])),
                positions=int(rng.choice([x.positions, 16, 40, 144])),
            )
            for x in base.convolutions * int(rng.integers(1, 3))
        )
        layers = tuple(replace(x, inputs=int(rng.choice([x.inputs, 2000]))) for x in base.layers)
        geometry = replace(base, convolutions=cores, layers=layers, inputs=int(rng.choice([base.input_room, 300])))
        fits = not geometry.misfits(network)
        status, built = load(library, geometry, model_file.to_bytes(model_file.build(network)))
        assert built.convolutions == len(cores)
        assert status == (ERR_TIMEOUT if fits else ERR_GEOMETRY), geometry.misfits(network)
        seen.add(fits)
    assert seen == {True, False}


def changed(data: bytes, layer: int, **fields: int) -> bytes:
    """A model whose CONFIG says something else of a layer, with right checksums."""
    words = np.frombuffer(data[HEADER_BYTES:], np.uint64).copy()
    words[2 + layer] = CONFIG_LAYER.pack(**CONFIG_LAYER.unpack(words[2 + layer]) | fields)
    length = 1 + int(words[0] >> np.uint64(32))
    words[length - 1] = zlib.crc32(words[: length - 1].tobytes())
    return sealed(data[:HEADER_BYTES] + words.tobytes())


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    shapes, windows = ((9, 3), (3, 4), (64, 5)), (Window(1, 8, 8, 3, 2, 1), Window(3, 4, 4, 1), None)
    layers = [Layer(rng.integers(-8, 8, shape).astype(np.int8), np.ones(shape[1], np.int32)) for shape in shapes]
    network = Network(tuple(replace(x, window=w) for x, w in zip(layers, windows, strict=True)), 4, 2)
    return model_file.to_bytes(model_file.build(network))


CONTRADICTIONS = {
    "a kernel of 2": (0, {"kernel": 2}),
    "another kernel": (0, {"kernel": 1}),
    "no kernel": (0, {"kernel": 0}),
    "another stride": (0, {"stride": 0}),
    "no padding": (0, {"padded": 0}),
    "padding of a kernel of 1": (1, {"padded": 1}),
    "pooling": (1, {"pool": 1}),
    "no rows": (0, {"height": 0}),
    "other rows": (0, {"height": 9}),
    "other columns": (0, {"width": 7}),
    "more than 64 rows": (0, {"height": 65}),
    "other channels": (0, {"inputs": 2}),
    "no channels": (0, {"inputs": 0}),
    "other maps": (0, {"neurons": 2}),
    "maps of another shape": (1, {"height": 2, "width": 8}),
    "the last layer a convolution": (2, {"kernel": 1, "height": 8, "width": 8, "inputs": 1}),
    "half a convolution": (2, {"height": 8}),
    "a convolution behind a fully connected layer": (0, {"kernel": 0, "inputs": 64, "neurons": 48, "height": 0, "width": 0,
                                                        "stride": 0, "padded": 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_packets_that_contradict(library, data, name):
    layer, fields = CONTRADICTIONS[name]
    geometry = Geometry.load("z020-conv")
    assert load(library, geometry, data)[0] == ERR_TIMEOUT  # it is sound, and fits
    wrong = changed(data, layer, **fields)
    with pytest.raises(ModelError):
        model_file.parse(wrong)
    assert load(library, geometry, wrong)[0] == ERR_PACKETS


def test_whatever_python_takes_is_taken(library):
    """Bits flipped in header and CONFIG of random models, with right checksums."""
    rng = np.random.default_rng(7)
    geometry, taken = Geometry.load("z020-conv"), 0
    for _ in range(300):
        data = model_file.to_bytes(model_file.build(convolutions.network(rng)))
        config = np.frombuffer(data[HEADER_BYTES:], np.uint64)
        layer = int(rng.integers(int(config[0] >> np.uint64(32)) - 2))
        name = str(rng.choice(["kernel", "height", "width", "stride", "padded", "pool", "inputs", "neurons"]))
        value = CONFIG_LAYER.unpack(config[2 + layer])[name]
        data = changed(data, layer, **{name: value ^ 1})
        try:
            model_file.parse(data)
            sane = True
        except ModelError:
            sane = False
        status = load(library, geometry, data)[0]
        assert status in (ERR_PACKETS, ERR_GEOMETRY, ERR_TIMEOUT)
        assert status != ERR_PACKETS or not sane
        taken += status != ERR_PACKETS
    assert taken < 300
