"""A NIR file as a chain of layers: weights, and the node of the neurons behind them if there are any."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np

from spikeline.errors import CompileError, DataError
from spikeline.files import ordinary

NEURONS = ("IF", "LIF", "Threshold")
PASSED = ("Input", "Output", "Flatten")  # they change no value
PARAMETERS = ("weight", "bias", "r", "tau", "threshold", "v_threshold", "v_leak", "v_reset")
DENSE_ONLY = "fully connected layers only, for now", "train a network of Linear layers"
REFUSED = {
    "CubaLIF": ("its synaptic current is a second state, and a neuron here has one", "train with LIF neurons (snnTorch: Leaky)"),
    "CubaLI": ("its synaptic current is a second state, and a neuron here has one", "leave out the neurons of the last layer"),
    "LI": ("a leaky membrane that never fires", "end with Linear, whose sums are added up over the time steps, or with LIF"),
    "I": ("a membrane that never fires", "leave it out: the sums of a last Linear are added up over the time steps"),
    "Scale": ("there are no factors beside the weights", "multiply them into the weights of the Linear node next to it"),
    "Delay": ("spikes reach the next layer in the same time step", "train without delays"),
    "NIRGraph": ("a graph within the graph, as of recurrent neurons", "train a feed-forward network"),
    "Conv1d": DENSE_ONLY,
    "Conv2d": DENSE_ONLY,
    "SumPool2d": DENSE_ONLY,
    "AvgPool2d": DENSE_ONLY,
}


@dataclass(frozen=True)
class Dense:
    """Fully connected: weights float64 (neurons, inputs), bias float64 (neurons,), and what fires behind it."""

    name: str  # of the node of the weights
    weights: np.ndarray
    bias: np.ndarray
    neuron: Any = None  # an IF, LIF or Threshold node; None of a last layer that is read by its membrane
    neuron_name: str = ""

    @property
    def neurons(self) -> int:
        return len(self.weights)

    @property
    def inputs(self) -> int:
        """Fan-in of every neuron."""
        return self.weights.shape[1]


def refusal(name: str, node: Any, reason: str, fix: str) -> CompileError:
    """The error for a node that cannot be mapped."""
    return CompileError(f"node {name!r} ({type(node).__name__}): {reason}; {fix}")


def read(path: Path) -> list[Dense]:
    """Read the layers of a NIR file, in order; all but the last have neurons.

    Raises DataError for a file that is no NIR graph, CompileError, with the node, the reason and the fix, for what is no chain
    of Linear or Affine nodes and neurons.
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
    for name in _chain(nodes, edges):
        node = nodes[name]
        kind = type(node).__name__
        if kind in ("Linear", "Affine"):
            if found and found[-1].neuron is None:
                raise refusal(name, node, f"no neurons between {found[-1].name!r} and it", "multiply the two weight matrices")
            found.append(_dense(name, node))
            if len(found) > 1 and found[-1].inputs != found[-2].neurons:
                reason = f"{found[-1].inputs} inputs behind {found[-2].neurons} neurons"
                raise refusal(name, node, reason, AGAIN)
        elif kind in NEURONS:
            if not found or found[-1].neuron is not None:
                raise refusal(name, node, "no weights before it", "put a Linear node there, and encode images with --encoder")
            found[-1] = Dense(found[-1].name, found[-1].weights, found[-1].bias, node, name)
    if not found:
        raise CompileError("the graph has no Linear or Affine node; export a network with weights")
    return found


def _chain(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> list[str]:
    """The names of all nodes from Input to Output. Raises CompileError for nodes not known and for what is no chain."""
    for name, node in nodes.items():
        kind = type(node).__name__
        if kind not in (*NEURONS, *PASSED, "Linear", "Affine"):
            reason, fix = REFUSED.get(kind, ("not known here", "build the network of Linear, Affine, IF, LIF and Threshold"))
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


def _dense(name: str, node: Any) -> Dense:
    weights = np.asarray(node.weight, np.float64)
    if weights.ndim != 2 or not weights.size:
        raise refusal(name, node, f"weights of shape {weights.shape}", "they must be (neurons, inputs)")
    bias = np.asarray(getattr(node, "bias", 0.0), np.float64)
    if bias.size not in (1, len(weights)):
        raise refusal(name, node, f"{bias.size} biases for {len(weights)} neurons", AGAIN)
    bias = np.broadcast_to(bias.reshape(-1), (len(weights),))
    if not np.maximum(np.abs(weights).max(), np.abs(bias).max()) <= np.finfo(np.float32).max:
        raise refusal(name, node, "a weight or bias is not finite", "train again with a lower learning rate")
    return Dense(name, weights, bias)
