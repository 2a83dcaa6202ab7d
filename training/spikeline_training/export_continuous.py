"""Export of a continuous network: one time step as QONNX with each membrane as an input and an output.

What the step gives as `v0_out` is `v0_in` of the next; states start at 0. All float arithmetic is exact, because weights,
biases and membranes are multiples of one power of two in each layer, so the proof compares for equality.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
from torch import Tensor, nn

from spikeline.data import samples
from spikeline.model import golden
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Reset
from spikeline_training.continuous import ContinuousNetwork
from spikeline_training.export_parts import INPUT, OUTPUT, PROOF_BATCH, Bias, Manager, Prepared, linear, metadata, quiet, same
from spikeline_training.fold import integers
from spikeline_training.preset import Preset
from spikeline_training.quantiser import Spike

OUTPUT_STATE = "v_out_in"


class Step(nn.Module):
    """One time step of an integer network as a Brevitas model with constant scales: the model that is exported."""

    def __init__(self, network: Network, grids: list[float], weight_bits: int) -> None:
        super().__init__()
        self.layers, self.grids = network.layers, grids
        self.sums = nn.ModuleList(
            linear(np.ascontiguousarray(x.weights.T), torch.tensor(grid), weight_bits)
            for x, grid in zip(network.layers, grids, strict=True)
        )
        biases = [x.biases if x.continuous else -x.thresholds for x in network.layers]
        self.biases = nn.ModuleList(
            nn.Identity() if b is None or not b.any() else Bias((b * grid).astype(np.float32))
            for b, grid in zip(biases, grids, strict=True)
        )
        self.spikes = nn.ModuleList(qnn.QuantIdentity(act_quant=Spike) for _ in network.layers[:-1])
        self.eval()

    def forward(self, spikes: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Spikes (B, N) of 0 and 1, membranes (B, H) of each hidden layer and class values (B, 10) so far.

        Returns the class values with this step's, then the membranes after it.
        """
        return self.trace(spikes, *states)[1:]  # type: ignore[return-value]

    def trace(self, spikes: Tensor, *states: Tensor) -> tuple[Any, ...]:
        """As `forward`, before it the spikes (B, H) of each hidden layer."""
        fired, after = [], []
        for n, layer in enumerate(self.layers[:-1]):
            v = _leaked(states[n], layer, self.grids[n]) + self.biases[n](self.sums[n](spikes))
            spikes = self.spikes[n](v)
            fired.append(spikes)
            v = v - spikes if layer.reset == Reset.SUBTRACT else v * (1 - spikes)
            largest = 2 ** (layer.state_bits - 1)
            after.append(torch.clip(v, -self.grids[n] * largest, self.grids[n] * (largest - 1)))
        return fired, states[-1] + self.biases[-1](self.sums[-1](spikes)), *after

    def start(self, batch: int) -> list[Tensor]:
        """The states before the first step."""
        return [torch.zeros(batch, x.neurons) for x in self.layers]


def _leaked(v: Tensor, layer: Layer, grid: float) -> Tensor:
    return v - torch.floor(v * (1 / (grid * 2**layer.leak))) * grid if layer.leak else v


def prepare(
    network: ContinuousNetwork, preset: Preset, root: Path | None, facts: dict[str, str], strict: bool = False
) -> Prepared:
    """What `export.export` needs of a continuous network. Raises PresetError, DataError."""
    whole = integers(network)
    given = samples.load(whole, "test", preset.data, root, preset.eval_seed, strict)
    hits = sum(
        int((golden.run(whole, given.spikes(at, at + PROOF_BATCH)).labels == given.labels[at : at + PROOF_BATCH]).sum())
        for at in range(0, len(given), PROOF_BATCH)
    )
    score = hits / len(given)
    with torch.no_grad():
        grids = [float(layer.quant_weight().scale) for layer in network.linear]  # type: ignore[operator]
    step = Step(whole, grids, preset.weight_bits)
    model = write(step, preset, {"accuracy": f"{score:.4f}", **facts})
    return score, given.labels, model, lambda saved, count: prove(saved, step, whole, given.spikes(0, count))


