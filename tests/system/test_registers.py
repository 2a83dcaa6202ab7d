"""The AXI4-Lite registers: identity, geometry, access rules, counters."""

import numpy as np
import pytest

from spikeline.device.driver import Driver
from spikeline.errors import DeviceError
from spikeline.model import model_file, spec
from spikeline.model.spec import Register
from support.memory import send


def test_identity_and_geometry(device, tiny):
    assert device.read(Register.ID) == spec.ID
    version = spec.VERSION.unpack(device.read(Register.VERSION))
    assert version == {"major": spec.VERSION_MAJOR, "minor": spec.VERSION_MINOR}
    assert device.read(Register.BUILD) != 0
    assert Driver(device, tiny.name, tiny.clock_mhz).geometry == tiny


def test_every_other_address_reads_zero_and_ignores_writes(device):
    known = {int(r) for r in Register if not r.name.startswith(("LAYER", "ROW_READS"))}
    known |= {Register.LAYER + 4 * n for n in range(3)} | {Register.ROW_READS_LO + 4 * n for n in range(6)}
    before = {a: device.read(a) for a in range(0, 0x1000, 4)}
    assert [a for a in before if a not in known and before[a]] == []
    writable = {address for _, address, access, _ in spec.REGISTERS if access != "read-only"}
    for address in range(0, 0x1000, 4):
        if address not in writable:
            device.write(address, 0xFFFFFFFF)
    assert {a: device.read(a) for a in before} == before


def test_byte_strobes_of_addresses_and_enables(device):
    for register, bits in ((Register.ADDRESS_LO, 32), (Register.ADDRESS_HI, 8), (Register.INTERRUPT_ENABLE, 3)):
        device.write(register, 0xFFFFFFFF)
        assert device.read(register) == (1 << bits) - 1
        device.write(register, 0, strobe=0b0001)
        assert device.read(register) == (1 << bits) - 1 & ~0xFF
        device.write(register, 0x12345678)
        assert device.read(register) == 0x12345678 & (1 << bits) - 1


def test_byte_strobes(device):
    device.write(Register.CONTROL, 0x100)
    assert device.read(Register.CONTROL) == 0x100
    device.write(Register.CONTROL, 0, strobe=0b1101)  # not the byte of `scores`
    assert device.read(Register.CONTROL) == 0x100
    device.write(Register.CONTROL, 0, strobe=0b0010)
    assert device.read(Register.CONTROL) == 0


def test_identity_of_the_model(device, driver, random_network):
    """MODEL is made of what was taken, and of nothing while a part is missing; nothing that the host writes changes it."""
    ours, other = (model_file.build(random_network(np.random.default_rng(seed), 3, continuous=1)) for seed in (2, 3))
    assert ours.identity != other.identity
    driver.load(ours)
    device.write(Register.MODEL, 7)
    driver.run(np.ones((2, ours.network.time_steps, ours.network.sizes[0]), np.uint8), scores=False)
    driver.clear_counters()
    assert device.read(Register.MODEL) == ours.identity
    assert driver.adopt(ours)
    assert not driver.adopt(other)
    assert driver.check()
    for packet in ours.packets[1:]:  # the same once more: it is there, but it came in another way
        send(device, packet)
        assert spec.STATUS.unpack(device.read(Register.STATUS))["loaded"]
        assert device.read(Register.MODEL) not in (0, ours.identity), spec.PacketType(int(packet[0]) & 0xFF).name
    assert not driver.check()
    for packet in other.packets:
        assert device.read(Register.MODEL) != other.identity
        send(device, packet)
    assert device.read(Register.MODEL) == other.identity
    send(device, other.packets[0])
    assert device.read(Register.MODEL) == 0
    driver.load(ours)
    device.write(Register.CONTROL, spec.CONTROL.pack(reset=1))
    assert device.read(Register.MODEL) == 0
    assert not driver.check()


def test_counters_of_a_known_run_and_their_clearing(driver, random_network):
    network = random_network(np.random.default_rng(1), 3, time_steps=4)
    driver.load(model_file.build(network))
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
    driver.load(model_file.build(network))
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
    [
        ({}, "load its bitstream"),
        ({"ID": spec.ID, "VERSION": 7 << 16}, "interface 7.0, this runtime 3.0"),
        ({"ID": spec.ID, "VERSION": 1 << 16 | 1}, "interface 1.1, this"),
        ({"ID": spec.ID, "VERSION": spec.VERSION_MAJOR << 16}, "no memory port; load the bitstream of one that has"),
    ],
)
def test_driver_refuses_another_device(registers, message):
    with pytest.raises(DeviceError, match=message):
        Driver(Wrong(**registers), "wrong", 100)
