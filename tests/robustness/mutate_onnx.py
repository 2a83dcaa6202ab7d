"""Damage to ONNX networks that leaves them a protobuf: what a converter's bug or an attacker might write."""

import math
import random
import struct
from collections.abc import Callable

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from robustness.mutate import damaged

OPS = (
    *(
        "MatMul",
        "Gemm",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "BatchNormalization",
        "Quant",
        "BipolarQuant",
        "Identity",
        "Flatten",
        "Reshape",
    ),
    *("Dropout", "Cast", "Greater", "QuantizeLinear", "DequantizeLinear", "Clip", "Max", "Floor", "Constant", "Transpose", "If"),
    *("Relu", "Conv", "MaxPool", "AveragePool", "Softmax", "Trunc", "IntQuant", "Loop", "", "é", "NoSuch"),
    *("Where", "CastLike", "Not", "Sign", "Expand", "ConstantOfShape", "Shape", "Concat", "Slice", "Gather", "Unsqueeze"),
    *("MultiThreshold", "Equal", "Abs", "Round", "Ceil", "Min", "Reciprocal", "Sqrt", "Squeeze"),
)
DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn", "com.microsoft", "x" * 300)
SIZES = (0, 1, -1, 3, 8, 12, 1 << 16, 1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63))
FLOATS = (0.0, -0.0, -1.0, 0.3, 1e-45, 1e-38, 3e38, 1e6, math.nan, math.inf, -math.inf)
TEXTS = ("", "0", "-1", "2.5", "9" * 5000, "²", "nan", "continuous", "spike_count", "events", "latency", "é\0", "x" * 10_000)
ELSEWHERE = (
    "../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "weights.bin",
    "./../x",
    "",
    "a/../../b",
    "\0",
    "model.onnx",
    "link.bin",
)


