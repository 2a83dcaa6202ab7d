"""Elementwise operators between a membrane and its spike, in exact arithmetic.

However a spike is written, (u >= 1).float(), where, sign, floor and clamp, QuantizeLinear, it is a chain of monotone functions
of one membrane. So it is enough to evaluate the chain: if it has two values on the sums that the weights can reach, it is a
spike, and where it changes is the threshold.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.custom_op.general.intquant import max_int, min_int

from spikeline_compiler.constants import along_axis, check_scale, quant_bits, quantised_type, rounding_mode
from spikeline_compiler.graph import Graph, attribute, constant_input, operator, refuse

COMPARE = "compare the membrane with a threshold: (u >= threshold).float()"
HALF = Fraction(1, 2)
ROUNDING: dict[str, Callable[[Fraction], int]] = {
    **dict.fromkeys(("ROUND", "HALF_EVEN"), round),
    "FLOOR": math.floor,
    "CEIL": math.ceil,
    "DOWN": math.trunc,
    "UP": lambda x: math.ceil(x) if x > 0 else math.floor(x),
    "HALF_UP": lambda x: math.floor(x + HALF) if x > 0 else math.ceil(x - HALF),
    "HALF_DOWN": lambda x: math.ceil(x - HALF) if x > 0 else math.floor(x + HALF),
}
COMPARISONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "Greater": lambda a, b: a > b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "Less": lambda a, b: a < b,
    "LessOrEqual": lambda a, b: a <= b,
    "Equal": lambda a, b: a == b,
    "And": lambda a, b: bool(a and b),
    "Or": lambda a, b: bool(a or b),
}
UNARY: dict[str, Callable[[Fraction], Fraction | int]] = {
    "Floor": math.floor,
    "Ceil": math.ceil,
    "Round": round,
    "Relu": lambda x: max(x, Fraction(0)),
    "Sign": lambda x: (x > 0) - (x < 0),
    "Neg": lambda x: -x,
    "Abs": abs,
    "Not": lambda x: not x,
    "Identity": lambda x: x,
}
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
WHOLE: dict[int, tuple[int, int]] = {
    TensorProto.INT32: (-(1 << 31), (1 << 31) - 1),
    TensorProto.INT64: (-(1 << 63), (1 << 63) - 1),
    TensorProto.INT16: (-(1 << 15), (1 << 15) - 1),
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.UINT16: (0, (1 << 16) - 1),
    TensorProto.UINT32: (0, (1 << 32) - 1),
    TensorProto.UINT64: (0, (1 << 64) - 1),
    TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15),
    TensorProto.INT2: (-2, 1),
    TensorProto.UINT2: (0, 3),
}
Apply = Callable[[Fraction, int], Fraction]


@dataclass
class Step:
    """One monotone function of a value, for each neuron or map of them."""

    node: NodeProto
    apply: Apply  # (value, neuron) → value
    kind: int  # ONNX type of what it makes
    turns: Callable[[int], Fraction] | None = None  # it is monotone on either side of this, for each neuron


def step(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step | None:
    """The function that `node` applies to `tensor` of ONNX type `kind`; None for an operator that is no such function.

    shape: of a sample, (neurons,) or (maps, height, width). Raises CompileError if its operands are not constants, one for each
    neuron or map or one for all.
    """
    op = operator(node)
    if op in UNARY:
        function = UNARY[op]
        return Step(node, lambda x, _: Fraction(function(x)), kind, (lambda _: Fraction(0)) if op == "Abs" else None)
    if op not in MAKERS:
        return None
    if node.input[0] != tensor and op not in ("Max", "Min", "Where", *COMPARISONS):
        raise refuse(node, f"{tensor!r} is not its first operand", "export a plain chain of operators")
    return MAKERS[op](graph, node, tensor, kind, shape)


def operand(
    graph: Graph, node: NodeProto, index: int, what: str, shape: tuple[int, ...], channels: bool = False
) -> list[Fraction]:
    """A constant operand, exactly, for each neuron of samples of this shape, or for each map.

    channels: it stands for their first axis if it has one axis alone, as those of a BatchNormalization do.
    """
    value = constant_input(graph, node, index, what)
    if channels and value.ndim == 1:
        value = value.reshape(-1, *[1] * (len(shape) - 1))
    return per_column(node, value, what, shape)


def per_column(node: NodeProto, value: np.ndarray, what: str, shape: tuple[int, ...]) -> list[Fraction]:
    """What broadcasts to samples of this shape, (neurons,) or maps, for each neuron or map. Raises CompileError if it differs."""
    whole, each = (1, *shape), "neuron" if len(shape) == 1 else "map"
    try:
        fits = value.ndim <= len(whole) and np.broadcast_shapes(value.shape, whole) == whole
    except ValueError:
        fits = False
    if not fits:
        raise refuse(node, f"{what} of shape {value.shape} on {_samples(shape)}", f"use one for each {each} or one for all")
    columns = np.broadcast_to(value, whole).reshape(shape[0], -1)
    if (columns != columns[:, :1]).any():
        raise refuse(
            node, f"{what} that differs from position to position of a map", "use one for each map, of shape (maps, 1, 1)"
        )
    return [Fraction(float(x)) for x in columns[:, 0]]


def _samples(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} neurons" if len(shape) == 1 else f"maps of {'×'.join(map(str, shape))}"


def _compare(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    function, first = COMPARISONS[operator(node)], node.input[0] == tensor
    other = operand(graph, node, 1 if first else 0, "threshold", shape)
    if first:
        apply: Apply = lambda x, n: Fraction(function(x, other[n]))  # noqa: E731
    else:
        apply = lambda x, n: Fraction(function(other[n], x))  # noqa: E731
    return Step(node, apply, TensorProto.BOOL, (lambda n: other[n]) if operator(node) == "Equal" else None)


def _extreme(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    function = max if operator(node) == "Max" else min
    others = [operand(graph, node, n, "limit", shape) for n, x in enumerate(node.input) if x != tensor]
    return Step(node, lambda x, n: function(x, *(other[n] for other in others)) if others else x, kind)


def _clip(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    low, high = ([_end(graph, node, at, name, shape)] for at, name in ((1, "min"), (2, "max")))

    def apply(x: Fraction, n: int) -> Fraction:
        if low[0] is not None:
            x = max(x, low[0][n])
        return x if high[0] is None else min(x, high[0][n])

    return Step(node, apply, kind)


def _end(graph: Graph, node: NodeProto, index: int, name: str, shape: tuple[int, ...]) -> list[Fraction] | None:
    """An end of a Clip, which is an attribute up to opset 10; None if it has none."""
    value = attribute(node, name, None)
    if value is not None:
        return [Fraction(value)] * shape[0] if math.isfinite(value) else None
    if index >= len(node.input) or not node.input[index]:
        return None
    if node.input[index] in graph.constants and np.isinf(graph.constants[node.input[index]].astype(np.float64)).all():
        return None
    return operand(graph, node, index, f"{name}imum", shape)


def _where(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    parts = [None if x == tensor else operand(graph, node, n, "operand", shape) for n, x in enumerate(node.input)]
    condition, yes, no = parts
    if sum(x is None for x in parts) != 1:
        raise refuse(node, f"it takes {tensor!r} twice", "choose between two constants")
    made = next((helper.np_dtype_to_tensor_dtype(graph.constants[x].dtype) for x in node.input[1:] if x in graph.constants), kind)

    def apply(x: Fraction, n: int) -> Fraction:
        chosen = yes if (x if condition is None else condition[n]) else no
        return x if chosen is None else chosen[n]

    return Step(node, apply, made)


def _cast(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    to = attribute(node, "to", 0)
    exact = kind == TensorProto.BOOL and to in (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    if to in FLOATS or exact:
        return Step(node, lambda x, _: x, TensorProto.FLOAT)
    if to == TensorProto.BOOL:
        return Step(node, lambda x, _: Fraction(x != 0), to, lambda _: Fraction(0))
    if to in WHOLE:
        return Step(node, lambda x, _: Fraction(math.trunc(x)), to)
    raise refuse(node, f"it rounds to {_name(to)}", "keep membranes and spikes in float32")


def _quant(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    scale, zero = (operand(graph, node, n, what, shape) for n, what in ((1, "scale"), (2, "zero point")))
    check_scale(node, constant_input(graph, node, 1, "scale"))
    bits, rounds = quant_bits(graph, node), ROUNDING[rounding_mode(node)]
    signed, narrow = bool(attribute(node, "signed", 1)), bool(attribute(node, "narrow", 1))
    if bits != int(bits) or not 1 <= bits <= 32:
        raise refuse(node, f"a width of {bits:g} bits", "use a whole number of bits")
    low, high = min_int(signed, narrow, int(bits)), max_int(signed, narrow, int(bits))
    if low == high and not (bits == 1 and signed):
        raise refuse(node, f"with {bits:g} bits and narrow = 1 it makes {low} alone", "set narrow to 0")

    def apply(x: Fraction, n: int) -> Fraction:
        y = x / scale[n] + zero[n]
        whole = (1 if y >= 0 else -1) if bits == 1 and signed else rounds(min(max(y, Fraction(low)), Fraction(high)))
        return (whole - zero[n]) * scale[n]

    return Step(node, apply, TensorProto.FLOAT)


def _bipolar(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    scale = operand(graph, node, 1, "scale", shape)
    return Step(node, lambda x, n: scale[n] if x >= 0 else -scale[n], TensorProto.FLOAT)


def _thresholds(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    value = constant_input(graph, node, 1, "thresholds")
    layout = attribute(node, "data_layout", "")
    if value.ndim != 2 or value.shape[0] not in (1, shape[0]) or layout not in ("", "NC" if len(shape) == 1 else "NCHW"):
        reason = f"thresholds of shape {value.shape} in the layout {layout or 'NC'} on {_samples(shape)}"
        raise refuse(node, reason, "export thresholds (neurons, 1) or, of maps, (maps, 1) in the layout NCHW")
    rows = [[Fraction(float(x)) for x in row] for row in value]
    scale, bias = (Fraction(attribute(node, name, x)) for name, x in (("out_scale", 1.0), ("out_bias", 0.0)))
    return Step(node, lambda x, n: sum(x >= t for t in rows[n % len(rows)]) * scale + bias, TensorProto.FLOAT)


def _quantise_linear(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    scale, zero = _scale_and_zero(graph, node, shape)
    low, high, dtype = quantised_type(graph, node)

    def apply(x: Fraction, n: int) -> Fraction:
        return min(max(round(x / scale[n]) + zero[n], Fraction(low)), Fraction(high))

    return Step(node, apply, helper.np_dtype_to_tensor_dtype(dtype))


def _dequantise_linear(graph: Graph, node: NodeProto, tensor: str, kind: int, shape: tuple[int, ...]) -> Step:
    scale, zero = _scale_and_zero(graph, node, shape)
    return Step(node, lambda x, n: (x - zero[n]) * scale[n], TensorProto.FLOAT)


def _scale_and_zero(graph: Graph, node: NodeProto, shape: tuple[int, ...]) -> tuple[list[Fraction], list[Fraction]]:
    scale, zero = along_axis(graph, node, (1, *shape))
    check_scale(node, scale)
    return per_column(node, scale, "scale", shape), per_column(node, zero, "zero point", shape)


Maker = Callable[[Graph, NodeProto, str, int, tuple[int, ...]], Step]
MAKERS: dict[str, Maker] = {
    **dict.fromkeys(COMPARISONS, _compare),
    **dict.fromkeys(("Max", "Min"), _extreme),
    "Clip": _clip,
    "Where": _where,
    "Cast": _cast,
    "Quant": _quant,
    "BipolarQuant": _bipolar,
    "MultiThreshold": _thresholds,
    "QuantizeLinear": _quantise_linear,
    "DequantizeLinear": _dequantise_linear,
}


def run(steps: list[Step], value: Fraction, neuron: int) -> Fraction:
    for x in steps:
        value = x.apply(value, neuron)
    return value


def change(steps: list[Step], neuron: int, at: Callable[[int], Fraction], low: int, high: int) -> tuple[Fraction, Fraction, int]:
    """Value at low, value at high, and the first integer u of low … high with the latter, of a chain on at(u), monotone.

    Equal values mean that it never changes; u is high + 1 then. Raises CompileError for a chain of more than two values, or one
    that may turn.
    """
    first, last = at(low), at(high)
    for x in steps:
        if x.turns and min(first, last) < x.turns(neuron) < max(first, last):
            raise refuse(x.node, "it rises and falls with the membrane", COMPARE)
        first, last = x.apply(first, neuron), x.apply(last, neuron)
        if x.kind in WHOLE and not all(WHOLE[x.kind][0] <= v <= WHOLE[x.kind][1] for v in (first, last)):
            raise refuse(x.node, f"membranes may leave {_name(x.kind)}", COMPARE)
    if first == last:
        return first, last, high + 1
    below, above = low, high
    while above - below > 1:
        middle = (below + above) // 2
        if run(steps, at(middle), neuron) == first:
            below = middle
        else:
            above = middle
    if (between := run(steps, at(above), neuron)) != last:
        values = ", ".join(f"{float(x):.6g}" for x in (first, between, last))
        raise refuse(
            steps[-1].node,
            f"it makes more than two values of the membrane (among them {values}), spikes have two",
            COMPARE,
        )
    return first, last, above


def _name(kind: int) -> str:
    return TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else str(kind)
