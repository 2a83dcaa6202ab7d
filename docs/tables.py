"""Write the result tables of the documents from the JSON files in docs/results, others' figures from docs/rivals.json.

tables.py           write them
tables.py --check   compare them instead; exit status 1 if one differs
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- {0}: written by `make gen` from docs/results/{0}.json -->"
END = "<!-- end of {0} -->"


def result(name: str) -> Any:
    return json.loads((ROOT / "docs/results" / f"{name}.json").read_text())


SEEDS = (
    "Accuracy: mean ± standard deviation over five encoder seeds, by the golden model, which the RTL equals spike for spike; "
    "one figure where the encoder draws nothing."
)


def origin(report: dict[str, Any]) -> str:
    """The commit of a report, and of its accuracies over encoder seeds if they were added later."""
    added = report.get("encoder_seeds_from")
    later = f", accuracies over encoder seeds by `{added['command']}` of commit {added['commit'][:9]}" if added else ""
    return f"commit {report['commit'][:9]}{later}"


def accuracy(r: dict[str, Any]) -> str:
    """Of a report: mean and spread over encoder seeds, or the only one that there is; a single seed of several is called so."""
    if seeds := r.get("encoder_seeds"):
        assert len(seeds) == 5, "SEEDS says five"
        return f"{100 * r['accuracy_mean']:.2f} ± {100 * r['accuracy_std']:.2f}%"
    return f"{r['accuracy']:.2%}" + (", one seed" if r["encoder"] == "bernoulli" else "")


MODES = {"demo": "`make demo`", "demo-continuous": "`make demo MODE=continuous`", "demo-events": "`make demo MODE=events`"}
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
        f"From [demo.json](docs/results/demo.json), [demo-continuous.json](docs/results/demo-continuous.json) and "
        f"[demo-events.json](docs/results/demo-events.json), commit {reports[0]['commit'][:9]}; RTL cycle counts at "
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
        f"From [bench.json](docs/results/bench.json), {origin(report)}: all 10,000 test images on the RTL at "
        f"{report['results'][0]['fclk_mhz']:g} MHz. Latency: one image alone, from spikes. Host: processor time of this runtime for an image from pixels, at "
        f"{report['results'][0]['batch_size']:,} images a transfer, on a workstation. Wrong: labels that differ from the golden model. {SEEDS} "
        "Each network is one training; over the seeds of trainings: [training](training/README.md).",
    ]


def area() -> list[str]:
    """The geometries of `make area`."""
    lines = ["| Geometry | LUT | of an XC7Z020 | FF | RAMB36 | of an XC7Z020 | DSP |", "|---|---|---|---|---|---|---|"]
    entries = result("area")
    for r in entries:
        lines.append(
            f"| `{r['geometry']}` | {r['lut']:,} | {r['lut_share']:.0%} | {r['ff']:,} | {r['ramb36']:g} | {r['bram_share']:.0%} | {r['dsp']} |"
        )
    source = f"From [area.json](docs/results/area.json): {entries[0]['tool']}, before place and route; [how it is counted]"
    return [*lines, "", f"{source}(docs/implementation.md)."]


def rivals() -> list[dict[str, Any]]:
    """What others measured or published, with the source of each figure and whether it was looked up there."""
    return json.loads((ROOT / "docs/rivals.json").read_text())


def cell(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def ours() -> list[str]:
    """Images per second, ours beside others'."""
    rows = [
        "| Who | Built | Accuracy | Images/s | Latency | Evidence | Another network without a new bitstream | Source | Looked up in |",
        "|---" * 9 + "|",
    ]
    report = result("bench")
    for name in ("mnist-dc-threshold", "mnist-dc-256"):
        spikes, pixels = (
            next(r for r in report["results"] if (r["name"], r["input"]) == (name, x)) for x in ("spikes", "pixels")
        )
        rows.append(
            f"| **Spikeline** `{name}`, T = {spikes['time_steps']} | XC7Z020, {spikes['fclk_mhz']:g} MHz assumed | {accuracy(spikes)} | "
            f"{spikes['images_per_second']:,.0f} from spikes, {pixels['images_per_second']:,.0f} from pixels | "
            f"{spikes['latency_us']:.2f} µs from spikes, {pixels['latency_us']:.2f} µs from pixels | simulated | "
            "yes: any up to the sizes that are built | [bench.json](results/bench.json) | |"
        )
    for spiking, title in ((True, "spiking"), (False, "not spiking")):
        rows.append(f"| *others, {title}* | | | | | | | | |")
        for r in rivals():
            if r["spiking"] == spiking and "loads" in r:
                latency = f"{cell(r['latency_us'])} µs" if "latency_us" in r else ""
                rows.append(
                    f"| {r['name']} | {r['built']} | {r['accuracy']:.2%} | {cell(r.get('images_per_second'))} | {latency} | "
                    f"{r['evidence']} | {r['loads']} | {r['source']} | {r['checked']} |"
                )
    return [*rows, "", f"Ours from [bench.json](results/bench.json), others from [rivals.json](rivals.json). {SEEDS}"]


