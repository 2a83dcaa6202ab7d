"""AXI rules, watched at every clock edge of every test. Breaking one fails the test at once.

Rules of a channel: outside reset, valid and ready are 0 or 1; once valid is high it stays until ready, and what it carries is
known and stays as it is. In reset, valid is low one clock later.
"""

import re

import cocotb
from cocotb.handle import SimHandleBase
from cocotb.triggers import RisingEdge


class Channel:
    """One valid / ready channel: the rules, and what has passed."""

    def __init__(self, dut: SimHandleBase, valid: str, ready: str, payload: tuple[str, ...], partly: str = ""):
        self.name = valid.removesuffix("valid")
        self.valid, self.ready = getattr(dut, valid), getattr(dut, ready)
        self.payload = [getattr(dut, name) for name in payload]
        self.read = [zeroed if name == partly else known for name in payload]  # `partly` has bits that mean nothing
        self.passed: list[tuple[int, ...]] = []  # the payload of every transfer
        self.waiting: tuple[int, ...] | None = None

    def clear(self) -> None:
        """Nothing is owed any more: a reset."""
        self.waiting = None

    def in_reset(self, edges: int) -> None:
        """Look at the wires at a clock edge at which reset has been low for `edges` before."""
        self.clear()
        assert not edges or known(self.valid, self.name) == 0, f"{self.name}: valid in reset"

    def look(self) -> bool:
        """Look at the wires at a clock edge; True if a transfer takes place."""
        if not known(self.valid, self.name):
            assert self.waiting is None, f"{self.name}: valid was taken back before ready"
            return False
        carried = tuple(read(signal, self.name) for read, signal in zip(self.read, self.payload, strict=True))
        assert self.waiting in (None, carried), f"{self.name}: payload {self.waiting} became {carried} before ready"
        if not known(self.ready, self.name):
            self.waiting = carried
            return False
        self.waiting = None
        self.passed.append(carried)
        return True


def known(signal: SimHandleBase, name: str) -> int:
    """The value of a signal that must not hold an X or a Z."""
    bits = signal._handle.get_signal_val_binstr()  # what `value` is made of: every cycle counts
    try:
        return int(bits, 2)
    except ValueError:
        raise AssertionError(f"{name}: {signal._name} is {bits}") from None


def zeroed(signal: SimHandleBase, name: str) -> int:
    """The value of a signal, unknown bits as 0."""
    return int(re.sub("[^01]", "0", signal._handle.get_signal_val_binstr()), 2)


class Monitor:
    """Rules of some channels that have a reset in common."""

    def __init__(self, reset: SimHandleBase, resets_at: int):
        self.reset, self.resets_at = reset, resets_at
        self.channels: list[Channel] = []
        self.edges = 0  # in reset
        self.forgiven = False  # what is dropped on purpose may be taken back

    def step(self) -> None:
        """Look at the wires at a clock edge."""
        if known(self.reset, "reset") == self.resets_at:
            for channel in self.channels:
                channel.in_reset(self.edges)
            self.cleared()
            self.edges += 1
        else:
            self.edges = 0
            self.look()

    def look(self) -> None:
        for channel in self.channels:
            if self.forgiven:
                channel.clear()
            channel.look()

    def cleared(self) -> None:
        """What else a reset clears."""


def watch(clock: SimHandleBase, *monitors: Monitor) -> None:
    """Let monitors look at every rising edge until the test ends."""

    async def steps() -> None:
        edge = RisingEdge(clock)
        while True:
            await edge
            for monitor in monitors:
                monitor.step()

    cocotb.start_soon(steps())


class StreamMonitor(Monitor):
    """An AXI4-Stream: the rules of its channel, and the packets that have passed."""

    def __init__(self, dut: SimHandleBase, prefix: str, reset: str = "aresetn", resets_at: int = 0):
        super().__init__(getattr(dut, reset), resets_at)
        self.channel = Channel(dut, f"{prefix}_tvalid", f"{prefix}_tready", (f"{prefix}_tdata", f"{prefix}_tlast"))
        self.channels = [self.channel]
        self.packets: list[list[int]] = []
        self.open: list[int] = []  # words after the last TLAST

    def look(self) -> None:
        if self.forgiven:
            self.channel.clear()
        if self.channel.look():
            word, last = self.channel.passed[-1]
            self.open.append(word)
            if last:
                self.packets.append(self.open)
                self.open = []

    def cleared(self) -> None:
        self.open = []

    @property
    def words(self) -> int:
        """Words that have passed."""
        return len(self.channel.passed)


class LiteMonitor(Monitor):
    """An AXI4-Lite slave: the rules of five channels, one response to each request and none before it, and it is OKAY."""

    MOST = 16  # clock edges that a request may wait for its response to be offered

    def __init__(self, dut: SimHandleBase, prefix: str = "s_axil", reset: str = "aresetn"):
        super().__init__(getattr(dut, reset), 0)
        carried = {"aw": ("addr",), "w": ("data", "strb"), "b": ("resp",), "ar": ("addr",), "r": ("data", "resp")}
        for name, fields in carried.items():
            p = f"{prefix}_{name}"
            channel = Channel(dut, f"{p}valid", f"{p}ready", tuple(p + field for field in fields))
            setattr(self, name, channel)
            self.channels.append(channel)
        self.writes = self.reads = self.owed_b = self.owed_r = self.silent = 0
        self.addresses = self.data = 0

    def look(self) -> None:
        b_owed, r_owed = self.owed_b, self.owed_r
        if self.b.look():
            assert b_owed, "B: a response to no write"
            assert self.b.passed[-1] == (0,), "B: not OKAY"
            self.owed_b -= 1
        elif self.b.waiting is not None:
            assert b_owed, "B: a response is offered to no write"
        if self.r.look():
            assert r_owed, "R: a response to no read"
            assert self.r.passed[-1][1] == 0, "R: not OKAY"
            self.owed_r -= 1
        elif self.r.waiting is not None:
            assert r_owed, "R: a response is offered to no read"
        self.addresses += self.aw.look()
        self.data += self.w.look()
        pairs = min(self.addresses, self.data)
        self.owed_b += pairs - self.writes
        self.writes = pairs
        if self.ar.look():
            self.reads += 1
            self.owed_r += 1
        offered = (not self.owed_b or self.b.waiting is not None) and (not self.owed_r or self.r.waiting is not None)
        self.silent = 0 if offered else self.silent + 1
        assert self.silent < self.MOST, "no response"

    def cleared(self) -> None:
        self.owed_b = self.owed_r = self.silent = 0
        self.addresses = self.data = self.writes = 0

    @property
    def idle(self) -> bool:
        """Has every request had its response?"""
        return not self.owed_b and not self.owed_r and self.addresses == self.data
