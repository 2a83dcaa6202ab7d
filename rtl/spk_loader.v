// SPDX-License-Identifier: Apache-2.0
// Packet loader: checks each packet, keeps the network's configuration, writes weights, thresholds and biases, and
// passes images on.
//
//   packet   HEADER, `length` words of body, TLAST with the last: docs/registers.md. All but images end with a CHECKSUM
//   states   HEADER → WAIT → CHECK → BODY → COMMIT → HEADER
//            images: without COMMIT;   events: BODY → SETTLE;   refused: DRAIN
//
// A packet that is refused is drained to TLAST, and its error is told once. What a header can show to be wrong is
// refused before anything is written; a CONFIG is taken over as a whole or not at all; weights, thresholds or biases
// that are cut short or damaged leave their layer not loaded. Everything but images waits until the layers are idle.
//
// Latency: five cycles between the header and the first word of the body, in which the sizes of the layer are worked
// out; then a word a cycle, of thresholds and biases every second.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_loader #(
    // Layer cores, 1 to 8, and their room for inputs and neurons: 16 bits a layer, layer 0 lowest
    parameter integer LAYERS = 3,
    parameter [LAYERS*16-1:0] LAYER_INPUTS = {16'd256, 16'd256, 16'd784},
    parameter [LAYERS*16-1:0] LAYER_NEURONS = {16'd16, 16'd256, 16'd256},
    // Most classes, which are the neurons of an output layer: 2 to 64 / WEIGHT_BITS
    parameter integer CLASSES = 16,
    // Bits of a weight (2, 4 or 8) and of a membrane (4 to 24)
    parameter integer WEIGHT_BITS = 4,
    parameter integer MEMBRANE_BITS = 14,
    // 1: membranes can last from step to step, with a leak of up to MAX_LEAK: a shift, 0 (none) to 15
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    // 1: the first layer can take direct input
    parameter integer DIRECT = 0,
    // Inputs of a network
    parameter integer INPUTS = 784,
    // Convolution cores, 0 to 4, and what is built of each: see spk_convolve.v
    parameter integer CONVOLUTIONS = 0,
    parameter [63:0] CONVOLUTION_MAPS = 0,
    parameter [63:0] CONVOLUTION_ROWS = 0,
    parameter [63:0] CONVOLUTION_WORDS = 0,
    parameter [63:0] CONVOLUTION_POSITIONS = 0,
    // Cores: those of convolutions are the first
    parameter integer CORES = CONVOLUTIONS + LAYERS,
    parameter integer WINDOWS = CONVOLUTIONS > 0 ? CONVOLUTIONS : 1
) (
    input  wire                 aclk,
    input  wire                 reset,
    // Packets
    input  wire [         63:0] s_axis_tdata,
    input  wire                 s_axis_tvalid,
    input  wire                 s_axis_tlast,
    output wire                 s_axis_tready,
    // Network in use; of its layers, so many are convolutions. Sizes and the like are those of cores.
    output reg  [          7:0] config_layers,
    output reg  [          2:0] config_convolutions,
    output reg  [         15:0] config_size, // inputs of the network
    output reg  [WINDOWS*19-1:0] config_windows,
    output reg  [         15:0] config_time_steps,
    output reg                  config_decode,
    output reg  [          3:0] config_encoder,
    output reg                  config_exit,
    output reg  [         31:0] config_margin,
    output reg  [          7:0] config_latency_band,
    output reg  [ CORES*16-1:0] config_inputs,
    output reg  [ CORES*16-1:0] config_neurons,
    output reg  [    CORES-1:0] config_continuous,
    output reg  [    CORES-1:0] config_reset_zero,
    output reg  [    CORES-1:0] config_biased,
    output reg  [  CORES*4-1:0] config_leak,
    output wire                 loaded,
    output reg  [         31:0] model, // identity of what is loaded, from the checksums of its packets
    output reg                  config_new, // there is another network in use
    // Writes to the cores, a bit a core; thresholds are negated: currents start from −θ. A pair of thresholds or of
    // biases is written in two cycles, in the second `write_odd`.
    output reg  [    CORES-1:0] weight_write,
    output reg  [    CORES-1:0] threshold_write,
    output reg  [    CORES-1:0] bias_write,
    output reg  [         15:0] write_row,
    output reg  [         15:0] write_slice,
    output reg  [         15:0] write_pair,
    output reg                  write_odd,
    output reg  [         63:0] write_data,
    // Images, as words of spikes, pixels or events. `*_begin`: a new packet; `image_last`: words of its last image;
    // `*_image_end`: this word completes an image, or with events, one was completed.
    output wire [         63:0] image_data,
    output wire                 spikes_begin,
    output wire                 pixels_begin,
    output wire                 events_begin,
    output wire                 image_last,
    output wire                 spikes_valid,
    output wire                 pixels_valid,
    output wire                 events_valid,
    input  wire                 spikes_ready,
    input  wire                 pixels_ready,
    input  wire                 events_ready,
    input  wire                 spikes_image_end,
    input  wire                 pixels_image_end,
    input  wire                 events_image_end,
    input  wire                 events_invalid,
    input  wire                 events_idle,
    output reg                  no_image_left, // in this packet of events
    // Status
    input  wire                 encode_idle,
    input  wire                 input_idle,
    input  wire                 layers_idle,
    output wire                 idle,
    output wire                 images_begin, // the header of a packet of images
    output wire                 starved,      // a word of an image could be taken, and none is there
    output reg                  error_valid,
    output reg  [          7:0] error_code,
    output wire [          7:0] error_packet,
    output wire [          7:0] error_layer
);

localparam integer LANES = 64 / WEIGHT_BITS;
localparam integer STATE_BITS = MEMBRANE_BITS - 1;

localparam [2:0]
    STATE_HEADER = 3'd0,
    STATE_WAIT = 3'd1,   // until the layers can be written, and at least four cycles for the sizes below
    STATE_CHECK = 3'd2,
    STATE_BODY = 3'd3,
    STATE_COMMIT = 3'd4, // a packet of the model is whole: is it sound? The CHECKSUM stands in write_data
    STATE_DRAIN = 3'd5,
    STATE_SETTLE = 3'd6; // until the events that have come are taken apart

reg [2:0]  state_reg;
reg [1:0]  wait_reg;
reg [7:0]  kind_reg;
reg [7:0]  layer_reg;
reg [15:0] magic_reg;
reg [31:0] length_reg;
reg        header_last_reg;
reg [31:0] left_reg; // words of the body still to come
reg        body_end_reg; // the next word is the last
reg [31:0] image_words_reg; // words of one image of this packet
reg        count_reg;       // the next word is the number of images
reg [31:0] images_left_reg; // of a packet of events
reg        error_told_reg;  // the error of this packet was told
reg        last_words_reg;  // of spikes or pixels: the next word is one of the last image
reg        last_left_reg;   // of events: the same
reg [3:0]  word_reg; // place in the body of a CONFIG
reg        odd_reg;  // the second cycle of a pair
reg [2:0]  settle_reg; // cycles in COMMIT

wire config_packet = kind_reg == `SPK_PACKET_TYPE_CONFIG;
wire thresholds_packet = kind_reg == `SPK_PACKET_TYPE_THRESHOLDS;
wire weights_packet = kind_reg == `SPK_PACKET_TYPE_WEIGHTS;
wire spikes_packet = kind_reg == `SPK_PACKET_TYPE_SPIKES;
wire pixels_packet = kind_reg == `SPK_PACKET_TYPE_PIXELS;
wire biases_packet = kind_reg == `SPK_PACKET_TYPE_BIASES;
wire events_packet = kind_reg == `SPK_PACKET_TYPE_EVENTS;
wire pairs_packet = thresholds_packet || biases_packet;
wire layer_packet = pairs_packet || weights_packet;
wire images_packet = spikes_packet || pixels_packet || events_packet;
wire image_ready = pixels_packet ? pixels_ready : events_packet ? events_ready || count_reg : spikes_ready;
wire image_end = pixels_packet ? pixels_image_end : events_packet || spikes_image_end;

// A pair stays for two cycles, and is taken in the second; what follows the last is the CHECKSUM.
wire pair = state_reg == STATE_BODY && pairs_packet && !body_end_reg && s_axis_tvalid;
wire body_ready = state_reg == STATE_BODY && (!images_packet || image_ready)
    && (!pairs_packet || body_end_reg || odd_reg);
wire body = body_ready && s_axis_tvalid;
wire model_word = body && !images_packet && !body_end_reg; // of a packet of the model, all but the CHECKSUM
wire [31:0] left_next = state_reg == STATE_CHECK ? length_reg : left_reg - 1;

assign s_axis_tready = state_reg == STATE_HEADER || body_ready || state_reg == STATE_DRAIN;
wire [31:0] images_left_next = count_reg ? s_axis_tdata[`SPK_EVENT_COUNT_IMAGES]
    : images_left_reg - {31'd0, events_image_end};
wire [7:0] kind = s_axis_tdata[`SPK_HEADER_KIND];

assign image_data = s_axis_tdata;
assign image_last = events_packet ? last_left_reg : last_words_reg;
assign spikes_begin = state_reg == STATE_CHECK && spikes_packet;
assign pixels_begin = state_reg == STATE_CHECK && pixels_packet;
assign events_begin = state_reg == STATE_CHECK && events_packet;
assign spikes_valid = state_reg == STATE_BODY && spikes_packet && s_axis_tvalid;
assign pixels_valid = state_reg == STATE_BODY && pixels_packet && s_axis_tvalid;
assign events_valid = state_reg == STATE_BODY && events_packet && s_axis_tvalid && !count_reg;
assign idle = state_reg == STATE_HEADER && !error_valid; // who sees idle sees the error too
assign images_begin = state_reg == STATE_HEADER && s_axis_tvalid
    && (kind == `SPK_PACKET_TYPE_SPIKES || kind == `SPK_PACKET_TYPE_PIXELS || kind == `SPK_PACKET_TYPE_EVENTS);
assign starved = body_ready && images_packet && !s_axis_tvalid;
assign error_packet = kind_reg;
assign error_layer = layer_reg;

// ---- the checksum: of all words of a packet but the last, which it is compared with ----
wire [31:0] crc;
wire        sound = write_data == {32'd0, crc}; // once the last word stands in write_data
wire        checksum_first = state_reg == STATE_HEADER;
wire        checksum_valid = model_word || (state_reg == STATE_HEADER && s_axis_tvalid);

spk_crc checksum (
    .aclk(aclk),
    .data(s_axis_tdata),
    .first(checksum_first),
    .valid(checksum_valid),
    .crc(crc)
);

// ---- a CONFIG is gathered here, and taken over as a whole if it is valid: it fits what is built, and itself ----
reg [7:0]           new_layers_reg;
reg [15:0]          new_time_steps_reg;
reg                 new_decode_reg;
reg [3:0]           new_encoder_reg;
reg                 new_exit_reg;
reg [31:0]          new_margin_reg;
reg [CORES*16-1:0]  new_inputs_reg;
reg [CORES*16-1:0]  new_neurons_reg;
reg [7:0]           new_latency_band_reg;
reg [CORES-1:0]    new_continuous_reg;
reg [CORES-1:0]    new_reset_zero_reg;
reg [CORES-1:0]    new_biased_reg;
reg [CORES*4-1:0]  new_leak_reg;
reg [CORES*5-1:0]  new_state_bits_reg;
reg [2:0]           new_convolutions_reg;
reg                 new_order_reg; // convolutions come first, and of either kind there are no more layers than cores
reg [WINDOWS*19-1:0] new_windows_reg;
reg [15:0]          new_size;      // inputs of the network
reg [15:0]          new_outputs;   // of its last convolution
reg                 new_direct;
reg                 new_valid;
reg                 new_valid_reg; // stands in COMMIT: with the CHECKSUM, nothing new is gathered

// Constants where no convolution is built.
wire [2:0] new_convolutions = CONVOLUTIONS != 0 ? new_convolutions_reg : 3'd0;
wire [2:0] convolutions = CONVOLUTIONS != 0 ? config_convolutions : 3'd0;

wire [WINDOWS-1:0]    window_fits;
wire [WINDOWS*16-1:0] window_inputs;
wire [WINDOWS*16-1:0] window_outputs;
wire [WINDOWS*14-1:0] window_pooled; // {width, height}

genvar v;
generate
    for (v = 0; v < CONVOLUTIONS; v = v + 1) begin : convolution
        localparam integer MAPS = {16'd0, CONVOLUTION_MAPS[v*16 +: 16]};
        wire [$clog2(MAPS)+44:0] unused_sizes;

        spk_window #(
            .MAPS(MAPS),
            .ROWS({16'd0, CONVOLUTION_ROWS[v*16 +: 16]}),
            .WORDS({16'd0, CONVOLUTION_WORDS[v*16 +: 16]}),
            .POSITIONS({16'd0, CONVOLUTION_POSITIONS[v*16 +: 16]})
        ) sizes (
            .aclk(aclk),
            .channels(new_inputs_reg[v*16 +: 16]),
            .maps(new_neurons_reg[v*16 +: 16]),
            .window(new_windows_reg[v*19 +: 19]),
            .height(unused_sizes[6:0]),
            .width(unused_sizes[13:7]),
            .pooled_height(window_pooled[v*14 +: 7]),
            .pooled_width(window_pooled[v*14+7 +: 7]),
            .columns(unused_sizes[18:14]),
            .words(unused_sizes[28:19]),
            .last_round(unused_sizes[31:29]),
            .rest(unused_sizes[$clog2(MAPS)+44:44]),
            .line_rows(unused_sizes[36:32]),
            .channel_rows(unused_sizes[43:37]),
            .inputs(window_inputs[v*16 +: 16]),
            .outputs(window_outputs[v*16 +: 16]),
            .fits(window_fits[v])
        );
    end
    if (CONVOLUTIONS == 0) begin : none
        assign {window_fits, window_inputs, window_outputs, window_pooled} = 0;
    end
endgenerate

// Place of a core among those of its kind
function integer place(input integer core);
    place = core < CONVOLUTIONS ? core : core - CONVOLUTIONS;
endfunction

reg [CORES-1:0] new_used; // by the network
reg [CORES-1:0] new_last; // it is the last of its kind that is

integer c;
always @* begin
    new_direct = new_encoder_reg == `SPK_ENCODER_DIRECT;
    new_size = new_inputs_reg[CONVOLUTIONS*16 +: 16];
    new_outputs = 16'd0;
    for (c = 0; c < CORES; c = c + 1) begin
        new_used[c] = place(c) < (c < CONVOLUTIONS ? {29'd0, new_convolutions}
            : {24'd0, new_layers_reg} - {29'd0, new_convolutions});
        new_last[c] = new_used[c] && place(c) + 1 == (c < CONVOLUTIONS ? {29'd0, new_convolutions}
            : {24'd0, new_layers_reg} - {29'd0, new_convolutions});
    end
    new_valid = new_encoder_reg <= `SPK_ENCODER_DIRECT && new_time_steps_reg != 0 && new_order_reg
        && (!new_direct || (DIRECT != 0 && new_time_steps_reg <= 16'd8))
        && new_layers_reg > {5'd0, new_convolutions} && {24'd0, new_layers_reg} + 2 == length_reg;
    for (c = 0; c < CONVOLUTIONS; c = c + 1)
        if (new_used[c]) begin
            if (!window_fits[c]) new_valid = 1'b0;
            if (c == 0) begin
                new_size = window_inputs[15:0];
                if (new_inputs_reg[15:0] > 16'd8) new_valid = 1'b0;
            end else if (new_inputs_reg[c*16 +: 16] != new_neurons_reg[(c > 0 ? c - 1 : 0)*16 +: 16]
                || new_windows_reg[c*19+2 +: 14] != window_pooled[(c > 0 ? c - 1 : 0)*14 +: 14]) begin
                new_valid = 1'b0;
            end
            if (new_last[c]) new_outputs = window_outputs[c*16 +: 16];
        end
    if ({16'd0, new_size} > INPUTS) new_valid = 1'b0;
    for (c = 0; c < CORES; c = c + 1)
        if (new_used[c]) begin
            if (new_continuous_reg[c]) begin
                if (CONTINUOUS == 0 || new_direct || new_leak_reg[c*4 +: 4] > MAX_LEAK[3:0]) new_valid = 1'b0;
                if (new_state_bits_reg[c*5 +: 5] != STATE_BITS[4:0]) new_valid = 1'b0;
                if (c >= CONVOLUTIONS && new_last[c] && new_decode_reg == `SPK_DECODE_MEMBRANE) new_valid = 1'b0;
            end
            if (c >= CONVOLUTIONS) begin
                if (new_inputs_reg[c*16 +: 16] == 0) new_valid = 1'b0;
                if (new_inputs_reg[c*16 +: 16] > LAYER_INPUTS[place(c)*16 +: 16]) new_valid = 1'b0;
                if (new_neurons_reg[c*16 +: 16] == 0) new_valid = 1'b0;
                if (new_neurons_reg[c*16 +: 16] > LAYER_NEURONS[place(c)*16 +: 16]) new_valid = 1'b0;
                if (new_last[c] && new_neurons_reg[c*16 +: 16] > CLASSES[15:0]) new_valid = 1'b0;
                if (c > CONVOLUTIONS) begin
                    if (new_inputs_reg[c*16 +: 16] != new_neurons_reg[(c > 0 ? c - 1 : 0)*16 +: 16]) new_valid = 1'b0;
                end else if (new_convolutions != 0 && new_inputs_reg[c*16 +: 16] != new_outputs) begin
                    new_valid = 1'b0;
                end
            end
        end
end

// ---- which cores are used, and named by the header ----
reg [CORES-1:0] layer_used;
reg [CORES-1:0] layer_named;

integer u;
always @*
    for (u = 0; u < CORES; u = u + 1) begin
        if (u < CONVOLUTIONS) begin
            layer_used[u] = u < {29'd0, convolutions};
            layer_named[u] = layer_used[u] && {24'd0, layer_reg} == u;
        end else begin
            layer_used[u] = place(u) + {29'd0, convolutions} < {24'd0, config_layers};
            layer_named[u] = place(u) + {29'd0, convolutions} == {24'd0, layer_reg};
        end
    end

// ---- sizes of the layer that the packet is for ----
reg [15:0] layer_inputs;
reg [15:0] layer_neurons;
reg [15:0] inputs_reg;
reg [15:0] neurons_reg;
reg [15:0] slices_reg;
reg [31:0] weight_words_reg;    // with the CHECKSUM
reg [31:0] threshold_words_reg; // the same, and of biases
reg [15:0] spike_words_reg;

integer z;
always @* begin
    layer_inputs = 16'd0;
    layer_neurons = 16'd0;
    for (z = 0; z < CORES; z = z + 1)
        if (layer_named[z]) begin
            layer_inputs = config_inputs[z*16 +: 16];
            if (z < CONVOLUTIONS && config_windows[(z < CONVOLUTIONS ? z : 0)*19 +: 2] == 2'd3)
                layer_inputs = config_inputs[z*16 +: 16] * 16'd9;
            layer_neurons = config_neurons[z*16 +: 16];
        end
end

always @(posedge aclk) begin
    inputs_reg <= layer_inputs;
    neurons_reg <= layer_neurons;
    slices_reg <= (neurons_reg + LANES[15:0] - 16'd1) / LANES[15:0];
    weight_words_reg <= inputs_reg * slices_reg + 1;
    threshold_words_reg <= ({16'd0, neurons_reg} + 1) / 2 + 1;
    spike_words_reg <= (config_size + 16'd63) >> 6;
    image_words_reg <= pixels_packet ? ({16'd0, config_size} + 7) / 8
        : {16'd0, spike_words_reg} * {16'd0, config_time_steps};
end

// ---- is a header acceptable? ----
reg [7:0] refusal;
always @* begin
    refusal = `SPK_ERROR_CODE_NONE;
    if (magic_reg != `SPK_HEADER_MAGIC_RESET)
        refusal = `SPK_ERROR_CODE_HEADER;
    else if (!config_packet && !layer_packet && !images_packet)
        refusal = `SPK_ERROR_CODE_TYPE;
    else if (layer_packet && layer_reg >= config_layers)
        refusal = `SPK_ERROR_CODE_LAYER;
    else if ((biases_packet && (config_continuous & layer_named) == 0)
             || (pixels_packet && config_encoder == `SPK_ENCODER_EVENTS))
        refusal = `SPK_ERROR_CODE_TYPE;
    else if (images_packet && !loaded)
        refusal = `SPK_ERROR_CODE_NOT_LOADED;
    else if ((config_packet && (length_reg < 3 || length_reg > CORES + 2))
             || (pairs_packet && length_reg != threshold_words_reg)
             || (weights_packet && length_reg != weight_words_reg)
             || (images_packet && length_reg == 0))
        refusal = `SPK_ERROR_CODE_LENGTH;
    else if (header_last_reg)
        refusal = `SPK_ERROR_CODE_SHORT;
end

// ---- which layers are loaded ----
reg [CORES-1:0] weights_loaded_reg;
reg [CORES-1:0] thresholds_loaded_reg;
reg [CORES-1:0] biases_loaded_reg;

wire [CORES-1:0] layer_loaded = weights_loaded_reg & thresholds_loaded_reg & (biases_loaded_reg | ~config_continuous);

assign loaded = config_layers != 0 && &(layer_loaded | ~layer_used);

wire begin_body = state_reg == STATE_CHECK && refusal == `SPK_ERROR_CODE_NONE;
// What follows from the windows of a CONFIG takes a few cycles.
wire settled = CONVOLUTIONS == 0 || !config_packet || settle_reg == 3'd7;
wire commit = state_reg == STATE_COMMIT && settled && sound && (!config_packet || new_valid_reg);

integer n;
always @(posedge aclk) begin
    for (n = 0; n < CORES; n = n + 1)
        if (layer_named[n] && (begin_body || commit)) begin
            if (weights_packet) weights_loaded_reg[n] <= commit;
            if (thresholds_packet) thresholds_loaded_reg[n] <= commit;
            if (biases_packet) biases_loaded_reg[n] <= commit;
        end
    if (commit) model <= (config_packet ? 32'd0 : {model[30:0], model[31]}) ^ crc;
    if (commit && config_packet) begin
        config_layers <= new_layers_reg;
        config_convolutions <= new_convolutions;
        config_size <= new_size;
        config_windows <= new_windows_reg;
        config_time_steps <= new_time_steps_reg;
        config_decode <= new_decode_reg;
        config_encoder <= new_encoder_reg;
        config_exit <= new_exit_reg;
        config_margin <= new_margin_reg;
        config_inputs <= new_inputs_reg;
        config_neurons <= new_neurons_reg;
        config_latency_band <= new_latency_band_reg;
        config_continuous <= new_continuous_reg;
        config_reset_zero <= new_reset_zero_reg;
        config_biased <= new_biased_reg;
        config_leak <= new_leak_reg;
        biases_loaded_reg <= 0;
        weights_loaded_reg <= 0;
        thresholds_loaded_reg <= 0;
    end
    config_new <= commit && config_packet && !reset;
    settle_reg <= state_reg == STATE_COMMIT ? settle_reg + 3'd1 : 3'd0;
    if (reset) config_layers <= 8'd0;
end

// ---- body words ----
always @(posedge aclk) begin
    weight_write <= {CORES{model_word && weights_packet}} & layer_named;
    threshold_write <= {CORES{pair && thresholds_packet}} & layer_named;
    bias_write <= {CORES{pair && biases_packet}} & layer_named;
    write_odd <= odd_reg;
    odd_reg <= pair && !odd_reg && !reset;
    if (state_reg != STATE_COMMIT) write_data <= s_axis_tdata;
    if (thresholds_packet && !body_end_reg) begin
        write_data[`SPK_THRESHOLD_PAIR_EVEN] <= -s_axis_tdata[`SPK_THRESHOLD_PAIR_EVEN];
        write_data[`SPK_THRESHOLD_PAIR_ODD] <= -s_axis_tdata[`SPK_THRESHOLD_PAIR_ODD];
    end

    if (state_reg == STATE_CHECK) begin
        word_reg <= 4'd0;
        write_row <= 16'd0;
        write_slice <= 16'hFFFF; // counts to 0 with the first word
        write_pair <= 16'hFFFF;
    end
    if (pair && !odd_reg) write_pair <= write_pair + 16'd1;
    if (body) begin
        word_reg <= word_reg + 4'd1;
        if (write_slice + 16'd1 == slices_reg) begin
            write_slice <= 16'd0;
            write_row <= write_row + 16'd1;
        end else begin
            write_slice <= write_slice + 16'd1;
        end
    end
end

always @(posedge aclk) new_valid_reg <= new_valid;

// The core that is meant for the layer of this word.
wire [1:0]  kernel = s_axis_tdata[`SPK_CONFIG_LAYER_KERNEL];
wire [31:0] layer_word = {28'd0, word_reg} - 1;
wire [31:0] core_word = kernel != 0 ? layer_word : layer_word - {29'd0, new_convolutions} + CONVOLUTIONS;

integer k;
always @(posedge aclk)
    if (model_word && config_packet) begin
        if (word_reg == 0) begin
            new_layers_reg <= s_axis_tdata[`SPK_CONFIG_LAYERS];
            new_time_steps_reg <= s_axis_tdata[`SPK_CONFIG_TIME_STEPS];
            new_decode_reg <= s_axis_tdata[`SPK_CONFIG_DECODE];
            new_encoder_reg <= s_axis_tdata[`SPK_CONFIG_ENCODER];
            new_exit_reg <= s_axis_tdata[`SPK_CONFIG_EXIT];
            new_margin_reg <= {8'd0, s_axis_tdata[`SPK_CONFIG_MARGIN]};
            new_latency_band_reg <= s_axis_tdata[`SPK_CONFIG_LATENCY_BAND];
            new_convolutions_reg <= 3'd0;
            new_order_reg <= 1'b1;
        end else begin
            if (kernel != 0) new_convolutions_reg <= new_convolutions_reg + 3'd1;
            if (kernel != 0 && (layer_word != {29'd0, new_convolutions} || layer_word + 1 > CONVOLUTIONS))
                new_order_reg <= 1'b0;
            if (core_word >= CORES) new_order_reg <= 1'b0;
        end
        for (k = 0; k < CORES; k = k + 1)
            if (word_reg != 0 && core_word == k) begin
                new_inputs_reg[k*16 +: 16] <= s_axis_tdata[`SPK_CONFIG_LAYER_INPUTS];
                new_neurons_reg[k*16 +: 16] <= s_axis_tdata[`SPK_CONFIG_LAYER_NEURONS];
                new_continuous_reg[k] <= s_axis_tdata[`SPK_CONFIG_LAYER_CONTINUOUS];
                new_reset_zero_reg[k] <= s_axis_tdata[`SPK_CONFIG_LAYER_RESET] == `SPK_RESET_ZERO;
                new_biased_reg[k] <= s_axis_tdata[`SPK_CONFIG_LAYER_BIASED];
                new_leak_reg[k*4 +: 4] <= s_axis_tdata[`SPK_CONFIG_LAYER_LEAK];
                new_state_bits_reg[k*5 +: 5] <= s_axis_tdata[`SPK_CONFIG_LAYER_STATE_BITS];
            end
        if (CONVOLUTIONS == 0) new_windows_reg <= 0;
        for (k = 0; k < CONVOLUTIONS; k = k + 1)
            if (word_reg != 0 && layer_word == k) new_windows_reg[k*19 +: 19] <= s_axis_tdata[63:45];
    end

// ---- from packet to packet ----
always @(posedge aclk) begin
    error_valid <= 1'b0;
    if (state_reg == STATE_CHECK || body) begin
        left_reg <= left_next;
        body_end_reg <= left_next == 1;
        last_words_reg <= left_next <= image_words_reg;
        count_reg <= state_reg == STATE_CHECK && events_packet;
        if (state_reg == STATE_CHECK) no_image_left <= 1'b0;
    end
    if (events_packet && ((body && count_reg) || events_image_end)) begin
        images_left_reg <= images_left_next;
        no_image_left <= images_left_next == 0;
        last_left_reg <= images_left_next == 1;
    end
    case (state_reg)
        STATE_HEADER:
            if (s_axis_tvalid) begin
                kind_reg <= kind;
                layer_reg <= s_axis_tdata[`SPK_HEADER_LAYER];
                magic_reg <= s_axis_tdata[`SPK_HEADER_MAGIC];
                length_reg <= s_axis_tdata[`SPK_HEADER_LENGTH];
                header_last_reg <= s_axis_tlast;
                wait_reg <= 2'd0;
                state_reg <= STATE_WAIT;
            end
        STATE_WAIT: begin
            if (wait_reg != 2'd3) wait_reg <= wait_reg + 2'd1;
            else if (pixels_packet || (spikes_packet && encode_idle) || (events_packet && input_idle) || layers_idle)
                state_reg <= STATE_CHECK;
        end
        STATE_CHECK: begin
            state_reg <= STATE_BODY;
            error_told_reg <= refusal != `SPK_ERROR_CODE_NONE;
            if (refusal != `SPK_ERROR_CODE_NONE) begin
                error_valid <= 1'b1;
                error_code <= refusal;
                state_reg <= header_last_reg ? STATE_HEADER : STATE_DRAIN;
            end
        end
        STATE_BODY:
            if (body) begin
                if (body_end_reg || s_axis_tlast) begin
                    state_reg <= !s_axis_tlast ? STATE_DRAIN : events_packet ? STATE_SETTLE
                        : images_packet || !body_end_reg ? STATE_HEADER : STATE_COMMIT;
                    error_code <= !body_end_reg ? `SPK_ERROR_CODE_SHORT
                        : !s_axis_tlast ? `SPK_ERROR_CODE_LONG : `SPK_ERROR_CODE_LENGTH;
                    error_valid <= !body_end_reg || !s_axis_tlast || (images_packet && !image_end);
                    error_told_reg <= !body_end_reg || !s_axis_tlast;
                end
            end else if (events_packet && events_invalid) begin
                state_reg <= STATE_DRAIN;
                error_code <= `SPK_ERROR_CODE_EVENT;
                error_valid <= 1'b1;
                error_told_reg <= 1'b1;
            end
        STATE_SETTLE:
            if (events_idle && !events_image_end) begin
                state_reg <= STATE_HEADER;
                error_code <= events_invalid ? `SPK_ERROR_CODE_EVENT : `SPK_ERROR_CODE_LENGTH;
                error_valid <= !error_told_reg && (events_invalid || !no_image_left);
            end
        STATE_COMMIT:
            if (settled) begin
                state_reg <= STATE_HEADER;
                error_valid <= !commit;
                error_code <= sound ? `SPK_ERROR_CODE_CONFIG : `SPK_ERROR_CODE_CHECKSUM;
            end
        default: // STATE_DRAIN
            if (s_axis_tvalid && s_axis_tlast) state_reg <= events_packet ? STATE_SETTLE : STATE_HEADER;
    endcase
    if (reset) begin
        state_reg <= STATE_HEADER;
        error_valid <= 1'b0;
    end
end

endmodule

`resetall
