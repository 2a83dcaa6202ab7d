"""What the accelerator does with a packet of images, counted: the operations that cost energy.

Counted from the golden model's spikes and the cycle model, for all images in seconds; `tests/system/test_energy_activity.py`
holds the counts to the hardware counters and to a switching-activity file of the RTL. The Verilog says what is counted:

**A layer** (spk_layer.v, spk_scan.v, spk_slice.v, spk_fire.v) of I inputs, N neurons, P scan lanes, w weight bits, V membrane
bits. `steps` S are the time steps that it works on and `cycles` A those in which it does (`running_reg`; three cycles later
`sum_active`): of each step the spikes of its busiest lane, at least 1, and where neurons are decided one after another as many as
it waits for those of the step before.

    row_reads             R: spikes that enter, each of which reads one row (`read_reg`)
    weight_bits_read      R · N · w
    lane_adds             R · N: a weight goes into the sum over the lanes, w + log2 P bits wide (`lane_add_bits`)
    current_adds          A · N: a sum goes into the current of a neuron, V bits
    compares              D · N, D of the S steps are decided: is it to fire? The sign of a sum, so there is no comparator
    membrane_adds         additions of a decision, V bits: of direct input one, −θ; of a continuous neuron three, −θ, bias and
                          current, and one for each bit of the factor that leaks; none of another, whose current starts at −θ
    current_bits          a current that goes on or is written, a pair of both: A · N · V
    state_bits            a state that is read and written, continuous: D · N · (V − 1)
    start_read_bits       D · N · V: the −θ that a discontinuous current starts from, or is added in a decision
    bias_read_bits        D · N · V of a continuous layer that has biases
    queue_write_bits      D steps to the next layer: N spikes, the membranes of the classes, a tag; read once each
    scan_bits             bits that the scanners look through: I a step, 16 a lane and cycle, 16 a group that is fetched
    fetches               groups of 16 inputs that hold a spike (`take`)
    clocked_bits          register bits whose clock is let through: a register with an enable when that is high, any
                          other in every cycle of the packet. The words that a memory shows are the memory's own.

**The core** (spk_encode.v, spk_seed.v, spk_input.v, spk_decode.v, spk_loader.v, spk_regs.v):

    pixel_write_bits      8 a pixel, once an image; pixel_read_bits: rows of 32 pixels, at every step
    draws                 random bytes, 32 a row, of the Bernoulli encoder
    draw_gates            two-input XORs of four advances of its generator, a row
    encode_compare_bits   two comparisons of 8 bits a pixel and step; of direct input, one choice of 8
    input_words           64-bit words of spikes, or events, that are gathered to vectors
    decode_adds           classes of each step that counts, 32 bits; `decode_compares`: the classes, where they are compared
    clocked_bits          as above

An encoder that is not used (spikes or events are sent) counts as not built.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from spikeline.energy import convolution_activity
from spikeline.energy.convolution_activity import tag_bits
from spikeline.energy.register_bits import (
    COUNTER_BITS,
    DRAW_BITS,
    ENCODE_BITS,
    FETCH_BITS,
    PIPELINE_BITS,
    PLANE_BITS,
    QUEUE_BITS,
    SCAN_BITS,
    SEED_BITS,
    SERIAL_BITS,
)
from spikeline.measure import cycles
from spikeline.model import golden
from spikeline.model.geometry import Geometry, LayerGeometry
from spikeline.model.model_file import row_order
from spikeline.model.network import VALUE_BITS, Network
from spikeline.model.spec import Encoder

Counts = dict[str, int]

GROUP = cycles.GROUP
DECISION_STAGES = 6  # of spk_fire.v
LOADER_BITS = 180  # about: what follows from the sizes of a layer
CONFIG_BITS = 500  # about: the configuration, and what is left of a packet
ROW_PIXELS = cycles.ROW


@dataclass(frozen=True)
class Activity:
    """Counts of a packet, summed over its images: per layer, and of the rest of the core."""

    images: int
    cycles: int
    layers: tuple[Counts, ...]
    core: Counts

    def __add__(self, other: "Activity") -> "Activity":
        """Of both packets, one after the other."""
        return Activity(
            self.images + other.images,
            self.cycles + other.cycles,
            tuple(_sum(a, b) for a, b in zip(self.layers, other.layers, strict=True)),
            _sum(self.core, other.core),
        )

    def total(self, name: str) -> int:
        """Of all layers and the core."""
        return sum(x.get(name, 0) for x in (*self.layers, self.core))

    def per_image(self) -> dict[str, object]:
        """The counts of the mean image."""
        return {
            "layers": [{name: n / self.images for name, n in x.items()} for x in self.layers],
            "core": {name: n / self.images for name, n in self.core.items()},
        }


def _sum(a: Counts, b: Counts) -> Counts:
    return {name: a[name] + b[name] for name in a}


def needed_weight_bits(network: Network) -> int:
    """Bits of two's complement that hold every weight: 2, 3, 4 …, at least 2."""
    low = min(int(x.weights.min()) for x in network.layers)
    high = max(int(x.weights.max()) for x in network.layers)
    return 1 + max((~min(low, -1)).bit_length(), max(high, 1).bit_length())


