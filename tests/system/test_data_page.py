"""The page on own data: its blocks, one after the other, in an empty folder, do what it says."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/data.md"


def test_the_page_leads_from_files_to_labels(tmp_path):
    blocks = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "sh", "python", "sh", "sh"]
    assert len(blocks[1][1].splitlines()) == 4
    python = "".join(code for language, code in blocks if language == "python")
    shell = "set -e\n" + "".join(code for language, code in blocks if language == "sh")
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, env={**os.environ, "PATH": programs}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "labels.csv").open()))
    assert len(rows) == 200
    assert sum(row["label"] == row["truth"] for row in rows) > 190
    assert {row["class"] for row in rows} == {"top", "upper", "lower", "bottom"}
    new = list(csv.DictReader((tmp_path / "new.csv").open()))
    assert [row["sample"] for row in new] == list("0123456789")
    assert "truth" not in new[0]
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
