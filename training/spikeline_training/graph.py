"""The graph of one time step: the integer network as a Brevitas model with constant scales, and that as QONNX.

Each hidden layer whose membranes last has its state as an input and an output: what one step gives as `v0_out` is `v0_in` of
the next, and states start at 0. If there is such a layer, the class values are summed up in the graph too. All float
arithmetic is exact (see integers.py). Nodes, names and metadata are listed in training/README.md.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
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
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
from torch import Tensor, nn

from spikeline.model.encode import PIXEL_BITS
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Reset
from spikeline_training.integers import Affine
from spikeline_training.quantiser import Spike

INPUT = "spikes"
OUTPUTS = {Decode.MEMBRANE: "membrane", Decode.SPIKE_COUNT: "output_spikes"}
PIXELS = "pixels"  # the input of a network with direct input: 0 … 255, 0 for the bits that are not sent


class Step(nn.Module):
    """One time step of an integer network, computed in float: the model that is exported."""

    def __init__(self, network: Network, affines: list[Affine], weight_bits: int) -> None:
        super().__init__()
        self.network, self.affines, self.weight_bits = network, affines, weight_bits
        self.reads_membranes = network.decode == Decode.MEMBRANE
        self.accumulates = network.continuous and self.reads_membranes  # class values, from step to step
        self.firing = network.layers[: len(network.layers) - self.reads_membranes]  # the layers that do
        scales = [affine.scale for affine in affines]
        if network.direct:  # a pixel's unsent bits are 0, so it is a multiple of what one unit of the integers is
            scales[0] = scales[0] * np.float32(2.0 ** (network.time_steps - PIXEL_BITS))
        self.sums = nn.ModuleList(
            _linear(x.weights.T, scale, weight_bits) for x, scale in zip(network.layers, scales, strict=True)
        )
        self.biases = nn.ModuleList(Bias(a.bias) if a.bias.any() else nn.Identity() for a in affines)
        self.spikes = nn.ModuleList(qnn.QuantIdentity(act_quant=Spike) for _ in self.firing)
        # A layer that is reset to zero may have any threshold; what it lacks to 1 is added where its spike is made.
        shifts = [_shift(x, a) for x, a in zip(self.firing, affines, strict=False)]
        self.shifts = nn.ModuleList(Bias(x) if x.any() else nn.Identity() for x in shifts)
        self.eval()

    @property
    def state_names(self) -> tuple[list[str], list[str]]:
        """Inputs and outputs of the graph that are the states of hidden layers."""
        stateful = [n for n, layer in enumerate(self.network.layers) if layer.continuous]
        return [f"v{n}_in" for n in stateful], [f"v{n}_out" for n in stateful]

    def forward(self, spikes: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Spikes (B, N) of 0 and 1, the states (B, H) of layers that have one and, if any has, the class values (B, 10) so far.

        Of direct input the first are no spikes but pixels, 0 to 255.

        Returns the class values, of this step alone or up to it, then the states after it. Of a network whose output fires,
        class values are not summed up and its spikes are returned.
        """
        return self.trace(spikes, *states)[1:]  # type: ignore[return-value]

    def trace(self, spikes: Tensor, *states: Tensor) -> tuple[Any, ...]:
        """As `forward`, before it the spikes (B, H) of each layer that fires."""
        fired, before, after = [], iter(states), list[Tensor]()
        for n, layer in enumerate(self.firing):
            if not layer.continuous:
                spikes = self.spikes[n](self._current(n, spikes))
                fired.append(spikes)
                continue
            v = self._leaked(n, next(before)) + self._current(n, spikes)
            spikes = self.spikes[n](self.shifts[n](v))
            fired.append(spikes)
            v = v - spikes if layer.reset == Reset.SUBTRACT else v * (1 - spikes)
            grid, largest = float(self.affines[n].scale), 2 ** (layer.state_bits - 1)
            after.append(torch.clip(v, -grid * largest, grid * (largest - 1)))
        values = self._current(-1, spikes) if self.reads_membranes else spikes
        return fired, next(before) + values if self.accumulates else values, *after

    def _leaked(self, n: int, v: Tensor) -> Tensor:
        grid, leak = float(self.affines[n].scale), self.network.layers[n].leak
        return v - torch.floor(v * (1 / (grid * 2**leak))) * grid if leak else v

    def _current(self, n: int, spikes: Tensor) -> Tensor:
        """What layer n adds to its membranes, (B, O)."""
        return self.biases[n](self.sums[n](spikes))

    def start(self, batch: int) -> list[Tensor]:
        """The states before the first step."""
        sizes = [x.neurons for x in self.network.layers if x.continuous] + [self.network.sizes[-1]] * self.accumulates
        return [torch.zeros(batch, size) for size in sizes]


