// SPDX-License-Identifier: Apache-2.0
// spk_bursts asks for every word of a command once, in order, in bursts that AXI3 and AXI4 allow.
//
// The words of the command that no burst has are followed here from the command alone: where they begin, and how many
// are left. Each burst must begin there, be as long as 128 bytes and the command allow, and stand on the address
// channel in the next cycle, until it is taken. Of the open bursts the solver picks any one: it must come to the front
// when all before it are closed, with its address and flags. Resets, stalls and commands are free; a burst is closed
// only after its address was taken.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_bursts (
    input wire aclk
);

localparam ADDRESS_BITS = 32;
localparam ENTRY_BITS = ADDRESS_BITS - 1;

(* anyseq *) wire                    aresetn;
(* anyseq *) wire                    reset;
(* anyseq *) wire [ADDRESS_BITS-1:3] s_address;
(* anyseq *) wire [            28:0] s_words;
(* anyseq *) wire                    s_last;
(* anyseq *) wire                    s_valid;
(* anyseq *) wire                    burst_ready;
(* anyseq *) wire                    m_axi_ready;
(* anyseq *) wire                    close;
(* anyseq *) wire                    pick;
wire                    s_ready;
wire [ADDRESS_BITS-1:3] burst_address;
wire [             3:0] burst_length;
wire                    burst_final;
wire                    burst_valid;
wire [ADDRESS_BITS-1:0] m_axi_addr;
wire [             3:0] m_axi_len;
wire                    m_axi_valid;
wire                    open;
wire [ADDRESS_BITS-1:3] open_address;
wire                    open_final;
wire                    open_last;

spk_bursts #(
    .ADDRESS_BITS(ADDRESS_BITS)
) split (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .s_address(s_address),
    .s_words(s_words),
    .s_last(s_last),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .burst_address(burst_address),
    .burst_length(burst_length),
    .burst_final(burst_final),
    .burst_valid(burst_valid),
    .burst_ready(burst_ready),
    .m_axi_addr(m_axi_addr),
    .m_axi_len(m_axi_len),
    .m_axi_valid(m_axi_valid),
    .m_axi_ready(m_axi_ready),
    .open(open),
    .open_address(open_address),
    .open_final(open_final),
    .open_last(open_last),
    .close(close)
);

// The module's own registers, for invariants alone
(* hierconn *) wire                    \split.active_reg ;
(* hierconn *) wire                    \split.last_reg ;
(* hierconn *) wire [            29:0] \split.end_reg ;
(* hierconn *) wire [             2:0] \split.open_reg ;
(* hierconn *) wire [             2:0] \split.bursts.write_reg ;
(* hierconn *) wire [             2:0] \split.bursts.read_reg ;
(* hierconn *) wire [  ENTRY_BITS-1:0] \split.bursts.memory[0] , \split.bursts.memory[1] ;
(* hierconn *) wire [  ENTRY_BITS-1:0] \split.bursts.memory[2] , \split.bursts.memory[3] ;
wire [4*ENTRY_BITS-1:0] memory = {
    \split.bursts.memory[3] , \split.bursts.memory[2] , \split.bursts.memory[1] , \split.bursts.memory[0]
};

reg                     begun = 1'b0;
reg  [            29:0] left = 0;  // words of the command that no burst has
reg  [ADDRESS_BITS-1:3] next;      // the first of them
reg                     last;
reg  [             2:0] count = 0; // open bursts
reg                     picked = 1'b0;
reg  [             2:0] ahead;     // of the one that is picked
reg  [  ENTRY_BITS-1:0] entry;

wire       take = s_valid && s_ready;
wire       start = burst_valid && burst_ready;
wire [4:0] words = {1'b0, burst_length} + 5'd1;
wire [2:0] accepted = count - m_axi_valid; // open bursts whose address was taken
wire [1:0] place = \split.bursts.read_reg [1:0] + ahead[1:0];

// ---- the cycle before ----
reg                    was_start = 1'b0;
reg                    held = 1'b0;
reg [ADDRESS_BITS-1:0] was_addr;
reg [             3:0] was_len;
reg                    was_final = 1'b0;

always @(posedge aclk) begin
    begun <= 1'b1;
    if (start) begin
        left <= left - words;
        next <= next + words;
    end
    if (take) begin
        left <= s_words;
        next <= s_address;
        last <= s_last;
    end
    count <= count + start - close;
    if (start && pick && !picked) begin
        picked <= 1'b1;
        ahead <= count - close;
        entry <= {last && left == words, left == words, next};
    end else if (close && picked) begin
        ahead <= ahead - 3'd1;
        if (ahead == 0) picked <= 1'b0;
    end

    was_start <= start;
    held <= m_axi_valid && !m_axi_ready;
    was_addr <= start ? {next, 3'd0} : m_axi_addr;
    was_len <= start ? burst_length : m_axi_len;
    was_final <= start && burst_final;
    if (reset) left <= 0;
    if (!aresetn) begin
        left <= 0;
        count <= 0;
        picked <= 1'b0;
        was_start <= 1'b0;
        held <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (!aresetn);
    if (s_valid) assume (s_words != 0);       // spk_memory refuses the others
    if (close) assume (begun && accepted != 0); // the bus: no answer without an address

    if (begun && aresetn) begin
        // Each burst begins with the next word of the command and is as long as can be
        if (start) begin
            assert (left != 0 && !reset);
            assert (burst_address == next);
            assert (words <= left && {1'b0, next[6:3]} + words <= 16);
            assert (words == left || {1'b0, next[6:3]} + words == 16);
            assert (burst_final == (left == words));
        end
        // A command is taken when the one before has all its bursts, and at once
        assert (s_ready == (left == 0 || (start && left == words)));
        // A burst is offered as soon as it can be
        assert (burst_valid == (left != 0 && !reset && count < 4 && (!m_axi_valid || m_axi_ready)));
        // The address channel shows what began, until it is taken, and nothing else
        assert (m_axi_valid == (was_start || held));
        if (m_axi_valid) assert (m_axi_addr == was_addr && m_axi_len == was_len);
        if (m_axi_valid) assert (m_axi_addr[2:0] == 0 && {1'b0, m_axi_addr[11:3]} + m_axi_len < 512);
        // Open bursts
        assert (open == (count != 0) && count <= 4);
        if (picked && ahead == 0) assert ({open_last, open_final, open_address} == entry);

        // Invariants
        assert (\split.active_reg == (left != 0));
        assert (left < 30'h20000000);
        if (left != 0) begin
            assert (burst_address == next && \split.last_reg == last);
            assert (\split.end_reg == {26'd0, next[6:3]} + left - 1);
        end
        assert (\split.open_reg == count && \split.bursts.write_reg - \split.bursts.read_reg == count);
        if (m_axi_valid) assert (count != 0);
        if (picked) assert (ahead < count && memory[place*ENTRY_BITS +: ENTRY_BITS] == entry);
    end

    cover (begun && aresetn && count == 4 && left != 0);
    cover (begun && aresetn && m_axi_valid && m_axi_addr == 32'h00000FF8 && m_axi_len == 0 && left == 20);
    cover (begun && aresetn && m_axi_valid && m_axi_len == 15 && was_start && start);
    cover (begun && aresetn && was_final && was_start && start && burst_final); // a command a cycle
    cover (begun && aresetn && held && reset && left == 0 && m_axi_valid);
    cover (begun && aresetn && picked && ahead == 0 && close && open_last && open_address[6:3] == 3);
end

endmodule

`resetall
