"""Pictures of a run: spike raster of one image, confusion matrix, accuracy over time steps."""

from pathlib import Path
from typing import Any

import numpy as np

from spikeline.files import atomic

INK = "#1f3b57"


def raster(path: Path, pixels: np.ndarray, spikes: list[np.ndarray], label: int, truth: int) -> None:
    """Draw one image, uint8 (784,), and the spikes of the input and every hidden layer, each (T, neurons)."""
    import matplotlib.pyplot as plt

    steps = len(spikes[0])
    fig, axes = plt.subplots(
        1,
        1 + len(spikes),
        figsize=(3 + 3 * len(spikes), 4),
        width_ratios=[2.2] + [2] * len(spikes),
        layout="constrained",
    )
    side = int(np.sqrt(len(pixels)))
    axes[0].imshow(pixels.reshape(side, side), cmap="gray_r")
    axes[0].set(title=f"a {truth}, classified {label}", xticks=[], yticks=[])
    for n, (ax, train) in enumerate(zip(axes[1:], spikes, strict=True)):
        step, neuron = np.nonzero(train)
        ax.scatter(step + 1, neuron, s=600 / steps, marker="_", color=INK, linewidths=0.9)
        name = "input" if n == 0 else f"hidden layer {n}"
        ax.set(
            title=f"{name}: {len(step)} spikes",
            xlabel="time step",
            ylabel="pixel" if n == 0 else "neuron",
            xticks=range(1, steps + 1),
        )
        ax.set(xlim=(0.5, steps + 0.5), ylim=(-0.02 * train.shape[1], 1.02 * train.shape[1]))
    _save(fig, path)


def confusion(path: Path, labels: np.ndarray, truth: np.ndarray, classes: int) -> None:
    """Draw how often each true class was given each label."""
    import matplotlib.pyplot as plt

    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, labels), 1)
    wrong = np.where(np.eye(classes, dtype=bool), 0, counts)
    fig, ax = plt.subplots(figsize=(6, 5.5), layout="constrained")
    ax.imshow(wrong, cmap="Oranges", vmax=max(wrong.max(), 1) * 1.5)
    for (row, column), count in np.ndenumerate(counts):
        ax.text(
            column,
            row,
            count or "",
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold" if row == column else "normal",
            color=INK,
        )
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    ax.set(
        xlabel="label",
        ylabel="truth",
        xticks=range(classes),
        yticks=range(classes),
        title=f"{accuracy:.2%} of {len(labels):,} images",
    )
    _save(fig, path)


def accuracy(path: Path, by_step: list[float]) -> None:
    """Draw accuracy over the time steps used."""
    import matplotlib.pyplot as plt

    steps = range(1, len(by_step) + 1)
    fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
    ax.plot(steps, [100 * a for a in by_step], "o-", color=INK)
    for step, a in zip(steps, by_step, strict=True):
        ax.annotate(f"{a:.2%}", (step, 100 * a), textcoords="offset points", xytext=(0, 8), ha="center", fontsize=9)
    ax.set(xlabel="time steps", ylabel="accuracy, %", xticks=steps, title="Accuracy over time steps")
    ax.margins(0.15)
    ax.grid(alpha=0.3)
    _save(fig, path)


def sweeps(path: Path, results: dict[str, list[dict[str, Any]]]) -> None:
    """Draw cycles and accuracy over time steps, and cycles over spikes, from `bench.sweeps`."""
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    steps = [r["time_steps"] for r in results["time_steps"]]
    left.plot(steps, [r["images_per_second"] / 1e6 for r in results["time_steps"]], "o-", color=INK)
    left.set(
        xlabel="time steps", ylabel="million images/s", title="Throughput and accuracy over time steps", xticks=steps, ylim=0
    )
    twin = left.twinx()
    twin.plot(steps, [100 * r["accuracy"] for r in results["time_steps"]], "s--", color="#b5651d")
    twin.set_ylabel("accuracy, %", color="#b5651d")
    for r in results["activity"]:
        right.annotate(
            f"{r['brightness']:.0%}",
            (r["weight_row_reads_per_image"], r["cycles_per_image"]),
            (4, -12),
            textcoords="offset points",
        )
    reads = [r["weight_row_reads_per_image"] for r in results["activity"]]
    right.plot(reads, [r["cycles_per_image"] for r in results["activity"]], "o-", color=INK)
    right.set(
        xlabel="spikes per image, all layers",
        ylabel="cycles per image",
        title="Cost follows spikes (images dimmed)",
        xlim=0,
        ylim=0,
    )
    right.grid(alpha=0.3)
    _save(fig, path)


def _save(fig: object, path: Path) -> None:
    import matplotlib.pyplot as plt

    with atomic(path) as temporary:
        plt.savefig(temporary, dpi=110)
    plt.close()
