"""The integer network: what the compiler makes, an image stores, and the golden model and the accelerator execute."""

import math
from dataclasses import dataclass, replace

import numpy as np

from spikeline.errors import DataError, ModelError
from spikeline.model.encode import bit_planes, latency_band
from spikeline.model.spec import Decode, Encoder, Reset

MAX_LAYERS = 8  # that registers and image headers have room for
VALUE_BITS = 32  # of a class value: the output membrane or spike count summed over the time steps
KERNELS = (1, 3)  # kernel sizes of a convolution
LARGEST_SIDE = 64  # of a map
PATCH_VALUES = 1 << 24  # that a convolution looks at in one go, of which each takes 4 bytes


@dataclass(frozen=True)
class Window:
    """How a convolution goes over maps of spikes, (channels, height, width): kernel × kernel, zeros around, one map at a time.

    With `pool`, 2×2 positions of a map that do not overlap become one, which fires if any of them does; an odd last row or
    column is dropped.
    """

    channels: int
    height: int
    width: int
    kernel: int = 3
    stride: int = 1  # or 2
    padding: int = 0  # or kernel // 2
    pool: bool = False

    @property
    def inputs(self) -> int:
        return self.channels * self.height * self.width

    @property
    def fan_in(self) -> int:
        """Of a neuron whose kernel lies within the map."""
        return self.channels * self.kernel**2

    @property
    def positions(self) -> tuple[int, int]:
        """Height and width of what it makes of a map, before pooling."""
        height, width = ((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in (self.height, self.width))
        return height, width

    @property
    def pooled(self) -> tuple[int, int]:
        """Height and width of the map that is handed on."""
        height, width = self.positions
        return (height // 2, width // 2) if self.pool else (height, width)

    def __str__(self) -> str:
        """3×3 over 1×28×28, stride 2, padding 1, 2×2 pooling"""
        parts = [f"{self.kernel}×{self.kernel} over {self.channels}×{self.height}×{self.width}"]
        parts += [f"stride {self.stride}"] * (self.stride > 1) + [f"padding {self.padding}"] * (self.padding > 0)
        return ", ".join(parts + ["2×2 pooling"] * self.pool)

    def fault(self) -> str | None:
        """What is wrong with it, None if nothing is."""
        if self.kernel not in KERNELS:
            return f"a kernel of {self.kernel}×{self.kernel}; use one of {', '.join(f'{k}×{k}' for k in KERNELS)}"
        if self.stride not in (1, 2):
            return f"a stride of {self.stride}; use 1 or 2"
        if self.padding not in (0, self.kernel // 2):
            return f"a padding of {self.padding}; use 0 or, to keep the size, {self.kernel // 2}"
        if self.channels < 1 or not (1 <= self.height <= LARGEST_SIDE and 1 <= self.width <= LARGEST_SIDE):
            return f"maps of {self.channels}×{self.height}×{self.width}; use sides of 1 to {LARGEST_SIDE}"
        if min(self.pooled) < 1:
            return f"no position left of maps of {self.height}×{self.width}; use padding, or leave out the pooling"
        return None

    def patches(self, spikes: np.ndarray) -> np.ndarray:
        """What each position sees of `spikes`, (B, inputs): (B, positions, fan_in), a row of `Layer.weights` each column."""
        maps = spikes.reshape(-1, self.channels, self.height, self.width)
        around = ((0, 0), (0, 0), (self.padding, self.padding), (self.padding, self.padding))
        views = np.lib.stride_tricks.sliding_window_view(np.pad(maps, around), (1, 1, self.kernel, self.kernel))
        views = views[:, :, :: self.stride, :: self.stride, 0, 0]  # (B, C, H, W, K, K)
        return views.transpose(0, 2, 3, 1, 4, 5).reshape(len(maps), math.prod(self.positions), self.fan_in)

    def pooling(self, fired: np.ndarray) -> np.ndarray:
        """What is handed on of `fired`, bool (…, maps · positions): (…, maps · pooled)."""
        if not self.pool:
            return fired
        height, width = self.pooled
        columns = fired.shape[-1] // math.prod(self.positions)
        maps = fired.reshape(*fired.shape[:-1], columns, *self.positions)[..., : 2 * height, : 2 * width]
        over = maps[..., ::2, :] | maps[..., 1::2, :]
        over = over[..., ::2] | over[..., 1::2]
        return over.reshape(*fired.shape[:-1], columns * height * width)


@dataclass(frozen=True)
class Layer:
    """One layer; weights: int8 (fan-in, columns), thresholds: int32 (columns,). A column is a neuron, or a map of neurons.

    Fully connected without a `window`. With one it is a convolution: row (c · K + ky) · K + kx of `weights` stands for
    channel c and place (ky, kx) of the kernel. Spikes are maps one after another, (channels, height, width), both ways.

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
    window: Window | None = None  # of a convolution

    @property
    def continuous(self) -> bool:
        """Do membranes last from step to step?"""
        return self.state_bits > 0

    @property
    def biased(self) -> bool:
        """Is any bias not 0?"""
        return self.biases is not None and bool(self.biases.any())

    @property
    def pools(self) -> bool:
        """Are its spikes pooled?"""
        return self.window is not None and self.window.pool

    @property
    def columns(self) -> int:
        """Neurons, or maps of neurons, that have weights and a threshold of their own."""
        return self.weights.shape[1]

    @property
    def inputs(self) -> int:
        """Spikes that can enter it in a step."""
        return self.window.inputs if self.window else self.weights.shape[0]

    @property
    def neurons(self) -> int:
        """Those that have a membrane."""
        return self.columns * math.prod(self.window.positions if self.window else ())

    @property
    def outputs(self) -> int:
        """Spikes that can leave it in a step: one a neuron, or after pooling one of four."""
        return self.columns * math.prod(self.window.pooled if self.window else ())

    def sums(self, spikes: np.ndarray) -> np.ndarray:
        """Σ w of every neuron, int32 (B, neurons), for spikes (B, inputs). Exact: in float32 every integer up to 2^24 is."""
        weights = self.weights.astype(np.float32)
        if self.window is None:
            return (spikes.astype(np.float32) @ weights).astype(np.int32)
        sums = np.empty((len(spikes), self.columns, math.prod(self.window.positions)), np.int32)
        rows = max(1, PATCH_VALUES // (sums.shape[-1] * self.window.fan_in))
        for at in range(0, len(spikes), rows):
            patches = self.window.patches(spikes[at : at + rows]).astype(np.float32)
            sums[at : at + rows] = (patches @ weights).transpose(0, 2, 1)
        return sums.reshape(len(spikes), self.neurons)

    def of_neurons(self, columns: np.ndarray) -> np.ndarray:
        """Thresholds or biases, (columns,), for each neuron, (neurons,)."""
        return columns.repeat(self.neurons // self.columns)

    def handed_on(self, fired: np.ndarray) -> np.ndarray:
        """The spikes that leave, (…, outputs), of those that its neurons fire, bool (…, neurons)."""
        return self.window.pooling(fired) if self.window else fired

    def decided(self, membranes: np.ndarray) -> np.ndarray:
        """`membranes`, (…, neurons), with 0 for those that pooling drops: the accelerator never decides them."""
        if self.window is None or not self.window.pool:
            return membranes
        height, width = (2 * side for side in self.window.pooled)
        maps = membranes.reshape(*membranes.shape[:-1], self.columns, *self.window.positions)
        kept = np.zeros_like(maps)
        kept[..., :height, :width] = maps[..., :height, :width]
        return kept.reshape(membranes.shape)

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
            if layer.thresholds.shape != (layer.columns,) or layer.thresholds.dtype != np.int32:
                raise ModelError(f"layer {n}: thresholds must be int32, one for each of the {layer.columns} neurons")
            if layer.window:
                self._check_window(n, layer, layer.window)
            if layer.continuous:
                _check_continuous(n, layer)
            elif layer.biases is not None or layer.leak:
                raise ModelError(f"layer {n}: a discontinuous layer has its biases in the thresholds, and no leak")
            if max(layer.inputs, layer.outputs, *layer.weights.shape) >= 1 << 16:
                raise ModelError(f"layer {n} is {layer.inputs}×{layer.outputs}: must be less than 65536 each way")
            if max(map(abs, self.membrane_range(n))) >= 1 << (VALUE_BITS - 1):
                raise ModelError(f"layer {n}: membranes overflow {VALUE_BITS} bits; use smaller thresholds")
            if layer.weights.min() < -limit or layer.weights.max() >= limit:
                raise ModelError(f"layer {n}: a weight does not fit {self.weight_bits} bits")
            if n and layer.inputs != self.layers[n - 1].outputs:
                raise ModelError(
                    f"layer {n} has {layer.inputs} inputs but layer {n - 1} has {self.layers[n - 1].outputs} neurons"
                )
        if self.layers[-1].continuous and self.decode == Decode.MEMBRANE:
            raise ModelError("the output layer is continuous: read it by its spikes, or make it discontinuous: classes add up")
        if self.decisions * max(map(abs, self.membrane_range(len(self.layers) - 1))) >= 1 << (VALUE_BITS - 1):
            raise ModelError(f"class values over {self.decisions} time steps overflow {VALUE_BITS} bits; use fewer time steps")

    def _check_window(self, n: int, layer: Layer, window: Window) -> None:
        if fault := window.fault():
            raise ModelError(f"layer {n}: {fault}")
        if layer.weights.shape[0] != window.fan_in:
            raise ModelError(f"layer {n}: {layer.weights.shape[0]} rows of weights where the kernel has {window.fan_in} places")
        if n + 1 == len(self.layers):
            raise ModelError(f"layer {n} is a convolution; the last layer must be fully connected, a neuron for each class")
        before = self.layers[n - 1] if n else None
        if before and not before.window:
            raise ModelError(f"layer {n} is a convolution behind a fully connected layer; put the convolutions first")
        if before and before.window and (window.channels, window.height, window.width) != (before.columns, *before.window.pooled):
            raise ModelError(
                f"layer {n} takes maps of {window.channels}×{window.height}×{window.width} but layer {n - 1} makes "
                f"{before.columns}×{'×'.join(map(str, before.window.pooled))}"
            )

    @property
    def sizes(self) -> list[int]:
        """Inputs, then the outputs of every layer: [784, 256, 256, 10]."""
        return [self.layers[0].inputs, *(layer.outputs for layer in self.layers)]

    @property
    def convolutions(self) -> int:
        """How many layers are convolutions; they are the first."""
        return sum(layer.window is not None for layer in self.layers)

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
            layers.append(Layer(x.weights, x.thresholds - biases, window=x.window) if x.continuous else x)
        return replace(self, layers=tuple(layers))

    @property
    def membrane_bits(self) -> int:
        """Bits of a two's complement membrane that no input can overflow."""
        ends = [end for n in range(len(self.layers)) for end in self.membrane_range(n)]
        return 1 + max((~end if end < 0 else end).bit_length() for end in ends)


def _check_continuous(n: int, layer: Layer) -> None:
    if not 2 <= layer.state_bits <= 23:
        raise ModelError(f"layer {n}: a state of {layer.state_bits} bits; use 2 to 23")
    if layer.biases is not None and (layer.biases.shape != (layer.columns,) or layer.biases.dtype != np.int32):
        raise ModelError(f"layer {n}: biases must be int32, one for each of the {layer.columns} neurons")
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
