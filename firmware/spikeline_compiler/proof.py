"""The proof that `spikeline export` leaves beside an ONNX file: whether the file is still the one that was proved."""

import hashlib
from pathlib import Path

from spikeline.errors import CompileError
from spikeline.files import read, read_json
from spikeline_compiler.graph import LARGEST


def mismatch(path: Path) -> str | None:
    """How an ONNX file differs from the proof beside it; None if it does not. Raises CompileError for a proof that is none."""
    proof = path.with_suffix(".proof.json")
    if proof == path:
        return None
    try:
        proved = read_json(proof)["onnx_sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CompileError(f"{proof} is no proof of an ONNX file ({error!r}); remove it, or export the network again") from None
    try:
        found = hashlib.sha256(read(path, LARGEST)).hexdigest()
    except OSError:
        return None  # who compiles it says what is wrong
    return None if proved == found else f"{path} was changed after it was proved: {proof.name} is of another file"
