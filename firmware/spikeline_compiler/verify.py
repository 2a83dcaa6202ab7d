"""Compare an ONNX file, run by the QONNX executor as it was exported, with the golden model on the compiled model.

The executor runs each node by itself in onnxruntime, which takes and gives no 4-bit integers; so what is computed from constants
alone is computed in one piece by onnxruntime before.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.infer_shapes import InferShapes

from spikeline.errors import CompileError
from spikeline.model import golden
from spikeline.model.encode import to_pixels
from spikeline.model.model_file import Model
from spikeline_compiler.graph import QONNX, STANDARD_DOMAINS, load_model, naming
from spikeline_compiler.lower import read, read_stages

QUIET = onnxruntime.SessionOptions()
QUIET.log_severity_level = 3  # errors only
ROWS = 4096  # rows executed at once
VALUES = 1 << 25  # at once, of all tensors together: what a few hundred megabytes hold


def execute(model: onnx.ModelProto, rows: np.ndarray, tensors: list[str]) -> list[np.ndarray]:
    """Values of `tensors` for input rows (R, inputs), by the QONNX executor. Raises CompileError if it cannot."""
    pieces = execute_steps(model, rows[:, None], tensors, {})
    return [x[:, 0] for x in pieces]


def execute_steps(model: onnx.ModelProto, spikes: np.ndarray, tensors: list[str], states: dict[str, str]) -> list[np.ndarray]:
    """Values (B, T, …) of `tensors` for input spikes (B, T, inputs), by the QONNX executor.

    states: the state inputs, 0 at first, and the output that each takes at the next step. Raises CompileError if it cannot.
    """
    batch, steps, _ = spikes.shape
    pieces = []
    try:
        wrapper = _with_batch(model, 1)
        shapes = [wrapper.get_tensor_shape(x) or [] for x in wrapper.get_all_tensor_names()]
        chunk = max(1, min(ROWS, batch, VALUES // sum(map(math.prod, shapes))))
        wrapper = _with_batch(model, chunk)
        name = wrapper.graph.input[0].name
        for start in range(0, batch, chunk):
            piece = spikes[start : start + chunk].astype(np.float32)
            padded = np.pad(piece, ((0, chunk - len(piece)), (0, 0), (0, 0)))
            padded = padded.reshape(chunk, padded.shape[1], *wrapper.get_tensor_shape(name)[1:])
            carried = {x: np.zeros(wrapper.get_tensor_shape(x), np.float32) for x in states}
            for t in range(steps):
                context = execute_onnx(wrapper, {name: padded[:, t], **carried}, return_full_exec_context=True)
                carried = {x: context[output] for x, output in states.items()}
                pieces.append([context[x][: len(piece)] for x in tensors])
    except Exception as error:  # whatever the executor, its runtime or its shape inference meet
        raise CompileError(f"the QONNX executor cannot run the network ({error}); compile without --verify") from error
    chunks = [pieces[n : n + steps] for n in range(0, len(pieces), steps)]
    return [np.concatenate([np.stack([step[n] for step in x], 1) for x in chunks]) for n in range(len(tensors))]


def _with_batch(model: onnx.ModelProto, batch: int) -> ModelWrapper:
    wrapper = ModelWrapper(_with_constants_computed(model))
    graph = wrapper.graph
    constants = {x.name for x in graph.initializer}
    for value in (*graph.input, *graph.output):  # ChangeBatchSize sees to the first ones only
        if value.name not in constants:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    return wrapper.transform(ChangeBatchSize(batch)).transform(InferShapes())


def _with_constants_computed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which what nodes make of constants alone is a constant, as onnxruntime and the QONNX operators compute it."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    given = {x.name for x in graph.initializer}
    _keep(graph.input, lambda x: x.name not in given)  # older exporters list constants among them
    graph.ClearField("value_info")
    while True:
        _compute_standard(changed)
        known = {x.name: x for x in graph.initializer}
        outputs = {x.name for x in graph.output}
        done = [
            n for n in graph.node if n.domain == QONNX and known.keys() >= set(n.input) and not outputs.intersection(n.output)
        ]
        for node in done:
            context = {x: numpy_helper.to_array(known[x]) for x in node.input}
            getCustomOp(node).execute_node(context, graph)
            graph.initializer.append(numpy_helper.from_array(context[node.output[0]], node.output[0]))
        if not done:
            break
        made = {x for node in done for x in node.output}
        _keep(graph.node, lambda x: not made.intersection(x.output))  # noqa: B023
    used = {x for node in graph.node for x in node.input}
    _keep(graph.initializer, lambda x: x.name in used)
    return changed


def _compute_standard(model: onnx.ModelProto) -> None:
    """Let onnxruntime compute, in one piece, what standard operators make of constants alone."""
    graph = model.graph
    known, outputs = {x.name for x in graph.initializer}, {x.name for x in graph.output}
    early: list[onnx.NodeProto] = []
    for node in graph.node:
        if (
            node.domain in STANDARD_DOMAINS
            and known.issuperset(filter(None, node.input))
            and not outputs.intersection(node.output)
        ):
            early.append(node)
            known.update(node.output)
    made = {x for node in early for x in node.output}
    wanted = sorted(made & {x for node in graph.node if not made.intersection(node.output) for x in node.input})
    if wanted:
        ends = [helper.make_empty_tensor_value_info(x) for x in wanted]
        inner = helper.make_graph(early, "constants", [], ends, list(graph.initializer))
        opsets = [x for x in model.opset_import if x.domain in STANDARD_DOMAINS]
        part = helper.make_model(inner, opset_imports=opsets, ir_version=model.ir_version)
        session = onnxruntime.InferenceSession(part.SerializeToString(), QUIET)
        for name, value in zip(wanted, session.run(wanted, {}), strict=True):
            graph.initializer.append(numpy_helper.from_array(value, name))
    _keep(graph.node, lambda x: not made.intersection(x.output))


def _keep(items: Any, wanted: Callable[[Any], bool]) -> None:
    """Take out of a protobuf list what is not wanted."""
    for n in reversed(range(len(items))):
        if not wanted(items[n]):
            del items[n]


def verify(path: Path | str, model: Model, spikes: np.ndarray) -> dict[str, int]:
    """Count the images on which ONNX and golden model differ, at any step, in a spike, a state or a class value.

    spikes: uint8 (B, T, inputs) of 0/1. Returns images, time_steps, spikes_compared, onnx_mismatches and, for a continuous
    network, states_compared. Raises CompileError for a file that cannot be read or run.
    """
    batch, steps, inputs = spikes.shape
    with naming(path):
        graph = read(path)
        layers = read_stages(graph, steps if model.network.direct else 0)
        lasting = [x for x in layers if x.lasting]
        tensors = [x.tensor for x in layers] + [x.lasting.tensor for x in lasting if x.lasting]
        rows = spikes if graph.states else spikes.reshape(batch * steps, 1, inputs)  # all at once if none depends on another
        if model.network.direct:
            rows, steps = to_pixels(spikes)[:, None], 1
        seen = [x.reshape(batch, steps, -1) for x in execute_steps(load_model(path), rows, tensors, graph.states)]
    trace = golden.run(model.network, spikes, states=bool(lasting))
    wrong = np.zeros(batch, bool)
    compared = 0
    for layer, values, fired in zip(layers, seen, trace.spikes, strict=False):
        if layer.spikes:
            silent, firing = float(layer.silent), float(layer.silent + layer.amplitude)
            wrong |= (np.abs(values - np.where(fired, firing, silent)) > 1e-6 * max(abs(silent), abs(firing))).any((1, 2))
            compared += fired.size
        else:
            expected = trace.running[0] if graph.states else trace.membranes  # the executor has added up the steps
            wrong |= (np.rint(values / float(abs(layer.scale[0]))) != expected).any((1, 2))
    result = {"images": batch, "time_steps": spikes.shape[1], "spikes_compared": compared}
    states = [x for x in trace.states if x is not None]
    for layer, values, state in zip(lasting, seen[len(layers) :], states, strict=True):
        unit = np.repeat([float(abs(a)) for a in layer.scale], math.prod(layer.shape[1:]))
        wrong |= (values / unit != state).any((1, 2))
    if graph.states:
        result["states_compared"] = sum(x.size for x in states)
    return result | {"onnx_mismatches": int(wrong.sum())}
