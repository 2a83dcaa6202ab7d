"""The AXI4-Lite registers: identity, geometry, access rules, counters."""

import numpy as np
import pytest

from spikeline import image, spec
from spikeline.driver import Driver
from spikeline.errors import DeviceError
from spikeline.spec import Register


def test_identity_and_geometry(device, tiny):
    assert device.read(Register.ID) == spec.ID
    assert spec.VERSION.unpack(device.read(Register.VERSION))["major"] == spec.VERSION_MAJOR
    assert device.read(Register.BUILD) != 0
    assert Driver(device, tiny.name, tiny.clock_mhz).geometry == tiny


def test_every_other_address_reads_zero_and_ignores_writes(device):
    known = {int(r) for r in Register if not r.name.startswith(("LAYER", "ROW_READS"))}
    known |= {Register.LAYER + 4 * n for n in range(3)} | {Register.ROW_READS_LO + 4 * n for n in range(6)}
    before = {a: device.read(a) for a in range(0, 0x1000, 4)}
    assert [a for a in before if a not in known and before[a]] == []
    for address in range(0, 0x1000, 4):
        if address != Register.CONTROL:
            device.write(address, 0xFFFFFFFF)
    assert {a: device.read(a) for a in before} == before


def test_byte_strobes(device):
    device.write(Register.CONTROL, 0x100)
    assert device.read(Register.CONTROL) == 0x100
    device.write(Register.CONTROL, 0, strobe=0b1101)  # not the byte of `scores`
    assert device.read(Register.CONTROL) == 0x100
    device.write(Register.CONTROL, 0, strobe=0b0010)
    assert device.read(Register.CONTROL) == 0


def test_counters_of_a_known_run_and_their_clearing(driver, random_network):
    network = random_network(np.random.default_rng(1), 3, time_steps=4)
    driver.load(image.build(network))
    driver.clear_counters()
    driver.run(np.ones((6, 4, network.sizes[0]), np.uint8), scores=False)
    counters = driver.counters()
    assert (counters.images, counters.steps) == (6, 24)
    assert counters.row_reads[0] == 24 * network.sizes[0]
    assert 0 < counters.cycles < 24 * (network.sizes[0] + 60)
    assert counters.stall_output == 0
    driver.clear_counters()
    assert driver.counters().cycles == 0
    assert driver.counters().row_reads == (0, 0, 0)


def test_cycles_count_only_while_there_is_work(driver, random_network):
    network = random_network(np.random.default_rng(1), 2, time_steps=2)
    driver.load(image.build(network))
    driver.clear_counters()
    driver.device.idle(1000)
    assert driver.counters().cycles == 0
    spikes = np.ones((1, 2, network.sizes[0]), np.uint8)
    driver.run(spikes, scores=False)
    once = driver.counters().cycles
    driver.device.idle(1000)
    driver.run(spikes, scores=False)
    assert driver.counters().cycles == 2 * once


class Wrong:
    """A device that is something else."""

    def __init__(self, **registers):
        self.registers = registers

    def read(self, address):
        return self.registers.get(Register(address).name, 0)


@pytest.mark.parametrize(
    ("registers", "message"),
    [({}, "load its bitstream"), ({"ID": spec.ID, "VERSION": 7 << 16}, "interface 7.0, this runtime 1.0")],
)
def test_driver_refuses_another_device(registers, message):
    with pytest.raises(DeviceError, match=message):
        Driver(Wrong(**registers), "wrong", 100)
