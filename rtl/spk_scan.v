// SPDX-License-Identifier: Apache-2.0
// Spike scanner of one lane: finds the spikes of inputs LANE, LANE + LANES, LANE + 2 LANES … one a cycle, lowest first.
//
// Two levels, so that no cycle is lost between spikes: one stage fetches the next group of GROUP bits that holds a
// spike while the other takes the group before it apart. The lanes of a layer go from step to step together: each shows
// `done` with its last spike (and after it) and waits for `start`.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_scan #(
    // Bits of the spike vector
    parameter integer INPUTS = 784,
    // Scan lanes, and which this is
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

// First stage: the groups of the vector that are still to be fetched.
reg [GROUPS*GROUP-1:0] vector_reg;
reg [GROUPS-1:0]       pending_reg;
reg [USER_BITS-1:0]    user_reg;
reg                    full_reg;
// Between the stages: the next group.
reg [GROUP-1:0]         word_reg;
reg [PADDED_BITS-5:0]   word_group_reg;
reg [USER_BITS-1:0]     word_user_reg;
reg                     word_last_reg;
reg                     word_valid_reg;
// Second stage: the spikes of the current group that are still to be sent.
reg [GROUP-1:0]       bits_reg;
reg [PADDED_BITS-5:0] group_reg;
reg                   last_reg;

// The bits of this lane.
function [GROUPS*GROUP-1:0] own(input [INPUTS-1:0] spikes);
    integer i;
    begin
        own = 0;
        for (i = 0; i * LANES + LANE < INPUTS; i = i + 1) own[i] = spikes[i*LANES+LANE];
    end
endfunction

// Which groups hold a spike.
function [GROUPS-1:0] summary(input [GROUPS*GROUP-1:0] vector);
    integer i;
    begin
        summary = 0;
        for (i = 0; i < GROUPS; i = i + 1) summary[i] = |vector[i*GROUP +: GROUP];
    end
endfunction

wire [GROUPS-1:0]       first = pending_reg & (~pending_reg + 1'b1);
wire [GROUPS-1:0]       rest = pending_reg & ~first;
reg  [GROUP-1:0]        fetched;
reg  [PADDED_BITS-5:0]  fetched_group;
wire                    fetched_last = rest == 0;

wire [GROUP-1:0] bits_left = bits_reg & (bits_reg - 1'b1);
wire             exhausted = bits_left == 0;
wire             take = start || (exhausted && !last_reg && word_valid_reg);
wire             fetch = full_reg && (!word_valid_reg || take);
reg  [3:0]       lowest;

integer g;
always @* begin
    fetched = 0;
    fetched_group = 0;
    for (g = 0; g < GROUPS; g = g + 1) begin
        fetched = fetched | (vector_reg[g*GROUP +: GROUP] & {GROUP{first[g]}});
        fetched_group = fetched_group | (g[PADDED_BITS-5:0] & {(PADDED_BITS-4){first[g]}});
    end
end

integer b;
always @* begin
    lowest = 0;
    for (b = GROUP - 1; b >= 0; b = b - 1) if (bits_reg[b]) lowest = b[3:0];
end

wire [PADDED_BITS-1:0] padded_index = {group_reg, lowest};

assign s_ready = !full_reg; // from a register: what decides `fetch` must not reach back through the layers before
assign next_valid = word_valid_reg;
assign next_user = word_user_reg;
assign done = exhausted && last_reg;
assign empty = !full_reg && !word_valid_reg;
assign valid = |bits_reg;
assign index = padded_index[INDEX_BITS-1:0];

always @(posedge aclk) begin
    if (fetch) begin
        word_reg <= fetched;
        word_group_reg <= fetched_group;
        word_user_reg <= user_reg;
        word_last_reg <= fetched_last;
        pending_reg <= rest;
    end
    if (s_valid && s_ready) begin
        vector_reg <= own(s_spikes);
        pending_reg <= summary(own(s_spikes));
        user_reg <= s_user;
    end
    full_reg <= full_reg ? !(fetch && fetched_last) : s_valid;
    word_valid_reg <= fetch || (word_valid_reg && !take);
    if (take) begin
        bits_reg <= word_reg;
        group_reg <= word_group_reg;
        last_reg <= word_last_reg;
    end else begin
        bits_reg <= bits_left;
    end
    if (reset) begin
        full_reg <= 1'b0;
        word_valid_reg <= 1'b0;
        bits_reg <= 0;
        last_reg <= 1'b1;
    end
end

endmodule

`resetall
