"""The golden model against the arithmetic contract written out neuron by neuron, spike by spike."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeline.model import golden
from spikeline.model.encode import encode
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from support.strategies import layer, networks, random_layer


def scalar(network, spikes):
    """One image, spikes[t][input] of 0/1 → spikes[layer][t][neuron], membranes[t][class], values, label, row reads, states."""
    fired, membranes, reads = [[] for _ in network.layers], [], []
    states = [[[0] * part.neurons] for part in network.layers]
    planes = spikes if network.direct else []
    for t, x in enumerate([[int("".join(map(str, bits)), 2) for bits in zip(*planes, strict=True)]] if planes else spikes):
        reads.append([])
        for n, part in enumerate(network.layers):
            reads[-1].append(sum(map(sum, planes)) if planes and n == 0 else sum(x))
            u = [sum(int(part.weights[i, j]) * x[i] for i in range(part.inputs)) for j in range(part.neurons)]
            if part.continuous:
                x, v = zip(*(neuron(part, j, t, u[j], states[n][-1][j]) for j in range(part.neurons)), strict=True)
                states[n].append(list(v))
            else:
                v = [u[j] - int(part.thresholds[j]) for j in range(part.neurons)]
                x = [int(u[j] >= part.thresholds[j]) for j in range(part.neurons)]
            fired[n].append(list(x))
        membranes.append(list(v))
    counted = membranes if network.decode == Decode.MEMBRANE else fired[-1]
    values = [sum(step[c] for step in counted) for c in range(len(counted[0]))]
    label = next(c for c, value in enumerate(values) if value == max(values))
    return fired, membranes, values, label, reads, [s[1:] for s in states]


def neuron(part, j, t, u, v):
    """One step of neuron j of a continuous layer from state v and the sum u of its weights → whether it fires, next state."""
    if t > 0 and part.leak > 0:
        v -= math.floor(v / 2**part.leak)
    v += u
    if part.biases is not None:
        v += int(part.biases[j])
    fires = v >= part.thresholds[j]
    if fires:
        v = v - int(part.thresholds[j]) if part.reset == Reset.SUBTRACT else 0
    return int(fires), min(max(v, -(2 ** (part.state_bits - 1))), 2 ** (part.state_bits - 1) - 1)


@pytest.mark.parametrize("planes", [1, 3, 8])
@pytest.mark.parametrize("decode", Decode)
def test_direct_input_is_one_step_of_whole_numbers(planes, decode):
    """Layer 0 sees Σ w · (pixel >> (8 − planes)); what is behind it sees one time step of the spikes that this makes."""
    rng = np.random.default_rng(planes)
    first, second = random_layer(rng, 30, 20), random_layer(rng, 20, 5)
    first = replace(first, thresholds=first.thresholds << planes)
    pixels = rng.integers(0, 256, (40, 30)).astype(np.uint8)
    whole = Network((first, second), 4, planes, Encoder.DIRECT, decode)
    trace = golden.run(whole, encode(pixels, "direct", planes))
    fired = (pixels >> 8 - planes).astype(int) @ first.weights.astype(int) >= first.thresholds
    assert 0 < fired.mean() < 1
    np.testing.assert_array_equal(trace.spikes[0][:, 0], fired)
    behind = golden.run(Network((second,), 4, 1, decode=decode), fired[:, None])
    np.testing.assert_array_equal(trace.values, behind.values)
    assert trace.membranes.shape == (40, 1, 5)
    assert (trace.steps == 1).all()
    assert trace.row_reads[:, 0].tolist() == [
        [sum((int(p) >> 8 - planes).bit_count() for p in image), int(f.sum())] for image, f in zip(pixels, fired, strict=True)
    ]
    alone = golden.run(Network((first,), 4, planes, Encoder.DIRECT), encode(pixels, "direct", planes))
    np.testing.assert_array_equal(alone.values >= 0, fired)  # u − θ, of an output layer


@given(networks(max_size=9, max_layers=3), st.integers(2, 9), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_early_exit_stops_at_the_first_step_that_leads_by_the_margin(network, steps, margin, seed):
    if network.sizes[-1] < 2:
        return
    spikes = (np.random.default_rng(seed).random((1, steps, network.sizes[0])) < 0.4).astype(np.uint8)
    running, leaders = golden.run(network, spikes).running
    steps = running.shape[1]  # one of direct input
    for t in range(steps):
        second, first = sorted(running[0, t].tolist())[-2:]
        if first - second >= margin or t == steps - 1:
            break
    trace = golden.run(replace(network, exit_margin=margin), spikes)
    assert trace.steps.tolist() == [t + 1]
    assert trace.values[0].tolist() == running[0, t].tolist()
    assert trace.labels.tolist() == [leaders[0, t]]


@given(networks(max_size=9, max_layers=3), st.integers(1, 3), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_golden_model_is_the_contract(network, batch, steps, seed):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((batch, steps, network.sizes[0])) < rng.random()).astype(np.uint8)
    trace = golden.run(network, spikes, states=True)
    for b in range(batch):
        fired, membranes, values, label, reads, states = scalar(network, spikes[b].tolist())
        for part, ours, expected in zip(network.layers, trace.states, states, strict=True):
            assert (ours is not None) == part.continuous
            assert ours is None or ours[b].tolist() == expected
        assert [x[b].astype(int).tolist() for x in trace.spikes] == fired
        assert trace.membranes[b].tolist() == membranes
        assert trace.values[b].tolist() == values
        assert trace.labels[b] == label
        assert trace.row_reads[b].tolist() == reads


def test_fires_on_equality_and_not_one_below():
    network = Network((layer([[3, 3], [4, 4]], [7, 8]),), 4, 1, decode=Decode.SPIKE_COUNT)
    assert golden.run(network, np.ones((1, 1, 2), np.uint8)).spikes[0].tolist() == [[[True, False]]]


@pytest.mark.parametrize("decode", Decode)
def test_ties_go_to_the_lowest_class(decode):
    network = Network((layer([[1, 2, 2, 2]], [1, 1, 1, 1]),), 4, 1, decode=decode)
    expected = 1 if decode == Decode.MEMBRANE else 0
    assert golden.run(network, np.ones((1, 5, 1), np.uint8)).labels.tolist() == [expected]
    assert golden.run(network, np.zeros((1, 5, 1), np.uint8)).labels.tolist() == [0]


def test_silence_and_all_inputs_at_once():
    rng = np.random.default_rng(0)
    network = Network((random_layer(rng, 30, 20), random_layer(rng, 20, 10)), 4, 2)
    first = network.layers[0]
    silent, full = (golden.run(network, np.full((1, 2, 30), x, np.uint8)) for x in (0, 1))
    np.testing.assert_array_equal(silent.spikes[0][0, 0], first.thresholds <= 0)
    np.testing.assert_array_equal(full.spikes[0][0, 0], first.weights.astype(int).sum(0) >= first.thresholds)
    assert silent.row_reads[0, 0, 0] == 0
    assert full.row_reads[0, 0, 0] == 30


def test_sums_stay_exact_at_the_widest_fan_in():
    """65,535 weights of −128, and one that the sum must not lose: float32 still holds every integer on the way."""
    weights = np.full((65_535, 2), -128, np.int8)
    weights[0, 1] = -127
    total = -128 * 65_535
    network = Network((Layer(weights, np.array([total, total + 2], np.int32)),), 8, 1)
    trace = golden.run(network, np.ones((1, 1, 65_535), np.uint8))
    assert trace.membranes.tolist() == [[[0, -1]]]
    assert trace.spikes[0].tolist() == [[[True, False]]]


def test_bool_and_byte_spikes_are_the_same():
    rng = np.random.default_rng(1)
    network = Network((random_layer(rng, 12, 5),), 4, 3)
    spikes = rng.random((4, 3, 12)) < 0.4
    as_bool, as_byte = golden.run(network, spikes), golden.run(network, spikes.astype(np.uint8))
    np.testing.assert_array_equal(as_bool.membranes, as_byte.membranes)
    np.testing.assert_array_equal(as_bool.row_reads, as_byte.row_reads)


def test_the_whole_test_set_in_one_call():
    """10,000 images × 4 steps at the size of MNIST: vectorised, or this would take minutes."""
    rng = np.random.default_rng(0)
    network = Network(tuple(random_layer(rng, i, o) for i, o in ((784, 64), (64, 32), (32, 10))), 4, 4)
    spikes = (rng.integers(0, 256, (10_000, 4, 784), np.uint8) < 33).view(np.uint8)
    trace = golden.run(network, spikes)
    assert trace.labels.shape == (10_000,)
    chosen = [0, 4_999, 9_999]
    part = golden.run(network, spikes[chosen])
    np.testing.assert_array_equal(trace.values[chosen], part.values)
    np.testing.assert_array_equal(trace.row_reads[..., 0], spikes.sum(2, dtype=np.int64))


def counter(thresholds, state_bits, weight=7, **options):
    """One input, and a neuron for each threshold, that it drives by `weight`."""
    x = Layer(np.full((1, len(thresholds)), weight, np.int8), np.array(thresholds, np.int32), state_bits, **options)
    return Network((x,), 4, 8, decode=Decode.SPIKE_COUNT)


def states(network):
    """States of the first layer's neurons when every input fires at every step: a list for each neuron."""
    trace = golden.run(network, np.ones((1, network.time_steps, network.sizes[0]), np.uint8), states=True)
    return trace.states[0][0].T.tolist()


