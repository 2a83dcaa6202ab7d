// SPDX-License-Identifier: Apache-2.0
// One 64-bit column of a layer's weights with the neurons that it feeds.
//
//   first row of a step:  v = −θ + Σ w      every other row:  v = v + Σ w      fires iff v ≥ 0
//
// A membrane starts at −θ, so its sign is the comparison u ≥ θ. A word holds 64 / WEIGHT_BITS two's complement weights,
// neuron 0 lowest. From row address to membrane: three cycles (RAM, sum of the scan lanes, membrane).
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_slice #(
    // Rows that one cycle can add (scan lanes): 1, 2, 4 or 8; every two share a dual-port RAM
    parameter PARALLEL = 4,
    // Words of each RAM
    parameter DEPTH = 392,
    // Bits of a weight: 2, 4 or 8
    parameter WEIGHT_BITS = 4,
    // Bits of a membrane; the compiler proves that no network it maps overflows them
    parameter MEMBRANE_BITS = 14,
    parameter ADDRESS_BITS = $clog2(DEPTH),
    parameter BANKS = PARALLEL > 1 ? PARALLEL / 2 : 1,
    parameter NEURONS = 64 / WEIGHT_BITS
) (
    input  wire                             aclk,
    // Rows: addresses, and one cycle later which of them count
    input  wire [             PARALLEL-1:0] read,
    input  wire [PARALLEL*ADDRESS_BITS-1:0] address,
    input  wire [             PARALLEL-1:0] row_valid,
    // Two cycles later: a row or an empty step; the first of its step
    input  wire                             sum_valid,
    input  wire                             sum_first,
    // Loading: `write` a word at the even lanes' address; a pair of thresholds
    input  wire [                BANKS-1:0] write,
    input  wire                             threshold_write,
    input  wire [    $clog2(NEURONS/2)-1:0] threshold_pair,
    input  wire [                     63:0] write_data,
    output wire [              NEURONS-1:0] fired,
    output wire [NEURONS*MEMBRANE_BITS-1:0] membranes
);

localparam SUM_BITS = WEIGHT_BITS + $clog2(PARALLEL);

wire [PARALLEL*64-1:0] rows;

genvar b;
generate
    for (b = 0; b < BANKS; b = b + 1) begin : bank
        if (PARALLEL > 1) begin : dual
            spk_ram #(.WIDTH(64), .DEPTH(DEPTH)) ram (
                .aclk(aclk),
                .a_enable(read[2*b] || write[b]),
                .a_write(write[b]),
                .a_address(address[2*b*ADDRESS_BITS +: ADDRESS_BITS]),
                .a_wdata(write_data),
                .a_rdata(rows[2*b*64 +: 64]),
                .b_enable(read[2*b+1]),
                .b_address(address[(2*b+1)*ADDRESS_BITS +: ADDRESS_BITS]),
                .b_rdata(rows[(2*b+1)*64 +: 64])
            );
        end else begin : single
            wire [63:0] unused;
            spk_ram #(.WIDTH(64), .DEPTH(DEPTH)) ram (
                .aclk(aclk),
                .a_enable(read[0] || write[0]),
                .a_write(write[0]),
                .a_address(address),
                .a_wdata(write_data),
                .a_rdata(rows),
                .b_enable(1'b0),
                .b_address({ADDRESS_BITS{1'b0}}),
                .b_rdata(unused)
            );
        end
    end
endgenerate

genvar n;
generate
    for (n = 0; n < NEURONS; n = n + 1) begin : neuron
        reg signed [SUM_BITS-1:0]      sum_reg;
        reg signed [MEMBRANE_BITS-1:0] membrane_reg;
        reg signed [MEMBRANE_BITS-1:0] start_reg; // −θ
        reg signed [SUM_BITS-1:0]      sum;
        integer p;

        always @* begin
            sum = 0;
            for (p = 0; p < PARALLEL; p = p + 1)
                if (row_valid[p]) sum = sum + $signed(rows[p*64+n*WEIGHT_BITS +: WEIGHT_BITS]);
        end

        always @(posedge aclk) begin
            sum_reg <= sum;
            if (sum_valid) membrane_reg <= (sum_first ? start_reg : membrane_reg) + sum_reg;
            if (threshold_write && threshold_pair == n / 2)
                start_reg <= -$signed(write_data[(n%2)*32 +: MEMBRANE_BITS]);
        end

        assign fired[n] = !membrane_reg[MEMBRANE_BITS-1];
        assign membranes[n*MEMBRANE_BITS +: MEMBRANE_BITS] = membrane_reg;
    end
endgenerate

endmodule

`resetall
