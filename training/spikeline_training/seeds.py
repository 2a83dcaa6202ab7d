"""Train presets with several seeds and record how far the results spread. Run it in the root of a checkout.

python -m spikeline_training.seeds PRESET ... [--seeds 0,1,2]   train, export, measure; write docs/results/training.json

Every network stays in OUT/PRESET/seedN: checkpoint, QONNX file and proof. Measured is the integer network, run by the golden
model on all 10,000 test images with the spikes of the preset's `eval_seed`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from spikeline.data import samples
from spikeline.files import atomic
from spikeline.measure import evaluate
from spikeline.model.early_exit import decide, pick_margin
from spikeline_training import checkpoint, preset
from spikeline_training.export import export_checkpoint
from spikeline_training.integers import integers
from spikeline_training.scoring import execute
from spikeline_training.train import CHECKPOINT, METRICS, train

RESULTS = Path("docs/results/training.json")
EXIT_IMAGES = 10_000  # training images on which the margin of early exit is picked
EXIT_LOSS = 0.0  # of their accuracy: steps are few enough without paying for it


def record(name: str, seeds: list[int], out: Path, resume: bool, threads: int, commit: str) -> dict[str, Any]:
    """Train, export and measure one preset with each seed; returns its entry of the results."""
    torch.set_num_threads(threads)
    runs = []
    for seed in seeds:
        chosen = preset.load(name, seed=seed)
        folder = out / name / f"seed{seed}"
        train(chosen, folder, resume=resume, after_epoch=lambda m: print(name, m["epoch"], m["test_accuracy"], flush=True))
        export_checkpoint(folder / CHECKPOINT, folder / "model.onnx")
        test, results = measure(folder / CHECKPOINT)
        runs.append({"seed": seed, **results})
        print(name, json.dumps(runs[-1]), flush=True)
    accuracies = [run["accuracy"] for run in runs]
    return {
        "layers": list(chosen.sizes),
        "weight_bits": chosen.weight_bits,
        "encoder": chosen.encoder,
        "time_steps": chosen.time_steps,
        "epochs": chosen.epochs,
        **test,
        "eval_seed": chosen.eval_seed,
        "accuracy_mean": round(sum(accuracies) / len(accuracies), 6),
        "accuracy_min": min(accuracies),
        "accuracy_max": max(accuracies),
        "seeds": runs,
        "threads": threads,
        "torch": torch.__version__,
        "commit": commit,
    }


def measure(checkpoint_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Name and number of the test samples of one trained network, and its results.

    `spikes_per_step` are those that enter each layer, a mean over images and steps.
    """
    trained, chosen, _ = checkpoint.load(checkpoint_path)
    network = integers(trained)
    source = samples.source(chosen.dataset)
    test = samples.own(network, chosen.dataset, source, "test", chosen.eval_seed)
    counted, row_reads = execute(network, test)
    by_step = evaluate.accuracy_by_step(counted, test.truth)
    results: dict[str, Any] = {
        "accuracy": by_step[-1],
        "spikes_per_step": [round(float(n), 2) for n in row_reads.mean((0, 1))],
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
    return {"dataset": test.name, "images": len(test)}, results


def history(checkpoint_path: Path) -> list[dict[str, Any]]:
    """The epochs of a training, with the seconds that they took, which a checkpoint does not keep."""
    return [json.loads(line) for line in checkpoint_path.with_name(METRICS).read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m spikeline_training.seeds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="+", metavar="PRESET")
    parser.add_argument("--seeds", default="0,1,2", help="of the trainings (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/seeds"), metavar="DIR", help="for the networks (%(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue what an interrupted run left in --out, not afresh")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (%(default)s)")
    args = parser.parse_args()

    commit = evaluate.commit()  # now: writing the results changes the working tree
    for name in args.presets:
        entry = record(name, [int(seed) for seed in args.seeds.split(",")], args.out, args.resume, args.threads, commit)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        with atomic(RESULTS) as file:
            file.write_text(json.dumps(dict(sorted((results | {name: entry}).items())), indent=1) + "\n")

    print("make gen writes the table of training/README.md")


if __name__ == "__main__":
    main()
