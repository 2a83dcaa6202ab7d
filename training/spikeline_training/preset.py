"""A preset: everything that decides what a training run produces, read from a TOML file."""

import codecs
import contextlib
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikeline.data.data_set import DataSet
from spikeline.data.data_sets import KNOWN, find
from spikeline.errors import DataError, PresetError
from spikeline.files import read
from spikeline.model import encode
from spikeline.model.model_file import dataset_fault
from spikeline.model.network import KERNELS, MAX_LAYERS, Window

FOLDER = Path(__file__).parent / "presets"
LARGEST = 1 << 16  # bytes of a file
MARKS = {  # byte order marks; that of UTF-16 begins one of UTF-32
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
WEIGHT_BITS = (1, 2, 3, 4, 8)
INTEGRATIONS = ("discontinuous", "continuous")
OUTPUTS = ("membrane", "spike_count")  # what the class is read from
ENCODERS = (*encode.ENCODERS, "events")
HIDDEN = "hidden = [256, 256]"
CONVOLUTION = "{ maps = 16, kernel = 3, stride = 2, padding = 1, pool = true }"
OF_TIME = ("latency", "events")  # encoders whose spikes mean nothing without the steps before


def _key(default: Any, legal: str, low: float = -math.inf, high: float = math.inf, choices: tuple = (), item: type = int) -> Any:
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"legal": legal, "choices": ()})
    return field(default=default, metadata={"legal": legal, "low": low, "high": high, "choices": choices, "item": item})


@dataclass(frozen=True)
class Convolution:
    """A convolution of a preset: a table of its `convolutions`. See `spikeline.model.network.Window`."""

    maps: int = _key(16, "1..4096", 1, 4096)
    kernel: int = _key(3, " or ".join(map(str, KERNELS)), choices=KERNELS)
    stride: int = _key(1, "1 or 2", choices=(1, 2))
    padding: int = _key(0, "0, or 1 for a kernel of 3", choices=(0, 1))
    pool: bool = _key(False, "true or false, of 2×2 spikes", choices=(False, True))