def ours_energy() -> list[str]:
    """Energy of an image, ours beside others'."""
    rows = ["| Who | Built | Accuracy | nJ an image | Of what | Evidence | Source | Looked up in |", "|---" * 8 + "|"]
    found = result("energy")
    for name in ("mnist-dc-sparse", "mnist-dc-threshold", "mnist-dc-256"):
        (r,) = (r for r in found["results"] if r["name"] == name)
        rows.append(
            f"| **Spikeline** `{name}` | 40 nm chip, not built | {accuracy(r)} | {r['nj_typical']:.1f} ({r['nj_low']:.1f} … {r['nj_high']:.1f}) | "
            "classification | estimated | [energy.json](results/energy.json) | |"
        )

    def order(r: dict[str, Any]) -> float:
        return min(r["energy_nj"]) if isinstance(r["energy_nj"], list) else r["energy_nj"]

    for r in sorted((r for r in rivals() if "energy_nj" in r), key=order):
        nj = r["energy_nj"]
        energy = f"{nj[0]:g} … {nj[1]:g}" if isinstance(nj, list) else cell(nj)
        right = f"{r['accuracy']:.2%}" if "accuracy" in r else f"above {r['accuracy_above']:.0%}"
        rows.append(
            f"| {r['name']} | {r['built']} | {right} | {energy} | {r['energy']} | "
            f"{r.get('energy_evidence', r['evidence'])} | {r['source']} | {r['checked']} |"
        )
    return [
        *rows,
        "",
        f"Ours from [energy.json](results/energy.json), typical, all constants low … high; others from [rivals.json](rivals.json). {SEEDS}",
    ]


def c_size() -> list[str]:
    """Size and stack of the C runtime, from the last test on ARM, and the last long run of the fuzzer."""
    r, fuzz = result("c-size"), result("c-fuzz")
    calls = sorted(r["stack"].items(), key=lambda item: -item[1])[:4]
    return [
        "| | text | data | bss |",
        "|---|---|---|---|",
        *(f"| {name} | {r[key]['text']:,} | {r[key]['data']} | {r[key]['bss']:,} |" for name, key in SIZED.items()),
        "",
        f"Deepest stack: {', '.join(f'`{name}` {depth} bytes' for name, depth in calls)}; the others less.",
        f"From [c-size.json](../../docs/results/c-size.json), commit {r['commit'][:9]}: {r['compiler']}, `{r['options']}`.",
        "",
        f"The check of images was fuzzed for {fuzz['seconds']:.0f} s: {fuzz['executions']:,} executions, {len(fuzz['findings'])} findings "
        f"([c-fuzz.json](../../docs/results/c-fuzz.json), commit {fuzz['commit'][:9]}).",
    ]


SIZED = {
    "library, bare metal": "library",
    "library, Linux": "library_linux",
    "Zynq port, its bss the translation table and buffers": "port_zynq",
}


def random_networks() -> list[str]:
    """The long run of random networks."""
    r = result("random-networks")
    return [
        f"`make random COUNT={r['networks']} SEED={r['seed']}`: {r['networks']:,} networks from ONNX to Verilog, **{r['mismatches']} that "
        f"differ**, in {r['seconds'] / 60:.0f} minutes; commit {r['commit'][:7]}. Among them "
        + "; ".join(
            ", ".join(f"{count:,} of {kind}" for kind, count in r["kinds"].items() if kind.endswith(x))
            for x in ("bits", "layers")
        )
        + f"; {r['kinds']['continuous']:,} continuous, {r['kinds']['discontinuous']:,} discontinuous."
    ]


