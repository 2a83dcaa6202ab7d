"""A driver that runs one batch at a time."""

import numpy as np

from spikeline.device.backend import Result
from spikeline.device.driver import Driver
from spikeline.device.packets import Events, Pixels, Spikes


class Runner(Driver):
    """A driver that runs one batch at a time."""

    def run(self, spikes: np.ndarray, scores: bool, every_step: bool = False, events: bool = False) -> Result:
        (result,) = self.classify([Events(spikes) if events else Spikes(spikes)], scores, every_step)
        return result

    def run_pixels(self, pixels: np.ndarray, seed: int, first_image: int, scores: bool) -> Result:
        (result,) = self.classify([Pixels(pixels, seed, first_image)], scores)
        return result
