"""The picture of `spikeline energy`: error against energy per image, among the figures that others gave."""

from pathlib import Path
from typing import Any

from spikeline.energy import measure
from spikeline.files import atomic
from spikeline.measure.evaluate import mean_accuracy

PAPER_NJ = (48.4, 773.0)  # Yin et al. 2017, 40 nm, accuracy above 98 %
PARK = (236.0, 0.9783)  # Park et al. 2019, 65 nm
FPGA = (("Cerebron", 40e3), ("Skydiver", 42.4e3))  # at least 98 %
FPGA_ACCURACY = 0.98
COLOURS = {"discontinuous": "#1f3b57", "continuous": "#b5651d"}
NAMES = {"discontinuous": "SNN-DC, discontinuous", "continuous": "SNN-CC, continuous"}
GREY = "#6b7280"
BAND = "#2f7f6f"
LONGEST = 30  # name, in characters
# Where a name may stand beside its mark, points, best first.
PLACES = [(0, 9, "center"), (0, -16, "center"), (10, 8, "left"), (-10, 8, "right"), (10, -16, "left"), (-10, -16, "right")]
PLACES += [(0, 22, "center"), (0, -29, "center"), (0, 35, "center")]


def draw(path: Path, report: dict[str, Any]) -> None:
    """Draw the results and sweeps of a report, with their intervals, the paper's band, Park 2019 and FPGA accelerators."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    named, swept = report["results"], report["sweeps"]
    fig, ax = plt.subplots(figsize=(11.5, 6.8), layout="constrained")
    ax.set_xscale("log")
    ax.set_yscale("log")

    worst = max(*(_error(r) for r in named), 100 * (1 - PARK[1])) * 1.3
    swept = [r for r in swept if _error(r) < worst]
    best_error = min(_error(r) for r in named + swept)
    ax.set_ylim(worst, best_error / 1.55)  # better is higher; room for what the band is
    ax.set_xlim(min(r["nj_low"] for r in named + swept) / 1.6, 9e4)
    bottom, top = ax.get_ylim()[1], worst

    share = _height(ax, 2.0)
    ax.axvspan(*PAPER_NJ, ymin=share, color=BAND, alpha=0.12, lw=0)
    ax.text(
        (PAPER_NJ[0] * PAPER_NJ[1]) ** 0.5, bottom * 1.05, "Yin et al. 2017, 40 nm\n48.4–773 nJ, above 98 %",
        ha="center", va="top", color=BAND, fontsize=9.5,
    )  # fmt: skip

    for sweep in dict.fromkeys((r["name"].split(" ")[0], r["sweep"]) for r in swept):
        some = [r for r in swept if (r["name"].split(" ")[0], r["sweep"]) == sweep]
        colour = COLOURS[some[0]["integration"]]
        style = "-" if sweep[1] == "time steps" else ":"
        x, y = [r["nj_typical"] for r in some], [_error(r) for r in some]
        ax.plot(x, y, style, marker="o", ms=4, color=colour, lw=1.1, alpha=0.55, mec="white", mew=0.5, zorder=3)
        if sweep[1] == "time steps":
            for r in (some[0], some[-1]):
                ax.annotate(f"T={r['time_steps']}", (r["nj_typical"], _error(r)), (0, -12), textcoords="offset points",
                            ha="center", fontsize=7.5, color=colour, alpha=0.8)  # fmt: skip
    for integration, colour in COLOURS.items():
        if not (some := [r for r in named if r["integration"] == integration]):
            continue
        y = [_error(r) for r in some]
        marker = "o" if integration == "discontinuous" else "D"
        ax.hlines(y, [r["nj_low"] for r in some], [r["nj_high"] for r in some], color=colour, lw=3.5, alpha=0.18, zorder=1)
        ax.plot([r["nj_typical"] for r in some], y, marker, ms=8, color=colour, mec="white", label=NAMES[integration], zorder=4)
    for style, what in (("-", "time steps 1 to 16"), (":", "early exit")):
        if any(r["sweep"] == what.split(" 1")[0] for r in swept):
            ax.plot([], [], style, marker="o", ms=4, color=GREY, lw=1.1, label=f"one network, {what}")

    best = measure.pareto(named + swept)
    ax.step(
        [r["nj_typical"] for r in best], [_error(r) for r in best], where="post", color=GREY, lw=1.3, ls=(0, (5, 3)), zorder=2
    )
    _label(ax, named)

    ax.plot(PARK[0], 100 * (1 - PARK[1]), "*", ms=14, color="#8a3ffc", mec="white")
    ax.annotate("Park 2019, 65 nm\n236 nJ, 97.83 %", (PARK[0], 100 * (1 - PARK[1])), (10, -4), textcoords="offset points",
                fontsize=9, color="#8a3ffc", va="center")  # fmt: skip
    for n, (_, nj) in enumerate(FPGA):
        ax.plot(nj, 100 * (1 - FPGA_ACCURACY), "s" if n else "^", ms=9, color=GREY, mec="white")
    ax.annotate("FPGA, at least 98 %\nCerebron 40 µJ, Skydiver 42.4 µJ", (FPGA[0][1], 100 * (1 - FPGA_ACCURACY)), (-4, 12),
                textcoords="offset points", fontsize=9, color=GREY, ha="right", va="bottom")  # fmt: skip

    ticks = [t for t in (0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 3, 4, 5, 7, 10, 20, 40) if bottom < t < top]
    ax.set_yticks(ticks, [f"{100 - t:g} %" for t in ticks])
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.minorticks_off()
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1e3:g} µJ" if x >= 1e3 else f"{x:g} nJ"))
    ax.set(xlabel="energy per image", ylabel="accuracy, mean over encoder seeds")
    ax.grid(alpha=0.25, lw=0.7)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower right", frameon=False, fontsize=9.5)
    ax.set_title("Accuracy and energy per image: pre-silicon estimates", loc="left", fontsize=13, fontweight="bold", pad=28)
    said = f"profile {report['profile']}, {named[0]['images']:,} test images; marks: typical; bars: all constants low to all high"
    ax.text(0, 1.025, f"{said}; dashed: what no other beats", transform=ax.transAxes, fontsize=9.5, color=GREY)
    with atomic(path) as temporary:
        fig.savefig(temporary, dpi=120)
    plt.close(fig)


def _error(result: dict[str, Any]) -> float:
    """Per cent; an error of none has no logarithm, so at least half an image."""
    return 100 * max(1 - mean_accuracy(result), 0.5 / result["images"])


def _height(ax: Any, error: float) -> float:
    """Where an error lies on the axis, 0 at its foot to 1."""
    return float(ax.transAxes.inverted().transform(ax.transData.transform((1, error)))[1])


def _label(ax: Any, rows: list[dict[str, Any]]) -> None:
    """Name the marks, each beside its own where no two names meet and no mark is hidden; where there is no room, not."""
    from matplotlib.patheffects import withStroke

    taken: list[Any] = []
    renderer = ax.figure.canvas.get_renderer()
    marks = [ax.transData.transform((r["nj_typical"], _error(r))) for r in rows]
    halo = [withStroke(linewidth=2.5, foreground="white", alpha=0.8)]
    for r in sorted(rows, key=lambda r: r["nj_typical"]):
        at, colour = (r["nj_typical"], _error(r)), COLOURS[r["integration"]]
        name = r["name"] if len(r["name"]) <= LONGEST else r["name"][: LONGEST - 1] + "…"
        for dx, dy, ha in PLACES:
            text = ax.annotate(name, at, (dx, dy), textcoords="offset points", ha=ha, fontsize=8.5, color=colour, zorder=5)
            text.set_path_effects(halo)
            box = text.get_window_extent(renderer)
            if not any(box.overlaps(other) for other in taken) and not any(box.contains(*mark) for mark in marks):
                taken.append(box)
                break
            text.remove()
