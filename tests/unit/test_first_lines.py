"""Whoever opens a file finds in its first lines what it is for."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMENT = {  # how a file of each kind begins, if it says what it is for
    ".v": r"(?:// SPDX[^\n]*\n)?(?://|`\w+[^\n]*\n|\s)*?// ?\w",
    ".vh": r"// ?\w",
    ".c": r"(?:/\* SPDX[^\n]*\n)?/\*\s*(?:\* )?\w",
    ".h": r"(?:/\* SPDX[^\n]*\n)?/\*\s*(?:\* )?\w",
    ".cpp": r"(?:// SPDX[^\n]*\n)?//",
    ".tcl": r"# ?\w",
    ".S": r"/\*",
    ".ld": r"/\*",
    ".rdl": r"// ?\w",
    ".vlt": r"(?:`\w+\n|\s)*//",
    ".toml": r"# ?\w",
}
LISTED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
FILES = [ROOT / name for name in LISTED if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("kind", [".py", *COMMENT])
def test_every_file_says_what_it_is_for(kind):
    silent = []
    files = [path for path in FILES if path.suffix == kind and path.name != "pyproject.toml"]
    assert files
    for path in files:
        text = path.read_text()
        if kind == ".py":
            said = ast.get_docstring(ast.parse(text)) or ""
        else:
            match = re.match(COMMENT[kind], text)
            said = match[0] + text[match.end() :].splitlines()[0] if match else ""
        if len(said.split()) < 3:
            silent.append(str(path.relative_to(ROOT)))
    assert not silent
