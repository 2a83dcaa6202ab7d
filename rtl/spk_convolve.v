// SPDX-License-Identifier: Apache-2.0
// One convolution: takes the spikes of a step, position by position, gives those that its neurons fire.
//
//   s_*, queue   a position (row y, column x) and a bit for each map that has a spike there, or the end of a step
//
// An output position (y, x) lies in bank (y mod 3, x mod 3), word (y div 3) · columns + x div 3, so that a kernel of
// 3×3 moves nine positions in nine banks at once (spk_bank.v). What the spikes of one position add goes to memory
// together. At the end of a step the neurons are decided (spk_decide.v), a position a cycle, wherever the memory is not
// needed for the spikes of the next step, whose currents are in the other half of each bank. Of 2×2 positions that are
// pooled, one bit a map goes on.
//
// A layer of more than MAPS maps takes several rounds: all spikes of a position again for the next MAPS maps.
//
//   unpack ─► locate ─► window ─► place ─► banks 0 1 2 3 ─► pick ─► decide ─► pool ─► queue
//
// Direct input: the steps of an image are planes of its pixels' bits; currents are doubled between two of them.
// Latency: see docs/hardware.md.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_convolve #(
    // Maps that are summed side by side, a power of two and a multiple of 64 / WEIGHT_BITS
    parameter integer MAPS = 32,
    // Bits of a position that comes in: maps of the convolution before, 1 for the first
    parameter integer IN_MAPS = 32,
    // Words of a bank: of weights, and of the currents of one step
    parameter integer ROWS = 512,
    parameter integer WORDS = 128,
    // Positions of a step, over all rounds, that can be handed on, with its end
    parameter integer POSITIONS = 256,
    // 1: currents are in distributed RAM
    parameter integer DISTRIBUTED = 0,
    parameter integer WEIGHT_BITS = 4,
    parameter integer MEMBRANE_BITS = 12,
    // 1: membranes can last from step to step, with a leak of up to MAX_LEAK
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    // 1: can take direct input
    parameter integer DIRECT = 0,
    parameter integer USER_BITS = 12,
    parameter integer ROUND_BITS = 3,
    // Of a position: {number of its first map of this round, over all positions and maps; y; x; round}; of the end of
    // a step its user bits. With direct input the number's lowest bit says that the step is an image's first.
    parameter integer DATA_BITS = 28 + ROUND_BITS
) (
    input  wire                 aclk,
    input  wire                 reset,
    // A new network, all of whose currents must begin with 0
    input  wire                 clear,
    // The layer; its window is {pool, padded, stride, width, height, kernel}
    input  wire [         15:0] config_channels,
    input  wire [         15:0] config_maps,
    input  wire [         18:0] config_window,
    input  wire                 config_direct,
    input  wire                 config_continuous,
    input  wire                 config_reset_zero,
    input  wire                 config_biased,
    input  wire [          3:0] config_leak,
    // Loading, only while idle. A pair of −θ or of biases comes in two cycles, even then odd.
    input  wire                 weight_write,
    input  wire                 threshold_write,
    input  wire                 bias_write,
    input  wire [         15:0] write_row,
    input  wire [         15:0] write_slice,
    input  wire [         15:0] write_pair,
    input  wire                 write_odd,
    input  wire [         63:0] write_data,
    // Spikes in
    input  wire                 s_end,
    input  wire [  IN_MAPS-1:0] s_spikes,
    input  wire [DATA_BITS-1:0] s_data,
    input  wire                 s_valid,
    output wire                 s_ready,
    // Spikes out
    output wire                 m_end,
    output wire [     MAPS-1:0] m_spikes,
    output wire [DATA_BITS-1:0] m_data,
    output wire                 m_valid,
    input  wire                 m_ready,
    // A spike was added in this cycle; nothing is under way
    output reg                  row_read,
    output wire                 idle
);

localparam MAP_BITS = IN_MAPS > 1 ? $clog2(IN_MAPS) : 0;
localparam CHANNEL_BITS = ROUND_BITS + MAP_BITS;
localparam ROW_BITS = $clog2(ROWS);
localparam HALF_BITS = $clog2(WORDS);
localparam ADDRESS_BITS = HALF_BITS + 1;
localparam BANK_WORDS = 2 << HALF_BITS;
localparam LANES = 64 / WEIGHT_BITS;
localparam PARTS = MAPS / LANES;
localparam PART_BITS = PARTS > 1 ? $clog2(PARTS) : 0;
localparam M_BITS = $clog2(MAPS);
localparam FULL_SUM_BITS = WEIGHT_BITS + MAP_BITS;
localparam SUM_BITS = FULL_SUM_BITS < MEMBRANE_BITS ? FULL_SUM_BITS : MEMBRANE_BITS;
localparam SIDE_BITS = 6;
localparam BANKS = 9;
localparam STATES = BANKS * WORDS;
localparam STATE_BITS = $clog2(STATES);

