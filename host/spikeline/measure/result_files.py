"""Figures that one command leaves to another as JSON, checked as they are read."""

from pathlib import Path
from typing import Any

from spikeline.errors import DataError
from spikeline.files import read_json

WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError)  # what comes of a file of another form


def areas(area: Path | None, timing: Path | None) -> list[dict[str, Any]]:
    """The entries of an area report, each with the clock that a timing report has for its geometry. Raises DataError."""
    clocks, entries = {}, []
    try:
        if timing:
            clocks = {str(r["geometry"]): {"clock_mhz": r["mhz"], "clock_device": r["device"]} for r in read_json(timing)}
    except WRONG as error:
        raise DataError(f"{timing} is no report of clocks ({error!r}); make it with `make timing`") from None
    unknown = {"clock_mhz": None, "clock_device": "not placed and routed"}
    try:
        if area:
            entries = [{**r, **clocks.get(str(r["geometry"]), unknown)} for r in read_json(area)]
    except WRONG as error:
        raise DataError(f"{area} is no report of areas ({error!r}); make it with `make area`") from None
    return entries


def proof(model: Path) -> dict[str, Any]:
    """Mismatches and images of the proof beside a model file, as keys of a report; None and 0 without one. Raises DataError."""
    path = Path(f"{model}.verify.json")
    try:
        found = read_json(path)
        return {"onnx_mismatches": int(found["onnx_mismatches"]), "onnx_images": int(found["images"])}
    except FileNotFoundError:
        return {"onnx_mismatches": None, "onnx_images": 0}
    except WRONG as error:
        raise DataError(f"{path} is no proof ({error!r}); remove it, or compile again with --verify") from None


def board_bench(path: Path) -> dict[str, Any]:
    """The benchmark of a board, to be completed by a meter's log. Raises DataError for another file."""
    try:
        report = read_json(path)
        if report["backend"] != "board":
            text = "is of a simulated board, which draws no power; use `spikeline bench --backend board`"
            raise DataError(f"{path} {text}")
        for r in report["results"]:
            if not (isinstance(r["name"], str) and isinstance(r["input"], str) and r["power"]["images"]):
                raise ValueError(f"{r['name']!r} is no result")
        return report
    except WRONG as error:
        raise DataError(f"{path} is no benchmark of a board ({error!r}); make it with `spikeline bench`") from None
