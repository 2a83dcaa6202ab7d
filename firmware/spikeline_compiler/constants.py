"""Pass: what is computed from constants alone → a constant, as the executors compute it in float32.

Of a quantised constant its integers and their factors are kept too (`Scaled`), so that a weight matrix is known exactly, not
only as the product that float32 rounds. Operators are folded whose result IEEE arithmetic fixes: no sums of many, no exp.
"""

import math
from collections.abc import Callable

import ml_dtypes
import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.intquant import int_quant, max_int, min_int, resolve_rounding_mode

from spikeline_compiler.graph import Graph, Scaled, attribute, constant_input, operator, refuse

MOST_VALUES = 1 << 26  # of one constant
BROADCAST = {
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Where", "And", "Or"),
    *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
}
MOVES = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Gather", "Expand"}
SAME_SIZE = {
    *("Neg", "Abs", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Relu", "Clip", "Not", "Cast", "CastLike"),
    *("Shape", "Concat"),
}
SMALL_INTEGERS = {
    TensorProto.INT4: (-8, 7, ml_dtypes.int4),
    TensorProto.UINT4: (0, 15, ml_dtypes.uint4),
    TensorProto.INT2: (-2, 1, ml_dtypes.int2),
    TensorProto.UINT2: (0, 3, ml_dtypes.uint2),
}


def fold_constants(graph: Graph) -> None:
    """Nodes of constant operands only → constants. What is too large or not known stays, and is refused where it is used."""
    for node in list(graph.nodes):
        op = operator(node)
        if op == "Shape" and node.input[0] not in graph.constants:
            value = _shape(graph, node)
        elif len(node.output) != 1 or node.output[0] in graph.outputs or not all(x in graph.constants for x in node.input if x):
            continue
        elif op in QUANTISERS:
            with np.errstate(all="ignore"):
                value, scaled = QUANTISERS[op](graph, node)
            if scaled:
                graph.scaled[node.output[0]] = scaled
        elif op == "Constant":
            value = _constant(node)
        elif op in BROADCAST | MOVES | SAME_SIZE | {"ConstantOfShape"}:
            value = _evaluate(graph, node)
            if value is not None and (scaled := _rescaled(graph, node, value)):
                graph.scaled[node.output[0]] = scaled
        else:
            continue
        if value is not None:
            graph.constants[node.output[0]] = value
            graph.replace(node)


def scaled(graph: Graph, name: str) -> Scaled | None:
    """A constant as integers with factors; None if it is not known as such."""
    if name in graph.scaled:
        return graph.scaled[name]
    value = graph.constants[name]
    if value.dtype.kind in "OSUc":
        return None
    real = value.astype(np.float64)
    if not np.isfinite(real).all() or (real != np.rint(real)).any() or np.abs(real).max(initial=0) > 1 << 31:
        return None
    return Scaled(real.astype(np.int64))


def _constant(node: NodeProto) -> np.ndarray:
    kind = node.attribute[0].name
    if kind == "value":
        try:
            return numpy_helper.to_array(node.attribute[0].t)
        except (ValueError, TypeError) as error:
            raise refuse(node, f"a damaged tensor ({error})", "export the network again") from None
    if kind not in ("value_float", "value_floats", "value_int", "value_ints"):
        raise refuse(node, f"a constant given by {kind}", "export it as a dense tensor")
    return np.asarray(attribute(node, kind, None), np.float32 if "float" in kind else np.int64)


def _shape(graph: Graph, node: NodeProto) -> np.ndarray | None:
    """Shape of an input, for a batch of one sample."""
    if node.input[0] not in graph.shapes:
        return None
    whole = (1, *graph.shapes[node.input[0]])
    return np.array(whole[attribute(node, "start", 0) : attribute(node, "end", len(whole))], np.int64)


def _evaluate(graph: Graph, node: NodeProto) -> np.ndarray | None:
    """What the node makes of its constants; None if that is too large, or the evaluator refuses it."""
    values = {x: graph.constants[x] for x in node.input if x}
    try:
        if any(x.dtype.kind in "OSU" for x in values.values()) or _size(node, list(values.values())) > MOST_VALUES:
            return None
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for name, x in values.items()
        ]
        inner = helper.make_graph([node], "constants", inputs, [helper.make_empty_tensor_value_info(node.output[0])])
        model = helper.make_model(inner, opset_imports=[helper.make_opsetid("", graph.opset)])
        with np.errstate(all="ignore"):
            made = list(ReferenceEvaluator(model).run(None, values))
            return np.asarray(made[0])
    except Exception:  # whatever a damaged node meets in the evaluator
        return None


