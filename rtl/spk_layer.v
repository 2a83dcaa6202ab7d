// SPDX-License-Identifier: Apache-2.0
// One layer: takes a spike vector per time step, reads one row of weights per spike, gives the vector of fired neurons.
//
//   input i   scan lane i mod PARALLEL; RAM bank lane / 2, word (i / PARALLEL) · 2 + lane mod 2
//   s_user    {tag of the image, last image, first image, last step, first step}: goes with its step
//
// Direct input: the steps of an image are planes of its pixels' bits. The membranes are doubled from one to the next,
// and the last alone goes to the next layer, as the one step of its image.
//
// A step takes as many cycles as its busiest scan lane has spikes, at least one. A continuous layer adds one cycle to
// fire, or two if it has biases, or four if it leaks. Steps follow each other without a gap, while fewer than QUEUE of
// them are between the scanners and the next layer. Latency: seven cycles from the last rows of a step to `m_valid`.
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
localparam LEAK_BITS = MAX_LEAK > 1 ? $clog2(MAX_LEAK) : 1;
localparam LANE_BITS = PARALLEL > 1 ? $clog2(PARALLEL) : 1;

// Stages behind the scanners, each by the register that it fills: `address_reg`, the word that the RAM reads, the row
// in the RAM's output register, the sum over the lanes, the membrane, the spike.
localparam ADDRESS = 0, READ = 1, ROW = 2, SUM = 3, MEMBRANE = 4, SPIKE = 5;
// What a continuous layer does after the rows of a step, a cycle each, in this order (see spk_slice.v)
localparam FIRE = 0, SATURATE = 1, BIAS = 2, LEAK = 3;

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

wire direct = DIRECT != 0 && config_direct;
wire rows_end = running_reg && &scan_done; // the last rows of the step, and every cycle after them
wire finish;                               // the last cycle of the step
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
    unfinished_reg <= unfinished_reg + (start && (!direct || scan_user[1])) - (m_valid && m_ready);
    if (reset) begin
        running_reg <= 1'b0;
        unfinished_reg <= 0;
    end
end

// ---- phases of a continuous step, one-hot; none while its rows are read ----
wire [3:0] phase;
wire [3:0] last_phase; // after which the step is finished
wire       continuous;

generate
    if (CONTINUOUS != 0) begin : phases
        reg [3:0] phase_reg;
        reg [3:0] last_phase_reg;
        reg       continuous_reg;
        wire      leaky = MAX_LEAK > 0 && config_leak != 0;

        assign {phase, last_phase, continuous} = {phase_reg, last_phase_reg, continuous_reg};
        assign finish = continuous_reg ? |(phase_reg & last_phase_reg) : rows_end;

        always @(posedge aclk) begin
            continuous_reg <= config_continuous;
            last_phase_reg <= leaky ? 4'b1000 : config_biased ? 4'b0100 : 4'b0001;
            phase_reg[FIRE] <= continuous_reg && rows_end && phase_reg == 0;
            phase_reg[SATURATE] <= phase_reg[FIRE] && leaky;
            phase_reg[BIAS] <= phase_reg[SATURATE] || (phase_reg[FIRE] && !leaky && config_biased);
            phase_reg[LEAK] <= phase_reg[BIAS] && leaky;
            if (reset) phase_reg <= 4'd0;
        end
    end else begin : no_phases
        assign {phase, last_phase, continuous} = 9'd0;
        assign finish = rows_end;
    end
endgenerate

// ---- stage ADDRESS, shared by all slices; a write takes the even lanes' port ----
reg  [PARALLEL-1:0]              read_reg;
reg  [PARALLEL*ADDRESS_BITS-1:0] address_reg;
reg  [SLICES*BANKS-1:0]          weight_write_reg;
reg  [SLICES-1:0]                initial_write_reg;
reg  [SLICES-1:0]                threshold_write_reg;
reg  [PAIR_BITS-1:0]             write_pair_reg;
reg  [63:0]                      write_data_reg;
wire [ADDRESS_BITS-1:0]          write_address;

