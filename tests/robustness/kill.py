"""Kill a program while it writes: before any call to the file system, in the midst of any file, or at any time.

before     an audit hook counts what Python asks of the file system below a folder, and kills at a given count
within     the kernel kills at the first byte beyond a size of any file, whoever writes it: Python, torch or protobuf
full       the same, but as on a full disk: the write fails, and the program may clean up
after      SIGKILL by the clock
"""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

EVENTS = {
    "open",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.chmod",
    "os.truncate",
    "os.link",
    "os.symlink",
    "os.listdir",
}


def child(write: Callable[[], None], prepare: Callable[[], None] = lambda: None) -> int:
    """Start `write` in a child of this process, after `prepare`; returns its process id."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            prepare()
            write()
            status = 0
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> bool:
    """Wait for a child; did it get to its end without an error?"""
    return os.waitpid(pid, 0)[1] == 0


def before(write: Callable[[], None], folder: Path, call: int) -> bool:
    """Kill `write` before its file system call number `call` below `folder`; True if it has fewer."""

    def prepare() -> None:
        calls = 0

        def watch(event: str, arguments: tuple) -> None:
            nonlocal calls
            if event in EVENTS and any(
                str(folder) in os.fsdecode(x) for x in arguments if isinstance(x, str | bytes | os.PathLike)
            ):
                if calls == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls += 1

        sys.addaudithook(watch)

    return ended(child(write, prepare))


def within(write: Callable[[], None], size: int, full: bool = False) -> bool:
    """Kill `write` as a file grows beyond `size` bytes, or let its write fail if the disk is `full`; True if none does."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN if full else signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return ended(child(write, prepare))


def after(write: Callable[[], None], seconds: float) -> bool:
    """Kill `write` some time after it has begun; True if it had ended."""
    pid = child(write)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return ended(pid)