def built_for(network: Network, spikes_per_cycle: tuple[int, ...] = (4, 2), clock_mhz: float = 100) -> Geometry:
    """Hardware of the network's own sizes: no room that it does not use, weights of the bits that it needs.

    spikes_per_cycle: of the layers; the last number holds for the layers that follow. Not a geometry to be simulated.
    """
    convolutions, connected = network.layers[: network.convolutions], network.layers[network.convolutions :]
    lanes = [spikes_per_cycle[min(n, len(spikes_per_cycle) - 1)] for n in range(len(connected))]
    return Geometry(
        name="built for the network",
        layers=tuple(LayerGeometry(x.inputs, x.neurons, p) for x, p in zip(connected, lanes, strict=True)),
        convolutions=tuple(convolution_activity.room_of(x) for x in convolutions),
        inputs=network.layers[0].inputs,
        weight_bits=needed_weight_bits(network),
        membrane_bits=max(network.membrane_bits, *(x.state_bits + 1 for x in network.layers)),
        classes=network.layers[-1].neurons + network.layers[-1].neurons % 2,
        clock_mhz=clock_mhz,
        continuous=network.continuous,
        max_leak=max(x.leak for x in network.layers),
        direct=network.direct,
    )


def count(
    geometry: Geometry, network: Network, spikes: np.ndarray, trace: golden.Trace, input: str = "pixels"
) -> tuple[Activity, cycles.Prediction]:
    """Count what one packet makes `geometry` do: of spikes, uint8 or bool (B, T, inputs), and their `trace`.

    input: `pixels` that are encoded to these spikes, or `spikes` or `events`, as they are sent. Steps that early exit saves
    are not counted; those that are under way when an image is decided are.
    """
    predicted = cycles.predict(geometry, network, spikes, trace, input=input)
    layers = []
    for k, layer in enumerate(network.layers):
        entering = spikes if k == 0 else trace.spikes[k - 1]
        if layer.window:
            layers.append(convolution_activity.count(geometry, network, k, entering, trace, predicted))
        else:
            layers.append(_layer(geometry, network, k, entering, predicted))
    return Activity(
        len(spikes), predicted.cycles, tuple(layers), _core(geometry, network, spikes, trace, predicted, input)
    ), predicted


def _layer(geometry: Geometry, network: Network, number: int, entering: np.ndarray, predicted: cycles.Prediction) -> Counts:
    layer, taken = network.layers[number], predicted.taken[number]
    k = number - network.convolutions
    if k == 0 and number:  # a convolution's spikes, position by position
        entering = entering[..., row_order(layer, network.layers[number - 1])]
    room = geometry.layers[k]
    P, N, w, V = room.spikes_per_cycle, room.neurons, geometry.weight_bits, geometry.membrane_bits
    S, A = int(taken.sum()), predicted.work[f"layer {k}"]
    R = int(entering.sum(-1, dtype=np.int64)[taken[:, -entering.shape[1] :]].sum())
    fetches = int(cycles.scan(entering, P).fetches.reshape(entering.shape[:2])[taken[:, -entering.shape[1] :]].sum())
    D, direct = S, network.direct and number == 0
    if direct:
        D = int(taken[:, -1].sum())
    additions = 3 + geometry.max_leak if layer.continuous else 1 if direct else 0
    counts = {
        "steps": S,
        "cycles": A,
        "fetches": fetches,
        "row_reads": R,
        "weight_bits_read": R * N * w,
        "lane_adds": R * N,
        "lane_add_bits": R * N * sum_bits(geometry, k),
        "current_adds": A * N,
        "membrane_adds": D * N * additions,
        "membrane_add_bits": (A + D * additions) * N * V,
        "compares": D * N,
        "current_bits": A * N * V,
        "state_bits": D * N * (V - 1) * layer.continuous,
        "start_read_bits": D * N * V,
        "bias_read_bits": D * N * V * layer.biased,
        "queue_write_bits": D * queue_bits(geometry, k),
        "queue_read_bits": D * queue_bits(geometry, k),
        "scan_bits": S * room.inputs + P * A * GROUP + fetches * GROUP,
    }
    counts["clocked_bits"] = _clocked(geometry, k, counts, predicted.cycles, layer.continuous or direct)
    return counts


