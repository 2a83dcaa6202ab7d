"""Whatever writes an artefact: how a first or a second version of it is written, and which one a reader finds."""

import hashlib
import json
import subprocess
import tempfile
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import matplotlib.image
import matplotlib.pyplot  # what a child would import anew
import numpy as np
import onnx

import spikeline_compiler.commands as compiler
from robustness import network_seeds, onnx_seeds
from robustness.data import digits, small
from robustness.kinds import command
from robustness.reports import BENCH
from spikeline.cli import bench as bench_command
from spikeline.cli import power as power_command
from spikeline.data import mnist, nmnist, recordings, saccades
from spikeline.measure import bench, evaluate, plots
from spikeline.model import model_file
from spikeline.model.geometry import Geometry
from spikeline.simulation import verilated
from spikeline_compiler.lower import compile_onnx
from spikeline_training import checkpoint, export, preset, training_data
from spikeline_training import train as training

Version = int | None  # of a file: 1 or 2, None if it is not there


class Writer(ABC):
    """Writes version 1, then version 2, of files in a folder."""

    @abstractmethod
    def write(self, folder: Path, version: int) -> None:
        """Write them; a killed process runs this."""

    @abstractmethod
    def read(self, folder: Path) -> dict[str, Version]:
        """Which version of each file is there. Raises, as its readers do, for a half-written one."""

    def check(self, folder: Path, old: Version) -> None:
        """Is every file the old one or the new, and what belongs together of one version?"""
        for name, version in self.read(folder).items():
            assert version in (old, 2), f"{name} is of version {version}, not {old} or 2"


class ImageFile(Writer):
    def write(self, folder: Path, version: int) -> None:
        model_file.save(network_seeds.models()[version], folder / "model.img")

    def read(self, folder: Path) -> dict[str, Version]:
        if not (folder / "model.img").exists():
            return {"model": None}
        crc = model_file.load(folder / "model.img").crc
        return {"model": next(v for v in (1, 2) if network_seeds.models()[v].crc == crc)}


class Compile(Writer):
    """`spikeline compile --verify --mem-dir`: image, proof and folder of memories."""

    def __init__(self) -> None:
        self.models = {1: onnx_seeds.plain(), 2: onnx_seeds.foreign()}
        self.crcs: dict[int, int] = {}

    def write(self, folder: Path, version: int) -> None:
        onnx.save(self.models[version], folder / "model.onnx")
        more = ("--geometry", "tiny", "--mem-dir", folder / "mem", "--verify", "1")
        with mock.patch.object(compiler, "check", return_value=dict.fromkeys(("images", "samples", "spikes_compared"), version)):
            command(compiler.register, "compile", folder / "model.onnx", "--out", folder / "model.img", *more)

    def read(self, folder: Path) -> dict[str, Version]:
        known = {f"{model_file.build(compiled(m)).crc:08x}": v for v, m in self.models.items()}
        path, proof, index = folder / "model.img", folder / "model.img.verify.json", folder / "mem/index.json"
        found: dict[str, Version] = {"model": None, "proof": None, "memories": None}
        if path.exists():
            found["model"] = known[f"{model_file.load(path).crc:08x}"]
        if proof.exists():
            found["proof"] = json.loads(proof.read_text())["images"]
        if (folder / "mem").exists():
            header = json.loads(index.read_text())
            found["memories"] = known[header["crc"]]
            for memory in header["memories"]:
                assert len((folder / "mem" / memory["file"]).read_text().split()) == memory["depth"]
        return found

    def check(self, folder: Path, old: Version) -> None:
        found = self.read(folder)
        assert found["model"] in (old, 2)
        assert found["memories"] in (old, 2)
        assert found["proof"] in (None, found["model"]), "a proof of another model"


def compiled(model: onnx.ModelProto) -> Any:
    """The network of a model, for `tiny`."""
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/model.onnx")
        return compile_onnx(f"{folder}/model.onnx", Geometry.load("tiny"))


