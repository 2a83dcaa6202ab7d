// SPDX-License-Identifier: Apache-2.0
// Writes packets of a stream to memory: an AXI4 write master of 64 bits.
//
//   command   one packet, up to TLAST, of exactly `words` words, to `address` and on
//
// Words are gathered in a queue, and a burst begins only when all its words are there: WVALID never waits within a
// burst, however slowly the words come. The next packet is let in when the last burst of the one before has begun. A
// packet that is shorter or longer than its command is an error, found before its last burst begins. `done`: the answer
// to the last burst of a command has come.
//
// A soft reset must be held until `quiet`: a burst that has begun is finished, without strobes from the next word on.
//
// Latency: two cycles from the last word of a burst to its address and first word.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_writer #(
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
    input  wire                    command_valid,
    output wire                    command_ready,
    // Stream
    input  wire [            63:0] s_axis_tdata,
    input  wire                    s_axis_tlast,
    input  wire                    s_axis_tvalid,
    output wire                    s_axis_tready,
    // Memory
    output wire [ADDRESS_BITS-1:0] m_axi_awaddr,
    output wire [             7:0] m_axi_awlen,
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
    // Status
    output wire                    done,
    output wire                    empty,       // no word waits to be written
    output wire                    quiet,       // no burst is open
    output wire                    error_valid, // the code is that of the answer, or of the packet; so is the address,
    output wire [             2:0] error_code,  // which for a packet is that of the burst that does not begin
    output wire [ADDRESS_BITS-1:3] error_address
);

localparam integer QUEUE = 32; // words

wire [ADDRESS_BITS-1:3] burst_address;
wire [ADDRESS_BITS-1:3] open_address;
wire       burst_valid;
wire [3:0] burst_length;
wire       burst_final;
wire       open;
wire       open_final;
wire       unused_last;
wire       unused_valid;

reg  [5:0] held_reg;    // words in the queue
reg  [5:0] waiting_reg; // those of them whose burst has not begun
reg        whole_reg;   // they end with TLAST
reg  [3:0] left_reg;    // words of the burst after the present one
reg        valid_reg;
reg        strobe_reg;

wire push = s_axis_tvalid && s_axis_tready;
wire pop = m_axi_wvalid && m_axi_wready;
wire enough = waiting_reg > {2'd0, burst_length};
wire exact = waiting_reg == {2'd0, burst_length} + 6'd1;
wire fits = !burst_final || (whole_reg && exact);
wire begins = burst_valid && !stop && (!m_axi_wvalid || (pop && m_axi_wlast)); // if its words are as they should be
wire start = begins && enough && fits;
wire drop = !aresetn || (reset && !m_axi_wvalid); // a word that is offered stays
wire answered = m_axi_bvalid && !stop && !reset;
wire refused = answered && m_axi_bresp[1];

// A burst takes burst_length + 1 words: the one more is in the complement; a word that comes is a carry.
wire [6:0] waiting_next = {waiting_reg, 1'b1} + {start ? ~{2'd0, burst_length} : 6'd0, push};

assign s_axis_tready = !whole_reg && !held_reg[5];
assign m_axi_awlen[7:4] = 4'd0;
assign m_axi_wstrb = {8{strobe_reg}};
assign m_axi_wlast = left_reg == 0;
assign m_axi_wvalid = valid_reg;
assign m_axi_bready = 1'b1;
assign done = answered && !m_axi_bresp[1] && open_final;
assign empty = held_reg == 0;
assign quiet = !open;
assign error_valid = refused || (begins && (enough ? !fits : whole_reg));
assign error_code = refused ? {1'b0, m_axi_bresp} : enough ? `SPK_MEMORY_FAULT_LONG : `SPK_MEMORY_FAULT_SHORT;
assign error_address = refused ? open_address : burst_address;

always @(posedge aclk) begin
    if (push != pop) held_reg <= held_reg + {{5{pop}}, 1'b1};
    waiting_reg <= waiting_next[6:1];
    if (push) whole_reg <= s_axis_tlast;
    if (start && burst_final) whole_reg <= 1'b0;
    if (drop) begin
        held_reg <= 6'd0;
        waiting_reg <= 6'd0;
        whole_reg <= 1'b0;
    end
end

always @(posedge aclk) begin
    if (pop) left_reg <= left_reg - 4'd1;
    if (pop && m_axi_wlast) valid_reg <= 1'b0;
    if (start) begin
        left_reg <= burst_length;
        valid_reg <= 1'b1;
    end
    if (!m_axi_wvalid || m_axi_wready) strobe_reg <= !reset;
    if (!aresetn) valid_reg <= 1'b0;
end

spk_bursts #(
    .ADDRESS_BITS(ADDRESS_BITS)
) split (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .s_address(command_address),
    .s_words(command_words),
    .s_last(1'b1),
    .s_valid(command_valid),
    .s_ready(command_ready),
    .burst_address(burst_address),
    .burst_length(burst_length),
    .burst_final(burst_final),
    .burst_valid(burst_valid),
    .burst_ready(start),
    .m_axi_addr(m_axi_awaddr),
    .m_axi_len(m_axi_awlen[3:0]),
    .m_axi_valid(m_axi_awvalid),
    .m_axi_ready(m_axi_awready),
    .open(open),
    .open_address(open_address),
    .open_final(open_final),
    .open_last(unused_last),
    .close(m_axi_bvalid)
);

spk_fifo #(
    .WIDTH(64),
    .DEPTH(QUEUE)
) queue (
    .aclk(aclk),
    .reset(drop),
    .s_data(s_axis_tdata),
    .s_valid(push),
    .m_data(m_axi_wdata),
    .m_valid(unused_valid),
    .m_ready(pop)
);

endmodule

`resetall
