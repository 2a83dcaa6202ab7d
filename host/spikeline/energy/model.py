"""The energy model: prices the counts of `activity` with the constants of a profile, a JSON file; low, typical, high.

Every constant is a triple and the parts are sums of products of them, so an estimate is an interval: its ends are all
constants low, and all high, together. Energies of single operations are in pJ, of images in nJ.

    weights     reads of rows: words of 64 bits, each in macros of `sram_macro_bytes`,
                sram_read_pj · (macro / 8 KB)^exponent · (fixed share + (1 − fixed share) · bits / 64)
    currents    and states of convolutions, read and written: words of the same kind of memory
    buffers     queues between layers and the pixel buffer, bit by bit
    wires       rows on their way to the adders
    lanes       sums over the scan lanes;    membranes   sums into membranes, and the signs that say what fires
    scan        finding the spikes;          encoder     random numbers and comparisons;    decoder  class values
    clock       clock pins of the registers whose clock is let through, and the tree before them
    registers   those that change; the state of a membrane is a register, so its reads and writes are in here and in `clock`
    leakage     of memory bits and gates over the time of an image; `static`: what draws power whatever there is to do
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.energy.activity import Activity, hardware
from spikeline.errors import DataError
from spikeline.files import parse_json, read
from spikeline.model.geometry import Geometry
from spikeline.model.network import VALUE_BITS

FOLDER = Path(__file__).parent
ENDS = ("low", "typical", "high")
WORD_BITS = 64
LARGEST = 1 << 20  # bytes of a profile
MACRO_BYTES = 8192  # that sram_read_pj is of

# The constants that there are, and their units.
UNITS = {
    "scale": "1",
    "sram_read_pj": "pJ",
    "sram_macro_bytes": "byte",
    "sram_size_exponent": "1",
    "sram_fixed_share": "1",
    "buffer_read_pj": "pJ",
    "buffer_write_pj": "pJ",
    "add_8_pj": "pJ",
    "gate_pj": "pJ",
    "register_clock_pj": "pJ",
    "register_toggle_pj": "pJ",
    "toggle_share": "1",
    "clock_tree_share": "1",
    "wire_pj_per_mm": "pJ",
    "row_wire_mm": "mm",
    "cycle_ns": "ns",
    "memory_leak_nw": "nW",
    "gate_leak_nw": "nW",
    "gates_per_register_bit": "gates",
    "gates_per_buffer_bit": "gates",
    "gates_per_adder_bit": "gates",
    "static_mw": "mW",
}
EXACT = ("sram_size_exponent",)  # must be one value, or low could come out above high
SHARES = ("sram_fixed_share",)  # at most 1

MEMORY = ("weights", "currents", "buffers")
LOGIC = ("wires", "lanes", "membranes", "scan", "encoder", "decoder", "clock", "registers")
LEAKAGE = ("memory leakage", "logic leakage", "static")
Interval = np.ndarray  # float (3,): low, typical, high


class ProfileError(DataError):
    """An energy profile cannot be used. The message names the key and what to write there."""


@dataclass(frozen=True)
class Constant:
    """One constant of a profile, its ends and where it comes from."""

    ends: Interval
    unit: str
    source: str


@dataclass(frozen=True)
class Profile:
    """A technology: its constants by name, and the SHA-256 of the file they are from."""

    name: str
    title: str
    constants: dict[str, Constant]
    sha256: str

    def __getitem__(self, name: str) -> Interval:
        """Of a constant: low, typical, high, as in the file."""
        return self.constants[name].ends

    def pj(self, name: str) -> Interval:
        """Of an energy: scaled to the process."""
        return self[name] * self["scale"]

    @property
    def clock_mhz(self) -> float:
        """The typical clock."""
        return float(1e3 / self["cycle_ns"][1])

    def row_pj(self, bits: int) -> Interval:
        """Energy of reading one row, of `bits`, from memory, pJ: in words of 64 and one for the rest."""
        size = (self["sram_macro_bytes"] / MACRO_BYTES) ** self["sram_size_exponent"]
        fixed = self["sram_fixed_share"]
        words = -(-bits // WORD_BITS)
        return self.pj("sram_read_pj") * size * (fixed * words + (1 - fixed) * bits / WORD_BITS)


def names() -> list[str]:
    """The profiles that are shipped."""
    return sorted(p.stem for p in FOLDER.glob("*.json"))


def load(name: str | Path) -> Profile:
    """Read a profile by its name or from a JSON file. Raises ProfileError for one that is not there or not sound."""
    path = Path(name) if Path(name).suffix == ".json" else FOLDER / f"{name}.json"
    try:
        content = read(path, LARGEST)
        data = parse_json(content)
    except FileNotFoundError:
        raise ProfileError(f"no energy profile {name}; there are {', '.join(names())}, or name a .json file") from None
    except OSError as error:
        raise ProfileError(f"{path} cannot be read ({error.strerror}); name a .json file") from None
    except ValueError as error:
        raise ProfileError(f"{path} is no JSON ({error}); copy a shipped profile and change its numbers") from None
    if not isinstance(data, dict) or not isinstance(data.get("constants"), dict):
        raise ProfileError(f"{path} has no `constants`; write an object with a constant for each of {', '.join(UNITS)}")
    given = data["constants"]
    if missing := [key for key in UNITS if key not in given]:
        raise ProfileError(f"{path} lacks {', '.join(missing)}; take them from a shipped profile, such as {names()[0]}.json")
    if unknown := [key for key in given if key not in UNITS]:
        raise ProfileError(f"{path} has {', '.join(unknown)}, which mean nothing; remove them, or mend their spelling")
    constants = {key: _constant(path, key, given[key]) for key in UNITS}
    return Profile(str(data.get("name", path.stem)), str(data.get("title", "")), constants, hashlib.sha256(content).hexdigest())


def _constant(path: Path, key: str, given: object) -> Constant:
    where = f"{path}: {key}"
    if not isinstance(given, dict):
        raise ProfileError(f'{where} is no object; write {{"low": …, "typical": …, "high": …, "unit": …, "source": …}}')
    if extra := set(given) - {"value", "unit", "source", *ENDS}:
        raise ProfileError(f"{where} has {', '.join(sorted(extra))}; it takes low, typical, high (or value), unit and source")
    if "value" in given and any(end in given for end in ENDS):
        raise ProfileError(f"{where} has a value and ends as well; write one of them")
    values: list[Any] = [given["value"]] * 3 if "value" in given else [given.get(end) for end in ENDS]
    if not all(_number(x) for x in values):
        raise ProfileError(f"{where} is {values}; write numbers from 0 for low, typical and high, or for value")
    if not values[0] <= values[1] <= values[2]:
        raise ProfileError(f"{where} is {values}; low, typical and high must stand in rising order")
    if key in EXACT and values[0] != values[2]:
        raise ProfileError(f"{where} is {values}; it must be one value")
    if key in SHARES and values[2] > 1:
        raise ProfileError(f"{where} is {values}; a share is at most 1")
    if given.get("unit") != UNITS[key]:
        raise ProfileError(f"{where} has the unit {given.get('unit')!r}; it is counted in {UNITS[key]!r}")
    if not isinstance(given.get("source"), str) or not given["source"]:
        raise ProfileError(f"{where} has no source; say where the number comes from")
    return Constant(np.array(values, float), UNITS[key], given["source"])


def _number(x: object) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x) and x >= 0


@dataclass(frozen=True)
class Estimate:
    """Energy of the mean image, nJ: by part, each low, typical, high; and of the layers alone, their memory and their adders."""

    parts: dict[str, Interval]
    layers: tuple[Interval, ...]

    @property
    def total(self) -> Interval:
        """Low, typical, high."""
        return np.sum(list(self.parts.values()), axis=0)

    def share(self, parts: tuple[str, ...]) -> float:
        """Of some parts in the typical energy."""
        return float(sum(self.parts[name][1] for name in parts) / self.total[1])


def estimate(profile: Profile, geometry: Geometry, activity: Activity, encoder: bool = True) -> Estimate:
    """Energy of an image of `activity` on hardware of `geometry`, with or without an encoder, in a technology."""
    layers = activity.layers
    bits, V = geometry.weight_bits, geometry.membrane_bits
    first = sum("bank_reads" in n for n in layers)  # convolutions
    banks = list(zip(layers[:first], geometry.convolutions, strict=False))
    rows = [n["bank_reads"] * profile.row_pj(room.maps * bits) for n, room in banks]
    rows += [n["row_reads"] * profile.row_pj(x.neurons * bits) for n, x in zip(layers[first:], geometry.layers, strict=False)]
    currents = [n["current_words"] * profile.row_pj(room.maps * V) for n, room in banks]
    states = [n["state_words"] * profile.row_pj(room.maps * (V - 1)) for n, room in banks]
    lasting: list[Interval] = [2 * (a + b) for a, b in zip(currents, states, strict=True)]  # read and written
    lasting += [np.zeros(3)] * (len(layers) - first)
    add_bit, gate = profile.pj("add_8_pj") / 8, profile.pj("gate_pj")
    wire = profile.pj("wire_pj_per_mm") * profile["row_wire_mm"]
    wires = [n["weight_bits_read"] * wire for n in layers]
    lanes = [n["lane_add_bits"] * add_bit for n in layers]
    membranes = [n["membrane_add_bits"] * add_bit + n["compares"] * gate for n in layers]
    core = activity.core
    clocked = activity.total("clocked_bits")
    leaf = profile.pj("register_clock_pj")
    built = hardware(geometry, encoder)
    gates = (
        built.register_bits * profile["gates_per_register_bit"]
        + built.buffer_bits * profile["gates_per_buffer_bit"]
        + built.adder_bits * profile["gates_per_adder_bit"]
    )
    nanoseconds = activity.cycles * profile["cycle_ns"]
    parts = {
        "weights": sum(rows),
        "currents": sum(lasting),
        "buffers": (activity.total("queue_write_bits") + core["pixel_write_bits"]) * profile.pj("buffer_write_pj")
        + (activity.total("queue_read_bits") + core["pixel_read_bits"]) * profile.pj("buffer_read_pj"),
        "wires": sum(wires),
        "lanes": sum(lanes),
        "membranes": sum(membranes),
        "scan": activity.total("scan_bits") * gate,
        "encoder": core["draw_gates"] * gate + core["encode_compare_bits"] * add_bit,
        "decoder": (core["decode_adds"] + 2 * core["decode_compares"]) * VALUE_BITS * add_bit,
        "clock": clocked * leaf * (1 + profile["clock_tree_share"]),
        "registers": clocked * profile["toggle_share"] * profile.pj("register_toggle_pj"),
        "memory leakage": built.memory_bits * profile["memory_leak_nw"] * nanoseconds * 1e-6,  # nW · ns = 1e-6 pJ
        "logic leakage": gates * profile["gate_leak_nw"] * nanoseconds * 1e-6,
        "static": profile["static_mw"] * nanoseconds,  # mW · ns = pJ
    }
    per_image = 1e-3 / activity.images
    return Estimate(
        {name: np.asarray(pj, float) * per_image for name, pj in parts.items()},
        tuple(np.sum(pj, axis=0) * per_image for pj in zip(rows, lasting, wires, lanes, membranes, strict=True)),
    )
