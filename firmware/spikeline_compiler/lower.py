"""Layers of the graph → the integer network, exactly."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.errors import CompileError, ModelError
from spikeline.files import parse_json
from spikeline.model.encode import PIXEL_BITS
from spikeline.model.geometry import FOLDER, Geometry
from spikeline.model.model_file import dataset_fault
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from spikeline_compiler.attributes import check_attributes
from spikeline_compiler.continuous import continuous_stages, grid
from spikeline_compiler.graph import Graph, load, naming, refuse
from spikeline_compiler.passes import PASSES, drop_dead
from spikeline_compiler.stages import Stage, number, stages

DATASET = "dataset_"
LONGEST_NAME = 200  # characters of a data set's name
QUANTISED_FIX = "train with quantised biases and thresholds, whole multiples of the scale of the weights"


def continuous_layer(stage: Stage, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (fan-in, columns), thresholds and biases (columns,), int64, of layer n, whose membrane lasts.

    One unit of the integer membrane is |scale|; all that moves it must be a whole number of them. Raises CompileError.
    """
    assert stage.lasting is not None
    thresholds, biases = [], []
    for neuron, (unit, b, threshold) in enumerate(zip(grid(stage), stage.bias, stage.thresholds, strict=True)):
        bias = b / unit
        if bias.denominator != 1 or abs(bias) >= 1 << 24:
            raise refuse(
                stage.node,
                f"the bias of neuron {neuron} in layer {n} is {number(bias)} times the scale of the weights, "
                + ("more than 24 bits" if bias.denominator == 1 else "not an integer"),
                QUANTISED_FIX,
            )
        if stage.lasting.reset == Reset.SUBTRACT and stage.amplitude / unit != threshold:
            raise refuse(
                stage.node,
                f"neuron {neuron} in layer {n} fires at {threshold} but its reset takes {number(stage.amplitude / unit)}, "
                "in units of the scale of the weights",
                "let the reset subtract the threshold itself, a whole multiple of the scale within the range of the state",
            )
        thresholds.append(threshold)
        biases.append(int(bias))
    signs = np.array([-1 if a < 0 else 1 for a in stage.scale])
    return stage.weights * signs, np.array(thresholds, np.int64), np.array(biases, np.int64)


