"""Memories of every kind for the simulator, and packets that are sent by hand."""

from collections.abc import Sequence

import numpy as np

from spikeline.device.transfers import Device, Transfers
from spikeline.model.spec import STATUS, Register
from spikeline.simulation.verilated import SimDevice, Timing

SHARES = (0, 0, 0.1, 0.5, 0.9)


def change(device: SimDevice, rng: np.random.Generator, shares: Sequence[float] = SHARES) -> None:
    """Give the device another memory: an ideal one, or one that is late, stalls or refreshes, by little or by much."""
    least, most = sorted(rng.choice([0, 1, 7, 40, 150], 2).tolist())
    read, write = rng.choice(shares, 2).tolist()
    refresh = (int(rng.integers(100, 1000)), int(rng.integers(1, 60))) if rng.random() < 0.3 else (0, 0)
    device.timing(Timing((least, most), read, write, refresh), int(rng.integers(1, 1 << 32)))


def start(device: Device, words, results: int = 0, last: bool = True) -> tuple[Transfers, np.ndarray | None]:
    """Queue a packet, or a part of one, and room for results; return the transfer and that room."""
    send = device.buffer("packet", len(words))
    send[:] = np.asarray(words, np.uint64)
    receive = device.buffer("results", results) if results else None
    transfers = Transfers(device)
    transfers.start(send, receive, last)
    return transfers, receive


def send(device: SimDevice, words, results: int = 0, last: bool = True) -> np.ndarray | None:
    """The same, and wait until it is done; return the results."""
    transfers, receive = start(device, words, results, last)
    while transfers.poll() or (last and not STATUS.unpack(device.read(Register.STATUS))["idle"]):
        assert device.read(Register.MEMORY_ERROR) == 0
    return receive
