"""Presets: the shipped ones load and have the recorded results; each mistake is named with its key, file and legal values."""

import json
from pathlib import Path

import pytest

from spikeline.errors import PresetError
from spikeline_training import preset

ROOT = Path(__file__).parents[2]
RESULTS = json.loads((ROOT / "docs/results/training.json").read_text())


@pytest.mark.parametrize("name", preset.names())
def test_shipped_presets_load_under_their_own_names(name):
    assert preset.load(name).name == name


def test_the_demonstration_preset_says_what_is_promised():
    demo = preset.load("mnist-dc-256")
    assert (demo.sizes, demo.weight_bits, demo.encoder, demo.time_steps) == ((784, 256, 256, 10), 4, "bernoulli", 4)


@pytest.mark.parametrize("name", RESULTS)
def test_recorded_results_are_those_of_the_preset_as_shipped(name):
    recorded, shipped = RESULTS[name], preset.load(name)
    for key in ("weight_bits", "encoder", "time_steps", "epochs", "eval_seed"):
        assert recorded[key] == getattr(shipped, key), key
    assert tuple(recorded["layers"]) == shipped.sizes
    accuracies = [run["accuracy"] for run in recorded["seeds"]]
    assert recorded["accuracy_mean"] == pytest.approx(sum(accuracies) / len(accuracies), abs=1e-6)
    assert (recorded["accuracy_min"], recorded["accuracy_max"]) == (min(accuracies), max(accuracies))
    decisions = 1 if shipped.encoder == "direct" else shipped.time_steps  # bit planes are decided once, after the last
    for run in recorded["seeds"]:
        assert len(run["spikes_per_step"]) == len(shipped.sizes) - 1
        assert len(run.get("accuracy_by_step", [0])) == decisions


@pytest.mark.parametrize(
    ("name", "least", "hidden"), [("mnist-dc-256", 0.989, 51), ("mnist-dc-256-best", 0.99, 62), ("mnist-dc-threshold", 0.986, 50)]
)
def test_every_seed_of_the_three_main_presets_is_accurate_and_sparse(name, least, hidden):
    assert {run["seed"] for run in RESULTS[name]["seeds"]} == {0, 1, 2}
    assert RESULTS[name]["accuracy_min"] >= least
    assert max(max(run["spikes_per_step"][1:]) for run in RESULTS[name]["seeds"]) <= hidden


def test_leaving_early_halves_the_steps_and_costs_a_thousandth_at_most():
    for run in RESULTS["mnist-dc-256-best"]["seeds"]:
        assert run["early_exit"]["mean_steps"] <= 4
        assert run["early_exit"]["accuracy"] >= run["accuracy"] - 0.001


