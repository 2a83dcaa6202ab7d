"""What a file is that stands where a checkpoint is expected, told from its first bytes and its members; nothing of it is run."""

import io
import zipfile
from typing import Any

from onnx import ModelProto

BEGINNINGS = {
    b"SPKI": "a model of `spikeline compile`",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, such as Keras and NIR write",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "packed with gzip",
    b"\x80": "a pickle, as older releases of PyTorch and others write it, which is not read because it can run any program",
}

OBJECTS = "PyTorch data with objects of another program, which are not read because they can run any program"


def kind(content: bytes) -> str | None:
    """What a file of these bytes is, None if that is not known or it is an archive of PyTorch's."""
    if not content:
        return "empty"
    if content.startswith(b"PK"):
        return _archive(content)
    for beginning, name in BEGINNINGS.items():
        if content.startswith(beginning):
            return name
    header = int.from_bytes(content[:8], "little")
    if content[8:9] == b"{" and 8 + header <= len(content):
        return "a file of safetensors: weights without their network"
    if _is_onnx(content):
        return "an ONNX network, which `spikeline compile` takes as it is"
    try:
        content[:4096].decode()
    except UnicodeDecodeError:
        return None
    return "text"


def contents(state: Any) -> str:
    """What plain data are that an archive of PyTorch holds, if not a checkpoint of ours."""
    if not isinstance(state, dict):
        return f"PyTorch data of another program, a {type(state).__name__}"
    if "pytorch-lightning_version" in state:
        return "a checkpoint of PyTorch Lightning"
    names = [repr(key) for key in state if isinstance(key, str)]
    if names and all(hasattr(value, "shape") for value in state.values()):
        return f"the weights (state_dict) of another program, {len(state)} tensors such as {names[0]}"
    return f"PyTorch data of another program, with {', '.join(names[:4]) or 'no names in it'}"


def _archive(content: bytes) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive can fail in any way
        return "cut short or damaged"
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends:
        return "a TorchScript module"
    if "data.pkl" in ends:
        return None
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays"
    if "model.weights.h5" in ends:
        return "a Keras model"
    return "a zip archive of something else"


def _is_onnx(content: bytes) -> bool:
    try:
        model = ModelProto.FromString(content)
    except Exception:  # whatever else it is
        return False
    return model.ir_version > 0 and bool(model.graph.node)
