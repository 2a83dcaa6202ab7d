"""What each framework means by a NIR neuron: the units of its parameters, and its rule of time.

NIR writes differential equations. It leaves open how long a time step is, how a neuron resets, and in which order it decays,
fires and resets. Every rule here is one form of

    v[t] = keep · v[t−1] + gain · (W s + b);  fires iff v ≥ θ, or v > θ;  then v −= θ or v = 0

read off the frameworks' sources: snnTorch 1.0 (`Leaky`, `export_nir`), SpikingJelly 2.0 (`IFNode`, `LIFNode`, `nir_exchange`),
Norse 1.1 (`LIFBoxCell`, `IAFCell`, `export_nir`), sinabs 3.1 (`IAF`, `nir`). docs/nir.md explains them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeline.errors import CompileError
from spikeline.model.spec import Reset
from spikeline_training.nir.read import Dense, refusal

FROM = "name the framework that wrote it with --from, or its time step with --dt"


@dataclass(frozen=True)
class Neuron:
    """The neurons of one layer; gain and threshold float64 (neurons,), of a convolution (maps,)."""

    keep: float  # share of the membrane that is left by the next step: 1 for IF, 0 for neurons without a memory
    gain: np.ndarray
    threshold: np.ndarray
    reset: Reset
    strict: bool  # fires above the threshold, not at it
    late: bool = False  # a reset takes θ after the decay of the next step, so θ / keep before it
    several: bool = False  # fires ⌊v / θ⌋ times in a step


@dataclass(frozen=True)
class Rule:
    """A framework's: `decay` gives keep and gain, float64 arrays, of an IF or LIF node and a time step in seconds."""

    title: str
    decay: Callable[[str, Any, float], tuple[np.ndarray, np.ndarray]]
    strict: bool
    dt: float = 1e-4  # of its exporter
    late: bool = False
    several: bool = False
    only_zero: tuple[str, ...] = ()  # nodes that it resets to a value only


def _euler(name: str, node: Any, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """τ v' = (v_leak − v) + r I and v' = r I in steps of dt; the exporters of snnTorch and SpikingJelly write τ and r for it."""
    r = np.asarray(node.r, np.float64)
    if type(node).__name__ == "IF":
        return np.ones_like(r), r * dt
    tau = np.asarray(node.tau, np.float64)
    share = dt / tau
    gain = np.where(np.isinf(tau) & np.isinf(r), 1.0, np.where(np.isinf(r), 0.0, r) * share)  # snnTorch's beta = 1
    return 1 - share, gain


def _norse(name: str, node: Any, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """v += dt / τ (I − v), of which the exporter writes dt · τ in place of τ; an IAF adds its input whatever dt is."""
    r = np.asarray(node.r, np.float64)
    if type(node).__name__ == "IF":
        return np.ones_like(r), r
    share = dt * dt / np.asarray(node.tau, np.float64)
    return 1 - share, r * share


def _sinabs(name: str, node: Any, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """An IAF adds its input. A LIF may have norm_input, which the exporter leaves out."""
    if type(node).__name__ != "IF":
        reason = "sinabs does not write whether it has norm_input, so the scale of its input is not known"
        raise refusal(name, node, reason, "train with IAF")
    r = np.asarray(node.r, np.float64)
    return np.ones_like(r), r


RULES = {
    "nir": Rule("NIR's own equations", _euler, strict=True),
    "snntorch": Rule("snnTorch", _euler, strict=True, late=True),
    "spikingjelly": Rule("SpikingJelly", _euler, strict=False),
    "norse": Rule("Norse", _norse, strict=True, dt=1e-3, only_zero=("IF",)),
    "sinabs": Rule("sinabs", _sinabs, strict=False, several=True),
}


def neuron(layer: Dense, rule: Rule, reset: Reset, dt: float | None = None) -> Neuron | None:
    """The neurons of a layer under a framework's rule, None if it has none. Raises CompileError for what no rule can say."""
    node, name = layer.neuron, layer.neuron_name
    if node is None:
        return None
    kind = type(node).__name__
    if kind == "Threshold":
        threshold = _each(layer, node.threshold)
        return Neuron(0.0, np.ones(layer.columns), _positive(layer, threshold), Reset.ZERO, strict=True)
    for key in ("v_leak", "v_reset"):
        if np.any(np.asarray(getattr(node, key, 0.0)) != 0):
            raise refusal(
                name, node, f"{key} is not 0", "subtract it from the threshold and train with 0, which gives the same spikes"
            )
    if reset == Reset.SUBTRACT and kind in rule.only_zero:
        raise refusal(name, node, f"{rule.title} resets it to a value only", "give --reset zero")
    with np.errstate(divide="ignore", invalid="ignore"):
        keep, gain = (_each(layer, _clean(x)) for x in rule.decay(name, node, dt or rule.dt))
    if not (np.isfinite(keep) & (keep >= 0) & (keep <= 1)).all():
        reason = f"in steps of {dt or rule.dt:g} s it would keep {keep.min():.6g} of its membrane, which must be 0 to 1"
        raise refusal(name, node, reason, FROM)
    if not (np.isfinite(gain) & (gain > 0)).all():
        raise refusal(name, node, f"its input counts {gain.min():.4g} times, which must be more than 0", FROM)
    if np.ptp(keep) > 0:
        reason = f"its neurons keep between {keep.min():.6g} and {keep.max():.6g} of their membranes"
        raise refusal(name, node, reason, "train with one time constant for each layer")
    late = rule.late and reset == Reset.SUBTRACT and keep[0] < 1
    if late and keep[0] == 0:
        raise refusal(name, node, "nothing is left of its membrane but the late reset", "train with reset_mechanism='zero'")
    threshold = _positive(layer, _each(layer, node.v_threshold))
    return Neuron(float(keep[0]), gain, threshold, reset, rule.strict, late, rule.several)


def _clean(values: np.ndarray) -> np.ndarray:
    """Take back what writing 1 − β as a time constant in float32 has rounded: to 2^-15 where that is within its precision."""
    near = np.rint(values * 2**15) / 2**15
    return np.where(np.abs(near - values) <= 2.0**-20 * np.abs(values), near, values)


def _each(layer: Dense, values: Any) -> np.ndarray:
    """A parameter for each neuron or map, float64 (columns,). Raises CompileError for another number of them."""
    flat = np.asarray(values, np.float64).reshape(-1)
    if flat.size == layer.outputs:
        maps = flat.reshape(layer.columns, layer.positions)
        if not np.array_equal(maps, np.broadcast_to(maps[:, :1], maps.shape), equal_nan=True):
            reason = "its neurons differ from position to position of a map"
            raise refusal(layer.neuron_name, layer.neuron, reason, "train with one threshold and time constant for each map")
        flat = maps[:, 0]
    if flat.size not in (1, layer.columns):
        reason = f"{flat.size} neurons behind weights for {layer.outputs}"
        raise refusal(layer.neuron_name, layer.neuron, reason, "export the network again")
    return np.broadcast_to(flat, (layer.columns,))


def _positive(layer: Dense, threshold: np.ndarray) -> np.ndarray:
    if not (np.isfinite(threshold) & (threshold > 0)).all():
        reason = f"a threshold of {threshold.min():g}"
        raise refusal(layer.neuron_name, layer.neuron, reason, "train with thresholds above 0")
    return threshold


def rules(framework: str | None) -> Rule:
    """The rule of a framework, by its name; None for NIR's own equations. Raises CompileError."""
    if (framework or "nir") not in RULES:
        raise CompileError(f"the framework {framework!r} is not known; known are {', '.join(RULES)}")
    return RULES[framework or "nir"]
