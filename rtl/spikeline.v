// SPDX-License-Identifier: Apache-2.0
// Spikeline accelerator: binary-activation spiking networks, driven by spikes. Top module; one clock, one reset.
//
//   s_axil      AXI4-Lite   registers: identity, control, status, commands to the memory, counters    docs/registers.md
//   m_axi       AXI4        memory: packets are read, results are written                             64 bits
//   irq                     level: what INTERRUPT holds and INTERRUPT_ENABLE lets through
//
//   regs ── commands ──► memory ── packets ──► core ── results ──► memory
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
    // 1: the weights of a core are in UltraRAM, which an UltraScale+ has
    parameter [LAYERS*16-1:0] LAYER_ULTRA_RAM = 0,
    // Bits of a weight in memory: 2, 4 or 8
    parameter integer WEIGHT_BITS = 4,
    // Bits of a membrane, 4 to 24; the compiler proves that a network does not overflow them
    parameter integer MEMBRANE_BITS = 14,
    // Most classes, an even number up to 64 / WEIGHT_BITS
    parameter integer CLASSES = 16,
    // 1: membranes can last from step to step (continuous integration), with a leak of up to MAX_LEAK: a shift, 0
    // (none) to 15.
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    // 1: layer 0 can take direct input, pixels instead of spikes, bit plane by bit plane. Membranes need up to 8
    // bits more.
    parameter integer DIRECT = 0,
    // Neurons that are decided one after another, by logic that they share, where membranes last or the input is
    // direct: 8, 16 or 32, at most 64 / WEIGHT_BITS. So many cycles is the least that a step takes there.
    parameter integer GROUP = 8,
    // Inputs of a network: as many as layer 0 has room for, or more if there are convolutions
    parameter integer INPUTS = {16'd0, LAYER_INPUTS[15:0]},
    // Convolution cores before the layers, 0 to 4, and for each 16 bits, core 0 lowest: maps that it sums side by side;
    // words of weights, and of currents, in a bank; positions that a step can hand on; 1: currents in distributed RAM
    parameter integer CONVOLUTIONS = 0,
    parameter [63:0] CONVOLUTION_MAPS = 0,
    parameter [63:0] CONVOLUTION_ROWS = 0,
    parameter [63:0] CONVOLUTION_WORDS = 0,
    parameter [63:0] CONVOLUTION_POSITIONS = 0,
    parameter [63:0] CONVOLUTION_DISTRIBUTED = 0,
    // Bits of an address in memory, 32 to 40
    parameter integer ADDRESS_BITS = 32,
    // Hash of sources and geometry, for the host to tell builds apart
    parameter [31:0] BUILD = 32'd0
) (
    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axil:m_axi, ASSOCIATED_RESET aresetn" *)
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
    output wire [ADDRESS_BITS-1:0] m_axi_araddr,
    output wire [ 7:0] m_axi_arlen,
    output wire [ 2:0] m_axi_arsize,
    output wire [ 1:0] m_axi_arburst,
    output wire [ 3:0] m_axi_arcache,
    output wire [ 2:0] m_axi_arprot,
    output wire        m_axi_arvalid,
    input  wire        m_axi_arready,
    input  wire [63:0] m_axi_rdata,
    input  wire [ 1:0] m_axi_rresp,
    input  wire        m_axi_rlast,
    input  wire        m_axi_rvalid,
    output wire        m_axi_rready,
    output wire [ADDRESS_BITS-1:0] m_axi_awaddr,
    output wire [ 7:0] m_axi_awlen,
    output wire [ 2:0] m_axi_awsize,
    output wire [ 1:0] m_axi_awburst,
    output wire [ 3:0] m_axi_awcache,
    output wire [ 2:0] m_axi_awprot,
    output wire        m_axi_awvalid,
    input  wire        m_axi_awready,
    output wire [63:0] m_axi_wdata,
    output wire [ 7:0] m_axi_wstrb,
    output wire        m_axi_wlast,
    output wire        m_axi_wvalid,
    input  wire        m_axi_wready,
    input  wire [ 1:0] m_axi_bresp,
    input  wire        m_axi_bvalid,
    output wire        m_axi_bready,
    output wire        irq
);

localparam CORES = CONVOLUTIONS + LAYERS;

