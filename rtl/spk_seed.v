// SPDX-License-Identifier: Apache-2.0
// Seeds of the Bernoulli encoder, one an image: the SplitMix64 of host/spikeline/model/encode.py, four bits a cycle.
//
//   first half    z = (state ^ state >> 30) * FACTOR_1        16 cycles
//   second half   z = (z ^ z >> 27) * FACTOR_2                16 cycles; meanwhile state += GAMMA, for the next image
//   then          seed = z ^ z >> 31, or 1 for 0, until `next`
//
// A factor is constant, so what four bits of the other one add to a product is one of 16 constants: no multiplier, and
// one adder for both products. They come out from the lowest bit on, in the places that z leaves.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_seed (
    input  wire        aclk,
    input  wire        reset,
    // `load`: the state of a packet's first image. `next`: its seed is taken, work out the next; only if not busy.
    input  wire        load,
    input  wire [63:0] state,
    input  wire        next,
    output wire [63:0] seed,
    output wire        busy
);

localparam [63:0] GAMMA = `SPK_SEED_STATE_RESET;
localparam [63:0] FACTOR_1 = 64'hBF58476D1CE4E5B9;
localparam [63:0] FACTOR_2 = 64'h94D049BB133111EB;

reg        busy_reg;
reg        second_reg; // half
reg [3:0]  count_reg;  // of four bits
reg [63:0] state_reg;  // goes round in each half
reg [63:0] z_reg;
reg [63:0] carry_reg;  // of the product: all that lies above the bits that have come out
reg        gamma_carry_reg;
reg        zero_reg;   // the state is 0 so far, of which alone the seed would be 0

wire [3:0]  gamma = GAMMA[count_reg*4 +: 4];
wire [4:0]  next_state = {1'b0, state_reg[3:0]} + {1'b0, gamma} + {4'd0, gamma_carry_reg};
// Bits beyond the 64th are 0, not those that have come in at the top.
wire [3:0]  in_1 = {{2{count_reg < 4'd8}}, {2{count_reg <= 4'd8}}};
wire [3:0]  in_2 = {{3{count_reg <= 4'd8}}, count_reg <= 4'd9};
wire [3:0]  times = second_reg ? z_reg[3:0] ^ (z_reg[30:27] & in_2) : state_reg[3:0] ^ (state_reg[33:30] & in_1);
reg  [67:0] multiple;
wire [67:0] added = {4'd0, carry_reg} + multiple;

integer n;
always @* begin
    multiple = 68'd0;
    for (n = 1; n < 16; n = n + 1)
        if (times == n[3:0])
            multiple = second_reg ? {4'd0, FACTOR_2} * {64'd0, n[3:0]} : {4'd0, FACTOR_1} * {64'd0, n[3:0]};
end

assign busy = busy_reg;
assign seed = {z_reg[63:33], z_reg[32:1] ^ z_reg[63:32], (z_reg[0] ^ z_reg[31]) | zero_reg};

always @(posedge aclk) begin
    if (busy_reg) begin
        count_reg <= count_reg + 4'd1;
        z_reg <= {added[3:0], z_reg[63:4]};
        carry_reg <= added[67:4];
        state_reg <= {second_reg ? next_state[3:0] : state_reg[3:0], state_reg[63:4]};
        gamma_carry_reg <= second_reg && next_state[4];
        if (!second_reg) zero_reg <= (count_reg == 0 || zero_reg) && state_reg[3:0] == 0;
        if (count_reg == 4'd15) begin
            second_reg <= !second_reg;
            busy_reg <= !second_reg;
        end
    end
    if (next) busy_reg <= 1'b1;
    if (load) begin
        state_reg <= state;
        busy_reg <= 1'b1;
        second_reg <= 1'b0;
        count_reg <= 4'd0;
    end
    if (load || (busy_reg && count_reg == 4'd15)) begin
        carry_reg <= 64'd0;
        gamma_carry_reg <= 1'b0;
    end
    if (reset) busy_reg <= 1'b0;
end

endmodule

`resetall
