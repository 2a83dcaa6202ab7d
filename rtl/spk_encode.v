// SPDX-License-Identifier: Apache-2.0
// On-chip spike encoder: takes each image once, as 8-bit pixels, and makes the spikes of all its time steps.
//
//   threshold   a pixel fires iff it is at least 128
//   bernoulli   iff it is above a random byte, drawn anew in each step
//   latency     iff it lies in the band of the step: 255 … 256 − band in the first step, the band below in the next
//   direct      iff its bit of the step is 1: bit 7 in the first step, bit 6 in the next
//
// A packet is a word from which the seeds of its images follow, then the images, eight pixels a word. The random bytes
// are those of host/spikeline/model/encode.py: a xorshift64 generator per image, started from the seed that spk_seed
// works out while the image arrives, advances once for eight pixels. Four advances a cycle make a row of 32 spikes, two
// rows a word. Two images have room, so that one arrives while the other is encoded. Latency: five cycles from the last
// word of an image to its first word of spikes.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_encode #(
    // Room for pixels: 33, two rows, to 65,535
    parameter integer INPUTS = 784,
    // 1: built with the direct encoder
    parameter integer DIRECT = 0
) (
    input  wire        aclk,
    input  wire        reset,
    input  wire [15:0] config_inputs,
    input  wire [15:0] config_time_steps,
    input  wire        config_bernoulli,
    input  wire        config_latency,
    input  wire [ 7:0] config_latency_band,
    input  wire        config_direct,
    // Images. `s_begin`: a new packet, however the one before was cut short. `s_last`: words of a packet's last image.
    // `s_image_end`: this word completes an image.
    input  wire        s_begin,
    input  wire [63:0] s_data,
    input  wire        s_last,
    input  wire        s_valid,
    output wire        s_ready,
    output wire        s_image_end,
    // Spikes, 64 a word. `m_start`: first word of an image; `m_first`: and that image is the first of its packet.
    output reg  [63:0] m_data,
    output reg         m_first,
    output reg         m_start,
    output reg         m_last,
    output reg         m_valid,
    input  wire        m_ready,
    // The image whose words are taken now is decided: no further steps of it
    input  wire        skip,
    output wire        idle
);

localparam ROWS = (INPUTS + 31) / 32;
localparam ROW_BITS = $clog2(ROWS);
localparam [7:0] BELOW_HALF = 8'd127; // a pixel above it is at least 128

function [63:0] advance(input [63:0] x);
    reg [63:0] a;
    reg [63:0] b;
    begin
        a = x ^ (x << 13);
        b = a ^ (a >> 7);
        advance = b ^ (b << 17);
    end
endfunction

// `count` advances at once. They are linear: each bit of the result is the parity of the state under a mask, 64 masks
// of 64 bits. Parities are shallower logic than one advance after the other.
function [64*64-1:0] parities(input integer count);
    integer from;
    integer to;
    integer k;
    reg [63:0] x;
    begin
        parities = 0;
        for (from = 0; from < 64; from = from + 1) begin
            x = 64'd1 << from;
            for (k = 0; k < count; k = k + 1) x = advance(x);
            for (to = 0; to < 64; to = to + 1) parities[to*64 + from] = x[to];
        end
    end
endfunction

localparam [64*64-1:0] PARITIES_1 = parities(1);
localparam [64*64-1:0] PARITIES_2 = parities(2);
localparam [64*64-1:0] PARITIES_3 = parities(3);
localparam [64*64-1:0] PARITIES_4 = parities(4);

// ---- arrival: two images, four words a row ----
(* ram_style = "distributed" *) reg [63:0] column_0 [0:2**(ROW_BITS+1)-1];
(* ram_style = "distributed" *) reg [63:0] column_1 [0:2**(ROW_BITS+1)-1];
(* ram_style = "distributed" *) reg [63:0] column_2 [0:2**(ROW_BITS+1)-1];
(* ram_style = "distributed" *) reg [63:0] column_3 [0:2**(ROW_BITS+1)-1];
reg [1:0]  full_reg;
reg [1:0]  first_reg;
reg [1:0]  last_reg;
reg        arriving_reg; // the buffer, 0 or 1, of the image that arrives
reg        pixels_reg;   // the packet's first word, its SEED, has come
reg        packet_reg;   // the image is the first of its packet
reg [63:0] seed_reg;     // of the image that has come last
reg [15:0] word_reg;
reg [15:0] last_word_reg;

