"""Which lines of Python and Verilog ran, and which bits of the Verilog toggled, while the tests ran.

coverage_report.py [--out build/coverage]

As a pytest plugin (`-p coverage_report`, with SPIKELINE_RTL_COVERAGE naming a folder) it gives the tests of TESTS a simulator
that counts, and leaves in the folder what all of them saw. As a program it writes, from build/coverage/rtl/ and
build/coverage/lines.json, report.json with the shares of both languages, and rtl.json with every point that was not met.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    "tests/system/test_bit_exact.py",
    "tests/system/test_packets.py",
    "tests/system/test_registers.py",
    "tests/campaigns/test_random_networks.py",
)
POINT = re.compile(r"C '(.*)' (\d+)$")
FOLDER = "SPIKELINE_RTL_COVERAGE"  # environment: where the processes that run the tests leave their counts


def points(data: Path) -> dict[tuple[str, str, str], int]:
    """Counts of a Verilator coverage file by (kind, file:line, what), those of all instances of a module together."""
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for text in data.read_text().splitlines():
        if match := POINT.match(text):
            fields = dict(x.split("\2", 1) for x in match[1].split("\1") if "\2" in x)
            kind = fields["page"].partition("/")[0].removeprefix("v_")
            place = f"{Path(fields['f']).name}:{fields['l']}"
            counts[kind, place, fields.get("o", "") + fields.get("S", "")] += int(match[2])
    return counts


# ---- pytest plugin ----


def pytest_configure(config):
    """From here on simulators can count; what one has counted is read before it is freed."""
    if FOLDER not in os.environ:
        return
    from spikeline.simulation import verilated

    build, bind = verilated.build, verilated._bind
    total: dict[tuple[str, str, str], int] = defaultdict(int)
    counting: set[Path] = set()

    def build_counting(geometry, saif=False, address_bits=32):
        if not config.stash_counts:
            return build(geometry, saif, address_bits=address_bits)
        library = build(geometry, saif, coverage=True, address_bits=address_bits)
        counting.add(library)
        return library

    def bind_counting(library):
        lib = bind(library)
        if library not in counting:
            return lib
        free = lib.sim_free

        def read_and_free(simulator):
            with tempfile.NamedTemporaryFile() as file:
                lib.sim_coverage(simulator, file.name.encode())
                for point, count in points(Path(file.name)).items():
                    total[point] += count
            free(simulator)

        lib.sim_free = read_and_free
        return lib

    verilated.build, verilated._bind = build_counting, bind_counting
    config.stash_counts, config.stash_rtl_coverage = False, total


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Only the tests of TESTS count; the others would be slow, and judge the Verilog less closely."""
    item.config.stash_counts = item.nodeid.partition("::")[0] in TESTS


def pytest_unconfigure(config):
    """Leave the counts of this process."""
    if total := getattr(config, "stash_rtl_coverage", None):
        rows = [[*point, count] for point, count in total.items()]
        Path(os.environ[FOLDER], f"{os.getpid()}.json").write_text(json.dumps(rows))


# ---- report ----


def summary(counts: dict[tuple[str, str, str], int]) -> dict[str, object]:
    """Share of points that were met by kind and by file, and those that were not."""
    met: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    by_file: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    holes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (kind, place, what), count in sorted(counts.items()):
        kind = "toggle" if kind == "toggle" else "line"
        file = place.partition(":")[0]
        for pair in (met[kind], by_file[file][kind]):
            pair[0] += count > 0
            pair[1] += 1
        if not count:
            holes[kind][place].append(what)
    share = {kind: round(100 * a / b, 2) for kind, (a, b) in met.items()}
    files = {file: {kind: f"{a} of {b}" for kind, (a, b) in kinds.items()} for file, kinds in sorted(by_file.items())}
    return {"percent": share, "files": files, "holes": holes}


def shares(summary: dict[str, int]) -> dict[str, float]:
    """Percent of lines and of branches, from a summary of coverage.py."""
    pairs = {"line": ("covered_lines", "num_statements"), "branch": ("covered_branches", "num_branches")}
    return {kind: round(100 * summary[a] / summary[b], 2) if summary[b] else 100.0 for kind, (a, b) in pairs.items()}


def main() -> None:
    from spikeline.cli.arguments import folder_to_write
    from spikeline.files import atomic
    from spikeline.measure import evaluate

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=folder_to_write, default=ROOT / "build/coverage", metavar="DIR")
    args = parser.parse_args()
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for file in (args.out / "rtl").glob("*.json"):
        for *point, count in json.loads(file.read_text()):
            counts[tuple(point)] += count
    if not counts:
        sys.exit(f"{args.out / 'rtl'} has no counts; run: make coverage")
    found = summary(counts)
    python = json.loads((args.out / "lines.json").read_text())
    both = {
        "verilog": {"percent": found["percent"], "files": found["files"], "tests": list(TESTS)},
        "python": {
            "percent": shares(python["totals"]),
            "files": {name: shares(file["summary"]) for name, file in sorted(python["files"].items())},
        },
        "commit": evaluate.commit(),
    }
    for name, content in (("rtl", found), ("report", both)):
        with atomic(args.out / f"{name}.json") as part:
            part.write_text(json.dumps(content, indent=2) + "\n")
    print(f"Verilog {found['percent']}, Python {both['python']['percent']}: {args.out}/report.json; holes: rtl.json")


if __name__ == "__main__":
    from spikeline.cli.status import status

    sys.exit(status("coverage_report", main))
