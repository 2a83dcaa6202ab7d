"""Power of the board while the accelerator is idle and while it works: measured, estimated by the vendor's tool, or unknown.

Whatever measures, it gives a `Trace` of time stamps and watts, and what belongs to a phase is told by time alone. Nothing is
invented: what was not measured is None, and an estimate says that it is one.
"""

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spikeline.errors import DataError, DeviceError, SpikelineError
from spikeline.files import read_json
from spikeline.measure import meter

SOURCES = "none, rails[:NAME,NAME], hwmon[:NAME], csv:FILE[@OFFSET] or estimate:FILE"
ATTACH = (
    "wire an INA219 or INA226 to an I2C bus that Linux knows, then `modprobe ina2xx` and "
    "`echo ina219 0x40 > /sys/bus/i2c/devices/i2c-N/new_device`; PYNQ-Z1 and PYNQ-Z2 have no such bus on a pin: docs/board.md"
)
NUMBERS = """
    sample_rate_hz idle_w idle_spread_w idle_samples active_w active_spread_w active_samples
    dynamic_w dynamic_spread_w active_seconds energy_per_image_uj dynamic_energy_per_image_uj
"""


@dataclass(frozen=True)
class Source:
    """Where the power of a board is read; made by `open_source`."""

    power_source: str  # "measured", "estimated" or "none"
    sensor: str | None = None  # for people
    sensors: dict[str, Any] = field(default_factory=dict)  # rail: pynq sensor in W; their sum is the power
    log: tuple[Path, float] | None = None  # a meter's CSV, and the seconds added to its times
    estimate: tuple[float, float, float] | None = None  # total, dynamic, static W


@dataclass(frozen=True)
class Trace:
    """What sensors or a meter measured."""

    times: np.ndarray  # float64 (S,): seconds since the epoch, in order
    watts: np.ndarray  # float64 (S, rails)
    rails: tuple[str, ...]
    sensor: str  # for people
    error: type[SpikelineError]  # raised where samples are lacking, with
    fix: str


def open_source(source: str, root: Path | str = "/sys/class/hwmon") -> Source:
    """Find what a source, written as on the command line, stands for. Sensors are read once.

    * `none`: nothing is measured.
    * `rails` or `rails:NAME,NAME`: rails of the board, by pynq; all of them without names. Their power is summed, so name
      them if one feeds another.
    * `hwmon` or `hwmon:NAME`: a chip under `root`. NAME is its name (ina226) or directory (hwmon2); without NAME it is the
      one whose name begins with "ina". Channel 1 is read. Linux takes the shunt of an INA219 or INA226 for 10 mΩ: write that
      of yours, in µΩ, to its `shunt_resistor`, or every figure is off by the ratio.
    * `csv:FILE` or `csv:FILE@OFFSET`: a meter's log, read for the report. OFFSET, in seconds, is added to its times to get
      those of this computer.
    * `estimate:FILE`: the vendor's power report as JSON, {"total_w": W, "dynamic_w": W, "static_w": W, "source": text}.

    Raises DeviceError for a sensor that is missing, ambiguous or unreadable, DataError for a malformed source or estimate.
    """
    kind, _, rest = source.partition(":")
    if source == "none":
        return Source("none")
    if kind == "rails":
        return _rails(rest)
    if kind == "hwmon":
        return _hwmon(rest, Path(root))
    if kind == "csv" and rest:
        return _log(rest)
    if kind == "estimate" and rest:
        return _estimate(Path(rest).expanduser())
    raise DataError(f"no power source {source!r}; use {SOURCES}")


def _pynq() -> Any:
    try:
        import pandas  # noqa: F401  pynq records with it, but does not require it
        import pynq.pmbus
    except ImportError as error:
        raise DeviceError(f"sensors are read with pynq and pandas ({error}): `pip install 'spikeline[board]' pandas`") from error
    return pynq