wire                take = s_valid && s_ready;
wire                arrived = take && s_image_end;
wire [ROW_BITS:0]   write_row = {arriving_reg, word_reg[ROW_BITS+1:2]};

// An image of fewer words than its seed takes cycles waits for it.
wire        seed_load = config_bernoulli && take && !pixels_reg;
wire        seed_next = config_bernoulli && arrived;
wire        seed_busy;
wire [63:0] seed;

assign s_image_end = pixels_reg && word_reg == last_word_reg;
assign s_ready = !full_reg[arriving_reg] && !(s_image_end && seed_busy);

spk_seed seeds (
    .aclk(aclk),
    .reset(reset),
    .load(seed_load),
    .state(s_data),
    .next(seed_next),
    .seed(seed),
    .busy(seed_busy)
);

always @(posedge aclk) begin
    if (take && pixels_reg) begin
        if (word_reg[1:0] == 2'd0) column_0[write_row] <= s_data;
        if (word_reg[1:0] == 2'd1) column_1[write_row] <= s_data;
        if (word_reg[1:0] == 2'd2) column_2[write_row] <= s_data;
        if (word_reg[1:0] == 2'd3) column_3[write_row] <= s_data;
    end
end

// ---- rows of 32 pixels, step after step ----
reg                encoding_reg; // the buffer of the image that is encoded
reg                running_reg;
reg [ROW_BITS-1:0] row_reg;
reg [ROW_BITS-1:0] last_row_reg;
reg [15:0]         steps_left_reg;
reg                first_step_reg;
reg                last_step_reg;
reg                one_step_reg; // an image has one step
reg [63:0]         state_reg;
reg                taken_reg;    // the first word of this image has been taken

wire        enable = !m_valid || m_ready;
wire        abort = running_reg && taken_reg && skip;
wire        row_end = row_reg == last_row_reg;
wire        image_end = running_reg && enable && row_end && last_step_reg;
wire        next = encoding_reg ^ running_reg; // the buffer to start with
wire        start = full_reg[next] && (!running_reg || image_end || abort);
reg  [63:0] state_1;
reg  [63:0] state_2;
reg  [63:0] state_3;
reg  [63:0] state_4;
reg  [63:0] state_next;

integer p;
always @*
    for (p = 0; p < 64; p = p + 1) begin
        state_1[p] = ^(state_reg & PARITIES_1[p*64 +: 64]);
        state_2[p] = ^(state_reg & PARITIES_2[p*64 +: 64]);
        state_3[p] = ^(state_reg & PARITIES_3[p*64 +: 64]);
        state_4[p] = ^(state_reg & PARITIES_4[p*64 +: 64]);
    end

// The last row of a step may be shorter: the generator advances only for pixels that exist.
always @*
    case (row_end ? last_word_reg[1:0] : 2'd3)
        2'd0: state_next = state_1;
        2'd1: state_next = state_2;
        2'd2: state_next = state_3;
        default: state_next = state_4;
    endcase

wire [ROW_BITS:0] read_row = {encoding_reg, row_reg};

reg         valid_1_reg;
reg         high_1_reg;
reg         end_1_reg;
reg         start_1_reg;
reg         first_1_reg;
reg         last_1_reg;
reg         buffer_1_reg;
reg         buffer_reg;   // of the image whose word is at the output
reg [255:0] row_1_reg;
reg [255:0] floor_1_reg;   // pixels fire above this, random bytes or a level,
reg [7:0]   ceiling_1_reg; // and up to this, the upper end of the band
reg [7:0]   ceiling_reg;
wire [7:0]  level = config_latency ? ceiling_reg - config_latency_band : BELOW_HALF;
reg [7:0]   plane_reg;     // one-hot: the bit that is sent
reg [7:0]   plane_1_reg;
reg [31:0]  spikes_1;
reg [31:0]  low_reg;

integer i;
always @*
    for (i = 0; i < 32; i = i + 1)
        spikes_1[i] = DIRECT != 0 && config_direct ? |(row_1_reg[i*8 +: 8] & plane_1_reg)
            : row_1_reg[i*8 +: 8] > floor_1_reg[i*8 +: 8] && row_1_reg[i*8 +: 8] <= ceiling_1_reg;

assign idle = !running_reg && full_reg == 0 && !valid_1_reg && !m_valid;

always @(posedge aclk) begin
    last_word_reg <= (config_inputs - 16'd1) >> 3;
    last_row_reg <= last_word_reg[ROW_BITS+1:2];
    one_step_reg <= config_time_steps == 16'd1;

    if (take) begin
        pixels_reg <= 1'b1;
        word_reg <= pixels_reg && !s_image_end ? word_reg + 16'd1 : 16'd0;
    end
    if (s_begin) pixels_reg <= 1'b0;
    packet_reg <= s_begin || (packet_reg && !arrived);
    if (arrived) begin
        seed_reg <= seed;
        full_reg[arriving_reg] <= 1'b1;
        first_reg[arriving_reg] <= packet_reg;
        last_reg[arriving_reg] <= s_last;
        arriving_reg <= !arriving_reg;
    end

    if (enable) begin
        valid_1_reg <= running_reg;
        high_1_reg <= row_reg[0];
        end_1_reg <= row_end;
        start_1_reg <= row_reg >> 1 == 0 && first_step_reg;
        buffer_1_reg <= encoding_reg;
        row_1_reg <= {column_3[read_row], column_2[read_row], column_1[read_row], column_0[read_row]};
        floor_1_reg <= config_bernoulli ? {state_4, state_3, state_2, state_1} : {32{level}};
        ceiling_1_reg <= ceiling_reg;
        plane_1_reg <= plane_reg;
        if (running_reg) begin
            state_reg <= state_next;
            row_reg <= row_end ? 0 : row_reg + 1'b1;
            if (row_end) begin
                steps_left_reg <= steps_left_reg - 16'd1;
                first_step_reg <= 1'b0;
                last_step_reg <= steps_left_reg == 16'd2;
            end
            if (row_end && config_latency) ceiling_reg <= level;
            if (row_end) plane_reg <= plane_reg >> 1;
        end

        low_reg <= spikes_1;
        m_valid <= valid_1_reg && (high_1_reg || end_1_reg);
        m_data <= high_1_reg ? {spikes_1, low_reg} : {32'd0, spikes_1};
        m_start <= start_1_reg;
        m_first <= start_1_reg && first_1_reg;
        m_last <= last_1_reg;
        buffer_reg <= buffer_1_reg;
        first_1_reg <= first_reg[encoding_reg];
        last_1_reg <= last_reg[encoding_reg];
    end

    if (m_valid && m_ready && m_start && buffer_reg == encoding_reg) taken_reg <= 1'b1;
    if (abort) begin
        valid_1_reg <= 1'b0;
        m_valid <= 1'b0;
    end
    if (image_end || abort) begin
        full_reg[encoding_reg] <= 1'b0;
        encoding_reg <= !encoding_reg;
        running_reg <= 1'b0;
    end
    if (start) begin
        running_reg <= 1'b1;
        row_reg <= 0;
        steps_left_reg <= config_time_steps;
        first_step_reg <= 1'b1;
        last_step_reg <= one_step_reg;
        state_reg <= seed_reg;
        taken_reg <= 1'b0;
        ceiling_reg <= 8'd255;
        plane_reg <= 8'h80;
    end
    if (reset) begin
        full_reg <= 2'b00;
        arriving_reg <= 1'b0;
        pixels_reg <= 1'b0;
        encoding_reg <= 1'b0;
        running_reg <= 1'b0;
        valid_1_reg <= 1'b0;
        m_valid <= 1'b0;
    end
end

endmodule

`resetall
