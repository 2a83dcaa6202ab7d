"""A stranger's path, timed: install the wheel, make own pictures, and classify them on the simulated board, in four commands.

Everything happens in an empty folder with an empty home: a new environment, into which pip installs the wheel with what it needs,
and no simulator built before. Writes docs/results/stranger.json with the seconds of each command.
"""

import argparse
import csv
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from spikeline.files import atomic
from spikeline.measure.evaluate import commit
from support import wheels

RESULTS = Path("docs/results/stranger.json")
PICTURES = """\
import numpy as np
rng = np.random.default_rng(0)
labels = rng.integers(0, 4, 600)
images = (rng.integers(0, 90, (600, 16, 16)) + 150 * (np.arange(16)[:, None] // 4 == labels[:, None, None])).astype(np.uint8)
new = dict(train_images=images[:500], train_labels=labels[:500], test_images=images[500:], test_labels=labels[500:])
np.savez("mine.npz", **new)
"""
COMMANDS = (
    "spikeline train --preset small --data mine.npz --out run",
    "spikeline export --checkpoint run/checkpoint.pt --data mine.npz --out run/model.onnx",
    "spikeline compile run/model.onnx --data mine.npz --verify 100 --out run/model.img",
    "spikeline run run/model.img --data mine.npz --out labels.csv",
)


def walk(folder: Path, cached: bool) -> dict[str, Any]:
    """Go the path in an empty folder; returns what was measured. Raises CalledProcessError where a command fails."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    load = os.getloadavg()[0]
    wheel = wheels.build(folder)
    begin = time.monotonic()
    programs = wheels.installed(folder / "venv", wheel, "train,sim", *([] if cached else ["--no-cache-dir"]))
    installed = time.monotonic() - begin
    environment = wheels.clean(home, home / "cache") | {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["python", "-c", PICTURES], cwd=work, env=environment, check=True)
    seconds = []
    for command in COMMANDS:
        begin = time.monotonic()
        subprocess.run(command.split(), cwd=work, env=environment, check=True)
        seconds.append(round(time.monotonic() - begin, 1))
    with open(work / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "samples": len(rows),
        "right": sum(row["label"] == row["truth"] for row in rows),
        "pip_cache": "may have been warm" if cached else "not used",
        "install_seconds": round(installed, 1),
        "commands": dict(zip(COMMANDS, seconds, strict=True)),
        "commands_seconds": round(sum(seconds), 1),
        "total_seconds": round(installed + sum(seconds), 1),
        "processors": len(os.sched_getaffinity(0)),
        "load_before": round(load, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-cache", action="store_true", help="let pip fetch everything anew")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="JSON file to write (%(default)s)")
    args = parser.parse_args()
    of = commit()
    with tempfile.TemporaryDirectory() as folder:
        measured = walk(Path(folder), not args.no_cache) | {"commit": of}
    print(json.dumps(measured, indent=1))
    with atomic(args.out) as file:
        file.write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