def _rails(names: str) -> Source:
    pynq = _pynq()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that libsensors is missing: the error below says it
        found = pynq.get_rails()
    usable = {}
    for name, rail in found.items():
        if rail.power is not None:
            usable[name] = rail.power
        elif rail.voltage is not None and rail.current is not None:
            usable[name] = pynq.pmbus.DerivedPowerSensor(name, rail.voltage, rail.current)
    if not usable:
        raise DeviceError(
            "no power rails: this board has none (PYNQ-Z1 and PYNQ-Z2 do not), or libsensors.so is missing, which "
            f"`sudo apt-get install libsensors5 libsensors-dev` brings; or use another source: {SOURCES}"
        )
    chosen = [name.strip() for name in names.split(",")] if names else list(usable)
    unknown = [name for name in chosen if name not in usable]
    if unknown:
        raise DeviceError(f"no power rail {', '.join(unknown)}; there are: {', '.join(usable)}")
    sensors = {name: usable[name] for name in chosen}
    return _readable(f"rails {', '.join(sensors)}", sensors)


def _hwmon(wanted: str, root: Path) -> Source:
    chips = []
    for directory in sorted(root.glob("hwmon*")):
        files = {file.name for file in directory.glob("*")}
        if "name" in files and ("power1_input" in files or files >= {"in1_input", "curr1_input"}):
            chips.append(((directory / "name").read_text().strip(), directory))
    chosen = [c for c in chips if (wanted in (c[0], c[1].name) if wanted else c[0].startswith("ina"))]
    listed = ", ".join(f"{chip} ({directory.name})" for chip, directory in chosen or chips)
    if not chosen:
        kind = repr(wanted) if wanted else "INA"
        raise DeviceError(f"no {kind} power sensor under {root}, which has: {listed or 'none'}; {ATTACH}")
    if len(chosen) > 1:
        raise DeviceError(f"several power sensors under {root}: {listed}; name one, such as hwmon:{chosen[0][1].name}")
    chip, directory = chosen[0]
    pmbus = _pynq().pmbus
    if (directory / "power1_input").is_file():
        sensor = pmbus.SysFSSensor(directory / "power1_input", "W", "power", 1e-6)
    else:
        bus = pmbus.SysFSSensor(directory / "in1_input", "V", "voltage", 1e-3)  # in0 is the voltage of the shunt
        current = pmbus.SysFSSensor(directory / "curr1_input", "A", "current", 1e-3)
        sensor = pmbus.DerivedPowerSensor("power", bus, current)
    return _readable(f"{chip} ({directory.name})", {chip: sensor})


def _readable(text: str, sensors: dict[str, Any]) -> Source:
    try:
        for sensor in sensors.values():
            float(sensor.value)
    except (OSError, ValueError) as error:
        raise DeviceError(f"cannot read the power sensor {text}: {error}; check its wiring and your permissions") from error
    return Source("measured", text, sensors)


def _log(rest: str) -> Source:
    name, at, offset = rest.rpartition("@")
    try:
        path, seconds = (Path(name), float(offset)) if at else (Path(rest), 0.0)
    except ValueError as error:
        text = f"csv:{rest}: the offset {offset!r} is no number of seconds"
        raise DataError(f"{text}; write csv:FILE@-1.5, and @0 after a name with an @ in it") from error
    return Source("measured", f"meter's log {path.name}", log=(path.expanduser(), seconds))


def _estimate(path: Path) -> Source:
    try:
        report = read_json(path)
        total, dynamic, static = (float(report[key]) for key in ("total_w", "dynamic_w", "static_w"))
        if not all(0 <= watts <= meter.LARGEST_W for watts in (total, dynamic, static)):
            raise ValueError("a power is a number of watts, 0 or more and at most a thousand")
        return Source("estimated", f"{report['source']} (estimate)", estimate=(total, dynamic, static))
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        form = '{"total_w": W, "dynamic_w": W, "static_w": W, "source": text}'
        raise DataError(f"cannot read the power estimate {path}: {error!r}; write JSON such as {form}") from error


class _Reading:
    """A sensor as pynq's thread reads it. A failure is kept: the thread would end of it, and nobody see."""

    parents = ()

    def __init__(self, name: str, sensor: Any):
        self.name = name
        self.error: Exception | None = None
        self._sensor = sensor

    def get_value(self, parents: Any = None) -> float:
        try:
            return float(self._sensor.value)
        except Exception as error:
            self.error = error
            return math.nan