// ---- sizes that follow from the layer ----
wire [6:0]            height; // of a map that it makes, before pooling
wire [6:0]            width;
wire [6:0]            pooled_height;
wire [6:0]            pooled_width;
wire [4:0]            columns;    // words of a row of positions in a bank
wire [9:0]            words;      // words of a round in a bank
wire [ROUND_BITS-1:0] last_round;
wire [M_BITS:0]       rest;       // maps of the last round
wire [ROUND_BITS+1:0] line_rows;  // rows of weights, over all rounds: of a line of the kernel, and of a channel
wire [ROUND_BITS+3:0] channel_rows;
wire [32:0]           unused_sizes;
reg  [MAPS-1:0]       rest_used_reg;

wire [1:0]          kernel = config_window[1:0];
wire                stride = config_window[16];
wire                padded = config_window[17];
wire                pool = config_window[18];
wire [ROUND_BITS:0] rounds = {1'b0, last_round} + 1'b1;

spk_window #(.MAPS(MAPS), .ROWS(ROWS), .WORDS(WORDS), .POSITIONS(POSITIONS), .ROUND_BITS(ROUND_BITS)) sizes (
    .aclk(aclk),
    .channels(config_channels),
    .maps(config_maps),
    .window(config_window),
    .height(height),
    .width(width),
    .pooled_height(pooled_height),
    .pooled_width(pooled_width),
    .columns(columns),
    .words(words),
    .last_round(last_round),
    .rest(rest),
    .line_rows(line_rows),
    .channel_rows(channel_rows),
    .inputs(unused_sizes[15:0]),
    .outputs(unused_sizes[31:16]),
    .fits(unused_sizes[32])
);

function [4:0] third(input [6:0] value); // rounded down, up to 127
    reg [12:0] product;
    begin
        product = {6'd0, value} * 13'd43;
        third = product[11:7];
    end
endfunction

function [1:0] modulo(input [6:0] value); // 3
    reg [6:0] left;
    begin
        left = value - 7'd3 * {2'd0, third(value)};
        modulo = left[1:0];
    end
endfunction

