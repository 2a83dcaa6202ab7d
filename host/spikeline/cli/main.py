"""The one `spikeline` command: the runtime's subcommands, and those of the packages that are installed beside it."""

import argparse
import io
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import NoReturn

from spikeline.cli import bench, data, demo, energy, info, power, report, run, sim
from spikeline.cli.arguments import spare_inputs
from spikeline.cli.demo import FLOW
from spikeline.cli.status import status

RUNTIME = (data, info, sim, run, report, bench, power, energy)


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Returns the exit status: 0 done, 1 an error that names its fix, 2 bad usage, 130 interrupted, 141 nobody reads the output.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show is no reason to lose the work

    def work() -> None:
        args = _parser().parse_args(argv)
        spare_inputs(args)
        args.run(args)

    return status("spikeline", work)


class _Parser(argparse.ArgumentParser):
    """Bad usage is told in one line, as every error is; the subcommands are of this class too."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="spikeline", description="Spiking networks on an FPGA, from training to labels.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    entries = {entry.name: entry for entry in entry_points(group="spikeline.commands")}
    for name, package in FLOW.items():
        if name in entries and find_spec(package):  # a board offers what it can do: the runtime alone
            entries[name].load()(subparsers)
    demo.register(subparsers, main)
    for command in RUNTIME:
        command.register(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