wire                soft_reset;
wire                reset = !aresetn || soft_reset;
wire                scores;
wire                every_step;
wire                core_idle;
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
wire                command_valid;
wire                command_receive;
wire                command_last;
wire [31:0]         command_bytes;
wire [39:0]         command_address;
wire                memory_quiet;
wire                memory_idle;
wire                send_done;
wire                receive_done;
wire [31:0]         sends;
wire [31:0]         receives;
wire [7:0]          sends_left;
wire [7:0]          receives_left;
wire                memory_error;
wire [2:0]          memory_error_code;
wire                memory_error_receive;
wire [39:0]         memory_error_address;
wire [63:0]         packet_data;
wire                packet_valid;
wire                packet_last;
wire                packet_ready;
wire [63:0]         result_data;
wire                result_valid;
wire                result_last;
wire                result_ready;

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
    .CONVOLUTION_POSITIONS(CONVOLUTION_POSITIONS)
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
    .idle(core_idle && memory_idle && !soft_reset),
    .loaded(loaded),
    .model(model),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_packet(error_packet),
    .error_layer(error_layer),
    .command_valid(command_valid),
    .command_receive(command_receive),
    .command_last(command_last),
    .command_bytes(command_bytes),
    .command_address(command_address),
    .quiet(memory_quiet),
    .send_done(send_done),
    .receive_done(receive_done),
    .sends(sends),
    .receives(receives),
    .sends_left(sends_left),
    .receives_left(receives_left),
    .memory_error(memory_error),
    .memory_error_code(memory_error_code),
    .memory_error_receive(memory_error_receive),
    .memory_error_address(memory_error_address),
    .count_cycle(count_cycle),
    .count_image(count_image),
    .count_step(count_step),
    .count_stall_input(count_stall_input),
    .count_stall_output(count_stall_output),
    .count_row_reads(count_row_reads)
);

wire too_far; // the address has more bits than the memory

generate
    if (ADDRESS_BITS < 40) begin : short_address
        assign memory_error_address[39:ADDRESS_BITS] = 0;
        assign too_far = |command_address[39:ADDRESS_BITS];
    end else begin : full_address
        assign too_far = 1'b0;
    end
endgenerate

spk_memory #(.ADDRESS_BITS(ADDRESS_BITS)) memory (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(soft_reset),
    .quiet(memory_quiet),
    .idle(memory_idle),
    .command_address(command_address[ADDRESS_BITS-1:0]),
    .command_bytes(too_far ? 32'd0 : command_bytes),
    .command_last(command_last),
    .command_receive(command_receive),
    .command_valid(command_valid),
    .m_axis_tdata(packet_data),
    .m_axis_tlast(packet_last),
    .m_axis_tvalid(packet_valid),
    .m_axis_tready(packet_ready),
    .s_axis_tdata(result_data),
    .s_axis_tlast(result_last),
    .s_axis_tvalid(result_valid),
    .s_axis_tready(result_ready),
    .m_axi_araddr(m_axi_araddr),
    .m_axi_arlen(m_axi_arlen),
    .m_axi_arsize(m_axi_arsize),
    .m_axi_arburst(m_axi_arburst),
    .m_axi_arcache(m_axi_arcache),
    .m_axi_arprot(m_axi_arprot),
    .m_axi_arvalid(m_axi_arvalid),
    .m_axi_arready(m_axi_arready),
    .m_axi_rdata(m_axi_rdata),
    .m_axi_rresp(m_axi_rresp),
    .m_axi_rlast(m_axi_rlast),
    .m_axi_rvalid(m_axi_rvalid),
    .m_axi_rready(m_axi_rready),
    .m_axi_awaddr(m_axi_awaddr),
    .m_axi_awlen(m_axi_awlen),
    .m_axi_awsize(m_axi_awsize),
    .m_axi_awburst(m_axi_awburst),
    .m_axi_awcache(m_axi_awcache),
    .m_axi_awprot(m_axi_awprot),
    .m_axi_awvalid(m_axi_awvalid),
    .m_axi_awready(m_axi_awready),
    .m_axi_wdata(m_axi_wdata),
    .m_axi_wstrb(m_axi_wstrb),
    .m_axi_wlast(m_axi_wlast),
    .m_axi_wvalid(m_axi_wvalid),
    .m_axi_wready(m_axi_wready),
    .m_axi_bresp(m_axi_bresp),
    .m_axi_bvalid(m_axi_bvalid),
    .m_axi_bready(m_axi_bready),
    .send_done(send_done),
    .receive_done(receive_done),
    .sends(sends),
    .receives(receives),
    .sends_left(sends_left),
    .receives_left(receives_left),
    .error_valid(memory_error),
    .error_code(memory_error_code),
    .error_receive(memory_error_receive),
    .error_address(memory_error_address[ADDRESS_BITS-1:0])
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
    .s_axis_tdata(packet_data),
    .s_axis_tvalid(packet_valid),
    .s_axis_tlast(packet_last),
    .s_axis_tready(packet_ready),
    .m_axis_tdata(result_data),
    .m_axis_tvalid(result_valid),
    .m_axis_tlast(result_last),
    .m_axis_tready(result_ready),
    .scores(scores),
    .every_step(every_step),
    .idle(core_idle),
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
