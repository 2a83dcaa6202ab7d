"""One owner a device: the handle of this process that opened it last. A lock, which dies with its process, keeps others out.

A notebook cell that is run again, or a second handle, takes the device over, and the older handle is told so when it is used.
Another process is refused instead: it cannot know what it would interrupt.
"""

import fcntl
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from spikeline.errors import DeviceError

LOCKS = Path("/run/lock")  # where Linux keeps them; else the folder for temporary files


class Turns:
    """Calls one at a time: a thread waits for another's call; within a call of its own it gets a DeviceError."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None

    def refuse_within_a_call(self) -> None:
        """Raise DeviceError in a thread that has the turn: it would wait for itself."""
        if self._thread == threading.get_ident():
            raise DeviceError("a call is under way in this very thread; let its progress function or callback return first")

    @contextmanager
    def take(self) -> Iterator[None]:
        """The time of one call."""
        self.refuse_within_a_call()
        with self._lock:
            self._thread = threading.get_ident()
            try:
                yield
            finally:
                self._thread = None


class _Record:
    """What this process knows of a device."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.turns = Turns()
        self.owner: weakref.ref[Lease] | None = None
        self.file: IO[str] | None = None


_records: "weakref.WeakKeyDictionary[Any, _Record]" = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def _record(device: Any) -> _Record:
    with _guard:
        record = _records.get(device)
        if record is None or record.process != os.getpid():
            record = _records[device] = _Record()
        return record


def turns(device: Any) -> Turns:
    """The turns of all who use `device` in this process."""
    return _record(device).turns


class Lease:
    """The right to touch a device, a `pynq.Device`, from now on until `release` or until another handle takes it.

    Raises DeviceError, which names the process, if another one has the device.
    """

    def __init__(self, device: Any):
        self._process = os.getpid()
        self._record = record = _record(device)
        if record.file is None:
            record.file = _locked(device)
        record.owner = weakref.ref(self, lambda gone: _let_go(record, gone))

    def check(self) -> None:
        """Raise DeviceError unless the device is still this lease's."""
        if self._process != os.getpid():
            raise DeviceError(f"this accelerator is that of process {self._process}; open one of your own in this process")
        if not self.held:
            raise DeviceError("another handle has taken this accelerator over since; use that one, or open a new one")

    @property
    def held(self) -> bool:
        """Is the device still this lease's?"""
        owner = self._record.owner
        return self._process == os.getpid() and owner is not None and owner() is self

    def release(self) -> None:
        """Give the device back, if it is still this lease's."""
        if self.held:
            _let_go(self._record, self._record.owner)


def _let_go(record: _Record, owner: "weakref.ref[Lease] | None") -> None:
    if record.owner is owner and record.process == os.getpid():
        record.owner = None
        if record.file is not None:
            with suppress(OSError):
                fcntl.flock(record.file, fcntl.LOCK_UN)  # a process that was forked may have the file open too
            record.file.close()
            record.file = None


def _locked(device: Any) -> IO[str]:
    """The device's lock file, locked. Raises DeviceError if another process has it."""
    folder = getattr(device, "lock_folder", None) or (LOCKS if os.access(LOCKS, os.W_OK) else Path(tempfile.gettempdir()))
    path = Path(folder) / f"spikeline-{device.tag}.lock"
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    except OSError as error:
        text = f"cannot open the lock {path}: {error.strerror}"
        raise DeviceError(f"{text}; run as the user who opened the board first, or remove that file") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = file.read().strip() or "another process"
        file.close()
        raise DeviceError(f"the accelerator is in use by {owner}; close it there, or end that process") from None
    file.truncate(0)
    file.write(f"process {os.getpid()} ({_command()})\n")
    file.flush()
    return file


def _command() -> str:
    try:
        words = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "python"
    return b" ".join(words).decode(errors="replace").strip()[:200]


def _forget() -> None:
    """After a fork: the locks are the parent's, and must not outlive it here."""
    for record in list(_records.values()):
        if record.file is not None:
            record.file.close()
            record.file = None


os.register_at_fork(after_in_child=_forget)
