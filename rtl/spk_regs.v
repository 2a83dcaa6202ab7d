// SPDX-License-Identifier: Apache-2.0
// AXI4-Lite registers: identity, geometry, control, status, first error, commands to the memory, interrupt, counters.
// Their map is in docs/registers.md.
//
// Every access is answered OKAY: unmapped words read zero, and writes to them change nothing. Counters have 48 bits; a
// read of a low word captures its high one, so that both halves belong together. A reset lasts until the memory is
// quiet. Latency: an answer stands one cycle after its request is taken; write address and data are taken together.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_regs #(
    // Hash of sources and geometry, for the host to tell builds apart
    parameter [31:0] BUILD = 0,
    // What is built: see spikeline.v
    parameter integer LAYERS = 3,
    parameter [LAYERS*16-1:0] LAYER_INPUTS = 0,
    parameter [LAYERS*16-1:0] LAYER_NEURONS = 0,
    parameter [LAYERS*16-1:0] LAYER_PARALLEL = 0,
    parameter integer WEIGHT_BITS = 4,
    parameter integer MEMBRANE_BITS = 14,
    parameter integer CLASSES = 16,
    parameter integer CONTINUOUS = 0,
    parameter integer MAX_LEAK = 0,
    parameter integer DIRECT = 0,
    parameter integer GROUP = 8,
    parameter integer INPUTS = 784,
    parameter integer CONVOLUTIONS = 0,
    parameter [63:0] CONVOLUTION_MAPS = 0,
    parameter [63:0] CONVOLUTION_ROWS = 0,
    parameter [63:0] CONVOLUTION_WORDS = 0,
    parameter [63:0] CONVOLUTION_POSITIONS = 0,
    parameter integer CORES = CONVOLUTIONS + LAYERS,
    // 1: there is a memory port, and commands do something
    parameter integer MEMORY = 1
) (
    input  wire                aclk,
    input  wire                aresetn,
    input  wire [        11:0] s_axil_awaddr,
    input  wire                s_axil_awvalid,
    output wire                s_axil_awready,
    input  wire [        31:0] s_axil_wdata,
    input  wire [         3:0] s_axil_wstrb,
    input  wire                s_axil_wvalid,
    output wire                s_axil_wready,
    output wire [         1:0] s_axil_bresp,
    output reg                 s_axil_bvalid,
    input  wire                s_axil_bready,
    input  wire [        11:0] s_axil_araddr,
    input  wire                s_axil_arvalid,
    output wire                s_axil_arready,
    output reg  [        31:0] s_axil_rdata,
    output wire [         1:0] s_axil_rresp,
    output reg                 s_axil_rvalid,
    input  wire                s_axil_rready,
    output reg                 irq,
    // Control
    output reg                 soft_reset,
    output reg                 scores,
    output reg                 every_step,
    // Status
    input  wire                idle,
    input  wire                loaded,
    input  wire [        31:0] model, // identity of what is loaded
    input  wire                error_valid,
    input  wire [         7:0] error_code,
    input  wire [         7:0] error_packet,
    input  wire [         7:0] error_layer,
    // Commands to the memory, each for one cycle, and what has become of them
    output reg                 command_valid,
    output reg                 command_receive,
    output reg                 command_last,
    output reg  [        31:0] command_bytes,
    output reg  [        39:0] command_address,
    input  wire                quiet,
    input  wire                send_done,
    input  wire                receive_done,
    input  wire [        31:0] sends,
    input  wire [        31:0] receives,
    input  wire [         7:0] sends_left,
    input  wire [         7:0] receives_left,
    input  wire                memory_error,
    input  wire [         2:0] memory_error_code,
    input  wire                memory_error_receive,
    input  wire [        39:0] memory_error_address,
    // What happens in this cycle, to be counted
    input  wire                count_cycle,
    input  wire                count_image,
    input  wire                count_step,
    input  wire                count_stall_input,
    input  wire                count_stall_output,
    input  wire [ CORES*4-1:0] count_row_reads
);