@dataclass(frozen=True)
class Preset:
    """One training run. A TOML file sets some keys; the others keep the defaults below."""

    name: str = _key("", "text; the file's stem")
    convolutions: tuple[Convolution, ...] = _key(
        (),
        f"a table each, such as [{CONVOLUTION}], before the hidden layers, with which they are at most {MAX_LAYERS - 1}",
        item=Convolution,
    )
    hidden: tuple[int, ...] = _key(
        (256, 256), f"neurons of each fully connected hidden layer, 1..4096; none to {MAX_LAYERS - 1} layers"
    )
    sizes: tuple[int, ...] = _key((), f"inputs and classes of the data, between them 1..4096; leave it out and give {HIDDEN!r}")
    maps: tuple[int, ...] = _key((), "channels, height and width of the data, for convolutions; leave it out")
    integration: str = _key("discontinuous", " or ".join(map(repr, INTEGRATIONS)), choices=INTEGRATIONS)
    output: str = _key("membrane", " or ".join(map(repr, OUTPUTS)), choices=OUTPUTS)
    leak: int = _key(0, "0 (none) to 15, a shift; of continuous integration", 0, 15)
    reset: str = _key("subtract", "'subtract' or 'zero'; of continuous integration", choices=("subtract", "zero"))
    state_bits: int = _key(13, "4..23, bits of a membrane's state; one less than the accelerator's membranes", 4, 23)
    bias: bool = _key(False, "true or false; of continuous integration", choices=(False, True))
    loss_at: str = _key("last", "'last' or 'every' step; of continuous integration", choices=("last", "every"))
    data: str = _key("mnist", f"a name, {KNOWN}, or the path of a .npz file or a folder")
    dataset: Mapping[str, Any] = _key({}, "what was read of the data, which a checkpoint keeps; leave it out")
    pool: int = _key(2, "1..1024, sensor pixels of a cell each way; of recordings", 1, 1024)
    weight_bits: int = _key(4, "1 (±1), 2 (-1, 0, 1), 3, 4 or 8", choices=WEIGHT_BITS)
    encoder: str = _key("bernoulli", " or ".join(map(repr, ENCODERS)), choices=ENCODERS)
    time_steps: int = _key(
        4, "1..255; 1 of the threshold encoder, which repeats itself; of the direct encoder 1..8, bits of a pixel", 1, 255
    )
    seed: int = _key(0, "0..2^63 - 1", 0, 2**63 - 1)
    eval_seed: int = _key(0, "0..2^63 - 1; seeds the test images' spikes", 0, 2**63 - 1)
    train_images: int = _key(0, "0 (all) or at least one batch; the first images of the training split", 0, 2**31)
    epochs: int = _key(40, "1..10000", 1, 10000)
    batch: int = _key(256, "2..60000 images", 2, 60000)
    train_steps: int = _key(1, "1..16, time steps whose sum a training step sees; of discontinuous integration", 1, 16)
    peak_lr: float = _key(4e-3, "above 0, at most 1", 1e-12, 1)
    schedule: str = _key("one_cycle", "'one_cycle' or 'constant'", choices=("one_cycle", "constant"))
    input_dropout: float = _key(0.0, "0..0.9", 0, 0.9)
    hidden_dropout: float = _key(0.0, "0..0.9", 0, 0.9)
    activity: float = _key(0.0, "0..10; weight of the mean spike rate of each hidden layer in the loss", 0, 10)
    rotation: float = _key(0.0, "0..45 degrees, either way", 0, 45)
    scale: float = _key(0.0, "0..0.5, relative, either way", 0, 0.5)
    shear: float = _key(0.0, "0..0.5, relative, either way", 0, 0.5)
    shift: float = _key(0.0, "0..8 pixels, either way", 0, 8)
    elastic: float = _key(0.0, "0..4 pixels; standard deviation of the displacement of a 7 x 7 grid", 0, 4)

    @property
    def augments(self) -> bool:
        """Whether any augmentation is on."""
        return any((self.rotation, self.scale, self.shear, self.shift, self.elastic))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of its data."""
        return tuple(self.dataset["classes"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample of its data; see `DataSet.shape`."""
        return tuple(self.dataset["shape"])

    @property
    def windows(self) -> tuple[Window, ...]:
        """Of its convolutions, the first of which goes over the maps of its data."""
        windows: list[Window] = []
        for n, x in enumerate(self.convolutions):
            channels, height, width = (self.convolutions[n - 1].maps, *windows[-1].pooled) if n else self.maps
            windows.append(Window(channels, height, width, x.kernel, x.stride, x.padding, x.pool))
        return tuple(windows)

    @property
    def convolved(self) -> tuple[int, ...]:
        """Spikes that each convolution hands on."""
        return tuple(x.maps * math.prod(window.pooled) for x, window in zip(self.convolutions, self.windows, strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as in TOML: what a checkpoint keeps."""
        values = dataclasses.asdict(self) | {"dataset": dict(self.dataset)}
        if self.sizes:
            values["hidden"] = self.sizes[1 + len(self.convolutions) : -1]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def load(name_or_file: str, source: DataSet | None = None, **overrides: Any) -> Preset:
    """The shipped preset of that name, or the preset in that TOML file, with overrides that are not None on top.

    source: the data to train on, instead of what `data` finds. Inputs and classes are theirs.
    Raises PresetError, naming the file, the key and its legal values, for whatever cannot be used.
    """
    path, values = _read(name_or_file)
    given = {key: value for key, value in overrides.items() if value is not None}
    if "dataset" in values | given:
        raise PresetError(f"{path}: unknown key 'dataset'; data say it themselves, give data = a name or a path")
    return from_dict({"name": path.stem} | values | given, str(path), source)


def data_of(name_or_file: str) -> str:
    """The data set that a preset names. Raises PresetError."""
    path, values = _read(name_or_file)
    key = next(f for f in dataclasses.fields(Preset) if f.name == "data")
    return _checked(key, values.get("data", key.default), str(path))


def _read(name_or_file: str) -> tuple[Path, dict[str, Any]]:
    """The file of a preset, and what it sets."""
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = FOLDER / f"{name_or_file}.toml"
        if not path.is_file():
            raise PresetError(f"no preset {name_or_file!r}; shipped are {', '.join(names())}, or give a .toml file")
    try:
        return path, parsed(_text(read(path, LARGEST)))
    except OSError as error:
        raise PresetError(f"cannot read preset {path}: {error.strerror}; shipped are {', '.join(names())}") from None
    except UnicodeError as error:
        raise PresetError(f"preset {path} is not UTF-8: {error}; save it as UTF-8") from None
    except ValueError as error:
        raise PresetError(f"preset {path} is no TOML: {error}; mend it there") from None


def _text(content: bytes) -> str:
    """A text file in UTF-8, or in the encoding that its byte order mark says. Raises UnicodeError, with the line."""
    mark, encoding = next((x for x in MARKS.items() if content.startswith(x[0])), (b"", "utf-8"))
    content = content[len(mark) :]
    if mark and not content:
        raise UnicodeError("it holds nothing but a byte order mark")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnicodeError(f"byte {content[error.start]:#04x} in line {line}") from None
    if "\0" in text:
        raise UnicodeError("it has zero bytes, as UTF-16 without its mark has")
    return text


def parsed(text: str) -> dict[str, Any]:
    """TOML as plain values. Raises ValueError."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef]

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("arrays or tables are nested too deep") from None


def names() -> list[str]:
    """Names of the shipped presets."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def from_dict(values: Mapping[str, Any], origin: str, source: DataSet | None = None) -> Preset:
    """A checked preset from plain values; `origin` names their file in messages. Raises PresetError, DataError for bad data.

    Sizes are derived from the data: of `source`, else what the values say was read of them, else what `data` finds.
    """
    checked = _checked_all(Preset, values, origin)
    preset, fields = Preset(**checked), {f.name: f for f in dataclasses.fields(Preset)}

    def refuse(key: str, why: str) -> PresetError:
        legal = fields[key].metadata["legal"]
        return PresetError(f"{origin}: {key} = {_shown(getattr(preset, key))} {why}; legal is {legal}")

    if preset.sizes and (preset.dataset or "hidden" not in checked):  # resolved, or from before sizes were derived
        preset = dataclasses.replace(preset, hidden=preset.sizes[1 + len(preset.convolutions) : -1])
    if preset.convolutions and len(preset.convolutions) + len(preset.hidden) >= MAX_LAYERS:
        raise refuse("convolutions", f"and {len(preset.hidden)} hidden layers are too many")
    if len(preset.hidden) >= MAX_LAYERS or not all(1 <= size <= 4096 for size in preset.hidden):
        raise refuse("hidden" if "hidden" in checked else "sizes", "are no hidden layers")
    if preset.encoder in OF_TIME and preset.integration != "continuous":
        raise refuse("integration", f"does not go with encoder = {preset.encoder!r}, whose spikes need steps to add up")
    if preset.encoder == "events" and preset.augments:
        raise refuse("encoder", "takes no augmentation of images")
    if preset.encoder == "latency" and preset.time_steps > encode.LATENCY_SPAN:
        raise refuse("time_steps", f"is more than the latency encoder's {encode.LATENCY_SPAN}")
    if preset.encoder == "direct" and preset.time_steps > encode.PIXEL_BITS:
        raise refuse(
            "time_steps", f"is more than the {encode.PIXEL_BITS} bits of a pixel, which encoder = 'direct' sends one a step"
        )
    if preset.encoder == "direct" and preset.integration == "continuous":
        raise refuse("integration", "does not go with encoder = 'direct', which is decided once an image")
    if preset.encoder == "threshold" and preset.time_steps != 1:
        raise refuse("time_steps", "does not go with encoder = 'threshold'")
    if 0 < preset.train_images < preset.batch:
        raise refuse("train_images", f"is less than batch = {preset.batch}")
    if preset.train_steps > 1 and preset.integration == "continuous":
        raise refuse("train_steps", "does not go with integration = 'continuous', which sees all time steps")
    if source is None and preset.dataset:
        if not _resolved(preset):
            raise refuse("dataset", "is not what was read of data that make these sizes")
        return preset
    try:
        source = source or find(preset.data)
        if preset.sizes and "pool" not in checked and source.sensor:  # of a file from before there was the key
            with contextlib.suppress(DataError):
                preset = dataclasses.replace(preset, pool=source.pool_of(preset.sizes[0]))
        inputs = source.inputs(preset.encoder, preset.pool)
        maps = source.maps(preset.encoder, preset.pool) if preset.convolutions else ()
    except DataError as error:
        raise refuse("data", f"does not go with encoder = {preset.encoder!r}: {error}") from None
    if preset.augments and len(source.shape) != 2:
        raise refuse(
            "data", f"has samples of shape {source.shape}: rotation, scale, shear, shift and elastic need rows and columns"
        )
    if preset.maps not in ((), maps):
        raise refuse("maps", f"does not agree with {source.title}, which makes {'×'.join(map(str, maps))} of it")
    preset = dataclasses.replace(preset, maps=maps)
    for n, window in enumerate(preset.windows):
        if fault := window.fault():
            raise refuse("convolutions", f"of {source.title}: number {n} has {fault}")
    sizes = (inputs, *preset.convolved, *preset.hidden, len(source.classes))
    if preset.sizes not in ((), sizes):
        raise refuse("sizes", f"does not agree with {source.title}, which makes {'-'.join(map(str, sizes))} of it")
    facts = source.facts | ({"pool": preset.pool} if preset.encoder == "events" and source.sensor else {})
    return dataclasses.replace(preset, sizes=sizes, data=source.name, dataset=facts)


def _resolved(preset: Preset) -> bool:
    """Whether a preset says soundly what data it was resolved to, as a checkpoint keeps it."""
    facts = preset.dataset
    if dataset_fault(facts) is not None or facts["name"] != preset.data or not {"shape", "classes"} <= facts.keys():
        return False
    if len(preset.sizes) < 2 or min(preset.sizes) < 1 or preset.sizes[-1] != len(facts["classes"]):
        return False
    if not preset.convolutions:
        return True
    sound = len(preset.maps) == 3 and all(window.fault() is None for window in preset.windows)
    return sound and preset.sizes[:-1] == (math.prod(preset.maps), *preset.convolved, *preset.hidden)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # an integer of thousands of digits, such as TOML's 0xfff…
        return "a number of thousands of digits"


def _checked_all(kind: type, values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The values of a table, a Preset or a Convolution, in the types of their keys, or a PresetError."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise PresetError(f"{origin}: unknown key {_shown(key)}; known are {', '.join(fields)}")
    return {key: _checked(fields[key], value, origin) for key, value in values.items()}


def _checked(key: dataclasses.Field, value: Any, origin: str) -> Any:
    """The value in its key's type, or a PresetError."""
    legal = key.metadata["legal"]
    wanted = dict if key.default is dataclasses.MISSING else type(key.default)
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if wanted is tuple and isinstance(value, list | tuple):
        item = key.metadata["item"]
        if item is int:
            fits, value = all(isinstance(n, int) and not isinstance(n, bool) for n in value), tuple(value)
        elif fits := all(isinstance(table, dict) for table in value):
            value = tuple(item(**_checked_all(item, table, f"{origin}: {key.name} {n}")) for n, table in enumerate(value))
    elif wanted is float and (is_integer or isinstance(value, float)):
        fits = -1e300 < value < 1e300  # a whole number may have no float
        value = float(value) if fits else value
    else:
        fits = is_integer if wanted is int else isinstance(value, wanted)
    if not fits:
        raise PresetError(f"{origin}: {key.name} = {_shown(value)} has the wrong type; legal is {legal}")
    choices = key.metadata["choices"]
    if choices and value not in choices:
        raise PresetError(f"{origin}: {key.name} = {_shown(value)} is not legal; legal is {legal}")
    if wanted in (int, float) and not key.metadata["low"] <= value <= key.metadata["high"]:
        raise PresetError(f"{origin}: {key.name} = {_shown(value)} is out of range; legal is {legal}")
    return value
