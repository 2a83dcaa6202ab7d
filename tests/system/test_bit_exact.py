"""RTL = golden model: every label, value, spike and membrane, whatever the network, the input and the stalls."""

from dataclasses import replace

import numpy as np
import pytest

from spikeline import Accelerator, Events, Pixels, Spikes
from spikeline.device.packets import packed
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder
from spikeline.simulation.recorded import inside
from support import networks
from support.memory import change, send
from support.traces import same_inside


def check(driver, network, spikes):
    """Run once with the values and compare everything with the golden model."""
    reference = golden.run(network, spikes, states=True)
    driver.device.record(True)
    labels, steps, values = driver.run(spikes, scores=True)
    np.testing.assert_array_equal(labels, reference.labels)
    np.testing.assert_array_equal(values, reference.values)
    assert (steps == network.decisions).all()
    same_inside(inside(driver.device, network), network, reference)
    return reference


@pytest.mark.parametrize("seed", range(30))
def test_random_networks_one_after_the_other_without_reset(driver, random_network, random_spikes, seed):
    rng = np.random.default_rng(seed)
    for _ in range(4):
        network = random_network(rng)
        change(driver.device, rng)
        driver.load(model_file.build(network))
        driver.clear_counters()
        reads = 0
        for batch in (1, int(rng.integers(2, 30))):
            reads = reads + check(driver, network, random_spikes(rng, network, batch)).row_reads.sum((0, 1))
        assert driver.counters().row_reads == tuple(reads)
        assert driver.counters().steps == driver.counters().images * network.time_steps
        assert driver.device.read(0x10) == 3  # drained: idle and loaded


@pytest.mark.parametrize("seed", range(30))
def test_random_continuous_networks(driver, random_network, random_spikes, seed):
    """Every membrane after every step: both resets, every leak, biases, and states that saturate at both ends."""
    rng = np.random.default_rng(seed)
    for _ in range(4):
        network = random_network(rng, time_steps=int(rng.integers(2, 25)), continuous=1)
        change(driver.device, rng)
        driver.load(model_file.build(network))
        for batch in (1, 10):
            check(driver, network, random_spikes(rng, network, batch))


@pytest.mark.parametrize("seed", range(20))
def test_direct_input(driver, random_network, seed):
    """Pixels, and their planes as spikes and events: layer 0 adds up Σ w · pixel, and decides once."""
    rng = np.random.default_rng(seed)
    for _ in range(3):
        network = networks.direct(rng, random_network(rng))
        if network.sizes[-1] > 1 and rng.random() < 0.3:
            network = replace(network, exit_margin=int(rng.integers(50)))
        change(driver.device, rng)
        driver.load(model_file.build(network))
        driver.clear_counters()
        pixels = networks.pictures(rng, network, int(rng.integers(1, 40)))
        spikes = encode(pixels, "direct", network.time_steps)
        reference = check(driver, network, spikes)
        u = (pixels >> 8 - network.time_steps).astype(int) @ network.layers[0].weights.astype(int)
        np.testing.assert_array_equal(reference.spikes[0][:, 0], u >= network.layers[0].thresholds)
        counters = driver.counters()
        assert counters.steps == len(pixels) * network.time_steps
        assert counters.row_reads == tuple(reference.row_reads.sum((0, 1)))
        for every_step in (False, True):
            results = (
                driver.run(spikes, True, events=True, every_step=every_step),
                *driver.classify([Pixels(pixels)], True, every_step),
            )
            for labels, steps, values in results:
                np.testing.assert_array_equal(labels.ravel(), reference.labels)
                np.testing.assert_array_equal(values.reshape(reference.values.shape), reference.values)
                assert (steps == 1).all()


def test_states_saturate_at_both_ends(driver):
    """Thresholds of 1 give back 1 a step of the 700 that come, so v is soon at the upper end; inhibition takes v to the lower."""
    weights = np.stack([np.full(100, 7), np.full(100, -7)], 1).astype(np.int8)
    for leak, top in ((0, 1023), (1, 1023)):
        first = Layer(weights, np.array([1, 300], np.int32), 11, leak=leak)
        network = Network((first, Layer(np.ones((2, 2), np.int8), np.zeros(2, np.int32))), 4, 9)
        driver.load(model_file.build(network))
        states = check(driver, network, np.ones((3, 9, 100), np.uint8)).states[0]
        assert states[:, 3:].tolist() == [[[top, -1024]] * 6] * 3


