"""The passes, in the order in which they run. Their contract is at `graph.Pass`.

What they leave of a network that can be mapped is a chain of, for each layer, MatMul or Conv by an integer constant, any Add,
Sub, Mul, Div and BatchNormalization by constants, the elementwise operators that make a spike (see `steps`), and what arranges
spikes as maps (see `maps`); `continuous` says what else membranes that last from step to step need.
"""

import math

import numpy as np
from onnx import NodeProto, TensorProto, helper

from spikeline_compiler.constants import fold_constants, scaled
from spikeline_compiler.graph import LAYERS, Graph, Pass, Scaled, attribute, constant_input, operator, refuse
from spikeline_compiler.maps import flat, reshaped
from spikeline_compiler.steps import COMPARISONS


def split_biases(graph: Graph) -> None:
    """Gemm → Transpose of the weights, MatMul, Mul by alpha, Add of C, by beta; Conv → Conv, Add; each only where needed."""
    for node in [n for n in graph.nodes if operator(n) == "Conv" and len(n.input) > 2 and n.input[2]]:
        per_map = graph.fresh(f"{node.input[2]}.maps")
        shape = graph.add_constant(f"{per_map}.shape", np.array([1, -1, 1, 1], np.int64))
        reshape = helper.make_node("Reshape", [node.input[2], shape], [per_map], f"{node.name}.Reshape")
        graph.replace(node, reshape, *_chain(graph, node, [("Conv", list(node.input[:2])), ("Add", [per_map])]))
    for node in [n for n in graph.nodes if operator(n) == "Gemm"]:
        alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
        bias = node.input[2] if len(node.input) > 2 else ""
        if attribute(node, "transA", 0):
            raise refuse(node, "it transposes the spikes (transA = 1)", "export the layer with transA = 0")
        bias = bias if beta else ""
        weights, prefix = node.input[1], []
        if attribute(node, "transB", 0):
            weights = graph.fresh(f"{node.input[1]}.transposed")
            prefix = [helper.make_node("Transpose", [node.input[1]], [weights], f"{node.name}.Transpose", perm=[1, 0])]
        steps = [("MatMul", [node.input[0], weights])]
        factors = {"Mul": alpha} if beta in (0, 1) or not bias else {"Mul": alpha, "Div": beta}
        for op, factor in factors.items():
            if factor != 1:
                steps.append((op, [graph.add_constant(f"{node.output[0]}.{op}.factor", np.float32(factor).reshape(1))]))
        if bias:
            steps.append(("Add", [bias]))
            if "Div" in factors:  # alpha · x + beta · C = beta · (alpha · x / beta + C)
                steps.append(("Mul", [graph.add_constant(f"{node.output[0]}.beta", np.float32(beta).reshape(1))]))
        graph.replace(node, *prefix, *_chain(graph, node, steps))


def cast_like(graph: Graph) -> None:
    """CastLike → Cast, where the type of its second operand is known."""
    for node in [n for n in graph.nodes if operator(n) == "CastLike"]:
        kind = _type(graph, node.input[1])
        if kind is not None:
            graph.replace(node, helper.make_node("Cast", [node.input[0]], [node.output[0]], node.name, to=kind))


def extract_weights(graph: Graph) -> None:
    """MatMul or Conv by constants that are integers times a factor → the same by the integers, then the factor.

    The factors are those that are known (see `constants`), else the largest number of which all weights are whole multiples.
    """
    for node in [n for n in graph.nodes if operator(n) in LAYERS and n.input[1] in graph.constants]:
        weights, op = constant_input(graph, node, 1, "weights"), operator(node)
        if weights.ndim != (4 if op == "Conv" else 2):
            continue  # it is no layer
        axis = 0 if op == "Conv" else 1  # of the neurons or maps
        known = scaled(graph, node.input[1]) or _common(weights, axis)
        if known is None or (not known.factors and weights.dtype == np.float32):
            continue
        integers = graph.add_constant(f"{node.input[1]}.integers", known.integers.astype(np.float32))
        steps = [(op, [node.input[0], integers])]
        for op, factor in known.factors:
            if factor.size > 1:
                columns = np.moveaxis(np.broadcast_to(factor, weights.shape), axis, -1).reshape(-1, weights.shape[axis])
                if (columns != columns[:1]).any():
                    raise refuse(
                        node,
                        "the scale of the weights differs from input to input",
                        "use one scale per neuron (or one for all) in the weight quantiser",
                    )
                factor = columns[:1].reshape(1, -1, *[1] * (weights.ndim - 2))
            if not (factor == 1).all():
                steps.append((op, [graph.add_constant(f"{node.input[1]}.scale", np.atleast_1d(factor))]))
        graph.replace(node, *_chain(graph, node, steps))


