"""What convolution cores do, counted spike by spike, against `convolution_activity`; and what an image of them costs."""

import itertools

import numpy as np
import pytest

from spikeline.energy import activity, convolution_activity, model
from spikeline.model import golden
from spikeline.model.geometry import Geometry
from spikeline.model.network import Window
from support import networks

ROOM = Geometry.load("tiny-conv")


def outputs(window: Window, y: int, x: int) -> list[tuple[int, int]]:
    """Output positions whose kernel lies over input position (y, x)."""
    height, width = window.positions
    rows = [r for r in range(height) if 0 <= y + window.padding - r * window.stride < window.kernel]
    columns = [c for c in range(width) if 0 <= x + window.padding - c * window.stride < window.kernel]
    return list(itertools.product(rows, columns))


@pytest.mark.parametrize(("kernel", "stride", "padded"), itertools.product((1, 3), (1, 2), (False, True)))
def test_positions_that_a_spike_moves(kernel, stride, padded):
    window = Window(3, 5, 8, kernel, stride, kernel // 2 if padded else 0, True)
    expected = [len(outputs(window, y, x)) for y in range(5) for x in range(8)]
    assert convolution_activity.reached(window).tolist() == expected


@pytest.mark.parametrize("seed", range(12))
def test_counts_spike_by_spike(seed):
    rng = np.random.default_rng(seed)
    planes = 3 if seed % 3 == 2 else 0
    net = networks.convolutional(rng, ROOM, seed % 3 == 1, planes)
    spikes = networks.trains(rng, net, 4)
    trace = golden.run(net, spikes)
    counts, _ = activity.count(ROOM, net, spikes, trace, "spikes")
    for k in range(net.convolutions):
        layer, room = net.layers[k], ROOM.convolutions[k]
        window, rounds = layer.window, room.rounds(layer)
        entering = (spikes if k == 0 else trace.spikes[k - 1]).reshape(-1, window.channels, window.height, window.width)
        together = 1 if k == 0 else ROOM.convolutions[k - 1].maps  # channels whose spikes of a position are summed up first
        reads = updates = 0
        for step in entering:
            for y, x in itertools.product(range(window.height), range(window.width)):
                moved = len(outputs(window, y, x)) * rounds
                reads += int(step[:, y, x].sum()) * moved
                updates += sum(bool(step[c : c + together, y, x].any()) for c in range(0, window.channels, together)) * moved
        decided = (
            len(trace.spikes[k].reshape(-1, layer.outputs)) * int(np.prod(window.pooled)) * (4 if window.pool else 1) * rounds
        )
        planes_ended = len(entering) - len(trace.spikes[k].reshape(-1, layer.outputs))
        height, width = window.positions
        doubled = planes_ended * 9 * -(-height // 3) * -(-width // 3) * rounds
        got = counts.layers[k]
        assert (got["bank_reads"], got["current_adds"]) == (reads, updates * room.maps)
        assert (got["compares"], got["current_words"]) == (decided * room.maps, updates + decided + doubled)


def test_energy_follows_the_spikes():
    """Twice the images cost twice as much; silence costs its decisions alone."""
    rng = np.random.default_rng(3)
    net = networks.convolutional(rng, ROOM, time_steps=2)
    profile, geometry = model.load("asic-40nm"), activity.built_for(net)
    spikes = networks.trains(rng, net, 3)

    def priced(given: np.ndarray) -> model.Estimate:
        return model.estimate(profile, geometry, activity.count(geometry, net, given, golden.run(net, given), "spikes")[0], False)

    busy, silent = priced(spikes), priced(np.zeros_like(spikes))
    assert (busy.total > silent.total).all()
    assert silent.parts["lanes"][1] < busy.parts["lanes"][1]
    assert silent.parts["currents"][1] > 0
    assert len(busy.layers) == len(net.layers)
    assert (busy.total > 0).all()
    assert busy.total[0] < busy.total[1] < busy.total[2]
