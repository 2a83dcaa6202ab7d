"""The AXI4 master as a whole, with the narrowest and the widest addresses, under both simulators."""

import pytest
from simulate import HERE, run, verilog


@pytest.mark.parametrize(("simulator", "address_bits"), [("icarus", 32), ("verilator", 40)])
def test_memory(simulator, address_bits, tmp_path):
    sources = [*verilog(), HERE / "memory_with_ids.v"]
    parameters = {"ADDRESS_BITS": address_bits}
    assert run("bench_memory", "memory_with_ids", tmp_path, parameters, simulator, sources) >= 7
