"""Spikeline runtime: spiking networks on the accelerator, simulated or on a PYNQ board.

    from spikeline import Accelerator
    with Accelerator(model="model.img") as accelerator:
        labels = accelerator.infer(pixels).labels

Importing it needs numpy alone; a board or a simulator is looked for when an `Accelerator` is opened.
"""

from typing import Any

from spikeline.accelerator import Accelerator
from spikeline.device.backend import Counters, Result
from spikeline.device.packets import Events, Pixels, Spikes
from spikeline.errors import CompileError, DataError, DeviceError, ModelError, PresetError, SpikelineError
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import Model
from spikeline.model.model_file import build as build_model
from spikeline.model.model_file import load as load_model
from spikeline.model.model_file import save as save_model
from spikeline.model.network import Layer, Network

__version__: str
__all__ = [
    "Accelerator",
    "CompileError",
    "Counters",
    "DataError",
    "DeviceError",
    "Events",
    "Geometry",
    "Layer",
    "Model",
    "ModelError",
    "Network",
    "Pixels",
    "PresetError",
    "Result",
    "SpikelineError",
    "Spikes",
    "__version__",
    "build_model",
    "encode",
    "load_model",
    "save_model",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":  # on demand: reading the package's metadata takes time
        from importlib.metadata import version

        return version("spikeline")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
