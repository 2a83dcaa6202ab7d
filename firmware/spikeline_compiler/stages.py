"""Layers as the rewritten graph has them, their affine operators composed, and the chain of a discontinuous network.

The composition is exact rational arithmetic on the constants as they stand in the file: a neuron sees
x = scale · u + bias of its integer membrane u. Only the 1 / sqrt(variance + epsilon) of a BatchNormalization is rounded,
to float64.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from onnx import NodeProto, TensorProto

from spikeline.errors import CompileError
from spikeline.model.encode import PIXEL_BITS
from spikeline.model.spec import Reset
from spikeline_compiler.graph import Graph, attribute, constant_input, operator, refuse
from spikeline_compiler.passes import flattens
from spikeline_compiler.steps import WHOLE, Step, change, operand, run, step

FLATTEN = "make them flat first: Flatten from axis 1, or Reshape to (batch, inputs)"
SPIKE_FIX = "write the spike as (u >= threshold).float(), which every exporter keeps"
WEIGHTS_FIX = "quantise the weights to 8 bits or fewer, in Brevitas or by QuantizeLinear and DequantizeLinear, and export them so"
MAPPED = (
    "MatMul or Gemm by constants, then Add, Sub, Mul, Div and BatchNormalization by constants, then a spike: elementwise "
    "operators that leave two values of the membrane"
)
DENSE = "use fully connected layers"
FIXES = {
    **dict.fromkeys(("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "QuantAvgPool2d", "Im2Col"), DENSE),
    **dict.fromkeys(("QLinearConv", "ConvInteger", "MaxPoolNHWC"), DENSE),
    **dict.fromkeys(("QLinearMatMul", "MatMulInteger", "QGemm"), "export weights in QDQ form, DequantizeLinear before MatMul"),
    "XnorPopcountMatMul": "export the network before its MatMul becomes XnorPopcountMatMul",
    **dict.fromkeys(("Sigmoid", "Tanh", "Softplus", "Erf", "Gelu", "HardSwish", "Elu"), SPIKE_FIX),
    **dict.fromkeys(("Softmax", "LogSoftmax", "ArgMax", "TopK"), "leave it out: the accelerator picks the class"),
    **dict.fromkeys(("Loop", "Scan", "If", "LSTM", "GRU", "RNN"), "export one time step, without control flow"),
    "Dropout": "export the network in evaluation mode",
    "Trunc": "leave it out, membranes are exact",
    "FloatQuant": "quantise to integers",
    "Transpose": "transpose constants only, and images before they become spikes",
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), "keep spikes and membranes as (batch, neurons)"),
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
    """A layer as the graph has it: x = scale · u + bias of the integer sum u, and the steps from x to the spikes.

    If its membrane lasts, x is what one time step adds to it.
    """

    node: NodeProto  # the MatMul
    weights: np.ndarray  # int64 (inputs, neurons), negated where a neuron fires below its threshold
    scale: list[Fraction]  # per neuron
    bias: list[Fraction]  # per neuron
    tensor: str  # the spikes, or x of an output layer without them
    largest: int = 1  # input, of 0, 1 …: 1 if they are spikes
    steps: list[Step] = field(default_factory=list)  # from x to the spikes
    thresholds: list[int] = field(default_factory=list)  # per neuron: it fires iff u ≥ this
    silent: Fraction = Fraction(0)  # value of the tensor without a spike
    amplitude: Fraction = Fraction(1)  # what a spike adds to it
    lasting: Lasting | None = None
    affines: list[tuple[list[Fraction], list[Fraction]]] = field(default_factory=list)  # scale and bias after each operator
    risks: list[tuple[int, int]] = field(default_factory=list)  # (neuron, u) that float32 may round across the threshold

    @property
    def spikes(self) -> bool:
        return bool(self.steps)


@dataclass
class Values:
    """What stands in a spike tensor, (batch, neurons): silent[n], or amplitude more where there is a spike.

    In one of pixels, amplitude times the 0, 1 … largest that a pixel is.
    """

    silent: list[Fraction]
    amplitude: Fraction = Fraction(1)
    largest: int = 1


def pixels(inputs: int, planes: int) -> Values:
    """What stands in direct input of so many planes: pixels, 0 … 255, of which the bits that are not sent are 0."""
    return Values([Fraction(0)] * inputs, Fraction(1 << PIXEL_BITS - planes), (1 << planes) - 1)


def stages(graph: Graph, planes: int = 0) -> list[Stage]:
    """Read the layers off a discontinuous graph that went through the passes; planes: of direct input, 0 if it is spikes.

    Raises CompileError for whatever is not a layer.
    """
    unconnected = CompileError(
        f"no chain of layers leads from input {graph.input!r} to output {graph.output!r}; export the whole network, "
        "with at least one fully connected layer"
    )
    if not any(operator(n) == "MatMul" for n in graph.nodes):
        raise unconnected
    found: list[Stage] = []
    tensor, kind = start(graph), int(TensorProto.FLOAT)
    lead: list[Step] = []
    values = pixels(graph.inputs, planes) if planes else Values([Fraction(0)] * graph.inputs)
    while consumers := graph.consumers(tensor):
        node = consumers[0]
        if len(consumers) > 1 or tensor == graph.output:
            names = ", ".join([repr(n.name or n.output[0]) for n in consumers] + ["the output"] * (tensor == graph.output))
            raise refuse(node, f"tensor {tensor!r} branches, to {names}", "use a plain chain of layers, no residuals")
        op = operator(node)
        if op == "MatMul":
            if found and not found[-1].spikes:
                raise refuse(node, "no spikes between it and the layer before", f"put a spike there: {SPIKE_FIX}")
            values = close(found[-1]) if found else two_valued(lead, values)
            found.append(begin(graph, node, tensor, values))
            kind = int(TensorProto.FLOAT)
        elif found and op in AFFINE and not found[-1].spikes:
            affine(graph, node, found[-1], tensor)
        else:
            steps = found[-1].steps if found else lead
            steps.append(elementwise(graph, node, tensor, kind, len(found[-1].bias) if found else graph.inputs))
            kind = steps[-1].kind
        tensor = node.output[0]
        if found:
            found[-1].tensor = tensor
    if tensor != graph.output or not found:
        raise unconnected
    if found[-1].spikes:
        close(found[-1])
    else:
        _halve(found[-1])
    return found


def _halve(stage: Stage) -> None:
    """Count an output layer's sums in half units, its weights doubled, if biases need them: those of ±1 for spikes do."""
    shares = [b / a for a, b in zip(stage.scale, stage.bias, strict=True) if a]
    if any(x.denominator == 2 for x in shares) and all(x.denominator <= 2 for x in shares):
        stage.weights, stage.scale = stage.weights * 2, [a / 2 for a in stage.scale]


