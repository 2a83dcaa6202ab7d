"""What a convolution core does with a packet of images, counted, as `activity` has it of the rest.

**A core** (spk_convolve.v, spk_bank.v, spk_decide.v) that sums M maps side by side, in R rounds, with weights of w bits and
membranes of V. S time steps enter it, or planes of direct input, and D are decided.

    row_reads             spikes that enter; each moves up to nine positions, as many as its kernel finds inside the maps
    bank_reads            words of M weights, w bits each: R for each of these positions
    lane_adds             a weight goes into the sum over the spikes of a position (`lane_add_bits`)
    current_words         words of M currents, V bits each, that are read and written: those that the sum of a position is added
                          to, R for each position that it moves; those that are doubled between planes, all; those of neurons
                          that are decided, R for each position, of 2×2 of them where they are pooled
    current_adds          the first of the three, M each
    compares              the last of them, M each; membrane_adds, state_bits, start_read_bits, bias_read_bits as of a layer
    state_words           words of M states, V − 1 bits each, that are read and written, continuous
    queue_write_bits      positions and rounds with a spike, and the ends of steps; read once each
    scan_bits             bits that are looked through for spikes: of the first core all inputs a step and 16 a cycle, of
                          another the maps of a position for each of its spikes
    clocked_bits          as of a layer; control that does not stop is counted roughly

The counts that `tests/system/test_energy_convolution.py` compares with the RTL are exact.
"""

import math
from dataclasses import replace

import numpy as np

from spikeline.energy.register_bits import TAG_BITS
from spikeline.measure import cycles
from spikeline.measure.convolution_cycles import Core, handed_on
from spikeline.model import golden
from spikeline.model.geometry import BANKS, POSITION_BITS, ROUNDS, ConvolutionGeometry, Geometry
from spikeline.model.network import Layer, Network, Window

CONTROL_BITS = (
    1150  # about: a core's stages from spikes to banks, what counts the decisions, and sizes that follow from its layer
)
ENDS_BITS = 350  # about: before the first core and behind the last, spk_locate.v and what spk_gather.v takes apart


def reached(window: Window) -> np.ndarray:
    """How many output positions a spike of each input position moves, int64 (height · width,)."""
    places = np.arange(1, 1 + window.height * window.width)
    return np.bincount(replace(window, channels=1).patches(places[None]).reshape(-1), minlength=len(places) + 1)[1:]


def count(
    geometry: Geometry, network: Network, k: int, entering: np.ndarray, trace: golden.Trace, predicted: cycles.Prediction
) -> dict[str, int]:
    """Count what core k does, of the spikes that enter it, (B, T, inputs), and those that the golden model fires."""
    room, layer = geometry.convolutions[k], network.layers[k]
    window = layer.window
    assert window is not None
    M, V, w, rounds = room.maps, geometry.membrane_bits, geometry.weight_bits, room.rounds(layer)
    core = Core(layer, room)
    maps = entering.reshape(-1, window.channels, window.height * window.width)
    fired = trace.spikes[k].reshape(-1, layer.outputs)
    S, D, R = len(maps), len(fired), int(maps.sum(dtype=np.int64))
    moved = reached(window)
    bank_reads = int(maps.sum((0, 1), dtype=np.int64) @ moved) * rounds
    sums = maps.sum((0, 1), dtype=np.int64)  # of each position; the first core takes spikes one by one
    if k:
        before = Core(network.layers[k - 1], geometry.convolutions[k - 1])
        sums = (handed_on(before, entering.reshape(S, -1)) > 0).sum(0).reshape(len(moved), before.rounds).sum(1)
    updates = int(sums @ moved) * rounds
    doubled = (S - D) * core.words * BANKS
    decided = D * core.positions * core.pooled * rounds
    handed = int((handed_on(core, fired) > 0).sum()) + D
    additions = 3 + geometry.max_leak if layer.continuous else 1
    fetches = int(cycles.scan(entering, 1).fetches.sum()) if k == 0 else 0
    A = predicted.work[f"convolution {k}"]
    counts = {
        "steps": S,
        "cycles": A,
        "fetches": fetches,
        "row_reads": R,
        "bank_reads": bank_reads,
        "weight_bits_read": bank_reads * M * w,
        "lane_adds": bank_reads * M,
        "lane_add_bits": bank_reads * M * geometry.sum_bits(k),
        "current_words": updates + doubled + decided,
        "current_adds": updates * M,
        "membrane_adds": decided * M * additions,
        "membrane_add_bits": (updates + decided * additions) * M * V,
        "compares": decided * M,
        "current_bits": (updates + doubled + decided) * M * V,
        "state_words": decided * layer.continuous,
        "state_bits": decided * M * (V - 1) * layer.continuous,
        "start_read_bits": decided * M * V,
        "bias_read_bits": decided * M * V * layer.biased,
        "queue_write_bits": handed * (POSITION_BITS + M),
        "queue_read_bits": handed * (POSITION_BITS + M),
        "scan_bits": S * window.channels * window.height * window.width + (R + S + fetches) * cycles.GROUP
        if k == 0
        else R * rounds * geometry.convolutions[k - 1].maps,
    }
    counts["clocked_bits"] = (
        predicted.cycles * _always(geometry, k)
        + bank_reads * M * geometry.sum_bits(k)
        + counts["current_bits"] * (1 if room.distributed else 2)  # what is written, and the stage behind it
        + decided * M * _decision_bits(geometry)
        + handed * (M + POSITION_BITS)
        + (S * geometry.input_room if k == 0 else 0)
    )
    return counts


