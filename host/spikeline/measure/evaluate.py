"""Classify samples on an accelerator and report how well and how fast: what `make demo` shows."""

import gc
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spikeline.accelerator import BATCH, Accelerator
from spikeline.data.samples import Samples
from spikeline.device.packets import INPUTS, Batch, Pixels, Spikes
from spikeline.errors import DataError
from spikeline.model import golden
from spikeline.model.network import Network

T = TypeVar("T")
HOST_RUNS = 3
LATENCY_IMAGES = 100  # each sent alone
ENCODER_SEEDS = 5


def name_of(path: Path) -> str:
    """A network is named after the folder of its model file, and after the file too if that is not `model.img`."""
    return path.parent.name if path.stem == "model" else f"{path.parent.name}-{path.stem}"


def commit() -> str:
    """The checked-out commit of the sources, with `-dirty` if they differ from it; `unknown` outside a checkout."""
    here = Path(__file__).parent
    try:
        sha = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=here, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return sha + ("-dirty" if changed else "")


def measure(
    accelerator: Accelerator,
    samples: Samples,
    input: str = "pixels",
    progress: Callable[[int], None] = lambda done: None,
    batch: int = BATCH,
) -> dict[str, Any]:
    """Classify samples, `batch` in a transfer, and report accuracy, cycles, spikes and speed.

    Cycles are the accelerator's own counts; images_per_second and latencies follow from them at the clock. A board also has
    what its wall clock says: measured_images_per_second, measured_latency_us. host_cpu_us_per_image is the processor time of
    the runtime: packing, reading results and, on a board, cache maintenance; not that of waiting, in which simulated hardware
    runs. As in `timeit`, garbage is not collected meanwhile. throughput_test, of a batch of pixels, is run before.
    Raises DataError for an input that the samples do not have.
    """
    model = accelerator.model
    assert model is not None
    network, clock_mhz = model.network, accelerator.geometry.clock_mhz
    test = None
    if input == "pixels" and samples.pixels is not None and accelerator.has_clock:
        test = accelerator.throughput_test(_sent(samples, input, 0, batch))
    accelerator.clear_counters()
    start = time.perf_counter()
    (labels, steps), host = _host_seconds(accelerator, lambda: classify(accelerator, samples, input, batch, progress))
    seconds = time.perf_counter() - start
    count = accelerator.counters()
    reads = [n / count.images for n in count.row_reads]
    report: dict[str, Any] = {
        "images": len(samples),
        "integration": "continuous" if network.continuous else "discontinuous",
        "cycles": count.cycles,
        **accuracies(samples, labels),
        "time_steps": network.time_steps,
        "layers": network.sizes,
        "weight_bits": network.weight_bits,
        "encoder": network.encoder.name.lower(),
        "input": input,
        "mean_steps": float(steps.mean()),
        "exit_margin": network.exit_margin,
        "geometry": accelerator.geometry.name,
        "input_spikes_per_image": reads[0],
        "hidden_spikes_per_image": sum(reads[1:]),
        "weight_row_reads_per_image": sum(reads),
        "weight_row_reads_per_layer": reads,
        "labels": labels,
    }
    if count.cycles is not None:
        latency, walls = _latency(accelerator, samples.first(min(LATENCY_IMAGES, len(samples))), input)
        report |= {
            "fclk_mhz": clock_mhz,
            "cycles_per_image": count.cycles / count.images,
            "images_per_second": clock_mhz * 1e6 * count.images / count.cycles,
            "latency_cycles": float(latency.mean()),
            "latency_cycles_max": int(latency.max()),
            "latency_us": float(latency.mean() / clock_mhz),
            "latency_percentiles_us": _percentiles(latency / clock_mhz),
            "batch_size": batch,
            "host_cpu_us_per_image": host / len(samples) * 1e6,
            "throughput_test": test,
            "stall_input_cycles": count.stall_input,
            "stall_output_cycles": count.stall_output,
            "power_source": "none",
        }
        if accelerator.simulator is not None:
            report["simulated_images_per_second"] = len(samples) / seconds
        else:
            report |= {"measured_images_per_second": len(samples) / seconds, "measured_latency_us": _percentiles(walls * 1e6)}
    return report


