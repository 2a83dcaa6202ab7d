"""What a training sees: inputs and labels of training samples, and how well integers do on the test samples."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikeline.data import mnist, samples
from spikeline.model import golden
from spikeline.model.encode import THRESHOLD, encode, latency_band
from spikeline_training.augment import augment
from spikeline_training.continuous import ContinuousNetwork
from spikeline_training.fold import accuracy, evaluate, fold, integers
from spikeline_training.network import SpikingNetwork
from spikeline_training.preset import Preset

CHUNK = 1000  # test samples at a time


@dataclass(frozen=True)
class Course:
    """A preset's data: training inputs by index, float32 (B, N) of one step or (T, B, N); labels int64; the test's score."""

    inputs: Callable[[Tensor], Tensor]
    labels: Tensor
    score: Callable[[torch.nn.Module], tuple[float, list[float]]]  # accuracy, spike rates of input and hidden layers


def prepare(preset: Preset, root: Path | None = None, strict: bool = False) -> Course:
    """Load the data of a preset. Raises DataError.

    `root` is the folder of the data set's files, None for the cache; `strict` refuses recordings that are otherwise mended.
    """
    if preset.encoder == "events":
        trains, truth = samples.load_trains(preset.data, "train", preset.sizes[0], preset.time_steps, root, strict)
        labels = torch.from_numpy(truth[: preset.train_images]).long()
        return Course(
            lambda chosen: _tensor(trains.batch(chosen.numpy())), labels, lambda n: _score_lasting(n, preset, root, strict)
        )
    images, labels = (torch.from_numpy(a[: preset.train_images].copy()) for a in mnist.load("train", root))
    if preset.integration == "continuous":
        return Course(
            lambda chosen: sample_steps(augment(images[chosen], preset), preset.encoder, preset.time_steps),
            labels.long(),
            lambda network: _score_lasting(network, preset, root, strict),
        )
    pixels, truth = mnist.load("test", root)
    test = torch.from_numpy(encode(pixels, preset.encoder, preset.time_steps, preset.eval_seed))

    def score(network: torch.nn.Module) -> tuple[float, list[float]]:
        assert isinstance(network, SpikingNetwork)
        membranes, rates = evaluate(fold(network), test)
        return accuracy(membranes, torch.from_numpy(truth)), rates

    return Course(lambda chosen: sample(augment(images[chosen], preset), preset.encoder), labels.long(), score)


def sample(pixels: Tensor, encoder: str) -> Tensor:
    """Spikes of one time step for training, float32 of 0 and 1, from uint8 pixels (B, N).

    The distribution is that of `spikeline.model.encode`; the random bytes come from torch, eight to a draw, which is cheaper.
    """
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


def _tensor(spikes: np.ndarray) -> Tensor:
    """Spike trains uint8 (B, T, N) as float32 (T, B, N)."""
    return torch.from_numpy(spikes).transpose(0, 1).float()


def _score_lasting(network: torch.nn.Module, preset: Preset, root: Path | None, strict: bool) -> tuple[float, list[float]]:
    """Accuracy and spike rates of a continuous network's integers over the test samples, by the golden model."""
    assert isinstance(network, ContinuousNetwork)
    whole = integers(network)
    given = samples.load(whole, "test", preset.data, root, preset.eval_seed, strict)
    hits, reads = 0, np.zeros(len(whole.layers))
    for at in range(0, len(given), CHUNK):
        trace = golden.run(whole, given.spikes(at, at + CHUNK))
        hits += int((trace.labels == given.labels[at : at + CHUNK]).sum())
        reads += trace.row_reads.sum((0, 1))
    rates = reads / len(given) / preset.time_steps / np.array(preset.sizes[:-1])
    return hits / len(given), rates.tolist()
