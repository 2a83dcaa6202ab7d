"""Recipes of random networks: small numbers that hypothesis can shrink and JSON can keep, and the ONNX file that they make."""

import itertools
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from spikeline.device.packets import Batch, Events, Pixels, Spikes
from spikeline.model.geometry import ConvolutionGeometry, Geometry
from spikeline.model.network import KERNELS, LARGEST_SIDE, Layer, Network, Window
from spikeline.model.spec import Decode, Encoder, Reset
from support.onnx_builders import SPIKE_FORMS, WEIGHT_FORMS, Builder
from support.onnx_steps import Step

HERE = Path(__file__).parent


GEOMETRIES = ("tiny", str(HERE / "four.json"), str(HERE / "two.json"), "tiny-conv")
WEIGHTS = ("random", "extreme", "largest", "smallest", "zero", "sparse")
THRESHOLDS = ("low", "middle", "always", "never", "edge")
SENT = ("spikes", "events", "threshold", "bernoulli", "latency", "direct")
INPUTS = ("random", "zeros", "ones", "sparse", "alternating", "one map")
LARGEST_MAPS = 96
CONVOLUTION_FORMS = {"qcdq": "qcdq", "qcdq_float": "qcdq", "plain": "plain"}  # of a weight_form; of the others "quant"


