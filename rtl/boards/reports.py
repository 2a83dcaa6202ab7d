"""Vivado's text reports of an implemented design, read into plain figures. One that a report lacks is None, and a warning."""

import re
import sys
from collections.abc import Callable
from typing import Any

# Key: row, in report_utilization, and what an UltraScale+ calls it. What the device has of it is in the same row.
UTILIZATION = {
    "lut": ("Slice LUTs", "CLB LUTs"),
    "lutram": ("LUT as Distributed RAM",),
    "srl": ("LUT as Shift Register",),
    "ff": ("Slice Registers", "CLB Registers"),
    "ramb36": ("Block RAM Tile",),  # a RAMB18 is half of one
    "dsp": ("DSPs",),
    "uram": ("URAM",),
}
OPTIONAL = {"uram"}  # what not every device has
TIMING = ("WNS", "TNS", "WHS", "THS", "WPWS", "TPWS")
MET = {"All user specified timing constraints are met.": True, "Timing constraints are not met.": False}
POWER = {"total_w": "Total On-Chip Power (W)", "dynamic_w": "Dynamic (W)", "static_w": "Device Static (W)"}


Warn = Callable[[str], object]  # is told, in words, what a report lacks or remarks
# A figure, then what a report remarks on it: `2.391 (Junction temp exceeded!)`, `Unspecified*`
FIGURE = re.compile(r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\*?\s*(\(.*)?")


def tell(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def header(text: str) -> dict[str, str]:
    """What stands above every report: tool version, date, command, design, device, …"""
    return dict(re.findall(r"^\| ([A-Z][A-Za-z ]*?) *: (.+?) *$", text, re.MULTILINE))


def utilization(text: str, warn: Warn = tell) -> dict[str, Any]:
    """Resources used, and their shares of the device, by the names that `make area` uses. From report_utilization."""
    rows: dict[str, dict[str, str]] = {}
    for head, *table in _tables(text):
        if {"Site Type", "Used", "Available"} <= set(head):
            for row in (dict(zip(head, cells, strict=False)) for cells in table):
                rows.setdefault(row["Site Type"].rstrip("*"), row)
    found: dict[str, Any] = {}
    for key, (name, *others) in UTILIZATION.items():
        row = next((rows[n] for n in (name, *others) if n in rows), {})
        if key in OPTIONAL and not row:
            continue
        found[key] = count = _number(row.get("Used"), name, warn)
        if row.get("Available", "") not in ("", "0"):  # parts of a row have none of their own
            available = _number(row["Available"], f"{name} available", warn)
            found[f"{key}_share"] = None if count is None or not available else round(count / available, 4)
    return found


def timing(text: str, warn: Warn = tell) -> dict[str, Any]:
    """Slacks in ns, and the clocks, from report_timing_summary."""
    slacks = (_columns(text, warn, "WNS(ns)", "WHS(ns)", "WPWS(ns)") or [{}])[0]
    found: dict[str, Any] = {f"{name.lower()}_ns": _number(slacks.get(f"{name}(ns)"), name, warn) for name in TIMING}
    found["met"] = next((met for words, met in MET.items() if words in text), None)
    if found["met"] is None:
        warn("no line says whether timing is met")
    clocks = _columns(text, warn, "Clock", "Frequency(MHz)")
    found["clocks_mhz"] = {clock["Clock"]: _number(clock["Frequency(MHz)"], clock["Clock"], warn) for clock in clocks}
    return found


def power(text: str, warn: Warn = tell) -> dict[str, Any]:
    """Watts, Vivado's confidence in them and the nets whose activity was read from a SAIF file, from report_power."""
    cells: dict[str, str] = {}
    for rows in _tables(text):
        for row in rows:
            if len(row) == 2:
                cells.setdefault(row[0], row[1])
    found: dict[str, Any] = {key: _number(cells.get(name), name, warn) for key, name in POWER.items()}
    if "Confidence Level" not in cells:
        warn("no row Confidence Level")
    return found | {"confidence": cells.get("Confidence Level"), "nets_matched": cells.get("Design Nets Matched", "NA")}


def _number(cell: str | None, name: str, warn: Warn) -> int | float | None:
    """The figure of a cell; None, with a warning, for one that holds none. What a report remarks on it is a warning too."""
    match = FIGURE.fullmatch((cell or "").strip())
    if match is None:
        warn(f"no figure for {name}" + (f": {cell}" if cell else ""))
        return None
    if match[2]:
        warn(f"{name}: {cell}")
    return float(match[1]) if not re.fullmatch(r"\d+", match[1]) else int(match[1])


def _tables(text: str) -> list[list[list[str]]]:
    """The tables of a report, framed by +---+ and |: rows of cells."""
    tables: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|") and line.endswith("|"):
            tables[-1].append([cell.strip() for cell in line[1:-1].split("|")])
        elif not line.startswith("+") and tables[-1]:
            tables.append([])
    return [t for t in tables if t]


def _columns(text: str, warn: Warn, *wanted: str) -> list[dict[str, str]]:
    """The rows of the first table without a frame that has the columns `wanted`; without one none, and a warning."""
    lines = text.splitlines()
    for n, line in enumerate(lines[:-2]):
        names = re.split(r" {2,}", line.strip())
        if set(wanted) <= set(names) and re.fullmatch(r"[- ]+", lines[n + 1]):
            rows = []
            for row in lines[n + 2 :]:
                cells = re.split(r" {2,}", row.strip())
                if len(cells) != len(names):
                    break
                rows.append(dict(zip(names, cells, strict=True)))
            if rows:
                return rows
    warn(f"no table with columns {', '.join(wanted)}")
    return []
