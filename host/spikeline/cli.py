"""The one `spikeline` command; every installed package of the project adds its own subcommands."""

import argparse
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec

from spikeline.errors import SpikelineError

FLOW = {"training": "brevitas", "compiler": "qonnx", "runtime": "numpy"}  # in the order of the data: packages and what they need


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand. Returns the exit status: 0 done, 1 an error that names its fix, 2 bad usage, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="spikeline", description="Spiking networks on an FPGA, from training to labels.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for entry in sorted(entry_points(group="spikeline.commands"), key=lambda e: list(FLOW).index(e.name)):
        if find_spec(FLOW[entry.name]):  # a board offers what it can do: the runtime alone
            entry.load()(subparsers)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except SpikelineError as error:
        print(f"spikeline: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # of a file that is written; what is read has errors of its own
        place = f"{error.filename}: " if error.filename else ""
        print(f"spikeline: {place}{error.strerror or error}; make room, or write elsewhere", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("spikeline: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
