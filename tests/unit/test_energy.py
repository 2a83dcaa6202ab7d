"""Energy: what the model does with counts, constants and profiles; that estimates move as physics says."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.cli import energy, main
from spikeline.data.samples import Samples
from spikeline.energy import activity, frontier, measure, model, saif
from spikeline.energy.model import LEAKAGE, LOGIC, MEMORY, ProfileError
from spikeline.errors import DataError
from spikeline.measure import cycles
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder

ROOT = Path(__file__).parents[2]
ASIC = model.load("asic-40nm")
PER_CYCLE = ("clock", "registers", *LEAKAGE)  # what a chip without spikes still costs, in proportion to its cycles


def network(sizes=(64, 32, 10), time_steps=3, encoder=Encoder.BERNOULLI, bits=4, fires=0.3, seed=0, lasting=False) -> Network:
    """Random weights; about a share of the neurons of each hidden layer fires whatever comes."""
    rng = np.random.default_rng(seed)
    layers = []
    for n, (inputs, neurons) in enumerate(pairwise(sizes)):
        weights = rng.integers(-(1 << bits - 1), 1 << bits - 1, (inputs, neurons)).astype(np.int8)
        weights[0, 0] = -(1 << bits - 1)  # so that all bits are needed
        thresholds = np.where(rng.random(neurons) < fires, -10_000, 10_000).astype(np.int32)
        if lasting and n < len(sizes) - 2:
            layers.append(Layer(weights, np.abs(thresholds) // 500, 13))
        else:
            layers.append(Layer(weights, thresholds))
    return Network(tuple(layers), 4, time_steps, encoder)


def trains(net: Network, batch=20, rate=0.2, seed=1) -> np.ndarray:
    return (np.random.default_rng(seed).random((batch, net.time_steps, net.sizes[0])) < rate).astype(np.uint8)


def counted(net: Network, spikes: np.ndarray, input="spikes") -> activity.Activity:
    return activity.count(activity.built_for(net), net, spikes, golden.run(net, spikes), input)[0]


def estimated(net: Network, spikes: np.ndarray, profile=ASIC, input="spikes") -> model.Estimate:
    return model.estimate(profile, activity.built_for(net), counted(net, spikes, input), input == "pixels")


def changed(tmp_path, **constants) -> model.Profile:
    data = json.loads((model.FOLDER / "asic-40nm.json").read_text())
    for key, value in constants.items():
        data["constants"][key] = {"value": value, "unit": model.UNITS[key], "source": "a test"}
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(data))
    return model.load(path)


# ---- physics ----


def test_twice_the_time_steps_cost_twice_the_reads():
    net = network()
    spikes = trains(net)
    once, twice = (estimated(replace(net, time_steps=t), np.tile(spikes, (1, t // 3, 1))) for t in (3, 6))
    for part in ("weights", "wires", "lanes", "membranes", "scan"):
        assert twice.parts[part] == pytest.approx(2 * once.parts[part])
    assert np.all(twice.total > 1.5 * once.total)


def test_twice_the_width_costs_twice_the_bits_of_a_row():
    def rows(neurons):
        net = network((64, neurons, 10), fires=0)
        return counted(net, trains(net)).layers[0], estimated(net, trains(net)).layers[0]

    (narrow, narrow_nj), (wide, wide_nj) = rows(32), rows(64)
    for name in ("weight_bits_read", "lane_add_bits", "compares", "lane_adds"):
        assert wide[name] == 2 * narrow[name]
    assert wide["row_reads"] == narrow["row_reads"]
    assert wide_nj[1] > 1.9 * narrow_nj[1]


def test_twice_the_activity_costs_twice_the_reads_and_no_more_compares():
    net = network((64, 32, 10), fires=0)
    few = np.zeros((10, 3, 64), np.uint8)
    few[..., :8] = 1
    many = few.copy()
    many[..., 8:16] = 1
    a, b = counted(net, few).layers[0], counted(net, many).layers[0]
    assert b["row_reads"] == 2 * a["row_reads"] == 2 * 10 * 3 * 8
    assert b["compares"] == a["compares"]
    assert estimated(net, many).parts["weights"] == pytest.approx(2 * estimated(net, few).parts["weights"])


def test_silence_reads_no_weights_and_costs_clock_compares_and_leakage():
    net = network(fires=0)
    silent = estimated(net, np.zeros((10, 3, 64), np.uint8))
    assert counted(net, np.zeros((10, 3, 64), np.uint8)).total("row_reads") == 0
    for part in ("weights", "wires", "lanes"):
        assert not silent.parts[part].any()
    for part in ("clock", "registers", "memory leakage", "logic leakage"):
        assert silent.parts[part][0] > 0
    assert np.all(silent.total < estimated(net, trains(net)).total)


def test_fewer_weight_bits_cost_less_memory():
    nets = [network(bits=bits) for bits in (2, 3, 4)]
    assert [activity.needed_weight_bits(net) for net in nets] == [2, 3, 4]
    reads = [counted(net, trains(net)).layers[0]["weight_bits_read"] for net in nets]
    assert reads[0] / 2 == reads[1] / 3 == reads[2] / 4
    energies = [estimated(net, trains(net)).parts["weights"][1] for net in nets]
    assert energies == sorted(energies)
    assert energies[0] < energies[2]


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(16, 80), min_size=2, max_size=4),
    steps=st.integers(1, 6),
    rate=st.floats(0, 1),
    fires=st.floats(0, 1),
    seed=st.integers(0, 1000),
    lasting=st.booleans(),
    input=st.sampled_from(["spikes", "events", "pixels"]),
    profile=st.sampled_from(model.names()),
)
def test_an_estimate_is_an_interval_whatever_runs(sizes, steps, rate, fires, seed, lasting, input, profile):
    net = network(tuple(sizes), steps, fires=fires, seed=seed, lasting=lasting)
    spikes = trains(net, 4, rate, seed)
    result = estimated(net, spikes, model.load(profile), input)
    for nj in (*result.parts.values(), result.total, *result.layers):
        assert 0 <= nj[0] <= nj[1] <= nj[2]
    assert result.total[0] < result.total[1] < result.total[2]
    assert sum(result.share(parts) for parts in (MEMORY, LOGIC, LEAKAGE)) == pytest.approx(1)
    assert set(result.parts) == {*MEMORY, *LOGIC, *LEAKAGE}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), split=st.integers(1, 9))
def test_counts_of_two_packets_add_up(seed, split):
    """All that spikes make; cycles and what is clocked in each of them also have the beginning of a second packet."""
    net, both = network(seed=seed), trains(network(), 10, 0.2, seed)
    whole, parts = counted(net, both), counted(net, both[:split]) + counted(net, both[split:])
    for a, b in zip((*whole.layers, whole.core), (*parts.layers, parts.core), strict=True):
        assert {k: v for k, v in a.items() if k != "clocked_bits"} == {k: v for k, v in b.items() if k != "clocked_bits"}
    assert whole.images == parts.images == 10
    assert whole.cycles < parts.cycles < whole.cycles + 100


def test_layers_add_up_to_the_parts_that_are_theirs():
    net = network((64, 48, 32, 10))
    result = estimated(net, trains(net))
    theirs = sum(result.parts[part] for part in ("weights", "wires", "lanes", "membranes"))
    assert sum(result.layers) == pytest.approx(theirs)
    assert len(result.layers) == 3


def test_units():
    """One row of 64 bits an image costs sram_read_pj at 8 KB, scaled: 8.89 pJ are 0.00889 nJ."""
    net = network((64, 16, 10), time_steps=1, fires=0)
    spikes = np.zeros((5, 1, 64), np.uint8)
    spikes[..., 3] = 1
    assert activity.built_for(net).weight_bits * 16 == 64
    assert estimated(net, spikes).parts["weights"][1] == pytest.approx(10e-3 * 0.889)
    assert ASIC.clock_mhz == 200


def test_leakage_is_power_times_time(tmp_path):
    net = network()
    spikes = trains(net)
    profile = changed(tmp_path, static_mw=3, cycle_ns=4)
    result, count = estimated(net, spikes, profile), counted(net, spikes)
    assert result.parts["static"][1] == pytest.approx(3e-3 * count.cycles * 4e-9 / 20 * 1e9)
    bits = 64 * 32 * 4 + 32 * 10 * 4
    assert result.parts["memory leakage"][1] == pytest.approx(bits * 0.1e-9 * count.cycles * 4e-9 / 20 * 1e9)
    slower = estimated(net, spikes, changed(tmp_path, static_mw=3, cycle_ns=8))
    for part in result.parts:
        assert slower.parts[part] == pytest.approx(result.parts[part] * (2 if part in LEAKAGE else 1))


def test_a_larger_macro_costs_more_and_a_narrow_word_less_than_its_share_saves(tmp_path):
    small, large = (changed(tmp_path, sram_macro_bytes=size).row_pj(64)[1] for size in (8192, 32768))
    assert large == pytest.approx(2 * small)  # 10 and 20 pJ
    assert changed(tmp_path, sram_macro_bytes=1 << 20).row_pj(64)[1] == pytest.approx(113 / 10 * small, rel=0.01)  # 100 at 1 MB
    assert ASIC.row_pj(1024)[1] == pytest.approx(16 * ASIC.row_pj(64)[1])
    assert ASIC.row_pj(32)[1] / ASIC.row_pj(64)[1] == pytest.approx(0.2 + 0.8 / 2)
    assert ASIC.row_pj(65)[1] > ASIC.row_pj(64)[1] * 1.2


def test_the_process_scales_energies_and_not_leakage(tmp_path):
    net = network()
    spikes = trains(net)
    once, twice = (estimated(net, spikes, changed(tmp_path, scale=s)) for s in (1, 2))
    for part in once.parts:
        assert twice.parts[part] == pytest.approx(once.parts[part] * (1 if part in LEAKAGE else 2))


def test_the_clock_tree_is_a_share_of_what_it_drives(tmp_path):
    net = network()
    bare, tree = (estimated(net, trains(net), changed(tmp_path, clock_tree_share=s)) for s in (0, 0.5))
    assert tree.parts["clock"] == pytest.approx(1.5 * bare.parts["clock"])


# ---- counts ----


def test_a_discontinuous_layer_by_hand():
    net = Network((Layer(np.full((16, 4), -8, np.int8), np.full(4, -1000, np.int32)),), 4, 2, Encoder.THRESHOLD)
    spikes = np.zeros((1, 2, 16), np.uint8)
    spikes[0, 0, [0, 4, 8, 1]] = 1  # three in scan lane 0 of four, one in lane 1; then none
    count = counted(net, spikes)
    V = activity.built_for(net).membrane_bits
    layer = count.layers[0]
    assert (layer["steps"], layer["cycles"], layer["row_reads"], layer["fetches"]) == (2, 3 + 1, 4, 8)
    assert layer["weight_bits_read"] == 4 * 4 * 4
    assert (layer["lane_adds"], layer["lane_add_bits"]) == (16, 16 * (4 + 2))
    assert (layer["current_adds"], layer["membrane_adds"], layer["compares"]) == (16, 0, 8)
    assert (layer["current_bits"], layer["start_read_bits"], layer["state_bits"]) == (4 * 4 * V, 2 * 4 * V, 0)
    assert layer["membrane_add_bits"] == 16 * V
    assert layer["queue_write_bits"] == 2 * (12 + 4 + 4 * V)
    assert (count.core["steps"], count.core["input_words"], count.core["decode_adds"]) == (2, 2, 8)
    assert count.core["draws"] == count.core["pixel_read_bits"] == 0


def test_a_continuous_layer_by_hand():
    """A step ends no earlier than a group's eight cycles after the one before, whose neurons have to be decided."""
    weights = np.full((16, 2), 7, np.int8)
    weights[:, 1] = -8
    lasting = Layer(weights, np.full(2, 5, np.int32), 11, np.array([1, 1], np.int32))
    net = Network((lasting,), 4, 3, Encoder.THRESHOLD, Decode.SPIKE_COUNT)
    spikes = np.zeros((1, 3, 16), np.uint8)
    spikes[..., 0] = 1  # neuron 0 fires at every step, neuron 1 never
    count = counted(net, spikes)
    V = activity.built_for(net).membrane_bits
    layer = count.layers[0]
    assert V == 12
    assert layer["cycles"] == 1 + 7 + 8  # the second step comes a cycle after the first has ended
    assert layer["current_adds"] == layer["cycles"] * 2
    assert layer["membrane_adds"] == 3 * 3 * 2  # current, bias, −θ
    assert layer["state_bits"] == 3 * 2 * (V - 1)
    assert layer["start_read_bits"] == layer["bias_read_bits"] == 3 * 2 * V


