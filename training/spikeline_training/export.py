"""Export: the folded network as QONNX, proved equal to the Brevitas model spike for spike before it takes its name.

The graph is one time step of the network. Its float arithmetic is exact (see fold.py), so "equal" means equal.
"""

import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
from torch import Tensor, nn

from spikeline.data import mnist
from spikeline.errors import PresetError, SpikelineError
from spikeline.files import atomic
from spikeline.model.encode import encode
from spikeline_training import checkpoint, export_continuous
from spikeline_training.continuous import ContinuousNetwork
from spikeline_training.export_parts import INPUT, OUTPUT, PROOF_BATCH, Bias, Manager, Prepared, linear, metadata, quiet, same
from spikeline_training.fold import IntegerNetwork, accuracy, evaluate, fold
from spikeline_training.network import SpikingNetwork
from spikeline_training.preset import Preset
from spikeline_training.quantiser import Spike


class FoldedNetwork(nn.Module):
    """The integer network as a Brevitas model of one time step, with constant scales: the model that is exported."""

    def __init__(self, network: IntegerNetwork, weight_bits: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList()
        for layer in network.hidden:
            sums = linear(layer.weights, torch.from_numpy(layer.scale)[:, None], weight_bits)
            self.hidden.append(nn.Sequential(sums, Bias(layer.bias), qnn.QuantIdentity(act_quant=Spike)))
        self.output = linear(network.output.weights, torch.tensor(network.output.scale), weight_bits)
        self.eval()

    def forward(self, spikes: Tensor) -> Tensor:
        """Spikes (B, N) of 0 and 1 to the output membrane (B, 10)."""
        for layer in self.hidden:
            spikes = layer(spikes)
        return self.output(spikes)

    @torch.no_grad()
    def trace(self, spikes: Tensor) -> tuple[list[Tensor], Tensor]:
        """As `forward`, but also the spikes (B, H) of each hidden layer."""
        layers = []
        for layer in self.hidden:
            spikes = layer(spikes)
            layers.append(spikes)
        return layers, self.output(spikes)


def export(
    checkpoint_path: Path, out: Path, images: int = 1000, root: Path | None = None, strict: bool = False
) -> dict[str, Any]:
    """Write the checkpoint's network to `out` (.onnx) and the proof beside it (.proof.json); return the proof.

    The proof runs the file in the QONNX executor on the first `images` test samples, and compares every hidden spike,
    the integer output membranes, all that last, and the class with the Brevitas model. `root` is the folder of the data set's
    files; `strict` refuses recordings that are otherwise mended. Raises PresetError for an unusable checkpoint, DataError for
    bad data, SpikelineError for a mismatch; no file is left then. Wherever the program may be killed, the model is the old one
    or the new, and a proof is that of the model.
    """
    network, preset, history = checkpoint.load(checkpoint_path)
    facts = {"epochs_trained": str(len(history))}
    try:
        if isinstance(network, ContinuousNetwork):
            score, truth, model, proves = export_continuous.prepare(network, preset, root, facts, strict)
        else:
            score, truth, model, proves = _prepare(network, preset, root, facts)
    except PresetError as error:
        raise PresetError(f"{checkpoint_path}: {error}") from None
    proof_path = out.with_suffix(".proof.json")
    try:
        with atomic(proof_path) as temporary_proof, atomic(out) as temporary:  # the model takes its name first
            onnx.save(model, str(temporary))
            proof = proves(onnx.load(str(temporary)), images)
            proof |= {"accuracy": score, "accuracy_images": len(truth)}
            proof |= {"preset": preset.name, "eval_seed": preset.eval_seed}
            proof |= {"onnx_sha256": hashlib.sha256(temporary.read_bytes()).hexdigest()}
            temporary_proof.write_text(json.dumps(proof, indent=2) + "\n")
            proof_path.unlink(missing_ok=True)  # it spoke of the model that is replaced now
    except SpikelineError:
        out.unlink(missing_ok=True)
        proof_path.unlink(missing_ok=True)
        raise
    return proof


def _prepare(network: SpikingNetwork, preset: Preset, root: Path | None, facts: dict[str, str]) -> Prepared:
    """Of a discontinuous network."""
    integers = fold(network)
    test_images, test_labels = mnist.load("test", root)
    spikes = torch.from_numpy(encode(test_images, preset.encoder, preset.time_steps, preset.eval_seed))  # (B, T, N)
    membranes, _ = evaluate(integers, spikes)
    score = accuracy(membranes, torch.from_numpy(test_labels).long())
    folded = FoldedNetwork(integers, preset.weight_bits)
    model = write(folded, preset, {"accuracy": f"{score:.4f}", **facts})
    return score, test_labels, model, lambda saved, images: prove(saved, folded, integers, spikes[:images])


def write(folded: FoldedNetwork, preset: Preset, extra: dict[str, str] | None = None) -> onnx.ModelProto:
    """The QONNX graph of one time step: `spikes` (1, 784) to `membrane` (1, 10), clean, named, with metadata.

    `extra` is added to the metadata. Nodes, names and metadata are listed in training/README.md.
    """
    example = torch.zeros(1, preset.sizes[0])
    with quiet():
        exported = Manager.export(
            folded, args=example, input_names=[INPUT], output_names=[OUTPUT], dynamo=False, opset_version=13
        )
    wrapped = ModelWrapper(exported)
    for transformation in (FoldTransposeIntoQuantInit(), RemoveUnusedTensors(), InferShapes()):
        wrapped = wrapped.transform(transformation)
    model = wrapped.model
    _name(model.graph)
    onnx.helper.set_model_props(model, metadata(preset) | (extra or {}))
    model.producer_name = "spikeline"
    return model


def prove(model: onnx.ModelProto, folded: FoldedNetwork, integers: IntegerNetwork, spikes: Tensor) -> dict[str, Any]:
    """Run `model` in the QONNX executor and compare it with the Brevitas model and the integer network.

    `spikes` is uint8 (B, T, N). Compared exactly are each hidden spike, the real output membranes, the same divided by
    their scale as integers, and the argmax of their sums over the time steps. Returns the counts; raises
    SpikelineError on the first batch that differs, naming the layer.
    """
    images, steps = spikes.shape[:2]
    compared = 0
    for batch in spikes.split(PROOF_BATCH):
        s = batch.flatten(0, 1).float()  # (b * T, N)
        onnx_hidden, onnx_membrane = _execute(model, s.numpy(), len(folded.hidden))
        brevitas_hidden, brevitas_membrane = folded.trace(s)
        integer_membrane, integer_hidden = integers.step(s)
        for i, (ours, theirs, exact) in enumerate(zip(onnx_hidden, brevitas_hidden, integer_hidden, strict=True)):
            same(f"spikes of hidden layer {i}", ours, theirs)
            same(f"spikes of hidden layer {i} (integers)", ours, exact)
            compared += ours.size
        same("output membranes", onnx_membrane, brevitas_membrane)
        same("integer output membranes", np.rint(onnx_membrane / integers.output.scale), integer_membrane)
        sums = [m.reshape(-1, steps, m.shape[-1]).sum(1).argmax(1) for m in (onnx_membrane, brevitas_membrane.numpy())]
        same("classes", sums[0], torch.from_numpy(sums[1]))
    return {
        "images": images,
        "time_steps": steps,
        "spikes_compared": compared,
        "membranes_compared": images * steps * int(integers.output.weights.shape[0]),
        "onnx_mismatches": 0,
    }


def _name(graph: onnx.GraphProto) -> None:
    """Put the nodes in the order of the data flow and name nodes and tensors by layer and role."""
    makers = {node.output[0]: node for node in graph.node}
    users = {tensor: node for node in graph.node for tensor in node.input}
    names, nodes = {INPUT: INPUT}, []

    def add(node: onnx.NodeProto, prefix: str, role: str, result: str, *parameters: str) -> str:
        node.name = f"{prefix}_{role}"
        nodes.append(node)
        names.update(zip(node.input[len(node.input) - len(parameters) :], parameters, strict=True))
        names[node.output[0]] = result
        return node.output[0]

    def quantiser(of: str) -> list[str]:
        return [f"{of}_scale", f"{of}_zero_point", f"{of}_bits"]

    tensor = INPUT
    while tensor != OUTPUT:
        matmul = users[tensor]
        is_output = matmul.output[0] == OUTPUT
        layer = "output" if is_output else f"layer{len(nodes) // 4}"
        weight = makers[matmul.input[1]]
        parameters = [f"{layer}_weight", *quantiser(f"{layer}_weight")][: len(weight.input)]  # BipolarQuant has two
        add(weight, layer, "weight_quant", f"{layer}_weight_quantised", *parameters)
        tensor = add(matmul, layer, "matmul", OUTPUT if is_output else f"{layer}_sum")
        if not is_output:
            tensor = add(users[tensor], layer, "bias_add", f"{layer}_membrane", f"{layer}_bias")
            tensor = add(users[tensor], layer, "spike", f"{layer}_spikes", *quantiser(f"{layer}_spike"))
    for node in nodes:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    constants = {tensor.name: deepcopy(tensor) for tensor in graph.initializer}
    shapes = {info.name: deepcopy(info) for info in graph.value_info if info.name not in constants}
    nodes = [deepcopy(node) for node in nodes]
    for field in ("node", "initializer", "value_info", "quantization_annotation"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    for old, new in names.items():
        for tensors, target in ((constants, graph.initializer), (shapes, graph.value_info)):
            if old in tensors:
                tensors[old].name = new
                target.append(tensors[old])
    graph.name = "spikeline_step"


def _execute(model: onnx.ModelProto, spikes: np.ndarray, hidden_layers: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Hidden spikes and output membrane of a batch (B, N), from the QONNX executor."""
    with quiet():
        wrapped = ModelWrapper(onnx.ModelProto.FromString(model.SerializeToString()))
        wrapped = wrapped.transform(ChangeBatchSize(len(spikes))).transform(InferShapes())
        context = execute_onnx(wrapped, {INPUT: spikes}, return_full_exec_context=True)
    return [context[f"layer{i}_spikes"] for i in range(hidden_layers)], context[OUTPUT]
