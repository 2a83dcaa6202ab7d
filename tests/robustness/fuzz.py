"""Fuzz the front door: damaged files of a kind go in where the command line lets them in. Writes what came of it as JSON.

A case either works or raises a SpikelineError whose message names the file and the fix; within DEADLINE seconds, and MEMORY
bytes on top of what the program takes anyway. It follows from kind, seed and number alone: `--case` repeats one. A worker
process runs the cases, because what hangs, eats all memory or crashes takes the process with it; then another goes on.
"""

import argparse
import faulthandler
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from robustness import kinds
from spikeline.errors import SpikelineError
from spikeline.measure.evaluate import commit

ROOT = Path(__file__).resolve().parents[2]

DEADLINE = 10.0  # seconds for a case, on a busy computer
MEMORY = 1 << 30  # bytes of address space for a case
MISPLACED = 0.02  # of the cases have no file, or what is none, where the file should be
OUT = ROOT / "build/front-door"
FOLDERS = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where the files of a case lie


def make_case(kind: kinds.Kind, name: str, seed: int, number: int, folder: Path) -> random.Random:
    """Write the files of a case into `folder`; returns the generator of its further choices."""
    rng = random.Random(f"{name} {seed} {number}")
    kind.make(rng, folder)
    if rng.random() < MISPLACED and (folder / kind.file).is_file():
        kinds.misplace(rng, folder / kind.file)
    return rng


def run_case(kind: kinds.Kind, name: str, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Make a damaged file in `folder` and let it in. Returns what came of it, and the message or the traceback."""
    rng = make_case(kind, name, seed, number, folder)
    try:
        kind.enter(rng, folder)
    except SpikelineError as error:
        message = str(error)
        return ("refused" if sound(message, kind.named or kind.file) else "message"), f"{type(error).__name__}: {message}"
    except Exception:
        return "escaped", traceback.format_exc()
    return "taken", ""


def sound(message: str, file: str) -> bool:
    """Does a message name the file, and what to do after a semicolon or a known phrase?"""
    fix = re.search(r";\s*\S|legal is|known are|expected", message)
    return file in message and fix is not None and message.isprintable()


def work(name: str, seed: int, first: int, count: int, deadline: float) -> None:
    """Run cases and print a line of JSON before and after each: what a worker process does."""
    faulthandler.dump_traceback_later(300, exit=True)  # imports of all packages, on a busy computer
    kind = kinds.kind(name)
    with tempfile.TemporaryDirectory(dir=FOLDERS) as folder:
        run_case(kind, name, seed, -1, Path(folder))  # what is imported and allocated once does not count
    faulthandler.cancel_dump_traceback_later()
    taken = int(re.search(r"VmSize:\s*(\d+)", Path("/proc/self/status").read_text())[1]) << 10  # type: ignore[index]
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    for number in range(first, first + count):
        with tempfile.TemporaryDirectory(dir=FOLDERS) as folder:
            print(json.dumps({"begin": number}), flush=True)
            faulthandler.dump_traceback_later(deadline, exit=True)
            begin = time.monotonic()
            outcome, text = run_case(kind, name, seed, number, Path(folder))
            faulthandler.cancel_dump_traceback_later()
            seconds = time.monotonic() - begin
        print(json.dumps({"end": number, "outcome": outcome, "text": text[-4000:], "seconds": seconds}), flush=True)


def fuzz(name: str, seed: int, count: int, first: int = 0, deadline: float = DEADLINE) -> dict[str, Any]:
    """Run cases in workers, whose files are all that they touch; returns counts and findings."""
    outcomes: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    findings: list[dict[str, Any]] = []
    slowest, begin, at = 0.0, time.monotonic(), first
    while at < first + count:
        words = ["--kind", name, "--seed", str(seed), "--first", str(at), "--count", str(first + count - at)]
        words += ["--deadline", str(deadline), "--work"]
        result = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-m", "robustness.fuzz", *words],
            capture_output=True,
            text=True,
            cwd=ROOT / "tests",
        )
        lines = [json.loads(x) for x in result.stdout.splitlines() if x.startswith("{")]
        if not lines:
            raise RuntimeError(f"the worker did not start, status {result.returncode}:\n{result.stderr}")
        for line in lines:
            if "end" not in line:
                continue
            outcomes[line["outcome"]] += 1
            slowest = max(slowest, line["seconds"])
            if line["outcome"] == "refused":
                refusals[line["text"].partition(":")[0]] += 1
            elif line["outcome"] != "taken":
                findings.append({"case": line["end"], "outcome": line["outcome"], "text": line["text"]})
        if "end" in lines[-1]:
            at = lines[-1]["end"] + 1
        else:
            outcomes["died"] += 1
            findings.append({"case": lines[-1]["begin"], "outcome": "died", "text": result.stderr[-4000:]})
            at = lines[-1]["begin"] + 1
    return {
        "kind": name,
        "seed": seed,
        "cases": count,
        "outcomes": dict(outcomes),
        "refused_with": dict(refusals),
        "seconds": round(time.monotonic() - begin, 1),
        "slowest_case_seconds": round(slowest, 2),
        "findings": findings,
    }


def keep(name: str, seed: int, number: int) -> Path:
    """Write the files of a case into build/front-door for a closer look."""
    folder = OUT / "findings" / f"{name}-{seed}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make_case(kinds.kind(name), name, seed, number, folder)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="all", help=f"{', '.join(kinds.NAMES)} or all (default: %(default)s)")
    parser.add_argument("--count", type=int, default=2000, help="cases of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the damage (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: %(default)s)")
    parser.add_argument("--case", type=int, metavar="N", help="run this one alone, here, and keep its files")
    parser.add_argument("--out", type=Path, help="JSON file to write; more kinds and seeds are added to it")
    parser.add_argument("--deadline", type=float, default=DEADLINE, help="seconds for a case (default: %(default)s)")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.kind, arguments.seed, arguments.first, arguments.count, arguments.deadline)
        return 0
    if arguments.case is not None:
        print(keep(arguments.kind, arguments.seed, arguments.case))
        with tempfile.TemporaryDirectory(dir=FOLDERS) as folder:
            print(*run_case(kinds.kind(arguments.kind), arguments.kind, arguments.seed, arguments.case, Path(folder)), sep="\n")
        return 0

    failed = False
    for name in kinds.NAMES if arguments.kind == "all" else [arguments.kind]:
        figures = fuzz(name, arguments.seed, arguments.count, arguments.first, arguments.deadline)
        print(json.dumps(figures | {"findings": len(figures["findings"])}))
        for finding in figures["findings"]:
            failed = True
            kept = keep(name, arguments.seed, finding["case"])
            (kept / "finding.txt").write_text(finding["text"])
            print(f"{kept}: {finding['outcome']}: {finding['text'].strip().splitlines()[-1:]}", file=sys.stderr)
        if arguments.out:
            report(arguments.out, figures)
    return int(failed)


def report(path: Path, figures: dict[str, Any]) -> None:
    """Add the figures of one kind and seed to a report, in the place of older ones."""
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    runs = [r for r in runs if (r["kind"], r["seed"]) != (figures["kind"], figures["seed"])]
    runs = sorted([*runs, figures | {"commit": commit()}], key=lambda r: (r["kind"], r["seed"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"deadline_seconds": DEADLINE, "memory_bytes": MEMORY, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
