"""Random networks for the `tiny` geometry, and what goes into them; also for tests/rtl."""

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import numpy as np

from spikeline.device.packets import Batch, Events, Pixels, Spikes
from spikeline.errors import ModelError
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network, Window
from spikeline.model.spec import Decode, Encoder, Reset

TINY = Geometry.load("tiny")


def network(
    rng: np.random.Generator,
    layers: int | None = None,
    time_steps: int | None = None,
    continuous: float = 0.4,
    encoder: Encoder | None = None,
    decode: Decode | None = None,
) -> Network:
    """Any depth, odd sizes, extreme weights, busy and silent neurons; `continuous`: share of layers whose membranes last.

    Where neither encoder nor time steps are given, some have direct input.
    """
    depth = layers or int(rng.integers(1, len(TINY.layers) + 1))
    sizes = [int(rng.integers(1, TINY.layers[0].inputs + 1))]
    sizes += [int(rng.integers(1, TINY.layers[n].neurons + 1)) for n in range(depth - 1)]
    sizes += [int(rng.integers(1, TINY.classes + 1))]
    decode = Decode(int(rng.integers(2))) if decode is None else decode
    made = []
    for n, (inputs, neurons) in enumerate(pairwise(sizes)):
        weights = rng.integers(-8, 8, (inputs, neurons)).astype(np.int8)
        if rng.random() < 0.3:
            weights[:, rng.integers(neurons)] = rng.choice([-8, 7])
        may_last = n + 1 < depth or decode == Decode.SPIKE_COUNT
        made.append(lasting(rng, weights) if may_last and rng.random() < continuous else fresh(rng, weights))
    steps = time_steps or int(rng.integers(1, 6))
    may_be_direct = encoder is None and time_steps is None and continuous < 1
    encoder = Encoder(int(rng.integers(3))) if encoder is None else encoder
    spikes = Encoder.THRESHOLD if encoder == Encoder.DIRECT else encoder
    result = Network(tuple(made), TINY.weight_bits, steps, spikes, decode)
    if encoder == Encoder.DIRECT or (may_be_direct and rng.random() < 0.2):
        result = direct(rng, result)
    if sizes[-1] > 1 and rng.random() < 0.3:
        result = replace(result, exit_margin=int(rng.integers(40)))
    return result


