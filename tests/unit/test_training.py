"""Training: quantisers and their gradients, the loop's determinism, resuming and checkpoints."""

import argparse
import dataclasses
import gzip
import io
import json
import pickle
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

pytest.importorskip("brevitas", reason="training needs the train extra")

import brevitas.nn as qnn
import onnx

from spikeline.errors import PresetError
from spikeline_training import checkpoint, commands, preset
from spikeline_training.augment import augment
from spikeline_training.network import SpikingNetwork
from spikeline_training.neurons import Fire
from spikeline_training.quantiser import Spike, weight_quantiser
from spikeline_training.train import hinge, learning_rate, train
from spikeline_training.training_data import sample

TINY = dataclasses.replace(preset.load("tiny"), train_images=2048, activity=0.001)


def test_a_neuron_fires_at_one_and_passes_gradients_from_zero_to_two():
    u = torch.tensor([-5.0, -0.01, 0.0, 0.99, 1.0, 1.5, 1.99, 2.0, 7.0], requires_grad=True)
    spikes = qnn.QuantIdentity(act_quant=Spike)(u)
    spikes.sum().backward()
    assert spikes.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert u.grad.tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]


def with_gradient(function, *tensors):
    """Of `function`: its value, and the gradient of every tensor from random gradients of the value."""
    tensors = [t.clone().requires_grad_() for t in tensors]
    value = function(*tensors)
    torch.manual_seed(9)
    value.backward(torch.randn_like(value))
    return [value.detach(), *(t.grad for t in tensors)]


def test_the_step_that_training_takes_is_brevitas_to_the_bit():
    """The network's own firing and weighted sums leave Brevitas' wrappers out, and neither a value nor a gradient changes."""
    torch.manual_seed(3)
    u = torch.cat([torch.randn(500, 40), torch.tensor([[-0.0, 0.0, 1.0, 2.0] * 10]), torch.tensor([[0.9999999, 1.9999999] * 20])])
    for own, theirs in zip(with_gradient(Fire(), u), with_gradient(qnn.QuantIdentity(act_quant=Spike), u), strict=True):
        assert torch.equal(own, theirs)

    network = SpikingNetwork(dataclasses.replace(TINY, sizes=(50, 30, 10), weight_bits=4))
    layer, spikes = network.layers[0], (torch.rand(64, 50) < 0.2).float()
    linear, found = layer.linear, []
    for forward in (lambda s: layer.sums(s, linear.quant_weight().value), linear):
        linear.weight.grad = None
        found.append([*with_gradient(forward, spikes), linear.weight.grad])
    for own, theirs in zip(*found, strict=True):
        assert torch.equal(own, theirs)


