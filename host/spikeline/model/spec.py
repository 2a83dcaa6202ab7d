"""Registers, packets and fields of the model file. Generated from rtl/spec/spikeline.rdl by `make gen`; do not edit."""

from enum import IntEnum

from spikeline.model.bit_fields import BitFields


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
    CHECKSUM = 10  # A packet of a model does not agree with its CHECKSUM: memory, or the way from it, has changed it.


class MemoryFault(IntEnum):
    NONE = 0  # No error.
    REFUSED = 2  # The memory refused an access (SLVERR).
    NOWHERE = 3  # There is no memory at the address (DECERR).
    SHORT = 4  # A packet of results has fewer words than the RECEIVE.
    LONG = 5  # A packet of results has more words than the RECEIVE.
    FULL = 6  # A command for a queue that is full.
    COMMAND = 7  # A command of no words, or whose address or bytes are no multiples of 8.


class PacketType(IntEnum):
    CONFIG = 1  # Network shape and run-time options; forgets the loaded weights.
    THRESHOLDS = 2  # Integer thresholds of one layer.
    WEIGHTS = 3  # Integer weights of one layer, one row per input.
    SPIKES = 4  # A batch of images as spike vectors, one per time step.
    PIXELS = 5  # A batch of images as a SEED and their pixels, eight a word; each image begins with a new word.
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
    DIRECT = 4  # A time step for each bit of the pixels, the highest first; layer 0 adds up Σ w · pixel and decides once.


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
    MODEL = 0x44
    ADDRESS_LO = 0x48
    ADDRESS_HI = 0x4C
    SEND = 0x50
    RECEIVE = 0x54
    SENT = 0x58
    RECEIVED = 0x5C
    COMMANDS = 0x60
    MEMORY_ERROR = 0x64
    ERROR_ADDRESS_LO = 0x68
    ERROR_ADDRESS_HI = 0x6C
    INTERRUPT_ENABLE = 0x70
    INTERRUPT = 0x74
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
    INPUTS = 0xA8
    CONVOLUTION = 0xAC  # 4 of them, 4 bytes apart
    ROW_READS_LO = 0xC0  # 8 of them, 8 bytes apart
    ROW_READS_HI = 0xC4  # 8 of them, 8 bytes apart


class ModelField(IntEnum):
    """Byte address."""

    MAGIC = 0x00
    VERSION = 0x04
    CRC = 0x08
    BODY_BYTES = 0x0C
    GEOMETRY = 0x10
    NOTE_BYTES = 0x14
    LAYER = 0x20  # 8 of them, 4 bytes apart


class Base(IntEnum):
    """Physical address on a board."""

    ACCELERATOR = 0x43C00000
    ACCELERATOR_ULTRASCALE = 0xA0000000


