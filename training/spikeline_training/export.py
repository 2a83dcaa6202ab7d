"""Export: a trained network as QONNX, proved equal to the Brevitas model and to the golden model before it takes its name.

The graph is one time step of the network. Its float arithmetic is exact (see integers.py), so "equal" means equal.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from spikeline.data import samples
from spikeline.errors import PresetError, SpikelineError
from spikeline.files import atomic
from spikeline.model import golden
from spikeline.model.encode import to_pixels
from spikeline_training import checkpoint
from spikeline_training.graph import OUTPUT, Step, quiet, write
from spikeline_training.integers import convert
from spikeline_training.scoring import score

PROOF_BATCH = 500  # images per run of the executor


def export(
    checkpoint_path: Path, out: Path, images: int = 1000, root: Path | None = None, strict: bool = False
) -> dict[str, Any]:
    """Write the checkpoint's network to `out` (.onnx) and the proof beside it (.proof.json); return the proof.

    The proof runs the file in the QONNX executor on the first `images` test samples, and compares every hidden spike, all
    states, the class values and the class with the Brevitas model and the golden model. `root` is the folder of the data
    set's files; `strict` refuses recordings that are otherwise mended. Raises PresetError for an unusable checkpoint,
    DataError for bad data, SpikelineError for a mismatch; no file is left then. Wherever the program may be killed, the model
    is the old one or the new, and a proof is that of the model.
    """
    trained, preset, history = checkpoint.load(checkpoint_path)
    try:
        network, affines = convert(trained)
    except PresetError as error:
        raise PresetError(f"{checkpoint_path}: {error}") from None
    test = samples.load(network, "test", preset.data, root, preset.eval_seed, strict)
    accuracy, _ = score(network, test)
    step = Step(network, affines, preset.weight_bits)
    run = {"dataset": preset.data, "preset": preset.name, "seed": str(preset.seed), "eval_seed": str(preset.eval_seed)}
    model = write(step, run | {"accuracy": f"{accuracy:.4f}", "epochs_trained": str(len(history))})
    facts = {"accuracy": accuracy, "accuracy_images": len(test), "preset": preset.name, "eval_seed": preset.eval_seed}
    return write_proved(model, out, lambda saved: prove(saved, step, test.spikes(0, images)) | facts)


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

    `spikes` is uint8 (B, T, N). Compared exactly are each hidden spike, each state, the class values and the class after
    each step. Returns the counts; raises SpikelineError on the first difference, naming layer and time step.
    """
    images = len(spikes)
    network, scales = step.network, [affine.scale for affine in step.affines]
    stateful = [n for n, layer in enumerate(network.layers) if layer.continuous]
    compared = membranes = 0
    for start in range(0, images, PROOF_BATCH):
        batch = spikes[start : start + PROOF_BATCH]
        reference = golden.run(network, batch, states=True)
        values, classes = reference.running
        ours, theirs = [x.numpy() for x in step.start(len(batch))], step.start(len(batch))
        total = np.zeros(values[:, 0].shape)  # class values so far, of a graph that does not sum them up
        rows = to_pixels(batch)[:, None] if network.direct else batch  # (B, D, N): what the graph takes
        for t in range(network.decisions):
            s = torch.from_numpy(rows[:, t]).float()
            hidden, value, after = _execute(model, s.numpy(), ours)
            with torch.no_grad():
                fired, expected, *left = step.trace(s, *theirs)
            for n, (got, brevitas) in enumerate(zip(hidden, fired, strict=True)):
                _same(f"spikes of hidden layer {n} at step {t}", got, brevitas.numpy())
                _same(f"spikes of hidden layer {n} at step {t} (integers)", got, reference.spikes[n][:, t])
                compared += got.size
            for n, got, brevitas in zip(stateful, after, left, strict=True):
                _same(f"membranes of hidden layer {n} at step {t}", got, brevitas.numpy())
                states = reference.states[n]
                assert states is not None
                _same(f"integer membranes of hidden layer {n} at step {t}", got / scales[n], states[:, t])
                membranes += got.size
            _same(f"output membranes at step {t}", value, expected.numpy())
            total = value if step.accumulates else total + value
            _same(f"integer class values at step {t}", total / scales[-1], values[:, t])
            _same(f"classes at step {t}", total.argmax(1), classes[:, t])
            membranes += value.size
            if step.accumulates:
                ours, theirs = [*after, value], [*left, expected]
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
) -> tuple[list[np.ndarray], np.ndarray, list[np.ndarray]]:
    """Hidden spikes, class values and states of a batch, from the QONNX executor."""
    with quiet():
        copy = onnx.ModelProto.FromString(model.SerializeToString())
        for value in (*copy.graph.input, *copy.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = len(spikes)
        copy.graph.ClearField("value_info")
        wrapped = ModelWrapper(copy).transform(InferShapes())
        inputs, outputs = [x.name for x in copy.graph.input], [x.name for x in copy.graph.output]
        context = execute_onnx(wrapped, dict(zip(inputs, [spikes, *states], strict=True)), return_full_exec_context=True)
    hidden = [x.output[0] for x in copy.graph.node if x.name.endswith("_spike")]
    return [context[x] for x in hidden], context[OUTPUT], [context[x] for x in outputs[1:]]
