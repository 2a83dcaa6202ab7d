"""Training: quantisers and their gradients, the loop's determinism, resuming and checkpoints."""

import argparse
import dataclasses
import json
import pickle
import subprocess
import sys

import pytest
import torch

pytest.importorskip("brevitas", reason="training needs the train extra")

import brevitas.nn as qnn

from spikeline.errors import PresetError
from spikeline_training import checkpoint, commands, preset
from spikeline_training.augment import augment
from spikeline_training.course import sample
from spikeline_training.network import Fire, SpikingNetwork
from spikeline_training.quantiser import Spike, weight_quantiser
from spikeline_training.train import hinge, learning_rate, train

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

    network = SpikingNetwork((50, 30, 10), 4)
    (linear,), spikes = network.linear, (torch.rand(64, 50) < 0.2).float()
    found = []
    for forward in (lambda s: network.current(linear, s), linear):
        linear.weight.grad = None
        found.append([*with_gradient(forward, spikes), linear.weight.grad])
    for own, theirs in zip(*found, strict=True):
        assert torch.equal(own, theirs)


@pytest.mark.parametrize("per_neuron", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_weights_are_scaled_integers_of_the_symmetric_range(bits, per_neuron):
    torch.manual_seed(bits)
    layer = qnn.QuantLinear(500, 6, False, weight_quant=weight_quantiser(bits, per_neuron))
    quantised = layer.quant_weight()
    integers = (quantised.value / quantised.scale).round()
    assert torch.equal(quantised.value, integers * quantised.scale)
    largest = max(1, 2 ** (bits - 1) - 1)
    expected = {-1, 1} if bits == 1 else set(range(-largest, largest + 1))
    assert set(integers.flatten().tolist()) == expected
    assert quantised.scale.numel() == (6 if per_neuron else 1)
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


def test_a_seed_decides_everything(trained, tmp_path):
    train(TINY, tmp_path / "same")
    train(dataclasses.replace(TINY, seed=1), tmp_path / "other")
    assert_identical(state(tmp_path / "same"), state(trained))
    weights, others = (state(folder)["network"]["output.weight"] for folder in (trained, tmp_path / "other"))
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
        lambda s: s["network"].pop("output.weight"),
        lambda s: s["network"].update({"output.weight": torch.zeros(3)}),
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
    with pytest.raises(PresetError, match="epochs = 2 instead of 1"):
        run("train", "--preset", small, "--out", out, "--seed", 5, "--epochs", 2, "--resume")
    run("export", "--checkpoint", out / "checkpoint.pt", "--out", out / "model.onnx", "--verify", 20)
    assert f"{20 * 2 * 16} spikes of 20 images at T = 2 agree" in capsys.readouterr().out
    expected = {"checkpoint.pt", "metrics.jsonl", "tensorboard", "model.onnx", "model.proof.json"}
    assert {path.name for path in out.iterdir()} == expected


def test_layers_and_steps_can_be_overruled(tmp_path):
    run("train", "--preset", "tiny", "--out", tmp_path, "--sizes", "784,8,12,10", "--time-steps", 3, "--epochs", 1)
    network, trained, history = checkpoint.load(tmp_path / "checkpoint.pt")
    assert trained.sizes == (784, 8, 12, 10)
    assert [layer.out_features for layer in network.linear] == [8, 12]
    assert history[0]["time_steps"] == trained.time_steps == 3
    with pytest.raises(PresetError, match=r"sizes = \(784, 8\)"):
        run("train", "--preset", "tiny", "--out", tmp_path, "--sizes", "784,8")


@pytest.mark.parametrize("option", ["--threads", "--epochs", "--seed", "--sizes", "--time-steps"])
def test_a_count_that_is_no_number_is_bad_usage(tmp_path, option):
    with pytest.raises(SystemExit):
        run("train", "--preset", "tiny", "--out", tmp_path, option, "many")


def test_listing_the_commands_imports_nothing_heavy():
    code = "import sys, spikeline_training.commands; assert not {'torch', 'onnx', 'numpy'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
