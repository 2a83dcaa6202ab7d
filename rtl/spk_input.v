// SPDX-License-Identifier: Apache-2.0
// Gathers the spike vector of a time step, from words of 64 spikes or from events.
//
//   words    input i is bit i mod 64 of word i / 64; one word a cycle, bits beyond the last input are cleared
//   events   one input, or the end of the step, a cycle
//   m_user   {tag, last image of the packet, first image, last step, first step}: the place of the step, all the way
//
// Tags count images, so that steps of an image that is decided early can be told from those of the next. A vector waits
// until layer 0 takes it; nothing is gathered meanwhile. Latency: one cycle from the last word, or the end of the step,
// to `m_valid`.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_input #(
    // Room for inputs, 1 to 65,535
    parameter integer INPUTS = 784,
    // 2^TAG_BITS is more than the images that can be between here and the decoder
    parameter integer TAG_BITS = 8
) (
    input  wire              aclk,
    input  wire              reset,
    input  wire [      15:0] config_inputs,
    input  wire [      15:0] config_time_steps,
    // Words. `s_begin`: a new packet, however the one before was cut short. `s_start`: first word of an image from the
    // encoder, even where the one before was left unfinished; `s_first`: and that image is the first of its packet.
    // `s_last`: words of a packet's last image. `s_image_end`: this word completes an image.
    input  wire              s_begin,
    input  wire [      63:0] s_data,
    input  wire              s_first,
    input  wire              s_start,
    input  wire              s_last,
    input  wire              s_valid,
    output wire              s_ready,
    output wire              s_image_end,
    // Or events. `e_begin`: a new packet. An input that fires, or the end of a step.
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
    output wire [TAG_BITS-1:0] tag // of the image whose words are taken now
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
reg                one_step_reg; // an image has one step
reg                first_image_reg;
reg [15:0]         last_word_reg;
reg [63:0]         last_mask_reg;
reg                events_reg;   // events are gathered: the vector begins empty

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

assign s_ready = !valid_reg; // from a register, so that no path reaches back from layer 0 into the encoder
assign s_image_end = word_end && last_step;
assign e_ready = !valid_reg;
assign m_spikes = vector_reg[INPUTS-1:0];
assign m_user = user_reg;
assign m_valid = valid_reg;
assign tag = tag_reg;

// ---- write a word; an event is added to the word that holds its input ----
wire        write = take || (take_event && !e_step_end);
wire [15:0] write_word = take_event ? e_input >> 6 : word;
// Cleared before they are written: words that an image of fewer inputs does not have, and those of the step before.
wire        clear = (take && word == 0) || e_begin || (events_reg && valid_reg && m_ready);
reg  [63:0] gathered;
wire [63:0] write_data = take_event ? gathered | (64'd1 << e_input[5:0])
    : s_data & (word_end ? last_mask_reg : ~64'd0);

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
