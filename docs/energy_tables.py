"""Write the tables of docs/energy.md: the constants of the shipped energy profiles.

energy_tables.py           write them
energy_tables.py --check   compare them instead; exit status 1 if one differs
"""

import re
import sys
from pathlib import Path

from spikeline.energy import model

DOCUMENT = Path(__file__).parent / "energy.md"
BLOCK = re.compile(r"(<!-- profile (\S+): [^\n]*-->\n).*?(<!-- end of profile -->)", re.DOTALL)


def table(name: str) -> str:
    """The constants of a profile as Markdown."""
    profile = model.load(name)
    lines = [f"\n{profile.title}.\n", "| Constant | Low | Typical | High | Unit | Source |", "|---|---|---|---|---|---|"]
    for key, constant in profile.constants.items():
        ends = " | ".join(f"{x:g}" for x in constant.ends)
        lines.append(f"| `{key}` | {ends} | {constant.unit} | {constant.source} |")
    return "\n".join(lines) + "\n\n"


def main() -> None:
    old = DOCUMENT.read_text()
    new = BLOCK.sub(lambda block: block[1] + table(block[2]) + block[3], old)
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(new)
    elif new != old:
        sys.exit(f"{DOCUMENT.name} differs from the profiles; run: make gen, or python docs/energy_tables.py")


if __name__ == "__main__":
    main()
