// SPDX-License-Identifier: Apache-2.0
// Spikeline accelerator: binary-activation spiking networks, driven by spikes. Top module; one clock, one reset.
//
//   s_axil   AXI4-Lite      registers: identity, control, status, counters          docs/registers.md
//   s_axis   AXI4-Stream    packets: configuration, weights, images                 64 bits
//   m_axis   AXI4-Stream    results: label, steps, image                            64 bits
//
// Each module is drawn in docs/hardware.md.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spikeline #(
    // Layer cores, 1 to 8
    parameter integer LAYERS = 3,
    // Room of each core, 16 bits a layer, layer 0 lowest: inputs (a layer's equal the neurons of the one before) and
    // neurons (multiples of 64 / WEIGHT_BITS). Block RAM grows with inputs · neurons, logic with neurons.
    parameter [LAYERS*16-1:0] LAYER_INPUTS = {16'd256, 16'd256, 16'd784},
    parameter [LAYERS*16-1:0] LAYER_NEURONS = {16'd16, 16'd256, 16'd256},
    // Spikes that a core takes per cycle: 1, 2, 4 or 8; more banks of block RAM and wider sums
    parameter [LAYERS*16-1:0] LAYER_PARALLEL = {16'd2, 16'd2, 16'd4},
    // Bits of a weight in memory: 2, 4 or 8
    parameter integer WEIGHT_BITS = 4,
    // Bits of a membrane, 4 to 24; the compiler proves that a network does not overflow them
    parameter integer MEMBRANE_BITS = 14,
    // Most classes, an even number up to 64 / WEIGHT_BITS
    parameter integer CLASSES = 16,
    // 1: membranes can last from step to step (continuous integration), with a leak of up to MAX_LEAK: a shift, 0
    // (none) to 15. Costs one LUT a bit of each membrane, two with a leak.
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    // 1: layer 0 can take direct input, pixels instead of spikes, bit plane by bit plane. Costs a second adder for each
    // of its membranes, and membranes need up to 8 bits more.
    parameter integer DIRECT = 0,
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
    input  wire        m_axis_tready
);

initial begin : check
    integer l;
    if (LAYERS < 1 || LAYERS > 8) begin
        $display("Error: LAYERS = %0d, must be 1 to 8", LAYERS);
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
    for (l = 0; l < LAYERS; l = l + 1)
        if ({16'd0, LAYER_NEURONS[l*16 +: 16]} % (64 / WEIGHT_BITS) != 0) begin
            $display("Error: LAYER_NEURONS of layer %0d, must be a multiple of %0d", l, 64 / WEIGHT_BITS);
            $finish;
        end
end

wire                soft_reset;
wire                reset = !aresetn || soft_reset;
wire                scores;
wire                every_step;
wire                idle;
wire                loaded;
wire                error_valid;
wire [7:0]          error_code;
wire [7:0]          error_packet;
wire [7:0]          error_layer;
wire                count_cycle;
wire                count_image;
wire                count_step;
wire                count_stall_input;
wire                count_stall_output;
wire [LAYERS*4-1:0] count_row_reads;

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
    .DIRECT(DIRECT)
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
    .soft_reset(soft_reset),
    .scores(scores),
    .every_step(every_step),
    .idle(idle),
    .loaded(loaded),
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

spk_core #(
    .LAYERS(LAYERS),
    .LAYER_INPUTS(LAYER_INPUTS),
    .LAYER_NEURONS(LAYER_NEURONS),
    .LAYER_PARALLEL(LAYER_PARALLEL),
    .WEIGHT_BITS(WEIGHT_BITS),
    .MEMBRANE_BITS(MEMBRANE_BITS),
    .CLASSES(CLASSES),
    .CONTINUOUS(CONTINUOUS),
    .MAX_LEAK(MAX_LEAK),
    .DIRECT(DIRECT)
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
