"""Recipes of random networks: small numbers that hypothesis can shrink and JSON can keep, and the ONNX file that they make."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from spikeline.device.packets import Batch, Events, Pixels, Spikes
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from support.onnx_builders import SPIKE_FORMS, WEIGHT_FORMS, Builder
from support.onnx_steps import Step

HERE = Path(__file__).parent


GEOMETRIES = ("tiny", str(HERE / "four.json"), str(HERE / "two.json"))
WEIGHTS = ("random", "extreme", "largest", "smallest", "zero", "sparse")
THRESHOLDS = ("low", "middle", "always", "never", "edge")
SENT = ("spikes", "events", "threshold", "bernoulli", "latency")
DIRECT = "direct"  # the way of networks that are no others with another input
INPUTS = ("random", "zeros", "ones", "sparse", "alternating")


@dataclass(frozen=True)
class Recipe:
    """A network, its input and the stalls of the streams."""

    geometry: int  # of GEOMETRIES
    sizes: tuple[int, ...]  # of the inputs and of every layer, at least two
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
    sent: str  # of SENT: spike vectors, events, or pixels by an encoder; or DIRECT
    inputs: tuple[str, ...]  # per image
    stalls: tuple[int, int]  # of sender and receiver, in tenths
    seed: int

    @staticmethod
    def of(values: dict) -> "Recipe":
        """The recipe that `as_dict` wrote."""
        return Recipe(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def as_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


@st.composite
def recipes(draw, direct: bool = False) -> Recipe:
    """Every kind of network that fits one of the geometries; or those with direct input, which all of these take."""
    which = draw(st.integers(0, len(GEOMETRIES) - 1))
    room = Geometry.load(GEOMETRIES[which])
    count = draw(st.integers(1, len(room.layers)))
    sizes = [draw(st.integers(1, room.layers[0].inputs))]
    sizes += [draw(st.integers(1, room.layers[n].neurons)) for n in range(count - 1)]
    sizes += [draw(st.integers(1, min(room.classes, room.layers[count - 1].neurons)))]
    continuous = room.continuous and not direct and draw(st.booleans())
    each = st.lists(st.sampled_from(WEIGHTS), min_size=count, max_size=count)
    ends = st.lists(st.sampled_from(THRESHOLDS), min_size=count, max_size=count)
    least = 2 if direct else 1  # weights of one bit cannot be 0, where membranes have no room for so many inputs
    bits = draw(st.sampled_from([x for x in (1, 2, 3, 4, 8) if least <= x <= room.weight_bits]))
    forms = [x for x in WEIGHT_FORMS if bits > 1 or not (x.startswith("qcdq") or x == "plain")]
    return Recipe(
        geometry=which,
        sizes=tuple(sizes),
        bits=bits,
        time_steps=draw(st.integers(1, 8 if direct else 16)),
        continuous=continuous,
        leak=draw(st.integers(0, room.max_leak)) if continuous else 0,
        reset=draw(st.sampled_from(["subtract", "zero"])),
        spike_count=not continuous and draw(st.booleans()),
        weights=tuple(draw(each)),
        thresholds=tuple(draw(ends)),
        biased=draw(st.booleans()),
        weight_form="quant" if continuous else draw(st.sampled_from(forms)),
        spike_form=draw(st.sampled_from(["FLOOR", "CEIL", "HALF_UP", *SPIKE_FORMS])),
        sent=DIRECT if direct else draw(st.sampled_from(SENT)),
        inputs=tuple(draw(st.lists(st.sampled_from(INPUTS), min_size=1, max_size=6))),
        stalls=(draw(st.integers(0, 9)), draw(st.integers(0, 9))),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


def batch(recipe: Recipe) -> Batch:
    """The images that are sent."""
    rng = np.random.default_rng([recipe.seed, 1])
    shape = (recipe.time_steps, recipe.sizes[0]) if recipe.sent in ("spikes", "events") else (recipe.sizes[0],)
    images = np.zeros((len(recipe.inputs), *shape), np.uint8)
    for one, kind in zip(images, recipe.inputs, strict=True):
        if kind == "ones":
            one[:] = 1
        elif kind == "alternating":
            one[::2] = 1
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
    count = len(recipe.sizes) - 1
    encoder = "bernoulli" if recipe.sent in ("spikes", "events") else recipe.sent
    metadata = {"time_steps": str(recipe.time_steps), "encoder": encoder}
    if recipe.continuous:
        if count > 1:
            metadata |= {"leak": str(recipe.leak), "reset": recipe.reset}
        builder: Builder = Step(recipe.sizes[0], state_bits, **metadata)
    else:
        builder = Builder(recipe.sizes[0], output="spike_count" if recipe.spike_count else "membrane", **metadata)
    layers = []
    for n in range(count):
        last = n == count - 1
        weights = _weights(recipe, n, rng)
        if recipe.continuous:
            layers.append(_continuous(builder, recipe, n, weights, state_bits, last, rng))
        else:
            reads_membrane = last and not recipe.spike_count
            layers.append(_discontinuous(builder, recipe, n, weights, room.membrane_bits, reads_membrane, rng))
    decode = Decode.SPIKE_COUNT if recipe.spike_count else Decode.MEMBRANE
    return builder, Network(tuple(layers), room.weight_bits, recipe.time_steps, Encoder[encoder.upper()], decode)


def _weights(recipe: Recipe, n: int, rng: np.random.Generator) -> np.ndarray:
    """Integers (inputs, neurons) of the recipe's bits, in the narrow range, so that they may be negated."""
    shape = recipe.sizes[n], recipe.sizes[n + 1]
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
    return (1 << recipe.time_steps) - 1 if recipe.sent == DIRECT and n == 0 else 1


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
    unit = 2.0 ** (recipe.time_steps - 8) if recipe.sent == DIRECT and n == 0 else 1.0  # of the graph's input
    thresholds = _thresholds(recipe, n, weights, rng)
    if by_membrane:
        thresholds = -rng.integers(-20, 21, len(thresholds)) if recipe.biased else np.zeros_like(thresholds)
        builder.dense(weights, 0.5 * unit, recipe.bits, recipe.weight_form, -0.5 * thresholds if recipe.biased else None)
        return Layer(weights.astype(np.int8), thresholds.astype(np.int32))
    scale = 2.0 ** rng.integers(-4, 3, weights.shape[1])
    level = {"FLOOR": 1.0, "CEIL": 0.0, "HALF_UP": 0.5, "at or above": 1.0, "above": 2.5, "swapped": -1.0, "qcdq": 0.5}
    # x = scale · (u − θ + ½) + level is beyond the level just where u ≥ θ
    bias = scale * (0.5 - thresholds) + level.get(recipe.spike_form, 0.0)
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
    builder.hidden(weights, 1.0 / threshold, biases, recipe.leak, recipe.reset)  # its spikes are 1
    more = {"state_bits": state_bits, "leak": recipe.leak, "reset": Reset[recipe.reset.upper()]}
    kept = biases.astype(np.int32) if biases is not None and biases.any() else None
    return Layer(weights.astype(np.int8), np.full(neurons, threshold, np.int32), biases=kept, **more)


def _fitted(weights: np.ndarray, fits) -> np.ndarray:
    """The weights, with as many inputs silenced from the end as membranes need."""
    weights = weights.copy()
    for row in range(len(weights) - 1, -1, -1):
        if fits(weights):
            break
        weights[row] = 0
    return weights
