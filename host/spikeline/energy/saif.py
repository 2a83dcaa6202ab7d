"""Reads a switching-activity file (SAIF 2.0) as Verilator writes it: how long each bit was high and how often it toggled."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spikeline.errors import DataError

INSTANCE = re.compile(r"\(INSTANCE (\S+)")
NET = re.compile(r"\((\S+) \(T0 (\d+)\) \(T1 (\d+)\).*\(TC (\d+)\)\)$")
BIT = re.compile(r"\[\d+\]$")


@dataclass(frozen=True)
class Net:
    """All bits of a signal: their number, and their sums of time high (units of the file) and of toggles."""

    bits: int
    high: int
    toggles: int


@dataclass(frozen=True)
class Saif:
    """A file: its duration, and its signals by path below the top, such as `core/layer[0]/core/read_reg`."""

    duration: int
    nets: dict[str, Net]

    @property
    def cycles(self) -> int:
        """Clock cycles, by the toggles of `aclk`."""
        return self.nets["aclk"].toggles // 2

    def high(self, path: str) -> int:
        """Cycles in which a signal is high, summed over its bits. Raises DataError for one that is not there."""
        if path not in self.nets:
            raise DataError(f"the switching activity has no signal {path}")
        cycles, rest = divmod(self.nets[path].high * self.cycles, self.duration)
        if rest:
            raise DataError(f"{path} changes between clock edges")
        return cycles

    def registers(self) -> Iterator[tuple[str, Net]]:
        """Signals that are registers by their name; the words that a memory shows are the memory's own."""
        for path, net in self.nets.items():
            if (path.endswith("_reg") and not path.endswith("_word_reg")) or path.endswith(OUTPUTS):
                yield path, net


OUTPUTS = ("/a_rdata", "/b_rdata", "encode/m_data")  # registers that are ports


def read(path: Path, top: str = "accelerator") -> Saif:
    """Read a file. Raises DataError for one without a duration or without the instance `top`."""
    duration = 0
    scope: list[str] = []  # instances around a line; a block of nets counts as one without a name
    signals: dict[str, tuple[int, int, int]] = {}
    with open(path) as file:
        for line in file:
            text = line.strip()
            if match := INSTANCE.match(text):
                scope.append(match[1].replace("\\", ""))
            elif text == "(NET":
                scope.append("")
            elif text == ")" and scope:
                scope.pop()
            elif text.startswith("(DURATION"):
                duration = int(re.sub(r"\D", "", text))
            elif (match := NET.match(text)) and top in scope:
                inside = [name for name in scope[scope.index(top) + 1 :] if name]
                key = "/".join([*inside, BIT.sub("", match[1].replace("\\", ""))])
                bits, high, toggles = signals.get(key, (0, 0, 0))
                signals[key] = (bits + 1, high + int(match[3]), toggles + int(match[4]))
    if not duration or not signals:
        raise DataError(f"{path} is no switching activity of {top}; make it with SimDevice(geometry, saif=True).activity")
    return Saif(duration, {key: Net(*values) for key, values in signals.items()})