def _size(node: NodeProto, values: list[np.ndarray]) -> int:
    """At least as many values as the node makes."""
    op = operator(node)
    if op in BROADCAST:
        return math.prod(np.broadcast_shapes(*(x.shape for x in values)))
    if op == "Expand":
        return math.prod(np.broadcast_shapes(values[0].shape, tuple(abs(int(x)) for x in values[1].reshape(-1))))
    if op == "ConstantOfShape":
        return math.prod(abs(int(x)) for x in values[0].reshape(-1))
    if op == "Gather":
        return max(1, values[0].size) * max(1, values[1].size)
    return sum(x.size for x in values)


def _rescaled(graph: Graph, node: NodeProto, value: np.ndarray) -> Scaled | None:
    """Integers and factors of what a node makes of quantised constants; None if they are not known."""
    op = operator(node)
    if value.dtype.kind not in "f":
        return None
    if op in ("Mul", "Div"):
        sides = [(0, 1)] if op == "Div" else [(0, 1), (1, 0)]
        sides.sort(key=lambda x: graph.constants[node.input[x[1]]].size)
        for which, other in sides:
            factor = graph.constants[node.input[other]]
            known = scaled(graph, node.input[which])
            mask = scaled(graph, node.input[other]) if op == "Mul" and factor.size == value.size > 1 else None
            if known and mask and known.integers.size == value.size:  # weights that were pruned by a mask of 0 and 1
                return Scaled((known.integers * mask.integers).reshape(value.shape), (*known.factors, *mask.factors))
            if known and known.integers.shape == value.shape and factor.dtype.kind == "f" and np.isfinite(factor).all():
                return Scaled(known.integers, (*known.factors, (op, factor)))
        return None
    if op == "Concat":
        return _joined(graph, node)
    known = graph.scaled.get(node.input[0]) if node.input else None
    if known is None:
        return None
    if op == "Neg":
        return Scaled(-known.integers, known.factors)
    if op == "Cast":
        return known if np.array_equal(value.astype(np.float64), graph.constants[node.input[0]].astype(np.float64)) else None
    if op not in MOVES:
        return None
    parts = [known.integers, *(np.broadcast_to(x, known.integers.shape) if x.size > 1 else x for _, x in known.factors)]
    moved = [x if x.size == 1 and n else _moved(graph, node, x) for n, x in enumerate(parts)]
    if any(x is None for x in moved):
        return None
    integers, *factors = (np.asarray(x) for x in moved)
    return Scaled(integers, tuple((name, x) for (name, _), x in zip(known.factors, factors, strict=True)))


def _joined(graph: Graph, node: NodeProto) -> Scaled | None:
    """Integers and factors of constants one beside the other, if they have as many factors."""
    parts = [scaled(graph, x) for x in node.input]
    first = parts[0]
    if first is None or any(x is None or [op for op, _ in x.factors] != [op for op, _ in first.factors] for x in parts):
        return None
    known = [x for x in parts if x is not None]
    axis = attribute(node, "axis", 0)
    factors = []
    for n, (op, _) in enumerate(first.factors):
        wide = [np.broadcast_to(x.factors[n][1], x.integers.shape) for x in known]
        factors.append((op, np.concatenate(wide, axis)))
    return Scaled(np.concatenate([x.integers for x in known], axis), tuple(factors))


