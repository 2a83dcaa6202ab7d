"""The proofs of rtl/formal can fail: each turns red on a fault of the module that it is about."""

import pytest

from spikeline_rtl.formal import prove

PROOFS = {proof.name: proof for proof in prove.TABLE}
FAULTS = [  # proof, module, its text, a fault in the place of that
    (
        "scan-17-lane-0-of-1",
        "spk_scan",
        "exhausted_reg <= last_spike(bits_left);",
        "exhausted_reg <= last_spike(bits_left & (bits_left - 1'b1));",
    ),
    ("scan-33-lane-3-of-4", "spk_scan", "b >= 0; b = b - 1) if", "b >= 1; b = b - 1) if"),
    ("fifo", "spk_fifo", "if (m_valid && m_ready) read_reg", "if (m_ready) read_reg"),
    ("axi-lite", "spk_regs", "if (control && s_axil_wstrb[1]) begin", "if (control) begin"),
    ("axi-lite", "spk_regs", "loaded ? model : 32'd0;", "model;"),
    ("axi-lite", "spk_regs", "wire command = write && &s_axil_wstrb && !soft_reset;", "wire command = write && !soft_reset;"),
    ("axi-lite", "spk_regs", "|| (soft_reset && !quiet);", ";"),
    ("axi-lite", "spk_regs", "pending_reg <= happened | (pending_reg &", "pending_reg <= (happened | pending_reg) & ("),
    ("events", "spk_events", ": value >= config_inputs;", ": value > config_inputs;"),
    ("input-words", "spk_input", "(word_end ? last_mask_reg : ~64'd0)", "~64'd0"),
    ("input-events", "spk_input", "|| (events_reg && valid_reg && m_ready);", ";"),
    ("layer-discontinuous-1", "spk_layer", "unfinished_reg != QUEUE;", "unfinished_reg != QUEUE + 1;"),
    ("loader", "spk_loader", "layer_packet && layer_reg >= config_layers", "layer_packet && layer_reg > config_layers"),
    ("loader", "spk_loader", "weights_loaded_reg[n] <= commit;", "weights_loaded_reg[n] <= 1'b1;"),
    ("loader", "spk_loader", "body && !images_packet && !body_end_reg;", "body && !images_packet;"),
    ("decode", "spk_decode", "count == 0 || current > best_reg", "count == 0 || current >= best_reg"),
    ("decode-order", "spk_decode", "if (take && first_step) exit_valid <= 1'b0;", ""),
    ("bursts", "spk_bursts", "(burst_final ? end_reg[3:0] : 4'd15) - offset_reg;", "burst_final ? end_reg[3:0] : 4'd15;"),
    ("bursts", "spk_bursts", "!open_reg[2] && (!m_axi_valid || m_axi_ready);", "!open_reg[2];"),
    ("reader", "spk_reader", "room_reg[6:4] != 0", "room_reg != 0"),
    ("reader", "spk_reader", "wire received = m_axi_rvalid && !stop && !reset;", "wire received = m_axi_rvalid && !reset;"),
    ("writer", "spk_writer", "(reset && !m_axi_wvalid);", "reset;"),
    ("writer", "spk_writer", "strobe_reg <= !reset;", "strobe_reg <= 1'b1;"),
    ("writer", "spk_writer", "!burst_final || (whole_reg && exact);", "!burst_final || whole_reg;"),
    ("memory", "spk_memory", "command_valid && !unfit && !full;", "command_valid && !unfit;"),
    ("memory", "spk_memory", "    if (!error_valid) begin", "    begin"),
    ("seed", "spk_seed", "second_reg && next_state[4];", "next_state[4];"),
    ("seed", "spk_seed", "count_reg <= 4'd9}", "count_reg <= 4'd8}"),
    ("encode", "spk_encode", "pixels_reg && !s_image_end ? word_reg", "pixels_reg ? word_reg"),
    ("encode", "spk_encode", "last_step_reg <= steps_left_reg == 16'd2;", "last_step_reg <= steps_left_reg == 16'd3;"),
    ("bank", "spk_bank", "newest ? 2'd1 : newer ? 2'd2 : 2'd0;", "newer ? 2'd2 : newest ? 2'd1 : 2'd0;"),
    ("bank-distributed", "spk_bank", "newest ? 2'd1 : newer ?", "newer ?"),
    ("bank-direct", "spk_bank", "if (doubles) sums_reg[m*SUM_BITS +: SUM_BITS] <= 0; // to add nothing", "if (1'b0) ;"),
    ("queue", "spk_queue", "waiting} <= DEPTH / 2;", "waiting} <= DEPTH;"),
    ("queue", "spk_queue", "write_reg != read_reg && (!valid_reg || m_ready);", "write_reg != read_reg;"),
    ("unpack", "spk_unpack", "left_reg <= last ? spikes_reg : rest;", "left_reg <= rest;"),
    ("unpack", "spk_unpack", "(m_ready && done);", "(m_ready && (done || last));"),
]


@pytest.mark.parametrize(("name", "module", "old", "new"), FAULTS)
def test_a_fault_is_refuted(name, module, old, new, tmp_path):
    assert prove.prove(PROOFS[name], tmp_path / name, {module: (old, new)})["result"] != "proved"


def test_every_module_that_is_proved_has_a_fault():
    assert {PROOFS[name].module for name, *_ in FAULTS} == {proof.module for proof in prove.TABLE}


def test_a_cover_out_of_reach_is_refuted(tmp_path):
    edits = {"spk_fifo": ("if (s_valid) write_reg <= write_reg + 1'b1;", "")}
    assert prove.prove(PROOFS["fifo-cover"], tmp_path / "cover", edits)["result"] == "refuted"
