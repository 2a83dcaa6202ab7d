"""Power: fake sensors, rails and meters with known figures, and what is refused."""

import json
import math
import sys
import threading
import time
import warnings
from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.errors import DataError, DeviceError
from spikeline.files import atomic
from spikeline.measure import power

IDLE, ACTIVE = 1.9, 2.4  # W
START = 1_700_000_000.0  # seconds since the epoch
PHASES = [{"name": "idle", "start": START, "stop": START + 2}, {"name": "active", "start": START + 2, "stop": START + 6}]
UNMEASURED = {"power_source": "none", "phases": PHASES}


def write(path, content):
    """The recorder's thread may read the file meanwhile."""
    with atomic(path) as temporary:
        temporary.write_text(str(content))


def chip(root, number, name, **files):
    directory = root / f"hwmon{number}"
    for file, content in {"name": f"{name}\n", **files}.items():
        write(directory / file, content)
    return directory


def settle():
    """Long enough for a reading from before to be stamped before."""
    time.sleep(0.05)


def record(source, change=lambda: None):
    """A recorder that is done."""
    with power.Recorder(source, interval=0.002) as recorder:
        with recorder.phase("idle"):
            time.sleep(0.12)
        change()
        settle()
        with recorder.phase("active"):
            time.sleep(0.12)
    return recorder


