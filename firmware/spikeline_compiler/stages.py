"""Layers as the rewritten graph has them, their affine operators composed, and the chain of a discontinuous network.

The composition is exact rational arithmetic on the constants as they stand in the file: a neuron sees
x = scale · u + bias of its integer membrane u. Only the 1 / sqrt(variance + epsilon) of a BatchNormalization is rounded,
to float64.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from onnx import NodeProto, TensorProto

from spikeline.errors import CompileError
from spikeline.model.encode import PIXEL_BITS
from spikeline.model.network import Window
from spikeline.model.spec import Reset
from spikeline_compiler.graph import LAYERS, Graph, attribute, constant_input, operator, refuse
from spikeline_compiler.maps import POOL_FIX, pooled, reshaped, window
from spikeline_compiler.steps import WHOLE, Step, change, operand, run, step

FLATTEN = "make them flat first: Flatten from axis 1, or Reshape to (batch, inputs)"
SPIKE_FIX = "write the spike as (u >= threshold).float(), which every exporter keeps"
WEIGHTS_FIX = "quantise the weights to 8 bits or fewer, in Brevitas or by QuantizeLinear and DequantizeLinear, and export them so"
LAST_FIX = "put Flatten and a fully connected layer behind it, with a neuron for each class"
MAPPED = (
    "MatMul or Gemm, or Conv, by constants, then Add, Sub, Mul, Div and BatchNormalization by constants, then a spike: "
    "elementwise operators that leave two values of the membrane"
)
AVERAGE = (
    "spikes are binary, their average is not: use a stride of 2 in the convolution, or MaxPool of 2×2 behind its spike, and a "
    "fully connected layer for what is left"
)
QDQ = "export weights in QDQ form, DequantizeLinear before"
FIXES = {
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "QuantAvgPool2d", "LpPool", "GlobalLpPool", "ReduceMean"), AVERAGE),
    **dict.fromkeys(("MaxPool", "GlobalMaxPool", "MaxPoolNHWC", "ReduceMax"), POOL_FIX),
    **dict.fromkeys(("ConvTranspose", "DeformConv"), "use Conv with kernels of 1×1 or 3×3"),
    "Pad": "let Conv do it, by its pads",
    "Im2Col": "export the network before its Conv becomes Im2Col",
    **dict.fromkeys(("QLinearConv", "ConvInteger"), f"{QDQ} Conv"),
    **dict.fromkeys(("QLinearMatMul", "MatMulInteger", "QGemm"), f"{QDQ} MatMul"),
    "XnorPopcountMatMul": "export the network before its MatMul becomes XnorPopcountMatMul",
    **dict.fromkeys(("Sigmoid", "Tanh", "Softplus", "Erf", "Gelu", "HardSwish", "Elu"), SPIKE_FIX),
    **dict.fromkeys(("Softmax", "LogSoftmax", "ArgMax", "TopK"), "leave it out: the accelerator picks the class"),
    **dict.fromkeys(("Loop", "Scan", "If", "LSTM", "GRU", "RNN"), "export one time step, without control flow"),
    "Dropout": "export the network in evaluation mode",
    "Trunc": "leave it out, membranes are exact",
    "FloatQuant": "quantise to integers",
    "Transpose": "transpose constants only, and images before they become spikes",
    **dict.fromkeys(
        ("Reshape", "Flatten", "Squeeze", "Unsqueeze"),
        "keep spikes and membranes as (batch, neurons), or as maps (batch, channels, height, width)",
    ),
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

    If its membrane lasts, x is what one time step adds to it. Of a convolution, what is said of a neuron holds for all those of
    a map: at the border they see a part of the kernel, so their sums are some of those that are looked at anyway.
    """

    node: NodeProto  # the MatMul or Conv
    weights: np.ndarray  # int64 (fan-in, neurons or maps), negated where a neuron fires below its threshold
    scale: list[Fraction]  # per neuron
    bias: list[Fraction]  # per neuron
    tensor: str  # the spikes, or x of an output layer without them
    shape: tuple[int, ...]  # of x: (neurons,) or (maps, height, width)
    window: Window | None = None  # of a convolution
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
    """What stands in a spike tensor: silent[n], or amplitude more where there is a spike.

    In one of pixels, amplitude times the 0, 1 … largest that a pixel is.
    """

    shape: tuple[int, ...]  # of a sample: maps (channels, height, width), or anything else
    silent: list[Fraction]  # of maps for each channel, else for each value
    amplitude: Fraction = Fraction(1)
    largest: int = 1


def given(shape: tuple[int, ...], planes: int = 0) -> Values:
    """What stands in the input: spikes, or direct input of so many planes, pixels 0 … 255 whose bits not sent are 0."""
    silent = [Fraction(0)] * (shape[0] if len(shape) == 3 else math.prod(shape))
    return Values(shape, silent, Fraction(1 << PIXEL_BITS - planes), (1 << planes) - 1) if planes else Values(shape, silent)


