// SPDX-License-Identifier: Apache-2.0
// spk_layer never fills its queue beyond its room, starts its scanners only when all are ready, and addresses only
// words that its memories have.
//
// Here lies what fifo.v and scan.v assume of the layer. The slices' arithmetic plays no part: they are cut away.
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
(* hierconn *) wire [3:0]                       \core.phase ;
(* hierconn *) wire [3:0]                       \core.last_phase ;
(* hierconn *) wire                             \core.continuous ;
(* hierconn *) wire [PARALLEL-1:0]              \core.read_reg ;
(* hierconn *) wire [PARALLEL*ADDRESS_BITS-1:0] \core.address_reg ;
(* hierconn *) wire [SLICES*BANKS-1:0]          \core.weight_write_reg ;
(* hierconn *) wire [4:0]                       \core.queue.write_reg ;
(* hierconn *) wire [4:0]                       \core.queue.read_reg ;

wire [4:0] queued = \core.queue.write_reg - \core.queue.read_reg ;
wire       leaks = config_leak != 0;
wire [3:0] last_phase = leaks ? 4'b1000 : config_biased ? 4'b0100 : 4'b0001;
// A step that runs and has not been handed to `step_end_reg`, to which no plane but the last is handed
wire       direct = DIRECT != 0 && config_direct;
wire       to_come = \core.running_reg && (!\core.continuous || \core.phase [3:1] == 0)
    && (!direct || \core.user_reg [1]);
wire [4:0] under_way = to_come + \core.step_end_reg [0] + \core.step_end_reg [1] + \core.step_end_reg [2]
    + \core.step_end_reg [3] + \core.step_end_reg [4] + \core.step_end_reg [5];

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

reg scanned; // what scan.v proves: each spike is one of its lane's
reg bounded;  // addresses of the ports that read or write
integer p;
integer stage;
always @* begin
    bounded = 1'b1;
    scanned = 1'b1;
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
        if (\core.step_end_reg [5]) assert (queued < QUEUE);
        if (idle) assert (queued == 0 && !\core.running_reg );
        // Memories
        assert (bounded);
        assert (\core.weight_write_reg == {{(SLICES*BANKS-1){1'b0}}, was_write} << (was_slice * BANKS + was_bank));
        if (was_write)
            assert (\core.address_reg [was_bank*2*ADDRESS_BITS +: ADDRESS_BITS] == was_word && \core.read_reg == 0);

        // Invariants
        assert (\core.unfinished_reg == under_way + queued);
        assert (\core.unfinished_reg <= QUEUE);
        for (stage = 0; stage < 6; stage = stage + 1)
            if (direct && \core.step_end_reg [stage]) assert (\core.users_reg [stage*USER_BITS +: 2] == 2'b11);
        if (!\core.running_reg ) assert (&\core.scan_done && \core.scan_valid == 0 && \core.phase == 0);
        if (CONTINUOUS != 0) begin
            assert (\core.continuous == config_continuous && \core.last_phase == last_phase);
            assert ((\core.phase & (\core.phase - 1'b1)) == 0);
            if (\core.phase != 0) assert (\core.continuous && &\core.scan_done );
            if (\core.phase [1] || \core.phase [3]) assert (leaks);
            if (\core.phase [2]) assert (leaks || config_biased);
        end
    end

    cover (settled == 7 && queued == QUEUE);
    cover (settled == 7 && |\core.weight_write_reg );
    if (DIRECT != 0) cover (settled == 7 && direct && \core.step_end_reg [5]);
end

endmodule

`resetall
