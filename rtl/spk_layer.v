// SPDX-License-Identifier: Apache-2.0
// One layer: takes a spike vector per time step, reads one row of weights per spike, gives the vector of fired neurons.
//
//   input i   scan lane i mod PARALLEL; RAM bank lane / 2, word (i / PARALLEL) · 2 + lane mod 2
//   s_user    {tag of the image, last image, first image, last step, first step}: goes with its step
//
// Direct input: the steps of an image are planes of its pixels' bits. The currents are doubled from one to the next,
// and the last alone goes to the next layer, as the one step of its image.
//
// A step takes as many cycles as its busiest scan lane has spikes, at least one. Where neurons are decided one after
// another (spk_fire), which is so if membranes last and for direct input, steps end GROUP cycles apart at least. Steps
// follow each other without a gap, while fewer than QUEUE of them are between the scanners and the next layer. Latency
// from the last rows of a step to `m_valid`: seven cycles, or GROUP + 10.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_layer #(
    // Room for inputs, at least 16, and for neurons, a multiple of 64 / WEIGHT_BITS
    parameter integer INPUTS = 784,
    parameter integer NEURONS = 256,
    // Scan lanes, which are spikes per cycle: 1, 2, 4 or 8
    parameter integer PARALLEL = 4,
    // 1: weights are in UltraRAM
    parameter integer ULTRA_RAM = 0,
    // Bits of a weight (2, 4 or 8) and of a membrane (4 to 24)
    parameter integer WEIGHT_BITS = 4,
    parameter integer MEMBRANE_BITS = 14,
    // Neurons whose membranes can be read, at most 64 / WEIGHT_BITS
    parameter integer CLASSES = 16,
    // 1: membranes can last from step to step, with a leak of up to MAX_LEAK: a shift, 0 (none) to 15
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    // 1: can take direct input
    parameter integer DIRECT = 0,
    // Neurons that are decided one after another where membranes last or the input is direct: a power of two, from 8
    // to 64 / WEIGHT_BITS
    parameter integer GROUP = 8,
    // Bits of an image's tag, the highest of those that travel with a step
    parameter integer TAG_BITS = 8,
    parameter integer USER_BITS = TAG_BITS + 4
) (
    input  wire                             aclk,
    input  wire                             reset,
    // Neurons in use; whether the input is direct; whether membranes last, and how
    input  wire [                     15:0] config_neurons,
    input  wire                             config_direct,
    input  wire                             config_continuous,
    input  wire                             config_reset_zero,
    input  wire                             config_biased,
    input  wire [                      3:0] config_leak,
    // Loading, only while idle. A pair of −θ or of biases comes in two cycles, even then odd.
    input  wire                             weight_write,
    input  wire                             threshold_write,
    input  wire                             bias_write,
    input  wire [                     15:0] write_row,
    input  wire [                     15:0] write_slice,
    input  wire [                     15:0] write_pair,
    input  wire                             write_odd,
    input  wire [                     63:0] write_data,
    // Spikes in
    input  wire [               INPUTS-1:0] s_spikes,
    input  wire [            USER_BITS-1:0] s_user,
    input  wire                             s_valid,
    output wire                             s_ready,
    // The image that is decided: its steps are dropped here
    input  wire                             exit_valid,
    input  wire [             TAG_BITS-1:0] exit_tag,
    // Spikes out, and the membranes of the first neurons
    output wire [              NEURONS-1:0] m_spikes,
    output wire [CLASSES*MEMBRANE_BITS-1:0] m_membranes,
    output wire [            USER_BITS-1:0] m_user,
    output wire                             m_valid,
    input  wire                             m_ready,
    // Rows read in this cycle; nothing is under way
    output wire [                      3:0] row_reads,
    output wire                             idle
);

localparam QUEUE = 16;
localparam LANE_WIDTH = (INPUTS + PARALLEL - 1) / PARALLEL;
localparam INDEX_BITS = $clog2(LANE_WIDTH);
localparam BANKS = PARALLEL > 1 ? PARALLEL / 2 : 1;
localparam DEPTH = PARALLEL > 1 ? 2 * LANE_WIDTH : INPUTS;
localparam ADDRESS_BITS = $clog2(DEPTH);
localparam SLICE_NEURONS = 64 / WEIGHT_BITS;
localparam SLICE_NEURONS_BITS = $clog2(SLICE_NEURONS);
localparam SLICES = NEURONS / SLICE_NEURONS;
localparam PAIR_BITS = $clog2(SLICE_NEURONS / 2);
localparam SHARED = CONTINUOUS != 0 || DIRECT != 0; // is there a spk_fire?
localparam GROUPS = SHARED ? NEURONS / GROUP : 1;
localparam SLICE_GROUPS = SHARED ? SLICE_NEURONS / GROUP : 1;
localparam GROUP_BITS = $clog2(GROUP);
localparam LANE_BITS = PARALLEL > 1 ? $clog2(PARALLEL) : 1;