def test_the_encoder_draws_a_byte_a_pixel_only_if_it_is_random():
    for encoder in (Encoder.BERNOULLI, Encoder.THRESHOLD):
        net = network((64, 32, 10), 3, encoder)
        core = counted(net, trains(net, 5), "pixels").core
        assert core["draws"] == (5 * 3 * 64 if encoder == Encoder.BERNOULLI else 0)
        assert core["pixel_write_bits"] == 5 * 64 * 8
        assert core["pixel_read_bits"] == 5 * 3 * 64 * 8
    assert activity.draw_gates() == 328 + 320 + 1266 + 639


def test_early_exit_saves_what_is_not_done():
    net = replace(network((64, 32, 10), 16), exit_margin=0)
    spikes = trains(net, 10)
    early, whole = counted(net, spikes), counted(replace(net, exit_margin=None), spikes)
    assert early.layers[0]["steps"] < whole.layers[0]["steps"] == 160
    assert early.layers[0]["row_reads"] < whole.layers[0]["row_reads"]
    assert early.core["decode_adds"] == 10 * 10
    assert early.core["decode_compares"] == 10 * 10


@pytest.mark.parametrize("name", ["tiny", "z020-256", "z020-512", "z020-1024"])
def test_registers_and_memory_are_what_yosys_found(name):
    """Register bits, by hand from the Verilog, against the flip-flops of the mapped design: within 2 %.

    An estimate is about the network, so it leaves out the memory port and the checksum of what is loaded.
    """
    geometry = Geometry.load(name)
    area = {entry["geometry"]: entry for entry in json.loads((ROOT / "docs/results/area.json").read_text())}[name]
    built = activity.hardware(geometry)
    loading = ("spk_memory", "spk_reader", "spk_writer", "spk_bursts", "spk_crc")
    left_out = sum(area["modules"][module]["ff"] for module in loading if "modules" in area)
    assert built.register_bits == pytest.approx(area["ff"] - left_out, rel=0.02)
    assert built.memory_bits == sum(x.inputs * x.neurons * geometry.weight_bits for x in geometry.layers)


