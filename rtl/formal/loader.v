// SPDX-License-Identifier: Apache-2.0
// spk_loader writes nothing beside its memories, and nothing of a packet that its header shows to be wrong.
//
// The header of each packet and the words after it are followed here, from the stream alone. `refusal` says, from
// docs/registers.md, how the header of the packet is to be judged; of a layer packet that passes, each word must be
// written exactly once, to the next place of the named layer, and to no other. Configuration, loaded layers, identity
// and errors are followed in the same way. Streams, stalls and resets are free; the layers stay idle until images come,
// as spk_core has it. spk_crc is cut out: what it says may be anything, and it is given the words that it is about.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module formal_loader #(
    // 1: no stalls, to reach the covers soon
    parameter integer GUIDED = 0,
    // Which covers: 0 of single packets, 1 of a network that is loaded and used, which is led there
    parameter integer COVERS = 0,
    // Is it built with direct input?
    parameter integer DIRECT = 1
) (
    input wire aclk
);

localparam LAYERS = 2;
localparam [31:0] LAYER_INPUTS = {16'd16, 16'd20};
localparam [31:0] LAYER_NEURONS = {16'd8, 16'd16};
localparam CLASSES = 8;
localparam WEIGHT_BITS = 8;
localparam MEMBRANE_BITS = 14;
localparam LANES = 64 / WEIGHT_BITS; // so a row is one word or two
localparam MAX_LEAK = 2;

(* anyseq *) wire        reset;
(* anyseq *) wire [63:0] s_axis_tdata;
(* anyseq *) wire        s_axis_tvalid;
(* anyseq *) wire        s_axis_tlast;
(* anyseq *) wire        spikes_ready;
(* anyseq *) wire        pixels_ready;
(* anyseq *) wire        events_ready;
(* anyseq *) wire        spikes_image_end;
(* anyseq *) wire        pixels_image_end;
(* anyseq *) wire        events_image_end;
(* anyseq *) wire        events_invalid;
(* anyseq *) wire        events_idle;
(* anyseq *) wire        encode_idle;
(* anyseq *) wire        input_idle;
(* anyseq *) wire        layers_idle;
wire                 s_axis_tready;
wire [7:0]           config_layers;
wire [15:0]          config_time_steps;
wire                 config_decode;
wire [3:0]           config_encoder;
wire                 config_exit;
wire [31:0]          config_margin;
wire [7:0]           config_latency_band;
wire [2:0]           unused_convolutions;
wire [18:0]          unused_windows;
wire                 unused_new;
wire [15:0]          config_size;
wire [LAYERS*16-1:0] config_inputs;
wire [LAYERS*16-1:0] config_neurons;
wire [LAYERS-1:0]    config_continuous;
wire [LAYERS-1:0]    config_reset_zero;
wire [LAYERS-1:0]    config_biased;
wire [LAYERS*4-1:0]  config_leak;
wire                 loaded;
wire [31:0]          model;
wire [LAYERS-1:0]    weight_write;
wire [LAYERS-1:0]    threshold_write;
wire [LAYERS-1:0]    bias_write;
wire [15:0]          write_row;
wire [15:0]          write_slice;
wire [15:0]          write_pair;
wire                 write_odd;
wire [63:0]          write_data;
wire [63:0]          image_data;
wire                 spikes_begin;
wire                 pixels_begin;
wire                 events_begin;
wire                 image_last;
wire                 spikes_valid;
wire                 pixels_valid;
wire                 events_valid;
wire                 no_image_left;
wire                 idle;
wire                 images_begin;
wire                 starved;
wire                 error_valid;
wire [7:0]           error_code;
wire [7:0]           error_packet;
wire [7:0]           error_layer;

