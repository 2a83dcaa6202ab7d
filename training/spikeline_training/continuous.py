"""The continuous network while it trains: membranes last from step to step, so that the time of a spike carries information.

Continuous integration (Yin et al., BioCAS 2017, SNN-CC), trained by back-propagation through time. What is trained is the
integer arithmetic itself on a grid: weights, biases and membranes of a layer are multiples of one power of two, so float32
is exact and nothing is rounded afterwards. The threshold is 1.
"""

from itertools import pairwise
from typing import Any

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeline_training.network import drop
from spikeline_training.preset import Preset
from spikeline_training.quantiser import power_of_two_quantiser

# Standard deviations of the initial weights: with about a hundred spikes an image, membranes come to about 1.
HIDDEN_SPREAD, OUTPUT_SPREAD = 0.1, 0.05


class ContinuousNetwork(nn.Module):
    """Fully connected continuous network; the output layer adds up what it receives and never fires."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        quantiser = power_of_two_quantiser(preset.weight_bits)
        pairs = list(pairwise(preset.sizes))
        self.linear = nn.ModuleList(qnn.QuantLinear(i, o, False, weight_quant=quantiser) for i, o in pairs)
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(o), requires_grad=preset.bias) for _, o in pairs)
        for linear in self.linear:
            spread = OUTPUT_SPREAD if linear is self.linear[-1] else HIDDEN_SPREAD
            nn.init.normal_(linear.weight, std=spread)  # type: ignore[arg-type]

    def forward(self, spikes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """All time steps of a batch: spikes (T, B, N) of 0 and 1 give the class values after each step, (T, B, 10).

        And each hidden layer's spike rate, the mean over time steps, batch and neurons, through which gradients flow.
        """
        preset, rates = self.preset, list[Tensor]()
        s = drop(spikes, preset.input_dropout, self.training)
        for n in range(len(self.linear)):
            current, grid = self.current(n, s)  # (T, B, O)
            if n == len(self.linear) - 1:
                return current.cumsum(0), rates
            s = Neurons.apply(current, grid, preset.leak, preset.reset == "zero", preset.state_bits)
            rates.append(s.mean())
            s = drop(s, preset.hidden_dropout, self.training)
        raise AssertionError("a network has an output layer")

    def current(self, n: int, spikes: Tensor) -> tuple[Tensor, float]:
        """What layer n adds to its membranes, (T, B, O), for its spikes (T, B, I), and its grid."""
        weights = self.linear[n].quant_weight()  # type: ignore[operator]
        grid = float(weights.scale)
        bias = self.bias[n]
        quantised = bias + ((bias / grid).round() * grid - bias).detach()  # straight through
        if n == 0 and not self.preset.input_dropout:
            return SparseLinear.apply(spikes, weights.value, quantised), grid
        return F.linear(spikes, weights.value, quantised), grid


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


class Neurons(torch.autograd.Function):
    """A layer of continuous neurons over all time steps: currents (T, B, H) to spikes (T, B, H).

    v = v − leak + current; s = (v >= 1); v = v − s, or 0; v saturates. Backwards, the gradient of a spike reaches its
    membrane where 0 <= v < 2, the paper's rectangular window, and goes on through time past leak and saturation; through the
    reset it goes as if firing were given: not into the spike, and after a reset to zero not into the steps before.
    """

    @staticmethod
    def forward(ctx: Any, current: Tensor, grid: float, leak: int, to_zero: bool, state_bits: int) -> Tensor:
        low, high = -grid * 2 ** (state_bits - 1), grid * (2 ** (state_bits - 1) - 1)
        membranes, spikes = torch.empty_like(current), torch.empty_like(current)
        v = torch.zeros_like(current[0])
        for t in range(len(current)):
            if leak:
                v = v - torch.floor(v / (grid * 2**leak)) * grid
            torch.add(v, current[t], out=membranes[t])
            torch.ge(membranes[t], 1, out=spikes[t])
            v = membranes[t] * (1 - spikes[t]) if to_zero else membranes[t] - spikes[t]
            v.clamp_(low, high)
        ctx.save_for_backward(membranes, spikes)
        ctx.keep, ctx.to_zero = 1 - 2.0**-leak if leak else 1.0, to_zero
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        membranes, spikes = ctx.saved_tensors
        gradient = ((membranes >= 0) & (membranes < 2)).to(membranes.dtype).mul_(gradients[0])
        for t in range(len(gradient) - 2, -1, -1):
            later = gradient[t + 1] * (1 - spikes[t]) if ctx.to_zero else gradient[t + 1]
            gradient[t].add_(later, alpha=ctx.keep)
        return gradient, None, None, None, None
