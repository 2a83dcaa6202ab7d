// SPDX-License-Identifier: Apache-2.0
// Decides a group of neurons after a step, one a cycle: leak, bias, threshold, reset, saturation. They share it, because
// all this happens once a step, and not once a spike.
//
//   stage   0  s, the state of the neuron, is read; 0 if its membrane starts anew
//           1  s · (1 − 2^−leak), by a multiplier
//           2  + b; beside it the current I = Σ w of the neuron is picked, or two of which one is meant
//           3  v = s − (s >> leak) + b + I
//           4  v − θ
//           5  fires iff v − θ ≥ 0; s = sat(v − θ or 0), or else sat(v)
//
// A state has MEMBRANE_BITS − 1 bits; what saturates is all that lasts. A layer that is not continuous has no state and
// no bias: v is its current. A right shift rounds down: s − ⌊s / 2^leak⌋ is what the product gives if all bits below
// the point are added to it, and those come with the bias.
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
    // Which stages hold a neuron, and which: stage 0 lowest
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

localparam READ = 0, SCALE = 1, PICK = 2, ADD = 3, COMPARE = 4, WRITE = 5;

// LUTs of six inputs make multiplexers of 4 and of 16. Which half of 8 or of 32 is meant is left to the adder's own
// LUT.
localparam PARTS = INDEX_BITS % 2 == 1 ? 2 : 1;
localparam PART = GROUP / PARTS;

(* ram_style = "distributed" *) reg [MEMBRANE_BITS-1:0] thresholds [0:GROUP-1]; // −θ

reg  [GROUP*MEMBRANE_BITS-1:0] held_reg;
reg  [PARTS*MEMBRANE_BITS-1:0] picked_reg; // the current of one neuron of each part of the group
reg  [MEMBRANE_BITS-1:0]       threshold_reg;
reg  [MEMBRANE_BITS-1:0]       membrane_reg;
reg  [MEMBRANE_BITS-1:0]       kept_reg; // the membrane, a stage later
reg  [MEMBRANE_BITS-1:0]       decided_reg;
wire [MEMBRANE_BITS-1:0]       base;     // of stage 3

wire [INDEX_BITS-PARTS:0] pick = index[PICK*INDEX_BITS +: INDEX_BITS+1-PARTS]; // within its part
wire [INDEX_BITS-1:0]     add = index[ADD*INDEX_BITS +: INDEX_BITS];
wire [MEMBRANE_BITS-1:0]  current = PARTS > 1 && add[INDEX_BITS-1]
    ? picked_reg[(PARTS-1)*MEMBRANE_BITS +: MEMBRANE_BITS] : picked_reg[MEMBRANE_BITS-1:0];
// base + current, above a bit of no meaning. Written as a difference, because then the carry takes its operand from
// the register, and one LUT a bit is enough.
wire [MEMBRANE_BITS:0]    total = {base, 1'b0} - {~current, 1'b1};

genvar p;
generate
    for (p = 0; p < PARTS; p = p + 1) begin : part
        wire [PART*MEMBRANE_BITS-1:0] held = held_reg[p*PART*MEMBRANE_BITS +: PART*MEMBRANE_BITS];
        always @(posedge aclk)
            if (active[PICK])
                picked_reg[p*MEMBRANE_BITS +: MEMBRANE_BITS] <= held[pick*MEMBRANE_BITS +: MEMBRANE_BITS];
    end
endgenerate

always @(posedge aclk) begin
    if (threshold_write) thresholds[write_index] <= write_value;
    if (hold) held_reg <= currents;
    if (active[ADD]) begin
        membrane_reg <= total[MEMBRANE_BITS:1];
        threshold_reg <= thresholds[add];
    end
    if (active[COMPARE]) begin
        decided_reg <= membrane_reg + threshold_reg;
        kept_reg <= membrane_reg;
    end
end

wire fires = !decided_reg[MEMBRANE_BITS-1];

assign spike = fires && used;
assign decided = decided_reg;

generate
    if (CONTINUOUS != 0) begin : continuous
        localparam PRODUCT_BITS = MEMBRANE_BITS + MAX_LEAK;
        (* ram_style = "distributed" *) reg [MEMBRANE_BITS-2:0] states [0:GROUP-1];
        (* ram_style = "distributed" *) reg [MEMBRANE_BITS-1:0] biases [0:GROUP-1];
        reg signed [MEMBRANE_BITS-2:0] state_reg;
        reg signed [PRODUCT_BITS-1:0]  product_reg;
        reg        [MEMBRANE_BITS-1:0] bias_reg;
        reg        [MEMBRANE_BITS-1:0] base_reg;
        wire signed [MAX_LEAK+1:0]     factor = {1'b0, keep};
        wire        [PRODUCT_BITS-1:0] sum = product_reg + {bias_reg, {MAX_LEAK{1'b1}}};
        // The value that the state is cut from: v − θ, 0 or v; its sign, and has it left the range of a state?
        wire negative = !fires && kept_reg[MEMBRANE_BITS-1];
        wire overflow = fires ? decided_reg[MEMBRANE_BITS-2] && !config_reset_zero
            : kept_reg[MEMBRANE_BITS-1] != kept_reg[MEMBRANE_BITS-2];

        assign base = base_reg;
        assign state[MEMBRANE_BITS-2] = negative;
        assign state[MEMBRANE_BITS-3:0] = overflow ? {(MEMBRANE_BITS-2){!negative}}
            : !fires ? kept_reg[MEMBRANE_BITS-3:0]
            : config_reset_zero ? {(MEMBRANE_BITS-2){1'b0}} : decided_reg[MEMBRANE_BITS-3:0];

        always @(posedge aclk) begin
            if (bias_write) biases[write_index] <= write_value;
            if (active[WRITE]) states[index[WRITE*INDEX_BITS +: INDEX_BITS]] <= state;
            if (restart) state_reg <= 0;
            else if (active[READ]) state_reg <= states[index[READ*INDEX_BITS +: INDEX_BITS]];
            if (active[SCALE]) begin
                product_reg <= state_reg * factor;
                bias_reg <= config_biased ? biases[index[SCALE*INDEX_BITS +: INDEX_BITS]] : 0;
            end
            if (active[PICK]) base_reg <= sum[MAX_LEAK +: MEMBRANE_BITS];
        end
    end else begin : discontinuous
        assign base = 0;
        assign state = 0;
    end
endgenerate

endmodule

`resetall