def _shift(layer: Layer, affine: Affine) -> np.ndarray:
    """By what the thresholds of a layer fall short of 1, float32 (neurons,); 0 where membranes do not last."""
    fires_at = affine.scale.astype(np.float64) * layer.thresholds if layer.continuous else np.ones(layer.neurons)
    return (1 - fires_at).astype(np.float32)


class Bias(nn.Module):
    """The bias apart from its layer, so that it stays a node of its own beside a plain MatMul."""

    def __init__(self, bias: np.ndarray) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.from_numpy(bias))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def _linear(weights: np.ndarray, scale: np.ndarray, bits: int) -> qnn.QuantLinear:
    """A Brevitas layer without bias whose quantised weights are exactly scale * weights: integers (O, I), scale (O,) or ()."""
    real_scale = torch.tensor(scale.reshape(-1, 1) if scale.ndim else scale)
    quantiser = Int8WeightPerTensorFloat.let(
        bit_width=bits,
        narrow_range=True,
        quant_type=QuantType.BINARY if bits == 1 else QuantType.INT,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=real_scale * max(1, 2 ** (bits - 1) - 1),  # Brevitas' constant is the largest value
    )
    layer = qnn.QuantLinear(weights.shape[1], weights.shape[0], False, weight_quant=quantiser)
    layer.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weights)).float() * real_scale)
    return layer


class _SpikeHandler(BrevitasActQuantProxyHandler):
    """Writes spikes as `Quant` of 1 unsigned bit; Brevitas' own handler writes any 1-bit quantiser as ±1."""

    def prepare_for_export(self, module: nn.Module) -> None:
        super().prepare_for_export(module)
        self.quant_op = BrevitasQuantOp


class _Manager(QONNXManager):
    handlers = [_SpikeHandler, *(h for h in QONNXManager.handlers if h is not BrevitasActQuantProxyHandler)]  # noqa: RUF012


def write(step: Step, extra: Mapping[str, str] | None = None) -> onnx.ModelProto:
    """The QONNX graph of one time step, clean, named, with what the network says of itself as metadata, and `extra`."""
    states, after = step.state_names
    with quiet():
        exported = _Manager.export(
            step,
            args=(torch.zeros(1, step.network.sizes[0]), *step.start(1)),
            input_names=[PIXELS if step.network.direct else INPUT, *states, *["v_out_in"] * step.accumulates],
            output_names=[OUTPUTS[step.network.decode], *after],
            dynamo=False,
            opset_version=13,
        )
    wrapped = ModelWrapper(exported)
    for transformation in (FoldTransposeIntoQuantInit(), RemoveUnusedTensors(), InferShapes()):
        wrapped = wrapped.transform(transformation)
    model = wrapped.model
    _name(model.graph, step)
    onnx.helper.set_model_props(model, _metadata(step) | dict(extra or {}))
    model.producer_name = "spikeline"
    return model


def _metadata(step: Step) -> dict[str, str]:
    network = step.network
    facts = {
        "spikeline_version": "1",
        "integration": "continuous" if network.continuous else "discontinuous",
        "encoder": network.encoder.name.lower(),
        "time_steps": str(network.time_steps),
        "output": network.decode.name.lower(),
        "sizes": ",".join(map(str, network.sizes)),
        "weight_bits": str(step.weight_bits),
    }
    for key in ("leak", "reset", "state_bits"):
        values = {getattr(layer, key) for layer in network.layers if layer.continuous}
        if len(values) == 1:  # of layers that differ, the graph alone says it
            (value,) = values
            facts[key] = value.name.lower() if isinstance(value, Reset) else str(value)
    return facts


