"""Area: how cells are counted, and that memories land in the RAM that they are written for."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spikeline.model.geometry import FOLDER, Geometry, LayerGeometry
from spikeline_rtl.synthesis import area, timing, tools

ROOT = Path(__file__).parents[2]

Z020, K26 = area.DEVICES["XC7Z020"], area.DEVICES["XCK26"]

# What Yosys 0.70 gave for some version of `tiny`
CELLS = {
    "CARRY4": 851, "DSP48E1": 1, "FDRE": 5930, "FDSE": 73, "INV": 219, "LUT2": 1900, "LUT3": 1921,
    "LUT4": 729, "LUT5": 1108, "LUT6": 569, "MUXF7": 8, "MUXF8": 4, "RAM32M": 79, "RAMB36E1": 17, "SRL16E": 15,
}  # fmt: skip


def test_every_lut_counts_and_so_do_distributed_ram_and_shift_registers():
    used = area.resources(CELLS, Z020)
    assert used["lutram"] == 4 * 79
    assert used["lut"] == 219 + 1900 + 1921 + 729 + 1108 + 569 + 4 * 79 + 15
    assert used["ff"] == 5930 + 73
    assert (used["ramb36"], used["dsp"], used["carry4"]) == (17, 1, 851)


def test_pairing_small_luts_agrees_with_yosys():
    logic = {name: count for name, count in CELLS.items() if name.startswith("LUT")}
    assert area.paired_luts(logic) == 4327  # its `estimated_num_lc`, which leaves inverters out


def test_half_a_block_ram_counts_half():
    used = area.resources({"RAMB36E1": 1, "RAMB18E1": 3}, Z020)
    assert (used["ramb36"], used["bram_share"]) == (2.5, round(2.5 / 140, 4))


def test_shares_are_of_an_xc7z020():
    used = area.resources({"LUT6": 53_200, "FDRE": 53_200, "RAMB36E1": 140, "DSP48E1": 55}, Z020)
    assert [used[f"{name}_share"] for name in ("lut", "ff", "bram", "dsp")] == [1, 0.5, 1, 0.25]


def test_shares_are_of_the_device():
    used = area.resources({"LUT6": 58_560 - 16, "RAM64M8": 1, "RAM32M16": 1, "RAMB36E2": 71, "RAMB18E2": 2, "URAM288": 16}, K26)
    assert [used[f"{name}_share"] for name in ("lut", "bram", "uram", "dsp")] == [0.5, 0.5, 0.25, 0]
    assert "uram" not in area.resources(CELLS, Z020)


def test_a_cell_that_is_not_counted_is_refused():
    for device in (Z020, area.DEVICES["XCZU3EG"]):
        with pytest.raises(ValueError, match="URAM288"):
            area.resources({"URAM288": 1}, device)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_each_geometry_names_a_device_that_has_its_memories(path):
    geometry = Geometry.load(path.stem)
    assert path.stem in area.GEOMETRIES
    banks = {kind: 0 for kind in (0, 1)}
    for x in geometry.layers:
        banks[x.ultra_ram] += x.neurons // geometry.lanes * max(1, x.spikes_per_cycle // 2) * (1 if x.ultra_ram else 2)
    for x in geometry.convolutions:  # nine banks, of words of at most 72 bits for each block of 512
        blocks = -(-x.rows // 512) * -(-x.maps * geometry.weight_bits // 72)
        banks[0] += 9 * (blocks + (0 if x.distributed else -(-x.maps * geometry.membrane_bits // 72)))
    device = area.DEVICES[geometry.device]
    assert banks[0] <= device.ramb36
    assert banks[1] <= device.uram


def test_area_refuses_a_device_that_is_not_listed(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text((FOLDER / "tiny.json").read_text().replace("{", '{"device": "XC7Z045",', 1))
    command = [sys.executable, "-m", "spikeline_rtl.synthesis.area", str(path), "--out", str(tmp_path / "r.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "for the device XC7Z045; there are XC7Z020, XCZU3EG" in result.stderr


def test_a_report_keeps_one_entry_per_geometry(tmp_path):
    path = tmp_path / "build/report.json"
    for entry in ({"geometry": "a", "lut": 1}, {"geometry": "b", "lut": 2}, {"geometry": "a", "lut": 3}):
        tools.write_report(path, entry)
    assert path.read_text().count('"geometry"') == 2
    assert '"lut": 1' not in path.read_text()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("core.layer[0].core.lane[2].scan.bits_reg_TRELLIS_FF_Q", "core.layer[0].core.lane[2].scan.bits_reg"),
        ("core.lane[2].bits_reg_TRELLIS_FF_Q_3_DI_LUT4_Z_C_CCU2C_S1$CCU2_COMB0", "core.lane[2].bits_reg"),
        ("core.loader.error_valid_LUT4_C_D_LUT4_Z_A_LUT4_D_Z[5]", "core.loader.error_valid"),
        (
            "core.layer[1].core.slice[2].slice.bank[0].dual.ram.memory.0.3",
            "core.layer[1].core.slice[2].slice.bank[0].dual.ram.memory",
        ),
        ("core.decode.rotate_reg[31]", "core.decode.rotate_reg"),
    ],
)
def test_a_mapped_name_leads_back_to_the_verilog(name, expected):
    assert timing.signal(name) == expected


def hop(kind: str, start: str, end: str, delay: float, net: str = "") -> dict:
    cells = [dict(zip(("cell", "port"), end_.rsplit(".", 1), strict=True)) for end_ in (start, end)]
    return {"type": kind, "from": cells[0], "to": cells[1], "delay": delay, "net": net}


def test_the_critical_path_runs_from_register_to_register_and_a_carry_is_not_a_level():
    inside = [
        hop("clk-to-q", "a_TRELLIS_FF_Q.CLK", "a_TRELLIS_FF_Q.Q", 0.5),
        hop("routing", "a_TRELLIS_FF_Q.Q", "s_CCU2C_S0$CCU2_COMB0.A", 1.0, "a"),
        hop("logic", "s_CCU2C_S0$CCU2_COMB0.A", "s_CCU2C_S0$CCU2_COMB0.FCO", 0.4),
        hop("routing", "s_CCU2C_S0$CCU2_COMB0.FCO", "s_CCU2C_S0$CCU2_COMB1.FCI", 0.0, "s_CCU2C_S0_COUT"),
        hop("logic", "s_CCU2C_S0$CCU2_COMB1.FCI", "s_CCU2C_S0$CCU2_COMB1.F", 0.4),
        hop("routing", "s_CCU2C_S0$CCU2_COMB1.F", "b_TRELLIS_FF_Q.DI", 0.7, "s[1]"),
        hop("setup", "b_TRELLIS_FF_Q.DI", "b_TRELLIS_FF_Q.DI", 0.1),
    ]
    pads = [hop("routing", "pad$tr_io.O", "b_TRELLIS_FF_Q.DI", 20.0, "pad")]
    report = {
        "critical_paths": [
            {"from": "<async>", "to": "posedge aclk", "path": pads},
            {"from": "posedge aclk", "to": "posedge aclk", "path": inside},
        ]
    }
    assert timing.critical_path(report) == {
        "start": "a",
        "end": "b.DI",
        "through": ["a", "s"],
        "levels": 1,
        "carry_bits": 1,
        "delay_ns": 3.1,
        "routing_ns": 1.7,
    }


@pytest.mark.long
@pytest.mark.parametrize(("name", "ultra"), [("XC7Z020", 0), ("XCK26", 1)])
def test_yosys_puts_weights_in_block_ram_and_queues_in_distributed_ram(tmp_path, name, ultra):
    """A true dual-port block RAM is 36 bits wide, so a bank of 64 takes two; a single-port one is 72, so it takes one.

    A bank takes one UltraRAM, where the geometry says so.

    Memories and flip-flops are mapped when synthesis stops before the LUTs, which take most of the time.
    """
    device, layers = (
        area.DEVICES[name],
        (LayerGeometry(32, 32, spikes_per_cycle=4, ultra_ram=ultra), LayerGeometry(32, 16, spikes_per_cycle=1)),
    )
    small = replace(Geometry.load("tiny"), name="small", layers=layers, classes=4)
    cells, _ = tools.synthesise(small, f"{device.synth} -run begin:map_luts", tmp_path)
    banks = [(x.neurons // small.lanes, max(1, x.spikes_per_cycle // 2), 2 if x.spikes_per_cycle > 1 else 1) for x in layers]
    used = area.resources(cells, device)
    assert used["ramb36"] == sum(slices * n * halves for slices, n, halves in banks[ultra:])
    assert used.get("uram", 0) == sum(slices * n for slices, n, _ in banks[:ultra])
    queue_bits = [x.neurons + small.classes * small.membrane_bits for x in layers]
    assert used["lutram"] >= sum(4 * (bits // 6) for bits in queue_bits)  # four LUTs hold 32 words of 6 bits
    assert used["ff"] < 4_500  # the smaller of the two queues would be 1,024 more


def test_area_refuses_an_unknown_geometry(tmp_path):
    command = [sys.executable, "-m", "spikeline_rtl.synthesis.area", "nonsense", "--out", str(tmp_path / "r.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0
    assert "no geometry nonsense" in result.stderr
