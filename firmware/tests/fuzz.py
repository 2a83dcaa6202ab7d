"""Fuzz the model check of the C runtime, from a corpus of small networks of every kind; writes build/c-runtime/fuzz.json."""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from spikeline.measure.evaluate import commit
from spikeline.model import model_file
from spikeline.model.network import Layer, Network
from spikeline.model.spec import Decode, Encoder, Reset

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build/c-runtime"
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1", "-g"]
FLAGS += ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
MAX_BYTES = 2048  # of an input: small networks have all that the check looks at


def random_network(rng: np.random.Generator, kind: int) -> Network:
    """A small network; `kind` walks through weight widths, encoders and numbers of layers."""
    bits, encoder, layers = (2, 4, 8)[kind % 3], Encoder(kind % 5), 1 + kind % 8
    sizes = rng.integers(1, 6, layers + 1).tolist()
    if rng.random() < 0.3:
        sizes[int(rng.integers(layers + 1))] = int(rng.integers(17, 40))  # several words a row, or a scan
    made = []
    for shape in pairwise(sizes):
        weights = rng.integers(-1 << (bits - 1), 1 << (bits - 1), shape).astype(np.int8)
        thresholds = rng.integers(1, 20, shape[1]).astype(np.int32)
        if rng.random() < 0.5 and encoder != Encoder.DIRECT:
            biases = rng.integers(-3, 4, shape[1]).astype(np.int32) if rng.random() < 0.5 else None
            made.append(Layer(weights, thresholds, 16, biases, int(rng.integers(5)), Reset(int(rng.integers(2)))))
        else:
            made.append(Layer(weights, thresholds))
    margin = int(rng.integers(9)) if sizes[-1] > 1 and rng.random() < 0.5 else None
    return Network(tuple(made), bits, int(rng.integers(1, 9)), encoder, Decode.SPIKE_COUNT, margin)


def write_corpus(folder: Path, count: int = 64) -> None:
    """Images of random networks, all of which the check must take."""
    folder.mkdir(parents=True)
    for kind in range(count):
        note = {"dataset": {"name": "mnist"}} if kind % 2 else {}
        model_file.save(model_file.build(random_network(np.random.default_rng(kind), kind), note), folder / f"{kind}.img")


def build(program: Path) -> None:
    """Compile the fuzzer."""
    if shutil.which("clang") is None:
        sys.exit("clang is missing; run `sudo apt-get install clang`")
    sources = [ROOT / "firmware/tests/fuzz_model.c", ROOT / "firmware/runtime/spikeline.c"]
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["clang", *FLAGS, f"-I{ROOT / 'firmware/runtime'}", *map(str, sources), "-o", str(program)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the fuzzer; 0: another one each time (default: %(default)s)")
    arguments = parser.parse_args()

    shutil.rmtree(OUT / "fuzz", ignore_errors=True)
    findings = OUT / "fuzz/findings"
    findings.mkdir(parents=True)
    write_corpus(OUT / "fuzz/seeds")
    (OUT / "fuzz/corpus").mkdir()
    program = OUT / "fuzz/fuzz_model"
    build(program)
    options = [f"-max_total_time={arguments.seconds}", f"-seed={arguments.seed}", f"-max_len={MAX_BYTES}"]
    options += ["-print_final_stats=1", "-timeout=10", f"-artifact_prefix={findings}/"]
    begin = time.monotonic()
    result = subprocess.run(
        [str(program), *options, str(OUT / "fuzz/corpus"), str(OUT / "fuzz/seeds")], capture_output=True, text=True
    )
    seconds = time.monotonic() - begin
    (OUT / "fuzz/log.txt").write_text(result.stderr)
    executions = re.search(r"stat::number_of_executed_units: (\d+)", result.stderr)
    edges = re.findall(r"\bcov: (\d+)", result.stderr)
    report = {
        "seconds": round(seconds, 1),
        "executions": int(executions[1]) if executions else 0,
        "findings": sorted(path.name for path in findings.iterdir()),
        "coverage_edges": int(edges[-1]) if edges else 0,
        "commit": commit(),
    }
    (OUT / "fuzz.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    if result.returncode or report["findings"]:
        print(f"{result.stderr[-3000:]}\nfailed; the whole log is {OUT / 'fuzz/log.txt'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
