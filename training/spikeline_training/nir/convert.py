"""`spikeline import`: a NIR file to QONNX with its proof, exactly where it can be, else with what was changed said."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data import samples
from spikeline.data.data_sets import find
from spikeline.data.samples import Samples
from spikeline.errors import CompileError, DataError, ModelError, SpikelineError
from spikeline.model import golden
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset
from spikeline_training.export import metadata, prove, write_proved
from spikeline_training.graph import Step, write
from spikeline_training.integers import Affine
from spikeline_training.nir import exact, quantise, reference
from spikeline_training.nir.exact import InexactError, Integers
from spikeline_training.nir.fine_tune import fine_tune
from spikeline_training.nir.quantise import Fitted
from spikeline_training.nir.read import Dense, read
from spikeline_training.nir.reference import FloatLayer
from spikeline_training.nir.rules import neuron, rules
from spikeline_training.scoring import score

CALIBRATION = 500  # training samples


@dataclass(frozen=True)
class Imported:
    """The integer network, what computes the same in float, and of each layer why it is not exactly the float one, or None."""

    network: Network
    affines: list[Affine]
    bits: int
    inexact: list[str | None]


def import_nir(
    path: Path,
    out: Path,
    data: str,
    reset: str,
    framework: str | None = None,
    *,
    bits: int | None = None,
    epochs: int = 0,
    time_steps: int = 8,
    encoder: str = "bernoulli",
    dt: float | None = None,
    root: Path | None = None,
    strict: bool = False,
    seed: int = 0,
    images: int = 1000,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Import the network of a NIR file to `out` (.onnx), with a proof beside it; returns the proof.

    reset: `subtract` or `zero`. framework: whose rule of time it has, a key of `rules.RULES`. bits: of weights, 2, 4 or 8;
    without them every layer must be exact. epochs: of fine-tuning. dt: its time step in seconds. The rest is as in `export`.

    The proof also tells the accuracy of the float network and of the integer network on all test samples and, of each layer,
    whether it is exact and the share of its spikes that differ on the first `images`. Raises CompileError for a network that
    is refused, DataError for bad data, SpikelineError for a mismatch; no file is left then.
    """
    with _naming(path):
        dense = read(path)
        layers = float_layers(dense, framework, reset, dt)
        template = _template(dense, time_steps, encoder)
    source = find(data, root, strict)
    with _naming(path, DataError):
        samples.check(template, source)
    test = samples.load(template, "test", source, seed=seed)
    train = samples.load(template, "train", source, seed=seed) if bits else None
    with _naming(path):
        imported = convert(layers, template, bits, train, epochs, seed, say)
    compared = compare(layers, imported, test.spikes(0, images))
    accuracy, _ = score(imported.network, test)
    facts = {
        "accuracy": accuracy,
        "accuracy_images": len(test),
        "eval_seed": seed,
        "float_accuracy": reference.accuracy(layers, test.batches()),
        "framework": framework or "nir",
        "epochs": epochs,
    } | compared
    step = Step(imported.network, imported.affines, imported.bits)
    run = {"imported_from": framework or "nir", "seed": str(seed), "eval_seed": str(seed)}
    run |= metadata({**source.facts, "test_sha256": test.sha256})
    model = write(step, run | {"accuracy": f"{accuracy:.4f}", "epochs_trained": str(epochs)})
    return write_proved(model, out, lambda saved: prove(saved, step, test.spikes(0, images)) | facts)


@contextmanager
def _naming(path: Path, kind: type[SpikelineError] = CompileError) -> Iterator[None]:
    """What is refused of the network is refused of this file."""
    try:
        yield
    except kind as error:
        raise kind(f"{path}: {error}") from None


def float_layers(dense: list[Dense], framework: str | None, reset: str, dt: float | None = None) -> list[FloatLayer]:
    """The layers under a framework's rule. Raises CompileError."""
    rule = rules(framework)
    return [FloatLayer(x, neuron(x, rule, Reset[reset.upper()], dt)) for x in dense]


