"""What `spikeline report` prints in README.md and docs/data.md, and the tables of docs/results.md."""

from collections.abc import Callable
from typing import Any

from spikeline.cli import target
from tables import SEEDS, accuracy, origin, result, size

MODES = {
    "demo": "`make demo`",
    "demo-continuous": "`make demo MODE=continuous`",
    "demo-events": "`make demo MODE=events`",
    "demo-convolution": "`make demo MODE=convolution`",
    "demo-convolution-best": "… `PRESET=mnist-conv-best GEOMETRY=zu3-conv`",
}


SENT = {"pixels": "encoded on chip", "events": "three saccades, as address events"}


def demo() -> list[str]:
    """What `make demo` reported in each of its modes."""
    reports = [result(name) for name in MODES]

    def row(name: str, value: Callable[[dict[str, Any]], str]) -> str:
        return " | ".join([f"| {name}", *map(value, reports)]) + " |"

    def cleared(r: dict[str, Any]) -> str:
        return f"{r['accuracy_cleared']:.2%}" if "accuracy_cleared" in r else "nothing is kept"

    def on_rtl(r: dict[str, Any]) -> str:
        seeds = r.get("encoder_seeds")
        return f"{r['accuracy']:.2%}" + (f", encoder seed {seeds[0]}" if seeds else "")

    def differs(r: dict[str, Any]) -> str:
        return (
            f"{r['golden_mismatches']} of {r['images']:,} labels, {r['spike_mismatches']} of {r['spikes_compared']:,} spikes, "
            f"{r['membrane_mismatches']} of {r['membranes_compared']:,} membranes"
        )

    origins = [f"[{name}.json](results/{name}.json) of commit {r['commit'][:9]}" for name, r in zip(MODES, reports, strict=True)]
    return [
        " | ".join(["| What", *MODES.values()]) + " |",
        "|---" * (1 + len(MODES)) + "|",
        row("Integration", lambda r: r["integration"]),
        row("Network, time steps", lambda r: f"{size(r)}, T = {r['time_steps']}"),
        row("Input", lambda r: f"{r['encoder']}, {SENT[r['input']]}"),
        row("Accuracy, 10,000 test images", lambda r: f"**{accuracy(r)}**"),
        row("The same, on the RTL", on_rtl),
        row("The same, membranes cleared at every step", cleared),
        row(
            "Spikes per image, input + hidden",
            lambda r: f"{r['input_spikes_per_image']:.0f} + {r['hidden_spikes_per_image']:.0f}",
        ),
        row("Images per second", lambda r: f"**{r['images_per_second']:,.0f}** ({r['cycles_per_image']:.1f} cycles each)"),
        row("Latency of one image", lambda r: f"{r['latency_us']:.2f} µs"),
        row("RTL differs from golden model", differs),
        row("ONNX differs from golden model", lambda r: f"{r['onnx_mismatches']} of {r['onnx_images']:,} images"),
        row("Power", lambda _: "not measured: no board yet"),
        "",
        f"From {', '.join(origins)}; RTL cycle counts at "
        f"{reports[0]['fclk_mhz']:g} MHz; latency is the mean of 100 images sent one by one. {SEEDS}",
    ]


def bench() -> list[str]:
    """The networks of `make bench`."""
    report = result("bench")
    by_name: dict[str, dict[str, Any]] = {}
    for r in report["results"]:
        by_name.setdefault(r["name"], {})[r["input"]] = r
    lines = [
        "| Network | Size | Steps used | Accuracy | Images/s from spikes | … from pixels (events) | Latency | Host | Wrong | Cycle model error |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, r in by_name.items():
        s, p = r["spikes"], r.get("pixels") or r["events"]
        wrong = s["golden_mismatches"] + p["golden_mismatches"]
        host = f"{p['host_cpu_us_per_image']:.2f} µs" if p["input"] == "pixels" else ""
        errors = {str(x["cycle_model_error"]) for x in (s, p)} - {"None"}
        lines.append(
            f"| `{name}` | {size(s)} | {s['mean_steps']:.2f} of {s['time_steps']} | {accuracy(s)} | {s['images_per_second']:,.0f} | "
            f"{p['images_per_second']:,.0f}{' (events)' if p['input'] == 'events' else ''} | {s['latency_us']:.2f} µs | {host} | {wrong} | {' '.join(errors) or 'not modelled'} |"
        )
    return [
        *[*lines, ""],
        f"From [bench.json](results/bench.json), {origin(report)}: all 10,000 test images on the RTL at "
        f"{report['results'][0]['fclk_mhz']:g} MHz. Latency: one image alone, from spikes. Host: processor time of this runtime for an image from pixels, at "
        f"{report['results'][0]['batch_size']:,} images a transfer, on a workstation. Wrong: labels that differ from the golden model. {SEEDS} "
        "Each network is one training; over the seeds of trainings: [training](../training/README.md).",
    ]


def area() -> list[str]:
    """The geometries of `make area`."""
    lines = [
        "| Geometry | Device | LUT | of it | FF | RAMB36 | of it | UltraRAM | DSP |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    entries = result("area")
    for r in entries:
        lines.append(
            f"| `{r['geometry']}` | {r['device']} | {r['lut']:,} | {r['lut_share']:.0%} | {r['ff']:,} | {r['ramb36']:g} | {r['bram_share']:.0%} | {r.get('uram', 0)} | {r['dsp']} |"
        )
    source = f"From [area.json](results/area.json): {entries[0]['tool']}, before place and route; [how it is counted]"
    return [*lines, "", f"{source}(implementation.md)."]


def printed(name: str, folder: str) -> list[str]:
    """The last lines that `spikeline report --out FOLDER` prints of a result."""
    rows = [*target.lines(result(name)), ("report and plots", folder)]
    return ["```text", *(f"  {name:<26} {value}" for name, value in rows), "```"]


README = {"demo": lambda: printed("demo", "build/demo/")}


def stranger() -> list[str]:
    """How long the way from the wheel to labels takes."""
    r = result("stranger")
    steps = ", ".join(f"`{command.split()[1]}` {seconds:.0f} s" for command, seconds in r["commands"].items())
    return [
        f"From nothing, with pictures of 16 × 16: `pip install` of the wheel {r['install_seconds']:.0f} s (its cache {r['pip_cache']}), then "
        f"{steps}, the simulator's build in it. Together {r['total_seconds']:.0f} s on {r['processors']} processors, whose load "
        f"was {r['load_before']:g} before; {r['right']} of {r['samples']} labels are right. "
        f"From [stranger.json](results/stranger.json), by `make stranger`, commit {r['commit'][:9]}.",
    ]


DATA = {"fashion-mnist": lambda: printed("fashion-mnist", "fashion/report/"), "stranger": stranger}
TABLES = {"demo": demo, "bench": bench, "area": area}
