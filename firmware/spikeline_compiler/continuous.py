"""The layers of a continuous graph, recognised by operators and data flow. What a pass leaves of one layer:

    sum        what a discontinuous layer computes before its spike
    leaked     the state input, or state − scale · ⌊state / (scale · 2^leak)⌋
    membrane   leaked + sum; constants may be added after it
    spikes     what elementwise operators make of the membrane (see `steps`)
    reset      membrane − spikes, or membrane · (1 − spikes)
    state      that, between two constants (Clip, or Max and Min): the state output

An output layer that is read by its membrane has sum and membrane only, without a leak. The graph's first output is that
membrane, or the spikes of the last layer.
"""

import math
from fractions import Fraction

from onnx import NodeProto, TensorProto

from spikeline.errors import CompileError
from spikeline.model.spec import Reset
from spikeline_compiler.graph import LAYERS, Graph, attribute, operator, refuse
from spikeline_compiler.stages import (
    AFFINE,
    ARRANGE,
    LAST_FIX,
    SPIKE_FIX,
    Lasting,
    Stage,
    Values,
    affine,
    arranged,
    begin,
    close,
    elementwise,
    given,
    number,
    two_valued,
    unknown,
)
from spikeline_compiler.steps import MAKERS, UNARY, Step, operand

AGREE = "export the network again so that the two agree"
CHAIN = "export a plain chain of layers, each with its membrane as state input and output"
CLIP_FIX = "clip a state of V bits to -2^(V-1) … 2^(V-1) - 1 times the scale of the weights, exactly: use a power of two as scale"
LEAK_FIX = "export the leak as v - s·Floor(v · 1/(s·2^k)), s being the scale of the weights, with quantised weights"
RESET_FIX = "subtract the spikes from the membrane, or multiply it by 1 - spikes"


def continuous_stages(graph: Graph) -> list[Stage]:
    """Read the layers off a continuous graph that went through the passes.

    Raises CompileError for whatever is not a layer, and if the metadata say another leak, reset or state_bits.
    """
    if not graph.states:
        raise CompileError(
            "integration = continuous but the graph has no state inputs; export each layer's membrane as an input and an "
            "output, or train with discontinuous integration"
        )
    found: list[Stage] = []
    used: set[str] = set()  # what the nodes make that have been read
    tensor, values = graph.input, given(graph.shapes[graph.input])
    while not found or found[-1].tensor != graph.output:
        stage, values = _layer(graph, tensor, values, found, used)
        found.append(stage)
        tensor = stage.tensor
    if found[-1].window:
        raise refuse(found[-1].node, "the last layer is a convolution", LAST_FIX)
    for name in graph.states:
        if all(name not in node.input for node in graph.nodes if node.output[0] in used):
            raise CompileError(f"state input {name!r} is not connected to any layer; {CHAIN}")
    return found  # what is left over would reach no output


def grid(stage: Stage) -> list[Fraction]:
    """What one unit of the integer membrane is worth, for each neuron. Raises CompileError if nothing."""
    if not all(stage.scale):
        raise refuse(stage.node, "a neuron whose weights have a scale of 0", "train again with a scale bounded away from 0")
    return [abs(a) for a in stage.scale]


def _layer(graph: Graph, tensor: str, values: Values, found: list[Stage], used: set[str]) -> tuple[Stage, Values]:
    """The layer that takes `tensor`, in which `values` stand, behind those of `found`; and what stands in its spikes."""
    node, kind = _next(graph, tensor, used), int(TensorProto.FLOAT)
    lead: list[Step] = []
    while operator(node) not in LAYERS:
        if operator(node) in ARRANGE:
            values, lead = arranged(graph, node, two_valued(lead, values), found), []
        else:
            lead.append(elementwise(graph, node, tensor, kind, values.shape))
            kind = lead[-1].kind
        tensor = node.output[0]
        node = _next(graph, tensor, used)
    stage = begin(graph, node, tensor, two_valued(lead, values), found)
    integrate, tensor = _sum(graph, stage, node.output[0], used)
    source, leak, leak_node = _leaked(graph, stage, integrate, tensor, used)
    if graph.shapes[source] != stage.shape:
        has, needed = ("×".join(map(str, x)) for x in (graph.shapes[source], stage.shape))
        raise refuse(integrate, f"state input {source!r} has {has} values for {needed} neurons", "export one for each neuron")
    tensor = _late_biases(graph, stage, integrate.output[0], used)
    if tensor == graph.output:
        if leak:
            raise refuse(leak_node, "the output layer leaks", "train with an output layer that adds up all steps")
        target = stage.tensor = tensor
    else:
        spikes = _spiking(graph, stage, integrate, tensor, used)
        reset, reset_node, kept = _reset(graph, stage, spikes, tensor, used)
        target, state_bits, clip = _saturated(graph, stage, reset_node, used)
        values = close(stage, (-(1 << state_bits), (1 << state_bits) - 1))
        if stage.silent or (reset == Reset.ZERO and stage.amplitude != 1):
            shown = f"{number(stage.silent, 6)} and {number(stage.silent + stage.amplitude, 6)}"
            raise refuse(kept, f"its spikes are {shown}", f"{RESET_FIX}, with spikes of 0 and 1")
        for node, key, value in (
            (leak_node, "leak", leak),
            (reset_node, "reset", reset.name.lower()),
            (clip, "state_bits", state_bits),
        ):
            if (declared := graph.metadata.get(key, str(value))) != str(value):
                raise refuse(node, f"its layer has {key} = {value} where the metadata say {declared}", AGREE)
        stage.lasting = Lasting(target, leak, reset, state_bits)
        stage.tensor = spikes
    if graph.states[source] != target:
        reason = f"its state input {source!r} is paired with output {graph.states[source]!r}, but the layer leaves {target!r}"
        raise refuse(integrate, reason, "name them x_in and x_out, or list state inputs and outputs in the same order")
    return stage, values


