"""The timing estimate of a mapped netlist: small netlists whose longest path can be added up by hand."""

import pytest

from spikeline_rtl.synthesis import netlist_timing
from spikeline_rtl.synthesis.netlist_timing import longest_paths

CLOCK_TO_Q, LUT, NET = 0.518, 0.124, 0.70
OUTPUTS = {"O", "CO", "Q", "DOADO", "P", "DOA"}


def cell(kind, parameters=None, **connections):
    bits = {port: net if isinstance(net, list) else [net] for port, net in connections.items()}
    directions = {port: "output" if port in OUTPUTS else "input" for port in bits}
    return {"type": kind, "parameters": parameters or {}, "port_directions": directions, "connections": bits}


def register(d, q, **more):
    return cell("FDRE", C=1, D=d, Q=q, CE="1", R="0", **more)


def module(cells, **nets):
    names = {name: {"bits": bits if isinstance(bits, list) else [bits]} for name, bits in nets.items()}
    return {"cells": cells, "netnames": names}


def one(cells, **nets):
    (path, *others) = longest_paths(module(cells, **nets))
    assert others == []
    return path


def test_from_register_to_register():
    """Clock to Q, the wire, the LUT; the wire from a LUT to its own flip-flop is in the slice."""
    cells = {"a": register("x", 10), "l": cell("LUT1", I0=10, O=11), "b": register(11, 12)}
    assert one(cells, a_reg=10, b_reg=12) == {
        "start": "a_reg",
        "end": "b_reg.D",
        "delay_ns": round(CLOCK_TO_Q + NET + LUT, 2),
        "wire_ns": NET,
        "levels": 1,
        "carries": 0,
        "through": ["a_reg"],
    }


def test_the_latest_input_counts_and_wires_grow_with_their_pins():
    """Two LUTs one after the other, the first with two sinks: 0.08 ns more for each doubling."""
    cells = {
        "a": register("x", 10),
        "first": cell("LUT2", I0=10, I1=10, O=11),  # two pins of one net
        "second": cell("LUT2", I0=10, I1=11, O=12),
        "b": register(12, 13),
    }
    path = one(cells, a_reg=10, middle=11, b_reg=13)
    wires = 0.70 + 0.08 * 1.58496 + NET  # the net of a_reg has three pins
    assert path["delay_ns"] == round(CLOCK_TO_Q + wires + 2 * LUT, 2)
    assert path["wire_ns"] == round(wires, 2)
    assert (path["levels"], path["through"]) == (2, ["a_reg", "middle"])


def test_a_carry_chain_of_eight_bits():
    """S[0] to CO[3] of the first, CI to O[3] of the second; wires between LUT and carry, carry and carry cost nothing."""
    cells = {
        "a": register("x", 10),
        "l": cell("LUT1", I0=10, O=11),
        "low": cell("CARRY4", CI="0", CYINIT="0", DI=["0"] * 4, S=[11, "0", "0", "0"], O=[20, 21, 22, 23], CO=[24, 25, 26, 27]),
        "high": cell("CARRY4", CI=27, CYINIT="0", DI=["0"] * 4, S=["0"] * 4, O=[30, 31, 32, 33], CO=[34, 35, 36, 37]),
        "b": register(33, 40),
    }
    path = one(cells, a_reg=10, b_reg=40)
    assert path["delay_ns"] == round(CLOCK_TO_Q + NET + LUT + 0.508 + 0.313, 2)
    assert (path["levels"], path["carries"], path["wire_ns"]) == (1, 2, NET)


def test_the_clock_enable_is_an_end_with_its_own_setup():
    cells = {"a": register("x", 10), "b": cell("FDRE", C=1, D="0", Q=12, CE=10, R="0")}
    path = one(cells, a_reg=10, b_reg=12)
    assert (path["end"], path["delay_ns"]) == ("b_reg.CE", round(CLOCK_TO_Q + NET + 0.109, 2))


@pytest.mark.parametrize(("register_on", "delay"), [("0", 2.454), ("1", 0.882)])
def test_block_ram_with_and_without_its_output_register(register_on, delay):
    cells = {
        "ram": cell("RAMB36E1", {"DOA_REG": register_on}, CLKARDCLK=1, ADDRARDADDR=["0"], DOADO=[10]),
        "b": register(10, 11),
    }
    assert one(cells, weight=10, b_reg=11)["delay_ns"] == round(delay + NET, 2)


def test_distributed_ram_is_left_by_its_address_and_by_its_clock():
    for address, start, delay in ((10, "read_reg", CLOCK_TO_Q + NET + 0.642), ("0", "data", 1.19)):
        ram = cell("RAM32M", WCLK=1, WE="1", ADDRA=[address, "0"], ADDRD=["0"], DIA=["0", "0"], DOA=[11, 12])
        path = one({"a": register("x", 10), "ram": ram, "b": register(11, 13)}, read_reg=10, data=11, b_reg=13)
        assert (path["start"], path["end"], path["delay_ns"]) == (start, "b_reg.D", round(delay, 2))


def test_paths_between_the_same_signals_are_one_and_the_longest_come_first():
    cells = {}
    for n in range(4):
        cells[f"a{n}"] = register("x", 10 + n)
        cells[f"l{n}"] = cell("LUT2", I0=10 + n, I1=10 + n // 2, O=20 + n)
        cells[f"b{n}"] = register(20 + n, 30 + n)
    cells["c"] = register(10, 40)
    paths = longest_paths(module(cells, a_reg=[10, 11, 12, 13], b_reg=[30, 31, 32, 33], c_reg=40))
    assert [(p["start"], p["end"]) for p in paths] == [("a_reg", "b_reg.D"), ("a_reg", "c_reg.D")]
    assert paths[0]["delay_ns"] > paths[1]["delay_ns"]
    assert len(longest_paths(module(cells, a_reg=[10, 11, 12, 13], b_reg=[30, 31, 32, 33], c_reg=40), 1)) == 1


def test_ports_begin_and_end_no_path():
    cells = {"l": cell("LUT1", I0=5, O=10), "b": register(10, 11), "m": cell("LUT1", I0=11, O=12)}
    assert longest_paths(module(cells, b_reg=11)) == []


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="no delays for cells of type BUFG; add them"):
        longest_paths(module({"x": cell("BUFG", I=1, O=2)}))
    loop = {"p": cell("LUT1", I0=10, O=11), "q": cell("LUT1", I0=11, O=10)}
    with pytest.raises(ValueError, match="a loop of logic"):
        longest_paths(module(loop))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("core.decode.best_reg[31]", "core.decode.best_reg"),
        ("core.decode.best_reg_FDRE_Q_D", "core.decode.best_reg"),
        ("core.layer[0].core.read_reg", "core.layer[0].core.read_reg"),
        ("core.loader.error_valid_LUT4_O_I1[5]", "core.loader.error_valid"),
    ],
)
def test_a_mapped_name_leads_back_to_the_verilog(name, expected):
    assert netlist_timing.signal(name) == expected
