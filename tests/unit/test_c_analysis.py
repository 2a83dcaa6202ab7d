"""The embedded runtime is accepted, without a warning, by two compilers and two analysers, and needs as little as it says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
RUNTIME = FIRMWARE / "runtime"
LIBRARY = sorted(RUNTIME.glob("*.c"))
OTHERS = sorted(p for folder in ("runtime/ports", "examples", "tests") for p in (FIRMWARE / folder).rglob("*.c"))
INCLUDES = [f"-I{FIRMWARE / folder}" for folder in ("runtime", "runtime/ports", "tests")]
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror"]
WARNINGS += ["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wundef", "-Wcast-qual", "-Wwrite-strings", "-Wswitch-enum", "-Wvla"]
COMPILERS = {
    "gcc": ["-Wlogical-op", "-Wduplicated-cond", "-Wduplicated-branches", "-fanalyzer"],
    # All that it knows, but for what C99 allows, padding, and what suits C++ only; older versions do not know all of these.
    "clang": ["-Weverything", "-Wno-unknown-warning-option"]
    + [f"-Wno-{name}" for name in ("declaration-after-statement", "padded", "unsafe-buffer-usage", "switch-default")],
}
PACKAGES = {"g++": "g++", "nm": "binutils"}
# A processor without an operating system. Attributes are its compiler's.
BARE = ["--target=arm-none-eabi", "-mcpu=cortex-a9", "-ffreestanding", "-Wno-unknown-attributes"]
SUPPRESSED = [
    "missingIncludeSystem",  # nothing is gained by checking the C library
    "unusedFunction:*/ports/*",  # called by the example, one port at a time, and by assembly
    "unusedFunction:*/examples/*",
    "unusedFunction:*/fuzz_model.c",  # called by libFuzzer
    "redundantContinue",  # says that a loop is empty on purpose
    "checkersReport",  # a line of what was checked, from version 2.14 on
    "unmatchedSuppression",  # this list is for several versions
]


def run(*command: str | Path) -> str:
    """What it prints; an error if it fails."""
    name = str(command[0])
    if shutil.which(name) is None:
        pytest.skip(f"{name} is missing; run `sudo apt-get install {PACKAGES.get(name, name)}`")
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def named(path: Path) -> str:
    return str(path.relative_to(FIRMWARE))


def code(path: Path) -> str:
    """A source without comments and strings."""
    return re.sub(r'/\*.*?\*/|"(\\.|[^"\\])*"', " ", path.read_text(), flags=re.S)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("path", LIBRARY, ids=named)
def test_compilers_have_nothing_to_say(tmp_path, compiler, path):
    for optimization in ("-O0", "-O2"):
        run(compiler, *WARNINGS, *COMPILERS[compiler], optimization, f"-I{RUNTIME}", "-c", path, "-o", tmp_path / "out.o")


@pytest.mark.parametrize("header", sorted(RUNTIME.glob("*.h")), ids=named)
def test_headers_stand_alone_in_c_and_cpp(tmp_path, header):
    for compiler, name, flags in (("gcc", "x.c", ["-std=c99"]), ("g++", "x.cpp", ["-std=c++11", "-Wold-style-cast"])):
        source = tmp_path / name
        source.write_text(f'#include "{header.name}"\n#include "{header.name}"\n')
        run(compiler, *flags, "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{RUNTIME}", "-fsyntax-only", source)


@pytest.mark.parametrize("path", LIBRARY + OTHERS, ids=named)
def test_clang_tidy(path):
    run("clang-tidy", "--quiet", path, "--", "-std=c99", *INCLUDES, *(BARE if path.parent.name == "zynq" else []))


def test_cppcheck():
    suppressed = [f"--suppress={name}" for name in SUPPRESSED]
    options = ["--enable=all", "--std=c99", "--error-exitcode=1", "--quiet", "--template={file}:{line}: {message} [{id}]"]
    run("cppcheck", *options, *suppressed, *INCLUDES, *LIBRARY, *OTHERS)


def test_needs_nothing_of_a_c_library_but_memory_functions(tmp_path):
    """Neither at the include lines nor in the object; and it compiles for a processor without floating-point registers."""
    for path in LIBRARY + sorted(RUNTIME.glob("*.h")):
        includes = set(re.findall(r"^\s*#\s*include\s+(\S+)", path.read_text(), re.M))
        assert includes <= {"<string.h>", "<stddef.h>", "<stdint.h>", '"spikeline.h"', '"spikeline_spec.h"'}
        assert not re.search(r"\b(float|double|malloc|calloc|realloc|free|alloca)\b", code(path))
    for path in LIBRARY:
        out = tmp_path / "out.o"
        run("gcc", "-std=c99", "-O2", "-fno-stack-protector", "-mgeneral-regs-only", f"-I{RUNTIME}", "-c", path, "-o", out)
        undefined = {line.split()[-1] for line in run("nm", "-u", out).splitlines()}
        assert undefined <= {"memcpy", "memset", "memcmp", "memmove", "_GLOBAL_OFFSET_TABLE_"}
        exported = {line.split()[-1] for line in run("nm", "-g", "--defined-only", out).splitlines()}
        assert exported
        assert all(name.startswith("spk_") for name in exported)
        assert not re.search(r" [dDbBC] ", run("nm", out)), "the library keeps no state of its own"


@pytest.mark.parametrize("path", [*LIBRARY, RUNTIME / "spikeline.h"], ids=named)
def test_constants_of_hardware_are_generated(path):
    """No offset, mask or magic is typed by hand: what is hexadecimal is of CRC-32, and the seed's step is another name."""
    text = code(path)
    assert set(re.findall(r"#\s*define\s+SPK_(\w+)", text)) <= {"SEED_STEP"}
    assert [x for x in re.findall(r"\b0[xX][0-9a-fA-F]+", text) if len(x) != 10] == []
