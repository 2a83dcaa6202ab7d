"""`spikeline data`: fetch and check MNIST; write it as events."""

import argparse

from spikeline.cli.arguments import folder_to_write, path, positive
from spikeline.errors import DataError


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    data = subparsers.add_parser("data", help="Fetch and check MNIST; write it as events.")
    data.add_argument("--root", type=path, metavar="DIR", help="Folder to keep MNIST in (default: the cache).")
    data.add_argument(
        "--saccades",
        type=folder_to_write,
        metavar="DIR",
        help="Folder to write simulated saccades to, as N-MNIST files (default: none are written).",
    )
    data.add_argument(
        "--split",
        choices=("train", "test"),
        default="test",
        help="Split that --saccades writes: %(choices)s (default: %(default)s).",
    )
    data.add_argument(
        "--images",
        type=positive,
        default=1000,
        metavar="N",
        help="Number of images that --saccades writes, from the first on (default: %(default)s).",
    )
    data.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spikeline.data import mnist, nmnist, saccades

    print(f"MNIST is complete in {mnist.fetch(args.root)}")
    if args.saccades is None:
        return
    pixels, labels = mnist.load(args.split, args.root)
    if args.images > len(pixels):
        raise DataError(f"--images {args.images}: MNIST has {len(pixels)} images in its {args.split} split")
    folder = args.saccades / nmnist.FOLDERS[args.split]
    for n in range(args.images):
        nmnist.write(folder / str(labels[n]) / f"{n + 1:05d}.bin", saccades.simulate(pixels[n]))
    print(f"saccades of the first {args.images:,} {args.split} images are in {folder}")