@pytest.mark.parametrize("per_column", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_weights_are_scaled_integers_of_the_symmetric_range(bits, per_column):
    torch.manual_seed(bits)
    layer = qnn.QuantLinear(500, 6, False, weight_quant=weight_quantiser(bits, per_column))
    quantised = layer.quant_weight()
    integers = (quantised.value / quantised.scale).round()
    assert torch.equal(quantised.value, integers * quantised.scale)
    largest = max(1, 2 ** (bits - 1) - 1)
    expected = {-1, 1} if bits == 1 else set(range(-largest, largest + 1))
    assert set(integers.flatten().tolist()) == expected
    assert quantised.scale.numel() == (6 if per_column else 1)
    quantised.value.sum().backward()
    assert (layer.weight.grad == 1).all()


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_rounding_errs_by_half_a_step_at_most(bits):
    layer = qnn.QuantLinear(100, 6, False, weight_quant=weight_quantiser(bits, True))
    quantised = layer.quant_weight()
    assert ((quantised.value - layer.weight).abs() <= quantised.scale * 0.50001).all()


def test_hinge_is_the_mean_of_squared_shortfalls():
    membrane = torch.tensor([[3.0, -2.0, 0.5]])
    assert hinge(membrane, torch.tensor([0])).item() == pytest.approx(1.5**2 / 3)
    assert hinge(membrane, torch.tensor([1])).item() == pytest.approx((4**2 + 3**2 + 1.5**2) / 3)


def test_one_cycle_peaks_after_a_quarter_and_ends_at_nothing():
    one = dataclasses.replace(TINY, peak_lr=0.5)
    rates = [learning_rate(one, step, 100) for step in range(100)]
    assert max(rates) == rates[25] == 0.5
    assert rates[0] < 0.03
    assert rates[-1] < 0.001
    assert rates == sorted(rates[:25]) + sorted(rates[25:], reverse=True)
    assert learning_rate(dataclasses.replace(one, schedule="constant"), 99, 100) == 0.5


def test_training_spikes_have_the_encoders_distribution():
    torch.manual_seed(0)
    levels = torch.arange(256, dtype=torch.uint8)
    rates = sample(levels.repeat(20000, 1), "bernoulli").mean(0)
    p = torch.arange(256) / 256
    assert rates[0] == 0
    assert ((rates - p).abs() <= 5 * (p * (1 - p) / 20000).sqrt()).all()
    assert torch.equal(sample(levels[None], "threshold")[0], (levels >= 128).float())


def test_augmentation_off_changes_nothing_and_without_strength_almost_nothing():
    pixels = torch.randint(0, 256, (3, 784), dtype=torch.uint8)
    off = dataclasses.replace(TINY, rotation=0.0, shift=0.0)
    assert augment(pixels, off) is pixels
    barely = augment(pixels, dataclasses.replace(off, rotation=1e-6))
    assert (barely.int() - pixels.int()).abs().max() <= 1


def test_a_shift_moves_a_digit_by_at_most_its_limit():
    torch.manual_seed(0)
    dot = torch.zeros(200, 28, 28, dtype=torch.uint8)
    dot[:, 14, 14] = 255
    moved = augment(dot.view(200, 784), dataclasses.replace(TINY, rotation=0.0, shift=2.0)).view(200, 28, 28)
    axis = torch.arange(28.0)
    mass = moved.sum((1, 2)).float()
    x, y = ((moved.sum(dim).float() * axis).sum(1) / mass - 14 for dim in (1, 2))
    assert x.abs().max() <= 2.02
    assert y.abs().max() <= 2.02
    assert x.std() > 1
    assert y.std() > 1


@pytest.mark.parametrize("strength", ["rotation", "scale", "shear", "elastic"])
def test_each_distortion_distorts(strength):
    pixels = torch.zeros(4, 28, 28, dtype=torch.uint8)
    pixels[:, 6:22, 8:12] = 200
    pixels = pixels.view(4, 784)
    amount = {"rotation": 20.0, "scale": 0.3, "shear": 0.3, "elastic": 1.0}[strength]
    changed = augment(pixels, dataclasses.replace(TINY, **({"rotation": 0.0, "shift": 0.0} | {strength: amount})))
    assert changed.dtype == torch.uint8
    assert (changed != pixels).float().mean() > 0.01


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with an uninterrupted run of TINY."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("uninterrupted")
    train(TINY, out)
    return out


def state(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def assert_identical(a, b):
    """Nested checkpoints, bit for bit; the time an epoch took may differ."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a.keys() - {"seconds"}:
            assert_identical(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_identical(x, y)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


def stop(metrics):
    raise KeyboardInterrupt


def test_resuming_gives_the_bits_of_an_uninterrupted_run(trained, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path, after_epoch=stop)
    assert len(state(tmp_path)["history"]) == 1
    torch.rand(100)  # the resumed run must not depend on what this process drew
    train(TINY, tmp_path, resume=True)
    assert_identical(state(tmp_path), state(trained))
    assert_same_files(tmp_path, trained)


def assert_same_files(folder, other):
    """Byte for byte, but for the seconds that epochs took."""
    assert (folder / "checkpoint.pt").read_bytes() == (other / "checkpoint.pt").read_bytes()
    lines, others = ([json.loads(x) for x in (f / "metrics.jsonl").read_text().splitlines()] for f in (folder, other))
    assert all(line.pop("seconds") > 0 for line in lines + others)
    assert [json.dumps(line) for line in lines] == [json.dumps(line) for line in others]


def test_a_seed_decides_everything(trained, tmp_path):
    train(TINY, tmp_path / "same")
    train(dataclasses.replace(TINY, seed=1), tmp_path / "other")
    assert_same_files(tmp_path / "same", trained)
    weights, others = (state(folder)["network"]["layers.2.linear.weight"] for folder in (trained, tmp_path / "other"))
    assert not torch.equal(weights, others)


def test_a_finished_run_resumes_to_itself(trained):
    before = (trained / "checkpoint.pt").read_bytes()
    last = train(TINY, trained, resume=True)
    assert last["epoch"] == TINY.epochs
    assert (trained / "checkpoint.pt").read_bytes() == before


def test_metrics_and_events_are_written(trained):
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["loss"] < lines[0]["loss"]
    assert lines[1]["test_accuracy"] > 0.7
    assert lines[1]["time_steps"] == TINY.time_steps
    assert len(lines[1]["spike_rates"]) == 3
    assert all(0 < rate < 1 for rate in lines[1]["spike_rates"])
    assert {"train_accuracy", "seconds", "lr"} <= lines[1].keys()
    assert list((trained / "tensorboard").glob("events.out.*"))


def test_resuming_another_preset_names_what_changed(trained):
    with pytest.raises(PresetError, match="seed = 3 instead of 0"):
        train(dataclasses.replace(TINY, seed=3), trained, resume=True)


def longer(folder, **changes):
    """Continue a run of TINY with other values."""
    return train(dataclasses.replace(TINY, **changes), folder, resume=True)


@pytest.fixture
def finished(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_a_finished_run_continues_to_more_epochs_at_their_rates(finished, capsys):
    before = state(finished)["history"]
    last = longer(finished, epochs=TINY.epochs + 2)
    said = capsys.readouterr().err
    assert "epochs 1 to 2 had the learning rates of a cycle of 2, the others have those of one of 4" in said
    after = state(finished)
    assert after["history"][: TINY.epochs] == before
    assert [epoch["epoch"] for epoch in after["history"]] == [1, 2, 3, 4]
    assert after["preset"]["epochs"] == 4
    steps = TINY.train_images // TINY.batch
    assert last["lr"] == learning_rate(dataclasses.replace(TINY, epochs=4), 4 * steps - 1, 4 * steps)
    assert after["history"][2]["lr"] == learning_rate(TINY, 3 * steps - 1, 4 * steps)


def test_at_a_constant_rate_more_epochs_are_a_run_without_a_break(tmp_path, capsys):
    constant = dataclasses.replace(TINY, schedule="constant", train_images=512)
    train(dataclasses.replace(constant, epochs=3), tmp_path / "whole")
    train(dataclasses.replace(constant, epochs=1), tmp_path / "parts")
    train(dataclasses.replace(constant, epochs=3), tmp_path / "parts", resume=True)
    assert_same_files(tmp_path / "parts", tmp_path / "whole")
    assert capsys.readouterr().err == ""


def test_an_interrupted_run_may_end_sooner(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(TINY, train_images=512, epochs=9), tmp_path, after_epoch=stop)
    train(dataclasses.replace(TINY, train_images=512, epochs=2), tmp_path, resume=True)
    assert len(state(tmp_path)["history"]) == 2


def test_no_epoch_is_taken_back_and_nothing_else_may_change(finished):
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    with pytest.raises(PresetError, match=r"has 2 epochs behind it and epochs = 1, .*give --epochs 2 or more"):
        longer(finished, epochs=1)
    for changes, message in (
        ({"seed": 3, "epochs": 4}, "seed = 3 instead of 0; train without"),
        ({"peak_lr": 0.5, "epochs": 4}, "peak_lr = 0.5 instead of 0.01; train without"),
        ({"schedule": "constant"}, "schedule = 'constant' instead of 'one_cycle'"),
    ):
        with pytest.raises(PresetError, match=message):
            longer(finished, **changes)
    assert {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def test_seconds_are_kept_when_a_run_is_resumed(finished):
    first = json.loads((finished / "metrics.jsonl").read_text().splitlines()[0])
    longer(finished, epochs=3)
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == first
    (finished / "metrics.jsonl").write_text("no json\n")
    longer(finished, epochs=4)
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert ["seconds" in line for line in lines] == [False] * 3 + [True]


@pytest.fixture(scope="module")
def small_checkpoint(tmp_path_factory):
    """Bytes of a small one, which a test may damage in every place."""
    path = tmp_path_factory.mktemp("small") / "checkpoint.pt"
    chosen = preset.from_dict({"sizes": [784, 1, 10]}, "small")
    network = SpikingNetwork(chosen)
    checkpoint.save(path, chosen, network, torch.optim.Adam(network.parameters(), fused=True), [{"epoch": 1, "seconds": 0.5}])
    return path.read_bytes()


def test_every_flipped_bit_of_a_byte_of_a_checkpoint_is_found(small_checkpoint):
    assert checkpoint._damage(small_checkpoint) is None
    for at in range(len(small_checkpoint)):
        damaged = bytearray(small_checkpoint)
        damaged[at] ^= 1 << at % 8
        assert checkpoint._damage(bytes(damaged)), f"byte {at}"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 1.0])
def test_a_damaged_checkpoint_is_named_and_no_run_goes_on_from_it(small_checkpoint, tmp_path, share):
    path = tmp_path / "checkpoint.pt"
    damaged = bytearray(small_checkpoint)
    damaged[int(share * (len(damaged) - 1))] ^= 0x10
    path.write_bytes(damaged)
    with pytest.raises(PresetError, match=r"checkpoint\.pt is no readable checkpoint \(it is .*damaged.*; train again"):
        checkpoint.load(path)
    with pytest.raises(PresetError, match=r"checkpoint\.pt is no readable checkpoint"):
        train(preset.from_dict({"sizes": [784, 1, 10]}, "small"), tmp_path, resume=True)
    assert path.read_bytes() == damaged


def test_damage_within_a_member_is_found_where_the_whole_has_no_checksum(small_checkpoint, tmp_path):
    """As someone saves a checkpoint again by PyTorch alone."""
    path = tmp_path / "checkpoint.pt"
    torch.save(torch.load(io.BytesIO(small_checkpoint), weights_only=True), path)
    checkpoint.load(path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = [(archive.getinfo(name), archive.read(name)) for name in archive.namelist()]
    for info, data in members:
        at = content.index(data, info.header_offset + 30)
        path.write_bytes(content[:at] + bytes([data[0] ^ 1]) + content[at + 1 :])
        with pytest.raises(PresetError, match="damaged"):
            checkpoint.load(path)


def foreign_files():
    """Files that others write, by what they should be called."""
    tensors = {"fc1.weight": torch.ones(3, 2), "fc1.bias": torch.ones(3)}

    def saved(value, **options):
        file = io.BytesIO()
        torch.save(value, file, **options)
        return file.getvalue()

    def script():
        file = io.BytesIO()
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 3), torch.ones(1, 2)), file)
        return file.getvalue()

    def arrays():
        file = io.BytesIO()
        np.savez(file, x=np.ones(3))
        return file.getvalue()

    header = json.dumps({"fc1.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    network = onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:]))
    yield "state_dict", saved(tensors), r"state_dict\) of another program, 2 tensors such as 'fc1\.weight'"
    yield "lightning", saved({"pytorch-lightning_version": "2.0", "state_dict": tensors}), "PyTorch Lightning"
    yield "training state", saved({"epoch": 3, "model": tensors}), "data of another program, with 'epoch', 'model'"
    yield "tensor", saved(torch.ones(3)), "another program, a Tensor"
    yield "module", saved(torch.nn.Linear(2, 3)), "objects of another program"
    yield "legacy", saved(tensors, _use_new_zipfile_serialization=False), "a pickle"
    yield "pickle", pickle.dumps({"a": 1}), "a pickle"
    yield "script", script(), "a TorchScript module"
    yield "arrays", arrays(), "NumPy arrays"
    yield "safetensors", len(header).to_bytes(8, "little") + header + bytes(4), "a file of safetensors"
    yield "onnx", network.SerializeToString(), "an ONNX network, which `spikeline compile` takes"
    yield "hdf5", b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"
    yield "image", b"SPKI" + bytes(99), "a model"
    yield "gzip", gzip.compress(b"x"), "a gzip archive"
    yield "text", b"hello\n", "text"
    yield "empty", b"", "empty"
    yield "unknown", b"\xff\xfe\xfd" * 9, "of an unknown kind"


FOREIGN = list(foreign_files())


@pytest.mark.parametrize(("content", "name"), [x[1:] for x in FOREIGN], ids=[x[0] for x in FOREIGN])
def test_a_file_of_another_program_is_called_what_it_is(tmp_path, content, name):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(PresetError, match=rf"checkpoint\.pt is no .*{name}.*; .*train again or restore") as caught:
        checkpoint.load(path)
    for advice in ("weights_only", "torch.serialization", "trusted", "allowlist", "file an issue", "http"):
        assert advice not in str(caught.value)


@pytest.mark.parametrize("cut", [0, 100, 20000])
def test_a_truncated_checkpoint_is_named(trained, tmp_path, cut):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes((trained / "checkpoint.pt").read_bytes()[:cut])
    with pytest.raises(PresetError, match=r"checkpoint\.pt"):
        checkpoint.load(path)
    with pytest.raises(PresetError, match=r"checkpoint\.pt"):
        train(TINY, tmp_path, resume=True)


class Bomb:
    """Its pickle runs code when it is read."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('the checkpoint ran code')",))


