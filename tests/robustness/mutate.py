"""Damage to files of any kind: bytes, lines, and plain data such as JSON holds. The generator that is passed decides all."""

import copy
import json
import math
import random
import re
from collections.abc import Callable
from typing import Any

WORDS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
HOSTILE: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        16,
        255,
        65535,
        65536,
        1 << 31,
        1 << 63,
        -(1 << 63),
        10**18,
        10**400,
        0.0,
        -0.0,
        0.5,
        1e-320,
    ),
    *(1e308, -1e308, math.inf, -math.inf, math.nan, "", "a", "0", "1e999", "../../etc/passwd", "\0", "é" * 99, "x" * 5000),
    *([], {}, [[]], [1, 2], {"a": 1}, ["x"] * 100, [10**30]),
)


def damaged(rng: random.Random, data: bytes, most: int = 4) -> bytes:
    """`data` after one to `most` mutations of its bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, most)):
        rng.choice(BYTES)(rng, changed)
    return bytes(changed)


def _span(rng: random.Random, data: bytearray) -> slice:
    """Somewhere in the data; short spans are as likely as long ones."""
    at = rng.randrange(len(data) + 1)
    return slice(at, at + int(2 ** rng.uniform(0, math.log2(len(data) + 2))))


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _write_word(rng: random.Random, data: bytearray) -> None:
    """Four or eight bytes, in either order, of a number at an end of some range."""
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    word = (rng.choice(WORDS) & ((1 << 8 * size) - 1)).to_bytes(size, order)  # type: ignore[arg-type]
    at = rng.randrange(len(data) + 1)
    if rng.random() < 0.7:
        at -= at % 4
    data[at : at + size] = word


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[_span(rng, data)]


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _repeat(rng: random.Random, data: bytearray) -> None:
    span = _span(rng, data)
    data[span.start : span.start] = data[span] * rng.choice((1, 1, 2, 40)) if len(data) < 1 << 20 else b""


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 4, 8, 100)))


def _fill(rng: random.Random, data: bytearray) -> None:
    span = _span(rng, data)
    data[span] = bytes([rng.choice((0, 0xFF, 0x80, rng.randrange(256)))]) * len(data[span])


def _move(rng: random.Random, data: bytearray) -> None:
    span = _span(rng, data)
    piece = data[span]
    del data[span]
    at = rng.randrange(len(data) + 1)
    data[at:at] = piece


def _append(rng: random.Random, data: bytearray) -> None:
    data += rng.randbytes(rng.choice((1, 3, 8, 64, 4096)))


BYTES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    *(_flip, _write_word, _write_word, _cut, _truncate, _repeat, _insert, _fill, _move, _append),
)


def damaged_lines(rng: random.Random, text: str, values: tuple[str, ...], more: tuple[str, ...]) -> str:
    """`text` with lines dropped, doubled, swapped or changed; `values` may stand for a value, `more` for a line."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        at, how = rng.randrange(len(lines) + 1), rng.randrange(7)
        if at == len(lines) or how == 0:
            lines.insert(at, rng.choice(more))
        elif how == 1:
            del lines[at]
        elif how == 2:
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif how == 3:
            lines[at] = damaged(rng, lines[at].encode(), 2).decode(errors="replace")
        else:
            cut = rng.choice(re.split("[=,;\t]", lines[at])[-2:]).strip()
            lines[at] = lines[at].replace(cut, rng.choice(values), 1) if cut else rng.choice(values)
    return rng.choice(("\n", "\n", "\n", "\r\n", "\r", "\n\n")).join(lines) + "\n"


def damaged_tree(rng: random.Random, tree: Any, hostile: tuple[Any, ...] = HOSTILE, most: int = 3) -> Any:
    """A copy of nested dictionaries and lists with values replaced, and entries dropped, added, doubled or exchanged."""
    holder = [copy.deepcopy(tree)]
    for _ in range(rng.randint(1, most)):
        places = list(_places(holder))
        box, key = rng.choice(places)
        how = rng.random()
        if how < 0.65 or box is holder:
            box[key] = copy.deepcopy(rng.choice(hostile))
        elif how < 0.8:
            del box[key]
        elif how < 0.9 and isinstance(box, list):
            box.insert(rng.randrange(len(box) + 1), copy.deepcopy(rng.choice((box[key], *hostile))))
        elif how < 0.9:
            box[rng.choice(("extra", "name", "", "format", key))] = copy.deepcopy(rng.choice(hostile))
        else:
            other, place = rng.choice(places)
            box[key] = copy.deepcopy(other[place])
    return holder[0]


def _places(box: Any) -> Any:
    """Every (container, key) in a tree."""
    for key in list(box) if isinstance(box, dict) else range(len(box)):
        yield box, key
        if isinstance(box[key], dict | list):
            yield from _places(box[key])


def damaged_json(rng: random.Random, tree: Any) -> bytes:
    """JSON text of a damaged tree, sometimes nested too deep, sometimes damaged in its bytes too."""
    how = rng.random()
    if how < 0.02:
        return rng.choice((b"[", b'{"a":')) * 100_000
    text = json.dumps(damaged_tree(rng, tree), indent=rng.choice((None, 1))).encode()
    return damaged(rng, text, 2) if how < 0.25 else text