def start(graph: Graph) -> str:
    """The tensor of the input spikes as (batch, inputs): the input, or what a leading Flatten or Reshape makes of images."""
    if len(graph.shapes[graph.input]) == 1:
        return graph.input
    consumers = graph.consumers(graph.input)
    if len(consumers) == 1 and flattens(graph, consumers[0]):
        return consumers[0].output[0]
    node = consumers[0] if consumers else None
    shape = ", ".join(map(str, graph.shapes[graph.input]))
    if node is None:
        raise CompileError(f"input {graph.input!r} of shape (batch, {shape}) is not used; export the whole network")
    raise refuse(node, f"it takes images (batch, {shape})", FLATTEN)


def two_valued(steps: list[Step], values: Values) -> Values:
    """What elementwise operators make of a spike tensor. Raises CompileError if spikes are not worth the same in all places.

    Nor may pixels be: what is made of them has to grow with each level by the same.
    """
    if not steps:
        return values
    silent = [run(steps, x, n) for n, x in enumerate(values.silent)]
    amplitudes = set()
    for n, x in enumerate(values.silent):
        below = silent[n]
        for level in range(1, values.largest + 1):
            above = run(steps, x + level * values.amplitude, n)
            amplitudes.add(above - below)
            below = above
    if len(amplitudes) > 1 or 0 in amplitudes:
        if values.largest > 1:
            fix = "leave them as they are, or scale and shift them, all alike"
            raise refuse(steps[-1].node, "what it makes of the pixels does not grow evenly with them", fix)
        raise refuse(steps[-1].node, "its spikes are not worth the same in all places", "scale all spikes of a layer alike")
    return Values(silent, amplitudes.pop(), values.largest)


