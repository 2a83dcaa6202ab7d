"""From the trained network to integers: BatchNorm folds into each neuron's threshold, firing boundaries are snapped.

A continuous network is on an integer grid already, which is read off. Of a discontinuous one, a hidden neuron fires
iff scale * u + bias >= 1, where u is the integer sum of the weights of its input spikes. That is u >= θ with the integer
threshold θ = ceil((1 - bias) / scale). Only θ matters to the spikes, so scale and bias are free
as long as they give the same θ, and we choose those with which float arithmetic cannot go wrong:

* the scale is the nearest power of two, so every product and every sum of a layer is exact in float32;
* the bias puts the boundary half way between two reachable sums, scale * (θ - 1/2) + bias = 1.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeline.errors import ModelError, PresetError
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Encoder, Reset
from spikeline_training.continuous import ContinuousNetwork
from spikeline_training.network import MEMBRANE_OFFSET, SpikingNetwork

SMALLEST_EXPONENT, LARGEST_EXPONENT = -12, 0  # of a scale: 1 - scale * (θ - 1/2) stays exact in float32


@dataclass(frozen=True)
class HiddenLayer:
    """Integer weights (O, I), thresholds (O,), and the float32 scale and bias (O,) that stand for them."""

    weights: np.ndarray  # int8
    thresholds: np.ndarray  # int64
    scale: np.ndarray  # float32, powers of two
    bias: np.ndarray  # float32


@dataclass(frozen=True)
class OutputLayer:
    """Integer weights (10, I); the membranes of all neurons share one float32 scale, a power of two."""

    weights: np.ndarray  # int8
    scale: np.float32


@dataclass(frozen=True)
class IntegerNetwork:
    """A trained discontinuous network as the hardware computes it."""

    hidden: list[HiddenLayer]
    output: OutputLayer

    def step(self, spikes: Tensor) -> tuple[Tensor, list[Tensor]]:
        """One time step: spikes float32 (B, N) of 0 and 1 to the integer output membrane and the hidden spikes.

        All are float32 and hold exact integers: every sum is below 2^24.
        """
        layers = []
        for layer in self.hidden:
            u = spikes @ torch.from_numpy(layer.weights).float().T  # (B, O)
            spikes = (u >= torch.from_numpy(layer.thresholds)).float()
            layers.append(spikes)
        return spikes @ torch.from_numpy(self.output.weights).float().T, layers


def fold(network: SpikingNetwork) -> IntegerNetwork:
    """The integer network that spikes as `network` does in evaluation mode, up to float rounding in the latter.

    Raises PresetError if a parameter is not finite.
    """
    hidden = []
    for linear, norm in zip(network.linear, network.norm, strict=True):
        weights, weight_scale = _integers(linear)
        gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
        bias = _array(norm.bias) + MEMBRANE_OFFSET - gain * _array(norm.running_mean)
        signed = np.where(gain < 0, -1, 1).astype(np.int8)[:, None] * weights  # keeps every scale positive
        hidden.append(snap(signed, (np.abs(gain) * weight_scale).astype(np.float32), bias.astype(np.float32)))
    weights, weight_scale = _integers(network.output)
    if not np.isfinite(weight_scale).all():
        raise PresetError("the output weights are not finite: the training diverged; lower peak_lr")
    return IntegerNetwork(hidden, OutputLayer(weights, _power_of_two(float(weight_scale[0]))))


def integers(network: SpikingNetwork | ContinuousNetwork) -> Network:
    """The integer network that a trained one is, as the compiler makes it of the export.

    Raises PresetError if the training diverged or it is none.
    """
    preset = network.preset
    layers = _lasting_layers(network) if isinstance(network, ContinuousNetwork) else _layers(fold(network))
    bits = next(bits for bits in (2, 4, 8) if bits >= preset.weight_bits)
    try:
        return Network(tuple(layers), bits, preset.time_steps, Encoder[preset.encoder.upper()])
    except ModelError as error:
        raise PresetError(f"the trained network is no integer network: {error}") from None


def _layers(folded: IntegerNetwork) -> list[Layer]:
    hidden = [Layer(x.weights.T.copy(), x.thresholds.astype(np.int32)) for x in folded.hidden]
    return [*hidden, Layer(folded.output.weights.T.copy(), np.zeros(len(folded.output.weights), np.int32))]


def _lasting_layers(network: ContinuousNetwork) -> list[Layer]:
    preset, layers = network.preset, []
    for linear, bias in zip(network.linear, network.bias, strict=True):
        with torch.no_grad():
            weights = linear.quant_weight()  # type: ignore[operator]
        grid, real = float(weights.scale), bias.detach().double()
        if not (torch.isfinite(weights.value).all() and torch.isfinite(real).all() and grid <= 1):
            raise PresetError("weights or biases are not finite, or above 1: the training diverged; lower peak_lr")
        whole = (weights.value.double() / grid).round().to(torch.int8).numpy().T.copy()
        biases = (real / grid).round().to(torch.int32).numpy()
        if linear is network.linear[-1]:
            layers.append(Layer(whole, -biases))
        else:
            thresholds = np.full(len(biases), round(1 / grid), np.int32)
            reset = Reset[preset.reset.upper()]
            layers.append(Layer(whole, thresholds, preset.state_bits, biases if preset.bias else None, preset.leak, reset))
    return layers


def snap(weights: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> HiddenLayer:
    """Thresholds, and the scales and biases that put them half way between two sums.

    Integer `weights` (O, I), float32 `scale` >= 0 and `bias` (O,). A neuron of scale 0 fires always or never, and so do
    those whose boundary no sum can reach: their threshold is clipped to just below, or just above, every sum.
    Raises PresetError if a scale or bias is not finite.
    """
    if not (np.isfinite(scale).all() and np.isfinite(bias).all()):
        raise PresetError("a folded scale or bias is not finite: the training diverged; lower peak_lr")
    reach = np.abs(weights.astype(np.int64)).sum(1)  # |u| never exceeds this
    thresholds = np.array([threshold(s, b, r) for s, b, r in zip(scale, bias, reach, strict=True)], np.int64)
    powers = np.array([_power_of_two(float(s)) for s in scale], np.float32)
    half_way = 1 - powers.astype(np.float64) * (thresholds - 0.5)
    return HiddenLayer(weights, thresholds, powers, half_way.astype(np.float32))


def threshold(scale: np.float32, bias: np.float32, reach: int) -> int:
    """The smallest integer θ with scale * θ + bias >= 1, computed without rounding, clipped to -reach..reach + 1."""
    gap = 1 - Fraction(float(bias))
    if scale == 0:
        return -int(reach) if gap <= 0 else int(reach) + 1
    return min(max(math.ceil(gap / Fraction(float(scale))), -int(reach)), int(reach) + 1)


def evaluate(network: IntegerNetwork, spikes: Tensor, batch: int = 500) -> tuple[Tensor, list[float]]:
    """Output membranes summed over the time steps, and mean spike rates.

    `spikes` is uint8 (B, T, N). Returns integer membranes, int64 (B, 10), and the mean spikes per neuron and time step
    of the input and each hidden layer.
    """
    membranes, totals = [], [0.0] * (1 + len(network.hidden))
    steps = spikes.shape[1]
    for chunk in spikes.split(batch):
        s = chunk.flatten(0, 1).float()  # (b * T, N)
        u, layers = network.step(s)
        membranes.append(u.view(-1, steps, u.shape[1]).sum(1).long())
        for i, layer in enumerate([s, *layers]):
            totals[i] += float(layer.mean()) * len(chunk)
    return torch.cat(membranes), [total / len(spikes) for total in totals]


def accuracy(membranes: Tensor, labels: Tensor) -> float:
    """Share of images whose largest membrane, the first one of equals, is their label."""
    largest = torch.from_numpy(np.argmax(membranes.numpy(), axis=1))  # numpy promises the first of equals
    return float((largest == labels).double().mean())


def _integers(linear: torch.nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Integer weights, int8 (O, I), and their scale, float64 (O,) or (1,)."""
    with torch.no_grad():
        quantised = linear.quant_weight()  # type: ignore[operator]
    scale = quantised.scale.double().reshape(-1, 1)
    return (quantised.value.double() / scale).round().to(torch.int8).numpy(), scale.flatten().numpy()


def _array(parameter: Any) -> np.ndarray:
    return parameter.detach().double().numpy()


def _power_of_two(scale: float) -> np.float32:
    exponent = round(math.log2(scale)) if scale > 0 else LARGEST_EXPONENT
    return np.float32(2.0 ** min(max(exponent, SMALLEST_EXPONENT), LARGEST_EXPONENT))
