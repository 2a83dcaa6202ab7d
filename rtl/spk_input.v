// SPDX-License-Identifier: Apache-2.0
// Gathers the spike vector of a time step from 64-bit words, input i being bit i mod 64 of word i / 64, or from events.
//
// Every vector carries its place: {tag of the image, last image of the packet, first image, last step, first step}. Tags
// count images, so that those of an image that is decided early can be told from the next one's.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_input #(
    // Room for inputs
    parameter integer INPUTS = 784,
    // More images than can be between here and the decoder, as a power of two
    parameter integer TAG_BITS = 8
) (
    input  wire              aclk,
    input  wire              reset,
    input  wire [      15:0] config_inputs,
    input  wire [      15:0] config_time_steps,
    // Words, after `s_begin` those of a new packet, whatever the one before was cut to; `s_start` with the first of an image
    // from the encoder, which may come out of turn, and `s_first` if that is its packet's first; `s_last` with those of a
    // packet's last image; `s_image_end` tells that this word completes an image
    input  wire              s_begin,
    input  wire [      63:0] s_data,
    input  wire              s_first,
    input  wire              s_start,
    input  wire              s_last,
    input  wire              s_valid,
    output wire              s_ready,
    output wire              s_image_end,
    // Or events, after `e_begin` those of a new packet: an input that fires, or the end of a step
    input  wire              e_begin,
    input  wire              e_valid,
    input  wire              e_step_end,
    input  wire [      15:0] e_input,
    output wire              e_ready,
    // Spike vectors
    output wire [INPUTS-1:0] m_spikes,
    output wire [TAG_BITS+3:0] m_user,
    output wire              m_valid,
    input  wire              m_ready,
    // Tag of the image whose words are taken now
    output wire [TAG_BITS-1:0] tag
);

localparam WORDS = (INPUTS + 63) / 64;

reg [WORDS*64-1:0] vector_reg;
reg [TAG_BITS+3:0] user_reg;
reg [TAG_BITS-1:0] tag_reg;
reg                valid_reg;
reg [15:0]         word_reg;
reg [15:0]         steps_left_reg;
reg                first_step_reg;
reg                last_step_reg;
reg                one_step_reg; // there is but one
reg                first_image_reg;
reg [15:0]         last_word_reg;
reg [63:0]         last_mask_reg;
reg                events_reg; // they are gathered: the vector begins empty

wire        take = s_valid && s_ready;
wire        take_event = e_valid && e_ready;
wire [15:0] word = s_start ? 16'd0 : word_reg;
wire [15:0] steps_left = s_start ? config_time_steps : steps_left_reg;
wire        first_step = s_start || first_step_reg;
wire        last_step = s_start ? one_step_reg : last_step_reg;
wire        first_image = s_start ? s_first : first_image_reg;
wire        word_end = word == last_word_reg;
wire        step_end = take_event ? e_step_end : word_end;
wire        image_end = step_end && last_step;
wire [TAG_BITS-1:0] image_tag = (take_event || word == 0) && first_step ? tag_reg + 1'b1 : tag_reg;

assign s_ready = !valid_reg; // from a register: what layer 0 decides must not reach back into the encoder
assign s_image_end = word_end && last_step;
assign e_ready = !valid_reg;
assign m_spikes = vector_reg[INPUTS-1:0];
assign m_user = user_reg;
assign m_valid = valid_reg;
assign tag = tag_reg;

// ---- writing a word; an event is added to the one that it falls in ----
wire        write = take || (take_event && !e_step_end);
wire [15:0] write_word = take_event ? e_input >> 6 : word;
wire        clear = (take && word == 0) || e_begin || (events_reg && valid_reg && m_ready); // also words that do not come
reg  [63:0] gathered;
wire [63:0] write_data = take_event ? gathered | (64'd1 << e_input[5:0]) : s_data & (word_end ? last_mask_reg : ~64'd0);

integer g;
always @* begin
    gathered = 64'd0;
    for (g = 0; g < WORDS; g = g + 1) if ({16'd0, e_input >> 6} == g) gathered = gathered | vector_reg[g*64 +: 64];
end

integer w;
always @(posedge aclk) begin
    last_word_reg <= (config_inputs - 16'd1) >> 6;
    one_step_reg <= config_time_steps == 16'd1;
    last_mask_reg <= ~64'd0 >> (6'd0 - config_inputs[5:0]);
    for (w = 0; w < WORDS; w = w + 1)
        if (write && {16'd0, write_word} == w) vector_reg[w*64 +: 64] <= write_data;
        else if (clear) vector_reg[w*64 +: 64] <= 64'd0;
    if (take || (take_event && e_step_end)) begin
        user_reg <= {image_tag, s_last, first_image, image_end, first_step};
        tag_reg <= image_tag;
        word_reg <= step_end ? 16'd0 : word + 16'd1;
        first_step_reg <= step_end ? image_end : first_step;
        last_step_reg <= !step_end ? last_step : image_end ? one_step_reg : steps_left == 16'd2;
        steps_left_reg <= !step_end ? steps_left : image_end ? config_time_steps : steps_left - 16'd1;
        first_image_reg <= first_image && !image_end;
    end
    if (s_begin || take) events_reg <= 1'b0;
    else if (e_begin) events_reg <= 1'b1;
    if (s_begin || e_begin) begin
        word_reg <= 16'd0;
        first_step_reg <= 1'b1;
        last_step_reg <= one_step_reg;
        steps_left_reg <= config_time_steps;
        first_image_reg <= 1'b1;
    end
    valid_reg <= ((take || take_event) && step_end) || (valid_reg && !m_ready);
    if (reset) begin
        valid_reg <= 1'b0;
        tag_reg <= 0;
    end
end

endmodule

`resetall
