"""Imports go one way, and nothing looks for its modules by path."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What each part of the runtime may import beside itself, errors and files.
RUNTIME = {
    "errors": set(),
    "files": set(),
    "file_kinds": set(),
    "inputs": set(),
    "overlay": set(),
    "notebooks": set(),
    "model": set(),
    "data": {"model"},
    "device": {"model", "overlay", "inputs"},
    "simulation": {"model", "device"},
    "accelerator": {"model", "device", "simulation", "inputs"},
    "measure": {"model", "data", "device", "simulation", "accelerator"},
    "energy": {"model", "data", "measure"},
    "cli": {"model", "data", "device", "simulation", "accelerator", "measure", "energy"},
}
EVERYWHERE = {"errors", "files"}
# What each package may import of the others: all of them the runtime, which imports none.
PACKAGES = {
    "host/spikeline": set(),
    "training/spikeline_training": {"spikeline"},
    "firmware/spikeline_compiler": {"spikeline"},
    "rtl": {"spikeline"},
}
OURS = {"spikeline", "spikeline_training", "spikeline_compiler", "spikeline_rtl"}


def imported(path: Path) -> set[str]:
    """Every module of ours, or name in one, that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.partition(".")[0] in OURS}


def part(path: Path) -> str:
    """The folder or module of the runtime that a file lies in."""
    return path.relative_to(ROOT / "host/spikeline").with_suffix("").parts[0]


RUNTIME_FILES = sorted((ROOT / "host/spikeline").rglob("*.py"))


def test_every_part_is_listed():
    assert {part(path) for path in RUNTIME_FILES} - {"__init__"} == RUNTIME.keys()


@pytest.mark.parametrize("path", RUNTIME_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_runtime_imports_downwards(path):
    here = part(path)
    allowed = RUNTIME.keys() if here == "__init__" else {here} | RUNTIME[here] | EVERYWHERE
    for name in imported(path):
        package, _, rest = name.partition(".")
        assert package == "spikeline", f"imports {name}"
        assert rest.partition(".")[0] in allowed, f"imports {name}"


@pytest.mark.parametrize("folder", PACKAGES)
def test_packages_import_the_runtime_alone(folder):
    own = {"rtl": "spikeline_rtl"}.get(folder, Path(folder).name)
    for path in (ROOT / folder).rglob("*.py"):
        for name in imported(path):
            assert name.partition(".")[0] in {own} | PACKAGES[folder], f"{path} imports {name}"


def test_the_layers_have_no_circle():
    """Each part's imports are listed before it, so the table itself is in the order of the layers."""
    seen: set[str] = set()
    for name, allowed in RUNTIME.items():
        assert allowed <= seen, f"{name} imports what comes after it"
        seen.add(name)


def test_nothing_touches_the_path_of_modules():
    files = [path for top in ("host", "training", "firmware", "rtl", "docs", "tests") for path in (ROOT / top).rglob("*.py")]
    assert len(files) > 150
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"
            assert not named or path.name == "simulate.py", f"{path}: {node.lineno}"  # which hands it to a simulator's Python