def test_states_saturate_at_both_ends():
    """A threshold of 1 gives back 1 of the 7 that come, so v grows by 6 a step; inhibition falls by 7: to the ends of 6 bits."""
    assert states(counter([1], 6)) == [[6, 12, 18, 24, 30, 31, 31, 31]]
    assert states(counter([1], 6, -7)) == [[-7, -14, -21, -28, -32, -32, -32, -32]]


def test_resets_and_equality():
    """Thresholds 14 and 15: the first is met exactly at every second step, the second passed at every third."""
    assert states(counter([14, 15], 7)) == [[7, 0] * 4, [7, 14, 6, 13, 5, 12, 4, 11]]
    assert states(counter([14, 15], 7, reset=Reset.ZERO)) == [[7, 0] * 4, [7, 14, 0, 7, 14, 0, 7, 14]]


def test_leak_rounds_to_minus_infinity():
    """v >> 1 of −7 is −4: a negative membrane comes back to 0 faster than a positive one, and −1 to 0 at once."""
    silent_after_first = np.zeros((1, 8, 1), np.uint8)
    silent_after_first[0, 0] = 1
    for weight, expected in ((7, [7, 4, 2, 1, 1, 1, 1, 1]), (-7, [-7, -3, -1, 0, 0, 0, 0, 0])):
        trace = golden.run(counter([30], 7, weight, leak=1), silent_after_first, states=True)
        assert trace.states[0][0, :, 0].tolist() == expected


def test_biases_come_at_every_step():
    network = counter([30], 7, 0, biases=np.array([3], np.int32))
    assert states(network) == [[3, 6, 9, 12, 15, 18, 21, 24]]


def test_running_class():
    rng = np.random.default_rng(5)
    network = Network((random_layer(rng, 12, 5),), 4, 6)
    trace = golden.run(network, (rng.random((20, 6, 12)) < 0.4).astype(np.uint8))
    values, labels = trace.running
    np.testing.assert_array_equal(values[:, -1], trace.values)
    np.testing.assert_array_equal(labels[:, -1], trace.labels)
    for t in range(6):
        np.testing.assert_array_equal(values[:, t], trace.membranes[:, : t + 1].sum(1))
