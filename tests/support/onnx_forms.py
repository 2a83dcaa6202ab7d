"""Networks as ONNX files in the forms that other tools write."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from support.onnx_builders import METADATA

QONNX = "qonnx.custom_op.general"
INPUTS, HIDDEN, CLASSES = 12, 8, 4
RNG = np.random.default_rng(3)
W0, W1 = RNG.integers(-7, 8, (INPUTS, HIDDEN)), RNG.integers(-7, 8, (HIDDEN, CLASSES))
BIAS = RNG.integers(-4, 5, HIDDEN)  # in units of the scale
LEVEL = RNG.integers(-3, 8, HIDDEN)
SCALE = 0.25
SMALL = {"int4": TensorProto.INT4, "uint4": TensorProto.UINT4}


class Writer:
    """Writes nodes one after the other; each method returns the tensor that it makes."""

    def __init__(self, opset=21, domain=QONNX, imports=True):
        self.opset, self.domain, self.imports = opset, domain, imports
        self.nodes, self.constants, self.standard = [], [], True

    def const(self, value, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def small(self, value, kind):
        """A constant of 4-bit integers."""
        name = f"c{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, SMALL[kind], np.shape(value), np.ravel(value).tolist()))
        return name

    def node(self, op, *inputs, output="", **attributes):
        custom = op in ("Quant", "IntQuant", "BipolarQuant", "MultiThreshold")
        self.standard &= not custom
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, inputs, [output], f"n{len(self.nodes)}_{op}", domain=self.domain if custom else "", **attributes)
        )
        return output

    def quant(self, x, scale, bits, signed, mode="ROUND", op="Quant"):
        operands = (self.const(v) for v in (scale, 0.0, bits))
        return self.node(op, x, *operands, signed=signed, narrow=signed, rounding_mode=mode)

    def model(self, shape=(1, INPUTS), batch=1):
        ends = [helper.make_tensor_value_info("spikes", TensorProto.FLOAT, (batch, *shape[1:]))]
        outs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, (batch, CLASSES))]
        graph = helper.make_graph(self.nodes, "step", ends, outs, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        if not self.standard and self.imports:
            opsets.append(helper.make_opsetid(self.domain, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        helper.set_model_props(model, METADATA)
        return model


def split(b, w):
    """Two halves quantised with scales of their own, joined."""
    halves = [b.node("DequantizeLinear", b.const(w[:, n::2], np.int8), b.const(SCALE)) for n in (0, 1)]
    joined = b.node("Concat", *halves, axis=1)
    order = np.argsort(np.r_[0 : w.shape[1] : 2, 1 : w.shape[1] : 2])
    return b.node("Gather", joined, b.const(order, np.int64), axis=1)


# Each writes SCALE · w.
WEIGHTS = {
    "Quant": lambda b, w: b.quant(b.const(w * SCALE), SCALE, 4, 1),
    "IntQuant": lambda b, w: b.quant(b.const(w * SCALE), SCALE, 4, 1, op="IntQuant"),
    "Quant of 5 bits": lambda b, w: b.quant(b.const(w * SCALE), SCALE, 5, 1),
    "scale before and behind": lambda b, w: b.node(
        "Mul", b.quant(b.node("Div", b.const(w * SCALE), b.const(SCALE)), 1.0, 4, 1), b.const(SCALE)
    ),
    "scale in front": lambda b, w: b.node("Mul", b.const(SCALE), b.quant(b.const(w), 1.0, 4, 1)),
    "Quant, divided": lambda b, w: b.node("Div", b.quant(b.const(w), 1.0, 4, 1), b.const(np.full((1, w.shape[1]), 1 / SCALE))),
    "transposed": lambda b, w: b.node("Transpose", b.quant(b.const(w.T * SCALE), np.full((w.shape[1], 1), SCALE), 4, 1)),
    "int8": lambda b, w: b.node("DequantizeLinear", b.const(w, np.int8), b.const(SCALE)),
    "int8, per row, transposed": lambda b, w: b.node(
        "Transpose", b.node("DequantizeLinear", b.const(w.T, np.int8), b.const(np.full(w.shape[1], SCALE)), axis=0), perm=[1, 0]
    ),
    "int32": lambda b, w: b.node("DequantizeLinear", b.const(w, np.int32), b.const(SCALE)),
    "uint8": lambda b, w: b.node("DequantizeLinear", b.const(w + 128, np.uint8), b.const(SCALE), b.const(128, np.uint8)),
    "int4": lambda b, w: b.node("DequantizeLinear", b.small(w, "int4"), b.const(SCALE)),
    "uint4": lambda b, w: b.node("DequantizeLinear", b.small(w + 8, "uint4"), b.const(SCALE), b.small(8, "uint4")),
    "int4, quantised": lambda b, w: b.node(
        "DequantizeLinear", b.node("QuantizeLinear", b.const(w * SCALE), b.const(SCALE), b.small(0, "int4")), b.const(SCALE)
    ),
    "output_dtype": lambda b, w: b.node(
        "DequantizeLinear",
        b.node("QuantizeLinear", b.const(w * SCALE), b.const(SCALE), output_dtype=TensorProto.INT8),
        b.const(SCALE),
    ),
    "output_dtype int4": lambda b, w: b.node(
        "DequantizeLinear",
        b.node("QuantizeLinear", b.const(w * SCALE), b.const(SCALE), output_dtype=TensorProto.INT4),
        b.const(SCALE),
    ),
    "blocks": lambda b, w: b.node(
        "DequantizeLinear", b.const(w, np.int8), b.const(np.full((len(w) // 4, w.shape[1]), SCALE)), axis=0, block_size=4
    ),
    "quantised twice": lambda b, w: b.node(
        "DequantizeLinear",
        b.node(
            "QuantizeLinear",
            b.node("DequantizeLinear", b.const(w, np.int8), b.const(SCALE)),
            b.const(SCALE),
            b.const(0, np.int8),
        ),
        b.const(SCALE),
    ),
    "cast": lambda b, w: b.node("Mul", b.node("Cast", b.const(w, np.int8), to=TensorProto.FLOAT), b.const(SCALE)),
    "cast, zero point": lambda b, w: b.node(
        "Mul", b.node("Sub", b.node("Cast", b.const(w + 7, np.uint8), to=TensorProto.FLOAT), b.const(7)), b.const(SCALE)
    ),
    "negated": lambda b, w: b.node("Neg", b.quant(b.const(-w * SCALE), SCALE, 4, 1)),
    "floats": lambda b, w: b.const(w * SCALE),
    "flat": lambda b, w: b.node("Reshape", b.quant(b.const(w.ravel() * SCALE), SCALE, 4, 1), b.const(w.shape, np.int64)),
    "squeezed": lambda b, w: b.node(
        "Squeeze", b.node("DequantizeLinear", b.const(w[None], np.int8), b.const(SCALE)), b.const([0], np.int64)
    ),
    "part of more": lambda b, w: b.node(
        "Slice",
        b.quant(b.const(np.vstack([w, w]) * SCALE), np.full((1, w.shape[1]), SCALE), 4, 1),
        *(b.const([x], np.int64) for x in (0, len(w), 0)),
    ),
    "in two halves": split,
    "pruned": lambda b, w: b.node("Mul", b.const(w != 0), b.node("DequantizeLinear", b.const(w, np.int8), b.const(SCALE))),
}
BIASES = {
    "constant": lambda b, v: b.const(v * SCALE),
    "Quant": lambda b, v: b.quant(b.const(v * SCALE), SCALE, 16, 1),
    "int32": lambda b, v: b.node("DequantizeLinear", b.const(v, np.int32), b.const(SCALE)),
    "product": lambda b, v: b.node("Mul", b.const(v), b.const(SCALE)),
    "cast, divided": lambda b, v: b.node("Div", b.node("Cast", b.const(v, np.int32), to=TensorProto.FLOAT), b.const(1 / SCALE)),
    "row": lambda b, v: b.node("Unsqueeze", b.const(v * SCALE), b.const([0], np.int64)),
    "node": lambda b, v: b.node("Constant", value_floats=(v * SCALE).tolist()),
}


def at_least(b, x, t):
    return b.node("GreaterOrEqual", x, b.const(t))


# Each writes 1 where x ≥ t, of x and t whole multiples of SCALE, and else 0.
SPIKES = {
    "Cast": lambda b, x, t: b.node("Cast", at_least(b, x, t), to=TensorProto.FLOAT),
    "Cast to half": lambda b, x, t: b.node(
        "Cast", b.node("Cast", at_least(b, x, t), to=TensorProto.FLOAT16), to=TensorProto.FLOAT
    ),
    "Cast of swapped": lambda b, x, t: b.node("Cast", b.node("LessOrEqual", b.const(t), x), to=TensorProto.FLOAT),
    "Cast of above": lambda b, x, t: b.node("Cast", b.node("Greater", x, b.const(t - SCALE)), to=TensorProto.FLOAT),
    "Where": lambda b, x, t: b.node("Where", at_least(b, x, t), b.const(1), b.const(0)),
    "Where of below": lambda b, x, t: b.node("Where", b.node("Less", x, b.const(t)), b.const(0), b.const(1)),
    "CastLike": lambda b, x, t: b.node("CastLike", at_least(b, x, t), x),
    "CastLike of a constant": lambda b, x, t: b.node("CastLike", at_least(b, x, t), b.const(1)),
    "not below": lambda b, x, t: b.node("Cast", b.node("Not", b.node("Less", x, b.const(t))), to=TensorProto.FLOAT),
    "1 - below": lambda b, x, t: b.node("Sub", b.const(1), b.node("Cast", b.node("Less", x, b.const(t)), to=TensorProto.FLOAT)),
    "two casts": lambda b, x, t: b.node("Cast", b.node("Cast", at_least(b, x, t), to=TensorProto.INT32), to=TensorProto.FLOAT),
    "int8, equal": lambda b, x, t: b.node(
        "Cast",
        b.node("Equal", b.node("Cast", at_least(b, x, t), to=TensorProto.INT32), b.const(1, np.int32)),
        to=TensorProto.FLOAT,
    ),
    "cast to bool": lambda b, x, t: b.node(
        "Cast",
        b.node("Cast", b.node("Relu", b.node("Sub", x, b.const(t - SCALE))), to=TensorProto.BOOL),
        to=TensorProto.FLOAT,
    ),
    "minus the threshold": lambda b, x, t: b.node("Cast", at_least(b, b.node("Sub", x, b.const(t)), 0), to=TensorProto.FLOAT),
    "floor, clamp": lambda b, x, t: b.node("Clip", b.node("Floor", b.node("Add", x, b.const(1 - t))), b.const(0), b.const(1)),
    "clamp, floor": lambda b, x, t: b.node("Floor", b.node("Clip", b.node("Sub", x, b.const(t - 1)), b.const(0), b.const(1))),
    "floor, min, max": lambda b, x, t: b.node(
        "Max", b.const(0), b.node("Min", b.node("Floor", b.node("Sub", x, b.const(t - 1))), b.const(1))
    ),
    "ceil, clamp": lambda b, x, t: b.node("Clip", b.node("Ceil", b.node("Sub", x, b.const(t - SCALE))), b.const(0), b.const(1)),
    "round, clamp": lambda b, x, t: b.node(
        "Clip", b.node("Round", b.node("Sub", x, b.const(t - 0.5 - SCALE / 2))), b.const(0), b.const(1)
    ),
    "sign, relu": lambda b, x, t: b.node("Relu", b.node("Sign", b.node("Sub", x, b.const(t - SCALE / 2)))),
    "(sign + 1) / 2": lambda b, x, t: b.node(
        "Div", b.node("Add", b.node("Sign", b.node("Sub", x, b.const(t - SCALE / 2))), b.const(1)), b.const(2)
    ),
    "relu, sign": lambda b, x, t: b.node("Sign", b.node("Relu", b.node("Sub", x, b.const(t - SCALE)))),
    "times one": lambda b, x, t: b.node("Mul", SPIKES["Cast"](b, x, t), b.const(1)),
    "relu before": lambda b, x, t: b.node("Cast", at_least(b, b.node("Relu", b.node("Sub", x, b.const(t - 1))), 1), to=1),
    "QDQ": lambda b, x, t: b.node(
        "DequantizeLinear",
        b.node(
            "Clip",
            b.node("QuantizeLinear", b.node("Sub", x, b.const(t - 0.5 - SCALE / 2)), b.const(1), b.const(0, np.uint8)),
            b.const(0, np.uint8),
            b.const(1, np.uint8),
        ),
        b.const(1),
        b.const(0, np.uint8),
    ),
    "Quant": lambda b, x, t: b.quant(b.node("Sub", x, b.const(t - 1)), 1.0, 1, 0, "FLOOR"),
    "Quant rounding": lambda b, x, t: b.quant(b.node("Sub", x, b.const(t - 0.5 - SCALE / 2)), 1.0, 1, 0, "ROUND"),
    "MultiThreshold": lambda b, x, t: b.node("MultiThreshold", x, b.const(np.reshape(t, (-1, 1))), out_dtype="BINARY"),
    "BipolarQuant": lambda b, x, t: b.node(
        "Mul", b.node("Add", b.node("BipolarQuant", b.node("Sub", x, b.const(t)), b.const(1)), b.const(1)), b.const(0.5)
    ),
}
INPUT_FORMS = {
    "flat": ((1, INPUTS), lambda b: "spikes"),
    "Flatten": ((1, 1, 3, 4), lambda b: b.node("Flatten", "spikes", axis=1)),
    "Reshape": ((1, 1, 3, 4), lambda b: b.node("Reshape", "spikes", b.const([-1, INPUTS], np.int64))),
    "Reshape, batch kept": ((1, 3, 4), lambda b: b.node("Reshape", "spikes", b.const([0, -1], np.int64))),
    "view": (
        (1, 1, 3, 4),
        lambda b: b.node(
            "Reshape",
            "spikes",
            b.node(
                "Concat",
                b.node("Unsqueeze", b.node("Gather", b.node("Shape", "spikes"), b.const(0, np.int64)), b.const([0], np.int64)),
                b.const([-1], np.int64),
                axis=0,
            ),
        ),
    ),
}


def network(weights="int8", bias="constant", spike="Cast", inputs="flat", last="int8", per_neuron=True, **writer):
    b = Writer(**writer)
    shape, make = INPUT_FORMS[inputs]
    x = b.node("Add", b.node("MatMul", make(b), WEIGHTS[weights](b, W0)), BIASES[bias](b, BIAS))
    x = SPIKES[spike](b, x, (LEVEL if per_neuron else LEVEL[0]) * SCALE)
    b.node("MatMul", x, WEIGHTS[last](b, W1), output="out")
    return b, b.model(shape)
