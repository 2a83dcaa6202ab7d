"""Fill the generated parts of the documents: what stands between two markers that name it.

    <!-- NAME: written by `make gen` from SOURCE -->
    …
    <!-- end of NAME -->

splice.py           write them
splice.py --check   compare them instead; exit status 1 if one differs
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from tables import comparison, energy, implementation, nir, results, runtime, training, verification

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- (\S+): written by `make gen` from [^\n]+ -->\n).*?(<!-- end of \2 -->)", re.DOTALL)

Write = Callable[[], list[str]]  # the lines of a generated part

DOCUMENTS: dict[str, dict[str, Write]] = {
    "README.md": results.README,
    "docs/results.md": results.TABLES,
    "docs/data.md": results.DATA,
    "docs/comparison.md": comparison.TABLES,
    "docs/energy.md": energy.TABLES,
    "docs/implementation.md": implementation.TABLES,
    "docs/nir.md": nir.TABLES,
    "docs/verification.md": verification.TABLES,
    "training/README.md": training.TABLES,
    "firmware/runtime/README.md": runtime.TABLES,
}


def splice(text: str, parts: dict[str, Write]) -> str:
    """`text` with its generated parts written anew. Raises ValueError unless it has each of `parts` once and no other."""
    names = [name for _, name, _ in BLOCK.findall(text)]
    if sorted(names) != sorted(parts):
        raise ValueError(f"generated parts are {sorted(parts)}, and the markers name {sorted(names)}")
    return BLOCK.sub(lambda block: block[1] + "\n".join([*parts[block[2]](), block[3]]), text)


def main() -> int:
    stale = []
    for name, parts in DOCUMENTS.items():
        path = ROOT / name
        text = path.read_text()
        try:
            made = splice(text, parts)
        except ValueError as error:
            sys.exit(f"{name}: {error}")
        if made != text:
            stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.write_text(made)
    if stale and "--check" in sys.argv[1:]:
        print(f"{', '.join(stale)}: differs from what it is written from; run `make gen` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
