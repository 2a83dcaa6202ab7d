"""What passes between memory and accelerator: commands to its AXI master, in the order in which they are queued."""

from collections import deque
from typing import NamedTuple, Protocol

import numpy as np

from spikeline.errors import DeviceError
from spikeline.model.spec import FEATURES_COMMANDS, MEMORY_ERROR, RECEIVE, SEND, MemoryFault, Register

QUEUE = FEATURES_COMMANDS  # commands that each queue takes
WORD_BYTES = 8

FAULTS = {
    MemoryFault.REFUSED: "the memory refused an access",
    MemoryFault.NOWHERE: "there is no memory",
    MemoryFault.SHORT: "there were fewer results than were due",
    MemoryFault.LONG: "there were more results than were due",
    MemoryFault.FULL: "a command was one too many",
    MemoryFault.COMMAND: "a command was not of whole words",
}


class Device(Protocol):
    """Registers, and memory that the accelerator reaches."""

    def read(self, address: int) -> int: ...
    def write(self, address: int, value: int) -> None: ...
    def buffer(self, name: str, words: int) -> np.ndarray:
        """Memory of the device, uint64 (words,); what it holds lasts until the same name is asked for again."""

    def allocate(self, words: int) -> np.ndarray:
        """Memory of the device, uint64 (words,), that is the caller's for as long as anything refers to it."""

    def at(self, address: int, words: int) -> np.ndarray | None:
        """What `allocate` gave at this address of the processor, uint64 (words,); None if not all of it is such memory."""

    def address(self, memory: np.ndarray) -> int:
        """Where the accelerator finds a part of a buffer. Raises DeviceError for other memory."""

    def flush(self, memory: np.ndarray) -> None:
        """Write what the processor's cache holds of a part of a buffer back to memory."""

    def invalidate(self, memory: np.ndarray) -> None:
        """Drop what the processor's cache holds of it."""

    def close(self) -> None: ...


class _Transfer(NamedTuple):
    sends: int  # that the accelerator has counted when this one is done
    receives: int
    send: tuple[np.ndarray, ...]  # what is in flight, and so must stay
    receive: np.ndarray | None


class Transfers:
    """The transfers of a device, done in order: up to QUEUE commands of each kind at once.

    Raises DeviceError, with nothing queued, for memory that is not the device's.
    """

    def __init__(self, device: Device):
        self.device = device
        self.forget()

    def forget(self) -> None:
        """Begin anew: nothing is under way. To be called after a reset of the accelerator."""
        self._flying: deque[_Transfer] = deque()
        self._sends = self._sent = self.device.read(Register.SENT)
        self._receives = self.device.read(Register.RECEIVED)

    def start(self, send: np.ndarray | tuple[np.ndarray, ...], receive: np.ndarray | None = None, last: bool = True) -> None:
        """Queue the sending of `send`, uint64 contiguous, or of several such, and the receiving of results that fill `receive`.

        last: they end a packet. All are parts of buffers, and stay as they are until `poll` says that they are done.
        """
        sends = send if isinstance(send, tuple) else (send,)
        places = [self._place(memory) for memory in sends]
        if receive is not None:
            place = self._place(receive)
            self.device.invalidate(receive)  # no line of it may be written back over what is received
            self._push(Register.RECEIVE, place, RECEIVE.pack(words=receive.size))
        for n, (memory, place) in enumerate(zip(sends, places, strict=True), 1):
            self.device.flush(memory)
            self._push(Register.SEND, place, SEND.pack(words=memory.size, last=last and n == len(sends)))
        self._sends = self._sends + len(sends) & 0xFFFFFFFF
        self._receives = self._receives + (receive is not None) & 0xFFFFFFFF
        self._flying.append(_Transfer(self._sends, self._receives, sends, receive))

    def _place(self, memory: np.ndarray) -> int:
        address = self.device.address(memory)
        if address % WORD_BYTES or memory.nbytes % WORD_BYTES or not memory.flags.c_contiguous:
            raise DeviceError("only whole words, one after another, can be transferred; pass memory that `buffer` returned")
        return address

    def _push(self, command: Register, address: int, value: int) -> None:
        self.device.write(Register.ADDRESS_LO, address & 0xFFFFFFFF)
        self.device.write(Register.ADDRESS_HI, address >> 32)
        self.device.write(command, value)

    def poll(self) -> int:
        """How many transfers are still under way. What the others have received can be read.

        Raises DeviceError if the accelerator was reset, or loaded anew, by somebody else.
        """
        sent, received = self.device.read(Register.SENT), self.device.read(Register.RECEIVED)
        if not _reached(sent, self._sent):
            raise DeviceError("the accelerator was reset in the middle of a transfer; reset() and load the model again")
        self._sent = sent
        while self._flying and _reached(sent, self._flying[0].sends) and _reached(received, self._flying[0].receives):
            done = self._flying.popleft()
            if done.receive is not None:
                self.device.invalidate(done.receive)
        return len(self._flying)

    def fault(self) -> str | None:
        """What has stopped all transfers until a reset, in words, or None."""
        error = MEMORY_ERROR.unpack(self.device.read(Register.MEMORY_ERROR))
        if not error["code"]:
            return None
        if error["code"] in (MemoryFault.FULL, MemoryFault.COMMAND):
            return FAULTS[MemoryFault(error["code"])]
        low, high = (self.device.read(register) for register in (Register.ERROR_ADDRESS_LO, Register.ERROR_ADDRESS_HI))
        way = "receiving to" if error["receive"] else "sending from"
        return f"{FAULTS[MemoryFault(error['code'])]}, {way} 0x{high << 32 | low:08x}"


def _reached(count: int, target: int) -> bool:
    """Has a counter of 32 bits that wraps come to `target`?"""
    return count - target & 0xFFFFFFFF < 1 << 31