spk_loader #(
    .LAYERS(LAYERS),
    .LAYER_INPUTS(LAYER_INPUTS),
    .LAYER_NEURONS(LAYER_NEURONS),
    .CLASSES(CLASSES),
    .WEIGHT_BITS(WEIGHT_BITS),
    .MEMBRANE_BITS(MEMBRANE_BITS),
    .CONTINUOUS(1),
    .MAX_LEAK(MAX_LEAK),
    .DIRECT(DIRECT)
) loader (
    .aclk(aclk),
    .reset(reset),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tlast(s_axis_tlast),
    .s_axis_tready(s_axis_tready),
    .config_layers(config_layers),
    .config_convolutions(unused_convolutions),
    .config_size(config_size),
    .config_windows(unused_windows),
    .config_new(unused_new),
    .config_time_steps(config_time_steps),
    .config_decode(config_decode),
    .config_encoder(config_encoder),
    .config_exit(config_exit),
    .config_margin(config_margin),
    .config_latency_band(config_latency_band),
    .config_inputs(config_inputs),
    .config_neurons(config_neurons),
    .config_continuous(config_continuous),
    .config_reset_zero(config_reset_zero),
    .config_biased(config_biased),
    .config_leak(config_leak),
    .loaded(loaded),
    .model(model),
    .weight_write(weight_write),
    .threshold_write(threshold_write),
    .bias_write(bias_write),
    .write_row(write_row),
    .write_slice(write_slice),
    .write_pair(write_pair),
    .write_odd(write_odd),
    .write_data(write_data),
    .image_data(image_data),
    .spikes_begin(spikes_begin),
    .pixels_begin(pixels_begin),
    .events_begin(events_begin),
    .image_last(image_last),
    .spikes_valid(spikes_valid),
    .pixels_valid(pixels_valid),
    .events_valid(events_valid),
    .spikes_ready(spikes_ready),
    .pixels_ready(pixels_ready),
    .events_ready(events_ready),
    .spikes_image_end(spikes_image_end),
    .pixels_image_end(pixels_image_end),
    .events_image_end(events_image_end),
    .events_invalid(events_invalid),
    .events_idle(events_idle),
    .no_image_left(no_image_left),
    .encode_idle(encode_idle),
    .input_idle(input_idle),
    .layers_idle(layers_idle),
    .idle(idle),
    .images_begin(images_begin),
    .starved(starved),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_packet(error_packet),
    .error_layer(error_layer)
);

// The loader's own registers, for invariants alone
localparam [2:0] HEADER = 0, WAIT = 1, CHECK = 2, BODY = 3, COMMIT = 4, DRAIN = 5, SETTLE = 6;
(* hierconn *) wire [2:0]        \loader.state_reg ;
(* hierconn *) wire [1:0]        \loader.wait_reg ;
(* hierconn *) wire [7:0]        \loader.kind_reg ;
(* hierconn *) wire [7:0]        \loader.layer_reg ;
(* hierconn *) wire [15:0]       \loader.magic_reg ;
(* hierconn *) wire [31:0]       \loader.length_reg ;
(* hierconn *) wire              \loader.header_last_reg ;
(* hierconn *) wire [31:0]       \loader.left_reg ;
(* hierconn *) wire              \loader.body_end_reg ;
(* hierconn *) wire              \loader.error_told_reg ;
(* hierconn *) wire [3:0]        \loader.word_reg ;
(* hierconn *) wire              \loader.odd_reg ;
(* hierconn *) wire              \loader.checksum_first ;
(* hierconn *) wire              \loader.checksum_valid ;
(* hierconn *) wire [31:0]       \loader.crc ;
(* hierconn *) wire [15:0]       \loader.inputs_reg ;
(* hierconn *) wire [15:0]       \loader.neurons_reg ;
(* hierconn *) wire [15:0]       \loader.slices_reg ;
(* hierconn *) wire [31:0]       \loader.weight_words_reg ;
(* hierconn *) wire [31:0]       \loader.threshold_words_reg ;
(* hierconn *) wire [LAYERS-1:0] \loader.weights_loaded_reg ;
(* hierconn *) wire [LAYERS-1:0] \loader.thresholds_loaded_reg ;
(* hierconn *) wire [LAYERS-1:0] \loader.biases_loaded_reg ;
(* hierconn *) wire [7:0]        \loader.new_layers_reg ;
(* hierconn *) wire [15:0]       \loader.new_time_steps_reg ;
wire [2:0] state = \loader.state_reg ;

