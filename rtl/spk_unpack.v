// SPDX-License-Identifier: Apache-2.0
// Takes apart the spikes that all maps have at one position, one a cycle, lowest map first, and that `config_rounds`
// times. The end of a step passes as it is.
//
//   s_spikes   0110 at a position, 2 rounds      m_map   1 2 1 2      m_first  1 0 1 0      m_last  0 1 0 1
//
// No cycle is lost between two positions. Latency: one cycle.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_unpack #(
    // Maps
    parameter integer MAPS = 32,
    // Bits that travel with a position, and with the end of a step
    parameter integer DATA_BITS = 32,
    parameter integer ROUND_BITS = 3,
    parameter integer MAP_BITS = MAPS > 1 ? $clog2(MAPS) : 1
) (
    input  wire                  aclk,
    input  wire                  reset,
    // Rounds less one
    input  wire [ROUND_BITS-1:0] config_last_round,
    // A position with its spikes, at least one; or the end of a step
    input  wire                  s_end,
    input  wire [      MAPS-1:0] s_spikes,
    input  wire [ DATA_BITS-1:0] s_data,
    input  wire                  s_valid,
    output wire                  s_ready,
    // A spike, which is the first or the last of its position in this round; or the end of a step
    output wire                  m_end,
    output wire [  MAP_BITS-1:0] m_map,
    output wire [ROUND_BITS-1:0] m_round,
    output wire                  m_first,
    output wire                  m_last,
    output wire [ DATA_BITS-1:0] m_data,
    output wire                  m_valid,
    input  wire                  m_ready
);

reg [MAPS-1:0]       spikes_reg; // of the position
reg [MAPS-1:0]       left_reg;   // still to come in this round
reg [ROUND_BITS-1:0] round_reg;
reg [DATA_BITS-1:0]  data_reg;
reg                  end_reg;
reg                  first_reg;
reg                  valid_reg;
reg [MAP_BITS-1:0]   lowest;

wire [MAPS-1:0] rest = left_reg & (left_reg - 1'b1);
wire            last = rest == 0;
wire            done = end_reg || (last && round_reg == config_last_round);

integer m;
always @* begin
    lowest = 0;
    for (m = MAPS - 1; m >= 0; m = m - 1) if (left_reg[m]) lowest = m[MAP_BITS-1:0];
end

assign s_ready = !valid_reg || (m_ready && done);
assign m_end = end_reg;
assign m_map = lowest;
assign m_round = round_reg;
assign m_first = first_reg;
assign m_last = last;
assign m_data = data_reg;
assign m_valid = valid_reg;

always @(posedge aclk) begin
    if (s_ready) begin
        spikes_reg <= s_spikes;
        left_reg <= s_spikes;
        data_reg <= s_data;
        end_reg <= s_end;
        round_reg <= 0;
        first_reg <= 1'b1;
        valid_reg <= s_valid;
    end else if (m_ready) begin
        left_reg <= last ? spikes_reg : rest;
        first_reg <= last;
        if (last) round_reg <= round_reg + 1'b1;
    end
    if (reset) valid_reg <= 1'b0;
end

endmodule

`resetall
