"""The one `spikeline` command; every installed package of the project adds its own subcommands."""

import argparse
import sys
from importlib.metadata import entry_points

from spikeline.errors import SpikelineError

FLOW = ("training", "compiler", "runtime")  # the packages, in the order of the data flow


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand. Returns the exit status: 0 done, 1 an error that names its fix, 2 bad usage, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="spikeline", description="Spiking networks on an FPGA, from training to labels.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for entry in sorted(entry_points(group="spikeline.commands"), key=lambda e: FLOW.index(e.name)):
        try:
            register = entry.load()
        except ImportError:  # a board has the runtime alone
            continue
        register(subparsers)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except SpikelineError as error:
        print(f"spikeline: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("spikeline: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
