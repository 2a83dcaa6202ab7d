"""Register bits of the energy model: constants that are counted in the elaborated Verilog, and how the others grow."""

from dataclasses import replace

import pytest

from spikeline.energy import activity
from spikeline.model.geometry import FOLDER, Geometry
from spikeline_rtl.spec import registers

SHIPPED = [x for path in sorted(FOLDER.glob("*.json")) if not (x := Geometry.load(path.stem)).convolutions]  # are priced
TINY = Geometry.load("tiny")
# Registers of a layer without an enable that the model counts; it leaves out some single bits, and `row_valid_reg`.
ALWAYS = {
    "spk_ram": "a_rdata b_rdata",
    "spk_scan": "bits_reg exhausted_reg full_reg last_reg fetched_valid_reg",
    "spk_layer": "read_reg address_reg write_data_reg write_pair_reg weight_write_reg threshold_write_reg bias_write_reg "
    "all_used_reg part_used_reg neurons_used_reg active_reg base_select_reg step_end_reg users_reg "
    "unfinished_reg waiting_reg row_reads_reg deciding_reg stage_reg index_reg last_reg keep_reg index_used_reg",
}


def groups(geometry: Geometry, k: int) -> int:
    """Groups of neurons that share logic in layer k."""
    return geometry.layers[k].neurons // geometry.group if activity._shared(geometry, k) else 0


GROWS = {  # module, register: its bits in layer k
    "current_reg": lambda geometry, k: geometry.layers[k].neurons * geometry.membrane_bits,
    "threshold_reg": lambda geometry, k: (
        (geometry.layers[k].neurons + groups(geometry, k)) * geometry.membrane_bits
    ),  # of each neuron, and of one that is decided
    "held_reg": lambda geometry, k: groups(geometry, k) * geometry.group * geometry.membrane_bits,
    "fired_reg": lambda geometry, k: geometry.layers[k].neurons,
    "final_reg": lambda geometry, k: geometry.classes * geometry.membrane_bits,
}


@pytest.mark.parametrize("geometry", SHIPPED, ids=lambda geometry: geometry.name)
def test_what_grows_with_a_geometry_grows_in_the_model_as_in_the_verilog(geometry):
    found = registers.elaborated(geometry)
    for k, room in enumerate(geometry.layers):
        layer = [register for path, register in found.items() if path.startswith(f"core.layer[{k}].core.")]
        counted = [register for register in layer if register.name in ALWAYS.get(register.module, "").split()]
        unused = 64 * (room.neurons // geometry.lanes) if room.spikes_per_cycle == 1 else 0  # the second port of a memory
        assert sum(register.bits for register in counted) - unused == activity._always(geometry, k)
        for name, bits in GROWS.items():
            assert sum(register.bits for register in layer if register.name == name) == bits(geometry, k)


def test_constants_of_the_core_that_are_rounded_are_near():
    """The model has rounded numbers for some of the control: this says how far off they are."""
    found = registers.elaborated(TINY).values()

    def bits(module: str, names: str = "") -> int:
        return sum(
            x.bits for x in found if x.module == module and not x.name.isupper() and (not names or x.name in names.split())
        )

    sizes = "inputs_reg neurons_reg slices_reg weight_words_reg threshold_words_reg spike_words_reg image_words_reg"
    assert bits("spk_loader", sizes) == pytest.approx(activity.LOADER_BITS, rel=0.15)
    assert bits("spk_encode") == pytest.approx(activity.ENCODE_BITS + activity.PLANE_BITS + activity.DRAW_BITS + 60, rel=0.02)


def test_a_register_whose_width_changes_is_no_constant(monkeypatch):
    monkeypatch.setattr(registers, "CONSTANTS", (("X", "x", "spk_layer", "active_reg read_reg"),))
    with pytest.raises(ValueError, match=r"spk_layer: read_reg is 1, 2, 4 bits wide; correct CONSTANTS in registers\.py"):
        registers.constants([TINY])
    wider = replace(TINY, name="wider", membrane_bits=14)
    monkeypatch.setattr(registers, "CONSTANTS", (("X", "x", "spk_slice", "current_reg"),))
    with pytest.raises(ValueError, match="current_reg is 12, 14 bits wide"):
        registers.constants([TINY, wider])


def test_a_register_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(registers, "CONSTANTS", (("X", "x", "spk_layer", "active_reg gone_reg"),))
    with pytest.raises(ValueError, match="spk_layer: gone_reg is not in the Verilog"):
        registers.constants([TINY])
