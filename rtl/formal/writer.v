// SPDX-License-Identifier: Apache-2.0
// spk_writer writes every word of a packet once, in bursts that never wait, and no packet of another length.
//
// Words in the queue, words of the burst under way, and words of the packet are counted here. A burst must find all its
// words in the queue, have its WLAST with the last, and the last burst of a command must take the packet to its TLAST.
// After a reset no word is offered with a strobe but one that stood already, and `quiet` means that every burst had its
// address, its words and its answer. What splits commands and the queue are cut out: bursts.v and fifo.v prove what
// they do, and here it is proved that nothing is written into the queue when it is full or read when it is empty.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_writer (
    input wire aclk
);

localparam ADDRESS_BITS = 32;
localparam QUEUE = 32;
localparam [2:0] SHORT = 4, LONG = 5;

(* anyseq *) wire                    aresetn;
(* anyseq *) wire                    reset;
(* anyseq *) wire                    stop;
(* anyseq *) wire [ADDRESS_BITS-1:3] command_address;
(* anyseq *) wire [            28:0] command_words;
(* anyseq *) wire                    command_valid;
(* anyseq *) wire [            63:0] s_axis_tdata;
(* anyseq *) wire                    s_axis_tlast;
(* anyseq *) wire                    s_axis_tvalid;
(* anyseq *) wire                    m_axi_awready;
(* anyseq *) wire                    m_axi_wready;
(* anyseq *) wire [             1:0] m_axi_bresp;
(* anyseq *) wire                    m_axi_bvalid;
wire                    command_ready;
wire                    s_axis_tready;
wire [ADDRESS_BITS-1:0] m_axi_awaddr;
wire [             7:0] m_axi_awlen;
wire                    m_axi_awvalid;
wire [            63:0] m_axi_wdata;
wire [             7:0] m_axi_wstrb;
wire                    m_axi_wlast;
wire                    m_axi_wvalid;
wire                    m_axi_bready;
wire                    done;
wire                    empty;
wire                    quiet;
wire                    error_valid;
wire [             2:0] error_code;
wire [ADDRESS_BITS-1:3] error_address;

spk_writer #(
    .ADDRESS_BITS(ADDRESS_BITS)
) writer (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .stop(stop),
    .command_address(command_address),
    .command_words(command_words),
    .command_valid(command_valid),
    .command_ready(command_ready),
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
    .done(done),
    .empty(empty),
    .quiet(quiet),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_address(error_address)
);

// What passes between the writer and the two that are cut out
(* hierconn *) wire       \writer.push ;
(* hierconn *) wire       \writer.drop ;
(* hierconn *) wire       \writer.start ;
(* hierconn *) wire       \writer.burst_valid ;
(* hierconn *) wire [3:0] \writer.burst_length ;
(* hierconn *) wire       \writer.burst_final ;
(* hierconn *) wire       \writer.open ;
(* hierconn *) wire       \writer.open_final ;
// The module's own registers, for invariants alone
(* hierconn *) wire [5:0] \writer.held_reg ;
(* hierconn *) wire [5:0] \writer.waiting_reg ;
(* hierconn *) wire       \writer.whole_reg ;
(* hierconn *) wire [3:0] \writer.left_reg ;

reg        begun = 1'b0;
reg        was_reset = 1'b0; // a soft reset, held until quiet
reg        was_quiet;
reg        held = 1'b0;      // a word was offered and not taken
reg        was_last;
reg [ 7:0] was_strobe;
reg [ 5:0] queued = 0;       // words in the queue
reg [ 4:0] left = 0;         // words of the burst under way
reg [29:0] came = 0;         // words of the packet
reg [29:0] begun_words = 0;  // and those of them that have a burst
reg        ended = 1'b0;     // its TLAST has come
reg [ 2:0] count = 0;        // open bursts
reg [ 2:0] written = 0;      // those of them that had their last word

