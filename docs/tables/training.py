"""Tables of training/README.md: accuracy and spikes over the seeds of trainings; what direct input gains."""

from typing import Any

from tables import over_seeds, result, shape


def _spikes(runs: list[dict[str, Any]]) -> str:
    """Spikes that enter each layer at a step, means over the seeds."""
    return ", ".join(f"{sum(n) / len(runs):.0f}" for n in zip(*(run["spikes_per_step"] for run in runs), strict=True))


def training() -> list[str]:
    """The presets that were trained with several seeds, or one."""
    lines = [
        "| preset | network | accuracy: mean (least … most) | spikes per step | early exit | epochs, seconds of one core |",
        "|---" * 6 + "|",
    ]
    for name, r in result("training").items():
        runs = r["seeds"]
        accuracy = f"{r['accuracy_mean']:.2%}, one seed"
        if len(runs) > 1:
            accuracy = f"{r['accuracy_mean']:.2%} ({r['accuracy_min']:.2%} … {r['accuracy_max']:.2%}), {len(runs)} seeds"
        early = "one step"
        if "early_exit" in runs[0]:
            exits = [run["early_exit"] for run in runs]
            mean_steps = sum(e["mean_steps"] for e in exits) / len(runs)
            early = f"{sum(e['accuracy'] for e in exits) / len(runs):.2%} at {mean_steps:.2f} steps"
        network = f"{'-'.join(map(str, r['layers']))}, {r['weight_bits']} bits, {r['encoder']}, T = {r['time_steps']}"
        cost = f"{r['epochs']}, {min(run['seconds'] for run in runs):.0f}"
        lines.append(f"| `{name}` | {network} | {accuracy} | {_spikes(runs)} | {early} | {cost} |")
    return lines


def direct_input() -> list[str]:
    """One network and recipe with random spikes and with direct input, on each data set."""
    entries = sorted(result("direct-input").values(), key=lambda r: (r["dataset"] != "mnist-test", r["encoder"]))
    lines = ["| data | input | geometry | accuracy | cycles an image | images/s |", "|---" * 6 + "|"]
    for r in entries:
        accuracy = f"{r['accuracy_mean']:.2%} ± {100 * r['accuracy_std']:.2f}"
        row = (
            r["dataset"],
            f"{r['encoder']}, T = {r['time_steps']}",
            f"`{r['geometry']}`",
            accuracy,
            f"{r['cycles_per_image']:.1f}",
        )
        lines.append(f"| {' | '.join(row)} | {r['images_per_second']:,} |")
    r = entries[0]
    return [
        *[*lines, ""],
        f"From [direct-input.json](../docs/results/direct-input.json), commit {r['commit'][:9]}: {'-'.join(map(str, r['layers']))}, "
        f"{r['weight_bits']} bits, {r['epochs']} epochs, mean ± standard deviation over {len(r['seeds'])} seeds of training, "
        f"{r['images']:,} test images by the golden model; cycles from pixels by the exact cycle model, at {r['fclk_mhz']:g} MHz.",
    ]


def convolutions() -> list[str]:
    """The presets with convolutions."""
    lines = [
        "| preset | convolutions and layers | input | geometry | accuracy | spikes per step | cycles an image | images/s | epochs, seconds of one core |",
        "|---" * 9 + "|",
    ]
    for name, r in result("convolutions").items():
        runs = r["seeds"]
        row = (
            f"`{name}`",
            shape(r),
            f"{r['encoder']}, T = {r['time_steps']}",
            f"`{r['geometry']}`",
            over_seeds(r),
            _spikes(runs),
            f"{r['cycles_per_image']:.0f}",
            f"{r['images_per_second']:,}",
            f"{r['epochs']}, {min(run['seconds'] for run in runs):.0f}",
        )
        lines.append(f"| {' | '.join(row)} |")
    return [
        *[*lines, ""],
        "From [convolutions.json](../docs/results/convolutions.json), which has the commits: weights of 4 bits, mean ± standard deviation "
        "over seeds of training, 10,000 test images by the golden model; cycles from pixels (or events) by the exact cycle model, at 100 MHz.",
    ]


TABLES = {"training": training, "convolutions": convolutions, "direct-input": direct_input}
