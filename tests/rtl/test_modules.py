"""Each module by itself, at the corners of its parameters, under Icarus, where what is not reset is unknown."""

import pytest
from simulate import run

from spikeline.simulation import verilated
from support.networks import TINY

BUILT = verilated.parameters(TINY)
LAYER = ("INPUTS", "NEURONS", "PARALLEL", "WEIGHT_BITS", "MEMBRANE_BITS", "CLASSES", "CONTINUOUS", "MAX_LEAK", "DIRECT", "GROUP")
CONVOLVE = (
    "MAPS", "IN_MAPS", "ROWS", "WORDS", "POSITIONS", "DISTRIBUTED", "WEIGHT_BITS", "MEMBRANE_BITS", "CONTINUOUS", "MAX_LEAK",
    "DIRECT",
)  # fmt: skip
CASES = [
    ("crc", {}),
    *[("fifo", {"WIDTH": width, "DEPTH": depth}) for width, depth in ((8, 2), (64, 16), (16, 4))],
    *[("ram", {"WIDTH": 64, "DEPTH": depth}) for depth in (2, 50)],
    *[
        ("scan", {"INPUTS": inputs, "LANES": lanes, "LANE": lane})
        for inputs, lanes, lane in ((16, 1, 0), (17, 1, 0), (17, 2, 1), (100, 4, 0), (100, 4, 3), (130, 8, 7), (200, 1, 0))
    ],
    *[("events", {})],
    *[("input", {"INPUTS": inputs}) for inputs in (33, 64, 100, 200)],
    *[("seed", {})],
    *[("encode", {"INPUTS": inputs, "DIRECT": 1}) for inputs in (33, 100)],
    *[("decode", {"CLASSES": classes, "MEMBRANE_BITS": bits}) for classes, bits in ((2, 4), (10, 12), (16, 24))],
    *[
        ("fire", dict(zip(("GROUP", "MEMBRANE_BITS", "CONTINUOUS", "MAX_LEAK"), case, strict=True)))
        for case in ((8, 14, 1, 4), (16, 24, 1, 15), (32, 4, 1, 1), (8, 12, 1, 0), (16, 20, 0, 0))
    ],
    *[
        ("layer", dict(zip(LAYER, case, strict=True)))
        for case in (
            (100, 48, 4, 4, 12, 10, 1, 4, 1, 8),
            (17, 24, 1, 8, 13, 8, 0, 0, 1, 8),
            (40, 32, 8, 2, 10, 4, 1, 0, 0, 32),
            (33, 16, 2, 4, 11, 16, 1, 1, 0, 16),
        )
    ],
    *[
        ("convolve", dict(zip(CONVOLVE, case, strict=True)))
        for case in (
            (8, 1, 128, 50, 100, 0, 8, 14, 1, 4, 1),
            (16, 8, 600, 16, 64, 0, 8, 16, 1, 8, 0),
            (32, 16, 100, 32, 130, 1, 2, 9, 0, 0, 1),
        )
    ],
    ("regs", BUILT),
    *[(module, {"ADDRESS_BITS": bits}) for module, bits in (("reader", 32), ("reader", 40), ("writer", 32), ("writer", 40))],
    ("loader", {name: value for name, value in BUILT.items() if name not in ("BUILD", "LAYER_PARALLEL")}),
]


def title(case: tuple[str, dict]) -> str:
    return case[0] if "LAYERS" in case[1] else "-".join([case[0], *map(str, case[1].values())])


@pytest.mark.parametrize(("module", "parameters"), CASES, ids=map(title, CASES))
def test_module(module, parameters, tmp_path):
    assert run(f"bench_{module}", f"spk_{module}", tmp_path, parameters) >= 1
