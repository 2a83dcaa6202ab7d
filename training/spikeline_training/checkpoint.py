"""Checkpoints: plain tensors and numbers only, so that reading one never runs code."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from spikeline.errors import PresetError
from spikeline.files import atomic
from spikeline_training import preset as presets
from spikeline_training.continuous import ContinuousNetwork
from spikeline_training.network import SpikingNetwork
from spikeline_training.preset import Preset

FORMAT = "spikeline-checkpoint-1"
KEYS = ("format", "preset", "network", "optimizer", "rng", "history")
AGAIN = "train again or restore the file"

Trained = SpikingNetwork | ContinuousNetwork


def build(preset: Preset) -> Trained:
    """The untrained network of a preset, initialised from torch's global generator."""
    if preset.integration == "continuous":
        return ContinuousNetwork(preset)
    return SpikingNetwork(preset.sizes, preset.weight_bits, preset.input_dropout, preset.hidden_dropout)


def save(path: Path, preset: Preset, network: Trained, optimizer: torch.optim.Optimizer, history: list[dict[str, Any]]) -> None:
    """Write everything that the rest of the run depends on, atomically."""
    state = {
        "format": FORMAT,
        "preset": preset.as_dict(),
        "network": dict(network.state_dict()),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "history": history,
    }
    with atomic(path) as temporary:
        torch.save(state, temporary)


def restore(path: Path, preset: Preset, network: Trained, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Put a run back where its checkpoint left it and return the metrics of its epochs.

    Raises PresetError if the file is damaged, not ours, or of another preset than `preset`.
    """
    state, saved = _read(path)
    given, kept = preset.as_dict(), saved.as_dict()
    changed = [f"{key} = {given[key]!r} instead of {kept[key]!r}" for key in given if given[key] != kept[key]]
    if changed:
        raise PresetError(f"{path} was trained otherwise: {', '.join(changed)}; train without --resume, or elsewhere")
    try:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        return list(state["history"])
    except Exception as error:  # plain data of any shape may stand for a state
        raise PresetError(f"{path} is damaged ({error!r}); {AGAIN}") from error


def load(path: Path) -> tuple[Trained, Preset, list[dict[str, Any]]]:
    """The trained network in evaluation mode, its preset and the metrics of its epochs. Raises PresetError."""
    state, preset = _read(path)
    network = build(preset)
    try:
        network.load_state_dict(state["network"])
        return network.eval(), preset, list(state["history"])
    except Exception as error:  # as in `restore`
        raise PresetError(f"{path} is damaged ({error!r}); {AGAIN}") from error


def _read(path: Path) -> tuple[dict[str, Any], Preset]:
    if not path.is_file():
        raise PresetError(f"no checkpoint {path}; `spikeline train` writes it")
    try:
        with zipfile.ZipFile(path) as archive:  # as torch writes it: nothing is packed that could unpack to more than memory
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("its members are compressed")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive can fail in any way
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise PresetError(f"{path} is no readable checkpoint ({reason}); {AGAIN}") from error
    named = isinstance(state, dict) and isinstance(state.get("format"), str) and isinstance(state.get("preset"), dict)
    if not named or state["format"] != FORMAT or any(key not in state for key in KEYS):
        raise PresetError(f"{path} is no checkpoint of `spikeline train` ({FORMAT}); {AGAIN}")
    return state, presets.from_dict(state["preset"], str(path))