@pytest.mark.parametrize("how", [lambda bomb: pickle.dumps(bomb, protocol=2), None], ids=["pickle", "torch archive"])
def test_a_checkpoint_never_runs_code(tmp_path, how):
    path = tmp_path / "checkpoint.pt"
    if how:
        path.write_bytes(how(Bomb()))
    else:
        torch.save({"format": checkpoint.FORMAT, "network": Bomb()}, path)
    with pytest.raises(PresetError, match="no readable checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(format="another"),
        lambda s: s.pop("rng"),
        lambda s: s["network"].pop("layers.2.linear.weight"),
        lambda s: s["network"].update({"layers.2.linear.weight": torch.zeros(3)}),
        lambda s: s["preset"].update(weight_bits=7),
    ],
    ids=["format", "key", "tensor", "shape", "preset"],
)
def test_a_foreign_checkpoint_is_refused(trained, tmp_path, change):
    changed = state(trained)
    change(changed)
    torch.save(changed, tmp_path / "checkpoint.pt")
    with pytest.raises(PresetError):
        checkpoint.load(tmp_path / "checkpoint.pt")


def test_a_missing_checkpoint_says_how_to_make_one(tmp_path):
    with pytest.raises(PresetError, match="spikeline train"):
        checkpoint.load(tmp_path / "none.pt")


