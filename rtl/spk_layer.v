// SPDX-License-Identifier: Apache-2.0
// Layer core: takes a spike vector a time step, reads one row of weights per spike, gives the vector of fired neurons.
//
// Input i belongs to scan lane i mod PARALLEL, which reads word (i / PARALLEL) * 2 + lane mod 2 of RAM bank lane / 2.
// A step costs as many cycles as its busiest scan lane has spikes, at least one, and if the layer is continuous one more to
// fire, two if it is biased, four if it leaks; steps follow each other without a gap
// while fewer than QUEUE of them are between the scanner and the next layer.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_layer #(
    // Room for inputs (at least 16) and neurons; neurons in multiples of 64 / WEIGHT_BITS
    parameter integer INPUTS = 784,
    parameter integer NEURONS = 256,
    // Spikes per cycle: 1, 2, 4 or 8
    parameter integer PARALLEL = 4,
    // Bits of a weight (2, 4 or 8) and of a membrane
    parameter integer WEIGHT_BITS = 4,
    parameter integer MEMBRANE_BITS = 14,
    // Neurons whose membranes can be read, at most 64 / WEIGHT_BITS
    parameter integer CLASSES = 16,
    // Can membranes last from step to step, and up to which leak?
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    // Bits of an image's tag, the highest of those that travel with a step
    parameter integer TAG_BITS = 8,
    parameter integer USER_BITS = TAG_BITS + 4
) (
    input  wire                             aclk,
    input  wire                             reset,
    // Neurons in use; whether membranes last, and how
    input  wire [                     15:0] config_neurons,
    input  wire                             config_continuous,
    input  wire                             config_reset_zero,
    input  wire                             config_biased,
    input  wire [                      3:0] config_leak,
    // Loading, only while idle
    input  wire                             weight_write,
    input  wire                             threshold_write,
    input  wire                             bias_write,
    input  wire [                     15:0] write_row,
    input  wire [                     15:0] write_slice,
    input  wire [                     15:0] write_pair,
    input  wire [                     63:0] write_data,
    // Spikes in
    input  wire [               INPUTS-1:0] s_spikes,
    input  wire [            USER_BITS-1:0] s_user,
    input  wire                             s_valid,
    output wire                             s_ready,
    // Steps of this image are not wanted any more
    input  wire                             exit_valid,
    input  wire [             TAG_BITS-1:0] exit_tag,
    // Spikes out, and the membranes of the first neurons
    output wire [              NEURONS-1:0] m_spikes,
    output wire [CLASSES*MEMBRANE_BITS-1:0] m_membranes,
    output wire [            USER_BITS-1:0] m_user,
    output wire                             m_valid,
    input  wire                             m_ready,
    // Rows read in this cycle, and nothing under way
    output wire [                      3:0] row_reads,
    output wire                             idle
);

localparam QUEUE = 16;
localparam LANE_WIDTH = (INPUTS + PARALLEL - 1) / PARALLEL;
localparam INDEX_BITS = $clog2(LANE_WIDTH);
localparam BANKS = PARALLEL > 1 ? PARALLEL / 2 : 1;
localparam DEPTH = PARALLEL > 1 ? 2 * LANE_WIDTH : INPUTS;
localparam ADDRESS_BITS = $clog2(DEPTH);
localparam LANES = 64 / WEIGHT_BITS;
localparam LANES_BITS = $clog2(LANES);
localparam SLICES = NEURONS / LANES;
localparam PAIR_BITS = $clog2(LANES / 2);
localparam LEAK_BITS = MAX_LEAK > 1 ? $clog2(MAX_LEAK) : 1;
localparam LANE_BITS = PARALLEL > 1 ? $clog2(PARALLEL) : 1;

// ---- scanners ----
wire [PARALLEL-1:0]            scan_ready;
wire [PARALLEL-1:0]            scan_next_valid;
wire [PARALLEL-1:0]            scan_done;
wire [PARALLEL-1:0]            scan_empty;
wire [PARALLEL-1:0]            scan_valid;
wire [PARALLEL*INDEX_BITS-1:0] scan_index;
wire [PARALLEL*USER_BITS-1:0]  scan_user;

reg                     running_reg;   // the scanners are within a step
reg                     first_reg;     // this is its first cycle
reg  [USER_BITS-1:0]    user_reg;
reg  [$clog2(QUEUE):0]  unfinished_reg; // steps started and not yet taken by the next layer