def write(step: Step, preset: Preset, extra: dict[str, str] | None = None) -> onnx.ModelProto:
    """The QONNX graph of one time step, named and with metadata, as training/README.md lists them."""
    states = [*(f"v{n}_in" for n in range(len(step.layers) - 1)), OUTPUT_STATE]
    after = [OUTPUT, *(f"v{n}_out" for n in range(len(step.layers) - 1))]
    with quiet():
        exported = Manager.export(
            step,
            args=(torch.zeros(1, preset.sizes[0]), *step.start(1)),
            input_names=[INPUT, *states],
            output_names=after,
            dynamo=False,
            opset_version=13,
        )
    wrapped = ModelWrapper(exported)
    for transformation in (FoldTransposeIntoQuantInit(), RemoveUnusedTensors(), InferShapes()):
        wrapped = wrapped.transform(transformation)
    model = wrapped.model
    _name(model.graph, step)
    facts = metadata(preset) | {"leak": str(preset.leak), "reset": preset.reset, "state_bits": str(preset.state_bits)}
    onnx.helper.set_model_props(model, facts | (extra or {}))
    model.producer_name = "spikeline"
    return model


def prove(model: onnx.ModelProto, step: Step, network: Network, spikes: np.ndarray) -> dict[str, Any]:
    """Run `model` in the QONNX executor, step by step, and compare it with the Brevitas model and the golden model.

    `spikes` is uint8 (B, T, N). Compared exactly are each hidden spike, each membrane after each step, the class values so
    far and the class. Returns the counts; raises SpikelineError on the first difference, naming layer and time step.
    """
    images, steps = spikes.shape[:2]
    compared = membranes = 0
    for at in range(0, images, PROOF_BATCH):
        batch = spikes[at : at + PROOF_BATCH]
        reference = golden.run(network, batch, states=True)
        values, classes = reference.running
        ours, theirs = [x.numpy() for x in step.start(len(batch))], step.start(len(batch))
        for t in range(steps):
            s = torch.from_numpy(batch[:, t]).float()
            hidden, value, after = _execute(model, s.numpy(), ours)
            with torch.no_grad():
                fired, expected, *left = step.trace(s, *theirs)
            for n, (got, brevitas, state, membrane) in enumerate(zip(hidden, fired, after, left, strict=True)):
                same(f"spikes of hidden layer {n} at step {t}", got, brevitas)
                same(f"spikes of hidden layer {n} at step {t} (integers)", got, torch.from_numpy(reference.spikes[n][:, t]))
                same(f"membranes of hidden layer {n} at step {t}", state, membrane)
                whole = reference.states[n]
                assert whole is not None
                same(f"integer membranes of hidden layer {n} at step {t}", state / step.grids[n], torch.from_numpy(whole[:, t]))
                compared, membranes = compared + got.size, membranes + state.size
            same(f"class values at step {t}", value, expected)
            same(f"integer class values at step {t}", value / step.grids[-1], torch.from_numpy(values[:, t]))
            same(f"classes at step {t}", value.argmax(1), torch.from_numpy(classes[:, t].astype(np.int64)))
            membranes += value.size
            ours, theirs = [*after, value], [*left, expected]
    return {
        "images": images,
        "time_steps": steps,
        "spikes_compared": compared,
        "membranes_compared": membranes,
        "onnx_mismatches": 0,
    }


