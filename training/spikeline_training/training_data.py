"""The data of a training: inputs and labels of training samples, and the test samples that it is scored on."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spikeline.data.data_set import DataSet
from spikeline.data.data_sets import find
from spikeline.data.recordings import PackedSpikes
from spikeline.data.samples import Samples
from spikeline.errors import DataError, PresetError
from spikeline.model.encode import PIXEL_BITS, THRESHOLD, encode, latency_band
from spikeline_training.augment import augment
from spikeline_training.preset import Preset

CHUNK = 1000  # test images encoded at a time


@dataclass(frozen=True)
class TrainingData:
    """A preset's data: training inputs by index, float32 (B, N) of one step or (T, B, N); labels int64 (images,); the test.

    `preset` is the one that asked for them, with the SHA-256 of the test set.
    """

    inputs: Callable[[Tensor], Tensor]
    labels: Tensor
    test: Samples
    preset: Preset


def load(preset: Preset, source: DataSet | None = None) -> TrainingData:
    """Load the data of a preset: of `source`, else what the preset's `data` finds. Raises DataError, PresetError."""
    source = source or find(preset.data)
    count = preset.train_images or None
    read = [source.read(split, *_trains(preset)) for split in ("train", "test")]
    for split, part in zip(("train", "test"), read, strict=True):
        if part.labels is None:
            raise DataError(f"{source.title} has no labels in its {split} split, and training needs them; add them")
    train, test = read
    assert train.labels is not None
    if len(source.classes) < 2:
        raise DataError(f"{source.title} has one class, and a network tells classes apart; add samples of another")
    if missing := np.setdiff1d(np.arange(len(source.classes)), train.labels).tolist():
        named = ", ".join(source.classes[n] for n in missing[:8])
        raise DataError(f"{source.title} has no training sample of {named}; add some, or number the others from 0")
    labels = train.labels[:count]
    if len(labels) < preset.batch:
        raise PresetError(f"batch = {preset.batch} is more than the {len(labels)} training samples of {source.title}; lower it")
    if isinstance(train.samples, PackedSpikes):
        inputs, test_spikes = _by_step(train.samples), test.samples
    else:
        inputs = _encoded(torch.from_numpy(train.samples[:count].copy()), preset)
        test_spikes = _packed(test.samples, preset)
    assert isinstance(test_spikes, PackedSpikes)
    scored = Samples(f"{source.name}-test", test.labels, None, test_spikes, preset.encoder, preset.time_steps, preset.eval_seed)
    known = replace(preset, dataset={**preset.dataset, "test_sha256": test.sha256})
    return TrainingData(inputs, torch.from_numpy(labels).long(), scored, known)


def _trains(preset: Preset) -> tuple[int, int] | tuple[()]:
    """Time steps and pool of spike trains, nothing of images: what `DataSet.read` takes."""
    return (preset.time_steps, preset.pool) if preset.encoder == "events" else ()


def sample(pixels: Tensor, encoder: str, time_steps: int = 1) -> Tensor:
    """Spikes of one time step for training, float32 of 0 and 1, from uint8 pixels (B, N).

    The distribution is that of `spikeline.model.encode`; the random bytes come from torch, eight to a draw, which is cheaper.
    Of direct input it is no spikes but the pixels / 256, without the bits that are not sent in `time_steps` planes.
    """
    if encoder == "direct":
        unsent = PIXEL_BITS - time_steps
        return (pixels >> unsent << unsent).float() / (1 << PIXEL_BITS)
    if encoder == "threshold":
        return (pixels >= THRESHOLD).float()
    batch, size = pixels.shape
    words = torch.empty(batch, -(-size // 8), dtype=torch.int64).random_(-(2**63), None)
    return (pixels > words.view(torch.uint8)[:, :size]).float()


def sample_steps(pixels: Tensor, encoder: str, time_steps: int) -> Tensor:
    """Spikes of all time steps for training, float32 (T, B, N) of 0 and 1, from uint8 pixels (B, N)."""
    if encoder != "latency":
        return torch.stack([sample(pixels, encoder) for _ in range(time_steps)])
    fires = (255 - pixels).div(latency_band(time_steps), rounding_mode="floor")  # the step, uint8
    return (fires == torch.arange(time_steps, dtype=torch.uint8)[:, None, None]).float()


def _encoded(images: Tensor, preset: Preset) -> Callable[[Tensor], Tensor]:
    """Training images, uint8 (images, N), encoded anew each time: one step, or all of them for continuous integration."""
    if preset.integration == "continuous":
        return lambda chosen: sample_steps(augment(images[chosen], preset), preset.encoder, preset.time_steps)
    if preset.train_steps > 1:  # fresh spikes of each step, one step after the other
        return lambda chosen: sample(
            augment(images[chosen], preset).repeat(preset.train_steps, 1), preset.encoder, preset.time_steps
        )
    return lambda chosen: sample(augment(images[chosen], preset), preset.encoder, preset.time_steps)


def _by_step(spikes: PackedSpikes) -> Callable[[Tensor], Tensor]:
    """Recorded spike trains, time steps first."""
    return lambda chosen: torch.from_numpy(spikes.batch(chosen.numpy())).transpose(0, 1).float()


def _packed(pixels: np.ndarray | PackedSpikes, preset: Preset) -> PackedSpikes:
    """Test images, uint8 (images, N), encoded once for all epochs."""
    assert isinstance(pixels, np.ndarray)
    packed = []
    for start in range(0, len(pixels), CHUNK):
        spikes = encode(pixels[start : start + CHUNK], preset.encoder, preset.time_steps, preset.eval_seed, first_image=start)
        packed.append(np.packbits(spikes, axis=-1, bitorder="little"))
    return PackedSpikes(np.concatenate(packed), pixels.shape[1])
