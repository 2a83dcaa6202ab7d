"""Tables of docs/implementation.md: area and clock by open tools."""

from spikeline.measure.area import area as estimated
from spikeline.model.geometry import Geometry
from tables import result


def area() -> list[str]:
    """One row per geometry, smallest first."""
    rows = [
        "| Geometry | Device | LUT | of it | LUT, paired | LUT, area model | FF | RAMB36 | of it | UltraRAM | DSP | Tool, commit |",
        "|---" * 12 + "|",
    ]
    for e in sorted(result("area"), key=lambda e: e["lut"]):
        paired = f"{e['lut_paired']:,} ({e['lut_paired_share']:.1%})"
        lut = estimated(Geometry.load(e["geometry"])).lut
        model = f"{lut:,} ({lut / e['lut'] - 1:+.1%})"
        origin = f"{e['tool'].split(' (')[0]}, {e['commit'][:9]}"
        rows.append(
            f"| `{e['geometry']}` | {e['device']} | {e['lut']:,} | {e['lut_share']:.1%} | {paired} | {model} | {e['ff']:,} | "
            f"{e['ramb36']:g} | {e['bram_share']:.1%} | {e.get('uram', 0)} | {e['dsp']} | {origin} |"
        )
    return rows


def modules() -> list[str]:
    """LUTs of each module, a column for each geometry."""
    entries = [e for e in sorted(result("area"), key=lambda e: e["lut"]) if "modules" in e]
    names = sorted(
        {name for e in entries for name in e["modules"]},
        key=lambda n: -max(e["modules"].get(n, {"lut": 0})["lut"] for e in entries),
    )
    rows = ["| LUTs | " + " | ".join(f"`{e['geometry']}`" for e in entries) + " |", "|---" * (len(entries) + 1) + "|"]
    for name in names:
        counts = (f"{e['modules'][name]['lut']:,}" if name in e["modules"] else "" for e in entries)
        rows.append(f"| `{name}` | " + " | ".join(counts) + " |")
    return rows


def timing() -> list[str]:
    """One row per geometry."""
    rows = [
        "| Geometry | Clock on the stand-in | Longest path, from → to | Levels, carry bits | Of it routing | Commit |",
        "|---" * 6 + "|",
    ]
    for e in (e for e in result("timing") if "mhz" in e):
        path = e["critical_path"]
        ends = f"`{path['start']}` → `{path['end']}`"
        rows.append(
            f"| `{e['geometry']}` | {e['mhz']:g} MHz | {ends} | {path['levels']}, {path['carry_bits']} | "
            f"{path['routing_ns']:g} of {path['delay_ns']:g} ns | {e['commit'][:9]} |"
        )
    return rows


def estimate() -> list[str]:
    """The longest paths of the netlists for the XC7Z020."""
    rows = ["| Geometry | Longest paths, from → to | Estimate | Levels, carries | Of it wires |", "|---" * 5 + "|"]
    for e in result("timing"):
        for n, path in enumerate(e.get("estimate", {}).get("paths", [])):
            name = f"`{e['geometry']}`, {e['commit'][:9]}" if n == 0 else ""
            rows.append(
                f"| {name} | `{path['start']}` → `{path['end']}` | {path['delay_ns']:g} ns | {path['levels']}, {path['carries']} | "
                f"{path['wire_ns']:g} ns |"
            )
    return rows


TABLES = {"area": area, "modules": modules, "timing": timing, "estimate": estimate}
