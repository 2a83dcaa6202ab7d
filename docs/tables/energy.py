"""Tables of docs/energy.md: activity of the registers, energy of the named networks, constants of the shipped profiles."""

from functools import partial

from spikeline.energy import model
from tables import SEEDS, accuracy, origin, result


def toggles() -> list[str]:
    """How often register bits toggle."""
    r = result("toggles")
    shares = ", ".join(f"{x['toggle_share']:.2f} (`{x['name']}`)" for x in r["results"])
    return [
        f"Toggles of a register bit for each cycle that its clock is let through, over {r['images']} test images on the RTL: {shares}; "
        f"from [toggles.json](results/toggles.json), commit {r['commit'][:7]}, by `rtl/synthesis/toggles.py`."
    ]


def energy() -> list[str]:
    """Energy per image of the named networks."""
    found = result("energy")
    rows = [
        "| Network | | Bits | Time steps | Accuracy | nJ per image: typical | low … high | memory, logic, leakage |",
        "|---" * 8 + "|",
    ]
    for r in found["results"]:
        if "=" in r["name"]:
            continue
        shares = ", ".join(f"{r[f'{x}_share']:.0%}" for x in ("memory", "logic", "leakage"))
        rows.append(
            f"| {r['name']} | {'-'.join(map(str, r['layers']))} | {r['weight_bits']} | {r['mean_steps']:.2f} of {r['time_steps']} | "
            f"{accuracy(r)} | **{r['nj_typical']:.1f}** | {r['nj_low']:.1f} … {r['nj_high']:.1f} | {shares} |"
        )
    return [
        *rows,
        "",
        f"Pre-silicon estimates, not measurements: all 10,000 test images, profile asic-40nm, from [energy.json](results/energy.json), {origin(found)}. {SEEDS}",
    ]


def profile(name: str) -> list[str]:
    """The constants of an energy profile."""
    given = model.load(name)
    rows = [f"{given.title}.", "", "| Constant | Low | Typical | High | Unit | Source |", "|---" * 6 + "|"]
    for key, constant in given.constants.items():
        ends = " | ".join(f"{x:g}" for x in constant.ends)
        rows.append(f"| `{key}` | {ends} | {constant.unit} | {constant.source} |")
    return rows


TABLES = {
    "toggles": toggles,
    "energy": energy,
    **{f"profile-{name}": partial(profile, name) for name in ("asic-40nm", "xc7z020")},
}
