"""Tables of docs/verification.md: long runs, coverage, planted faults."""

from typing import Any

from tables import result


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
        f"{r['loads']} loads of {', '.join(r['networks'])}, {r['resets_under_way']} resets{_faults(r)} in the middle of a batch, random stalls: "
        f"**{r['mismatches']} labels or numbers of steps that differ**; commit {r['commit'][:7]}."
    ]


def _faults(r: dict[str, Any]) -> str:
    """What a run has had since there is a memory port."""
    if "flipped_bits" not in r:
        return ""
    return f" and {r['memory_faults_under_way']} faults of the memory, {r['flipped_bits']} loads with a flipped bit"


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
    parts = {"Verilog": "rtl/", "compiler": "firmware/", "golden model, model file, encoders": "host/"}
    counts = ", ".join(
        f"{sum(x['seen'] for x in chosen)} of {len(chosen)} in {name}"
        for name, folder in parts.items()
        for chosen in [[x for x in r["results"] if x["file"].startswith(folder)]]
    )
    return [
        f"`make mutate`: **{r['seen']} of {r['faults']} faults are seen**: {counts}; {r['seconds'] / 60:.0f} minutes, commit "
        f"{r['commit'][:7]}. [mutation.json](results/mutation.json) names for each the test that saw it."
    ]


TABLES = {"random-networks": random_networks, "soak": soak, "coverage": coverage, "mutation": mutation}
