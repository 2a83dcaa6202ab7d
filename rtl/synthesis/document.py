"""Write the tables of docs/implementation.md from docs/results/area.json and timing.json.

document.py           write them
document.py --check   compare them instead; exit status 1 if they differ
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/implementation.md"
RESULTS = ROOT / "docs/results"


def area_table(entries: list[dict[str, Any]]) -> list[str]:
    """One row per geometry, smallest first."""
    rows = [
        "| Geometry | LUT | of 53,200 | LUT, paired | FF | RAMB36 | of 140 | DSP | Tool, commit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for e in sorted(entries, key=lambda e: e["lut"]):
        paired = f"{e['lut_paired']:,} ({e['lut_paired_share']:.1%})"
        origin = f"{e['tool'].split(' (')[0]}, {e['commit'][:9]}"
        rows.append(
            f"| `{e['geometry']}` | {e['lut']:,} | {e['lut_share']:.1%} | {paired} | {e['ff']:,} | "
            f"{e['ramb36']:g} | {e['bram_share']:.1%} | {e['dsp']} | {origin} |"
        )
    return rows


def timing_table(entries: list[dict[str, Any]]) -> list[str]:
    """One row per geometry."""
    rows = [
        "| Geometry | Clock on the stand-in | Longest path, from → to | Levels, carry bits | Of it routing | Commit |",
        "|---|---|---|---|---|---|",
    ]
    for e in entries:
        path = e["critical_path"]
        ends = f"`{path['start']}` → `{path['end']}`"
        rows.append(
            f"| `{e['geometry']}` | {e['mhz']:g} MHz | {ends} | {path['levels']}, {path['carry_bits']} | "
            f"{path['routing_ns']:g} of {path['delay_ns']:g} ns | {e['commit'][:9]} |"
        )
    return rows


def fill(text: str, name: str, table: list[str]) -> str:
    """Replace what stands between the markers of `name`."""
    begin, end = f"<!-- {name}: written by `make gen` from docs/results/{name}.json -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return before + "\n".join([begin, "", *table, "", end]) + after


def main() -> int:
    text = DOCUMENT.read_text()
    made = fill(text, "area", area_table(json.loads((RESULTS / "area.json").read_text())))
    made = fill(made, "timing", timing_table(json.loads((RESULTS / "timing.json").read_text())))
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(made)
    elif made != text:
        print(f"{DOCUMENT.name} differs from docs/results; run `make gen` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
