"""Export: a trained network as QONNX, proved equal to the Brevitas model and to the golden model before it takes its name.

The graph is one time step of the network. Its float arithmetic is exact (see integers.py), so "equal" means equal.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from spikeline.data import samples
from spikeline.data.data_set import DataSet
from spikeline.data.data_sets import find
from spikeline.errors import PresetError, SpikelineError
from spikeline.files import atomic
from spikeline.model import golden
from spikeline.model.encode import to_pixels
from spikeline_training import checkpoint
from spikeline_training.graph import HANDING_ON, Step, quiet, write
from spikeline_training.integers import convert_layers
from spikeline_training.layers import stack
from spikeline_training.scoring import score

PROOF_BATCH = 500  # images per run of the executor


def export_checkpoint(
    checkpoint_path: Path,
    out: Path,
    images: int = 1000,
    root: Path | None = None,
    strict: bool = False,
    data: str | None = None,
    other: bool = False,
) -> dict[str, Any]:
    """Write the network of a checkpoint of `spikeline train`; see `export`.

    `data` is the data set, by default the one that it was trained on if that is known by name; for `root`, `strict` and
    `other` see `spikeline.data.samples.of`. Raises PresetError also for an unusable checkpoint.
    """
    trained, preset, history = checkpoint.load(checkpoint_path)
    source = samples.source(preset.dataset, data, root, strict, other)
    facts: dict[str, str | int] = {"preset": preset.name, "seed": preset.seed, "epochs_trained": len(history)}
    how = (preset.encoder, preset.time_steps, images, preset.eval_seed, facts)
    try:
        return _export(trained.layers, out, source, preset.dataset, other, *how)
    except PresetError as error:
        raise PresetError(f"{checkpoint_path}: {error}") from None


def export(
    module: torch.nn.Module,
    out: Path | str,
    data: Path | str = "mnist",
    encoder: str = "bernoulli",
    time_steps: int = 4,
    images: int = 1000,
    root: Path | None = None,
    eval_seed: int = 0,
    strict: bool = False,
) -> dict[str, Any]:
    """Write a stack of layers to `out` (.onnx) and the proof beside it (.proof.json); return the proof.

    `module` holds layers of spikeline_training.layers in the order of the data: one of them, nn.Sequential or nn.ModuleList;
    Dropout, Flatten, Unflatten and Identity between them change nothing. It is scored on the test samples of `data`, a name or
    path that `--data` takes, which `encoder` turns into spikes of `time_steps` steps, with `eval_seed` if it draws. The proof
    runs the file in the QONNX executor on the first `images` of them, and compares every spike, all states, the class values
    and the class with the Brevitas model of one step and the golden model. `root` is the folder of the data set's files;
    `strict` refuses recordings that are otherwise mended. Raises PresetError for what is no stack or no integer network,
    DataError for bad data, SpikelineError for a mismatch; no file is left then. Wherever the program may be killed, the model
    is the old one or the new, and a proof is that of the model.
    """
    source = find(str(data), root, strict)
    return _export(module, Path(out), source, source.facts, False, encoder, time_steps, images, eval_seed, {})


def _export(
    module: torch.nn.Module,
    out: Path,
    source: DataSet,
    note: Mapping[str, Any],
    other: bool,
    encoder: str,
    time_steps: int,
    images: int,
    eval_seed: int,
    facts: Mapping[str, str | int],
) -> dict[str, Any]:
    """`export`, with samples of `source`, of a network trained on what `note` says; `facts` are added to the metadata."""
    layers = stack(module)
    network, affines = convert_layers(layers, time_steps, encoder)
    test = samples.own(network, note, source, "test", eval_seed, other)
    accuracy, _ = score(network, test)
    step = Step(network, affines, max(layer.weight_bits for layer in layers))
    trained_on = note if test.trained_on else {**note, "test_sha256": test.sha256}
    told = {**facts, "eval_seed": eval_seed, "accuracy": f"{accuracy:.4f}"}
    model = write(step, metadata(trained_on) | {key: str(value) for key, value in told.items()})
    known = {**facts, "accuracy": accuracy, "accuracy_images": len(test), "eval_seed": eval_seed}
    return write_proved(model, out, lambda saved: prove(saved, step, test.spikes(0, images)) | known)


def metadata(note: Mapping[str, Any]) -> dict[str, str]:
    """What ONNX metadata say of a data set: its name as `dataset`, all else that a model remembers as JSON in `dataset_…`."""
    rest = {f"dataset_{key}": json.dumps(value, ensure_ascii=False) for key, value in note.items() if key != "name"}
    return {"dataset": str(note["name"]), **rest}


def write_proved(model: onnx.ModelProto, out: Path, proves: Callable[[onnx.ModelProto], dict[str, Any]]) -> dict[str, Any]:
    """Write `model` to `out` and what `proves` returns of the file beside it; see `export` for what is left where this ends."""
    proof_path = out.with_suffix(".proof.json")
    try:
        with atomic(proof_path) as temporary_proof, atomic(out) as temporary:  # the model takes its name first
            onnx.save(model, str(temporary))
            proof = proves(onnx.load(str(temporary)))
            proof |= {"onnx_sha256": hashlib.sha256(temporary.read_bytes()).hexdigest()}
            temporary_proof.write_text(json.dumps(proof, indent=2) + "\n")
            proof_path.unlink(missing_ok=True)  # it spoke of the model that is replaced now
    except SpikelineError:
        out.unlink(missing_ok=True)
        proof_path.unlink(missing_ok=True)
        raise
    return proof


def prove(model: onnx.ModelProto, step: Step, spikes: np.ndarray) -> dict[str, Any]:
    """Run `model` in the QONNX executor, step by step, and compare it with the Brevitas model and the golden model.

    `spikes` is uint8 (B, T, N). Compared exactly are each spike, each state, the class values and the class after
    each step. Returns the counts; raises SpikelineError on the first difference, naming layer and time step.
    """
    images = len(spikes)
    network, scales = step.network, [affine.scale for affine in step.affines]
    stateful = [n for n, layer in enumerate(network.layers) if layer.continuous]
    unit = scales[-1] if step.reads_membranes else 1.0  # of class values
    compared = membranes = 0
    for start in range(0, images, PROOF_BATCH):
        batch = spikes[start : start + PROOF_BATCH]
        reference = golden.run(network, batch, states=True)
        values, classes = reference.running
        ours, theirs = [x.numpy() for x in step.start(len(batch))], step.start(len(batch))
        total = np.zeros(values[:, 0].shape)  # class values so far, of a graph that does not sum them up
        rows = to_pixels(batch)[:, None] if network.direct else batch  # (B, D, N): what the graph takes
        for t in range(network.decisions):
            s = torch.from_numpy(rows[:, t]).float().view(-1, *step.input_shape)
            ran, value, after = _execute(model, s.numpy(), ours)
            with torch.no_grad():
                fired, handed_on, expected, *left = step.trace(s, *theirs)
            for n, ((got, passed), brevitas, passes) in enumerate(zip(ran, fired, handed_on, strict=True)):
                _same(f"spikes of layer {n} at step {t}", got, brevitas.numpy())
                _same(f"spikes that layer {n} hands on at step {t}", passed, passes.flatten(1).numpy())
                _same(f"spikes of layer {n} at step {t} (integers)", passed, reference.spikes[n][:, t])
                compared += got.size
            for n, got, brevitas in zip(stateful, after, left, strict=True):
                _same(f"membranes of layer {n} at step {t}", got, brevitas.numpy())
                states = reference.states[n]
                assert states is not None
                _same(f"integer membranes of layer {n} at step {t}", got.reshape(len(batch), -1) / scales[n], states[:, t])
                membranes += got.size
            _same(f"class values at step {t}", value, expected.numpy())
            total = value if step.accumulates else total + value
            _same(f"integer class values at step {t}", total / unit, values[:, t])
            _same(f"classes at step {t}", total.argmax(1), classes[:, t])
            membranes += value.size * step.reads_membranes
            summed = step.accumulates  # class values are a state too
            ours, theirs = [*after, *[value] * summed], [*left, *[expected] * summed]
    return {
        "images": images,
        "time_steps": network.time_steps,
        "spikes_compared": compared,
        "membranes_compared": membranes,
        "onnx_mismatches": 0,
    }


def _same(what: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    if differing := int((ours != theirs).sum()):
        raise SpikelineError(f"the ONNX file and the Brevitas model differ in {differing} {what}; nothing is written")


def _execute(
    model: onnx.ModelProto, spikes: np.ndarray, states: list[np.ndarray]
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray, list[np.ndarray]]:
    """Of a batch, from the QONNX executor: spikes of each layer and what it hands on, (B, outputs), class values and states."""
    with quiet():
        copy = onnx.ModelProto.FromString(model.SerializeToString())
        for value in (*copy.graph.input, *copy.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = len(spikes)
        copy.graph.ClearField("value_info")
        wrapped = ModelWrapper(copy).transform(InferShapes())
        inputs, outputs = [x.name for x in copy.graph.input], [x.name for x in copy.graph.output]
        context = execute_onnx(wrapped, dict(zip(inputs, [spikes, *states], strict=True)), return_full_exec_context=True)
    fired: list[tuple[np.ndarray, np.ndarray]] = []
    for node in copy.graph.node:
        made = context[node.output[0]]
        if node.name.endswith("_spike"):
            fired.append((made, made.reshape(len(made), -1)))
        elif node.op_type in HANDING_ON:
            fired[-1] = (fired[-1][0], made.reshape(len(made), -1))
    return fired, context[outputs[0]], [context[x] for x in outputs[1:]]
