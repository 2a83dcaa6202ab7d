"""Pictures of a run: spike raster of one image, confusion matrix, accuracy over time steps."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.files import atomic

INK = "#1f3b57"
ACCENT = "#b5651d"
ACROSS = 10  # pictures in a row of a contact sheet
MOST_COUNTED, MOST_NAMED = 26, 64  # classes of a confusion matrix whose counts, and names, can be read


def picture(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Brightness or events of each input, (N,), as rows and columns (H, W); events of all polarities are added up.

    Inputs without rows and columns are put into as many of both, from left to right, the last row filled with zeros.
    """
    if len(shape) == 3:
        return values.reshape(shape).sum(0)
    if len(shape) == 2:
        return values.reshape(shape)
    columns = math.ceil(math.sqrt(len(values)))
    rows = -(-len(values) // columns)
    return np.pad(values, (0, rows * columns - len(values))).reshape(rows, columns)


def raster(path: Path, picture: np.ndarray, spikes: list[np.ndarray], label: str, truth: str) -> None:
    """Draw one sample, a picture (H, W), and the spikes (T, n) of the input and every hidden layer."""
    import matplotlib.pyplot as plt

    steps = len(spikes[0])
    fig, axes = plt.subplots(
        1,
        1 + len(spikes),
        figsize=(3 + 3 * len(spikes), 4),
        width_ratios=[2.2] + [2] * len(spikes),
        layout="constrained",
    )
    axes[0].imshow(picture, cmap="gray_r")
    axes[0].set(title=f"{truth}, classified {label}", xticks=[], yticks=[])
    for n, (ax, train) in enumerate(zip(axes[1:], spikes, strict=True)):
        step, neuron = np.nonzero(train)
        ax.scatter(step + 1, neuron, s=600 / steps, marker="_", color=INK, linewidths=0.9)
        name = "input" if n == 0 else f"hidden layer {n}"
        ax.set(
            title=f"{name}: {len(step)} spikes",
            xlabel="time step",
            ylabel="input" if n == 0 else "neuron",
            xticks=range(1, steps + 1),
        )
        ax.set(xlim=(0.5, steps + 0.5), ylim=(-0.02 * train.shape[1], 1.02 * train.shape[1]))
    _save(fig, path)


def contact_sheet(path: Path, rows: list[tuple[str, list[np.ndarray]]]) -> None:
    """Draw pictures, each (H, W), in rows of at most ACROSS, with a title before each row."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(len(rows), ACROSS, figsize=(ACROSS, 0.3 + len(rows)), layout="constrained", squeeze=False)
    for line, (name, pictures) in zip(axes, rows, strict=True):
        for ax in line:
            ax.axis("off")
        for ax, shown in zip(line, pictures, strict=False):
            ax.imshow(shown, cmap="gray_r", aspect="auto" if max(shown.shape) > 4 * min(shown.shape) else "equal")
        line[0].set_title(name, loc="left", fontsize=8)
    _save(fig, path)


def confusion(path: Path, labels: np.ndarray, truth: np.ndarray, names: list[str]) -> None:
    """Draw how often each true class was given each label; the counts too, up to MOST_COUNTED classes."""
    import matplotlib.pyplot as plt

    classes = len(names)
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, labels), 1)
    wrong = np.where(np.eye(classes, dtype=bool), 0, counts)
    side = max(5.5, min(0.5 * classes, 14))
    fig, ax = plt.subplots(figsize=(side + 0.5, side), layout="constrained")
    ax.imshow(wrong, cmap="Oranges", vmax=max(wrong.max(), 1) * 1.5)
    for (row, column), count in np.ndenumerate(counts if classes <= MOST_COUNTED else np.zeros((0, 0), int)):
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
    if classes <= MOST_NAMED:
        long = max(map(len, names)) > 3
        ax.set_xticks(range(classes), names, rotation=45 if long else 0, ha="right" if long else "center")
        ax.set_yticks(range(classes), names)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    ax.set(
        xlabel="label",
        ylabel="truth",
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


def sweeps(path: Path, report: dict[str, Any]) -> None:
    """Draw how throughput and accuracy depend on time steps, width, activity and parallelism, from a bench report."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    by_steps = report["sweeps"]["time_steps"]
    _speed_and_accuracy(axes[0, 0], [r["time_steps"] for r in by_steps], by_steps)
    axes[0, 0].set(xlabel="time steps", title="Time steps")

    swept = {r["layers"][1]: r for r in report["results"] if r["input"] == "spikes" and r["time_steps"] == 4}
    widths = sorted(swept)
    _speed_and_accuracy(axes[0, 1], [np.log2(w) for w in widths], [swept[w] for w in widths])
    axes[0, 1].set(xlabel="neurons of each hidden layer", title="Width, 4 time steps")
    axes[0, 1].set_xticks([np.log2(w) for w in widths], [str(w) for w in widths])

    by_activity = report["sweeps"]["activity"]
    reads = [r["weight_row_reads_per_image"] for r in by_activity]
    axes[1, 0].plot(reads, [r["cycles_per_image"] for r in by_activity], "o-", color=INK)
    for r in by_activity:
        at = (r["weight_row_reads_per_image"], r["cycles_per_image"])
        axes[1, 0].annotate(f"{r['brightness']:.0%}", at, (-4, 8), textcoords="offset points", ha="right")
    axes[1, 0].set(
        xlabel="spikes per image, all layers", ylabel="cycles per image", xlim=0, ylim=0, title="Activity: images dimmed"
    )

    by_parallel = report["sweeps"]["parallelism"]
    names = ["-".join(map(str, r["spikes_per_cycle"])) for r in by_parallel]
    bars = axes[1, 1].bar(names, [r["images_per_second"] / 1e6 for r in by_parallel], color=INK)
    axes[1, 1].bar_label(bars, fmt="%.2f")
    axes[1, 1].set(xlabel="spikes per cycle, layer by layer", ylabel="million images/s", title="Parallelism (cycle model)")
    for ax in axes.flat:
        ax.grid(alpha=0.3)
    _save(fig, path)


def _speed_and_accuracy(ax: Any, x: list[float], results: list[dict[str, Any]]) -> None:
    ax.plot(x, [r["images_per_second"] / 1e6 for r in results], "o-", color=INK)
    ax.set(ylabel="million images/s", xticks=x, ylim=0)
    twin = ax.twinx()
    twin.plot(x, [100 * r["accuracy_mean"] for r in results], "s--", color=ACCENT)
    twin.set_ylabel("accuracy, %, mean of encoder seeds", color=ACCENT)


def _save(fig: object, path: Path) -> None:
    import matplotlib.pyplot as plt

    with atomic(path) as temporary:
        plt.savefig(temporary, dpi=110)
    plt.close()