localparam COUNTER_BITS = 48;
localparam CORE_COUNTERS = 5;
localparam COUNTERS = CORE_COUNTERS + CORES;

assign s_axil_bresp = 2'b00;
assign s_axil_rresp = 2'b00;

// ---- writes: address and data are taken together ----
wire write = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid;
wire [11:0] write_address = {s_axil_awaddr[11:2], 2'b00};
wire control = write && write_address == `SPK_REG_CONTROL;
reg  clear_error_reg;
reg  clear_counters_reg;

assign s_axil_awready = write;
assign s_axil_wready = write;

always @(posedge aclk) begin
    s_axil_bvalid <= write || (s_axil_bvalid && !s_axil_bready);
    soft_reset <= (control && s_axil_wstrb[0] && |s_axil_wdata[`SPK_CONTROL_RESET]) || (soft_reset && !quiet);
    clear_error_reg <= control && s_axil_wstrb[0] && |s_axil_wdata[`SPK_CONTROL_CLEAR_ERROR];
    clear_counters_reg <= control && s_axil_wstrb[0] && |s_axil_wdata[`SPK_CONTROL_CLEAR_COUNTERS];
    if (control && s_axil_wstrb[1]) begin
        scores <= s_axil_wdata[`SPK_CONTROL_SCORES];
        every_step <= s_axil_wdata[`SPK_CONTROL_EVERY_STEP];
    end
    if (!aresetn) begin
        s_axil_bvalid <= 1'b0;
        soft_reset <= 1'b0;
        scores <= 1'b0;
        every_step <= 1'b0;
    end
end

// ---- what else the host writes, byte by byte ----
wire [31:0] mask = {{8{s_axil_wstrb[3]}}, {8{s_axil_wstrb[2]}}, {8{s_axil_wstrb[1]}}, {8{s_axil_wstrb[0]}}};
wire [31:0] written = s_axil_wdata & mask;
reg  [ 2:0] enable_reg;

always @(posedge aclk) begin
    if (write)
        case (write_address)
            `SPK_REG_ADDRESS_LO: command_address[31:0] <= (command_address[31:0] & ~mask) | written;
            `SPK_REG_ADDRESS_HI: command_address[39:32] <= (command_address[39:32] & ~mask[7:0]) | written[7:0];
            `SPK_REG_INTERRUPT_ENABLE: enable_reg <= (enable_reg & ~mask[2:0]) | written[2:0];
            default: ;
        endcase
    if (!aresetn) begin
        command_address <= 40'd0;
        enable_reg <= 3'd0;
    end
end

// ---- commands to the memory: pushed by a write of all four bytes ----
wire command = write && &s_axil_wstrb && !soft_reset;

always @(posedge aclk) begin
    command_valid <= command && (write_address == `SPK_REG_SEND || write_address == `SPK_REG_RECEIVE);
    command_receive <= write_address == `SPK_REG_RECEIVE;
    command_last <= |s_axil_wdata[`SPK_SEND_LAST];
    command_bytes <= {s_axil_wdata[31:1], write_address == `SPK_REG_RECEIVE && s_axil_wdata[0]};
    if (!aresetn) command_valid <= 1'b0;
end

// ---- the first error stays ----
reg [7:0] error_code_reg;
reg [7:0] error_packet_reg;
reg [7:0] error_layer_reg;

