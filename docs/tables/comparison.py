"""Tables of docs/comparison.md: ours beside others', whose figures are in docs/rivals.json."""

import json
from typing import Any

from spikeline.model.geometry import Geometry
from tables import ROOT, SEEDS, accuracy, over_seeds, result, shape


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
    for name, r in result("convolutions").items():
        if r["dataset"] == "mnist-test" and r["input"] == "pixels":
            device = Geometry.load(r["geometry"]).device
            rows.append(
                f"| **Spikeline** `{name}`, {shape(r)}, T = {r['time_steps']} | {device}, {r['fclk_mhz']:g} MHz assumed | {over_seeds(r)} | "
                f"{r['images_per_second']:,} from pixels | | simulated | yes: any up to the sizes that are built | "
                "[convolutions.json](results/convolutions.json) | |"
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
    return [
        *rows,
        "",
        f"Ours from [bench.json](results/bench.json), convolutions from [convolutions.json](results/convolutions.json) by the exact cycle model, "
        f"others from [rivals.json](rivals.json). {SEEDS}",
    ]


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


TABLES = {"bench": ours, "energy": ours_energy}
