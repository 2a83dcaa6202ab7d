// SPDX-License-Identifier: Apache-2.0
// Gathers what the last convolution hands on to the spike vector of a step, for the fully connected layers: a spike a
// cycle. Bit `number` + map of the vector is a spike's, so the maps of a position stand together.
//
// The vector of a step waits until it is taken; nothing is gathered meanwhile. Latency: two cycles from the end of the
// step to `m_valid`.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_gather #(
    // Bits of the spike vector
    parameter integer INPUTS = 784,
    // Maps that come with a position
    parameter integer MAPS = 32,
    parameter integer USER_BITS = 12,
    parameter integer ROUND_BITS = 3,
    parameter integer DATA_BITS = 28 + ROUND_BITS
) (
    input  wire                 aclk,
    input  wire                 reset,
    // A position with its spikes, or the end of a step: see spk_convolve.v
    input  wire                 s_end,
    input  wire [     MAPS-1:0] s_spikes,
    input  wire [DATA_BITS-1:0] s_data,
    input  wire                 s_valid,
    output wire                 s_ready,
    // Spike vectors
    output wire [   INPUTS-1:0] m_spikes,
    output wire [USER_BITS-1:0] m_user,
    output wire                 m_valid,
    input  wire                 m_ready,
    output wire                 idle
);

localparam MAP_BITS = MAPS > 1 ? $clog2(MAPS) : 1;
localparam WORDS = (INPUTS + 63) / 64;

wire                  spike_end;
wire [MAP_BITS-1:0]   spike_map;
wire [DATA_BITS-1:0]  spike_data;
wire                  spike_valid;
wire [ROUND_BITS-1:0] unused_round;
wire                  unused_first;
wire                  unused_last;

reg [WORDS*64-1:0]  vector_reg;
reg [USER_BITS-1:0] user_reg;
reg                 valid_reg;

spk_unpack #(.MAPS(MAPS), .DATA_BITS(DATA_BITS), .ROUND_BITS(ROUND_BITS)) unpack (
    .aclk(aclk),
    .reset(reset),
    .config_last_round({ROUND_BITS{1'b0}}),
    .s_end(s_end),
    .s_spikes(s_spikes),
    .s_data(s_data),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .m_end(spike_end),
    .m_map(spike_map),
    .m_round(unused_round),
    .m_first(unused_first),
    .m_last(unused_last),
    .m_data(spike_data),
    .m_valid(spike_valid),
    .m_ready(!valid_reg)
);

wire [15:0] number = spike_data[ROUND_BITS+12 +: 16] + {{(16-MAP_BITS){1'b0}}, spike_map};
wire        write = spike_valid && !spike_end && !valid_reg;
wire [63:0] bit_written = 64'd1 << number[5:0];

integer w;
always @(posedge aclk) begin
    for (w = 0; w < WORDS; w = w + 1)
        if (valid_reg && m_ready) vector_reg[w*64 +: 64] <= 64'd0;
        else if (write && {22'd0, number[15:6]} == w) vector_reg[w*64 +: 64] <= vector_reg[w*64 +: 64] | bit_written;
    if (spike_valid && spike_end && !valid_reg) user_reg <= spike_data[USER_BITS-1:0];
    valid_reg <= valid_reg ? !m_ready : spike_valid && spike_end;
    if (reset) begin
        valid_reg <= 1'b0;
        vector_reg <= 0;
    end
end

assign m_spikes = vector_reg[INPUTS-1:0];
assign m_user = user_reg;
assign m_valid = valid_reg;
assign idle = !spike_valid && !valid_reg;

endmodule

`resetall
