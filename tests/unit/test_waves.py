"""The waveforms of docs/hardware.md are what the Verilog does, and each module has one."""

import re
import shutil
from pathlib import Path

import pytest
import waves

ROOT = Path(__file__).parents[2]
HARDWARE = (ROOT / "docs/hardware.md").read_text()


@pytest.mark.parametrize("name", waves.names())
def test_waveform_is_what_the_module_does(name):
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is missing; run `sudo apt-get install iverilog`")
    assert waves.simulated(name) == waves.load(name)


def test_every_module_is_described_and_every_picture_shown():
    modules = {path.stem for path in (ROOT / "rtl").glob("*.v")}
    headings = set(re.findall(r"^## (\w+)$", HARDWARE, re.MULTILINE))
    assert headings == modules - {"spk_seed"}  # told of with spk_encode
    assert "`spk_seed`" in HARDWARE
    drawn = {name for name in headings if name.startswith("spk_")}
    assert set(re.findall(r"\(waves/(\w+)\.svg\)", HARDWARE)) == set(waves.names()) == drawn


@pytest.mark.parametrize(
    ("values", "lane", "expected"),
    [
        ([("0", True), ("1", True), ("1", True), ("x", True)], {}, ("01.x", [])),
        ([("0", False), ("1", True), ("0", False), ("0", False)], {}, ("x1x.", [])),
        ([("1111", True), ("1111", True), ("00xx", True)], {}, ("=.x", ["f"])),
        ([("1111", True), ("1111", True)], {"as": "int", "keep": True}, ("==", ["−1", "−1"])),
        ([("0101", True), ("0000", True)], {"as": "set"}, ("==", ["0 2", "–"])),
        ([("1", True), ("0", True)], {"as": ["off", "on"]}, ("==", ["on", "off"])),
        ([("0110100001101001", True)], {"as": "text"}, ("=", ["hi"])),
    ],
)
def test_letters_of_a_lane(values, lane, expected):
    assert waves._shape(values, lane) == expected


def test_a_bench_that_does_not_compile_is_told(tmp_path, monkeypatch):
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is missing; run `sudo apt-get install iverilog`")
    monkeypatch.setattr(waves, "FOLDER", tmp_path)
    (tmp_path / "bad.json").write_text('{"signal": [{"name": "nothing"}]}')
    (tmp_path / "bad.v").write_text("module wave; reg aclk; reg show; endmodule")
    with pytest.raises(RuntimeError, match=r"dut\.nothing"):
        waves.simulated("bad")
