"""The AXI4 master as a whole, with the narrowest and the widest addresses, under both simulators."""

import pytest
from simulate import run


@pytest.mark.parametrize(("simulator", "address_bits"), [("icarus", 32), ("verilator", 40)])
def test_memory(simulator, address_bits, tmp_path):
    assert run("bench_memory", "spk_memory", tmp_path, {"ADDRESS_BITS": address_bits}, simulator) >= 6
