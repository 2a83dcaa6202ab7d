"""Random networks all the way: ONNX = compiler = golden model = Verilog, spike for spike.

random_networks.py --count 10000 --seed 1 --out docs/results/random-networks.json
random_networks.py --count 5000 --convolutions --out build/random-convolutions.json

A network that fails is shrunk and kept in tests/campaigns/regressions/, which the test suite runs again for ever.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.device.driver import Driver
from spikeline.files import atomic
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline.model.network import Network
from spikeline.simulation.recorded import inside
from spikeline.simulation.verilated import SimDevice, Timing
from spikeline_compiler.lower import compile_onnx
from spikeline_compiler.verify import verify
from support.recipes import GEOMETRIES, Recipe, batch, build, recipes
from support.traces import same_inside

REGRESSIONS = Path(__file__).parent / "regressions"


class Bench:
    """The simulated accelerators that all networks share, without a reset between them, and a folder for ONNX files."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.drivers: dict[int, Driver] = {}
        self.seen: Counter[str] = Counter()

    def driver(self, which: int) -> Driver:
        if which not in self.drivers:
            room = Geometry.load(GEOMETRIES[which])
            self.drivers[which] = Driver(SimDevice(room), room.name, room.clock_mhz, timeout=60)
        return self.drivers[which]

    def close(self) -> None:
        for driver in self.drivers.values():
            driver.device.close()

    def check(self, recipe: Recipe, executor: bool) -> None:
        """Raise AssertionError, or whatever error there is, unless all of them agree. executor: run the ONNX file as well."""
        builder, meant = build(recipe)
        path = builder.save(self.folder)
        driver = self.driver(recipe.geometry)
        network = compile_onnx(path, Geometry.load(GEOMETRIES[recipe.geometry]))
        trains = batch(recipe).trains(network)
        _same(golden.run(meant, trains, states=True), golden.run(network, trains, states=True))
        if executor:
            assert verify(path, model_file.build(network), trains)["onnx_mismatches"] == 0
        if recipe.exit_margin >= 0:
            network = replace(network, exit_margin=recipe.exit_margin)
        reference = golden.run(network, trains, states=True)
        self._check_rtl(driver, recipe, network, reference)
        self._count(recipe, reference)

    def _check_rtl(self, driver: Driver, recipe: Recipe, network: Network, reference: golden.Trace) -> None:
        device = driver.device
        device.timing(Timing((0, 4 * max(recipe.stalls)), recipe.stalls[0] / 10, recipe.stalls[1] / 10), recipe.seed | 1)
        driver.load(model_file.build(network))
        ((labels, steps, values),) = driver.classify([batch(recipe)], True)
        np.testing.assert_array_equal(labels, reference.labels)
        np.testing.assert_array_equal(values, reference.values)
        np.testing.assert_array_equal(steps, reference.steps)
        driver.clear_counters()
        device.record(True)
        ((labels, _, values),) = driver.classify([batch(recipe)], True, every_step=True)  # without early exit
        np.testing.assert_array_equal(values, reference.running[0])
        np.testing.assert_array_equal(labels, reference.running[1])
        same_inside(inside(device, network), network, reference)
        counters = driver.counters()
        assert counters.row_reads[: len(network.layers)] == tuple(reference.row_reads.sum((0, 1)))
        assert counters.images == len(labels)
        device.record(False)

    def _count(self, recipe: Recipe, reference: golden.Trace) -> None:
        self.seen.update(
            [
                Path(GEOMETRIES[recipe.geometry]).stem,
                f"{recipe.bits} bits",
                f"{len(recipe.sizes) - 1} layers",
                f"{len(recipe.convolutions)} convolutions",
                *{f"kernel {kernel}×{kernel}" for _, kernel, *_ in recipe.convolutions},
                *{f"stride {stride}" for _, _, stride, *_ in recipe.convolutions},
                *{"padded" for *_, padded, _ in recipe.convolutions if padded},
                *{"pooled" for *_, pooled in recipe.convolutions if pooled},
                "early exit" if recipe.exit_margin >= 0 else "no early exit",
                "continuous" if recipe.continuous else "discontinuous",
                f"reset {recipe.reset}" if recipe.continuous else "no memory",
                "leak" if recipe.leak else "no leak",
                f"weights by {recipe.weight_form}",
                f"spikes by {recipe.spike_form}",
                f"sent as {recipe.sent}",
                *{f"input {x}" for x in recipe.inputs},
            ]
        )
        units = Geometry.load(GEOMETRIES[recipe.geometry]).convolutions
        self.seen["several rounds"] += any(maps > x.maps for (maps, *_), x in zip(recipe.convolutions, units, strict=False))
        self.seen["spikes"] += int(sum(x.sum() for x in reference.spikes))


def _same(a: golden.Trace, b: golden.Trace) -> None:
    for x, y in zip([*a.spikes[:-1], a.values], [*b.spikes[:-1], b.values], strict=True):
        np.testing.assert_array_equal(x, y)
    for v, w in zip(a.states, b.states, strict=True):
        assert (v is None) == (w is None)
        if v is not None:
            np.testing.assert_array_equal(v, w)


def search(bench: Bench, count: int, at_seed: int, convolved: bool | None = None) -> None:
    """Check `count` random networks; raise the failure of the smallest that fails, after keeping it as a regression.

    convolved: all of them with convolutions, or all without; None: half and half.
    """
    failed: list[Recipe] = []
    tried = 0

    @seed(at_seed)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(recipes(convolved))
    def every(recipe: Recipe) -> None:
        nonlocal tried
        tried += 1
        try:
            bench.check(recipe, executor=True)
        except Exception:
            failed.append(recipe)
            raise

    try:
        every()
    except Exception:
        if failed:
            keep(failed[-1])
        raise
    assert tried >= count, f"only {tried} of {count} networks were tried"


def keep(recipe: Recipe) -> Path:
    """Write the recipe to the regressions; returns its file."""
    text = json.dumps(recipe.as_dict(), indent=2) + "\n"
    REGRESSIONS.mkdir(exist_ok=True)
    path = REGRESSIONS / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    with atomic(path) as part:
        part.write_text(text)
    print(f"kept {path}", file=sys.stderr)
    return path


def main() -> None:
    from spikeline.measure import evaluate

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--convolutions", action="store_true", help="all of them with convolutions (default: half of them)")
    parser.add_argument("--out", type=file_to_write, metavar="FILE")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for start in range(0, args.count, 500):  # hypothesis keeps a tree of all that it has tried
            search(bench, min(500, args.count - start), args.seed + start, args.convolutions or None)
            print(f"{min(start + 500, args.count)} networks agree, {time.monotonic() - began:.0f} s", flush=True)
        bench.close()
    spikes = bench.seen.pop("spikes")
    figures = {
        "networks": args.count,
        "mismatches": 0,
        "spikes_compared_that_fired": spikes,
        "seed": args.seed,
        "seconds": round(time.monotonic() - began, 1),
        "kinds": dict(sorted(bench.seen.items())),
        "commit": evaluate.commit(),
    }
    if args.out:
        with atomic(args.out) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps({k: v for k, v in figures.items() if k != "kinds"}))


if __name__ == "__main__":
    sys.exit(status("random_networks", main))
