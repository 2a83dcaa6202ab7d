"""Draw the waveforms of docs/hardware.md: docs/waves/NAME.json, in WaveDrom's format, to NAME.svg beside it.

waves.py             draw them
waves.py --check     compare instead; exit status 1 if one differs
waves.py --simulate  first take what the signals do from simulation, with Icarus Verilog

A lane of a waveform names a signal of the bench NAME.v (or of `bench`), which drives a module of rtl/ as `dut`. Beside
WaveDrom's keys a lane may have

    signal   its path below the bench; default: `dut.` and its name
    valid    a signal of the bench, or an expression of them: the lane is shown only while it is 1
    as       how a value is written: hex, dec, int (with a sign), set (the bits that are 1), text (ASCII), a list of names
    keep     true: a value is written again in each cycle in which it is valid

So `wave` and `data` are never written by hand; tests/unit/test_waves.py holds them to the simulation.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import wavedrom

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/waves"
RTL = ROOT / "rtl"
BACKGROUND = '<rect width="100%" height="100%" fill="white"/>'  # pages may be dark

Wave = dict[str, Any]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> Wave:
    wave: Wave = json.loads((FOLDER / f"{name}.json").read_text())
    return wave


def text(wave: Wave) -> str:
    """The file of a wave: one lane a line."""
    lists = {key: value for key, value in wave.items() if isinstance(value, list)}
    parts = [f"{json.dumps(key)}: {_line(value)}" for key, value in wave.items() if key not in lists]
    parts += [f"{json.dumps(key)}: [\n  " + ",\n  ".join(map(_line, value)) + "\n]" for key, value in lists.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def draw(wave: Wave) -> str:
    """The SVG of a wave, without the definitions that it does not use."""
    svg = str(wavedrom.render(json.dumps(wave)).tostring())
    defined, end, body = svg.partition("</defs>")
    used = re.sub(r'<g id="([^"]+)">.*?</g>', lambda g: g[0] if f'"#{g[1]}"' in body else "", defined)
    return used + end + body.replace("</style>", f"</style>{BACKGROUND}", 1) + "\n"


def simulated(name: str) -> Wave:
    """The wave with `wave` and `data` of its lanes as the bench shows them. Raises RuntimeError if it cannot be simulated."""
    wave = load(name)
    lanes = [lane for lane in wave.get("signal", []) if "name" in lane]
    watched = [lane for lane in lanes if lane["name"] != "aclk"]
    paths = [lane.get("signal", f"dut.{lane['name']}") for lane in watched]
    gates = [lane.get("valid", "show") for lane in watched]
    cycles = _sample(FOLDER / f"{wave.get('bench', name)}.v", wave.get("parameters", {}), [*paths, *gates])
    for lane in lanes:
        if lane["name"] == "aclk":
            lane["wave"] = "p" + "." * (len(cycles) - 1)
    for n, lane in enumerate(watched):
        lane["wave"], data = _shape([(row[n], row[len(watched) + n] == "1") for row in cycles], lane)
        lane.pop("data", None)
        if data:
            lane["data"] = data
    return wave


def _sample(bench: Path, parameters: dict[str, int], paths: list[str]) -> list[list[str]]:
    """Simulate a bench; the bits of each signal at each rising edge while `show` is 1."""
    listed = re.sub(r"(?<![\w.'])(?=[a-z])", "wave.", ", ".join(paths))
    sampler = f'always @(posedge wave.aclk) if (wave.show) $display("> {" ".join(["%b"] * len(paths))}", {listed});'
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "sampler.v", Path(folder) / "wave"
        source.write_text(f"`timescale 1ns / 1ps\nmodule sampler;\n{sampler}\nendmodule\n")
        given = [f"-Pwave.{name}={value}" for name, value in parameters.items()]
        command = ["iverilog", "-g2012", f"-I{RTL}", f"-I{FOLDER}", "-s", "wave", "-s", "sampler", *given, "-o", str(program)]
        _run([*command, str(bench), str(source), *map(str, sorted(RTL.glob("*.v")))])
        lines = _run(["vvp", str(program)]).splitlines()
    return [line[2:].split(" ") for line in lines if line.startswith("> ")]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _shape(values: list[tuple[str, bool]], lane: dict[str, Any]) -> tuple[str, list[str]]:
    """WaveDrom's letters for bits that are shown or not, a cycle each, and what stands in each box."""
    wave, data, before = "", [], None
    for bits, shown in values:
        known = shown and set(bits) <= {"0", "1"}
        now = bits if known else "x"
        if now == before and not (known and lane.get("keep")):
            wave += "."
        elif not known or (len(bits) == 1 and "as" not in lane):
            wave += now
        else:
            wave += "="
            data.append(_written(bits, lane.get("as", "hex")))
        before = now
    return wave, data


def _written(bits: str, style: str | list[str]) -> str:
    value = int(bits, 2)
    if isinstance(style, list):
        return style[value]
    if style == "set":
        return " ".join(str(i) for i, bit in enumerate(reversed(bits)) if bit == "1") or "–"
    if style == "text":
        return value.to_bytes(len(bits) // 8, "big").decode().strip("\0 ")
    if style == "int":
        return str(value - (value >> (len(bits) - 1) << len(bits))).replace("-", "−")
    return f"{value:x}" if style == "hex" else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", nargs="*", help="waves to draw (default: all)")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--simulate", action="store_true", help="take what the signals do from simulation first")
    args = parser.parse_args()
    stale = []
    for name in args.name or names():
        if args.simulate:
            (FOLDER / f"{name}.json").write_text(text(simulated(name)))
        path, svg = FOLDER / f"{name}.svg", draw(load(name))
        if not args.check:
            path.write_text(svg)
        elif not path.exists() or path.read_text() != svg:
            stale.append(str(path.relative_to(ROOT)))
    if stale:
        sys.exit(f"{', '.join(stale)}: not what the source draws; run `make gen`")


if __name__ == "__main__":
    main()
