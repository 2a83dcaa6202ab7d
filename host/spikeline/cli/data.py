"""`spikeline data`: what is in a data set; fetch and check MNIST; write it as events."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeline.cli.arguments import file_to_write, folder_to_write, name_or_path, positive
from spikeline.cli.samples import add_options, add_root, options
from spikeline.errors import DataError

if TYPE_CHECKING:
    from spikeline.data.data_set import DataSet, Split

TIME_STEPS = 10  # that recordings are binned to, to be looked at
SHOWN = 20  # classes listed one by one


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    data = subparsers.add_parser("data", help="Show what is in a data set; without one, fetch and check MNIST.")
    data.add_argument(
        "data",
        nargs="?",
        type=name_or_path,
        metavar="NAME_OR_PATH",
        help="Data set to look at, as of --data elsewhere (default: MNIST is fetched and checked).",
    )
    add_root(data)
    add_options(data)
    data.add_argument("--pool", type=positive, default=1, metavar="N", help="Cells of recordings, N x N pixels (default: 1).")
    data.add_argument(
        "--out", type=file_to_write, metavar="FILE", help="Picture to draw some samples of each class to, .png (default: none)."
    )
    data.add_argument("--json", action="store_true", help="Print JSON instead of a table.")
    data.add_argument(
        "--saccades",
        type=folder_to_write,
        metavar="DIR",
        help="Folder to write simulated saccades of MNIST to, as N-MNIST files (default: none are written).",
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
    if args.data is not None:
        if args.saccades is not None:
            raise DataError("--saccades writes MNIST; leave out the data set")
        show(args)
        return
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


def show(args: argparse.Namespace) -> None:
    """Read all of a data set, tell what is in it, and draw some of it."""
    from spikeline.data import data_sets

    found = data_sets.find(args.data, args.root, args.strict, **options(args))
    found.require()
    steps = None if found.images else TIME_STEPS if found.sensor else found.shape[0]
    parts = {split: found.read(split, steps, args.pool) for split in found.counts}
    facts: dict[str, Any] = {"kind": found.kind, **found.facts, "splits": {x: describe(part, found) for x, part in parts.items()}}
    facts["oddities"] = oddities(parts, found)
    print(json.dumps(facts, indent=1) if args.json else table(facts))
    if args.out is not None:
        draw(args.out, found, parts, args.pool)
        print(f"some of its samples are in {args.out}")


def describe(part: "Split", data: "DataSet") -> dict[str, Any]:
    """What is in a split, as plain data: samples, how many of each class, range and mean of the values, SHA-256."""
    import numpy as np

    values = part.samples if isinstance(part.samples, np.ndarray) else part.samples.batch(slice(None, 1000))
    facts: dict[str, Any] = {"samples": len(part)}
    if part.labels is not None:
        facts["of_class"] = np.bincount(part.labels, minlength=len(data.classes)).tolist()
    facts["range"] = [int(values.min()), int(values.max())]
    return facts | {"mean": float(values.mean()), "sha256": part.sha256}


def oddities(parts: "dict[str, Split]", data: "DataSet") -> list[str]:
    """What a user should know before training on it, a sentence each."""
    import numpy as np

    found = []
    for split, part in parts.items():
        values = part.samples if isinstance(part.samples, np.ndarray) else part.samples.packed
        flat = values.reshape(len(values), -1)
        if part.labels is None:
            found.append(f"{split}: no labels; it can be classified, not trained or scored on")
        elif missing := [x for n, x in enumerate(data.classes) if not (part.labels == n).any()]:
            found.append(f"{split}: no sample of {', '.join(missing[:SHOWN])}")
        if blank := int((flat == flat[:, :1]).all(1).sum()):
            found.append(f"{split}: {blank:,} samples of one value only")
        if isinstance(part.samples, np.ndarray) and flat.max() <= 15:
            found.append(f"{split}: no value above {flat.max()}; if that is white, multiply by {255 // max(int(flat.max()), 1)}")
        if (distinct := len({row.tobytes() for row in flat})) < len(flat):
            found.append(f"{split}: {len(flat) - distinct:,} samples are there more than once")
    if len(parts) == 2:
        rows = [part.samples if isinstance(part.samples, np.ndarray) else part.samples.packed for part in parts.values()]
        seen = {row.tobytes() for row in rows[0]}
        if both := sum(row.tobytes() in seen for row in rows[1]):
            found.append(f"{both:,} samples of the test split are in the training split too")
    return found


def table(facts: dict[str, Any]) -> str:
    """`show` for a reader."""
    shape = " x ".join(map(str, facts["shape"]))
    meaning = {"images": "rows x columns", "recordings": "polarities x rows x columns", "spike trains": "time steps x inputs"}
    classes = f"{len(facts['classes'])} classes" if facts["classes"] else "no classes"
    lines = [f"{facts['name']}: {facts['kind']} of {shape} ({meaning[facts['kind']]}), {classes}"]
    for split, x in facts["splits"].items():
        low, high = x["range"]
        lines.append(
            f"  {split:<6} {x['samples']:>8,} samples, values {low} to {high}, mean {x['mean']:.4g}, SHA-256 {x['sha256'][:12]}…"
        )
    columns = [(split, x["of_class"]) for split, x in facts["splits"].items() if "of_class" in x]
    for n, name in enumerate(facts["classes"][:SHOWN]):
        counts = ", ".join(f"{of_class[n]:,} {split}" for split, of_class in columns)
        lines.append(f"  class {n:<3} {name}: {counts}")
    if len(facts["classes"]) > SHOWN:
        lines.append(f"  and {len(facts['classes']) - SHOWN:,} classes more")
    return "\n".join([*lines, *(f"  note: {x}" for x in facts["oddities"])])


def draw(out: Path, data: "DataSet", parts: "dict[str, Split]", pool: int) -> None:
    """Draw a contact sheet: a row for each class, up to SHOWN, and in it the first samples."""
    import numpy as np

    from spikeline.measure import plots

    part = parts.get("train", next(iter(parts.values())))
    if part.labels is None:
        rows = [("", np.arange(min(len(part), plots.ACROSS)))]
    else:
        rows = [(x, np.flatnonzero(part.labels == n)[: plots.ACROSS]) for n, x in enumerate(data.classes[:SHOWN])]
    shape = (data.sensor.polarities, *data.sensor.cells(pool)) if data.sensor and not data.images else data.shape

    def picture(n: int) -> np.ndarray:
        if isinstance(part.samples, np.ndarray):
            return plots.picture(part.samples[n], shape)
        train = part.samples.batch(np.array([n]))[0]
        return plots.picture(train.sum(0), shape) if data.sensor else train.T  # inputs over time steps

    plots.contact_sheet(out, [(name, [picture(int(n)) for n in some]) for name, some in rows])