def broken(rng: random.Random, model: ModelProto) -> bytes:
    """The file of a copy of `model` after one to four mutations, sometimes with damaged bytes too."""
    changed = ModelProto()
    changed.CopyFrom(model)
    if rng.random() < 0.01:
        many_nodes(rng, changed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        rng.choice(STRUCTURE)(rng, changed)
    data = changed.SerializeToString()
    return damaged(rng, data, 2) if rng.random() < 0.1 else data


def _node(rng: random.Random, graph: GraphProto) -> NodeProto:
    return rng.choice(graph.node) if graph.node else graph.node.add()


def _tensor(rng: random.Random, graph: GraphProto) -> TensorProto:
    return rng.choice(graph.initializer) if graph.initializer else graph.initializer.add()


def _taken(model: ModelProto) -> list[NodeProto]:
    """All nodes, taken out of the graph."""
    copy = GraphProto()
    copy.CopyFrom(model.graph)
    model.graph.ClearField("node")
    return list(copy.node)


def _name(rng: random.Random, graph: GraphProto) -> str:
    """A tensor of the graph, or none."""
    names = [x for node in graph.node for x in (*node.input, *node.output)] + [x.name for x in graph.initializer]
    return rng.choice((rng.choice(names or [""]), rng.choice(names or [""]), "", "nowhere"))


def drop_node(rng: random.Random, model: ModelProto) -> None:
    if model.graph.node:
        del model.graph.node[rng.randrange(len(model.graph.node))]


def double_node(rng: random.Random, model: ModelProto) -> None:
    copy = model.graph.node.add()
    copy.CopyFrom(_node(rng, model.graph))
    if rng.random() < 0.5 and copy.output:
        copy.output[0] += "_again"


def shuffle_nodes(rng: random.Random, model: ModelProto) -> None:
    nodes = _taken(model)
    rng.shuffle(nodes)
    model.graph.node.extend(nodes)


def rewire(rng: random.Random, model: ModelProto) -> None:
    """One input or output becomes another tensor: cycles, branches, second producers."""
    node = _node(rng, model.graph)
    ends = node.input if node.input and rng.random() < 0.7 else node.output
    if ends:
        ends[rng.randrange(len(ends))] = _name(rng, model.graph)


def drop_end(rng: random.Random, model: ModelProto) -> None:
    node = _node(rng, model.graph)
    ends = rng.choice((node.input, node.output))
    if ends:
        del ends[rng.randrange(len(ends))]


def add_end(rng: random.Random, model: ModelProto) -> None:
    node = _node(rng, model.graph)
    rng.choice((node.input, node.output)).append(_name(rng, model.graph))


def change_operator(rng: random.Random, model: ModelProto) -> None:
    node = _node(rng, model.graph)
    node.op_type = rng.choice(OPS)
    node.domain = rng.choice((node.domain, *DOMAINS[:5]))


def change_domain(rng: random.Random, model: ModelProto) -> None:
    _node(rng, model.graph).domain = rng.choice(DOMAINS)


def rename_node(rng: random.Random, model: ModelProto) -> None:
    _node(rng, model.graph).name = rng.choice(("", "x" * 10_000, "a\nb", "é\0", _name(rng, model.graph)))


def change_attribute(rng: random.Random, model: ModelProto) -> None:
    """Another value or another type of one attribute; or one more, one fewer, or the same twice."""
    nodes = [x for x in model.graph.node if x.attribute] or [_node(rng, model.graph)]
    node = rng.choice(nodes)
    name = rng.choice(
        (
            *("signed", "narrow", "rounding_mode", "axis", "epsilon", "perm", "to", "alpha", "transA", "value", "min"),
            *("block_size", "output_dtype", "allowzero", "out_scale", "data_layout", "beta", "start", "precision"),
        )
    )
    if not node.attribute or rng.random() < 0.3:
        attribute = node.attribute.add()
    else:
        attribute = rng.choice(node.attribute)
        name = attribute.name
    tensor = TensorProto()
    tensor.CopyFrom(_tensor(rng, model.graph))
    values = (0, 1, -1, 7, 1 << 62, "FLOOR", "odd", b"\xff\xfe", tensor, [], [1, 0], [0, 0, 0], [1.5], ["x"], rng.choice(FLOATS))
    value = rng.choice(values)
    attribute.CopyFrom(helper.make_attribute(name, value) if value != [] else AttributeProto(name=name))
    if rng.random() < 0.2:
        attribute.type = rng.choice(list(AttributeProto.AttributeType.values()))
    if rng.random() < 0.1:
        node.attribute.add().CopyFrom(attribute)
    elif rng.random() < 0.1:
        del node.attribute[:]


def change_shape(rng: random.Random, model: ModelProto) -> None:
    tensor = _tensor(rng, model.graph)
    how = rng.randrange(4)
    if how == 0 or not tensor.dims:
        tensor.dims.insert(0, rng.choice(SIZES))
    elif how == 1:
        del tensor.dims[0]
    elif how == 2:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(SIZES)
    else:
        tensor.dims[:] = list(tensor.dims)[::-1]


def change_type(rng: random.Random, model: ModelProto) -> None:
    """Another element type over the same bytes, or with bytes that suit it."""
    tensor = _tensor(rng, model.graph)
    tensor.data_type = rng.choice((*TensorProto.DataType.values(), 99, -1))
    if rng.random() < 0.5:
        tensor.raw_data = (tensor.raw_data * 8)[: math.prod(max(0, min(x, 1000)) for x in tensor.dims) * rng.choice((1, 2, 4, 8))]


def change_values(rng: random.Random, model: ModelProto) -> None:
    """NaN, infinite, huge or tiny numbers in a constant, in one place or in all."""
    tensor = _tensor(rng, model.graph)
    count, word = len(tensor.raw_data) // 4, struct.pack("<f", rng.choice(FLOATS))
    if count and rng.random() < 0.5:
        at = 4 * rng.randrange(count)
        tensor.raw_data = tensor.raw_data[:at] + word + tensor.raw_data[at + 4 :]
    else:
        tensor.raw_data = word * count
    if rng.random() < 0.2:
        tensor.data_type = TensorProto.DOUBLE
        tensor.raw_data = struct.pack("<d", rng.choice((1e300, 1e-300, 5e-324, 1e308, -1e308))) * count


def damage_values(rng: random.Random, model: ModelProto) -> None:
    tensor = _tensor(rng, model.graph)
    tensor.raw_data = damaged(rng, tensor.raw_data, 2)


def other_storage(rng: random.Random, model: ModelProto) -> None:
    """Values both raw and typed, none at all, or text."""
    tensor = _tensor(rng, model.graph)
    how = rng.randrange(4)
    if how != 0:
        tensor.ClearField("raw_data")
    if how == 1:
        tensor.float_data.extend([1.0] * rng.choice((1, 8, 96)))
    elif how == 2:
        tensor.string_data.extend([b"\xff"] * 8)
    elif how == 3:
        tensor.int32_data.extend([1 << 30, -1])
    else:
        tensor.float_data.append(1.0)


def external(rng: random.Random, model: ModelProto) -> None:
    """Values in another file."""
    tensor = _tensor(rng, model.graph)
    tensor.data_location = TensorProto.EXTERNAL
    if rng.random() < 0.8:
        tensor.ClearField("raw_data")
    numbers = ("0", "-1", "12", "4096", str(1 << 62), "9" * 30, "x")
    entries = {"location": rng.choice(ELSEWHERE), "offset": rng.choice(numbers), "length": rng.choice(numbers)}
    for key, value in entries.items():
        if rng.random() < (0.95 if key == "location" else 0.5):
            tensor.external_data.add(key=key, value=value)


def drop_constant(rng: random.Random, model: ModelProto) -> None:
    if model.graph.initializer:
        del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


def rename_constant(rng: random.Random, model: ModelProto) -> None:
    _tensor(rng, model.graph).name = rng.choice((_name(rng, model.graph), "spikes", "out", "v0_in"))


def change_metadata(rng: random.Random, model: ModelProto) -> None:
    props = model.metadata_props
    how = rng.randrange(4)
    keys = ("integration", "encoder", "time_steps", "output", "leak", "reset", "state_bits", "x")
    if how == 0 and props:
        del props[rng.randrange(len(props))]
    elif how == 1:
        del props[:]
    elif how == 2 and props:
        rng.choice(props).value = rng.choice(TEXTS)
    else:
        props.add(key=rng.choice(keys), value=rng.choice(TEXTS))


def change_opset(rng: random.Random, model: ModelProto) -> None:
    how = rng.randrange(3)
    if how == 0:
        del model.opset_import[:]
    elif how == 1 and model.opset_import:
        model.opset_import[0].version = rng.choice((0, 1, 8, 9, 11, 17, 26, 999, 1 << 62, -1))
    else:
        model.ir_version = rng.choice((0, 1, 3, 7, 10, 999, -1, 1 << 62))


def change_ends(rng: random.Random, model: ModelProto) -> None:
    """Graph inputs and outputs: other shapes and types, dropped, doubled, renamed."""
    values = rng.choice((model.graph.input, model.graph.output))
    how = rng.randrange(6)
    if not values or how == 0:
        name = rng.choice(("spikes", "v9_in", "v9_out", _name(rng, model.graph)))
        values.add().CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 8)))
    elif how == 1:
        del values[rng.randrange(len(values))]
    elif how == 2:
        rng.choice(values).name = _name(rng, model.graph)
    elif how == 3:
        rng.choice(values).type.tensor_type.elem_type = rng.choice((*TensorProto.DataType.values(), 77))
    elif how == 4:
        dims = rng.choice(values).type.tensor_type.shape.dim
        if dims and rng.random() < 0.7:
            rng.choice(dims).dim_value = rng.choice(SIZES)
        else:
            dims.add().dim_param = "N"
    else:
        rng.choice(values).ClearField("type")


