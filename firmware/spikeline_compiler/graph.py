"""The ONNX graph that the passes rewrite, and the contract that each of them keeps."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_model

from spikeline.errors import CompileError
from spikeline.files import read
from spikeline_compiler import foreign

LARGEST, MOST_NODES = 1 << 28, 2000  # bytes and nodes of a file: eight layers need far fewer
MOST_INPUTS = 1 << 20
OLDEST_OPSET = 9  # before it, broadcasting, Dropout and BatchNormalization meant other things
STANDARD_DOMAINS = ("", "ai.onnx")
QONNX = "qonnx.custom_op.general"
QONNX_INPUTS = {"Quant": 4, "IntQuant": 4, "BipolarQuant": 2, "MultiThreshold": 2}
QONNX_OPS = {*QONNX_INPUTS, "Trunc", "FloatQuant"}
LAYERS = ("MatMul", "Conv")  # what begins a layer, after the passes
OLDER_DOMAINS = ("onnx.brevitas", "finn.custom_op.general", "finn", "qonnx", "brevitas", "")  # of the same operators

FLAT = (
    "export the network with float32 inputs of a known shape, (batch, inputs) of at most a million, or of images that a Conv "
    "takes or a Flatten makes flat; states (batch, neurons) or (batch, maps, height, width)"
)

# A pass rewrites a graph in place, so that
#   - the graph computes the same function of real numbers, and its inputs and outputs keep their names;
#   - every spike tensor keeps its name, so that it can be looked up in an execution of the file as it was;
#   - running it again changes nothing;
#   - what it does not know it leaves alone, and `lower` refuses what is left; it raises CompileError only for a node
#     that it knows but that cannot be mapped.
Pass = Callable[["Graph"], None]


@dataclass(frozen=True)
class Scaled:
    """A constant as integers, and what they are multiplied or divided by, exactly."""

    integers: np.ndarray  # int64
    factors: tuple[tuple[str, np.ndarray], ...] = ()  # ("Mul" or "Div", float32 that broadcasts to the integers)


class Graph:
    """One time step of a network: float spikes (batch, inputs), or maps of them, in, one output, nodes in topological order.

    A continuous network also takes membranes from the step before and makes those for the next.
    """

    def __init__(self, model: ModelProto):
        """Raise CompileError unless there are float32 spikes (batch, width) and an output, or an output for each membrane."""
        self.model = model
        graph = model.graph
        self.opset = next((x.version for x in model.opset_import if x.domain in STANDARD_DOMAINS), onnx.defs.onnx_opset_version())
        self.nodes: list[NodeProto] = list(graph.node)
        self.constants: dict[str, np.ndarray] = {x.name: numpy_helper.to_array(x) for x in graph.initializer}
        self.scaled: dict[str, Scaled] = {}  # constants of which more is known than their rounded product
        self.metadata = {p.key: p.value for p in model.metadata_props}
        inputs = [x for x in graph.input if x.name not in self.constants]
        self.outputs = [x.name for x in graph.output]
        self.integration = self.metadata.get("integration", "continuous" if len(inputs) > 1 else "discontinuous")
        expected = {1} if len(inputs) == 1 else {len(inputs) - 1, len(inputs)}  # first the last membrane, or else spikes
        if not inputs or len(set(self.outputs)) not in expected or (len(inputs) > 1 and self.integration == "discontinuous"):
            raise CompileError(
                f"the graph has {len(inputs)} inputs and {len(self.outputs)} outputs; export one time step: of a discontinuous "
                "network from one spike vector to one output, of a continuous one (integration = continuous) from spikes and "
                "the membranes of all layers to the membrane of the last, or to its spikes, and the membranes of the others"
            )
        self.shapes = {x.name: _shape(x) for x in inputs}  # of one sample
        self.widths = {name: math.prod(shape) for name, shape in self.shapes.items()}
        for name in list(self.shapes)[1:]:
            if len(self.shapes[name]) not in (1, 3):
                shape = ", ".join(map(str, self.shapes[name]))
                raise CompileError(f"state input {name!r} has the shape (batch, {shape}); {FLAT}")
        self.input, self.inputs = inputs[0].name, self.widths[inputs[0].name]
        self.output = self.outputs[0]
        self.states = _feedback([x.name for x in inputs[1:]], self.outputs)

    def to_model(self) -> ModelProto:
        """Return the graph as it stands, as ONNX."""
        model = ModelProto()
        model.CopyFrom(self.model)
        graph = model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in self.constants.items())
        return model

    def producer(self, tensor: str) -> NodeProto | None:
        """The node that makes `tensor`, or None for inputs and constants."""
        return next((node for node in self.nodes if tensor in node.output), None)

    def consumers(self, tensor: str) -> list[NodeProto]:
        return [node for node in self.nodes if tensor in node.input]

    def fresh(self, name: str) -> str:
        """A tensor name like `name` that is not in use."""
        used = {*self.widths, *self.constants, *(t for node in self.nodes for t in (*node.input, *node.output))}
        while name in used:
            name += "_"
        return name

    def add_constant(self, name: str, value: np.ndarray) -> str:
        name = self.fresh(name)
        self.constants[name] = value
        return name

    def replace(self, node: NodeProto, *others: NodeProto) -> None:
        """Put `others` in the place of `node`."""
        at = next(i for i, x in enumerate(self.nodes) if x is node)
        self.nodes[at : at + 1] = others


def _shape(value: ValueInfoProto) -> tuple[int, ...]:
    """Shape of one sample of an input."""
    tensor = value.type.tensor_type
    dims = tensor.shape.dim
    sizes = [d.dim_value for d in dims[1:]]
    if not sizes or min(sizes) < 1 or math.prod(sizes) > MOST_INPUTS or tensor.elem_type != onnx.TensorProto.FLOAT:
        shape = [d.dim_value or d.dim_param or "?" for d in dims]
        raise CompileError(f"input {value.name!r} is {onnx.TensorProto.DataType.Name(tensor.elem_type)} {shape}; {FLAT}")
    return tuple(sizes)


def _feedback(inputs: list[str], outputs: list[str]) -> dict[str, str]:
    """The output that each membrane input takes at the next time step.

    Membranes named x_in and x_out belong together, whatever their order; else they stand in the same order. The first
    output is the output layer's membrane, which belongs to the input that is left, or the last; or it is its spikes.
    """
    by_name = {f"{x.removesuffix('_out')}_in": x for x in outputs[1:] if x.endswith("_out")}
    if len(by_name) < len(outputs) - 1 or not by_name.keys() <= set(inputs):
        by_name = dict(zip(inputs, outputs[1:], strict=False))
    return {x: by_name.get(x, outputs[0]) for x in inputs}


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Put the file before what a CompileError says."""
    try:
        yield
    except CompileError as error:
        raise CompileError(f"{path}: {error}") from None


