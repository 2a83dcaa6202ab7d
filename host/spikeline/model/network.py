"""The integer network: what the compiler makes, an image stores, and the golden model and the accelerator execute."""

from dataclasses import dataclass, replace

import numpy as np

from spikeline.errors import DataError, ModelError
from spikeline.model.encode import latency_band
from spikeline.model.spec import Decode, Encoder, Reset

MAX_LAYERS = 8  # that registers and image headers have room for
VALUE_BITS = 32  # of a class value: the output membrane or spike count summed over the time steps


@dataclass(frozen=True)
class Layer:
    """One layer; weights: int8 (inputs, neurons), thresholds: int32 (neurons,).

    Discontinuous (Yin et al. 2017, section II): each time step stands alone, u = Σ_{i: s_i = 1} weights[i], and a neuron
    fires iff u ≥ threshold. An output layer that is read by its membrane never fires; its thresholds are the negated
    integer biases.

    Continuous, with `state_bits`: a membrane v lasts from step to step of an image, from 0. In order: unless it is the
    first step, v −= v >> leak, if there is a leak; v += bias + Σ weights[i]; fires iff v ≥ threshold, and then
    v −= threshold or v = 0; v saturates at the ends of `state_bits` bits. biases: int32 (neurons,), None for all 0.
    """

    weights: np.ndarray
    thresholds: np.ndarray
    state_bits: int = 0  # of a lasting membrane, 2 to 23; 0: discontinuous
    biases: np.ndarray | None = None
    leak: int = 0  # shift, 0 (none) to 15
    reset: Reset = Reset.SUBTRACT

    @property
    def continuous(self) -> bool:
        """Do membranes last from step to step?"""
        return self.state_bits > 0

    @property
    def biased(self) -> bool:
        """Is any bias not 0?"""
        return self.biases is not None and bool(self.biases.any())

    @property
    def inputs(self) -> int:
        """Fan-in of every neuron."""
        return self.weights.shape[0]

    @property
    def neurons(self) -> int:
        return self.weights.shape[1]

    @property
    def membrane_range(self) -> tuple[int, int]:
        """Smallest and largest value of u − θ, and of each of its partial sums, for any input in any order.

        Of a continuous layer, those of v and of v − θ before it saturates.
        """
        thresholds = self.thresholds.astype(np.int64)
        low, high = (end(self.weights, 0).sum(0, dtype=np.int64) - thresholds for end in (np.minimum, np.maximum))
        if self.continuous:
            biases = np.zeros_like(thresholds) if self.biases is None else self.biases.astype(np.int64)
            largest = 1 << (self.state_bits - 1)
            low += np.minimum(biases, 0) - largest
            high += thresholds + np.maximum(biases, 0) + largest - 1
        return int(low.min()), int(high.max())


