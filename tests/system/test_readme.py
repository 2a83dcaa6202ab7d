"""What README shows a newcomer: its snippet runs as it stands and prints what stands below it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from spikeline.cli.demo import SHIPPED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FIGURES = {"labels", "accuracy", "cycles per image"}


@pytest.fixture(scope="module")
def block():
    """The first block of code in a language after the heading of the snippet."""
    _, section = README.split("## Use it from Python\n")
    return {language: code for language, code in re.findall(r"```(python|text)\n(.*?)```", section, re.DOTALL)}


def figures(text: str) -> dict[str, list[float]]:
    return {name: [float(x) for x in values.split()] for name, values in (row.split(":") for row in text.splitlines())}


def test_the_snippet_prints_what_the_readme_shows(block, tmp_path):
    """Pasted, that is line by line, into an interactive Python, which ends an indented block at an empty line only.

    The model of `make demo` is here the one that comes with Spikeline.
    """
    (tmp_path / "build/demo").mkdir(parents=True)
    (tmp_path / "build/demo/model.img").symlink_to(SHIPPED / "mnist-dc-256.img")
    ran = subprocess.run([sys.executable, "-iq"], input=block["python"], cwd=tmp_path, capture_output=True, text=True)
    assert "Error" not in ran.stderr
    printed, shown = figures(ran.stdout), figures(block["text"])
    assert printed.keys() == FIGURES
    assert printed == shown


def test_the_output_shown_is_that_of_the_recorded_demo():
    """The table of `make demo` stands in README as `spikeline report` prints it."""
    from tables import result

    from spikeline.cli.target import lines

    _, shown = README.split("<!-- demo: ")
    for name, value in lines(result("demo")):
        assert f"  {name:<26} {value}\n" in shown


def test_the_readme_is_read_in_five_minutes():
    assert len(README.splitlines()) <= 120
