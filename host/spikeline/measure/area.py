"""How many LUTs, block RAMs and DSP slices a geometry takes of a 7-series device, estimated from its sizes alone.

The terms follow the Verilog module by module, and the constants are what Yosys maps (`make area`): an adder takes a LUT a bit, a
multiplexer one for four inputs, distributed RAM four LUTs for 6 bits of 32 words or for 3 of 64. `tests/unit/test_area_model.py`
holds the estimate to docs/results/area.json. UltraScale+ devices have the same LUTs, but their block RAMs are not covered where
weights are in UltraRAM.
"""

from dataclasses import dataclass

from spikeline.model.geometry import BANKS, POSITION_BITS, Geometry, LayerGeometry

FLAT, ONCE = 0.988, 470  # mapped together: the share that is left of the modules mapped one by one, and what is shared
ALWAYS = 37 + 198 + 394 + 221 + 100 + 18 + 77 + 344  # spikeline, spk_bursts, _crc, _events, _memory, _reader, _writer, _seed
ROW_PIXELS = 32
HALF_BLOCKS = ((2048, 9), (1024, 18), (512, 36))  # words and bits of half a block RAM


@dataclass(frozen=True)
class Area:
    """Estimated: LUTs, block RAMs of 36 kbit (by halves), DSP slices."""

    lut: int
    ramb36: float
    dsp: int


def area(geometry: Geometry) -> Area:
    """Estimate what `geometry` takes."""
    lut = _input(geometry) + _layers(geometry) + _output(geometry) + _convolutions(geometry)
    return Area(round(FLAT * (ALWAYS + lut) - ONCE), _blocks(geometry), _dsp(geometry))


def _input(geometry: Geometry) -> float:
    """spk_input, spk_encode, spk_core."""
    inputs = geometry.input_room
    buffer = distributed(ROW_PIXELS * 8, 2 * -(-inputs // ROW_PIXELS))
    vector = 314 + 54 * -(-inputs // 64)
    # Behind convolutions the first layer takes what they gather, or the input.
    core = 250 + 7 * geometry.classes + (1.06 * geometry.layers[0].inputs if geometry.convolutions else 0)
    return vector + 1650 + 122 * geometry.direct + buffer + core


def _layers(geometry: Geometry) -> float:
    """spk_layer, spk_scan, spk_slice, spk_ram, spk_fire and spk_decide, spk_fifo."""
    V, w, lut = geometry.membrane_bits, geometry.weight_bits, 362.0  # the queues of the memory port
    for k, room in enumerate(geometry.layers):
        P, N = room.spikes_per_cycle, room.neurons
        lut += 76 + 13.8 * geometry.classes
        lut += _scan(room.inputs, P)
        lut += N * (V + sum((P >> level) * (w + level) for level in range(1, P.bit_length())))
        # Beyond 256 words what a lane without a spike adds needs a gate a bit, unless it fits into a narrow sum.
        lut += _memories(room, geometry) * (3 + 64 * (-(-room.inputs // P) > 256 and w > 2))
        if geometry.continuous or (geometry.direct and k == 0):
            select = {8: 2, 16: 5, 32: 10}[geometry.group]
            lut += -(-N // geometry.group) * (select * V + 20 + _decide(geometry))
        lut += distributed(12 + N + geometry.classes * V, 16)
    return lut


def _decide(geometry: Geometry) -> float:
    """spk_decide: −θ and, continuous, bias, leak and saturation."""
    return geometry.membrane_bits * ((4.5 if geometry.max_leak else 4.0) if geometry.continuous else 2)


def _scan(inputs: int, lanes: int) -> float:
    return 1.21 * inputs + 113 * lanes


def _output(geometry: Geometry) -> float:
    """spk_decode, spk_loader, spk_regs."""
    cores = len(geometry.convolutions)
    return 278 + 67 * geometry.classes + 770 + 93 * cores + 640 + 46 * cores


def _convolutions(geometry: Geometry) -> float:
    """spk_convolve, spk_bank, spk_decide, spk_window, spk_locate, spk_unpack, spk_gather, spk_queue."""
    if not geometry.convolutions:
        return 0
    V = geometry.membrane_bits
    lut = 260 + _scan(geometry.input_room, 1) + 18 + 1.03 * geometry.layers[0].inputs
    for k, room in enumerate(geometry.convolutions):
        M, direct = room.maps, geometry.direct and k == 0
        words = 2 << (room.words - 1).bit_length()
        bank: float = 8 + M * (geometry.sum_bits(k) + V * (1 + direct))
        if room.distributed:
            bank += distributed(M * V, words)
        lut += BANKS * bank + 370 + 97 * M + M * _decide(geometry) + 2 * 98 + 181 + 20
    return lut


def distributed(bits: int, words: int) -> float:
    """LUTs of distributed RAM: 4 for 6 bits of 32 words, or for 3 bits of 64; more words are joined by multiplexers."""
    if words <= 32:
        return 4 * -(-bits // 6)
    blocks = -(-words // 64)
    return blocks * 4 * -(-bits // 3) + bits * (blocks > 1)


def block(bits: int, words: int) -> float:
    """Block RAMs of a memory that is written at one port and read at the other, by halves."""
    total = 0.0
    for depth, width in HALF_BLOCKS:
        whole, words = divmod(words, depth)
        total += whole * -(-bits // width) / 2
    depth, width = next((d, w) for d, w in reversed(HALF_BLOCKS) if words <= d)
    return total + (-(-bits // width) / 2 if words else 0)


def _memories(room: LayerGeometry, geometry: Geometry) -> int:
    """Memories of weights of a layer: two scan lanes share one, of 64 bits."""
    return -(-room.neurons // geometry.lanes) * max(room.spikes_per_cycle // 2, 1)


def _blocks(geometry: Geometry) -> float:
    total = 0.0
    for room in geometry.layers:
        if room.spikes_per_cycle == 1:
            total += _memories(room, geometry) * block(64, room.inputs)
        else:  # both ports read: 36 bits of 1,024 words each
            total += _memories(room, geometry) * 2 * -(-(-(-room.inputs // room.spikes_per_cycle) * 2) // 1024)
    for core in geometry.convolutions:
        M, V = core.maps, geometry.membrane_bits
        words = 2 << (core.words - 1).bit_length()
        total += BANKS * (M * geometry.weight_bits // 64) * block(64, core.rows)
        if not core.distributed:
            total += BANKS * block(M * V, words)
        if geometry.continuous:
            total += block(M * (V - 1), BANKS * core.words)
        total += block(POSITION_BITS + M, 2 << (core.positions - 1).bit_length())
    return total


def _dsp(geometry: Geometry) -> int:
    """Multiplications: by what a leak keeps, one for each neuron that is decided in a cycle; and those of sizes."""
    leaks = sum(-(-room.neurons // geometry.group) for room in geometry.layers) * geometry.continuous
    cores = len(geometry.convolutions)
    maps = sum(room.maps for room in geometry.convolutions) * geometry.continuous
    return 2 + leaks + maps + (22 * cores + 5 if cores else 0)
