"""The two neurons, and the gradients that go through them: the paper's rectangular window (Yin et al., BioCAS 2017).

A spike is s = (u >= 1), of membranes that have a threshold of 1; its gradient is 1 where 0 <= u < 2, and 0 elsewhere.
"""

from typing import Any

import torch
from torch import Tensor, nn


class Fire(nn.Module):
    """Discontinuous integration: s = (u >= 1) of each step by itself. To the bit the quantiser `Spike`, and much faster."""

    def forward(self, membrane: Tensor) -> Tensor:
        """Membranes of any shape to spikes of 0 and 1."""
        return _Fire.apply(membrane)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, membrane: Tensor) -> Tensor:
        ctx.save_for_backward((membrane >= 0) & (membrane < 2))
        return (membrane >= 1).to(membrane.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside


class Neurons(torch.autograd.Function):
    """Continuous integration: a layer of neurons over all time steps, currents (T, B, H) to spikes (T, B, H).

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
