"""Random networks that begin with convolutions, and the registers of accelerators that take them."""

import math
from dataclasses import replace

import numpy as np

from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network, Window
from spikeline.model.spec import (
    CONVOLUTION,
    FEATURES,
    GEOMETRY,
    ID,
    LAYER,
    STATUS,
    VERSION,
    VERSION_MAJOR,
    VERSION_MINOR,
    Decode,
    Encoder,
    Register,
)
from support.networks import fresh, lasting


def window(rng: np.random.Generator, channels: int, height: int, width: int) -> Window:
    """Any window that leaves a position of such maps."""
    while True:
        kernel, stride = int(rng.choice([1, 3])), int(rng.integers(1, 3))
        padding = int(rng.integers(2)) * (kernel // 2)
        made = Window(channels, height, width, kernel, stride, padding, bool(rng.integers(2)))
        if made.fault() is None:
            return made


def network(
    rng: np.random.Generator, convolutions: int | None = None, side: int = 12, maps: int = 20, continuous: float = 0.4
) -> Network:
    """Convolutions, one to three if not said, and one or two fully connected layers, of 4-bit weights and membranes of 12 bits.

    continuous: share of layers whose membranes last. The first may have direct input.
    """
    shape = tuple(int(x) for x in rng.integers(1, (4, side + 1, side + 1)))
    layers = list[Layer]()
    for _ in range(convolutions or int(rng.integers(1, 4))):
        seen = window(rng, *shape)
        columns = int(rng.integers(1, maps + 1))
        layers.append(replace(_layer(rng, seen.fan_in, columns, continuous), window=seen))
        shape = (columns, *seen.pooled)
    size = math.prod(shape)
    for neurons in rng.integers(1, 11, rng.integers(2)):
        layers.append(_layer(rng, size, int(neurons), continuous))
        size = int(neurons)
    layers.append(_layer(rng, size, int(rng.integers(1, 11)), 0))
    made = Network(tuple(layers), 4, int(rng.integers(1, 5)), Encoder(int(rng.integers(3))), Decode(int(rng.integers(2))))
    return replace(made, encoder=Encoder.DIRECT) if not made.continuous and rng.random() < 0.3 else made


def _layer(rng: np.random.Generator, rows: int, columns: int, continuous: float) -> Layer:
    limit = max(1, min(8, 600 // rows))  # so that membranes have room
    weights = rng.integers(-limit, limit, (rows, columns)).astype(np.int8)
    weights[rng.random(rows) > 600 / rows] = 0
    return lasting(rng, weights) if rng.random() < continuous else fresh(rng, weights)


def registers(geometry: Geometry, **features: int) -> np.ndarray:
    """What the accelerator of a geometry tells of itself, uint32."""
    words = np.zeros(1024, np.uint32)
    words[Register.ID // 4], words[Register.STATUS // 4] = ID, STATUS.pack(idle=1)
    words[Register.VERSION // 4] = VERSION.pack(major=VERSION_MAJOR, minor=VERSION_MINOR)
    sizes = {key: getattr(geometry, key) for key in ("weight_bits", "membrane_bits", "classes")}
    count = len(geometry.convolutions)
    words[Register.GEOMETRY // 4] = GEOMETRY.pack(layers=count + len(geometry.layers), **sizes)
    known = {"continuous": geometry.continuous, "max_leak": geometry.max_leak, "direct": geometry.direct}
    words[Register.FEATURES // 4] = FEATURES.pack(
        **known | {"commands": 8, "group": geometry.group, "convolutions": count} | features
    )
    words[Register.PARALLEL // 4] = sum(x.spikes_per_cycle << 4 * n for n, x in enumerate(geometry.layers, count))
    words[Register.INPUTS // 4] = geometry.input_room
    rooms = [(x.rows, x.maps) for x in geometry.convolutions] + [(x.inputs, x.neurons) for x in geometry.layers]
    for n, (inputs, neurons) in enumerate(rooms):
        words[Register.LAYER // 4 + n] = LAYER.pack(inputs=inputs, neurons=neurons)
    for n, x in enumerate(geometry.convolutions):
        words[Register.CONVOLUTION // 4 + n] = CONVOLUTION.pack(words=x.words, positions=x.positions)
    return words
