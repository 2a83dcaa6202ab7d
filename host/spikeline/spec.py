"""Registers, packets and image fields. Generated from rtl/spec/spikeline.rdl by `make gen`; do not edit."""

from enum import IntEnum

from spikeline.word import Word


class ErrorCode(IntEnum):
    NONE = 0  # No error.
    HEADER = 1  # A packet does not begin with the header's magic.
    TYPE = 2  # Unknown packet type, or one that the network in use does not take.
    LAYER = 3  # The packet names a layer that the network does not have.
    LENGTH = 4  # The header's length is not what this packet needs.
    SHORT = 5  # TLAST came before the length that the header gives.
    LONG = 6  # No TLAST at the length that the header gives.
    CONFIG = 7  # A CONFIG value is outside the built geometry.
    NOT_LOADED = 8  # An image came before every layer had its weights, thresholds and, if continuous, biases.
    EVENT = 9  # An event beyond the inputs, or a time step that goes back or beyond the last.


class PacketType(IntEnum):
    CONFIG = 1  # Network shape and run-time options; forgets the loaded weights.
    THRESHOLDS = 2  # Integer thresholds of one layer.
    WEIGHTS = 3  # Integer weights of one layer, one row per input.
    SPIKES = 4  # A batch of images as spike vectors, one per time step.
    PIXELS = 5  # A batch of images as a SEED and their pixels, eight a word; the encoder makes the spikes.
    BIASES = 6  # Integer biases of one continuous layer.
    EVENTS = 7  # A batch of images as address events, four EVENTs a word; each image begins with a new word.


class Decode(IntEnum):
    MEMBRANE = 0  # The class value is the output membrane summed over the time steps.
    SPIKE_COUNT = 1  # The class value is the number of output spikes.


class Encoder(IntEnum):
    THRESHOLD = 0  # A pixel fires iff it is at least 128.
    BERNOULLI = 1  # A pixel fires iff it is above a seeded random byte.
    LATENCY = 2  # A pixel p fires once, at step (255 − p) / `latency_band`, if there is such a step.
    EVENTS = 3  # None: input comes as events or spikes.


class Reset(IntEnum):
    SUBTRACT = 0  # A neuron that fires loses its threshold.
    ZERO = 1  # A neuron that fires starts from zero.


class Register(IntEnum):
    """Byte address."""

    ID = 0x00
    VERSION = 0x04
    BUILD = 0x08
    CONTROL = 0x0C
    STATUS = 0x10
    ERROR = 0x14
    GEOMETRY = 0x18
    PARALLEL = 0x1C
    LAYER = 0x20  # 8 of them, 4 bytes apart
    FEATURES = 0x40
    CYCLES_LO = 0x80
    CYCLES_HI = 0x84
    IMAGES_LO = 0x88
    IMAGES_HI = 0x8C
    STEPS_LO = 0x90
    STEPS_HI = 0x94
    STALL_INPUT_LO = 0x98
    STALL_INPUT_HI = 0x9C
    STALL_OUTPUT_LO = 0xA0
    STALL_OUTPUT_HI = 0xA4
    ROW_READS_LO = 0xC0  # 8 of them, 8 bytes apart
    ROW_READS_HI = 0xC4  # 8 of them, 8 bytes apart


class ImageField(IntEnum):
    """Byte address."""

    MAGIC = 0x00
    VERSION = 0x04
    CRC = 0x08
    BODY_BYTES = 0x0C
    GEOMETRY = 0x10
    LAYER = 0x20  # 8 of them, 4 bytes apart


# Fields of a word: (lowest bit, bits)
VERSION = Word(32, minor=(0, 16), major=(16, 16))
CONTROL = Word(32, reset=(0, 1), clear_error=(1, 1), clear_counters=(2, 1), scores=(8, 1), every_step=(9, 1))
STATUS = Word(32, idle=(0, 1), loaded=(1, 1))
ERROR = Word(32, code=(0, 8), packet=(8, 8), layer=(16, 8))
GEOMETRY = Word(32, layers=(0, 8), weight_bits=(8, 8), membrane_bits=(16, 8), classes=(24, 8))
LAYER = Word(32, inputs=(0, 16), neurons=(16, 16))
FEATURES = Word(32, continuous=(0, 1), max_leak=(4, 4))
HEADER = Word(64, kind=(0, 8), layer=(8, 8), magic=(16, 16), length=(32, 32))
CONFIG = Word(
    64,
    layers=(0, 8),
    time_steps=(8, 16),
    decode=(24, 1),
    exit=(25, 1),
    encoder=(28, 4),
    margin=(32, 24),
    latency_band=(56, 8),
)
CONFIG_LAYER = Word(
    64,
    inputs=(0, 16),
    neurons=(16, 16),
    continuous=(32, 1),
    reset=(33, 1),
    biased=(34, 1),
    leak=(36, 4),
    state_bits=(40, 5),
)
THRESHOLD_PAIR = Word(64, even=(0, 32), odd=(32, 32))
RESULT = Word(64, label=(0, 16), steps=(16, 16), image=(32, 32))
SCORE_PAIR = Word(64, even=(0, 32), odd=(32, 32))
BIAS_PAIR = Word(64, even=(0, 32), odd=(32, 32))
EVENT = Word(64, value=(0, 15), is_step=(15, 1))
EVENT_COUNT = Word(64, images=(0, 32))

# Constants
ID = 0x4C4B5053
VERSION_MAJOR = 0x1
HEADER_MAGIC = 0x4B50
IMAGE_MAGIC = 0x494B5053
IMAGE_VERSION = 0x1
