"""The layers of a spiking network while it trains: quantised weights, and neurons that fire or a readout that does not.

A network is a stack of them, in `torch.nn.Sequential` or in a loop of your own, of one of the two integrations:

* discontinuous: a neuron keeps nothing between time steps, so a layer takes the spikes of single steps, (B, I), and training
  sees single steps. BatchNorm comes before each neuron; in integers it is in the thresholds (integers.py).
* continuous: membranes last from step to step, so a layer takes the spikes of all steps, (T, B, I), and is trained by
  back-propagation through time. What is trained is the integer arithmetic itself on a grid: weights, biases and membranes are
  multiples of one power of two, so float32 is exact and nothing is rounded afterwards.

Layers are fully connected, or convolutions over maps of spikes, (channels, height, width) instead of I, by a `Window` of
`spikeline.model.network`. The threshold is 1.
`spikeline_training.export` writes a stack as ONNX.
"""

import math
from typing import Any

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeline.errors import PresetError
from spikeline.model.network import Window
from spikeline_training.neurons import Fire, Neurons
from spikeline_training.quantiser import power_of_two_quantiser, weight_quantiser

STACK = "stack those of spikeline_training.layers in torch.nn.Sequential"
# BatchNorm centres membranes on 0, the lower edge of the surrogate gradient's window 0 <= u < 2; half a threshold
# higher, most of them lie inside it.
MEMBRANE_OFFSET = 0.5
# Standard deviations of the initial weights: with about a hundred spikes an image, membranes come to about 1.
HIDDEN_SPREAD, OUTPUT_SPREAD = 0.1, 0.05
KERNEL_SPIKES = 1 / 8  # that a place of a kernel sees in all steps, to begin with; few enough, and membranes come to about 1


