"""What Yosys makes of the geometry `tiny` does what the Verilog does: the same bench, of 60 images, with the same references."""

from netlist import netlist
from simulate import run

from support.networks import TINY


def test_netlist(tmp_path):
    assert run("bench_images", "spikeline_stream", tmp_path, sources=[netlist(TINY)]) >= 10
