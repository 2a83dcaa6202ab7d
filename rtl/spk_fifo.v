// SPDX-License-Identifier: Apache-2.0
// First-in first-out queue in distributed RAM.
//
// The oldest word stands at the output, from the cycle after it was written. There is no `s_ready`: the writer must
// never write into a full queue. spk_layer counts the steps that are under way anyway, and starts none for which there
// is no room.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_fifo #(
    // Bits of a word
    parameter integer WIDTH = 64,
    // Words it holds, a power of two
    parameter integer DEPTH = 16
) (
    input  wire             aclk,
    input  wire             reset,
    input  wire [WIDTH-1:0] s_data,
    input  wire             s_valid,
    output wire [WIDTH-1:0] m_data,
    output wire             m_valid,
    input  wire             m_ready
);

localparam POINTER_BITS = $clog2(DEPTH);

(* ram_style = "distributed" *) reg [WIDTH-1:0] memory [0:DEPTH-1];
reg [POINTER_BITS:0] write_reg;
reg [POINTER_BITS:0] read_reg;

assign m_data = memory[read_reg[POINTER_BITS-1:0]];
assign m_valid = write_reg != read_reg;

always @(posedge aclk) begin
    if (s_valid) memory[write_reg[POINTER_BITS-1:0]] <= s_data;
end

always @(posedge aclk) begin
    if (s_valid) write_reg <= write_reg + 1'b1;
    if (m_valid && m_ready) read_reg <= read_reg + 1'b1;
    if (reset) begin
        write_reg <= 0;
        read_reg <= 0;
    end
end

endmodule

`resetall
