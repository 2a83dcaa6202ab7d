"""Damaged files of every kind, as many as fit into a CI run; the fuzz target runs more of them: `fuzz.py --help`."""

import pytest

from robustness import kinds
from robustness.fuzz import fuzz

CASES = {
    **dict.fromkeys(("onnx", "model", "preset", "events"), 200),
    **dict.fromkeys(("meter", "geometry", "estimate", "proof", "tables", "hwh"), 150),
    **dict.fromkeys(("mnist", "report"), 400),  # which are seldom damaged so little that they can be taken
    **dict.fromkeys(("npz", "idx", "pictures"), 50),
    **dict.fromkeys(("checkpoint", "nir"), 15),
}


def test_every_kind_is_run():
    assert CASES.keys() == kinds.NAMES.keys()


@pytest.mark.parametrize("kind", CASES)
def test_damaged_files_work_or_are_refused_in_words(kind):
    figures = fuzz(kind, seed=1, count=CASES[kind])
    assert figures["findings"] == []
    assert figures["outcomes"]["refused"] + figures["outcomes"]["taken"] == CASES[kind]
    assert min(figures["outcomes"].values()) > 0, "damage that is always fatal, or never, finds nothing"


def test_every_fault_is_found():
    figures = fuzz("planted", seed=1, count=24, deadline=1)
    texts = [x["text"].strip().splitlines()[-1] for x in figures["findings"]]
    assert {"taken", "refused", "escaped", "message", "died"} == figures["outcomes"].keys()
    assert any("a bare traceback" in text for text in texts)
    assert any(text.startswith("DataError: the file") for text in texts)
    assert any(text.endswith("is damaged") for text in texts)
    assert any(text.startswith("MemoryError") for text in texts)
    died = [x["text"] for x in figures["findings"] if x["outcome"] == "died"]
    assert any("Timeout" in text for text in died)
    assert any("Aborted" in text for text in died)
