"""From the trained network to integers, and to the float arithmetic that computes the same.

A trained layer is integer weights, a scale and a bias: in each step, the membrane of a neuron receives scale * u + bias, where
u is the integer sum of the weights of its input spikes, and a hidden neuron fires iff its membrane is 1 or more.

Of a layer without a state, BatchNorm is in scale and bias, one of each a neuron, of a convolution one of each a map. Only the
smallest sum that fires matters to the spikes, the integer threshold θ = ceil((1 - bias) / scale), so scale and bias are free
as long as they give the same θ. We choose those with which float arithmetic cannot go wrong:

* the scale is the nearest power of two, so every product and every sum of a layer is exact in float32;
* the bias puts the boundary half way between two reachable sums, scale * (θ - 1/2) + bias = 1.

A layer whose membranes last is trained on a grid: weights, biases and membranes are multiples of its scale, a power of two,
and its integers are read off. So are those of every output layer, which never fires.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch

from spikeline.errors import ModelError, PresetError
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from spikeline_training import layers as trained
from spikeline_training.layers import stack
from spikeline_training.network import SpikingNetwork

SMALLEST_EXPONENT, LARGEST_EXPONENT = -12, 0  # of a scale: 1 - scale * (θ - 1/2) stays exact in float32
LARGEST_BIAS = (1 << 31) - 1  # more than a network takes


@dataclass(frozen=True)
class Affine:
    """What a float graph makes of a layer's integer sums u: scale * u + bias, exactly. A hidden neuron fires at 1."""

    scale: np.ndarray  # float32, powers of two: (columns,), or () for the whole layer
    bias: np.ndarray  # float32 (columns,)


def integers(network: SpikingNetwork) -> Network:
    """The integer network that a trained one is, as the compiler makes it of the export.

    A discontinuous one spikes as `network` does in evaluation mode, up to float rounding in the latter; a continuous one
    exactly so. Raises PresetError if the training diverged, or if no such integer network is possible.
    """
    return convert(network)[0]


def convert(network: SpikingNetwork) -> tuple[Network, list[Affine]]:
    """As `integers`, and for each layer the float arithmetic that computes the same."""
    return convert_layers(stack(network.layers), network.preset.time_steps, network.preset.encoder)


def convert_layers(layers: Sequence[trained.Layer], time_steps: int, encoder: str) -> tuple[Network, list[Affine]]:
    """As `convert`, of a stack of layers, the last of which may be a readout."""
    planes = time_steps if encoder == "direct" else 0
    converted, affines = zip(*(_convert(x, 0 if n else planes) for n, x in enumerate(layers)), strict=True)
    bits = next(bits for bits in (2, 4, 8) if bits >= max(x.weight_bits for x in layers))
    decode = Decode.SPIKE_COUNT if layers[-1].fires else Decode.MEMBRANE
    try:
        return Network(converted, bits, time_steps, Encoder[encoder.upper()], decode), list(affines)
    except ModelError as error:
        raise PresetError(f"the trained network is no integer network: {error}") from None


def _convert(layer: trained.Layer, planes: int = 0) -> tuple[Layer, Affine]:
    """A layer; of direct input it takes whole numbers of so many bits, of which it saw 2^-planes while it trained."""
    with torch.no_grad():
        quantised = layer.linear.quant_weight()  # type: ignore[operator]
        gain, bias = (x.double().numpy() for x in layer.affine())
    scale = quantised.scale.double().reshape(-1, 1)
    weights = (quantised.value.flatten(1).double() / scale).round().to(torch.int8).numpy()  # (O, I), of a kernel (O, C · K · K)
    weights = np.where(gain < 0, -1, 1).astype(np.int8).reshape(-1, 1) * weights  # keeps every scale positive
    scale = np.abs(gain) * scale.flatten().numpy() * 2.0**-planes
    if not layer.fires:
        return _output(weights, scale, bias)
    if isinstance(layer, trained.ContinuousNeurons):
        return _stateful(weights, scale, bias, layer)
    whole, affine = snap(weights, scale, bias, (1 << planes) - 1 if planes else 1)
    return replace(whole, window=layer.window), affine


def snap(weights: np.ndarray, scale: np.ndarray, bias: np.ndarray, largest: int = 1) -> tuple[Layer, Affine]:
    """A hidden layer without a state: its thresholds, and the scales and biases that put them half way between two sums.

    `largest` is what its inputs can be: 1 if they are spikes.
    Integer `weights` (O, I), `scale` >= 0 and `bias` (O,), taken as float32. A neuron of scale 0 fires always or never, and
    so do those whose boundary no sum can reach: their threshold is clipped to just below, or just above, every sum.
    Raises PresetError if a scale or bias is not finite.
    """
    scale, bias = scale.astype(np.float32), bias.astype(np.float32)
    _require_finite(scale, bias)
    reach = np.abs(weights.astype(np.int64)).sum(1) * largest  # |u| never exceeds this
    thresholds = np.array([threshold(s, b, r) for s, b, r in zip(scale, bias, reach, strict=True)], np.int32)
    powers = np.array([_power_of_two(s) for s in scale], np.float32)
    half_way = 1 - powers.astype(np.float64) * (thresholds - 0.5)
    return Layer(weights.T.copy(), thresholds), Affine(powers, half_way.astype(np.float32))


def threshold(scale: np.float32, bias: np.float32, reach: int) -> int:
    """The smallest integer θ with scale * θ + bias >= 1, computed without rounding, clipped to -reach..reach + 1."""
    gap = 1 - Fraction(float(bias))
    if scale == 0:
        return -int(reach) if gap <= 0 else int(reach) + 1
    return min(max(math.ceil(gap / Fraction(float(scale))), -int(reach)), int(reach) + 1)


def _stateful(
    weights: np.ndarray, scale: np.ndarray, bias: np.ndarray, neurons: trained.ContinuousNeurons
) -> tuple[Layer, Affine]:
    """A hidden layer whose membranes last."""
    biases, grid = _multiples(bias, scale), float(scale[0])
    if grid > 1:
        raise PresetError(f"the scale {grid:g} of a layer is above the threshold 1: the training diverged; lower peak_lr")
    thresholds, reset = np.full(len(biases), round(1 / grid), np.int32), Reset[neurons.reset.upper()]
    given = biases if neurons.bias.requires_grad else None
    layer = Layer(weights.T.copy(), thresholds, neurons.state_bits, given, neurons.leak, reset, neurons.window)
    return layer, Affine(np.array(grid, np.float32), (biases * grid).astype(np.float32))


def _output(weights: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> tuple[Layer, Affine]:
    """An output layer. It has one scale, so that its integers compare like its real membranes; so any scale will do."""
    biases, power = _multiples(bias, scale), _power_of_two(float(scale[0]))
    return Layer(weights.T.copy(), -biases), Affine(np.array(power), (biases * float(power)).astype(np.float32))


def _multiples(bias: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Biases as multiples of a layer's one scale, int32 (O,)."""
    _require_finite(scale, bias)
    return np.rint(bias / scale).clip(-LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)


def _require_finite(scale: np.ndarray, bias: np.ndarray) -> None:
    if not (np.isfinite(scale).all() and np.isfinite(bias).all()):
        raise PresetError("a weight, scale or bias is not finite: the training diverged; lower peak_lr")


def _power_of_two(scale: float) -> np.float32:
    exponent = round(math.log2(scale)) if scale > 0 else LARGEST_EXPONENT
    return np.float32(2.0 ** min(max(exponent, SMALLEST_EXPONENT), LARGEST_EXPONENT))