def tag_bits(geometry: Geometry) -> int:
    """Bits that travel with a time step: with convolutions thousands of images can be under way, and tags are 8 bits longer."""
    return TAG_BITS + 8 * bool(geometry.convolutions)


def _always(geometry: Geometry, k: int) -> int:
    """Register bits of a core without an enable, about."""
    room = geometry.convolutions[k]
    before = geometry.convolutions[k - 1].maps if k else 1
    address = 1 + (room.words - 1).bit_length()
    in_banks = BANKS * ((room.rows - 1).bit_length() + 4 * address + 10)
    return CONTROL_BITS + in_banks + 2 * before + 4 * room.maps + tag_bits(geometry)


def _decision_bits(geometry: Geometry) -> int:
    """Register bits that a decision passes: what the bank shows, membrane twice, −θ, v − θ; product, bias and the sum of both."""
    V = geometry.membrane_bits
    return 5 * V + (3 * V + geometry.max_leak if geometry.continuous else 0)


def built(geometry: Geometry) -> tuple[int, int, int, int]:
    """Bits of what convolutions are built of: of memories of weights, currents and states; of queues; registers; adders."""
    memory = buffers = registers = adders = 0
    for k, room in enumerate(geometry.convolutions):
        M, V, lasting = room.maps, geometry.membrane_bits, geometry.continuous
        words = 1 << (room.words - 1).bit_length()
        memory += BANKS * M * (room.rows * geometry.weight_bits + 2 * words * V + room.words * (V - 1) * lasting)
        buffers += (2 << (room.positions - 1).bit_length()) * (POSITION_BITS + M) + M * ROUNDS * V * (1 + lasting)
        registers += _always(geometry, k) + M * _decision_bits(geometry)
        registers += BANKS * M * (geometry.sum_bits(k) + V * (1 if room.distributed else 2))
        adders += BANKS * M * (geometry.sum_bits(k) + V) + M * V * (1 + (2 + geometry.max_leak) * lasting)
    if geometry.convolutions:
        registers += ENDS_BITS + geometry.input_room + geometry.layers[0].inputs  # what is scanned, and what is gathered
    return memory, buffers, registers, adders


def room_of(layer: Layer) -> ConvolutionGeometry:
    """A core of the layer's own size, that takes it in one round."""
    window = layer.window
    assert window is not None
    height, width = window.positions
    words = -(-height // 3) * -(-width // 3)
    return ConvolutionGeometry(layer.columns, window.fan_in, words, math.prod(window.pooled) + 1)
