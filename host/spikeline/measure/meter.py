"""Read the log of a power meter: a table of times and watts, or of volts and amperes. What may be meant in two ways is refused.

A log goes through four steps: bytes → lines of text → columns by their header → numbers with the decimal sign of their column.
"""

import codecs
import csv
import math
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeline.errors import DataError
from spikeline.files import read as read_bytes

WANTED = "a log that is always understood: `time,power_W`, then lines such as `1700000000.25,2.5`"
LARGEST = 1 << 25  # bytes of a log: ten days at ten samples a second
LATEST = 1e12  # s since the epoch: beyond it, sums over a log overflow
LARGEST_W = 1e3  # no board draws as much: the unit was another
EPOCH = 1e9, 3e9  # s from 1970 to 2001 and to 2065. As ms, µs or ns no such time can be taken for another

# What the words of a header mean. PLACES say where a quantity was measured, which changes nothing.
NAMES = {
    "date": {"date"},
    "time": {"time", "timestamp", "stamp", "date", "datetime", "epoch"},
    "power": {"power"},
    "voltage": {"voltage"},
    "current": {"current"},
}
PLACES = {"in", "input", "out", "output", "bus", "usb", "main", "arc", "supply", "board", "dc", "unix", "elapsed", "measured"}
SI = {"time": "s sec second seconds", "power": "w watt watts", "voltage": "v volt volts", "current": "a amp amps ampere amperes"}
PREFIXES = {"": 1.0, "m": 1e3, "u": 1e6, "µ": 1e6, "μ": 1e6, "n": 1e9, "k": 1e-3}
# Unit: what it measures, and what a number is divided by to get s, W, V or A.
UNITS = {prefix + unit: (name, d) for name, units in SI.items() for unit in units.split() for prefix, d in PREFIXES.items()}

NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([^\W\d_]*)")
GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")  # a fraction, or thousands
DATE = r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})[T\s]\s*"
TIME = re.compile(DATE + r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?\s*(?:(Z|UTC)|([+-][0-9]{2}):?([0-9]{2})?)?")


class Column(NamedTuple):
    """A column of a log, or two with a date and a time of day; the unit of its header, as a divisor, is None without one."""

    name: str
    indices: tuple[int, ...]
    divisor: float | None


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds since the epoch and watts, float64 (S,) both, of a meter's log.

    CSV of commas, semicolons or tabs, in UTF-8, UTF-16 with its mark, or Windows' Latin-1. The header has one column of time
    and one of power, or of voltage and of current, each with its unit there or in its cells: `time,power_W`,
    `Timestamp(ms);Voltage [V];Current [µA]`. Lines may precede it; without any, the columns are time and W. Times are
    ISO 8601, local without a zone, or seconds, ms, µs or ns since the epoch; if they count from another moment, their unit
    must be named, and OFFSET makes them the board's. Commas may be decimal signs.

    Raises DataError that names file, line and fix for a log that is damaged, and for one that may be meant in two ways.
    """
    line, lines = 0, [""]  # what an error is about
    try:
        lines = re.split("\r\n|\r|\n", _text(read_bytes(path, LARGEST)))
        start, columns, delimiter, width = _header(lines)
        numbered, cells = [], []
        reader = csv.reader(lines[start:], delimiter=delimiter)
        for row in reader:
            line = start + reader.line_num
            if row := _checked(row, width, delimiter):
                numbered.append(line)
                cells.append([" ".join(row[n].strip() for n in column.indices) for column in columns])
        line = 0
        if not cells:
            raise DataError("holds no samples; let the meter log while the board works")
        _check_decimals([[m[1] for row in cells if (m := NUMBER.fullmatch(row[n]))] for n in range(len(columns))], delimiter)
        samples: list[tuple[float, float]] = []
        for number, (time, *factors) in zip(numbered, cells, strict=True):
            line = number
            sample = _seconds(time, columns[0]), math.prod(map(_value, factors, columns[1:]))
            if not (math.isfinite(sum(sample)) and abs(sample[0]) <= LATEST and abs(sample[1]) <= LARGEST_W):
                raise DataError(f"{sample[1]:g} W at {sample[0]:g} s: no board does that; correct the units in the header")
            if samples and sample[0] < samples[-1][0]:
                text = f"{time} is earlier than the line before"
                raise DataError(f"{text}; sort the log by time, or write times with their zone if the clock was set back")
            samples.append(sample)
    except OSError as error:
        raise DataError(f"cannot read the meter's log {path}: {error}; give the path of its CSV") from error
    except (DataError, csv.Error) as error:
        place = f"{path}: line {line}: " if line else f"{path}: "
        cut = "the last line has no end, so it is cut: delete it. " if line == len(lines) > 1 else ""
        raise DataError(f"{place}{cut}{error}; {WANTED}") from None
    times, watts = np.array(samples).T
    return times, watts


def _text(content: bytes) -> str:
    """Decode. No byte is dropped or replaced, for it may be the µ of a unit."""
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    marked = [encoding for mark, encoding in marks.items() if content.startswith(mark)]
    for encoding in marked or ["utf-8", "cp1252"]:
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError as error:
            reason = f"byte {error.start} is damaged, or no {encoding}; mend it, or save the log as UTF-8"
    else:
        raise DataError(reason)
    if "\0" in text:
        if text.count("\0") * 3 > len(text):
            raise DataError("this is UTF-16 without its mark; save it as UTF-8")
        raise DataError(f"line {1 + text[: text.index(chr(0))].count(chr(10))} holds NUL bytes; delete it")
    return text


def _header(lines: list[str]) -> tuple[int, list[Column], str, int]:
    """Number of the last line before the data, the columns, the delimiter, and how many columns there are.

    A line that may be a header must be understood: else its units would be lost.
    """
    written = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    first = next((k for k, (_, line) in enumerate(written) if re.match(r"\W?\d.*[\t;,]", line.strip())), len(written))
    if first == 0:
        n, line = written[0] if written else (1, "")
        delimiter = next((d for d in "\t;" if d in line), ",")
        return n - 1, [Column("time", (0,), None), Column("power", (1,), 1.0)], delimiter, 2
    for n, line in written[:first]:
        for delimiter in "\t;,":
            headers = _split(line, delimiter)
            columns = _columns(headers)
            if isinstance(columns, list):
                return n, columns, delimiter, len(headers)
    n, line = written[first - 1]
    headers = _split(line, max("\t;,", key=line.count))
    text = f"line {n}: {_columns(headers)} in {headers}"
    raise DataError(f"{text}; name one of time and one of power, or of voltage and of current, with units")


def _split(line: str, delimiter: str) -> list[str]:
    """Headers, without the mark of a comment before them and without empty ones at the end."""
    (row,) = csv.reader([line.lstrip("\ufeff#%/ ").rstrip()], delimiter=delimiter) if line.strip("\ufeff#%/ ") else ([],)
    headers = [header.strip() for header in row]
    while headers and not headers[-1]:
        headers.pop()
    return headers


def _columns(headers: list[str]) -> list[Column] | str:
    """The columns of time and power, or of time, voltage and current; else what is wrong with the headers."""
    found: dict[str, list[Column]] = {name: [] for name in NAMES}
    for n, header in enumerate(headers):
        if meaning := _meaning(header):
            found[meaning[0]].append(Column(meaning[0], (n,), meaning[1]))
    if len(found["date"]) == 1 and len(found["time"]) <= 1:
        indices = [column.indices[0] for column in found["date"] + found["time"]]
        found["time"] = [Column("time", tuple(indices), None)]
    names = ("time", "power") if found["power"] else ("time", "voltage", "current")
    for name in names:
        if len(found[name]) != 1:
            return f"{len(found[name])} columns of {name}"
    return [found[name][0] for name in names]


def _meaning(header: str) -> tuple[str, float | None] | None:
    """What a column holds, and the divisor of its unit if it has one; None unless every word is known."""
    words = re.findall(r"[^\s()\[\]{}/_,.:=|-]+", header)
    unit = _unit(words[-1]) if words else None
    name, divisor = unit or (None, None)
    rest = {word.lower() for word in (words[:-1] if unit else words)}
    rest = {word for word in rest - PLACES if not re.fullmatch("(?:ch)?[0-9]+", word)}
    if unit is None:
        name = next((name for name, names in NAMES.items() if rest and rest <= names), None)
    return (name, divisor) if name and rest <= NAMES[name] else None


def _unit(word: str) -> tuple[str, float] | None:
    return UNITS.get(word if word.startswith("M") else word.lower())  # mega is not milli


def _checked(row: list[str], width: int, delimiter: str) -> list[str]:
    """A row of as many cells as there are headers; nothing if it is blank."""
    if not any(cell.strip() for cell in row):
        return []
    while len(row) > width and not row[-1].strip():
        row.pop()
    if len(row) != width:
        fix = "mend or delete it"
        if len(row) > width and delimiter == ",":
            fix += "; numbers with a decimal comma need quotes, or semicolons between them"
        raise DataError(f"{delimiter.join(row)} has {len(row)} cells for {width} columns; {fix}")
    return row


def _check_decimals(columns: list[list[str]], delimiter: str) -> None:
    """May every `,` and `.` in the numbers of each column be read as a decimal sign? 2,500 may be thousands.

    It may not if another column of the log shows what a comma is, or semicolons make room for it.
    """
    signs = [{sign for number in numbers for sign in ",." if sign in number} for numbers in columns]
    grouped = [all(GROUPED.fullmatch(x) for x in numbers if "," in x or "." in x) for numbers in columns]
    seen = set().union(*signs)
    plain = set().union(*(sign for sign, group in zip(signs, grouped, strict=True) if not group))
    for sign, group, numbers in zip(signs, grouped, columns, strict=True):
        sure = seen == {"."} or (seen == {","} and delimiter == ";") or plain == sign
        if len(sign) == 2 or (sign and group and not sure):
            example = next(x for x in numbers if max(sign) in x or min(sign) in x)
            raise DataError(f"{example} may hold a decimal sign or one of thousands; write a decimal point and no thousands")


def _value(cell: str, column: Column) -> float:
    """A number of a column in its SI unit."""
    match = NUMBER.fullmatch(cell)
    if not match:
        raise DataError(f"{column.name} {cell!r} is no number; mend or delete the line")
    divisor = column.divisor
    if match[2]:
        name, given = _unit(match[2]) or ("", None)
        if name != column.name or divisor not in (None, given):
            raise DataError(f"{cell!r} is in another unit than its header; write one unit into the header")
        divisor = given
    if divisor is None:
        raise DataError(f"the column of {column.name} has no unit; name it {column.name}_{SI[column.name][0].upper()}")
    return float(match[1].replace(",", ".")) / divisor


def _seconds(cell: str, column: Column) -> float:
    """Seconds since the epoch of a date and time, or of a number."""
    if not (match := NUMBER.fullmatch(cell)):
        return _moment(cell)
    if column.divisor is None and not match[2]:
        number = float(match[1].replace(",", "."))
        for divisor in (1.0, 1e3, 1e6, 1e9):
            if EPOCH[0] <= number / divisor < EPOCH[1]:
                return number / divisor
        raise DataError(f"{cell} is no time since 1970; if it counts from another moment, name the column with its unit: time_s")
    return _value(cell, column)


def _moment(cell: str) -> float:
    """Seconds since the epoch of an ISO 8601 date and time; local without a zone."""
    match = TIME.fullmatch(cell)
    if not match:
        if re.match(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]", cell):
            raise DataError(f"{cell} may be day or month first; write the year first: 2024-06-23 12:00:00")
        if re.match(r"[0-9]{1,3}:[0-9]", cell):
            raise DataError(f"{cell} has no date; write 2024-06-23 12:00:00, or seconds under the header time_s")
        raise DataError(f"{cell!r} is no time; write seconds since 1970 or 2024-06-23T12:00:00Z, or mend or delete the line")
    year, month, day, hour, minute, second, fraction, utc, hours, minutes = match.groups("")
    try:
        microsecond = int(f"{fraction:0<6.6}")
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), microsecond)
        if utc or hours:
            zone = timedelta(hours=int(hours or 0), minutes=int(f"{hours[:1]}{minutes or 0}"))
            return moment.replace(tzinfo=timezone(zone)).timestamp()
        seconds = moment.timestamp()
        if seconds != moment.replace(fold=1).timestamp():
            raise DataError(
                f"{cell} came twice or never, for the clock was changed then; write times with their zone: {cell}+02:00"
            )
    except (ValueError, OverflowError, OSError) as error:
        raise DataError(f"{cell} is no time: {error}; mend or delete the line") from None
    return seconds
