"""Build a module with a simulator and run a cocotb bench on it; its tests count one by one."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import cocotb_tools.config
from cocotb_tools.runner import get_runner

from spikeline.files import cache_dir
from spikeline.simulation import verilated

HERE = Path(__file__).parent
TIMESCALE = ("1ns", "1ps")
# The C++ is compiled without optimisation: these runs are short.
MAKE = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
VERILATOR = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "--x-assign", "unique", "--x-initial", "unique", "-O3"]


def verilog() -> list[Path]:
    """The accelerator's modules."""
    return [path for path in verilated.sources() if path.suffix == ".v"]


def run(
    bench: str,
    top: str,
    folder: Path,
    parameters: dict[str, object] | None = None,
    simulator: str = "icarus",
    sources: list[Path] | None = None,
) -> int:
    """Run all tests of a bench, return how many there are; `folder` takes what is written. Raises AssertionError if one fails."""
    sources = sources or verilog()
    with _environment(simulator):
        runner = get_runner(simulator)
        build = {
            "sources": sources,
            "hdl_toplevel": top,
            "parameters": parameters or {},
            "includes": [verilated.RTL],
            "timescale": TIMESCALE,
            "build_args": VERILATOR if simulator == "verilator" else [],
        }
        if simulator == "verilator":
            _build_once(runner, build)
        else:
            runner.build(build_dir=folder / "build", log_file=folder / "build.log", **build)
        with contextlib.suppress(SystemExit):  # if there are no results: told below
            runner.test(
                test_module=bench,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=runner.build_dir,
                test_dir=folder,
                results_xml=str(folder / "results.xml"),
                seed=1,
                log_file=folder / "run.log",
                extra_env={
                    "COCOTB_REWRITE_ASSERTION_FILES": "bench_*.py",
                    "PYTHONWARNINGS": "ignore::DeprecationWarning",  # of cocotbext-axi
                    "COCOTB_LOG_LEVEL": "WARNING",
                },
                timescale=TIMESCALE,
            )
    log = (folder / "run.log").read_text()[-8000:]
    assert (folder / "results.xml").exists(), log
    cases = list(ET.parse(folder / "results.xml").getroot().iter("testcase"))
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    assert cases, log
    assert not failed, f"{bench}: {', '.join(map(str, failed))}\n{log}"
    return len(cases)


@contextlib.contextmanager
def _environment(simulator: str) -> Iterator[None]:
    """What the benches import, and what the Verilator of the Python package needs."""
    environment = dict(os.environ)
    if simulator == "verilator":
        program, environment = verilated.verilator()
        environment["PATH"] = f"{Path(program).parent}{os.pathsep}{environment['PATH']}"
        environment["MAKEFLAGS"] = MAKE
    path = [str(HERE), str(HERE.parent), *sys.path]
    with mock.patch.dict(os.environ, environment), mock.patch.object(sys, "path", path):
        yield


def _build_once(runner, build: dict) -> None:
    """Build into the cache, by the hash of all that goes into it."""
    version = subprocess.run(["verilator", "--version"], capture_output=True, check=True)
    digest = hashlib.sha256(repr((version.stdout, MAKE, VERILATOR, build["parameters"], cocotb_tools.config.libs_dir)).encode())
    for path in [*build["sources"], *verilated.sources()]:
        digest.update(path.read_bytes())
    folder = cache_dir() / "cocotb" / f"{build['hdl_toplevel']}-{digest.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "done"
        if not done.exists():
            runner.build(build_dir=folder / "build", log_file=folder / "build.log", always=True, **build)
            done.touch()
        runner.build_dir = folder / "build"