class Recorder:
    """Records a source while its context lasts, and when the phases of the work were.

    `interval` is the pause between two samples in seconds; reading comes on top. Raises DataError unless it is above 0.
    """

    def __init__(self, source: Source, interval: float = 0.01):
        if not 0 < interval < math.inf:
            raise DataError(f"an interval of {interval} s between samples of power; use one above 0")
        self.source = source
        self.phases: list[dict[str, Any]] = []  # as in the report
        self._interval = interval
        self._readings = [_Reading(name, sensor) for name, sensor in source.sensors.items()]
        self._recorded: tuple[np.ndarray, np.ndarray] | None = None

    def __enter__(self) -> "Recorder":
        if self._readings:
            self._zone = time.localtime().tm_gmtoff
            self._recording = _pynq().pmbus.DataRecorder(*self._readings).record(self._interval)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._readings:
            self._recording.stop()
            frame = self._recording.frame
            local = frame.index.to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6  # pynq's time stamps have no zone
            self._recorded = local - self._zone, frame.iloc[:, 1:].to_numpy(np.float64)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Call the time within the block `name`; "idle" and "active" are reported. Phases of one name count as one, and a
        block that an exception ends is none."""
        start = time.time()
        yield
        self.phases.append({"name": name, "start": start, "stop": time.time()})

    @property
    def trace(self) -> tuple[np.ndarray, np.ndarray]:
        """Times in seconds since the epoch and the total power in W, float64 (S,) both; empty if nothing is measured."""
        trace = self._trace()
        return (trace.times, trace.watts.sum(1)) if trace else (np.zeros(0), np.zeros(0))

    def report(self, images: int) -> dict[str, Any]:
        """Figures of the "idle" and "active" phases, ready for JSON; `images` is how many the active ones classified.

        * power_source ("measured", "estimated", "none") and sensor, for people
        * sample_rate_hz: of the median time between samples; None if many have the same time stamp
        * idle_w, active_w: mean; idle_spread_w, active_spread_w: sample standard deviation; idle_samples, active_samples
        * dynamic_w: active minus idle; dynamic_spread_w: standard error of that difference if samples are independent. Those
          of a slow sensor repeat, so it is a lower bound
        * active_seconds; energy_per_image_uj: active_w * active_seconds / images in µJ, so all that the board took;
          dynamic_energy_per_image_uj: the same of dynamic_w
        * rails: {name: {idle_w, active_w}} if there are several; phases: [{name, start, stop}] in seconds since the epoch

        All numbers are None with the source "none". An estimate gives its total, dynamic and static power as active_w,
        dynamic_w and idle_w, and energies if there was an active phase.
        Raises DeviceError, or DataError for a log, if a reading failed or a phase has too few samples or none with power.
        """
        trace = self._trace()
        if trace:
            return _measured(trace, self.phases, images)
        metrics = _figures(self.source.power_source, self.source.sensor, self.phases)
        if self.source.estimate:
            metrics["active_w"], metrics["dynamic_w"], metrics["idle_w"] = self.source.estimate
            _add_energies(metrics, images)
        return metrics

    def _trace(self) -> Trace | None:
        if self.source.log:
            return _logged(*self.source.log)
        if not self._readings:
            return None
        sensor = str(self.source.sensor)
        for reading in self._readings:
            if reading.error:
                text = f"{sensor}: reading {reading.name} failed while it was recorded: {reading.error}"
                raise DeviceError(f"{text}; check its wiring and measure again") from reading.error
        if self._recorded is None:
            raise DeviceError(f"{sensor}: nothing is recorded yet; report after the `with` block of the recorder")
        fix = "make the phase longer or the interval between samples smaller"
        return Trace(*self._recorded, tuple(self.source.sensors), sensor, DeviceError, fix)


def merge_csv(metrics: dict[str, Any], path: Path | str, offset: float, images: int) -> dict[str, Any]:
    """The report that `csv:path@offset` would have given for the phases of `metrics`, a report whose source is "none".

    For a meter that logs on another computer. Raises DataError if `metrics` is another report, and as that report would.
    """
    try:
        if metrics["power_source"] != "none" or type(images) is not int or images >= 1 << 53:
            raise ValueError(f"{images!r} images, power source {metrics['power_source']!r}")
        phases = [{"name": p["name"], "start": float(p["start"]), "stop": float(p["stop"])} for p in metrics["phases"]]
        if any(abs(p[end]) > meter.LATEST for p in phases for end in ("start", "stop")):
            raise ValueError("a phase at no time that can be")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        text = "a meter's log can be merged only into a report with phases and the power source 'none'"
        raise DataError(f"{text} ({error!r}); measure again with `spikeline bench --backend board`") from None
    return _measured(_logged(Path(path), offset), phases, images)


def _figures(power_source: str, sensor: str | None, phases: list[dict[str, Any]]) -> dict[str, Any]:
    """A report without numbers."""
    numbers = dict.fromkeys(NUMBERS.split())
    return {"power_source": power_source, "sensor": sensor, **numbers, "rails": {}, "phases": list(phases)}


def _measured(trace: Trace, phases: list[dict[str, Any]], images: int) -> dict[str, Any]:
    metrics = _figures("measured", trace.sensor, phases)
    idle, active = (_pooled(trace, phases, name) for name in ("idle", "active"))
    for name, watts in (("idle", idle.sum(1)), ("active", active.sum(1))):
        metrics[f"{name}_w"] = float(watts.mean())
        metrics[f"{name}_spread_w"] = float(watts.std(ddof=1))
        metrics[f"{name}_samples"] = len(watts)
    period = float(np.median(np.diff(trace.times)))
    metrics["sample_rate_hz"] = 1 / period if period > 0 else None
    metrics["dynamic_w"] = metrics["active_w"] - metrics["idle_w"]
    errors = (metrics[f"{name}_spread_w"] / math.sqrt(metrics[f"{name}_samples"]) for name in ("idle", "active"))
    metrics["dynamic_spread_w"] = math.hypot(*errors)
    if len(trace.rails) > 1:
        means = zip(trace.rails, idle.mean(0), active.mean(0), strict=True)
        metrics["rails"] = {rail: {"idle_w": float(i), "active_w": float(a)} for rail, i, a in means}
    _add_energies(metrics, images)
    return metrics


def _spans(phases: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(phase["start"], phase["stop"]) for phase in phases if phase["name"] == name]


def _add_energies(metrics: dict[str, Any], images: int) -> None:
    if images < 1:
        raise DataError(f"energy per image of {images} images; classify at least one in the active phase")
    spans = _spans(metrics["phases"], "active")
    if spans:
        seconds = metrics["active_seconds"] = sum(stop - start for start, stop in spans)
        metrics["energy_per_image_uj"] = metrics["active_w"] * seconds / images * 1e6
        metrics["dynamic_energy_per_image_uj"] = metrics["dynamic_w"] * seconds / images * 1e6


def _pooled(trace: Trace, phases: list[dict[str, Any]], name: str) -> np.ndarray:
    """Watts (n, rails) of the samples within all phases of a name."""
    times, spans = trace.times, _spans(phases, name)
    if not spans:
        raise DataError(f"no phase {name!r} was recorded; put it into `with recorder.phase({name!r}):`")
    inside = np.any([(times >= start) & (times < stop) for start, stop in spans], axis=0)
    first, last = (times[0], times[-1]) if len(times) else (math.inf, -math.inf)
    lacking = spans if inside.sum() < 2 else [(start, stop) for start, stop in spans if stop <= first or start > last]
    if lacking:
        text = f"{trace.sensor}: fewer than 2 samples in the phase {name!r}, from {lacking[0][0]:.3f} to {lacking[0][1]:.3f} s"
        raise trace.error(f"{text}; those recorded are from {first:.3f} to {last:.3f} s; {trace.fix}")
    mean = trace.watts[inside].sum(1).mean()
    if not mean > 0:
        raise trace.error(f"{trace.sensor}: {mean:g} W in the phase {name!r}; does the board's supply go through the sensor?")
    return trace.watts[inside]


def _logged(path: Path, offset: float) -> Trace:
    times, watts = meter.read(path)
    fix = f"correct the OFFSET in seconds that is added to the times of {path}"
    return Trace(times + offset, watts[:, None], ("meter",), f"meter's log {path.name}", DataError, fix)
