"""The generated tables, a module for each document; docs/splice.py puts them there. Here is what they share."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (
    "Accuracy: mean ± standard deviation over five encoder seeds, by the golden model, which the RTL equals spike for spike; "
    "a single value where the encoder draws nothing."
)


def result(name: str) -> Any:
    return json.loads((ROOT / "docs/results" / f"{name}.json").read_text())


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


def shape(r: dict[str, Any]) -> str:
    """Of a training with convolutions: `16 maps, stride 2; 32 maps, pooled; 128; 10`."""
    maps = [
        f"{x['maps']} maps"
        + (", 1×1" if x["kernel"] == 1 else "")
        + (", stride 2" if x["stride"] == 2 else "")
        + (", pooled" if x["pool"] else "")
        for x in r["convolutions"]
    ]
    return "; ".join([*maps, *map(str, r["layers"][1 + len(maps) :])])


def over_seeds(r: dict[str, Any]) -> str:
    """Accuracy of trainings: mean and standard deviation, or the only one."""
    if len(r["seeds"]) == 1:
        return f"{r['accuracy_mean']:.2%}, one seed"
    return f"{100 * r['accuracy_mean']:.2f} ± {100 * r['accuracy_std']:.2f}%, {len(r['seeds'])} seeds"


def size(r: dict[str, Any]) -> str:
    return f"{'-'.join(map(str, r['layers']))}, {r['weight_bits']}-bit weights"