wire       push = \writer.push ;
wire       start = \writer.start ;
wire       pop = m_axi_wvalid && m_axi_wready;
wire [5:0] words = {2'd0, \writer.burst_length } + 6'd1;
wire       free = left == 0 || (left == 1 && pop);
wire [5:0] waiting = queued - left;
wire       ready = \writer.burst_valid && free && !stop; // to begin the next burst

always @(posedge aclk) begin
    begun <= 1'b1;
    was_reset <= reset;
    was_quiet <= quiet;
    held <= m_axi_wvalid && !m_axi_wready;
    was_last <= m_axi_wlast;
    was_strobe <= m_axi_wstrb;
    queued <= queued + push - pop;
    left <= start ? words[4:0] : left - pop;
    if (push) begin
        came <= came + 30'd1;
        ended <= s_axis_tlast;
    end
    if (start) begun_words <= begun_words + words;
    if (start && \writer.burst_final ) begin
        came <= 0;
        begun_words <= 0;
        ended <= 1'b0;
    end
    count <= count + start - m_axi_bvalid;
    written <= written + (pop && m_axi_wlast) - m_axi_bvalid;
    if (!aresetn || \writer.drop ) begin
        queued <= 0;
        came <= 0;
        begun_words <= 0;
        ended <= 1'b0;
    end
    if (!aresetn) begin
        left <= 0;
        count <= 0;
        written <= 0;
        was_reset <= 1'b0;
        held <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (!aresetn);
    if (command_valid) assume (command_words != 0);
    if (begun && was_reset && !was_quiet && aresetn) assume (reset); // held until quiet
    // The bus: an answer for each burst whose address and words were taken
    if (m_axi_bvalid) assume (begun && written != 0 && count - m_axi_awvalid != 0);
    // Proved in bursts.v
    assume (\writer.open == (count != 0));
    if (m_axi_awvalid) assume (count != 0);
    if (\writer.burst_valid ) assume (!reset && count < 4);
    assume (came < 30'h3FFFFFFF);

    if (begun && aresetn) begin
        assert (m_axi_bready && m_axi_awlen[7:4] == 0);
        // The queue: never written when full, never read when empty, and not emptied while a word is offered
        if (push) assert (queued < QUEUE);
        if (m_axi_wvalid) assert (queued != 0 && !\writer.drop );
        // A burst begins with all its words, when the one before has none left
        if (start) assert (ready && waiting >= words);
        // Its words follow each other without a wait, WLAST with the last
        assert (m_axi_wvalid == (left != 0));
        if (m_axi_wvalid) assert (m_axi_wlast == (left == 1));
        // A word that is offered stays as it is
        if (held) assert (m_axi_wvalid && m_axi_wlast == was_last && m_axi_wstrb == was_strobe);
        // Strobes: all, but none once there is a reset
        if (m_axi_wvalid && !held) assert (m_axi_wstrb == (was_reset ? 8'h00 : 8'hFF));
        // A command takes a whole packet, and no word of the next
        if (start && \writer.burst_final ) assert (ended && begun_words + words == came);
        if (ended) assert (!push);
        // A packet of another length is told, and no burst begins with it; else each burst begins once it can
        if (ready && ended && waiting < words) assert (error_valid && (m_axi_bvalid || error_code == SHORT));
        if (ready && \writer.burst_final && waiting >= words && !(ended && waiting == words))
            assert (error_valid && !start && (m_axi_bvalid || error_code == LONG));
        if (ready && (ended || waiting >= 16)) assert (start || error_valid);
        if (error_valid) assert (!stop && !reset);
        // Answers
        assert (done == (m_axi_bvalid && !m_axi_bresp[1] && \writer.open_final && !stop && !reset));
        if (m_axi_bvalid && m_axi_bresp[1] && !stop && !reset) assert (error_valid && error_code == m_axi_bresp);
        // Quiet: every burst had its address, its words and its answer
        assert (quiet == (count == 0));
        if (quiet) assert (!m_axi_awvalid && !m_axi_wvalid && written == 0);

        // Invariants
        assert (count <= 4 && count == written + (left != 0));
        assert (queued <= QUEUE && left <= 16 && left <= queued);
        assert (empty == (queued == 0));
        assert (\writer.held_reg == queued && \writer.whole_reg == ended);
        assert (\writer.waiting_reg == waiting && came - begun_words == waiting);
        if (left != 0) assert (\writer.left_reg == left - 1);
        if (was_reset && was_quiet) assert (queued == 0 && count == 0);
    end

    cover (begun && aresetn && start && \writer.burst_final && words == 3);
    cover (begun && aresetn && pop && m_axi_wlast && start);
    cover (begun && aresetn && held && was_reset && m_axi_wstrb != 0);
    cover (begun && aresetn && pop && m_axi_wstrb == 0);
    cover (begun && aresetn && was_reset && quiet && !reset);
    cover (begun && aresetn && error_valid && error_code == SHORT && count == 1);
    cover (begun && aresetn && error_valid && error_code == LONG && ended);
    cover (begun && aresetn && done && count == 4);
end

endmodule

`resetall
