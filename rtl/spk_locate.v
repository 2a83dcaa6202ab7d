// SPDX-License-Identifier: Apache-2.0
// Gives the spikes of a step to a convolution one by one, with their places: input (channel · height + y) · width + x.
// The spikes of a step are followed by its end, in the cycle after the last, or after an empty one.
//
//   scan ─► index · ⌈2^20 / width⌉ ─► line = product div 2^20 ─► x, y, channel
//
// The product is exact up to 2^14 inputs. Latency: two cycles from `s_valid`, then one until `scan` shows its first
// spike, and three more.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_locate #(
    // Bits of the spike vector, 16 to 16384, of up to 8 maps of at most 64 rows and columns
    parameter integer INPUTS = 784,
    parameter integer TAG_BITS = 8,
    parameter integer USER_BITS = TAG_BITS + 4,
    parameter integer ROUND_BITS = 3,
    parameter integer DATA_BITS = 28 + ROUND_BITS
) (
    input  wire                 aclk,
    input  wire                 reset,
    input  wire [          6:0] config_height,
    input  wire [          6:0] config_width,
    // Spike vector of the next step
    input  wire [   INPUTS-1:0] s_spikes,
    input  wire [USER_BITS-1:0] s_user,
    input  wire                 s_valid,
    output wire                 s_ready,
    // The image that is decided: its steps are dropped here
    input  wire                 exit_valid,
    input  wire [ TAG_BITS-1:0] exit_tag,
    // A spike, {is the step an image's first, y, x, channel}, or the end of the step with its user bits
    output wire                 m_end,
    output wire [DATA_BITS-1:0] m_data,
    output wire                 m_valid,
    input  wire                 m_ready,
    output wire                 idle
);

localparam INDEX_BITS = $clog2(INPUTS);
localparam PRECISION = 20;
localparam LINE_BITS = 9; // of channel · height + y
localparam PRODUCT_BITS = PRECISION + (INDEX_BITS >= LINE_BITS ? INDEX_BITS + 1 : LINE_BITS);

wire                  scan_ready;
wire                  scan_next_valid;
wire [USER_BITS-1:0]  scan_user;
wire                  scan_done;
wire                  scan_empty;
wire                  scan_valid;
wire [INDEX_BITS-1:0] scan_index;

reg                   scanning_reg; // within a step
reg                   ending_reg;   // its end is next
reg [USER_BITS-1:0]   user_reg;

wire drop = exit_valid && s_user[4 +: TAG_BITS] == exit_tag;
wire advance = !m_valid || m_ready;
wire start = scan_next_valid && !scanning_reg && advance;

assign s_ready = scan_ready || drop;

spk_scan #(.INPUTS(INPUTS), .LANES(1), .LANE(0), .USER_BITS(USER_BITS)) scan (
    .aclk(aclk),
    .reset(reset),
    .s_spikes(s_spikes),
    .s_user(s_user),
    .s_valid(s_valid && !drop),
    .s_ready(scan_ready),
    .hold(!advance),
    .next_valid(scan_next_valid),
    .next_user(scan_user),
    .start(start),
    .done(scan_done),
    .empty(scan_empty),
    .valid(scan_valid),
    .index(scan_index)
);

// ⌈2^PRECISION / width⌉
reg [PRECISION:0] reciprocals [0:63];
integer i;
reg [31:0] reciprocal;
initial
    for (i = 0; i < 64; i = i + 1) begin
        reciprocal = ((1 << PRECISION) + i) / (i + 1);
        reciprocals[i] = reciprocal[PRECISION:0];
    end

reg [PRECISION:0] reciprocal_reg;
wire [6:0]        width_less_one = config_width - 7'd1;
always @(posedge aclk) reciprocal_reg <= reciprocals[width_less_one[5:0]];

// Stage 1: the product; stage 2: the line; stage 3: the place. The end of a step goes along with its user bits.
reg [PRODUCT_BITS-1:0]       product_reg;
reg [INDEX_BITS-1:0]         index_1_reg;
reg [INDEX_BITS-1:0]         index_2_reg;
reg [LINE_BITS-1:0]          line_reg;
reg [2:0]                    valid_reg;
reg [2:0]                    end_reg;
reg [3*USER_BITS-1:0]        users_reg;
reg [5:0]                    x_reg;
reg [5:0]                    y_reg;
reg [ROUND_BITS-1:0]         channel_reg;

// {channel, y} of a line
function [ROUND_BITS+5:0] split(input [LINE_BITS-1:0] line, input [6:0] height);
    integer n;
    reg [LINE_BITS-1:0] y;
    begin
        split = 0;
        for (n = 0; n < 1 << ROUND_BITS; n = n + 1) begin
            y = line - n[LINE_BITS-1:0] * {2'd0, height};
            if ({23'd0, line} >= n * {25'd0, height}) split = {n[ROUND_BITS-1:0], y[5:0]};
        end
    end
endfunction

always @(posedge aclk) begin
    if (advance) begin
        product_reg <= scan_index * reciprocal_reg;
        index_1_reg <= scan_index;
        index_2_reg <= index_1_reg;
        line_reg <= product_reg[PRECISION +: LINE_BITS];
        x_reg <= index_2_reg[5:0] - line_reg[5:0] * config_width[5:0];
        {channel_reg, y_reg} <= split(line_reg, config_height);
        valid_reg <= {valid_reg[1:0], ending_reg || (scanning_reg && scan_valid)};
        end_reg <= {end_reg[1:0], ending_reg};
        users_reg <= {users_reg[2*USER_BITS-1:0], user_reg};
        ending_reg <= scanning_reg && scan_done;
        scanning_reg <= start || (scanning_reg && !scan_done);
        if (start) user_reg <= scan_user;
    end
    if (reset) begin
        valid_reg <= 0;
        ending_reg <= 1'b0;
        scanning_reg <= 1'b0;
    end
end

wire [USER_BITS-1:0] m_user = users_reg[2*USER_BITS +: USER_BITS];

assign m_end = end_reg[2];
assign m_valid = valid_reg[2];
assign m_data = m_end ? {{(DATA_BITS-USER_BITS){1'b0}}, m_user} : {15'd0, m_user[0], y_reg, x_reg, channel_reg};
assign idle = scan_empty && !scanning_reg && !ending_reg && valid_reg == 0;

endmodule

`resetall