def test_a_file_keeps_defaults_and_takes_overrides(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("weight_bits = 2\nepochs = 3\npeak_lr = 1\n")
    loaded = preset.load(str(path), epochs=7, seed=None)
    assert (loaded.name, loaded.weight_bits, loaded.epochs, loaded.seed) == ("mine", 2, 7, 0)
    assert isinstance(loaded.peak_lr, float)


def test_plain_values_make_the_same_preset_again():
    first = preset.load("tiny")
    assert preset.from_dict(first.as_dict(), "a checkpoint") == first


@pytest.mark.parametrize(
    ("line", "key", "legal"),
    [
        ("weigth_bits = 4", "weigth_bits", "weight_bits"),
        ("weight_bits = 5", "weight_bits", "3, 4 or 8"),
        ("weight_bits = 4.0", "weight_bits", "3, 4 or 8"),
        ("weight_bits = true", "weight_bits", "3, 4 or 8"),
        ('encoder = "morse"', "encoder", "'threshold' or 'bernoulli'"),
        ("encoder = 1", "encoder", "'threshold' or 'bernoulli'"),
        ('integration = "partial"', "integration", "'discontinuous' or 'continuous'"),
        ('encoder = "latency"', "integration", "'continuous'"),
        ('encoder = "events"\nsizes = [578, 32, 10]', "integration", "'continuous'"),
        ('integration = "continuous"\nencoder = "events"\nsizes = [99, 32, 10]', "sizes", "578-32-10"),
        ('integration = "continuous"\nencoder = "events"\npool = 0', "pool", "1..1024"),
        ('integration = "continuous"\nencoder = "events"\nsizes = [578, 32, 10]\nshift = 1.0', "encoder", "augmentation"),
        ('integration = "continuous"\nencoder = "latency"\ntime_steps = 200', "time_steps", "192"),
        ('data = "nmnist"', "data", "N-MNIST has events"),
        ('data = "cifar"', "data", "nmnist"),
        ("data = 1", "data", "a name"),
        ("dataset = 1", "dataset", "data = a name"),
        ('reset = "half"', "reset", "'subtract' or 'zero'"),
        ('loss_at = "first"', "loss_at", "'last' or 'every'"),
        ("bias = 1", "bias", "true or false"),
        ("leak = 16", "leak", "0 (none) to 15"),
        ("state_bits = 3", "state_bits", "4..23"),
        ("time_steps = 0", "time_steps", "1..255"),
        ('encoder = "threshold"\ntime_steps = 4', "time_steps", "1 of the threshold"),
        ('encoder = "direct"\ntime_steps = 9', "time_steps", "1..8"),
        ('encoder = "direct"\nintegration = "continuous"', "integration", "'discontinuous'"),
        ("epochs = 0", "epochs", "1..10000"),
        ("epochs = [1]", "epochs", "1..10000"),
        ("batch = 1", "batch", "2..60000"),
        ("peak_lr = 0.0", "peak_lr", "above 0"),
        ("peak_lr = nan", "peak_lr", "above 0"),
        ('peak_lr = "fast"', "peak_lr", "above 0"),
        ("hidden_dropout = 1.0", "hidden_dropout", "0..0.9"),
        ("activity = -1.0", "activity", "0..10"),
        ("rotation = inf", "rotation", "0..45"),
        ("train_images = 100", "train_images", "at least one batch"),
        ("hidden = [0]", "hidden", "1..4096"),
        ("hidden = [8, 8, 8, 8, 8, 8, 8, 8]", "hidden", "none to"),
        ("hidden = 8", "hidden", "1..4096"),
        ("hidden = [32, 32]\nsizes = [784, 32, 10]", "sizes", "784-32-32-10"),
        ("sizes = [784, 32, 9]", "sizes", "784-32-10"),
        ('train_steps = 2\nintegration = "continuous"', "train_steps", "of discontinuous"),
        ("sizes = [100, 32, 10]", "sizes", "784"),
        ("sizes = [784, 0, 10]", "sizes", "1..4096"),
        ("sizes = [784, 3.5, 10]", "sizes", "1..4096"),
        ("sizes = 784", "sizes", "1..4096"),
        ("seed = -1", "seed", "0..2^63"),
    ],
)
def test_a_mistake_names_key_file_and_legal_values(tmp_path, line, key, legal):
    path = tmp_path / "wrong.toml"
    path.write_text(line + "\n")
    with pytest.raises(PresetError) as error:
        preset.load(str(path))
    for part in (key, str(path), legal):
        assert part in str(error.value)


def test_an_override_is_checked_like_the_file():
    with pytest.raises(PresetError, match="epochs = 0"):
        preset.load("tiny", epochs=0)


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(PresetError, match="tiny"):
        preset.load("huge")


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe"])
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(PresetError, match=r"broken\.toml"):
        preset.load(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PresetError, match=r"absent\.toml"):
        preset.load(str(tmp_path / "absent.toml"))


TEXT = "# Größe\nsizes = [784, 20, 10]\nname = 'süß'\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_line_ends_of_windows_are_read(tmp_path, encoding, end):
    (tmp_path / "mine.toml").write_bytes(TEXT.replace("\n", end).encode(encoding))
    chosen = preset.load(str(tmp_path / "mine.toml"))
    assert (chosen.sizes, chosen.name) == ((784, 20, 10), "süß")


@pytest.mark.parametrize(("mark", "encoding"), [("\ufeff", "utf-16-be"), ("\ufeff", "utf-32-be")])
def test_the_mark_says_the_order_of_bytes(tmp_path, mark, encoding):
    (tmp_path / "mine.toml").write_bytes((mark + TEXT).encode(encoding))
    assert preset.load(str(tmp_path / "mine.toml")).sizes == (784, 20, 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT.encode("latin-1"), r"mine\.toml is not UTF-8: byte 0xf6 in line 1; save it as UTF-8"),
        (b"seed = 1\nname = 'M\xfcller'\n", r"byte 0xfc in line 2"),
        ("seed = 1\n".encode("utf-16-le"), r"zero bytes, as UTF-16 without its mark has; save it as UTF-8"),
        (TEXT.encode("utf-16")[:-1], r"is not UTF-8: byte .* in line"),
        (b"\xef\xbb\xbfseed = \xff", r"byte 0xff in line 1"),
        (b"\xef\xbb\xbf\xef\xbb\xbfseed = 1", "is no TOML"),
    ],
)
def test_a_text_of_another_encoding_is_named_with_the_way_out(tmp_path, content, message):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(PresetError, match=message):
        preset.load(str(tmp_path / "mine.toml"))