def test_hardware_without_an_encoder_is_smaller():
    geometry = Geometry.load("tiny")
    with_it, without = activity.hardware(geometry), activity.hardware(geometry, encoder=False)
    assert with_it.buffer_bits - without.buffer_bits == 2 * 8 * 100
    assert without.register_bits < with_it.register_bits


def test_hardware_is_of_the_networks_own_sizes():
    built = activity.built_for(network((100, 40, 24, 10), bits=3, lasting=True), (4, 2))
    assert [(x.inputs, x.neurons, x.spikes_per_cycle) for x in built.layers] == [(100, 40, 4), (40, 24, 2), (24, 10, 2)]
    assert (built.weight_bits, built.membrane_bits, built.classes, built.continuous) == (3, 15, 10, True)


def test_fetches_of_the_scanners():
    spikes = np.zeros((1, 1, 256), np.uint8)
    spikes[0, 0, [0, 4, 64, 65]] = 1  # lane 0 of four: groups 0 and 1; lane 1: group 1; the others none
    assert cycles.scan(spikes, 4).fetches.tolist() == [2 + 1 + 1 + 1]


# ---- profiles ----


@pytest.mark.parametrize("name", model.names())
def test_shipped_profiles_are_sound_and_say_what_they_are(name):
    profile = model.load(name)
    assert profile.name == name
    assert "not a measurement" in profile.title
    assert len(profile.sha256) == 64
    assert all(len(x.source) > 5 for x in profile.constants.values())


