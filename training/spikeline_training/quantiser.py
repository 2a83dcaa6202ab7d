"""The quantisers: spikes of 0 or 1 from membranes, small signed integers from weights."""

import math
from typing import Any

import torch
from brevitas.inject.enum import FloatToIntImplType, ScalingImplType
from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import Tensor, nn


class Spike(Uint8ActPerTensorFloat):
    """Fire at threshold 1: s = (u >= 1), as floor(u) held in 0..1.

    The straight-through gradient is 1 for 0 <= u < 2 and 0 elsewhere, the paper's rectangular window.
    """

    bit_width = 1
    float_to_int_impl_type = FloatToIntImplType.FLOOR
    scaling_impl_type = ScalingImplType.CONST
    scaling_init = scaling_const = 1.0
    min_val, max_val, scaling_stats_op = 0.0, 1.0, None


def weight_quantiser(bits: int, per_column: bool) -> Any:
    """Brevitas injector of signed weights of `bits` bits with a scale for each neuron or map, or one for the whole layer.

    1 bit is ±1; more are the symmetric range -(2^(bits-1) - 1)..2^(bits-1) - 1, so 2 bits are -1, 0 and 1.
    """
    return Int8WeightPerTensorFloat.let(tensor_quant=StraightThrough, bit_width=bits, narrow_range=True, per_column=per_column)


class StraightThrough(nn.Module):
    """Brevitas tensor quantiser: value = scale * integer, and the gradient of the value goes to the weight unchanged.

    The scale maps the largest weight to the largest integer, so there is nothing to clamp; for 1 and 2 bits it is the
    mean of |w|, because the largest weight would leave nearly all others at 0. No gradient goes through the scale.
    Those two shortcuts are what makes this a third of the cost of the general quantiser.
    """

    def __init__(self, bit_width: int, per_column: bool) -> None:
        super().__init__()
        self.largest = 2 ** (bit_width - 1) - 1  # 0 for ±1
        self.per_column = per_column
        self.bit_width, self.zero_point = torch.tensor(float(bit_width)), torch.tensor(0.0)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weight (O, …) to its quantised value (O, …), scale (O, 1, …) or (), zero point and bit width."""
        size = weight.detach().abs()
        axes = tuple(range(int(self.per_column), weight.dim()))
        if self.largest <= 1:
            scale = size.mean(axes, keepdim=self.per_column)
        else:
            scale = size.amax(axes, keepdim=self.per_column) / self.largest
        scale = scale.clamp_min(1e-10)
        return _Round.apply(weight, scale, self.largest), scale, self.zero_point, self.bit_width


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor, largest: int) -> Tensor:
        if largest == 0:
            return torch.where(weight < 0, -scale, scale)
        steps = (weight / scale).round_()
        if largest == 1:
            steps.clamp_(-1, 1)
        return steps.mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[0], None, None


def power_of_two_quantiser(bits: int) -> Any:
    """Brevitas injector of signed weights of `bits` bits, ranges as of `weight_quantiser`, on one power of two for the layer."""
    return Int8WeightPerTensorFloat.let(tensor_quant=PowerOfTwo, bit_width=bits, narrow_range=True)


class PowerOfTwo(nn.Module):
    """Brevitas tensor quantiser: value = scale * integer, scale the power of two next to what suits the weights' spread.

    The largest integer stands for three standard deviations, of 2 bits for one and a half, and 1 bit for the mean size of
    normal weights; what is larger is clipped and gets no gradient. The spread moves slowly, so the scale seldom jumps.
    """

    def __init__(self, bit_width: int) -> None:
        super().__init__()
        self.largest = 2 ** (bit_width - 1) - 1  # 0 for ±1
        self.reach = {1: 0.8, 2: 1.5}.get(bit_width, 3.0)
        self.bit_width, self.zero_point = torch.tensor(float(bit_width)), torch.tensor(0.0)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weight (O, …) to its quantised value (O, …), scale (), zero point and bit width."""
        best = self.reach * float(weight.detach().std()) / max(self.largest, 1)
        exponent = round(math.log2(max(best, 2.0**-20))) if math.isfinite(best) else math.nan  # weights that diverged show it
        scale = torch.tensor(2.0**exponent)
        return _RoundAndClip.apply(weight, scale, self.largest), scale, self.zero_point, self.bit_width


class _RoundAndClip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor, largest: int) -> Tensor:
        if largest == 0:
            ctx.save_for_backward(torch.ones_like(weight))
            return torch.where(weight < 0, -scale, scale)
        steps = (weight / scale).round_()
        ctx.save_for_backward((steps.abs() <= largest).to(weight.dtype))
        return steps.clamp_(-largest, largest).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient[0] * inside, None, None