@pytest.fixture
def zone(monkeypatch):
    """Sets the local time zone."""

    def set_zone(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


# Sensors of the kernel


@pytest.mark.parametrize("local", ["UTC", "Asia/Kolkata", "America/St_Johns"])
def test_an_ina226_is_recorded(tmp_path, zone, local):
    zone(local)
    file = chip(tmp_path, 2, "ina226", in0_input=9, in1_input=5000, curr1_input=77, power1_input=1_900_000) / "power1_input"
    chip(tmp_path, 0, "cpu_thermal", temp1_input=40_000)
    source = power.open_source("hwmon", tmp_path)
    before = time.time()
    with power.Recorder(source, interval=0.002) as recorder:
        with recorder.phase("idle"):
            time.sleep(0.15)
        write(file, 2_400_000)
        settle()
        for _ in range(2):
            with recorder.phase("active"):
                time.sleep(0.1)
    figures = recorder.report(images=1000)
    assert figures == json.loads(json.dumps(figures))
    assert list(figures) == ["power_source", "sensor", *power.NUMBERS.split(), "rails", "phases"]
    assert (figures["power_source"], figures["sensor"], figures["rails"]) == ("measured", "ina226 (hwmon2)", {})
    assert figures["idle_w"] == pytest.approx(IDLE)
    assert figures["active_w"] == pytest.approx(ACTIVE)
    assert figures["dynamic_w"] == pytest.approx(ACTIVE - IDLE)
    assert figures["idle_spread_w"] == pytest.approx(0, abs=1e-6)
    assert [phase["name"] for phase in figures["phases"]] == ["idle", "active", "active"]
    seconds = sum(phase["stop"] - phase["start"] for phase in figures["phases"][1:])
    assert 0.2 < figures["active_seconds"] == pytest.approx(seconds)
    assert figures["energy_per_image_uj"] == pytest.approx(ACTIVE * seconds * 1e6 / 1000)
    assert figures["dynamic_energy_per_image_uj"] == pytest.approx((ACTIVE - IDLE) * seconds * 1e6 / 1000)
    assert 10 < figures["sample_rate_hz"] < 500
    times, watts = recorder.trace
    assert times.shape == watts.shape
    assert (times.dtype, watts.dtype) == (np.float64, np.float64)
    assert before <= times[0] <= times[-1] <= time.time()
    assert set(watts.round(5)) == {IDLE, ACTIVE}
    assert figures["idle_samples"] + figures["active_samples"] <= len(times)


def test_spreads_are_those_of_the_samples(tmp_path):
    file = chip(tmp_path, 0, "ina219", power1_input=1_000_000) / "power1_input"
    with power.Recorder(power.open_source("hwmon", tmp_path), interval=0.002) as recorder:
        for name in ("idle", "active"):
            with recorder.phase(name):
                for watts in (1, 2, 4):
                    write(file, watts * 1_000_000)
                    time.sleep(0.04)
    figures = recorder.report(1)
    times, watts = recorder.trace
    errors = []
    for phase in recorder.phases:
        inside = watts[(times >= phase["start"]) & (times < phase["stop"])]
        name = phase["name"]
        assert figures[f"{name}_samples"] == len(inside)
        assert figures[f"{name}_w"] == pytest.approx(inside.mean())
        assert figures[f"{name}_spread_w"] == pytest.approx(np.std(inside, ddof=1))
        assert figures[f"{name}_spread_w"] > 0.5
        errors.append(np.var(inside, ddof=1) / len(inside))
    assert figures["dynamic_spread_w"] == pytest.approx(math.sqrt(sum(errors)))
    assert figures["sample_rate_hz"] == pytest.approx(1 / np.median(np.diff(times)))


def test_power_is_bus_voltage_times_current_without_a_power_file(tmp_path):
    chip(tmp_path, 0, "ina3221", in0_input=17, in1_input=5000, curr1_input=380)
    recorder = record(power.open_source("hwmon", tmp_path))
    assert recorder.report(1)["idle_w"] == pytest.approx(5.0 * 0.38)
    assert recorder.report(1)["active_w"] == pytest.approx(5.0 * 0.38)


def test_one_of_several_chips_is_named(tmp_path):
    chip(tmp_path, 0, "ina219", power1_input=1)
    chip(tmp_path, 1, "ina219", power1_input=2)
    chip(tmp_path, 2, "ina226", in1_input=5000, curr1_input=100)
    chip(tmp_path, 3, "BAT0", power1_input=9)
    both = r"ina219 \(hwmon0\), ina219 \(hwmon1\)"
    with pytest.raises(DeviceError, match=rf"several .*: {both}, ina226 \(hwmon2\); name one, such as hwmon:hwmon0"):
        power.open_source("hwmon", tmp_path)
    with pytest.raises(DeviceError, match=f"several .*: {both}; name one"):
        power.open_source("hwmon:ina219", tmp_path)
    with pytest.raises(DeviceError, match=rf"no 'ina260' power sensor .*has: {both}, ina226 \(hwmon2\), BAT0 \(hwmon3\);"):
        power.open_source("hwmon:ina260", tmp_path)
    sensors = {name: power.open_source(f"hwmon:{name}", tmp_path).sensor for name in ("hwmon1", "ina226", "BAT0")}
    assert sensors == {"hwmon1": "ina219 (hwmon1)", "ina226": "ina226 (hwmon2)", "BAT0": "BAT0 (hwmon3)"}


def test_without_a_chip_it_is_said_how_to_attach_one(tmp_path):
    chip(tmp_path, 0, "BAT0", power1_input=9)  # a laptop's battery is not the board's supply
    chip(tmp_path, 1, "ina226", in0_input=17, curr1_input=380)  # the voltage of the shunt is not that of the bus
    with pytest.raises(DeviceError, match=r"no INA power sensor .*has: BAT0 \(hwmon0\); .*modprobe ina2xx.*new_device") as error:
        power.open_source("hwmon", tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(DeviceError, match="has: none;"):
        power.open_source("hwmon", tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "broken"])
def test_a_chip_that_cannot_be_read_is_refused(tmp_path, content):
    chip(tmp_path, 0, "ina226", power1_input=content)
    with pytest.raises(DeviceError, match=r"cannot read the power sensor ina226 \(hwmon0\): .*check its wiring"):
        power.open_source("hwmon", tmp_path)


@pytest.mark.parametrize("missing", ["power1_input", "curr1_input"])
def test_a_sensor_that_fails_while_recording_is_an_error(tmp_path, missing):
    files = {"power1_input": 1} if missing == "power1_input" else {"in1_input": 1, "curr1_input": 1}
    directory = chip(tmp_path, 0, "ina226", **files)
    with power.Recorder(power.open_source("hwmon", tmp_path), interval=0.002) as recorder:
        with recorder.phase("idle"):
            time.sleep(0.1)
        (directory / missing).unlink()
        with recorder.phase("active"):
            time.sleep(0.1)
        write(directory / missing, 1)
    for figures in (lambda: recorder.report(1), lambda: recorder.trace):
        with pytest.raises(DeviceError, match=r"ina226 \(hwmon0\): reading ina226 failed while .*No such file.*measure again"):
            figures()


def test_an_exception_in_a_phase_ends_the_recording(tmp_path):
    chip(tmp_path, 0, "ina226", power1_input=1)
    threads = threading.active_count()
    recorder = power.Recorder(power.open_source("hwmon", tmp_path), interval=0.002)
    with pytest.raises(ZeroDivisionError), recorder, recorder.phase("idle"):
        1 / (threads + 1 - threading.active_count())
    assert threading.active_count() == threads
    assert recorder.phases == []


def test_too_few_samples_are_an_error(tmp_path):
    chip(tmp_path, 0, "ina226", power1_input=1_900_000)
    with power.Recorder(power.open_source("hwmon", tmp_path), interval=0.05) as recorder:
        with recorder.phase("idle"):
            time.sleep(0.25)
        with recorder.phase("active"):
            pass
    with pytest.raises(DeviceError, match=r"ina226 .*fewer than 2 samples in the phase 'active'.*phase longer or the interval"):
        recorder.report(1)


def test_a_phase_after_the_recording_is_an_error(tmp_path):
    chip(tmp_path, 0, "ina226", power1_input=1_900_000)
    recorder = record(power.open_source("hwmon", tmp_path))
    with recorder.phase("active"):
        pass
    with pytest.raises(DeviceError, match=f"in the phase 'active', from {recorder.phases[-1]['start']:.3f}"):
        recorder.report(1)


def test_a_board_that_takes_no_power_is_an_error(tmp_path):
    chip(tmp_path, 0, "ina226", power1_input=0)
    recorder = record(power.open_source("hwmon", tmp_path))
    with pytest.raises(DeviceError, match="0 W in the phase 'idle'; does the board's supply go through"):
        recorder.report(1)


def test_a_report_needs_the_end_of_the_recording_its_phases_and_images(tmp_path):
    chip(tmp_path, 0, "ina226", power1_input=1_900_000)
    with power.Recorder(power.open_source("hwmon", tmp_path), interval=0.002) as recorder:
        with pytest.raises(DeviceError, match="report after the `with` block"):
            recorder.report(1)
        with recorder.phase("idle"):
            time.sleep(0.05)
    with pytest.raises(DataError, match=r"no phase 'active' was recorded; put it into `with recorder.phase\('active'\)"):
        recorder.report(1)
    with pytest.raises(DataError, match="energy per image of 0 images"):
        power.merge_csv(UNMEASURED, square(tmp_path / "meter.csv"), 0, 0)


@pytest.mark.parametrize("interval", [0, -1, math.nan, math.inf])
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(DataError, match="use one above 0"):
        power.Recorder(power.open_source("none"), interval)


# Rails of the board


class Sensor:
    parents = ()

    def __init__(self, value):
        self.name, self.value = "any", value

    def get_value(self, parents=None):
        return self.value


@pytest.fixture
def rails(monkeypatch):
    """Sensors of the rails that pynq finds: core with power, ddr with voltage and current, ref and led with one of them."""
    import pynq
    from pynq.pmbus import Rail

    sensors = {"core power": Sensor(1.5), "ddr voltage": Sensor(2.0), "ddr current": Sensor(0.25)}
    sensors |= {"ref voltage": Sensor(1.0), "led current": Sensor(1.0)}
    found = {name.split()[0]: Rail(name.split()[0]) for name in sensors}
    for name, sensor in sensors.items():
        setattr(found[name.split()[0]], name.split()[1], sensor)
    monkeypatch.setattr(pynq, "get_rails", lambda: found)
    return sensors


def test_rails_are_summed_and_reported_each(rails):
    def work():
        rails["core power"].value = 2.25
        rails["ddr current"].value = 0.5

    recorder = record(power.open_source("rails"), work)
    figures = recorder.report(10)
    assert figures["sensor"] == "rails core, ddr"
    assert (figures["idle_w"], figures["active_w"], figures["dynamic_w"]) == (2.0, 3.25, 1.25)
    assert figures["rails"] == {"core": {"idle_w": 1.5, "active_w": 2.25}, "ddr": {"idle_w": 0.5, "active_w": 1.0}}
    assert {2.0, 3.25} <= set(recorder.trace[1])


@pytest.mark.parametrize(("names", "watts"), [("ddr", 0.5), ("ddr, core", 2.0), ("core,core", 1.5)])
def test_rails_are_chosen(rails, names, watts):
    figures = record(power.open_source(f"rails:{names}")).report(10)
    assert figures["active_w"] == watts
    assert list(figures["rails"]) == (["ddr", "core"] if watts == 2.0 else [])


def test_unknown_rails_are_refused_with_those_there_are(rails):
    with pytest.raises(DeviceError, match="no power rail pll, ref; there are: core, ddr"):
        power.open_source("rails:core,pll,ref")


def test_without_rails_the_fix_is_named_and_nothing_is_warned(monkeypatch):
    import pynq

    def get_rails():
        warnings.warn("Could not initialise libsensors library", stacklevel=2)
        return {}

    monkeypatch.setattr(pynq, "get_rails", get_rails)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeviceError, match=r"no power rails.*apt-get install libsensors5.*use another source: none, rails"):
            power.open_source("rails")


