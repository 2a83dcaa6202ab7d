"""What a file is, told from its first bytes and the names in it, so that a refusal can name it. Nothing of it is run."""

import codecs
import io
import zipfile

HDF5 = "an HDF5 file, as Keras and NIR write"
LFS = "a git-lfs pointer and not the file itself"
MODEL = "a model of `spikeline compile`"
PICKLE = "a pickle, as older torch.save writes"
PYTORCH = "a PyTorch file (.pt, .pth), weights or a pickled module"
DAMAGED = "a damaged ZIP archive"
ZIP = "a ZIP archive"
ORT = "a file of onnxruntime's own format"
PAGE = "a web page"
XML = "XML or a web page"
EMPTY = "an empty file"

LFS_START = b"version https://git-lfs"
PACKED = {
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
}
STARTS = {
    LFS_START: LFS,
    b"SPKI": MODEL,
    b"\x89HDF\r\n\x1a\n": HDF5,
    b"\x80\x02": PICKLE,
    b"\x80\x03": PICKLE,
    b"\x80\x04": PICKLE,
    b"\x80\x05": PICKLE,
    **PACKED,
    b"\x93NUMPY": "a NumPy array",
    b"GGUF": "a GGUF file",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF",
}
AFTER_FOUR_BYTES = {b"TFL3": "a TensorFlow Lite file", b"ORTM": ORT}
TEXT_STARTS = {
    "<!doctype html": PAGE,
    "<html": PAGE,
    "<?xml": "XML, as OpenVINO writes",
    "<": XML,
    "{": "JSON",
}


def kind(content: bytes) -> str | None:
    """A name for what a file of these bytes is, with its article; None if it is of no kind known here."""
    if not content:
        return EMPTY
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(content)
    for start, name in STARTS.items():
        if content.startswith(start):
            return name
    if content[4:8] in AFTER_FOUR_BYTES:
        return AFTER_FOUR_BYTES[content[4:8]]
    if content[8:9] == b"{" and 0 < int.from_bytes(content[:8], "little") <= len(content) - 8:
        return "a file of safetensors, weights without their network"
    return _text(content)


def _archive(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive can fail in any way
        return DAMAGED
    ends = {name.rpartition("/")[2] for name in names}
    if "data.pkl" in ends:
        return "a TorchScript module" if "constants.pkl" in ends else PYTORCH
    if any("archive_format" in name or "exported_program" in name for name in names):
        return "a program of torch.export (.pt2)"
    if "model.weights.h5" in ends:
        return "a Keras model"
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays (.npz)"
    return ZIP


def _text(content: bytes) -> str | None:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(content[:4096])  # may end within a character
    except UnicodeDecodeError:
        return None
    if not all(x.isprintable() or x in "\t\n\r\f" for x in text):
        return None
    start = text.lstrip().lower()
    return next((name for mark, name in TEXT_STARTS.items() if start.startswith(mark)), "a text file")