def nest(rng: random.Random, model: ModelProto) -> None:
    """A graph within a node within a graph …"""
    graph = GraphProto(name="deep")
    for _ in range(rng.choice((1, 10, 30))):
        outer = GraphProto(name="deep")
        node = outer.node.add(op_type="If", input=["spikes"], output=["deep"])
        node.attribute.add(name="then_branch", type=AttributeProto.GRAPH).g.CopyFrom(graph)
        graph = outer
    model.graph.node.extend(graph.node)


def many_nodes(rng: random.Random, model: ModelProto) -> None:
    """A chain far longer than any network's."""
    tensor, op = (
        model.graph.input[0].name if model.graph.input else "spikes",
        rng.choice(("Identity", "Dropout", "Mul", "Flatten")),
    )
    chain: list[NodeProto] = []
    for n in range(rng.choice((100, 3000, 20_000))):
        operands = [tensor, model.graph.initializer[0].name] if op == "Mul" and model.graph.initializer else [tensor]
        chain.append(NodeProto(op_type=op, input=operands, output=[f"long{n}"]))
        tensor = f"long{n}"
    for node in model.graph.node:
        node.input[:] = [tensor if x == "spikes" else x for x in node.input]
    model.graph.node.extend(chain + _taken(model))


def add_function(rng: random.Random, model: ModelProto) -> None:
    """An operator that the file defines itself, under a name that is ours."""
    op = rng.choice(("Quant", "MatMul", "Mine"))
    model.functions.add(name=op, domain=rng.choice(DOMAINS), input=["a"], output=["b"])


def sparse(rng: random.Random, model: ModelProto) -> None:
    value = model.graph.sparse_initializer.add()
    value.values.CopyFrom(_tensor(rng, model.graph))
    value.dims.extend([rng.choice(SIZES), 8])


def clear(rng: random.Random, model: ModelProto) -> None:
    field = rng.choice(("graph", "opset_import", "node", "input", "output", "initializer"))
    (model if field in ("graph", "opset_import") else model.graph).ClearField(field)


STRUCTURE: tuple[Callable[[random.Random, ModelProto], None], ...] = (
    *(drop_node, double_node, shuffle_nodes, rewire, rewire, drop_end, add_end, change_operator, change_operator, change_domain),
    *(rename_node, change_attribute, change_attribute, change_attribute, change_shape, change_shape, change_type, change_values),
    *(change_values, damage_values, other_storage, external, external, drop_constant, rename_constant, change_metadata),
    *(change_metadata, change_opset, change_ends, change_ends, nest, add_function, sparse, clear),
)