// ---- the packet, from the stream ----
wire       take = s_axis_tvalid && s_axis_tready;
reg        powered = 1'b0;
reg        begun = 1'b0;   // after two cycles of reset
reg        seen = 1'b0;    // since reset
reg        packet = 1'b0;  // its header has come, its last word has not
reg [7:0]  kind;
reg [7:0]  layer;
reg [15:0] magic;
reg [31:0] length;
reg        header_last;
reg [31:0] words;          // of its body that have come
reg        short;          // TLAST came early
reg        long;           // or did not come in time
reg        whole;          // or came with the last word
reg        ended_image;    // the last word ended an image
reg [7:0]  told = 0;       // the error that was reported, 0: none
reg [7:0]  new_layers;     // of a CONFIG, from its first word
reg [15:0] new_time_steps;

wire [7:0] told_now = error_valid ? error_code : told;
wire       layer_packet = kind == `SPK_PACKET_TYPE_THRESHOLDS || kind == `SPK_PACKET_TYPE_WEIGHTS
    || kind == `SPK_PACKET_TYPE_BIASES;
wire       images_packet = kind == `SPK_PACKET_TYPE_SPIKES || kind == `SPK_PACKET_TYPE_PIXELS
    || kind == `SPK_PACKET_TYPE_EVENTS;