def stages(graph: Graph, planes: int = 0) -> list[Stage]:
    """Read the layers off a discontinuous graph that went through the passes; planes: of direct input, 0 if it is spikes.

    Raises CompileError for whatever is not a layer.
    """
    unconnected = CompileError(
        f"no chain of layers leads from input {graph.input!r} to output {graph.output!r}; export the whole network, "
        "with at least one fully connected layer"
    )
    if not any(operator(n) in LAYERS for n in graph.nodes):
        raise unconnected
    found: list[Stage] = []
    tensor, kind = graph.input, int(TensorProto.FLOAT)
    lead: list[Step] = []  # behind what `values` are
    values = given(graph.shapes[tensor], planes)
    complete = True  # no layer, or all of the last one, has been read
    while consumers := graph.consumers(tensor):
        node = consumers[0]
        if len(consumers) > 1 or tensor == graph.output:
            names = ", ".join([repr(n.name or n.output[0]) for n in consumers] + ["the output"] * (tensor == graph.output))
            raise refuse(node, f"tensor {tensor!r} branches, to {names}", "use a plain chain of layers, no residuals")
        op = operator(node)
        if op in (*LAYERS, *ARRANGE):
            if not complete and not found[-1].spikes:
                raise _of_membranes(graph, node, found[-1])
            values, lead = two_valued(lead, values) if complete else close(found[-1]), []
            complete = op in ARRANGE
            if complete:
                values = arranged(graph, node, values, found)
            else:
                found.append(begin(graph, node, tensor, values, found))
                kind = int(TensorProto.FLOAT)
        elif complete:
            lead.append(elementwise(graph, node, tensor, kind, values.shape))
            kind = lead[-1].kind
        elif op in AFFINE and not found[-1].spikes:
            affine(graph, node, found[-1], tensor)
        else:
            found[-1].steps.append(elementwise(graph, node, tensor, kind, found[-1].shape))
            kind = found[-1].steps[-1].kind
        tensor = node.output[0]
        if not complete:
            found[-1].tensor = tensor
    if tensor != graph.output or not found:
        raise unconnected
    if lead:
        raise unknown(lead[-1].node)
    if found[-1].window:
        raise refuse(found[-1].node, "the last layer is a convolution", LAST_FIX)
    if not complete and found[-1].spikes:
        close(found[-1])
    elif not complete:
        _halve(found[-1])
    return found


def _halve(stage: Stage) -> None:
    """Count an output layer's sums in half units, its weights doubled, if biases need them: those of ±1 for spikes do."""
    shares = [b / a for a, b in zip(stage.scale, stage.bias, strict=True) if a]
    if any(x.denominator == 2 for x in shares) and all(x.denominator <= 2 for x in shares):
        stage.weights, stage.scale = stage.weights * 2, [a / 2 for a in stage.scale]


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
    return Values(values.shape, silent, amplitudes.pop(), values.largest)