def soak() -> list[str]:
    """The long run of digits."""
    r = result("soak")
    return [
        f"`make soak IMAGES={r['images']} SEED={r['seed']}`: {r['images']:,} digits in {r['cycles']:,} cycles of {r['geometry']}, "
        f"{r['loads']} loads of {', '.join(r['networks'])}, {r['resets_under_way']} resets in the middle of a batch, random stalls: "
        f"**{r['mismatches']} labels or numbers of steps that differ**; commit {r['commit'][:7]}."
    ]


def coverage() -> list[str]:
    """What all tests together run."""
    r = result("coverage")
    verilog, python = r["verilog"], r["python"]
    return [
        "| | lines | toggles, branches |",
        "|---|---|---|",
        f"| Verilog, all | **{verilog['percent']['line']:.2f}%** | **{verilog['percent']['toggle']:.2f}%** |",
        *(f"| `{name}` | {met.get('line', '–')} | {met['toggle']} |" for name, met in verilog["files"].items()),
        f"| Python, all | **{python['percent']['line']:.2f}%** | **{python['percent']['branch']:.2f}%** |",
        "",
        f"From [coverage.json](results/coverage.json), commit {r['commit'][:7]}. Python by file is there.",
    ]


def mutation() -> list[str]:
    """Faults planted and seen."""
    r = result("mutation")
    parts = {"Verilog": "rtl/", "compiler": "firmware/", "golden model, image, encoders": "host/"}
    counts = ", ".join(
        f"{sum(x['seen'] for x in chosen)} of {len(chosen)} in {name}"
        for name, folder in parts.items()
        for chosen in [[x for x in r["results"] if x["file"].startswith(folder)]]
    )
    return [
        f"`make mutate`: **{r['seen']} of {r['faults']} faults are seen**: {counts}; {r['seconds'] / 60:.0f} minutes, commit "
        f"{r['commit'][:7]}. [mutation.json](results/mutation.json) names for each the test that saw it."
    ]


def toggles() -> list[str]:
    """How often register bits toggle."""
    r = result("toggles")
    shares = ", ".join(f"{x['toggle_share']:.2f} (`{x['name']}`)" for x in r["results"])
    return [
        f"Toggles of a register bit for each cycle that its clock is let through, over {r['images']} test images on the RTL: {shares}; "
        f"from [toggles.json](results/toggles.json), commit {r['commit'][:7]}, by `rtl/synthesis/toggles.py`."
    ]


def energy() -> list[str]:
    """Energy per image of the named networks."""
    found = result("energy")
    rows = [
        "| Network | | Bits | Time steps | Accuracy | nJ per image: typical | low … high | memory, logic, leakage |",
        "|---" * 8 + "|",
    ]
    for r in found["results"]:
        if "=" in r["name"]:
            continue
        shares = ", ".join(f"{r[f'{x}_share']:.0%}" for x in ("memory", "logic", "leakage"))
        rows.append(
            f"| {r['name']} | {'-'.join(map(str, r['layers']))} | {r['weight_bits']} | {r['mean_steps']:.2f} of {r['time_steps']} | "
            f"{accuracy(r)} | **{r['nj_typical']:.1f}** | {r['nj_low']:.1f} … {r['nj_high']:.1f} | {shares} |"
        )
    return [
        *rows,
        "",
        f"Pre-silicon estimates, not measurements: all 10,000 test images, profile asic-40nm, from [energy.json](results/energy.json), {origin(found)}. {SEEDS}",
    ]


def size(r: dict[str, Any]) -> str:
    return f"{'-'.join(map(str, r['layers']))}, {r['weight_bits']}-bit weights"


TABLES = {
    "README.md": {"demo": demo, "bench": bench, "area": area},
    "docs/comparison.md": {"bench": ours, "energy": ours_energy},
    "docs/verification.md": {"random-networks": random_networks, "soak": soak, "coverage": coverage, "mutation": mutation},
    "docs/energy.md": {"toggles": toggles, "energy": energy},
    "firmware/runtime/README.md": {"c-size": c_size},
}


def main() -> int:
    stale = []
    for name, tables in TABLES.items():
        path = ROOT / name
        text = made = path.read_text()
        for table, write in tables.items():
            before, rest = made.split(BEGIN.format(table))
            _, after = rest.split(END.format(table))
            made = "\n".join([before + BEGIN.format(table), *write(), END.format(table)]) + after
        if "--check" not in sys.argv[1:]:
            path.write_text(made)
        elif made != text:
            stale.append(name)
    if stale:
        print(f"{', '.join(stale)} differs from docs/results; run `make gen` and commit the result", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
