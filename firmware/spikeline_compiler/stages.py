"""Layers as the rewritten graph has them, their affine operators composed, and the chain of a discontinuous network.

The composition is exact rational arithmetic on the constants as they stand in the file: a neuron sees
x = scale · u + bias of its integer membrane u. Only the 1 / sqrt(variance + epsilon) of a BatchNormalization is rounded,
to float64.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from onnx import NodeProto

from spikeline.errors import CompileError
from spikeline.spec import Reset
from spikeline_compiler.graph import Graph, attribute, constant_input, operator, refuse
from spikeline_compiler.passes import quant_bits

SPIKE_FIX = "export the spike as a QONNX Quant of 1 bit, signed 0, zero point 0, one positive scale, rounding FLOOR"
MAPPED = (
    "MatMul, Gemm, Add, Sub, Mul, Div, BatchNormalization, Quant, Identity, Flatten, Reshape, Dropout, the Cast of a comparison "
    "with a constant, and QuantizeLinear, Clip and DequantizeLinear"
)
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
class Lasting:
    """What a layer whose membrane lasts from step to step has more; on the grid of its scale, all of it is integers."""

    tensor: str  # the membrane that a step leaves to the next
    leak: int  # shift
    reset: Reset
    state_bits: int


@dataclass
class Stage:
    """A layer as the graph has it: x = scale · u + bias; it fires iff x ≥ level, or x > level if strict.

    If its membrane lasts, x is what one step adds to it.
    """

    node: NodeProto  # the MatMul
    weights: np.ndarray  # int64 (inputs, neurons)
    scale: list[Fraction]  # per neuron
    bias: list[Fraction]  # per neuron
    tensor: str  # the spikes, or x of an output layer without them
    spikes: bool = False
    level: Fraction = Fraction(0)
    strict: bool = False
    amplitude: Fraction = Fraction(1)  # of a spike in the tensor
    lasting: Lasting | None = None


def stages(graph: Graph) -> list[Stage]:
    """Read the layers off a discontinuous graph that went through the passes.

    Raises CompileError for whatever is not a layer.
    """
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
            found.append(begin(graph, node, tensor, width, amplitude))
            width = found[-1].weights.shape[1]
        elif op in AFFINE or op == "Quant":
            if not is_open:
                raise refuse(node, "it works on spikes", "apply it after a layer's MatMul, before its spike")
            if op == "Quant":
                amplitude = spike(graph, node, found[-1], tensor)
            else:
                affine(graph, node, found[-1], tensor)
        else:
            raise unknown(node)
        tensor = node.output[0]
        if found:
            found[-1].tensor = tensor
    if tensor != graph.output:
        raise unconnected
    return found


def begin(graph: Graph, node: NodeProto, tensor: str, width: int, amplitude: Fraction) -> Stage:
    """The layer that begins with this MatMul of `width` spikes of this amplitude."""
    weights = _integer_weights(graph, node, tensor, width)
    neurons = weights.shape[1]
    return Stage(node, weights, [amplitude] * neurons, [Fraction(0)] * neurons, tensor)


def affine(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    """Compose an operator on `tensor`, one of AFFINE, into the layer."""
    _check_chained(node, tensor)
    AFFINE[operator(node)](graph, node, stage, tensor)
    if max(map(abs, (*stage.scale, *stage.bias))) > sys.float_info.max:
        raise refuse(node, "with the constants before it, it makes more than float64 holds", "train again with scales near 1")


def number(value: Fraction, digits: int = 10) -> str:
    """A number for a message; it may be more than float64 holds."""
    try:
        return f"{float(value):.{digits}g}"
    except OverflowError:
        return f"{'-' if value < 0 else ''}2^{int(abs(value)).bit_length()} or so"


def unknown(node: NodeProto) -> CompileError:
    """The error for an operator that has no place there."""
    op = operator(node)
    return refuse(node, f"the accelerator has no {op}", FIXES.get(op, f"the compiler maps {MAPPED}"))


def _check_chained(node: NodeProto, tensor: str) -> None:
    if node.input[0] != tensor and not (operator(node) in ("Add", "Mul", "Sub") and node.input[1] == tensor):
        raise refuse(node, "it does not continue the chain of layers", "use a plain chain of layers")


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


def spike(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> Fraction:
    """Close the layer with this Quant of `tensor`; returns the amplitude of the spikes."""
    _check_chained(node, tensor)
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


def per_neuron(graph: Graph, node: NodeProto, index: int, what: str, neurons: int) -> list[Fraction]:
    """A constant operand, exactly."""
    value = constant_input(graph, node, index, what)
    if value.size not in (1, neurons) or value.ndim > 2 or (value.ndim == 2 and value.shape[0] != 1):
        raise refuse(node, f"{what} of shape {value.shape} on {neurons} neurons", "use one for each neuron or one for all")
    return [Fraction(float(x)) for x in np.broadcast_to(value.reshape(-1), neurons)]


def _add(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = per_neuron(graph, node, 1 if node.input[0] == tensor else 0, "addend", len(stage.bias))
    stage.bias = [a + b for a, b in zip(stage.bias, other, strict=True)]


def _sub(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if node.input[0] == tensor:
        other = per_neuron(graph, node, 1, "subtrahend", len(stage.bias))
        stage.bias = [a - b for a, b in zip(stage.bias, other, strict=True)]
    else:
        other = per_neuron(graph, node, 0, "minuend", len(stage.bias))
        stage.bias = [b - a for a, b in zip(stage.bias, other, strict=True)]
        stage.scale = [-a for a in stage.scale]


def _mul(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    _multiply(stage, per_neuron(graph, node, 1 if node.input[0] == tensor else 0, "factor", len(stage.bias)))


def _div(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = per_neuron(graph, node, 1, "divisor", len(stage.bias))
    if not all(other):
        raise refuse(node, "division by 0", "train again with a scale bounded away from 0")
    _multiply(stage, [1 / b for b in other])


def _batchnorm(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if attribute(node, "training_mode", 0):
        raise refuse(node, "it is in training mode", "export the network in evaluation mode")
    gamma, beta, mean, variance = (
        per_neuron(graph, node, n, what, len(stage.bias)) for n, what in enumerate(("gamma", "beta", "mean", "variance"), 1)
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
