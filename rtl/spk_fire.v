// SPDX-License-Identifier: Apache-2.0
// Decides a group of neurons after a step, one a cycle (see spk_decide.v). They share it, because all this happens once
// a step, and not once a spike. It holds the currents of the step, while those of the next add up, and the states.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_fire #(
    // Neurons of the group, a power of two from 8, so that a state is written before it is read again
    parameter integer GROUP = 8,
    // Bits of a membrane, 4 to 24
    parameter integer MEMBRANE_BITS = 14,
    // 1: membranes can last from step to step, with a leak of up to MAX_LEAK: a shift, 0 (none) to 15
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    parameter integer INDEX_BITS = $clog2(GROUP)
) (
    input  wire                           aclk,
    // Currents of the step, and when they are final
    input  wire [GROUP*MEMBRANE_BITS-1:0] currents,
    input  wire                           hold,
    // Which stages of spk_decide hold a neuron, and which: stage 0 lowest
    input  wire [                    5:0] active,
    input  wire [       6*INDEX_BITS-1:0] index,
    // With stage 0: the membrane starts anew
    input  wire                           restart,
    // 2^MAX_LEAK · (1 − 2^−leak), or without a leak 2^MAX_LEAK
    input  wire [             MAX_LEAK:0] keep,
    input  wire                           config_biased,
    input  wire                           config_reset_zero,
    // With stage 5: the neuron is in use
    input  wire                           used,
    // Loading: −θ or a bias
    input  wire                           threshold_write,
    input  wire                           bias_write,
    input  wire [         INDEX_BITS-1:0] write_index,
    input  wire [      MEMBRANE_BITS-1:0] write_value,
    // With stage 5: the spike, v − θ, and what the state becomes
    output wire                           spike,
    output wire [      MEMBRANE_BITS-1:0] decided,
    output wire [      MEMBRANE_BITS-2:0] state
);

localparam READ = 0, PICK = 2, ADD = 3, WRITE = 5;

// LUTs of six inputs make multiplexers of 4 and of 16. Which half of 8 or of 32 is meant is left to the adder's own
// LUT.
localparam PARTS = INDEX_BITS % 2 == 1 ? 2 : 1;
localparam PART = GROUP / PARTS;

reg  [GROUP*MEMBRANE_BITS-1:0] held_reg;
reg  [PARTS*MEMBRANE_BITS-1:0] picked_reg; // the current of one neuron of each part of the group
wire [MEMBRANE_BITS-2:0]       kept;       // the state, in stage 1

wire [INDEX_BITS-PARTS:0] pick = index[PICK*INDEX_BITS +: INDEX_BITS+1-PARTS]; // within its part
wire [INDEX_BITS-1:0]     add = index[ADD*INDEX_BITS +: INDEX_BITS];

genvar p;
generate
    for (p = 0; p < PARTS; p = p + 1) begin : part
        wire [PART*MEMBRANE_BITS-1:0] held = held_reg[p*PART*MEMBRANE_BITS +: PART*MEMBRANE_BITS];
        always @(posedge aclk)
            if (active[PICK])
                picked_reg[p*MEMBRANE_BITS +: MEMBRANE_BITS] <= held[pick*MEMBRANE_BITS +: MEMBRANE_BITS];
    end
    if (CONTINUOUS != 0) begin : continuous
        (* ram_style = "distributed" *) reg [MEMBRANE_BITS-2:0] states [0:GROUP-1];
        reg [MEMBRANE_BITS-2:0] state_reg;
        assign kept = state_reg;
        always @(posedge aclk) begin
            if (active[WRITE]) states[index[WRITE*INDEX_BITS +: INDEX_BITS]] <= state;
            if (restart) state_reg <= 0;
            else if (active[READ]) state_reg <= states[index[READ*INDEX_BITS +: INDEX_BITS]];
        end
    end else begin : discontinuous
        assign kept = 0;
    end
endgenerate

always @(posedge aclk) if (hold) held_reg <= currents;

spk_decide #(
    .INDEXES(GROUP), .MEMBRANE_BITS(MEMBRANE_BITS), .CONTINUOUS(CONTINUOUS), .MAX_LEAK(MAX_LEAK)
) decide (
    .aclk(aclk),
    .active(active),
    .index(index),
    .kept(kept),
    .current(PARTS > 1 && add[INDEX_BITS-1] ? picked_reg[(PARTS-1)*MEMBRANE_BITS +: MEMBRANE_BITS]
        : picked_reg[MEMBRANE_BITS-1:0]),
    .keep(keep),
    .config_biased(config_biased),
    .config_reset_zero(config_reset_zero),
    .used(used),
    .threshold_write(threshold_write),
    .bias_write(bias_write),
    .write_index(write_index),
    .write_value(write_value),
    .spike(spike),
    .decided(decided),
    .state(state)
);

endmodule

`resetall
