"""Estimate the longest paths of a netlist that Yosys has mapped to 7-series cells: static timing, without placement.

Arrival times run through the netlist in topological order, from register to register. What a cell takes is published, for the
slowest corner of speed grade −1 (CELLS); what a wire takes is not known before placement, and comes from a model (`wire`). So
this is an estimate: it says which paths are long and how long they may be. It leaves out placement, congestion, clock skew and
jitter, the carry that begins in the middle of a slice, which of a LUT's pins is the fast one, hold times, and ports.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log2
from typing import Any

DEVICE = "XC7Z020-1 by published cell delays and a model of the wires: an estimate, without placement"
WIRE = "0.70 + 0.08·log2(fan-out) ns, none within a slice"


@dataclass(frozen=True)
class Timing:
    """What a cell takes, in ns; ports by name, with `*` for all bits or the names that go on so.

    arcs: (input, output) to delay. launch: output to delay after the clock. setup: input to time before it.
    """

    arcs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    launch: Mapping[str, float] = field(default_factory=dict)
    setup: Mapping[str, float] = field(default_factory=dict)


# LUT and FF: Prop_lut6_I0_O and Prop_fdre_C_Q as Vivado reports them for parts of speed grade −1, such as the XC7Z020; of the two
# delays of flip-flops (0.456 and 0.518) the longer. All else: Project X-Ray's artix7 timings, whose slow corner is that of −1,
# as Yosys cites them line by line in techlibs/xilinx/cells_sim.v. Where pins differ, the slowest counts.
LUT = Timing({("I*", "O"): 0.124})
FLIP_FLOP = Timing(launch={"Q": 0.518}, setup={"D": 0.0, "CE": 0.109, "R": 0.404, "S": 0.404, "CLR": 0.404, "PRE": 0.404})
LUTRAM = Timing(
    {("ADDR*", "DO*"): 0.642, ("A*", "SPO"): 0.642, ("DPRA*", "DPO"): 0.642, ("A*", "O"): 0.642},
    {"DO*": 1.190, "SPO": 1.153, "DPO": 1.153, "O": 1.153},
    {"DI*": 0.461, "D": 0.453, "WE": 0.654, "ADDRD": 0.362, **{f"A{n}": 0.362 for n in range(7)}},
)
SHIFT = Timing({("A*", "Q*"): 0.631}, {"Q*": 1.472}, {"D": 0.173, "CE": 0.109})
BLOCK_RAM = Timing(
    launch={"DO*": 2.454},
    setup={"ADDR*": 0.566, "WE*": 0.532, "EN*": 0.532, "DI*": 0.737, "REGCE*": 0.360, "RST*": 0.342},
)
MULTIPLIER = Timing({("A", "P"): 2.739, ("B", "P"): 2.608, ("C", "P"): 1.244, ("D", "P"): 3.635})  # without its registers

INTO_CARRY = {"CYINIT": (482, 598, 584, 642), "CI": (222, 334, 239, 313)}  # to O[0] … O[3], ps
OUT_OF_CARRY = {"CYINIT": (536, 494, 592, 580), "CI": (271, 157, 228, 114)}  # to CO[0] … CO[3]
FROM_BIT = {  # from DI[n] and S[n] to O[n] … O[3], and to CO[n] … CO[3]
    "DI": (
        ((0, 407, 556, 615), (379, 465, 540, 526)),
        ((0, 537, 596), (445, 520, 507)),
        ((0, 438), (356, 398)),
        ((0,), (385,)),
    ),
    "S": (
        ((223, 400, 523, 582), (340, 433, 512, 508)),
        ((205, 558, 618), (469, 548, 528)),
        ((226, 330), (292, 378)),
        ((227,), (380,)),
    ),
}


def _carry() -> Timing:
    arcs = {}
    for pin in ("CYINIT", "CI"):
        for n in range(4):
            arcs[pin, f"O[{n}]"], arcs[pin, f"CO[{n}]"] = INTO_CARRY[pin][n] / 1000, OUT_OF_CARRY[pin][n] / 1000
    for pin, bits in FROM_BIT.items():
        for n, (sums, carries) in enumerate(bits):
            arcs |= {(f"{pin}[{n}]", f"O[{n + k}]"): delay / 1000 for k, delay in enumerate(sums) if delay}
            arcs |= {(f"{pin}[{n}]", f"CO[{n + k}]"): delay / 1000 for k, delay in enumerate(carries)}
    return Timing(arcs)


CELLS = {
    **{f"LUT{n}": LUT for n in range(1, 7)},
    "INV": Timing({("I", "O"): 0.124}),
    "MUXF7": Timing({("I0", "O"): 0.217, ("I1", "O"): 0.223, ("S", "O"): 0.296}),
    "MUXF8": Timing({("I0", "O"): 0.104, ("I1", "O"): 0.094, ("S", "O"): 0.273}),
    "CARRY4": _carry(),
    **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), FLIP_FLOP),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM32X1D", "RAM64X1D", "RAM128X1D", "RAM32X1S", "RAM64X1S"), LUTRAM),
    **dict.fromkeys(("SRL16E", "SRLC16E", "SRLC32E"), SHIFT),
    **dict.fromkeys(("RAMB18E1", "RAMB36E1"), BLOCK_RAM),
    "DSP48E1": MULTIPLIER,
}
CLOCKS = {"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK", "REGCLKARDRCLK", "REGCLKB"}
LOGIC = {name for name in CELLS if name.startswith(("LUT", "INV"))}


def timing_of(kind: str, parameters: Mapping[str, Any]) -> Timing:
    """What a cell takes, with the registers that its parameters switch on. Raises ValueError for a cell that is not known."""
    if kind not in CELLS:
        raise ValueError(f"no delays for cells of type {kind}; add them to CELLS")

    def registers(name: str) -> bool:
        return int(str(parameters.get(name, "0")), 2) != 0

    if kind in ("RAMB18E1", "RAMB36E1"):
        launch = {f"DO{port}*": 0.882 if registers(f"DO{port}_REG") else 2.454 for port in "AB"}
        return Timing(launch=launch, setup=BLOCK_RAM.setup)
    if kind == "DSP48E1" and any(map(registers, ("AREG", "BREG", "CREG", "MREG", "PREG"))):
        inputs, inner = registers("AREG") or registers("BREG"), registers("MREG")
        launch = 0.329 if registers("PREG") else 1.671 if inner else 2.952
        setup = (0.324, 0.324, 0.168) if inputs else (1.416, 1.285, 1.244) if inner else (2.739, 2.608, 1.244)
        return Timing(launch={"P": launch}, setup={**dict(zip("ABC", setup, strict=True)), "CE*": 0.4, "RST*": 0.4})
    return CELLS[kind]


def wire(driver: str, output: str, sink: str, pin: str, fan_out: int, registers: int) -> float:
    """Nanoseconds from a cell's output to a pin; `fan_out`: all pins of the net, `registers`: those of them that are D.

    Within a slice the time of the wire is part of the cells': from a carry to the next, from a LUT to its carry or multiplexer,
    and into the one flip-flop behind them. Elsewhere 0.70 + 0.08·log2(fan-out): least squares over 16 nets of three public
    reports of Vivado, of routed designs in parts of speed grade −1, which lie about it by 0.26 ns.
    """
    if sink == "CARRY4" and (pin == "CI" or (pin.startswith("S") and driver in LOGIC and fan_out == 1)):
        return 0.0
    if sink in ("MUXF7", "MUXF8") and pin != "S":
        return 0.0
    if pin == "D" and sink.startswith("FD") and registers == 1 and not driver.startswith(("FD", "RAMB", "DSP")):
        return 0.0
    return 0.70 + 0.08 * log2(fan_out)


def matches(pattern: str, port: str) -> bool:
    """Is it this port: by name, by name and bit, or by how the name begins?"""
    name = port.partition("[")[0]
    return pattern in (port, name) or (pattern.endswith("*") and name.startswith(pattern[:-1]))


@dataclass
class _Pin:
    cell: str
    port: str  # with its bit, if it has several
    bit: int  # the net


def _pins(name: str, cell: Mapping[str, Any]) -> tuple[list[_Pin], list[_Pin]]:
    inputs, outputs = [], []
    for port, bits in cell["connections"].items():
        if port in CLOCKS:
            continue
        into = outputs if cell["port_directions"][port] == "output" else inputs
        into += [
            _Pin(name, port if len(bits) == 1 else f"{port}[{n}]", bit) for n, bit in enumerate(bits) if isinstance(bit, int)
        ]
    return inputs, outputs


def _names(module: Mapping[str, Any]) -> dict[int, str]:
    """Of each net the shortest name that the Verilog gave it."""
    names: dict[int, str] = {}
    for name, net in module["netnames"].items():
        if net.get("hide_name"):
            continue
        for n, bit in enumerate(net["bits"]):
            text = name if len(net["bits"]) == 1 else f"{name}[{n}]"
            if isinstance(bit, int) and (bit not in names or len(text) < len(names[bit])):
                names[bit] = text
    return names


def signal(name: str) -> str:
    """The signal that a net's bit belongs to, in terms of the Verilog: without what Yosys has put behind."""
    return re.sub(r"(_(LUT\d|INV|CARRY4|MUXF[78]|FD[RSCP]E)_.*)?(\[\d+\])?$", "", name)


