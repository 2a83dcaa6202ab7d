"""Compare an ONNX file, run by the QONNX executor as it was exported, with the golden model on the compiled image."""

from pathlib import Path

import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.infer_shapes import InferShapes

from spikeline import golden
from spikeline.errors import CompileError
from spikeline.image import Image
from spikeline_compiler.lower import read, stages

ROWS = 4096  # time steps executed at once: what a few hundred megabytes hold


def execute(model: onnx.ModelProto, rows: np.ndarray, tensors: list[str]) -> list[np.ndarray]:
    """Values of `tensors` for input rows (R, inputs), by the QONNX executor. Raises CompileError if it cannot."""
    chunk = min(ROWS, len(rows))
    pieces = []
    try:
        wrapper = ModelWrapper(model, make_deepcopy=True).transform(ChangeBatchSize(chunk)).transform(InferShapes())
        for start in range(0, len(rows), chunk):
            piece = rows[start : start + chunk].astype(np.float32)
            padded = np.pad(piece, ((0, chunk - len(piece)), (0, 0)))
            context = execute_onnx(wrapper, {wrapper.graph.input[0].name: padded}, return_full_exec_context=True)
            pieces.append([context[t][: len(piece)] for t in tensors])
    except Exception as error:  # whatever the executor, its runtime or its shape inference meet
        raise CompileError(f"the QONNX executor cannot run the network ({error}); compile without --verify") from error
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def verify(path: Path | str, image: Image, spikes: np.ndarray) -> dict[str, int]:
    """Count the images on which ONNX and golden model differ in any spike, at any step, or in a class value.

    spikes: uint8 (B, T, inputs) of 0/1. Returns images, time_steps, spikes_compared and onnx_mismatches.
    Raises CompileError for a file that cannot be read or run.
    """
    batch, steps, inputs = spikes.shape
    layers = stages(read(path))
    outputs = execute(onnx.load(path), spikes.reshape(-1, inputs), [layer.tensor for layer in layers])
    trace = golden.run(image.network, spikes)
    wrong = np.zeros(batch, bool)
    compared = 0
    for layer, seen, fired in zip(layers, outputs, trace.spikes, strict=True):
        if layer.spikes:
            differs = seen.reshape(fired.shape) != fired * np.float32(layer.amplitude)
            compared += fired.size
        else:
            differs = np.rint(seen.reshape(fired.shape) / float(abs(layer.scale[0]))) != trace.membranes
        wrong |= differs.any((1, 2))
    return {"images": batch, "time_steps": steps, "spikes_compared": compared, "onnx_mismatches": int(wrong.sum())}