always @(posedge aclk) begin
    read_reg <= reset ? {PARALLEL{1'b0}} : scan_valid;
    write_pair_reg <= write_pair[PAIR_BITS-1:0];
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
            initial_write_reg[i] <= (bias_write || (threshold_write && !continuous)) && pair_here;
            threshold_write_reg[i] <= threshold_write && continuous && pair_here;
        end
    end
endgenerate

// ---- control beside the data, a bit a stage ----
reg [SUM:ADDRESS]     active_reg;   // a cycle of a step
reg [ROW:ADDRESS]     begin_reg;    // its first
reg [SUM:ADDRESS]     restart_reg;  // its first, and membranes start anew
reg [SUM:ADDRESS]     twice_reg;    // its first, of a plane: membranes are doubled, or start from 0
reg [SPIKE:ADDRESS]   step_end_reg; // its last; of a continuous layer `fire`, a stage ahead
reg [3:0]             phase_address_reg;
reg [3:0]             phase_read_reg;
reg [3:0]             phase_row_reg;
reg [3:0]             phase_sum_reg;
reg [1:0]             addend_select_reg; // in stage ROW: rows, −θ, bias or leak
reg                   saturate_reg;      // in stage SUM
reg [LEAK_BITS-1:0]   leak_less_one_reg;
reg [PARALLEL-1:0]    row_valid_reg;     // in stage READ
reg [6*USER_BITS-1:0] users_reg;

always @(posedge aclk) begin
    active_reg <= {active_reg[ROW:ADDRESS], running_reg};
    begin_reg <= {begin_reg[READ:ADDRESS], first_reg};
    restart_reg <= {restart_reg[ROW:ADDRESS], first_reg && (user_reg[0] || !(continuous || direct))};
    twice_reg <= {twice_reg[ROW:ADDRESS], first_reg && direct};
    // A continuous neuron fires by what the adder gives, a discontinuous one by its membrane, which is the stage after
    // it.
    step_end_reg <= {step_end_reg[MEMBRANE:READ], step_end_reg[ADDRESS] || phase[FIRE],
        finish && !continuous && (user_reg[1] || !direct)};
    phase_address_reg <= phase;
    phase_read_reg <= phase_address_reg;
    phase_row_reg <= phase_read_reg;
    phase_sum_reg <= phase_row_reg;
    addend_select_reg <= {phase_read_reg[BIAS] || phase_read_reg[LEAK], phase_read_reg[FIRE] || phase_read_reg[LEAK]};
    // What is added next after `fire` starts from the saturated membrane: the rows of the next step, the bias, or
    // nothing.
    saturate_reg <= continuous && (last_phase[FIRE] ? begin_reg[ROW]
        : last_phase[BIAS] ? phase_row_reg[BIAS] : phase_row_reg[SATURATE]);
    leak_less_one_reg <= config_leak[LEAK_BITS-1:0] - 1'b1;
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
wire [NEURONS*MEMBRANE_BITS-1:0] membranes;

genvar t;
generate
    for (t = 0; t < SLICES; t = t + 1) begin : slice
        spk_slice #(
            .PARALLEL(PARALLEL),
            .DEPTH(DEPTH),
            .ULTRA_RAM(ULTRA_RAM),
            .WEIGHT_BITS(WEIGHT_BITS),
            .MEMBRANE_BITS(MEMBRANE_BITS),
            .CONTINUOUS(CONTINUOUS),
            .MAX_LEAK(MAX_LEAK),
            .DIRECT(DIRECT)
        ) slice (
            .aclk(aclk),
            .read(read_reg),
            .address(address_reg),
            .row_valid(row_valid_reg),
            .row_active(active_reg[ROW]),
            .sum_active(active_reg[SUM]),
            .restart(restart_reg[SUM]),
            .step_end(step_end_reg[MEMBRANE]),
            .config_direct(config_direct),
            .twice(twice_reg[SUM]),
            .config_reset_zero(config_reset_zero),
            .leak_less_one(leak_less_one_reg),
            .addend_select(addend_select_reg),
            .fire(phase_sum_reg[FIRE]),
            .carry_in(phase_sum_reg[LEAK]),
            .saturate(saturate_reg),
            .all_used(all_used_reg[t]),
            .part_used(part_used_reg[t]),
            .neurons_used(neurons_used_reg),
            .weight_write(weight_write_reg[t*BANKS +: BANKS]),
            .initial_write(initial_write_reg[t]),
            .threshold_write(threshold_write_reg[t]),
            .write_pair(write_pair_reg),
            .write_data(write_data_reg),
            .fired(fired[t*SLICE_NEURONS +: SLICE_NEURONS]),
            .membranes(membranes[t*SLICE_NEURONS*MEMBRANE_BITS +: SLICE_NEURONS*MEMBRANE_BITS])
        );
    end
endgenerate

// ---- queue to the next layer, beside the spikes the membranes at the end of a discontinuous step ----
reg [CLASSES*MEMBRANE_BITS-1:0] final_reg;
always @(posedge aclk) if (step_end_reg[MEMBRANE]) final_reg <= membranes[CLASSES*MEMBRANE_BITS-1:0];

spk_fifo #(.WIDTH(USER_BITS + NEURONS + CLASSES * MEMBRANE_BITS), .DEPTH(QUEUE)) queue (
    .aclk(aclk),
    .reset(reset),
    .s_data({users_reg[SPIKE*USER_BITS +: USER_BITS], fired, final_reg}),
    .s_valid(step_end_reg[SPIKE]),
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
