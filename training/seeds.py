"""Train presets with several seeds and record how far the results spread.

seeds.py PRESET ... [--seeds 0,1,2]   train, export, measure; write docs/results/training.json and README.md's table
seeds.py                              write the table again
seeds.py --check                      compare the table instead; exit status 1 if it differs

Every network stays in OUT/PRESET/seedN: checkpoint, QONNX file and proof. The figures are those of the folded integer
network, run by the golden model on all 10,000 test images with the spikes of the preset's `eval_seed`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from spikeline.measure import evaluate

ROOT = Path(__file__).resolve().parents[1]
RESULTS, README = ROOT / "docs/results/training.json", ROOT / "training/README.md"
BEGIN, END = "<!-- written by training/seeds.py from docs/results/training.json -->", "<!-- end of results -->"
EXIT_IMAGES = 10_000  # training images on which the margin of early exit is picked
EXIT_LOSS = 0.0  # of their accuracy: steps are few enough without paying for it
CHUNK = 1000  # images in the golden model at a time


def record(name: str, seeds: list[int], out: Path, resume: bool, threads: int, commit: str) -> dict[str, Any]:
    """Train, export and measure one preset with each seed; returns its entry of the results."""
    import torch

    from spikeline_training import preset
    from spikeline_training.export import export
    from spikeline_training.train import CHECKPOINT, train

    torch.set_num_threads(threads)
    runs = []
    for seed in seeds:
        chosen = preset.load(name, seed=seed)
        folder = out / name / f"seed{seed}"
        train(chosen, folder, resume=resume, after_epoch=lambda m: print(name, m["epoch"], m["test_accuracy"], flush=True))
        export(folder / CHECKPOINT, folder / "model.onnx")
        found, figures = measure(folder / CHECKPOINT)
        runs.append({"seed": seed, **figures})
        print(name, json.dumps(runs[-1]), flush=True)
    accuracies = [run["accuracy"] for run in runs]
    return {
        "layers": list(chosen.sizes),
        "weight_bits": chosen.weight_bits,
        "encoder": chosen.encoder,
        "time_steps": chosen.time_steps,
        "epochs": chosen.epochs,
        **found,
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
    """Name and number of the test samples of one trained network, and its figures.

    `spikes_per_step` are those that enter each layer, a mean over images and steps.
    """
    from spikeline.data import samples
    from spikeline.model.early_exit import decide, pick_margin
    from spikeline_training import checkpoint
    from spikeline_training.fold import integers

    network, chosen, _ = checkpoint.load(checkpoint_path)
    whole = integers(network)
    given = samples.load(whole, "test", chosen.data, seed=chosen.eval_seed)
    counted, spikes_per_step = execute(whole, given)
    by_step = evaluate.accuracy_by_step(counted, given.labels)
    figures: dict[str, Any] = {
        "accuracy": by_step[-1],
        "spikes_per_step": spikes_per_step,
        "seconds": round(sum(epoch.get("seconds", 0.0) for epoch in history(checkpoint_path)), 1),
    }
    if chosen.time_steps > 1:
        seed = chosen.eval_seed + 1
        training = samples.load(whole, "train", chosen.data, seed=seed).first(EXIT_IMAGES)
        margin = pick_margin(execute(whole, training)[0], training.labels, EXIT_LOSS)
        early, steps = decide(counted, margin)
        figures["accuracy_by_step"] = by_step
        figures["early_exit"] = {
            "margin": margin,
            "accuracy": float((early == given.labels).mean()),
            "mean_steps": float(steps.mean()),
            "picked_on": f"the first {EXIT_IMAGES} training images, spikes of seed {seed}",
            "allowed_loss": EXIT_LOSS,
        }
    return {"dataset": given.name, "images": len(given)}, figures


def history(checkpoint_path: Path) -> list[dict[str, Any]]:
    """The epochs of a training, with the seconds that they took, which a checkpoint does not keep."""
    from spikeline_training.train import METRICS

    return [json.loads(line) for line in checkpoint_path.with_name(METRICS).read_text().splitlines()]


def execute(network: Any, given: Any) -> tuple[Any, list[float]]:
    """What each step adds to the class values of samples, (B, T, 10), and the mean spikes into each layer per step."""
    import numpy as np

    from spikeline.model import golden

    counted, reads = [], []
    for first in range(0, len(given), CHUNK):
        trace = golden.run(network, given.spikes(first, first + CHUNK))
        counted.append(trace.counted)
        reads.append(trace.row_reads)
    return np.concatenate(counted), [round(float(n), 2) for n in np.concatenate(reads).mean((0, 1))]


def table(results: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    lines = [
        "| preset | network | accuracy: mean (least … most) | spikes per step | early exit | epochs, seconds of one core |",
        "|---|---|---|---|---|---|",
    ]
    for name, r in results.items():
        runs = r["seeds"]
        accuracy = f"{r['accuracy_mean']:.2%}, one seed"
        if len(runs) > 1:
            accuracy = f"{r['accuracy_mean']:.2%} ({r['accuracy_min']:.2%} … {r['accuracy_max']:.2%}), {len(runs)} seeds"
        spikes = [sum(n) / len(runs) for n in zip(*(run["spikes_per_step"] for run in runs), strict=True)]
        early = "one step"
        if r["time_steps"] > 1:
            exits = [run["early_exit"] for run in runs]
            mean_steps = sum(e["mean_steps"] for e in exits) / len(runs)
            early = f"{sum(e['accuracy'] for e in exits) / len(runs):.2%} at {mean_steps:.2f} steps"
        network = f"{'-'.join(map(str, r['layers']))}, {r['weight_bits']} bits, {r['encoder']}, T = {r['time_steps']}"
        cost = f"{r['epochs']}, {min(run['seconds'] for run in runs):.0f}"
        lines.append(f"| `{name}` | {network} | {accuracy} | {', '.join(f'{n:.0f}' for n in spikes)} | {early} | {cost} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", metavar="PRESET")
    parser.add_argument("--seeds", default="0,1,2", help="of the trainings (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/seeds", metavar="DIR", help="for the networks (%(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue what an interrupted run left in --out, not afresh")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (%(default)s)")
    parser.add_argument("--check", action="store_true", help="only compare README.md with the results")
    args = parser.parse_args()

    commit = evaluate.commit()  # now: writing the results changes the working tree
    for name in args.presets:
        entry = record(name, [int(seed) for seed in args.seeds.split(",")], args.out, args.resume, args.threads, commit)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(dict(sorted((results | {name: entry}).items())), indent=1) + "\n")

    text = README.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    made = "\n".join([before + BEGIN, "", *table(json.loads(RESULTS.read_text())), "", END]) + after
    if not args.check:
        README.write_text(made)
    elif made != text:
        print("training/README.md differs from docs/results/training.json; run training/seeds.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
