"""The accelerator of one geometry as a module without sizes to set: the simulator's top, and a cell of Vivado's block design.

Vivado takes a plain module for a cell if attributes of its ports say what they are (UG994, "HDL Parameters for Interface
Inference"). What it does not follow is a parameter whose width depends on another, so the sizes are literals here. BUILD alone
is a parameter, since parameters are what the .hwh tells of a module.
"""

import re
from collections.abc import Mapping

from spikeline.device import hand_off

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


def verilog(source: str, parameters: Mapping[str, str]) -> str:
    """The module, as Verilog, around rtl/spikeline.v, which is `source`, with its parameters, ADDRESS_BITS and BUILD among them.

    Raises ValueError for a port that is of no interface.
    """
    source = source.replace("ADDRESS_BITS-1", str(int(parameters["ADDRESS_BITS"]) - 1))
    found = re.findall(r"^    ((?:input|output) +wire .*?(\w+)),?$", source, re.MULTILINE)
    told: set[str] = set()
    ports = ",\n".join(f"{_attributes(name, told)}    {declaration}" for declaration, name in found)
    connections = ",\n".join(f"    .{name}({name})" for _, name in found)
    build = parameters["BUILD"]
    sizes = "".join(f"    .{name}({value}),\n" for name, value in parameters.items() if name != "BUILD")
    return f"""// Written by host/spikeline/simulation/wrapper.py.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module {NAME} #(
    parameter [31:0] BUILD = {build}
) (
{ports}
);

spikeline #(
{sizes}    .BUILD(BUILD)
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
