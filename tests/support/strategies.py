"""Hypothesis strategies of layers and networks."""

import itertools

import numpy as np
from hypothesis import strategies as st

from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset


def layer(weights, thresholds):
    return Layer(np.array(weights, np.int8), np.array(thresholds, np.int32))


def random_layer(rng, inputs, neurons, bits=4):
    limit = 1 << (bits - 1)
    weights = rng.integers(-limit, limit, (inputs, neurons)).astype(np.int8)
    return Layer(weights, rng.integers(-3 * limit, 3 * limit, neurons).astype(np.int32))


def random_continuous(rng, weights):
    """A continuous layer of these weights, its state often of as few bits as one step leaves room for: it saturates."""
    neurons = weights.shape[1]
    low, high = (-np.minimum(weights, 0).sum(0, dtype=int), np.maximum(weights, 0).sum(0, dtype=int))
    biases = rng.integers(-20, 20, neurons, endpoint=True) if rng.random() < 0.5 else np.zeros(neurons, int)
    thresholds = rng.integers(1, 1 + np.maximum(1, rng.choice([1, 4, 30], neurons) * high // 4), endpoint=True)
    room = int(max((high + np.maximum(biases, 0)).max(), (low + np.maximum(-biases, 0) + thresholds).max()))
    bits = max(2, 1 + (room - 1).bit_length()) + int(rng.integers(3))
    leak, reset = int(rng.integers(5)), Reset(int(rng.integers(2)))
    return Layer(weights, thresholds.astype(np.int32), bits, biases.astype(np.int32) if biases.any() else None, leak, reset)


@st.composite
def networks(draw, max_size=21, max_layers=4):
    """Networks of every weight width, odd sizes, both decodings, with extreme weights and thresholds among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits = draw(st.sampled_from([2, 4, 8]))
    sizes = draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_layers + 1))
    layers = [random_layer(rng, i, o, bits) for i, o in itertools.pairwise(sizes)]
    if draw(st.booleans()):
        extreme = rng.choice([-(1 << (bits - 1)), (1 << (bits - 1)) - 1], layers[0].weights.shape).astype(np.int8)
        layers[0] = Layer(extreme, rng.integers(-(2**20), 2**20, sizes[1]).astype(np.int32))
    decode = draw(st.sampled_from(Decode))
    for n in range(len(layers) - (decode == Decode.MEMBRANE)):
        if draw(st.booleans()):
            layers[n] = random_continuous(rng, layers[n].weights)
    lasts = any(layer.continuous for layer in layers)
    encoder = draw(st.sampled_from([x for x in Encoder if x != Encoder.DIRECT or not lasts]))
    steps = draw(st.integers(1, 8 if encoder == Encoder.DIRECT else 192))
    return Network(tuple(layers), bits, steps, encoder, decode)
