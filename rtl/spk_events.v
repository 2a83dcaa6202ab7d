// SPDX-License-Identifier: Apache-2.0
// Address events to spikes: takes words of four events, lowest first, one event a cycle.
//
// An event is an input that fires in the current time step, or the step to go on to; the number of steps ends the image,
// whose last word holds nothing after it. Filler is skipped. So an image costs a cycle for each event, each step that it
// goes on to and each that it passes, whatever the number of inputs.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_events (
    input  wire        aclk,
    input  wire [15:0] config_inputs,
    input  wire [15:0] config_time_steps,
    // Words; `s_begin` before a packet; `s_image_end` tells that this word completes an image, `s_unsound` that it cannot be
    input  wire        s_begin,
    input  wire [63:0] s_data,
    input  wire        s_valid,
    output wire        s_ready,
    output wire        s_image_end,
    output wire        s_unsound,
    // An input that fires in this step, or the end of this step
    output wire        m_valid,
    output wire        m_step_end,
    output wire [15:0] m_input,
    input  wire        m_ready
);

localparam [15:0] FILLER = 16'hFFFF;

reg [1:0]  event_reg; // which of the four is next
reg [15:0] step_reg;

wire [15:0] event_now = s_data[event_reg*16 +: 16];
wire [15:0] value = {1'b0, event_now[`SPK_EVENT_VALUE]};
wire        is_step = event_now[`SPK_EVENT_IS_STEP];
wire        filler = event_now == FILLER;
wire        goes_on = is_step && value != step_reg;
wire [15:0] next_step = step_reg + 16'd1;
wire        last_step = next_step == config_time_steps;
wire        move = m_valid && m_ready;
wire        over = filler || (is_step ? !goes_on || (move && value == next_step) : move); // this event is done with

assign s_unsound = s_valid && !filler && (is_step ? value < step_reg || value > config_time_steps : value >= config_inputs);
assign s_image_end = move && m_step_end && last_step;
assign s_ready = s_unsound || s_image_end || (over && event_reg == 2'd3);
assign m_valid = s_valid && !filler && !s_unsound && (goes_on || !is_step);
assign m_step_end = is_step;
assign m_input = value;

always @(posedge aclk) begin
    if (s_valid && over) event_reg <= event_reg + 2'd1;
    if (move && m_step_end) step_reg <= next_step;
    if (s_begin || s_image_end) begin
        event_reg <= 2'd0;
        step_reg <= 16'd0;
    end
end

endmodule

`resetall
