"""Random networks all the way: ONNX = compiler = golden model = Verilog, spike for spike.

random_networks.py --count 10000 --seed 1 --out docs/results/random-networks.json

A network that fails is shrunk and kept in tests/campaigns/regressions/, which the test suite runs again for ever.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
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
from spikeline.simulation.verilated import SimDevice
from spikeline_compiler.lower import compile_onnx
from spikeline_compiler.verify import verify
from support.recipes import GEOMETRIES, Recipe, batch, build, recipes

REGRESSIONS = Path(__file__).parent / "regressions"


class Bench:
    """The three simulated accelerators that all networks share, without a reset between them, and a folder for ONNX files."""

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
        reference = golden.run(network, trains, states=True)
        _same(golden.run(meant, trains, states=True), reference)
        if executor:
            assert verify(path, model_file.build(network), trains)["onnx_mismatches"] == 0
        self._check_rtl(driver, recipe, network, trains, reference)
        self._count(recipe, reference)

    def _check_rtl(self, driver: Driver, recipe: Recipe, network: Network, trains: np.ndarray, reference: golden.Trace) -> None:
        device = driver.device
        device.stall(recipe.seed | 1, recipe.stalls[0] / 10, recipe.stalls[1] / 10)
        driver.load(model_file.build(network))
        driver.clear_counters()
        device.record(True)
        ((labels, steps, values),) = driver.classify([batch(recipe)], True)
        np.testing.assert_array_equal(labels, reference.labels)
        np.testing.assert_array_equal(values, reference.values)
        np.testing.assert_array_equal(steps, reference.steps)
        for n, layer in enumerate(network.layers):
            got = device.recorded_spikes(n)
            np.testing.assert_array_equal(got[:, : layer.neurons], reference.spikes[n].reshape(-1, layer.neurons))
            assert not got[:, layer.neurons :].any(), "a neuron that the network does not have fired"
            if (states := reference.states[n]) is not None:
                np.testing.assert_array_equal(device.recorded_states(n)[:, : layer.neurons], states.reshape(-1, layer.neurons))
        counters = driver.counters()
        assert counters.row_reads[: len(network.layers)] == tuple(reference.row_reads.sum((0, 1)))
        assert counters.images == len(trains)
        device.record(False)

    def _count(self, recipe: Recipe, reference: golden.Trace) -> None:
        self.seen.update(
            [
                Path(GEOMETRIES[recipe.geometry]).stem,
                f"{recipe.bits} bits",
                f"{len(recipe.sizes) - 1} layers",
                "continuous" if recipe.continuous else "discontinuous",
                f"reset {recipe.reset}" if recipe.continuous else "no memory",
                "leak" if recipe.leak else "no leak",
                f"weights by {recipe.weight_form}",
                f"spikes by {recipe.spike_form}",
                f"sent as {recipe.sent}",
                *{f"input {x}" for x in recipe.inputs},
            ]
        )
        self.seen["spikes"] += int(sum(x.sum() for x in reference.spikes))


def _same(a: golden.Trace, b: golden.Trace) -> None:
    for x, y in zip([*a.spikes[:-1], a.values], [*b.spikes[:-1], b.values], strict=True):
        np.testing.assert_array_equal(x, y)
    for v, w in zip(a.states, b.states, strict=True):
        assert (v is None) == (w is None)
        if v is not None:
            np.testing.assert_array_equal(v, w)


def search(bench: Bench, count: int, at_seed: int, executor_every: int = 1, direct: bool = False) -> None:
    """Check `count` random networks; raise the failure of the smallest that fails, after keeping it as a regression.

    direct: networks with direct input, which are none of the others.
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
    @given(recipes(direct))
    def every(recipe: Recipe) -> None:
        nonlocal tried
        tried += 1
        try:
            bench.check(recipe, tried % executor_every == 0)
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
    parser.add_argument("--out", type=file_to_write, metavar="FILE")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for start in range(0, args.count, 500):  # hypothesis keeps a tree of all that it has tried
            count = min(500, args.count - start)
            search(bench, count - count // 6, args.seed + start)
            if count >= 6:
                search(bench, count // 6, args.seed + start, direct=True)
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
