"""Small ONNX networks of every kind that the compiler maps, from which damaged ones are made."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
INPUTS, HIDDEN, CLASSES = 12, 8, 4
METADATA = {"integration": "discontinuous", "encoder": "bernoulli", "time_steps": "2"}
LASTING = METADATA | {"integration": "continuous", "leak": "1", "reset": "subtract", "state_bits": "11"}


class Graph:
    """Nodes and constants as they are written, one after the other."""

    def __init__(self) -> None:
        self.nodes, self.constants = [], []
        self.rng = np.random.default_rng(0)

    def constant(self, value, dtype=np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op: str, *inputs: str, output: str = "", **attributes) -> str:
        domain = QONNX if op in ("Quant", "BipolarQuant", "MultiThreshold") else ""
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], f"{op.lower()}{len(self.nodes)}", domain=domain, **attributes))
        return output

    def quant(self, tensor: str, scale: float, bits: int, signed: int, rounding: str) -> str:
        operands = (self.constant(x) for x in (scale, 0.0, bits))
        return self.node("Quant", tensor, *operands, signed=signed, narrow=signed, rounding_mode=rounding)

    def weights(self, *shape: int) -> np.ndarray:
        return self.rng.integers(-7, 8, shape)

    def dense(self, tensor: str, inputs: int, neurons: int) -> str:
        stored = self.constant(self.weights(inputs, neurons) * 0.25)
        return self.node("MatMul", tensor, self.quant(stored, 0.25, 4, 1, "ROUND"))

    def spike(self, tensor: str) -> str:
        return self.quant(tensor, 1.0, 1, 0, "FLOOR")

    def conv(self, tensor: str, maps: int, channels: int, kernel: int, **attributes) -> str:
        stored = self.constant(self.weights(maps, channels, kernel, kernel) * 0.25)
        bias = self.constant(self.weights(maps) * 0.25)
        return self.node("Conv", tensor, self.quant(stored, 0.25, 4, 1, "ROUND"), bias, **attributes)

    def model(self, inputs: dict, outputs: dict, metadata: dict[str, str], opset: int = 13) -> ModelProto:
        """Inputs and outputs by name: of how many values, or of which shape."""
        values = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, *np.ravel(n).tolist())) for name, n in x.items()]
            for x in (inputs, outputs)
        ]
        graph = helper.make_graph(self.nodes, "step", *values, self.constants)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(QONNX, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        helper.set_model_props(model, metadata)
        return model


def plain() -> ModelProto:
    """Discontinuous: Quant, MatMul, bias, spike; a bare output layer."""
    g = Graph()
    x = g.dense("spikes", INPUTS, HIDDEN)
    x = g.spike(g.node("Add", x, g.constant(g.weights(HIDDEN) * 0.5)))
    g.node("Identity", g.dense(x, HIDDEN, CLASSES), output="out")
    return g.model({"spikes": INPUTS}, {"out": CLASSES}, METADATA)


def folded() -> ModelProto:
    """Gemm, BatchNormalization and a Constant node; the output fires."""
    g = Graph()
    weights = g.quant(g.constant(g.weights(HIDDEN, INPUTS) * 0.5), 0.5, 4, 1, "ROUND")
    x = g.node("Gemm", g.node("Flatten", "spikes", axis=1), weights, g.constant(np.ones(HIDDEN)), transB=1, alpha=0.5)
    spread = [g.constant(v) for v in (np.full(HIDDEN, -0.5), np.ones(HIDDEN), np.zeros(HIDDEN), np.ones(HIDDEN))]
    x = g.spike(g.node("BatchNormalization", x, *spread, epsilon=1e-5))
    x = g.node("Reshape", x, g.constant((1, HIDDEN), np.int64))
    scale = g.node("Constant", value=numpy_helper.from_array(np.float32(0.25)))
    x = g.node("Div", g.node("MatMul", x, g.constant(g.weights(HIDDEN, CLASSES))), scale)
    g.node("Identity", g.spike(g.node("Dropout", x)), output="out")
    return g.model({"spikes": INPUTS}, {"out": CLASSES}, METADATA)


def foreign() -> ModelProto:
    """Weights in QCDQ and in ±1, spikes by comparison and by QuantizeLinear."""
    g = Graph()
    stored = g.node("Clip", *(g.constant(v, np.int8) for v in (g.weights(INPUTS, HIDDEN), -7, 7)))
    scale, zero = g.constant(np.full(HIDDEN, 0.25)), g.constant(np.zeros(HIDDEN), np.int8)
    x = g.node("MatMul", "spikes", g.node("DequantizeLinear", stored, scale, zero, axis=1))
    x = g.node("Cast", g.node("GreaterOrEqual", x, g.constant(1)), to=TensorProto.FLOAT)
    x = g.node("MatMul", x, g.node("BipolarQuant", g.constant(g.weights(HIDDEN, HIDDEN)), g.constant(0.5)))
    scale, zero = g.constant(0.5), g.constant(0, np.uint8)
    x = g.node("Clip", g.node("QuantizeLinear", x, scale, zero), g.constant(0, np.uint8), g.constant(1, np.uint8))
    x = g.node("DequantizeLinear", x, scale, zero)
    g.node("Sub", g.dense(x, HIDDEN, CLASSES), g.constant(0.5), output="out")
    return g.model({"spikes": INPUTS}, {"out": CLASSES}, METADATA)


def odd() -> ModelProto:
    """Images, 4-bit integers, constants made of constants, spikes by Where, Sign and MultiThreshold."""
    g = Graph()
    shape = g.node("Concat", g.constant([1], np.int64), g.constant([-1], np.int64), axis=0)
    x = g.node("Reshape", "spikes", shape)
    whole = g.node(
        "QuantizeLinear", g.constant(g.weights(INPUTS, HIDDEN) * 0.25), g.constant(0.25), output_dtype=TensorProto.INT4
    )
    x = g.node("MatMul", x, g.node("DequantizeLinear", whole, g.constant(0.25)))
    x = g.node("Where", g.node("Not", g.node("Less", x, g.constant(g.weights(HIDDEN) * 0.25))), g.constant(1), g.constant(0))
    w = g.node("Mul", g.node("Cast", g.constant(g.weights(HIDDEN, HIDDEN), np.int8), to=TensorProto.FLOAT), g.constant(0.5))
    x = g.node("Sign", g.node("Relu", g.node("Sub", g.node("MatMul", x, w), g.node("Div", g.constant(1), g.constant(2)))))
    x = g.node("MatMul", x, g.constant(g.weights(HIDDEN, CLASSES)))
    x = g.node(
        "MultiThreshold", x, g.node("Unsqueeze", g.constant(np.ones(CLASSES)), g.constant([1], np.int64)), out_dtype="BINARY"
    )
    g.node("Identity", x, output="out")
    model = g.model({"spikes": INPUTS}, {"out": CLASSES}, METADATA, 21)
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("spikes", TensorProto.FLOAT, (1, 1, 3, 4)))
    return model


def lasting(reset: str = "subtract") -> ModelProto:
    """Continuous, with a leak; membranes are inputs and outputs."""
    g = Graph()
    x = g.node("Add", g.dense("spikes", INPUTS, HIDDEN), g.constant(g.weights(HIDDEN) * 0.25))
    share = g.node("Floor", g.node("Mul", "v0_in", g.constant(2.0)))
    x = g.node("Add", g.node("Sub", "v0_in", g.node("Mul", share, g.constant(0.25))), x)
    s = g.spike(x)
    x = g.node("Sub", x, s) if reset == "subtract" else g.node("Mul", x, g.node("Sub", g.constant(1), s))
    g.node("Clip", x, g.constant(-(1 << 10) * 0.25), g.constant(((1 << 10) - 1) * 0.25), output="v0_out")
    g.node("Add", "v_out_in", g.dense(s, HIDDEN, CLASSES), output="out")
    inputs = {"spikes": INPUTS, "v0_in": HIDDEN, "v_out_in": CLASSES}
    return g.model(inputs, {"out": CLASSES, "v0_out": HIDDEN}, LASTING | {"reset": reset})


def convolved() -> ModelProto:
    """Two convolutions, one of flat spikes made maps, a bias for each map, a BatchNormalization, pooling."""
    g = Graph()
    maps = g.node("Reshape", "spikes", g.constant((-1, 1, 3, 4), np.int64))
    x = g.spike(g.conv(maps, 3, 1, 3, pads=[1, 1, 1, 1], kernel_shape=[3, 3]))
    x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    spread = [g.constant(v) for v in (np.full(2, -0.5), np.ones(2), np.zeros(2), np.ones(2))]
    x = g.node("BatchNormalization", g.conv(x, 2, 3, 1, auto_pad="VALID", strides=[1, 1], dilations=[1, 1], group=1), *spread)
    x = g.spike(g.node("Mul", x, g.constant(np.full((2, 1, 1), 2.0))))
    g.node("Identity", g.dense(g.node("Flatten", x), 4, CLASSES), output="out")
    return g.model({"spikes": INPUTS}, {"out": CLASSES}, METADATA)


def convolved_lasting() -> ModelProto:
    """A convolution of images whose membranes last."""
    g = Graph()
    x = g.node("Add", "v0_in", g.conv("spikes", 3, 1, 3, strides=[2, 2], pads=[1, 1, 1, 1]))
    s = g.spike(x)
    x = g.node("Sub", x, s)
    g.node("Clip", x, g.constant(-(1 << 10) * 0.25), g.constant(((1 << 10) - 1) * 0.25), output="v0_out")
    g.node("Add", "v_out_in", g.dense(g.node("Flatten", s), 12, CLASSES), output="out")
    inputs = {"spikes": (1, 3, 4), "v0_in": (3, 2, 2), "v_out_in": CLASSES}
    return g.model(inputs, {"out": CLASSES, "v0_out": (3, 2, 2)}, LASTING | {"leak": "0"})


def seeds() -> tuple[ModelProto, ...]:
    """All of them; each compiles for the geometry `tiny` or, of the last two, `tiny-conv`."""
    return plain(), folded(), foreign(), odd(), lasting(), lasting("zero"), convolved(), convolved_lasting()
