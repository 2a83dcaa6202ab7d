"""Classify MNIST on an accelerator and say how well and how fast: the figures behind `make demo`."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spikeline import golden
from spikeline.accelerator import Accelerator
from spikeline.encode import encode

LATENCY_IMAGES = 100  # each sent alone


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
    pixels: np.ndarray,
    labels: np.ndarray,
    seed: int = 0,
    input: str = "pixels",
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Classify images, uint8 (B, inputs), with known labels (B,) and report accuracy, cycles, spikes and speed.

    Cycles are the accelerator's own counts; times per second follow from them at the built clock.
    """
    image = accelerator.image
    assert image is not None
    network, clock_mhz = image.network, accelerator.geometry.clock_mhz
    accelerator.clear_counters()
    start = time.perf_counter()
    result = accelerator.infer(pixels, seed, input=input, progress=progress)
    seconds = time.perf_counter() - start
    count = accelerator.counters()
    reads = [n / count.images for n in count.row_reads]
    report: dict[str, Any] = {
        "images": len(pixels),
        "cycles": count.cycles,
        "accuracy": float((result.labels == labels).mean()),
        "time_steps": network.time_steps,
        "layers": network.sizes,
        "weight_bits": network.weight_bits,
        "encoder": network.encoder.name.lower(),
        "input": input,
        "mean_steps": float(result.steps.mean()),
        "exit_margin": network.exit_margin,
        "geometry": accelerator.geometry.name,
        "input_spikes_per_image": reads[0],
        "hidden_spikes_per_image": sum(reads[1:]),
        "weight_row_reads_per_image": sum(reads),
        "weight_row_reads_per_layer": reads,
        "labels": result.labels,
    }
    if count.cycles is not None:
        latency = _latency(accelerator, pixels[:LATENCY_IMAGES], seed, input)
        report |= {
            "fclk_mhz": clock_mhz,
            "cycles_per_image": count.cycles / count.images,
            "images_per_second": clock_mhz * 1e6 * count.images / count.cycles,
            "latency_cycles": float(latency.mean()),
            "latency_cycles_max": int(latency.max()),
            "latency_us": float(latency.mean() / clock_mhz),
            "stall_input_cycles": count.stall_input,
            "stall_output_cycles": count.stall_output,
            "simulated_images_per_second": len(pixels) / seconds,
            "power_source": "none",
        }
    return report


def _latency(accelerator: Accelerator, pixels: np.ndarray, seed: int, input: str) -> np.ndarray:
    """Cycles from the first input word to the result of images that are sent one by one, int (B,)."""
    cycles = []
    for n in range(len(pixels)):
        accelerator.clear_counters()
        accelerator.infer(pixels[n : n + 1], seed, input=input)
        cycles.append(accelerator.counters().cycles)
    return np.array(cycles)


def compare(
    accelerator: Accelerator, report: dict[str, Any], pixels: np.ndarray, traced: int, seed: int = 0
) -> tuple[dict[str, Any], golden.Trace]:
    """Compare the labels of `report` with the golden model's, and every spike and output membrane of the first `traced` images.

    Returns the figures and the golden trace of all images. `golden_mismatches` counts images whose label differs,
    `spike_mismatches` single spikes, `membrane_mismatches` single membranes at single steps.
    """
    image = accelerator.image
    assert image is not None
    network = image.network
    spikes = encode(pixels, network.encoder.name.lower(), network.time_steps, seed)
    reference = golden.run(network, spikes)
    fired, membranes, states = accelerator.trace(spikes[:traced])
    figures = {
        "golden_mismatches": int((report["labels"] != reference.labels).sum()),
        "traced_images": traced,
        "spikes_compared": sum(x.size for x in fired),
        "spike_mismatches": sum(int((x != y[:traced]).sum()) for x, y in zip(fired, reference.spikes, strict=True)),
        "membrane_mismatches": int((membranes != reference.membranes[:traced]).sum()),
    }
    return figures, reference


def accuracy_by_step(membranes: np.ndarray, labels: np.ndarray) -> list[float]:
    """Accuracy if the decision were taken after each time step; membranes int32 (B, T, classes)."""
    return [float(a) for a in (membranes.cumsum(1).argmax(-1) == labels[:, None]).mean(0)]