def test_without_pynq_the_fix_is_named(monkeypatch, tmp_path):
    chip(tmp_path, 0, "ina226", power1_input=1)
    monkeypatch.setitem(sys.modules, "pynq", None)
    for source in ("rails", "hwmon"):
        with pytest.raises(DeviceError, match=r"pynq and pandas .*pip install 'spikeline\[board\]' pandas"):
            power.open_source(source, tmp_path)


# A meter's log


def square(path, header="time,watts", row="{t!r},{w}", phases=PHASES, period=0.25, shift=0.0, idle=IDLE, active=ACTIVE):
    """A log from a second before to a second after the phases, the last of which is active."""
    lines = [header] if header else []
    count = round((phases[-1]["stop"] - phases[0]["start"] + 2) / period)
    for n in range(count + 1):
        t = phases[0]["start"] - 1 + n * period
        busy = any(phase["start"] <= t < phase["stop"] for phase in phases if phase["name"] == "active")
        w = active if busy else idle
        iso = datetime.fromtimestamp(t + shift, timezone.utc)
        lines.append(row.format(t=t + shift, w=w, ms=(t + shift) * 1000, mw=w * 1000, a=w / 5, ma=w * 200, ua=w * 2e5, iso=iso))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def check(figures):
    """By hand: 8 samples of 1.9 W and 16 of 2.4 W in 4 s, in which 1000 images were classified."""
    assert figures["power_source"] == "measured"
    assert (figures["idle_samples"], figures["active_samples"]) == (8, 16)
    assert figures["idle_w"] == pytest.approx(1.9)
    assert figures["active_w"] == pytest.approx(2.4)
    assert figures["dynamic_w"] == pytest.approx(0.5)
    for name in ("idle_spread_w", "active_spread_w", "dynamic_spread_w"):
        assert figures[name] == pytest.approx(0, abs=1e-12)
    assert figures["sample_rate_hz"] == pytest.approx(4)
    assert figures["active_seconds"] == 4
    assert figures["energy_per_image_uj"] == pytest.approx(9600)
    assert figures["dynamic_energy_per_image_uj"] == pytest.approx(2000)
    assert (figures["rails"], figures["phases"]) == ({}, PHASES)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("time,watts", "{t!r},{w}"),
        ("", "{t!r},{w}"),
        ("\n", "{t!r},{w}\n"),
        ("\ufeff", "{t!r},{w}"),
        ("", "{iso:%Y-%m-%dT%H:%M:%S.%fZ},{w}"),
        ("\ufeffTimestamp,Power(W)", '"{t!r}","{w}"'),
        ("Sample,Time (s),POWER_mW,Energy(Wh)", "1,{t!r},{mw},0"),
        ("s,mW", "{t!r},{mw}"),
        ("Time [ms],W", "{ms!r},{w}"),
        ("Voltage(V),Current(A),Date/Time", "5.0,{a},{iso:%Y-%m-%d %H:%M:%S.%f+00:00}"),
        ("datetime;Bus Voltage [mV];Current [mA];D+ [V]", "{iso:%Y-%m-%dT%H:%M:%S.%f+0000};5000,0;{ma};0,6"),
        ("time_stamp\tV\tuA", "{t!r}\t5.0\t{ua}"),
        ("Time,Voltage (V),Current (A),Power factor,Power (W)", "{t!r},9,9,0.5,{w}"),
    ],
)
def test_headers_and_units(tmp_path, header, row):
    figures = power.merge_csv(UNMEASURED, square(tmp_path / "meter.csv", header, row), 0, 1000)
    assert figures["sensor"] == "meter's log meter.csv"
    check(figures)


