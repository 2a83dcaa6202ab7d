"""The network of a preset: convolutions if it has some, then fully connected layers; it tells how much it spikes."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeline.model.network import Window
from spikeline_training.layers import (
    ContinuousConvolution,
    ContinuousDense,
    ContinuousReadout,
    DiscontinuousConvolution,
    DiscontinuousDense,
    DiscontinuousReadout,
    Layer,
)
from spikeline_training.preset import Preset


class SpikingNetwork(nn.Module):
    """Network of either integration; its last layer fires if the preset's output is `spike_count`."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.preset = preset
        windows = preset.windows
        *hidden, last = pairwise(preset.sizes)
        output = _dense if preset.output == "spike_count" else _readout
        with torch.random.fork_rng(devices=[]):
            layers = [_convolution(w, x.maps, preset) for w, x in zip(windows, preset.convolutions, strict=True)]
            layers += [_dense(*x, preset, first=n == 0) for n, x in enumerate(hidden) if n >= len(windows)]
            self.layers = nn.ModuleList([*layers, output(*last, preset, first=not hidden)])
        for layer in self.layers:  # PyTorch's draws of all layers, then ours: a seed has always meant this network
            layer.linear.reset_parameters()  # type: ignore[operator, union-attr]
        for layer in self.layers:
            layer.initialise()  # type: ignore[operator]

    def forward(self, spikes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Class values, or output spikes, and each hidden layer's spike rate.

        Discontinuous: one time step, spikes (B, N) of 0 and 1 to membranes or spikes (B, classes). Continuous: all of them,
        (T, B, N) to class values after each step or spikes, (T, B, classes). A rate is the mean over all neurons and samples,
        a scalar through which gradients flow.
        """
        s = drop(spikes, self.preset.input_dropout, self.training)
        *hidden, output = self.layers
        rates = []
        for layer in hidden:
            s = layer(_flat(s, layer))
            rates.append(s.mean())
            s = drop(s, self.preset.hidden_dropout, self.training)
        return output(_flat(s, output)), rates


def _flat(spikes: Tensor, layer: nn.Module) -> Tensor:
    """Spikes as a layer takes them: maps one after another where it is fully connected."""
    return spikes.flatten(layer.axes) if layer.window is None else spikes  # type: ignore[arg-type]


def _convolution(window: Window, maps: int, preset: Preset) -> Layer:
    if preset.integration == "discontinuous":
        return DiscontinuousConvolution(window, maps, preset.weight_bits)
    return ContinuousConvolution(window, maps, preset.weight_bits, preset.leak, preset.reset, preset.state_bits, preset.bias)


def _dense(inputs: int, neurons: int, preset: Preset, first: bool) -> Layer:
    if preset.integration == "discontinuous":
        return DiscontinuousDense(inputs, neurons, preset.weight_bits)
    sparse = first and not preset.input_dropout
    how = (preset.leak, preset.reset, preset.state_bits, preset.bias)
    return ContinuousDense(inputs, neurons, preset.weight_bits, *how, sparse)


def _readout(inputs: int, classes: int, preset: Preset, first: bool) -> Layer:
    if preset.integration == "discontinuous":
        return DiscontinuousReadout(inputs, classes, preset.weight_bits)
    return ContinuousReadout(inputs, classes, preset.weight_bits, preset.bias, first and not preset.input_dropout)


def drop(spikes: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout, which draws no random numbers where it drops nothing."""
    return F.dropout(spikes, probability, training) if probability else spikes
