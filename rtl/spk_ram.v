// SPDX-License-Identifier: Apache-2.0
// True dual-port RAM for weights: port A reads or writes, port B reads. Latency one cycle.
//
// An enabled port that does not read shows zero: the output reset of a block RAM, which so costs no gate per weight.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_ram #(
    // Bits of a word
    parameter integer WIDTH = 64,
    // Words, at least 2
    parameter integer DEPTH = 1024,
    parameter integer ADDRESS_BITS = $clog2(DEPTH)
) (
    input  wire                    aclk,
    input  wire                    a_enable,
    input  wire                    a_read,
    input  wire                    a_write,
    input  wire [ADDRESS_BITS-1:0] a_address,
    input  wire [       WIDTH-1:0] a_wdata,
    output reg  [       WIDTH-1:0] a_rdata,
    input  wire                    b_enable,
    input  wire                    b_read,
    input  wire [ADDRESS_BITS-1:0] b_address,
    output reg  [       WIDTH-1:0] b_rdata
);

(* ram_style = "block" *) reg [WIDTH-1:0] memory [0:DEPTH-1];

always @(posedge aclk) begin
    if (a_enable) begin
        if (a_write) memory[a_address] <= a_wdata;
        if (!a_read) a_rdata <= 0;
        else a_rdata <= memory[a_address];
    end
end

always @(posedge aclk) begin
    if (b_enable) begin
        if (!b_read) b_rdata <= 0;
        else b_rdata <= memory[b_address];
    end
end

endmodule

`resetall