# Fields of a word: (lowest bit, bits)
VERSION = BitFields(32, minor=(0, 16), major=(16, 16))
CONTROL = BitFields(32, reset=(0, 1), clear_error=(1, 1), clear_counters=(2, 1), scores=(8, 1), every_step=(9, 1))
STATUS = BitFields(32, idle=(0, 1), loaded=(1, 1))
ERROR = BitFields(32, code=(0, 8), packet=(8, 8), layer=(16, 8))
GEOMETRY = BitFields(32, layers=(0, 8), weight_bits=(8, 8), membrane_bits=(16, 8), classes=(24, 8))
LAYER = BitFields(32, inputs=(0, 16), neurons=(16, 16))
FEATURES = BitFields(32, continuous=(0, 1), max_leak=(4, 4), direct=(8, 1), convolutions=(12, 3), commands=(16, 8), group=(24, 8))
SEND = BitFields(32, last=(0, 1), words=(3, 29))
RECEIVE = BitFields(32, words=(3, 29))
COMMANDS = BitFields(32, sends=(0, 8), receives=(8, 8))
MEMORY_ERROR = BitFields(32, code=(0, 3), receive=(8, 1))
INTERRUPT_ENABLE = BitFields(32, received=(0, 1), sent=(1, 1), failed=(2, 1))
INTERRUPT = BitFields(32, received=(0, 1), sent=(1, 1), failed=(2, 1))
CONVOLUTION = BitFields(32, words=(0, 16), positions=(16, 16))
HEADER = BitFields(64, kind=(0, 8), layer=(8, 8), magic=(16, 16), length=(32, 32))
CONFIG = BitFields(
    64,
    layers=(0, 8),
    time_steps=(8, 16),
    decode=(24, 1),
    exit=(25, 1),
    encoder=(28, 4),
    margin=(32, 24),
    latency_band=(56, 8),
)
CONFIG_LAYER = BitFields(
    64,
    inputs=(0, 16),
    neurons=(16, 16),
    continuous=(32, 1),
    reset=(33, 1),
    biased=(34, 1),
    leak=(36, 4),
    state_bits=(40, 5),
    kernel=(45, 2),
    height=(47, 7),
    width=(54, 7),
    stride=(61, 1),
    padded=(62, 1),
    pool=(63, 1),
)
THRESHOLD_PAIR = BitFields(64, even=(0, 32), odd=(32, 32))
RESULT = BitFields(64, label=(0, 16), steps=(16, 16), image=(32, 32))
SCORE_PAIR = BitFields(64, even=(0, 32), odd=(32, 32))
SEED = BitFields(64, state=(0, 64))
BIAS_PAIR = BitFields(64, even=(0, 32), odd=(32, 32))
EVENT = BitFields(64, value=(0, 15), is_step=(15, 1))
EVENT_COUNT = BitFields(64, images=(0, 32))
CHECKSUM = BitFields(64, crc=(0, 32))

# Constants
ID = 0x4C4B5053
VERSION_MINOR = 0x0
VERSION_MAJOR = 0x3
FEATURES_COMMANDS = 0x8
HEADER_MAGIC = 0x4B50
SEED_STATE = 0x9E3779B97F4A7C15
MODEL_MAGIC = 0x494B5053
MODEL_VERSION = 0x3

