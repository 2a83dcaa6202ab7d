"""Export: the folded network as QONNX, proved equal to the Brevitas model spike for spike before it takes its name.

The graph is one time step of the network. Its float arithmetic is exact (see fold.py), so "equal" means equal.
"""

import contextlib
import hashlib
import json
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from brevitas.export.onnx.qonnx.function import BrevitasQuantOp
from brevitas.export.onnx.qonnx.handler import BrevitasActQuantProxyHandler
from brevitas.export.onnx.qonnx.manager import QONNXManager
from brevitas.inject.enum import QuantType, ScalingImplType
from brevitas.quant import Int8WeightPerTensorFloat
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
from torch import Tensor, nn

from spikeline import mnist
from spikeline.encode import encode
from spikeline.errors import SpikelineError
from spikeline.files import atomic
from spikeline_training import checkpoint
from spikeline_training.fold import IntegerNetwork, accuracy, evaluate, fold
from spikeline_training.preset import Preset
from spikeline_training.quantiser import Spike

INPUT, OUTPUT = "spikes", "membrane"
PROOF_BATCH = 500  # images per run of the executor


class FoldedNetwork(nn.Module):
    """The integer network as a Brevitas model of one time step, with constant scales: the model that is exported."""

    def __init__(self, network: IntegerNetwork, weight_bits: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList()
        for layer in network.hidden:
            linear = _linear(layer.weights, torch.from_numpy(layer.scale)[:, None], weight_bits)
            self.hidden.append(nn.Sequential(linear, _Bias(layer.bias), qnn.QuantIdentity(act_quant=Spike)))
        self.output = _linear(network.output.weights, torch.tensor(network.output.scale), weight_bits)
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


def export(checkpoint_path: Path, out: Path, images: int = 1000, data: Path | None = None) -> dict[str, Any]:
    """Write the checkpoint's network to `out` (.onnx) and the proof beside it (.proof.json); return the proof.

    The proof runs the file in the QONNX executor on the first `images` test images, and compares every hidden spike,
    the integer output membranes and their argmax with the Brevitas model. Raises PresetError for an unusable
    checkpoint, DataError for bad data, SpikelineError for a mismatch; no file is left then.
    """
    network, preset, history = checkpoint.load(checkpoint_path)
    integers = fold(network)
    test_images, test_labels = mnist.load("test", data)
    spikes = torch.from_numpy(encode(test_images, preset.encoder, preset.time_steps, preset.eval_seed))  # (B, T, N)
    truth = torch.from_numpy(test_labels).long()
    membranes, _ = evaluate(integers, spikes)
    score = accuracy(membranes, truth)

    folded = FoldedNetwork(integers, preset.weight_bits)
    model = write(folded, preset, {"accuracy": f"{score:.4f}", "epochs_trained": str(len(history))})
    proof_path = out.with_suffix(".proof.json")
    for path in (out, proof_path):
        path.unlink(missing_ok=True)
    with atomic(out) as temporary:
        onnx.save(model, str(temporary))
        proof = prove(onnx.load(str(temporary)), folded, integers, spikes[:images])
        proof |= {"accuracy": score, "accuracy_images": len(truth)}
        proof |= {"preset": preset.name, "eval_seed": preset.eval_seed}
        proof |= {"onnx_sha256": hashlib.sha256(temporary.read_bytes()).hexdigest()}
        with atomic(proof_path) as temporary_proof:
            temporary_proof.write_text(json.dumps(proof, indent=2) + "\n")
    return proof


def write(folded: FoldedNetwork, preset: Preset, extra: dict[str, str] | None = None) -> onnx.ModelProto:
    """The QONNX graph of one time step: `spikes` (1, 784) to `membrane` (1, 10), clean, named, with metadata.

    `extra` is added to the metadata. Nodes, names and metadata are listed in training/README.md.
    """
    example = torch.zeros(1, preset.sizes[0])
    with _quiet():
        exported = _Manager.export(
            folded, args=example, input_names=[INPUT], output_names=[OUTPUT], dynamo=False, opset_version=13
        )
    wrapped = ModelWrapper(exported)
    for transformation in (FoldTransposeIntoQuantInit(), RemoveUnusedTensors(), InferShapes()):
        wrapped = wrapped.transform(transformation)
    model = wrapped.model
    _name(model.graph)
    metadata = {
        "spikeline_version": "1",
        "integration": preset.integration,
        "encoder": preset.encoder,
        "time_steps": str(preset.time_steps),
        "output": OUTPUT,
        "preset": preset.name,
        "sizes": ",".join(map(str, preset.sizes)),
        "weight_bits": str(preset.weight_bits),
        "seed": str(preset.seed),
        "eval_seed": str(preset.eval_seed),
        **(extra or {}),
    }
    onnx.helper.set_model_props(model, metadata)
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
            _same(f"spikes of hidden layer {i}", ours, theirs)
            _same(f"spikes of hidden layer {i} (integers)", ours, exact)
            compared += ours.size
        _same("output membranes", onnx_membrane, brevitas_membrane)
        _same("integer output membranes", np.rint(onnx_membrane / integers.output.scale), integer_membrane)
        sums = [m.reshape(-1, steps, m.shape[-1]).sum(1).argmax(1) for m in (onnx_membrane, brevitas_membrane.numpy())]
        _same("classes", sums[0], torch.from_numpy(sums[1]))
    return {
        "images": images,
        "time_steps": steps,
        "spikes_compared": compared,
        "membranes_compared": images * steps * int(integers.output.weights.shape[0]),
        "onnx_mismatches": 0,
    }


class _Bias(nn.Module):
    """The bias apart from its layer, so that it stays a node of its own beside a plain MatMul."""

    def __init__(self, bias: np.ndarray) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.from_numpy(bias))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class _SpikeHandler(BrevitasActQuantProxyHandler):
    """Writes spikes as `Quant` of 1 unsigned bit; Brevitas' own handler writes any 1-bit quantiser as ±1."""

    def prepare_for_export(self, module: nn.Module) -> None:
        super().prepare_for_export(module)
        self.quant_op = BrevitasQuantOp


