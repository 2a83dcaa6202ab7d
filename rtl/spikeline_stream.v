// SPDX-License-Identifier: Apache-2.0
// The accelerator for who brings packets as a stream, as a camera does: without memory. One clock, one reset.
//
//   s_axil   AXI4-Lite      registers: identity, control, status, counters          docs/registers.md
//   s_axis   AXI4-Stream    packets: configuration, weights, images                 64 bits
//   m_axis   AXI4-Stream    results: label, steps, image                            64 bits
//   irq      level          ERROR, where INTERRUPT_ENABLE lets it through
//
// Commands to the memory change nothing, and what is read of them is 0.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spikeline_stream #(
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
    // Hash of sources and geometry, for the host to tell builds apart
    parameter [31:0] BUILD = 32'd0
) (
    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axil:s_axis:m_axis, ASSOCIATED_RESET aresetn" *)
    input  wire        aclk,
    input  wire        aresetn,
    input  wire [11:0] s_axil_awaddr,
    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [31:0] s_axil_wdata,
    input  wire [ 3:0] s_axil_wstrb,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    output wire [ 1:0] s_axil_bresp,
    output wire        s_axil_bvalid,
    input  wire        s_axil_bready,
    input  wire [11:0] s_axil_araddr,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    output wire [31:0] s_axil_rdata,
    output wire [ 1:0] s_axil_rresp,
    output wire        s_axil_rvalid,
    input  wire        s_axil_rready,
    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    input  wire        s_axis_tlast,
    output wire        s_axis_tready,
    output wire [63:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    output wire        m_axis_tlast,
    input  wire        m_axis_tready,
    output wire        irq
);

localparam CORES = CONVOLUTIONS + LAYERS;

wire                soft_reset;
wire                reset = !aresetn || soft_reset;
wire                scores;
wire                every_step;
wire                idle;
wire                loaded;
wire [31:0]         model;
wire                error_valid;
wire [7:0]          error_code;
wire [7:0]          error_packet;
wire [7:0]          error_layer;
wire                count_cycle;
wire                count_image;
wire                count_step;
wire                count_stall_input;
wire                count_stall_output;
wire [CORES*4-1:0]  count_row_reads;
wire [74:0]         unused_command;

spk_regs #(
    .BUILD(BUILD),
    .LAYERS(LAYERS),
    .LAYER_INPUTS(LAYER_INPUTS),
    .LAYER_NEURONS(LAYER_NEURONS),
    .LAYER_PARALLEL(LAYER_PARALLEL),
    .WEIGHT_BITS(WEIGHT_BITS),
    .MEMBRANE_BITS(MEMBRANE_BITS),
    .CLASSES(CLASSES),
    .CONTINUOUS(CONTINUOUS),
    .MAX_LEAK(MAX_LEAK),
    .DIRECT(DIRECT),
    .GROUP(GROUP),
    .INPUTS(INPUTS),
    .CONVOLUTIONS(CONVOLUTIONS),
    .CONVOLUTION_MAPS(CONVOLUTION_MAPS),
    .CONVOLUTION_ROWS(CONVOLUTION_ROWS),
    .CONVOLUTION_WORDS(CONVOLUTION_WORDS),
    .CONVOLUTION_POSITIONS(CONVOLUTION_POSITIONS),
    .MEMORY(0)
) regs (
    .aclk(aclk),
    .aresetn(aresetn),
    .s_axil_awaddr(s_axil_awaddr),
    .s_axil_awvalid(s_axil_awvalid),
    .s_axil_awready(s_axil_awready),
    .s_axil_wdata(s_axil_wdata),
    .s_axil_wstrb(s_axil_wstrb),
    .s_axil_wvalid(s_axil_wvalid),
    .s_axil_wready(s_axil_wready),
    .s_axil_bresp(s_axil_bresp),
    .s_axil_bvalid(s_axil_bvalid),
    .s_axil_bready(s_axil_bready),
    .s_axil_araddr(s_axil_araddr),
    .s_axil_arvalid(s_axil_arvalid),
    .s_axil_arready(s_axil_arready),
    .s_axil_rdata(s_axil_rdata),
    .s_axil_rresp(s_axil_rresp),
    .s_axil_rvalid(s_axil_rvalid),
    .s_axil_rready(s_axil_rready),
    .irq(irq),
    .soft_reset(soft_reset),
    .scores(scores),
    .every_step(every_step),
    .idle(idle),
    .loaded(loaded),
    .model(model),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_packet(error_packet),
    .error_layer(error_layer),
    .command_valid(unused_command[0]),
    .command_receive(unused_command[1]),
    .command_last(unused_command[2]),
    .command_bytes(unused_command[34:3]),
    .command_address(unused_command[74:35]),
    .quiet(1'b1),
    .send_done(1'b0),
    .receive_done(1'b0),
    .sends(32'd0),
    .receives(32'd0),
    .sends_left(8'd0),
    .receives_left(8'd0),
    .memory_error(1'b0),
    .memory_error_code(3'd0),
    .memory_error_receive(1'b0),
    .memory_error_address(40'd0),
    .count_cycle(count_cycle),
    .count_image(count_image),
    .count_step(count_step),
    .count_stall_input(count_stall_input),
    .count_stall_output(count_stall_output),
    .count_row_reads(count_row_reads)
);

spk_core #(
    .LAYERS(LAYERS),
    .LAYER_INPUTS(LAYER_INPUTS),
    .LAYER_NEURONS(LAYER_NEURONS),
    .LAYER_PARALLEL(LAYER_PARALLEL),
    .LAYER_ULTRA_RAM(LAYER_ULTRA_RAM),
    .WEIGHT_BITS(WEIGHT_BITS),
    .MEMBRANE_BITS(MEMBRANE_BITS),
    .CLASSES(CLASSES),
    .CONTINUOUS(CONTINUOUS),
    .MAX_LEAK(MAX_LEAK),
    .DIRECT(DIRECT),
    .GROUP(GROUP),
    .INPUTS(INPUTS),
    .CONVOLUTIONS(CONVOLUTIONS),
    .CONVOLUTION_MAPS(CONVOLUTION_MAPS),
    .CONVOLUTION_ROWS(CONVOLUTION_ROWS),
    .CONVOLUTION_WORDS(CONVOLUTION_WORDS),
    .CONVOLUTION_POSITIONS(CONVOLUTION_POSITIONS),
    .CONVOLUTION_DISTRIBUTED(CONVOLUTION_DISTRIBUTED)
) core (
    .aclk(aclk),
    .reset(reset),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tlast(s_axis_tlast),
    .s_axis_tready(s_axis_tready),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tlast(m_axis_tlast),
    .m_axis_tready(m_axis_tready),
    .scores(scores),
    .every_step(every_step),
    .idle(idle),
    .loaded(loaded),
    .model(model),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_packet(error_packet),
    .error_layer(error_layer),
    .count_cycle(count_cycle),
    .count_image(count_image),
    .count_step(count_step),
    .count_stall_input(count_stall_input),
    .count_stall_output(count_stall_output),
    .count_row_reads(count_row_reads)
);

endmodule

`resetall