@pytest.mark.parametrize("seed", range(10))
def test_running_class(driver, random_network, random_spikes, seed):
    """A result after every step: class and values so far; and no early exit, though the network has a margin."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, time_steps=int(rng.integers(1, 9)))
    if network.sizes[-1] > 1:
        network = replace(network, exit_margin=1)
    driver.load(model_file.build(network))
    change(driver.device, rng)
    spikes = random_spikes(rng, network, 12)
    expected, leading = golden.run(network, spikes).running
    driver.clear_counters()
    for scores in (True, False):
        labels, steps, values = driver.run(spikes, scores, every_step=True)
        np.testing.assert_array_equal(labels, leading)
        np.testing.assert_array_equal(steps, np.broadcast_to(np.arange(1, network.time_steps + 1), labels.shape))
        if scores:
            np.testing.assert_array_equal(values, expected)
    assert driver.counters().images == 24
    np.testing.assert_array_equal(driver.run(spikes, False)[1], golden.run(network, spikes).steps)


@pytest.mark.parametrize("seed", range(20))
def test_events(driver, random_network, random_spikes, seed):
    """Events give what spike vectors give, among packets of the other kinds, under stalls and with early exit."""
    rng = np.random.default_rng(seed)
    network = replace(random_network(rng, time_steps=int(rng.integers(1, 9))), encoder=Encoder.BERNOULLI)
    if rng.random() < 0.3 and network.sizes[-1] > 1:
        network = replace(network, exit_margin=int(rng.integers(50)))
    driver.load(model_file.build(network))
    for _ in range(4):
        change(driver.device, rng)
        spikes = random_spikes(rng, network, int(rng.integers(1, 20)))
        reference = golden.run(network, spikes)
        for how in rng.permutation(["events", "events", "spikes", "pixels"]):
            if how == "pixels":
                driver.run_pixels(np.full((2, network.sizes[0]), 255, np.uint8), 0, 0, False)
                continue
            labels, steps, values = driver.run(spikes, True, events=how == "events")
            np.testing.assert_array_equal(labels, reference.labels)
            np.testing.assert_array_equal(steps, reference.steps)
            np.testing.assert_array_equal(values, reference.values)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("decode", Decode)
def test_every_depth_and_decode(driver, random_network, random_spikes, layers, decode):
    rng = np.random.default_rng(layers)
    network = random_network(rng, layers, time_steps=3)
    network = Network(network.layers, network.weight_bits, 3, Encoder.BERNOULLI, decode)
    driver.load(model_file.build(network))
    check(driver, network, random_spikes(rng, network, 20))


def test_equality_fires_and_one_less_does_not(driver):
    """A neuron whose threshold is just its input fires; its twin with one more does not."""
    weights = np.array([[3, 3], [4, 4], [-2, -2]], np.int8)
    network = Network((Layer(weights, np.array([5, 6], np.int32)),), 4, 1, decode=Decode.SPIKE_COUNT)
    driver.load(model_file.build(network))
    _, _, values = driver.run(np.ones((1, 1, 3), np.uint8), scores=True)
    assert values.tolist() == [[1, 0]]


def test_lowest_of_equal_classes_wins(driver):
    network = Network((Layer(np.array([[1, 5, 5, 5]], np.int8), np.zeros(4, np.int32)),), 4, 2)
    driver.load(model_file.build(network))
    labels, _, _ = driver.run(np.ones((3, 2, 1), np.uint8), scores=False)
    assert labels.tolist() == [1, 1, 1]


def test_negative_values_are_compared_with_their_sign(driver):
    network = Network((Layer(np.array([[-7, -3, -8]], np.int8), np.array([0, 0, 0], np.int32)),), 4, 5)
    driver.load(model_file.build(network))
    labels, _, values = driver.run(np.ones((1, 5, 1), np.uint8), scores=True)
    assert (labels.tolist(), values.tolist()) == ([1], [[-35, -15, -40]])


def test_widest_membranes_at_both_ends(driver, tiny):
    """All inputs on, all weights extreme: the largest sums that the geometry can meet."""
    inputs = tiny.layers[0].inputs
    weights = np.stack([np.full(inputs, -8), np.full(inputs, 7)], 1).astype(np.int8)
    network = Network((Layer(weights, np.array([0, 0], np.int32)),), 4, 1)
    driver.load(model_file.build(network))
    check(driver, network, np.ones((2, 1, inputs), np.uint8))


def test_many_time_steps(driver, random_network, random_spikes):
    rng = np.random.default_rng(5)
    network = random_network(rng, 3, time_steps=300)
    driver.load(model_file.build(network))
    check(driver, network, random_spikes(rng, network, 2))


def test_bits_beyond_the_last_input_are_ignored(driver, random_network):
    rng = np.random.default_rng(9)
    network = random_network(rng, 2, time_steps=2)
    driver.load(model_file.build(network))
    spikes = (rng.random((3, 2, network.sizes[0])) < 0.3).astype(np.uint8)
    sent = packed(Spikes(spikes))
    words, used = -(-network.sizes[0] // 64), network.sizes[0] % 64
    sent[words::words] |= np.uint64((1 << 64) - (1 << used)) if used else np.uint64(0)
    received = send(driver.device, sent, 3)
    np.testing.assert_array_equal(received & np.uint64(0xFFFF), golden.run(network, spikes).labels)


def test_accelerator_api_agrees_across_backends_and_batches(random_network):
    rng = np.random.default_rng(1)
    network = random_network(rng, 3, time_steps=2)
    pixels = rng.integers(0, 256, (25, network.sizes[0])).astype(np.uint8)
    model = model_file.build(network)
    with (
        Accelerator(model=model, backend="golden", geometry="tiny") as reference,
        Accelerator(model=model, geometry="tiny") as simulated,
    ):
        given = Pixels(pixels, seed=3)
        expected, trains = reference.infer(given, scores=True), reference.encode(given)
        for batch, sent in ((25, given), (7, Spikes(trains)), (7, given), (25, Events(trains))):
            result = simulated.infer(sent, scores=True, batch=batch)
            np.testing.assert_array_equal(result.labels, expected.labels)
            np.testing.assert_array_equal(result.values, expected.values)
        assert simulated.infer(pixels[:0]).labels.shape == (0,)
        assert reference.counters().row_reads == tuple(n // 4 for n in simulated.counters().row_reads)


@pytest.mark.parametrize("seed", range(12))
def test_encoder_on_chip_makes_the_same_spikes(driver, random_network, seed):
    """Pixels and spike trains give the same, under stalls, whatever the size, the encoder and the packet before."""
    rng = np.random.default_rng(seed)
    for _ in range(3):
        made = random_network(rng, time_steps=int(rng.integers(1, 9)))
        network = replace(made, encoder=Encoder(int(rng.integers(3))))
        driver.load(model_file.build(network))
        for batch in (1, 20):
            pixels = rng.integers(0, 256, (batch, network.sizes[0])).astype(np.uint8)
            pixels[rng.random(pixels.shape) < 0.2] = rng.choice([0, 127, 128, 255])
            spikes = encode(pixels, network.encoder.name.lower(), network.time_steps, seed, first_image=5)
            reference = golden.run(network, spikes, states=True)
            change(driver.device, rng)
            driver.device.record(True)
            labels, _, values = driver.run_pixels(pixels, seed, 5, scores=True)
            np.testing.assert_array_equal(labels, reference.labels)
            np.testing.assert_array_equal(values, reference.values)
            same_inside(inside(driver.device, network), network, reference)
            np.testing.assert_array_equal(driver.run(spikes, scores=False)[0], reference.labels)


@pytest.mark.parametrize("seed", range(24))
def test_early_exit(driver, random_network, random_spikes, seed):
    """Label, steps used and values where it stopped, from spikes and from pixels, under stalls, at every kind of margin."""
    rng = np.random.default_rng(seed)
    for _ in range(3):
        network = random_network(rng, time_steps=int(rng.integers(1, 12)))
        if network.sizes[-1] < 2:
            continue
        pixels = rng.integers(0, 256, (40, network.sizes[0])).astype(np.uint8)
        spikes = encode(pixels, "bernoulli", network.time_steps, seed)
        leads = np.sort(golden.run(network, spikes).values, -1)
        margin = int(rng.choice([0, 1, *np.quantile(leads[:, -1] - leads[:, -2], [0.2, 0.5, 0.9]).astype(int), 2**24 - 1]))
        network = replace(network, exit_margin=margin)
        reference = golden.run(network, spikes)
        driver.load(model_file.build(network))
        change(driver.device, rng)
        runs = [driver.run(spikes, True), driver.run_pixels(pixels, seed, 0, True), driver.run(spikes, True)]
        for labels, steps, values in runs:
            np.testing.assert_array_equal(labels, reference.labels)
            np.testing.assert_array_equal(steps, reference.steps)
            np.testing.assert_array_equal(values, reference.values)
        labels, steps, _ = driver.run_pixels(pixels, seed, 0, False)
        np.testing.assert_array_equal(labels, reference.labels)
        np.testing.assert_array_equal(steps, reference.steps)
