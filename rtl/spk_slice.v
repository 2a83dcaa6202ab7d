// SPDX-License-Identifier: Apache-2.0
// One 64-bit column of a layer's weights, and the currents of the neurons that it feeds: the sums of their weights.
//
//   discontinuous   I = −θ + Σ w  in the first cycle of a step, I = I + Σ w  in the others; fires iff I ≥ 0
//   continuous      I = Σ w       in the first cycle of a step, I = I + Σ w  in the others
//   direct          I = Σ w       in the first cycle of an image, I = 2 I + Σ w  in the first of each further plane,
//                   I = I + Σ w   in the others
//
// A discontinuous neuron has no other membrane than its current, which starts at −θ, so that its sign is the comparison
// Σ w ≥ θ. The others are decided by spk_fire, one after another; their spikes come back from it and are shifted in.
// To double is to take the bit below: that, 0 and −θ fit into the LUT that selects what is added to.
//
// A word holds 64 / WEIGHT_BITS weights in two's complement, neuron 0 lowest. Latency: five cycles from the address of
// a row to the spike: read the RAM, its output register (row), sum over the scan lanes, current, spike.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_slice #(
    // Rows that one cycle can add, one a scan lane: 1, 2, 4 or 8. Two lanes share a dual-port RAM.
    parameter integer PARALLEL = 4,
    // Words of each RAM
    parameter integer DEPTH = 392,
    // 1: they are UltraRAM
    parameter integer ULTRA_RAM = 0,
    // Bits of a weight: 2, 4 or 8
    parameter integer WEIGHT_BITS = 4,
    // Bits of a current and of a membrane, 4 to 24; the compiler proves that no network which it maps overflows them
    parameter integer MEMBRANE_BITS = 14,
    // Neurons that share a spk_fire, 0 if there is none
    parameter integer GROUP = 0,
    // 1: currents can be doubled between the bit planes of direct input
    parameter integer DIRECT = 0,
    parameter integer ADDRESS_BITS = $clog2(DEPTH),
    parameter integer BANKS = PARALLEL > 1 ? PARALLEL / 2 : 1,
    parameter integer NEURONS = 64 / WEIGHT_BITS,
    parameter integer GROUPS = GROUP > 0 ? NEURONS / GROUP : 1
) (
    input  wire                             aclk,
    // Rows: their addresses, and one cycle later which of them count
    input  wire [             PARALLEL-1:0] read,
    input  wire [PARALLEL*ADDRESS_BITS-1:0] address,
    input  wire [             PARALLEL-1:0] row_valid,
    // A cycle of a step is in the stage before the sum; before the current, and then what that is added to: see KEEP
    input  wire                             row_active,
    input  wire                             sum_active,
    input  wire [                      1:0] base_select,
    // The currents are final, and their signs are the spikes; or a spike comes in for each group
    input  wire                             step_end,
    input  wire                             shift,
    input  wire [               GROUPS-1:0] shift_spikes,
    // Neurons in use: all, or those of `neurons_used`. The others hold what an earlier network left and must not fire.
    input  wire                             all_used,
    input  wire                             part_used,
    input  wire [              NEURONS-1:0] neurons_used,
    // Loading: a word of weights per bank, at the address of the even lanes; pairs of −θ
    input  wire [                BANKS-1:0] weight_write,
    input  wire                             threshold_write,
    input  wire [    $clog2(NEURONS/2)-1:0] write_pair,
    input  wire [                     63:0] write_data,
    // Spikes, one cycle after `step_end`, and currents
    output wire [              NEURONS-1:0] fired,
    output wire [NEURONS*MEMBRANE_BITS-1:0] currents
);

localparam SUM_BITS = WEIGHT_BITS + $clog2(PARALLEL);
// Values of `base_select`: the current itself, −θ or 0; the fourth is twice the current
localparam [1:0] KEEP = 2'd0, FROM_THRESHOLD = 2'd1, FROM_ZERO = 2'd2;

