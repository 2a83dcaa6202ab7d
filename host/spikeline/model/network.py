"""The integer network: what the compiler makes, an image stores, and the golden model and the accelerator execute."""

from dataclasses import dataclass, replace

import numpy as np

from spikeline.errors import DataError, ModelError
from spikeline.model.encode import bit_planes, latency_band
from spikeline.model.spec import Decode, Encoder, Reset

MAX_LAYERS = 8  # that registers and image headers have room for
VALUE_BITS = 32  # of a class value: the output membrane or spike count summed over the time steps


@dataclass(frozen=True)
class Layer:
    """One layer; weights: int8 (inputs, neurons), thresholds: int32 (neurons,).

    Discontinuous (Yin et al. 2017, section II): each time step stands alone, u = Σ_{i: s_i = 1} weights[i], and a neuron
    fires iff u ≥ threshold. An output layer that is read by its membrane never fires; its thresholds are the negated
    integer biases. Of direct input (encode.py), u = Σ_i weights[i] · pixel_i, and there is one decision for all steps.

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
        """Smallest and largest value of u − θ, and of each of its partial sums, for any spikes in any order.

        Of a continuous layer, those of v and of v − θ before it saturates.
        """
        return self.range_of()

    def range_of(self, planes: int = 0) -> tuple[int, int]:
        """The same for direct input of so many bit planes; 0: spikes. Then u adds up from 0, and loses θ only at the end."""
        thresholds = self.thresholds.astype(np.int64)
        low, high = (end(self.weights, 0).sum(0, dtype=np.int64) for end in (np.minimum, np.maximum))
        if planes:
            low, high = low * ((1 << planes) - 1), high * ((1 << planes) - 1)
            return int(np.minimum(low, low - thresholds).min()), int(np.maximum(high, high - thresholds).max())
        low, high = low - thresholds, high - thresholds
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
        limits = {Encoder.LATENCY: latency_band, Encoder.DIRECT: bit_planes}
        if self.encoder in limits:
            try:
                limits[self.encoder](self.time_steps)
            except DataError as error:
                raise ModelError(str(error)) from None
        if self.direct and self.continuous:
            raise ModelError(
                "direct input is decided once an image, so no membrane can last: make all layers discontinuous, or send spikes"
            )
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
            if max(map(abs, self.membrane_range(n))) >= 1 << (VALUE_BITS - 1):
                raise ModelError(f"layer {n}: membranes overflow {VALUE_BITS} bits; use smaller thresholds")
            if layer.weights.min() < -limit or layer.weights.max() >= limit:
                raise ModelError(f"layer {n}: a weight does not fit {self.weight_bits} bits")
            if n and layer.inputs != self.layers[n - 1].neurons:
                raise ModelError(
                    f"layer {n} has {layer.inputs} inputs but layer {n - 1} has {self.layers[n - 1].neurons} neurons"
                )
        if self.layers[-1].continuous and self.decode == Decode.MEMBRANE:
            raise ModelError("the output layer is continuous: read it by its spikes, or make it discontinuous: classes add up")
        if self.decisions * max(map(abs, self.membrane_range(len(self.layers) - 1))) >= 1 << (VALUE_BITS - 1):
            raise ModelError(f"class values over {self.decisions} time steps overflow {VALUE_BITS} bits; use fewer time steps")

    @property
    def sizes(self) -> list[int]:
        """Inputs, then the neurons of every layer: [784, 256, 256, 10]."""
        return [self.layers[0].inputs, *(layer.neurons for layer in self.layers)]

    @property
    def continuous(self) -> bool:
        """Is any layer?"""
        return any(layer.continuous for layer in self.layers)

    @property
    def direct(self) -> bool:
        """Is the input pixels, bit plane by bit plane, rather than spikes?"""
        return self.encoder == Encoder.DIRECT

    @property
    def decisions(self) -> int:
        """D, in how many of the T time steps a neuron decides and the class values grow: all, or of direct input the last."""
        return 1 if self.direct else self.time_steps

    def membrane_range(self, n: int) -> tuple[int, int]:
        """`Layer.membrane_range` of layer n with the input that this network gives it."""
        return self.layers[n].range_of(self.time_steps if self.direct and n == 0 else 0)

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
        ends = [end for n in range(len(self.layers)) for end in self.membrane_range(n)]
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
