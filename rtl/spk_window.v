// SPDX-License-Identifier: Apache-2.0
// Sizes that follow from what a CONFIG says of a convolution, and whether they are what is built.
//
//   window   {pool, padded, stride, width, height, kernel}, as in CONFIG_LAYER
//
// Latency: five cycles.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_window #(
    // What is built: see spk_convolve.v
    parameter integer MAPS = 32,
    parameter integer ROWS = 512,
    parameter integer WORDS = 128,
    parameter integer POSITIONS = 256,
    parameter integer ROUND_BITS = 3
) (
    input  wire                  aclk,
    input  wire [          15:0] channels,
    input  wire [          15:0] maps,
    input  wire [          18:0] window,
    // Of a map that it makes, before and after pooling
    output reg  [           6:0] height,
    output reg  [           6:0] width,
    output reg  [           6:0] pooled_height,
    output reg  [           6:0] pooled_width,
    // Words of currents in a bank: of a row of positions, and of a round
    output reg  [           4:0] columns,
    output reg  [           9:0] words,
    // Rounds less one, and maps of the last
    output reg  [ROUND_BITS-1:0] last_round,
    output reg  [$clog2(MAPS):0] rest,
    // Rows of weights, over all rounds: of a line of the kernel, and of a channel
    output reg  [ROUND_BITS+1:0] line_rows,
    output reg  [ROUND_BITS+3:0] channel_rows,
    // Spikes that can enter in a step, and that can leave
    output reg  [          15:0] inputs,
    output reg  [          15:0] outputs,
    output reg                   fits
);

localparam M_BITS = $clog2(MAPS);

function [4:0] third(input [6:0] value); // rounded down
    reg [12:0] product;
    begin
        product = {6'd0, value} * 13'd43;
        third = product[11:7];
    end
endfunction

wire       three = window[1:0] == 2'd3;
wire       stride = window[16];
wire       pool = window[18];
wire [6:0] in_height = window[8:2];
wire [6:0] in_width = window[15:9];
wire [6:0] margin = three && !window[17] ? 7'd3 : 7'd1;
wire [15:0] maps_less_one = maps - 16'd1;

reg [4:0]  lines_reg;
reg [12:0] area_reg;       // positions that are handed on
reg [15:0] plane_reg;      // channels · height
reg [16:0] rows_reg;
reg [16:0] positions_reg;  // area, of all rounds
reg [12:0] all_words_reg;
reg        small_reg;      // sides, channels and maps are within what registers hold

wire [ROUND_BITS:0] rounds = {1'b0, last_round} + 1'b1;

always @(posedge aclk) begin
    height <= ((in_height - margin) >> stride) + 7'd1;
    width <= ((in_width - margin) >> stride) + 7'd1;
    last_round <= maps_less_one[M_BITS +: ROUND_BITS];
    rest <= maps[M_BITS-1:0] == 0 ? MAPS[M_BITS:0] : {1'b0, maps[M_BITS-1:0]};
    plane_reg <= channels * in_height;
    small_reg <= in_height >= margin && in_width >= margin && in_height <= 7'd64 && in_width <= 7'd64
        && channels != 0 && channels < 16'd512 && maps != 0 && maps_less_one >> M_BITS < 1 << ROUND_BITS
        && (three || (window[1:0] == 2'd1 && !window[17]));

    pooled_height <= pool ? height >> 1 : height;
    pooled_width <= pool ? width >> 1 : width;
    columns <= third(width + 7'd2);
    lines_reg <= third(height + 7'd2);
    inputs <= plane_reg * in_width;
    line_rows <= three ? 5'd3 * {1'b0, rounds} : {1'b0, rounds};
    channel_rows <= three ? 7'd9 * {3'd0, rounds} : {3'd0, rounds};

    words <= lines_reg * columns;
    area_reg <= pooled_height * pooled_width;
    rows_reg <= channels * channel_rows;

    all_words_reg <= words * rounds;
    positions_reg <= area_reg * rounds;
    outputs <= area_reg * maps;

    fits <= small_reg && area_reg != 0 && {15'd0, rows_reg} <= ROWS
        && {19'd0, all_words_reg} <= WORDS && {15'd0, positions_reg} < POSITIONS;
end

endmodule

`resetall
