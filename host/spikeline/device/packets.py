"""A batch: the images of one transfer and the packet that carries them, packed straight into the memory that is sent.

Packets are uint64 words, the header first; `Stream words` in docs/registers.md.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from spikeline import inputs
from spikeline.errors import DataError
from spikeline.model.encode import encode, seed_state
from spikeline.model.model_file import WORD, packet
from spikeline.model.network import Network
from spikeline.model.spec import EVENT, HEADER, HEADER_MAGIC, Encoder, PacketType

EVENT_STEP = EVENT.pack(is_step=1)
EVENT_MAX = EVENT_STEP - 2  # inputs and steps
FILLER = 0xFFFF


class Batch(Protocol):
    """B images of T time steps and N inputs, and the packet that carries them."""

    def __len__(self) -> int: ...
    @property
    def words(self) -> int:
        """64-bit words of the packet."""

    def pack(self, out: np.ndarray) -> None:
        """Write the packet to `out`, uint64 (words,), or as many of its first words as that has room for."""

    @property
    def place(self) -> tuple[int, int] | None:
        """Address, and number of 64-bit words, of what lies in memory as the end of the packet has it, or None."""

    def trains(self, network: Network) -> np.ndarray:
        """The spike trains that `network` sees, uint8 (B, T, N) of 0/1."""

    def checked(self, network: Network) -> "Batch":
        """The same in the form that is packed, whatever a caller has passed. Raises DataError if it is not for `network`."""

    def part(self, start: int, stop: int) -> "Batch":
        """Images `start` up to `stop`; they give what they give in the whole."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """Raw images, uint8 (B, N) or what `spikeline.inputs.pixels` makes that of, which the accelerator encodes.

    seed: of the Bernoulli encoder, 0 to 2^64 − 1. first_image: index of the first image, from which its random numbers follow.
    """

    pixels: Any
    seed: int = 0
    first_image: int = 0

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def words(self) -> int:
        return 2 + len(self.pixels) * -(-self.pixels.shape[1] // 8)

    @property
    def place(self) -> tuple[int, int] | None:
        batch, size = self.pixels.shape
        stride = -(-size // 8) * 8
        lies = self.pixels.strides == (stride, 1) or (batch == 1 and self.pixels.strides[1] == 1)
        return (self.pixels.ctypes.data, batch * stride // 8) if batch and lies else None

    def pack(self, out: np.ndarray) -> None:
        batch, size = self.pixels.shape
        out[0] = _header(PacketType.PIXELS, self.words)
        out[1] = seed_state(self.seed, self.first_image)
        if len(out) > 2:
            images = out[2:].view(np.uint8).reshape(batch, -1)
            np.copyto(images[:, :size], self.pixels)
            images[:, size:] = 0

    def trains(self, network: Network) -> np.ndarray:
        return encode(self.pixels, network.encoder.name.lower(), network.time_steps, self.seed, self.first_image)

    def checked(self, network: Network) -> "Pixels":
        if network.encoder == Encoder.EVENTS:
            raise DataError("the network was trained on events and has no encoder for images; pass Events(trains)")
        seed, first = inputs.whole(self.seed, "seed", 0, 2**64 - 1), inputs.whole(self.first_image, "first_image", 0)
        return Pixels(inputs.pixels(self.pixels, network.sizes[0]), seed, first)

    def part(self, start: int, stop: int) -> "Pixels":
        return Pixels(self.pixels[start:stop], self.seed, self.first_image + start)


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spike trains, uint8 (B, T, N) of 0/1 or what `spikeline.inputs.spikes` makes that of, sent as vectors."""

    spikes: Any

    def __len__(self) -> int:
        return len(self.spikes)

    @property
    def words(self) -> int:
        images, steps, size = self.spikes.shape
        return 1 + images * steps * -(-size // 64)

    @property
    def place(self) -> None:
        return None

    def pack(self, out: np.ndarray) -> None:
        write_spikes(out, self.spikes)

    def trains(self, network: Network) -> np.ndarray:
        return self.spikes

    def checked(self, network: Network) -> "Spikes":
        return type(self)(inputs.spikes(self.spikes, network.time_steps, network.sizes[0]))

    def part(self, start: int, stop: int) -> "Spikes":
        return type(self)(self.spikes[start:stop])


class Events(Spikes):
    """Spike trains as those of `Spikes`, sent as the addresses of the inputs that fire. Their packet is shorter, the fewer do."""

    @cached_property
    def _packet(self) -> np.ndarray:
        return pack_events(self.spikes)  # its length follows from the spikes

    @property
    def words(self) -> int:
        return len(self._packet)

    def pack(self, out: np.ndarray) -> None:
        out[:] = self._packet


INPUTS: dict[str, type[Pixels] | type[Spikes]] = {"pixels": Pixels, "spikes": Spikes, "events": Events}


def batch(given: Any) -> Batch:
    """What a caller passes as input; anything but these three is taken as pixels."""
    return given if isinstance(given, Pixels | Spikes) else Pixels(given)


def write_spikes(out: np.ndarray, spikes: np.ndarray) -> None:
    """Write the SPIKES packet: spikes uint8 (B, T, N) of 0/1 → uint64 (1 + B·T·⌈N/64⌉,), input i at bit i mod 64."""
    bits = np.packbits(spikes, axis=-1, bitorder="little")
    out[0] = _header(PacketType.SPIKES, len(out))
    body = out[1:].view(np.uint8).reshape(*spikes.shape[:2], -1)
    body[..., : bits.shape[-1]] = bits
    body[..., bits.shape[-1] :] = 0


def _header(kind: PacketType, words: int) -> int:
    """Of a packet of so many words, itself included."""
    return HEADER.pack(kind=kind, magic=HEADER_MAGIC, length=words - 1)


def packed(batch: Batch) -> np.ndarray:
    """The packet of a batch in memory of its own."""
    out = np.empty(batch.words, WORD)
    batch.pack(out)
    return out


def pack_events(spikes: np.ndarray) -> np.ndarray:
    """Make the EVENTS packet: spikes uint8 (B, T, N) of 0/1 → uint64 (2 + words,).

    Of each image the steps that hold a spike, each with the inputs that fire in it, ascending, then step T, which ends it.
    Raises DataError for more steps or inputs than an event can name.
    """
    if spikes.shape[1] > EVENT_MAX or spikes.shape[2] > EVENT_MAX:
        raise DataError(
            f"events of {spikes.shape[2]} inputs in {spikes.shape[1]} steps; send spikes, or at most {EVENT_MAX} of each"
        )
    batch, steps, _ = spikes.shape
    image, step, address = np.nonzero(spikes)
    first = np.diff(image * steps + step, prepend=-1) != 0  # of its step
    rank = np.arange(len(image)) + np.cumsum(first)  # entries before each event, if no image ended or was filled up
    total = np.append(0, rank + 1)[np.searchsorted(image, np.arange(batch + 1))]  # of these, before each image
    sizes = np.diff(total) + 1
    room = -(-sizes // 4) * 4
    starts = np.cumsum(room) - room
    entries = np.full(int(room.sum()), FILLER, "<u2")
    place = rank + (starts - total[:-1])[image]
    entries[place] = address
    entries[place[first] - 1] = step[first] | EVENT_STEP
    entries[starts + sizes - 1] = steps | EVENT_STEP
    return packet(PacketType.EVENTS, np.concatenate([np.array([batch], WORD), entries.view(WORD)]))
