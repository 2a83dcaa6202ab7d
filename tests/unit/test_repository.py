"""What stands around the code: links and paths in the documents, citation, continuous integration, pre-commit hooks."""

import re
import subprocess
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="needs PyYAML; run: make setup")

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).split()]
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:host|training|firmware|rtl|tests|docs)/[\w./*-]+)`")
PLACEHOLDERS = ("NAME", "regressions/")  # stands for any name; made by a test that fails


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings of a document."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(document: Path) -> list[str]:
    """The relative links of a document that point at no file, or at no heading of it."""
    found = []
    for link in LINK.findall(document.read_text()):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_points_at_a_file_and_heading(document):
    assert broken(document) == []


def test_a_broken_link_is_found(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("# A title\n\n[a](#a-title) [b](#another) [c](page.md#a-title) [d](none.md) [e](https://example.org/x)\n")
    assert broken(document) == ["#another", "none.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document):
    """Paths from the root of the repository, such as `host/spikeline/accelerator.py`; they may hold a `*`."""
    named = [path for path in NAMED.findall(document.read_text()) if not any(x in path for x in PLACEHOLDERS)]
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


def test_the_index_names_every_page():
    index = (ROOT / "docs/README.md").read_text()
    missing = [page.name for page in ROOT.glob("docs/*.md") if page.name != "README.md" and f"]({page.name})" not in index]
    assert missing == []


def test_the_citation_has_what_the_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    for work in (citation, *citation["references"]):
        assert work["title"]
        assert all("name" in author or {"family-names", "given-names"} <= author.keys() for author in work["authors"])
    assert citation["message"]
    assert citation["version"] in (ROOT / "pyproject.toml").read_text()
    (paper,) = citation["references"]
    assert paper["type"] == "conference-paper"
    assert paper["identifiers"] == [{"type": "other", "value": "arXiv:1709.06206"}]


def test_continuous_integration_runs_the_script_and_keeps_the_wheel():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert any(".ci/run" in step.get("run", "").split() for step in steps)
    (built,) = (step["run"] for step in steps if "pip wheel" in step.get("run", ""))
    (kept,) = (step["with"]["path"] for step in steps if step.get("uses", "").startswith("actions/upload-artifact@"))
    folder = built.split("--wheel-dir ")[1].split()[0]
    assert kept == f"{folder}/spikeline-*.whl"


def test_hooks_run_what_make_runs():
    """Each is a target of the Makefile, or a command in one."""
    makefile = (ROOT / "Makefile").read_text()
    hooks = [hook for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"] for hook in repo["hooks"]]
    assert {"ruff-check", "ruff-format", "mypy", "gen-check"} == {hook["id"] for hook in hooks}
    for hook in hooks:
        command = hook["entry"]
        if command.startswith("make "):
            assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE)
        else:
            assert f"\t{command.replace('.venv/bin', '$(BIN)')}\n" in makefile


def test_make_help_lists_every_target_in_a_group():
    makefile = (ROOT / "Makefile").read_text()
    shown = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    groups = [line for line in shown.splitlines() if not line.startswith(" ")]
    assert groups == ["Use", "Check", "Measure", "Build", "Variables"]
    listed = re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE)
    assert listed == re.findall(r"^([a-z-]+):.*?## ", makefile, re.MULTILINE)
    assert shown.index("Use") < shown.index(f"  make {listed[0]}")
