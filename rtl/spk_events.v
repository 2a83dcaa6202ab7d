// SPDX-License-Identifier: Apache-2.0
// Address events to spikes: takes words of four events of 16 bits, lowest first, one event a cycle.
//
//   {0, input}   this input fires in the current step       {1, step}   go on to this step; T ends the image
//   all ones     filler: nothing
//
// The word that ends an image holds nothing after it. An image costs a cycle per event and per step, whatever the
// number of inputs. Two words have room, the one that is taken apart and the next, so that `s_ready` comes from a
// register and no path leads from an event back to the stream. Latency: one cycle from a word to its first event.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_events (
    input  wire        aclk,
    input  wire        reset,
    input  wire [15:0] config_inputs,
    input  wire [15:0] config_time_steps,
    // Words; `s_begin` before a packet
    input  wire        s_begin,
    input  wire [63:0] s_data,
    input  wire        s_valid,
    output wire        s_ready,
    // All images of the packet are complete, so that a further event is invalid
    input  wire        no_image_left,
    output reg         image_end, // an image was completed
    output reg         invalid,   // an event was out of range; the rest of the packet is dropped
    output wire        idle,      // no word is left
    // An input that fires in this step, or the end of this step
    output wire        m_valid,
    output wire        m_step_end,
    output wire [15:0] m_input,
    input  wire        m_ready
);

localparam [15:0] FILLER = 16'hFFFF;

reg [63:0] next_reg;
reg        next_valid_reg;
reg [63:0] word_reg; // its lowest event is the next
reg        valid_reg;
reg [1:0]  event_reg; // which of the four that is
reg [15:0] step_reg;

wire [15:0] value = {1'b0, word_reg[`SPK_EVENT_VALUE]};
wire        is_step = word_reg[`SPK_EVENT_IS_STEP];
wire        is_filler = word_reg[15:0] == FILLER;
wire        is_later_step = is_step && value != step_reg;
wire [15:0] next_step = step_reg + 16'd1;
wire        out_of_range = is_step ? value < step_reg || value > config_time_steps : value >= config_inputs;
wire        is_invalid = !is_filler && (no_image_left || out_of_range);
// One that is invalid goes on as well, out of sight: what is under way is forgotten in the next cycle. So what is
// compared with the ranges reaches the outputs alone.
wire        shown = valid_reg && !is_filler && (is_later_step || !is_step);
wire        handshake = shown && m_ready;
wire        ends_image = handshake && is_step && next_step == config_time_steps;
wire        is_done = is_filler || (is_step ? !is_later_step || (handshake && value == next_step) : handshake);
wire        take_word = !valid_reg || ends_image || (is_done && event_reg == 2'd3);

assign s_ready = !next_valid_reg;
assign idle = !valid_reg && !next_valid_reg;
assign m_valid = shown && !is_invalid && !invalid;
assign m_step_end = is_step;
assign m_input = value;

always @(posedge aclk) begin
    if (s_valid && s_ready) next_reg <= s_data;
    next_valid_reg <= next_valid_reg ? !take_word : s_valid && !take_word;
    valid_reg <= !take_word || next_valid_reg || s_valid;
    if (take_word) word_reg <= next_valid_reg ? next_reg : s_data;
    else if (is_done) word_reg <= {16'd0, word_reg[63:16]};
    if (take_word) event_reg <= 2'd0;
    else if (is_done) event_reg <= event_reg + 2'd1;
    if (handshake && is_step) step_reg <= ends_image ? 16'd0 : next_step;
    image_end <= ends_image && m_valid;
    if (valid_reg && is_invalid) invalid <= 1'b1;
    if (s_begin || invalid) begin
        valid_reg <= 1'b0;
        next_valid_reg <= 1'b0;
    end
    if (s_begin) begin
        step_reg <= 16'd0;
        invalid <= 1'b0;
    end
    if (reset) begin
        valid_reg <= 1'b0;
        next_valid_reg <= 1'b0;
        invalid <= 1'b0;
        image_end <= 1'b0;
    end
end

endmodule

`resetall
