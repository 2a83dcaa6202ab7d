"""What both exports share: Brevitas modules with given integers, the QONNX manager, and an exact comparison."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from brevitas.export.onnx.qonnx.function import BrevitasQuantOp
from brevitas.export.onnx.qonnx.handler import BrevitasActQuantProxyHandler
from brevitas.export.onnx.qonnx.manager import QONNXManager
from brevitas.inject.enum import QuantType, ScalingImplType
from brevitas.quant import Int8WeightPerTensorFloat
from torch import Tensor, nn

from spikeline.errors import SpikelineError
from spikeline_training.preset import Preset

INPUT, OUTPUT = "spikes", "membrane"
PROOF_BATCH = 500  # images per run of the executor

# Accuracy of the integers, true classes, the graph, and what proves a saved graph on so many samples.
Prepared = tuple[float, np.ndarray, onnx.ModelProto, Callable[[onnx.ModelProto, int], dict[str, Any]]]


def metadata(preset: Preset) -> dict[str, str]:
    """What a graph says of itself beside its nodes: training/README.md lists it."""
    return {
        "spikeline_version": "1",
        "integration": preset.integration,
        "encoder": preset.encoder,
        "time_steps": str(preset.time_steps),
        "output": OUTPUT,
        "dataset": preset.data,
        "preset": preset.name,
        "sizes": ",".join(map(str, preset.sizes)),
        "weight_bits": str(preset.weight_bits),
        "seed": str(preset.seed),
        "eval_seed": str(preset.eval_seed),
    }


class Bias(nn.Module):
    """The bias apart from its layer, so that it stays a node of its own beside a plain MatMul."""

    def __init__(self, bias: np.ndarray) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.from_numpy(bias))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class _SpikeHandler(BrevitasActQuantProxyHandler):
    """Writes spikes as `Quant` of 1 unsigned bit; Brevitas' own handler writes any 1-bit quantiser as ±1."""

    def prepare_for_export(self, module: nn.Module) -> None:
        super().prepare_for_export(module)
        self.quant_op = BrevitasQuantOp


class Manager(QONNXManager):
    handlers = [_SpikeHandler, *(h for h in QONNXManager.handlers if h is not BrevitasActQuantProxyHandler)]  # noqa: RUF012


def linear(weights: np.ndarray, scale: Tensor, bits: int) -> qnn.QuantLinear:
    """A Brevitas layer without bias whose quantised weights are exactly scale * weights, integers (O, I)."""
    largest = max(1, 2 ** (bits - 1) - 1)
    quantiser = Int8WeightPerTensorFloat.let(
        bit_width=bits,
        narrow_range=True,
        quant_type=QuantType.BINARY if bits == 1 else QuantType.INT,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=scale * largest,  # Brevitas' constant is the largest value
    )
    layer = qnn.QuantLinear(weights.shape[1], weights.shape[0], False, weight_quant=quantiser)
    layer.weight = nn.Parameter(torch.from_numpy(weights).float() * scale)
    return layer


def same(what: str, ours: np.ndarray, theirs: Tensor) -> None:
    differing = int((ours != theirs.numpy()).sum())
    if differing:
        raise SpikelineError(f"the ONNX file and the Brevitas model differ in {differing} {what}; nothing is written")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporter's and the executor's warnings about their own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
