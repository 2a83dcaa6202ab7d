"""ONNX files of continuous networks: one time step, its states as inputs and outputs."""

import numpy as np
from onnx import TensorProto, helper

from support.onnx_builders import Builder

METADATA = {"integration": "continuous", "encoder": "bernoulli", "time_steps": "5"}


class Step(Builder):
    """Writes one step of a continuous network as the exporter does; `free` are its deviations from that."""

    def __init__(self, inputs, state_bits=13, free=(), **metadata):
        super().__init__(inputs, **(METADATA | {"state_bits": str(state_bits)} | metadata))
        self.state_bits, self.free = state_bits, free
        self.taken, self.left = [], []  # state inputs and outputs, as (name, neurons or shape)
        self.amplitude = 1.0

    def both(self, op, a, b):
        """An operator whose operands may be swapped."""
        return self.node(op, *((b, a) if "swap" in self.free else (a, b)))

    def named(self, name):
        """Give the tensor that the last node makes this name."""
        self.nodes[-1].output[0] = name
        return name

    def current(self, weights, scale, biases, **convolution):
        """Σ and its bias; integer weights (inputs, neurons) or (maps, channels, K, K), one scale or one for each column."""
        if np.ndim(weights) == 4:
            self.conv(weights, np.ravel(scale) / self.amplitude, 8, **convolution)
        else:
            self.dense(weights, scale / self.amplitude, 8, "gemm_transposed" if "gemm" in self.free else "quant")
        if "identity" in self.free:
            self.then("Identity")
        if biases is not None and "late" not in self.free:
            self.x = self.both("Add", self.x, self.const(np.multiply(biases, scale)))
        return self

    def integrate(self, state, scale, biases):
        self.x = self.both("Add", state, self.x)
        if biases is not None and "late" in self.free:
            self.x = self.both("Add", self.x, self.const(np.multiply(biases, scale)))
        return self.x

    def leaked(self, state, scale, leak):
        if not leak:
            return state
        if "divide" in self.free:
            share = self.node("Div", state, self.const(np.multiply(scale, 2.0**leak)))
        else:
            share = self.both("Mul", state, self.const(1 / np.multiply(scale, 2.0**leak)))
        amount = self.both("Mul", self.node("Floor", share), self.const(scale))
        return self.node("Sub", state, amount, name=f"leak{len(self.left)}")

    def clipped(self, tensor, scale):
        largest = 1 << (self.state_bits - 1)
        low, high = (self.const(np.multiply(scale, x)) for x in (-largest, largest - 1))
        if "maxmin" in self.free:
            return self.both("Min", self.both("Max", tensor, low), high)
        return self.node("Clip", tensor, low, high, name=f"clip{len(self.left)}")

    def hidden(self, weights, scale=2.0**-3, biases=None, leak=0, reset="subtract", amplitude=1.0, positions=(), **convolution):
        """A layer whose membrane lasts; of a convolution the `positions` of a map and the attributes of its Conv."""
        n, columns = len(self.left), np.shape(weights)[0 if positions else 1]
        neurons, each = (columns, *positions), (-1, *[1] * len(positions))
        scale = np.reshape(scale, each) if np.ndim(scale) else scale
        biases = None if biases is None else np.reshape(biases, each)
        self.taken.append((f"v{n}_in", neurons))
        self.current(weights, scale, biases, **convolution)
        membrane = self.integrate(self.leaked(f"v{n}_in", scale, leak), scale, biases)
        spikes = self.spike(scale=amplitude, name=f"spike{n}").x
        if reset == "subtract":
            after = self.node("Sub", membrane, spikes, name=f"reset{n}")
        else:
            kept = self.node("Sub", self.const(1.0), spikes)
            after = self.node("Mul", *((kept, membrane) if "swap" in self.free else (membrane, kept)), name=f"reset{n}")
        self.clipped(after, scale)
        self.left.append((self.named(f"v{n}_out"), neurons))
        self.x, self.amplitude = spikes, amplitude
        return self

    def output(self, weights, scale=0.5, biases=None):
        neurons = np.shape(weights)[1]
        self.taken.append(("v_out_in", neurons))
        self.current(weights, scale, biases)
        self.integrate("v_out_in", scale, biases)
        self.left.insert(0, (self.x if "unnamed" in self.free else self.named("membrane"), neurons))
        return self

    def model(self, outputs=None, inputs=None):
        def info(name, shape):
            sides = shape if isinstance(shape, tuple) else (shape,)
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [self.batch, *sides])

        inputs = inputs or [info("spikes", self.shape), *(info(*x) for x in self.taken)]
        model = super().model(outputs or [info(*x) for x in self.left], inputs)
        if "unnamed" in self.free:  # other tensors names, paired by position alone
            names = {name: f"tensor{n}" for n, (name, _) in enumerate(self.taken + self.left[1:])}
            for value in (*model.graph.input, *model.graph.output):
                value.name = names.get(value.name, value.name)
            for node in model.graph.node:
                node.name = ""
                for tensors in (node.input, node.output):
                    tensors[:] = [names.get(x, x) for x in tensors]
        return model