def _name(graph: onnx.GraphProto, step: Step) -> None:
    """Put the nodes in the order of the data flow and name nodes and tensors by layer and role."""
    makers = {node.output[0]: node for node in graph.node}
    constants, output = {x.name for x in graph.initializer}, graph.output[0].name
    ordered: list[onnx.NodeProto] = []

    def add(tensor: str) -> None:
        """The node that makes a tensor, after those that it needs."""
        if (node := makers.pop(tensor, None)) is not None:
            for needed in node.input:
                add(needed)
            ordered.append(node)

    fired = [x.output[0] for x in graph.node if x.op_type == "Quant" and x.input[0] not in constants]  # by layers
    for n, spikes in enumerate(fired):
        add(spikes)
        add(f"v{n}_out")
    add(output)
    nodes = [deepcopy(node) for node in ordered]
    graph.ClearField("quantization_annotation")  # of names that there are no more
    graph.ClearField("node")
    graph.node.extend(nodes)
    fixed = {x.name for x in (*graph.input, *graph.output)}
    names: dict[str, str] = {}
    for node, (operator, layer, role, result, parameters) in zip(graph.node, _roles(step), strict=True):
        assert node.op_type == operator, f"{node.op_type} where {layer}_{role} is expected"
        node.name = f"{layer}_{role}"
        given = [x for x in node.input if x in constants]
        names.update(zip(given, (f"{layer}_{p}" for p in parameters), strict=True))
        if node.output[0] not in fixed:
            names[node.output[0]] = f"{layer}_{result}"
    for node in graph.node:
        node.input[:] = [names.get(x, x) for x in node.input]
        node.output[:] = [names.get(x, x) for x in node.output]
    for tensor in (*graph.initializer, *graph.value_info):
        tensor.name = names.get(tensor.name, tensor.name)
    if not step.network.continuous:
        _sort_by_use(graph)
    graph.name = "spikeline_step"


def _sort_by_use(graph: onnx.GraphProto) -> None:
    """Order constants, and shapes of what is computed, as nodes name them: files of discontinuous networks have it so."""
    order = list(dict.fromkeys(x for node in graph.node for x in (*node.input, *node.output)))
    constants = {x.name for x in graph.initializer}
    shapes = [deepcopy(x) for x in graph.value_info if x.name not in constants]
    graph.ClearField("value_info")
    graph.value_info.extend(shapes)
    for tensors in (graph.initializer, graph.value_info):
        tensors.sort(key=lambda x: order.index(x.name))


def _roles(step: Step) -> Iterator[tuple[str, str, str, str, list[str]]]:
    """Operator, layer, role, result and constants of each node in the order of the data flow."""
    binary = step.weight_bits == 1
    weight = ["weight", "weight_scale", *([] if binary else ["weight_zero_point", "weight_bits"])]
    for n, layer in enumerate(step.network.layers):
        is_output, fires = n == len(step.network.layers) - 1, n < len(step.firing)
        name, integrates = "output" if is_output else f"layer{n}", layer.continuous if fires else step.accumulates
        if layer.leak:
            yield "Mul", name, "leak_scale", "leak_scaled", ["leak_factor"]
            yield "Floor", name, "leak_floor", "leak_floored", []
            yield "Mul", name, "leak_amount", "leak_amount", ["grid"]
            yield "Sub", name, "leak_sub", "leaked", []
        yield "BipolarQuant" if binary else "Quant", name, "weight_quant", "weight_quantised", weight
        yield "MatMul", name, "matmul", "sum", []
        if isinstance(step.biases[n], Bias):
            yield "Add", name, "bias_add", "current" if integrates else "membrane", ["bias"]
        if integrates:
            yield "Add", name, "integrate", "membrane", []
        if not fires:
            break
        if isinstance(step.shifts[n], Bias):
            yield "Add", name, "threshold_add", "shifted", ["threshold_shift"]
        yield "Quant", name, "spike", "spikes", ["spike_scale", "spike_zero_point", "spike_bits"]
        if not layer.continuous:
            continue
        if layer.reset == Reset.SUBTRACT:
            yield "Sub", name, "reset", "after", []
        else:
            yield "Sub", name, "keep", "kept", ["one"]
            yield "Mul", name, "reset", "after", []
        yield "Clip", name, "saturate", "saturated", ["lowest", "highest"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporter's and the executor's warnings about their own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
