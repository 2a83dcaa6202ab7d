"""The wheel as users get it, and environments that have it without the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip"]


def build(folder: Path) -> Path:
    """Build the wheel of this tree in a folder, from a copy: setuptools leaves its own `build` behind."""
    sources = folder / "sources"
    for name in ("host", "training", "firmware", "rtl"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    command = [*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(sources)]
    subprocess.run(command, check=True, cwd=folder)
    return next(folder.glob("*.whl"))


def environment(folder: Path, wheel: Path) -> Path:
    """Make an environment with the wheel and the packages of others that are installed here; its folder of programs.

    They are seen through a .pth file, which names their folder and does not follow the .pth files in it: so what makes the
    checkout importable there, an editable installation, has no effect.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    subprocess.run([*PIP, "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def installed(folder: Path, wheel: Path, extra: str, *options: str) -> Path:
    """Make an empty environment and install the wheel with extras from the package index; its folder of programs.

    options: more of pip's.
    """
    venv.create(folder, symlinks=True)
    command = [*PIP, "--python", str(folder / "bin/python"), "install", "-q", "-c", str(ROOT / "requirements.lock")]
    subprocess.run([*command, *options, f"{wheel}[{extra}]"], check=True)
    return folder / "bin"


def clean(home: Path, cache: Path) -> dict[str, str]:
    """Variables of a user with this home folder, for whom nothing leads to the checkout; the cache is shared."""
    gone = ("PYTHONPATH", "VIRTUAL_ENV", "XDG_CACHE_HOME")
    return {k: v for k, v in os.environ.items() if k not in gone} | {"HOME": str(home), "SPIKELINE_CACHE": str(cache)}
