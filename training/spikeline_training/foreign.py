"""What stands where a checkpoint is expected: files and PyTorch data of other programs. Nothing of them is run."""

from typing import Any

from onnx import ModelProto

from spikeline import file_kinds as kinds

UNREAD = "which is not read because it can run any program"
OBJECTS = f"PyTorch data with objects of another program, {UNREAD}"


def kind(content: bytes) -> str | None:
    """What a file of these bytes is, None if that is not known or it is an archive of PyTorch's."""
    what = kinds.kind(content)
    if what == kinds.PICKLE:
        return f"{what}, {UNREAD}"
    if what is None and _is_onnx(content):
        return "an ONNX network, which `spikeline compile` takes as it is"
    return None if what == kinds.PYTORCH else what


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


def _is_onnx(content: bytes) -> bool:
    try:
        model = ModelProto.FromString(content)
    except Exception:  # whatever else it is
        return False
    return model.ir_version > 0 and bool(model.graph.node)
