"""The generated parts of the documents: they are up to date, what their figures are, and where others' come from."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import splice
import tables
from tables import comparison

ROOT = Path(__file__).parents[2]
EVIDENCE = {"board", "chip", "routed", "simulated", "estimated", "published"}
EMPTY = "before\n<!-- a: written by `make gen` from x -->\nold\n<!-- end of a -->\nafter\n"


def test_the_documents_are_what_make_gen_writes():
    command = [sys.executable, str(ROOT / "docs/splice.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_stale_document_is_named_and_mended(monkeypatch, tmp_path, capsys):
    document = tmp_path / "document.md"
    document.write_text(EMPTY)
    monkeypatch.setattr(splice, "ROOT", tmp_path)
    monkeypatch.setattr(splice, "DOCUMENTS", {"document.md": {"a": lambda: ["new"]}})
    monkeypatch.setattr(sys, "argv", ["splice.py", "--check"])
    assert splice.main() == 1
    assert "document.md" in (said := capsys.readouterr().err)
    assert "make gen" in said
    assert document.read_text() == EMPTY
    monkeypatch.setattr(sys, "argv", ["splice.py"])
    assert splice.main() == 0
    assert document.read_text() == EMPTY.replace("old", "new")


@pytest.mark.parametrize(
    "text",
    ["", EMPTY * 2, EMPTY + EMPTY.replace(" a", " b"), EMPTY.replace("<!-- end of a -->", ""), EMPTY.replace(" a:", " b:")],
)
def test_markers_that_are_missing_doubled_open_or_unknown_are_refused(text):
    with pytest.raises(ValueError, match="markers"):
        splice.splice(text, {"a": lambda: ["new"]})


@pytest.mark.parametrize("name", splice.DOCUMENTS)
def test_each_marker_names_a_file_that_its_part_is_written_from(name):
    sources = re.findall(r"<!-- \S+: written by `make gen` from (\S+) -->", (ROOT / name).read_text())
    assert len(sources) == len(splice.DOCUMENTS[name])
    assert all((ROOT / source).is_file() for source in sources)


def test_a_table_says_what_its_accuracy_is():
    """Mean and spread, or the one accuracy that there is; of a single seed of several it says so."""
    drawn = {"encoder": "bernoulli", "accuracy": 0.99}
    several = {"encoder_seeds": [0, 1, 2, 3, 4], "accuracy_mean": 0.985, "accuracy_std": 0.0012}
    assert tables.accuracy(drawn | several) == "98.50 ± 0.12%"
    assert tables.accuracy(drawn) == "99.00%, one seed"
    assert tables.accuracy({"encoder": "latency", "accuracy": 0.9884, "encoder_seeds": None}) == "98.84%"


def test_every_rival_has_a_source_an_evidence_and_says_where_it_was_looked_up():
    for rival in comparison.rivals():
        assert {rival["evidence"], rival.get("energy_evidence", "estimated")} <= EVIDENCE
        assert rival["source"]
        assert rival["checked"]
        assert "accuracy" in rival or "accuracy_above" in rival
        assert "loads" in rival or "energy_nj" in rival, "it is in neither table"


def test_every_rival_is_in_the_table_of_what_it_has():
    speed, energy = "\n".join(comparison.ours()), "\n".join(comparison.ours_energy())
    for rival in comparison.rivals():
        assert (rival["name"] in speed) == ("loads" in rival)
        assert (rival["name"] in energy) == ("energy_nj" in rival)


def test_pixels_stand_beside_spikes():
    """Of convolutions only pixels are measured."""
    ours = [row for row in comparison.ours() if row.startswith("| **Spikeline**")]
    assert len(ours) > 2
    assert all("from spikes" in row or "-conv-" in row for row in ours)
    assert all("from pixels" in row for row in ours)
