"""The benchmark: named networks over all test images, and sweeps that show how cost grows with spikes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.accelerator import BATCH, Accelerator
from spikeline.data.samples import Find, Samples
from spikeline.errors import DataError, DeviceError
from spikeline.measure import cycles, evaluate
from spikeline.measure.power import Recorder, Source
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import Model

Watch = Callable[[str, int], Callable[[int], None]]  # of what is run, on so many images: to be told how many are done

SWEEP_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
SWEEP_BRIGHTNESS = (0.1, 0.25, 0.5, 0.75, 1.0)
SWEEP_PARALLEL = (1, 2, 4, 8)
SWEEP_PARALLEL_IMAGES = 1000
BOARD_LIKE_IMAGES = 1000
LARGE_BATCH = 10_000  # to measure the processor time of


def run(
    name: str,
    accelerator: Accelerator,
    input: str,
    given: Samples,
    progress: Callable[[int], None] = lambda done: None,
    batch: int = BATCH,
) -> dict[str, Any]:
    """Classify samples with the loaded model; the report of `evaluate.measure`, with labels compared.

    `cycle_model_error` is counted minus predicted cycles over all samples: 0 in simulation; on a board what its memory stalls.
    Of more than one batch it is None: they queue, and each begins while the one before ends, which the model does not cover.
    """
    model = accelerator.model
    assert model is not None
    report = {**evaluate.described(given), **evaluate.measure(accelerator, given, input, progress, batch)}
    report["golden_mismatches"] = evaluate.golden_mismatches(model.network, given, report["labels"])
    report["cycle_model_error"] = None
    if len(given) <= batch:
        report["cycle_model_error"] = report["cycles"] - predicted_cycles(accelerator.geometry, model, given, input, batch)
    del report["labels"]
    if input == "pixels" and given.pixels is not None:
        pixels = given.pixels.reshape(len(given), -1)
        report["host_cpu"] = evaluate.host_cpu(accelerator, pixels, min(LARGE_BATCH, len(given)))
    if accelerator.simulator is not None:
        report["simulated_steps_per_second"] = report["simulated_images_per_second"] * report["time_steps"]
        report["board_like_memory"] = board_like(accelerator, given, input, batch)
    return {"name": name, **report}


def board_like(accelerator: Accelerator, given: Samples, input: str, batch: int) -> dict[str, Any]:
    """Speed of the first samples where the simulated memory is as late and as busy as a board's, beside an ideal one."""
    from spikeline.simulation.verilated import BOARD_LIKE, Timing

    assert accelerator.simulator is not None
    some, per_second = given.first(min(BOARD_LIKE_IMAGES, len(given))), {}
    for name, timing in (("ideal", Timing()), ("board-like", BOARD_LIKE)):
        accelerator.simulator.timing(timing)
        accelerator.clear_counters()
        evaluate.classify(accelerator, some, input, batch)
        count = accelerator.counters()
        assert count.cycles is not None
        per_second[name] = accelerator.geometry.clock_mhz * 1e6 * len(some) / count.cycles
    accelerator.simulator.timing(Timing())
    return {
        "images": len(some),
        "latency_cycles": list(BOARD_LIKE.latency),
        "stalled": [BOARD_LIKE.stall_read, BOARD_LIKE.stall_write],
        "refresh_cycles": list(BOARD_LIKE.refresh),
        "images_per_second": per_second["board-like"],
        "of_ideal": per_second["board-like"] / per_second["ideal"],
    }


def predicted_cycles(geometry: Geometry, model: Model, given: Samples, input: str, batch: int = BATCH) -> int:
    """Cycles that the model predicts for all samples, packet by packet."""
    network, total = model.network, 0
    for spikes, _ in given.batches(batch):
        total += cycles.predict(geometry, network, spikes, golden.run(network, spikes), input=input).cycles
    return total


UNKNOWN = Source("none")


@dataclass(frozen=True)
class Target:
    """What the networks run on: a board with this bitstream, or without one the simulated board of the smallest geometry."""

    bitstream: Path | None = None
    power: Source = UNKNOWN
    seconds: float = 5.0  # that a power phase lasts
    batch: int = BATCH
    images: int | None = None  # the first of all test images

    def open(self, model: Model) -> Accelerator:
        """An accelerator with the model loaded."""
        if self.bitstream is not None:
            return Accelerator(self.bitstream, model)
        return Accelerator(model=model, geometry=Geometry.smallest(model.network))


SIMULATED = Target()