class _Manager(QONNXManager):
    handlers = [_SpikeHandler, *(h for h in QONNXManager.handlers if h is not BrevitasActQuantProxyHandler)]  # noqa: RUF012


def _linear(weights: np.ndarray, scale: Tensor, bits: int) -> qnn.QuantLinear:
    """A Brevitas layer without bias whose quantised weights are exactly scale * weights, integers (O, I)."""
    largest = max(1, 2 ** (bits - 1) - 1)
    quantiser = Int8WeightPerTensorFloat.let(
        bit_width=bits,
        narrow_range=True,
        quant_type=QuantType.BINARY if bits == 1 else QuantType.INT,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=scale * largest,  # Brevitas' constant is the largest value
    )
    linear = qnn.QuantLinear(weights.shape[1], weights.shape[0], False, weight_quant=quantiser)
    linear.weight = nn.Parameter(torch.from_numpy(weights).float() * scale)
    return linear


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
    with _quiet():
        wrapped = ModelWrapper(onnx.ModelProto.FromString(model.SerializeToString()))
        wrapped = wrapped.transform(ChangeBatchSize(len(spikes))).transform(InferShapes())
        context = execute_onnx(wrapped, {INPUT: spikes}, return_full_exec_context=True)
    return [context[f"layer{i}_spikes"] for i in range(hidden_layers)], context[OUTPUT]


def _same(what: str, ours: np.ndarray, theirs: Tensor) -> None:
    differing = int((ours != theirs.numpy()).sum())
    if differing:
        raise SpikelineError(f"the ONNX file and the Brevitas model differ in {differing} {what}; nothing is written")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's and the executor's warnings about their own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