wire rows_end = running_reg && &scan_done; // and as long as what follows the rows lasts
wire finish;
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
    unfinished_reg <= unfinished_reg + start - (m_valid && m_ready);
    if (reset) begin
        running_reg <= 1'b0;
        unfinished_reg <= 0;
    end
end

// ---- what a continuous layer does after the rows of a step, in this order, a cycle each ----
localparam FIRE = 0, SATURATE = 1, BIAS = 2, LEAK = 3;
wire [3:0] doing;
wire [3:0] do_last; // after which the step is finished
wire       continuous;

generate
    if (CONTINUOUS != 0) begin : lasting
        reg [3:0] do_reg;
        reg [3:0] do_last_reg;
        reg       continuous_reg;
        wire      leaks = MAX_LEAK > 0 && config_leak != 0;

        assign {doing, do_last, continuous} = {do_reg, do_last_reg, continuous_reg};
        assign finish = continuous_reg ? |(do_reg & do_last_reg) : rows_end;

        always @(posedge aclk) begin
            continuous_reg <= config_continuous;
            do_last_reg <= leaks ? 4'b1000 : config_biased ? 4'b0100 : 4'b0001;
            do_reg[FIRE] <= continuous_reg && rows_end && do_reg == 0;
            do_reg[SATURATE] <= do_reg[FIRE] && leaks;
            do_reg[BIAS] <= do_reg[SATURATE] || (do_reg[FIRE] && !leaks && config_biased);
            do_reg[LEAK] <= do_reg[BIAS] && leaks;
            if (reset) do_reg <= 4'd0;
        end
    end else begin : fresh
        assign {doing, do_last, continuous} = 9'd0;
        assign finish = rows_end;
    end
endgenerate

// ---- row addresses, shared by all slices; a write takes the even lanes' port ----
reg  [PARALLEL-1:0]              read_reg;
reg  [PARALLEL*ADDRESS_BITS-1:0] address_reg;
reg  [SLICES*BANKS-1:0]          write_reg;
reg  [SLICES-1:0]                start_write_reg;
reg  [SLICES-1:0]                threshold_write_reg;
reg  [PAIR_BITS-1:0]             pair_reg;
reg  [63:0]                      write_data_reg;
wire [ADDRESS_BITS-1:0]          write_address;

