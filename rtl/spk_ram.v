// SPDX-License-Identifier: Apache-2.0
// True dual-port RAM for weights: port A reads or writes, never both at once, which UltraRAM cannot; port B reads.
// Latency two cycles.
//
//   cycle 0   *_read, *_address          cycle 1   *_valid          cycle 2   *_rdata: the word if valid, or else zero
//
// The zero makes a scan lane without a spike add nothing: by the reset of the output register, not by a gate per
// weight. The register also keeps the slow way out of a block RAM apart from the adders; it can be that of the block
// RAM itself.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_ram #(
    // Bits of a word
    parameter integer WIDTH = 64,
    // Words, at least 2
    parameter integer DEPTH = 1024,
    // 1: UltraRAM, with ports of 72 bits where a block RAM's have 36, and 4096 words
    parameter integer ULTRA = 0,
    parameter integer ADDRESS_BITS = $clog2(DEPTH)
) (
    input  wire                    aclk,
    input  wire                    a_read,
    input  wire                    a_write,
    input  wire [ADDRESS_BITS-1:0] a_address,
    input  wire [       WIDTH-1:0] a_wdata,
    output reg  [       WIDTH-1:0] a_rdata,
    input  wire                    b_read,
    input  wire [ADDRESS_BITS-1:0] b_address,
    output reg  [       WIDTH-1:0] b_rdata,
    // Whether what was read in the cycle before counts
    input  wire                    a_valid,
    input  wire                    b_valid
);

localparam STYLE = ULTRA != 0 ? "ultra" : "block";

(* ram_style = STYLE *) reg [WIDTH-1:0] memory [0:DEPTH-1];
reg [WIDTH-1:0] a_word_reg;
reg [WIDTH-1:0] b_word_reg;

always @(posedge aclk) begin
    if (a_write) memory[a_address] <= a_wdata;
    else if (a_read) a_word_reg <= memory[a_address];
end

always @(posedge aclk) if (b_read) b_word_reg <= memory[b_address];

always @(posedge aclk) begin
    a_rdata <= a_valid ? a_word_reg : 0;
    b_rdata <= b_valid ? b_word_reg : 0;
end

endmodule

`resetall
