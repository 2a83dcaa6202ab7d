"""The accelerator of one geometry as a module without sizes to set, of which Vivado's block design makes a cell.

Vivado takes a plain module for a cell if attributes of its ports say what they are (UG994, "HDL Parameters for Interface
Inference"). What it does not follow is a parameter whose width depends on another, so the sizes are literals here. BUILD alone
is a parameter, since parameters are what the .hwh tells of a module. The ports are read from rtl/spikeline.v.
"""

import re

from spikeline.device import hand_off
from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated

NAME = hand_off.VLNV.split(":")[2]

# Kind and signal of the ports that are an interface of their own, and properties of all interfaces.
SIGNALS = {"aclk": "clock:1.0 aclk CLK", "aresetn": "reset:1.0 aresetn RST", "irq": "interrupt:1.0 irq INTERRUPT"}
PROPERTIES = {
    "aclk": "ASSOCIATED_BUSIF s_axil:m_axi, ASSOCIATED_RESET aresetn",
    "aresetn": "POLARITY ACTIVE_LOW",
    "s_axil": "PROTOCOL AXI4LITE",
    "m_axi": "PROTOCOL AXI4, MAX_BURST_LENGTH 16, NUM_READ_OUTSTANDING 4, NUM_WRITE_OUTSTANDING 4, SUPPORTS_NARROW_BURST 0",
    "irq": "SENSITIVITY LEVEL_HIGH",
}


def verilog(geometry: Geometry, address_bits: int) -> str:
    """The module, as Verilog, for a memory of 32 to 40 address bits.

    Raises ValueError for a port of spikeline.v that is of no interface.
    """
    source = (verilated.RTL / "spikeline.v").read_text().replace("ADDRESS_BITS-1", str(address_bits - 1))
    found = re.findall(r"^    ((?:input|output) +wire .*?(\w+)),?$", source, re.MULTILINE)
    told: set[str] = set()
    ports = ",\n".join(f"{_attributes(name, told)}    {declaration}" for declaration, name in found)
    connections = ",\n".join(f"    .{name}({name})" for _, name in found)
    sizes = verilated.parameters(geometry) | {"ADDRESS_BITS": str(address_bits)}
    build = sizes.pop("BUILD")
    parameters = "".join(f"    .{name}({value}),\n" for name, value in sizes.items())
    return f"""// Written by rtl/boards/wrapper.py for {geometry.name}.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module {NAME} #(
    parameter [31:0] BUILD = {build}
) (
{ports}
);

spikeline #(
{parameters}    .BUILD(BUILD)
) accelerator (
{connections}
);

endmodule

`resetall
"""


def _attributes(port: str, told: set[str]) -> str:
    """What Vivado is to know of a port; properties of an interface stand at its first port, and are `told` then."""
    bus, _, signal = port.rpartition("_")
    if port in SIGNALS:
        bus, info = port, f"signal:{SIGNALS[port]}"
    elif bus in PROPERTIES:
        info = f"interface:aximm:1.0 {bus} {signal.upper()}"
    else:
        raise ValueError(f"port {port} of spikeline.v is of no interface")
    lines = [f'    (* X_INTERFACE_INFO = "xilinx.com:{info}" *)\n']
    if bus not in told:
        lines += [f'    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME {bus}, {PROPERTIES[bus]}" *)\n']
        told.add(bus)
    return "".join(lines)
