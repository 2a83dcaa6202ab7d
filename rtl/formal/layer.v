// SPDX-License-Identifier: Apache-2.0
// spk_layer never fills its queue beyond its room, starts its scanners only when all are ready, addresses only words
// that its memories have, and where neurons are decided one after another, does so for each neuron of each step once:
// currents are held until the last is picked, and no state is read before it is written.
//
// Here lies what fifo.v and scan.v assume of the layer. The arithmetic of slices and of what their neurons share plays
// no part: they are cut away.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_layer #(
    parameter integer INPUTS = 20,
    parameter integer NEURONS = 16,
    parameter integer PARALLEL = 2,
    parameter integer CONTINUOUS = 0,
    parameter integer DIRECT = 0,
    // 1: no stalls before the queue is full, none after, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

localparam WEIGHT_BITS = 8;
localparam MEMBRANE_BITS = 4;
localparam CLASSES = 2;
localparam TAG_BITS = 1;
localparam USER_BITS = TAG_BITS + 4;
localparam MAX_LEAK = 2;
localparam QUEUE = 16;
localparam GROUP = 8;
localparam GROUP_BITS = $clog2(GROUP);
localparam LANE_WIDTH = (INPUTS + PARALLEL - 1) / PARALLEL;
localparam INDEX_BITS = $clog2(LANE_WIDTH);
localparam DEPTH = PARALLEL > 1 ? 2 * LANE_WIDTH : INPUTS;
localparam ADDRESS_BITS = $clog2(DEPTH);
localparam BANKS = PARALLEL > 1 ? PARALLEL / 2 : 1;
localparam SLICES = NEURONS / (64 / WEIGHT_BITS);

(* anyseq *)   wire                 reset;
(* anyconst *) wire [15:0]          config_neurons;
(* anyconst *) wire                 config_continuous;
(* anyconst *) wire                 config_direct;
(* anyconst *) wire                 config_biased;
(* anyconst *) wire [3:0]           config_leak;
(* anyseq *)   wire                 weight_write;
(* anyseq *)   wire                 threshold_write;
(* anyseq *)   wire                 bias_write;
(* anyseq *)   wire [15:0]          write_row;
(* anyseq *)   wire [15:0]          write_slice;
(* anyseq *)   wire [15:0]          write_pair;
(* anyseq *)   wire                 write_odd;
(* anyseq *)   wire [INPUTS-1:0]    s_spikes;
(* anyseq *)   wire [USER_BITS-1:0] s_user;
(* anyseq *)   wire                 s_valid;
(* anyseq *)   wire                 exit_valid;
(* anyseq *)   wire                 exit_tag;
(* anyseq *)   wire                 m_ready;
wire                             s_ready;
wire [NEURONS-1:0]               m_spikes;
wire [CLASSES*MEMBRANE_BITS-1:0] m_membranes;
wire [USER_BITS-1:0]             m_user;
wire                             m_valid;
wire [3:0]                       row_reads;
wire                             idle;

