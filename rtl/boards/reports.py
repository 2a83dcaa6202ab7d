"""Vivado's text reports of an implemented design, read into plain figures. Raises ReportError for a report that lacks one."""

import re
from typing import Any

# Key: row, in report_utilization. What a Zynq-7000 has of it is in the same row.
UTILIZATION = {
    "lut": "Slice LUTs",
    "lutram": "LUT as Distributed RAM",
    "srl": "LUT as Shift Register",
    "ff": "Slice Registers",
    "ramb36": "Block RAM Tile",  # a RAMB18 is half of one
    "dsp": "DSPs",
}
TIMING = ("WNS", "TNS", "WHS", "THS", "WPWS", "TPWS")
POWER = {"total_w": "Total On-Chip Power (W)", "dynamic_w": "Dynamic (W)", "static_w": "Device Static (W)"}


class ReportError(ValueError):
    """A report is damaged, or laid out as none that is known."""


def header(text: str) -> dict[str, str]:
    """What stands above every report: tool version, date, command, design, device, …"""
    fields = re.findall(r"^\| ([A-Z][A-Za-z ]*?) *: (.+?) *$", text, re.MULTILINE)
    if not {"Tool Version", "Device"} <= {name for name, _ in fields}:
        raise ReportError("no header with tool version and device")
    return dict(fields)


def utilization(text: str) -> dict[str, Any]:
    """Resources used, and their shares of the device, by the names that `make area` uses. From report_utilization."""
    found: dict[str, Any] = {}
    for rows in _tables(text):
        if not {"Site Type", "Used", "Available"} <= set(rows[0]):
            continue
        used, available = rows[0].index("Used"), rows[0].index("Available")
        for row in rows[1:]:
            for key, name in UTILIZATION.items():
                if row[0].rstrip("*") == name and key not in found:
                    count = _number(row[used], name)
                    found[key] = int(count) if count.is_integer() else count
                    if row[available] not in ("", "0"):  # parts of a row have none of their own
                        found[f"{key}_share"] = round(count / _number(row[available], name), 4)
    if missing := [name for key, name in UTILIZATION.items() if key not in found]:
        raise ReportError(f"no row {', '.join(missing)} in a table of site types")
    return found


def timing(text: str) -> dict[str, Any]:
    """Slacks in ns, and the clocks, from report_timing_summary."""
    slacks = _columns(text, "WNS(ns)", "WHS(ns)", "WPWS(ns)")[0]
    found: dict[str, Any] = {f"{name.lower()}_ns": _number(slacks.get(f"{name}(ns)"), name) for name in TIMING}
    found["met"] = "All user specified timing constraints are met." in text
    clocks = _columns(text, "Clock", "Frequency(MHz)")
    found["clocks_mhz"] = {clock["Clock"]: _number(clock["Frequency(MHz)"], clock["Clock"]) for clock in clocks}
    return found


def power(text: str) -> dict[str, Any]:
    """Watts, Vivado's confidence in them and the nets whose activity was read from a SAIF file, from report_power."""
    cells = {row[0]: row[1] for rows in _tables(text) for row in rows if len(row) == 2}
    found: dict[str, Any] = {key: _number(cells.get(name), name) for key, name in POWER.items()}
    if "Confidence Level" not in cells:
        raise ReportError("no row Confidence Level")
    return found | {"confidence": cells["Confidence Level"], "nets_matched": cells.get("Design Nets Matched", "NA")}


def _number(cell: str | None, name: str) -> float:
    try:
        return float(cell or "")
    except ValueError:
        raise ReportError(f"no figure for {name}" + (f": {cell}" if cell else "")) from None


def _tables(text: str) -> list[list[list[str]]]:
    """The tables of a report, framed by +---+ and |: rows of cells."""
    tables: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("|") and line.endswith("|"):
            tables[-1].append([cell.strip() for cell in line[1:-1].split("|")])
        elif not line.startswith("+") and tables[-1]:
            tables.append([])
    return [t for t in tables if t]


def _columns(text: str, *wanted: str) -> list[dict[str, str]]:
    """The rows of the first table without a frame that has the columns `wanted`."""
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
    raise ReportError(f"no table with columns {', '.join(wanted)}")
