"""The accelerator for streams as Yosys maps it: lookup tables and flip-flops; its memories stay memories."""

import fcntl
import hashlib
import re
import shutil
from pathlib import Path

from spikeline.files import atomic, cache_dir
from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated
from spikeline_rtl.synthesis import tools

# Modules stay apart: Icarus is slow where one scope has many wires. ABC without its long optimisations takes half the time.
# Flip-flops wake up with random bits, as two values are all that a lookup table is true for.
COMMANDS = """\
synth -top spikeline_stream -noshare -run begin:fine
opt -fast -full
opt -full
techmap
opt -fast
abc -lut 6 -script +strash;if
opt -fast
setundef -undriven -zero
setundef -init -random {seed}
splitnets
opt_clean -purge
check -assert
select -assert-none t:$add t:$sub t:$alu t:$eq t:$lt t:$shr t:$mux t:$pmux t:$logic_and t:$dff t:$dffe t:$sdff t:$sdffce
write_verilog -noattr netlist.v
"""


def netlist(geometry: Geometry, seed: int = 1) -> Path:
    """Return the Verilog netlist of a geometry, made once and cached by the hash of all that goes into it.

    Raises ToolError that names the log if Yosys fails.
    """
    parameters = verilated.parameters(geometry)  # their BUILD is a hash of the sources
    version = tools.version(tools.tool("yosys"))
    digest = hashlib.sha256(repr((Path(__file__).read_text(), parameters, version, seed)).encode()).hexdigest()[:16]
    cache = cache_dir() / "cocotb"
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"netlist-{geometry.name}-{digest}.v"
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            work = path.with_suffix(".tmp")
            shutil.rmtree(work, ignore_errors=True)
            commands = COMMANDS.format(seed=seed).splitlines()
            tools.yosys(work, [*tools.design("spikeline_stream", parameters), *commands])
            with atomic(path) as temporary:
                temporary.write_text(one_process(two_valued((work / "netlist.v").read_text())))
            shutil.rmtree(work)
    return path


def two_valued(verilog: str) -> str:
    """Let memories and their output registers wake up with random words too, and nothing become unknown later.

    A word of which nothing depends on an unknown bit in Verilog, because it is masked, is unknown behind a lookup table.
    """

    def random(highest: str) -> str:
        return f"{{{', '.join(['$random'] * (int(highest) // 32 + 1))}}}"

    def register(match: re.Match) -> str:
        return f"{match[1]} = {random(match[2])};"

    def memory(match: re.Match) -> str:
        return f"{match[0]}\n  initial for (integer i = 0; i <= {match[3]}; i = i + 1) {match[2]}[i] = {random(match[1])};"

    verilog = re.sub(r"'hx+", "'h0", verilog)
    verilog = re.sub(r"^(  reg \[(\d+):0\] \w+);$", register, verilog, flags=re.MULTILINE)
    return re.sub(r"^  reg \[(\d+):0\] (\S+ )\[(\d+):0\];$", memory, verilog, flags=re.MULTILINE)


def one_process(verilog: str) -> str:
    """Gather flip-flops that stand next to each other in one process: simulation is twice as fast."""
    head = "  always @(posedge aclk)\n"
    flip_flops = re.compile(rf"(?:^{re.escape(head)}(?:    .*\n)+){{2,}}", re.MULTILINE)
    return flip_flops.sub(lambda match: f"  always @(posedge aclk) begin\n{match[0].replace(head, '')}  end\n", verilog)