def output_layer(stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """Weights and thresholds, int64, such that u − θ is x / |scale|. Raises CompileError if there are none."""
    scale = stage.scale[0]
    if any(a != scale for a in stage.scale) or scale == 0:
        raise refuse(
            stage.node,
            "the classes have scales of their own, so integer class values would rank them differently",
            "give the weights of the output layer one scale for all classes (and no BatchNormalization after it)",
        )
    thresholds = []
    for n, b in enumerate(stage.bias):
        bias = round(b / abs(scale))
        if abs(b - bias * abs(scale)) > abs(b) / (1 << 23):  # the product itself was rounded to float32
            raise refuse(
                stage.node,
                f"the bias of class {n} is {number(b / abs(scale), 6)} times the scale of the weights",
                "leave out the bias of the output layer or round it to whole multiples of the scale",
            )
        thresholds.append(-bias)
    if max(map(abs, thresholds)) >= 1 << 31:
        raise refuse(stage.node, "a bias of more than 32 bits", "leave out the bias of the output layer")
    return stage.weights * (-1 if scale < 0 else 1), np.array(thresholds, np.int64)


def lower(graph: Graph, found: list[Stage], geometry: Geometry, time_steps: int, encoder: Encoder) -> Network:
    """Make the integer network of these layers. Raises CompileError for one that does not fit the geometry, or not exactly."""
    layers = []
    if encoder == Encoder.DIRECT and not geometry.direct:
        raise CompileError(geometry.refuses_direct)
    for n, stage in enumerate(found):
        biases = None
        if stage.lasting:
            weights, thresholds, biases = continuous_layer(stage, n)
        else:
            weights, thresholds = (stage.weights, np.array(stage.thresholds, np.int64)) if stage.spikes else output_layer(stage)
        limit = 1 << (geometry.weight_bits - 1)
        if weights.min() < -limit or weights.max() >= limit:
            raise refuse(
                stage.node,
                f"weights from {weights.min()} to {weights.max()} where the accelerator {geometry.name} keeps "
                f"{geometry.weight_bits} bits, {-limit} to {limit - 1}",
                "train with fewer bits (and narrow range, so that they can be negated) or take a geometry with more",
            )
        layer = Layer(weights.astype(np.int8), thresholds.astype(np.int32), window=stage.window)
        if stage.lasting:
            assert biases is not None
            layer = replace(
                layer,
                state_bits=stage.lasting.state_bits,
                biases=biases.astype(np.int32) if biases.any() else None,
                leak=stage.lasting.leak,
                reset=stage.lasting.reset,
            )
            _check_state(geometry, stage, layer, n)
        low, high = layer.range_of(time_steps if encoder == Encoder.DIRECT and n == 0 else 0)
        reach = 1 << (geometry.membrane_bits - 1)
        if low < -reach or high >= reach or thresholds.min() < -reach or thresholds.max() >= reach:
            raise refuse(
                stage.node,
                f"membranes of layer {n} reach from {low} to {high} where the accelerator {geometry.name} has "
                f"{geometry.membrane_bits} bits, {-reach} to {reach - 1}",
                "use a geometry with wider membranes, fewer inputs, or weights of fewer bits"
                + (
                    ", or send fewer bits of the pixels, which are its time steps" if encoder == Encoder.DIRECT and n == 0 else ""
                ),
            )
        layers.append(layer)
    decode = Decode.SPIKE_COUNT if stage.spikes else Decode.MEMBRANE
    declared = graph.metadata.get("output", decode.name.lower())
    if declared != decode.name.lower():
        raise CompileError(
            f"metadata says output = {declared} but the last layer ends {'in' if stage.spikes else 'without'} a spike, "
            f"which means {decode.name.lower()}; export the network again so that the two agree"
        )
    try:
        network = Network(tuple(layers), geometry.weight_bits, time_steps, encoder, decode)
        geometry.require(network)
    except ModelError as error:
        raise CompileError(str(error)) from None
    return network


def _check_state(geometry: Geometry, stage: Stage, layer: Layer, n: int) -> None:
    bits = geometry.membrane_bits - 1
    known = [Geometry.load(path.stem) for path in sorted(FOLDER.glob("*.json"))]
    others = [x.name for x in known if x.continuous and x.membrane_bits == layer.state_bits + 1]
    other = (
        f"take a continuous geometry with membranes of {layer.state_bits + 1} bits ({', '.join(others) or 'none is built in'})"
    )
    if not geometry.continuous:
        raise refuse(
            stage.node,
            f"layer {n} is continuous where the accelerator {geometry.name} is built for discontinuous networks only",
            f"{other}, or train with discontinuous integration",
        )
    if layer.state_bits != bits:
        raise refuse(
            stage.node,
            f"layer {n} has a state of {layer.state_bits} bits where the accelerator {geometry.name} saturates at {bits}",
            f"{other}, or train with state_bits = {bits}",
        )


def read_stages(graph: Graph, planes: int = 0) -> list[Stage]:
    """Read the layers off a graph that went through the passes; planes: of direct input, 0 if it is spikes.

    Raises CompileError for whatever is not a layer.
    """
    if graph.integration not in ("discontinuous", "continuous"):
        raise CompileError(f"integration = {graph.integration} is not known; train with discontinuous or continuous integration")
    if graph.integration == "continuous" and planes:
        raise CompileError("direct input is decided once an image, so no membrane can last; train with discontinuous integration")
    return continuous_stages(graph) if graph.integration == "continuous" else stages(graph, planes)


def read(path: Path | str) -> Graph:
    """Read an ONNX file and run all passes over it. Raises CompileError."""
    graph = load(path)
    drop_dead(graph)
    check_attributes(graph)
    for rewrite in PASSES:
        rewrite(graph)
    return graph


def compile_onnx(path: Path | str, geometry: Geometry, time_steps: int | None = None, encoder: str | None = None) -> Network:
    """Compile an ONNX file for an accelerator of this geometry.

    `time_steps` and `encoder` overrule the file's metadata. Raises CompileError that names the file, the node,
    the reason and the fix for anything that cannot be mapped exactly.
    """
    return compile_with_warnings(path, geometry, time_steps, encoder)[0]


def compile_with_warnings(
    path: Path | str, geometry: Geometry, time_steps: int | None = None, encoder: str | None = None
) -> tuple[Network, list[str]]:
    """As `compile_onnx`, and what the user should know of the network, a sentence each."""
    with naming(path):
        graph = read(path)
        steps, kind = _input(graph, time_steps, encoder)
        found = read_stages(graph, steps if kind == Encoder.DIRECT else 0)
        network = lower(graph, found, geometry, steps, kind)
        return network, [rounding(n, stage) for n, stage in enumerate(found) if stage.risks]


def trained_on(path: Path | str) -> dict[str, Any] | None:
    """What the file's metadata say of the data set, as a model's note has it; None if they name none.

    That is `dataset`, its name, and JSON in `dataset_…`. Raises CompileError for what is no name and no JSON.
    """
    with naming(path):
        metadata = load(path).metadata
        name = metadata.get("dataset")
        if name is None:
            return None
        if not (name.isprintable() and 0 < len(name) <= LONGEST_NAME):
            raise CompileError(
                f"its metadata's dataset is no name of at most {LONGEST_NAME} characters; export the network again"
            )
        note: dict[str, Any] = {"name": name}
        for key, text in metadata.items():
            if key.startswith(DATASET):
                try:
                    note[key.removeprefix(DATASET)] = parse_json(text.encode())
                except ValueError as error:
                    raise CompileError(f"its metadata's {key} is no JSON ({error}); export the network again") from None
        if fault := dataset_fault(note):
            raise CompileError(f"its metadata's data set {fault}; export the network again")
        return note


def rounding(n: int, stage: Stage) -> str:
    """The warning that float32 may round sums of a layer across its threshold."""
    neurons = sorted({neuron for neuron, _ in stage.risks})
    neuron, u = stage.risks[0]
    kind = "map" if stage.window else "neuron"
    x = abs(stage.scale[neuron]) * u if stage.lasting else stage.scale[neuron] * u + stage.bias[neuron]
    return (
        f"layer {n}: {len(neurons)} of {len(stage.scale)} {kind}s can have a sum so near their threshold that float32 may round "
        f"it across ({kind} {neuron} at {number(x, 8)}); the accelerator decides by exact arithmetic, so a spike may differ from "
        "the ONNX. Use scales that are powers of two, or biases half-way between two multiples of the scale; --verify counts "
        "what differs"
    )


def _input(graph: Graph, time_steps: int | None, encoder: str | None) -> tuple[int, Encoder]:
    """Time steps and encoder: what is given, or what the file says."""
    encoder = encoder or graph.metadata.get("encoder")
    if encoder is None or encoder.upper() not in Encoder.__members__:
        known = ", ".join(e.name.lower() for e in Encoder)
        raise CompileError(f"encoder is {encoder or 'not in the metadata'}; give one of {known} with --encoder")
    steps = time_steps if time_steps is not None else graph.metadata.get("time_steps", "")
    if not re.fullmatch("[0-9]{1,5}", str(steps)) or not 1 <= int(steps) < 1 << 16:
        raise CompileError(f"time_steps is {steps or 'not in the metadata'}; give 1 to 65535 with --time-steps")
    if encoder.upper() == Encoder.DIRECT.name and int(steps) > PIXEL_BITS:
        raise CompileError(f"time_steps is {steps}; direct input has one for each bit of the pixels, so give 1 to {PIXEL_BITS}")
    return int(steps), Encoder[encoder.upper()]