def _sum(graph: Graph, stage: Stage, tensor: str, used: set[str]) -> tuple[NodeProto, str]:
    """Compose all that comes before the membrane; returns the Add that makes it, and its operand that is the sum."""
    while True:
        node = _next(graph, tensor, used)
        op = operator(node)
        if op == "Add" and not graph.constants.keys() & set(node.input):
            return node, tensor
        if op in LAYERS or op in MAKERS or op in UNARY:
            reason = "no membrane lasts in the layer before it" if op in LAYERS else "it does not see a membrane that lasts"
            raise refuse(node, reason, "add the layer's state input to its sum, or train with discontinuous integration")
        _check_operator(node)
        if op not in AFFINE:
            raise unknown(node)
        affine(graph, node, stage, tensor)
        tensor = node.output[0]


def _leaked(graph: Graph, stage: Stage, integrate: NodeProto, tensor: str, used: set[str]) -> tuple[str, int, NodeProto]:
    """The state input that `integrate` adds to the sum `tensor`, its leak, and the node that says so."""
    carried = next((x for x in integrate.input if x != tensor), tensor)
    if carried in graph.states:
        return carried, 0, integrate
    subtract = graph.producer(carried)
    if subtract is None or operator(subtract) != "Sub" or subtract.input[0] not in graph.states:
        raise refuse(integrate, f"it adds {carried!r}, neither a state input nor one that leaked", LEAK_FIX)
    source = subtract.input[0]
    path, tensor = [subtract], subtract.input[1]
    for ops in (("Mul",), ("Floor",), ("Mul", "Div")):
        node = graph.producer(tensor)
        if node is None or operator(node) not in ops:
            raise refuse(subtract, f"a leak of {source!r} that is not rounded down to the membrane's grid", LEAK_FIX)
        path.append(node)
        tensor = next((x for x in node.input if x not in graph.constants), "")
    _, up, _, down = path
    if tensor != source or (operator(down) == "Div" and down.input[0] != source):
        raise refuse(down, f"it is no share of {source!r}", LEAK_FIX)
    shifts = set()
    for unit, factor, share in zip(grid(stage), _factor(graph, stage, up), _factor(graph, stage, down), strict=True):
        shift = (share * unit).denominator.bit_length() - 1
        if factor != unit or shift < 1 or share * unit != Fraction(1, 1 << shift):
            reason = f"it takes {number(factor, 6)} · ⌊{number(share, 6)} · v⌋ from a membrane in steps of {number(unit, 6)}"
            raise refuse(subtract, reason, LEAK_FIX)
        shifts.add(shift)
    if len(shifts) > 1:
        raise refuse(subtract, f"leaks of {sorted(shifts)} in one layer", "train with one leak for each layer")
    used.update(x.output[0] for x in path)
    return source, shifts.pop(), subtract


def _factor(graph: Graph, stage: Stage, node: NodeProto) -> list[Fraction]:
    """What a Mul or Div by a constant multiplies by."""
    if operator(node) == "Mul":
        return operand(graph, node, 0 if node.input[0] in graph.constants else 1, "factor", stage.shape)
    divisors = operand(graph, node, 1, "divisor", stage.shape)
    if not all(divisors):
        raise refuse(node, "division by 0", LEAK_FIX)
    return [1 / x for x in divisors]


def _late_biases(graph: Graph, stage: Stage, tensor: str, used: set[str]) -> str:
    """Take up constants that are added to the membrane itself; returns the membrane after them."""
    while tensor != graph.output and len(consumers := graph.consumers(tensor)) == 1:
        (node,) = consumers
        if operator(node) != "Add" and not (operator(node) == "Sub" and node.input[0] == tensor):
            break
        if not graph.constants.keys() & set(node.input):
            break
        affine(graph, node, stage, tensor)
        used.add(node.output[0])
        tensor = node.output[0]
    return tensor