def sum_bits(geometry: Geometry, k: int) -> int:
    """Bits of the sum over the scan lanes."""
    return geometry.weight_bits + int(math.log2(geometry.layers[k].spikes_per_cycle))


def queue_bits(geometry: Geometry, k: int) -> int:
    """Bits of a step in the queue behind a layer."""
    return tag_bits(geometry) + geometry.layers[k].neurons + geometry.classes * geometry.membrane_bits


def _bits(count: int) -> int:
    """Bits of an index, $clog2, at least 1."""
    return max(1, (count - 1).bit_length())


def _lane(room: LayerGeometry) -> tuple[int, int]:
    """Groups of a scan lane, and the bits of their index."""
    groups = -(-room.inputs // (room.spikes_per_cycle * GROUP))
    return groups, _bits(groups)


def _always(geometry: Geometry, k: int) -> int:
    """Register bits of a layer without an enable."""
    room = geometry.layers[k]
    P, slices = room.spikes_per_cycle, -(-room.neurons // geometry.lanes)
    rows = P * room.neurons * geometry.weight_bits  # what the memories gave, or 0
    address = P * (_bits(-(-room.inputs // P)) + (P > 1))
    writing = 64 + _bits(geometry.lanes // 2) + slices * (max(P // 2, 1) + 2) + 2 * slices + geometry.lanes
    deciding = 0
    if _shared(geometry, k):
        index = _bits(geometry.group)
        deciding = SERIAL_BITS + DECISION_STAGES * index + geometry.max_leak + 1 + geometry.lanes // geometry.group
    return rows + address + writing + P * (SCAN_BITS + 1) + PIPELINE_BITS + _bits(geometry.group) + deciding


def _shared(geometry: Geometry, k: int) -> bool:
    """Has layer k logic that its neurons share?"""
    return geometry.continuous or (geometry.direct and k == 0)


def _decision_bits(geometry: Geometry) -> int:
    """Register bits that a decision passes: current, membrane twice, −θ, v − θ; state, product, bias and the sum of both.

    Of a group of 8 or 32, a current of each half.
    """
    V = geometry.membrane_bits
    return (5 if geometry.group == 16 else 6) * V + (4 * V - 1 + geometry.max_leak if geometry.continuous else 0)


def _clocked(geometry: Geometry, k: int, counts: Counts, packet_cycles: int, serial: bool) -> int:
    room = geometry.layers[k]
    P, N, S = room.spikes_per_cycle, room.neurons, counts["steps"]
    groups, index = _lane(room)
    V = geometry.membrane_bits
    accepted = room.inputs + P * (groups + tag_bits(geometry))
    fetched = FETCH_BITS + index + groups
    finished = N + geometry.classes * V + QUEUE_BITS + tag_bits(geometry)  # fired, final, queue pointers, user
    if serial:  # currents that are held, what a decision passes, spikes that are shifted in
        finished += N * (V + _decision_bits(geometry) + geometry.group - 1)
        finished += (geometry.group - 1) * geometry.classes * V * (geometry.direct and k == 0)
    return (
        packet_cycles * _always(geometry, k)
        + S * accepted
        + counts["compares"] // N * finished
        + counts["fetches"] * (fetched + index + 1)
        + counts["cycles"] * N * sum_bits(geometry, k)
        + counts["current_bits"]
    )


@cache
def draw_gates() -> int:
    """Two-input XORs that make the 32 random bytes of a row: the parities of 1, 2, 3 and 4 advances of spk_encode.v."""
    gates = 0
    for advances in range(1, 5):
        ones = 0
        for bit in range(64):
            x = 1 << bit
            for _ in range(advances):
                x ^= x << 13 & (1 << 64) - 1
                x ^= x >> 7
                x ^= x << 17 & (1 << 64) - 1
            ones += x.bit_count() if hasattr(x, "bit_count") else bin(x).count("1")
        gates += ones - 64
    return gates


def _core(
    geometry: Geometry, network: Network, spikes: np.ndarray, trace: golden.Trace, predicted: cycles.Prediction, input: str
) -> Counts:
    images, steps = len(spikes), int(predicted.handed.sum())
    inputs, classes = geometry.input_room, geometry.classes
    added = int(trace.steps.astype(int).sum())  # steps that count for a class
    compared = images if network.exit_margin is None else added
    vector = -(-inputs // cycles.WORD)
    gathered = int(spikes.sum()) if input == "events" else steps * vector
    pixels = input == "pixels"
    rows = steps * -(-inputs // ROW_PIXELS) if pixels else 0
    bernoulli = pixels and network.encoder == Encoder.BERNOULLI
    value_bits = classes * VALUE_BITS
    cores = len(geometry.layers) + len(geometry.convolutions)
    clocked = predicted.cycles * (
        LOADER_BITS
        + COUNTER_BITS * (5 + cores)
        + classes * geometry.membrane_bits
        + tag_bits(geometry)
        + (ENCODE_BITS + PLANE_BITS * geometry.direct if pixels else 0)
    )
    clocked += (
        rows * (64 + 30)
        + steps * ((2 * vector - 1) * cycles.WORD + tag_bits(geometry))
        + gathered * (cycles.WORD if input == "events" else 60)
    )
    clocked += (images * cycles.SEED * SEED_BITS) if bernoulli else 0
    clocked += added * value_bits + compared * classes * (value_bits + 2 * VALUE_BITS)
    return {
        "steps": steps,
        "pixel_write_bits": images * inputs * 8 if pixels else 0,
        "pixel_read_bits": rows * ROW_PIXELS * 8,
        "draws": rows * ROW_PIXELS if bernoulli else 0,
        "draw_gates": rows * draw_gates() if bernoulli else 0,
        "encode_compare_bits": rows * ROW_PIXELS * (8 if network.direct else 16),
        "input_words": gathered,
        "decode_adds": added * classes,
        "decode_compares": compared * classes,
        "clocked_bits": clocked,
    }


@dataclass(frozen=True)
class Hardware:
    """What leaks: bits of memory (weights, membranes of convolutions), of queues and pixel buffer, of registers and of adders."""

    memory_bits: int
    buffer_bits: int
    register_bits: int
    adder_bits: int


def hardware(geometry: Geometry, encoder: bool = True) -> Hardware:
    """Count what a geometry is built of, with or without the encoder and its buffer of two images."""
    weights, buffers, registers, adders = convolution_activity.built(geometry)
    tag = tag_bits(geometry)
    for k, room in enumerate(geometry.layers):
        P, N, V = room.spikes_per_cycle, room.neurons, geometry.membrane_bits
        groups, index = _lane(room)
        groups_of_neurons = -(-N // geometry.group) if _shared(geometry, k) else 0
        weights += room.inputs * N * geometry.weight_bits
        buffers += 16 * queue_bits(geometry, k)
        registers += _always(geometry, k) + room.inputs + P * (2 * groups + tag + 2 * index + FETCH_BITS + 1) + tag + QUEUE_BITS
        registers += N * (2 * V + sum_bits(geometry, k) + 1) + geometry.classes * V  # current, −θ, sum over the lanes, spike
        adders += N * ((P - 1) * sum_bits(geometry, k) + V)
        if groups_of_neurons:  # and a current that is held; −θ, state and bias are in memory
            buffers += N * (V + (2 * V - 1) * geometry.continuous)
            registers += N * V + groups_of_neurons * _decision_bits(geometry) + 2 * tag
            registers += geometry.classes * V * (geometry.direct and k == 0)
            adders += groups_of_neurons * V * (2 + (2 + geometry.max_leak) * geometry.continuous)
    classes, inputs = geometry.classes, geometry.input_room
    cores = len(geometry.layers) + len(geometry.convolutions)
    registers += LOADER_BITS + CONFIG_BITS + COUNTER_BITS * (5 + cores) + classes * (geometry.membrane_bits + 2 * VALUE_BITS)
    registers += -(-inputs // cycles.WORD) * cycles.WORD + 2 * VALUE_BITS
    adders += classes * VALUE_BITS + 3 * VALUE_BITS + COUNTER_BITS * (5 + cores)
    if encoder:
        buffers += 2 * 8 * inputs
        registers += ENCODE_BITS + PLANE_BITS * geometry.direct + DRAW_BITS + SEED_BITS + 60  # about: rows, steps and words left
        adders += ROW_PIXELS * 16
    return Hardware(weights, buffers, registers, adders)
