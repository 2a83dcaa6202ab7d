// SPDX-License-Identifier: Apache-2.0
// The network: packets in, results out, AXI4-Stream at both ends.
//
//   loader ─┬─ spikes ──────────► input ─┬─────────────────────────────────────────► layer 0 ─► … ─► decode ─► results
//           ├─ pixels ─► encode ──►┤     └─► locate ─► convolve 0 ─► … ─► gather ─►┘
//           └─ events ─► events ──►┘
//
// Layers work on different time steps at once. A network may use fewer layers than are built: the decoder listens to
// the last one in use.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_core #(
    // What is built: see spikeline.v
    parameter integer LAYERS = 3,
    parameter [LAYERS*16-1:0] LAYER_INPUTS = {16'd256, 16'd256, 16'd784},
    parameter [LAYERS*16-1:0] LAYER_NEURONS = {16'd16, 16'd256, 16'd256},
    parameter [LAYERS*16-1:0] LAYER_PARALLEL = {16'd2, 16'd2, 16'd4},
    parameter [LAYERS*16-1:0] LAYER_ULTRA_RAM = 0,
    parameter integer WEIGHT_BITS = 4,
    parameter integer MEMBRANE_BITS = 14,
    parameter integer CLASSES = 16,
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    parameter integer DIRECT = 0,
    parameter integer GROUP = 8,
    parameter integer INPUTS = {16'd0, LAYER_INPUTS[15:0]},
    parameter integer CONVOLUTIONS = 0,
    parameter [63:0] CONVOLUTION_MAPS = 0,
    parameter [63:0] CONVOLUTION_ROWS = 0,
    parameter [63:0] CONVOLUTION_WORDS = 0,
    parameter [63:0] CONVOLUTION_POSITIONS = 0,
    parameter [63:0] CONVOLUTION_DISTRIBUTED = 0,
    parameter integer CORES = CONVOLUTIONS + LAYERS
) (
    input  wire                aclk,
    input  wire                reset,
    input  wire [        63:0] s_axis_tdata,
    input  wire                s_axis_tvalid,
    input  wire                s_axis_tlast,
    output wire                s_axis_tready,
    output wire [        63:0] m_axis_tdata,
    output wire                m_axis_tvalid,
    output wire                m_axis_tlast,
    input  wire                m_axis_tready,
    input  wire                scores,
    input  wire                every_step,
    output wire                idle,
    output wire                loaded,
    output wire [        31:0] model,
    output wire                error_valid,
    output wire [         7:0] error_code,
    output wire [         7:0] error_packet,
    output wire [         7:0] error_layer,
    output wire                count_cycle,
    output wire                count_image,
    output wire                count_step,
    output wire                count_stall_input,
    output wire                count_stall_output,
    output wire [ CORES*4-1:0] count_row_reads
);

// Images that are under way differ in their tags. The queue of a convolution holds the ends of thousands of empty
// steps.
localparam TAG_BITS = CONVOLUTIONS > 0 ? 16 : 8;
localparam USER_BITS = TAG_BITS + 4;
localparam WINDOWS = CONVOLUTIONS > 0 ? CONVOLUTIONS : 1;
localparam FIRST_INPUTS = {16'd0, LAYER_INPUTS[15:0]};

initial begin : check
    integer l;
    if (LAYERS < 1 || CONVOLUTIONS < 0 || CONVOLUTIONS > 4 || CORES > 8) begin
        $display("Error: LAYERS = %0d, must be 1 to 8 with CONVOLUTIONS, which must be 0 to 4", LAYERS);
        $finish;
    end
    if (INPUTS < 16 || INPUTS > 16384) begin
        $display("Error: INPUTS = %0d, must be 16 to 16384", INPUTS);
        $finish;
    end
    if (WEIGHT_BITS != 2 && WEIGHT_BITS != 4 && WEIGHT_BITS != 8) begin
        $display("Error: WEIGHT_BITS = %0d, must be 2, 4 or 8", WEIGHT_BITS);
        $finish;
    end
    if (MEMBRANE_BITS < 4 || MEMBRANE_BITS > 24) begin
        $display("Error: MEMBRANE_BITS = %0d, must be 4 to 24", MEMBRANE_BITS);
        $finish;
    end
    if (CLASSES < 2 || CLASSES > 64 / WEIGHT_BITS || CLASSES % 2 != 0) begin
        $display("Error: CLASSES = %0d, must be even and 2 to %0d", CLASSES, 64 / WEIGHT_BITS);
        $finish;
    end
    if (MAX_LEAK < 0 || MAX_LEAK > 15) begin
        $display("Error: MAX_LEAK = %0d, must be 0 to 15", MAX_LEAK);
        $finish;
    end
    if ((GROUP != 8 && GROUP != 16 && GROUP != 32) || GROUP > 64 / WEIGHT_BITS) begin
        $display("Error: GROUP = %0d, must be a power of two from 8 to %0d", GROUP, 64 / WEIGHT_BITS);
        $finish;
    end
    for (l = 0; l < LAYERS; l = l + 1)
        if ({16'd0, LAYER_NEURONS[l*16 +: 16]} % (64 / WEIGHT_BITS) != 0) begin
            $display("Error: LAYER_NEURONS of layer %0d, must be a multiple of %0d", l, 64 / WEIGHT_BITS);
            $finish;
        end
end

// Where the spikes of layer l begin in the vector of all layers' spikes.
function integer offset(input integer l);
    integer k;
    begin
        offset = 0;
        for (k = 0; k < l; k = k + 1) offset = offset + {16'd0, LAYER_NEURONS[k*16 +: 16]};
    end
endfunction

localparam NEURONS = offset(LAYERS);

// ---- loader and input ----
wire [7:0]           config_layers;
wire [15:0]          config_time_steps;
wire                 config_decode;
wire [2:0]           config_convolutions;
wire [15:0]          config_size;
wire [WINDOWS*19-1:0] config_windows;
wire                 config_new;
wire [CORES*16-1:0]  config_inputs;
wire [CORES*16-1:0]  config_neurons;
wire [CORES-1:0]     weight_write;
wire [CORES-1:0]     threshold_write;
wire [CORES-1:0]     bias_write;
wire [15:0]          write_row;
wire [15:0]          write_slice;
wire [15:0]          write_pair;
wire                 write_odd;
wire [63:0]          write_data;
wire [3:0]           config_encoder;
wire                 config_exit;
wire [31:0]          config_margin;
wire [7:0]           config_latency_band;
wire [CORES-1:0]     config_continuous;
wire [CORES-1:0]     config_reset_zero;
wire [CORES-1:0]     config_biased;
wire [CORES*4-1:0]   config_leak;
wire [63:0]          image_data;
wire                 spikes_begin;
wire                 pixels_begin;
wire                 events_begin;
wire                 image_last;
wire                 spikes_valid;
wire                 pixels_valid;
wire                 events_valid;
wire                 pixels_ready;
wire                 spikes_ready;
wire                 events_ready;
wire                 events_invalid;
wire                 events_idle;
wire                 no_image_left;
wire                 spikes_image_end;
wire                 pixels_image_end;
wire                 events_image_end;
wire                 input_valid;
wire                 encode_idle;
wire                 loader_idle;
wire                 layers_idle;
wire                 images_begin;
wire                 starved;

spk_loader #(
    .LAYERS(LAYERS),
    .LAYER_INPUTS(LAYER_INPUTS),
    .LAYER_NEURONS(LAYER_NEURONS),
    .CLASSES(CLASSES),
    .WEIGHT_BITS(WEIGHT_BITS),
    .MEMBRANE_BITS(MEMBRANE_BITS),
    .CONTINUOUS(CONTINUOUS),
    .MAX_LEAK(MAX_LEAK),
    .DIRECT(DIRECT),
    .INPUTS(INPUTS),
    .CONVOLUTIONS(CONVOLUTIONS),
    .CONVOLUTION_MAPS(CONVOLUTION_MAPS),
    .CONVOLUTION_ROWS(CONVOLUTION_ROWS),
    .CONVOLUTION_WORDS(CONVOLUTION_WORDS),
    .CONVOLUTION_POSITIONS(CONVOLUTION_POSITIONS)
) loader (
    .aclk(aclk),
    .reset(reset),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tlast(s_axis_tlast),
    .s_axis_tready(s_axis_tready),
    .config_layers(config_layers),
    .config_convolutions(config_convolutions),
    .config_size(config_size),
    .config_windows(config_windows),
    .config_new(config_new),
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
    .spikes_ready(spikes_ready && encode_idle),
    .pixels_ready(pixels_ready),
    .events_ready(events_ready),
    .spikes_image_end(spikes_image_end),
    .pixels_image_end(pixels_image_end),
    .events_image_end(events_image_end),
    .events_invalid(events_invalid),
    .events_idle(events_idle),
    .no_image_left(no_image_left),
    .encode_idle(encode_idle),
    .input_idle(encode_idle && !input_valid),
    .layers_idle(layers_idle),
    .idle(loader_idle),
    .images_begin(images_begin),
    .starved(starved),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_packet(error_packet),
    .error_layer(error_layer)
);

// ---- encoder: pixels to words of spikes; packets of spikes pass it by ----
wire [63:0]         encode_data;
wire                encode_first;
wire                encode_start;
wire                encode_last;
wire                encode_valid;
wire [TAG_BITS-1:0] input_tag;
wire                exit_valid; // the image of this tag is decided
wire [TAG_BITS-1:0] exit_tag;

wire config_direct = config_encoder == `SPK_ENCODER_DIRECT;

spk_encode #(.INPUTS(INPUTS), .DIRECT(DIRECT)) encode (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(config_size),
    .config_time_steps(config_time_steps),
    .config_bernoulli(config_encoder == `SPK_ENCODER_BERNOULLI),
    .config_latency(config_encoder == `SPK_ENCODER_LATENCY),
    .config_latency_band(config_latency_band),
    .config_direct(config_direct),
    .s_begin(pixels_begin),
    .s_data(image_data),
    .s_last(image_last),
    .s_valid(pixels_valid),
    .s_ready(pixels_ready),
    .s_image_end(pixels_image_end),
    .m_data(encode_data),
    .m_first(encode_first),
    .m_start(encode_start),
    .m_last(encode_last),
    .m_valid(encode_valid),
    .m_ready(spikes_ready),
    .skip(exit_valid && exit_tag == input_tag),
    .idle(encode_idle)
);

// ---- events, one by one ----
wire        event_valid;
wire        event_step_end;
wire [15:0] event_input;
wire        event_ready;

spk_events events (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(config_size),
    .config_time_steps(config_time_steps),
    .s_begin(events_begin),
    .s_data(image_data),
    .s_valid(events_valid),
    .s_ready(events_ready),
    .no_image_left(no_image_left),
    .image_end(events_image_end),
    .invalid(events_invalid),
    .idle(events_idle),
    .m_valid(event_valid),
    .m_step_end(event_step_end),
    .m_input(event_input),
    .m_ready(event_ready)
);

// ---- spike vectors ----
wire [INPUTS-1:0]    input_spikes;
wire [USER_BITS-1:0] input_user;
wire                 input_ready;

spk_input #(.INPUTS(INPUTS), .TAG_BITS(TAG_BITS)) in (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(config_size),
    .config_time_steps(config_time_steps),
    .s_begin(spikes_begin),
    .s_data(encode_valid ? encode_data : image_data),
    .s_first(encode_first),
    .s_start(encode_valid && encode_start),
    .s_last(encode_valid ? encode_last : image_last),
    .s_valid(encode_valid || (spikes_valid && encode_idle)),
    .s_ready(spikes_ready),
    .s_image_end(spikes_image_end),
    .e_begin(events_begin),
    .e_valid(event_valid),
    .e_step_end(event_step_end),
    .e_input(event_input),
    .e_ready(event_ready),
    .m_spikes(input_spikes),
    .m_user(input_user),
    .m_valid(input_valid),
    .m_ready(input_ready),
    .tag(input_tag)
);

// ---- layers: the last one in use is read by the decoder ----
wire [FIRST_INPUTS-1:0] first_spikes; // what enters layer 0
wire [USER_BITS-1:0]    first_user;
wire                    first_valid;
wire [NEURONS-1:0]                      link_spikes;
wire [LAYERS*CLASSES*MEMBRANE_BITS-1:0] link_membranes;
wire [LAYERS*USER_BITS-1:0]             link_user;
wire [LAYERS-1:0]                       link_valid;
wire [LAYERS-1:0]                       link_ready;
wire [LAYERS-1:0]                       layer_ready;
wire [LAYERS-1:0]                       layer_idle;
wire [LAYERS*CLASSES-1:0]               class_spikes;
wire                                    decode_ready;

// Which layer is the last one in use. In registers, because the outputs of all queues pass through what they choose.
reg [LAYERS-1:0] last_reg;
reg [15:0]       classes_reg;
wire [7:0]       connected = config_layers - {5'd0, config_convolutions}; // layers that are fully connected

integer u;
always @(posedge aclk)
    for (u = 0; u < LAYERS; u = u + 1) begin
        last_reg[u] <= {24'd0, connected} == u + 1;
        if (last_reg[u]) classes_reg <= config_neurons[(CONVOLUTIONS+u)*16 +: 16];
    end

genvar l;
generate
    for (l = 0; l < LAYERS; l = l + 1) begin : layer
        localparam integer CORE = CONVOLUTIONS + l;
        localparam integer LAYER_IN = {16'd0, LAYER_INPUTS[l*16 +: 16]};
        localparam integer LAYER_OUT = {16'd0, LAYER_NEURONS[l*16 +: 16]};
        wire [LAYER_IN-1:0]  spikes;
        wire [USER_BITS-1:0] user;
        wire                 valid;

        if (l == 0) begin : first
            assign spikes = first_spikes;
            assign user = first_user;
            assign valid = first_valid;
        end else begin : next
            assign spikes = link_spikes[offset(l-1) +: LAYER_IN];
            assign user = link_user[(l-1)*USER_BITS +: USER_BITS];
            assign valid = link_valid[l-1] && !last_reg[l-1];
        end
        if (l == LAYERS - 1) begin : end_of_chain
            assign link_ready[l] = decode_ready;
        end else begin : chain
            assign link_ready[l] = last_reg[l] ? decode_ready : layer_ready[l+1];
        end
        if (LAYER_OUT < CLASSES) begin : few
            assign class_spikes[l*CLASSES +: CLASSES]
                = {{(CLASSES-LAYER_OUT){1'b0}}, link_spikes[offset(l) +: LAYER_OUT]};
        end else begin : enough
            assign class_spikes[l*CLASSES +: CLASSES] = link_spikes[offset(l) +: CLASSES];
        end

        spk_layer #(
            .INPUTS(LAYER_IN),
            .NEURONS(LAYER_OUT),
            .PARALLEL({16'd0, LAYER_PARALLEL[l*16 +: 16]}),
            .ULTRA_RAM({16'd0, LAYER_ULTRA_RAM[l*16 +: 16]}),
            .WEIGHT_BITS(WEIGHT_BITS),
            .MEMBRANE_BITS(MEMBRANE_BITS),
            .CLASSES(CLASSES),
            .CONTINUOUS(CONTINUOUS),
            .MAX_LEAK(MAX_LEAK),
            .DIRECT(l == 0 ? DIRECT : 0),
            .GROUP(GROUP),
            .TAG_BITS(TAG_BITS)
        ) core (
            .aclk(aclk),
            .reset(reset),
            .config_neurons(config_neurons[CORE*16 +: 16]),
            .config_direct(config_direct && config_convolutions == 0),
            .config_continuous(config_continuous[CORE]),
            .config_reset_zero(config_reset_zero[CORE]),
            .config_biased(config_biased[CORE]),
            .config_leak(config_leak[CORE*4 +: 4]),
            .weight_write(weight_write[CORE]),
            .threshold_write(threshold_write[CORE]),
            .bias_write(bias_write[CORE]),
            .write_row(write_row),
            .write_slice(write_slice),
            .write_pair(write_pair),
            .write_odd(write_odd),
            .write_data(write_data),
            .s_spikes(spikes),
            .s_user(user),
            .s_valid(valid),
            .s_ready(layer_ready[l]),
            .exit_valid(exit_valid),
            .exit_tag(exit_tag),
            .m_spikes(link_spikes[offset(l) +: LAYER_OUT]),
            .m_membranes(link_membranes[l*CLASSES*MEMBRANE_BITS +: CLASSES*MEMBRANE_BITS]),
            .m_user(link_user[l*USER_BITS +: USER_BITS]),
            .m_valid(link_valid[l]),
            .m_ready(link_ready[l]),
            .row_reads(count_row_reads[CORE*4 +: 4]),
            .idle(layer_idle[l])
        );
    end
endgenerate

// ---- convolutions, if there are any: the last one in use is gathered for layer 0 ----
wire                    convolutions_idle;

generate
    if (CONVOLUTIONS == 0) begin : connected_only
        assign first_spikes = input_spikes;
        assign first_user = input_user;
        assign first_valid = input_valid;
        assign input_ready = layer_ready[0];
        assign convolutions_idle = 1'b1;
    end else begin : convolve
        localparam ROUND_BITS = 3;
        localparam DATA_BITS = 28 + ROUND_BITS;
        localparam MOST_MAPS = 64;
        reg                                 used_reg; // the network has convolutions
        reg  [CONVOLUTIONS-1:0]             final_reg; // in use
        wire [CONVOLUTIONS*MOST_MAPS-1:0]   core_spikes;
        wire [CONVOLUTIONS*DATA_BITS-1:0]   core_data;
        wire [CONVOLUTIONS-1:0]             core_end;
        wire [CONVOLUTIONS-1:0]             core_valid;
        wire [CONVOLUTIONS-1:0]             core_next;
        wire [CONVOLUTIONS-1:0]             core_ready;
        wire [CONVOLUTIONS-1:0]             core_idle;
        reg  [MOST_MAPS-1:0]                gather_spikes;
        reg  [DATA_BITS-1:0]                gather_data;
        reg                                 gather_end;
        reg                                 gather_valid;
        wire                                gather_ready;
        wire                                gather_idle;
        wire                                locate_end;
        wire [DATA_BITS-1:0]                locate_data;
        wire                                locate_valid;
        wire                                locate_ready;
        wire                                locate_idle;
        wire [FIRST_INPUTS-1:0]             gathered_spikes;
        wire [USER_BITS-1:0]                gathered_user;
        wire                                gathered_valid;
        wire [FIRST_INPUTS-1:0]             entered; // the input, as wide as layer 0

        integer n;
        always @(posedge aclk) begin
            used_reg <= config_convolutions != 0;
            for (n = 0; n < CONVOLUTIONS; n = n + 1) final_reg[n] <= {29'd0, config_convolutions} == n + 1;
        end

        spk_locate #(.INPUTS(INPUTS), .TAG_BITS(TAG_BITS)) locate (
            .aclk(aclk),
            .reset(reset),
            .config_height(config_windows[8:2]),
            .config_width(config_windows[15:9]),
            .s_spikes(input_spikes),
            .s_user(input_user),
            .s_valid(input_valid && used_reg),
            .s_ready(locate_ready),
            .exit_valid(exit_valid),
            .exit_tag(exit_tag),
            .m_end(locate_end),
            .m_data(locate_data),
            .m_valid(locate_valid),
            .m_ready(core_ready[0]),
            .idle(locate_idle)
        );

        genvar v;
        for (v = 0; v < CONVOLUTIONS; v = v + 1) begin : core
            localparam integer MAPS = {16'd0, CONVOLUTION_MAPS[v*16 +: 16]};
            localparam integer IN_MAPS = v > 0 ? {16'd0, CONVOLUTION_MAPS[(v > 0 ? v - 1 : 0)*16 +: 16]} : 1;
            localparam BEFORE = v > 0 ? v - 1 : 0;
            wire [MAPS-1:0]    spikes;
            wire [IN_MAPS-1:0] from_spikes;

            if (v == 0) begin : from_input
                assign from_spikes = 1'b1;
            end else begin : from_core
                assign from_spikes = core_spikes[BEFORE*MOST_MAPS +: IN_MAPS];
            end
            assign core_spikes[v*MOST_MAPS +: MAPS] = spikes;
            if (MAPS < MOST_MAPS) begin : fewer
                assign core_spikes[v*MOST_MAPS+MAPS +: MOST_MAPS-MAPS] = 0;
            end
            if (v == CONVOLUTIONS - 1) begin : end_of_chain
                assign core_next[v] = gather_ready;
            end else begin : chain
                assign core_next[v] = final_reg[v] ? gather_ready : core_ready[v+1];
            end

            spk_convolve #(
                .MAPS(MAPS),
                .IN_MAPS(IN_MAPS),
                .ROWS({16'd0, CONVOLUTION_ROWS[v*16 +: 16]}),
                .WORDS({16'd0, CONVOLUTION_WORDS[v*16 +: 16]}),
                .POSITIONS({16'd0, CONVOLUTION_POSITIONS[v*16 +: 16]}),
                .DISTRIBUTED({16'd0, CONVOLUTION_DISTRIBUTED[v*16 +: 16]}),
                .WEIGHT_BITS(WEIGHT_BITS),
                .MEMBRANE_BITS(MEMBRANE_BITS),
                .CONTINUOUS(CONTINUOUS),
                .MAX_LEAK(MAX_LEAK),
                .DIRECT(v == 0 ? DIRECT : 0),
                .USER_BITS(USER_BITS),
                .ROUND_BITS(ROUND_BITS)
            ) convolution (
                .aclk(aclk),
                .reset(reset),
                .clear(config_new),
                .config_channels(config_inputs[v*16 +: 16]),
                .config_maps(config_neurons[v*16 +: 16]),
                .config_window(config_windows[v*19 +: 19]),
                .config_direct(config_direct),
                .config_continuous(config_continuous[v]),
                .config_reset_zero(config_reset_zero[v]),
                .config_biased(config_biased[v]),
                .config_leak(config_leak[v*4 +: 4]),
                .weight_write(weight_write[v]),
                .threshold_write(threshold_write[v]),
                .bias_write(bias_write[v]),
                .write_row(write_row),
                .write_slice(write_slice),
                .write_pair(write_pair),
                .write_odd(write_odd),
                .write_data(write_data),
                .s_end(v > 0 ? core_end[BEFORE] : locate_end),
                .s_spikes(from_spikes),
                .s_data(v > 0 ? core_data[BEFORE*DATA_BITS +: DATA_BITS] : locate_data),
                .s_valid(v > 0 ? core_valid[BEFORE] && !final_reg[BEFORE] : locate_valid),
                .s_ready(core_ready[v]),
                .m_end(core_end[v]),
                .m_spikes(spikes),
                .m_data(core_data[v*DATA_BITS +: DATA_BITS]),
                .m_valid(core_valid[v]),
                .m_ready(core_next[v]),
                .row_read(count_row_reads[v*4]),
                .idle(core_idle[v])
            );
            assign count_row_reads[v*4+1 +: 3] = 3'd0;
        end

        integer g;
        always @* begin
            {gather_spikes, gather_data, gather_end, gather_valid} = 0;
            for (g = 0; g < CONVOLUTIONS; g = g + 1)
                if (final_reg[g]) begin
                    gather_spikes = core_spikes[g*MOST_MAPS +: MOST_MAPS];
                    gather_data = core_data[g*DATA_BITS +: DATA_BITS];
                    gather_end = core_end[g];
                    gather_valid = core_valid[g];
                end
        end

        spk_gather #(.INPUTS(FIRST_INPUTS), .MAPS(MOST_MAPS), .USER_BITS(USER_BITS)) gather (
            .aclk(aclk),
            .reset(reset),
            .s_end(gather_end),
            .s_spikes(gather_spikes),
            .s_data(gather_data),
            .s_valid(gather_valid),
            .s_ready(gather_ready),
            .m_spikes(gathered_spikes),
            .m_user(gathered_user),
            .m_valid(gathered_valid),
            .m_ready(layer_ready[0] && used_reg),
            .idle(gather_idle)
        );

        assign first_spikes = used_reg ? gathered_spikes : entered;
        if (INPUTS < FIRST_INPUTS) begin : narrower
            assign entered = {{(FIRST_INPUTS-INPUTS){1'b0}}, input_spikes};
        end else begin : as_wide
            assign entered = input_spikes[FIRST_INPUTS-1:0];
        end
        assign first_user = used_reg ? gathered_user : input_user;
        assign first_valid = used_reg ? gathered_valid : input_valid;
        assign input_ready = used_reg ? locate_ready : layer_ready[0];
        assign convolutions_idle = locate_idle && &core_idle && gather_idle;
    end
endgenerate

// ---- decode ----
reg [CLASSES*MEMBRANE_BITS-1:0] last_membranes;
reg [CLASSES-1:0]               last_spikes;
reg [USER_BITS-1:0]             last_user;
reg                             last_valid;
wire                            decode_idle;

integer d;
always @* begin
    last_membranes = 0;
    last_spikes = 0;
    last_user = 0;
    last_valid = 1'b0;
    for (d = 0; d < LAYERS; d = d + 1)
        if (last_reg[d]) begin
            last_membranes = link_membranes[d*CLASSES*MEMBRANE_BITS +: CLASSES*MEMBRANE_BITS];
            last_spikes = class_spikes[d*CLASSES +: CLASSES];
            last_user = link_user[d*USER_BITS +: USER_BITS];
            last_valid = link_valid[d];
        end
end

spk_decode #(.CLASSES(CLASSES), .MEMBRANE_BITS(MEMBRANE_BITS), .TAG_BITS(TAG_BITS)) decode (
    .aclk(aclk),
    .reset(reset),
    .config_classes(classes_reg),
    .config_decode(config_decode),
    .config_exit(config_exit),
    .config_margin(config_margin),
    .scores(scores),
    .every_step(every_step),
    .s_membranes(last_membranes),
    .s_spikes(last_spikes),
    .s_user(last_user),
    .s_valid(last_valid),
    .s_ready(decode_ready),
    .exit_valid(exit_valid),
    .exit_tag(exit_tag),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tlast(m_axis_tlast),
    .m_axis_tready(m_axis_tready),
    .image_done(count_image),
    .idle(decode_idle)
);

// ---- status ----
reg running_reg;
always @(posedge aclk) running_reg <= !reset && (images_begin || (running_reg && !idle));

assign layers_idle = encode_idle && !input_valid && convolutions_idle && &layer_idle && decode_idle;
assign idle = loader_idle && layers_idle;
assign count_cycle = running_reg;
assign count_step = input_valid && input_ready;
assign count_stall_input = starved;
assign count_stall_output = m_axis_tvalid && !m_axis_tready;

endmodule

`resetall
