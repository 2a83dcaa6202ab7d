"""Write a network and MNIST test digits as the files that data.S links in: network.bin, digits.bin, truth.bin."""

import argparse
from pathlib import Path

from spikeline.data import samples
from spikeline.errors import SpikelineError
from spikeline.files import atomic
from spikeline.model import model_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model of `spikeline compile`")
    parser.add_argument("--images", type=int, default=300, help="the first so many test digits (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    options = parser.parse_args()
    try:
        given = samples.of(model_file.load(options.model))
    except SpikelineError as error:
        parser.error(f"{options.model}: {error}")
    if given.pixels is None:
        parser.error(f"{options.model} takes events, not pixels")
    pixels, labels = given.pixels, given.labels
    if not 1 <= options.images <= len(labels):
        parser.error(f"--images must be 1 to {len(labels)}")
    for name, content in (
        ("network", options.model.read_bytes()),
        ("digits", pixels[: options.images].tobytes()),
        ("truth", labels[: options.images].tobytes()),
    ):
        with atomic(options.out / f"{name}.bin") as path:
            path.write_bytes(content)


if __name__ == "__main__":
    main()
