// SPDX-License-Identifier: Apache-2.0
// One 64-bit column of a layer's weights, with the neurons that it feeds: integrate, double, leak, fire, reset,
// saturate.
//
//   discontinuous   v = −θ + Σ w  in the first cycle of a step, v = v + Σ w  in the others; fires iff v ≥ 0
//   direct          v = Σ w       in the first cycle of an image, v = 2v + Σ w  in the first of each further plane,
//                   v = v + Σ w  in the others; after the last plane fires iff v − θ ≥ 0
//   continuous      v = b + Σ w   in the first cycle of an image, v = v + Σ w  in the others; then one cycle each:
//     fire            if v − θ ≥ 0: fires, and v = v − θ or 0
//     saturate        v = sat(v), where a leak follows
//     bias            v = v + b, where there is a bias or a leak
//     leak            v = v − (s >> leak), where s is v before the bias was added
//
// A discontinuous membrane starts at −θ, so that its sign is the comparison Σ w ≥ θ. One of direct input cannot,
// because −θ would be doubled: it starts from 0, and a second adder behind the membrane takes −θ. To double is to take
// the bit below: that, and the 0, fit into the LUT that selects what is added to. A continuous membrane keeps to
// MEMBRANE_BITS − 1 bits from step to step. Without a leak, saturating costs no cycle: the next addition, of the bias
// or of the first row of the next step, starts from sat(v). A leak needs sat(v) a stage earlier, to shift it, so it
// takes a cycle for it.
//
// A word holds 64 / WEIGHT_BITS weights in two's complement, neuron 0 lowest. Latency: five cycles from the address of
// a row to the spike: read the RAM, its output register (row), sum over the scan lanes, membrane, spike.
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
    // Bits of a membrane, 4 to 24; the compiler proves that no network which it maps overflows them
    parameter integer MEMBRANE_BITS = 14,
    // 1: membranes can last from step to step, with a leak of up to MAX_LEAK: a shift, 0 (none) to 15
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    // 1: membranes can be doubled between the bit planes of direct input
    parameter integer DIRECT = 0,
    parameter integer LEAK_BITS = MAX_LEAK > 1 ? $clog2(MAX_LEAK) : 1,
    parameter integer ADDRESS_BITS = $clog2(DEPTH),
    parameter integer BANKS = PARALLEL > 1 ? PARALLEL / 2 : 1,
    parameter integer NEURONS = 64 / WEIGHT_BITS
) (
    input  wire                             aclk,
    // Rows: their addresses, and one cycle later which of them count
    input  wire [             PARALLEL-1:0] read,
    input  wire [PARALLEL*ADDRESS_BITS-1:0] address,
    input  wire [             PARALLEL-1:0] row_valid,
    // A cycle of a step is in the stage before the sum; before the membrane, and then whether the membrane starts anew.
    // `step_end`: the membranes are final.
    input  wire                             row_active,
    input  wire                             sum_active,
    input  wire                             restart,
    input  wire                             step_end,
    // Direct input; with `sum_active`: `twice`, a membrane goes on from twice its value, or with `restart` from 0
    input  wire                             config_direct,
    input  wire                             twice,
    // Continuous layers. With `row_active`: what to add, see ADD_ROWS below. With `sum_active`: `fire`, which takes the
    // place of `step_end`; `carry_in` adds one more; `saturate` adds to sat(v) instead of v.
    input  wire                             config_reset_zero,
    input  wire [            LEAK_BITS-1:0] leak_less_one,
    input  wire [                      1:0] addend_select,
    input  wire                             fire,
    input  wire                             carry_in,
    input  wire                             saturate,
    // Neurons in use: all, or those of `neurons_used`. The others hold what an earlier network left and must not fire.
    input  wire                             all_used,
    input  wire                             part_used,
    input  wire [              NEURONS-1:0] neurons_used,
    // Loading: a word of weights per bank, at the address of the even lanes; pairs of initial values (−θ, or the bias
    // if continuous) and of −θ if continuous
    input  wire [                BANKS-1:0] weight_write,
    input  wire                             initial_write,
    input  wire                             threshold_write,
    input  wire [    $clog2(NEURONS/2)-1:0] write_pair,
    input  wire [                     63:0] write_data,
    // Spikes, one cycle after `step_end` or `fire`, and membranes
    output wire [              NEURONS-1:0] fired,
    output wire [NEURONS*MEMBRANE_BITS-1:0] membranes
);

