"""What a simulator recorded of a network, in the shapes and the order of the golden model.

A convolution core hands on spikes, and decides neurons, position by position; here they are maps one after another. Of 2×2
positions that are pooled it decides the upper two, then the lower two, and of a layer of several rounds all four in each.
"""

import numpy as np

from spikeline.device.backend import Inside
from spikeline.errors import DeviceError
from spikeline.model.network import Layer, Network
from spikeline.simulation.verilated import SimDevice


def inside(device: SimDevice, network: Network) -> Inside:
    """What every neuron of `network`, which is loaded, did since `record`, all images over all time steps: no early exit.

    Raises DeviceError if there is something of a neuron or a position that the network does not have.
    """
    fired: list[np.ndarray] = []
    states: list[np.ndarray | None] = []
    cores = device.geometry.cores(network)
    for core, layer in zip(cores, network.layers, strict=True):
        spikes = _maps(device, core, layer) if layer.window else device.recorded_spikes(core)
        if spikes[:, layer.outputs :].any():
            raise DeviceError("a neuron fired that the network does not have")
        fired.append(spikes[:, : layer.outputs])
        if not layer.continuous:
            states.append(None)
        elif layer.window:
            states.append(_decisions(device, core, layer))
        else:
            states.append(device.recorded_states(core)[:, : layer.neurons])
    membranes = states[-1]
    if membranes is None:
        membranes = device.recorded_membranes(cores[-1])[:, : network.sizes[-1]]

    def shaped(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, network.decisions, values.shape[-1])

    return [shaped(x) for x in fired], shaped(membranes), [None if x is None else shaped(x) for x in states]


def _maps(device: SimDevice, core: int, layer: Layer) -> np.ndarray:
    """Spikes that a convolution handed on, bool (steps, maps of all rounds · positions)."""
    assert layer.window is not None
    maps = device.geometry.convolutions[core].maps
    height, width = layer.window.pooled
    ends, places, spikes = device.recorded_positions(core)
    steps = ends.cumsum() - ends
    number, y, x, turn = (places >> at & (1 << bits) - 1 for at, bits in ((15, 16), (9, 6), (3, 6), (0, 3)))
    rounds = device.geometry.convolutions[core].rounds(layer)
    if (~ends & ((y >= height) | (x >= width) | (turn >= rounds))).any():
        raise DeviceError("a position was handed on that the network does not have")
    if (~ends & (number != (y * width + x) * layer.columns + turn * maps)).any():
        raise DeviceError("a position was handed on with a wrong number")
    made = np.zeros((int(ends.sum()), rounds, height, width, maps), bool)
    here = np.flatnonzero(~ends)
    np.logical_or.at(made, (steps[here], turn[here], y[here], x[here]), spikes[here])
    return made.transpose(0, 1, 4, 2, 3).reshape(len(made), rounds * maps * height * width)


def _decisions(device: SimDevice, core: int, layer: Layer) -> np.ndarray:
    """v of all neurons of a convolution after each step, int32 (steps, neurons); 0 of those that pooling drops."""
    assert layer.window is not None
    maps = device.geometry.convolutions[core].maps
    rounds = device.geometry.convolutions[core].rounds(layer)
    (height, width), side = layer.window.pooled, 2 if layer.window.pool else 1
    decided = device.recorded_decisions(core).reshape(-1, height, width, rounds, side, side, maps)
    decided = decided.transpose(0, 3, 6, 1, 4, 2, 5).reshape(-1, rounds * maps, height * side, width * side)
    states = np.zeros((len(decided), layer.columns, *layer.window.positions), np.int32)
    states[..., : height * side, : width * side] = decided[:, : layer.columns]
    return states.reshape(len(states), layer.neurons)
