// SPDX-License-Identifier: Apache-2.0
// spk_seed multiplies the right bits by the right factors, for 32 cycles, and then goes on by GAMMA.
//
// The state of an image and z after the first half are kept here as whole words. In each cycle the four bits that are
// multiplied must be those of the word and its shift, and what they add must be so many times the factor; that the
// products which come of it are right follows as in long multiplication, and is compared with software in simulation.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module formal_seed #(
    // 1: one state and no second reset, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

localparam [63:0] GAMMA = `SPK_SEED_STATE_RESET;

(* anyseq *) wire        reset;
(* anyseq *) wire        load;
(* anyseq *) wire [63:0] state;
(* anyseq *) wire        next;
wire [63:0] seed;
wire        busy;

spk_seed seeds (.aclk(aclk), .reset(reset), .load(load), .state(state), .next(next), .seed(seed), .busy(busy));

// The module's own registers and wires
(* hierconn *) wire        \seeds.second_reg ;
(* hierconn *) wire [3:0]  \seeds.count_reg ;
(* hierconn *) wire [63:0] \seeds.state_reg ;
(* hierconn *) wire [63:0] \seeds.z_reg ;
(* hierconn *) wire [63:0] \seeds.carry_reg ;
(* hierconn *) wire        \seeds.gamma_carry_reg ;
(* hierconn *) wire        \seeds.zero_reg ;
(* hierconn *) wire [3:0]  \seeds.times ;
(* hierconn *) wire [67:0] \seeds.multiple ;
wire second = \seeds.second_reg ;

reg        begun = 1'b0;
reg        loaded = 1'b0;   // since reset
reg [5:0]  left = 0;        // cycles until the seed is there
reg [63:0] whole;           // state of the image
reg [63:0] half;            // z after the first half
reg        held = 1'b0;
reg [63:0] was;
reg [1:0]  given = 0;       // for covers

wire [5:0]  at = {\seeds.count_reg , 2'd0};
wire [63:0] operand = second ? half ^ (half >> 27) : whole ^ (whole >> 30);
wire [63:0] factor = second ? 64'h94D049BB133111EB : 64'hBF58476D1CE4E5B9;
wire [63:0] above = 64'hFFFF_FFFF_FFFF_FFFF >> at; // places of the bits that have not been used
wire [63:0] below = ~(64'hFFFF_FFFF_FFFF_FFFF << at);
wire [63:0] after = whole + GAMMA;
wire [64:0] carry = ({1'b0, whole & below} + {1'b0, GAMMA & below}) >> at;
wire [63:0] z = \seeds.z_reg ;
wire [63:0] mixed = z ^ (z >> 31);

always @(posedge aclk) begin
    begun <= 1'b1;
    if (left != 0) left <= left - 6'd1;
    if (next) begin
        left <= 6'd32;
        whole <= after;
    end
    if (load) begin
        left <= 6'd32;
        whole <= state;
        loaded <= 1'b1;
    end
    if (left == 17) half <= {\seeds.multiple [3:0] + \seeds.carry_reg [3:0], z[63:4]};
    if (left == 1 && given != 2) given <= given + 1'b1;
    held <= loaded && left == 0 && !load && !next && !reset;
    was <= seed;
    if (reset) begin
        loaded <= 1'b0;
        left <= 0;
        given <= 0;
    end
end

always @* begin
    if (!begun) assume (reset);
    if (next) assume (loaded && !busy);
    if (GUIDED != 0 && begun) assume (!reset && !next && state == 64'd1 && load == !loaded);

    if (begun) begin
        assert (busy == (left != 0));
        if (held) assert (!busy && seed == was);
        if (busy) begin
            assert (\seeds.times == operand[at +: 4]);
            assert (\seeds.multiple == \seeds.times * {4'd0, factor});
        end
        if (loaded && !busy) begin
            assert (seed == (whole == 0 ? mixed | 64'd1 : mixed));
            assert (\seeds.state_reg == after);
        end

        // Invariants
        assert (left == 0 || loaded);
        if (busy) begin
            assert (left <= 32 && second == (left <= 16));
            assert ({1'b0, \seeds.count_reg } == (second ? 5'd16 - left[4:0] : 5'd0 - left[4:0]));
        end
        if (busy && !second) begin
            assert (\seeds.state_reg == ((whole >> at) | (whole << (7'd64 - {1'b0, at}))));
            if (\seeds.count_reg != 0) assert (\seeds.zero_reg == ((whole & below) == 0));
        end
        if (busy && second) begin
            assert (\seeds.state_reg == ((whole >> at) | (after << (7'd64 - {1'b0, at}))));
            assert (\seeds.gamma_carry_reg == carry[0] && ((z ^ (half >> at)) & above) == 0);
        end
        if (busy && \seeds.count_reg == 0) assert (\seeds.carry_reg == 0 && !\seeds.gamma_carry_reg );
        if (loaded && (second || !busy)) assert (\seeds.zero_reg == (whole == 0));
        if (loaded && !busy) assert (!second && \seeds.count_reg == 0);
        if (loaded && !busy) assert (\seeds.carry_reg == 0 && !\seeds.gamma_carry_reg );
    end

    cover (given == 1 && !busy);
    cover (busy && second);
end

endmodule

`resetall
