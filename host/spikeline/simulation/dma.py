"""AMD's AXI DMA in simple mode, as far as its registers show (PG021): between simulated memory and the Verilated accelerator."""

from dataclasses import dataclass

import numpy as np

from spikeline.model.spec import DMA_CR, DMA_LENGTH, DMA_SR, DmaRegister
from spikeline.simulation.verilated import SimDevice

CHANNEL_BYTES = DmaRegister.S2MM_CR  # of address space, from channel to channel
CHANNELS = ("MM2S", "S2MM")
WORD = np.dtype("<u8")
AHEAD = 4  # beats of S2MM that are taken before a transfer is programmed, also after a reset; they head the next transfer
POLL_CYCLES = 100_000  # clock cycles between two looks at a busy channel: 1 ms at 100 MHz


@dataclass
class Channel:
    """What a channel's registers say."""

    run: bool = False
    busy: bool = False
    done: bool = False  # a transfer
    address: int = 0
    address_msb: int = 0
    length: int = 0
    error: str = ""  # the field of the status register that is set; it takes a reset to run again


class DmaModel:
    """Both channels. `memory` is what the DMA sees, uint8, from physical address `base` on.

    `fail` plants an error, and `stuck` makes it ignore resets, for the tests of whoever drives it.
    """

    def __init__(self, simulator: SimDevice, memory: np.ndarray, base: int):
        self._simulator, self._memory, self._base = simulator, memory, base
        self._simulator.take_ahead(AHEAD)
        self._channels = {name: Channel() for name in CHANNELS}
        self.stuck = False

    def read(self, offset: int) -> int:
        """Read a register. Time passes while the status of a busy channel is read."""
        name, register = self._decode(offset)
        channel = self._channels[name]
        if register == "CR":
            return DMA_CR.pack(run=channel.run, reset=self.stuck)
        if register == "SR":
            if channel.busy:
                self._simulator.run(POLL_CYCLES)
                self._update()
            errors = {channel.error: 1} if channel.error else {}
            return DMA_SR.pack(halted=not channel.run, idle=channel.run and channel.done and not channel.busy, **errors)
        return {"ADDRESS": channel.address, "ADDRESS_MSB": channel.address_msb, "LENGTH": channel.length}[register]

    def write(self, offset: int, value: int) -> None:
        """Write a register; LENGTH starts a transfer."""
        name, register = self._decode(offset)
        channel = self._channels[name]
        if register == "CR":
            control = DMA_CR.unpack(value)
            if control["reset"] and not self.stuck:
                self._simulator.halt()
                self._channels = {name: Channel() for name in CHANNELS}
            elif not control["reset"]:
                channel.run = bool(control["run"]) and not channel.error
        elif register == "LENGTH":
            if channel.run and not channel.busy:
                self._start(name, channel, DMA_LENGTH.unpack(value)["bytes"])
        elif register != "SR":
            setattr(channel, register.lower(), value)

    def fail(self, channel: str, error: str) -> None:
        """Plant an error in a channel, MM2S or S2MM, as a field of the status register; `` only halts it."""
        self._channels[channel] = Channel(error=error)

    def _decode(self, offset: int) -> tuple[str, str]:
        name, register = DmaRegister(offset).name.split("_", 1)
        return name, register

    def _start(self, name: str, channel: Channel, length: int) -> None:
        at = (channel.address_msb << 32 | channel.address) - self._base
        if length == 0:
            self._halt(channel, "internal_error")
        elif not 0 <= at <= at + length <= len(self._memory):
            self._halt(channel, "decode_error")
        elif at % WORD.itemsize or length % WORD.itemsize:
            raise RuntimeError(f"{name}: {length} bytes at 0x{at + self._base:08x} without realignment; undefined on hardware")
        else:
            words = self._memory[at : at + length].view(WORD)
            channel.length, channel.busy, channel.done = length, True, False
            if name == "MM2S":
                self._simulator.send(words)
            else:
                self._simulator.receive(words)

    def _halt(self, channel: Channel, error: str) -> None:
        channel.run, channel.busy, channel.error = False, False, error

    def _update(self) -> None:
        send, receive = (self._channels[name] for name in CHANNELS)
        if send.busy and not self._simulator.sending:
            send.busy, send.done = False, True
        if receive.busy and self._simulator.overflow:
            self._halt(receive, "internal_error")
        elif receive.busy and not self._simulator.receiving:
            receive.busy, receive.done, receive.length = False, True, self._simulator.received * WORD.itemsize
