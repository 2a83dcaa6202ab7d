"""What the compiler says of files that are not what it reads, and of ONNX files that it must not take at their word."""

import gzip
import io
import json
import shutil
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from spikeline.errors import CompileError
from spikeline_compiler.lower import compile_onnx, compile_with_warnings
from support.onnx_builders import Builder, assert_equal_to_onnx, compiled, geometry, small, spikeline, spikes_for
from support.onnx_forms import INPUT_FORMS, SPIKES, WEIGHTS, Writer, network


def refusal(path):
    with pytest.raises(CompileError) as caught:
        compile_onnx(path, geometry())
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "; " in text
    return text.removeprefix(f"{path}: ")


# -- other files -------------------------------------------------------------------------------------------------------


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return buffer.getvalue()


def torch_file(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


FILES = {
    "net.nir": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5", "export"),
    "net.pt": (torch_file({"weight": torch.zeros(3)}), "PyTorch", "torch.onnx.export"),
    "net.pth": (torch_file(torch.nn.Linear(2, 2).state_dict()), "PyTorch", "spikeline export"),
    "old.pth": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pickle", "export"),
    "script.pt": (archive("net/data.pkl", "net/constants.pkl", "net/code/x.py"), "TorchScript", "export"),
    "program.pt2": (archive("archive_format", "models/model.json"), "torch.export", "export"),
    "net.keras": (archive("config.json", "model.weights.h5"), "Keras", "export"),
    "net.npz": (archive("w.npy", "b.npy"), "NumPy arrays", "export"),
    "net.zip": (archive("model.onnx"), "ZIP", "unpack"),
    "cut.zip": (archive("model.onnx")[:30], "damaged ZIP", "again"),
    "net.onnx.gz": (gzip.compress(b"x"), "gzip", "unpack"),
    "net.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "git-lfs pointer", "git lfs pull"),
    "page.onnx": (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "web page", "download"),
    "net.tflite": (b"\x1c\0\0\0TFL3" + bytes(30), "TensorFlow Lite", "export"),
    "net.ort": (b"\x1c\0\0\0ORTM" + bytes(30), "onnxruntime", ".onnx"),
    "net.safetensors": (len(b'{"w":{}}').to_bytes(8, "little") + b'{"w":{}}' + bytes(8), "safetensors", "export"),
    "model.onnx.data": (np.linspace(-1, 1, 99).astype(np.float32).tobytes(), "weights that belong", ".onnx file"),
    "net.json": (b'{"layers": []}', "JSON", "export"),
    "net.xml": (b'<?xml version="1.0"?><net/>', "XML", "export"),
    "notes.txt": (b"see the other folder\n", "text", "export"),
    "umlauts.txt": (b"x" + "ä".encode() * 4000, "text", "export"),
    "model.img": (b"SPKI" + bytes(60), "model of `spikeline compile`", "compiled from"),
    "empty.onnx": (b"", "empty", "again"),
}


@pytest.mark.parametrize("name", FILES)
def test_another_file_is_named_as_what_it_is(tmp_path, name):
    content, *words = FILES[name]
    (tmp_path / name).write_bytes(content)
    text = refusal(tmp_path / name)
    for word in (*words, "no ONNX file"):
        assert word in text


def external(folder):
    """A network with its weights in a file of their own."""
    _, model = network("floats", last="floats")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    return folder / "model.onnx", folder / "model.onnx.data"


def test_weights_that_were_left_behind(tmp_path):
    path, weights = external(tmp_path)
    compile_onnx(path, geometry())
    content = weights.read_bytes()
    weights.write_bytes(content[:40])
    assert "'model.onnx.data' are cut short; copy" in refusal(path)
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n" + content)
    assert "git-lfs pointer" in refusal(path)
    weights.unlink()
    assert "'model.onnx.data', which is not beside it; put that file" in refusal(path)


def test_newer_versions_are_named(tmp_path):
    _, model = network()
    model.ir_version = onnx.IR_VERSION + 1
    onnx.save(model, tmp_path / "ir.onnx")
    assert f"IR version {onnx.IR_VERSION + 1}, the installed onnx" in refusal(tmp_path / "ir.onnx")
    _, model = network()
    newest = onnx.defs.onnx_opset_version()
    model.opset_import[0].version = newest + 1
    onnx.save(model, tmp_path / "opset.onnx")
    text = refusal(tmp_path / "opset.onnx")
    assert f"opset {newest + 1}, the installed onnx" in text
    assert "pip install --upgrade onnx, or export at opset" in text.replace("`", "")


# -- attributes and operators ------------------------------------------------------------------------------------------


def with_attribute(op, name, value, opset=25, **more):
    _, model = network(**more)
    model.opset_import[0].version = opset
    next(n for n in model.graph.node if n.op_type == op).attribute.append(helper.make_attribute(name, value))
    return model


ODD = {
    "of a future QONNX": (lambda: with_attribute("Quant", "stochastic", 1, weights="Quant"), "'stochastic' is not understood"),
    "of BipolarQuant": (lambda: with_attribute("BipolarQuant", "x", 1, spike="BipolarQuant"), "'x' is not understood"),
    "layout": (
        lambda: with_attribute("MultiThreshold", "data_layout", "NHWC", spike="MultiThreshold"), "thresholds of shape",
    ),
    "precision": (
        lambda: with_attribute("QuantizeLinear", "precision", TensorProto.FLOAT16, weights="output_dtype"), "precision = 10",
    ),
    "output_dtype": (
        lambda: with_attribute("DequantizeLinear", "output_dtype", TensorProto.FLOAT16), "output_dtype = 10 is not understood",
    ),
    "unknown to this opset": (lambda: with_attribute("DequantizeLinear", "block_size", 4, opset=13), "block_size"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_an_attribute_that_is_not_understood_is_refused(tmp_path, case):
    make, words = ODD[case]
    onnx.save(make(), tmp_path / "model.onnx")
    assert words in refusal(tmp_path / "model.onnx")


@pytest.mark.parametrize(("name", "value"), [("block_size", 0), ("output_dtype", 0), ("axis", 1)])
def test_defaults_may_be_written_out(tmp_path, name, value):
    onnx.save(with_attribute("DequantizeLinear", name, value), tmp_path / "model.onnx")
    compile_onnx(tmp_path / "model.onnx", geometry())


def test_hints_reach_operators_of_other_domains(tmp_path):
    b = Builder(4).dense(np.ones((4, 3)))
    b.then("Softmax", name="top")
    b.nodes[-1].domain = "com.example"
    with pytest.raises(CompileError, match=r"no com\.example\.Softmax; leave it out"):
        compiled(b, tmp_path)


def test_a_constant_that_would_not_fit_memory_is_not_made(tmp_path):
    b = Writer()
    huge = b.node("Expand", b.const(1.0), b.const([1 << 20, 1 << 20], np.int64))
    b.node("Add", b.node("MatMul", "spikes", WEIGHTS["int8"](b, np.ones((12, 4), int))), huge, output="out")
    onnx.save(b.model(), tmp_path / "model.onnx")
    assert "made by Expand, not a constant" in refusal(tmp_path / "model.onnx")


def test_more_than_two_values_and_turns_are_refused(tmp_path):
    def save(make):
        b = Writer()
        x = make(b, b.node("MatMul", "spikes", WEIGHTS["int8"](b, np.arange(48).reshape(12, 4) % 9 - 4)))
        b.node("MatMul", x, WEIGHTS["int8"](b, np.ones((4, 4), int)), output="out")
        onnx.save(b.model(), tmp_path / "model.onnx")
        return tmp_path / "model.onnx"

    assert "more than two values" in refusal(save(lambda b, x: b.node("Clip", x, b.const(0), b.const(1))))
    text = refusal(save(lambda b, x: b.node("Cast", b.node("Equal", x, b.const(0.25)), to=TensorProto.FLOAT)))
    assert "rises and falls" in text
    wrapped = refusal(save(lambda b, x: b.node("Cast", b.node("Cast", b.node("Mul", x, b.const(99)), to=TensorProto.INT8), to=1)))
    assert "may leave INT8" in wrapped
    assert "different values" in refusal(
        save(lambda b, x: b.node("Mul", SPIKES["Cast"](b, x, np.float32(0)), b.const([1, 2, 1, 1])))
    )


def test_bipolar_activations_are_absorbed(tmp_path):
    """±1 where Brevitas' 1-bit activations make them; the sums of the next layer shift."""
    rng = np.random.default_rng(0)
    b = Builder(9).dense(rng.integers(-3, 4, (9, 8)), 0.5, 4, bias=rng.integers(-2, 3, 8) / 4)
    b.then("BipolarQuant", b.const(1.0)).fired()
    b.dense(rng.integers(-3, 4, (8, 6)), 0.5, 4).then("BipolarQuant", b.const(0.3)).fired()
    last = rng.integers(-3, 4, (6, 3))
    network = assert_equal_to_onnx(b.dense(last, 0.1, 4), tmp_path, spikes=spikes_for(9, batch=60))
    np.testing.assert_array_equal(network.layers[-1].weights, 2 * last)  # of half units
    np.testing.assert_array_equal(network.layers[-1].thresholds, last.sum(0))


def test_weights_joined_from_parts_of_their_own_scales(tmp_path):
    """Scales that float32 does not hold exactly: only the integers of the parts tell what is meant."""
    b, w = Writer(), np.arange(48).reshape(12, 4) % 9 - 4
    parts = [b.node("DequantizeLinear", b.const(w[:, n : n + 2], np.int8), b.const(scale)) for n, scale in ((0, 0.1), (2, 0.3))]
    b.node(
        "Cast", b.node("Greater", b.node("MatMul", "spikes", b.node("Concat", *parts, axis=1)), b.const(0.05)), output="out", to=1
    )
    onnx.save(b.model(), tmp_path / "model.onnx")
    np.testing.assert_array_equal(compile_onnx(tmp_path / "model.onnx", geometry()).layers[0].weights, w)


def test_functions_of_the_file_are_read_as_what_they_do(tmp_path):
    """A function under a name that is ours means what the file says, not what we know by that name."""
    _, model = network()
    body = [helper.make_node("Sub", ["x", "y"], ["z"])]
    model.functions.append(helper.make_function("own", "Add", ["x", "y"], ["z"], body, [helper.make_opsetid("", 21)]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    next(n for n in model.graph.node if n.op_type == "Add").domain = "own"
    onnx.save(model, tmp_path / "own.onnx")
    network_of_sub = compile_onnx(tmp_path / "own.onnx", geometry())
    next(n for n in model.graph.node if n.op_type == "Add").op_type = "Sub"
    next(n for n in model.graph.node if n.op_type == "Sub").domain = ""
    model.ClearField("functions")
    onnx.save(model, tmp_path / "sub.onnx")
    expected = compile_onnx(tmp_path / "sub.onnx", geometry())
    np.testing.assert_array_equal(network_of_sub.layers[0].thresholds, expected.layers[0].thresholds)


# -- sums that float32 may round ---------------------------------------------------------------------------------------


def rounded(folder, scale, bias, name):
    b = Builder(4).dense(np.ones((4, 2)), scale, bias=np.full(2, bias, np.float32)).spike()
    path = folder / f"{name}.onnx"
    onnx.save(b.model(), path)
    return compile_with_warnings(path, geometry())[1]


def test_a_sum_on_the_threshold_that_float32_may_round_is_warned_of(tmp_path):
    (warning,) = rounded(tmp_path, 0.1, 0.7, "tenth")
    assert warning.startswith("layer 0: 2 of 2 neurons can have a sum so near their threshold that float32 may round it across")
    assert "--verify" in warning
    assert rounded(tmp_path, 0.25, 0.5, "dyadic") == [], "float32 is exact there"
    assert rounded(tmp_path, 0.1, 0.65, "half-way") == [], "the nearest sum is half a unit away"


def test_the_command_says_so(tmp_path, capsys):
    b = Builder(4).dense(np.ones((4, 2)), 0.1, bias=np.full(2, 0.7, np.float32)).spike()
    path = b.save(tmp_path)
    spikeline(path, "--out", tmp_path / "m.img", "--geometry", "tiny", "--json")
    output = capsys.readouterr()
    assert output.err.startswith("warning: layer 0: 2 of 2 neurons")
    assert json.loads(output.out)["warnings"] == [output.err.removeprefix("warning: ").strip()]


# -- the proof beside the file -----------------------------------------------------------------------------------------


@pytest.fixture
def proved(tmp_path):
    """A network and the proof that the exporter leaves beside it."""
    import hashlib

    path = small().save(tmp_path)
    proof = {"onnx_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "onnx_mismatches": 0}
    (tmp_path / "model.proof.json").write_text(json.dumps(proof))
    return path


def compile_it(path, *more):
    spikeline(path, "--out", path.with_suffix(".img"), "--geometry", "tiny", *more)


def edit(path):
    model = onnx.load(path)
    model.producer_name = "another"
    onnx.save(model, path)


def test_a_file_that_is_the_proved_one_compiles(proved, capsys):
    compile_it(proved)
    assert not capsys.readouterr().err


def test_a_file_that_was_changed_after_its_proof_is_refused(proved, capsys):
    edit(proved)
    with pytest.raises(CompileError, match=r"model\.onnx was changed after it was proved.*--verify 1000"):
        compile_it(proved)
    assert not proved.with_suffix(".img").exists()
    compile_it(proved, "--verify", 20)
    assert "changed after it was proved" in capsys.readouterr().err
    assert proved.with_suffix(".img").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
def test_a_proof_that_is_none_is_said_so(proved, content):
    proved.with_suffix(".proof.json").write_text(content)
    with pytest.raises(CompileError, match=r"model\.proof\.json is no proof of an ONNX file.*; remove it"):
        compile_it(proved)


def test_a_copy_without_a_proof_compiles(proved, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    compile_it(shutil.copy(proved, tmp_path / "elsewhere" / "net.onnx") and tmp_path / "elsewhere" / "net.onnx")


def test_images_must_be_made_flat(tmp_path):
    b = Writer()
    x = b.node("Transpose", "spikes", perm=[0, 3, 1, 2])
    x = b.node("MatMul", b.node("Flatten", x), WEIGHTS["int8"](b, np.ones((12, 4), int)))
    b.node("Identity", x, output="out")
    onnx.save(b.model(INPUT_FORMS["Flatten"][0]), tmp_path / "model.onnx")
    assert "no Transpose; transpose constants only, and images before they become spikes" in refusal(tmp_path / "model.onnx")