// Stages behind the scanners, each by the register that it fills: `address_reg`, the word that the RAM reads, the row
// in the RAM's output register, the sum over the lanes, the current, the spike.
localparam ADDRESS = 0, ROW = 2, SUM = 3, CURRENT = 4, SPIKE = 5;
// Values of `base_select`, what a row is added to: the current, −θ, 0, or twice the current (see spk_slice.v)
localparam [1:0] KEEP = 2'd0, FROM_THRESHOLD = 2'd1, FROM_ZERO = 2'd2, TWICE = 2'd3;

// ---- scanners: all lanes go from step to step together ----
wire [PARALLEL-1:0]            scan_ready;
wire [PARALLEL-1:0]            scan_next_valid;
wire [PARALLEL-1:0]            scan_done;
wire [PARALLEL-1:0]            scan_empty;
wire [PARALLEL-1:0]            scan_valid;
wire [PARALLEL*INDEX_BITS-1:0] scan_index;
wire [PARALLEL*USER_BITS-1:0]  scan_user;

reg                     running_reg;    // within a step
reg                     first_reg;      // in its first cycle
reg  [USER_BITS-1:0]    user_reg;
reg  [$clog2(QUEUE):0]  unfinished_reg; // steps started for the next layer that it has not taken
reg  [GROUP_BITS-1:0]   deciding_reg;   // cycles until a step may end, for those before to be decided,
reg                     waiting_reg;    // and whether there are any

wire direct = DIRECT != 0 && config_direct;
wire continuous = CONTINUOUS != 0 && config_continuous;
wire serial = direct || continuous;          // neurons are decided one after another
wire decide = user_reg[1] || !direct;        // the step is for the next layer
wire rows_end = running_reg && &scan_done;   // the last rows of the step, and every cycle after them
wire finish = rows_end && (!waiting_reg || !decide); // the last cycle of the step
wire start = (!running_reg || finish) && &scan_next_valid && unfinished_reg != QUEUE;

wire drop = exit_valid && s_user[4 +: TAG_BITS] == exit_tag;

assign s_ready = &scan_ready || drop;

genvar p;
genvar i;
generate
    for (p = 0; p < PARALLEL; p = p + 1) begin : lane
        spk_scan #(.INPUTS(INPUTS), .LANES(PARALLEL), .LANE(p), .USER_BITS(USER_BITS)) scan (
            .aclk(aclk),
            .reset(reset),
            .s_spikes(s_spikes),
            .s_user(s_user),
            .s_valid(s_valid && &scan_ready && !drop),
            .s_ready(scan_ready[p]),
            .hold(1'b0),
            .next_valid(scan_next_valid[p]),
            .next_user(scan_user[p*USER_BITS +: USER_BITS]),
            .start(start),
            .done(scan_done[p]),
            .empty(scan_empty[p]),
            .valid(scan_valid[p]),
            .index(scan_index[p*INDEX_BITS +: INDEX_BITS])
        );
    end
endgenerate

