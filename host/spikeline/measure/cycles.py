"""Cycle model: predicts the CYCLES counter of a packet of images from spike counts alone, to the cycle.

It holds for one packet of B images × T time steps that meets an idle accelerator, a sender that always has the next word
and a receiver that always takes one. It is no simulation: each stage is a line or two of a recurrence over the time steps
n = 0 … B·T − 1. All times are clock cycles; cycle 0 is the one in which the header stands at the input.
A signal that is named with a cycle is true in that cycle, a register that it sets shows one cycle later.

**Loader** (spk_loader.v). HEADER in cycle 0, four cycles of WAIT while `wait_reg` counts to 3, CHECK, then BODY: the first
word of the body is taken in cycle LOADER.

**Input** (spk_input.v) of a SPIKES packet. `vector_reg` takes one word a cycle, W = ⌈inputs / 64⌉ a step, and then waits in
`valid_reg` until layer 0 accepts it; in the next cycle the first word of the next step is taken. The vector is offered from

    offered(n) = accepted(n−1) + 1 + W,         accepted(−1) = LOADER − 1, of layer 0.

**Events** (spk_events.v, spk_input.v) of an EVENTS packet. From two cycles after the number of images one event a cycle is
taken, and what ends a step, from which the vector is offered in the next cycle. Both wait until layer 0 has accepted the step
before. With c events in step n, and one more cycle for what names an image's first step if it has events,

    ended(n) = max(ended(n−1) + 1, accepted(n−1) + 1) + c(n),                offered(n) = ended(n) + 1.

**Encoder** (spk_encode.v, spk_seed.v) of a PIXELS packet. An image m is ⌈inputs / 8⌉ words, one a cycle, for which one of two
buffers must be free; the last comes in cycle arrived(m), and the SEED before them all in arrived(−1) = LOADER. Of the Bernoulli
encoder the last word waits until the image's seed is worked out, SEED cycles. `start` takes it when the image before has ended:

    arrived(m) = max(arrived(m−1), ended(m−2)) + ⌈inputs / 8⌉, and at least arrived(m−1) + 1 + SEED,
    begun(m) = max(arrived(m) + 1, ended(m−1)).

From the next cycle on a row of 32 pixels is encoded in each cycle with `enable`, ⌈inputs / 32⌉ a step, without a gap from
step to step; ended(m) is the cycle of the last row of image m. A row goes through `valid_1_reg` to `m_valid`, where every
second or last row of a step shows its word. Only a step's first word ever waits there, for layer 0 to accept the step
before: in the cycles shown(n) … taken(n) − 1 nothing moves, no row is encoded and none goes on,

    taken(n) = max(shown(n), accepted(n−1) + 1),

and a later word is taken as it shows. One cycle after its last word is taken the vector is offered.

**Scanners** (spk_scan.v, spk_layer.v). A layer's lanes accept a vector together, the cycle after the last group of the one
before has left `vector_reg` in every lane (`full_reg`): accepted(n) = max(offered(n), fetched(n−1) + 1).

Then each lane fetches its first group that holds a spike (or none) and shows it in `fetched_valid_reg`, SCAN cycles after the
acceptance; when all do, `start` takes it into `bits_reg`. From there a lane sends a spike a cycle: a group with b spikes is
exhausted b cycles after it was taken, in which cycle the next is taken, which has been fetched when this one was taken. So
groups follow each other without a gap, a lane with c spikes is `done` c cycles after `start`, and one without in the first.
The barrier makes the step as long as its busiest lane:

    start(n) = max(finish(n−1), accepted(n) + SCAN, left(n−QUEUE) + 1),
    finish(n) = start(n) + busiest(n),          busiest(n) = max(1, most spikes of a lane).

The third term of the start is `unfinished_reg`: of the steps that were started, at most QUEUE have not left for the next layer.

A lane's last group is fetched when the group before it is taken, so `before_last_two` spikes after the start: as many as
all groups but the last two hold. A lane whose only group is its first fetches it as soon as it is there and `fetched_reg` free,
which is when step n−1's last group is taken, `before_last` spikes after its start. A lane of the first kind is later than
any of the second. Over all lanes:

    fetched(n) = start(n) + before_last_two(n)                              if a lane has spikes in two groups,
                 max(accepted(n) + 1, start(n−1) + before_last(n−1))        if none has.

Of direct input, layer 0 takes all planes of an image as above, but only the last goes on; the third term counts those alone.

Where membranes last or the input is direct, the neurons of a group are decided one after another (spk_fire.v), so a step that
goes on waits for those before it to be decided:

    finish(n) = max(start(n) + busiest(n), finish(n−1) + GROUP),                n−1: the step before that went on.

**Neurons and queue** (spk_layer.v, spk_fifo.v). The end of a step passes through `step_end_reg[ADDRESS]` … `[SPIKE]`,
beside address, RAM and its register, sum, current and spike, then `write_reg` of the queue counts it: it stands at the queue's
output, oldest first, from

    offered(n) of the next = finish(n) + PIPELINE, or + GROUP + SERIAL where neurons are decided one after another,

and leaves when it is accepted there: left(n) = accepted(n) of the next.

**Decoder** (spk_decode.v). A step leaves the queue for `user_reg` as soon as the step before leaves that, one cycle later at
the earliest, for the sums; the last step of an image leaves it only in STATE_FREE:

    left(n) = max(offered(n), accepted(n−1)),        accepted(n) = max(left(n) + 1, and for a last step free),

and keeps it for CLASSES cycles of COMPARE, one of RESULT and, if scores are asked for, one of VALUES for each pair of classes:

    free = accepted(n) + CLASSES + DECODE (+ ⌈classes / 2⌉),      CLASSES: as built, classes: of the network.

With a result after every step, every step is as the last.

**Early exit** (spk_decode.v, spk_layer.v, spk_encode.v). Every step is compared, so each is accepted only in STATE_FREE. After
the step at which an image is decided, exit_valid names it from

    exit = accepted(n) + CLASSES + DECODE,

and each further step of it is dropped where it then waits: by a layer, or the decoder, instead of accepted(n) in

    dropped(n) = max(offered(n), exit)                                      if exit ≤ accepted(n).

The recurrences above go over the steps that are not dropped, except that a queue shows the next step only after one has left.
The encoder stops its image in cycle `exit` if it has not come to the last row by then, ended(m) = exit; the words that have
not been taken by then never are.

**Counter** (spk_core.v). The last word stands at the output in cycle `free`; in the next one the core is idle, unless it still
drops steps or takes events apart, which `running_reg`, set since cycle 1, sees. So it counts free + 1 cycles, or one more than
the last drop or SETTLE cycles after the last event.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeline.errors import ModelError
from spikeline.measure.convolution_cycles import convolve
from spikeline.model import golden
from spikeline.model.geometry import Geometry
from spikeline.model.model_file import row_order
from spikeline.model.network import Network
from spikeline.model.spec import Encoder

WORD = 64  # spikes in a word of the stream
PIXELS = 8  # pixels in a word of the stream
ROW = 32  # pixels that are encoded in a cycle
GROUP = 16  # bits that a scanner fetches at once
QUEUE = 16  # steps between a layer's scanners and the next layer

LOADER = 6  # header → first word: HEADER, WAIT × 4, CHECK
SCAN = 2  # acceptance → earliest start: full_reg, fetched_valid_reg
PIPELINE = 7  # end of a step → queue's output: step_end_reg × 6, write_reg
SERIAL = 10  # the same beside GROUP: step_end_reg × 3, stages 0 to 5 of the last neuron, write_reg
SEED = 32  # that a seed takes to be worked out
SETTLE = 2  # end of the last step → the loader goes on: image_end, images_left_reg
DECODE = 2  # beside CLASSES: from STATE_FREE to the first COMPARE, and RESULT


@dataclass(frozen=True)
class Scan:
    """What the time of each step, in order (B·T,), depends on in one layer: spikes in scan lanes and their groups of 16."""

    busiest: np.ndarray  # cycles: spikes of the busiest lane, at least 1
    two_groups: np.ndarray  # bool: does a lane have spikes in two groups?
    before_last_two: np.ndarray  # most spikes that a lane has before its last two groups that hold any
    before_last: np.ndarray  # the same before its last group
    fetches: np.ndarray  # groups that all lanes fetch: those that hold a spike, of a lane without spikes one


@dataclass(frozen=True)
class Prediction:
    """Cycles of a packet, and of them those that each stage must work, however fast the others are."""

    cycles: int
    work: dict[str, int]  # by stage: `input`, `encode` of pixels, `layer 0` …, `decode`
    handed: np.ndarray  # bool (B, T): steps that were handed to layer 0; with early exit not all
    # bool (layers, B, T): steps that each layer worked on, not those that it dropped; of direct input T is 1 behind layer 0,
    # and the last of each image is meant
    taken: np.ndarray

    @property
    def busy(self) -> dict[str, float]:
        """Share of the cycles in which a stage works."""
        return {stage: work / self.cycles for stage, work in self.work.items()}

    @property
    def limit(self) -> str:
        """The stage that works most. The longer the packet, the closer it comes to being the time of that stage alone."""
        return max(self.work, key=lambda stage: self.work[stage])


def scan(spikes: np.ndarray, lanes: int) -> Scan:
    """Sum up the spikes that enter a layer, uint8 or bool (B, T, inputs), for the scanners of its `lanes` lanes."""
    steps = spikes.reshape(-1, spikes.shape[-1])
    groups = -(-steps.shape[1] // (lanes * GROUP))
    padded = np.zeros((len(steps), groups * GROUP * lanes), np.uint8)
    padded[:, : steps.shape[1]] = steps
    count = padded.reshape(-1, groups, GROUP, lanes).sum(2, dtype=np.int32)  # (B·T, groups, lanes)
    still = (count > 0)[:, ::-1].cumsum(1)[:, ::-1]  # groups with spikes from here on
    return Scan(
        busiest=np.maximum(count.sum(1).max(1), 1),
        two_groups=still[:, 0].max(1) > 1,
        before_last_two=(count * (still > 2)).sum(1).max(1),
        before_last=(count * (still > 1)).sum(1).max(1),
        fetches=np.maximum(still[:, 0], 1).sum(1),
    )


class _Words:
    """Input of a SPIKES packet: when the vector of a step is offered to layer 0."""

    def __init__(self, inputs: int):
        self.words = -(-inputs // WORD)
        self.work = {"input": 0}
        self.settled = 0  # when the loader is done, if that is late

    def begin(self) -> None:
        """An image begins."""

    def offer(self, taken: int, _last_step: bool, _last_but_one: bool, _leave: float) -> int | None:
        """Time of the next step, given when layer 0 took the step before and when the encoder is to leave the image.

        None if it never comes, nor any of the image after it.
        """
        self.work["input"] += self.words + 1
        return taken + 1 + self.words


class _Events:
    """Input of an EVENTS packet."""

    def __init__(self, counts: list[int], time_steps: int):
        self.counts, self.time_steps = counts, time_steps  # of events, step by step of all images
        self.step, self.next = 0, LOADER + 2  # of all; the cycle in which the next event can be taken
        self.work = {"input": 0}
        self.settled = 0

    def begin(self) -> None:
        if self.counts[self.step]:
            self.next += 1
            self.work["input"] += 1

    def offer(self, taken: int, _last_step: bool, _last_but_one: bool, _leave: float) -> int | None:
        ended = max(self.next, taken + 1) + self.counts[self.step]
        self.work["input"] += self.counts[self.step] + 1
        self.step, self.next = self.step + 1, ended + 1
        self.settled = ended + SETTLE
        return ended + 1


class _Convolved:
    """Input of the fully connected layers through convolutions; see `convolution_cycles`. It has a step for each decision."""

    def __init__(self, source: Any, offers: Generator[int, int, None], work: dict[str, int]):
        self.source, self.offers, self.begun = source, offers, False
        self._work = work

    @property
    def work(self) -> dict[str, int]:
        return self.source.work | self._work

    @property
    def settled(self) -> int:
        return self.source.settled

    def begin(self) -> None:
        """Nothing."""

    def offer(self, taken: int, _last_step: bool, _last_but_one: bool, _leave: float) -> int | None:
        if self.begun:
            return self.offers.send(taken)
        self.begun = True
        return next(self.offers)


class _Encoder:
    """Input of a PIXELS packet, through the encoder."""

    def __init__(self, inputs: int, bernoulli: bool):
        self.words = -(-inputs // PIXELS)
        self.seed = 1 + SEED if bernoulli else 0
        self.rows = -(-inputs // ROW)
        self.arrived, self.ended = LOADER, [LOADER, LOADER]  # of the image before; of the two before
        self.encoded = 0  # cycle of the last row
        self.halts = [(0, 0)] * 3  # of the last steps: cycles from … up to which nothing moves
        self.work = {"input": 0, "encode": 0}
        self.settled = 0

    def _enabled(self, cycle: int) -> int:
        """The first cycle from `cycle` on in which rows move."""
        for shown, taken in self.halts:
            if shown <= cycle < taken:
                cycle = taken
        return cycle

    def begin(self) -> None:
        self.arrived = max(max(self.arrived, self.ended[-2]) + self.words, self.arrived + self.seed)
        self.encoded = max(self.arrived + 1, self.ended[-1])  # begun
        self.work["input"] += max(self.words, self.seed)

    def offer(self, taken: int, last_step: bool, last_but_one: bool, leave: float) -> int | None:
        first_word = min(self.rows, 2)  # rows
        for _ in range(first_word):
            self.encoded = self._enabled(self.encoded + 1)
        shown = self._enabled(self.encoded + 1) + 1
        taken = max(shown, taken + 1)
        self.halts = [*self.halts[1:], (shown, taken)]
        for _ in range(first_word, min(self.rows, 4)):
            self.encoded = self._enabled(self.encoded + 1)
        self.encoded += max(self.rows - 4, 0)  # the rows after these meet no halt
        if self.rows > 2:
            taken = self._enabled(self.encoded + 1) + 1
        # A word that waits at `leave` has at most one row behind it, the image's last only if a step is one row.
        last_row = self.encoded if last_step else self._enabled(self.encoded + 1)
        rows_to_come = not (last_step or (last_but_one and self.rows == 1))
        if taken > leave and (last_row >= leave or rows_to_come):
            self.ended, self.halts[-1] = [self.ended[-1], int(leave)], (0, 0)  # the word is gone
            return None
        self.work["encode"] += self.rows
        if last_step:
            self.ended = [self.ended[-1], self.encoded]
        return taken + 1


def predict(
    geometry: Geometry,
    network: Network,
    spikes: np.ndarray,
    trace: golden.Trace,
    scores: bool = False,
    input: str = "spikes",
    every_step: bool = False,
) -> Prediction:
    """Predict the cycles of one packet that makes spikes, uint8 or bool (B, T, inputs), and what `trace` tells of them.

    input: a SPIKES packet, or an EVENTS packet, or the PIXELS packet that is encoded to them.
    """
    batch, time_steps, inputs = spikes.shape
    decisions = network.decisions
    source: _Convolved | _Encoder | _Events | _Words = _Words(inputs)
    if input == "pixels":
        source = _Encoder(inputs, network.encoder == Encoder.BERNOULLI)
    elif input == "events":
        source = _Events(spikes.reshape(-1, inputs).sum(1).tolist(), time_steps)
    first, steps = network.convolutions, time_steps
    if first:
        if network.exit_margin is not None and not every_step:
            raise ModelError("the cycle model does not know of early exit behind convolutions; leave out the exit margin")
        work_of: dict[str, int] = {}
        seen = scan(spikes, 1)
        steps = decisions
        offers = convolve(geometry, network, seen, spikes.reshape(-1, inputs), trace, source, LOADER - 1, time_steps, work_of)
        source = _Convolved(source, offers, work_of)
    connected = network.layers[first:]
    inputs_of = [spikes, *trace.spikes[:-1]][first:]  # what enters the fully connected layers
    if first:  # which come position by position
        inputs_of[0] = inputs_of[0][..., row_order(connected[0], network.layers[first - 1])]
    scans = [scan(x, room.spikes_per_cycle) for x, room in zip(inputs_of, geometry.layers, strict=False)]
    compare = geometry.classes + DECODE
    result = compare + (-(-network.layers[-1].neurons // 2) if scores else 0)
    used = [decisions] * batch if every_step else trace.steps.tolist()
    # Of each layer, cycles from the end of one step that goes on to that of the next; and from there to the queue's output.
    direct = network.direct and not first  # layer 0 takes planes
    serial = [layer.continuous or (direct and k == 0) for k, layer in enumerate(connected)]
    apart = [geometry.group if x else 0 for x in serial]
    pipeline = [geometry.group + SERIAL if x else PIPELINE for x in serial]

    # Per layer; lists of numbers, not arrays, because the loop reads them one by one.
    busiest, two_groups, before_last_two, before_last = (
        [getattr(s, name).tolist() for s in scans] for name in ("busiest", "two_groups", "before_last_two", "before_last")
    )
    layers = range(len(scans))
    passed, finish, fetched, tail, work = ([0] * len(scans) for _ in range(5))  # of the step before; busy cycles so far
    went_on = [-geometry.group] * len(scans)
    left: list[list[int]] = [[] for _ in scans]  # when each step that a layer did left its queue
    passed[0] = LOADER - 1
    decided = free = decode_work = 0
    handed = np.zeros(batch * time_steps, bool)
    taken = np.zeros((len(scans), batch * time_steps), bool)
    for image in range(batch):
        source.begin()
        leave = math.inf  # when the image is given up
        for step in range(steps):
            n = (image + 1) * time_steps - steps + step
            decision = step - (steps - decisions)  # its number, below 0 if layer 0 makes none
            offered = source.offer(passed[0], step == steps - 1, step == steps - 2, leave)
            if offered is None:
                break
            handed[n] = True
            for k in layers:
                accept = max(offered, fetched[k] + 1)
                drop = leave <= accept
                passed[k] = int(max(offered, leave)) if drop else accept
                if k:
                    left[k - 1].append(passed[k])
                if drop:
                    break
                taken[k, n] = True
                m = n if direct and not k else image * decisions + decision
                room = left[k][-QUEUE] + 1 if len(left[k]) >= QUEUE else 0
                start = max(finish[k], accept + SCAN, room)
                finish[k] = start + busiest[k][m]
                if decision >= 0:
                    finish[k] = went_on[k] = max(finish[k], went_on[k] + apart[k])
                fetched[k] = start + before_last_two[k][m] if two_groups[k][m] else max(accept + 1, tail[k])
                tail[k] = start + before_last[k][m]
                work[k] += finish[k] - start
                if decision < 0:
                    break
                offered = finish[k] + pipeline[k]
                if k + 1 < len(scans):
                    offered = max(offered, passed[k + 1] + 1)
            else:
                left[-1].append(max(offered, decided))
                decided = left[-1][-1] + 1
                if leave < math.inf:
                    decided = max(decided, int(leave))
                elif every_step or decision + 1 == used[image]:
                    decided = max(decided, free)
                    free = decided + result
                    decode_work += result
                    if decision + 1 == used[image] < decisions:
                        leave = decided + compare
                elif network.exit_margin is not None:
                    decided = max(decided, free)
                    free = decided + compare
                    decode_work += compare
    if first:
        handed[:] = True
        convolved = np.ones((first, batch, time_steps), bool)
        convolved[1:, :, : time_steps - decisions] = False
        taken = np.concatenate([convolved.reshape(first, -1), taken])
    return Prediction(
        max(free, decided, *passed, source.settled) + 1,
        source.work | {f"layer {k}": cycles for k, cycles in enumerate(work)} | {"decode": decode_work},
        handed.reshape(batch, time_steps),
        taken.reshape(-1, batch, time_steps),
    )
