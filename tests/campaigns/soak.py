"""Soak: classify MNIST over and over on the simulated accelerator, through memories of every kind, and through faults.

soak.py IMAGE... --images 1000000 --seed 1 --out docs/results/soak.json

Every label, and the number of time steps that it took, is compared with the golden model's. Images go through the driver that
a board uses, from a memory as a board's every other time. Between them networks are loaded, and

- a reset falls in the middle of a batch: the accelerator must say that no network is loaded;
- the memory fails in the middle of a batch: that must be told, and what comes after it is right again;
- a bit of a network flips on its way: it must be refused, and the next load must mend it.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikeline.cli.arguments import file_to_write
from spikeline.cli.status import status
from spikeline.data import mnist, samples
from spikeline.device.driver import Driver
from spikeline.device.packets import Pixels, packed
from spikeline.errors import DeviceError
from spikeline.files import atomic
from spikeline.measure import evaluate
from spikeline.model import golden, model_file
from spikeline.model.encode import encode
from spikeline.model.geometry import Geometry
from spikeline.model.spec import MEMORY_ERROR, MemoryFault, Register
from spikeline.simulation.verilated import BOARD_LIKE, MEMORY_BASE, SimDevice
from support.memory import change, start

SHORT, LONG = (0, 0.1, 0.5, 0.9), (0, 0, 0, 0.02, 0.1)  # shares of the cycles that stall, of short and of long batches
SHOWN = 50_000  # images between two lines of progress


@dataclass
class Subject:
    """A network and what the golden model says of all images."""

    path: Path
    model: model_file.Model
    labels: np.ndarray  # (10000,)
    steps: np.ndarray


def subject(path: Path, pixels: np.ndarray, seed: int) -> Subject:
    """Load an image and run the golden model on all pixels, uint8 (B, 784)."""
    loaded = model_file.load(path)
    samples.require(loaded)
    network = loaded.network
    traces = []
    for first in range(0, len(pixels), 1000):
        part = pixels[first : first + 1000]
        traces.append(golden.run(network, encode(part, network.encoder.name.lower(), network.time_steps, seed, first)))
    return Subject(path, loaded, np.concatenate([x.labels for x in traces]), np.concatenate([x.steps for x in traces]))


def interrupted(driver: Driver, pixels: np.ndarray, rng: np.random.Generator) -> None:
    """Begin to send a batch, let some cycles pass, reset: nothing may be left of network, packet or result."""
    device = driver.device
    words = packed(Pixels(pixels))
    start(device, words, len(pixels))
    device.idle(int(rng.integers(1, 4000)))
    driver.reset()
    if device.read(Register.STATUS) != 1:
        raise AssertionError("idle, and without a network, is what a reset leaves")


def memory_fault(driver: Driver, pixels: np.ndarray, rng: np.random.Generator) -> None:
    """Begin to send a batch and let the memory fail: unless all was done by then, that is told, and a reset ends it."""
    device = driver.device
    transfers, _ = start(device, packed(Pixels(pixels)), len(pixels))
    device.idle(int(rng.integers(1, 4000)))
    left = transfers.poll()
    device.fail(MEMORY_BASE, device.memory.nbytes)
    device.idle(20_000)
    error = MEMORY_ERROR.unpack(device.read(Register.MEMORY_ERROR))["code"]
    if left and error != MemoryFault.REFUSED:
        raise AssertionError(f"a memory that refuses all accesses in the middle of a batch is told as error {error}")
    device.fail(0, 0)
    driver.reset()


def flipped_bit(driver: Driver, model: model_file.Model, rng: np.random.Generator) -> None:
    """Load a network of which one bit has flipped: it must be refused, and not be there."""
    packets = [packet.copy() for packet in model.packets]
    packet = packets[int(rng.integers(len(packets)))]
    packet[int(rng.integers(len(packet)))] ^= np.uint64(1) << np.uint64(rng.integers(64))
    try:
        driver.load(replace(model, packets=tuple(packets)))
    except DeviceError:
        if driver.check():
            raise AssertionError("a network that was refused is there") from None
    else:
        raise AssertionError("a bit that flipped was not seen")


def soak(paths: list[Path], geometry: Geometry, images: int, seed: int) -> dict:
    """Run; returns the figures. Raises AssertionError at the first label that differs."""
    rng = np.random.default_rng(seed)
    pixels, truth = mnist.load("test")
    pixels = pixels.reshape(len(pixels), -1)
    subjects = [subject(path, pixels, seed) for path in paths]
    device = SimDevice(geometry)
    driver = Driver(device, geometry.name, geometry.clock_mhz, timeout=600)
    done = resets = faults = flips = loads = wrong = shown = 0
    began = time.monotonic()
    while done < images:
        chosen = subjects[rng.integers(len(subjects))]
        if rng.random() < 0.3:
            flipped_bit(driver, chosen.model, rng)
            flips += 1
        driver.load(chosen.model)
        loads += 1
        for _ in range(int(rng.integers(1, 4))):
            size = min(int(rng.choice([1, 7, 300, 5000, 10_000])), images - done)
            if rng.random() < 0.5:
                device.timing(BOARD_LIKE, int(rng.integers(1, 1 << 32)))
            else:
                change(device, rng, SHORT if size <= 300 else LONG)
            first = int(rng.integers(0, len(pixels) - size + 1))
            part = slice(first, first + size)
            ((labels, steps, *_),) = driver.classify([Pixels(pixels[part], seed, first)], False)
            different = (labels != chosen.labels[part]) | (steps != chosen.steps[part])
            wrong += int(different.sum())
            assert not wrong, f"seed {seed}, image {done}: {chosen.path} gives other labels from test image {first} on"
            done += size
            if done >= images:
                break
        if rng.random() < 0.3:
            interrupted(driver, pixels[:200], rng)
            resets += 1
        elif rng.random() < 0.3:
            memory_fault(driver, pixels[:200], rng)
            faults += 1
        if done - shown >= SHOWN:
            shown = done
            what = f"{done} images, {resets} resets, {faults} faults of the memory, {flips} flipped bits, {loads} loads"
            print(f"{what}, {time.monotonic() - began:.0f} s", flush=True)
    return {
        "images": done,
        "mismatches": wrong,
        "seed": seed,
        "resets_under_way": resets,
        "memory_faults_under_way": faults,
        "flipped_bits": flips,
        "loads": loads,
        "cycles": device.cycles,
        "networks": [x.path.parent.name for x in subjects],
        "accuracy": [round(float((x.labels == truth).mean()), 4) for x in subjects],
        "geometry": geometry.name,
        "stalls": {"short batches": SHORT, "long batches": LONG},
        "seconds": round(time.monotonic() - began, 1),
        "commit": evaluate.commit(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--geometry", default="z020-256")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=file_to_write, metavar="FILE")
    args = parser.parse_args()
    figures = soak(args.models, Geometry.load(args.geometry), args.images, args.seed)
    if args.out:
        with atomic(args.out) as part:
            part.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    sys.exit(status("soak", main))