wire       there = layer < config_layers;
wire [15:0] inputs = layer[0] ? config_inputs[31:16] : config_inputs[15:0];
wire [15:0] neurons = layer[0] ? config_neurons[31:16] : config_neurons[15:0];
wire       two = neurons > LANES; // words a row
wire [31:0] weight_words = (two ? {15'd0, inputs, 1'b0} : {16'd0, inputs}) + 1; // with the checksum
wire [31:0] pairs = (({16'd0, neurons} + 1) >> 1) + 1; // the same

// How the header is to be judged
reg [7:0] refusal;
always @* begin
    refusal = `SPK_ERROR_CODE_NONE;
    if (magic != 16'h4B50) refusal = `SPK_ERROR_CODE_HEADER;
    else if (kind == 0 || kind > 7) refusal = `SPK_ERROR_CODE_TYPE;
    else if (layer_packet && !there) refusal = `SPK_ERROR_CODE_LAYER;
    else if (kind == `SPK_PACKET_TYPE_BIASES && !config_continuous[layer[0]]) refusal = `SPK_ERROR_CODE_TYPE;
    else if (kind == `SPK_PACKET_TYPE_PIXELS && config_encoder == `SPK_ENCODER_EVENTS) refusal = `SPK_ERROR_CODE_TYPE;
    else if (images_packet && !loaded) refusal = `SPK_ERROR_CODE_NOT_LOADED;
    else if (images_packet && length == 0) refusal = `SPK_ERROR_CODE_LENGTH;
    else if (kind == `SPK_PACKET_TYPE_CONFIG && (length < 3 || length > LAYERS + 2)) refusal = `SPK_ERROR_CODE_LENGTH;
    else if (kind == `SPK_PACKET_TYPE_WEIGHTS && length != weight_words) refusal = `SPK_ERROR_CODE_LENGTH;
    else if (layer_packet && kind != `SPK_PACKET_TYPE_WEIGHTS && length != pairs) refusal = `SPK_ERROR_CODE_LENGTH;
    else if (header_last) refusal = `SPK_ERROR_CODE_SHORT;
end
wire fine = refusal == `SPK_ERROR_CODE_NONE;
wire body = take && packet && fine && words < length; // a word of a body that was not refused
wire kept = body && words + 1 != length; // of a packet of a model: it is no checksum
wire ends = body && words + 1 == length && s_axis_tlast;

// What is to be written for the word before
reg [LAYERS-1:0] weight = 0;
reg [LAYERS-1:0] threshold = 0;
reg [LAYERS-1:0] bias = 0;
reg [15:0]       row;
reg              slice;
reg [15:0]       pair;
reg [63:0]       data;
reg [15:0]       next_row;
reg              next_slice;
wire [LAYERS-1:0] named = {layer == 1, layer == 0};

// ---- layers that are loaded ----
reg [LAYERS-1:0] weights_there = 0;
reg [LAYERS-1:0] thresholds_there = 0;
reg [LAYERS-1:0] biases_there = 0;
wire [LAYERS-1:0] used = {config_layers > 1, config_layers > 0};
reg [1:0]        ended = 0; // cycles since the last word of a whole packet of a model: 1 judged, 2 taken or refused
reg [63:0]       last_word;
reg              sound;     // of the last such packet: its checksum is right
reg [31:0]       identity;
wire             taken = ended == 2 && !error_valid;
wire             fresh = taken && kind == `SPK_PACKET_TYPE_CONFIG;
wire [LAYERS-1:0] weights_now = fresh ? 0 : weights_there | (taken && kind == `SPK_PACKET_TYPE_WEIGHTS ? named : 0);
wire [LAYERS-1:0] thresholds_now = fresh ? 0
    : thresholds_there | (taken && kind == `SPK_PACKET_TYPE_THRESHOLDS ? named : 0);
wire [LAYERS-1:0] biases_now = fresh ? 0 : biases_there | (taken && kind == `SPK_PACKET_TYPE_BIASES ? named : 0);
wire [31:0]      identity_now = !taken ? identity : (fresh ? 0 : {identity[30:0], identity[31]}) ^ last_word[31:0];
wire             all_there = config_layers != 0
    && &((weights_now & thresholds_now & (biases_now | ~config_continuous)) | ~used);

// ---- the cycle before ----
reg                  was_reset = 1'b1;
reg                  was_layers_idle = 1'b0;
reg                  was_images = 1'b0;
reg                  was_loaded;
reg                  was_fed;
reg [7:0]            was_layers;
reg [LAYERS*39+68:0] was_config;
reg [3:0]            stalled = 0;
reg [63:0]           was_data;       // at the input
reg                  was_waiting = 1'b0;
reg                  was_odd = 1'b0;  // the second cycle of a pair
reg                  was_even = 1'b0; // the first write of a pair: of which layer, where, what
reg [2*LAYERS+79:0]  was_written;
wire [2*LAYERS+79:0] written = {threshold_write, bias_write, write_pair, write_data};
wire                 pair_write = threshold_write != 0 || bias_write != 0;
wire [LAYERS*39+68:0] config_now = {
    config_time_steps, config_decode, config_encoder, config_exit, config_margin[22:0], config_latency_band,
    config_size, config_inputs, config_neurons, config_continuous, config_reset_zero, config_biased, config_leak
};

reg [2:0] accepted = 0; // for covers: kinds of whole packets, in order

always @(posedge aclk) begin
    powered <= 1'b1;
    begun <= powered;
    if (take && !packet) begin
        packet <= !s_axis_tlast;
        kind <= s_axis_tdata[7:0];
        layer <= s_axis_tdata[15:8];
        magic <= s_axis_tdata[31:16];
        length <= s_axis_tdata[63:32];
        header_last <= s_axis_tlast;
        words <= 0;
        {short, long, whole} <= 3'b000;
        seen <= 1'b1;
        next_row <= 0;
        next_slice <= 0;
    end
    if (take && packet) begin
        packet <= !s_axis_tlast;
        if (fine && words < length) begin
            words <= words + 1;
            if (kind == `SPK_PACKET_TYPE_CONFIG && words == 0) begin
                new_layers <= s_axis_tdata[7:0];
                new_time_steps <= s_axis_tdata[23:8];
            end
            short <= s_axis_tlast && words + 1 != length;
            long <= !s_axis_tlast && words + 1 == length;
            whole <= s_axis_tlast && words + 1 == length;
            ended_image <= kind == `SPK_PACKET_TYPE_PIXELS ? pixels_image_end : spikes_image_end;
            {next_row, next_slice} <= two && !next_slice ? {next_row, 1'b1} : {next_row + 16'd1, 1'b0};
        end
    end
    told <= take && !packet ? 8'd0 : told_now;

    weight <= kept && kind == `SPK_PACKET_TYPE_WEIGHTS ? named : 0;
    threshold <= kept && kind == `SPK_PACKET_TYPE_THRESHOLDS ? named : 0;
    bias <= kept && kind == `SPK_PACKET_TYPE_BIASES ? named : 0;
    {row, slice} <= {next_row, next_slice};
    pair <= words[15:0];
    data <= kind == `SPK_PACKET_TYPE_THRESHOLDS ? {-s_axis_tdata[63:32], -s_axis_tdata[31:0]} : s_axis_tdata;
    was_data <= s_axis_tdata;
    was_waiting <= s_axis_tvalid && !s_axis_tready && !reset;
    was_even <= pair_write && !write_odd;
    was_odd <= \loader.odd_reg && !reset;
    was_written <= written;

    weights_there <= weights_now & (body && kind == `SPK_PACKET_TYPE_WEIGHTS ? ~named : 2'b11);
    thresholds_there <= thresholds_now & (body && kind == `SPK_PACKET_TYPE_THRESHOLDS ? ~named : 2'b11);
    biases_there <= biases_now & (body && kind == `SPK_PACKET_TYPE_BIASES ? ~named : 2'b11);
    ended <= ends && !images_packet ? 2'd1 : {ended == 2'd1, 1'b0};
    if (body) last_word <= s_axis_tdata;
    if (ended == 1) sound <= last_word == {32'd0, \loader.crc };
    identity <= identity_now;

    was_fed <= \loader.checksum_valid ;
    was_reset <= reset;
    was_layers_idle <= layers_idle;
    was_images <= !idle && images_packet;
    was_layers <= config_layers;
    was_loaded <= loaded;
    was_config <= config_now;
    stalled <= s_axis_tvalid && !s_axis_tready && spikes_ready && pixels_ready && events_ready && encode_idle
        && input_idle && layers_idle && events_idle && !events_image_end ? stalled + 4'd1 : 4'd0;

    if (ends && kind == `SPK_PACKET_TYPE_CONFIG) accepted <= 3'd1;
    if (ends && kind == `SPK_PACKET_TYPE_THRESHOLDS && accepted == 1) accepted <= 3'd2;
    if (ends && kind == `SPK_PACKET_TYPE_WEIGHTS && accepted == 2) accepted <= 3'd3;

    if (reset) begin
        packet <= 1'b0;
        told <= 0;
        seen <= 1'b0;
        ended <= 0;
        stalled <= 0;
        accepted <= 0;
        {short, long, whole} <= 3'b000;
    end
end

reg config_fits;
integer l;
always @* begin
    config_fits = config_layers <= LAYERS && config_time_steps != 0
        && config_encoder <= (DIRECT != 0 ? `SPK_ENCODER_DIRECT : `SPK_ENCODER_EVENTS);
    if (config_encoder == `SPK_ENCODER_DIRECT && config_time_steps > 8) config_fits = 1'b0;
    if (config_size != config_inputs[15:0]) config_fits = 1'b0;
    for (l = 0; l < LAYERS; l = l + 1)
        if (l < config_layers) begin
            if (config_inputs[l*16 +: 16] == 0 || config_inputs[l*16 +: 16] > LAYER_INPUTS[l*16 +: 16])
                config_fits = 1'b0;
            if (config_neurons[l*16 +: 16] == 0 || config_neurons[l*16 +: 16] > LAYER_NEURONS[l*16 +: 16])
                config_fits = 1'b0;
            if (config_continuous[l] && config_leak[l*4 +: 4] > MAX_LEAK) config_fits = 1'b0;
            if (config_continuous[l] && config_encoder == `SPK_ENCODER_DIRECT) config_fits = 1'b0;
            if (l + 1 == config_layers && config_neurons[l*16 +: 16] > CLASSES) config_fits = 1'b0;
            if (l > 0)
                if (config_inputs[l*16 +: 16] != config_neurons[(l > 0 ? l - 1 : 0)*16 +: 16]) config_fits = 1'b0;
        end
end

// ---- packets that lead to the covers soon: CONFIG of three words, WEIGHTS and THRESHOLDS of two, images of one ----
(* anyconst *) wire events;
wire [2:0]  order = accepted + 3'd1;
wire [31:0] images = accepted == 0 ? 32'd3 : accepted == 3 ? 32'd1 : 32'd2;

// ---- what the error of the last packet must be ----
reg told_right;
always @*
    if (!fine) told_right = told_now == refusal;
    else if (kind == `SPK_PACKET_TYPE_EVENTS)
        told_right = told_now == `SPK_ERROR_CODE_NONE || told_now == `SPK_ERROR_CODE_EVENT
            || told_now == `SPK_ERROR_CODE_LENGTH || (short && told_now == `SPK_ERROR_CODE_SHORT)
            || (long && told_now == `SPK_ERROR_CODE_LONG);
    else if (short) told_right = told_now == `SPK_ERROR_CODE_SHORT;
    else if (long) told_right = told_now == `SPK_ERROR_CODE_LONG;
    else if (!images_packet && !sound) told_right = told_now == `SPK_ERROR_CODE_CHECKSUM;
    else if (kind == `SPK_PACKET_TYPE_CONFIG)
        told_right = told_now == `SPK_ERROR_CODE_NONE || told_now == `SPK_ERROR_CODE_CONFIG;
    else if (images_packet) told_right = told_now == (ended_image ? `SPK_ERROR_CODE_NONE : `SPK_ERROR_CODE_LENGTH);
    else told_right = told_now == `SPK_ERROR_CODE_NONE;

always @* begin
    if (!begun) assume (reset);
    // A word stays until it is taken
    if (was_waiting) assume (s_axis_tvalid && s_axis_tdata == was_data);
    // The layers stay idle until images come; what is idle holds those before it
    if (was_layers_idle && !was_images) assume (layers_idle);
    if (layers_idle) assume (input_idle);
    if (input_idle) assume (encode_idle);
    if (GUIDED != 0 && begun)
        assume (!reset && s_axis_tvalid && layers_idle && spikes_ready && pixels_ready && events_ready && events_idle);
    if (COVERS == 1 && begun) begin // one layer of one input and one neuron, one step, then events or spikes
        if (state == HEADER)
            assume (s_axis_tdata == {images, 24'h4B5000, accepted == 3 ? (events ? 8'd7 : 8'd4) : {5'd0, order}});
        if (state == BODY && kind == `SPK_PACKET_TYPE_CONFIG)
            assume (s_axis_tdata == (words == 0 ? 64'h101 : 64'h10001));
        assume (s_axis_tlast == (state != HEADER && words + 1 == length));
    end

    if (begun) begin
        // Each word of an accepted packet is written once, in its place, and nothing else is; a pair is written twice,
        // in cycles that follow each other, before it is taken and then
        assert (weight_write == weight);
        assert ((write_odd ? threshold_write : 0) == threshold && (write_odd ? bias_write : 0) == bias);
        if (pair_write && write_odd) assert (was_even && written == was_written);
        if (was_odd) assert (pair_write && write_odd);
        if (weight != 0) assert (write_row == row && write_slice == slice && row < inputs && slice <= two);
        if (weight[0]) assert (write_row < LAYER_INPUTS[15:0] && write_slice < LAYER_NEURONS[15:0] / LANES);
        if (weight[1]) assert (write_row < LAYER_INPUTS[31:16] && write_slice < LAYER_NEURONS[31:16] / LANES);
        if (threshold != 0 || bias != 0) assert (write_pair == pair);
        if (threshold[0] || bias[0]) assert (write_pair < LAYER_NEURONS[15:0] / 2);
        if (threshold[1] || bias[1]) assert (write_pair < LAYER_NEURONS[31:16] / 2);
        if (weight != 0 || threshold != 0 || bias != 0) assert (write_data == data);
        // Only while the layers are idle
        if (weight_write != 0 || pair_write) assert (layers_idle);
        // A model that is loaded is first no longer loaded, and then changed: so MODEL of spk_regs is zero meanwhile
        if (weight_write != 0 || pair_write) assert (!was_loaded);
        if (config_now != was_config || config_layers != was_layers) assert (!loaded);
        // Image words only of an accepted packet of their kind, for a network that is loaded
        if (spikes_valid || pixels_valid || events_valid) assert (packet && fine && loaded && words < length);
        if (spikes_valid) assert (kind == `SPK_PACKET_TYPE_SPIKES);
        if (pixels_valid) assert (kind == `SPK_PACKET_TYPE_PIXELS);
        if (events_valid) assert (kind == `SPK_PACKET_TYPE_EVENTS);

        // The configuration fits what is built and changes as a whole, while the layers are idle
        assert (config_layers == 0 || config_fits);
        if (was_reset) assert (config_layers == 0);
        else if (config_now != was_config || config_layers != was_layers) assert (fresh && layers_idle);
        if (fresh) assert (config_layers == new_layers && config_time_steps == new_time_steps);
        // Loaded is what every layer has been given whole and sound since the configuration, which names it
        if (config_layers != 0) assert (model == identity_now);
        // The checksum is given header and body of a packet of a model, once each, and has had two cycles for them
        if (\loader.checksum_valid ) assert (take && \loader.checksum_first == !packet && (!packet || kept));
        if (take && !packet) assert (\loader.checksum_valid );
        if (kept && !images_packet) assert (\loader.checksum_valid );
        if (state == COMMIT) assert (!was_fed);
        if (loaded) assert (all_there);
        if (idle) assert (loaded == all_there);

        // Each packet has one error or none, the right one
        if (error_valid) assert (told == 0 && error_packet == kind && error_layer == layer);
        if (state == HEADER && seen) assert (told_right);
        // No word waits for long while all are ready
        assert (stalled <= 6);

        // Invariants
        assert (state <= SETTLE);
        assert (\loader.odd_reg == (pair_write && !write_odd && !was_reset));
        if (\loader.odd_reg ) begin
            assert (state == BODY && was_waiting && s_axis_tvalid);
            assert (kind == `SPK_PACKET_TYPE_THRESHOLDS ? threshold_write == named && bias_write == 0
                : kind == `SPK_PACKET_TYPE_BIASES && bias_write == named && threshold_write == 0);
            assert (write_data == (kind == `SPK_PACKET_TYPE_THRESHOLDS
                ? {-was_data[63:32], -was_data[31:0]} : was_data));
        end
        if (state == WAIT) assert (stalled <= \loader.wait_reg );
        if (state == CHECK) assert (stalled <= 4);
        if (state == COMMIT) assert (stalled == 0);
        if (state == SETTLE) assert (stalled <= 1);
        if (state != HEADER) assert (seen);
        if (seen) assert (\loader.kind_reg == kind && \loader.layer_reg == layer && \loader.magic_reg == magic);
        if (seen) assert (\loader.length_reg == length && \loader.header_last_reg == header_last);
        if (state == HEADER || state == COMMIT || state == SETTLE) assert (!packet);
        if (state == WAIT || state == CHECK)
            assert (packet == !header_last && words == 0 && told_now == 0 && !short && !long && !whole);
        if (state == WAIT || state == CHECK) assert (next_row == 0 && !next_slice);
        if (state == BODY) begin
            assert (packet && fine && words < length && told_now == 0 && !short && !long && !whole);
            assert (\loader.left_reg == length - words && \loader.body_end_reg == (words + 1 == length));
            assert (stalled <= 5 + \loader.odd_reg );
            if (layer_packet && kind != `SPK_PACKET_TYPE_WEIGHTS)
                assert (write_pair == words[15:0] - !\loader.odd_reg );
            if (kind == `SPK_PACKET_TYPE_WEIGHTS) begin
                assert (words == (two ? {15'd0, next_row, next_slice} : {16'd0, next_row}));
                if (words == 0) assert (write_row == 0 && write_slice == 16'hFFFF);
                else assert ({next_row, next_slice} == (two && write_slice == 0 ? {write_row, 1'b1}
                    : {write_row + 16'd1, 1'b0}));
                if (words != 0) assert (write_slice <= two);
                if (!two) assert (!next_slice);
            end
            if (kind == `SPK_PACKET_TYPE_CONFIG) begin
                assert (\loader.word_reg == words);
                if (words != 0)
                    assert (\loader.new_layers_reg == new_layers && \loader.new_time_steps_reg == new_time_steps);
            end
        end
        if (kind != `SPK_PACKET_TYPE_EVENTS && state == DRAIN)
            assert (packet && (!fine || (long && words == length)) && told_right && !short);
        if (kind == `SPK_PACKET_TYPE_EVENTS && state == DRAIN)
            assert (packet && told_now != 0 && told_right && !short && (!long || words == length));
        if (state == DRAIN || state == SETTLE) assert (\loader.error_told_reg == (told_now != 0));
        if (state == SETTLE) assert (kind == `SPK_PACKET_TYPE_EVENTS && told_right);
        if (state == COMMIT) assert (!images_packet && whole && fine && told_now == 0 && write_data == last_word);
        assert ((state == COMMIT) == (ended == 1) && ended != 3);
        if (state == COMMIT && kind == `SPK_PACKET_TYPE_CONFIG)
            assert (\loader.new_layers_reg == new_layers && \loader.new_time_steps_reg == new_time_steps);
        if (ended == 2) assert (state == HEADER && seen && !images_packet && whole && fine);
        if ((state == CHECK || state == BODY || state == COMMIT) && !images_packet) assert (layers_idle);
        if (weight != 0 || threshold != 0 || bias != 0) assert (seen || was_reset);
        if (there && layer_packet) begin
            if ((state == WAIT && \loader.wait_reg >= 1) || state == CHECK || state == BODY)
                assert (\loader.inputs_reg == inputs && \loader.neurons_reg == neurons);
            if ((state == WAIT && \loader.wait_reg >= 2) || state == CHECK || state == BODY)
                assert (\loader.slices_reg == 1 + two && \loader.threshold_words_reg == pairs);
            if ((state == WAIT && \loader.wait_reg == 3) || state == CHECK || state == BODY)
                assert (\loader.weight_words_reg == weight_words);
        end
        if (config_layers != 0) begin
            assert (\loader.weights_loaded_reg == (weights_now
                & ~(state == BODY && kind == `SPK_PACKET_TYPE_WEIGHTS ? named : 2'd0)));
            assert (\loader.thresholds_loaded_reg == (thresholds_now
                & ~(state == BODY && kind == `SPK_PACKET_TYPE_THRESHOLDS ? named : 2'd0)));
            assert (\loader.biases_loaded_reg == (biases_now
                & ~(state == BODY && kind == `SPK_PACKET_TYPE_BIASES ? named : 2'd0)));
        end
    end

    if (COVERS == 0) begin // each refusal that needs no network, and the errors of a body
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_HEADER);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_TYPE);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_LAYER);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_LENGTH);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_SHORT && words == 1 && !packet);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_LONG);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_CONFIG);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_CHECKSUM);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_NOT_LOADED);
        cover (begun && fresh && config_layers == 2);
    end else begin
        cover (begun && weight[0]);
        cover (begun && loaded && idle);
        cover (begun && spikes_valid && s_axis_tlast);
        cover (begun && error_valid && error_code == `SPK_ERROR_CODE_EVENT);
    end
end

endmodule

`resetall
