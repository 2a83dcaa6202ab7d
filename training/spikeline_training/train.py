"""The training loop: presets in; checkpoint, metrics and TensorBoard events out."""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from spikeline.data.data_set import DataSet
from spikeline.errors import PresetError
from spikeline.files import atomic, parse_json, read
from spikeline_training import checkpoint, training_data
from spikeline_training.integers import integers
from spikeline_training.network import SpikingNetwork
from spikeline_training.preset import Preset
from spikeline_training.scoring import score
from spikeline_training.training_data import TrainingData

CHECKPOINT, METRICS, EVENTS = "checkpoint.pt", "metrics.jsonl", "tensorboard"
LARGEST = 1 << 26  # bytes of metrics
PROGRESS_EVERY = 20  # batches


def train(
    preset: Preset,
    out: Path,
    source: DataSet | None = None,
    resume: bool = False,
    after_epoch: Callable[[dict[str, Any]], None] = lambda metrics: None,
) -> dict[str, Any]:
    """Train a preset and return the metrics of its last epoch.

    Writes `out`/checkpoint.pt (atomically, every epoch), metrics.jsonl (one JSON object per epoch) and tensorboard/.
    `source` is the data set, None for the one that the preset's `data` finds.
    `resume` continues from the checkpoint in `out` and ends with the same bits as a run without a break; without a checkpoint
    it starts from the beginning. It also continues to another number of epochs than the run was meant for: then the learning
    rate goes on where it is in the schedule of that many, which for `one_cycle` is not that of a run without a break.
    `after_epoch` is called with each epoch's metrics when its checkpoint is on disk. For the same preset and number of
    threads, results are deterministic. Raises PresetError for a checkpoint of another preset, DataError for bad data.
    """
    from torch.utils.tensorboard import SummaryWriter

    data = training_data.load(preset, source)
    preset = data.preset
    torch.manual_seed(preset.seed)
    network = SpikingNetwork(preset)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    history: list[dict[str, Any]] = []
    if resume and (out / CHECKPOINT).exists():
        history, planned = checkpoint.restore(out / CHECKPOINT, preset, network, optimizer)
        history = _with_seconds(history, out / METRICS)
        if planned != preset.epochs and len(history) < preset.epochs and preset.schedule == "one_cycle":
            print(
                f"epochs 1 to {len(history)} had the learning rates of a cycle of {planned}, the others have those of one of "
                f"{preset.epochs}; a run of {preset.epochs} without a break is another",
                file=sys.stderr,
                flush=True,
            )

    out.mkdir(parents=True, exist_ok=True)
    with SummaryWriter(str(out / EVENTS), purge_step=len(history)) as board:
        for epoch in range(len(history) + 1, preset.epochs + 1):
            start = time.perf_counter()
            metrics = {"epoch": epoch, **train_epoch(preset, network, optimizer, data, epoch)}
            metrics["test_accuracy"], rates = score(integers(network), data.test)
            metrics |= {"time_steps": preset.time_steps, "spike_rates": rates}
            metrics["seconds"] = round(time.perf_counter() - start, 3)
            history.append(metrics)
            with atomic(out / METRICS) as path:
                path.write_text("".join(json.dumps(line) + "\n" for line in history))
            checkpoint.save(out / CHECKPOINT, preset, network, optimizer, history)  # last: this is what counts as done
            for key in ("loss", "train_accuracy", "test_accuracy", "lr", "seconds"):
                board.add_scalar(key, metrics[key], epoch)
            for layer, rate in enumerate(rates):
                board.add_scalar(f"spike_rate/{f'hidden{layer}' if layer else 'input'}", rate, epoch)
            after_epoch(metrics)
    return history[-1]