@pytest.mark.parametrize("row", ["{t:.0f},{w}", "{iso:%Y-%m-%d %H:%M:%S},{w}"])
def test_a_coarse_clock_has_no_sample_rate(tmp_path, row):
    figures = power.merge_csv(UNMEASURED, square(tmp_path / "meter.csv", "time,watts", row), 0, 1000)
    assert figures["sample_rate_hz"] is None
    assert figures["active_w"] == pytest.approx(ACTIVE, abs=0.1)


def test_times_without_a_zone_are_local(tmp_path, zone):
    zone("Asia/Kolkata")
    path = square(tmp_path / "meter.csv", "time,watts", "{iso:%Y-%m-%dT%H:%M:%S.%f},{w}", shift=5.5 * 3600)
    check(power.merge_csv(UNMEASURED, path, 0, 1000))


def test_fractions_of_any_length_are_read(tmp_path):
    path = tmp_path / "meter.csv"
    path.write_text("".join(f'"2023-11-14T22:13:20{end}",1\n' for end in ("Z", ".1234567+00:00", ",25+0000", ".5Z")))
    assert power.Recorder(power.open_source(f"csv:{path}")).trace[0].tolist() == [
        START,
        START + 0.123456,
        START + 0.25,
        START + 0.5,
    ]


@pytest.mark.parametrize("shift", [0.25, -3600.5])
def test_the_offset_is_added_to_the_times_of_the_log(tmp_path, shift):
    path = square(tmp_path / "me@home.csv", shift=shift)
    figures = power.merge_csv(UNMEASURED, path, -shift, 1000)
    check(figures)
    recorder = power.Recorder(power.open_source(f"csv:{path}@{-shift}"))
    recorder.phases += PHASES
    assert recorder.report(1000) == figures
    assert recorder.trace[0][0] == START - 1


