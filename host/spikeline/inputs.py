"""What callers pass, checked and brought to the form that is sent: before anything is, and only where there is no doubt.

Where there is one, the DataError holds the line that converts.
"""

import math
import operator
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.errors import DataError
from spikeline.files import expand


def pixels(given: Any, inputs: int) -> np.ndarray:
    """Images as uint8 (B, inputs) of grey levels 0…255.

    Taken as they are: uint8. Converted: other whole numbers 0…255, black and white as bool, float 0…1 (1 is 255), float of
    whole numbers; lists; images as (B, H, W), (B, 1, H, W) or (B, H, W, 1), and a single one without B.
    Raises DataError for anything else.
    """
    array = _array(given, "images")
    if array.ndim == 3 and array.shape[1] > 1 and array.shape[2] == inputs:
        raise DataError(f"images must be (B, {inputs}), not {array.shape}; of spike trains, pass Spikes(trains)")
    return _levels(_batch(array, (inputs,), "images", f"(B, {inputs})"))


def spikes(given: Any, time_steps: int, inputs: int) -> np.ndarray:
    """Spike trains as uint8 (B, T, inputs) of 0 and 1, from numbers of any type that are 0 or 1, and lists.

    A single train may come without B, inputs as (H, W). Raises DataError for anything else.
    """
    array = _array(given, "spikes")
    wanted = f"(B, {time_steps}, {inputs})"
    if array.size and array.ndim == 3 and array.shape[::2] == (time_steps, inputs) and array.shape[1] != time_steps:
        raise DataError(f"spikes must be {wanted}, not {array.shape}, which is time first; pass spikes.transpose(1, 0, 2)")
    if array.ndim == 2 and array.shape[1] == inputs and array.shape[0] != time_steps:
        raise DataError(f"spikes must be {wanted}, not {array.shape}; of images, pass Pixels(images)")
    array = _batch(array, (time_steps, inputs), "spikes", wanted)
    if array.dtype == bool:
        return array.view(np.uint8)
    sound = array.dtype == np.uint8 and array.max(initial=0) <= 1  # at once, for most trains are
    if not sound and not ((array == 0) | (array == 1)).all():
        other = array[(array != 0) & (array != 1)][0]
        raise DataError(f"spikes must be 0 or 1, and one is {other}; pass spikes > 0 if each stands for one spike")
    return array.astype(np.uint8, copy=False)


def whole(given: Any, name: str, least: int, most: int | None = None) -> int:
    """A whole number of any integer type from `least` to `most`. Raises DataError, which gives both."""
    try:
        if isinstance(given, bool | np.bool_):
            raise TypeError
        value = operator.index(given)
    except TypeError:
        raise DataError(f"{name} is {given!r}; it must be a whole number") from None
    if value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise DataError(f"{name} is {value}; it must be {limits}")
    return value


def seconds(given: Any, name: str) -> float:
    """A time in s, above 0 and finite. Raises DataError."""
    try:
        value = math.nan if isinstance(given, bool | np.bool_ | str | bytes) else float(given)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 < value < math.inf:
        raise DataError(f"{name} is {given!r}; it must be a number of seconds above 0")
    return value


def path(given: Any, name: str) -> Path:
    """A path from text, bytes or a path, `~` expanded. Raises DataError for anything else, and for no text at all."""
    try:
        text = os.fsdecode(given)
    except TypeError:
        raise DataError(f"{name} is {type(given).__name__}; it must be the path of a file") from None
    if not text:
        raise DataError(f"{name} is empty; name a file")
    return Path(expand(text))


def _array(given: Any, what: str) -> np.ndarray:
    """A plain array of numbers."""
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise DataError(f"{what} have masked entries; fill them: {what}.filled(0)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # older numpy only warns of lists of different lengths
            array = np.asarray(given)
    except Exception as error:  # whatever stands behind __array__
        if hasattr(given, "detach"):
            raise DataError(f"{what} are a tensor that numpy cannot see; pass {what}.detach().cpu().numpy()") from None
        raise DataError(f"{what} are no array ({error}); pass a numpy array, all of one shape") from None
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} are {array.dtype} of shape {array.shape}; pass a numpy array of numbers, all of one shape")
    return array


def _batch(array: np.ndarray, of_one: tuple[int, ...], what: str, wanted: str) -> np.ndarray:
    """The array as (B, *of_one), of which the last dimension may have been several, and B may be missing if it is 1."""
    *leading, inputs = of_one
    dims = len(leading)
    for batch in (array, array[None]):
        shape, rest = batch.shape[1 : 1 + dims], batch.shape[1 + dims :]
        if rest and shape == tuple(leading) and math.prod(rest) == inputs:
            return batch.reshape(len(batch), *of_one)
    if array.shape == (0,):  # an empty list
        return array.reshape(0, *of_one)
    hint = f"; pass {what}.T" if array.ndim == 2 and array.shape[0] == inputs else ""
    raise DataError(f"{what} must be {wanted}, not {array.shape}{hint}")


def _levels(array: np.ndarray) -> np.ndarray:
    """Grey levels, uint8, of numbers that can be nothing else."""
    if array.dtype == np.uint8 or not array.size:
        return array.astype(np.uint8, copy=False)
    if array.dtype == bool:
        return array.view(np.uint8) * np.uint8(255)
    clip = "pass np.clip(np.rint(images), 0, 255).astype(np.uint8)"
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"images have a NaN or an infinity; {clip} after np.nan_to_num(images)")
    if low < 0:
        undo = "undo what was subtracted and divided, such as images * std + mean"
        raise DataError(f"images go from {low:g} to {high:g}; grey levels are 0…255 (or float 0…1): {undo}, then {clip}")
    if high > 255:
        raise DataError(f"images go up to {high:g}; grey levels are 0…255: {clip}")
    if array.dtype.kind == "f":
        if high <= 1:
            return np.rint(array * 255).astype(np.uint8)
        if (array != np.floor(array)).any():
            raise DataError(f"images are fractions up to {high:g}, neither 0…1 nor whole levels 0…255; {clip}")
    elif high == 1:
        raise DataError(
            f"images are {array.dtype} of 0 and 1: pass images * 255 if 1 is white, images.astype(np.uint8) if it is a grey level"
        )
    return array.astype(np.uint8)
