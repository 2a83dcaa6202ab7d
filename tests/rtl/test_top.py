"""The accelerator for streams as a whole, of the geometry `tiny`, under both simulators."""

import pytest
from simulate import run

from spikeline.simulation import verilated
from support.networks import TINY


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
@pytest.mark.parametrize("bench", ["bench_images", "bench_top"])
def test_top(bench, simulator, tmp_path):
    assert run(bench, "spikeline_stream", tmp_path, verilated.parameters(TINY), simulator) >= 10
