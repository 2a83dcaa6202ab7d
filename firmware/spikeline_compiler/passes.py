"""The passes, in the order in which they run. Their contract is at `graph.Pass`.

What they leave of a network that can be mapped is a chain of, for each layer, MatMul by an integer constant, any
Add, Sub, Mul, Div and BatchNormalization by constants, and the spike Quant; `continuous` says what else membranes that
last from step to step need.
"""

import numpy as np
from onnx import NodeProto, helper, numpy_helper
from qonnx.custom_op.general.intquant import max_int, min_int, resolve_rounding_mode

from spikeline_compiler.graph import Graph, Pass, attribute, constant_input, operator, refuse, walk_back
from spikeline_compiler.spikes import spikes_of_comparisons, spikes_of_qcdq

WEIGHT_BITS = (1, 2, 3, 4, 8)
WEIGHT_OPS = ("Quant", "BipolarQuant", "QuantizeLinear", "DequantizeLinear", "Clip", "Transpose", "Identity")


def inline_constants(graph: Graph) -> None:
    """Constant → initializer."""
    for node in [n for n in graph.nodes if operator(n) == "Constant"]:
        kind = node.attribute[0].name
        if kind == "value":
            try:
                value = numpy_helper.to_array(node.attribute[0].t)
            except (ValueError, TypeError) as error:
                raise refuse(node, f"a damaged tensor ({error})", "export the network again") from None
        elif kind in ("value_float", "value_floats", "value_int", "value_ints"):
            value = np.asarray(attribute(node, kind, None), np.float32 if "float" in kind else np.int64)
        else:
            raise refuse(node, f"a constant given by {kind}", "export it as a dense tensor")
        graph.constants[node.output[0]] = value
        graph.replace(node)


def split_gemm(graph: Graph) -> None:
    """Gemm → Transpose of the weights, MatMul, Mul by alpha, Add of C; each only where needed."""
    for node in [n for n in graph.nodes if operator(n) == "Gemm"]:
        alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
        bias = node.input[2] if len(node.input) > 2 else ""
        if attribute(node, "transA", 0):
            raise refuse(node, "it transposes the spikes (transA = 1)", "export the layer with transA = 0")
        if bias and beta != 1:
            raise refuse(node, f"beta = {beta}", "multiply the bias by beta before the export")
        weights, prefix = node.input[1], []
        if attribute(node, "transB", 0):
            weights = graph.fresh(f"{node.input[1]}.transposed")
            prefix = [helper.make_node("Transpose", [node.input[1]], [weights], f"{node.name}.Transpose", perm=[1, 0])]
        steps = [("MatMul", [node.input[0], weights])]
        if alpha != 1:
            steps.append(("Mul", [graph.add_constant(f"{node.output[0]}.alpha", np.float32(alpha).reshape(1))]))
        if bias:
            steps.append(("Add", [bias]))
        graph.replace(node, *prefix, *_chain(graph, node, steps))


def extract_weights(graph: Graph) -> None:
    """MatMul by quantised weights → MatMul by their integers, then Mul by their scale.

    The weights are an initializer behind Quant, BipolarQuant or (QuantizeLinear, Clip and) DequantizeLinear, Transposes
    among them.
    """
    for node in [n for n in graph.nodes if operator(n) == "MatMul"]:
        path = list(walk_back(graph, node.input[1], WEIGHT_OPS))
        if not path or path[-1].input[0] not in graph.constants:
            continue
        weights = constant_input(graph, path[-1], 0, "weights")
        scale = np.ones((1, 1), np.float32)
        for step in reversed(path):
            weights, scale = _weight_step(graph, step, weights, scale)
        if scale.shape[0] != 1 and not (scale == scale[:1]).all():
            raise refuse(
                path[0],
                "the scale of the weights differs from input to input",
                "use one scale per neuron (or one for all) in the weight quantiser",
            )
        integers = graph.add_constant(f"{node.input[1]}.integers", weights.astype(np.float32))
        steps = [("MatMul", [node.input[0], integers])]
        if not (scale == 1).all():
            steps.append(("Mul", [graph.add_constant(f"{node.input[1]}.scale", scale[:1])]))
        graph.replace(node, *_chain(graph, node, steps))


