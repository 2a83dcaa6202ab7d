"""What the vendor flow has to know of a board: a TOML file for each, in this folder.

processor    its kind: that of hand_off.PROCESSORS, and the Tcl file of this name here
part         the device
board_part   the board in Vivado's board files; a pattern, since their version differs from one Vivado to the next
geometry     what fits the device, built unless another is named

preset       Tcl file here with the processor's settings, for a Vivado without the board files
board_files  of a board without that: where they are to be had
"""

from dataclasses import dataclass
from pathlib import Path

try:
    import tomllib
except ImportError:  # before Python 3.11
    import tomli as tomllib  # type: ignore[no-redef]

from spikeline.device.hand_off import PROCESSORS, Processor
from spikeline.errors import DeviceError
from spikeline.model.geometry import Geometry

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Board:
    """A board, as its file says."""

    name: str
    processor: Processor
    part: str
    board_part: str
    geometry: str
    preset: str = ""
    board_files: str = ""

    @staticmethod
    def load(name: str) -> "Board":
        """The board of this name. Raises DeviceError if there is none."""
        if name not in names():
            raise DeviceError(f"no board {name}; there are {', '.join(names())}")
        told = tomllib.loads((FOLDER / f"{name}.toml").read_text())
        return Board(name, PROCESSORS[told.pop("processor")], **told)

    def tcl(self, geometry: Geometry) -> str:
        """The variables that build.tcl reads, with the clock of `geometry`."""
        told = {
            "processor": self.processor.name,
            "part": self.part,
            "board_part": self.board_part,
            "board_files": self.board_files,
            "clock_mhz": f"{geometry.clock_mhz:g}",
            "preset": "",
        }
        lines = [f"set spk_{key} {{{value}}}" for key, value in told.items()]
        return "\n".join([*lines, *([f"source $here/{self.preset}.tcl"] if self.preset else []), ""])


def names() -> list[str]:
    """The boards that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))
