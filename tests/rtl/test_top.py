"""The accelerator as a whole, of the geometry `tiny`: with streams under both simulators, and with memory."""

import pytest
from simulate import run

from spikeline.simulation import verilated
from support.networks import TINY


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
@pytest.mark.parametrize("bench", ["bench_images", "bench_top"])
def test_top(bench, simulator, tmp_path):
    assert run(bench, "spikeline_stream", tmp_path, verilated.parameters(TINY), simulator) >= 10


def test_top_with_memory(tmp_path):
    assert run("bench_axi", "spikeline", tmp_path, verilated.parameters(TINY), "verilator") >= 6
