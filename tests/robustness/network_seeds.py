"""Small integer networks, and their images, from which damaged images are made."""

from functools import cache
from itertools import pairwise

import numpy as np

from spikeline.model import model_file
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from support import convolutions


@cache
def models() -> tuple[model_file.Model, ...]:
    """One of every encoder and width of weights, of one to eight layers, discontinuous and continuous, and some convolutions."""
    note = {"dataset": {"name": "mnist"}}
    networks = [network(kind) for kind in range(24)]
    networks += [convolutions.network(np.random.default_rng(kind), side=6, maps=4) for kind in range(6)]
    return tuple(model_file.build(x, note if kind % 2 else {}) for kind, x in enumerate(networks))


def network(kind: int) -> Network:
    """A small network; `kind` walks through weight widths, encoders and numbers of layers."""
    rng = np.random.default_rng(kind)
    bits, encoder, depth = (2, 4, 8)[kind % 3], Encoder(kind % 5), 1 + kind % 8
    layers = []
    for shape in pairwise(rng.integers(2, 9, depth + 1).tolist()):
        weights = rng.integers(-1 << (bits - 1), 1 << (bits - 1), shape).astype(np.int8)
        thresholds = rng.integers(1, 20, shape[1]).astype(np.int32)
        biases = rng.integers(-3, 4, shape[1]).astype(np.int32)
        lasts = rng.random() < 0.5 and encoder != Encoder.DIRECT
        layers.append(Layer(weights, thresholds, 16, biases, kind % 5, Reset(kind % 2)) if lasts else Layer(weights, thresholds))
    return Network(tuple(layers), bits, 1 + kind % 5, encoder, Decode.SPIKE_COUNT, 2 if kind % 3 == 0 else None)
