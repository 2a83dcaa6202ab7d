"""A NIR file as a chain of layers: weights, and the node of the neurons behind them if there are any."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from spikeline.errors import CompileError, DataError
from spikeline.files import ordinary
from spikeline.model.network import Window

NEURONS = ("IF", "LIF", "Threshold")
PASSED = ("Input", "Output", "Flatten")  # they change no value
PARAMETERS = ("weight", "bias", "r", "tau", "threshold", "v_threshold", "v_leak", "v_reset")
WEIGHTS = ("Linear", "Affine", "Conv2d")
STRIDE = "halve the maps by a Conv2d with a stride of 2 instead"
REFUSED = {
    "CubaLIF": ("its synaptic current is a second state, and a neuron here has one", "train with LIF neurons (snnTorch: Leaky)"),
    "CubaLI": ("its synaptic current is a second state, and a neuron here has one", "leave out the neurons of the last layer"),
    "LI": ("a leaky membrane that never fires", "end with Linear, whose sums are added up over the time steps, or with LIF"),
    "I": ("a membrane that never fires", "leave it out: the sums of a last Linear are added up over the time steps"),
    "Scale": ("there are no factors beside the weights", "multiply them into the weights of the Linear node next to it"),
    "Delay": ("spikes reach the next layer in the same time step", "train without delays"),
    "NIRGraph": ("a graph within the graph, as of recurrent neurons", "train a feed-forward network"),
    "Conv1d": ("it has one axis, and maps here have two", "train with Conv2d, or with Linear"),
    "SumPool2d": ("a sum of four spikes is 0 to 4, and a layer here takes spikes, 0 or 1", STRIDE),
    "AvgPool2d": ("a mean of four spikes is a share, and a layer here takes spikes, 0 or 1", STRIDE),
}


@dataclass(frozen=True)
class Dense:
    """Fully connected: weights float64 (neurons, inputs), bias float64 (neurons,), and what fires behind it.

    With a window it is a convolution: weights (maps, channels · K²), bias (maps,).
    """

    name: str  # of the node of the weights
    weights: np.ndarray
    bias: np.ndarray
    neuron: Any = None  # an IF, LIF or Threshold node; None of a last layer that is read by its membrane
    neuron_name: str = ""
    window: Window | None = None

    @property
    def columns(self) -> int:
        """Neurons, or maps of them."""
        return len(self.weights)

    @property
    def positions(self) -> int:
        """Neurons of a map, 1 of a fully connected layer."""
        return math.prod(self.window.positions) if self.window else 1

    @property
    def inputs(self) -> int:
        return self.window.inputs if self.window else self.weights.shape[1]

    @property
    def outputs(self) -> int:
        return self.columns * self.positions


def refusal(name: str, node: Any, reason: str, fix: str) -> CompileError:
    """The error for a node that cannot be mapped."""
    return CompileError(f"node {name!r} ({type(node).__name__}): {reason}; {fix}")


def read(path: Path) -> list[Dense]:
    """Read the layers of a NIR file, in order; all but the last have neurons.

    Raises DataError for a file that is no NIR graph, CompileError, with the node, the reason and the fix, for what is no chain
    of Linear, Affine or Conv2d nodes and neurons.
    """
    try:
        ordinary(path)
        # Types are checked here: exporters write a batch of 1 into the shapes of some nodes.
        graph = nir.read(path, type_check=False)
        nodes, edges = dict(graph.nodes), list(graph.edges)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; write it with nir.write") from None
    except Exception as error:  # HDF5 of any other kind
        raise DataError(f"{path} is no NIR graph ({type(error).__name__}: {error}); write it with nir.write") from None
    return layers(nodes, edges)


def layers(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[Dense]:
    """The layers of a graph; errors as of `read`."""
    found: list[Dense] = []
    given: Any = None  # shape of a sample, as the Input says
    flat = False
    for name in _chain(nodes, edges):
        node = nodes[name]
        kind = type(node).__name__
        if kind == "Input":
            given = (node.input_type or {}).get("input")
        elif kind == "Flatten":
            flat = True
        elif kind in WEIGHTS:
            if found and found[-1].neuron is None:
                raise refusal(name, node, f"no neurons between {found[-1].name!r} and it", "multiply the two weight matrices")
            if kind == "Conv2d":
                if flat or (found and not found[-1].window):
                    raise refusal(name, node, "what it takes is flat", "put all convolutions before Flatten and Linear")
                found.append(_convolution(name, node, found[-1] if found else None, given))
            else:
                found.append(_dense(name, node))
            if len(found) > 1 and found[-1].inputs != found[-2].outputs:
                reason = f"{found[-1].inputs} inputs behind {found[-2].outputs} neurons"
                raise refusal(name, node, reason, AGAIN)
        elif kind in NEURONS:
            if not found or found[-1].neuron is not None:
                raise refusal(name, node, "no weights before it", "put a Linear node there, and encode images with --encoder")
            found[-1] = replace(found[-1], neuron=node, neuron_name=name)
    if not found:
        raise CompileError("the graph has no Linear, Affine or Conv2d node; export a network with weights")
    if found[-1].window:
        last = found[-1].name
        raise refusal(last, nodes[last], "the last layer is a convolution", "end with Linear, a neuron for each class")
    return found


def _chain(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[str]:
    """The names of all nodes from Input to Output. Raises CompileError for nodes not known and for what is no chain."""
    for name, node in nodes.items():
        kind = type(node).__name__
        if kind not in (*NEURONS, *PASSED, *WEIGHTS):
            known = "build the network of Linear, Affine, Conv2d, IF, LIF and Threshold"
            reason, fix = REFUSED.get(kind, ("not known here", known))
            raise refusal(name, node, reason, fix)
        for key in PARAMETERS:
            if (dtype := np.asarray(getattr(node, key, 0.0)).dtype).kind not in "buif":
                raise refusal(name, node, f"{key} is {dtype}, and must be real numbers", AGAIN)
    starts = [name for name, node in nodes.items() if type(node).__name__ == "Input"]
    if len(starts) != 1:
        raise CompileError(f"the graph has {len(starts)} inputs; export a network with one")
    name, chain = starts[0], list[str]()
    while True:
        if name not in nodes or name in chain:
            raise CompileError(
                f"an edge leads to {name!r}, a node that is {'before it' if name in chain else 'not there'}; {FEED}"
            )
        chain.append(name)
        following = sorted({b for a, b in edges if a == name})
        if not following:
            break
        if len(following) > 1:
            raise refusal(name, nodes[name], f"it branches, to {' and '.join(map(repr, following))}", FEED)
        name = following[0]
    if left := sorted(set(nodes) - set(chain)):
        raise refusal(left[0], nodes[left[0]], f"no edge leads from {chain[-1]!r} to it", FEED)
    return chain


FEED = "train a feed-forward chain of layers"
AGAIN = "export the network again"


def _convolution(name: str, node: Any, before: Dense | None, given: Any) -> Dense:
    """A Conv2d behind another, or one that takes samples of the shape `given`, if the file says it."""
    weights = np.asarray(node.weight)
    if weights.ndim != 4 or not weights.size:
        raise refusal(name, node, f"weights of shape {weights.shape}", "they must be (maps, channels, kernel, kernel)")
    kernel = weights.shape[2:]
    strides, dilations = (_pair(name, node, key) for key in ("stride", "dilation"))
    if kernel[0] != kernel[1] or strides[0] != strides[1]:
        both = f"a kernel of {kernel[0]}×{kernel[1]} with strides of {strides[0]} and {strides[1]}"
        raise refusal(name, node, both, "use the same both ways: a kernel of 1 or 3, a stride of 1 or 2")
    if dilations != (1, 1) or np.ravel(node.groups).tolist() != [1]:
        reason = f"dilations of {dilations[0]} and {dilations[1]} and {node.groups} groups"
        raise refusal(name, node, reason, "train with a dilation of 1 and one group")
    if isinstance(node.padding, str):
        paddings = (kernel[0] // 2,) * 2 if node.padding == "same" else (0, 0)
    else:
        paddings = _pair(name, node, "padding")
    if paddings[0] != paddings[1]:
        raise refusal(name, node, f"paddings of {paddings[0]} and {paddings[1]}", "pad all sides alike, by 0 or by kernel // 2")
    if before and before.window:
        sides: tuple[int, ...] = before.window.pooled
        if weights.shape[1] != before.columns:
            raise refusal(name, node, f"weights for {weights.shape[1]} channels behind {before.columns} maps", AGAIN)
    else:
        shape = given if node.input_shape is None else node.input_shape
        said = np.ravel([] if shape is None else shape)
        sides = tuple(int(x) for x in said[-2:]) if said.dtype.kind in "iuf" and np.isfinite(said).all() else ()
        if len(sides) < 2:
            raise refusal(name, node, "the file does not say the size of its maps", "export it with its input_shape, (H, W)")
    window = Window(weights.shape[1], sides[0], sides[1], int(kernel[0]), strides[0], paddings[0])
    if fault := window.fault():
        raise refusal(name, node, *fault.split("; ", 1))
    dense = _dense(name, node, weights.reshape(len(weights), -1))
    return replace(dense, window=window)


def _pair(name: str, node: Any, key: str) -> tuple[int, int]:
    """A number for both axes, or one for each."""
    values = np.ravel(getattr(node, key))
    if values.size not in (1, 2) or values.dtype.kind not in "iu":
        raise refusal(name, node, f"{key} is {getattr(node, key)!r}", AGAIN)
    return int(values[0]), int(values[-1])


def _dense(name: str, node: Any, kernel: np.ndarray | None = None) -> Dense:
    """The layer of a node's weights, or of `kernel`, (maps, channels · K²)."""
    weights = np.asarray(node.weight if kernel is None else kernel, np.float64)
    if weights.ndim != 2 or not weights.size:
        raise refusal(name, node, f"weights of shape {weights.shape}", "they must be (neurons, inputs)")
    bias = np.asarray(getattr(node, "bias", 0.0), np.float64)
    if bias.size not in (1, len(weights)):
        raise refusal(name, node, f"{bias.size} biases for {len(weights)} neurons", AGAIN)
    bias = np.broadcast_to(bias.reshape(-1), (len(weights),))
    if not np.maximum(np.abs(weights).max(), np.abs(bias).max()) <= np.finfo(np.float32).max:
        raise refusal(name, node, "a weight or bias is not finite", "train again with a lower learning rate")
    return Dense(name, weights, bias)
