"""Sound and unsound packets."""

import numpy as np

from spikeline.model.model_file import sealed
from spikeline.model.spec import (
    CONFIG,
    CONFIG_LAYER,
    HEADER,
    HEADER_MAGIC,
    Decode,
    Encoder,
    ErrorCode,
    PacketType,
)


def header(kind, length, layer=0, magic=HEADER_MAGIC):
    return HEADER.pack(kind=kind, layer=layer, magic=magic, length=length)


def config(layers, time_steps=2, **options):
    words = [CONFIG.pack(layers=len(layers), time_steps=time_steps)]
    words += [CONFIG_LAYER.pack(inputs=i, neurons=n, **options) for i, n in layers]
    return configuration(words)


def configuration(words):
    """A CONFIG packet of these words, its checksum behind them."""
    return sealed(PacketType.CONFIG, np.array(words, np.uint64)).tolist()


# Refused by the header alone: the model that is loaded stays as it is.
HARMLESS = {
    "wrong magic": ([header(PacketType.SPIKES, 2, magic=0x1234), 1, 2], ErrorCode.HEADER),
    "unknown type": ([header(9, 2), 1, 2], ErrorCode.TYPE),
    "biases of a layer that is not continuous": ([header(PacketType.BIASES, 1, layer=2), 1], ErrorCode.TYPE),
    "biases of a layer that is not there": ([header(PacketType.BIASES, 1, layer=3), 1], ErrorCode.LAYER),
    "biases of a wrong length": ([header(PacketType.BIASES, 60), *range(60)], ErrorCode.LENGTH),
    "events of no length": ([header(PacketType.EVENTS, 0)], ErrorCode.LENGTH),
    "type zero": ([header(0, 1), 1], ErrorCode.TYPE),
    "weights of a layer that is not there": ([header(PacketType.WEIGHTS, 1, layer=3), 1], ErrorCode.LAYER),
    "thresholds of layer 255": ([header(PacketType.THRESHOLDS, 1, layer=255), 1], ErrorCode.LAYER),
    "weights of a wrong length": ([header(PacketType.WEIGHTS, 5), 1, 2, 3, 4, 5], ErrorCode.LENGTH),
    "weights with the largest length": ([header(PacketType.WEIGHTS, 0xFFFFFFFF), 1], ErrorCode.LENGTH),
    "thresholds of a wrong length": ([header(PacketType.THRESHOLDS, 60), *range(60)], ErrorCode.LENGTH),
    "spikes of no length": ([header(PacketType.SPIKES, 0)], ErrorCode.LENGTH),
    "configuration of no length": ([header(PacketType.CONFIG, 0)], ErrorCode.LENGTH),
    "configuration of nine words": ([header(PacketType.CONFIG, 9), *range(9)], ErrorCode.LENGTH),
    "pixels of no length": ([header(PacketType.PIXELS, 0)], ErrorCode.LENGTH),
    "an encoder that is not there": (
        configuration([CONFIG.pack(layers=1, time_steps=1, encoder=5), 5 | 5 << 16]),
        ErrorCode.CONFIG,
    ),
    "direct input of nine bits": (
        configuration([CONFIG.pack(layers=1, time_steps=9, encoder=Encoder.DIRECT), 5 | 5 << 16]),
        ErrorCode.CONFIG,
    ),
    "direct input and membranes that last": (
        configuration(
            [
                CONFIG.pack(layers=1, time_steps=1, encoder=Encoder.DIRECT, decode=Decode.SPIKE_COUNT),
                CONFIG_LAYER.pack(inputs=5, neurons=5, continuous=1, state_bits=11),
            ]
        ),
        ErrorCode.CONFIG,
    ),
    "a header and nothing else": ([header(PacketType.SPIKES, 4)], ErrorCode.SHORT),
    "no layers": (config([]), ErrorCode.LENGTH),
    "no time steps": (config([(5, 5)], time_steps=0), ErrorCode.CONFIG),
    "no inputs": (config([(0, 5)]), ErrorCode.CONFIG),
    "no neurons": (config([(5, 0)]), ErrorCode.CONFIG),
    "too many inputs": (config([(101, 5)]), ErrorCode.CONFIG),
    "too many neurons": (config([(100, 49), (49, 5)]), ErrorCode.CONFIG),
    "too many classes": (config([(100, 11)]), ErrorCode.CONFIG),
    "layers that do not fit each other": (config([(100, 48), (47, 5)]), ErrorCode.CONFIG),
    "more layers than sizes": (
        configuration([CONFIG.pack(layers=2, time_steps=1), 5 | 5 << 16]),
        ErrorCode.CONFIG,
    ),
    "configuration with a bit that has flipped": (
        [*config([(5, 5)])[:2], 5 | 4 << 16, *config([(5, 5)])[3:]],
        ErrorCode.CHECKSUM,
    ),
    "configuration with a checksum of more than 32 bits": (
        [*config([(5, 5)])[:-1], config([(5, 5)])[-1] | 1 << 63],
        ErrorCode.CHECKSUM,
    ),
    "a state of other bits than are built": (config([(5, 5)] * 2, continuous=1, state_bits=12), ErrorCode.CONFIG),
    "more leak than is built": (config([(5, 5)] * 2, continuous=1, state_bits=11, leak=5), ErrorCode.CONFIG),
    "a continuous output that is read by its membrane": (config([(5, 5)], continuous=1, state_bits=11), ErrorCode.CONFIG),
    "configuration cut short": (config([(5, 5)])[:-1], ErrorCode.SHORT),
    "configuration with a word too many": ([*config([(5, 5)]), 7], ErrorCode.LONG),
}
STEP, FILLER = 0x8000, 0xFFFF


def unsound(inputs: int) -> dict[str, tuple[list[int], ErrorCode]]:
    """Events for so many inputs, after a first sound image of two steps, and what is wrong with them."""
    return {
        "the first input that is not there": ([inputs, STEP | 1, STEP | 2, FILLER], ErrorCode.EVENT),
        "an input that is not there": ([100, STEP | 1, STEP | 2, FILLER], ErrorCode.EVENT),
        "a step beyond the last": ([STEP | 3, FILLER, FILLER, FILLER], ErrorCode.EVENT),
        "a step that goes back": ([3, STEP | 1, STEP | 0, STEP | 2], ErrorCode.EVENT),
        "an image too many": ([STEP | 2, FILLER, FILLER, FILLER, STEP | 2, FILLER, FILLER, FILLER], ErrorCode.EVENT),
        "an image that does not end": ([1, STEP | 1, 2, 3], ErrorCode.LENGTH),
        "an image that is not there": ([], ErrorCode.LENGTH),
    }
