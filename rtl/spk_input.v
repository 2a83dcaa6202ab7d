// SPDX-License-Identifier: Apache-2.0
// Gathers 64-bit words into the spike vector of a time step: input i is bit i mod 64 of word i / 64.
//
// Every vector carries its place: {last image of the packet, first image, last step of the image, first step}.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_input #(
    // Room for inputs
    parameter integer INPUTS = 784
) (
    input  wire              aclk,
    input  wire              reset,
    input  wire [      15:0] config_inputs,
    input  wire [      15:0] config_time_steps,
    // Words of a packet, after `s_begin`; `s_image_end` tells that this word completes an image
    input  wire              s_begin,
    input  wire [      63:0] s_data,
    input  wire              s_last,
    input  wire              s_valid,
    output wire              s_ready,
    output wire              s_image_end,
    // Spike vectors
    output wire [INPUTS-1:0] m_spikes,
    output wire [       3:0] m_user,
    output wire              m_valid,
    input  wire              m_ready
);

localparam WORDS = (INPUTS + 63) / 64;

reg [WORDS*64-1:0] vector_reg;
reg [3:0]          user_reg;
reg                valid_reg;
reg [15:0]         word_reg;
reg [15:0]         step_reg;
reg                first_image_reg;
reg [15:0]         last_word_reg;
reg [63:0]         last_mask_reg;

wire take = s_valid && s_ready;
wire step_end = word_reg == last_word_reg;

assign s_ready = !valid_reg || m_ready;
assign s_image_end = step_end && step_reg + 16'd1 == config_time_steps;
assign m_spikes = vector_reg[INPUTS-1:0];
assign m_user = user_reg;
assign m_valid = valid_reg;

integer w;
always @(posedge aclk) begin
    last_word_reg <= (config_inputs - 16'd1) >> 6;
    last_mask_reg <= ~64'd0 >> (6'd0 - config_inputs[5:0]);
    if (take) begin
        for (w = 0; w < WORDS; w = w + 1)
            if ({16'd0, word_reg} == w) vector_reg[w*64 +: 64] <= step_end ? s_data & last_mask_reg : s_data;
            else if (word_reg == 0) vector_reg[w*64 +: 64] <= 64'd0; // words that a smaller network does not send
        user_reg <= {s_last, first_image_reg, s_image_end, step_reg == 0};
        word_reg <= step_end ? 16'd0 : word_reg + 16'd1;
        if (step_end) step_reg <= s_image_end ? 16'd0 : step_reg + 16'd1;
        if (s_image_end) first_image_reg <= 1'b0;
    end
    if (s_begin) begin
        word_reg <= 16'd0;
        step_reg <= 16'd0;
        first_image_reg <= 1'b1;
    end
    valid_reg <= (take && step_end) || (valid_reg && !m_ready);
    if (reset) valid_reg <= 1'b0;
end

endmodule

`resetall
