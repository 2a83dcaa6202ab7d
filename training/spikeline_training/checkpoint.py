"""Checkpoints: plain tensors and numbers only, so that reading one never runs code; the same run writes the same bytes.

A file is a zip archive as PyTorch writes it, whose comment is the SHA-256 of all bytes before it: any damage is found.
"""

import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch

from spikeline.errors import PresetError
from spikeline.files import atomic, read
from spikeline_training import foreign
from spikeline_training import preset as presets
from spikeline_training.network import SpikingNetwork
from spikeline_training.preset import Preset

FORMAT = "spikeline-checkpoint-2"
KEYS = ("format", "preset", "network", "optimizer", "rng", "history")
AGAIN = "train again or restore the file"
LARGEST = 1 << 32  # bytes of a file: the largest network of a preset has a third of it
COMMENT = b"PK\x05\x06", 22  # how an archive ends: this, so many bytes in all, the last two of them the length of a comment
DIGEST_BYTES = 64  # of the comment, in hexadecimal


def save(
    path: Path, preset: Preset, network: SpikingNetwork, optimizer: torch.optim.Optimizer, history: list[dict[str, Any]]
) -> None:
    """Write everything that the rest of the run depends on, atomically; not how many seconds an epoch took."""
    state = {
        "format": FORMAT,
        "preset": preset.as_dict(),
        "network": dict(network.state_dict()),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "history": [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in history],
    }
    with atomic(path) as temporary:
        file = io.BytesIO()  # an archive on disk would bear its name inside
        torch.save(_plain(state), file)
        content = file.getvalue()[:-2] + DIGEST_BYTES.to_bytes(2, "little")
        temporary.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def _plain(value: Any) -> Any:
    """Plain data anew, with one object for equal texts: an archive would tell which of them are the same object."""
    if isinstance(value, dict):
        return {_plain(key): _plain(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(x) for x in value)
    return sys.intern(value) if isinstance(value, str) else value


def restore(
    path: Path, preset: Preset, network: SpikingNetwork, optimizer: torch.optim.Optimizer
) -> tuple[list[dict[str, Any]], int]:
    """Put a run back where its checkpoint left it; returns the metrics of its epochs, and for how many it was meant.

    Raises PresetError if the file is damaged, not ours, of another preset than `preset` in more than the number of epochs, or
    of more epochs than `preset` has.
    """
    state, saved = _read(path)
    given, kept = preset.as_dict(), saved.as_dict()
    old, new = (x.pop("dataset").get("test_sha256") for x in (kept, given))
    if old and new and old != new:
        raise PresetError(f"{path} was trained with another test set of {preset.data}; train without --resume, or elsewhere")
    changed = [f"{key} = {given[key]!r} instead of {kept[key]!r}" for key in given if given[key] != kept[key] and key != "epochs"]
    if changed:
        raise PresetError(f"{path} was trained otherwise: {', '.join(changed)}; train without --resume, or elsewhere")
    if isinstance(state["history"], list) and len(state["history"]) > preset.epochs:
        done = len(state["history"])
        raise PresetError(
            f"{path} has {done} epochs behind it and epochs = {preset.epochs}, but none is taken back; give --epochs {done} or "
            "more, or train without --resume, or elsewhere"
        )
    try:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        history = [dict(epoch) for epoch in state["history"]]
        json.dumps(history)
        return history, saved.epochs
    except Exception as error:  # plain data of any shape may stand for a state
        raise PresetError(f"{path} is damaged ({error!r}); {AGAIN}") from error


def load(path: Path) -> tuple[SpikingNetwork, Preset, list[dict[str, Any]]]:
    """The trained network in evaluation mode, its preset and the metrics of its epochs. Raises PresetError."""
    state, preset = _read(path)
    network = SpikingNetwork(preset)
    try:
        network.load_state_dict(state["network"])
        return network.eval(), preset, list(state["history"])
    except Exception as error:  # as in `restore`
        raise PresetError(f"{path} is damaged ({error!r}); {AGAIN}") from error


def _read(path: Path) -> tuple[dict[str, Any], Preset]:
    if not path.exists():
        raise PresetError(f"no checkpoint {path}; `spikeline train` writes it")
    try:
        content = read(path, LARGEST)
    except OSError as error:
        raise PresetError(f"cannot read checkpoint {path}: {error.strerror}; `spikeline train` writes it") from None
    if reason := _damage(content):
        raise PresetError(f"{path} is no readable checkpoint ({reason}); {AGAIN}")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what it says is advice for other files than ours
        raise PresetError(f"{path} is no readable checkpoint (it is {foreign.OBJECTS}); {AGAIN}") from error
    named = isinstance(state, dict) and isinstance(state.get("format"), str) and isinstance(state.get("preset"), dict)
    if not named or state["format"] != FORMAT or any(key not in state for key in KEYS):
        what = "one of another form" if isinstance(state, dict) and "format" in state else foreign.contents(state)
        raise PresetError(f"{path} is no checkpoint of `spikeline train` ({FORMAT}) but {what}; {AGAIN}")
    return state, presets.from_dict(state["preset"], str(path))


def _damage(content: bytes) -> str | None:
    """Why the file cannot be a checkpoint as it was written, or None."""
    end = len(content) - DIGEST_BYTES
    if content[max(end - COMMENT[1], 0) :].startswith(COMMENT[0]):
        if hashlib.sha256(content[:end]).hexdigest().encode() != content[end:]:
            return "it is damaged: its checksum is another"
        return None
    what = foreign.kind(content)
    if what or not content.startswith(b"PK"):
        return f"it is {what or 'of an unknown kind, or damaged'}"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # as torch writes it: nothing unpacks to more than memory
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                return "its members are compressed"
            if (member := archive.testzip()) is not None:
                return f"it is damaged: the checksum of {member} is another"
    except Exception:  # a damaged archive can fail in any way
        return "it is cut short or damaged"
    return None
