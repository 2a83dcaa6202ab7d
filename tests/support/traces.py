"""What a device did inside, against the golden model."""

import numpy as np

from spikeline.device.backend import Inside
from spikeline.model.golden import Trace
from spikeline.model.network import Network


def same_inside(got: Inside, network: Network, reference: Trace) -> None:
    """Raise AssertionError unless every spike and every membrane is that of the reference, which has all states."""
    fired, membranes, states = got
    for n, layer in enumerate(network.layers):
        np.testing.assert_array_equal(fired[n], reference.spikes[n], f"spikes of layer {n}")
        expected, state = reference.states[n], states[n]
        assert (state is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(state, layer.decided(expected), f"states of layer {n}")
    np.testing.assert_array_equal(membranes, reference.membranes, "membranes of the output")
