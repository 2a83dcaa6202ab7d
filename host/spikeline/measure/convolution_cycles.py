"""Cycle model of the convolution cores, as `cycles` has it of the rest: when each step reaches the fully connected layers.

The terms are those of `cycles`; n counts steps. Early exit is not covered. A core works on the spikes of step n + 1 while it
decides the neurons of step n, so the steps go through the cores as a wave: core k is 2 k steps behind the first.

**Places** (spk_locate.v). A scanner of one lane shows a spike a cycle, from the cycle after `start`, and after the last of them,
or after an empty one, the end of the step, in which cycle the next step can start. A spike or an end that is shown in cycle s
stands at the output, `m_valid`, from s + 3 on. All of this stands still while what is there is not taken by spk_unpack.v.

**Spikes** (spk_unpack.v, spk_convolve.v). What stands at the input is taken when the last spike of the position before goes on,
and its spikes go on one a cycle, as often as there are rounds. Three cycles later a spike is at the banks, which the last of a
position needs for that cycle; the end of a step waits there, and all behind it, until the core has decided the step before and
the queue has room for half of what it holds:

    ended(n) = max(place(n), decided(n−1) + DECIDED, room).

The end of a plane of direct input waits until all words of a bank have been doubled, which needs the banks.

**Decisions**. From two cycles after ended(n) on, a position is decided in each cycle in which no spike of step n + 1 needs the
banks. What it hands on is visible in the queue, spk_queue.v, DECIDE cycles later, the end of the step one cycle after that of the
last position; it stands at the queue's output one cycle after that, or after the word before has been taken.

**Gathering** (spk_gather.v). Spikes go on one a cycle; the cycle after the end of a step the vector is offered, and the next
spike goes on in the cycle after it is accepted.
"""

import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeline.model import golden
from spikeline.model.geometry import ConvolutionGeometry, Geometry
from spikeline.model.network import Layer, Network

SHOWN = 2  # cycles in which a spike moves on between those in which it is shown and stands at the output
PLACE = 3  # from spk_unpack to the banks: locate, window, place
BANKS = 2  # from the end of a step, or of a plane, to the first decision, or to the first word that is doubled
DECIDE = 8  # decision → visible in the queue: stages 0 to 5, push_reg, write_reg
DECIDED = 9  # last decision → busy_reg is clear


@dataclass
class Arrivals:
    """Positions with spikes of a step, in order, and the end of the step as the last."""

    visible: np.ndarray  # int64 (P + 1,): from which cycle each is visible in the queue
    spikes: np.ndarray  # int64 (P + 1,): how many spikes; of the end 1


class Queue:
    """spk_queue: when its words are fetched to its output."""

    def __init__(self, half: int):
        self.half = half
        self.fetched = np.zeros(0, np.int64)
        self.taken = -1  # when the last was taken from there

    def room(self, cycle: int) -> int:
        """The first cycle from `cycle` on in which half of it is free. All its words are visible then."""
        self.fetched = self.fetched[self.fetched >= cycle]
        waiting = len(self.fetched) - self.half
        return cycle if waiting <= 0 else int(self.fetched[waiting - 1]) + 1


class Clock:
    """Cycles in which the stages of a core move on, and those in which they stand still."""

    def __init__(self) -> None:
        self.shift = 0  # of all halts that are forgotten
        self.halts: deque[tuple[int, int]] = deque()  # (when, in moves; for how many cycles)

    def cycle(self, moves: int) -> int:
        """The cycle in which so many moves are done."""
        total = moves + self.shift
        for at, length in self.halts:
            if moves < at:
                break
            total += length
        return total

    def move_in(self, cycle: int) -> int:
        """The first move in a cycle, or after it."""
        move = cycle - self.shift
        for at, length in self.halts:
            if move < at:
                break
            move = max(move - length, at)
        return move

    def cycles(self, moves: np.ndarray) -> np.ndarray:
        """`cycle` of many."""
        total = moves + self.shift
        for at, length in self.halts:
            total = total + length * (moves >= at)
        return total

    def moves(self, cycles: np.ndarray) -> np.ndarray:
        """`move_in` of many."""
        moves = cycles - self.shift
        for at, length in self.halts:
            moves = np.where(moves >= at, np.maximum(moves - length, at), moves)
        return moves

    def halt(self, at: int, length: int) -> None:
        """Stand still before the move `at`."""
        self.halts.append((at, length))
        if len(self.halts) > 12:
            self.shift += self.halts.popleft()[1]