def test_a_log_is_read_after_the_run(tmp_path):
    path = tmp_path / "meter.csv"
    with power.Recorder(power.open_source(f"csv:{path}")) as recorder:
        for name in ("idle", "active"):
            with recorder.phase(name):
                time.sleep(0.02)
    square(path, phases=recorder.phases, period=0.005)
    figures = recorder.report(10)
    assert figures["idle_w"] == pytest.approx(IDLE)
    assert figures["active_w"] == pytest.approx(ACTIVE)
    times, watts = recorder.trace
    assert (len(times), set(watts)) == (len(path.read_text().splitlines()) - 1, {IDLE, ACTIVE})
    with power.Recorder(power.open_source("none")) as unmeasured:
        unmeasured.phases += recorder.phases
    assert power.merge_csv(unmeasured.report(10), path, 0.0, 10) == figures


layouts = st.lists(st.tuples(st.sampled_from(["idle", "active", "load"]), st.floats(0.5, 5), st.floats(0, 2)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(layouts, st.integers(1, 10**6))
def test_a_square_wave_gives_its_levels_for_any_phases(tmp_path_factory, layout, images):
    phases, at = [], START
    for name, length, pause in [("idle", 1.0, 0.0), *layout, ("active", 1.0, 0.0)]:
        phases.append({"name": name, "start": at, "stop": at + length})
        at += length + pause
    path = square(tmp_path_factory.getbasetemp() / "wave.csv", phases=phases, period=0.125, idle=1.875, active=2.375)
    figures = power.merge_csv({"power_source": "none", "phases": phases}, path, 0.0, images)
    assert (figures["idle_w"], figures["active_w"], figures["dynamic_w"]) == (1.875, 2.375, 0.5)
    assert (figures["idle_spread_w"], figures["active_spread_w"], figures["dynamic_spread_w"]) == (0, 0, 0)
    times = START - 1 + 0.125 * np.arange(10_000)
    for name in ("idle", "active"):
        count = sum(((times >= p["start"]) & (times < p["stop"])).sum() for p in phases if p["name"] == name)
        assert figures[f"{name}_samples"] == count
    seconds = sum(p["stop"] - p["start"] for p in phases if p["name"] == "active")
    assert figures["energy_per_image_uj"] == pytest.approx(2.375e6 * seconds / images)


T = "1700000000"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no samples; let the meter log"),
        ("time,watts\n\n", "holds no samples"),
        (f"time,watts\n{T},1.9\n{T},oops\n", "line 3: power 'oops' is no number; mend or delete the line"),
        (f"time,watts\n\n{T}\n", f"line 3: {T} has 1 cells for 2 columns; mend or delete it"),
        (f"time,watts\n{T},1,9\n", f"line 2: {T},1,9 has 3 cells for 2 columns; .* decimal comma need quotes"),
        (f"time,watts\n{T},nan\n", "line 2: power 'nan' is no number"),
        ("time,watts\n30/07/2024 12:00,1.9\n", "line 2: 30/07/2024 12:00 may be day or month first; write the year first"),
        (f"{T},5.0,0.4\n", "line 1: .* has 3 cells for 2 columns"),
        (f"time,watts\n{T}.5,1.9\n{T}.25,1.9\n", f"line 3: {T}.25 is earlier than the line before; sort the log by time"),
        (f"watts,volts\n1.9,{T}\n", r"line 1: 0 columns of time in \['watts', 'volts'\]; name one of time and one of power"),
        (f"time,volts\n{T},5\n", "line 1: 0 columns of current in"),
        (f"time,in power (W),out power (W)\n{T},1.9,1.8\n", "line 1: 2 columns of power in"),
        (f"\nTimestamp,Time,Power (dBm)\n{T},{T},33\n", "line 2: 2 columns of time in"),
        (f"time,power (Wh),power (dBm),power factor\n{T},1,2,3\n", "0 columns of voltage in"),
        ("time,watts\n" + "9" * 200_000, "field larger than field limit"),
    ],
)
def test_a_damaged_log_is_refused_with_the_file_and_the_line(tmp_path, content, message):
    path = tmp_path / "meter.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        power.merge_csv(UNMEASURED, path, 0, 1)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("offset", "phase"), [(3600, "idle"), (-3600, "idle"), (-4.5, "active"), (2.5, "idle"), (math.nan, "idle")]
)
def test_a_log_that_does_not_cover_the_phases_is_refused(tmp_path, offset, phase):
    path = square(tmp_path / "meter.csv", period=0.5)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    with pytest.raises(DataError, match=f"fewer than 2 samples in the phase '{phase}'.*correct the OFFSET .*{path}"):
        power.merge_csv(UNMEASURED, path, offset, 1)


