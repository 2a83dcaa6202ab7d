// SPDX-License-Identifier: Apache-2.0
// Scanner of one lane: finds the spikes of inputs LANE, LANE + LANES, LANE + 2 LANES …, one a cycle, lowest first.
//
//   stage 1   vector_reg    the lane's bits in groups of 16, of which those with a spike are fetched, lowest first
//   stage 2   fetched_reg   the next group, ready before it is needed
//   stage 3   bits_reg      the group that is taken apart: its lowest bit is `index`, and is cleared
//
// Each group comes with whether it is down to its last spike, so that the barrier below begins at registers. No cycle
// is lost between two groups or two vectors. All lanes of a layer go from step to step together: each shows
// `done` with its last spike, and after it, and waits for `start`. Latency: two cycles from `s_valid` to `next_valid`,
// one from `start` to the first spike. A step takes as many cycles as the lane has spikes, one if it has none.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_scan #(
    // Bits of the spike vector, at least 16
    parameter integer INPUTS = 784,
    // Scan lanes of the layer (1, 2, 4 or 8), and which of them this is
    parameter integer LANES = 4,
    parameter integer LANE = 0,
    // Bits that travel with a vector
    parameter integer USER_BITS = 4,
    parameter integer WIDTH = (INPUTS + LANES - 1) / LANES,
    parameter integer INDEX_BITS = $clog2(WIDTH)
) (
    input  wire                  aclk,
    input  wire                  reset,
    // Spike vector of the next step
    input  wire [    INPUTS-1:0] s_spikes,
    input  wire [ USER_BITS-1:0] s_user,
    input  wire                  s_valid,
    output wire                  s_ready,
    // Nothing moves on: the spike of this cycle stays
    input  wire                  hold,
    // Barrier between steps
    output wire                  next_valid,
    output wire [ USER_BITS-1:0] next_user,
    input  wire                  start,
    output wire                  done,
    output wire                  empty,
    // Spike of this cycle: input index · LANES + LANE
    output wire                  valid,
    output wire [INDEX_BITS-1:0] index
);

localparam GROUP = 16;
localparam GROUPS = (WIDTH + GROUP - 1) / GROUP;
localparam PADDED_BITS = 4 + (GROUPS > 1 ? $clog2(GROUPS) : 1);

// Stage 1: the groups of the vector that are still to be fetched.
reg [GROUPS*GROUP-1:0] vector_reg;
reg [GROUPS-1:0]       pending_reg;
reg [USER_BITS-1:0]    user_reg;
reg                    full_reg;
// Stage 2: the next group.
reg [GROUP-1:0]         fetched_reg;
reg                     fetched_exhausted_reg;
reg [PADDED_BITS-5:0]   fetched_group_reg;
reg [USER_BITS-1:0]     fetched_user_reg;
reg                     fetched_last_reg;
reg                     fetched_valid_reg;
// Stage 3: the spikes of the current group that are still to be shown.
reg [GROUP-1:0]       bits_reg;
reg                   exhausted_reg; // it is the last spike, or there is none
reg [PADDED_BITS-5:0] group_reg;
reg                   last_reg;

// The bits of this lane.
function [GROUPS*GROUP-1:0] lane_bits(input [INPUTS-1:0] spikes);
    integer i;
    begin
        lane_bits = 0;
        for (i = 0; i * LANES + LANE < INPUTS; i = i + 1) lane_bits[i] = spikes[i*LANES+LANE];
    end
endfunction

// Which groups hold a spike.
function [GROUPS-1:0] groups_with_spikes(input [GROUPS*GROUP-1:0] vector);
    integer i;
    begin
        groups_with_spikes = 0;
        for (i = 0; i < GROUPS; i = i + 1) groups_with_spikes[i] = |vector[i*GROUP +: GROUP];
    end
endfunction

// At most one bit is set.
function last_spike(input [GROUP-1:0] bits);
    last_spike = (bits & (bits - 1'b1)) == 0;
endfunction

wire [GROUPS-1:0]       first = pending_reg & (~pending_reg + 1'b1);
wire [GROUPS-1:0]       rest = pending_reg & ~first;
reg  [GROUP-1:0]        fetched_next;
reg  [PADDED_BITS-5:0]  fetched_group_next;
wire                    fetched_last_next = rest == 0;

wire [GROUP-1:0] bits_left = bits_reg & (bits_reg - 1'b1);
wire             take = start || (exhausted_reg && !last_reg && fetched_valid_reg && !hold);
wire             fetch = full_reg && (!fetched_valid_reg || take);
reg  [3:0]       lowest;

integer g;
always @* begin
    fetched_next = 0;
    fetched_group_next = 0;
    for (g = 0; g < GROUPS; g = g + 1) begin
        fetched_next = fetched_next | (vector_reg[g*GROUP +: GROUP] & {GROUP{first[g]}});
        fetched_group_next = fetched_group_next | (g[PADDED_BITS-5:0] & {(PADDED_BITS-4){first[g]}});
    end
end

integer b;
always @* begin
    lowest = 0;
    for (b = GROUP - 1; b >= 0; b = b - 1) if (bits_reg[b]) lowest = b[3:0];
end

wire [PADDED_BITS-1:0] padded_index = {group_reg, lowest};

assign s_ready = !full_reg; // from a register, so that no path reaches back from here through the layers before
assign next_valid = fetched_valid_reg;
assign next_user = fetched_user_reg;
assign done = exhausted_reg && last_reg;
assign empty = !full_reg && !fetched_valid_reg;
assign valid = |bits_reg;
assign index = padded_index[INDEX_BITS-1:0];

always @(posedge aclk) begin
    if (fetch) begin
        fetched_reg <= fetched_next;
        fetched_exhausted_reg <= last_spike(fetched_next);
        fetched_group_reg <= fetched_group_next;
        fetched_user_reg <= user_reg;
        fetched_last_reg <= fetched_last_next;
        pending_reg <= rest;
    end
    if (s_valid && s_ready) begin
        vector_reg <= lane_bits(s_spikes);
        pending_reg <= groups_with_spikes(lane_bits(s_spikes));
        user_reg <= s_user;
    end
    full_reg <= full_reg ? !(fetch && fetched_last_next) : s_valid;
    fetched_valid_reg <= fetch || (fetched_valid_reg && !take);
    if (take) begin
        bits_reg <= fetched_reg;
        exhausted_reg <= fetched_exhausted_reg;
        group_reg <= fetched_group_reg;
        last_reg <= fetched_last_reg;
    end else if (!hold) begin
        bits_reg <= bits_left;
        exhausted_reg <= last_spike(bits_left);
    end
    if (reset) begin
        full_reg <= 1'b0;
        fetched_valid_reg <= 1'b0;
        bits_reg <= 0;
        exhausted_reg <= 1'b1;
        last_reg <= 1'b1;
    end
end

endmodule

`resetall