def convert(
    layers: list[FloatLayer],
    template: Network,
    bits: int | None = None,
    train: Samples | None = None,
    epochs: int = 0,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Imported:
    """The integer network; `template` has its time steps and encoder. Raises CompileError, without bits for what is not exact."""
    if bits is None:
        if epochs:
            raise CompileError("fine-tuning trains quantised weights; say of how many bits with --bits")
        return _exactly(layers, template)
    assert train is not None
    fitted, inexact = _fitted(layers, template, bits, train)
    integers = [x.integers for x in fitted]
    state_bits = _state_bits(integers, inexact, template.time_steps)
    if epochs:
        integers = fine_tune(fitted, train, bits, state_bits, epochs, seed, say)
        inexact = [f"fine-tuned for {epochs} epochs{'; ' + x if x else ''}" for x in inexact]
        state_bits = max(state_bits, *(quantise.state_bits(x) for x in integers))
    return _built(layers, integers, template, bits, state_bits, inexact)


def _exactly(layers: list[FloatLayer], template: Network) -> Imported:
    found = []
    for bits in (2, 4, 8):
        try:
            found = [_exact(layer, template.time_steps, bits) for layer in layers]
            break
        except CompileError:
            if bits == 8:
                raise
    state_bits = _state_bits(found, [None] * len(found), template.time_steps)
    return _built(layers, found, template, bits, state_bits, [None] * len(found))


def _exact(layer: FloatLayer, steps: int, bits: int) -> Integers:
    try:
        return exact.integers(layer, steps, bits)
    except InexactError as error:
        raise CompileError(
            f"node {layer.dense.neuron_name or layer.dense.name!r}: {error}; or accept that with --bits 8"
        ) from None


def _fitted(layers: list[FloatLayer], template: Network, bits: int, train: Samples) -> tuple[list[Fitted], list[str | None]]:
    """Layer by layer, each with the spikes that the quantised layers before it make of training samples."""
    spikes = train.spikes(0, CALIBRATION)
    fired, values = reference.run(layers, spikes)
    fitted, inexact = list[Fitted](), list[str | None]()
    for layer, wanted in zip(layers, [*fired, values], strict=False):
        try:
            found = exact.integers(layer, template.time_steps, bits)
            grid = found.grid if found.thresholds is None else 1 / float(found.thresholds.max())
            fitted.append(Fitted(found, found.weights * grid, found.biases * grid))
            inexact.append(None)
        except InexactError:
            fitted.append(quantise.quantise(layer, spikes, wanted, bits))
            changed = quantise.approximations(layer, fitted[-1].integers)
            inexact.append("; ".join(["weights rounded", *changed]))
        if layer.neuron:
            made = quantise.execute(fitted[-1].integers, spikes, bits)
            assert made is not None
            spikes = made
    return fitted, inexact


def _state_bits(integers: list[Integers], inexact: list[str | None], steps: int) -> int:
    """One for all layers, as an accelerator has it: so many that no exact layer saturates."""
    needed = [x.state_bits(steps) if why is None else quantise.state_bits(x) for x, why in zip(integers, inexact, strict=True)]
    return max(exact.FEWEST_STATE_BITS, *needed)


def _built(
    layers: list[FloatLayer], integers: list[Integers], template: Network, bits: int, state_bits: int, inexact: list[str | None]
) -> Imported:
    lasting = {x.lasting for x in integers if x.thresholds is not None}
    if len(lasting) > 1:
        raise CompileError("neurons with and without a memory in one network; train with one kind (IF and LIF, or Threshold)")
    pairs = [x.layer(state_bits) for x in integers]
    decode = Decode.SPIKE_COUNT if layers[-1].neuron else Decode.MEMBRANE
    try:
        network = Network(tuple(x for x, _ in pairs), bits, template.time_steps, template.encoder, decode)
    except ModelError as error:
        raise CompileError(f"the network is no integer network: {error}") from None
    return Imported(network, [x for _, x in pairs], bits, inexact)


def compare(layers: list[FloatLayer], imported: Imported, spikes: np.ndarray) -> dict[str, Any]:
    """How often integer and float network differ on these spike trains, (B, T, inputs).

    Raises SpikelineError if one differs whose layers are all exact.
    """
    differing, labels = np.zeros(len(layers)), 0
    for start in range(0, len(spikes), 500):
        batch = spikes[start : start + 500]
        trace = golden.run(imported.network, batch)
        fired, values = reference.run(layers, batch)
        differing[: len(fired)] += [
            float((a != b).mean(dtype=np.float64)) * len(batch) for a, b in zip(trace.spikes, fired, strict=False)
        ]
        labels += int((values.argmax(1) != trace.labels).sum())
    told = [
        {
            "node": layer.dense.name,
            "exact": why is None,
            "changed": why or "",
            "leak": built.leak,
            "spikes_differing": share / len(spikes) if layer.neuron else None,
        }
        for layer, built, why, share in zip(layers, imported.network.layers, imported.inexact, differing, strict=True)
    ]
    if not any(imported.inexact) and (differing.any() or labels):
        raise SpikelineError(f"{labels} labels differ from the float network, which should be exact; nothing is written")
    return {"layers": told, "labels_differing": labels / len(spikes), "compared": len(spikes)}


def _template(dense: list[Dense], time_steps: int, encoder: str) -> Network:
    """A network of the right sizes, for finding its data before there are integers."""
    layers = tuple(Layer(np.zeros(x.weights.shape[::-1], np.int8), np.zeros(x.columns, np.int32), window=x.window) for x in dense)
    try:
        return Network(layers, 8, time_steps, Encoder[encoder.upper()])
    except ModelError as error:
        raise CompileError(f"the network is none that an accelerator executes: {error}; train one that is") from None
