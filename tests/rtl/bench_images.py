"""Networks and images against the golden model: labels, time steps and the values of all classes after every step.

The same bench runs on the Verilog under Verilator and Icarus and on the netlist that Yosys makes of it.
"""

import cocotb
import numpy as np
from accelerator import ROUNDS, Accelerator

from spikeline.device.packets import Batch, Events, Pixels, Spikes
from spikeline.model import golden
from spikeline.model.network import Network
from spikeline.model.spec import RESULT, SCORE_PAIR, Encoder, Register
from support.networks import batch, network

ENCODED = [("spikes", None), ("events", None), *(("pixels", x) for x in Encoder if x != Encoder.EVENTS)]
KINDS = {"spikes": Spikes, "events": Events, "pixels": Pixels}


def values_of(words: list[int], classes: int) -> list[int]:
    """Class values from the words that follow a result."""
    pairs = [SCORE_PAIR.unpack(word) for word in words]
    unsigned = [pair[side] for pair in pairs for side in ("even", "odd")]
    assert all(value == 0 for value in unsigned[classes:])
    return [value - (value >> 31 << 32) for value in unsigned[:classes]]


async def check(dut: Accelerator, net: Network, images: Batch, scores: bool, every_step: bool) -> None:
    """Take the next packet and compare each of its words."""
    compare(await dut.packet(), net, images, scores, every_step)


def compare(words: list[int], net: Network, images: Batch, scores: bool = False, every_step: bool = False) -> None:
    """Are these the results of a batch?"""
    reference = golden.run(net, images.trains(net))
    classes = net.sizes[-1]
    running, leading = reference.running
    stride = 1 + scores * -(-classes // 2)
    expected = []
    for n in range(len(images)):
        steps = range(1, net.decisions + 1) if every_step else [int(reference.steps[n])]
        expected += [(n, t, int(leading[n, t - 1]), running[n, t - 1].tolist()) for t in steps]
    assert len(words) == stride * len(expected)
    for at, (n, t, label, values) in zip(range(0, len(words), stride), expected, strict=True):
        assert RESULT.unpack(words[at]) == {"label": label, "steps": t, "image": n}
        if scores:
            assert values_of(words[at + 1 : at + stride], classes) == values


@cocotb.test()
@cocotb.parametrize(continuous=[0.0, 1.0], how=ENCODED, seed=range(ROUNDS))
async def images(handle, continuous, how, seed):
    """A network and images of one kind, asked in every way."""
    name, encoder = how
    rng = np.random.default_rng([seed, int(continuous), ENCODED.index(how)])
    dut = Accelerator(handle, rng)
    await dut.reset()
    net = network(rng, continuous=continuous, encoder=encoder)
    await dut.load(net)
    steps, reads = 0, np.zeros(len(net.layers), int)
    for scores, every_step in ((True, True), (True, False), (False, False)):
        await dut.control(scores=scores, every_step=every_step)
        asked = batch(rng, net, 2, KINDS[name])
        dut.classify(asked)
        await check(dut, net, asked, scores, every_step)
        await dut.idle()
        steps += len(asked) * net.time_steps
        reads += golden.run(net, asked.trains(net)).row_reads.sum((0, 1))
    if net.exit_margin is None:
        assert await dut.counter(Register.STEPS_LO) == steps
        for n, expected in enumerate(reads):
            assert await dut.counter(Register.ROW_READS_LO + 8 * n) == expected
    await dut.drained()
