"""How a program ends: the exit status of its work, and one line on standard error for an error that names its fix."""

import os
import sys
from collections.abc import Callable

from spikeline.errors import SpikelineError
from spikeline.files import remedy


def status(name: str, work: Callable[[], object]) -> int:
    """Do the work; return 0, 1 after an error that names its fix, 130 if interrupted, 141 if nobody reads the output."""
    try:
        try:
            work()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except SpikelineError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # as of `spikeline info | head -0`; Unix tools end so, by SIGPIPE
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains as it ends
        return 141
    except OSError as error:  # of a file that is written; what is read has errors of its own
        place = f"{error.filename}: " if error.filename else ""
        print(f"{name}: {place}{error.strerror or error}; {remedy(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    return 0
