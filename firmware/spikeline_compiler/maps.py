"""Spikes as maps: the shapes that they take on their way through a graph, and the window of a Conv and of a MaxPool.

The shape of a sample, without its batch, is (width,) if it is flat and (channels, height, width) if it is maps.
"""

import math
from dataclasses import replace

import numpy as np
from onnx import NodeProto

from spikeline.model.network import KERNELS, Window
from spikeline_compiler.graph import Graph, attribute, operator, refuse

POOL_FIX = "pool spikes by MaxPool of 2×2 with stride 2, without padding, directly behind the spike of a convolution"
PADS_FIX = "pad all sides alike, by 0 or by kernel // 2"


def flat(graph: Graph, tensor: str) -> bool:
    """Whether the samples of a tensor are known to be flat."""
    while (node := graph.producer(tensor)) is not None:
        op = operator(node)
        if op in ("MatMul", "Gemm", "Flatten"):
            return True
        if op == "Reshape":
            return node.input[1] in graph.constants and graph.constants[node.input[1]].size == 2
        if op in ("Conv", "MaxPool"):
            return False
        tensor = next((x for x in node.input if x not in graph.constants), "")
    return len(graph.shapes.get(tensor, (1,))) == 1


def reshaped(graph: Graph, node: NodeProto, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """What a Flatten or Reshape makes of samples of this shape; None if it does not leave the samples apart."""
    size = math.prod(shape)
    if operator(node) == "Flatten":
        return (size,) if attribute(node, "axis", 1) in (1, -len(shape)) else None
    if node.input[1] not in graph.constants:
        return None
    batch, *sides = graph.constants[node.input[1]].reshape(-1).tolist() or [0]
    if not attribute(node, "allowzero", 0):
        sides = [shape[n] if side == 0 and n < len(shape) else side for n, side in enumerate(sides)]
        batch = batch or 1  # as it is
    if batch not in (1, -1) or (batch, *sides).count(-1) > 1:
        return None
    rest = math.prod(side for side in sides if side != -1)
    sides = [size // rest if side == -1 and rest > 0 else side for side in sides]
    return tuple(sides) if sides and min(sides) > 0 and math.prod(sides) == size else None


def window(node: NodeProto, weights: np.ndarray, shape: tuple[int, ...]) -> Window:
    """How a Conv of `weights` goes over maps of this shape. Raises CompileError for a way that the accelerator does not know."""
    channels, height, width = shape
    if weights.ndim != 4:
        fix = "convolve over height and width, with weights (maps, channels, kernel, kernel)"
        raise refuse(node, f"weights of shape {weights.shape}", fix)
    if (groups := attribute(node, "group", 1)) != 1:
        raise refuse(node, f"its channels are in {groups} groups", "let each map see all channels, group = 1")
    if weights.shape[1] != channels:
        raise refuse(node, f"weights for {weights.shape[1]} channels on {channels}", "export the network again")
    kernel = tuple(weights.shape[2:])
    if (said := _pair(node, "kernel_shape", list(kernel))) != kernel:
        raise refuse(node, f"its kernel_shape is {_by(said)}, its weights {_by(kernel)}", "export the network again")
    _undilated(node)
    if kernel[0] != kernel[1]:
        raise refuse(node, f"a kernel of {_by(kernel)}", f"use one of {', '.join(_by((k, k)) for k in KERNELS)}")
    strides = _pair(node, "strides", [1, 1])
    if strides[0] != strides[1] or strides[0] < 1:
        raise refuse(node, f"strides of {strides[0]} and {strides[1]}", "use the same stride both ways, 1 or 2")
    found = Window(channels, height, width, kernel[0], strides[0], _padding(node, (height, width), kernel, strides))
    _require(node, found)
    return found


def pooled(node: NodeProto, before: Window) -> Window:
    """`before` with the pooling of a MaxPool. Raises CompileError for any but 2×2 that do not overlap."""
    sides = before.positions
    kernel, strides = _pair(node, "kernel_shape", [0, 0]), _pair(node, "strides", [1, 1])
    _undilated(node)
    if kernel != (2, 2) or strides != (2, 2):
        raise refuse(node, f"a kernel of {_by(kernel)} with strides of {strides[0]} and {strides[1]}", POOL_FIX)
    if _padding(node, sides, kernel, strides) or (attribute(node, "ceil_mode", 0) and any(side % 2 for side in sides)):
        raise refuse(node, f"on maps of {_by(sides)} it looks beyond their border", POOL_FIX)
    found = replace(before, pool=True)
    _require(node, found)
    return found


def _require(node: NodeProto, found: Window) -> None:
    if fault := found.fault():
        reason, _, fix = fault.partition("; ")
        raise refuse(node, reason, fix)


def _undilated(node: NodeProto) -> None:
    dilations = attribute(node, "dilations", [1, 1])
    if any(x != 1 for x in dilations):
        raise refuse(node, f"dilations of {' and '.join(map(str, dilations))}", "use dilations of 1")


def _padding(node: NodeProto, sides: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Zeros around a map. Those at its lower and right end may differ, if that makes no position more or less."""
    automatic = attribute(node, "auto_pad", "NOTSET")
    if automatic not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise refuse(node, f"auto_pad = {automatic} is not known", PADS_FIX)
    if automatic == "NOTSET":
        pads = attribute(node, "pads", [0] * 4)
        if len(pads) != 4:
            raise refuse(node, f"pads of {len(pads)} numbers", PADS_FIX)
        begins, ends = pads[:2], pads[2:]
    else:
        totals = [
            0 if automatic == "VALID" else max((-(-side // step) - 1) * step + k - side, 0)
            for side, k, step in zip(sides, kernel, strides, strict=True)
        ]
        halves = [x // 2 for x in totals]
        rest = [x - half for x, half in zip(totals, halves, strict=True)]
        begins, ends = (rest, halves) if automatic == "SAME_LOWER" else (halves, rest)
    padding = begins[0]
    for side, k, step, end in zip(sides, kernel, strides, ends, strict=True):
        if (side + padding + end - k) // step != (side + 2 * padding - k) // step or begins[1] != padding:
            which = "" if automatic == "NOTSET" else f", of auto_pad = {automatic} on maps of {_by(sides)}"
            raise refuse(node, f"pads of {', '.join(map(str, (*begins, *ends)))} (top, left, bottom, right{which})", PADS_FIX)
    return padding


def _pair(node: NodeProto, name: str, default: list[int]) -> tuple[int, ...]:
    values = attribute(node, name, default)
    if len(values) != 2:
        raise refuse(node, f"{name} of {len(values)} numbers", "work on maps, of height and width")
    return tuple(values)


def _by(sides: tuple[int, ...]) -> str:
    return "×".join(map(str, sides))
