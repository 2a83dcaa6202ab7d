"""What a file is that is no ONNX file, and what to do about it."""

import io
import zipfile
from pathlib import Path

EXPORT = "export the network with torch.onnx.export, `spikeline export` or Brevitas' export_onnx_qcdq, and name the .onnx file"
LFS = (b"version https://git-lfs", "a git-lfs pointer and not the file itself", "fetch it with `git lfs pull`")
STARTS = (
    LFS,
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (NIR graphs and Keras weights are)", EXPORT),
    (b"\x80\x02", "a pickle, as older torch.save writes", EXPORT),
    (b"\x80\x04", "a pickle", EXPORT),
    (b"\x80\x05", "a pickle", EXPORT),
    (b"\x1f\x8b", "a gzip archive", "unpack it and name the .onnx file in it"),
    (b"BZh", "a bzip2 archive", "unpack it and name the .onnx file in it"),
    (b"\xfd7zXZ", "an xz archive", "unpack it and name the .onnx file in it"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it and name the .onnx file in it"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unpack it and name the .onnx file in it"),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"GGUF", "a GGUF file", EXPORT),
    (b"\x7fELF", "a program", EXPORT),
    (b"%PDF", "a PDF", EXPORT),
)
LATER = ((b"TFL3", "a TensorFlow Lite file", EXPORT), (b"ORTM", "a file of onnxruntime's own format", "name the .onnx file"))
PAGE = "a web page", "download the file itself (the button `raw` or `download`)"
TEXTS = (
    (b"<!doctype html", *PAGE),
    (b"<html", *PAGE),
    (b"<?xml", "XML, as OpenVINO writes", EXPORT),
    (b"<", "XML or a web page", "download or export the .onnx file itself"),
    (b"{", "JSON", EXPORT),
    (b"[", "text", EXPORT),
)


def describe(path: Path, data: bytes) -> tuple[str, str] | None:
    """What the content of a file that is no ONNX file is, and the fix; None if it is not known."""
    if not data:
        return "an empty file", "export or copy the network again"
    if data.startswith(b"PK\x03\x04"):
        return _archive(data)
    for start, what, fix in STARTS:
        if data.startswith(start):
            return what, fix
    for mark, what, fix in LATER:
        if data[4:8] == mark:
            return what, fix
    if data[8:9] == b"{" and 0 < int.from_bytes(data[:8], "little") < len(data):
        return "a safetensors file, weights without a network", EXPORT
    if ".onnx." in path.name or path.suffix in (".data", ".weight", ".bin"):
        return "the weights that belong to an ONNX file", "name the .onnx file; its weights are found beside it"
    text = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, what, fix in TEXTS:
        if text.startswith(start):
            return what, fix
    if text and all(x in b"\t\n\r" or 32 <= x < 127 for x in text):
        return "a text file", EXPORT
    return None


def _archive(data: bytes) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return "a damaged ZIP archive", "download or copy it again"
    ends = {Path(name).name for name in names}
    if "data.pkl" in ends:
        kind = "a TorchScript file" if "constants.pkl" in ends else "a PyTorch file (.pt, .pth), weights or a pickled module"
        own = "; a checkpoint of `spikeline train` is exported with `spikeline export --checkpoint`"
        return kind, EXPORT + own
    if any("archive_format" in name or "exported_program" in name for name in names):
        return "a program of torch.export (.pt2)", EXPORT
    if "model.weights.h5" in ends:
        return "a Keras file", EXPORT
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy archive (.npz)", EXPORT
    return "a ZIP archive", "unpack it and name the .onnx file in it"