class Core:
    """A convolution core; call `spikes` for each step, and then `decide` for the step before."""

    def __init__(self, layer: Layer, room: ConvolutionGeometry):
        window = layer.window
        assert window is not None
        height, width = window.positions
        self.rounds = room.rounds(layer)
        self.pooled = 4 if window.pool else 1
        self.positions = window.pooled[0] * window.pooled[1]
        self.maps, self.most = layer.columns, room.maps
        self.words = -(-height // 3) * -(-width // 3) * self.rounds  # that a plane's end doubles
        self.clock = Clock()
        self.last = -1  # move of the last spike or end, out of spk_unpack
        self.decided = -DECIDED
        self.queue = Queue(1 << (room.positions - 1).bit_length())
        self.ended: deque[int] = deque()
        self.needed: np.ndarray = np.zeros(0, np.int64)  # cycles in which the banks are needed for the spikes of the last step
        self.work = 0

    def spikes(self, step: Arrivals, queue: Queue) -> None:
        """What `queue` hands on of a step, up to the end of the step."""
        lasts, self.last = taken(step, queue, self.clock, self.last, self.rounds)
        self.use(lasts[:-1], step.spikes[:-1])
        self.work += int(step.spikes[:-1].sum()) * self.rounds

    def use(self, lasts: np.ndarray, spikes: np.ndarray) -> None:
        """The banks are needed for the last spike of each round of a position."""
        if self.rounds > 1:
            lasts = (lasts[:, None] - spikes[:, None] * np.arange(self.rounds - 1, -1, -1)).reshape(-1)
        self.needed = np.concatenate([self.needed, self.clock.cycles(lasts + PLACE)])

    def place(self) -> int:
        """The cycle from which the end of the step is at the banks."""
        return self.clock.cycle(self.last + PLACE - 1) + 1

    def end(self) -> int:
        """The step ends; when."""
        place = self.place()
        ended = self.queue.room(max(place, self.decided + DECIDED))
        self.clock.halt(self.last + PLACE, ended - place)
        self.ended.append(ended)
        return ended

    def double(self) -> None:
        """A plane ends."""
        place = self.place()
        self.needed = np.concatenate([self.needed, place + BANKS + np.arange(self.words)])
        self.clock.halt(self.last + PLACE, self.words + BANKS)

    def decide(self, counts: np.ndarray) -> Arrivals:
        """The oldest step that has ended; counts (positions · rounds,): spikes that are handed on. The next has gone in."""
        begin = self.ended.popleft() + BANKS
        needed = self.needed[self.needed >= begin]
        free = needed - begin - np.arange(len(needed))  # cycles before it that were free
        decisions = np.arange(len(counts)) * self.pooled + self.pooled - 1
        cycles = begin + decisions + free.searchsorted(decisions, "right")
        self.decided = int(cycles[-1])
        self.needed = needed[needed >= self.decided]
        self.work += len(counts) * self.pooled
        some = counts > 0
        visible = np.append(cycles[some] + DECIDE, self.decided + DECIDED)
        return Arrivals(visible, np.append(counts[some], 1))


def taken(step: Arrivals, queue: Queue, clock: Clock, last: int, rounds: int) -> tuple[np.ndarray, int]:
    """Moves in which the last spike of each position goes on out of spk_unpack, and that of the end of the step.

    last: the move of the end of the step before.
    """
    times = step.spikes * rounds
    times[-1] = 1
    total = times.cumsum()
    before = total - times
    lasts = total + np.maximum.accumulate(np.maximum(clock.moves(step.visible + 2) - 1, last) - before)
    out = clock.cycles(np.append(last, lasts[:-1]))  # of the position before
    into = np.maximum(step.visible + 1, out)
    queue.fetched = np.concatenate([queue.fetched, np.maximum(step.visible, np.append(queue.taken, into[:-1]))])
    queue.taken = int(into[-1])
    return lasts, int(lasts[-1])


class Places:
    """spk_locate: the spikes of a vector one by one, into the first core."""

    def __init__(self, core: Core):
        self.core = core
        self.halts: deque[tuple[int, int]] = deque(maxlen=4)  # cycles from … up to which nothing moves
        self.shown = -1  # cycle of the last spike, or of an empty step
        self.ended = -1  # cycle of its end
        self.tail = 0  # cycle in which the last group of the step before was taken
        self.fetched = -1  # cycle in which it was fetched
        self.accepted = -1

    def moving(self, cycle: int) -> int:
        """The first cycle from `cycle` on in which it moves."""
        for begin, end in self.halts:
            if begin <= cycle < end:
                cycle = end
        return cycle

    def accept(self, offered: int) -> int:
        """When a vector is accepted that is offered from `offered` on."""
        self.accepted = max(offered, self.fetched + 1)
        return self.accepted

    def step(self, spikes: int, two_groups: bool, before_last_two: int, before_last: int) -> None:
        """The vector that was accepted: so many spikes, and of them in groups as `cycles.Scan` says."""
        first = max(self.accepted + 1, self.tail)  # the first group is fetched
        start = self.moving(max(first + 1, self.shown + 1, self.ended))
        self.fetched = start if two_groups and not before_last_two else first
        self.tail = start
        self.shown = start
        lasts = np.empty(spikes, np.int64)
        n = 0
        while n < spikes:
            self.shown = self.moving(self.shown + 1)
            lasts[n] = self._through()
            n += 1
            if two_groups and n == before_last_two:
                self.fetched = self.shown
            if n == before_last:
                self.tail = self.shown
        if not spikes:
            self.shown = self.moving(self.shown + 1)
        self.core.use(lasts, np.ones(spikes, np.int64))
        self.core.work += spikes * self.core.rounds
        self.ended = self.moving(self.shown + 1)
        self.shown, shown = self.ended, self.shown
        self._through(end=True)
        self.shown = shown

    def _through(self, end: bool = False) -> int:
        """What is shown goes through; the move in which it goes on out of spk_unpack for the last time."""
        cycle = self.shown
        for _ in range(SHOWN):
            cycle = self.moving(cycle + 1)
        there, core = cycle + 1, self.core
        into = max(there, core.clock.cycle(core.last))
        self.halts.append((there, into))
        core.last = max(core.clock.move_in(into + 1), core.last + 1) + (0 if end else core.rounds - 1)
        return core.last


class Gather:
    """spk_gather: vectors for the first fully connected layer."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.last = -1

    def spikes(self, step: Arrivals, queue: Queue) -> int:
        """The vector of a step: from which cycle it is offered."""
        _, self.last = taken(step, queue, self.clock, self.last, 1)
        return self.clock.cycle(self.last) + 1

    def accepted(self, cycle: int) -> None:
        """It was accepted."""
        self.clock.halt(self.last + 1, cycle - self.clock.cycle(self.last))


def handed_on(core: Core, spikes: np.ndarray) -> np.ndarray:
    """Spikes (steps, outputs) of a layer, map by map, as counts (steps, positions · rounds) in the order they are handed on."""
    maps = spikes.reshape(len(spikes), core.maps, core.positions)
    padded = np.zeros((len(spikes), core.rounds * core.most, core.positions), np.int64)
    padded[:, : core.maps] = maps
    return padded.reshape(len(spikes), core.rounds, core.most, core.positions).sum(2).transpose(0, 2, 1).reshape(len(spikes), -1)


def convolve(
    geometry: Geometry,
    network: Network,
    scan: Any,
    spikes: np.ndarray,
    trace: golden.Trace,
    source: Any,
    passed: int,
    time_steps: int,
    work: dict[str, int],
) -> Generator[int, int, None]:
    """Yield for each step that is decided when its vector is offered to the first fully connected layer; send when it is taken.

    scan: of `spikes` (steps, inputs), the input of all time steps. passed: when the step before the first was accepted.
    work: gets the busy cycles of each core, by name.
    """
    first = network.convolutions
    cores = [Core(layer, room) for layer, room in zip(network.layers[:first], geometry.convolutions, strict=False)]
    fired = [x.reshape(-1, x.shape[-1]) for x in trace.spikes[:first]]
    planes = time_steps // network.decisions
    places, gather, decisions = Places(cores[0]), Gather(), len(fired[0])
    per_step = list(
        zip(
            spikes.sum(1).tolist(),
            *(getattr(scan, x).tolist() for x in ("two_groups", "before_last_two", "before_last")),
            strict=True,
        )
    )
    counts: list[np.ndarray] = [np.zeros(0)] * first
    chunk = 256  # steps whose counts are worked out at once
    for wave in range(decisions + first):
        if wave < decisions:
            for plane in range(wave * planes, (wave + 1) * planes):
                step = plane % time_steps
                if step == 0:
                    source.begin()
                offered = source.offer(passed, step == time_steps - 1, step == time_steps - 2, math.inf)
                assert offered is not None
                passed = places.accept(offered)
                places.step(*per_step[plane])
                if plane + 1 < (wave + 1) * planes:
                    cores[0].double()
        arrivals = None
        for k, core in enumerate(cores):
            if arrivals is not None and 0 <= wave - k < decisions:
                core.spikes(arrivals, cores[k - 1].queue)
            arrivals = None
            n = wave - k - 1  # is decided
            if 0 <= n < decisions:
                if n % chunk == 0:
                    counts[k] = handed_on(core, fired[k][n : n + chunk])
                arrivals = core.decide(counts[k][n % chunk])
        work |= {f"convolution {k}": core.work for k, core in enumerate(cores)}
        if arrivals is not None:
            gather.accepted((yield gather.spikes(arrivals, cores[-1].queue)))
        for k, core in enumerate(cores):
            if 0 <= wave - k < decisions:
                core.end()
