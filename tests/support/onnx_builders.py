"""ONNX files of networks in many forms, and their integers, for the compiler's tests."""

import argparse
import dataclasses
import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from spikeline.model import model_file
from spikeline.model.geometry import ConvolutionGeometry, Geometry, LayerGeometry
from spikeline.model.spec import Decode
from spikeline_compiler import commands
from spikeline_compiler.lower import compile_onnx
from spikeline_compiler.verify import verify

QONNX = "qonnx.custom_op.general"
METADATA = {"integration": "discontinuous", "encoder": "bernoulli", "time_steps": "2"}
CONV_FORMS = ("quant", "qcdq", "floats", "plain")
WEIGHT_FORMS = ("quant", "transposed", "gemm", "gemm_transposed", "qcdq", "qcdq_float", "plain")


def geometry(weight_bits=8, membrane_bits=24, layers=8, size=64, classes=64, convolutions=0):
    room = tuple(LayerGeometry(size, size, 2) for _ in range(layers))
    return dataclasses.replace(
        Geometry.load("tiny"),
        layers=room,
        weight_bits=weight_bits,
        membrane_bits=membrane_bits,
        classes=classes,
        convolutions=(ConvolutionGeometry(16, 4096, 4096, 4096),) * convolutions,
    )


class Builder:
    """Writes a chain of ONNX nodes, `x` being the tensor at its end; inputs: their number, or the shape of a sample."""

    def __init__(self, inputs, batch=1, **metadata):
        self.shape = inputs if isinstance(inputs, tuple) else (inputs,)
        self.x, self.inputs, self.batch = "spikes", math.prod(self.shape), batch
        self.metadata = METADATA | metadata
        self.nodes, self.constants, self.opset = [], [], 13
        self.spikes = []  # tensors

    def const(self, value, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op, *inputs, name=None, **attributes):
        domain = QONNX if op in ("Quant", "BipolarQuant") else ""
        output = f"t{len(self.nodes)}"
        name = f"n{len(self.nodes)}_{op}" if name is None else name
        self.nodes.append(helper.make_node(op, inputs, [output], name, domain=domain, **attributes))
        return output

    def then(self, op, *others, **attributes):
        self.x = self.node(op, self.x, *others, **attributes)
        return self

    def quant(self, tensor, scale, bits, zero_point=0.0, signed=1, narrow=1, rounding_mode="ROUND", **more):
        inputs = (tensor, self.const(scale), self.const(zero_point), self.const(bits))
        return self.node("Quant", *inputs, signed=signed, narrow=narrow, rounding_mode=rounding_mode, **more)

    def spike(self, scale=1.0, bits=1.0, signed=0, narrow=0, rounding_mode="FLOOR", **more):
        self.x = self.quant(self.x, scale, bits, signed=signed, narrow=narrow, rounding_mode=rounding_mode, **more)
        return self.fired()

    def fired(self):
        self.spikes.append(self.x)
        return self

    def comparison(self, op="GreaterOrEqual", threshold=1.0, swap=False):
        """A spike as PyTorch writes (x >= 1).float()."""
        operands = (self.x, self.const(threshold))
        self.x = self.node(op, *(operands[::-1] if swap else operands))
        return self.then("Cast", to=TensorProto.FLOAT).fired()

    def qcdq_spike(self, scale=1.0, high=1):
        zero = self.const(0, np.uint8)
        self.then("QuantizeLinear", self.const(scale), zero).then("Clip", zero, self.const(high, np.uint8))
        return self.then("DequantizeLinear", self.const(scale), zero).fired()

    def dense(self, weights, scale=1.0, bits=8, form="quant", bias=None):
        """Multiply by int (inputs, neurons) weights times scale, a number or (neurons,); stored as `form` says."""
        weights = np.asarray(weights)
        scale = np.broadcast_to(np.asarray(scale, np.float32), weights.shape[1])
        bias = () if bias is None else (self.const(bias),)
        if form == "plain":
            self.then("MatMul", self.const(weights)).then("Mul", self.const(scale))
        elif form.startswith("qcdq"):
            channels = (self.const(scale), self.const(np.zeros(len(scale)), np.int8))
            if form == "qcdq":
                stored = self.const(weights, np.int8)
            else:
                stored = self.node("QuantizeLinear", self.const(weights * scale), *channels, axis=1)
            ends = (self.const(-(1 << bits - 1), np.int8), self.const((1 << bits - 1) - 1, np.int8))
            clipped = self.node("Clip", stored, *ends)
            self.then("MatMul", self.node("DequantizeLinear", clipped, *channels, axis=1))
        elif form in ("quant", "gemm"):
            w = self.weights(weights * scale, scale[None], bits)
            self.then("MatMul", w) if form == "quant" else self.then("Gemm", w, *bias)
        else:
            w = self.weights((weights * scale).T, scale[:, None], bits)
            if form == "transposed":
                self.then("MatMul", self.node("Transpose", w, perm=[1, 0]))
            else:
                self.then("Gemm", w, *bias, transB=1)
        if bias and not form.startswith("gemm"):
            self.then("Add", *bias)
        return self

    def conv(self, weights, scale=1.0, bits=8, form="quant", bias=None, **attributes):
        """Convolve by int (maps, channels, K, K) weights times scale, a number or (maps,); stored as `form` says."""
        weights = np.asarray(weights)
        scale = np.broadcast_to(np.asarray(scale, np.float32), len(weights))
        per_map = scale[:, None, None, None]
        bias = () if bias is None else (self.const(bias),)
        if form == "quant":
            return self.then("Conv", self.weights(weights * per_map, per_map, bits), *bias, **attributes)
        if form == "qcdq":
            channels = (self.const(scale), self.const(np.zeros(len(scale)), np.int8))
            return self.then(
                "Conv", self.node("DequantizeLinear", self.const(weights, np.int8), *channels, axis=0), *bias, **attributes
            )
        if form == "floats":
            return self.then("Conv", self.const(weights * per_map), *bias, **attributes)
        self.then("Conv", self.const(weights), **attributes).then("Mul", self.const(per_map[:, 0]))
        return self.then("Add", self.node("Reshape", *bias, self.const([1, -1, 1, 1], np.int64))) if bias else self

    def pool(self, **attributes):
        return self.then("MaxPool", **{"kernel_shape": [2, 2], "strides": [2, 2]} | attributes)

    def weights(self, values, scale, bits):
        if bits == 1:
            return self.node("BipolarQuant", self.const(values), self.const(scale))
        return self.quant(self.const(values), scale, bits, narrow=0)

    def reshape(self, *shape):
        return self.then("Reshape", self.const(shape, np.int64))

    def batchnorm(self, gamma, beta, mean, variance):
        constants = [self.const(np.asarray(x, np.float32)) for x in (gamma, beta, mean, variance)]
        return self.then("BatchNormalization", *constants, epsilon=0.0)

    def model(self, outputs=None, inputs=None):
        tensor = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "step",
            inputs or [tensor("spikes", TensorProto.FLOAT, [self.batch, *self.shape])],
            outputs or [tensor(self.x, TensorProto.FLOAT, [self.batch, None])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(QONNX, 2)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        helper.set_model_props(model, self.metadata)
        return model

    def save(self, folder):
        path = Path(folder) / "model.onnx"
        onnx.save(self.model(), path)
        return path


def spikes_for(inputs, batch=6, steps=2, seed=0):
    """Random spikes uint8 (batch, steps, inputs), from none at all to all at once."""
    density = np.linspace(0, 1, batch)[:, None, None]
    return (np.random.default_rng(seed).random((batch, steps, inputs)) < density).astype(np.uint8)


SPIKE_FORMS = {
    "at or above": lambda b: b.comparison(),
    "above": lambda b: b.comparison("Greater", 2.5),
    "swapped": lambda b: b.comparison("LessOrEqual", -1.0, swap=True),
    "strict, swapped": lambda b: b.comparison("Less", 0.0, swap=True),
    "qcdq": lambda b: b.qcdq_spike(),
}


def spikeline(*words):
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers(required=True))
    args = parser.parse_args(["compile", *map(str, words)])
    args.run(args)


def compiled(builder, folder, room=None):
    return compile_onnx(builder.save(folder), room or geometry())


def assert_equal_to_onnx(builder, folder, room=None, spikes=None):
    network = compiled(builder, folder, room)
    spikes = spikes_for(builder.inputs) if spikes is None else spikes
    result = verify(folder / "model.onnx", model_file.build(network), spikes)
    assert result["onnx_mismatches"] == 0
    firing = network.layers if network.decode == Decode.SPIKE_COUNT else network.layers[:-1]
    assert result["spikes_compared"] == spikes.shape[0] * spikes.shape[1] * sum(x.outputs for x in firing)
    return network


def small():
    rng = np.random.default_rng(0)
    b = Builder(99).dense(rng.integers(-7, 8, (99, 40)), 0.25, 4).spike()
    b.dense(rng.integers(-7, 8, (40, 20)), 0.25, 4).spike()
    return b.dense(rng.integers(-7, 8, (20, 10)), 0.5, 4)
