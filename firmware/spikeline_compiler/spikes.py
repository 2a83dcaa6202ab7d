"""Passes: the ways in which others write a spike → the 1-bit Quant of QONNX. Their contract is at `graph.Pass`."""

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from spikeline_compiler.graph import QUANT_DOMAINS, Graph, attribute, constant_input, operator, refuse

# x op c, and what it is with the operands swapped
SWAPPED = {"Greater": "Less", "GreaterOrEqual": "LessOrEqual", "Less": "Greater", "LessOrEqual": "GreaterOrEqual"}
FIX = "compare the membrane with a constant threshold: (u >= threshold).float()"


def spikes_of_comparisons(graph: Graph) -> None:
    """Cast of x ≥ θ, or of x > θ → Sub θ, Add 1 and a Quant that rounds down; or Sub θ and one that rounds up.

    What PyTorch writes for `(x >= 1).float()`. With θ = 1, or x > 0, the Quant alone: a membrane that lasts goes straight in.
    """
    for cast in [n for n in graph.nodes if operator(n) == "Cast" and attribute(n, "to", 0) == TensorProto.FLOAT]:
        compare = graph.producer(cast.input[0])
        if compare is None or operator(compare) not in SWAPPED or len(graph.consumers(cast.input[0])) > 1:
            continue
        constant_first = compare.input[0] in graph.constants
        op = SWAPPED[operator(compare)] if constant_first else operator(compare)
        if op not in ("Greater", "GreaterOrEqual"):
            raise refuse(compare, "the neuron fires below its threshold", FIX)
        threshold = constant_input(graph, compare, 0 if constant_first else 1, "threshold")
        strict = op == "Greater"
        tensor = compare.input[1 if constant_first else 0]
        nodes = []
        for step, operand in (("Sub", threshold), ("Add", np.float32(not strict))):
            if (strict and step == "Add") or (threshold == np.float32(not strict)).all():
                continue
            name = graph.add_constant(f"{cast.output[0]}.{step}.operand", np.atleast_1d(operand).astype(np.float32))
            output = graph.fresh(f"{cast.output[0]}.{step}")
            nodes.append(helper.make_node(step, [tensor, name], [output], f"{compare.name or cast.output[0]}.{step}"))
            tensor = output
        graph.replace(compare)
        graph.replace(cast, *nodes, _quant(graph, cast, tensor, np.ones(1, np.float32), "CEIL" if strict else "FLOOR"))


def spikes_of_qcdq(graph: Graph) -> None:
    """QuantizeLinear, Clip to 0 … 1, DequantizeLinear, of one scale and zero point 0 → Quant; it rounds half to even.

    Such nodes on constants are weights, for `extract_weights`.
    """
    for last in [n for n in graph.nodes if operator(n) == "DequantizeLinear"]:
        clip = graph.producer(last.input[0])
        first = None if clip is None or operator(clip) != "Clip" else graph.producer(clip.input[0])
        if clip is None or first is None or operator(first) != "QuantizeLinear" or first.input[0] in graph.constants:
            continue
        scales = [constant_input(graph, x, 1, "scale") for x in (first, last)]
        ends = [constant_input(graph, clip, n, what) for n, what in ((1, "minimum"), (2, "maximum"))]
        zeros = [constant_input(graph, x, 2, "zero point") for x in (first, last) if len(x.input) > 2]
        if [x.reshape(-1).tolist() for x in ends] != [[0], [1]] or any(x.any() for x in zeros):
            raise refuse(clip, "activations other than 0 and 1", "clip to 0 and 1, with zero point 0")
        if scales[0].size != 1 or scales[0].reshape(-1) != scales[1].reshape(-1):
            raise refuse(last, "scales that differ", "use one and the same scale in QuantizeLinear and DequantizeLinear")
        for node in (first, clip):
            if len(graph.consumers(node.output[0])) == 1:
                graph.replace(node)
        graph.replace(last, _quant(graph, last, first.input[0], scales[0].astype(np.float32), "HALF_EVEN"))


def _quant(graph: Graph, node: NodeProto, tensor: str, scale: np.ndarray, rounding: str) -> NodeProto:
    """The 1-bit Quant of `tensor` that makes what `node` made."""
    output = node.output[0]
    values = (("scale", scale), ("zero_point", np.float32(0)), ("bits", np.float32(1)))
    constants = [graph.add_constant(f"{output}.{key}", np.asarray(value)) for key, value in values]
    more: dict[str, Any] = {"signed": 0, "narrow": 0, "rounding_mode": rounding}
    return helper.make_node("Quant", [tensor, *constants], [output], node.name or output, domain=QUANT_DOMAINS[0], **more)