always @(posedge aclk) begin
    running_reg <= start || (running_reg && !finish);
    first_reg <= start;
    if (start) user_reg <= scan_user[USER_BITS-1:0];
    unfinished_reg <= unfinished_reg + (start && (!direct || scan_user[1])) - (m_valid && m_ready);
    if (finish && decide && serial) deciding_reg <= {GROUP_BITS{1'b1}};
    else if (waiting_reg) deciding_reg <= deciding_reg - 1'b1;
    waiting_reg <= (finish && decide && serial) || deciding_reg > 1;
    if (reset) begin
        running_reg <= 1'b0;
        deciding_reg <= 0;
        waiting_reg <= 1'b0;
        unfinished_reg <= 0;
    end
end

// ---- stage ADDRESS, shared by all slices; a write takes the even lanes' port ----
reg  [PARALLEL-1:0]              read_reg;
reg  [PARALLEL*ADDRESS_BITS-1:0] address_reg;
reg  [SLICES*BANKS-1:0]          weight_write_reg;
reg  [SLICES-1:0]                threshold_write_reg;
reg  [SLICES-1:0]                bias_write_reg;
reg  [PAIR_BITS-1:0]             write_pair_reg;
reg                              write_odd_reg;
reg  [63:0]                      write_data_reg;
wire [ADDRESS_BITS-1:0]          write_address;

always @(posedge aclk) begin
    read_reg <= reset ? {PARALLEL{1'b0}} : scan_valid;
    write_pair_reg <= write_pair[PAIR_BITS-1:0];
    write_odd_reg <= write_odd;
    write_data_reg <= write_data;
end

generate
    if (PARALLEL > 1) begin : dual_port
        assign write_address = {write_row[LANE_BITS +: INDEX_BITS], write_row[0]};
    end else begin : single_port
        assign write_address = write_row[ADDRESS_BITS-1:0];
    end
    for (p = 0; p < PARALLEL; p = p + 1) begin : port
        wire [ADDRESS_BITS-1:0] scan_address;
        if (PARALLEL > 1) begin : dual
            localparam ODD = p % 2;
            assign scan_address = {scan_index[p*INDEX_BITS +: INDEX_BITS], ODD[0]};
        end else begin : single
            assign scan_address = scan_index;
        end
        always @(posedge aclk)
            address_reg[p*ADDRESS_BITS +: ADDRESS_BITS] <= weight_write ? write_address : scan_address;
    end
    for (i = 0; i < SLICES; i = i + 1) begin : write
        for (p = 0; p < BANKS; p = p + 1) begin : bank
            wire here = BANKS == 1 || {1'b0, write_row[LANE_BITS-1:0]} >> 1 == p;
            always @(posedge aclk) weight_write_reg[i*BANKS+p] <= !reset && weight_write && write_slice == i && here;
        end
        wire pair_here = !reset && write_pair[15:PAIR_BITS] == i;
        always @(posedge aclk) begin
            threshold_write_reg[i] <= threshold_write && pair_here;
            bias_write_reg[i] <= bias_write && pair_here;
        end
    end
endgenerate

// ---- control beside the data, a bit a stage ----
reg [SUM:ADDRESS]     active_reg;   // a cycle of a step
reg [SPIKE:ADDRESS]   step_end_reg; // its last
reg [2*SUM+1:0]       base_select_reg;
reg [PARALLEL-1:0]    row_valid_reg; // in stage READ
reg [6*USER_BITS-1:0] users_reg;

always @(posedge aclk) begin
    active_reg <= {active_reg[ROW:ADDRESS], running_reg};
    step_end_reg <= {step_end_reg[CURRENT:ADDRESS], finish && decide};
    base_select_reg <= {base_select_reg[2*SUM-1:0], !first_reg ? KEEP : direct && !user_reg[0] ? TWICE
        : serial ? FROM_ZERO : FROM_THRESHOLD};
    row_valid_reg <= read_reg;
    users_reg <= {users_reg[SPIKE*USER_BITS-1:0], user_reg[USER_BITS-1:1], user_reg[0] || direct};
    if (reset) begin
        active_reg <= 0;
        step_end_reg <= 0;
    end
end

// ---- neurons in use: all of some slices, part of one ----
reg [SLICES-1:0]        all_used_reg;
reg [SLICES-1:0]        part_used_reg;
reg [SLICE_NEURONS-1:0] neurons_used_reg;
generate
    for (i = 0; i < SLICES; i = i + 1) begin : slice_in_use
        always @(posedge aclk) begin
            all_used_reg[i] <= config_neurons[15:SLICE_NEURONS_BITS] > i;
            part_used_reg[i] <= config_neurons[15:SLICE_NEURONS_BITS] == i;
        end
    end
    for (i = 0; i < SLICE_NEURONS; i = i + 1) begin : neuron_in_use
        always @(posedge aclk) neurons_used_reg[i] <= config_neurons[SLICE_NEURONS_BITS-1:0] > i;
    end
endgenerate

// ---- neurons ----
wire [NEURONS-1:0]               fired;
wire [NEURONS*MEMBRANE_BITS-1:0] currents;
wire [GROUPS-1:0]                group_spikes; // of the neurons that are decided in this cycle
wire                             shift;        // that comes in

genvar t;
generate
    for (t = 0; t < SLICES; t = t + 1) begin : slice
        spk_slice #(
            .PARALLEL(PARALLEL),
            .DEPTH(DEPTH),
            .ULTRA_RAM(ULTRA_RAM),
            .WEIGHT_BITS(WEIGHT_BITS),
            .MEMBRANE_BITS(MEMBRANE_BITS),
            .GROUP(SHARED ? GROUP : 0),
            .DIRECT(DIRECT)
        ) slice (
            .aclk(aclk),
            .read(read_reg),
            .address(address_reg),
            .row_valid(row_valid_reg),
            .row_active(active_reg[ROW]),
            .sum_active(active_reg[SUM]),
            .base_select(base_select_reg[2*SUM +: 2]),
            .step_end(step_end_reg[CURRENT] && !serial),
            .shift(shift),
            .shift_spikes(group_spikes[(SHARED ? t*SLICE_GROUPS : 0) +: SLICE_GROUPS]),
            .all_used(all_used_reg[t]),
            .part_used(part_used_reg[t]),
            .neurons_used(neurons_used_reg),
            .weight_write(weight_write_reg[t*BANKS +: BANKS]),
            .threshold_write(threshold_write_reg[t]),
            .write_pair(write_pair_reg),
            .write_data(write_data_reg),
            .fired(fired[t*SLICE_NEURONS +: SLICE_NEURONS]),
            .currents(currents[t*SLICE_NEURONS*MEMBRANE_BITS +: SLICE_NEURONS*MEMBRANE_BITS])
        );
    end
endgenerate

// ---- decisions: at the end of a step its currents are held, and decided one neuron of each group after another ----
wire [USER_BITS-1:0]                step_user;    // of the step that goes to the next layer
wire [CLASSES*MEMBRANE_BITS-1:0]    step_membranes;
wire                                step_decided;
wire [GROUPS*(MEMBRANE_BITS-1)-1:0] states;       // what lasts of the neurons that are decided in this cycle

reg [CLASSES*MEMBRANE_BITS-1:0] final_reg; // u − θ at the end of a discontinuous step
always @(posedge aclk) if (step_end_reg[CURRENT]) final_reg <= currents[CLASSES*MEMBRANE_BITS-1:0];

generate
    if (SHARED) begin : shared
        localparam STAGES = 6;
        localparam LAST = GROUP - 1;
        localparam DECIDED_GROUPS = (CLASSES + GROUP - 1) / GROUP; // that hold neurons whose membranes are read
        localparam FINAL_BITS = GROUP * MEMBRANE_BITS;

        reg  [STAGES-1:0]              stage_reg;
        reg  [STAGES*GROUP_BITS-1:0]   index_reg;
        reg  [USER_BITS-1:0]           user_first_reg; // from the first neuron on
        reg  [USER_BITS-1:0]           user_last_reg;  // from the last neuron on
        reg  [STAGES-1:0]              last_reg;
        reg  [MAX_LEAK:0]              keep_reg;
        reg  [SLICE_GROUPS-1:0]        index_used_reg; // is this neuron of the groups of a slice that is used in part?
        reg  [DECIDED_GROUPS*FINAL_BITS-1:0] decided_reg;
        wire [GROUPS*MEMBRANE_BITS-1:0]      decided;

        wire begins = serial && step_end_reg[ROW];
        wire [GROUP_BITS-1:0] index = index_reg[GROUP_BITS-1:0];
        wire [GROUP_BITS-1:0] index_compare = index_reg[4*GROUP_BITS +: GROUP_BITS];
        wire last = stage_reg[0] && index == LAST[GROUP_BITS-1:0];

        assign shift = stage_reg[STAGES-1];
        assign step_decided = serial ? last_reg[STAGES-1] : step_end_reg[SPIKE];
        assign step_user = serial ? user_last_reg : users_reg[SPIKE*USER_BITS +: USER_BITS];
        assign step_membranes = direct ? decided_reg[CLASSES*MEMBRANE_BITS-1:0] : final_reg;

        always @(posedge aclk) begin
            stage_reg <= {stage_reg[STAGES-2:0], begins || (stage_reg[0] && !last)};
            index_reg <= {index_reg[(STAGES-1)*GROUP_BITS-1:0], begins ? {GROUP_BITS{1'b0}} : index + 1'b1};
            last_reg <= {last_reg[STAGES-2:0], last};
            if (begins) user_first_reg <= users_reg[ROW*USER_BITS +: USER_BITS];
            if (last) user_last_reg <= user_first_reg;
            keep_reg <= config_leak == 0 ? {1'b1, {MAX_LEAK{1'b0}}}
                : {1'b1, {MAX_LEAK{1'b0}}} - ({1'b1, {MAX_LEAK{1'b0}}} >> config_leak);
            if (reset) begin
                stage_reg <= 0;
                last_reg <= 0;
            end
        end

        for (i = 0; i < SLICE_GROUPS; i = i + 1) begin : index_in_use
            wire [GROUP-1:0] used = neurons_used_reg[i*GROUP +: GROUP];
            always @(posedge aclk) index_used_reg[i] <= used[index_compare];
        end

        for (i = 0; i < DECIDED_GROUPS; i = i + 1) begin : class_membranes
            always @(posedge aclk)
                if (shift)
                    decided_reg[i*FINAL_BITS +: FINAL_BITS] <= {decided[i*MEMBRANE_BITS +: MEMBRANE_BITS],
                        decided_reg[i*FINAL_BITS+MEMBRANE_BITS +: FINAL_BITS-MEMBRANE_BITS]};
        end

        for (i = 0; i < GROUPS; i = i + 1) begin : group
            localparam SLICE = i / SLICE_GROUPS;
            wire [31:0] write_neuron = {{(31-PAIR_BITS){1'b0}}, write_pair_reg, write_odd_reg}; // of the slice
            wire        here = write_neuron >> GROUP_BITS == i % SLICE_GROUPS;

            spk_fire #(
                .GROUP(GROUP), .MEMBRANE_BITS(MEMBRANE_BITS), .CONTINUOUS(CONTINUOUS), .MAX_LEAK(MAX_LEAK)
            ) fire (
                .aclk(aclk),
                .currents(currents[i*GROUP*MEMBRANE_BITS +: GROUP*MEMBRANE_BITS]),
                .hold(serial && step_end_reg[CURRENT]),
                .active(stage_reg),
                .index(index_reg),
                .restart(stage_reg[0] && (user_first_reg[0] || !continuous)),
                .keep(keep_reg),
                .config_biased(config_biased && continuous),
                .config_reset_zero(config_reset_zero),
                .used(all_used_reg[SLICE] || (part_used_reg[SLICE] && index_used_reg[i % SLICE_GROUPS])),
                .threshold_write(threshold_write_reg[SLICE] && here),
                .bias_write(bias_write_reg[SLICE] && here),
                .write_index(write_neuron[GROUP_BITS-1:0]),
                .write_value(write_odd_reg ? write_data_reg[32 +: MEMBRANE_BITS] : write_data_reg[MEMBRANE_BITS-1:0]),
                .spike(group_spikes[i]),
                .decided(decided[i*MEMBRANE_BITS +: MEMBRANE_BITS]),
                .state(states[i*(MEMBRANE_BITS-1) +: MEMBRANE_BITS-1])
            );
        end
    end else begin : own
        assign {group_spikes, shift, states} = 0;
        assign step_decided = step_end_reg[SPIKE];
        assign step_user = users_reg[SPIKE*USER_BITS +: USER_BITS];
        assign step_membranes = final_reg;
    end
endgenerate

// ---- queue to the next layer ----
spk_fifo #(.WIDTH(USER_BITS + NEURONS + CLASSES * MEMBRANE_BITS), .DEPTH(QUEUE)) queue (
    .aclk(aclk),
    .reset(reset),
    .s_data({step_user, fired, step_membranes}),
    .s_valid(step_decided),
    .m_data({m_user, m_spikes, m_membranes}),
    .m_valid(m_valid),
    .m_ready(m_ready)
);

// ---- status ----
integer r;
reg [3:0] row_reads_next;
reg [3:0] row_reads_reg;
always @* begin
    row_reads_next = 0;
    for (r = 0; r < PARALLEL; r = r + 1) row_reads_next = row_reads_next + read_reg[r];
end
always @(posedge aclk) row_reads_reg <= reset ? 4'd0 : row_reads_next;

assign row_reads = row_reads_reg;
assign idle = unfinished_reg == 0 && &scan_empty && !(direct && running_reg); // planes are not counted as unfinished

endmodule

`resetall
