// SPDX-License-Identifier: Apache-2.0
// What a neuron does at the end of a step, one neuron a cycle: leak, bias, threshold, reset, saturation.
//
//   stage   0  s, the state of the neuron, is read outside; 0 if its membrane starts anew
//           1  s · (1 − 2^−leak), by a multiplier
//           2  + b
//           3  v = s − (s >> leak) + b + I, the current I = Σ w
//           4  v − θ
//           5  fires iff v − θ ≥ 0; s = sat(v − θ or 0), or else sat(v)
//
// A state has MEMBRANE_BITS − 1 bits; what saturates is all that lasts. A layer that is not continuous has no state and
// no bias: v is its current. A right shift rounds down: s − ⌊s / 2^leak⌋ is what the product gives if all bits below
// the point are added to it, and those come with the bias.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_decide #(
    // Thresholds and biases that it keeps, and of a stage's index
    parameter integer INDEXES = 8,
    // Bits of a membrane, 4 to 24
    parameter integer MEMBRANE_BITS = 14,
    // 1: membranes can last from step to step, with a leak of up to MAX_LEAK: a shift, 0 (none) to 15
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    parameter integer INDEX_BITS = $clog2(INDEXES)
) (
    input  wire                     aclk,
    // Which stages hold a neuron, and whose threshold and bias are its own: stage 0 lowest
    input  wire [              5:0] active,
    input  wire [ 6*INDEX_BITS-1:0] index,
    // With stage 1: its state; with stage 3: its current
    input  wire [MEMBRANE_BITS-2:0] kept,
    input  wire [MEMBRANE_BITS-1:0] current,
    // 2^MAX_LEAK · (1 − 2^−leak), or without a leak 2^MAX_LEAK
    input  wire [       MAX_LEAK:0] keep,
    input  wire                     config_biased,
    input  wire                     config_reset_zero,
    // With stage 5: the neuron is in use
    input  wire                     used,
    // Loading: −θ or a bias
    input  wire                     threshold_write,
    input  wire                     bias_write,
    input  wire [   INDEX_BITS-1:0] write_index,
    input  wire [MEMBRANE_BITS-1:0] write_value,
    // With stage 5: the spike, v − θ, and what the state becomes
    output wire                     spike,
    output wire [MEMBRANE_BITS-1:0] decided,
    output wire [MEMBRANE_BITS-2:0] state
);

localparam SCALE = 1, PICK = 2, ADD = 3, COMPARE = 4;

(* ram_style = "distributed" *) reg [MEMBRANE_BITS-1:0] thresholds [0:INDEXES-1]; // −θ

reg  [MEMBRANE_BITS-1:0] threshold_reg;
reg  [MEMBRANE_BITS-1:0] membrane_reg;
reg  [MEMBRANE_BITS-1:0] kept_reg; // the membrane, a stage later
reg  [MEMBRANE_BITS-1:0] decided_reg;
wire [MEMBRANE_BITS-1:0] base;     // of stage 3

// base + current, above a bit of no meaning. Written as a difference, because then the carry takes its operand from
// the register, and one LUT a bit is enough.
wire [MEMBRANE_BITS:0] total = {base, 1'b0} - {~current, 1'b1};

always @(posedge aclk) begin
    if (threshold_write) thresholds[write_index] <= write_value;
    if (active[ADD]) begin
        membrane_reg <= total[MEMBRANE_BITS:1];
        threshold_reg <= thresholds[index[ADD*INDEX_BITS +: INDEX_BITS]];
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
        (* ram_style = "distributed" *) reg [MEMBRANE_BITS-1:0] biases [0:INDEXES-1];
        reg signed [PRODUCT_BITS-1:0]  product_reg;
        reg        [MEMBRANE_BITS-1:0] bias_reg;
        reg        [MEMBRANE_BITS-1:0] base_reg;
        wire signed [MEMBRANE_BITS-2:0] scaled = kept;
        wire signed [MAX_LEAK+1:0]      factor = {1'b0, keep};
        wire        [PRODUCT_BITS-1:0]  sum = product_reg + {bias_reg, {MAX_LEAK{1'b1}}};
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
            if (active[SCALE]) begin
                product_reg <= scaled * factor;
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
