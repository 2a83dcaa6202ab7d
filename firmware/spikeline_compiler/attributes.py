"""The attributes that the compiler understands, for each operator that it knows; a network with any other is refused."""

from onnx import TensorProto

from spikeline_compiler.graph import Graph, attribute, operator, refuse

# Operator → the attributes that are read, or that change nothing here: `momentum` and `seed` matter in training only,
# `storage_order` for indices only, which nothing takes, `saturate` and `round_mode` for 8-bit floats only, which are refused, and
# `out_dtype` is a note.
_QUANTISE = frozenset({"axis", "block_size", "output_dtype", "saturate", "precision"})
UNDERSTOOD: dict[str, frozenset[str]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "MatMul", "Neg", "Abs", "Sqrt", "Reciprocal", "Identity"), frozenset()),
    **dict.fromkeys(("Relu", "Sign", "Floor", "Ceil", "Round", "Max", "Min", "Not", "Where", "Equal"), frozenset()),
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "BipolarQuant", "Expand"), frozenset()),
    **dict.fromkeys(("Flatten", "Concat", "Gather", "Split"), frozenset({"axis"})),
    **dict.fromkeys(("Cast", "CastLike"), frozenset({"to", "saturate", "round_mode"})),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), frozenset({"axes"})),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _QUANTISE),
    "BatchNormalization": frozenset({"epsilon", "momentum", "training_mode"}),
    "Clip": frozenset({"min", "max"}),
    "Conv": frozenset({"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"}),
    "Constant": frozenset({"value", "value_float", "value_floats", "value_int", "value_ints", "sparse_value"}),
    "ConstantOfShape": frozenset({"value"}),
    "Dropout": frozenset({"ratio", "seed"}),
    "Gemm": frozenset({"alpha", "beta", "transA", "transB"}),
    "MaxPool": frozenset({"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"}),
    "MultiThreshold": frozenset({"out_dtype", "out_scale", "out_bias", "data_layout"}),
    "Quant": frozenset({"signed", "narrow", "rounding_mode"}),
    "Reshape": frozenset({"allowzero"}),
    "Shape": frozenset({"start", "end"}),
    "Slice": frozenset({"axes", "starts", "ends"}),
    "Transpose": frozenset({"perm"}),
}
FLOAT = (0, TensorProto.FLOAT)
ONLY = {  # attributes of which some values only are understood
    ("QuantizeLinear", "precision"): FLOAT,
    ("DequantizeLinear", "output_dtype"): FLOAT,
}


def check_attributes(graph: Graph) -> None:
    """Raise CompileError for an attribute, or its value, that is not understood."""
    for node in graph.nodes:
        op = operator(node)
        for name in [x.name for x in node.attribute]:
            if name not in UNDERSTOOD.get(op, {name}):
                fix = f"export it without, the compiler knows {', '.join(sorted(UNDERSTOOD[op])) or 'none'} of {op}"
                raise refuse(node, f"its attribute {name!r} is not understood", fix)
            allowed = ONLY.get((op, name))
            if allowed and (value := attribute(node, name, 0)) not in allowed:
                raise refuse(node, f"its {name} = {value} is not understood", "compute in float32, and export it without")
