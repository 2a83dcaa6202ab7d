"""What a file is that is no ONNX file, and what to do about it."""

from pathlib import Path

from spikeline import file_kinds as kinds

EXPORT = "export the network with torch.onnx.export, `spikeline export` or Brevitas' export_onnx_qcdq, and name the .onnx file"
UNPACK = "unpack it and name the .onnx file in it"
LFS = (kinds.LFS_START, kinds.LFS, "fetch it with `git lfs pull`")
FIXES = {
    **dict.fromkeys((*kinds.PACKED.values(), kinds.ZIP), UNPACK),
    kinds.LFS: LFS[2],
    kinds.MODEL: "name the .onnx file that it was compiled from",
    kinds.PYTORCH: f"{EXPORT}; a checkpoint of `spikeline train` is exported with `spikeline export --checkpoint`",
    kinds.DAMAGED: "download or copy it again",
    kinds.ORT: "name the .onnx file",
    kinds.PAGE: "download the file itself (the button `raw` or `download`)",
    kinds.XML: "download or export the .onnx file itself",
    kinds.EMPTY: "export or copy the network again",
}


def describe(path: Path, data: bytes) -> tuple[str, str] | None:
    """What the content of a file that is no ONNX file is, and the fix; None if it is not known."""
    if what := kinds.kind(data):
        return what, FIXES.get(what, EXPORT)
    if ".onnx." in path.name or path.suffix in (".data", ".weight", ".bin"):
        return "the weights that belong to an ONNX file", "name the .onnx file; its weights are found beside it"
    return None