def test_constants_of_horowitz():
    assert ASIC["sram_read_pj"].tolist() == [10, 10, 10]
    assert ASIC["add_8_pj"][1] == 0.03
    assert ASIC["scale"][1] == pytest.approx(40 / 45, rel=1e-3)
    assert ASIC["scale"][2] == pytest.approx(40 / 45 * (1.1 / 0.9) ** 2, rel=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("add_8_pj"), "lacks add_8_pj; take them from a shipped profile"),
        (lambda c: c.update(add_9_pj=1), "has add_9_pj, which mean nothing; remove"),
        (lambda c: c.update(gate_pj=1), "gate_pj is no object; write"),
        (lambda c: c["gate_pj"].pop("low"), r"gate_pj is \[None.*write numbers"),
        (lambda c: c["gate_pj"].update(low="1"), "gate_pj is .*write numbers"),
        (lambda c: c["gate_pj"].update(low=True), "gate_pj is .*write numbers"),
        (lambda c: c["gate_pj"].update(low=-1), "gate_pj is .*write numbers from 0"),
        (lambda c: c["gate_pj"].update(high=float("nan")), "is no JSON .NaN is no finite number"),
        (lambda c: c["gate_pj"].update(low=5), "gate_pj is .*rising order"),
        (lambda c: c["gate_pj"].update(unit="fJ"), "gate_pj has the unit 'fJ'; it is counted in 'pJ'"),
        (lambda c: c["gate_pj"].update(value=1), "gate_pj has a value and ends as well"),
        (lambda c: c["gate_pj"].update(typcial=1), "gate_pj has typcial; it takes"),
        (lambda c: c["gate_pj"].pop("source"), "gate_pj has no source; say"),
        (lambda c: c["sram_fixed_share"].update(high=1.5), "sram_fixed_share is .*at most 1"),
        (
            lambda c: c.update(sram_size_exponent={"low": 0, "typical": 0.5, "high": 1, "unit": "1", "source": "x"}),
            "sram_size_exponent is .*must be one value",
        ),
    ],
)
def test_a_malformed_profile_is_refused_by_key_and_fix(tmp_path, change, message):
    data = json.loads((model.FOLDER / "asic-40nm.json").read_text())
    change(data["constants"])
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ProfileError, match=message):
        model.load(path)


