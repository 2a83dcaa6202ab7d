"""Plant small faults in Verilog, compiler and golden model, one at a time: the tests must see each of them.

mutate.py [--only TEXT] [--jobs 2] [--passed] [--out docs/results/mutation.json]

Every fault goes into a copy of the sources; the checkout stays as it is. A fault that no test sees makes the exit status 1.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from campaigns.mutants import MUTANTS, Mutant
from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.files import atomic, cache_dir
from spikeline.measure import evaluate

ROOT = Path(__file__).resolve().parents[2]
CODE = ("host", "firmware", "training", "rtl", "tests", "pyproject.toml")
UNTRAINED = "not demonstration_network"  # the tests that need no trained network
DEADLINE = 600  # seconds; a fault may well hang


def copy(folder: Path) -> None:
    """Copy the sources; simulators of faulty Verilog are built once and without optimisation, which is faster in all."""
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.bit", "build"))
        else:
            shutil.copy(source, folder / name)
    (folder / "spikeline_rtl").symlink_to("rtl")  # as pyproject.toml names the package
    cache = folder / "cache"
    cache.mkdir()
    if (cache_dir() / "mnist").exists():
        (cache / "mnist").symlink_to(cache_dir() / "mnist")


def plant(mutant: Mutant, folder: Path) -> None:
    """Change the copy. Raises ValueError unless what it changes stands there once."""
    path = folder / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name!r}: its text stands {text.count(mutant.old)} times in {mutant.file}, must be once")
    path.write_text(text.replace(mutant.old, mutant.new))


def tests(folder: Path, files: tuple[str, ...], verilog: bool, jobs: int) -> tuple[bool, str]:
    """Run the tests of a copy until one fails. Returns whether all passed, and the name of the first that did not.

    Raises ValueError if faulty Verilog does not build.
    """
    if verilog:
        simulator = folder / "host/spikeline/simulation/verilated.py"
        simulator.write_text(simulator.read_text().replace('else "-O3"', 'else "-O0"').replace("OPT_FAST=-O3", "OPT_FAST=-O0"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(folder / x) for x in ("host", "firmware", "training", ".")),
        "SPIKELINE_CACHE": str(folder / "cache") if verilog else str(cache_dir()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", str(jobs), "-p", "no:cacheprovider", "-k", UNTRAINED, *files]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        return False, "deadline"
    if done.returncode not in (0, 1):
        return False, (done.stdout + done.stderr)[-2000:]
    if "could not build" in done.stdout:
        raise ValueError(f"the faulty Verilog does not build:\n{done.stdout[-2000:]}")
    first = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return done.returncode == 0, first.group(1) if first else ""


def judge(mutant: Mutant) -> dict[str, object]:
    """One fault: is it seen, and by which test?"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder)
        plant(mutant, folder)
        passed, first = tests(folder, mutant.tests, mutant.file.startswith("rtl"), jobs=0)
    print(f"{'SURVIVED' if passed else 'seen':9}{mutant.file}: {mutant.name}{'' if passed else '   by ' + first}", flush=True)
    return {"name": mutant.name, "file": mutant.file, "seen": not passed, "by": first.partition("[")[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of the name or the file of the faults to plant")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--passed", action="store_true", help="the tests have just passed without a fault: begin with the faults")
    parser.add_argument("--out", type=file_to_write, metavar="FILE")
    args = parser.parse_args()
    chosen = [x for x in MUTANTS if args.only in x.name or args.only in x.file]
    began = time.monotonic()
    if not args.passed:
        with tempfile.TemporaryDirectory() as name:
            copy(Path(name))
            sound = tests(Path(name), tuple(dict.fromkeys(f for x in chosen for f in x.tests)), verilog=False, jobs=args.jobs)
            if not sound[0]:
                sys.exit(f"the tests fail without any fault: {sound[1]}")
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(judge, chosen))
    seen = sum(bool(x["seen"]) for x in results)
    figures = {
        "faults": len(results),
        "seen": seen,
        "score": round(seen / len(results), 4),
        "seconds": round(time.monotonic() - began, 1),
        "commit": evaluate.commit(),
        "results": results,
    }
    if args.out:
        with atomic(args.out) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"{seen} of {len(results)} faults are seen")
    sys.exit(seen < len(results))


if __name__ == "__main__":
    sys.exit(status("mutate", main))
