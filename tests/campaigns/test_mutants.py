"""Every fault of mutants.py can still be planted: the text that it changes stands in its file once, and its tests exist."""

import shutil

import pytest

from campaigns.mutants import MUTANTS
from campaigns.mutate import ROOT, plant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_can_be_planted(mutant, tmp_path):
    copy = tmp_path / mutant.file
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / mutant.file, copy)
    plant(mutant, tmp_path)
    assert copy.read_text() != (ROOT / mutant.file).read_text()
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.tests)


def test_names_are_unique():
    names = [m.name for m in MUTANTS]
    assert len(names) == len(set(names))