class Layer(nn.Module):
    """Fully connected, of `inputs` to so many neurons, or a convolution by a window to so many maps: the `columns`.

    Weights have `weight_bits` bits: 1 (±1), 2 (-1, 0, 1), 3, 4 or 8.
    """

    fires = True  # or is a readout
    axes = 1  # before those of the spikes of one step: (B, …), of continuous layers (T, B, …)

    def __init__(self, inputs: int | Window, columns: int, weight_bits: int, quantiser: Any) -> None:
        super().__init__()
        self.columns, self.weight_bits = columns, weight_bits
        self.window = inputs if isinstance(inputs, Window) else None
        if isinstance(inputs, Window):
            if fault := inputs.fault():
                raise PresetError(f"a convolution has {fault}")
            self.linear = qnn.QuantConv2d(
                inputs.channels, columns, inputs.kernel, inputs.stride, inputs.padding, bias=False, weight_quant=quantiser
            )
        else:
            self.linear = qnn.QuantLinear(inputs, columns, False, weight_quant=quantiser)

    def initialise(self) -> None:
        """Draw the initial weights, where PyTorch's are not what is wanted."""

    def affine(self) -> tuple[Tensor, Tensor]:
        """What makes a membrane of weights that are integers times `linear.quant_weight().scale`: gain and bias, (O,) or ()."""
        return torch.ones(()), torch.zeros(self.columns)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the spikes that it makes of one sample's: (neurons,), or maps, height and width."""
        return (self.columns, *(self.window.pooled if self.window else ()))

    def sums(self, spikes: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
        """What it adds up, (…, O), for spikes (…, I), or of maps (…, C, H, W), flat or not: (…, O, H, W), before pooling.

        It is QuantLinear or QuantConv2d without the wrappers, which cost half as much again.
        """
        if self.window is None:
            return F.linear(spikes, weights, bias)
        window, samples = self.window, spikes.shape[: self.axes]
        maps = spikes.reshape(-1, window.channels, window.height, window.width)
        maps, weights = (x.to(memory_format=torch.channels_last) for x in (maps, weights))  # faster on a CPU
        return F.conv2d(maps, weights, bias, window.stride, window.padding).unflatten(0, samples)

    def pooled(self, maps: Tensor) -> Tensor:
        """The largest of 2×2 positions, if the window says so."""
        if self.window is None or not self.window.pool:
            return maps
        return F.max_pool2d(maps.flatten(0, -4), 2).unflatten(0, maps.shape[:-3])


class DiscontinuousNeurons(Layer):
    """A layer of neurons that keep nothing between time steps: s = (BatchNorm(W s) + 1/2 >= 1). Weights have a scale a column."""

    def __init__(self, inputs: int | Window, columns: int, weight_bits: int) -> None:
        super().__init__(inputs, columns, weight_bits, weight_quantiser(weight_bits, per_column=True))
        self.norm = nn.BatchNorm2d(columns) if self.window else nn.BatchNorm1d(columns)
        self.spike = Fire()

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes of one time step, (B, I) of 0 and 1, to spikes (B, O), or of a convolution (B, O, H, W)."""
        membranes = self.norm(self.sums(spikes, self.linear.quant_weight().value))  # type: ignore[operator, union-attr]
        return self.spike(self.pooled(membranes) + MEMBRANE_OFFSET)  # any of them fires iff the largest does

    def affine(self) -> tuple[Tensor, Tensor]:
        """Of BatchNorm, (O,) each."""
        norm = self.norm
        gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)  # type: ignore[union-attr]
        return gain, norm.bias.double() + MEMBRANE_OFFSET - gain * norm.running_mean.double()  # type: ignore[union-attr]


class DiscontinuousDense(DiscontinuousNeurons):
    """Fully connected neurons that keep nothing between time steps."""

    def __init__(self, inputs: int, neurons: int, weight_bits: int = 4) -> None:
        super().__init__(inputs, neurons, weight_bits)


class DiscontinuousConvolution(DiscontinuousNeurons):
    """Maps of neurons that keep nothing between time steps. Raises PresetError for a window that the accelerator cannot take."""

    def __init__(self, window: Window, maps: int, weight_bits: int = 4) -> None:
        super().__init__(window, maps, weight_bits)


class DiscontinuousReadout(Layer):
    """The output membranes of single steps, without neurons. They have one scale and no bias, so integers compare like them."""

    fires = False

    def __init__(self, inputs: int, classes: int, weight_bits: int = 4) -> None:
        super().__init__(inputs, classes, weight_bits, weight_quantiser(weight_bits, per_column=False))

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes of one time step, (B, I) of 0 and 1, to what the step adds to the class values, (B, classes)."""
        return self.sums(spikes, self.linear.quant_weight().value)  # type: ignore[operator, union-attr]


class ContinuousLayer(Layer):
    """What continuous layers share: weights on a grid, and biases on it if there are any.

    `sparse`: the spikes need no gradient and few of them are 1, as in a first layer; then it is faster, and the same to the bit.
    """

    axes = 2

    def __init__(self, inputs: int | Window, columns: int, weight_bits: int, bias: bool, spread: float, sparse: bool) -> None:
        super().__init__(inputs, columns, weight_bits, power_of_two_quantiser(weight_bits))
        self.bias = nn.Parameter(torch.zeros(columns), requires_grad=bias)
        self.spread, self.sparse = spread, sparse
        self.initialise()

    def initialise(self) -> None:
        nn.init.normal_(self.linear.weight, std=self.spread)  # type: ignore[arg-type]

    def current(self, spikes: Tensor) -> tuple[Tensor, float]:
        """What is added to the membranes, (T, B, O, …), for spikes (T, B, I), or maps of them, and the grid."""
        weights, bias, grid = on_grid(self.linear, self.bias)
        return (SparseLinear.apply if self.sparse else self.sums)(spikes, weights, bias), grid

    def affine(self) -> tuple[Tensor, Tensor]:
        """The bias."""
        return torch.ones(()), self.bias


class ContinuousNeurons(ContinuousLayer):
    """A layer of neurons whose membranes last: v = v - leak + W s + bias; fires at 1; then v = v - 1, or 0.

    `leak`: in each step but the first v loses v / 2^leak, 0 for no leak. `reset`: "subtract" or "zero". `state_bits`: v
    saturates at the ends of so many bits of the grid; one less than the accelerator's membranes have.
    """

    def __init__(
        self,
        inputs: int | Window,
        columns: int,
        weight_bits: int,
        leak: int,
        reset: str,
        state_bits: int,
        bias: bool,
        spread: float,
        sparse: bool = False,
    ) -> None:
        super().__init__(inputs, columns, weight_bits, bias, spread, sparse)
        self.leak, self.reset, self.state_bits = leak, reset, state_bits

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes of all time steps, (T, B, I) of 0 and 1, to spikes (T, B, O), or of a convolution (T, B, O, H, W)."""
        current, grid = self.current(spikes)
        return self.pooled(Neurons.apply(current, grid, self.leak, self.reset == "zero", self.state_bits))


class ContinuousDense(ContinuousNeurons):
    """Fully connected neurons whose membranes last."""

    def __init__(
        self,
        inputs: int,
        neurons: int,
        weight_bits: int = 4,
        leak: int = 0,
        reset: str = "subtract",
        state_bits: int = 13,
        bias: bool = False,
        sparse: bool = False,
    ) -> None:
        super().__init__(inputs, neurons, weight_bits, leak, reset, state_bits, bias, HIDDEN_SPREAD, sparse)


class ContinuousConvolution(ContinuousNeurons):
    """Maps of neurons whose membranes last. Raises PresetError for a window that the accelerator cannot take."""

    def __init__(
        self,
        window: Window,
        maps: int,
        weight_bits: int = 4,
        leak: int = 0,
        reset: str = "subtract",
        state_bits: int = 13,
        bias: bool = False,
    ) -> None:
        spread = 1 / math.sqrt(max(1.0, window.fan_in * KERNEL_SPIKES))
        super().__init__(window, maps, weight_bits, leak, reset, state_bits, bias, spread)


class ContinuousReadout(ContinuousLayer):
    """The output membranes over time, without neurons: they add up what they receive."""

    fires = False

    def __init__(self, inputs: int, classes: int, weight_bits: int = 4, bias: bool = False, sparse: bool = False) -> None:
        super().__init__(inputs, classes, weight_bits, bias, OUTPUT_SPREAD, sparse)

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes of all time steps, (T, B, I) of 0 and 1, to the class values after each step, (T, B, classes)."""
        return self.current(spikes)[0].cumsum(0)


def stack(module: nn.Module) -> list[Layer]:
    """The layers of a module in the order of the data. Raises PresetError if it is no stack of them."""
    layers = _flat(module)
    if not layers:
        raise PresetError(f"{type(module).__name__} holds no layer; {STACK}")
    for n, layer in enumerate(layers[:-1]):
        if not layer.fires:
            raise PresetError(f"layer {n} is a readout, which is the last of a network; let it fire")
    if len({isinstance(layer, ContinuousLayer) for layer in layers}) > 1:
        raise PresetError("discontinuous and continuous layers are trained apart; take layers of one integration")
    return layers


def _flat(module: nn.Module) -> list[Layer]:
    if isinstance(module, Layer):
        return [module]
    if isinstance(module, nn.Dropout | nn.Flatten | nn.Unflatten | nn.Identity):
        return []
    if isinstance(module, nn.Sequential | nn.ModuleList):
        return [layer for child in module for layer in _flat(child)]
    raise PresetError(f"{type(module).__name__} is no layer that can be exported; {STACK}")


def on_grid(linear: nn.Module, bias: Tensor) -> tuple[Tensor, Tensor, float]:
    """Weights (O, …) and biases (O,) as multiples of the grid, their gradients straight through, and the grid."""
    weights = linear.quant_weight()  # type: ignore[operator]
    grid = float(weights.scale)
    return weights.value, bias + ((bias / grid).round() * grid - bias).detach(), grid


class SparseLinear(torch.autograd.Function):
    """F.linear of spikes of 0 and 1, few of them 1, that takes no gradient to the spikes: only the rows that spike are added.

    To the bit the same: forwards every sum is exact on the layer's grid, backwards it is the dense product.
    """

    @staticmethod
    def forward(ctx: Any, spikes: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(spikes)
        rows = spikes.flatten(0, -2)  # (T * B, I)
        row, address = rows.nonzero(as_tuple=True)
        starts = torch.searchsorted(row, torch.arange(len(rows)))
        sums = F.embedding_bag(address, weights.T.contiguous(), starts, mode="sum")
        return (sums + bias).view(*spikes.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        (spikes,) = ctx.saved_tensors
        gradient = gradients[0].flatten(0, -2)
        return None, gradient.T @ spikes.flatten(0, -2), gradient.sum(0)