always @(posedge aclk) begin
    read_reg <= reset ? {PARALLEL{1'b0}} : scan_valid;
    pair_reg <= write_pair[PAIR_BITS-1:0];
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
        always @(posedge aclk) address_reg[p*ADDRESS_BITS +: ADDRESS_BITS] <= weight_write ? write_address : scan_address;
    end
    for (i = 0; i < SLICES; i = i + 1) begin : write
        for (p = 0; p < BANKS; p = p + 1) begin : bank
            wire here = BANKS == 1 || {1'b0, write_row[LANE_BITS-1:0]} >> 1 == p;
            always @(posedge aclk) write_reg[i*BANKS+p] <= !reset && weight_write && write_slice == i && here;
        end
        wire pair_here = !reset && write_pair[15:PAIR_BITS] == i;
        always @(posedge aclk) begin
            start_write_reg[i] <= (bias_write || (threshold_write && !continuous)) && pair_here;
            threshold_write_reg[i] <= threshold_write && continuous && pair_here;
        end
    end
endgenerate

// ---- control beside the data: address, RAM, its register, sum, membrane, spike ----
reg [3:0]             active_reg; // a cycle of a step
reg [2:0]             begin_reg;  // its first
reg [3:0]             load_reg;   // the first that a membrane starts from
reg [5:0]             end_reg;    // its last; of a continuous layer, `fire`
reg [3:0]             do_1_reg;   // what a continuous layer does
reg [3:0]             do_2_reg;
reg [3:0]             do_3_reg;
reg [3:0]             do_4_reg;
reg                   saturate_reg;
reg [1:0]             add_reg;    // rows, −θ, bias or leak
reg [LEAK_BITS-1:0]   leak_less_one_reg;
reg [PARALLEL-1:0]    row_valid_reg;
reg [6*USER_BITS-1:0] users_reg;

always @(posedge aclk) begin
    active_reg <= {active_reg[2:0], running_reg};
    begin_reg <= {begin_reg[1:0], first_reg};
    load_reg <= {load_reg[2:0], first_reg && (!continuous || user_reg[0])};
    // A continuous layer knows what fires when it fires, others one cycle later: so its steps enter one place ahead.
    end_reg <= {end_reg[4:1], end_reg[0] || doing[FIRE], finish && !continuous};
    do_1_reg <= doing;
    do_2_reg <= do_1_reg;
    do_3_reg <= do_2_reg;
    do_4_reg <= do_3_reg;
    saturate_reg <= continuous && (do_last[FIRE] ? begin_reg[2] : do_last[BIAS] ? do_3_reg[BIAS] : do_3_reg[SATURATE]);
    add_reg <= {do_2_reg[BIAS] || do_2_reg[LEAK], do_2_reg[FIRE] || do_2_reg[LEAK]};
    leak_less_one_reg <= config_leak[LEAK_BITS-1:0] - 1'b1;
    row_valid_reg <= read_reg;
    users_reg <= {users_reg[5*USER_BITS-1:0], user_reg};
    if (reset) begin
        active_reg <= 0;
        end_reg <= 0;
    end
end

// ---- neurons in use: all of some slices, part of one ----
reg [SLICES-1:0] slice_full_reg;
reg [SLICES-1:0] slice_part_reg;
reg [LANES-1:0]  lane_used_reg;
generate
    for (i = 0; i < SLICES; i = i + 1) begin : in_use
        always @(posedge aclk) begin
            slice_full_reg[i] <= config_neurons[15:LANES_BITS] > i;
            slice_part_reg[i] <= config_neurons[15:LANES_BITS] == i;
        end
    end
    for (i = 0; i < LANES; i = i + 1) begin : lane_in_use
        always @(posedge aclk) lane_used_reg[i] <= config_neurons[LANES_BITS-1:0] > i;
    end
endgenerate

// ---- neurons ----
wire [NEURONS-1:0]               fired;
wire [NEURONS*MEMBRANE_BITS-1:0] membranes;

genvar t;
generate
    for (t = 0; t < SLICES; t = t + 1) begin : slice
        spk_slice #(.PARALLEL(PARALLEL), .DEPTH(DEPTH), .WEIGHT_BITS(WEIGHT_BITS), .MEMBRANE_BITS(MEMBRANE_BITS),
            .CONTINUOUS(CONTINUOUS), .MAX_LEAK(MAX_LEAK)) slice (
            .aclk(aclk),
            .read(read_reg),
            .address(address_reg),
            .row_valid(row_valid_reg),
            .row_active(active_reg[2]),
            .sum_active(active_reg[3]),
            .sum_first(load_reg[3]),
            .step_end(end_reg[4]),
            .fire(do_4_reg[FIRE]),
            .reset_zero(config_reset_zero),
            .add(add_reg),
            .leak_less_one(leak_less_one_reg),
            .increment(do_4_reg[LEAK]),
            .saturate(saturate_reg),
            .all_used(slice_full_reg[t]),
            .part_used(slice_part_reg[t]),
            .lanes_used(lane_used_reg),
            .write(write_reg[t*BANKS +: BANKS]),
            .start_write(start_write_reg[t]),
            .threshold_write(threshold_write_reg[t]),
            .write_pair(pair_reg),
            .write_data(write_data_reg),
            .fired(fired[t*LANES +: LANES]),
            .membranes(membranes[t*LANES*MEMBRANE_BITS +: LANES*MEMBRANE_BITS])
        );
    end
endgenerate

// ---- queue to the next layer ----
reg [CLASSES*MEMBRANE_BITS-1:0] final_reg; // membranes at the end of the step
always @(posedge aclk) if (end_reg[4]) final_reg <= membranes[CLASSES*MEMBRANE_BITS-1:0];

spk_fifo #(.WIDTH(USER_BITS + NEURONS + CLASSES * MEMBRANE_BITS), .DEPTH(QUEUE)) queue (
    .aclk(aclk),
    .reset(reset),
    .s_data({users_reg[5*USER_BITS +: USER_BITS], fired, final_reg}),
    .s_valid(end_reg[5]),
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
assign idle = unfinished_reg == 0 && &scan_empty;

endmodule

`resetall
