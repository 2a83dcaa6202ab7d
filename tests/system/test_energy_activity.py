"""The same activity counted three ways: by the RTL's counters, from the golden model, and in the switching-activity file.

Without tolerance, wherever two of them count the same thing.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from spikeline.device.driver import Counters, Driver
from spikeline.device.packets import Batch, Events, Pixels, Spikes
from spikeline.energy import activity, saif
from spikeline.energy.activity import DECISION_STAGES, Activity
from spikeline.energy.convolution_activity import tag_bits
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from spikeline.simulation.verilated import SimDevice
from support.networks import convolutional, trains

SIZES = [100, 48, 32, 10]
PIXELS = np.random.default_rng(5).integers(0, 256, (12, 100)).astype(np.uint8) // 2


def network(sizes=SIZES, time_steps=4, encoder=Encoder.BERNOULLI, seed=0, reach=6) -> Network:
    """Random weights and thresholds such that some neurons fire and others do not."""
    rng = np.random.default_rng(seed)
    layers = [
        Layer(rng.integers(-8, 8, (a, b)).astype(np.int8), rng.integers(-20, 20 * reach, b).astype(np.int32))
        for a, b in pairwise(sizes)
    ]
    return Network(tuple(layers), 4, time_steps, encoder)


def lasting(net: Network, state_bits: int, leak: int, biased: bool, reset: Reset) -> Network:
    """The same with continuous hidden layers."""
    layers = []
    for x in net.layers[:-1]:
        biases = np.arange(x.neurons, dtype=np.int32) % 7 - 3 if biased else None
        layers.append(Layer(x.weights, np.abs(x.thresholds) + 1, state_bits, biases, leak, reset))
    return replace(net, layers=(*layers, net.layers[-1]))


def measured(geometry: Geometry, net: Network, batch: Batch, folder: Path) -> tuple[Counters, saif.Saif]:
    """What the counters and the switching-activity file say of one batch."""
    device = SimDevice(geometry, saif=True)
    try:
        driver = Driver(device, geometry.name, geometry.clock_mhz)
        driver.load(model_file.build(net))
        driver.clear_counters()
        device.activity(folder / "activity.saif")
        list(driver.classify([batch]))
        device.activity(None)
        return driver.counters(), saif.read(folder / "activity.saif")
    finally:
        device.close()


def agree(geometry: Geometry, net: Network, golden_counts: Activity, counters: Counters, file: saif.Saif) -> None:
    """Hold the three to each other."""
    first = net.convolutions  # whose cores are counted apart
    assert counters.images == golden_counts.images == file.high("core/count_image")
    assert counters.cycles == golden_counts.cycles == file.high("core/count_cycle")
    assert counters.steps == golden_counts.core["steps"] == file.high("core/count_step")
    reads = [x["row_reads"] for x in golden_counts.layers]
    assert list(counters.row_reads[: len(net.layers)]) == reads
    decode = golden_counts.core["decode_adds"] // geometry.classes
    assert decode == file.high("core/decode/take")
    for n in range(first, len(net.layers)):
        k = n - first
        layer, room = golden_counts.layers[n], geometry.layers[k]
        core = f"core/layer[{k}]/core"
        slices = room.neurons // geometry.lanes
        continuous = net.layers[n].continuous
        assert reads[n] == file.high(f"{core}/read_reg") == file.high(f"{core}/row_valid_reg")
        assert reads[n] == sum(file.high(f"{core}/lane[{p}]/scan/valid") for p in range(room.spikes_per_cycle))
        assert layer["fetches"] == sum(file.high(f"{core}/lane[{p}]/scan/take") for p in range(room.spikes_per_cycle))
        assert layer["cycles"] == file.high(f"{core}/running_reg")
        lanes = sums = compares = bits = 0
        for s in range(slices):  # each of which is 64 bits of memory and the neurons that they feed
            inside = f"{core}/slice[{s}]/slice"
            lanes += file.high(f"{inside}/row_valid") * geometry.lanes
            sums += file.high(f"{inside}/sum_active") * geometry.lanes
            compares += file.high(f"{inside}/step_end") * geometry.lanes
            for b in range(max(room.spikes_per_cycle // 2, 1)):
                ram = f"{inside}/bank[{b}]/{'dual' if room.spikes_per_cycle > 1 else 'single'}/ram"
                bits += 64 * (file.high(f"{ram}/a_read") + file.high(f"{ram}/b_read"))
                assert file.high(f"{ram}/a_write") == 0
        assert lanes == layer["lane_adds"]
        direct = net.direct and n == 0
        if continuous or direct:  # one neuron of each group after another
            groups = room.neurons // geometry.group
            assert compares == 0
            compares = sum(file.high(f"{core}/shared/group[{n}]/fire/active") for n in range(groups)) // DECISION_STAGES
        assert sums == layer["current_adds"]
        assert compares == layer["compares"]
        assert bits == layer["weight_bits_read"]
        V = geometry.membrane_bits
        assert layer["current_bits"] == sums * V
        assert layer["start_read_bits"] == compares * V
        queue = file.high(f"{core}/queue/s_valid")
        assert layer["steps"] == queue * (net.time_steps if direct else 1)
        assert layer["queue_write_bits"] == queue * (tag_bits(geometry) + room.neurons + geometry.classes * V)


def three_ways(geometry: Geometry, net: Network, spikes: np.ndarray, batch: Batch, input: str, folder: Path) -> saif.Saif:
    counts, _ = activity.count(geometry, net, spikes, golden.run(net, spikes), input)
    counters, file = measured(geometry, net, batch, folder)
    agree(geometry, net, counts, counters, file)
    if net.exit_margin is None:
        assert counts.core["input_words"] == file.high("core/in/take" if input != "events" else "core/in/write")
        if input == "pixels":
            words = file.high("core/encode/take") - 1  # without the SEED
            filler = counts.images * (-net.sizes[0] % 8) * 8  # bits of the last word that hold no pixel
            assert counts.core["pixel_write_bits"] == 64 * words - filler
    return file


def from_pixels(net: Network) -> np.ndarray:
    return encode(PIXELS, net.encoder.name.lower(), net.time_steps)


@pytest.mark.parametrize("encoder", [Encoder.BERNOULLI, Encoder.THRESHOLD, Encoder.LATENCY])
def test_discontinuous_from_pixels(tiny, encoder, tmp_path):
    net = network(encoder=encoder)
    three_ways(tiny, net, from_pixels(net), Pixels(PIXELS), "pixels", tmp_path)


def test_direct_input(tiny, tmp_path):
    """Planes are work for layer 0; it decides once an image, and no other layer sees them."""
    net = network(time_steps=2, encoder=Encoder.DIRECT, reach=12)
    net = replace(net, layers=(replace(net.layers[0], weights=net.layers[0].weights // 2), *net.layers[1:]))
    three_ways(tiny, net, from_pixels(net), Pixels(PIXELS), "pixels", tmp_path)
    counts, _ = activity.count(tiny, net, from_pixels(net), golden.run(net, from_pixels(net)))
    first, bits = counts.layers[0], len(PIXELS) * 48 * tiny.membrane_bits
    assert first["start_read_bits"] == first["membrane_adds"] * tiny.membrane_bits == bits
    assert first["membrane_add_bits"] == first["current_adds"] * tiny.membrane_bits + bits
    assert first["steps"] == 2 * counts.layers[1]["steps"] == 2 * len(PIXELS)


@pytest.mark.parametrize("events", [False, True])
def test_discontinuous_from_spikes_and_events(tiny, events, tmp_path):
    net = network()
    spikes = from_pixels(net)
    three_ways(tiny, net, spikes, Events(spikes) if events else Spikes(spikes), "events" if events else "spikes", tmp_path)


@pytest.mark.parametrize(
    ("leak", "biased", "reset"), [(0, False, Reset.SUBTRACT), (0, True, Reset.ZERO), (2, True, Reset.SUBTRACT)]
)
def test_continuous(tiny, leak, biased, reset, tmp_path):
    net = lasting(network(), tiny.membrane_bits - 1, leak, biased, reset)
    file = three_ways(tiny, net, from_pixels(net), Pixels(PIXELS), "pixels", tmp_path)
    counts, _ = activity.count(tiny, net, from_pixels(net), golden.run(net, from_pixels(net)))
    for k in range(2):
        room, layer = tiny.layers[k], counts.layers[k]
        decided, bits = layer["steps"] * room.neurons, tiny.membrane_bits
        assert layer["state_bits"] == decided * (bits - 1)
        assert layer["bias_read_bits"] == (decided * bits if biased else 0)
        assert layer["membrane_adds"] == decided * (3 + tiny.max_leak)
        group = f"core/layer[{k}]/core/shared/group[0]/fire"
        assert file.high(f"{group}/restart") == len(PIXELS) * tiny.group  # a state is forgotten once an image


@pytest.mark.parametrize("margin", [0, 60])
def test_early_exit(tiny, margin, tmp_path):
    net = replace(network(time_steps=12), exit_margin=margin)
    spikes = from_pixels(net)
    used = golden.run(net, spikes).steps
    assert used.min() < 12
    three_ways(tiny, net, spikes, Pixels(PIXELS), "pixels", tmp_path)
    three_ways(tiny, net, spikes, Spikes(spikes), "spikes", tmp_path)


def test_silence(tiny, tmp_path):
    net = network()
    spikes = np.zeros((3, 4, 100), np.uint8)
    three_ways(tiny, net, spikes, Spikes(spikes), "spikes", tmp_path)


def test_output_spikes_are_counted(tiny, tmp_path):
    net = replace(network(), decode=Decode.SPIKE_COUNT)
    three_ways(tiny, net, from_pixels(net), Pixels(PIXELS), "pixels", tmp_path)


def test_registers_toggle_less_than_they_are_clocked(tiny, tmp_path):
    """What a profile's toggle_share is: of each register bit, toggles for each cycle that its clock is let through."""
    net = network()
    file = three_ways(tiny, net, from_pixels(net), Pixels(PIXELS), "pixels", tmp_path)
    counts, _ = activity.count(tiny, net, from_pixels(net), golden.run(net, from_pixels(net)))
    share = sum(net.toggles for _, net in file.registers()) / counts.total("clocked_bits")
    assert 0.1 < share < 0.5
    assert sum(net.bits for _, net in file.registers()) == pytest.approx(activity.hardware(tiny).register_bits, rel=0.2)