def drop_identities(graph: Graph) -> None:
    """Take out Identity, Dropout in evaluation, and Flatten and Reshape that leave (batch, width) as it is."""
    for node in [n for n in graph.nodes if _is_identity(graph, n)]:
        source, target = node.input[0], node.output[0]
        if target in graph.outputs and (graph.producer(source) is None or source in graph.outputs):
            continue
        graph.replace(node)
        if target in graph.outputs:
            _rename(graph.nodes, source, target)
        else:
            _rename(graph.nodes, target, source)


def drop_dead(graph: Graph) -> None:
    """Take out the nodes and constants that do not reach an output."""
    alive, nodes = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if alive.intersection(node.output):
            alive.update(node.input)
            nodes.append(node)
    graph.nodes = nodes[::-1]
    graph.constants = {name: value for name, value in graph.constants.items() if name in alive}


PASSES: tuple[Pass, ...] = (
    inline_constants,
    split_gemm,
    extract_weights,
    spikes_of_comparisons,
    spikes_of_qcdq,
    drop_identities,
    drop_dead,
)


def _chain(graph: Graph, node: NodeProto, steps: list[tuple[str, list[str]]]) -> list[NodeProto]:
    """Nodes that do `steps` one after the other, the first on its own inputs; the last makes what `node` made."""
    nodes: list[NodeProto] = []
    for n, (op, inputs) in enumerate(steps):
        output = node.output[0] if n == len(steps) - 1 else graph.fresh(f"{node.output[0]}.{op}")
        name = node.name if n == 0 or not node.name else f"{node.name}.{op}"
        nodes.append(helper.make_node(op, inputs if n == 0 else [nodes[-1].output[0], *inputs], [output], name))
    return nodes


def _weight_step(graph: Graph, node: NodeProto, weights: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, ...]:
    """One step from the stored weights to those that MatMul takes: (weights, scale), of which the product is meant.

    Quant and BipolarQuant round just as the QONNX executor does, in the file's own precision.
    """
    op = operator(node)
    if op == "Identity":
        return weights, scale
    if weights.ndim != 2:
        raise refuse(node, f"weights of shape {weights.shape}", "use fully connected layers, weights (inputs, neurons)")
    if op == "Transpose":
        if list(attribute(node, "perm", [1, 0])) == [1, 0]:
            weights, scale = weights.T, scale.T
        return weights, scale
    if op == "Clip":  # to the narrow range, before DequantizeLinear
        low, high = (constant_input(graph, node, n, what) for n, what in ((1, "minimum"), (2, "maximum")))
        if weights.dtype.kind == "f" or low.size != 1 or high.size != 1:
            raise refuse(node, "it clips weights that are not stored as integers", "store the weights as int8")
        return np.clip(weights, low.reshape(-1)[0], high.reshape(-1)[0]), scale
    if not (scale == 1).all():
        raise refuse(node, "the weights are quantised twice", "leave one quantiser on them")
    if op == "QuantizeLinear":
        return _stored(graph, node, weights), scale
    scale = constant_input(graph, node, 1, "scale")
    if op == "BipolarQuant":
        _check_scale(node, scale)
        return np.where(weights >= 0, 1, -1), _per_channel(node, scale, weights.shape)
    if op == "DequantizeLinear":
        if weights.dtype.kind == "f":
            raise refuse(node, f"it takes {weights.dtype}", "store the weights as int8")
        scale, zero_point = _along_axis(graph, node, weights.shape)
        return weights.astype(np.int64) - zero_point.astype(np.int64), scale
    _check_scale(node, scale)
    scale = _per_channel(node, scale, weights.shape)
    return _quantise(graph, node, weights, scale), scale


