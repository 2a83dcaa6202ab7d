"""Small faults, one at a time: what a tired engineer would get wrong. `mutate.py` plants each and the tests must see it."""

from dataclasses import dataclass

# The tests that are run on a fault, until one fails; the nearest first.
RTL = (
    "tests/system/test_bit_exact.py",
    "tests/system/test_packets.py",
    "tests/system/test_registers.py",
    "tests/system/test_cycles.py",
    "tests/campaigns/test_random_networks.py",  # of three geometries; the others have `tiny` alone
)
# Where a fault is farther from the first of them, the nearest before those.
ENCODE = ("tests/system/test_bit_exact.py::test_encoder_on_chip_makes_the_same_spikes", *RTL)
PACKETS = ("tests/system/test_packets.py", *RTL)
REGISTERS = ("tests/system/test_registers.py", *RTL)
GEOMETRIES = ("tests/campaigns/test_random_networks.py", *RTL)
COMPILER = ("tests/unit/test_compiler.py", "tests/unit/test_compiler_continuous.py", "tests/unit/test_model_file.py")
CRC = ("tests/rtl/test_modules.py::test_module[crc]",)
LOADER = ("tests/rtl/test_modules.py::test_module[loader]",)
SEED = ("tests/rtl/test_modules.py::test_module[seed]",)
REGS = ("tests/rtl/test_modules.py::test_module[regs]",)
MEMORY = (  # the AXI4 master by itself
    "tests/rtl/test_memory.py::test_memory[icarus-32]",
    "tests/rtl/test_modules.py::test_module[reader-32]",
    "tests/rtl/test_modules.py::test_module[writer-32]",
)
FIRE = ("tests/rtl/test_modules.py::test_module[fire-8-14-1-4]", "tests/rtl/test_modules.py::test_module[fire-32-4-1-1]")
LAYER = ("tests/rtl/test_modules.py::test_module[layer-100-48-4-4-12-10-1-4-1-8]",)
CONVOLVE = ("tests/rtl/test_modules.py::test_module[convolve-8-1-128-50-100-0-8-14-1-4-1]",)
CONVOLUTION = ("tests/system/test_convolution_cores.py",)
REFUSED = ("tests/system/test_convolution_cores.py::test_configurations_that_are_refused", *CONVOLUTION)
CUT = ("tests/system/test_convolution_cores.py::test_an_image_cut_short_leaves_nothing", *CONVOLUTION)
CYCLES = ("tests/system/test_cycles.py::test_convolutions", "tests/system/test_cycles.py::test_convolutions_whose_queues_fill")
EXITS = ("tests/campaigns/test_random_networks.py::test_all_convolutions_agree",)
GOLDEN = ("tests/unit/test_golden.py", "tests/unit/test_encode.py", "tests/unit/test_early_exit.py")


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands in `file` once, becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = RTL


