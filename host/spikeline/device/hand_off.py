"""The hardware hand-off file that `pynq` reads beside a bitstream, for a design that no vendor tool has built.

The part of Vivado's format that `pynq` looks at, for the block design of rtl/boards/block_design.tcl.
"""

from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from spikeline.model.geometry import Geometry
from spikeline.model.spec import Base

PS = "processing_system7_0"
RANGE = 1 << 16  # bytes of address space of each
IO_PLL_MHZ = 1000
VLNV = "xilinx.com:module_ref:spikeline_ip:1.0"  # the module that rtl/boards/wrapper.py writes
INSTANCE = "spikeline_0"
SLAVE = "s_axil"


def write(geometry: Geometry, build: int) -> str:
    """The file for a geometry; `build` is what register BUILD holds."""
    root = Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION="none: simulated")
    SubElement(root, "SYSTEMINFO", ARCH="zynq", BOARD="", DEVICE="7z020", NAME="spikeline", PACKAGE="clg400", SPEEDGRADE="-1")
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _processor(modules, geometry.clock_mhz)
    _interface(_module(modules, INSTANCE, VLNV, {"BUILD": f"0x{build:08X}"}), SLAVE, "SLAVE")
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def _module(modules: Element, instance: str, vlnv: str, parameters: Mapping[str, object]) -> Element:
    kind, version = vlnv.split(":")[2:]
    module = SubElement(
        modules, "MODULE", FULLNAME=f"/{instance}", HWVERSION=version, INSTANCE=instance, IPTYPE="PERIPHERAL",
        IS_ENABLE="1", MODCLASS="PERIPHERAL", MODTYPE=kind, VLNV=vlnv,
    )  # fmt: skip
    listed = SubElement(module, "PARAMETERS")
    for name, value in parameters.items():
        SubElement(listed, "PARAMETER", NAME=name, VALUE=str(value))
    SubElement(module, "PORTS")
    return module


def _interface(module: Element, name: str, kind: str) -> None:
    interfaces = SubElement(module, "BUSINTERFACES")
    bus = SubElement(
        interfaces, "BUSINTERFACE", BUSNAME=name, DATAWIDTH="32", NAME=name, TYPE=kind, VLNV="xilinx.com:interface:aximm:1.0"
    )
    SubElement(bus, "PORTMAPS")


def _processor(modules: Element, clock_mhz: float) -> None:
    """The processing system with its one clock, divided down from the IO PLL, and the address map of its port GP0."""
    parameters: dict[str, object] = {}
    for n in range(4):
        parameters |= {
            f"PCW_FPGA_FCLK{n}_ENABLE": int(n == 0),
            f"PCW_FCLK{n}_PERIPHERAL_CLKSRC": "IO PLL",
            f"PCW_FCLK{n}_PERIPHERAL_DIVISOR0": round(IO_PLL_MHZ / clock_mhz) if n == 0 else 1,
            f"PCW_FCLK{n}_PERIPHERAL_DIVISOR1": 1,
        }
    module = _module(modules, PS, "xilinx.com:ip:processing_system7:5.5", parameters)
    module.set("IS_PL", "FALSE")
    _interface(module, "M_AXI_GP0", "MASTER")
    memory = SubElement(module, "MEMORYMAP")
    SubElement(
        memory, "MEMRANGE", ADDRESSBLOCK="Reg", BASENAME="C_BASEADDR", BASEVALUE=f"0x{Base.ACCELERATOR:08X}",
        HIGHNAME="C_HIGHADDR", HIGHVALUE=f"0x{Base.ACCELERATOR + RANGE - 1:08X}", INSTANCE=INSTANCE, IS_DATA="TRUE",
        IS_INSTRUCTION="TRUE", MASTERBUSINTERFACE="M_AXI_GP0", MEMTYPE="REGISTER", SLAVEBUSINTERFACE=SLAVE,
    )  # fmt: skip