always @(posedge aclk) begin
    if (error_valid && error_code_reg == `SPK_ERROR_CODE_NONE) begin
        error_code_reg <= error_code;
        error_packet_reg <= error_packet;
        error_layer_reg <= error_layer;
    end
    if (!aresetn || soft_reset || clear_error_reg) begin
        error_code_reg <= `SPK_ERROR_CODE_NONE;
        error_packet_reg <= 8'd0;
        error_layer_reg <= 8'd0;
    end
end

// ---- interrupt: what has happened stays until a 1 is written over it ----
reg  [2:0] pending_reg;
reg  [1:0] failed_reg; // as it was: an error that stays is told once
wire [1:0] failed = {memory_error, error_code_reg != `SPK_ERROR_CODE_NONE};
wire [2:0] happened = {|(failed & ~failed_reg), send_done, receive_done}; // in the order of the register

always @(posedge aclk) begin
    failed_reg <= failed;
    pending_reg <= happened | (pending_reg & ~(write && write_address == `SPK_REG_INTERRUPT ? written[2:0] : 3'd0));
    irq <= |(pending_reg & enable_reg);
    if (!aresetn || soft_reset) begin
        pending_reg <= 3'd0;
        failed_reg <= 2'd0;
    end
    if (!aresetn) irq <= 1'b0;
end

// ---- counters; reading a low word captures the high one ----
reg [COUNTERS*COUNTER_BITS-1:0] counter_reg;
wire [COUNTERS*4-1:0] count = {
    count_row_reads,
    3'd0, count_stall_output, 3'd0, count_stall_input, 3'd0, count_step, 3'd0, count_image, 3'd0, count_cycle
};

integer n;
always @(posedge aclk) begin
    for (n = 0; n < COUNTERS; n = n + 1)
        counter_reg[n*COUNTER_BITS +: COUNTER_BITS] <= counter_reg[n*COUNTER_BITS +: COUNTER_BITS]
            + {{(COUNTER_BITS-4){1'b0}}, count[n*4 +: 4]};
    if (!aresetn || clear_counters_reg) counter_reg <= 0;
end

// ---- reads ----
wire        read = s_axil_arvalid && s_axil_arready;
wire [11:0] address = {s_axil_araddr[11:2], 2'b00};
reg  [31:0] data;
reg  [31:0] high_reg;
reg  [31:0] high;
reg  [11:0] counter_address;

assign s_axil_arready = !s_axil_rvalid;

integer r;
always @* begin
    data = 32'd0;
    high = high_reg;
    case (address)
        `SPK_REG_ID: data[`SPK_ID_VALUE] = `SPK_ID_VALUE_RESET;
        `SPK_REG_VERSION: begin
            data[`SPK_VERSION_MAJOR] = `SPK_VERSION_MAJOR_RESET;
            data[`SPK_VERSION_MINOR] = `SPK_VERSION_MINOR_RESET;
        end
        `SPK_REG_BUILD: data[`SPK_BUILD_VALUE] = BUILD;
        `SPK_REG_CONTROL: begin
            data[`SPK_CONTROL_SCORES] = scores;
            data[`SPK_CONTROL_EVERY_STEP] = every_step;
        end
        `SPK_REG_STATUS: begin
            data[`SPK_STATUS_IDLE] = idle;
            data[`SPK_STATUS_LOADED] = loaded;
        end
        `SPK_REG_ERROR: begin
            data[`SPK_ERROR_CODE] = error_code_reg;
            data[`SPK_ERROR_PACKET] = error_packet_reg;
            data[`SPK_ERROR_LAYER] = error_layer_reg;
        end
        `SPK_REG_GEOMETRY: begin
            data[`SPK_GEOMETRY_LAYERS] = CORES[7:0];
            data[`SPK_GEOMETRY_WEIGHT_BITS] = WEIGHT_BITS[7:0];
            data[`SPK_GEOMETRY_MEMBRANE_BITS] = MEMBRANE_BITS[7:0];
            data[`SPK_GEOMETRY_CLASSES] = CLASSES[7:0];
        end
        `SPK_REG_FEATURES: begin
            data[`SPK_FEATURES_CONTINUOUS] = CONTINUOUS != 0;
            data[`SPK_FEATURES_MAX_LEAK] = MAX_LEAK[3:0];
            data[`SPK_FEATURES_DIRECT] = DIRECT != 0;
            data[`SPK_FEATURES_GROUP] = GROUP[7:0];
            data[`SPK_FEATURES_CONVOLUTIONS] = CONVOLUTIONS[2:0];
            data[`SPK_FEATURES_COMMANDS] = MEMORY != 0 ? `SPK_FEATURES_COMMANDS_RESET : 8'd0;
        end
        `SPK_REG_INPUTS: data[`SPK_INPUTS_VALUE] = INPUTS;
        `SPK_REG_MODEL: data[`SPK_MODEL_VALUE] = loaded ? model : 32'd0;
        `SPK_REG_ADDRESS_LO: data = command_address[31:0];
        `SPK_REG_ADDRESS_HI: data = {24'd0, command_address[39:32]};
        `SPK_REG_SENT: data = sends;
        `SPK_REG_RECEIVED: data = receives;
        `SPK_REG_COMMANDS: begin
            data[`SPK_COMMANDS_SENDS] = sends_left;
            data[`SPK_COMMANDS_RECEIVES] = receives_left;
        end
        `SPK_REG_MEMORY_ERROR: begin
            data[`SPK_MEMORY_ERROR_CODE] = memory_error_code;
            data[`SPK_MEMORY_ERROR_RECEIVE] = memory_error_receive;
        end
        `SPK_REG_ERROR_ADDRESS_LO: data = memory_error_address[31:0];
        `SPK_REG_ERROR_ADDRESS_HI: data = {24'd0, memory_error_address[39:32]};
        `SPK_REG_INTERRUPT_ENABLE: data[2:0] = enable_reg;
        `SPK_REG_INTERRUPT: data[2:0] = pending_reg;
        default: ;
    endcase
    for (r = 0; r < CONVOLUTIONS; r = r + 1) begin
        if (address == `SPK_REG_PARALLEL) data[r*4 +: 4] = 4'd1;
        if (address == `SPK_REG_LAYER + {r[9:0], 2'b00}) begin
            data[`SPK_LAYER_INPUTS] = CONVOLUTION_ROWS[r*16 +: 16];
            data[`SPK_LAYER_NEURONS] = CONVOLUTION_MAPS[r*16 +: 16];
        end
        if (address == `SPK_REG_CONVOLUTION + {r[9:0], 2'b00}) begin
            data[`SPK_CONVOLUTION_WORDS] = CONVOLUTION_WORDS[r*16 +: 16];
            data[`SPK_CONVOLUTION_POSITIONS] = CONVOLUTION_POSITIONS[r*16 +: 16];
        end
    end
    for (r = 0; r < LAYERS; r = r + 1) begin
        if (address == `SPK_REG_PARALLEL) data[(CONVOLUTIONS+r)*4 +: 4] = LAYER_PARALLEL[r*16 +: 4];
        if (address == `SPK_REG_LAYER + {r[9:0] + CONVOLUTIONS[9:0], 2'b00}) begin
            data[`SPK_LAYER_INPUTS] = LAYER_INPUTS[r*16 +: 16];
            data[`SPK_LAYER_NEURONS] = LAYER_NEURONS[r*16 +: 16];
        end
    end
    // The counters of the whole core come first, those of the layers at ROW_READS.
    for (r = 0; r < COUNTERS; r = r + 1) begin
        counter_address = r < CORE_COUNTERS ? `SPK_REG_CYCLES_LO + {r[8:0], 3'b000}
            : `SPK_REG_ROW_READS_LO + {r[8:0] - CORE_COUNTERS[8:0], 3'b000};
        if (address == counter_address) begin
            data = counter_reg[r*COUNTER_BITS +: 32];
            high = {{(64-COUNTER_BITS){1'b0}}, counter_reg[r*COUNTER_BITS+32 +: COUNTER_BITS-32]};
        end
        if (address == counter_address + 12'd4) data = high_reg;
    end
end

always @(posedge aclk) begin
    if (read) begin
        s_axil_rdata <= data;
        high_reg <= high;
    end
    s_axil_rvalid <= read || (s_axil_rvalid && !s_axil_rready);
    if (!aresetn) s_axil_rvalid <= 1'b0;
end

endmodule

`resetall
