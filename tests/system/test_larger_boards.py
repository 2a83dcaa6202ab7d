"""What only boards with a Zynq UltraScale+ have: its .hwh, memory above 4 GiB, and the geometries for its devices."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from spikeline import Accelerator
from spikeline.device import hand_off
from spikeline.device.hand_off import PROCESSORS, ZYNQ_ULTRASCALE
from spikeline.measure import cycles
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.network import Network
from spikeline.model.spec import MEMORY_ERROR, Encoder, Register
from spikeline.simulation.board import SimulatedBoard
from spikeline.simulation.verilated import SimDevice
from support import networks
from support.runner import Runner

WRITTEN = Path(__file__).parents[1] / "support/hand_off"


def written(kind: str) -> str:
    """A .hwh of the shape that Vivado gives it."""
    return (WRITTEN / f"{kind}.hwh").read_text(encoding="utf-8-sig")


# ---- .hwh ----


@pytest.mark.parametrize("kind", PROCESSORS)
def test_pynq_sees_in_our_hwh_what_it_sees_in_vivados(kind, tiny):
    seen = []
    for described in (None, written(kind)):
        board = SimulatedBoard(tiny, PROCESSORS[kind], described)
        with Accelerator(board.bitstream, device=board) as accelerator:
            overlay = accelerator.overlay
            ip = overlay.ip_dict[hand_off.INSTANCE]
            clock = overlay.clock_dict[0]
            seen.append(
                {
                    **{key: ip[key] for key in ("phys_addr", "addr_range", "type", "driver")},
                    "build": hand_off.build(ip["parameters"]["BUILD"]),
                    "ips": set(overlay.ip_dict),
                    "memories": set(overlay.mem_dict),
                    "clock": (clock["enable"], clock["divisor0"] * clock["divisor1"]),
                    "interrupts": dict(overlay.interrupt_pins),
                    "mhz": accelerator.geometry.clock_mhz,
                }
            )
        board.close()
    assert seen[0] == seen[1]
    assert seen[0]["ips"] == {hand_off.INSTANCE, PROCESSORS[kind].instance}
    assert seen[0]["phys_addr"] == PROCESSORS[kind].registers


@pytest.mark.parametrize("kind", PROCESSORS)
def test_the_written_hwh_is_of_the_block_design(kind):
    """Parameters in both cases, interconnects, all ends of each interface; the ports as block_design.tcl connects them."""
    root = ElementTree.fromstring(written(kind))
    modules = {m.get("INSTANCE"): m for m in root.iter("MODULE")}
    ps = PROCESSORS[kind].instance
    assert set(modules) == {ps, hand_off.INSTANCE, "control_0", "memory_0", "reset_0"}
    assert modules[ps].get("VLNV") == PROCESSORS[kind].vlnv
    assert root.find("SYSTEMINFO").get("ARCH") == PROCESSORS[kind].architecture
    names = {p.get("NAME") for p in modules[ps].iter("PARAMETER")}
    assert any(name.islower() for name in names)
    assert any(name.isupper() for name in names)
    buses: dict[str, list] = {}
    for name, module in modules.items():
        for bus in module.iter("BUSINTERFACE"):
            if bus.get("VLNV") == "xilinx.com:interface:aximm:1.0":
                buses.setdefault(bus.get("BUSNAME"), []).append((name, bus.get("TYPE"), bus.get("DATAWIDTH")))
    assert len(buses) == 4
    for master, slave in (sorted(ends, key=lambda end: end[1]) for ends in buses.values()):
        assert (master[1], slave[1], master[2]) == ("MASTER", "SLAVE", slave[2])


@pytest.mark.parametrize(
    ("stated", "build"),
    [
        ("0x0123abCD", 0x0123ABCD),
        ("32'h0123ABCD", 0x0123ABCD),
        ("19114957", 0x0123ABCD),
        ('"00000001001000111010101111001101"', 0x0123ABCD),
        ("32'b101", 5),
        ("", None),
        ("{BUILD}", None),
        ("0x", None),
    ],
)
def test_forms_of_build(stated, build):
    assert hand_off.build(stated) == build


# ---- addresses ----


@pytest.mark.long
def test_memory_above_4_gib(tiny):
    """Both halves of an address reach the memory, and are told of an access that it refuses. A simulator of 40 bits."""
    rng = np.random.default_rng(4)
    network = replace(networks.network(rng, 3, 3, 0.3, Encoder.BERNOULLI), exit_margin=None)
    pixels = rng.integers(0, 256, (30, network.sizes[0])).astype(np.uint8)
    expected = golden.run(network, encode(pixels, "bernoulli", network.time_steps)).labels
    for base in (0x8_7000_0000, 0xFF_0000_0000):
        board = SimulatedBoard(tiny, ZYNQ_ULTRASCALE, written("zynq_ultrascale"), base)
        with Accelerator(board.bitstream, model_file.build(network), device=board) as accelerator:
            for batch in (1000, 4):
                np.testing.assert_array_equal(accelerator.infer(pixels, batch=batch).labels, expected)
            driver = accelerator._backend
            send = driver.device.buffer("send0", 8)
            at = driver.device.address(send)
            assert at >> 32 == base >> 32
            board.simulator.fail(at, 64)
            driver.transfers.start(send)
            board.simulator.run(1000)
            assert MEMORY_ERROR.unpack(driver.device.read(Register.MEMORY_ERROR))["code"]
            assert f"sending from 0x{at:08x}" in driver.transfers.fault()
            driver.reset()
        board.close()


# ---- geometries ----


def network_of(geometry: Geometry, rng: np.random.Generator, continuous: bool) -> Network:
    """One that fills a geometry but for its classes, its hidden layers continuous or not."""
    sizes = [geometry.layers[0].inputs, *(x.neurons for x in geometry.layers[:-1]), 10]
    layers = []
    for n, (inputs, neurons) in enumerate(pairwise(sizes)):
        weights = rng.integers(-2, 3, (inputs, neurons)).astype(np.int8)
        lasts = continuous and n + 1 < len(geometry.layers)
        bits, leak = geometry.membrane_bits - 1, geometry.max_leak
        layers.append(networks.lasting(rng, weights, bits, leak) if lasts else networks.fresh(rng, weights))
    return Network(tuple(layers), geometry.weight_bits, 4, Encoder.BERNOULLI)


@pytest.mark.long
@pytest.mark.parametrize("name", ["zu3-256", "k26-256"])
def test_a_larger_geometry_equals_the_golden_model_and_the_cycle_model(name):
    """From pixels and from spikes, discontinuous, continuous with leaks, and direct, 100 images each."""
    geometry, rng = Geometry.load(name), np.random.default_rng(7)
    device = SimDevice(geometry)
    driver = Runner(device, geometry.name, geometry.clock_mhz, timeout=60)
    plain, lasting = (network_of(geometry, rng, continuous) for continuous in (False, True))
    for network in (plain, lasting, networks.direct(rng, plain, 4, geometry.membrane_bits)):
        geometry.require(network)
        pixels = rng.integers(0, 256, (100, network.sizes[0])).astype(np.uint8)
        pixels[rng.random(pixels.shape) < 0.8] = 0
        spikes = encode(pixels, network.encoder.name.lower(), network.time_steps)
        trace = golden.run(network, spikes)
        driver.load(model_file.build(network))
        driver.clear_counters()
        labels, _, values = driver.run_pixels(pixels, 0, 0, True)
        np.testing.assert_array_equal(labels, trace.labels)
        np.testing.assert_array_equal(values, trace.values)
        predicted = cycles.predict(driver.geometry, network, spikes, trace, True, "pixels")
        assert driver.counters().cycles == predicted.cycles
    device.close()
