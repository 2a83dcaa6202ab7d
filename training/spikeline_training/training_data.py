"""The data of a training: inputs and labels of training samples, and the test samples that it is scored on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikeline.data import samples
from spikeline.data.data_sets import DATA_SETS
from spikeline.data.recordings import PackedSpikes
from spikeline.data.samples import Samples
from spikeline.model.encode import PIXEL_BITS, THRESHOLD, encode, latency_band
from spikeline_training.augment import augment
from spikeline_training.preset import Preset

CHUNK = 1000  # test images encoded at a time


@dataclass(frozen=True)
class TrainingData:
    """A preset's data: training inputs by index, float32 (B, N) of one step or (T, B, N); labels int64 (images,); the test."""

    inputs: Callable[[Tensor], Tensor]
    labels: Tensor
    test: Samples


def load(preset: Preset, root: Path | None = None, strict: bool = False) -> TrainingData:
    """Load the data of a preset. Raises DataError.

    `root` is the folder of the data set's files, None for the cache; `strict` refuses recordings that are otherwise mended.
    """
    images = DATA_SETS[preset.data].images
    if preset.encoder == "events":
        size, steps = preset.sizes[0], preset.time_steps
        spikes, labels = samples.load_trains(preset.data, "train", size, steps, root, strict)
        inputs = _by_step(spikes)
        test_spikes, test_labels = samples.load_trains(preset.data, "test", size, steps, root, strict)
    else:
        assert images is not None, "a preset with an encoder names data that are images"
        pixels, labels = images("train", root)
        inputs = _encoded(torch.from_numpy(pixels[: preset.train_images].copy()), preset)
        test_pixels, test_labels = images("test", root)
        test_spikes = _packed(test_pixels, preset)
    test = Samples(f"{preset.data}-test", test_labels, None, test_spikes, preset.encoder, preset.time_steps, preset.eval_seed)
    return TrainingData(inputs, torch.from_numpy(labels[: preset.train_images]).long(), test)


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
    return lambda chosen: sample(augment(images[chosen], preset), preset.encoder, preset.time_steps)


def _by_step(spikes: PackedSpikes) -> Callable[[Tensor], Tensor]:
    """Recorded spike trains, time steps first."""
    return lambda chosen: torch.from_numpy(spikes.batch(chosen.numpy())).transpose(0, 1).float()


def _packed(pixels: np.ndarray, preset: Preset) -> PackedSpikes:
    """Test images, uint8 (images, N), encoded once for all epochs."""
    packed = []
    for start in range(0, len(pixels), CHUNK):
        spikes = encode(pixels[start : start + CHUNK], preset.encoder, preset.time_steps, preset.eval_seed, first_image=start)
        packed.append(np.packbits(spikes, axis=-1, bitorder="little"))
    return PackedSpikes(np.concatenate(packed), pixels.shape[1])