def arranged(graph: Graph, node: NodeProto, values: Values, found: list[Stage]) -> Values:
    """What a Flatten, Reshape or MaxPool makes of spikes, the last layer before it being that of `found`.

    Raises CompileError for a shape that is neither flat nor maps, and for a MaxPool that does not follow a convolution.
    """
    if operator(node) == "MaxPool":
        before = found[-1] if found else None
        if before is None or before.window is None or before.window.pool or before.tensor != node.input[0]:
            raise refuse(node, "it is not directly behind the spike of a convolution", POOL_FIX)
        before.window, before.tensor = pooled(node, before.window), node.output[0]
        return replace(values, shape=(before.shape[0], *before.window.pooled))
    shape = reshaped(graph, node, values.shape)
    if shape is None or len(shape) not in (1, 3):
        raise unknown(node)
    silent, side = values.silent, math.prod(values.shape) // len(values.silent)
    if len(set(silent)) > 1:
        whole = [x for x in silent for _ in range(side)]
        silent = whole[:: len(whole) // shape[0]]
        if [x for x in silent for _ in range(len(whole) // shape[0])] != whole:
            raise refuse(node, "spikes without a spike differ within a map", "shift all spikes of a map alike")
    else:
        silent = silent[:1] * shape[0]
    return Values(shape, silent, values.amplitude, values.largest)


def _of_membranes(graph: Graph, node: NodeProto, stage: Stage) -> CompileError:
    """The error for what takes spikes but gets the membranes of `stage`."""
    if operator(node) in LAYERS:
        return refuse(node, "no spikes between it and the layer before", f"put a spike there: {SPIKE_FIX}")
    if operator(node) != "MaxPool" and reshaped(graph, node, stage.shape) is None:
        return unknown(node)
    return refuse(node, "it takes membranes, not spikes", f"put it behind the spike of the layer before it: {SPIKE_FIX}")


def begin(graph: Graph, node: NodeProto, tensor: str, values: Values, found: list[Stage]) -> Stage:
    """The layer that begins with this MatMul or Conv of spikes of these values; those of `found` are before it."""
    if node.input[0] != tensor:
        raise refuse(node, "the spikes are its second operand", "export it as spikes × weights (inputs, neurons)")
    seen = None
    if operator(node) == "Conv":
        if found and not found[-1].window:
            raise refuse(node, "a convolution behind a fully connected layer", "put all convolutions before the first of those")
        if len(values.shape) != 3:
            raise refuse(
                node, f"it takes values (batch, {_sides(values.shape)})", "Reshape them to (batch, channels, height, width)"
            )
        kernel = constant_input(graph, node, 1, "weights")
        seen = window(node, kernel, values.shape)
        weights = kernel.reshape(len(kernel), -1).T
        if seen.padding and any(values.silent):
            shown = number(next(x for x in values.silent if x), 6)
            fix = "use spikes of 0 and a positive number, or no padding"
            raise refuse(node, f"its zeros stand beside spikes that are {shown} where there is none", fix)
    else:
        if len(values.shape) != 1:
            raise refuse(node, f"it takes images (batch, {_sides(values.shape)})", FLATTEN)
        weights = constant_input(graph, node, 1, "weight matrix")
        if weights.ndim != 2 or weights.shape[0] != len(values.silent) or not weights.size:
            inputs = len(values.silent)
            raise refuse(node, f"weights of shape {weights.shape} on {inputs} inputs", f"they must be ({inputs}, neurons)")
    _check_quantised(node, weights)
    weights = weights.astype(np.int64)
    columns = weights.shape[1]
    bias = [Fraction(0)] * columns
    places = len(weights) // len(values.silent)  # of the kernel
    for n, row in enumerate(weights.tolist()):
        if x := values.silent[n // places]:
            bias = [b + x * w for b, w in zip(bias, row, strict=True)]
    scale, shape = [values.amplitude] * columns, (columns, *(seen.positions if seen else ()))
    return Stage(node, weights, scale, bias, tensor, shape, seen, values.largest, affines=[(scale, bias)])


def elementwise(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    """The function that `node` applies to `tensor`, exactly. Raises CompileError for an operator that is no such function."""
    if len(shape) not in (1, 3):
        raise refuse(node, f"it takes images (batch, {_sides(shape)})", FLATTEN)
    if operator(node) in AFFINE:
        one = Stage(node, np.ones((1, shape[0]), np.int64), [Fraction(1)] * shape[0], [Fraction(0)] * shape[0], tensor, shape)
        affine(graph, node, one, tensor)
        whole = kind in WHOLE and operator(node) == "Div"
        if whole and node.input[0] != tensor:
            raise unknown(node)

        def apply(x: Fraction, n: int) -> Fraction:
            y = one.scale[n] * x + one.bias[n]
            return Fraction(math.trunc(y)) if whole else y

        return Step(node, apply, kind)
    found = step(graph, node, tensor, kind, shape)
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
    return Values(stage.shape, [stage.silent] * len(found), stage.amplitude)


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


def _check_quantised(node: NodeProto, weights: np.ndarray) -> None:
    if (weights != np.rint(weights)).any():
        raise refuse(node, "its weights are not quantised", WEIGHTS_FIX)
    if np.abs(weights).max() > 1 << 15:
        raise refuse(node, "a weight of more than 16 bits", "train with weights of 8 bits or fewer")


def _sides(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _add(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = operand(graph, node, 1 if node.input[0] == tensor else 0, "addend", stage.shape)
    stage.bias = [a + b for a, b in zip(stage.bias, other, strict=True)]


def _sub(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if node.input[0] == tensor:
        other = operand(graph, node, 1, "subtrahend", stage.shape)
        stage.bias = [a - b for a, b in zip(stage.bias, other, strict=True)]
    else:
        other = operand(graph, node, 0, "minuend", stage.shape)
        stage.bias = [b - a for a, b in zip(stage.bias, other, strict=True)]
        stage.scale = [-a for a in stage.scale]


def _mul(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    _multiply(stage, operand(graph, node, 1 if node.input[0] == tensor else 0, "factor", stage.shape))


def _div(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    other = operand(graph, node, 1, "divisor", stage.shape)
    if not all(other):
        raise refuse(node, "division by 0", "train again with a scale bounded away from 0")
    _multiply(stage, [1 / b for b in other])


def _batchnorm(graph: Graph, node: NodeProto, stage: Stage, tensor: str) -> None:
    if attribute(node, "training_mode", 0):
        raise refuse(node, "it is in training mode", "export the network in evaluation mode")
    gamma, beta, mean, variance = (
        operand(graph, node, n, what, stage.shape, channels=True)
        for n, what in enumerate(("gamma", "beta", "mean", "variance"), 1)
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
ARRANGE = ("Flatten", "Reshape", "MaxPool")  # what leaves spikes as they are but not where they are
