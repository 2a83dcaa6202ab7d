// SPDX-License-Identifier: Apache-2.0
// One 64-bit column of a layer's weights with the neurons that it feeds.
//
//   discontinuous   first row of a step:  v = −θ + Σ w      every other row:  v = v + Σ w      fires iff v ≥ 0
//
// A membrane starts at −θ, so its sign is the comparison u ≥ θ.
//
//   continuous      first row of an image:  v = b + Σ w      every other row:  v = v + Σ w
//                   then, a cycle each:     v = v − θ or 0, if v − θ ≥ 0, and fires        (fire)
//                                           v = v at the ends of its state                 (saturate, if it leaks)
//                                           v = v + b                                      (if biased or it leaks)
//                                           v = v + ~(v >> leak) + 1                       (if it leaks)
//
// What comes next after `fire` saturates on its way: the first row, if nothing else. A word holds 64 / WEIGHT_BITS two's complement weights,
// neuron 0 lowest. From row address to spike: five cycles (RAM, its register, sum over the scan lanes, membrane, spike).
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_slice #(
    // Rows that one cycle can add (scan lanes): 1, 2, 4 or 8; every two share a dual-port RAM
    parameter integer PARALLEL = 4,
    // Words of each RAM
    parameter integer DEPTH = 392,
    // Bits of a weight: 2, 4 or 8
    parameter integer WEIGHT_BITS = 4,
    // Bits of a membrane; the compiler proves that no network it maps overflows them
    parameter integer MEMBRANE_BITS = 14,
    // Can membranes last from step to step, and up to which leak (a shift; 0: none)?
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    parameter integer LEAK_BITS = MAX_LEAK > 1 ? $clog2(MAX_LEAK) : 1,
    parameter integer ADDRESS_BITS = $clog2(DEPTH),
    parameter integer BANKS = PARALLEL > 1 ? PARALLEL / 2 : 1,
    parameter integer NEURONS = 64 / WEIGHT_BITS
) (
    input  wire                             aclk,
    // Rows: addresses, and one cycle later which of them count
    input  wire [             PARALLEL-1:0] read,
    input  wire [PARALLEL*ADDRESS_BITS-1:0] address,
    input  wire [             PARALLEL-1:0] row_valid,
    // Of a cycle with rows or an empty step: one cycle after `row_valid`, one later with the first of its step, and one
    // cycle after the last of a step, in which the membranes are final
    input  wire                             row_active,
    input  wire                             sum_active,
    input  wire                             sum_first,
    input  wire                             step_end,
    // Of a continuous layer: `fire` instead of `step_end`, one cycle earlier. What to add, one cycle ahead of its
    // `sum_active`: 0 rows, 1 −θ, 2 the bias, 3 the complement of the leak; leak − 1; with `sum_active`, whether to add one
    // more and whether to saturate first
    input  wire                             fire,
    input  wire                             reset_zero,
    input  wire [                      1:0] add,
    input  wire [            LEAK_BITS-1:0] leak_less_one,
    input  wire                             increment,
    input  wire                             saturate,
    // Neurons in use: all, or those of `lanes_used`; the others hold what an earlier network left and must not fire
    input  wire                             all_used,
    input  wire                             part_used,
    input  wire [              NEURONS-1:0] lanes_used,
    // Loading: `write` a word at the even lanes' address; a pair of what membranes start from (negated thresholds, or biases
    // if continuous); a pair of negated thresholds if continuous
    input  wire [                BANKS-1:0] write,
    input  wire                             start_write,
    input  wire                             threshold_write,
    input  wire [    $clog2(NEURONS/2)-1:0] write_pair,
    input  wire [                     63:0] write_data,
    // Spikes, one cycle after `step_end`
    output wire [              NEURONS-1:0] fired,
    output wire [NEURONS*MEMBRANE_BITS-1:0] membranes
);

localparam SUM_BITS = WEIGHT_BITS + $clog2(PARALLEL);

wire [PARALLEL*64-1:0] words;