def test_what_is_no_profile(tmp_path):
    with pytest.raises(ProfileError, match="no energy profile asic-7nm; there are asic-40nm, xc7z020"):
        model.load("asic-7nm")
    path = tmp_path / "x.json"
    for content, message in (("{", "is no JSON"), ("[]", "has no `constants`"), ('{"constants": 3}', "has no `constants`")):
        path.write_text(content)
        with pytest.raises(ProfileError, match=message):
            model.load(path)
    with pytest.raises(ProfileError, match="cannot be read"):
        model.load(tmp_path.with_suffix(".json") if tmp_path.with_suffix(".json").mkdir() is None else tmp_path)


# ---- command ----


def samples_of(net: Network, count=40) -> Samples:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (count, net.sizes[0])).astype(np.uint8)
    return Samples(
        "random", rng.integers(0, 10, count).astype(np.uint8), pixels, None, net.encoder.name.lower(), net.time_steps, 0
    )


def test_chunks_do_not_change_what_is_counted(monkeypatch):
    net = network()
    whole = measure.run("x", net, samples_of(net), ASIC)
    monkeypatch.setattr(measure, "CHUNK", 15)
    parts = measure.run("x", net, samples_of(net), ASIC)
    assert parts["accuracy"] == whole["accuracy"]
    assert parts["parts_nj"]["weights"] == whole["parts_nj"]["weights"]
    assert parts["nj_typical"] == pytest.approx(whole["nj_typical"], rel=0.1)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Two model files, and random samples in place of MNIST."""
    made = {"dc": network((64, 32, 10), 2), "cc": network((64, 32, 10), 4, Encoder.LATENCY, lasting=True)}
    for name, net in made.items():
        (tmp_path / name).mkdir()
        model_file.save(model_file.build(net), tmp_path / name / "model.img")
    monkeypatch.setattr(energy, "found", lambda args, models: lambda model: samples_of(model.network))
    return [tmp_path / name / "model.img" for name in made]


def test_the_command_writes_report_and_picture(models, tmp_path, capsys):
    out = tmp_path / "out"
    sweep = ["--sweep", *map(str, models)]
    main.main(["energy", *map(str, models), "--images", "30", "--out", str(out), *sweep])
    report = json.loads((out / "report.json").read_text())
    keys = "name layers weight_bits time_steps integration encoder images accuracy mean_steps nj_low nj_typical nj_high"
    keys += " accuracy_mean accuracy_min accuracy_max accuracy_std encoder_seeds"
    for r in report["results"] + report["sweeps"]:
        assert set(f"{keys} memory_share logic_share leakage_share parts_nj cycles_per_image".split()) <= set(r)
        assert r["images"] == 30
        assert r["memory_share"] + r["logic_share"] + r["leakage_share"] == pytest.approx(1)
        assert r["nj_typical"] == pytest.approx(sum(part["typical"] for part in r["parts_nj"].values()))
        assert r["nj_low"] < r["nj_typical"] < r["nj_high"]
    assert [r["name"] for r in report["results"]] == ["dc", "cc"]
    assert [r["integration"] for r in report["results"]] == ["discontinuous", "continuous"]
    steps = [r["time_steps"] for r in report["sweeps"] if r["sweep"] == "time steps"]
    assert steps == list(measure.SWEEP_STEPS)  # of the Bernoulli network alone
    assert {r["name"].split()[0] for r in report["sweeps"] if r["sweep"] == "early exit"} == {"dc", "cc"}
    assert report["profile_sha256"] == ASIC.sha256
    assert (report["clock_mhz"], report["dataset"], report["profile"]) == (200, "random", "asic-40nm")
    assert len(report["commit"]) >= 7
    assert any("voltage" in x for x in report["unknown_of_paper"])
    assert (out / "frontier.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "pre-silicon estimates, not measurements" in printed
    assert "which accuracy goes with which energy" in printed


def test_another_profile_lanes_and_input(models, tmp_path, capsys):
    arguments = [
        "--images",
        "10",
        "--profile",
        "xc7z020",
        "--parallel",
        "8,4",
        "--input",
        "spikes",
        "--out",
        str(tmp_path / "out"),
    ]
    main.main(["energy", str(models[0]), *arguments])
    (r,) = json.loads((tmp_path / "out/report.json").read_text())["results"]
    assert (r["input"], r["spikes_per_cycle"]) == ("spikes", [8, 4])
    assert r["parts_nj"]["static"]["typical"] == pytest.approx(110e-3 * r["cycles_per_image"] * 10e-9 * 1e9)
    assert "profile xc7z020, 100 MHz" in capsys.readouterr().out


def test_a_wrong_number_of_lanes_is_refused(models, tmp_path):
    with pytest.raises(SystemExit):
        main.main(["energy", str(models[0]), "--parallel", "3", "--out", str(tmp_path)])


def test_the_frontier_is_what_no_other_beats():
    rows = [
        {"name": n, "nj_typical": nj, "accuracy": a}
        for n, nj, a in (("a", 5, 0.9), ("b", 4, 0.8), ("c", 6, 0.85), ("d", 7, 0.95))
    ]
    assert [r["name"] for r in measure.pareto(rows)] == ["b", "a", "d"]


def test_a_margin_keeps_its_share_of_images():
    counted_values = np.zeros((100, 2, 3), int)
    counted_values[:, 0, 1] = np.arange(100)  # leads of 0 … 99 after the first step
    assert measure.margin_for(counted_values, 0.25) == 24


def test_an_error_of_none_can_be_drawn():
    assert frontier._error({"accuracy": 1.0, "images": 100}) == 0.5


# ---- switching activity ----

SAIF = """(SAIFILE
(DURATION 100)
 (INSTANCE TOP
  (NET
   (aclk (T0 50) (T1 50) (TZ 0) (TX 0) (TB 0) (TC 20))
  )
  (INSTANCE accelerator
   (NET
    (aclk (T0 50) (T1 50) (TZ 0) (TX 0) (TB 0) (TC 20))
   )
   (INSTANCE layer[0]
    (NET
     (read_reg\\[0\\] (T0 70) (T1 30) (TZ 0) (TX 0) (TB 0) (TC 4))
     (read_reg\\[1\\] (T0 90) (T1 10) (TZ 0) (TX 0) (TB 0) (TC 2))
     (odd (T0 95) (T1 5) (TZ 0) (TX 0) (TB 0) (TC 2))
    )
   )
   (INSTANCE regs
    (NET
     (on (T0 0) (T1 100) (TZ 0) (TX 0) (TB 0) (TC 1))
    )
   )
  )
 )
)
"""


def test_a_saif_file_is_read_in_cycles(tmp_path):
    path = tmp_path / "a.saif"
    path.write_text(SAIF)
    read = saif.read(path)
    assert read.cycles == 10
    assert read.high("layer[0]/read_reg") == 4
    assert read.nets["layer[0]/read_reg"] == saif.Net(2, 40, 6)
    assert read.high("regs/on") == 10
    assert [path for path, _ in read.registers()] == ["layer[0]/read_reg"]
    with pytest.raises(DataError, match="no signal layer/x"):
        read.high("layer/x")
    with pytest.raises(DataError, match="changes between clock edges"):
        read.high("layer[0]/odd")
    path.write_text("nothing")
    with pytest.raises(DataError, match="no switching activity of accelerator"):
        saif.read(path)
