"""The rewritten graph → the integer network.

The affine operators of a layer are composed in exact rational arithmetic from the constants as they stand in the file:
a neuron sees x = scale · u + bias of its integer membrane u. Only the 1 / sqrt(variance + epsilon) of a
BatchNormalization is rounded, to float64.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from onnx import NodeProto

from spikeline.errors import CompileError, ImageError
from spikeline.geometry import Geometry
from spikeline.network import Layer, Network
from spikeline.spec import Decode, Encoder
from spikeline_compiler.graph import Graph, attribute, constant_input, load, operator, refuse
from spikeline_compiler.passes import PASSES, quant_bits

SPIKE_FIX = "export the spike as a QONNX Quant of 1 bit, signed 0, zero point 0, one positive scale, rounding FLOOR"
MAPPED = "MatMul, Gemm, Add, Sub, Mul, Div, BatchNormalization, Quant, Identity, Flatten, Reshape and Dropout"
FIXES = {
    "Conv": "use fully connected layers",
    "Relu": "use the binary activation, a 1-bit Quant",
    "Sign": "spikes are 0 and 1: use a 1-bit Quant",
    "BipolarQuant": SPIKE_FIX,
    **dict.fromkeys(("Softmax", "LogSoftmax", "ArgMax", "TopK"), "leave it out: the accelerator picks the class"),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "MultiThreshold"), SPIKE_FIX),
}

# A 1-bit Quant makes 1 of y = x / scale where y ≥ the first number, or y > it if the second is true: the rounding modes
# of the QONNX executor, which clips to [0, 1] before it rounds.
ROUNDING: dict[str, tuple[Fraction, bool]] = {
    **dict.fromkeys(("FLOOR", "DOWN"), (Fraction(1), False)),
    "HALF_UP": (Fraction(1, 2), False),
    **dict.fromkeys(("ROUND", "HALF_EVEN", "HALF_DOWN"), (Fraction(1, 2), True)),
    **dict.fromkeys(("CEIL", "UP"), (Fraction(0), True)),
}


@dataclass
class Stage:
    """A layer as the graph has it: x = scale · u + bias; it fires iff x ≥ level, or x > level if strict."""

    node: NodeProto  # the MatMul
    weights: np.ndarray  # int64 (inputs, neurons)
    scale: list[Fraction]  # per neuron
    bias: list[Fraction]  # per neuron
    tensor: str  # the spikes, or x of an output layer without them
    spikes: bool = False
    level: Fraction = Fraction(0)
    strict: bool = False
    amplitude: Fraction = Fraction(1)  # of a spike in the tensor


def stages(graph: Graph) -> list[Stage]:
    """Read the layers off a graph that went through the passes. Raises CompileError for whatever is not a layer."""
    unconnected = CompileError(
        f"no chain of layers leads from input {graph.input!r} to output {graph.output!r}; export the whole network, "
        "with at least one fully connected layer"
    )
    if not any(operator(n) == "MatMul" for n in graph.nodes):
        raise unconnected
    found: list[Stage] = []
    tensor, width, amplitude = graph.input, graph.inputs, Fraction(1)
    while consumers := graph.consumers(tensor):
        node = consumers[0]
        if len(consumers) > 1 or tensor == graph.output:
            names = ", ".join([repr(n.name or n.output[0]) for n in consumers] + ["the output"] * (tensor == graph.output))
            raise refuse(node, f"tensor {tensor!r} branches, to {names}", "use a plain chain of layers, no residuals")
        op = operator(node)
        is_open = bool(found) and not found[-1].spikes
        if op == "MatMul":
            if is_open:
                raise refuse(node, "no spikes between it and the layer before", f"put a spike there: {SPIKE_FIX}")
            weights = _integer_weights(graph, node, tensor, width)
            width = weights.shape[1]
            found.append(Stage(node, weights, [amplitude] * width, [Fraction(0)] * width, tensor))
        elif op in AFFINE or op == "Quant":
            if not is_open:
                raise refuse(node, "it works on spikes", "apply it after a layer's MatMul, before its spike")
            if node.input[0] != tensor and not (op in ("Add", "Mul", "Sub") and node.input[1] == tensor):
                raise refuse(node, "it does not continue the chain of layers", "use a plain chain of layers")
            if op == "Quant":
                amplitude = _spike(graph, node, found[-1])
            else:
                AFFINE[op](graph, node, found[-1], tensor)
        else:
            raise refuse(node, f"the accelerator has no {op}", FIXES.get(op, f"the compiler maps {MAPPED}"))
        tensor = node.output[0]
        if found:
            found[-1].tensor = tensor
    if tensor != graph.output:
        raise unconnected
    return found


def _integer_weights(graph: Graph, node: NodeProto, tensor: str, width: int) -> np.ndarray:
    if node.input[0] != tensor:
        raise refuse(node, "the spikes are its second operand", "export it as spikes × weights (inputs, neurons)")
    weights = constant_input(graph, node, 1, "weight matrix")
    if weights.ndim != 2 or weights.shape[0] != width or not weights.size:
        raise refuse(node, f"weights of shape {weights.shape} on {width} inputs", f"they must be ({width}, neurons)")
    if (weights != np.rint(weights)).any():
        raise refuse(node, "its weights are not quantised", "train with a weight quantiser and export it as Quant")
    if np.abs(weights).max() > 1 << 15:
        raise refuse(node, "a weight of more than 16 bits", "train with weights of 8 bits or fewer")
    return weights.astype(np.int64)


def _spike(graph: Graph, node: NodeProto, stage: Stage) -> Fraction:
    """Close the layer with its spike; returns the amplitude of the spikes."""
    bits, signed = quant_bits(graph, node), attribute(node, "signed", 1)
    if bits != 1 or signed or attribute(node, "narrow", 1):
        raise refuse(node, f"{bits:g}-bit {'signed ' if signed else ''}activations, spikes are 0 and 1", SPIKE_FIX)
    scale, zero_point = constant_input(graph, node, 1, "scale"), constant_input(graph, node, 2, "zero point")
    if (zero_point != 0).any() or (scale <= 0).any() or (scale != scale.flat[0]).any():
        raise refuse(node, "spikes that are not 0 and one positive value for all neurons", SPIKE_FIX)
    rounding = attribute(node, "rounding_mode", "ROUND").upper()
    if rounding not in ROUNDING:
        raise refuse(node, f"unknown rounding mode {rounding}", SPIKE_FIX)
    stage.amplitude = Fraction(float(scale.flat[0]))
    level, stage.strict = ROUNDING[rounding]
    stage.level, stage.spikes = level * stage.amplitude, True
    return stage.amplitude


def _per_neuron(graph: Graph, node: NodeProto, index: int, what: str, neurons: int) -> list[Fraction]:
    """A constant operand, exactly."""
    value = constant_input(graph, node, index, what)
    if value.size not in (1, neurons) or value.ndim > 2 or (value.ndim == 2 and value.shape[0] != 1):
        raise refuse(node, f"{what} of shape {value.shape} on {neurons} neurons", "use one for each neuron or one for all")
    return [Fraction(float(x)) for x in np.broadcast_to(value.reshape(-1), neurons)]


def _add(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = _per_neuron(graph, node, 1 if node.input[0] == tensor else 0, "addend", len(stage.bias))
    stage.bias = [a + b for a, b in zip(stage.bias, other, strict=True)]


def _sub(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if node.input[0] == tensor:
        other = _per_neuron(graph, node, 1, "subtrahend", len(stage.bias))
        stage.bias = [a - b for a, b in zip(stage.bias, other, strict=True)]
    else:
        other = _per_neuron(graph, node, 0, "minuend", len(stage.bias))
        stage.bias = [b - a for a, b in zip(stage.bias, other, strict=True)]
        stage.scale = [-a for a in stage.scale]


def _mul(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    _multiply(stage, _per_neuron(graph, node, 1 if node.input[0] == tensor else 0, "factor", len(stage.bias)))


def _div(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = _per_neuron(graph, node, 1, "divisor", len(stage.bias))
    if not all(other):
        raise refuse(node, "division by 0", "train again with a scale bounded away from 0")
    _multiply(stage, [1 / b for b in other])


def _batchnorm(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if attribute(node, "training_mode", 0):
        raise refuse(node, "it is in training mode", "export the network in evaluation mode")
    gamma, beta, mean, variance = (
        _per_neuron(graph, node, n, what, len(stage.bias)) for n, what in enumerate(("gamma", "beta", "mean", "variance"), 1)
    )
    spread = [float(v) + attribute(node, "epsilon", 1e-5) for v in variance]
    if min(spread) <= 0:
        raise refuse(node, "a variance that is not positive", "train again, or export a positive epsilon")
    stage.bias = [a - b for a, b in zip(stage.bias, mean, strict=True)]
    _multiply(stage, [g * Fraction(1 / math.sqrt(v)) for g, v in zip(gamma, spread, strict=True)])
    stage.bias = [a + b for a, b in zip(stage.bias, beta, strict=True)]


def _multiply(stage: Stage, factors: list[Fraction]) -> None:
    stage.scale = [a * b for a, b in zip(stage.scale, factors, strict=True)]
    stage.bias = [a * b for a, b in zip(stage.bias, factors, strict=True)]


AFFINE: dict[str, Callable[[Graph, NodeProto, Stage, str], None]] = {
    "Add": _add,
    "Sub": _sub,
    "Mul": _mul,
    "Div": _div,
    "BatchNormalization": _batchnorm,
}


def firing_layer(stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """Weights (inputs, neurons) and thresholds (neurons,), int64, of a layer that fires in just the same cases.

    For scale > 0, x ≥ level iff u ≥ ceil((level − bias) / scale). For scale < 0 the same holds of the negated weights.
    With scale 0 the neuron fires always or never. Thresholds that no sum reaches, or every sum does, are drawn in to
    the nearest one that does the same, so that membranes stay small.
    """
    signs = np.array([-1 if a < 0 else 1 for a in stage.scale])
    weights = stage.weights * signs
    low, high = np.minimum(weights, 0).sum(0), np.maximum(weights, 0).sum(0)
    thresholds = []
    for a, b, never in zip(stage.scale, stage.bias, high + 1, strict=True):
        if a == 0:
            fires = b > stage.level or (b == stage.level and not stage.strict)
            thresholds.append(-math.inf if fires else int(never))
        else:
            at = (stage.level - b) / abs(a)
            thresholds.append(math.floor(at) + 1 if stage.strict else math.ceil(at))
    clamped = [min(max(t, int(lo)), int(hi) + 1) for t, lo, hi in zip(thresholds, low, high, strict=True)]
    return weights, np.array(clamped, np.int64)


def output_layer(stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """Weights and thresholds, int64, such that u − θ is x / |scale|. Raises CompileError if there are none."""
    scale = stage.scale[0]
    if any(a != scale for a in stage.scale) or scale == 0:
        raise refuse(
            stage.node,
            "the classes have scales of their own, so integer class values would rank them differently",
            "give the weights of the output layer one scale for all classes (and no BatchNormalization after it)",
        )
    thresholds = []
    for n, b in enumerate(stage.bias):
        bias = round(b / abs(scale))
        if abs(b - bias * abs(scale)) > abs(b) / (1 << 23):  # the product itself was rounded to float32
            raise refuse(
                stage.node,
                f"the bias of class {n} is {float(b / abs(scale)):.6g} times the scale of the weights",
                "leave out the bias of the output layer or round it to whole multiples of the scale",
            )
        thresholds.append(-bias)
    if max(map(abs, thresholds)) >= 1 << 31:
        raise refuse(stage.node, "a bias of more than 32 bits", "leave out the bias of the output layer")
    return stage.weights * (-1 if scale < 0 else 1), np.array(thresholds, np.int64)


def lower(graph: Graph, geometry: Geometry, time_steps: int, encoder: Encoder) -> Network:
    """Make the integer network for this geometry. Raises CompileError for one that does not fit it, or not exactly."""
    layers = []
    for n, stage in enumerate(stages(graph)):
        weights, thresholds = firing_layer(stage) if stage.spikes else output_layer(stage)
        limit = 1 << (geometry.weight_bits - 1)
        if weights.min() < -limit or weights.max() >= limit:
            raise refuse(
                stage.node,
                f"weights from {weights.min()} to {weights.max()} where the accelerator {geometry.name} keeps "
                f"{geometry.weight_bits} bits, {-limit} to {limit - 1}",
                "train with fewer bits (and narrow range, so that they can be negated) or take a geometry with more",
            )
        layer = Layer(weights.astype(np.int8), thresholds.astype(np.int32))
        low, high = layer.membrane_range
        reach = 1 << (geometry.membrane_bits - 1)
        if low < -reach or high >= reach or thresholds.min() < -reach or thresholds.max() >= reach:
            raise refuse(
                stage.node,
                f"membranes of layer {n} reach from {low} to {high} where the accelerator {geometry.name} has "
                f"{geometry.membrane_bits} bits, {-reach} to {reach - 1}",
                "use a geometry with wider membranes, fewer inputs, or weights of fewer bits",
            )
        layers.append(layer)
    decode = Decode.SPIKE_COUNT if stage.spikes else Decode.MEMBRANE
    declared = graph.metadata.get("output", decode.name.lower())
    if declared != decode.name.lower():
        raise CompileError(
            f"metadata says output = {declared} but the last layer ends {'in' if stage.spikes else 'without'} a spike "
            f"Quant, which means {decode.name.lower()}; export the network again so that the two agree"
        )
    try:
        network = Network(tuple(layers), geometry.weight_bits, time_steps, encoder, decode)
    except ImageError as error:
        raise CompileError(str(error)) from None
    if problems := geometry.misfits(network):
        raise CompileError(
            f"the network does not fit {geometry.name}: {'; '.join(problems)}; take a larger geometry or train a smaller network"
        )
    return network


def read(path: Path | str) -> Graph:
    """Read an ONNX file and run all passes over it. Raises CompileError."""
    graph = load(path)
    for rewrite in PASSES:
        rewrite(graph)
    return graph


def compile_onnx(path: Path | str, geometry: Geometry, time_steps: int | None = None, encoder: str | None = None) -> Network:
    """Compile an ONNX file for an accelerator of this geometry.

    `time_steps` and `encoder` overrule the file's metadata. Raises CompileError that names the node,
    the reason and the fix for anything that cannot be mapped exactly.
    """
    graph = read(path)
    integration = graph.metadata.get("integration", "discontinuous")
    if integration != "discontinuous":
        raise CompileError(f"integration = {integration} is not supported yet; train with discontinuous integration")
    encoder = encoder or graph.metadata.get("encoder")
    if encoder is None or encoder.upper() not in Encoder.__members__:
        known = ", ".join(e.name.lower() for e in Encoder)
        raise CompileError(f"encoder is {encoder or 'not in the metadata'}; give one of {known} with --encoder")
    steps = time_steps if time_steps is not None else graph.metadata.get("time_steps", "")
    if not str(steps).isascii() or not str(steps).isdigit() or not 1 <= int(steps) < 1 << 16:
        raise CompileError(f"time_steps is {steps or 'not in the metadata'}; give 1 to 65535 with --time-steps")
    return lower(graph, geometry, int(steps), Encoder[encoder.upper()])