def _along_axis(graph: Graph, node: NodeProto, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point of QuantizeLinear or DequantizeLinear, in two dimensions that broadcast to `shape`."""
    scale = constant_input(graph, node, 1, "scale")
    given = len(node.input) > 2 and node.input[2]
    zero_point = constant_input(graph, node, 2, "zero point") if given else np.zeros(scale.shape, np.uint8)
    along = [1, -1] if attribute(node, "axis", 1) in (1, -1) else [-1, 1]
    scale, zero_point = (_per_channel(node, x.reshape(along) if x.ndim == 1 else x, shape) for x in (scale, zero_point))
    return scale, zero_point


def _stored(graph: Graph, node: NodeProto, weights: np.ndarray) -> np.ndarray:
    """What QuantizeLinear makes of constant weights: integers of the zero point's type, unsigned bytes without one."""
    if weights.dtype.kind != "f":
        raise refuse(node, f"it quantises {weights.dtype}", "leave one quantiser on the weights")
    scale, zero_point = _along_axis(graph, node, weights.shape)
    _check_scale(node, scale)
    if zero_point.dtype.kind not in "iu":
        raise refuse(node, f"a zero point of {zero_point.dtype}", "store the weights as int8")
    ends = np.iinfo(zero_point.dtype)
    return (np.rint(weights / scale) + zero_point).clip(ends.min, ends.max).astype(zero_point.dtype)


def _quantise(graph: Graph, node: NodeProto, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    bits = quant_bits(graph, node)
    if bits not in WEIGHT_BITS:
        raise refuse(node, f"weights of {bits:g} bits", "train with weights of 1, 2, 3, 4 or 8 bits")
    signed, narrow = bool(attribute(node, "signed", 1)), bool(attribute(node, "narrow", 1))
    zero_point = _per_channel(node, constant_input(graph, node, 2, "zero point"), weights.shape)
    if (zero_point != np.rint(zero_point)).any():
        raise refuse(node, "a zero point that is no integer", "quantise the weights symmetrically, zero point 0")
    y = weights / scale + zero_point
    if bits == 1 and signed:
        return np.where(y >= 0, 1, -1) - zero_point
    try:
        rounded = resolve_rounding_mode(attribute(node, "rounding_mode", "ROUND"))
    except ValueError:
        raise refuse(node, "an unknown rounding mode", "use ROUND or FLOOR") from None
    return rounded(np.clip(y, min_int(signed, narrow, int(bits)), max_int(signed, narrow, int(bits)))) - zero_point


def quant_bits(graph: Graph, node: NodeProto) -> float:
    """Bit width of a Quant node."""
    bits = constant_input(graph, node, 3, "bit width")
    if bits.size != 1:
        raise refuse(node, "a bit width for each channel", "give all weights of a layer the same bit width")
    return float(bits.reshape(-1)[0])


def _check_scale(node: NodeProto, scale: np.ndarray) -> None:
    if (scale == 0).any():
        raise refuse(node, "a quantisation scale of 0", "train again with a scale bounded away from 0")


def _per_channel(node: NodeProto, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`value` with two dimensions that broadcast to `shape`."""
    try:
        np.broadcast_to(value, shape)
        return value.reshape((1,) * (2 - value.ndim) + value.shape)
    except ValueError:
        reason = f"a scale or zero point of shape {value.shape} on weights {shape}"
        raise refuse(node, reason, "use one for each neuron or one for all") from None


def _is_identity(graph: Graph, node: NodeProto) -> bool:
    op = operator(node)
    if op == "Dropout":
        training = node.input[2] if len(node.input) > 2 else ""
        return not training or (training in graph.constants and not graph.constants[training].any())
    if op == "Flatten":
        return attribute(node, "axis", 1) in (1, -1)
    if op == "Reshape" and node.input[1] in graph.constants:
        batch_width = graph.constants[node.input[1]].reshape(-1).tolist()
        width = _width(graph, node.input[0])
        return width is not None and batch_width in ([-1, width], [0, width], [1, width], [0, -1], [1, -1])
    return op == "Identity"


def _width(graph: Graph, tensor: str) -> int | None:
    """Values of one sample in `tensor`: what the last MatMul before it makes, else what the input has."""
    while (node := graph.producer(tensor)) is not None:
        if operator(node) == "MatMul":
            weights = graph.constants.get(node.input[1])
            return None if weights is None else weights.shape[-1]
        tensor = next((x for x in node.input if x not in graph.constants), "")
    return graph.widths.get(tensor)


def _rename(nodes: list[NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