def _with_seconds(history: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Epochs of a checkpoint, with the seconds that they took as far as metrics.jsonl knows them."""
    known = {}
    try:
        for line in read(path, LARGEST).splitlines():
            epoch = parse_json(line)
            known[json.dumps({key: value for key, value in epoch.items() if key != "seconds"})] = epoch
    except (OSError, ValueError, AttributeError):
        pass  # it is written anew
    return [known.get(json.dumps(epoch), epoch) for epoch in history]


def train_epoch(
    preset: Preset, network: torch.nn.Module, optimizer: torch.optim.Optimizer, data: TrainingData, epoch: int
) -> dict[str, Any]:
    """One pass over the training samples in random order; returns its loss, accuracy and rate.

    `epoch` counts from 1 and places the pass in the learning rate's schedule. Raises PresetError if the loss is not
    finite at the end.
    """
    network.train()
    order, start = torch.randperm(len(data.labels)), time.perf_counter()
    steps = len(data.labels) // preset.batch
    first, last = (epoch - 1) * steps, preset.epochs * steps
    total = Totals(len(preset.sizes) - 2)
    with tqdm(total=steps, desc=f"epoch {epoch}/{preset.epochs}", unit="batch", leave=False, disable=None) as bar:
        for i in range(steps):
            lr = optimizer.param_groups[0]["lr"] = learning_rate(preset, first + i, last)
            chosen = order[i * preset.batch : (i + 1) * preset.batch]
            labels = data.labels[chosen]
            output, rates = network(data.inputs(chosen))
            loss, values = objective(preset, output, labels)
            loss = loss + preset.activity * sum(rates)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total.add(loss, values, labels, rates)
            if (i + 1) % PROGRESS_EVERY == 0:
                left = (time.perf_counter() - start) / (i + 1) * (last - first - i - 1)
                bar.set_postfix_str(f"{total}, {tqdm.format_interval(left)} left in all")
                bar.update(PROGRESS_EVERY)
    mean_loss, train_accuracy = total.means()
    if not math.isfinite(mean_loss):
        raise PresetError(f"training diverged in epoch {epoch}; lower peak_lr = {preset.peak_lr}")
    return {"loss": mean_loss, "train_accuracy": train_accuracy, "lr": lr}


def objective(preset: Preset, output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, a scalar, and the class values (B, classes), of what the network gave for samples with these labels (B,).

    Read by membrane: squared hinge of the last class values, or of those after each step. By spikes: the squared distance of
    each output neuron's spike rate from 1 for the label and 0 for the others, as the paper's read-out counts spikes.
    """
    continuous = preset.integration == "continuous"  # then time steps come first
    if preset.output == "spike_count":
        rates = (output if continuous else output.view(preset.train_steps, len(labels), -1)).mean(0)
        return F.mse_loss(rates, F.one_hot(labels, rates.shape[-1]).float()), rates
    last = output[-1] if continuous else output.view(preset.train_steps, len(labels), -1).mean(0)
    return hinge(output if continuous and preset.loss_at == "every" else last, labels), last


def hinge(membrane: Tensor, labels: Tensor) -> Tensor:
    """Squared hinge loss on output membranes (…, B, 10) with targets of +1 for the label and -1 for the others."""
    target = 2 * F.one_hot(labels, membrane.shape[-1]) - 1
    return (1 - target * membrane).clamp_min(0).square().mean()


def learning_rate(preset: Preset, step: int, steps: int) -> float:
    """Learning rate at a step: constant, or one cycle: a cosine rise over the first quarter, then a fall to nothing."""
    if preset.schedule == "constant":
        return preset.peak_lr
    rise = max(1, round(0.25 * steps))
    if step < rise:
        return preset.peak_lr * (0.04 + 0.96 * (1 - math.cos(math.pi * step / rise)) / 2)
    return preset.peak_lr * max(1e-5, (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2)


class Totals:
    """Running means over the batches of an epoch."""

    def __init__(self, hidden_layers: int) -> None:
        self.batches, self.images = 0, 0
        self.loss, self.hits = torch.zeros(()), torch.zeros((), dtype=torch.long)
        self.rates = torch.zeros(hidden_layers)

    def add(self, loss: Tensor, values: Tensor, labels: Tensor, rates: list[Tensor]) -> None:
        """Count one batch."""
        self.batches, self.images = self.batches + 1, self.images + len(labels)
        self.loss += loss.detach()
        self.hits += (values.detach().argmax(1) == labels).sum()
        if rates:
            self.rates += torch.stack(rates).detach()

    def means(self) -> tuple[float, float]:
        """Mean loss per batch, and accuracy."""
        return float(self.loss) / self.batches, float(self.hits) / self.images

    def __str__(self) -> str:
        loss, hits = self.means()
        rates = " ".join(f"{100 * rate / self.batches:.1f}" for rate in self.rates.tolist())
        return f"loss {loss:.4f}, accuracy {100 * hits:.2f} %, spike rates {rates} %"