def _moved(graph: Graph, node: NodeProto, value: np.ndarray) -> np.ndarray | None:
    """What a node that only moves values makes of another first operand."""
    stand_in = Graph.__new__(Graph)
    stand_in.constants = {**{x: graph.constants[x] for x in node.input if x}, node.input[0]: np.ascontiguousarray(value)}
    stand_in.opset = graph.opset
    return _evaluate(stand_in, node)


# -- quantisers -----------------------------------------------------------------------------------------------------------


def _quant(graph: Graph, node: NodeProto) -> tuple[np.ndarray, Scaled | None]:
    """Rounds just as the QONNX executor does, in the file's own precision."""
    values, scale = constant_input(graph, node, 0, "weights"), constant_input(graph, node, 1, "scale")
    zero_point, bits = constant_input(graph, node, 2, "zero point"), quant_bits(graph, node)
    check_scale(node, scale)
    for x in (scale, zero_point):
        check_shape(node, x, values.shape, exactly=False)
    if bits != int(bits) or not 1 <= bits <= 32:
        raise refuse(node, f"a width of {bits:g} bits", "train with weights of 8 bits or fewer")
    signed, narrow = bool(attribute(node, "signed", 1)), bool(attribute(node, "narrow", 1))
    if (zero_point != np.rint(zero_point)).any():
        raise refuse(node, "a zero point that is no integer", "quantise the weights symmetrically, zero point 0")
    mode = rounding_mode(node)
    y = values / scale + zero_point
    if bits == 1 and signed:
        integers = np.where(y >= 0, 1, -1) - zero_point
    else:
        ends = min_int(signed, narrow, int(bits)), max_int(signed, narrow, int(bits))
        integers = resolve_rounding_mode(mode)(np.clip(y, *ends)) - zero_point
    value = int_quant(values, scale, zero_point, np.float32(bits), signed, narrow, mode)
    return np.asarray(value, np.float32), Scaled(integers.astype(np.int64), (("Mul", scale),))


def _bipolar(graph: Graph, node: NodeProto) -> tuple[np.ndarray, Scaled | None]:
    values, scale = constant_input(graph, node, 0, "weights"), constant_input(graph, node, 1, "scale")
    check_scale(node, scale)
    check_shape(node, scale, values.shape, exactly=False)
    return np.asarray(binary_quant(values, scale)), Scaled(np.where(values >= 0, 1, -1), (("Mul", scale),))


def _quantise_linear(graph: Graph, node: NodeProto) -> tuple[np.ndarray, Scaled | None]:
    """Integers of the zero point's type, or of output_dtype, or unsigned bytes."""
    values = constant_input(graph, node, 0, "weights")
    if values.dtype != np.float32:
        raise refuse(node, f"it quantises {values.dtype}", "export the weights as float32, or stored as integers")
    scale, zero_point = along_axis(graph, node, values.shape)
    check_scale(node, scale)
    low, high, dtype = quantised_type(graph, node)
    return (np.rint(values / scale) + zero_point).clip(low, high).astype(dtype), None


def _dequantise_linear(graph: Graph, node: NodeProto) -> tuple[np.ndarray, Scaled | None]:
    stored = constant_input(graph, node, 0, "weights")
    if not is_integer(stored.dtype):
        raise refuse(node, f"it takes {stored.dtype}", "store the weights as integers")
    scale, zero_point = along_axis(graph, node, stored.shape)
    integers = stored.astype(np.int64) - zero_point
    return integers.astype(np.float32) * scale.astype(np.float32), Scaled(integers, (("Mul", scale),))


QUANTISERS: dict[str, Callable[[Graph, NodeProto], tuple[np.ndarray, Scaled | None]]] = {
    "Quant": _quant,
    "BipolarQuant": _bipolar,
    "QuantizeLinear": _quantise_linear,
    "DequantizeLinear": _dequantise_linear,
}


