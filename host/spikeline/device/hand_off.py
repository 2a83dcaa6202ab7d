"""The hardware hand-off file that `pynq` reads beside a bitstream, for a design that no vendor tool has built.

The part of Vivado's format that `pynq` looks at, for the block design of rtl/boards/block_design.tcl.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from spikeline.model.geometry import Geometry
from spikeline.model.spec import Base

RANGE = 1 << 16  # bytes of address space of the registers
VLNV = "xilinx.com:module_ref:spikeline_ip:1.0"  # the module that host/spikeline/simulation/wrapper.py writes
INSTANCE = "spikeline_0"
SLAVE = "s_axil"
BASES = {"0x": 16, "32'h": 16, "32'b": 2, "32'd": 10}  # of numbers that begin so


@dataclass(frozen=True)
class Processor:
    """The processor of a family of devices: what Vivado and `pynq` call its parts, and where it finds the accelerator."""

    name: str  # of its Tcl file in rtl/boards
    architecture: str  # of the device, as a .hwh says it
    machine: str  # as Linux says it
    vlnv: str
    control: str  # its port to the registers
    registers: Base
    address_bits: int  # that reach all of its memory
    pll_mhz: float  # what its first clock is divided from
    clock: str  # parameters of its clocks, from 0 to 3: whether there is one, its source, its two divisors
    source: str
    divisor: str

    @property
    def instance(self) -> str:
        """The name of its cell."""
        return f"{self.vlnv.split(':')[2]}_0"


ZYNQ_7000 = Processor(
    "zynq7000", "zynq", "armv7l", "xilinx.com:ip:processing_system7:5.5", "M_AXI_GP0", Base.ACCELERATOR, 32, 1000,
    "PCW_FPGA_FCLK{}_ENABLE", "PCW_FCLK{}_PERIPHERAL_CLKSRC", "PCW_FCLK{}_PERIPHERAL_DIVISOR{}",
)  # fmt: skip
ZYNQ_ULTRASCALE = Processor(
    "zynq_ultrascale", "zynquplus", "aarch64", "xilinx.com:ip:zynq_ultra_ps_e:3.4", "M_AXI_HPM0_FPD",
    Base.ACCELERATOR_ULTRASCALE, 40, 1500,
    "PSU__FPGA_PL{}_ENABLE", "PSU__CRL_APB__PL{}_REF_CTRL__SRCSEL", "PSU__CRL_APB__PL{}_REF_CTRL__DIVISOR{}",
)  # fmt: skip
PROCESSORS = {processor.name: processor for processor in (ZYNQ_7000, ZYNQ_ULTRASCALE)}


def write(geometry: Geometry, build: int, processor: Processor = ZYNQ_7000) -> str:
    """The file for a geometry; `build` is what register BUILD holds."""
    root = Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION="none: simulated")
    SubElement(root, "SYSTEMINFO", ARCH=processor.architecture, BOARD="", DEVICE="", NAME="spikeline", PACKAGE="", SPEEDGRADE="")
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _processor(modules, processor, geometry.clock_mhz)
    _interface(_module(modules, INSTANCE, VLNV, {"BUILD": f"0x{build:08X}"}), SLAVE, "SLAVE")
    ElementTree.indent(root)
    return ElementTree.tostring(root, "unicode", xml_declaration=True) + "\n"


def build(stated: str) -> int | None:
    """What a .hwh states of BUILD, 32 bits, in any form that Vivado has for a parameter; None for another text.

    0x12345678, 32'h12345678, 305419896, and 32 binary digits, in quotes or not.
    """
    text = stated.strip().strip('"').lower()
    digits, base = next(((text.removeprefix(p), b) for p, b in BASES.items() if text.startswith(p)), (text, 10))
    try:
        return int(digits, 2 if len(digits) == 32 else base)
    except ValueError:
        return None


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


def _processor(modules: Element, processor: Processor, clock_mhz: float) -> None:
    """The processor with its one clock, divided down from a PLL, and the address map of its port to the registers."""
    parameters: dict[str, object] = {}
    for n in range(4):
        parameters |= {
            processor.clock.format(n): int(n == 0),
            processor.source.format(n): "IOPLL",
            processor.divisor.format(n, 0): round(processor.pll_mhz / clock_mhz) if n == 0 else 1,
            processor.divisor.format(n, 1): 1,
        }
    module = _module(modules, processor.instance, processor.vlnv, parameters)
    module.set("IS_PL", "FALSE")
    _interface(module, processor.control, "MASTER")
    memory = SubElement(module, "MEMORYMAP")
    SubElement(
        memory, "MEMRANGE", ADDRESSBLOCK="Reg", BASENAME="C_BASEADDR", BASEVALUE=f"0x{processor.registers:08X}",
        HIGHNAME="C_HIGHADDR", HIGHVALUE=f"0x{processor.registers + RANGE - 1:08X}", INSTANCE=INSTANCE, IS_DATA="TRUE",
        IS_INSTRUCTION="TRUE", MASTERBUSINTERFACE=processor.control, MEMTYPE="REGISTER", SLAVEBUSINTERFACE=SLAVE,
    )  # fmt: skip
