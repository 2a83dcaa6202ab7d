"""Add the accuracies over encoder seeds to a report of `spikeline bench` or `spikeline energy` that was made without them.

encoder_seeds.py REPORT.json MODEL ... [--sweep MODEL]

MODELs are named as in the report, after folder and file; --sweep is the one that a benchmark swept. A model is accepted for
a result only if its golden model repeats what is recorded there, on all samples and to the last digit: accuracy, time steps
used, spikes into every layer. The plot beside the report is drawn anew.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.data import samples
from spikeline.data.samples import Samples
from spikeline.energy import frontier, measure
from spikeline.files import atomic
from spikeline.measure import evaluate, plots
from spikeline.model import golden, model_file
from spikeline.model.network import Network

DRAWS_NOTHING = {"encoder_seeds": None, "accuracy_std": 0.0}


def over_seeds(r: dict[str, Any], network: Network) -> dict[str, Any]:
    """Accuracies of a result that `network` gave. Exits if it is another network's."""
    network = replace(network, time_steps=r["time_steps"], exit_margin=r["exit_margin"])
    given = samples.load(network).first(r["images"])
    if "brightness" in r:
        given = replace(given, pixels=(given.pixels * r["brightness"]).astype(np.uint8))
    if repeated(network, given) != recorded(r):
        sys.exit(f"{r['name']}: the model gives {repeated(network, given)}, the report has {recorded(r)}: another network's")
    return evaluate.over_encoder_seeds(network, given)


def recorded(r: dict[str, Any]) -> tuple[float, float, list[float] | None]:
    """Accuracy, mean steps, and spikes into each layer an image; of early exit hardware works on fewer, so they do not count."""
    reads = r.get("weight_row_reads_per_layer") or [x["row_reads"] for x in r["activity_per_image"]["layers"]]
    return r["accuracy"], r["mean_steps"], reads if r["exit_margin"] is None else None


def repeated(network: Network, given: Samples) -> tuple[float, float, list[float] | None]:
    """The same, by the golden model."""
    right, steps, reads = 0, 0, np.zeros(len(network.layers), np.int64)
    for spikes, labels in given.batches():
        trace = golden.run(network, spikes)
        right += int((trace.labels == labels).sum())
        steps += int(trace.steps.astype(int).sum())
        reads += trace.row_reads.sum((0, 1))
    per_image = [float(n) / len(given) for n in reads]
    return right / len(given), steps / len(given), per_image if network.exit_margin is None else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, metavar="REPORT", help="Report to complete in place.")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="Model files of the networks in the report.")
    parser.add_argument("--sweep", type=Path, metavar="MODEL", help="Model that the benchmark swept (default: none).")
    args = parser.parse_args()

    commit = evaluate.commit()  # now: writing the report changes the working tree
    report = json.loads(args.report.read_text())
    networks = {evaluate.name_of(path): model_file.load(path).network for path in args.models}
    sweeps = report["sweeps"]
    swept = sweeps if isinstance(sweeps, list) else [r for swept in sweeps.values() for r in swept if "accuracy" in r]
    for r in [*report["results"], *swept]:
        if r["encoder"] != "bernoulli":
            r |= DRAWS_NOTHING | {f"accuracy_{x}": r["accuracy"] for x in ("mean", "min", "max")}
            continue
        name = r["name"].split(" ")[0]
        if name not in networks and (r not in swept or args.sweep is None):
            sys.exit(f"{r['name']}: name the model of {name}")
        r |= over_seeds(r, networks[name] if name in networks else model_file.load(args.sweep).network)
        print(r["name"], r["input"], f"{r['accuracy_mean']:.4%} ± {100 * r['accuracy_std']:.3f}", flush=True)
    report["encoder_seeds_from"] = {"command": "docs/encoder_seeds.py", "commit": commit}
    if "frontier" in report:
        report["frontier"] = [r["name"] for r in measure.pareto(report["results"] + swept)]
        frontier.draw(args.report.with_suffix(".png"), report)
    elif swept:
        plots.sweeps(args.report.with_suffix(".png"), report)
    with atomic(args.report) as path:
        path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