MUTANTS = (
    # ---- Verilog: scanning ----
    Mutant("the last spike of a group is lost", "rtl/spk_scan.v", "exhausted_reg <= last_spike(bits_left);",
           "exhausted_reg <= last_spike(bits_left & (bits_left - 1'b1));"),
    Mutant("the highest spike of a group is not found", "rtl/spk_scan.v", "for (b = GROUP - 1; b >= 0;", "for (b = GROUP - 2; b >= 0;"),
    Mutant("the last group of a vector is lost", "rtl/spk_scan.v", "pending_reg <= groups_with_spikes(lane_bits(s_spikes));",
           "pending_reg <= groups_with_spikes(lane_bits(s_spikes)) & {1'b0, {(GROUPS-1){1'b1}}};"),
    Mutant("scanners are not emptied by a reset", "rtl/spk_scan.v", "        full_reg <= 1'b0;\n        fetched_valid_reg <= 1'b0;\n",
           "        fetched_valid_reg <= 1'b0;\n", PACKETS),
    # ---- Verilog: layers ----
    Mutant("a current starts from the one before", "rtl/spk_slice.v", "FROM_THRESHOLD: base = threshold_reg;",
           "FROM_THRESHOLD: base = all_used ? threshold_reg : current_reg;", GEOMETRIES),
    Mutant("planes are not doubled", "rtl/spk_slice.v", "current_reg << 1 : 0;", "current_reg : 0;", LAYER),
    Mutant("direct input forgets the threshold", "rtl/spk_decide.v", "decided_reg <= membrane_reg + threshold_reg;", "decided_reg <= membrane_reg;"),
    Mutant("planes take places in the queue", "rtl/spk_layer.v", "(start && (!direct || scan_user[1]))", "start", PACKETS),
    Mutant("fires above the threshold only", "rtl/spk_decide.v", "wire fires = !decided_reg[MEMBRANE_BITS-1];",
           "wire fires = !decided_reg[MEMBRANE_BITS-1] && decided_reg != 0;", FIRE),
    Mutant("sums of rows without a sign", "rtl/spk_slice.v", "{{(MEMBRANE_BITS-SUM_BITS){sum_reg[SUM_BITS-1]}}, sum_reg}",
           "{{(MEMBRANE_BITS-SUM_BITS){1'b0}}, sum_reg}", LAYER),
    Mutant("a leak that rounds down what it keeps", "rtl/spk_decide.v", "{bias_reg, {MAX_LEAK{1'b1}}}", "{bias_reg, {MAX_LEAK{1'b0}}}", FIRE),
    Mutant("saturation to the wrong end", "rtl/spk_decide.v", "{(MEMBRANE_BITS-2){!negative}}", "{(MEMBRANE_BITS-2){negative}}", FIRE),
    Mutant("what fired does not saturate", "rtl/spk_decide.v", "fires ? decided_reg[MEMBRANE_BITS-2] && !config_reset_zero", "fires ? 1'b0", FIRE),
    Mutant("a state of the image before", "rtl/spk_fire.v", "if (restart) state_reg <= 0;\n            else if", "if", FIRE),
    Mutant("the leak is one too few", "rtl/spk_layer.v", "{MAX_LEAK{1'b0}}} >> config_leak);", "{MAX_LEAK{1'b0}}} >> (config_leak - 1'b1));", LAYER),
    Mutant("reset to zero also where it should subtract", "rtl/spk_decide.v", ": config_reset_zero ? {(MEMBRANE_BITS-2){1'b0}} : decided_reg[MEMBRANE_BITS-3:0];",
           ": {(MEMBRANE_BITS-2){1'b0}};", FIRE),
    Mutant("a step does not wait for the one before to be decided", "rtl/spk_layer.v", "(!waiting_reg || !decide);", "1'b1;", LAYER),
    Mutant("the last neuron of a group is left out", "rtl/spk_layer.v", "localparam LAST = GROUP - 1;", "localparam LAST = GROUP - 2;", LAYER),
    Mutant("neurons out of use fire after their turn", "rtl/spk_layer.v", "(part_used_reg[SLICE] && index_used_reg[i % SLICE_GROUPS])", "part_used_reg[SLICE]", LAYER),
    Mutant("the second half of a pair is lost", "rtl/spk_layer.v", ".write_value(write_odd_reg ? write_data_reg[32 +: MEMBRANE_BITS] :", ".write_value(write_odd_reg ? {MEMBRANE_BITS{1'b0}} :", LAYER),
    Mutant("neurons out of use fire", "rtl/spk_slice.v", "= all_used || (part_used && neurons_used[n]);", "= all_used || part_used;"),
    Mutant("port B's word is not masked", "rtl/spk_ram.v", "b_rdata <= b_valid ? b_word_reg : 0;", "b_rdata <= b_word_reg;"),
    Mutant("port B reads where port A does", "rtl/spk_ram.v", "b_word_reg <= memory[b_address];", "b_word_reg <= memory[a_address];"),
    Mutant("one step too many in the queue", "rtl/spk_layer.v", "unfinished_reg != QUEUE;", "unfinished_reg != QUEUE + 2;"),
    Mutant("a queue that reads the newest", "rtl/spk_fifo.v", "assign m_data = memory[read_reg[POINTER_BITS-1:0]];",
           "assign m_data = memory[write_reg[POINTER_BITS-1:0] - 1'b1];"),
    # ---- Verilog: convolutions ----
    Mutant("a position just written is read before it is", "rtl/spk_bank.v", "newest ? 2'd1 : newer ?", "newer ?", CONVOLVE),
    Mutant("a position written two cycles ago is read before it is", "rtl/spk_bank.v", "newest ? 2'd1 : newer ? 2'd2 : 2'd0;", "newest ? 2'd1 : 2'd0;", CONVOLVE),
    Mutant("the older of two writes is taken", "rtl/spk_bank.v", "newest ? 2'd1 : newer ? 2'd2 : 2'd0;", "newer ? 2'd2 : newest ? 2'd1 : 2'd0;", CONVOLVE),
    Mutant("weights of a kernel without a sign", "rtl/spk_bank.v", "{{(SUM_BITS-WEIGHT_BITS){weight[WEIGHT_BITS-1]}}, weight}", "{{(SUM_BITS-WEIGHT_BITS){1'b0}}, weight}", CONVOLUTION),
    Mutant("the sum goes on with the position before", "rtl/spk_bank.v", "(first ? {SUM_BITS{1'b0}} : sum)", "(sum)", CONVOLVE),
    Mutant("a bank does not double", "rtl/spk_bank.v", "current = {stored[MEMBRANE_BITS-2:0], 1'b0};", "current = stored;", CONVOLVE),
    Mutant("a doubled current gets a sum as well", "rtl/spk_bank.v", "            if (doubles) sums_reg[m*SUM_BITS +: SUM_BITS] <= 0; // to add nothing\n            else if (add)", "            if (add)", CONVOLVE),
    Mutant("positions that are decided keep their current", "rtl/spk_bank.v", "<= clear_reg ? {MEMBRANE_BITS{1'b0}} : current + more;", "<= current + (clear_reg ? {MEMBRANE_BITS{1'b0}} : more);", CONVOLVE),
    Mutant("one round too few", "rtl/spk_unpack.v", "assign s_ready = !valid_reg || (m_ready && done);", "assign s_ready = !valid_reg || (m_ready && (done || (last && round_reg + 1'b1 == config_last_round)));", CONVOLVE),
    Mutant("rounds without the first map", "rtl/spk_unpack.v", "left_reg <= last ? spikes_reg : rest;", "left_reg <= last ? spikes_reg & (spikes_reg - 1'b1) : rest;", CONVOLUTION),
    Mutant("the highest map is not found", "rtl/spk_unpack.v", "for (m = MAPS - 1; m >= 0;", "for (m = MAPS - 2; m >= 0;", CONVOLUTION),
    Mutant("a reset leaves a position", "rtl/spk_unpack.v", "    if (reset) valid_reg <= 1'b0;\n", "", CONVOLVE),
    Mutant("a step begins without room", "rtl/spk_convolve.v", "!pass_reg && !busy_reg && room;", "!pass_reg && !busy_reg;", CONVOLUTION),
    Mutant("a step begins before the one before is handed on", "rtl/spk_convolve.v", "!pass_reg && !busy_reg && room;", "!pass_reg && !firing_reg && room;", CONVOLVE),
    Mutant("positions are decided while spikes are added", "rtl/spk_convolve.v", "wire fire = firing_reg && !update && !passing_reg;", "wire fire = firing_reg && !passing_reg;", CONVOLVE),
    Mutant("decisions begin before the last spike is in memory", "rtl/spk_convolve.v", "firing_reg <= begin_reg || (", "firing_reg <= begin_firing || (", CONVOLVE),
    Mutant("doubling begins before the last spike is in memory", "rtl/spk_convolve.v", "        pass_reg <= 1'b1;\n        pass_twice_reg <= !stale;\n", "        {pass_reg, passing_reg} <= 2'd3;\n        pass_twice_reg <= !stale;\n", CONVOLVE),
    Mutant("planes of an image that was cut short are added", "rtl/spk_convolve.v", "place_valid_reg && place_anew_reg && dirty_reg;", "place_valid_reg && place_anew_reg && dirty_reg && 1'b0;", CUT),
    Mutant("the current of the step before", "rtl/spk_convolve.v", "        half_reg <= !half_reg;\n", "", CONVOLVE),
    Mutant("the network before is left in the memory", "rtl/spk_convolve.v", "        pass_last_reg <= BANK_WORDS - 1;\n", "        pass_last_reg <= 0;\n", CONVOLVE),
    Mutant("beyond the upper border", "rtl/spk_convolve.v", "&& highest >= {5'd0, back} && position < side,", "&& position < side,", CONVOLVE),
    Mutant("beyond the lower border", "rtl/spk_convolve.v", "highest >= {5'd0, back} && position < side,", "highest >= {5'd0, back} && position <= side,", CONVOLVE),
    Mutant("strides of two as one", "rtl/spk_convolve.v", "place = two ? {back, at[0]} : {1'b0, back};", "place = {1'b0, back};", CONVOLVE),
    Mutant("the last place of the kernel is left out", "rtl/spk_convolve.v", "reached = {place < {1'b0, size} &&", "reached = {place < {1'b0, size} - 3'd1 &&", CONVOLVE),
    Mutant("pooling keeps the last of four", "rtl/spk_convolve.v", "= fired | (pool_first_reg[STAGES-1] ? {MAPS{1'b0}} : pooled_reg);", "= fired;", CONVOLVE),
    Mutant("a pooled position before goes on", "rtl/spk_convolve.v", "(pool_first_reg[STAGES-1] ? {MAPS{1'b0}} : pooled_reg);", "pooled_reg;", CONVOLVE),
    Mutant("silent positions are handed on", "rtl/spk_convolve.v", "(hand_on && together != 0) || ending_reg;", "hand_on || ending_reg;", CONVOLVE),
    Mutant("maps out of use fire", "rtl/spk_convolve.v", ".used(!last_maps || rest_used_reg[m]),", ".used(1'b1),", CONVOLUTION),
    Mutant("a membrane of the image before", "rtl/spk_convolve.v", "restart_reg <= fire_user_reg[0] || !continuous;", "restart_reg <= !continuous;", CONVOLVE),
    Mutant("a direct image begins anew in its last plane only", "rtl/spk_convolve.v", "fire_user_reg[USER_BITS-1:1], fire_user_reg[0] || direct}", "fire_user_reg}", CONVOLVE),
    Mutant("spikes of every round count", "rtl/spk_convolve.v", "row_read <= add && place_once_reg && !reset;", "row_read <= add && !reset;", CONVOLVE),
    Mutant("a queue with less room than it says", "rtl/spk_queue.v", "waiting} <= DEPTH / 2;", "waiting} <= DEPTH;", CYCLES),
    Mutant("a queue that gives a word every second cycle", "rtl/spk_queue.v", "write_reg != read_reg && (!valid_reg || m_ready);", "write_reg != read_reg && !valid_reg;", CYCLES),
    Mutant("the last column is the first of the next row", "rtl/spk_locate.v", "reciprocal = ((1 << PRECISION) + i) / (i + 1);", "reciprocal = (1 << PRECISION) / (i + 1);", CONVOLUTION),
    Mutant("the channel below", "rtl/spk_locate.v", ">= n * {25'd0, height}) split", "> n * {25'd0, height}) split", CONVOLUTION),
    Mutant("the end of a step overtakes its last spike", "rtl/spk_locate.v", "end_reg <= {end_reg[1:0], ending_reg};", "end_reg <= {end_reg[1:0], scanning_reg && scan_done};", CONVOLUTION),
    Mutant("steps of an image that is decided go on", "rtl/spk_locate.v", ".s_valid(s_valid && !drop),", ".s_valid(s_valid),", EXITS),
    Mutant("spikes of the step before are gathered", "rtl/spk_gather.v", "if (valid_reg && m_ready) vector_reg[w*64 +: 64] <= 64'd0;\n        else if", "if", CONVOLUTION),
    Mutant("a map's spikes stand at the position's first map", "rtl/spk_gather.v", " + {{(16-MAP_BITS){1'b0}}, spike_map};", ";", CONVOLUTION),
    Mutant("a step is gathered into one that waits", "rtl/spk_gather.v", "    .m_ready(!valid_reg)\n", "    .m_ready(1'b1)\n", CONVOLUTION),
    Mutant("an even map loses a row of banks", "rtl/spk_window.v", "lines_reg <= third(height + 7'd2);", "lines_reg <= third(height + 7'd1);", REFUSED),
    Mutant("more positions than the queue holds", "rtl/spk_window.v", "positions_reg} < POSITIONS;", "positions_reg} <= POSITIONS;", REFUSED),
    Mutant("a kernel of two is one of one", "rtl/spk_window.v", "(three || (window[1:0] == 2'd1 && !window[17]));", "(three || !window[17]);", REFUSED),
    Mutant("a padded kernel of one", "rtl/spk_window.v", "(three || (window[1:0] == 2'd1 && !window[17]));", "(three || window[1:0] == 2'd1);", REFUSED),
    Mutant("a last round of all maps is one of none", "rtl/spk_window.v", "maps[M_BITS-1:0] == 0 ? MAPS[M_BITS:0] :", "1'b0 ? MAPS[M_BITS:0] :", CONVOLVE),
    Mutant("maps of other sizes than the convolution before makes", "rtl/spk_loader.v", "|| new_windows_reg[c*19+2 +: 14] != window_pooled[(c > 0 ? c - 1 : 0)*14 +: 14]) begin", ") begin", REFUSED),
    Mutant("more inputs than there are", "rtl/spk_loader.v", "    if ({16'd0, new_size} > INPUTS) new_valid = 1'b0;\n", "", REFUSED),
    Mutant("other inputs than the convolution before has outputs", "rtl/spk_loader.v", "new_convolutions != 0 && new_inputs_reg[c*16 +: 16] != new_outputs) begin", "1'b0) begin", REFUSED),
    Mutant("tags too few", "rtl/spk_core.v", "localparam TAG_BITS = CONVOLUTIONS > 0 ? 16 : 8;", "localparam TAG_BITS = 8;", ("tests/system/test_convolution_cores.py::test_early_exit_with_hundreds_of_images_under_way",)),
    # ---- Verilog: input ----
    Mutant("inputs beyond the last are not masked", "rtl/spk_input.v", "(word_end ? last_mask_reg : ~64'd0)", "~64'd0", ENCODE),
    Mutant("one step too few", "rtl/spk_input.v", "image_end ? one_step_reg : steps_left == 16'd2;", "image_end ? one_step_reg : steps_left == 16'd3;"),
    Mutant("events of a step are kept for the next", "rtl/spk_input.v", "|| (events_reg && valid_reg && m_ready);", ";"),
    Mutant("an event at the first input is taken for a step", "rtl/spk_events.v", "(is_later_step || !is_step);", "(is_later_step || (!is_step && value != 0));"),
    Mutant("an event of an input that is not there", "rtl/spk_events.v", ": value >= config_inputs;", ": value > config_inputs;", PACKETS),
    Mutant("pixels equal to the draw spike", "rtl/spk_encode.v", "> floor_1_reg[i*8 +: 8] &&", ">= floor_1_reg[i*8 +: 8] &&", ENCODE),
    Mutant("the generator runs on over pixels that are not there", "rtl/spk_encode.v", "case (row_end ? last_word_reg[1:0] : 2'd3)", "case (2'd3)", ENCODE),
    Mutant("all bands of the latency code alike", "rtl/spk_encode.v", "if (row_end && config_latency) ceiling_reg <= level;", "", ENCODE),
    Mutant("the lowest bit first", "rtl/spk_encode.v", "if (row_end) plane_reg <= plane_reg >> 1;", "if (row_end) plane_reg <= {plane_reg[6:0], plane_reg[7]};", ENCODE),
    Mutant("an image does not wait for its seed", "rtl/spk_encode.v", "&& !(s_image_end && seed_busy);", ";", ("tests/rtl/test_modules.py::test_module[encode-33-1]",)),
    Mutant("two images share a seed", "rtl/spk_seed.v", "{second_reg ? next_state[3:0] : state_reg[3:0], state_reg[63:4]}", "{state_reg[3:0], state_reg[63:4]}", SEED),
    Mutant("a seed begins with what the one before left", "rtl/spk_seed.v", "if (load || (busy_reg && count_reg == 4'd15)) begin", "if (load) begin", SEED),
    Mutant("bits that come in at the top are taken for the state's", "rtl/spk_seed.v", "(state_reg[33:30] & in_1)", "state_reg[33:30]", SEED),
    Mutant("a seed of zero", "rtl/spk_seed.v", " | zero_reg};", "};", SEED),
    # ---- Verilog: decoding ----
    Mutant("of equal classes the last", "rtl/spk_decode.v", "count == 0 || current > best_reg", "count == 0 || current >= best_reg"),
    Mutant("values of the image before", "rtl/spk_decode.v", "(first_step ? {VALUE_BITS{1'b0}} :", "(first_step && first_image ? {VALUE_BITS{1'b0}} :"),
    Mutant("exits only above the margin", "rtl/spk_decode.v", "level_reg >= second)", "level_reg > second)"),
    Mutant("the second class forgets its lead", "rtl/spk_decode.v", "second_reg <= count == 0 ? LEAST : best_reg;", "second_reg <= LEAST;"),
    Mutant("TLAST before the values", "rtl/spk_decode.v", "last_image_reg && decided && !scores;", "last_image_reg && decided;"),
    # ---- Verilog: loading, registers ----
    Mutant("a packet without TLAST is taken", "rtl/spk_loader.v", "!s_axis_tlast ? `SPK_ERROR_CODE_LONG : `SPK_ERROR_CODE_LENGTH;",
           "`SPK_ERROR_CODE_LENGTH;", PACKETS),
    Mutant("weights of the layer above", "rtl/spk_loader.v", "weight_write <= {CORES{model_word && weights_packet}} & layer_named;",
           "weight_write <= {CORES{model_word && weights_packet}} & (layer_named << 1 | layer_named >> (CORES - 1));"),
    Mutant("a layer that is not there", "rtl/spk_loader.v", "layer_packet && layer_reg >= config_layers", "layer_packet && layer_reg > config_layers", PACKETS),
    Mutant("images before the weights", "rtl/spk_loader.v", "weights_loaded_reg <= 0;", "", PACKETS),
    Mutant("a model does not wait for the images before it", "rtl/spk_loader.v", "|| layers_idle)\n", "|| 1'b1)\n", PACKETS),
    Mutant("a reset leaves the network", "rtl/spk_loader.v", "if (reset) config_layers <= 8'd0;", "", PACKETS),
    Mutant("swapped sizes", "rtl/spk_loader.v", "new_inputs_reg[c*16 +: 16] > LAYER_INPUTS[place(c)*16 +: 16]", "new_inputs_reg[c*16 +: 16] > LAYER_NEURONS[place(c)*16 +: 16]"),
    Mutant("later errors overwrite the first", "rtl/spk_regs.v", "if (error_valid && error_code_reg == `SPK_ERROR_CODE_NONE) begin", "if (error_valid) begin", PACKETS),
    Mutant("a model that is not whole has a name", "rtl/spk_regs.v", "loaded ? model : 32'd0;", "model;", REGISTERS),
    Mutant("a configuration keeps the name of the model before", "rtl/spk_loader.v", "(config_packet ? 32'd0 : {model[30:0], model[31]})", "{model[30:0], model[31]}", LOADER),
    Mutant("the same parts in another order are the same model", "rtl/spk_loader.v", ": {model[30:0], model[31]})", ": model)", LOADER),
    Mutant("a damaged packet is taken", "rtl/spk_loader.v", "settled && sound &&", "settled &&", LOADER),
    Mutant("half of a checksum is not looked at", "rtl/spk_loader.v", "sound = write_data == {32'd0, crc};", "sound = write_data[31:0] == crc;", PACKETS),
    Mutant("a damaged configuration is told as unfit", "rtl/spk_loader.v", "sound ? `SPK_ERROR_CODE_CONFIG : `SPK_ERROR_CODE_CHECKSUM;", "`SPK_ERROR_CODE_CONFIG;", PACKETS),
    Mutant("the checksum is written into the memory", "rtl/spk_loader.v", "body && !images_packet && !body_end_reg;", "body && !images_packet;", LOADER),
    Mutant("the header is not in the checksum", "rtl/spk_loader.v", "model_word || (state_reg == STATE_HEADER && s_axis_tvalid);", "model_word;", LOADER),
    Mutant("a word moves the remainder by one bit too few", "rtl/spk_crc.v", "remainder = polynomial;", "remainder = {polynomial[30:0], 1'b0};", CRC),
    Mutant("a message goes on with the remainder of the one before", "rtl/spk_crc.v", "first_reg ? 32'hFFFFFFFF : remainder_reg;", "remainder_reg;", CRC),
    Mutant("words that are not there count", "rtl/spk_crc.v", "if (valid_reg) remainder_reg", "remainder_reg", CRC),
    Mutant("byte strobes do not matter", "rtl/spk_regs.v", "if (control && s_axil_wstrb[1]) begin", "if (control) begin", REGISTERS),
    Mutant("swapped ports: stalls of input and output", "rtl/spk_regs.v", "3'd0, count_stall_output, 3'd0, count_stall_input,",
           "3'd0, count_stall_input, 3'd0, count_stall_output,", PACKETS),
    Mutant("a part of a length is a command", "rtl/spk_regs.v", "wire command = write && &s_axil_wstrb &&", "wire command = write &&", REGS),
    Mutant("a reset that does not wait for the memory", "rtl/spk_regs.v", "|| (soft_reset && !quiet);", ";", REGS),
    Mutant("what happens as it is cleared is lost", "rtl/spk_regs.v", "pending_reg <= happened | (pending_reg &", "pending_reg <= (happened | pending_reg) & (", REGS),
    # ---- Verilog: memory ----
    Mutant("a burst goes on past its 128 bytes", "rtl/spk_bursts.v", ": 4'd15) - offset_reg;", ": 4'd15);", MEMORY),
    Mutant("the next burst begins in the middle", "rtl/spk_bursts.v", "offset_reg <= s_ready ? s_address[6:3] : 4'd0;", "offset_reg <= s_address[6:3];", MEMORY),
    Mutant("a command one word too long", "rtl/spk_bursts.v", "{1'b0, s_address[6:3]} - 5'd1;", "{1'b0, s_address[6:3]};", MEMORY),
    Mutant("an address is taken back by a reset", "rtl/spk_bursts.v", "if (m_axi_ready) m_axi_valid <= 1'b0;", "if (m_axi_ready || reset) m_axi_valid <= 1'b0;", MEMORY),
    Mutant("five bursts are open", "rtl/spk_bursts.v", "!reset && !open_reg[2] &&", "!reset && open_reg != 3'd5 &&", MEMORY),
    Mutant("a burst is asked for without room", "rtl/spk_reader.v", "room_reg[6:4] != 0", "room_reg != 0", MEMORY),
    Mutant("words with an error are passed on", "rtl/spk_reader.v", "wire push = received && !m_axi_rresp[1];", "wire push = received;", MEMORY),
    Mutant("words after an error are passed on", "rtl/spk_reader.v", "m_axi_rvalid && !stop && !reset;", "m_axi_rvalid && !reset;", MEMORY),
    Mutant("what a reset drops is told as done", "rtl/spk_reader.v", "m_axi_rvalid && !stop && !reset;", "m_axi_rvalid && !stop;", MEMORY),
    Mutant("TLAST with each burst", "rtl/spk_bursts.v", "burst_final && last_reg,", "last_reg,", MEMORY),
    Mutant("a burst begins without its last word", "rtl/spk_writer.v", "waiting_reg > {2'd0, burst_length}", "waiting_reg >= {2'd0, burst_length}", MEMORY),
    Mutant("a long packet is taken for whole", "rtl/spk_writer.v", "(whole_reg && exact);", "exact;", MEMORY),
    Mutant("the next packet is let in early", "rtl/spk_writer.v", "assign s_axis_tready = !whole_reg &&", "assign s_axis_tready =", MEMORY),
    Mutant("a burst is cut off by a reset", "rtl/spk_writer.v", "if (!aresetn) valid_reg <= 1'b0;", "if (!aresetn || reset) valid_reg <= 1'b0;", MEMORY),
    Mutant("a reset leaves the strobes", "rtl/spk_writer.v", "strobe_reg <= !reset;", "strobe_reg <= 1'b1;", MEMORY),
    Mutant("strobes change while a word waits", "rtl/spk_writer.v", "if (!m_axi_wvalid || m_axi_wready) strobe_reg", "strobe_reg", MEMORY),
    Mutant("a ninth command is lost without a word", "rtl/spk_memory.v", "command_valid && (unfit || full);", "command_valid && unfit;", MEMORY),
    Mutant("bytes that are no words", "rtl/spk_memory.v", "command_bytes[2:0] != 0 || ", "", MEMORY),
    Mutant("the last error is kept instead of the first", "rtl/spk_memory.v", "    if (!error_valid) begin", "    if (!error_valid || command_error) begin", MEMORY),
    Mutant("quiet without the writer", "rtl/spk_memory.v", "assign quiet = send_quiet && receive_quiet;", "assign quiet = send_quiet;", MEMORY),
    # ---- compiler ----
    Mutant("thresholds rounded down", "firmware/spikeline_compiler/steps.py", "return first, last, above", "return first, last, below", COMPILER),
    Mutant("strict thresholds off by one", "firmware/spikeline_compiler/steps.py", '"Greater": lambda a, b: a > b,', '"Greater": lambda a, b: a >= b,', COMPILER),
    Mutant("negative scales keep the weights", "firmware/spikeline_compiler/stages.py", "stage.weights = stage.weights * signs", "stage.weights = stage.weights * 1", COMPILER),
    Mutant("membranes may overflow by one", "firmware/spikeline_compiler/lower.py", "if low < -reach or high >= reach or", "if low < -reach or high > reach or", COMPILER),
    Mutant("beta before gamma", "firmware/spikeline_compiler/stages.py", "for a, b in zip(stage.bias, mean, strict=True)", "for a, b in zip(stage.bias, beta, strict=True)", COMPILER),
    Mutant("a minuend's sign", "firmware/spikeline_compiler/stages.py", "        stage.scale = [-a for a in stage.scale]\n", "", COMPILER),
    Mutant("amplitude of spikes forgotten", "firmware/spikeline_compiler/stages.py", "scale, shape = [values.amplitude] * columns,", "scale, shape = [Fraction(1)] * columns,", COMPILER),
    Mutant("Gemm's transpose forgotten", "firmware/spikeline_compiler/passes.py", 'if attribute(node, "transB", 0):', "if False:", COMPILER),
    Mutant("neurons packed in the wrong order", "host/spikeline/model/model_file.py", "shifts = np.arange(0, 8, bits, dtype=np.uint8)", "shifts = np.arange(0, 8, bits, dtype=np.uint8)[::-1]", COMPILER),
    # ---- golden model ----
    Mutant("golden: fires above the threshold only", "host/spikeline/model/golden.py", "spiked = membranes >= 0", "spiked = membranes > 0", GOLDEN),
    Mutant("golden: no reset", "host/spikeline/model/golden.py", "np.where(spikes[:, t], v - thresholds if layer.reset == Reset.SUBTRACT else 0, v)", "v", GOLDEN),
    Mutant("golden: leaks in the first step", "host/spikeline/model/golden.py", "if t and layer.leak:", "if layer.leak and t != 1:", GOLDEN),
    Mutant("golden: saturates one short", "host/spikeline/model/golden.py", "v.clip(-largest - 1, largest)", "v.clip(-largest, largest)", GOLDEN),
    Mutant("golden: one step too many", "host/spikeline/model/golden.py", "used - 1]", "np.minimum(used, steps - 1)]", GOLDEN),
    Mutant("early exit: above the margin only", "host/spikeline/model/early_exit.py", "stops = leads >= margin", "stops = leads > margin", GOLDEN),
    Mutant("encoder: pixels at the threshold are silent", "host/spikeline/model/encode.py", "_checked(pixels) >= THRESHOLD", "_checked(pixels) > THRESHOLD", GOLDEN),
    Mutant("encoder: another shift", "host/spikeline/model/encode.py", "x ^= x >> np.uint64(7)", "x ^= x >> np.uint64(9)", GOLDEN),
)  # fmt: skip