@dataclass(frozen=True)
class Recipe:
    """A network, its input and the stalls of the streams."""

    geometry: int  # of GEOMETRIES
    sizes: tuple[int, ...]  # of the inputs and of every layer, at least two: spikes that leave it in a step
    bits: int  # of a weight: 1, 2, 3, 4 or 8
    time_steps: int
    continuous: bool
    leak: int
    reset: str
    spike_count: bool  # read by the spikes of the last layer; discontinuous only
    weights: tuple[str, ...]  # per layer
    thresholds: tuple[str, ...]  # per layer
    biased: bool
    weight_form: str
    spike_form: str
    sent: str  # of SENT: spike vectors, events, or pixels by an encoder
    inputs: tuple[str, ...]  # per image
    stalls: tuple[int, int]  # of sender and receiver, in tenths
    seed: int
    shape: tuple[int, int, int] = (1, 1, 1)  # channels, height and width of the inputs, if there are convolutions
    convolutions: tuple[tuple[int, int, int, bool, bool], ...] = ()  # maps, kernel, stride, padded, pooled
    exit_margin: int = -1  # below 0: none

    @staticmethod
    def of(values: dict) -> "Recipe":
        """The recipe that `as_dict` wrote."""
        values["convolutions"] = [tuple(x) for x in values.get("convolutions", ())]
        return Recipe(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @property
    def windows(self) -> tuple[Window | None, ...]:
        """Of each layer; None of those that are fully connected."""
        made, shape = [], self.shape
        for maps, *how in self.convolutions:
            made.append(window(shape, *how))
            shape = maps, *made[-1].pooled
        return (*made, *[None] * (len(self.sizes) - 1 - len(made)))


@st.composite
def recipes(draw, convolved: bool | None = None) -> Recipe:
    """Every kind of network that fits one of the geometries; convolved: with convolutions, or without."""
    convolved = draw(st.booleans()) if convolved is None else convolved
    able = [n for n, x in enumerate(GEOMETRIES) if not convolved or Geometry.load(x).convolutions]
    which = draw(st.sampled_from(able))
    room = Geometry.load(GEOMETRIES[which])
    shape, convolutions, sizes = (1, 1, 1), [], []
    if convolved:
        units = room.convolutions[: draw(st.integers(1, len(room.convolutions)))]
        shape, convolutions, sizes = _convolutions(draw, units, room)
    connected = draw(st.integers(1, len(room.layers)))
    sizes = sizes or [draw(st.integers(1, min(room.input_room, room.layers[0].inputs)))]
    sizes += [draw(st.integers(1, room.layers[n].neurons)) for n in range(connected - 1)]
    sizes += [draw(st.integers(1, min(room.classes, room.layers[connected - 1].neurons)))]
    count = len(sizes) - 1
    continuous = room.continuous and draw(st.booleans())
    each = st.lists(st.sampled_from(WEIGHTS), min_size=count, max_size=count)
    ends = st.lists(st.sampled_from(THRESHOLDS), min_size=count, max_size=count)
    sent = draw(st.sampled_from([x for x in SENT if x != "direct" or (room.direct and not continuous)]))
    least = 2 if sent == "direct" else 1  # weights of one bit cannot be 0, where membranes have no room for so many inputs
    bits = draw(st.sampled_from([x for x in (1, 2, 3, 4, 8) if least <= x <= room.weight_bits]))
    forms = [x for x in WEIGHT_FORMS if bits > 1 or not (x.startswith("qcdq") or x == "plain")]
    return Recipe(
        geometry=which,
        sizes=tuple(sizes),
        bits=bits,
        time_steps=draw(st.integers(1, 8 if sent == "direct" else 16)),
        continuous=continuous,
        leak=draw(st.integers(0, room.max_leak)) if continuous else 0,
        reset=draw(st.sampled_from(["subtract", "zero"])),
        spike_count=not continuous and draw(st.booleans()),
        weights=tuple(draw(each)),
        thresholds=tuple(draw(ends)),
        biased=draw(st.booleans()),
        weight_form="quant" if continuous else draw(st.sampled_from(forms)),
        spike_form=draw(st.sampled_from(["FLOOR", "CEIL", "HALF_UP", *SPIKE_FORMS])),
        sent=sent,
        inputs=tuple(draw(st.lists(st.sampled_from(INPUTS), min_size=1, max_size=6))),
        stalls=(draw(st.integers(0, 9)), draw(st.integers(0, 9))),
        seed=draw(st.integers(0, 2**32 - 1)),
        shape=shape,
        convolutions=tuple(convolutions),
        exit_margin=draw(st.integers(-40, 40)) if sizes[-1] > 1 else -1,
    )


def window(shape: tuple[int, int, int], kernel: int, stride: int, padded: bool, pooled: bool) -> Window:
    """A convolution of maps of this shape, (channels, height, width)."""
    return Window(*shape, kernel, stride, kernel // 2 if padded else 0, pooled)


HOW = [x for x in itertools.product(KERNELS, (1, 2), (False, True), (False, True)) if not (x[0] == 1 and x[2])]


def _convolutions(draw, units: tuple[ConvolutionGeometry, ...], room: Geometry) -> tuple[tuple[int, int, int], list, list[int]]:
    """The shape of the inputs, a convolution for each of the units, and the sizes up to the first fully connected layer."""
    channels = draw(st.integers(1, 8))
    height = draw(st.integers(1, min(LARGEST_SIDE, room.inputs // channels)))
    width = draw(st.integers(1, min(LARGEST_SIDE, room.inputs // (channels * height))))
    first = shape = channels, height, width
    made, sizes = [], [math.prod(first)]
    for unit in units:
        most = {
            how: _most_maps(unit, window(shape, *how), room.layers[0].inputs if unit is units[-1] else 1 << 15) for how in HOW
        }
        fitting = [how for how in HOW if most[how]]
        assume(fitting)
        how = draw(st.sampled_from(fitting))
        maps = draw(st.integers(1, most[how]))
        made.append((maps, *how))
        shape = maps, *window(shape, *how).pooled
        sizes.append(math.prod(shape))
    return first, made, sizes


def _most_maps(unit: ConvolutionGeometry, window: Window, outputs: int) -> int:
    """How many maps the unit has room for if no more spikes may leave it than `outputs`; 0 if not for one."""
    if window.fault():
        return 0
    for maps in range(min(LARGEST_MAPS, outputs // math.prod(window.pooled)), 0, -1):
        layer = Layer(np.zeros((window.fan_in, maps), np.int8), np.zeros(maps, np.int32), window=window)
        if unit.misfit(layer) is None:
            return maps
    return 0


def batch(recipe: Recipe) -> Batch:
    """The images that are sent."""
    rng = np.random.default_rng([recipe.seed, 1])
    shape = (recipe.time_steps, recipe.sizes[0]) if recipe.sent in ("spikes", "events") else (recipe.sizes[0],)
    images = np.zeros((len(recipe.inputs), *shape), np.uint8)
    for one, kind in zip(images, recipe.inputs, strict=True):
        if kind == "ones":
            one[:] = 1
        elif kind == "alternating":
            one[..., ::2] = 1
        elif kind == "one map":
            one.reshape(-1, recipe.shape[0], one.shape[-1] // recipe.shape[0])[:, rng.integers(recipe.shape[0])] = 1
        elif kind != "zeros":
            one[:] = rng.random(shape) < {"random": 0.4, "sparse": 0.05}[kind]
    if recipe.sent == "spikes":
        return Spikes(images)
    if recipe.sent == "events":
        return Events(images)
    levels = rng.integers(0, 256, images.shape) if recipe.seed % 2 else 255
    return Pixels((images * levels).astype(np.uint8), recipe.seed, recipe.seed % 1000)


def build(recipe: Recipe) -> tuple[Builder, Network]:
    """The ONNX file's builder, and the network that it means."""
    room = Geometry.load(GEOMETRIES[recipe.geometry])
    rng = np.random.default_rng([recipe.seed, 0])
    state_bits = room.membrane_bits - 1
    windows = recipe.windows
    count = len(windows)
    encoder = "bernoulli" if recipe.sent in ("spikes", "events") else recipe.sent
    metadata = {"time_steps": str(recipe.time_steps), "encoder": encoder}
    inputs = recipe.shape if recipe.convolutions else recipe.sizes[0]
    if recipe.continuous:
        if count > 1:
            metadata |= {"leak": str(recipe.leak), "reset": recipe.reset}
        builder: Builder = Step(inputs, state_bits, **metadata)
    else:
        builder = Builder(inputs, output="spike_count" if recipe.spike_count else "membrane", **metadata)
    layers = []
    for n, window in enumerate(windows):
        last = n == count - 1
        weights = _weights(recipe, n, rng)
        if recipe.continuous:
            layer = _continuous(builder, recipe, n, weights, state_bits, last, rng)
        else:
            reads_membrane = last and not recipe.spike_count
            layer = _discontinuous(builder, recipe, n, weights, room.membrane_bits, reads_membrane, rng)
        layers.append(replace(layer, window=window))
        if window and window.pool:
            builder.pool()
        if n + 1 == len(recipe.convolutions):
            builder.then("Flatten")
    decode = Decode.SPIKE_COUNT if recipe.spike_count else Decode.MEMBRANE
    network = Network(tuple(layers), room.weight_bits, recipe.time_steps, Encoder[encoder.upper()], decode)
    return builder, network


def _weights(recipe: Recipe, n: int, rng: np.random.Generator) -> np.ndarray:
    """Integers (fan-in, columns) of the recipe's bits, in the narrow range, so that they may be negated."""
    window = recipe.windows[n]
    shape = (window.fan_in, recipe.convolutions[n][0]) if window else (recipe.sizes[n], recipe.sizes[n + 1])
    high = max(1, 2 ** (recipe.bits - 1) - 1)
    kind = recipe.weights[n]
    if recipe.bits == 1 and kind in ("random", "zero", "sparse"):
        kind = "extreme"
    if kind in ("largest", "smallest"):
        return np.full(shape, high if kind == "largest" else -high)
    if kind == "zero":
        return np.zeros(shape, int)
    weights = rng.choice([-high, high], shape) if kind == "extreme" else rng.integers(-high, high + 1, shape)
    return weights * (rng.random(shape) < 0.2) if kind == "sparse" else weights


def _largest(recipe: Recipe, n: int) -> int:
    """What an input of layer n can be: 1, a spike, or the bits of direct input."""
    return (1 << recipe.time_steps) - 1 if recipe.sent == "direct" and n == 0 else 1


def _thresholds(recipe: Recipe, n: int, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """θ (neurons,): from one that every sum reaches to one that none does."""
    low, high = (end(weights, 0).sum(0) * _largest(recipe, n) for end in (np.minimum, np.maximum))
    kind = recipe.thresholds[n]
    if kind == "always":
        return low
    if kind in ("never", "edge"):
        return high + (kind == "never")
    return rng.integers(low // 4, high // (8 if kind == "low" else 2) + 1)


def _discontinuous(
    builder: Builder,
    recipe: Recipe,
    n: int,
    weights: np.ndarray,
    membrane_bits: int,
    by_membrane: bool,
    rng: np.random.Generator,
) -> Layer:
    reach = 1 << (membrane_bits - 1)
    weights = _fitted(weights, lambda w: 2 * np.abs(w).sum(0).max() * _largest(recipe, n) + 2 < reach)
    unit = 2.0 ** (recipe.time_steps - 8) if recipe.sent == "direct" and n == 0 else 1.0  # of the graph's input
    thresholds = _thresholds(recipe, n, weights, rng)
    if by_membrane:
        thresholds = -rng.integers(-20, 21, len(thresholds)) if recipe.biased else np.zeros_like(thresholds)
        builder.dense(weights, 0.5 * unit, recipe.bits, recipe.weight_form, -0.5 * thresholds if recipe.biased else None)
        return Layer(weights.astype(np.int8), thresholds.astype(np.int32))
    scale = 2.0 ** rng.integers(-4, 3, weights.shape[1])
    level = {"FLOOR": 1.0, "CEIL": 0.0, "HALF_UP": 0.5, "at or above": 1.0, "above": 2.5, "swapped": -1.0, "qcdq": 0.5}
    # x = scale · (u − θ + ½) + level is beyond the level just where u ≥ θ
    bias = scale * (0.5 - thresholds) + level.get(recipe.spike_form, 0.0)
    if window := recipe.windows[n]:
        form = CONVOLUTION_FORMS.get(recipe.weight_form, "quant") if recipe.bits > 1 else "quant"
        builder.conv(_kernels(window, weights), scale * unit, recipe.bits, form, bias, **_attributes(window))
    else:
        builder.dense(weights, scale * unit, recipe.bits, recipe.weight_form, bias)
    form = SPIKE_FORMS.get(recipe.spike_form, lambda b: b.spike(rounding_mode=recipe.spike_form))
    form(builder)
    return Layer(weights.astype(np.int8), thresholds.astype(np.int32))


def _continuous(
    builder: Builder, recipe: Recipe, n: int, weights: np.ndarray, state_bits: int, last: bool, rng: np.random.Generator
) -> Layer:
    assert isinstance(builder, Step)
    half = 1 << (state_bits - 1)
    weights = _fitted(weights, lambda w: np.abs(w).sum(0).max() + 90 < half)
    neurons = weights.shape[1]
    biases = rng.integers(-20, 21, neurons) if recipe.biased else None
    if last:
        builder.output(weights, 0.5, biases)
        return Layer(weights.astype(np.int8), (np.zeros(neurons) if biases is None else -biases).astype(np.int32))
    threshold = {"always": 1, "low": 2, "middle": 16, "edge": 32, "never": 64}[recipe.thresholds[n]]
    if window := recipe.windows[n]:
        attributes = {"positions": window.positions, **_attributes(window)}
        builder.hidden(_kernels(window, weights), 1.0 / threshold, biases, recipe.leak, recipe.reset, **attributes)
    else:
        builder.hidden(weights, 1.0 / threshold, biases, recipe.leak, recipe.reset)  # its spikes are 1
    more = {"state_bits": state_bits, "leak": recipe.leak, "reset": Reset[recipe.reset.upper()]}
    kept = biases.astype(np.int32) if biases is not None and biases.any() else None
    return Layer(weights.astype(np.int8), np.full(neurons, threshold, np.int32), biases=kept, **more)


def _kernels(window: Window, weights: np.ndarray) -> np.ndarray:
    """Weights of a Conv, (maps, channels, K, K)."""
    return weights.T.reshape(-1, window.channels, window.kernel, window.kernel)


def _attributes(window: Window) -> dict[str, list[int]]:
    return {"strides": [window.stride] * 2, "pads": [window.padding] * 4}


def _fitted(weights: np.ndarray, fits) -> np.ndarray:
    """The weights, with as many inputs silenced from the end as membranes need."""
    weights = weights.copy()
    for row in range(len(weights) - 1, -1, -1):
        if fits(weights):
            break
        weights[row] = 0
    return weights
