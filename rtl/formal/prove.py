"""Formal proofs of the Verilog with Yosys, its SMT checker and Z3.

python -m spikeline_rtl.formal.prove [NAME …] [--deep] [--jobs N] [--out build/formal/report.json]

Each wrapper beside this file puts one unchanged module of rtl/ among assumptions and assertions; TABLE says what is proved of
which, and how:

- `induction`: holds in every state that can be reached, however long it takes: it holds in the first `depth` cycles, and
  `depth` cycles in which it holds are followed by one more;
- `bmc`: holds in the first `depth` cycles, whatever the inputs;
- `cover`: each `cover` of the wrapper is reached within `depth` cycles, under the same assumptions or narrower ones. So the
  assumptions contradict neither each other nor what a proof is about.

Writes a report as JSON; the last lines of a proof that fails name a trace (VCD) that shows why. Exits 1 if any does.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.measure.evaluate import commit
from spikeline.simulation import verilated
from spikeline_rtl.synthesis import tools

HERE = Path(__file__).parent
STEPS: dict[str, list[list[str]]] = {"induction": [[], ["-i"]], "bmc": [[]], "cover": [["-c"]]}


@dataclass(frozen=True)
class Proof:
    """One line of TABLE: a `wrapper` with its `parameters`, proved in `mode` to `depth` cycles."""

    name: str
    wrapper: str
    mode: str
    depth: int
    promise: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    deep: bool = False  # takes minutes: only with --deep

    @property
    def module(self) -> str:
        """The module of rtl/ that the promise is about."""
        return MODULES[self.wrapper][0]


# What each wrapper is about, and what that needs
MODULES = {
    "scan": ["spk_scan"],
    "fifo": ["spk_fifo"],
    "axi_lite": ["spk_regs"],
    "events": ["spk_events"],
    "input": ["spk_input"],
    "layer": ["spk_layer", "spk_scan", "spk_fifo", "spk_slice", "spk_fire", "spk_decide", "spk_ram"],
    "loader": ["spk_loader", "spk_crc"],
    "decode": ["spk_decode"],
    "encode": ["spk_encode", "spk_seed"],
    "seed": ["spk_seed"],
    "bursts": ["spk_bursts", "spk_fifo"],
    "reader": ["spk_reader", "spk_bursts", "spk_fifo"],
    "writer": ["spk_writer", "spk_bursts", "spk_fifo"],
    "memory": ["spk_memory", "spk_reader", "spk_writer", "spk_bursts", "spk_fifo"],
    "bank": ["spk_bank"],
    "queue": ["spk_queue"],
    "unpack": ["spk_unpack"],
}
# Instances whose outputs may be anything: more than they can do, so a proof holds with them too
CUT = {
    "layer": "*spk_layer*/t:*spk_slice* *spk_layer*/t:*spk_fire*",
    "encode": "*spk_encode*/seeds",
    "loader": "*spk_loader*/checksum",
    "reader": "*spk_reader*/queue *spk_reader*/split",
    "writer": "*spk_writer*/queue *spk_writer*/split",
    "memory": " ".join(f"*spk_memory*/{name}" for name in ("reader", "writer", "send_queue", "receive_queue")),
}

SCAN = "Each set bit of the lane is shown exactly once, lowest first, nothing else, and no cycle is wasted."
EVENTS = "No input beyond the network's; T steps an image; events in order, none lost; silence after an invalid one."
INPUT = "T vectors an image, each with the bits that came and no other; a vector stays until it is taken."
BANK = "Each operation writes what all before it have made of a current, however close they follow; so it is decided, too."
LAYER = "The queue never overflows; scanners start together, all ready; no address beyond a memory; rows go where spikes read."

TABLE = [
    *(
        Proof(
            f"scan-{inputs}-lane-{lane}-of-{lanes}",
            "scan",
            "induction",
            3,
            SCAN,
            {"INPUTS": inputs, "LANES": lanes, "LANE": lane},
            deep=inputs > 100,
        )
        for inputs, lanes, lane in [(16, 1, 0), (17, 1, 0), (40, 1, 0), (40, 2, 1), (33, 4, 0), (33, 4, 3), (784, 4, 0)]
    ),
    Proof(
        "scan-cover",
        "scan",
        "cover",
        22,
        "Steps of no and of 3 spikes, the highest bit, three vectors under way at once, a second group after a full one.",
        {"INPUTS": 40, "GUIDED": 1},
    ),
    Proof(
        "fifo",
        "fifo",
        "induction",
        3,
        "No word is lost, repeated or overtaken; at the output it stays until it is taken.",
    ),
    Proof("fifo-cover", "fifo", "cover", 36, "Filled to the last place, and drained again.", {"GUIDED": 1}),
    Proof(
        "axi-lite",
        "axi_lite",
        "induction",
        3,
        "One answer to each request and none without; it stays as it is until taken; it is OKAY, at once, and zero where no "
        "register is; registers are written byte by byte; MODEL is zero without a model; ERROR keeps the first "
        "error; the halves of CYCLES belong together; a command is pushed once, by a write of all its bytes; a reset lasts until "
        "the memory is quiet; INTERRUPT keeps what happens until a 1 is written over it.",
    ),
    Proof(
        "axi-lite-cover",
        "axi_lite",
        "cover",
        8,
        "Answers that wait, options, reset, a model, an error, both halves of CYCLES, commands, interrupts.",
    ),
    Proof("events", "events", "induction", 4, EVENTS),
    Proof("events-cover", "events", "cover", 10, "Two images, four events of one word, an invalid event.", {"GUIDED": 1}),
    Proof("input-words", "input", "induction", 4, INPUT, {"EVENTS": 0}),
    Proof("input-events", "input", "induction", 4, INPUT, {"EVENTS": 1}),
    Proof("input-words-cover", "input", "cover", 18, "The last input fires; three steps; a second image.", {"GUIDED": 1}),
    Proof("input-events-cover", "input", "cover", 18, "The same from events.", {"GUIDED": 1, "EVENTS": 1}),
    *(
        Proof(
            f"layer-{kind}-{parallel}",
            "layer",
            "induction",
            12,
            LAYER,
            {"PARALLEL": parallel, "INPUTS": inputs, "CONTINUOUS": continuous, "DIRECT": direct},
        )
        for kind, parallel, inputs, continuous, direct in [
            ("discontinuous", 1, 20, 0, 0),
            ("discontinuous", 2, 20, 0, 0),
            ("continuous", 2, 20, 1, 0),
            ("continuous", 4, 33, 1, 0),
            ("direct", 2, 20, 1, 1),
        ]
    ),
    Proof(
        "layer-cover", "layer", "cover", 49, "The queue is full; a row is written.", {"GUIDED": 1, "PARALLEL": 1, "INPUTS": 16}
    ),
    Proof(
        "loader",
        "loader",
        "induction",
        3,
        "Each word of a packet that its header allows is written once, to the next place of the named layer, within its "
        "memories, while the layers are idle; nothing else is. A configuration fits what is built and changes as a whole. "
        "While loaded neither changes. Each packet has the one right error or none, so one whose checksum is wrong is never "
        "taken; MODEL is made of those that are; images pass only if all is loaded; while all are ready no word waits for more "
        "than six cycles.",
    ),
    Proof(
        "loader-cover-packets", "loader", "cover", 14, "Every error of a single packet, a CONFIG of two layers.", {"GUIDED": 1}
    ),
    Proof(
        "loader-cover-network", "loader", "cover", 40, "A network loaded and used, an invalid event.", {"COVERS": 1, "GUIDED": 1}
    ),
    Proof(
        "decode",
        "decode",
        "induction",
        4,
        "m_axis: what is offered stays until it is taken. A result, then the values if asked for, TLAST on a packet's last word. "
        "The named class has the largest value, the lowest of equals; an early exit leads by the margin.",
    ),
    Proof(
        "decode-order",
        "decode",
        "induction",
        5,
        "One result an image, in order, early exits included.",
        {"ORDER": 1, "CLASSES": 2},
    ),
    Proof(
        "decode-cover",
        "decode",
        "cover",
        12,
        "Two results, an early exit, values, a step that waits.",
        {"GUIDED": 1, "CLASSES": 2},
    ),
    Proof(
        "encode",
        "encode",
        "induction",
        6,
        "T · ceil(N / 64) words an image; a packet's first and last image marked; images in order; a word stays until taken.",
    ),
    Proof("encode-cover-long", "encode", "cover", 26, "A whole image of two words and two steps.", {"GUIDED": 1}),
    Proof(
        "encode-cover-short",
        "encode",
        "cover",
        20,
        "Two whole images of one word; one leaves while the next is read.",
        {"GUIDED": 2},
    ),
    Proof(
        "seed",
        "seed",
        "induction",
        3,
        "A seed is there 32 cycles after it was asked for and stays; in each of them the right four bits are multiplied by the "
        "right factor; the next state is GAMMA further.",
    ),
    Proof("seed-cover", "seed", "cover", 36, "The second half, and a seed.", {"GUIDED": 1}),
    Proof(
        "bursts",
        "bursts",
        "induction",
        3,
        "Every word of a command is asked for once, in order; no burst over 16 words or 4 KiB; an address stays until it is "
        "taken; at most four are open, and come to the front in order.",
    ),
    Proof("bursts-cover", "bursts", "cover", 9, "Four open, 4 KiB crossed, a command a cycle, a reset while an address waits."),
    Proof(
        "reader",
        "reader",
        "induction",
        3,
        "Every word that comes is passed on once, into a queue with room for it, up to an error and none after; a burst is asked "
        "for whenever it has room; a reset leaves none open.",
    ),
    Proof("reader-cover", "reader", "cover", 14, "A packet ends, an error, a queue without room, a reset with words to come."),
    Proof(
        "writer",
        "writer",
        "induction",
        3,
        "Every word of a packet is written once, in bursts whose words are all there, WLAST with the last; a packet of another "
        "length is an error; after a reset no new word has a strobe, and no burst is left open.",
    ),
    Proof("writer-cover", "writer", "cover", 14, "A packet of three words, burst on burst, packets of another length, resets."),
    Proof(
        "memory",
        "memory",
        "induction",
        3,
        "Each command goes once into a queue with room for it or is an error; the first error stays until a reset; what "
        "completes is counted; sizes and attributes of the bus are fixed.",
    ),
    Proof("memory-cover", "memory", "cover", 12, "A full queue, a command that does not fit, an error of the bus, counts."),
    *(
        Proof(name, "bank", "induction", 4, BANK, {"DISTRIBUTED": distributed, "DIRECT": direct})
        for name, distributed, direct in (
            ("bank", 0, 0),
            ("bank-direct", 0, 1),
            ("bank-distributed", 1, 0),
            ("bank-distributed-direct", 1, 1),
        )
    ),
    Proof("bank-cover", "bank", "cover", 12, "Operations one after another, and one apart, doubling, clearing.", {"DIRECT": 1}),
    Proof(
        "queue",
        "queue",
        "induction",
        3,
        "No word is lost, repeated or overtaken; half of it is free when it says so, and then that many words fit.",
    ),
    Proof("queue-cover", "queue", "cover", 24, "Filled to the last place, and drained while it is written."),
    Proof(
        "unpack",
        "unpack",
        "induction",
        3,
        "Each spike of a position is shown once a round, lowest map first, with its round; the next position follows at once.",
    ),
    Proof(
        "unpack-cover", "unpack", "cover", 14, "Three spikes in three rounds, and the position that follows; an end of a step."
    ),
]


def translate(proof: Proof, folder: Path, edits: Mapping[str, tuple[str, str]]) -> None:
    """Write `folder`/model.smt2. `edits` plants a fault in a module: {module: (text, text in its place)}."""
    modules = MODULES[proof.wrapper]
    commands = [
        f"read_verilog -formal -I. {proof.wrapper}.v",
        *tools.design(f"formal_{proof.wrapper}", proof.parameters, modules),
        *([f"cutpoint {CUT[proof.wrapper]}"] if proof.wrapper in CUT else []),
        # Before `flatten` nothing may be optimised: a wrapper names registers of the module (attribute `hierconn`).
        "proc -noopt",
        "memory_map",
        "flatten",
        "check -assert",
        "async2sync",
        "setundef -undriven -anyseq",
        "opt_expr",
        "opt_merge",
        "opt_clean",
        "write_smt2 -wires model.smt2",
    ]
    verilog = [HERE / f"{proof.wrapper}.v", *(verilated.RTL / name for name in ["spikeline.vh", *(f"{m}.v" for m in modules)])]
    with tempfile.TemporaryDirectory() as edited:
        for source in verilog:
            text = source.read_text()
            old, new = edits.get(source.stem, ("", ""))
            if old and text.count(old) != 1:
                raise ValueError(f"{source.name} holds {old!r} {text.count(old)} times; give a text that it holds once")
            (Path(edited) / source.name).write_text(text.replace(old, new) if old else text)
        tools.yosys(folder, commands, Path(edited).iterdir())


def prove(proof: Proof, folder: Path, edits: Mapping[str, tuple[str, str]] | None = None) -> dict[str, Any]:
    """Try one proof, its files in `folder`; return its entry of the report.

    `result` is `proved`, `refuted` (an assertion fails, or a cover is not reached) or `not inductive`; `trace` is the VCD that
    shows it, if there is one. Raises ToolError if Yosys or the solver itself fails.
    """
    begin = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    translate(proof, folder, edits or {})
    result, trace, covers = "proved", None, 0
    for step in STEPS[proof.mode]:
        name = "induction" if "-i" in step else proof.mode.replace("induction", "base")
        vcd = folder / f"{name}%.vcd" if proof.mode == "cover" else folder / f"{name}.vcd"
        command = [tools.tool("yosys-smtbmc"), "-s", "z3", "-t", str(proof.depth), *step, "--dump-vcd", vcd.name, "model.smt2"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PATH": tools.PATH})
        (folder / f"{name}.log").write_text(run.stdout)
        if not re.search(r"Status: (PASSED|FAILED)", run.stdout):
            raise tools.ToolError(f"the solver failed on {proof.name}; see {folder / f'{name}.log'}")
        covers += run.stdout.count("Reached cover statement")
        if run.returncode:
            result = "not inductive" if "-i" in step else "refuted"
            trace = str(vcd) if vcd.exists() else None
            break
    if proof.mode == "cover" and result == "proved" and covers == 0:
        result = "refuted"  # nothing to reach shows nothing
    return {
        "name": proof.name,
        "module": proof.module,
        "promise": proof.promise,
        "mode": proof.mode,
        "depth": proof.depth,
        "parameters": dict(proof.parameters),
        "result": result,
        "covers": covers,
        "seconds": round(time.monotonic() - begin, 1),
        "trace": trace,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="proofs, or wrappers; default: all that take seconds")
    parser.add_argument("--deep", action="store_true", help="those that take minutes, too")
    parser.add_argument("--jobs", type=int, default=2, help="at the same time (default 2)")
    parser.add_argument(
        "--out", type=file_to_write, default="build/formal/report.json", metavar="FILE", help="report (default %(default)s)"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {p.name for p in TABLE} - set(MODULES)
    if unknown:
        parser.error(f"no proof or wrapper {', '.join(sorted(unknown))}")
    chosen = [p for p in TABLE if p.name in arguments.names or p.wrapper in arguments.names or not arguments.names]
    chosen = [p for p in chosen if arguments.deep or not p.deep or p.name in arguments.names]
    work = arguments.out.parent
    work.mkdir(parents=True, exist_ok=True)
    entries = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for entry in pool.map(lambda p: prove(p, work / p.name), chosen):
            entries.append(entry)
            detail = f"{entry['covers']} covers" if entry["mode"] == "cover" else ""
            print(
                f"{entry['result']:14}{entry['name']:24}{entry['mode']:10}{entry['depth']:4}{entry['seconds']:7.1f} s  {detail}"
            )
            if entry["trace"]:
                print(f"    see {entry['trace']}")
            sys.stdout.flush()
    report = {"commit": commit(), "yosys": tools.version(tools.tool("yosys")), "solver": solver(), "proofs": entries}
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    if any(e["result"] != "proved" for e in entries):
        sys.exit(1)


def solver() -> str:
    """One line, such as `Z3 version 4.16.0 - 64 bit`."""
    return tools.version(shutil.which("z3", path=tools.PATH) or "z3")


if __name__ == "__main__":
    sys.exit(status("prove", main))