def host_cpu(accelerator: Accelerator, pixels: np.ndarray, batch: int) -> dict[str, Any]:
    """Processor time of the runtime as in `measure`, in µs an image, for pixels, uint8 (B, N), that are sent `batch` at once.

    `any_array`: they are copied into memory of the device; `buffer`: they lie there already. The least of HOST_RUNS.
    """
    own = accelerator.buffer(len(pixels))
    own[:] = pixels
    times = {}
    for name, given in (("any_array", pixels), ("buffer", own)):
        runs = [_host_seconds(accelerator, partial(accelerator.infer, given, batch=batch))[1] for _ in range(HOST_RUNS)]
        times[name] = min(runs)  # the first touches its memory for the first time
    return {"batch_size": batch, **{f"{name}_us_per_image": seconds / len(pixels) * 1e6 for name, seconds in times.items()}}


def _host_seconds(accelerator: Accelerator, work: Callable[[], T]) -> tuple[T, float]:
    """What `work` returns, and the processor time that it took without waiting; garbage is not collected meanwhile."""
    gc.collect()
    gc.disable()
    try:
        begin = time.thread_time() - accelerator.waiting_seconds
        result = work()
        return result, time.thread_time() - accelerator.waiting_seconds - begin
    finally:
        gc.enable()


def described(samples: Samples) -> dict[str, Any]:
    """What a report says of its samples: `dataset` and its SHA-256, oddities that were mended, and what was meant instead."""
    facts: dict[str, Any] = {"dataset": samples.name}
    if samples.trained_on:
        facts["trained_on"] = samples.trained_on
    if samples.oddities:
        facts["oddities"] = dict(samples.oddities)
    return facts | {"dataset_sha256": samples.sha256}


def accuracies(samples: Samples, labels: np.ndarray) -> dict[str, Any]:
    """Names of the classes, and of labelled samples how many of all, and of each class, got the right one of `labels` (B,).

    A class without a sample has the accuracy None.
    """
    classes = [samples.class_name(n) for n in range(max(len(samples.classes), int(labels.max(initial=0)) + 1))]
    if samples.labels is None:
        return {"classes": classes}
    right = labels == samples.labels
    of_class = [right[samples.labels == n] for n in range(len(classes))]
    each = [float(x.mean()) if len(x) else None for x in of_class]
    return {"accuracy": float(right.mean()), "classes": classes, "accuracy_by_class": each}


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {name: float(np.percentile(values, q)) for name, q in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100))}