def _execute(
    model: onnx.ModelProto, spikes: np.ndarray, states: list[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray]]:
    """Hidden spikes, class values so far and membranes of a batch, from the QONNX executor."""
    with quiet():
        copy = onnx.ModelProto.FromString(model.SerializeToString())
        for value in (*copy.graph.input, *copy.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = len(spikes)
        copy.graph.ClearField("value_info")
        wrapped = ModelWrapper(copy).transform(InferShapes())
        names = [value.name for value in copy.graph.input]
        context = execute_onnx(wrapped, dict(zip(names, [spikes, *states], strict=True)), return_full_exec_context=True)
    hidden = range(len(states) - 1)
    return [context[f"layer{n}_spikes"] for n in hidden], context[OUTPUT], [context[f"v{n}_out"] for n in hidden]


def _name(graph: onnx.GraphProto, step: Step) -> None:
    """Put the nodes in the order of the data flow, layer by layer, and name nodes and tensors; constants become initialisers."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(node.attribute[0].t), node.output[0]))
        graph.node.remove(node)
    makers = {node.output[0]: node for node in graph.node}
    ordered: list[onnx.NodeProto] = []

    def add(tensor: str) -> None:
        """The node that makes a tensor, after those that it needs."""
        if (node := makers.pop(tensor, None)) is not None:
            for needed in node.input:
                add(needed)
            ordered.append(node)

    for n in range(len(step.layers) - 1):
        add(f"v{n}_out")
    add(OUTPUT)
    nodes = [deepcopy(node) for node in ordered]
    graph.ClearField("quantization_annotation")  # of names that there are no more
    graph.ClearField("node")
    graph.node.extend(nodes)
    fixed = {x.name for x in (*graph.input, *graph.output)}
    constants = {x.name for x in graph.initializer}
    roles = iter(_roles(step))
    names: dict[str, str] = {}
    for node in graph.node:
        operator, layer, role, result, parameters = next(roles)
        assert node.op_type == operator, f"{node.op_type} where {layer}_{role} is expected"
        node.name = f"{layer}_{role}"
        given = [x for x in node.input if x in constants]
        names.update(zip(given, (f"{layer}_{p}" for p in parameters), strict=True))
        if node.output[0] not in fixed:
            names[node.output[0]] = f"{layer}_{result}"
    for node in graph.node:
        node.input[:] = [names.get(x, x) for x in node.input]
        node.output[:] = [names.get(x, x) for x in node.output]
    for tensor in (*graph.initializer, *graph.value_info):
        tensor.name = names.get(tensor.name, tensor.name)
    graph.name = "spikeline_step"


def _roles(step: Step) -> list[tuple[str, str, str, str, list[str]]]:
    """Operator, layer, role, result and constants of each node in the order of the data flow."""

    def quantiser(of: str) -> list[str]:
        return [of, f"{of}_scale", f"{of}_zero_point", f"{of}_bits"]

    roles: list[tuple[str, str, str, str, list[str]]] = []
    for n, layer in enumerate(step.layers):
        name = f"layer{n}" if layer.continuous else "output"
        if layer.leak:
            roles += [
                ("Mul", name, "leak_scale", "leak_scaled", ["leak_factor"]),
                ("Floor", name, "leak_floor", "leak_floored", []),
                ("Mul", name, "leak_amount", "leak_amount", ["grid"]),
                ("Sub", name, "leak_sub", "leaked", []),
            ]
        roles.append(("Quant", name, "weight_quant", "weight_quantised", quantiser("weight")))
        roles.append(("MatMul", name, "matmul", "sum", []))
        if isinstance(step.biases[n], Bias):
            roles.append(("Add", name, "bias_add", "current", ["bias"]))
        roles.append(("Add", name, "integrate", "membrane", []))
        if not layer.continuous:
            break
        roles.append(("Quant", name, "spike", "spikes", quantiser("spike")[1:]))
        if layer.reset == Reset.SUBTRACT:
            roles.append(("Sub", name, "reset", "after", []))
        else:
            roles += [("Sub", name, "keep", "kept", ["one"]), ("Mul", name, "reset", "after", [])]
        roles.append(("Clip", name, "saturate", "saturated", ["lowest", "highest"]))
    return roles