def _common(weights: np.ndarray, axis: int) -> Scaled | None:
    """Float weights as integers of 8 bits times the largest number that makes them so, one for all or one for each neuron.

    axis: of the neurons.
    """
    if weights.dtype.kind != "f" or weights.dtype.itemsize > 8:
        return None
    whole = np.moveaxis(weights.astype(np.float64), axis, -1).reshape(-1, weights.shape[axis])
    _, exponents = np.frexp(whole)
    if not whole.any() or exponents[whole != 0].max() - exponents[whole != 0].min() > 8:
        return None
    lowest = int(exponents[whole != 0].min()) - 53
    integers = np.array([[int(x) for x in row] for row in np.ldexp(whole, -lowest)], object)  # exact: float64 holds them
    for common in (np.gcd.reduce(integers, axis=None), np.gcd.reduce(integers, axis=0)):
        unit = np.where(np.asarray(common) == 0, 1, common)
        small = integers // unit
        factor = np.array([np.float32(math.ldexp(int(x), lowest)) for x in np.ravel(unit)], np.float32)
        exact = all(math.ldexp(int(x), lowest) == y for x, y in zip(np.ravel(unit), factor.tolist(), strict=True))
        if exact and np.abs(small).max() < 128:
            around = [weights.shape[n] for n in range(weights.ndim) if n != axis]
            integers = np.moveaxis(small.astype(np.int64).reshape(*around, -1), -1, axis)
            sides = [-1 if n == axis else 1 for n in range(weights.ndim)]
            return Scaled(integers, (("Mul", factor if len(factor) == 1 else factor.reshape(sides)),))
    return None


def drop_identities(graph: Graph) -> None:
    """Take out what leaves its input as it is: Identity, Dropout in evaluation, Cast to its own type, Flatten and Reshape if it
    is flat before."""
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
    for known in (graph.constants, graph.scaled):
        for name in known.keys() - alive:
            del known[name]


PASSES: tuple[Pass, ...] = (
    cast_like,
    split_biases,
    fold_constants,
    extract_weights,
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
        if op == node.op_type and n == 0:
            nodes[0].attribute.extend(node.attribute)
    return nodes


def _is_identity(graph: Graph, node: NodeProto) -> bool:
    op = operator(node)
    if op == "Dropout":
        training = node.input[2] if len(node.input) > 2 else ""
        return not training or (training in graph.constants and not graph.constants[training].any())
    if op in ("Flatten", "Reshape") and flat(graph, node.input[0]):
        width = _width(graph, node.input[0])
        return (op == "Flatten" or width is not None) and reshaped(graph, node, (width or 1,)) == (width or 1,)
    if op == "Cast":
        return attribute(node, "to", 0) == _type(graph, node.input[0]) == TensorProto.FLOAT
    return op == "Identity"


def _width(graph: Graph, tensor: str) -> int | None:
    """Values of one sample in `tensor`: what the last MatMul before it makes, else what the input has; None if not known."""
    while (node := graph.producer(tensor)) is not None:
        if operator(node) == "MatMul":
            weights = graph.constants.get(node.input[1])
            return None if weights is None else weights.shape[-1]
        if operator(node) in ("Conv", "MaxPool"):
            return None
        tensor = next((x for x in node.input if x not in graph.constants), "")
    return graph.widths.get(tensor)


def _type(graph: Graph, tensor: str) -> int | None:
    """ONNX type of a tensor; None if it is not known."""
    if tensor in graph.constants:
        return helper.np_dtype_to_tensor_dtype(graph.constants[tensor].dtype)
    node = graph.producer(tensor)
    if node is None:
        return TensorProto.FLOAT if tensor in graph.shapes else None
    op = operator(node)
    if op == "Cast":
        return attribute(node, "to", 0) or None
    if op in ("Not", *COMPARISONS):
        return TensorProto.BOOL
    if op in ("Quant", "BipolarQuant", "MultiThreshold", "DequantizeLinear"):
        return TensorProto.FLOAT
    if op in ("QuantizeLinear", "Shape", "Constant") or not node.input:
        return None
    return _type(graph, node.input[1 if op in ("Where", "CastLike") else 0])


def _rename(nodes: list[NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
