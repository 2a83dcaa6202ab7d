"""Programs outside the `spikeline` command: what they are to write is tried before they work, and an error is one line."""

import importlib
import subprocess
import sys

import pytest

from spikeline.errors import DataError

PROGRAMS = {
    "spikeline_rtl.synthesis.area": ["tiny"],
    "spikeline_rtl.synthesis.timing": ["tiny"],
    "spikeline_rtl.synthesis.power": ["--liberty", "cells.lib"],
    "spikeline_rtl.synthesis.toggles": ["model.img"],
    "spikeline_rtl.boards.activity": ["model.img"],
    "spikeline_rtl.boards.bit": ["pynq-z2"],
    "spikeline_rtl.formal.prove": ["fifo"],
    "campaigns.mutate": [],
    "campaigns.nir_peers": [],
    "campaigns.random_networks": [],
    "campaigns.soak": ["model.img"],
    "campaigns.coverage_report": [],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_cannot_be_written_is_refused_before_the_work(name, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys, "argv", [name, *PROGRAMS[name], "--out", str(tmp_path / "file/below")])
    with pytest.raises(DataError, match=r"cannot write .*file/below"):
        importlib.import_module(name).main()


def test_an_error_is_one_line_with_the_fix_and_status_1():
    command = [sys.executable, "-m", "spikeline_rtl.synthesis.area", "tiny", "--out", "/dev/null/report.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert done.stderr.startswith("area: cannot write /dev/null/report.json: ")
