"""Accuracy and energy of networks over test images, and how they change with time steps and early exit: `spikeline energy`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data.samples import Find, Samples
from spikeline.energy import activity, model
from spikeline.energy.activity import Activity
from spikeline.energy.model import LEAKAGE, LOGIC, MEMORY, Profile
from spikeline.measure import evaluate
from spikeline.model import early_exit, golden, model_file
from spikeline.model.network import Network
from spikeline.model.spec import Encoder

CHUNK = 1000  # images of a packet
SWEEP_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
SWEEP_LEADS = (0.02, 0.1, 0.25, 0.5)  # of the images, those that a margin keeps for more than one time step

Watch = Callable[[str, int], Callable[[int], None]]  # of what is run, on so many images: to be told how many are done


def run(
    name: str,
    network: Network,
    given: Samples,
    profile: Profile,
    spikes_per_cycle: tuple[int, ...] = (4, 2),
    input: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Execute samples on the golden model, count what hardware of the network's own sizes does with them, and price it.

    input: what is sent, `pixels`, `spikes` or `events`; pixels if the network encodes, else events. Energies are in nJ an
    image.
    """
    geometry = activity.built_for(network, spikes_per_cycle, profile.clock_mhz)
    input = input or ("events" if given.pixels is None else "pixels")
    total: Activity | None = None
    done = right = steps = 0
    for spikes, labels in given.batches(CHUNK):
        trace = golden.run(network, spikes)
        counted, _ = activity.count(geometry, network, spikes, trace, input)
        total = counted if total is None else total + counted
        right += int((trace.labels == labels).sum())
        steps += int(trace.steps.astype(int).sum())
        progress(done := done + len(spikes))
    assert total is not None
    priced = model.estimate(profile, geometry, total, input == "pixels")
    low, typical, high = map(float, priced.total)
    images = len(given)
    return {
        "name": name,
        "layers": network.sizes,
        "weight_bits": geometry.weight_bits,
        "membrane_bits": geometry.membrane_bits,
        "spikes_per_cycle": [x.spikes_per_cycle for x in geometry.layers],
        "time_steps": network.time_steps,
        "integration": "continuous" if network.continuous else "discontinuous",
        "encoder": network.encoder.name.lower(),
        "input": input,
        "exit_margin": network.exit_margin,
        **evaluate.described(given),
        "images": images,
        "accuracy": right / images,
        **evaluate.over_encoder_seeds(network, given),
        "mean_steps": steps / images,
        "mean_steps_worked": total.layers[0]["steps"] / images,
        "nj_low": low,
        "nj_typical": typical,
        "nj_high": high,
        "memory_share": priced.share(MEMORY),
        "logic_share": priced.share(LOGIC),
        "leakage_share": priced.share(LEAKAGE),
        "parts_nj": {part: _ends(nj) for part, nj in priced.parts.items()},
        "layers_nj": [_ends(nj) for nj in priced.layers],
        "cycles_per_image": total.cycles / images,
        "activity_per_image": total.per_image(),
    }


def _ends(nj: np.ndarray) -> dict[str, float]:
    return dict(zip(model.ENDS, map(float, nj), strict=True))


def networks(
    paths: list[Path],
    profile: Profile,
    images: int | None,
    find: Find,
    progress: Watch,
    spikes_per_cycle: tuple[int, ...] = (4, 2),
    input: str | None = None,
) -> list[dict[str, Any]]:
    """`run` every model over the test samples, or the first `images` of them."""
    results = []
    for path in paths:
        network, given = _loaded(path, images, find)
        name = evaluate.name_of(path)
        results.append(run(name, network, given, profile, spikes_per_cycle, input, progress(name, len(given))))
    return results


def sweep(
    path: Path,
    profile: Profile,
    images: int | None,
    find: Find,
    progress: Watch,
    spikes_per_cycle: tuple[int, ...] = (4, 2),
    input: str | None = None,
) -> list[dict[str, Any]]:
    """One network over time steps, if its input is drawn anew at each, and over margins of early exit, if it has steps to save.

    Margins are set by the leads of the test images themselves: to show a trade, not to pick one by.
    """
    network, given = _loaded(path, images, find)
    name, results = evaluate.name_of(path), []

    def go(what: str, label: str, changed: Network, samples_of: Samples) -> None:
        results.append(
            {**run(label, changed, samples_of, profile, spikes_per_cycle, input, progress(label, len(given))), "sweep": what}
        )

    if network.encoder == Encoder.BERNOULLI and not network.continuous:
        for t in SWEEP_STEPS:
            go("time steps", f"{name} T={t}", replace(network, time_steps=t, exit_margin=None), replace(given, time_steps=t))
    if network.time_steps > 1:
        some = given.first(min(CHUNK, len(given)))
        counted = golden.run(replace(network, exit_margin=None), some.spikes()).counted
        for share in SWEEP_LEADS:
            margin = margin_for(counted, share)
            go("early exit", f"{name} margin={margin}", replace(network, exit_margin=margin), given)
    return results


def margin_for(counted: np.ndarray, share: float) -> int:
    """The margin that keeps about a `share` of images, of `golden.Trace.counted` (B, T, classes), beyond the first step."""
    first, second = np.sort(counted[:, 0].astype(np.int64), axis=-1)[:, :-3:-1].T
    margin = int(np.quantile(first - second, share))
    early_exit.decide(counted, margin)  # raises for what cannot exit early
    return margin


def _loaded(path: Path, images: int | None, find: Find) -> tuple[Network, Samples]:
    model = model_file.load(path)
    given = find(model)
    return model.network, given.first(images) if images else given


def pareto(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that no other beats in mean accuracy at the same or less energy, cheapest first."""
    best: list[dict[str, Any]] = []
    for r in sorted(results, key=lambda r: (r["nj_typical"], -evaluate.mean_accuracy(r))):
        if not best or evaluate.mean_accuracy(r) > evaluate.mean_accuracy(best[-1]):
            best.append(r)
    return best
