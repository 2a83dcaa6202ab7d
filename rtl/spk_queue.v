// SPDX-License-Identifier: Apache-2.0
// First-in first-out queue in block RAM. There is no `s_ready`: the writer waits for `room` before it begins with as
// many words as half of the queue holds. Latency: two cycles from a word to the output.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_queue #(
    // Bits of a word
    parameter integer WIDTH = 64,
    // Words it holds, a power of two
    parameter integer DEPTH = 512
) (
    input  wire             aclk,
    input  wire             reset,
    input  wire [WIDTH-1:0] s_data,
    input  wire             s_valid,
    output wire [WIDTH-1:0] m_data,
    output wire             m_valid,
    input  wire             m_ready,
    output wire             room, // for half of what it holds
    output wire             empty
);

localparam POINTER_BITS = $clog2(DEPTH);

reg [WIDTH-1:0]      memory [0:DEPTH-1];
reg [WIDTH-1:0]      word_reg;
reg                  valid_reg;
reg [POINTER_BITS:0] write_reg;
reg [POINTER_BITS:0] read_reg; // the next word to be fetched

wire                  fetch = write_reg != read_reg && (!valid_reg || m_ready);
wire [POINTER_BITS:0] waiting = write_reg - read_reg;

assign m_data = word_reg;
assign m_valid = valid_reg;
assign room = {{(31-POINTER_BITS){1'b0}}, waiting} <= DEPTH / 2;
assign empty = waiting == 0 && !valid_reg;

always @(posedge aclk) begin
    if (s_valid) memory[write_reg[POINTER_BITS-1:0]] <= s_data;
    if (fetch) word_reg <= memory[read_reg[POINTER_BITS-1:0]];
end

always @(posedge aclk) begin
    if (s_valid) write_reg <= write_reg + 1'b1;
    if (fetch) read_reg <= read_reg + 1'b1;
    valid_reg <= fetch || (valid_reg && !m_ready);
    if (reset) begin
        write_reg <= 0;
        read_reg <= 0;
        valid_reg <= 1'b0;
    end
end

endmodule

`resetall