wire [PARALLEL*64-1:0] words;

genvar b;
generate
    for (b = 0; b < BANKS; b = b + 1) begin : bank
        if (PARALLEL > 1) begin : dual
            spk_ram #(.WIDTH(64), .DEPTH(DEPTH), .ULTRA(ULTRA_RAM)) ram (
                .aclk(aclk),
                .a_read(read[2*b]),
                .a_write(weight_write[b]),
                .a_address(address[2*b*ADDRESS_BITS +: ADDRESS_BITS]),
                .a_wdata(write_data),
                .a_rdata(words[2*b*64 +: 64]),
                .b_read(read[2*b+1]),
                .b_address(address[(2*b+1)*ADDRESS_BITS +: ADDRESS_BITS]),
                .b_rdata(words[(2*b+1)*64 +: 64]),
                .a_valid(row_valid[2*b]),
                .b_valid(row_valid[2*b+1])
            );
        end else begin : single
            wire [63:0] unused;
            spk_ram #(.WIDTH(64), .DEPTH(DEPTH), .ULTRA(ULTRA_RAM)) ram (
                .aclk(aclk),
                .a_read(read[0]),
                .a_write(weight_write[0]),
                .a_address(address),
                .a_wdata(write_data),
                .a_rdata(words),
                .b_read(1'b0),
                .b_address({ADDRESS_BITS{1'b0}}),
                .b_rdata(unused),
                .a_valid(row_valid[0]),
                .b_valid(1'b0)
            );
        end
    end
endgenerate

genvar n;
generate
    for (n = 0; n < NEURONS; n = n + 1) begin : neuron
        localparam integer PAIR = n / 2;
        reg [MEMBRANE_BITS-1:0] current_reg;
        reg [MEMBRANE_BITS-1:0] threshold_reg; // −θ
        reg [SUM_BITS-1:0]      sum_reg;
        reg                     fired_reg;
        reg [SUM_BITS-1:0]      sum;
        reg [WEIGHT_BITS-1:0]   weight;
        reg [MEMBRANE_BITS-1:0] base;
        wire                    used = all_used || (part_used && neurons_used[n]);
        integer p;

        always @* begin
            sum = 0;
            for (p = 0; p < PARALLEL; p = p + 1) begin
                weight = words[p*64+n*WEIGHT_BITS +: WEIGHT_BITS];
                sum = sum + {{(SUM_BITS-WEIGHT_BITS){weight[WEIGHT_BITS-1]}}, weight};
            end
            case (base_select)
                KEEP: base = current_reg;
                FROM_THRESHOLD: base = threshold_reg;
                FROM_ZERO: base = 0;
                default: base = DIRECT != 0 ? current_reg << 1 : 0;
            endcase
        end

        always @(posedge aclk) begin
            if (threshold_write && write_pair == PAIR[$clog2(NEURONS/2)-1:0])
                threshold_reg <= write_data[(n%2)*32 +: MEMBRANE_BITS];
            if (row_active) sum_reg <= sum;
            if (sum_active) current_reg <= base + {{(MEMBRANE_BITS-SUM_BITS){sum_reg[SUM_BITS-1]}}, sum_reg};
        end

        if (GROUP > 0) begin : shared
            wire next = n % GROUP == GROUP - 1 ? shift_spikes[n/GROUP] : fired[n+1 < NEURONS ? n+1 : n];
            always @(posedge aclk)
                if (step_end || shift) fired_reg <= shift ? next : !current_reg[MEMBRANE_BITS-1] && used;
        end else begin : own
            always @(posedge aclk) if (step_end) fired_reg <= !current_reg[MEMBRANE_BITS-1] && used;
        end

        assign fired[n] = fired_reg;
        assign currents[n*MEMBRANE_BITS +: MEMBRANE_BITS] = current_reg;
    end
endgenerate

endmodule

`resetall