def test_a_log_that_ends_before_the_last_of_several_phases_is_refused(tmp_path):
    phases = [*PHASES, {"name": "active", "start": START + 8, "stop": START + 9}]
    path = square(tmp_path / "meter.csv")
    with pytest.raises(DataError, match=r"the phase 'active', from 1700000008.000 to 1700000009.000 s"):
        power.merge_csv({"power_source": "none", "phases": phases}, path, 0, 1)


def test_a_missing_log_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    recorder = power.Recorder(power.open_source("csv:~/absent.csv"))
    with pytest.raises(DataError, match=f"cannot read the meter's log {tmp_path}/absent.csv: .*No such file"):
        recorder.report(1)


@pytest.mark.parametrize("figures", [{}, {"power_source": "none"}, {"power_source": "measured", "phases": PHASES}])
def test_a_log_is_merged_only_into_phases_without_a_measurement(tmp_path, figures):
    with pytest.raises(DataError, match="only into a report with phases and the power source 'none'"):
        power.merge_csv(figures, square(tmp_path / "meter.csv"), 0, 1)


# No source, and the vendor's estimate


def test_nothing_is_reported_without_a_source(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    with power.Recorder(power.open_source("none")) as recorder, recorder.phase("active"):
        pass
    figures = recorder.report(10)
    assert figures.pop("phases") == recorder.phases
    assert [phase["name"] for phase in recorder.phases] == ["active"]
    assert (figures.pop("power_source"), figures.pop("sensor"), figures.pop("rails")) == ("none", None, {})
    assert figures == dict.fromkeys(power.NUMBERS.split())
    assert [len(x) for x in recorder.trace] == [0, 0]


def test_an_estimate_is_called_one(tmp_path):
    path = tmp_path / "power.json"
    path.write_text(json.dumps({"total_w": 1.5, "dynamic_w": 1.375, "static_w": 0.125, "source": "Vivado 2022.1, vectorless"}))
    with power.Recorder(power.open_source(f"estimate:{path}")) as recorder:
        assert recorder.report(10)["energy_per_image_uj"] is None
    recorder.phases += PHASES
    figures = recorder.report(1000)
    assert (figures["power_source"], figures["sensor"]) == ("estimated", "Vivado 2022.1, vectorless (estimate)")
    assert (figures["active_w"], figures["dynamic_w"], figures["idle_w"]) == (1.5, 1.375, 0.125)
    assert (figures["energy_per_image_uj"], figures["dynamic_energy_per_image_uj"]) == (6000, 5500)  # 4 s, 1000 images
    unknown = [name for name in power.NUMBERS.split() if figures[name] is None]
    assert unknown == [
        "sample_rate_hz", "idle_spread_w", "idle_samples", "active_spread_w", "active_samples", "dynamic_spread_w",
    ]  # fmt: skip
    assert [len(x) for x in recorder.trace] == [0, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "JSONDecodeError"),
        ("[1]", "TypeError"),
        ('{"total_w": 1.5, "dynamic_w": 1.4, "source": "x"}', "KeyError.'static_w'"),
        ('{"total_w": 1.5, "dynamic_w": 1.4, "static_w": 0.1}', "KeyError.'source'"),
        ('{"total_w": null, "dynamic_w": 1.4, "static_w": 0.1, "source": "x"}', "TypeError"),
        ('{"total_w": NaN, "dynamic_w": 1.4, "static_w": 0.1, "source": "x"}', "NaN is no finite number"),
        ('{"total_w": 1.5, "dynamic_w": -1.4, "static_w": 0.1, "source": "x"}', "a number of watts, 0 or more"),
    ],
)
def test_a_damaged_estimate_is_refused(tmp_path, content, message):
    path = tmp_path / "power.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=f"cannot read the power estimate {path}: .*{message}.*write JSON such as"):
        power.open_source(f"estimate:{path}")


@pytest.mark.parametrize("source", ["", "nothing", "none:", "csv", "csv:", "estimate:", "hwmon2"])
def test_an_unknown_source_is_refused_with_those_there_are(source):
    with pytest.raises(DataError, match=rf"no power source '{source}'; use none, rails\[:NAME,NAME\], hwmon"):
        power.open_source(source)


@pytest.mark.parametrize("source", ["csv:meter.csv@", "csv:me@home.csv", "csv:meter.csv@1s"])
def test_an_offset_that_is_no_number_is_refused(source):
    with pytest.raises(DataError, match=r"is no number of seconds; write csv:FILE@-1.5, and @0 after a name with an @"):
        power.open_source(source)