localparam SUM_BITS = WEIGHT_BITS + $clog2(PARALLEL);
// Values of `addend_select`; the fourth is the complement of the leak, which `carry_in` makes its negative.
localparam [1:0] ADD_ROWS = 2'd0, ADD_THRESHOLD = 2'd1, ADD_BIAS = 2'd2;

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
        reg [MEMBRANE_BITS-1:0] membrane_reg;
        reg [MEMBRANE_BITS-1:0] initial_reg; // −θ, or the bias if continuous
        reg                     fired_reg;
        wire                     used = all_used || (part_used && neurons_used[n]);
        wire [MEMBRANE_BITS-1:0] start = DIRECT != 0 && twice ? {MEMBRANE_BITS{1'b0}} : initial_reg;
        wire [MEMBRANE_BITS-1:0] membrane = DIRECT != 0 && twice ? membrane_reg << 1 : membrane_reg;
        wire [MEMBRANE_BITS-1:0] threshold = DIRECT != 0 && config_direct ? initial_reg : {MEMBRANE_BITS{1'b0}};
        wire [MEMBRANE_BITS-1:0] decided = membrane_reg + threshold; // u − θ, or v
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
            if (initial_write && write_pair == PAIR[$clog2(NEURONS/2)-1:0])
                initial_reg <= write_data[(n%2)*32 +: MEMBRANE_BITS];

        if (CONTINUOUS != 0) begin : continuous
            reg  [MEMBRANE_BITS-1:0] threshold_reg; // −θ
            reg  [MEMBRANE_BITS-1:0] addend_reg;
            wire [MEMBRANE_BITS-1:0] leak;
            wire                     overflow;
            wire                     negative = membrane_reg[MEMBRANE_BITS-1];
            wire [MEMBRANE_BITS-1:0] limit = {{2{negative}}, {(MEMBRANE_BITS-2){!negative}}};
            wire [MEMBRANE_BITS-1:0] saturated = overflow ? limit : membrane;
            wire [MEMBRANE_BITS-1:0] base = restart ? start : saturated;
            // base + addend + carry_in, above a bit of no meaning. Written as a difference, because then the carry
            // takes its operand from the register, and one LUT a bit is enough.
            wire [MEMBRANE_BITS:0]   total = {addend_reg, carry_in} - {~base, 1'b1};
            wire                     below_threshold = total[MEMBRANE_BITS]; // v − θ < 0, with `fire`

            spk_overflow range (
                .saturate(saturate),
                .top(membrane_reg[MEMBRANE_BITS-1 -: 2]),
                .overflow(overflow)
            );

            if (MAX_LEAK > 0) begin : with_leak
                wire signed [MEMBRANE_BITS-1:0] half = {negative, membrane_reg[MEMBRANE_BITS-1:1]};
                assign leak = half >>> leak_less_one;
            end else begin : no_leak
                assign leak = 0;
            end

            always @(posedge aclk) begin
                if (threshold_write && write_pair == PAIR[$clog2(NEURONS/2)-1:0])
                    threshold_reg <= write_data[(n%2)*32 +: MEMBRANE_BITS];
                if (row_active)
                    case (addend_select)
                        ADD_ROWS: addend_reg <= {{(MEMBRANE_BITS-SUM_BITS){sum[SUM_BITS-1]}}, sum};
                        ADD_THRESHOLD: addend_reg <= threshold_reg;
                        ADD_BIAS: addend_reg <= initial_reg;
                        default: addend_reg <= ~leak;
                    endcase
                if (sum_active && !(fire && below_threshold))
                    membrane_reg <= fire && config_reset_zero ? {MEMBRANE_BITS{1'b0}} : total[MEMBRANE_BITS:1];
                if (fire) fired_reg <= !below_threshold && used;
                else if (step_end) fired_reg <= !decided[MEMBRANE_BITS-1] && used;
            end
        end else begin : discontinuous
            reg [SUM_BITS-1:0] sum_reg;

            always @(posedge aclk) begin
                if (row_active) sum_reg <= sum;
                if (sum_active)
                    membrane_reg <= (restart ? start : membrane)
                        + {{(MEMBRANE_BITS-SUM_BITS){sum_reg[SUM_BITS-1]}}, sum_reg};
                if (step_end) fired_reg <= !decided[MEMBRANE_BITS-1] && used;
            end
        end

        assign fired[n] = fired_reg;
        assign membranes[n*MEMBRANE_BITS +: MEMBRANE_BITS] = decided;
    end
endgenerate

endmodule

`resetall
