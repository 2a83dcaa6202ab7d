"""Early exit: stop an image once its class leads clearly, and pick how clearly from labelled images.

After each time step t the class values are the output membranes summed over steps 1..t. An image stops at the first step
where largest value − second largest ≥ margin, or at the last step. Its label is the largest value there; of equal values
the lowest class wins.
"""

import numpy as np

from spikeline.errors import DataError


def decide(membranes: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and steps used of a batch, uint16 (B,) and int64 (B,) of 1..T, at a margin.

    `membranes` is the output layer at every step, integers (B, T, classes), as in `golden.Trace`. A margin of 0 stops
    every image at step 1. Raises DataError for another shape, or fewer than two classes.
    """
    leaders, leads = _race(membranes)
    return _stop(leaders, leads, margin)


def pick_margin(membranes: np.ndarray, labels: np.ndarray, loss: float = 0.0005) -> int:
    """The smallest margin that costs at most `loss` of the accuracy that all steps give.

    `membranes` is integers (B, T, classes), `labels` the true classes (B,), `loss` a share of the B images. Pick on
    training images: a margin picked on the images that judge it flatters itself. Raises DataError as `decide` does, or
    if there is not one label for each image, or none.
    """
    leaders, leads = _race(membranes)
    if labels.shape != (len(leaders),) or not len(labels):
        raise DataError(f"{len(leaders)} images but labels of shape {labels.shape}; expected one for each, at least one")
    full = (leaders[:, -1] == labels).sum()
    for margin in range(int(leads.max()) + 1):
        early, _ = _stop(leaders, leads, margin)
        if full - (early == labels).sum() <= loss * len(labels):
            return margin
    return int(leads.max()) + 1  # no image stops early, so nothing is lost


def _race(membranes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The leading class, uint16 (B, T), and its lead over the second, int32 (B, T), after each step."""
    if membranes.ndim != 3 or membranes.shape[1] < 1 or membranes.shape[2] < 2:
        raise DataError(f"membranes have shape {membranes.shape}; expected (images, steps, two or more classes)")
    values = membranes.cumsum(1, dtype=np.int32)  # (B, T, classes); the network proves that this cannot overflow
    second, first = np.moveaxis(np.partition(values, -2, axis=-1)[:, :, -2:], -1, 0)
    return values.argmax(-1).astype(np.uint16), first - second


def _stop(leaders: np.ndarray, leads: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    stops = leads >= margin
    stops[:, -1] = True
    last = stops.argmax(1)  # the first step that stops
    return leaders[np.arange(len(leaders)), last], last + 1
