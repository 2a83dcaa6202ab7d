"""The integer network: what the compiler makes, an image stores, and the golden model and the accelerator execute."""

from dataclasses import dataclass

import numpy as np

from spikeline.errors import ImageError
from spikeline.spec import Decode, Encoder

MAX_LAYERS = 8  # that registers and image headers have room for
VALUE_BITS = 32  # of a class value: the output membrane or spike count summed over the time steps


@dataclass(frozen=True)
class Layer:
    """One layer: a neuron fires iff Σ_{i: s_i = 1} weights[i] ≥ threshold.

    weights: int8 (inputs, neurons). thresholds: int32 (neurons,). An output layer that is read by its membrane never
    fires; its thresholds are the negated integer biases.
    """

    weights: np.ndarray
    thresholds: np.ndarray

    @property
    def inputs(self) -> int:
        """Fan-in of every neuron."""
        return self.weights.shape[0]

    @property
    def neurons(self) -> int:
        return self.weights.shape[1]

    @property
    def membrane_range(self) -> tuple[int, int]:
        """Smallest and largest value of u − θ, and of each of its partial sums, for any input in any order."""
        weights, thresholds = self.weights.astype(np.int64), self.thresholds.astype(np.int64)
        low = np.minimum(weights, 0).sum(0) - thresholds
        high = np.maximum(weights, 0).sum(0) - thresholds
        return int(low.min()), int(high.max())


@dataclass(frozen=True)
class Network:
    """A discontinuous-integration network (SNN-DC) in integers."""

    layers: tuple[Layer, ...]
    weight_bits: int  # of a weight in memory: 2, 4 or 8
    time_steps: int
    encoder: Encoder = Encoder.BERNOULLI
    decode: Decode = Decode.MEMBRANE
    exit_margin: int | None = None  # stop an image once its class leads by this; None: use all time steps

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ImageError(f"{len(self.layers)} layers: must be 1 to {MAX_LAYERS}")
        if self.weight_bits not in (2, 4, 8):
            raise ImageError(f"weights of {self.weight_bits} bits do not pack into memory words; use 2, 4 or 8")
        if not 1 <= self.time_steps < 1 << 16:
            raise ImageError(f"{self.time_steps} time steps: must be 1 to 65535")
        if self.exit_margin is not None and not (0 <= self.exit_margin < 1 << 32 and self.layers[-1].neurons > 1):
            raise ImageError(f"exit margin {self.exit_margin}: must be 0 to 2^32 − 1, and there must be two classes or more")
        limit = 1 << (self.weight_bits - 1)
        for n, layer in enumerate(self.layers):
            if layer.weights.ndim != 2 or layer.weights.dtype != np.int8 or not layer.weights.size:
                raise ImageError(f"layer {n}: weights must be int8 (inputs, neurons), not empty")
            if layer.thresholds.shape != (layer.neurons,) or layer.thresholds.dtype != np.int32:
                raise ImageError(f"layer {n}: thresholds must be int32, one for each of the {layer.neurons} neurons")
            if max(layer.weights.shape) >= 1 << 16:
                raise ImageError(f"layer {n} is {layer.inputs}×{layer.neurons}: must be less than 65536 each way")
            if max(map(abs, layer.membrane_range)) >= 1 << (VALUE_BITS - 1):
                raise ImageError(f"layer {n}: membranes overflow {VALUE_BITS} bits; use smaller thresholds")
            if layer.weights.min() < -limit or layer.weights.max() >= limit:
                raise ImageError(f"layer {n}: a weight does not fit {self.weight_bits} bits")
            if n and layer.inputs != self.layers[n - 1].neurons:
                raise ImageError(
                    f"layer {n} has {layer.inputs} inputs but layer {n - 1} has {self.layers[n - 1].neurons} neurons"
                )
        if self.time_steps * max(map(abs, self.layers[-1].membrane_range)) >= 1 << (VALUE_BITS - 1):
            raise ImageError(f"class values over {self.time_steps} time steps overflow {VALUE_BITS} bits; use fewer time steps")

    @property
    def sizes(self) -> list[int]:
        """Inputs, then the neurons of every layer: [784, 256, 256, 10]."""
        return [self.layers[0].inputs, *(layer.neurons for layer in self.layers)]

    @property
    def membrane_bits(self) -> int:
        """Bits of a two's complement membrane that no input can overflow."""
        ends = [end for layer in self.layers for end in layer.membrane_range]
        return 1 + max((~end if end < 0 else end).bit_length() for end in ends)
