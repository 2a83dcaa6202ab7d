// SPDX-License-Identifier: Apache-2.0
// Splits commands into AXI bursts, offers them on an address channel, and remembers those that are open.
//
//   command   s_words words of 64 bits from s_address on, at least one
//   burst     up to the next multiple of 128 bytes or the end of its command: 1 to 16 words, so no burst crosses 4 KiB
//   open      from the cycle after it began until `close`: its last word was read, or its write was answered
//
// A burst begins when burst_valid and burst_ready meet: what it is for says by burst_ready whether it has room for the
// words to be read, or all words to be written. At most four are open, of whatever command. A soft reset drops the
// command; bursts that have begun stay, and so does what the address channel offers.
//
// Latency: two cycles from a command to its first address; then an address a cycle, also from command to command.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_bursts #(
    // Bits of a byte address: 32 to 40
    parameter integer ADDRESS_BITS = 32
) (
    input  wire                    aclk,
    input  wire                    aresetn,
    input  wire                    reset,
    // Commands
    input  wire [ADDRESS_BITS-1:3] s_address,
    input  wire [            28:0] s_words,
    input  wire                    s_last, // of a packet
    input  wire                    s_valid,
    output wire                    s_ready,
    // The burst to begin next
    output wire [ADDRESS_BITS-1:3] burst_address,
    output wire [             3:0] burst_length, // words less one
    output wire                    burst_final,  // the last of its command
    output wire                    burst_valid,
    input  wire                    burst_ready,
    // Address channel
    output reg  [ADDRESS_BITS-1:0] m_axi_addr,
    output reg  [             3:0] m_axi_len,
    output reg                     m_axi_valid,
    input  wire                    m_axi_ready,
    // The oldest open burst
    output wire                    open,
    output wire [ADDRESS_BITS-1:3] open_address,
    output wire                    open_final,
    output wire                    open_last,
    input  wire                    close
);

localparam integer MOST_OPEN = 4;

// The rest of the command is the words offset_reg to end_reg of those from block_reg on, a multiple of 16.
reg                    active_reg;
reg [ADDRESS_BITS-1:7] block_reg;
reg [             3:0] offset_reg;
reg [            29:0] end_reg;
reg                    last_reg;
reg [             2:0] open_reg; // bursts that are open

wire start = burst_valid && burst_ready;

assign s_ready = !active_reg || (start && burst_final);
assign burst_address = {block_reg, offset_reg};
assign burst_final = end_reg[29:4] == 0;
assign burst_length = (burst_final ? end_reg[3:0] : 4'd15) - offset_reg;
assign burst_valid = active_reg && !reset && !open_reg[2] && (!m_axi_valid || m_axi_ready);

// One adder for a new command, words + offset − 1, and for the next block, 16 words less
wire [ 4:0] before_offset = {1'b0, s_address[6:3]} - 5'd1;
wire [29:0] change = s_ready ? {{25{before_offset[4]}}, before_offset} : {26'h3ffffff, 4'd0};

always @(posedge aclk) begin
    if (s_ready) active_reg <= s_valid;
    if (s_ready || start) begin
        block_reg <= (s_ready ? s_address[ADDRESS_BITS-1:7] : block_reg) + {{(ADDRESS_BITS-8){1'b0}}, !s_ready};
        offset_reg <= s_ready ? s_address[6:3] : 4'd0;
        end_reg <= change + (s_ready ? {1'b0, s_words} : end_reg);
    end
    if (s_ready) last_reg <= s_last;
    if (!aresetn || reset) active_reg <= 1'b0;
end

always @(posedge aclk) begin
    if (m_axi_ready) m_axi_valid <= 1'b0;
    if (start) begin
        m_axi_addr <= {burst_address, 3'd0};
        m_axi_len <= burst_length;
        m_axi_valid <= 1'b1;
    end
    if (start != close) open_reg <= open_reg + {{2{close}}, 1'b1};
    if (!aresetn) begin
        m_axi_valid <= 1'b0;
        open_reg <= 3'd0;
    end
end

spk_fifo #(
    .WIDTH(ADDRESS_BITS - 1),
    .DEPTH(MOST_OPEN)
) bursts (
    .aclk(aclk),
    .reset(!aresetn),
    .s_data({burst_final && last_reg, burst_final, burst_address}),
    .s_valid(start),
    .m_data({open_last, open_final, open_address}),
    .m_valid(open),
    .m_ready(close)
);

endmodule

`resetall