class Export(Writer):
    """`spikeline export`: the model, and a proof that names its SHA-256."""

    def write(self, folder: Path, version: int) -> None:
        model = (onnx_seeds.plain(), onnx_seeds.foreign())[version - 1]
        export.write_proved(model, folder / "model.onnx", lambda saved: {"images": version})

    def read(self, folder: Path) -> dict[str, Version]:
        found: dict[str, Version] = {"model": None, "proof": None}
        model, proof = folder / "model.onnx", folder / "model.proof.json"
        if model.exists():
            onnx.checker.check_model(onnx.load(model))
            wanted = [x.SerializeToString() for x in (onnx_seeds.plain(), onnx_seeds.foreign())]
            found["model"] = 1 + wanted.index(model.read_bytes())
        if proof.exists():
            content = json.loads(proof.read_text())
            found["proof"] = content["images"]
            assert content["onnx_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest(), "a proof of another model"
        return found

    def check(self, folder: Path, old: Version) -> None:
        found = self.read(folder)
        assert found["model"] in (old, 2)
        assert found["proof"] in (None, found["model"])


class Train(Writer):
    """`spikeline train`: a checkpoint and metrics after every epoch; the metrics may be one epoch ahead."""

    preset = preset.from_dict({"sizes": [784, 2, 10], "epochs": 2, "train_images": 64, "batch": 32}, "seed")

    def write(self, folder: Path, version: int) -> None:
        data = SimpleNamespace(test=None, preset=self.preset)
        epoch = {"loss": 0.5, "train_accuracy": 0.5, "lr": 0.1}
        with (
            mock.patch.object(training_data, "load", return_value=data),
            mock.patch.object(training, "score", return_value=(version / 2, [0.5, 0.5])),
            mock.patch.object(training, "train_epoch", return_value=epoch),
            mock.patch("torch.utils.tensorboard.SummaryWriter", mock.MagicMock()),
        ):
            training.train(self.preset, folder)

    def read(self, folder: Path) -> dict[str, Version]:
        found: dict[str, Version] = {"checkpoint": None, "metrics": None}
        if (folder / training.CHECKPOINT).exists():
            _, _, history = checkpoint.load(folder / training.CHECKPOINT)
            assert [x["epoch"] for x in history] in ([1], [1, 2])
            found["checkpoint"] = round(2 * history[-1]["test_accuracy"])
        if (folder / training.METRICS).exists():
            lines = [json.loads(x) for x in (folder / training.METRICS).read_text().splitlines()]
            assert [x["epoch"] for x in lines] in ([1], [1, 2])
            found["metrics"] = round(2 * lines[-1]["test_accuracy"])
        return found


class Bench(Writer):
    """`spikeline bench`."""

    def write(self, folder: Path, version: int) -> None:
        result = dict.fromkeys(("accuracy", "images_per_second", "cycles_per_image", "latency_us", "mean_steps", "fclk_mhz"), 0.5)
        result |= {"name": "n" * 9000, "input": "spikes", "golden_mismatches": version, "power": {"energy_per_image_uj": None}}
        with (
            mock.patch.object(bench, "networks", return_value=[result]),
            mock.patch.object(evaluate, "commit", return_value="0"),
            mock.patch.object(bench_command, "found"),
        ):
            command(bench_command.register, "bench", folder / "model.img", "--out", folder / "bench.json")

    def read(self, folder: Path) -> dict[str, Version]:
        path = folder / "bench.json"
        return {"bench": json.loads(path.read_text())["results"][0]["golden_mismatches"] if path.exists() else None}


class Power(Writer):
    """`spikeline power`, which completes a report in place."""

    def write(self, folder: Path, version: int) -> None:
        if version == 1:
            (folder / "bench.json").write_text(json.dumps(BENCH))
            (folder / "log.csv").write_text("time_s,watts\n" + "".join(f"{n / 4},{2 if n < 20 else 3}\n" for n in range(40)))
        else:
            command(power_command.register, "power", folder / "bench.json", "--csv", folder / "log.csv")

    def read(self, folder: Path) -> dict[str, Version]:
        if not (folder / "bench.json").exists():
            return {"bench": None}
        results = json.loads((folder / "bench.json").read_text())["results"]
        (source,) = {r["power_source"] for r in results}
        return {"bench": {"none": 1, "measured": 2}[source]}


class Picture(Writer):
    """The pictures of `spikeline report`."""

    def write(self, folder: Path, version: int) -> None:
        with mock.patch("matplotlib.pyplot.savefig", lambda path, dpi: matplotlib.image.imsave(path, np.eye(40 * version))):
            plots.accuracy(folder / "accuracy.png", [0.5])

    def read(self, folder: Path) -> dict[str, Version]:
        path = folder / "accuracy.png"
        return {"picture": len(matplotlib.image.imread(path)) // 40 if path.exists() else None}


class MnistCache(Writer):
    """What is fetched once; there is only one version of it, which is not to be replaced by less."""

    def write(self, folder: Path, version: int) -> None:
        files, contents = digits()
        sources = {"here": lambda wanted: [(file, contents[file.name]) for file in wanted]}
        with (
            small(),
            mock.patch.dict("os.environ", SPIKELINE_CACHE=str(folder)),
            mock.patch.dict(mnist.SOURCES, sources, clear=True),
        ):
            (folder / "mnist" / files["test", "labels"].name).unlink(missing_ok=True)
            mnist.fetch()

    def read(self, folder: Path) -> dict[str, Version]:
        files, contents = digits()
        paths = {x.name: folder / "mnist" / x.name for x in files.values()}
        assert all(path.read_bytes() == contents[name] for name, path in paths.items() if path.exists())
        return dict.fromkeys(paths, 2)


class Saccades(Writer):
    """The cache of simulated events."""

    def write(self, folder: Path, version: int) -> None:
        _, contents = digits()
        root = folder / "root"
        root.mkdir(exist_ok=True)
        for name, content in contents.items():
            (root / name).write_bytes(content)
        with small(), mock.patch.dict("os.environ", SPIKELINE_CACHE=str(folder)):
            saccades.load("test", version, 2, root)

    def read(self, folder: Path) -> dict[str, Version]:
        for path in (folder / "saccades").glob("[!.]*"):
            steps = int(path.name.split("-")[1])
            assert saccades._cached(path, (4, steps, -(-recordings.inputs(2) // 8))) is not None, "half a cache"
        return {}


class Recording(Writer):
    """`spikeline data --saccades`. What a killed one leaves behind is no recording of the data set."""

    def write(self, folder: Path, version: int) -> None:
        for label in range(10):
            nmnist.write(folder / "Test" / str(label) / f"{label:05d}.bin", self.recording(version))

    @staticmethod
    @cache
    def recording(version: int) -> recordings.Recording:
        pixels = np.zeros(mnist.PIXELS, np.uint8)
        pixels[300 : 300 + 20 * version] = 255
        return saccades.simulate(pixels)

    def read(self, folder: Path) -> dict[str, Version]:
        versions = {len(self.recording(v)): v for v in (1, 2)}
        found: dict[str, Version] = {f"{n:05d}.bin": None for n in range(10)}
        found |= {path.name: versions[len(nmnist.read(path))] for path in folder.glob("Test/*/[!.]*.bin")}
        if None not in found.values():
            assert len(nmnist.load("test", 2, 2, folder)[0]) == 10
        return found


class Simulator(Writer):
    """The Verilated simulator in the cache; the compiler is played."""

    def write(self, folder: Path, version: int) -> None:
        def run(words: list[str], **more: Any) -> subprocess.CompletedProcess:
            if "-Mdir" in words:
                (more["cwd"] / "libspikeline.so").write_bytes(b"x" * 5000)
            return subprocess.CompletedProcess(words, 0, b"", b"")

        play = mock.patch("subprocess.run", run), mock.patch.object(verilated, "_bind")
        tools = mock.patch.object(verilated, "_version", return_value=f"version {version}".encode())
        with mock.patch.dict("os.environ", SPIKELINE_CACHE=str(folder)), tools, play[0], play[1]:
            verilated.build(Geometry.load("tiny"))

    def read(self, folder: Path) -> dict[str, Version]:
        with mock.patch.object(verilated, "_bind"):
            faults = [verilated._fault(path) for path in folder.glob("verilated/*/libspikeline.so")]
        assert not any(faults), "half a library"
        return {}


WRITERS: tuple[Writer, ...] = (
    *(ImageFile(), Compile(), Export(), Train(), Bench(), Power(), Picture(), MnistCache(), Saccades(), Recording(), Simulator()),
)