def begin(graph: Graph, node: NodeProto, tensor: str, values: Values) -> Stage:
    """The layer that begins with this MatMul of spikes of these values."""
    weights = _integer_weights(graph, node, tensor, len(values.silent))
    neurons = weights.shape[1]
    bias = [Fraction(0)] * neurons
    for row, x in zip(weights.tolist(), values.silent, strict=True):
        if x:
            bias = [b + x * w for b, w in zip(bias, row, strict=True)]
    scale = [values.amplitude] * neurons
    return Stage(node, weights, scale, bias, tensor, values.largest, affines=[(scale, bias)])


def elementwise(graph: Graph, node: NodeProto, tensor: str, kind: int, neurons: int) -> Step:
    """The function that `node` applies to `tensor`, exactly. Raises CompileError for an operator that is no such function."""
    if operator(node) in AFFINE:
        one = Stage(node, np.ones((1, neurons), np.int64), [Fraction(1)] * neurons, [Fraction(0)] * neurons, tensor)
        affine(graph, node, one, tensor)
        whole = kind in WHOLE and operator(node) == "Div"
        if whole and node.input[0] != tensor:
            raise unknown(node)

        def apply(x: Fraction, n: int) -> Fraction:
            y = one.scale[n] * x + one.bias[n]
            return Fraction(math.trunc(y)) if whole else y

        return Step(node, apply, kind)
    found = step(graph, node, tensor, kind, neurons)
    if found is None:
        raise unknown(node)
    return found


def close(stage: Stage, ends: tuple[int, int] | None = None) -> Values:
    """Find the thresholds of a layer whose steps are complete, and the two values of its spikes.

    ends: of the membrane in units of the scale, if it lasts; else they are those of the sums that its weights can make.
    A neuron that fires below some sum gets negated weights; one that always or never fires a threshold that does the same, out of
    reach by one. Raises CompileError if there are not two values.
    """
    lows, highs = ((end(stage.weights, 0).sum(0) * stage.largest).tolist() for end in (np.minimum, np.maximum))
    if ends:
        lows, highs = [ends[0]] * len(lows), [ends[1]] * len(highs)
    found = []
    for n, (low, high) in enumerate(zip(lows, highs, strict=True)):
        scale, bias = (abs(stage.scale[n]), Fraction(0)) if ends else (stage.scale[n], stage.bias[n])
        found.append(change(stage.steps, n, lambda u, a=scale, b=bias: a * u + b, low, high))  # type: ignore[misc]
    values = sorted({x for low, high, _ in found for x in (low, high)})
    if len(values) > 2:
        shown = ", ".join(number(x, 6) for x in values[:4])
        fix = "give all spikes of a layer the same two values"
        raise refuse(stage.steps[-1].node, f"spikes of different values ({shown})", fix)
    if len(values) == 1:  # no neuron ever changes
        values = sorted((Fraction(0), values[0])) if values[0] else [Fraction(0), Fraction(1)]
    stage.silent, stage.amplitude = values[0], values[1] - values[0]
    signs = np.ones(len(found), np.int64)
    for n, (first, last, at) in enumerate(found):
        if first == last:
            at = highs[n] + 1 if first == values[0] else lows[n]
        else:
            stage.risks += [(n, u) for u in _risks(stage, n, at, max(abs(lows[n]), abs(highs[n])), bool(ends))]
            if last < first:
                signs[n], at = -1, 1 - at
        stage.thresholds.append(at)
    if ends and (signs < 0).any():
        raise refuse(stage.steps[-1].node, "the neuron fires below its threshold, where its membrane lasts", SPIKE_FIX)
    stage.weights = stage.weights * signs
    return Values([stage.silent] * len(found), stage.amplitude)


