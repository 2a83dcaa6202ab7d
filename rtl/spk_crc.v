// SPDX-License-Identifier: Apache-2.0
// CRC-32 (IEEE 802.3, reflected: that of zlib) over 64-bit words, the lowest byte of a word first; a word a cycle.
//
// A remainder is linear in the bits before it, so each of its bits is a parity: of about half the bits of a word, and
// of about half of the remainder before. COLUMNS says which: after bit j of a word come 63 − j shifts of the bitwise
// register, and the remainder before meets the lower half of the word.
//
// Latency: `crc` stands two cycles after the last word is taken; words may follow each other without a gap.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_crc (
    input  wire        aclk,
    input  wire [63:0] data,
    input  wire        first, // this word is the first
    input  wire        valid,
    output wire [31:0] crc
);

localparam [31:0] POLYNOMIAL = 32'hEDB88320;

// What bit j of a word, alone, leaves behind: at [32·j +: 32]
function [64*32-1:0] columns(input [31:0] polynomial);
    reg [31:0] remainder;
    integer j;
    begin
        remainder = polynomial;
        columns = 0;
        for (j = 63; j >= 0; j = j - 1) begin
            columns[32*j +: 32] = remainder;
            remainder = remainder[0] ? (remainder >> 1) ^ polynomial : remainder >> 1;
        end
    end
endfunction

localparam [64*32-1:0] COLUMNS = columns(POLYNOMIAL);

reg         valid_reg;
reg         first_reg;
reg  [31:0] word_reg;      // what the word leaves behind
reg  [31:0] remainder_reg;
wire [31:0] word;
wire [31:0] start = first_reg ? 32'hFFFFFFFF : remainder_reg;
wire [31:0] moved;         // what the words before it leave behind

genvar i, j;
generate
    for (i = 0; i < 32; i = i + 1) begin : row
        wire [63:0] taken;
        for (j = 0; j < 64; j = j + 1) begin : column
            assign taken[j] = COLUMNS[32*j + i];
        end
        assign word[i] = ^(data & taken);
        assign moved[i] = ^(start & taken[31:0]);
    end
endgenerate

assign crc = ~remainder_reg;

always @(posedge aclk) begin
    valid_reg <= valid;
    first_reg <= first;
    word_reg <= word;
    if (valid_reg) remainder_reg <= moved ^ word_reg;
end

endmodule

`resetall