def classify(
    accelerator: Accelerator,
    samples: Samples,
    input: str,
    batch: int = BATCH,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and time steps used, uint16 (B,). Spike trains are made a batch at a time, since a board has little memory."""
    size = len(samples) if input == "pixels" else batch
    results = []
    for at in range(0, len(samples), size):
        sent = _sent(samples, input, at, at + size)

        def count(done: int, before: int = at) -> None:
            progress(before + done)

        results.append(accelerator.infer(sent, batch=batch, progress=count))
    return np.concatenate([r.labels for r in results]), np.concatenate([r.steps for r in results])


def _sent(samples: Samples, input: str, start: int, stop: int) -> Batch:
    """Samples `start` up to `stop` in the form that is sent; random numbers of pixels are those of images from 0 on."""
    if input != "pixels":
        return INPUTS[input](samples.spikes(start, stop))
    if samples.pixels is None:
        raise DataError(f"{samples.name} has no pixels: send spikes or events")
    return Pixels(samples.pixels[start:stop], samples.seed)


def _latency(accelerator: Accelerator, samples: Samples, input: str) -> tuple[np.ndarray, np.ndarray]:
    """Of samples that are sent one by one: cycles from the first input word to the result, int (B,), and the call's seconds."""
    cycles, seconds = [], []
    for n in range(len(samples)):
        accelerator.clear_counters()
        begin = time.perf_counter()
        accelerator.infer(_sent(samples, input, n, n + 1))
        seconds.append(time.perf_counter() - begin)
        cycles.append(accelerator.counters().cycles)
    return np.array(cycles), np.array(seconds)


def golden_mismatches(network: Network, samples: Samples, labels: np.ndarray) -> int:
    """How many labels, uint16 (B,), differ from the golden model's."""
    expected = [golden.run(network, spikes).labels for spikes, _ in samples.batches()]
    return int((np.concatenate(expected) != labels).sum())


def over_encoder_seeds(network: Network, samples: Samples) -> dict[str, Any]:
    """Accuracy of the golden model, which the RTL equals spike for spike, over the spikes of several encoder seeds.

    Mean, least, most and sample standard deviation of the seed of `samples` and those that follow it, `encoder_seeds`.
    An encoder that draws nothing, and events, have one accuracy: its spread is 0, and `encoder_seeds` None.
    """
    drawn = samples.pixels is not None and samples.encoder == "bernoulli"
    seeds = [samples.seed + n for n in range(ENCODER_SEEDS)] if drawn else [samples.seed]
    found = np.array([_golden_accuracy(network, replace(samples, seed=seed)) for seed in seeds])
    return {
        "encoder_seeds": seeds if drawn else None,
        "accuracy_mean": float(found.mean()),
        "accuracy_min": float(found.min()),
        "accuracy_max": float(found.max()),
        "accuracy_std": float(found.std(ddof=1)) if drawn else 0.0,
    }


def _golden_accuracy(network: Network, samples: Samples) -> float:
    return (len(samples) - golden_mismatches(network, samples, samples.truth)) / len(samples)


def mean_accuracy(report: dict[str, Any]) -> float:
    """Of a report: the mean over encoder seeds; of one from before there was a mean, its only accuracy."""
    return report.get("accuracy_mean", report["accuracy"])


def compare(
    accelerator: Accelerator, report: dict[str, Any], samples: Samples, traced: int
) -> tuple[dict[str, Any], golden.Trace]:
    """Compare the labels of `report` with the golden model's, and all that the neurons do on the first `traced` samples.

    Returns the comparison and the golden trace of all samples. `golden_mismatches` counts samples whose label differs;
    of those traced (not on a board, which shows labels alone), `spike_mismatches` counts single spikes,
    `membrane_mismatches` membranes at single steps, those of the output layer and all that last, and `running_mismatches`
    classes that lead after single steps.
    """
    model = accelerator.model
    assert model is not None
    reference = golden.run(model.network, samples.spikes())
    compared = {"golden_mismatches": int((report["labels"] != reference.labels).sum()), "traced_images": traced}
    if traced:
        compared |= _compare_inside(accelerator, model.network, samples.spikes(0, traced), reference)
    return compared, reference


def _compare_inside(accelerator: Accelerator, network: Network, spikes: np.ndarray, reference: golden.Trace) -> dict[str, int]:
    traced = len(spikes)
    lasting = golden.run(network, spikes, states=True).states
    fired, membranes, states = accelerator.trace(Spikes(spikes))
    pairs = [] if network.layers[-1].continuous else [(membranes, reference.membranes[:traced])]  # else among the states
    for layer, got, expected in zip(network.layers, states, lasting, strict=True):
        if got is not None and expected is not None:
            pairs.append((got, layer.decided(expected)))
    return {
        "spikes_compared": sum(x.size for x in fired),
        "spike_mismatches": sum(int((x != y[:traced]).sum()) for x, y in zip(fired, reference.spikes, strict=True)),
        "membranes_compared": sum(got.size for got, _ in pairs),
        "membrane_mismatches": sum(int((got != expected).sum()) for got, expected in pairs),
        "running_mismatches": int((accelerator.running(Spikes(spikes))[1] != reference.running[1][:traced]).sum()),
    }


def accuracy_cleared(network: Network, samples: Samples) -> float:
    """Accuracy if membranes did not last: by the golden model, with every membrane cleared before every step."""
    return float((golden.run(network.cleared, samples.spikes()).labels == samples.truth).mean())


def accuracy_by_step(counted: np.ndarray, labels: np.ndarray) -> list[float]:
    """Accuracy of the class that leads after each time step; what each step adds to the values, int (B, T, classes)."""
    return [float(a) for a in (counted.cumsum(1).argmax(-1) == labels[:, None]).mean(0)]