integer c;
always @(posedge aclk) for (c = 0; c < MAPS; c = c + 1) rest_used_reg[c] <= c < {{(31-M_BITS){1'b0}}, rest};

// ---- unpack: a spike a cycle, or the end of a step ----
wire                  spike_end;
wire [(MAP_BITS > 0 ? MAP_BITS : 1)-1:0] spike_map;
wire [ROUND_BITS-1:0] spike_round;
wire                  spike_first;
wire                  spike_last;
wire [DATA_BITS-1:0]  spike_data;
wire                  spike_valid;
wire                  advance; // the stages up to the banks move on
wire [CHANNEL_BITS-1:0] spike_channel;

spk_unpack #(.MAPS(IN_MAPS), .DATA_BITS(DATA_BITS), .ROUND_BITS(ROUND_BITS)) unpack (
    .aclk(aclk),
    .reset(reset),
    .config_last_round(last_round),
    .s_end(s_end),
    .s_spikes(s_spikes),
    .s_data(s_data),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .m_end(spike_end),
    .m_map(spike_map),
    .m_round(spike_round),
    .m_first(spike_first),
    .m_last(spike_last),
    .m_data(spike_data),
    .m_valid(spike_valid),
    .m_ready(advance)
);

generate
    if (MAP_BITS > 0) begin : many
        assign spike_channel = {spike_data[ROUND_BITS-1:0], spike_map};
    end else begin : one
        assign spike_channel = spike_data[ROUND_BITS-1:0];
    end
endgenerate

// ---- locate: the lowest output position that the spike reaches is (u − 2, v − 2), and the place of the kernel over
// (u, v) is (0 or 1, 0 or 1) ----
reg                    locate_valid_reg;
reg                    locate_end_reg;
reg                    locate_first_reg;
reg                    locate_last_reg;
reg                    locate_anew_reg; // of the first plane of an image
reg [ROUND_BITS-1:0]   locate_round_reg;
reg [CHANNEL_BITS-1:0] locate_channel_reg;
reg [USER_BITS-1:0]    locate_user_reg;
reg [6:0]              locate_y_reg;
reg [6:0]              locate_x_reg;

always @(posedge aclk) begin
    if (advance) begin
        locate_valid_reg <= spike_valid;
        locate_end_reg <= spike_end;
        locate_first_reg <= spike_first;
        locate_last_reg <= spike_last;
        locate_anew_reg <= spike_end ? spike_data[0] : spike_data[ROUND_BITS+2*SIDE_BITS];
        locate_round_reg <= spike_round;
        locate_channel_reg <= spike_channel;
        locate_user_reg <= spike_data[USER_BITS-1:0];
        locate_y_reg <= {1'b0, spike_data[ROUND_BITS+SIDE_BITS +: SIDE_BITS]} + {6'd0, padded};
        locate_x_reg <= {1'b0, spike_data[ROUND_BITS +: SIDE_BITS]} + {6'd0, padded};
    end
    if (reset) locate_valid_reg <= 1'b0;
end

// ---- window: for each row and column of banks, the output position there, if there is one, and the place of the
// kernel that lies over it ----
reg                    window_valid_reg;
reg                    window_end_reg;
reg                    window_first_reg;
reg                    window_last_reg;
reg                    window_anew_reg;
reg [ROUND_BITS-1:0]   window_round_reg;
reg [USER_BITS-1:0]    window_user_reg;
reg [ROW_BITS-1:0]     window_row_reg; // of the channel
reg [2:0]              y_valid_reg;
reg [2:0]              x_valid_reg;
reg [3*5-1:0]          y_third_reg;
reg [3*5-1:0]          x_third_reg;
reg [3*2-1:0]          y_place_reg;
reg [3*2-1:0]          x_place_reg;

// {is there one, position div 3, place}
function [7:0] reached(input [6:0] at, input [1:0] bank, input [6:0] side, input two, input [1:0] size);
    reg [6:0] highest;
    reg [6:0] position;
    reg [1:0] back;
    reg [2:0] place;
    begin
        highest = two ? at >> 1 : at;
        back = modulo(highest) >= bank ? modulo(highest) - bank : modulo(highest) + 2'd3 - bank;
        position = highest - {5'd0, back};
        place = two ? {back, at[0]} : {1'b0, back};
        reached = {place < {1'b0, size} && highest >= {5'd0, back} && position < side, third(position), place[1:0]};
    end
endfunction

wire [15:0] channel_row
    = {{(16-CHANNEL_BITS){1'b0}}, locate_channel_reg} * {{(12-ROUND_BITS){1'b0}}, channel_rows};

integer r;
always @(posedge aclk) begin
    if (advance) begin
        window_valid_reg <= locate_valid_reg;
        window_end_reg <= locate_end_reg;
        window_first_reg <= locate_first_reg;
        window_last_reg <= locate_last_reg;
        window_anew_reg <= locate_anew_reg;
        window_round_reg <= locate_round_reg;
        window_user_reg <= locate_user_reg;
        window_row_reg <= channel_row[ROW_BITS-1:0];
        for (r = 0; r < 3; r = r + 1) begin
            {y_valid_reg[r], y_third_reg[r*5 +: 5], y_place_reg[r*2 +: 2]}
                <= reached(locate_y_reg, r[1:0], height, stride, kernel);
            {x_valid_reg[r], x_third_reg[r*5 +: 5], x_place_reg[r*2 +: 2]}
                <= reached(locate_x_reg, r[1:0], width, stride, kernel);
        end
    end
    if (reset) window_valid_reg <= 1'b0;
end

// ---- place: where in the banks ----
reg                     place_valid_reg;
reg                     place_end_reg;
reg                     place_first_reg;
reg                     place_last_reg;
reg                     place_anew_reg;
reg                     place_once_reg; // in the first round
reg [USER_BITS-1:0]     place_user_reg;
reg [2:0]               place_y_valid_reg;
reg [2:0]               place_x_valid_reg;
reg [3*ROW_BITS-1:0]    place_y_row_reg; // rows of weights and words of currents: for rows of banks,
reg [3*HALF_BITS-1:0]   place_y_word_reg;
reg [3*ROW_BITS-1:0]    place_x_row_reg; // and what columns add
reg [3*HALF_BITS-1:0]   place_x_word_reg;

wire [15:0] round = {{(16-ROUND_BITS){1'b0}}, window_round_reg};
wire [15:0] round_words = round * {6'd0, words};

genvar l;
generate
    for (l = 0; l < 3; l = l + 1) begin : line
        wire [15:0] y_place = {14'd0, y_place_reg[l*2 +: 2]};
        wire [15:0] x_place = {14'd0, x_place_reg[l*2 +: 2]};
        wire [15:0] y_row = {{(16-ROW_BITS){1'b0}}, window_row_reg}
            + y_place * {{(14-ROUND_BITS){1'b0}}, line_rows} + round;
        wire [15:0] x_row = x_place * {{(15-ROUND_BITS){1'b0}}, rounds};
        wire [15:0] y_word = {11'd0, y_third_reg[l*5 +: 5]} * {11'd0, columns} + round_words;
        wire [15:0] x_word = {11'd0, x_third_reg[l*5 +: 5]};
        always @(posedge aclk)
            if (advance) begin
                place_y_row_reg[l*ROW_BITS +: ROW_BITS] <= y_row[ROW_BITS-1:0];
                place_x_row_reg[l*ROW_BITS +: ROW_BITS] <= x_row[ROW_BITS-1:0];
                place_y_word_reg[l*HALF_BITS +: HALF_BITS] <= y_word[HALF_BITS-1:0];
                place_x_word_reg[l*HALF_BITS +: HALF_BITS] <= x_word[HALF_BITS-1:0];
            end
    end
endgenerate

always @(posedge aclk) begin
    if (advance) begin
        place_valid_reg <= window_valid_reg;
        place_end_reg <= window_end_reg;
        place_first_reg <= window_first_reg;
        place_last_reg <= window_last_reg;
        place_anew_reg <= window_anew_reg;
        place_once_reg <= window_round_reg == 0;
        place_user_reg <= window_user_reg;
        place_y_valid_reg <= y_valid_reg;
        place_x_valid_reg <= x_valid_reg;
    end
    if (reset) place_valid_reg <= 1'b0;
end

// ---- what the banks do in the next cycle: add a spike; go over all words, to clear or to double them; decide ----
reg                    half_reg;    // in which the currents of the step add up
reg                    dirty_reg;   // it holds planes of an image whose last has not come
reg                    pass_reg;    // all words of a half, or of both, one after another, but for the first cycle,
reg                    passing_reg; // in which the last spike's words are on their way to memory
reg                    pass_twice_reg;
reg [ADDRESS_BITS-1:0] pass_word_reg;
reg [ADDRESS_BITS-1:0] pass_last_reg;
reg                    doubled_reg; // the pass after this plane is done
reg                    begin_reg;   // likewise
reg                    firing_reg;  // neurons are still to be decided
reg                    busy_reg;    // from the first decision until the end of the step is handed on
wire                   room;     // for what a step hands on
wire                   queue_empty;

wire direct = DIRECT != 0 && config_direct;
wire continuous = CONTINUOUS != 0 && config_continuous;
wire add = place_valid_reg && !place_end_reg && advance;
wire step_end = place_valid_reg && place_end_reg && (!direct || place_user_reg[1]);
wire plane_end = direct && place_valid_reg && place_end_reg && !place_user_reg[1];
wire stale = direct && place_valid_reg && place_anew_reg && dirty_reg;
wire begin_firing = step_end && !stale && !pass_reg && !busy_reg && room;
wire update = add && place_last_reg;
wire fire = firing_reg && !update && !passing_reg;
wire [15:0] last_word = {{(15-ROUND_BITS){1'b0}}, rounds} * {6'd0, words} - 16'd1; // of a half
wire pass_end = passing_reg && pass_word_reg == pass_last_reg;

assign advance = !pass_reg && !stale && !(plane_end && !doubled_reg) && (!step_end || begin_firing);

always @(posedge aclk) begin
    doubled_reg <= pass_end && pass_twice_reg;
    passing_reg <= pass_reg && !pass_end;
    if (passing_reg) pass_word_reg <= pass_word_reg + 1'b1;
    if (pass_end) pass_reg <= 1'b0;
    if (!pass_reg && (stale || (plane_end && !doubled_reg))) begin
        pass_reg <= 1'b1;
        pass_twice_reg <= !stale;
        pass_word_reg <= {half_reg, {HALF_BITS{1'b0}}};
        pass_last_reg <= {half_reg, last_word[HALF_BITS-1:0]};
        if (stale) dirty_reg <= 1'b0;
    end
    if (plane_end && advance) dirty_reg <= 1'b1;
    if (begin_firing) begin
        half_reg <= !half_reg;
        dirty_reg <= 1'b0;
    end
    if (clear) begin
        pass_reg <= 1'b1;
        passing_reg <= 1'b0;
        pass_twice_reg <= 1'b0;
        pass_word_reg <= 0;
        pass_last_reg <= BANK_WORDS - 1;
    end
    if (reset) begin
        pass_reg <= 1'b0;
        passing_reg <= 1'b0;
        doubled_reg <= 1'b0;
        dirty_reg <= 1'b0;
        half_reg <= 1'b0;
    end
end

// ---- decisions, position by position: which comes next ----
reg [USER_BITS-1:0]    fire_user_reg;
reg                    fire_half_reg;
reg [5:0]              fire_y_left_reg; // positions that are handed on, still to come in this column, and in this row
reg [5:0]              fire_x_left_reg;
reg [1:0]              fire_y_bank_reg;
reg [1:0]              fire_x_bank_reg;
reg [HALF_BITS-1:0]    fire_y_word_reg;
reg [HALF_BITS-1:0]    fire_x_word_reg;
reg [HALF_BITS-1:0]    fire_round_word_reg;
reg [ROUND_BITS-1:0]   fire_round_reg;
reg                    fire_lower_reg; // of 2×2 positions
reg                    fire_right_reg;
reg [STATE_BITS-1:0]   fire_state_reg;

wire fire_pool_last = !pool || (fire_lower_reg && fire_right_reg);
wire fire_round_last = fire_pool_last && fire_round_reg == last_round;
wire fire_x_last = fire_round_last && fire_x_left_reg == 1;
wire fire_last = fire_x_last && fire_y_left_reg == 1;

// {bank, word} so many positions further, one or two
function [HALF_BITS+1:0] further(input [1:0] bank, input [HALF_BITS-1:0] word, input [HALF_BITS-1:0] step, input two);
    reg [2:0] sum;
    begin
        sum = {1'b0, bank} + (two ? 3'd2 : 3'd1);
        further = sum >= 3'd3 ? {sum[1:0] - 2'd3, word + step} : {sum[1:0], word};
    end
endfunction

wire [15:0]          wide_line = {11'd0, columns};
wire [15:0]          wide_words = {6'd0, words};
wire [HALF_BITS-1:0] line_words = wide_line[HALF_BITS-1:0];
wire [HALF_BITS-1:0] half_words = wide_words[HALF_BITS-1:0];
localparam [HALF_BITS-1:0] ONE = 1;
wire [HALF_BITS+1:0] y_next = further(fire_y_bank_reg, fire_y_word_reg, line_words, pool);
wire [HALF_BITS+1:0] x_next = further(fire_x_bank_reg, fire_x_word_reg, ONE, pool);
wire [HALF_BITS+1:0] y_here = fire_lower_reg ? further(fire_y_bank_reg, fire_y_word_reg, line_words, 1'b0)
    : {fire_y_bank_reg, fire_y_word_reg};
wire [HALF_BITS+1:0] x_here = fire_right_reg ? further(fire_x_bank_reg, fire_x_word_reg, ONE, 1'b0)
    : {fire_x_bank_reg, fire_x_word_reg};

wire [ADDRESS_BITS-1:0] fire_address
    = {fire_half_reg, y_here[HALF_BITS-1:0] + x_here[HALF_BITS-1:0] + fire_round_word_reg};
wire [BANKS-1:0] fire_bank = 9'd1 << (3 * y_here[HALF_BITS +: 2] + x_here[HALF_BITS +: 2]);

always @(posedge aclk) begin
    if (fire) begin
        fire_state_reg <= fire_state_reg + 1'b1;
        if (pool) fire_right_reg <= !fire_right_reg;
        if (pool && fire_right_reg) fire_lower_reg <= !fire_lower_reg;
        if (fire_pool_last) begin
            fire_round_reg <= fire_round_last ? 0 : fire_round_reg + 1'b1;
            fire_round_word_reg <= fire_round_last ? {HALF_BITS{1'b0}} : fire_round_word_reg + half_words;
        end
        if (fire_round_last) begin
            {fire_x_bank_reg, fire_x_word_reg} <= x_next;
            fire_x_left_reg <= fire_x_left_reg - 1'b1;
        end
        if (fire_x_last) begin
            {fire_x_bank_reg, fire_x_word_reg} <= 0;
            fire_x_left_reg <= pooled_width[5:0]; // 64 is 0, and counts down as well
            {fire_y_bank_reg, fire_y_word_reg} <= y_next;
            fire_y_left_reg <= fire_y_left_reg - 1'b1;
        end
    end
    begin_reg <= begin_firing;
    firing_reg <= begin_reg || (firing_reg && !(fire && fire_last));
    if (begin_firing) begin
        fire_user_reg <= place_user_reg;
        fire_half_reg <= half_reg;
        fire_y_left_reg <= pooled_height[5:0];
        fire_x_left_reg <= pooled_width[5:0]; // 64 is 0, and counts down as well
        {fire_y_bank_reg, fire_y_word_reg, fire_x_bank_reg, fire_x_word_reg} <= 0;
        {fire_round_reg, fire_round_word_reg, fire_lower_reg, fire_right_reg, fire_state_reg} <= 0;
    end
    if (reset) {begin_reg, firing_reg} <= 0;
end

// ---- banks: stage 0, from registers, and what goes along with it to stage 1 and 2 ----
reg                          first_reg; // stage 0
reg                          clear_reg;
reg                          twice_reg;
reg                          first_1_reg; // stage 1
reg                          clear_1_reg;
reg                          twice_1_reg;
reg [BANKS-1:0]              fire_bank_0_reg;
reg [BANKS-1:0]              fire_bank_1_reg;
reg [BANKS-1:0]              fire_bank_2_reg;
wire [BANKS*MAPS*MEMBRANE_BITS-1:0] bank_currents;
reg [PARTS-1:0]              weight_write_reg;
reg [ROW_BITS-1:0]           write_row_reg;
reg [63:0]                   write_data_reg;

wire [15:0] write_round = write_slice >> PART_BITS;
wire [15:0] write_word = write_row * {{(15-ROUND_BITS){1'b0}}, rounds} + write_round;

integer w;
always @(posedge aclk) begin
    first_reg <= place_first_reg;
    clear_reg <= fire || (passing_reg && !pass_twice_reg);
    twice_reg <= passing_reg && pass_twice_reg;
    first_1_reg <= first_reg;
    clear_1_reg <= clear_reg;
    twice_1_reg <= twice_reg;
    fire_bank_0_reg <= fire ? fire_bank : 0;
    fire_bank_1_reg <= fire_bank_0_reg;
    fire_bank_2_reg <= fire_bank_1_reg;
    row_read <= add && place_once_reg && !reset;
    for (w = 0; w < PARTS; w = w + 1)
        weight_write_reg[w] <= weight_write && !reset && {16'd0, write_slice - (write_round << PART_BITS)} == w;
    write_row_reg <= write_word[ROW_BITS-1:0];
    write_data_reg <= write_data;
end

genvar b;
generate
    for (b = 0; b < BANKS; b = b + 1) begin : bank
        reg [ROW_BITS-1:0]     row_reg;
        reg [ADDRESS_BITS-1:0] address_reg;
        reg [ADDRESS_BITS-1:0] address_1_reg;
        reg                    add_reg;
        reg                    add_1_reg;
        reg                    update_reg;
        reg                    update_1_reg;
        wire                   hit = place_y_valid_reg[b/3] && place_x_valid_reg[b%3];
        wire [HALF_BITS-1:0]   word = place_y_word_reg[b/3*HALF_BITS +: HALF_BITS]
            + place_x_word_reg[b%3*HALF_BITS +: HALF_BITS];

        always @(posedge aclk) begin
            row_reg <= place_y_row_reg[b/3*ROW_BITS +: ROW_BITS] + place_x_row_reg[b%3*ROW_BITS +: ROW_BITS];
            address_reg <= passing_reg ? pass_word_reg : update ? {half_reg, word} : fire_address;
            add_reg <= !reset && add && hit;
            add_1_reg <= add_reg;
            update_reg <= !reset && (passing_reg || (update && hit) || (fire && fire_bank[b]));
            address_1_reg <= address_reg;
            update_1_reg <= update_reg;
        end

        spk_bank #(
            .MAPS(MAPS),
            .ROWS(ROWS),
            .WORDS(BANK_WORDS),
            .WEIGHT_BITS(WEIGHT_BITS),
            .SUM_BITS(SUM_BITS),
            .MEMBRANE_BITS(MEMBRANE_BITS),
            .DISTRIBUTED(DISTRIBUTED),
            .DIRECT(DIRECT)
        ) words_of_bank (
            .aclk(aclk),
            .read(add_reg),
            .row(row_reg),
            .add(add_1_reg),
            .first(first_1_reg),
            .address(address_1_reg),
            .update(update_1_reg),
            .clear(clear_1_reg),
            .twice(twice_1_reg),
            .currents(bank_currents[b*MAPS*MEMBRANE_BITS +: MAPS*MEMBRANE_BITS]),
            .weight_write(weight_write_reg),
            .write_row(write_row_reg),
            .write_data(write_data_reg)
        );
    end
endgenerate

// ---- pick: the currents of the position that is decided ----
localparam STAGES = 6;

reg [STAGES-1:0]             stage_reg; // of spk_decide
reg [MAPS*MEMBRANE_BITS-1:0] picked;
reg [MAPS*MEMBRANE_BITS-1:0] picked_reg;

integer k;
always @* begin
    picked = 0;
    for (k = 0; k < BANKS; k = k + 1)
        picked = picked | (bank_currents[k*MAPS*MEMBRANE_BITS +: MAPS*MEMBRANE_BITS]
            & {(MAPS*MEMBRANE_BITS){fire_bank_2_reg[k]}});
end

always @(posedge aclk) if (stage_reg[2]) picked_reg <= picked;

// ---- decide ----
reg [STAGES-1:0]            pool_first_reg; // of the positions that are pooled
reg [STAGES-1:0]            pool_last_reg;
reg [STAGES-1:0]            last_reg;  // of the step
reg [STAGES*ROUND_BITS-1:0] rounds_reg;
reg [MAX_LEAK:0]            keep_reg;
reg                         threshold_write_reg;
reg                         bias_write_reg;
reg [15:0]                  write_neuron_reg;
reg [MEMBRANE_BITS-1:0]     write_value_reg;
wire [MAPS-1:0]             fired;
wire [MAPS*(MEMBRANE_BITS-1)-1:0] states; // what lasts of the neurons that are decided in this cycle
wire [MAPS*(MEMBRANE_BITS-1)-1:0] kept;

wire decided = stage_reg[STAGES-1];
wire last_maps = rounds_reg[(STAGES-1)*ROUND_BITS +: ROUND_BITS] == last_round; // of the position

always @(posedge aclk) begin
    stage_reg <= {stage_reg[STAGES-2:0], fire};
    pool_first_reg <= {pool_first_reg[STAGES-2:0], !fire_lower_reg && !fire_right_reg};
    pool_last_reg <= {pool_last_reg[STAGES-2:0], fire_pool_last};
    last_reg <= {last_reg[STAGES-2:0], fire_last};
    rounds_reg <= {rounds_reg[(STAGES-1)*ROUND_BITS-1:0], fire_round_reg};
    keep_reg <= config_leak == 0 ? {1'b1, {MAX_LEAK{1'b0}}}
        : {1'b1, {MAX_LEAK{1'b0}}} - ({1'b1, {MAX_LEAK{1'b0}}} >> config_leak);
    threshold_write_reg <= threshold_write && !reset;
    bias_write_reg <= bias_write && !reset;
    write_neuron_reg <= {write_pair[14:0], write_odd};
    write_value_reg <= write_odd ? write_data[32 +: MEMBRANE_BITS] : write_data[MEMBRANE_BITS-1:0];
    if (reset) stage_reg <= 0;
end

genvar m;
generate
    for (m = 0; m < MAPS; m = m + 1) begin : map
        wire                     here = write_neuron_reg[M_BITS-1:0] == m;
        wire [MEMBRANE_BITS-1:0] unused_decided;

        spk_decide #(
            .INDEXES(1 << ROUND_BITS),
            .MEMBRANE_BITS(MEMBRANE_BITS),
            .CONTINUOUS(CONTINUOUS),
            .MAX_LEAK(MAX_LEAK)
        ) decide (
            .aclk(aclk),
            .active(stage_reg),
            .index(rounds_reg),
            .kept(kept[m*(MEMBRANE_BITS-1) +: MEMBRANE_BITS-1]),
            .current(picked_reg[m*MEMBRANE_BITS +: MEMBRANE_BITS]),
            .keep(keep_reg),
            .config_biased(config_biased && continuous),
            .config_reset_zero(config_reset_zero),
            .used(!last_maps || rest_used_reg[m]),
            .threshold_write(threshold_write_reg && here),
            .bias_write(bias_write_reg && here),
            .write_index(write_neuron_reg[M_BITS +: ROUND_BITS]),
            .write_value(write_value_reg),
            .spike(fired[m]),
            .decided(unused_decided),
            .state(states[m*(MEMBRANE_BITS-1) +: MEMBRANE_BITS-1])
        );
    end
    if (CONTINUOUS != 0) begin : lasting
        reg [MAPS*(MEMBRANE_BITS-1)-1:0]  memory [0:STATES-1];
        reg [MAPS*(MEMBRANE_BITS-1)-1:0]  state_word_reg;
        reg                               restart_reg;
        reg [(STAGES-1)*STATE_BITS-1:0]   address_reg;
        reg [STATE_BITS-1:0]              write_address_reg;

        assign kept = restart_reg ? 0 : state_word_reg;

        always @(posedge aclk) begin
            address_reg <= {address_reg[(STAGES-2)*STATE_BITS-1:0], fire_state_reg};
            write_address_reg <= address_reg[(STAGES-2)*STATE_BITS +: STATE_BITS];
            restart_reg <= fire_user_reg[0] || !continuous;
            if (stage_reg[0] && continuous) state_word_reg <= memory[address_reg[STATE_BITS-1:0]];
            if (decided && continuous) memory[write_address_reg] <= states;
        end
    end else begin : fleeting
        assign kept = 0;
    end
endgenerate

// ---- pool, and hand on ----
reg [MAPS-1:0]       pooled_reg;
reg [SIDE_BITS-1:0]  y_reg;
reg [SIDE_BITS-1:0]  x_reg;
reg [15:0]           number_reg;
reg [MAPS-1:0]       push_spikes_reg;
reg [DATA_BITS-1:0]  push_data_reg;
reg                  push_reg;
reg                  ending_reg;
reg                  push_end_reg;

wire [MAPS-1:0] together = fired | (pool_first_reg[STAGES-1] ? {MAPS{1'b0}} : pooled_reg);
wire            hand_on = decided && pool_last_reg[STAGES-1];

always @(posedge aclk) begin
    if (decided) pooled_reg <= together;
    push_reg <= (hand_on && together != 0) || ending_reg;
    push_spikes_reg <= together;
    push_end_reg <= ending_reg;
    push_data_reg <= ending_reg
        ? {{(DATA_BITS-USER_BITS){1'b0}}, fire_user_reg[USER_BITS-1:1], fire_user_reg[0] || direct}
        : {number_reg, y_reg, x_reg, rounds_reg[(STAGES-1)*ROUND_BITS +: ROUND_BITS]};
    ending_reg <= decided && last_reg[STAGES-1];
    if (hand_on) begin
        number_reg <= number_reg + (last_maps ? {{(15-M_BITS){1'b0}}, rest} : MAPS[15:0]);
        if (last_maps) x_reg <= x_reg + 1'b1 == pooled_width ? 0 : x_reg + 1'b1;
        if (last_maps && x_reg + 1'b1 == pooled_width) y_reg <= y_reg + 1'b1;
    end
    if (begin_firing) {number_reg, y_reg, x_reg} <= 0;
    busy_reg <= begin_firing || (busy_reg && !(push_reg && push_end_reg));
    if (reset) begin
        push_reg <= 1'b0;
        ending_reg <= 1'b0;
        busy_reg <= 1'b0;
    end
end

localparam QUEUE = 2 << $clog2(POSITIONS);

spk_queue #(.WIDTH(1 + DATA_BITS + MAPS), .DEPTH(QUEUE)) queue (
    .aclk(aclk),
    .reset(reset),
    .s_data({push_end_reg, push_data_reg, push_spikes_reg}),
    .s_valid(push_reg),
    .m_data({m_end, m_data, m_spikes}),
    .m_valid(m_valid),
    .m_ready(m_ready),
    .room(room),
    .empty(queue_empty)
);

// ---- status ----
assign idle = !spike_valid && !locate_valid_reg && !window_valid_reg && !place_valid_reg && !pass_reg && !busy_reg
    && queue_empty;

endmodule

`resetall
