"""The area model against what Yosys maps, and how it moves with the sizes of a geometry."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from spikeline.measure.area import area, block, distributed
from spikeline.model.geometry import FOLDER, Geometry
from spikeline_rtl.synthesis.area import DEVICES

MAPPED = {e["geometry"]: e for e in json.loads((Path(__file__).parents[2] / "docs/results/area.json").read_text())}
SEVEN_SERIES = [name for name, e in MAPPED.items() if DEVICES[e["device"]].family == "xc7"]


@pytest.mark.parametrize("name", SEVEN_SERIES)
def test_within_five_percent_of_the_netlist(name):
    mapped, estimated = MAPPED[name], area(Geometry.load(name))
    assert estimated.lut == pytest.approx(mapped["lut"], rel=0.05)
    assert estimated.ramb36 == mapped["ramb36"]
    assert estimated.dsp == mapped["dsp"]


@pytest.mark.parametrize(
    ("bits", "words", "blocks"), [(64, 64, 1), (192, 512, 3), (352, 288, 5), (176, 2304, 12.5), (48, 1024, 1.5)]
)
def test_block_rams(bits, words, blocks):
    """As Yosys maps the memories of z020-conv."""
    assert block(bits, words) == blocks


def test_distributed_ram():
    assert (distributed(6, 32), distributed(7, 32), distributed(384, 64)) == (4, 8, 512)
    assert distributed(256, 146) == 3 * 344 + 256


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_more_takes_more(name):
    """Of anything that a geometry can have more of, no resource gets less."""
    base = Geometry.load(name)
    wider = replace(base, layers=tuple(replace(x, neurons=2 * x.neurons) for x in base.layers))
    deeper = replace(base, layers=tuple(replace(x, inputs=2 * x.inputs) for x in base.layers), inputs=2 * base.input_room)
    precise = replace(base, membrane_bits=base.membrane_bits + 4)
    for more in (wider, deeper, precise):
        a, b = area(base), area(more)
        assert (b.lut > a.lut, b.ramb36 >= a.ramb36, b.dsp >= a.dsp) == (True, True, True)