def test_a_diverging_training_stops_without_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("spikeline_training.train.hinge", lambda membrane, labels: membrane.sum() * float("nan"))
    with pytest.raises(PresetError, match="peak_lr"):
        train(TINY, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def run(*words):
    """Run a subcommand as `spikeline` would."""
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers(required=True))
    args = parser.parse_args([str(word) for word in words])
    args.run(args)


def test_the_commands_train_resume_and_export(tmp_path, capsys):
    small = tmp_path / "small.toml"
    small.write_text("sizes = [784, 16, 10]\ntrain_images = 512\nbatch = 64\ntime_steps = 2\nepochs = 1\n")
    out = tmp_path / "out"
    run("train", "--preset", small, "--out", out, "--seed", 5)
    assert "of the test images at T = 2" in capsys.readouterr().out
    run("train", "--preset", small, "--out", out, "--seed", 5, "--epochs", 2, "--resume")
    assert "epoch 2: " in capsys.readouterr().out
    with pytest.raises(PresetError, match="seed = 6 instead of 5"):
        run("train", "--preset", small, "--out", out, "--seed", 6, "--epochs", 2, "--resume")
    run("export", "--checkpoint", out / "checkpoint.pt", "--out", out / "model.onnx", "--verify", 20)
    assert f"{20 * 2 * 16} spikes of 20 images at T = 2 agree" in capsys.readouterr().out
    expected = {"checkpoint.pt", "metrics.jsonl", "tensorboard", "model.onnx", "model.proof.json"}
    assert {path.name for path in out.iterdir()} == expected


def test_layers_and_steps_can_be_overruled(tmp_path):
    run("train", "--preset", "tiny", "--out", tmp_path, "--hidden", "8,12", "--time-steps", 3, "--epochs", 1)
    network, trained, history = checkpoint.load(tmp_path / "checkpoint.pt")
    assert trained.sizes == (784, 8, 12, 10)
    assert [layer.columns for layer in network.layers] == [8, 12, 10]
    assert history[0]["time_steps"] == trained.time_steps == 3
    with pytest.raises(PresetError, match=r"hidden = \(8, 0\)"):
        run("train", "--preset", "tiny", "--out", tmp_path, "--hidden", "8,0")


@pytest.mark.parametrize("option", ["--threads", "--epochs", "--seed", "--hidden", "--time-steps"])
def test_a_count_that_is_no_number_is_bad_usage(tmp_path, option):
    with pytest.raises(SystemExit):
        run("train", "--preset", "tiny", "--out", tmp_path, option, "many")


def test_listing_the_commands_imports_nothing_heavy():
    code = "import sys, spikeline_training.commands; assert not {'torch', 'onnx', 'brevitas', 'qonnx'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