@pytest.mark.long
def test_the_shipped_geometry(tmp_path):
    """Seven images on z020-256, so with slices, banks and lanes as on the board."""
    geometry = Geometry.load("z020-256")
    net = network([784, 256, 256, 10], 2, seed=1, reach=12)
    pixels = np.random.default_rng(2).integers(0, 60, (7, 784)).astype(np.uint8)
    spikes = encode(pixels, "bernoulli", 2)
    three_ways(geometry, net, spikes, Pixels(pixels), "pixels", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(("lasts", "planes"), [(False, 0), (True, 0), (False, 3)], ids=["discontinuous", "continuous", "direct"])
def test_convolutions(tmp_path, lasts, planes):
    """The golden model's counts of convolution cores against the switching activity of tiny-conv."""
    geometry, rng = Geometry.load("tiny-conv"), np.random.default_rng(7 + 2 * lasts + planes)
    net = convolutional(rng, geometry, lasts, planes)
    while net.convolutions < 2 or min(x.mean() for x in golden.run(net, trains(rng, net, 2)).spikes[:2]) < 0.02:
        net = convolutional(rng, geometry, lasts, planes)
    spikes = trains(rng, net, 6)
    counts, _ = activity.count(geometry, net, spikes, golden.run(net, spikes), "spikes")
    counters, file = measured(geometry, net, Spikes(spikes), tmp_path)
    agree(geometry, net, counts, counters, file)
    for k, room in enumerate(geometry.convolutions):
        core, layer = f"core/convolve/core[{k}]/convolution", counts.layers[k]
        banks = [f"{core}/bank[{b}]/words_of_bank" for b in range(9)]
        assert (
            layer["bank_reads"] == sum(file.high(f"{bank}/read") for bank in banks) == sum(file.high(f"{b}/add") for b in banks)
        )
        assert layer["current_words"] == sum(file.high(f"{bank}/update") for bank in banks)
        assert layer["compares"] == file.high(f"{core}/decided") * room.maps
        assert layer["queue_write_bits"] == file.high(f"{core}/push_reg") * (32 + room.maps)
        fetched = file.high("core/convolve/locate/scan/take") if k == 0 else 0
        assert layer["fetches"] == fetched
        if lasts:
            assert layer["state_words"] == file.high(f"{core}/decided")
    registers = sum(net.bits for path, net in file.registers())
    assert registers == pytest.approx(activity.hardware(geometry).register_bits, rel=0.03)
