// SPDX-License-Identifier: Apache-2.0
// Address events to spikes: takes words of four events, lowest first, one event a cycle.
//
// An event is an input that fires in the current time step, or the step to go on to; the number of steps ends the image,
// whose last word holds nothing after it. Filler is skipped. So an image costs a cycle for each event, each step that it
// goes on to and each that it passes, whatever the number of inputs. Two words have room, the one that is taken apart and the
// next, so that none of what is found in a word decides in the same cycle about the stream.
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
    // No image is left in the packet; an image was completed; what came cannot be, and the rest was dropped; no word is left
    input  wire        s_none_left,
    output reg         image_end,
    output reg         unsound,
    output wire        idle,
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
wire        filler = word_reg[15:0] == FILLER;
wire        goes_on = is_step && value != step_reg;
wire [15:0] next_step = step_reg + 16'd1;
wire        wrong = !filler && (s_none_left || (is_step ? value < step_reg || value > config_time_steps : value >= config_inputs));
wire        move = m_valid && m_ready;
wire        ends = move && is_step && next_step == config_time_steps;
wire        over = filler || (is_step ? !goes_on || (move && value == next_step) : move); // this event is done with
wire        refill = !valid_reg || ends || (over && event_reg == 2'd3);

assign s_ready = !next_valid_reg;
assign idle = !valid_reg && !next_valid_reg;
assign m_valid = valid_reg && !filler && !wrong && (goes_on || !is_step);
assign m_step_end = is_step;
assign m_input = value;

always @(posedge aclk) begin
    if (s_valid && s_ready) next_reg <= s_data;
    next_valid_reg <= next_valid_reg ? !refill : s_valid && !refill;
    valid_reg <= !refill || next_valid_reg || s_valid;
    if (refill) word_reg <= next_valid_reg ? next_reg : s_data;
    else if (over) word_reg <= {16'd0, word_reg[63:16]};
    if (refill) event_reg <= 2'd0;
    else if (over) event_reg <= event_reg + 2'd1;
    if (move && is_step) step_reg <= ends ? 16'd0 : next_step;
    image_end <= ends;
    if (valid_reg && wrong) unsound <= 1'b1;
    if (s_begin || unsound) begin
        valid_reg <= 1'b0;
        next_valid_reg <= 1'b0;
    end
    if (s_begin) begin
        step_reg <= 16'd0;
        unsound <= 1'b0;
    end
    if (reset) begin
        valid_reg <= 1'b0;
        next_valid_reg <= 1'b0;
        unsound <= 1'b0;
        image_end <= 1'b0;
    end
end

endmodule

`resetall