def _risks(stage: Stage, n: int, at: int, reach: int, lasts: bool) -> list[int]:
    """Those of the sums `at` and one less that float32 may round across the threshold of neuron n.

    None if float32 holds all that is computed of them exactly, in any order. Else those that are nearer to it than a float32 sum
    of as many inputs may be off.
    """
    affines = [(abs(stage.scale[n]), Fraction(0))] if lasts else [(a[n], b[n]) for a, b in stage.affines]
    sums = (at, at - 1)

    def exact() -> bool:
        if any(_bits(a) + reach.bit_length() > MANTISSA for a, _ in affines):
            return False
        for u in sums:
            if any(_bits(a * u + b) > MANTISSA for a, b in affines):
                return False
            x = affines[-1][0] * u + affines[-1][1]
            for each in stage.steps:
                x = each.apply(x, n)
                if _bits(x) > MANTISSA:
                    return False
        return True

    if exact():
        return []
    a, b = affines[-1]
    share = Fraction(len(stage.weights) + len(affines) + len(stage.steps), 1 << MANTISSA)
    found = []
    for u in sums:
        size = max(max(abs(p * u), abs(q)) * (abs(a / p) if p else 1) for p, q in affines)
        x, margin = a * u + b, share * size
        value = run(stage.steps, x, n)
        if any(run(stage.steps, y, n) != value for y in (x - margin, x + margin)):
            found.append(u)
    return found


MANTISSA = 24  # bits of float32


def _bits(x: Fraction) -> int:
    """Bits of a float's mantissa that hold x; more than any has if none does."""
    if x.denominator & (x.denominator - 1):
        return 1 << 20
    return (abs(x.numerator) // (x.numerator & -x.numerator)).bit_length() if x else 0


def affine(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    """Compose an operator on `tensor`, one of AFFINE, into the layer."""
    _check_chained(node, tensor)
    AFFINE[operator(node)](graph, node, stage, tensor)
    stage.affines.append((stage.scale, stage.bias))
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
    return refuse(node, f"the accelerator has no {operator(node)}", FIXES.get(node.op_type, f"the compiler maps {MAPPED}"))


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
        raise refuse(node, "its weights are not quantised", WEIGHTS_FIX)
    if np.abs(weights).max() > 1 << 15:
        raise refuse(node, "a weight of more than 16 bits", "train with weights of 8 bits or fewer")
    return weights.astype(np.int64)


def _add(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = operand(graph, node, 1 if node.input[0] == tensor else 0, "addend", len(stage.bias))
    stage.bias = [a + b for a, b in zip(stage.bias, other, strict=True)]


def _sub(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if node.input[0] == tensor:
        other = operand(graph, node, 1, "subtrahend", len(stage.bias))
        stage.bias = [a - b for a, b in zip(stage.bias, other, strict=True)]
    else:
        other = operand(graph, node, 0, "minuend", len(stage.bias))
        stage.bias = [b - a for a, b in zip(stage.bias, other, strict=True)]
        stage.scale = [-a for a in stage.scale]


def _mul(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    _multiply(stage, operand(graph, node, 1 if node.input[0] == tensor else 0, "factor", len(stage.bias)))


def _div(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = operand(graph, node, 1, "divisor", len(stage.bias))
    if not all(other):
        raise refuse(node, "division by 0", "train again with a scale bounded away from 0")
    _multiply(stage, [1 / b for b in other])


def _batchnorm(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if attribute(node, "training_mode", 0):
        raise refuse(node, "it is in training mode", "export the network in evaluation mode")
    gamma, beta, mean, variance = (
        operand(graph, node, n, what, len(stage.bias)) for n, what in enumerate(("gamma", "beta", "mean", "variance"), 1)
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