def networks(paths: list[Path], find: Find, progress: Watch, target: Target = SIMULATED) -> list[dict[str, Any]]:
    """Run every model file over all test samples, from pixels and from spikes, or spikes and events if it has no encoder.

    Named after folder and file. `accuracy` is that of one encoder seed on the accelerator, `accuracy_mean` and its like are
    the golden model's over several.
    """
    results = []
    for path in paths:
        model = model_file.load(path)
        name = evaluate.name_of(path)
        given = find(model)
        given = given.first(target.images or len(given))
        seeds = evaluate.over_encoder_seeds(model.network, given)
        inputs = ("pixels", "spikes") if given.pixels is not None else ("spikes", "events")
        for how in inputs:
            with target.open(model) as accelerator:
                report = run(name, accelerator, how, given, progress(f"{name} from {how}", len(given)), target.batch) | seeds
                if target.bitstream is not None:
                    report["power"] = measured_power(accelerator, given, how, target)
                else:
                    report["power"] = estimated_power(target.power, report)
                report["power_source"] = report["power"]["power_source"]
                results.append(report)
    return results


def measured_power(accelerator: Accelerator, given: Samples, input: str, target: Target) -> dict[str, Any]:
    """Power and energy of a board that is idle and then classifies batches, again and again, for as long."""
    images = 0
    with Recorder(target.power) as recorder:
        with recorder.phase("idle"):
            time.sleep(target.seconds)
        with recorder.phase("active"):
            end = time.monotonic() + target.seconds
            while time.monotonic() < end:
                images += len(evaluate.classify(accelerator, given, input, target.batch)[0])
    return {**recorder.report(images), "images": images}


def estimated_power(source: Source, report: dict[str, Any]) -> dict[str, Any]:
    """The vendor's estimate for the images of a simulated run, over the time that their cycles take.

    Raises DeviceError for a measurement: a simulated board draws no power.
    """
    if source.power_source == "measured":
        raise DeviceError("a simulated board draws no power to measure; use --backend board, or --power none or estimate:FILE")
    recorder = Recorder(source)
    recorder.phases.append({"name": "active", "start": 0.0, "stop": report["images"] / report["images_per_second"]})
    return {**recorder.report(report["images"]), "images": report["images"]}


def sweeps(path: Path, find: Find, progress: Watch) -> dict[str, list[dict[str, Any]]]:
    """One network over time steps, over activity (dimmed images) and over spikes per cycle, from spike packets.

    The last is not simulated: its cycles are the cycle model's, which equals the RTL wherever both were run.
    """
    model = model_file.load(path)
    network, given = model.network, find(model)
    if given.pixels is None:
        raise DataError(f"{path} takes events, which cannot be dimmed; sweep a network with an encoder")
    by_steps = []
    for t in SWEEP_STEPS:
        changed, longer = model_file.build(replace(network, time_steps=t)), replace(given, time_steps=t)
        with SIMULATED.open(changed) as accelerator:
            report = run(f"T = {t}", accelerator, "spikes", longer, progress(f"{t} time steps", len(longer)))
        by_steps.append(report | evaluate.over_encoder_seeds(changed.network, longer))
    by_activity = []
    for share in SWEEP_BRIGHTNESS:
        dimmed = replace(given, pixels=(given.pixels * share).astype(np.uint8))
        with SIMULATED.open(model_file.build(network)) as accelerator:
            report = run(
                f"{share:.0%} brightness", accelerator, "spikes", dimmed, progress(f"dimmed to {share:.0%}", len(dimmed))
            )
        by_activity.append({**report, **evaluate.over_encoder_seeds(network, dimmed), "brightness": share})
    by_parallel = []
    built = Geometry.smallest(network)
    for parallel in SWEEP_PARALLEL:
        layers = tuple(replace(x, spikes_per_cycle=min(parallel, x.spikes_per_cycle * parallel // 4 or 1)) for x in built.layers)
        geometry = replace(built, name=f"{built.name}, {parallel} spikes per cycle", layers=layers)
        some = given.first(SWEEP_PARALLEL_IMAGES)
        cycles_per_image = predicted_cycles(geometry, model_file.build(network), some, "spikes") / len(some)
        by_parallel.append(
            {
                "spikes_per_cycle": [x.spikes_per_cycle for x in layers],
                "images": len(some),
                "cycles_per_image": cycles_per_image,
                "images_per_second": built.clock_mhz * 1e6 / cycles_per_image,
                "cycles_from": "cycle model",
            }
        )
    return {"time_steps": by_steps, "activity": by_activity, "parallelism": by_parallel}