spk_layer #(
    .INPUTS(INPUTS),
    .NEURONS(NEURONS),
    .PARALLEL(PARALLEL),
    .WEIGHT_BITS(WEIGHT_BITS),
    .MEMBRANE_BITS(MEMBRANE_BITS),
    .CLASSES(CLASSES),
    .CONTINUOUS(CONTINUOUS),
    .MAX_LEAK(MAX_LEAK),
    .DIRECT(DIRECT),
    .GROUP(GROUP),
    .TAG_BITS(TAG_BITS)
) core (
    .aclk(aclk),
    .reset(reset),
    .config_neurons(config_neurons),
    .config_direct(config_direct),
    .config_continuous(config_continuous),
    .config_reset_zero(1'b0),
    .config_biased(config_biased),
    .config_leak(config_leak),
    .weight_write(weight_write),
    .threshold_write(threshold_write),
    .bias_write(bias_write),
    .write_row(write_row),
    .write_slice(write_slice),
    .write_pair(write_pair),
    .write_odd(write_odd),
    .write_data(64'd0),
    .s_spikes(s_spikes),
    .s_user(s_user),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .exit_valid(exit_valid),
    .exit_tag(exit_tag),
    .m_spikes(m_spikes),
    .m_membranes(m_membranes),
    .m_user(m_user),
    .m_valid(m_valid),
    .m_ready(m_ready),
    .row_reads(row_reads),
    .idle(idle)
);

// The layer's own signals: what it tells its scanners, memories and queue, and registers for invariants
(* hierconn *) wire                             \core.start ;
(* hierconn *) wire                             \core.finish ;
(* hierconn *) wire                             \core.running_reg ;
(* hierconn *) wire [USER_BITS-1:0]             \core.user_reg ;
(* hierconn *) wire [6*USER_BITS-1:0]           \core.users_reg ;
(* hierconn *) wire [PARALLEL-1:0]              \core.scan_next_valid ;
(* hierconn *) wire [PARALLEL-1:0]              \core.scan_done ;
(* hierconn *) wire [PARALLEL-1:0]              \core.scan_valid ;
(* hierconn *) wire [PARALLEL*INDEX_BITS-1:0]   \core.scan_index ;
(* hierconn *) wire [4:0]                       \core.unfinished_reg ;
(* hierconn *) wire [5:0]                       \core.step_end_reg ;
(* hierconn *) wire                             \core.serial ;
(* hierconn *) wire                             \core.step_decided ;
(* hierconn *) wire [GROUP_BITS-1:0]            \core.deciding_reg ;
(* hierconn *) wire                             \core.waiting_reg ;
(* hierconn *) wire [PARALLEL-1:0]              \core.read_reg ;
(* hierconn *) wire [PARALLEL*ADDRESS_BITS-1:0] \core.address_reg ;
(* hierconn *) wire [SLICES*BANKS-1:0]          \core.weight_write_reg ;
(* hierconn *) wire [4:0]                       \core.queue.write_reg ;
(* hierconn *) wire [4:0]                       \core.queue.read_reg ;

wire [4:0] queued = \core.queue.write_reg - \core.queue.read_reg ;
wire       direct = DIRECT != 0 && config_direct;
// Steps on their way to the queue: one that runs, unless it is a plane that is not the last; those in the pipeline
wire       to_come = \core.running_reg && (!direct || \core.user_reg [1]);
wire [4:0] ending = \core.step_end_reg [0] + \core.step_end_reg [1] + \core.step_end_reg [2];
reg  [4:0] under_way;

// What decides neurons one after another, or nothing where that is not built
wire [5:0]              stage;
wire [5:0]              last;
wire [6*GROUP_BITS-1:0] index;
generate
    if (CONTINUOUS != 0 || DIRECT != 0) begin : \core.shared // so that the names below are paths in the layer
        (* hierconn *) wire [5:0]              stage_reg;
        (* hierconn *) wire [5:0]              last_reg;
        (* hierconn *) wire [6*GROUP_BITS-1:0] index_reg;
        assign {stage, last, index} = {stage_reg, last_reg, index_reg};
    end else begin : own
        assign {stage, last, index} = 0;
    end
endgenerate
wire [GROUP_BITS-1:0] first_index = index[GROUP_BITS-1:0];
wire [GROUP_BITS-1:0] pick_index = index[2*GROUP_BITS +: GROUP_BITS];

reg       begun = 1'b0;
reg [2:0] settled = 0;
reg       was_write = 1'b0;
reg [15:0] was_slice;
reg [15:0] was_bank; // where spikes of this row are read
reg [15:0] was_word;
reg       was_full = 1'b0;

always @(posedge aclk) begin
    begun <= 1'b1;
    if (settled != 7) settled <= settled + 1'b1;
    was_write <= weight_write && !reset;
    was_slice <= write_slice;
    was_bank <= write_row % PARALLEL / 2;
    was_word <= PARALLEL > 1 ? write_row / PARALLEL * 2 + write_row[0] : write_row;
    was_full <= !reset && (was_full || queued == QUEUE);
end

// What scan.v proves: each spike is one of its lane's; a lane that is done with a step shows no more of it
reg scanned;
reg [PARALLEL-1:0] scanning = 0; // a step of this lane is under way
always @(posedge aclk)
    scanning <= reset ? {PARALLEL{1'b0}} : {PARALLEL{\core.start }} | (scanning & ~\core.scan_done );

reg bounded;  // addresses of the ports that read or write
integer p;
integer s;
integer k;
always @* begin
    under_way = to_come + ending;
    for (s = 0; s < 6; s = s + 1) under_way = under_way + last[s];
    under_way = under_way + (\core.serial ? stage[0]
        : \core.step_end_reg [3] + \core.step_end_reg [4] + \core.step_end_reg [5]);
    bounded = 1'b1;
    scanned = !(|(~scanning & (\core.scan_valid | ~\core.scan_done )));
    for (p = 0; p < PARALLEL; p = p + 1) begin
        if (\core.scan_valid [p] && \core.scan_index [p*INDEX_BITS +: INDEX_BITS] * PARALLEL + p >= INPUTS)
            scanned = 1'b0;
        if (\core.read_reg [p] && \core.address_reg [p*ADDRESS_BITS +: ADDRESS_BITS] >= DEPTH) bounded = 1'b0;
        if (|\core.weight_write_reg && p % 2 == 0 && \core.address_reg [p*ADDRESS_BITS +: ADDRESS_BITS] >= DEPTH)
            bounded = 1'b0;
    end
end

always @* begin
    if (!begun || settled != 7) assume (reset);
    assume (config_neurons != 0 && config_neurons <= NEURONS && config_leak <= MAX_LEAK);
    if (CONTINUOUS == 0 || direct) assume (!config_continuous); // loader.v proves the latter
    assume (scanned);
    // What loader.v proves: writes within the layer, and only while it is idle
    if (weight_write) assume (write_row < INPUTS && write_slice < SLICES);
    if (threshold_write || bias_write) assume (write_pair < NEURONS / 2);
    assume (weight_write + threshold_write + bias_write < 2);
    if (weight_write || threshold_write || bias_write) assume (idle && !s_valid);
    if (was_write) assume (!s_valid);
    if (GUIDED != 0)
        assume (s_spikes == 0 && s_user == 0 && !exit_valid && config_neurons == 8 && !config_biased
            && config_leak == 0);
    if (GUIDED != 0) assume (!threshold_write && !bias_write && write_row == 3 && write_slice == 1);
    if (GUIDED != 0 && settled == 7) assume (!reset && (idle || s_valid != was_full) && m_ready == was_full);

    if (begun && settled == 7) begin
        // For scan.v
        if (\core.start ) assert (&\core.scan_next_valid && &\core.scan_done );
        // For fifo.v
        assert (queued <= QUEUE);
        if (\core.step_decided ) assert (queued < QUEUE);
        if (idle) assert (queued == 0 && !\core.running_reg );
        // Memories
        assert (bounded);
        assert (\core.weight_write_reg == {{(SLICES*BANKS-1){1'b0}}, was_write} << (was_slice * BANKS + was_bank));
        if (was_write)
            assert (\core.address_reg [was_bank*2*ADDRESS_BITS +: ADDRESS_BITS] == was_word && \core.read_reg == 0);

        // Invariants
        assert (\core.unfinished_reg == under_way + queued);
        assert (\core.unfinished_reg <= QUEUE);
        for (k = 0; k < 6; k = k + 1)
            if (direct && \core.step_end_reg [k]) assert (\core.users_reg [k*USER_BITS +: 2] == 2'b11);
        if (!\core.running_reg ) assert (&\core.scan_done && \core.scan_valid == 0);

        if (!\core.running_reg ) assert (scanning == 0);

        // One after another
        assert (\core.waiting_reg == (\core.deciding_reg != 0));
        if (!\core.serial ) assert (stage == 0 && last == 0 && \core.deciding_reg == 0);
        else begin
            if (\core.step_end_reg [4] && stage[2]) assert (pick_index == GROUP - 1);
            for (k = 1; k < 6; k = k + 1)
                if (stage[0] && stage[k]) assert (index[k*GROUP_BITS +: GROUP_BITS] != first_index);
            // How far the newest step has come, and the one before it
            assert (ending <= 1);
            for (k = 0; k < 3; k = k + 1)
                if (\core.step_end_reg [k]) begin
                    assert (\core.deciding_reg == GROUP - 1 - k);
                    if (stage[0]) assert (first_index >= GROUP - 3 + k);
                end
            if (ending == 0)
                assert (\core.deciding_reg == (stage[0] && first_index < GROUP - 4 ? GROUP - 4 - first_index : 0));
        end
    end

    cover (settled == 7 && queued == QUEUE);
    cover (settled == 7 && |\core.weight_write_reg );
    if (DIRECT != 0) cover (settled == 7 && direct && \core.step_decided );
end

endmodule

`resetall
