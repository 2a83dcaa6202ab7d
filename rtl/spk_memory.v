// SPDX-License-Identifier: Apache-2.0
// AXI4 master: sends memory to the accelerator and receives its results into memory, as commands say.
//
//   send      `bytes` from `address` on become words of m_axis, TLAST with the last one if `last`
//   receive   a packet of s_axis, of exactly `bytes`, goes to `address` and on
//
// Eight commands of each kind wait in a queue. Addresses and bytes are multiples of 8. Commands of a kind complete in
// order, and are counted.
//
//   error_code   0 none, 2 SLVERR, 3 DECERR (as the bus responds), 4 packet too short, 5 packet too long,
//                6 queue full, 7 a command of no bytes, or bytes or address no multiple of 8
//
// The first error is kept, with its direction and the address of its burst (6, 7: none). It stops everything until a
// reset: bursts that have begun end, no other begins, and what completes later is not counted.
//
// A soft reset must be held until `quiet`. It drops commands, words, counts and error, and what is commanded meanwhile;
// no burst is left unfinished by it. aresetn resets all at once, with the bus.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_memory #(
    // Bits of a byte address: 32 to 40
    parameter integer ADDRESS_BITS = 32
) (
    input  wire                    aclk,
    input  wire                    aresetn,
    input  wire                    reset,
    output wire                    quiet, // no burst is open
    output wire                    idle,  // no send is under way, and no word on its way to either side
    // Commands, one a cycle
    input  wire [ADDRESS_BITS-1:0] command_address,
    input  wire [            31:0] command_bytes,
    input  wire                    command_last,
    input  wire                    command_receive,
    input  wire                    command_valid,
    // Words to the accelerator, and its results
    output wire [            63:0] m_axis_tdata,
    output wire                    m_axis_tlast,
    output wire                    m_axis_tvalid,
    input  wire                    m_axis_tready,
    input  wire [            63:0] s_axis_tdata,
    input  wire                    s_axis_tlast,
    input  wire                    s_axis_tvalid,
    output wire                    s_axis_tready,
    // Memory
    output wire [ADDRESS_BITS-1:0] m_axi_awaddr,
    output wire [             7:0] m_axi_awlen,
    output wire [             2:0] m_axi_awsize,
    output wire [             1:0] m_axi_awburst,
    output wire [             3:0] m_axi_awcache,
    output wire [             2:0] m_axi_awprot,
    output wire                    m_axi_awvalid,
    input  wire                    m_axi_awready,
    output wire [            63:0] m_axi_wdata,
    output wire [             7:0] m_axi_wstrb,
    output wire                    m_axi_wlast,
    output wire                    m_axi_wvalid,
    input  wire                    m_axi_wready,
    input  wire [             1:0] m_axi_bresp,
    input  wire                    m_axi_bvalid,
    output wire                    m_axi_bready,
    output wire [ADDRESS_BITS-1:0] m_axi_araddr,
    output wire [             7:0] m_axi_arlen,
    output wire [             2:0] m_axi_arsize,
    output wire [             1:0] m_axi_arburst,
    output wire [             3:0] m_axi_arcache,
    output wire [             2:0] m_axi_arprot,
    output wire                    m_axi_arvalid,
    input  wire                    m_axi_arready,
    input  wire [            63:0] m_axi_rdata,
    input  wire [             1:0] m_axi_rresp,
    input  wire                    m_axi_rlast,
    input  wire                    m_axi_rvalid,
    output wire                    m_axi_rready,
    // Status; `*_done`: a command completes in this cycle
    output wire                    send_done,
    output wire                    receive_done,
    output reg  [            31:0] sends,
    output reg  [            31:0] receives,
    output reg  [             7:0] sends_left,
    output reg  [             7:0] receives_left,
    output reg                     error_valid,
    output reg  [             2:0] error_code,
    output reg                     error_receive,
    output reg  [ADDRESS_BITS-1:0] error_address
);