genvar b;
generate
    for (b = 0; b < BANKS; b = b + 1) begin : bank
        if (PARALLEL > 1) begin : dual
            spk_ram #(.WIDTH(64), .DEPTH(DEPTH)) ram (
                .aclk(aclk),
                .a_read(read[2*b]),
                .a_write(write[b]),
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
            spk_ram #(.WIDTH(64), .DEPTH(DEPTH)) ram (
                .aclk(aclk),
                .a_read(read[0]),
                .a_write(write[0]),
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
        reg [MEMBRANE_BITS-1:0] membrane_reg;
        reg [MEMBRANE_BITS-1:0] start_reg;
        reg                     fired_reg;
        wire                    used = all_used || (part_used && lanes_used[n]);
        reg [SUM_BITS-1:0]      sum;
        reg [WEIGHT_BITS-1:0]   weight;
        integer p;

        always @* begin
            sum = 0;
            for (p = 0; p < PARALLEL; p = p + 1) begin
                weight = words[p*64+n*WEIGHT_BITS +: WEIGHT_BITS];
                sum = sum + {{(SUM_BITS-WEIGHT_BITS){weight[WEIGHT_BITS-1]}}, weight};
            end
        end

        always @(posedge aclk)
            if (start_write && write_pair == PAIR[$clog2(NEURONS/2)-1:0])
                start_reg <= write_data[(n%2)*32 +: MEMBRANE_BITS];

        if (CONTINUOUS != 0) begin : lasting
            reg  [MEMBRANE_BITS-1:0] threshold_reg;
            reg  [MEMBRANE_BITS-1:0] addend_reg;
            wire [MEMBRANE_BITS-1:0] leak;
            wire                     sign = membrane_reg[MEMBRANE_BITS-1];
            wire                     beyond;
            wire [MEMBRANE_BITS-1:0] kept = beyond ? {{2{sign}}, {(MEMBRANE_BITS-2){!sign}}} : membrane_reg;
            wire [MEMBRANE_BITS-1:0] base = sum_first ? start_reg : kept;
            // Base plus addend, and one more with `increment`. As a difference, because then the carry takes its operand from
            // the register, and one LUT a bit is enough.
            wire [MEMBRANE_BITS:0]   next = {addend_reg, increment} - {~base, 1'b1};
            wire                     below = next[MEMBRANE_BITS];

            spk_beyond range (.saturate(saturate), .top(membrane_reg[MEMBRANE_BITS-1 -: 2]), .beyond(beyond));

            if (MAX_LEAK > 0) begin : leaky
                wire signed [MEMBRANE_BITS-1:0] half = {sign, membrane_reg[MEMBRANE_BITS-1:1]};
                assign leak = half >>> leak_less_one;
            end else begin : tight
                assign leak = 0;
            end

            always @(posedge aclk) begin
                if (threshold_write && write_pair == PAIR[$clog2(NEURONS/2)-1:0])
                    threshold_reg <= write_data[(n%2)*32 +: MEMBRANE_BITS];
                if (row_active)
                    case (add)
                        2'd0: addend_reg <= {{(MEMBRANE_BITS-SUM_BITS){sum[SUM_BITS-1]}}, sum};
                        2'd1: addend_reg <= threshold_reg;
                        2'd2: addend_reg <= start_reg;
                        default: addend_reg <= ~leak;
                    endcase
                if (sum_active && !(fire && below))
                    membrane_reg <= fire && reset_zero ? {MEMBRANE_BITS{1'b0}} : next[MEMBRANE_BITS:1];
                if (fire) fired_reg <= !below && used;
                else if (step_end) fired_reg <= !sign && used;
            end
        end else begin : fresh
            reg [SUM_BITS-1:0] sum_reg;

            always @(posedge aclk) begin
                if (row_active) sum_reg <= sum;
                if (sum_active)
                    membrane_reg <= (sum_first ? start_reg : membrane_reg)
                        + {{(MEMBRANE_BITS-SUM_BITS){sum_reg[SUM_BITS-1]}}, sum_reg};
                if (step_end) fired_reg <= !membrane_reg[MEMBRANE_BITS-1] && used;
            end
        end

        assign fired[n] = fired_reg;
        assign membranes[n*MEMBRANE_BITS +: MEMBRANE_BITS] = membrane_reg;
    end
endgenerate

endmodule

`resetall