def load_model(path: Path | str) -> ModelProto:
    """The file, with tensors that it keeps in other files of its folder, and QONNX operators under the name that they have today.

    Raises CompileError for a file of another kind, else what `load` makes a CompileError of.
    """
    data = read(path, LARGEST)
    try:
        model = onnx.load_model_from_string(data)
        is_model = bool(model.graph.node)
    except DecodeError:
        is_model = False
    if not is_model and (known := foreign.describe(Path(path), data)):
        raise CompileError(f"it is {known[0]}, no ONNX file; {known[1]}")
    if not data or not is_model:
        model = onnx.load_model_from_string(data)  # raises what is wrong with it
    _check_weights(model, Path(path).parent)
    load_external_data_for_model(model, str(Path(path).parent))  # refuses links, and what lies elsewhere
    _rename_domains(model)
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _check_weights(model: ModelProto, folder: Path) -> None:
    """Raise CompileError if tensors lie in a file that is not there, or too short."""
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        facts = {x.key: x.value for x in tensor.external_data}
        name = facts.get("location", "")
        if not name or Path(name).name != name or (folder / name).is_symlink():
            continue  # onnx refuses it
        if not (folder / name).exists():
            reason = f"its weights are in a file of their own, {name!r}, which is not beside it"
            raise CompileError(f"{reason}; put that file into the same folder under this name, or export with the weights inside")
        if not (folder / name).is_file():
            continue
        with (folder / name).open("rb") as file:
            if file.read(len(foreign.LFS[0])) == foreign.LFS[0]:
                raise CompileError(f"its weights in {name!r} are {foreign.LFS[1]}; {foreign.LFS[2]}")
        numbers = [facts.get(key, "0") for key in ("offset", "length")]
        sound = all(x.isascii() and x.isdigit() and len(x) < 20 for x in numbers)
        if sound and sum(map(int, numbers)) > (folder / name).stat().st_size:
            raise CompileError(f"its weights in {name!r} are cut short; copy or export both files again")


