"""Fine-tuning: the imported network trains on with Brevitas for a few epochs, in the arithmetic of the accelerator.

It starts from the floats that quantisation found, in units of each threshold, under this project's rule of time; so what leak and
reset change is trained away too. Back-propagation through time, Adam with a cosine schedule, cross-entropy of the class values.
"""

from collections.abc import Callable
from dataclasses import replace

import brevitas.nn as qnn
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeline.data.samples import Samples
from spikeline.model.spec import Reset
from spikeline_training.layers import on_grid
from spikeline_training.neurons import Fire, Neurons
from spikeline_training.nir.exact import Integers
from spikeline_training.nir.quantise import Fitted
from spikeline_training.quantiser import power_of_two_quantiser
from spikeline_training.training_data import sample_steps

BATCH, LEARNING_RATE = 100, 1e-3


class Dense(nn.Module):
    """An imported layer over all time steps, spikes (T, B, I) to spikes, or to what each step adds to the class values."""

    def __init__(self, start: Fitted, bits: int, state_bits: int) -> None:
        super().__init__()
        self.start, self.state_bits = start.integers, state_bits
        neurons, inputs = start.weights.shape
        self.linear = qnn.QuantLinear(inputs, neurons, False, weight_quant=power_of_two_quantiser(bits))
        self.linear.weight = nn.Parameter(torch.tensor(start.weights).float())
        self.bias = nn.Parameter(torch.tensor(start.bias).float(), requires_grad=bool(start.bias.any()))

    def forward(self, spikes: Tensor) -> Tensor:
        weights, bias, grid = on_grid(self.linear, self.bias)
        current = F.linear(spikes, weights, bias) if self.start.window is None else self._convolved(spikes, weights, bias)
        if self.start.thresholds is None:
            return current
        if not self.start.lasting:
            return Fire()(current)
        return Neurons.apply(current, grid, self.start.leak, self.start.reset == Reset.ZERO, self.state_bits)

    def _convolved(self, spikes: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        """As F.linear, of maps."""
        window = self.start.window
        assert window is not None
        maps = spikes.reshape(-1, window.channels, window.height, window.width)
        kernel = weights.reshape(len(weights), window.channels, window.kernel, window.kernel)
        return F.conv2d(maps, kernel, bias, window.stride, window.padding).reshape(*spikes.shape[:2], -1)

    def integers(self) -> Integers:
        """What it is in integers."""
        with torch.no_grad():
            weights, bias, grid = on_grid(self.linear, self.bias)
        thresholds = None if self.start.thresholds is None else np.full(len(self.bias), round(1 / grid))
        return replace(
            self.start,
            weights=(weights / grid).round().numpy().astype(np.int64),
            biases=(bias / grid).round().numpy().astype(np.int64),
            thresholds=thresholds,
            grid=grid,
        )


def fine_tune(
    start: list[Fitted],
    train: Samples,
    bits: int,
    state_bits: int,
    epochs: int,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> list[Integers]:
    """The layers after `epochs` passes over the training samples; equal seeds give equal layers."""
    torch.manual_seed(seed)
    network = nn.Sequential(*(Dense(x, bits, state_bits) for x in start))
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], LEARNING_RATE)
    batches = -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * batches)
    labels = torch.from_numpy(train.truth.astype(np.int64))
    for epoch in range(epochs):
        losses = []
        for chosen in torch.randperm(len(train)).split(BATCH):
            values = network(inputs(train, chosen)).sum(0)  # (B, classes)
            loss = F.cross_entropy(values, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        say(f"fine-tuning, epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.4f}")
    return [layer.integers() for layer in network]  # type: ignore[operator, union-attr]


def inputs(samples: Samples, chosen: Tensor) -> Tensor:
    """Spike trains of these samples, float32 (T, B, inputs), drawn anew each time from images."""
    if samples.pixels is not None:
        return sample_steps(torch.from_numpy(samples.pixels[chosen.numpy()]), samples.encoder, samples.time_steps)
    assert samples.trains is not None
    return torch.from_numpy(samples.trains.batch(chosen.numpy())).transpose(0, 1).float()
