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
import torch.nn.functional as F
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
HANDING_ON = ("MaxPool", "Flatten")  # nodes between the spikes of a convolution and the next layer
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
        self.sums = nn.ModuleList(_sum(x, scale, weight_bits) for x, scale in zip(network.layers, scales, strict=True))
        self.biases = nn.ModuleList(_bias(x, a.bias) for x, a in zip(network.layers, affines, strict=True))
        self.spikes = nn.ModuleList(qnn.QuantIdentity(act_quant=Spike) for _ in self.firing)
        # A layer that is reset to zero may have any threshold; what it lacks to 1 is added where its spike is made.
        self.shifts = nn.ModuleList(_bias(x, _shift(x, a)) for x, a in zip(self.firing, affines, strict=False))
        self.eval()

    @property
    def state_names(self) -> tuple[list[str], list[str]]:
        """Inputs and outputs of the graph that are the states of hidden layers."""
        stateful = [n for n, layer in enumerate(self.network.layers) if layer.continuous]
        return [f"v{n}_in" for n in stateful], [f"v{n}_out" for n in stateful]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one sample in the graph: (N,), or of a convolution (channels, height, width)."""
        first = self.network.layers[0]
        return (first.window.channels, first.window.height, first.window.width) if first.window else (first.inputs,)

    def forward(self, spikes: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Spikes (B, N) of 0 and 1, the states (B, H) of layers that have one and, if any has, the class values (B, 10) so far.

        Of convolutions spikes are maps (B, C, H, W), and so are states. Of direct input the first are no spikes but pixels,
        0 to 255.

        Returns the class values, of this step alone or up to it, then the states after it. Of a network whose output fires,
        class values are not summed up and its spikes are returned.
        """
        return self.trace(spikes, *states)[2:]  # type: ignore[return-value]

    def trace(self, spikes: Tensor, *states: Tensor) -> tuple[Any, ...]:
        """As `forward`, before it the spikes of all neurons of each layer that fires, and those that it hands on."""
        fired, handed_on, before, after = list[Tensor](), list[Tensor](), iter(states), list[Tensor]()
        for n, layer in enumerate(self.firing):
            current = self._current(n, spikes)
            v = self._leaked(n, next(before)) + current if layer.continuous else current
            s = self.spikes[n](self.shifts[n](v) if layer.continuous else v)
            spikes = self._handed_on(n, s)
            fired.append(s)
            handed_on.append(spikes)
            if layer.continuous:
                v = v - s if layer.reset == Reset.SUBTRACT else v * (1 - s)
                grid, largest = float(self.affines[n].scale), 2 ** (layer.state_bits - 1)
                after.append(torch.clip(v, -grid * largest, grid * (largest - 1)))
        values = self._current(-1, spikes) if self.reads_membranes else spikes
        return fired, handed_on, next(before) + values if self.accumulates else values, *after

    def _handed_on(self, n: int, spikes: Tensor) -> Tensor:
        """What layer n gives to the next: its spikes, those of a convolution pooled, and flat if the next is fully connected."""
        if self.network.layers[n].pools:
            spikes = F.max_pool2d(spikes, 2)
        return torch.flatten(spikes, 1) if n + 1 == self.network.convolutions else spikes

    def _leaked(self, n: int, v: Tensor) -> Tensor:
        grid, leak = float(self.affines[n].scale), self.network.layers[n].leak
        return v - torch.floor(v * (1 / (grid * 2**leak))) * grid if leak else v

    def _current(self, n: int, spikes: Tensor) -> Tensor:
        """What layer n adds to its membranes, (B, O)."""
        return self.biases[n](self.sums[n](spikes))

    def start(self, batch: int) -> list[Tensor]:
        """The states before the first step."""
        shapes = [(x.columns, *(x.window.positions if x.window else ())) for x in self.network.layers if x.continuous]
        return [torch.zeros(batch, *shape) for shape in shapes + [(self.network.sizes[-1],)] * self.accumulates]


def _shift(layer: Layer, affine: Affine) -> np.ndarray:
    """By what the thresholds of a layer fall short of 1, float32 (columns,); 0 where membranes do not last."""
    fires_at = affine.scale.astype(np.float64) * layer.thresholds if layer.continuous else np.ones(layer.columns)
    return (1 - fires_at).astype(np.float32)


def _bias(layer: Layer, bias: np.ndarray) -> nn.Module:
    """What adds a bias (columns,) to a layer's sums, nothing if it is 0."""
    return Bias(bias.reshape(-1, 1, 1) if layer.window else bias) if bias.any() else nn.Identity()


class Bias(nn.Module):
    """The bias apart from its layer, so that it stays a node of its own beside a plain MatMul or Conv."""

    def __init__(self, bias: np.ndarray) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.from_numpy(bias))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def _sum(layer: Layer, scale: np.ndarray, bits: int) -> nn.Module:
    """The Brevitas layer, without a bias, whose quantised weights are exactly scale * weights; scale (columns,) or ()."""
    window, weights = layer.window, torch.from_numpy(np.ascontiguousarray(layer.weights.T)).float()
    if window:
        weights = weights.view(-1, window.channels, window.kernel, window.kernel)
    real_scale = torch.tensor(scale)
    if scale.ndim:
        real_scale = real_scale.view(-1, *[1] * (weights.dim() - 1))
    quantiser = Int8WeightPerTensorFloat.let(
        bit_width=bits,
        narrow_range=True,
        quant_type=QuantType.BINARY if bits == 1 else QuantType.INT,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=real_scale * max(1, 2 ** (bits - 1) - 1),  # Brevitas' constant is the largest value
    )
    if window:
        how = (window.channels, layer.columns, window.kernel, window.stride, window.padding)
        made: qnn.QuantConv2d | qnn.QuantLinear = qnn.QuantConv2d(*how, bias=False, weight_quant=quantiser)
    else:
        made = qnn.QuantLinear(layer.inputs, layer.columns, False, weight_quant=quantiser)
    made.weight = nn.Parameter(weights * real_scale)
    return made


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
            args=(torch.zeros(1, *step.input_shape), *step.start(1)),
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
    behind = {node.input[0]: node.output[0] for node in graph.node if node.op_type in HANDING_ON}
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
        while spikes:
            add(spikes)
            spikes = behind.get(spikes, "")
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
        yield ("Conv", name, "conv", "sum", []) if layer.window else ("MatMul", name, "matmul", "sum", [])
        if isinstance(step.biases[n], Bias):
            yield "Add", name, "bias_add", "current" if integrates else "membrane", ["bias"]
        if integrates:
            yield "Add", name, "integrate", "membrane", []
        if not fires:
            break
        if isinstance(step.shifts[n], Bias):
            yield "Add", name, "threshold_add", "shifted", ["threshold_shift"]
        yield "Quant", name, "spike", "spikes", ["spike_scale", "spike_zero_point", "spike_bits"]
        if layer.pools:
            yield "MaxPool", name, "pool", "pooled", []
        if n + 1 == step.network.convolutions:
            yield "Flatten", name, "flatten", "flat", []
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
