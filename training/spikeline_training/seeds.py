"""Train presets with several seeds and record how far the results spread. Run it in the root of a checkout.

python -m spikeline_training.seeds PRESET ... [--seeds 0,1,2]   train, export, measure; write docs/results/training.json
python -m spikeline_training.seeds PRESET ... --data NAME       the same on other data, as an entry of its own
python -m spikeline_training.seeds PRESET ... --geometry NAME   cycles in a geometry of choice

Every network stays in OUT/PRESET/seedN: checkpoint, QONNX file and proof. Measured is the integer network, run by the golden
model on all test samples with the spikes of the preset's `eval_seed`; cycles are those of the exact cycle model, in the smallest
shipped geometry that it fits or in --geometry, from pixels (or events) in packets of 1,000.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from statistics import pstdev
from typing import Any

import torch

from spikeline.data import data_sets, samples
from spikeline.files import atomic
from spikeline.measure import bench, evaluate
from spikeline.model import model_file
from spikeline.model.early_exit import decide, pick_margin
from spikeline.model.geometry import Geometry
from spikeline_training import checkpoint, preset
from spikeline_training.export import export_checkpoint
from spikeline_training.integers import integers
from spikeline_training.scoring import execute
from spikeline_training.train import CHECKPOINT, METRICS, train

RESULTS = Path("docs/results/training.json")
EXIT_IMAGES = 10_000  # training images on which the margin of early exit is picked
EXIT_LOSS = 0.0  # of their accuracy: steps are few enough without paying for it


def record(
    name: str,
    seeds: list[int],
    out: Path,
    resume: bool,
    threads: int,
    commit: str,
    data: str | None = None,
    geometry: str | None = None,
) -> dict[str, Any]:
    """Train, export and measure one preset with each seed, on its own data or on `data`; returns its entry of the results.

    geometry: of the cycles, None for the smallest that the network fits.
    """
    torch.set_num_threads(threads)
    source, runs = data_sets.find(data or preset.data_of(name)), []
    for seed in seeds:
        chosen = preset.load(name, source, seed=seed)
        folder = out / entry(name, data) / f"seed{seed}"
        train(chosen, folder, source, resume, lambda m: print(name, m["epoch"], m["test_accuracy"], flush=True))
        export_checkpoint(folder / CHECKPOINT, folder / "model.onnx")
        test, results = measure(folder / CHECKPOINT, geometry)
        runs.append({"seed": seed, **results})
        print(name, json.dumps(runs[-1]), flush=True)
    accuracies = [run["accuracy"] for run in runs]
    cycles = sum(run["cycles_per_image"] for run in runs) / len(runs)
    return {
        "preset": name,
        "layers": list(chosen.sizes),
        **({"convolutions": [asdict(x) for x in chosen.convolutions]} if chosen.convolutions else {}),
        "weight_bits": chosen.weight_bits,
        "encoder": chosen.encoder,
        "time_steps": chosen.time_steps,
        "epochs": chosen.epochs,
        **test,
        "eval_seed": chosen.eval_seed,
        "accuracy_mean": round(sum(accuracies) / len(accuracies), 6),
        "accuracy_min": min(accuracies),
        "accuracy_max": max(accuracies),
        "accuracy_std": round(pstdev(accuracies), 6),
        "cycles_per_image": round(cycles, 2),
        "images_per_second": round(test["fclk_mhz"] * 1e6 / cycles),
        "seeds": runs,
        "threads": threads,
        "torch": torch.__version__,
        "commit": commit,
    }


def measure(checkpoint_path: Path, geometry_name: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one trained network is measured on, samples and geometry, and its results.

    `spikes_per_step` are those that enter each layer, a mean over images and steps.
    """
    trained, chosen, _ = checkpoint.load(checkpoint_path)
    network = integers(trained)
    source = samples.source(chosen.dataset)
    test = samples.own(network, chosen.dataset, source, "test", chosen.eval_seed)
    counted, row_reads = execute(network, test)
    by_step = evaluate.accuracy_by_step(counted, test.truth)
    geometry = Geometry.load(geometry_name) if geometry_name else Geometry.smallest(network)
    geometry.require(network)
    sent = "events" if test.pixels is None else "pixels"
    cycles = bench.predicted_cycles(geometry, model_file.build(network), test, sent)
    results: dict[str, Any] = {
        "accuracy": by_step[-1],
        "spikes_per_step": [round(float(n), 2) for n in row_reads.mean((0, 1))],
        "cycles_per_image": round(cycles / len(test), 2),
        "seconds": round(sum(epoch.get("seconds", 0.0) for epoch in history(checkpoint_path)), 1),
    }
    if network.decisions > 1:
        seed = chosen.eval_seed + 1
        training = samples.own(network, chosen.dataset, source, "train", seed).first(EXIT_IMAGES)
        margin = pick_margin(execute(network, training)[0], training.truth, EXIT_LOSS)
        early, steps = decide(counted, margin)
        results["accuracy_by_step"] = by_step
        results["early_exit"] = {
            "margin": margin,
            "accuracy": float((early == test.labels).mean()),
            "mean_steps": float(steps.mean()),
            "picked_on": f"the first {EXIT_IMAGES} training images, spikes of seed {seed}",
            "allowed_loss": EXIT_LOSS,
        }
    facts = {"dataset": test.name, "images": len(test), "input": sent, "geometry": geometry.name, "fclk_mhz": geometry.clock_mhz}
    return facts, results


def entry(name: str, data: str | None) -> str:
    """The name of a preset in the results, and of its folder."""
    return f"{name} on {data}" if data else name


def history(checkpoint_path: Path) -> list[dict[str, Any]]:
    """The epochs of a training, with the seconds that they took, which a checkpoint does not keep."""
    return [json.loads(line) for line in checkpoint_path.with_name(METRICS).read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m spikeline_training.seeds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="+", metavar="PRESET")
    parser.add_argument("--seeds", default="0,1,2", help="of the trainings (%(default)s)")
    parser.add_argument("--data", metavar="NAME", help="data set, by its name, to train and measure on (default: the preset's)")
    parser.add_argument("--geometry", metavar="NAME", help="whose cycles are counted (default: the smallest that fits)")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="JSON to add the entries to (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/seeds"), metavar="DIR", help="for the networks (%(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue what an interrupted run left in --out, not afresh")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (%(default)s)")
    args = parser.parse_args()

    commit = evaluate.commit()  # now: writing the results changes the working tree
    for name in args.presets:
        seeds = [int(seed) for seed in args.seeds.split(",")]
        recorded = {
            entry(name, args.data): record(name, seeds, args.out, args.resume, args.threads, commit, args.data, args.geometry)
        }
        results = json.loads(args.results.read_text()) if args.results.exists() else {}
        with atomic(args.results) as file:
            file.write_text(json.dumps(dict(sorted((results | recorded).items())), indent=1) + "\n")

    print("make gen writes the tables")


if __name__ == "__main__":
    main()
