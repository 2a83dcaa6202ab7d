"""What tools write for each other: geometries, estimates of power, reports, proofs, tables of area, hardware hand-off."""

import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

from robustness.kinds import Kind, command
from robustness.mutate import damaged, damaged_json
from spikeline import files
from spikeline.cli import power as power_command
from spikeline.device import hand_off
from spikeline.device.board import Board
from spikeline.measure import power, result_files
from spikeline.model.geometry import FOLDER
from spikeline.model.geometry import Geometry as Sizes
from spikeline.simulation import board

PHASES = [{"name": "idle", "start": 0.0, "stop": 5.0}, {"name": "active", "start": 5.0, "stop": 10.0}]
UNMEASURED: dict[str, Any] = {"power_source": "none", "sensor": None, "images": 1000, "phases": PHASES}
BENCH = {
    "commit": "0" * 40,
    "backend": "board",
    "power_source": "none",
    "results": [{"name": f"net-{x}", "input": x, "power_source": "none", "power": UNMEASURED} for x in ("pixels", "spikes")],
}


class Json(Kind):
    """A kind that is JSON."""

    trees: tuple[Any, ...]

    def make(self, rng: random.Random, folder: Path) -> None:
        (folder / self.file).write_bytes(damaged_json(rng, rng.choice(self.trees)))


class Geometry(Json):
    file = "sizes.json"
    trees = tuple(json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json")))

    def enter(self, rng: random.Random, folder: Path) -> None:
        found = Sizes.load(folder / self.file)
        assert all(type(x) is int for layer in found.layers for x in (layer.inputs, layer.neurons, layer.spikes_per_cycle))


class Estimate(Json):
    file = "power.json"
    trees = ({"total_w": 1.7, "dynamic_w": 1.5, "static_w": 0.2, "source": "report_power of a routed design"},)

    def enter(self, rng: random.Random, folder: Path) -> None:
        source = power.open_source(f"estimate:{folder / self.file}")
        recorder = power.Recorder(source)
        recorder.phases.append(PHASES[1])
        json.dumps(recorder.report(1000), allow_nan=False)


class Report(Json):
    """A benchmark of a board, into which a meter's log is put."""

    file = "bench.json"
    trees = (BENCH,)

    def make(self, rng: random.Random, folder: Path) -> None:
        super().make(rng, folder)
        (folder / "log.csv").write_text("time,watts\n" + "".join(f"{n / 4},{2 if n < 20 else 3}\n" for n in range(40)))

    def enter(self, rng: random.Random, folder: Path) -> None:
        path = folder / self.file
        before = path.read_bytes() if path.is_file() and path.stat().st_size < 1 << 20 else None
        try:
            command(power_command.register, "power", folder / self.file, "--csv", folder / "log.csv")
        except BaseException:
            assert before is None or path.read_bytes() == before, "it is changed, though refused"
            raise
        files.read_json(path)  # whose numbers are finite


class Proof(Json):
    """What `compile --verify` leaves beside an image."""

    file = "model.img.verify.json"
    trees = ({"images": 25, "time_steps": 2, "spikes_compared": 3000, "onnx_mismatches": 0},)

    def enter(self, rng: random.Random, folder: Path) -> None:
        found = result_files.proof(folder / "model.img")
        assert found["onnx_mismatches"] is None or type(found["onnx_mismatches"]) is type(found["onnx_images"]) is int


class Tables(Json):
    """Reports of `make area` and `make timing`."""

    file = ".json"
    trees = ([{"geometry": "tiny", "device": "XC7Z020", "lut": 1, "mhz": 73.5}, {"geometry": "z020-256", "lut": 2, "mhz": 9.9}],)

    def make(self, rng: random.Random, folder: Path) -> None:
        for name in ("area.json", "timing.json"):
            (folder / name).write_bytes(damaged_json(rng, self.trees[0]))

    def enter(self, rng: random.Random, folder: Path) -> None:
        for entry in result_files.areas(folder / "area.json", folder / "timing.json"):
            assert {"clock_mhz", "clock_device"} <= set(entry)


class Registers:
    """Stands in for the simulated accelerator, whose registers all read 0."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def read(self, address: int) -> int:
        return 0

    def write(self, address: int, value: int) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Hwh(Kind):
    """The hardware hand-off beside a bitstream, which `pynq` parses."""

    file = "spikeline.hwh"
    named = "spikeline."  # its name or the bitstream's beside it

    def __init__(self) -> None:
        self.sizes = Sizes.load("tiny")
        self.text = hand_off.write(self.sizes, 0)

    def make(self, rng: random.Random, folder: Path) -> None:
        (folder / self.file).with_suffix(".bit").write_bytes(b"")
        how = rng.random()
        text = self.text if how < 0.2 else odd_xml(rng, self.text)
        (folder / self.file).write_bytes(damaged(rng, text.encode(), 2) if how < 0.5 else text.encode())

    def enter(self, rng: random.Random, folder: Path) -> None:
        with mock.patch.object(board, "SimDevice", Registers):
            device = board.SimulatedBoard(self.sizes)
        try:
            Board((folder / self.file).with_suffix(".bit"), device).close()
        finally:
            device.close()


def odd_xml(rng: random.Random, text: str) -> str:
    """Values of attributes replaced, elements dropped and doubled; entities that grow without end."""
    if rng.random() < 0.02:
        grown = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 10))
        return text.replace("?>", f'?><!DOCTYPE a [<!ENTITY x0 "lol">{grown}]>', 1).replace('NAME="BUILD"', 'NAME="&x9;"')
    pieces = text.split('"')
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(1, len(pieces), 2)
        pieces[at] = rng.choice(("", "0", "-1", "0x", "x" * 1000, "é", "99999999999", "a:b:c:d", "a", rng.choice(pieces[1::2])))
    lines = '"'.join(pieces).splitlines()
    if rng.random() < 0.5:
        at = rng.randrange(len(lines))
        lines[at : at + 1] = rng.choice(([], [lines[at]] * 2, lines[at : at + 9] + lines[at : at + 9]))
    return "\n".join(lines)
