// SPDX-License-Identifier: Apache-2.0
// Reads memory into a stream: an AXI4 read master of 64 bits.
//
//   command   `words` from `address` on; `last`: TLAST on its last word, so commands without it gather one packet
//
// A burst is asked for only when the queue has room for all its words: the bus never waits for the stream, RREADY is
// always 1. Four bursts and a queue of 64 words hide a latency of 40 cycles. `done`: the last word of a command has
// come, and its memory may be used again. A word with an error is not passed on, and none after it.
//
// A soft reset must be held until `quiet`: nothing new is asked for, and the words under way are dropped.
//
// Latency: two cycles from a command to its address, one from a word to the stream; then a word a cycle.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_reader #(
    // Bits of a byte address: 32 to 40
    parameter integer ADDRESS_BITS = 32
) (
    input  wire                    aclk,
    input  wire                    aresetn,
    input  wire                    reset,
    input  wire                    stop, // an error has happened
    // Commands
    input  wire [ADDRESS_BITS-1:3] command_address,
    input  wire [            28:0] command_words,
    input  wire                    command_last,
    input  wire                    command_valid,
    output wire                    command_ready,
    // Memory
    output wire [ADDRESS_BITS-1:0] m_axi_araddr,
    output wire [             7:0] m_axi_arlen,
    output wire                    m_axi_arvalid,
    input  wire                    m_axi_arready,
    input  wire [            63:0] m_axi_rdata,
    input  wire [             1:0] m_axi_rresp,
    input  wire                    m_axi_rlast,
    input  wire                    m_axi_rvalid,
    output wire                    m_axi_rready,
    // Stream
    output wire [            63:0] m_axis_tdata,
    output wire                    m_axis_tlast,
    output wire                    m_axis_tvalid,
    input  wire                    m_axis_tready,
    // Status
    output wire                    done,
    output wire                    quiet,       // no burst is open
    output wire                    error_valid, // the code is that of the response, the address that of its burst
    output wire [             2:0] error_code,
    output wire [ADDRESS_BITS-1:3] error_address
);

localparam integer QUEUE = 64; // words

wire                    burst_valid;
wire [             3:0] burst_length;
wire                    open;
wire                    open_final;
wire                    open_last;
wire [ADDRESS_BITS-1:3] unused_address;
wire                    unused_final;

reg  [6:0] room_reg; // words of the queue that no burst has reserved

wire burst_ready = room_reg[6:4] != 0 && !stop;
wire start = burst_valid && burst_ready;
wire take = m_axis_tvalid && m_axis_tready;
wire received = m_axi_rvalid && !stop && !reset;
wire push = received && !m_axi_rresp[1];
wire packet_end = m_axi_rlast && open_last;

// What a burst reserves is burst_length + 1 words: the one more is in the complement; a word that is taken is a carry.
wire [7:0] room_next = {room_reg, 1'b1} + {start ? ~{3'd0, burst_length} : 7'd0, take};

assign m_axi_arlen[7:4] = 4'd0;
assign m_axi_rready = 1'b1;
assign done = push && m_axi_rlast && open_final;
assign quiet = !open;
assign error_valid = received && m_axi_rresp[1];
assign error_code = {1'b0, m_axi_rresp};

always @(posedge aclk) begin
    room_reg <= room_next[7:1];
    if (!aresetn || reset) room_reg <= QUEUE[6:0];
end

spk_bursts #(
    .ADDRESS_BITS(ADDRESS_BITS)
) split (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .s_address(command_address),
    .s_words(command_words),
    .s_last(command_last),
    .s_valid(command_valid),
    .s_ready(command_ready),
    .burst_address(unused_address),
    .burst_length(burst_length),
    .burst_final(unused_final),
    .burst_valid(burst_valid),
    .burst_ready(burst_ready),
    .m_axi_addr(m_axi_araddr),
    .m_axi_len(m_axi_arlen[3:0]),
    .m_axi_valid(m_axi_arvalid),
    .m_axi_ready(m_axi_arready),
    .open(open),
    .open_address(error_address),
    .open_final(open_final),
    .open_last(open_last),
    .close(m_axi_rvalid && m_axi_rlast)
);

spk_fifo #(
    .WIDTH(65),
    .DEPTH(QUEUE)
) queue (
    .aclk(aclk),
    .reset(!aresetn || reset),
    .s_data({packet_end, m_axi_rdata}),
    .s_valid(push),
    .m_data({m_axis_tlast, m_axis_tdata}),
    .m_valid(m_axis_tvalid),
    .m_ready(m_axis_tready)
);

endmodule

`resetall