# Registers as a board's metadata lists them: name, offset, access, fields as above
REGISTERS = (
    ("ID", 0x00, "read-only", {"value": (0, 32)}),
    ("VERSION", 0x04, "read-only", {"minor": (0, 16), "major": (16, 16)}),
    ("BUILD", 0x08, "read-only", {"value": (0, 32)}),
    (
        "CONTROL",
        0x0C,
        "read-write",
        {"reset": (0, 1), "clear_error": (1, 1), "clear_counters": (2, 1), "scores": (8, 1), "every_step": (9, 1)},
    ),
    ("STATUS", 0x10, "read-only", {"idle": (0, 1), "loaded": (1, 1)}),
    ("ERROR", 0x14, "read-only", {"code": (0, 8), "packet": (8, 8), "layer": (16, 8)}),
    ("GEOMETRY", 0x18, "read-only", {"layers": (0, 8), "weight_bits": (8, 8), "membrane_bits": (16, 8), "classes": (24, 8)}),
    ("PARALLEL", 0x1C, "read-only", {"value": (0, 32)}),
    ("LAYER_0", 0x20, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    ("LAYER_1", 0x24, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    ("LAYER_2", 0x28, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    ("LAYER_3", 0x2C, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    ("LAYER_4", 0x30, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    ("LAYER_5", 0x34, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    ("LAYER_6", 0x38, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    ("LAYER_7", 0x3C, "read-only", {"inputs": (0, 16), "neurons": (16, 16)}),
    (
        "FEATURES",
        0x40,
        "read-only",
        {
            "continuous": (0, 1),
            "max_leak": (4, 4),
            "direct": (8, 1),
            "convolutions": (12, 3),
            "commands": (16, 8),
            "group": (24, 8),
        },
    ),
    ("MODEL", 0x44, "read-only", {"value": (0, 32)}),
    ("ADDRESS_LO", 0x48, "read-write", {"value": (0, 32)}),
    ("ADDRESS_HI", 0x4C, "read-write", {"value": (0, 32)}),
    ("SEND", 0x50, "write-only", {"last": (0, 1), "words": (3, 29)}),
    ("RECEIVE", 0x54, "write-only", {"words": (3, 29)}),
    ("SENT", 0x58, "read-only", {"value": (0, 32)}),
    ("RECEIVED", 0x5C, "read-only", {"value": (0, 32)}),
    ("COMMANDS", 0x60, "read-only", {"sends": (0, 8), "receives": (8, 8)}),
    ("MEMORY_ERROR", 0x64, "read-only", {"code": (0, 3), "receive": (8, 1)}),
    ("ERROR_ADDRESS_LO", 0x68, "read-only", {"value": (0, 32)}),
    ("ERROR_ADDRESS_HI", 0x6C, "read-only", {"value": (0, 32)}),
    ("INTERRUPT_ENABLE", 0x70, "read-write", {"received": (0, 1), "sent": (1, 1), "failed": (2, 1)}),
    ("INTERRUPT", 0x74, "read-write", {"received": (0, 1), "sent": (1, 1), "failed": (2, 1)}),
    ("CYCLES_LO", 0x80, "read-only", {"value": (0, 32)}),
    ("CYCLES_HI", 0x84, "read-only", {"value": (0, 32)}),
    ("IMAGES_LO", 0x88, "read-only", {"value": (0, 32)}),
    ("IMAGES_HI", 0x8C, "read-only", {"value": (0, 32)}),
    ("STEPS_LO", 0x90, "read-only", {"value": (0, 32)}),
    ("STEPS_HI", 0x94, "read-only", {"value": (0, 32)}),
    ("STALL_INPUT_LO", 0x98, "read-only", {"value": (0, 32)}),
    ("STALL_INPUT_HI", 0x9C, "read-only", {"value": (0, 32)}),
    ("STALL_OUTPUT_LO", 0xA0, "read-only", {"value": (0, 32)}),
    ("STALL_OUTPUT_HI", 0xA4, "read-only", {"value": (0, 32)}),
    ("INPUTS", 0xA8, "read-only", {"value": (0, 32)}),
    ("CONVOLUTION_0", 0xAC, "read-only", {"words": (0, 16), "positions": (16, 16)}),
    ("CONVOLUTION_1", 0xB0, "read-only", {"words": (0, 16), "positions": (16, 16)}),
    ("CONVOLUTION_2", 0xB4, "read-only", {"words": (0, 16), "positions": (16, 16)}),
    ("CONVOLUTION_3", 0xB8, "read-only", {"words": (0, 16), "positions": (16, 16)}),
    ("ROW_READS_0_LO", 0xC0, "read-only", {"value": (0, 32)}),
    ("ROW_READS_0_HI", 0xC4, "read-only", {"value": (0, 32)}),
    ("ROW_READS_1_LO", 0xC8, "read-only", {"value": (0, 32)}),
    ("ROW_READS_1_HI", 0xCC, "read-only", {"value": (0, 32)}),
    ("ROW_READS_2_LO", 0xD0, "read-only", {"value": (0, 32)}),
    ("ROW_READS_2_HI", 0xD4, "read-only", {"value": (0, 32)}),
    ("ROW_READS_3_LO", 0xD8, "read-only", {"value": (0, 32)}),
    ("ROW_READS_3_HI", 0xDC, "read-only", {"value": (0, 32)}),
    ("ROW_READS_4_LO", 0xE0, "read-only", {"value": (0, 32)}),
    ("ROW_READS_4_HI", 0xE4, "read-only", {"value": (0, 32)}),
    ("ROW_READS_5_LO", 0xE8, "read-only", {"value": (0, 32)}),
    ("ROW_READS_5_HI", 0xEC, "read-only", {"value": (0, 32)}),
    ("ROW_READS_6_LO", 0xF0, "read-only", {"value": (0, 32)}),
    ("ROW_READS_6_HI", 0xF4, "read-only", {"value": (0, 32)}),
    ("ROW_READS_7_LO", 0xF8, "read-only", {"value": (0, 32)}),
    ("ROW_READS_7_HI", 0xFC, "read-only", {"value": (0, 32)}),
)