localparam integer COMMANDS = {24'd0, `SPK_FEATURES_COMMANDS_RESET}; // of a queue, a power of two
localparam integer COUNT_BITS = $clog2(COMMANDS) + 1;

initial begin : check
    if (ADDRESS_BITS < 32 || ADDRESS_BITS > 40) begin
        $display("Error: ADDRESS_BITS = %0d, must be 32 to 40", ADDRESS_BITS);
        $finish;
    end
end

assign m_axi_awsize = 3'd3; // 8 bytes
assign m_axi_arsize = 3'd3;
assign m_axi_awburst = 2'b01; // INCR
assign m_axi_arburst = 2'b01;
assign m_axi_awcache = 4'b0011; // normal, not cached
assign m_axi_arcache = 4'b0011;
assign m_axi_awprot = 3'b000;
assign m_axi_arprot = 3'b000;

// ---- commands ----
reg [COUNT_BITS-1:0] sends_queued_reg;
reg [COUNT_BITS-1:0] receives_queued_reg;

wire [ADDRESS_BITS-1:3] send_address;
wire [            28:0] send_words;
wire                    send_last;
wire                    send_valid;
wire                    send_ready;
wire [ADDRESS_BITS-1:3] receive_address;
wire [            28:0] receive_words;
wire                    receive_valid;
wire                    receive_ready;

wire unfit = command_address[2:0] != 0 || command_bytes[2:0] != 0 || command_bytes[31:3] == 0;
wire full = command_receive ? receives_queued_reg[COUNT_BITS-1] : sends_queued_reg[COUNT_BITS-1];
wire accepted = command_valid && !unfit && !full;
wire send = accepted && !command_receive;
wire receive = accepted && command_receive;
wire send_taken = send_valid && send_ready;
wire receive_taken = receive_valid && receive_ready;

always @(posedge aclk) begin
    if (send != send_taken) sends_queued_reg <= sends_queued_reg + {{(COUNT_BITS-1){send_taken}}, 1'b1};
    if (receive != receive_taken) receives_queued_reg <= receives_queued_reg + {{(COUNT_BITS-1){receive_taken}}, 1'b1};
    if (!aresetn || reset) begin
        sends_queued_reg <= 0;
        receives_queued_reg <= 0;
    end
end

spk_fifo #(
    .WIDTH(ADDRESS_BITS + 27),
    .DEPTH(COMMANDS)
) send_queue (
    .aclk(aclk),
    .reset(!aresetn || reset),
    .s_data({command_last, command_bytes[31:3], command_address[ADDRESS_BITS-1:3]}),
    .s_valid(send),
    .m_data({send_last, send_words, send_address}),
    .m_valid(send_valid),
    .m_ready(send_ready)
);

spk_fifo #(
    .WIDTH(ADDRESS_BITS + 26),
    .DEPTH(COMMANDS)
) receive_queue (
    .aclk(aclk),
    .reset(!aresetn || reset),
    .s_data({command_bytes[31:3], command_address[ADDRESS_BITS-1:3]}),
    .s_valid(receive),
    .m_data({receive_words, receive_address}),
    .m_valid(receive_valid),
    .m_ready(receive_ready)
);

// ---- completions ----
always @(posedge aclk) begin
    sends <= sends + {31'd0, send_done};
    receives <= receives + {31'd0, receive_done};
    sends_left <= sends_left + {7'd0, send} - {7'd0, send_done};
    receives_left <= receives_left + {7'd0, receive} - {7'd0, receive_done};
    if (!aresetn || reset) begin
        sends_left <= 8'd0;
        receives_left <= 8'd0;
        sends <= 32'd0;
        receives <= 32'd0;
    end
end

// ---- the first error stays ----
wire                    send_error;
wire [             2:0] send_error_code;
wire [ADDRESS_BITS-1:3] send_error_address;
wire                    receive_error;
wire [             2:0] receive_error_code;
wire [ADDRESS_BITS-1:3] receive_error_address;
wire                    command_error = command_valid && (unfit || full);

always @(posedge aclk) begin
    if (!error_valid) begin
        error_valid <= send_error || receive_error || command_error;
        error_receive <= send_error ? 1'b0 : receive_error || command_receive;
        error_code <= send_error ? send_error_code : receive_error ? receive_error_code
            : command_error ? (unfit ? `SPK_MEMORY_FAULT_COMMAND : `SPK_MEMORY_FAULT_FULL) : `SPK_MEMORY_FAULT_NONE;
        error_address <= {send_error ? send_error_address : receive_error_address, 3'd0};
    end
    if (!aresetn || reset) begin
        error_valid <= 1'b0;
        error_code <= `SPK_MEMORY_FAULT_NONE;
    end
end

wire send_quiet;
wire receive_quiet;

wire receive_empty;

assign quiet = send_quiet && receive_quiet;
assign idle = quiet && sends_left == 0 && !m_axis_tvalid && receive_empty;

spk_reader #(
    .ADDRESS_BITS(ADDRESS_BITS)
) reader (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .stop(error_valid),
    .command_address(send_address),
    .command_words(send_words),
    .command_last(send_last),
    .command_valid(send_valid),
    .command_ready(send_ready),
    .m_axi_araddr(m_axi_araddr),
    .m_axi_arlen(m_axi_arlen),
    .m_axi_arvalid(m_axi_arvalid),
    .m_axi_arready(m_axi_arready),
    .m_axi_rdata(m_axi_rdata),
    .m_axi_rresp(m_axi_rresp),
    .m_axi_rlast(m_axi_rlast),
    .m_axi_rvalid(m_axi_rvalid),
    .m_axi_rready(m_axi_rready),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tlast(m_axis_tlast),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready),
    .done(send_done),
    .quiet(send_quiet),
    .error_valid(send_error),
    .error_code(send_error_code),
    .error_address(send_error_address)
);

spk_writer #(
    .ADDRESS_BITS(ADDRESS_BITS)
) writer (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .stop(error_valid),
    .command_address(receive_address),
    .command_words(receive_words),
    .command_valid(receive_valid),
    .command_ready(receive_ready),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tlast(s_axis_tlast),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready),
    .m_axi_awaddr(m_axi_awaddr),
    .m_axi_awlen(m_axi_awlen),
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
    .done(receive_done),
    .empty(receive_empty),
    .quiet(receive_quiet),
    .error_valid(receive_error),
    .error_code(receive_error_code),
    .error_address(receive_error_address)
);

endmodule

`resetall