def _spiking(graph: Graph, stage: Stage, integrate: NodeProto, membrane: str, used: set[str]) -> str:
    """Read the steps from the membrane to the spikes; returns their tensor, which reset and next layer take."""
    starts = []
    for node in graph.consumers(membrane):
        op = operator(node)
        if op not in {*UNARY, *MAKERS, *AFFINE}:
            raise unknown(node)
        _check_operator(node)
        if _alone(graph, node, membrane):
            starts.append(node)
    if len(starts) != 1:
        raise refuse(integrate, f"{len(starts)} spikes are made of its membrane", f"put one there: {SPIKE_FIX}")
    tensor, kind, consumers = membrane, int(TensorProto.FLOAT), starts
    while _leads_on(graph, tensor, consumers):
        stage.steps.append(elementwise(graph, consumers[0], tensor, kind, stage.shape))
        tensor, kind = consumers[0].output[0], stage.steps[-1].kind
        used.add(tensor)
        consumers = graph.consumers(tensor)
    return tensor


def _leads_on(graph: Graph, tensor: str, consumers: list[NodeProto]) -> bool:
    """Whether what takes `tensor` is one more step on the way to the spikes."""
    if tensor == graph.output or len(consumers) != 1 or operator(consumers[0]) in (*LAYERS, *ARRANGE):
        return False
    return _alone(graph, consumers[0], tensor)


def _alone(graph: Graph, node: NodeProto, tensor: str) -> bool:
    """Whether a node takes nothing but `tensor` and constants."""
    return all(x == tensor or x in graph.constants for x in node.input if x)


def _reset(graph: Graph, stage: Stage, spikes: str, membrane: str, used: set[str]) -> tuple[Reset, NodeProto, NodeProto]:
    """The reset of a layer, the node that makes it, and the node that takes the spikes for it."""
    for node in graph.consumers(membrane):
        if operator(node) == "Sub" and list(node.input) == [membrane, spikes]:
            used.add(node.output[0])
            return Reset.SUBTRACT, node, node
        kept = graph.producer(next((x for x in node.input if x != membrane), ""))
        if operator(node) == "Mul" and kept is not None and operator(kept) == "Sub" and kept.input[1] == spikes:
            one = operand(graph, kept, 0, "minuend", stage.shape)
            if any(x != 1 for x in one):
                raise refuse(kept, f"it makes {number(one[0], 6)} - spikes", RESET_FIX)
            used.update((kept.output[0], node.output[0]))
            return Reset.ZERO, node, kept
    raise refuse(stage.steps[-1].node, "its spikes do not reset the membrane", RESET_FIX)


def _saturated(graph: Graph, stage: Stage, reset: NodeProto, used: set[str]) -> tuple[str, int, NodeProto]:
    """The state output of a layer, its bits, and the node that clips it."""
    lows: list[list[Fraction]] = []
    highs: list[list[Fraction]] = []
    node, tensor = reset, reset.output[0]
    while tensor not in graph.outputs:
        node = _next(graph, tensor, used)
        op = operator(node)
        side = 1 if node.input[0] == tensor else 0
        if op == "Clip" and side == 1:
            lows.append(_limit(graph, node, 1, "min", stage.shape))
            highs.append(_limit(graph, node, 2, "max", stage.shape))
        elif op in ("Max", "Min") and len(node.input) == 2:
            (lows if op == "Max" else highs).append(operand(graph, node, side, "limit", stage.shape))
        else:
            raise refuse(node, "it works on a membrane after its reset", CLIP_FIX)
        tensor = node.output[0]
    if not lows or not highs:
        raise refuse(node, "the state that it leaves has no lower and upper end", CLIP_FIX)
    units = grid(stage)
    ends = {(max(x[n] for x in lows) / units[n], min(x[n] for x in highs) / units[n]) for n in range(len(units))}
    bottom, top = min(ends)
    bits = int(abs(bottom)).bit_length()
    if len(ends) > 1 or (bottom, top) != (-(1 << bits >> 1), (1 << bits >> 1) - 1):
        reason = f"it keeps states of {number(bottom)} to {number(top)} times the scale of the weights"
        raise refuse(node, reason, CLIP_FIX)
    return tensor, bits, node


def _limit(graph: Graph, node: NodeProto, index: int, name: str, shape: tuple[int, ...]) -> list[Fraction]:
    """An end of a Clip, which is an attribute up to opset 10."""
    value = attribute(node, name, None)
    if value is None:
        return operand(graph, node, index, f"{name}imum", shape)
    if not math.isfinite(value):
        raise refuse(node, f"its {name} is {value}", CLIP_FIX)
    return [Fraction(value)] * shape[0]


def _next(graph: Graph, tensor: str, used: set[str]) -> NodeProto:
    """The one node that takes `tensor` and has not been read."""
    nodes = [node for node in graph.consumers(tensor) if node.output[0] not in used]
    if not nodes:
        raise CompileError(f"nothing leads on from {tensor!r} to output {graph.output!r} or to a state; {CHAIN}")
    if len(nodes) > 1:
        names = ", ".join(repr(n.name or n.output[0]) for n in nodes)
        raise refuse(nodes[0], f"tensor {tensor!r} branches, to {names}", CHAIN)
    used.add(nodes[0].output[0])
    return nodes[0]


def _check_operator(node: NodeProto) -> None:
    if operator(node) == "BatchNormalization":
        reason = "it moves biases and thresholds off the integers that a membrane is kept in from step to step"
        raise refuse(node, reason, "train without BatchNormalization, with quantised biases and thresholds")