def fresh(rng: np.random.Generator, weights: np.ndarray) -> Layer:
    """A discontinuous layer whose neurons fire now and then."""
    reach = np.maximum(weights, 0).sum(0) + 2
    return Layer(weights, rng.integers(-reach // 3, reach // 2 + 1).astype(np.int32))


def direct(rng: np.random.Generator, net: Network, planes: int | None = None, membrane_bits: int = TINY.membrane_bits) -> Network:
    """A network like `net` with direct input of 1 to 8 bits, small weights, and inputs silenced until membranes have room."""
    planes = planes or int(rng.integers(1, 9))
    largest, room = (1 << planes) - 1, 1 << membrane_bits - 2  # half for the thresholds
    limit = min(max(1, room // (4 * largest)), 8)
    weights = net.layers[0].weights.clip(-limit, limit)
    order = rng.permutation(len(weights))
    reach = np.abs(weights[order].astype(int)).cumsum(0).max(1) * largest
    weights[order[reach >= room]] = 0
    ends = np.minimum(weights, 0).sum(0) * largest, np.maximum(weights, 0).sum(0) * largest
    first = Layer(weights, rng.integers(ends[0] // 2, ends[1] // 2 + 2).astype(np.int32))
    layers = (first, *(fresh(rng, x.weights) for x in net.layers[1:]))
    return replace(net, layers=layers, time_steps=planes, encoder=Encoder.DIRECT)


def lasting(rng: np.random.Generator, weights: np.ndarray, state_bits: int = TINY.membrane_bits - 1, max_leak: int = 4) -> Layer:
    """A continuous layer: thresholds from 1, at which a busy membrane saturates, to what is seldom reached."""
    neurons = weights.shape[1]
    room = (1 << (state_bits - 1)) + np.minimum(weights, 0).sum(0, dtype=int)  # for the threshold and a bias below 0
    biases = rng.integers(-40, 41, neurons).astype(np.int32) if rng.random() < 0.5 else None
    thresholds = np.minimum(rng.choice([1, 5, 40, 200], neurons) + rng.integers(0, 20, neurons), room - 40)
    leak = int(rng.integers(1, max_leak + 1)) if max_leak and rng.random() < 0.6 else 0
    return Layer(weights, thresholds.astype(np.int32), state_bits, biases, leak, Reset(int(rng.integers(2))))


def trains(rng: np.random.Generator, net: Network, images: int) -> np.ndarray:
    """Spike trains, uint8 (B, T, N), from silent to all ones."""
    rate = rng.choice([0, 0.02, 0.15, 0.5, 1], (images, net.time_steps, 1))
    return (rng.random((images, net.time_steps, net.sizes[0])) < rate).astype(np.uint8)


def pictures(rng: np.random.Generator, net: Network, images: int) -> np.ndarray:
    """Pixels, uint8 (B, N), many of them where an encoder decides."""
    pixels = rng.integers(0, 256, (images, net.sizes[0])).astype(np.uint8)
    pixels[rng.random(pixels.shape) < 0.2] = rng.choice([0, 127, 128, 255])
    return pixels


def batch(rng: np.random.Generator, net: Network, images: int, kind: type | None = None) -> Batch:
    """Images as spikes, events or, if the network has an encoder, pixels."""
    kinds = [Spikes, Events] + [Pixels] * (net.encoder != Encoder.EVENTS)
    kind = kind or kinds[rng.integers(len(kinds))]
    if kind is Pixels:
        return Pixels(pictures(rng, net, images), int(rng.integers(1 << 32)), int(rng.integers(100)))
    return kind(trains(rng, net, images))


def convolutional(rng: np.random.Generator, room: Geometry, lasts: bool = False, planes: int = 0, time_steps: int = 0) -> Network:
    """A network that begins with convolutions and fits `room`, of 4-bit weights; of direct input with `planes`."""
    while True:
        shape = tuple(int(rng.integers(low, high)) for low, high in ((1, 4), (3, 14), (3, 14)))  # (channels, height, width)
        layers: list[Layer] = []
        for _ in range(int(rng.integers(1, len(room.convolutions) + 1))):
            kernel = int(rng.choice([1, 3]))
            padding = kernel // 2 if rng.integers(2) else 0
            window = Window(*shape, kernel, int(rng.integers(1, 3)), padding, bool(rng.integers(2)))
            if window.fault():
                break
            layers.append(_seldom(rng, window.fan_in, int(rng.integers(1, 40)), room, lasts, window))
            shape = (layers[-1].columns, *window.pooled)
        else:
            sizes = [layers[-1].outputs, *([int(rng.integers(2, 49))] if rng.integers(2) else []), int(rng.integers(2, 11))]
            layers += [_seldom(rng, a, b, room) for a, b in pairwise(sizes)]
            steps = planes or time_steps or int(rng.integers(1, 6))
            encoder = Encoder.DIRECT if planes else Encoder.THRESHOLD if steps == 1 else Encoder.EVENTS
            with suppress(ModelError):  # membranes that could overflow
                made = Network(tuple(layers), room.weight_bits, steps, encoder)
                if not room.misfits(made):
                    return made


def _seldom(
    rng: np.random.Generator, rows: int, columns: int, room: Geometry, lasts: bool = False, window: Window | None = None
) -> Layer:
    """A layer whose neurons fire at a part of what their weights can add up to."""
    weights = rng.integers(-7, 8, (rows, columns)).astype(np.int8)
    thresholds = rng.integers(1, max(2, int(rows * rng.choice([0.3, 1, 3]))), columns).astype(np.int32)
    if not lasts:
        return Layer(weights, thresholds, window=window)
    biases = rng.integers(-4, 5, columns).astype(np.int32) if rng.integers(2) else None
    leak, reset = int(rng.integers(room.max_leak + 1)), Reset(int(rng.integers(2)))
    return Layer(weights, thresholds, room.membrane_bits - 1, biases, leak, reset, window)
