"""Read the log of a USB power meter: a CSV with time stamps and watts, or volts and amperes."""

import csv
import math
import re
from datetime import datetime
from pathlib import Path

import numpy as np

from spikeline.errors import DataError
from spikeline.files import read as read_bytes

# A column of a log: the words that name it, its unit, and what a value under a prefix of the unit is divided by.
NAMES = {
    "time": {"time", "timestamp", "stamp", "date", "datetime"},
    "power": {"power", "watt", "watts"},
    "voltage": {"voltage", "volt", "volts"},
    "current": {"current", "ampere", "amperes", "amp", "amps"},
}
LARGEST = 1 << 25  # bytes of a log: ten days at ten samples a second
LATEST, LARGEST_W = 1e12, 1e6  # s since the epoch and W: beyond them, figures made of a log overflow
UNITS = {"time": "s", "power": "w", "voltage": "v", "current": "a"}
DIVISORS = {"": 1.0, "m": 1e3, "u": 1e6, "µ": 1e6, "μ": 1e6}


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds since the epoch and watts, float64 (S,) both, of a meter's log.

    CSV with commas, tabs or semicolons (then a comma is a decimal point). Columns go by their headers: one of time and one of
    power, or of voltage and of current, with units such as "Power (mW)". Without headers they are time and W. Times are
    seconds since the epoch or ISO 8601, local without a zone. Raises DataError that names file, line and fix.
    """
    try:
        text = read_bytes(path, LARGEST).decode("utf-8-sig", errors="replace")
        delimiter = next((d for d in "\t;" if d in text.partition("\n")[0]), ",")
        reader = csv.reader((text.replace(",", ".") if delimiter == ";" else text).splitlines(), delimiter=delimiter)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot read the meter's log {path}: {error}; give the path of its CSV") from error
    line, headers = 1, ["time", "watts"]
    if rows and not rows[0][1][0].strip()[:1].isdigit():
        line, headers = rows.pop(0)
    (at, time_divisor), *factors = _columns(f"{path}: line {line}", headers)
    samples: list[tuple[float, float]] = []
    for line, row in rows:
        try:
            sample = _seconds(row[at], time_divisor), math.prod(float(row[n]) / divisor for n, divisor in factors)
            if len(row) != len(headers) or not all(map(math.isfinite, sample)):
                raise ValueError(f"not {len(headers)} cells with finite numbers")
            if abs(sample[0]) > LATEST or abs(sample[1]) > LARGEST_W:
                raise ValueError("no such time or power can be")
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}: line {line} is damaged: {delimiter.join(row)}: {error}; mend or delete it") from error
        if samples and sample[0] < samples[-1][0]:
            raise DataError(f"{path}: line {line}: {row[at]} is earlier than the line before; sort the log by time")
        samples.append(sample)
    if not samples:
        raise DataError(f"{path}: holds no samples; let the meter log while the board works")
    times, watts = np.array(samples).T
    return times, watts


def _columns(place: str, headers: list[str]) -> list[tuple[int, float]]:
    """Index and divisor of the columns of time and power, or of time, voltage and current."""
    found = {name: [(n, d) for n, header in enumerate(headers) if (d := _divisor(header, name))] for name in NAMES}
    names = ("time", "power") if found["power"] else ("time", "voltage", "current")
    for name in names:
        if len(found[name]) != 1:
            text = f"{place}: {len(found[name])} columns of {name} in {headers}"
            raise DataError(f"{text}; name one of time and one of power, or of voltage and of current: time, power_W")
    return [found[name][0] for name in names]


def _divisor(header: str, name: str) -> float | None:
    """What the values of a column are divided by to get s, W, V or A; None if it is not a column of time, power, …"""
    words = re.findall(r"[^\W\d_]+", header.lower()) or [""]
    if words[-1] in NAMES[name]:
        return 1.0
    if words[-1].endswith(UNITS[name]) and (len(words) == 1 or NAMES[name] & set(words)):
        return DIVISORS.get(words[-1][:-1])
    return None


def _seconds(text: str, divisor: float) -> float:
    """Seconds since the epoch of a number or of an ISO 8601 time."""
    try:
        return float(text) / divisor
    except ValueError:  # Python 3.10 knows only fractions of 3 or 6 digits, and zones as +hh:mm
        iso = re.sub(r"[.,](\d+)", lambda match: f".{match[1]:0<6.6}", text.strip().replace("Z", "+00:00"))
        return datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", iso)).timestamp()