def _rename_domains(model: ModelProto) -> None:
    """Give operators of QONNX the domain that they have today; import domains that are not imported, as QONNX does."""
    versions = {x.domain: x.version for x in model.opset_import}
    found = [x for x in model.graph.node if x.op_type in QONNX_OPS and x.domain in (QONNX, *OLDER_DOMAINS)]
    version = next((versions[x.domain] for x in found if x.domain and x.domain in versions), 1)
    for node in found:
        node.domain = QONNX
    used = {x.domain for x in model.graph.node if not isinstance(x.domain, bytes)}
    for domain in sorted(used - versions.keys() - {*STANDARD_DOMAINS}):
        model.opset_import.append(helper.make_opsetid(domain, version if domain == QONNX else 1))


def load(path: Path | str) -> Graph:
    """Read an ONNX file. Raises CompileError if it is missing, damaged, too old, too new, too large or not one time step."""
    try:
        model = load_model(path)
        if len(model.graph.node) > MOST_NODES:
            raise CompileError(f"{len(model.graph.node)} nodes are no network of layers; export at most {MOST_NODES}")
        opset = next((x.version for x in model.opset_import if x.domain in STANDARD_DOMAINS), 0)
        _check_versions(model.ir_version, opset)
        onnx.checker.check_model(model)
        if opset < OLDEST_OPSET:
            raise CompileError(f"it is of ONNX opset {opset}; export it at opset {OLDEST_OPSET} or later")
        for node in model.graph.node:  # the checker knows the standard operators only
            if any(isinstance(x, bytes) for x in (node.name, *node.input, *node.output)):  # what protobuf cannot decode
                raise refuse(node, "a name that is not UTF-8", "export the network again")
            lacks_attributes = operator(node) == "Constant" and not node.attribute
            if len(node.input) < QONNX_INPUTS.get(operator(node), 0) or not node.output or lacks_attributes:
                raise refuse(node, "it lacks inputs, outputs or attributes", "export the network again")
        return Graph(model)
    except OSError as error:
        raise CompileError(f"it cannot be read ({error.strerror or error}); name the ONNX file of a network") from None
    except (DecodeError, onnx.checker.ValidationError, ValueError, TypeError, RuntimeError, LookupError, MemoryError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CompileError(f"it is not a sound ONNX file ({reason}); export the network again") from None


def _check_versions(ir: int, opset: int) -> None:
    newest = onnx.defs.onnx_opset_version()
    for what, value, known in (("IR version", ir, onnx.IR_VERSION), ("opset", opset, newest)):
        if known < value < 1000:
            raise CompileError(
                f"it is of ONNX {what} {value}, the installed onnx {onnx.__version__} reads up to {known}; "
                f"run `pip install --upgrade onnx`, or export at opset {min(newest, 21)}"
            )


def operator(node: NodeProto) -> str:
    """Name of the operator; one of a foreign domain carries the domain, so that it matches nothing we know."""
    if node.domain in STANDARD_DOMAINS:
        return node.op_type
    if node.domain == QONNX and node.op_type in QONNX_OPS:
        return "Quant" if node.op_type == "IntQuant" else node.op_type
    return f"{node.domain}.{node.op_type}"


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Value of an attribute, text as str. Raises CompileError if its type is not that of the default, if there is one."""
    try:
        value = next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
    except ValueError as error:
        raise refuse(node, f"a damaged attribute {name} ({error})", "export the network again") from None
    value = value.decode(errors="replace") if isinstance(value, bytes) else value
    if default is not None and not isinstance(value, type(default)):
        raise refuse(node, f"its {name} is no {type(default).__name__} but {value!r}", "export the network again")
    return value


def refuse(node: NodeProto, reason: str, fix: str) -> CompileError:
    """The error that names the node, what is wrong with it and what to do."""
    name = repr(node.name) if node.name else f"that makes {node.output[0] if node.output else '?'!r}"
    return CompileError(f"{node.op_type} node {name}: {reason}; {fix}")


def constant_input(graph: Graph, node: NodeProto, index: int, what: str) -> np.ndarray:
    """A constant operand of `node`. Raises CompileError if it is not constant, or not finite."""
    name = node.input[index] if index < len(node.input) else ""
    if not name:
        raise refuse(node, f"it has no {what}", "export the network again")
    if name not in graph.constants:
        maker = graph.producer(name)
        by = f"made by {operator(maker)}, " if maker is not None else ""
        raise refuse(node, f"its {what} {name!r} is {by}not a constant", "export it as a constant of the file")
    value = graph.constants[name]
    if value.dtype.kind in "cOSU":
        raise refuse(node, f"its {what} {name!r} is {value.dtype}", "export it as float32 or as integers")
    if not value.size:
        raise refuse(node, f"its {what} {name!r} is empty", "export the network again")
    if not np.isfinite(value.astype(np.float64)).all():
        raise refuse(node, f"its {what} {name!r} has a NaN or an infinity", "train again from before the loss diverged")
    return value