def longest_paths(module: Mapping[str, Any], count: int = 10) -> list[dict[str, Any]]:
    """The longest paths of a flat module of Yosys' JSON, from register to register, the longest first.

    Of paths between the same two signals of the Verilog only the longest. Each has `start`, `end` with its pin, `delay_ns`,
    `wire_ns` of it, `levels` of LUTs, `carries` (CARRY4) and `through`, the signals on its way. Raises ValueError for a cell
    without delays and for a loop of logic.
    """
    cells = {name: cell for name, cell in module["cells"].items() if not cell["type"].startswith("$")}  # without notes
    timings = {name: timing_of(cell["type"], cell.get("parameters", {})) for name, cell in cells.items()}
    kinds = {name: cell["type"] for name, cell in cells.items()}
    names = _names(module)
    sinks: dict[int, list[_Pin]] = defaultdict(list)
    inputs, outputs = {}, {}
    for name, cell in cells.items():
        inputs[name], outputs[name] = _pins(name, cell)
        for pin in inputs[name]:
            sinks[pin.bit].append(pin)
    registers = {bit: sum(p.port == "D" and kinds[p.cell].startswith("FD") for p in pins) for bit, pins in sinks.items()}

    # Arrival at each output, and the pin that it comes from last.
    arrival: dict[int, float] = {}
    driver: dict[int, _Pin] = {}
    before: dict[int, _Pin | None] = {}
    at_pin: dict[tuple[str, str], float] = {}
    waiting: dict[str, int] = {}
    ready: list[int] = []

    def arrive(pin: _Pin, when: float, last: _Pin | None) -> None:
        if when > arrival.get(pin.bit, -1.0):
            arrival[pin.bit], before[pin.bit] = when, last

    for name, timing in timings.items():
        for pin in outputs[name]:
            driver[pin.bit] = pin
            for pattern, delay in timing.launch.items():
                if matches(pattern, pin.port):
                    arrive(pin, delay, None)
        logic = [p for p in inputs[name] if any(matches(pattern, p.port) for pattern, _ in timing.arcs)]
        waiting[name] = len(logic)
    driven = {pin.bit for pins in outputs.values() for pin in pins}
    # What no cell drives, a port or a constant, begins no path.
    for bit in sinks.keys() - driven:
        for pin in sinks[bit]:
            if any(matches(pattern, pin.port) for pattern, _ in timings[pin.cell].arcs):
                waiting[pin.cell] -= 1

    def finish(name: str) -> None:
        timing = timings[name]
        for pin in outputs[name]:
            for source in inputs[name]:
                if (name, source.port) not in at_pin:
                    continue
                delays = [d for (a, b), d in timing.arcs.items() if matches(a, source.port) and matches(b, pin.port)]
                if delays:
                    arrive(pin, at_pin[name, source.port] + max(delays), source)
            ready.append(pin.bit)

    for name, left in list(waiting.items()):
        if left == 0:
            finish(name)
    ends: list[tuple[float, _Pin]] = []
    done = 0
    while done < len(ready):
        bit = ready[done]
        done += 1
        source = driver[bit]
        for pin in sinks[bit]:
            timing = timings[pin.cell]
            if bit in arrival:
                delay = wire(kinds[source.cell], source.port, kinds[pin.cell], pin.port, len(sinks[bit]), registers[bit])
                when = at_pin[pin.cell, pin.port] = arrival[bit] + delay
                ends += [(when + setup, pin) for pattern, setup in timing.setup.items() if matches(pattern, pin.port)][:1]
            if any(matches(pattern, pin.port) for pattern, _ in timing.arcs):
                waiting[pin.cell] -= 1
                if waiting[pin.cell] == 0:
                    finish(pin.cell)
    if stuck := [name for name, left in waiting.items() if left > 0]:
        raise ValueError(f"a loop of logic, or a net with two drivers, at {stuck[0]}")

    paths: dict[tuple[str, str], dict[str, Any]] = {}
    for when, end in sorted(ends, key=lambda e: -e[0]):
        bits, pin = [], end
        while pin is not None:
            bits.append(pin.bit)
            pin = before[pin.bit]
        bits.reverse()
        start = signal(names.get(bits[0], driver[bits[0]].cell))
        after = next((names[p.bit] for p in outputs[end.cell] if p.bit in names), end.cell)
        stop = f"{signal(after)}.{end.port.partition('[')[0]}"
        if (start, stop) not in paths:
            steps = [driver[bit].cell for bit in bits[1:]]
            logic = arrival[bits[0]] + sum(arrival[b] - at_pin[driver[b].cell, before[b].port] for b in bits[1:])  # type: ignore[union-attr]
            setup = when - at_pin[end.cell, end.port]
            through = [signal(names[bit]) for bit in bits if bit in names]
            paths[start, stop] = {
                "start": start,
                "end": stop,
                "delay_ns": round(when, 2),
                "wire_ns": round(when - logic - setup, 2),
                "levels": sum(kinds[step] in LOGIC for step in steps),
                "carries": sum(kinds[step] == "CARRY4" for step in steps),
                "through": [name for n, name in enumerate(through) if n == 0 or name != through[n - 1]],
            }
        if len(paths) == count:
            break
    return list(paths.values())