@dataclass(frozen=True)
class Network:
    """A network in integers, of discontinuous (SNN-DC) or continuous integration (SNN-CC)."""

    layers: tuple[Layer, ...]
    weight_bits: int  # of a weight in memory: 2, 4 or 8
    time_steps: int
    encoder: Encoder = Encoder.BERNOULLI
    decode: Decode = Decode.MEMBRANE
    exit_margin: int | None = None  # stop an image once its class leads by this; None: use all time steps

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= MAX_LAYERS:
            raise ModelError(f"{len(self.layers)} layers: must be 1 to {MAX_LAYERS}")
        if self.weight_bits not in (2, 4, 8):
            raise ModelError(f"weights of {self.weight_bits} bits do not pack into memory words; use 2, 4 or 8")
        if not 1 <= self.time_steps < 1 << 16:
            raise ModelError(f"{self.time_steps} time steps: must be 1 to 65535")
        if self.exit_margin is not None and not (0 <= self.exit_margin < 1 << 24 and self.layers[-1].neurons > 1):
            raise ModelError(f"exit margin {self.exit_margin}: must be 0 to 2^24 − 1, and there must be two classes or more")
        if self.encoder == Encoder.LATENCY:
            try:
                latency_band(self.time_steps)
            except DataError as error:
                raise ModelError(str(error)) from None
        limit = 1 << (self.weight_bits - 1)
        for n, layer in enumerate(self.layers):
            if layer.weights.ndim != 2 or layer.weights.dtype != np.int8 or not layer.weights.size:
                raise ModelError(f"layer {n}: weights must be int8 (inputs, neurons), not empty")
            if layer.thresholds.shape != (layer.neurons,) or layer.thresholds.dtype != np.int32:
                raise ModelError(f"layer {n}: thresholds must be int32, one for each of the {layer.neurons} neurons")
            if layer.continuous:
                _check_continuous(n, layer)
            elif layer.biases is not None or layer.leak:
                raise ModelError(f"layer {n}: a discontinuous layer has its biases in the thresholds, and no leak")
            if max(layer.weights.shape) >= 1 << 16:
                raise ModelError(f"layer {n} is {layer.inputs}×{layer.neurons}: must be less than 65536 each way")
            if max(map(abs, layer.membrane_range)) >= 1 << (VALUE_BITS - 1):
                raise ModelError(f"layer {n}: membranes overflow {VALUE_BITS} bits; use smaller thresholds")
            if layer.weights.min() < -limit or layer.weights.max() >= limit:
                raise ModelError(f"layer {n}: a weight does not fit {self.weight_bits} bits")
            if n and layer.inputs != self.layers[n - 1].neurons:
                raise ModelError(
                    f"layer {n} has {layer.inputs} inputs but layer {n - 1} has {self.layers[n - 1].neurons} neurons"
                )
        if self.layers[-1].continuous and self.decode == Decode.MEMBRANE:
            raise ModelError("the output layer is continuous: read it by its spikes, or make it discontinuous: classes add up")
        if self.time_steps * max(map(abs, self.layers[-1].membrane_range)) >= 1 << (VALUE_BITS - 1):
            raise ModelError(f"class values over {self.time_steps} time steps overflow {VALUE_BITS} bits; use fewer time steps")

    @property
    def sizes(self) -> list[int]:
        """Inputs, then the neurons of every layer: [784, 256, 256, 10]."""
        return [self.layers[0].inputs, *(layer.neurons for layer in self.layers)]

    @property
    def continuous(self) -> bool:
        """Is any layer?"""
        return any(layer.continuous for layer in self.layers)

    @property
    def cleared(self) -> "Network":
        """The same network with its membranes cleared before every step: what it is without a memory."""
        layers = []
        for x in self.layers:
            biases = 0 if x.biases is None else x.biases
            layers.append(Layer(x.weights, x.thresholds - biases) if x.continuous else x)
        return replace(self, layers=tuple(layers))

    @property
    def membrane_bits(self) -> int:
        """Bits of a two's complement membrane that no input can overflow."""
        ends = [end for layer in self.layers for end in layer.membrane_range]
        return 1 + max((~end if end < 0 else end).bit_length() for end in ends)


def _check_continuous(n: int, layer: Layer) -> None:
    if not 2 <= layer.state_bits <= 23:
        raise ModelError(f"layer {n}: a state of {layer.state_bits} bits; use 2 to 23")
    if layer.biases is not None and (layer.biases.shape != (layer.neurons,) or layer.biases.dtype != np.int32):
        raise ModelError(f"layer {n}: biases must be int32, one for each of the {layer.neurons} neurons")
    if not 0 <= layer.leak <= 15:
        raise ModelError(f"layer {n}: a leak of {layer.leak}; use a shift of 1 to 15, or 0 for none")
    if layer.thresholds.min() < 1:
        raise ModelError(f"layer {n}: the thresholds of a continuous layer must be 1 or more")
    low, high = layer.membrane_range
    if low < -(1 << layer.state_bits) or high >= 1 << layer.state_bits:
        raise ModelError(
            f"layer {n}: one step moves a membrane by more than a state of {layer.state_bits} bits leaves room for; "
            "use more state bits or smaller weights"
        )