def is_integer(dtype: np.dtype) -> bool:
    return dtype.kind in "iu" or dtype in [x for _, _, x in SMALL_INTEGERS.values()]


def quant_bits(graph: Graph, node: NodeProto) -> float:
    """Bit width of a Quant node."""
    bits = constant_input(graph, node, 3, "bit width")
    if bits.size != 1:
        raise refuse(node, "a bit width for each channel", "give all weights of a layer the same bit width")
    return float(bits.reshape(-1)[0])


def rounding_mode(node: NodeProto) -> str:
    mode = attribute(node, "rounding_mode", "ROUND").upper()
    try:
        resolve_rounding_mode(mode)
    except ValueError:
        raise refuse(node, f"an unknown rounding mode {mode}", "use ROUND or FLOOR") from None
    return mode


def quantised_type(graph: Graph, node: NodeProto) -> tuple[int, int, np.dtype]:
    """Smallest and largest integer that a QuantizeLinear makes, and their type."""
    if len(node.input) > 2 and node.input[2]:
        dtype = constant_input(graph, node, 2, "zero point").dtype
        kind = helper.np_dtype_to_tensor_dtype(dtype)
    else:
        kind = attribute(node, "output_dtype", 0) or TensorProto.UINT8
    if kind in SMALL_INTEGERS:
        low, high, small = SMALL_INTEGERS[kind]
        return low, high, np.dtype(small)
    if kind not in [TensorProto.DataType.Value(x) for x in ("INT8", "UINT8", "INT16", "UINT16", "INT32")]:
        raise refuse(node, f"it makes numbers of ONNX type {kind}, which are no integers", "store the weights as int8")
    ends = np.iinfo(helper.tensor_dtype_to_np_dtype(kind))
    return int(ends.min), int(ends.max), np.dtype(ends.dtype)


def along_axis(graph: Graph, node: NodeProto, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Scale, and zero point in int64, of QuantizeLinear or DequantizeLinear, that broadcast to `shape`."""
    scale = constant_input(graph, node, 1, "scale")
    given = len(node.input) > 2 and node.input[2]
    zero_point = constant_input(graph, node, 2, "zero point") if given else np.zeros(scale.shape, np.uint8)
    if not is_integer(zero_point.dtype):
        raise refuse(node, f"a zero point of {zero_point.dtype}", "store the weights as int8")
    if scale.dtype != np.float32:
        raise refuse(node, f"a scale of {scale.dtype}", "export scales as float32")
    axis, block = attribute(node, "axis", 1), attribute(node, "block_size", 0)
    found = []
    for value in (scale, zero_point.astype(np.int64)):
        if value.size == 1:
            value = value.reshape(())
        elif block and shape and value.ndim == len(shape) and -len(shape) <= axis < len(shape):
            value = np.repeat(value, block, axis).take(range(shape[axis]), axis, mode="clip")
        elif value.ndim == 1 and -len(shape) <= axis < len(shape):
            value = value.reshape([-1 if n == axis % len(shape) else 1 for n in range(len(shape))])
        check_shape(node, value, shape)
        found.append(value)
    return found[0], found[1]


def check_scale(node: NodeProto, scale: np.ndarray) -> None:
    if (scale == 0).any():
        raise refuse(node, "a quantisation scale of 0", "train again with a scale bounded away from 0")


def check_shape(node: NodeProto, value: np.ndarray, shape: tuple[int, ...], exactly: bool = True) -> None:
    """Raise CompileError unless `value` broadcasts to `shape`, or with it."""
    try:
        if np.broadcast_shapes(value.shape, shape) == shape or not exactly:
            return
    except ValueError:
        pass
    reason = f"a scale or zero point of shape {value.shape} on weights {shape}"
    raise refuse(node, reason, "use one for each neuron or one for all")
