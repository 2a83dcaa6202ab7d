"""The network while it trains: quantised weights, BatchNorm before each neuron, and spikes of 0 or 1.

Discontinuous integration (Yin et al., BioCAS 2017, SNN-DC): a neuron keeps nothing between time steps, so one time step
is one plain feed-forward pass, and training sees single steps. BatchNorm is gone in the exported network: it folds into
each neuron's threshold (integers.py).
"""

from itertools import pairwise
from typing import Any

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeline_training.preset import Preset
from spikeline_training.quantiser import weight_quantiser

# BatchNorm centres membranes on 0, the lower edge of the surrogate gradient's window 0 <= u < 2; half a threshold
# higher, most of them lie inside it.
MEMBRANE_OFFSET = 0.5


class SpikingNetwork(nn.Module):
    """Fully connected discontinuous network.

    Hidden weights have a scale per neuron. The output layer has one scale for all and no bias, so that its integer
    membranes compare like the real ones.
    """

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        *hidden, last = pairwise(preset.sizes)
        per_neuron, per_layer = weight_quantiser(preset.weight_bits, True), weight_quantiser(preset.weight_bits, False)
        self.linear = nn.ModuleList(qnn.QuantLinear(i, o, False, weight_quant=per_neuron) for i, o in hidden)
        self.norm = nn.ModuleList(nn.BatchNorm1d(o) for _, o in hidden)
        self.spike = nn.ModuleList(Fire() for _ in hidden)
        self.output = qnn.QuantLinear(*last, False, weight_quant=per_layer)

    def forward(self, spikes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """One time step. Spikes (B, N) of 0 and 1 give the output membrane (B, 10) and each hidden layer's spike rate.

        A rate is the mean over the batch and the layer's neurons, a scalar through which gradients flow.
        """
        s = drop(spikes, self.preset.input_dropout, self.training)
        rates = []
        for linear, norm, spike in zip(self.linear, self.norm, self.spike, strict=True):
            s = spike(norm(self.current(linear, s)) + MEMBRANE_OFFSET)  # (B, H)
            rates.append(s.mean())
            s = drop(s, self.preset.hidden_dropout, self.training)
        return self.current(self.output, s), rates

    def current(self, linear: nn.Module, spikes: Tensor) -> Tensor:
        """What a layer adds up, (B, O), for spikes (B, I): QuantLinear without its wrappers, which cost half as much again."""
        return F.linear(spikes, linear.quant_weight().value)  # type: ignore[operator]


class Fire(nn.Module):
    """s = (u >= 1), with the gradient where 0 <= u < 2: to the bit the quantiser `Spike`, in a fraction of its time."""

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


def drop(spikes: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout, which draws no random numbers where it drops nothing."""
    return F.dropout(spikes, probability, training) if probability else spikes
