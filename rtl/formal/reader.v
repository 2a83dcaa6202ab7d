// SPDX-License-Identifier: Apache-2.0
// spk_reader passes on every word that memory gives, once and in order, and never more than its queue holds.
//
// The bus gives as many words as were asked for, whenever it likes. Words that are owed are counted here: with those in
// the queue they must fit into it. A word ends its command, and its packet,
// as the oldest open burst says. What splits commands and the queue are cut out: bursts.v and fifo.v prove what they
// do, and here it is proved that nothing is written into the queue when it is full.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_reader (
    input wire aclk
);

localparam ADDRESS_BITS = 32;
localparam QUEUE = 64;

(* anyseq *) wire                    aresetn;
(* anyseq *) wire                    reset;
(* anyseq *) wire                    stop;
(* anyseq *) wire [ADDRESS_BITS-1:3] command_address;
(* anyseq *) wire [            28:0] command_words;
(* anyseq *) wire                    command_last;
(* anyseq *) wire                    command_valid;
(* anyseq *) wire                    m_axi_arready;
(* anyseq *) wire [            63:0] m_axi_rdata;
(* anyseq *) wire [             1:0] m_axi_rresp;
(* anyseq *) wire                    m_axi_rlast;
(* anyseq *) wire                    m_axi_rvalid;
(* anyseq *) wire                    m_axis_tready;
wire                    command_ready;
wire [ADDRESS_BITS-1:0] m_axi_araddr;
wire [             7:0] m_axi_arlen;
wire                    m_axi_arvalid;
wire                    m_axi_rready;
wire [            63:0] m_axis_tdata;
wire                    m_axis_tlast;
wire                    m_axis_tvalid;
wire                    done;
wire                    quiet;
wire                    error_valid;
wire [             2:0] error_code;
wire [ADDRESS_BITS-1:3] error_address;

spk_reader #(
    .ADDRESS_BITS(ADDRESS_BITS)
) reader (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .stop(stop),
    .command_address(command_address),
    .command_words(command_words),
    .command_last(command_last),
    .command_valid(command_valid),
    .command_ready(command_ready),
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
    .done(done),
    .quiet(quiet),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_address(error_address)
);

// What the queue is given, and the modules' own registers, for invariants alone
(* hierconn *) wire                    \reader.push ;
(* hierconn *) wire                    \reader.packet_end ;
(* hierconn *) wire                    \reader.start ;
(* hierconn *) wire                    \reader.burst_valid ;
(* hierconn *) wire                    \reader.open ;
(* hierconn *) wire                    \reader.open_final ;
(* hierconn *) wire                    \reader.open_last ;
(* hierconn *) wire [             3:0] \reader.burst_length ;
(* hierconn *) wire [             6:0] \reader.room_reg ;
reg        begun = 1'b0;
reg        was_reset = 1'b0; // a soft reset, held until quiet
reg        was_quiet;
reg [ 2:0] count = 0;        // open bursts
reg [ 6:0] owed = 0;         // words of open bursts that have not come
reg [ 6:0] queued = 0;       // words in the queue
reg        dropped = 1'b0;   // a word was, since the last reset: an error

wire       start = \reader.start ;
wire       push = \reader.push ;
wire [3:0] length = \reader.burst_length ;
wire       take = m_axis_tvalid && m_axis_tready;
wire       close = m_axi_rvalid && m_axi_rlast;

always @(posedge aclk) begin
    begun <= 1'b1;
    was_reset <= reset;
    was_quiet <= quiet;
    owed <= owed + (start ? {3'd0, length} + 7'd1 : 7'd0) - m_axi_rvalid;
    count <= count + start - close;
    queued <= queued + push - take;
    dropped <= dropped || (m_axi_rvalid && !push);
    if (!aresetn || reset) begin
        queued <= 0;
        dropped <= 1'b0;
    end
    if (!aresetn) begin
        count <= 0;
        owed <= 0;
        was_reset <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (!aresetn);
    if (command_valid) assume (command_words != 0);
    if (begun && was_reset && !was_quiet && aresetn) assume (reset); // held until quiet
    if (begun && dropped) assume (stop || reset);                    // as spk_memory keeps the error
    // The bus: words of bursts whose address was taken, as many as were asked for
    if (m_axi_rvalid) assume (begun && count - m_axi_arvalid != 0 && owed != 0);
    if (m_axi_rvalid && count == 1) assume (m_axi_rlast == (owed == 1));
    if (m_axi_rvalid && !m_axi_rlast) assume (owed > count);
    // Proved in fifo.v, and in bursts.v
    assume (m_axis_tvalid == (queued != 0));
    assume (\reader.open == (count != 0));
    if (m_axi_arvalid) assume (count != 0);
    if (\reader.burst_valid ) assume (!reset && count < 4);

    if (begun && aresetn) begin
        assert (m_axi_rready && m_axi_arlen[7:4] == 0);
        // Nothing is written into a full queue
        if (push) assert (queued < QUEUE);
        // Every word that is right is passed on, none without one, none after an error
        assert (push == (m_axi_rvalid && !m_axi_rresp[1] && !stop && !reset));
        assert (error_valid == (m_axi_rvalid && m_axi_rresp[1] && !stop && !reset));
        if (error_valid) assert (error_code == m_axi_rresp);
        // It ends its command and its packet as its burst says
        assert (done == (push && close && \reader.open_final ));
        assert (\reader.packet_end == (m_axi_rlast && \reader.open_last ));
        // Nothing is asked for in a reset, nor after an error; else, whenever there is room for a burst
        if (reset || stop) assert (!start);
        else if (!was_reset && !dropped && owed + queued <= QUEUE - 16) assert (start == \reader.burst_valid );
        // Quiet: no burst is open
        assert (quiet == (count == 0) && (!quiet || !m_axi_arvalid));

        // Invariants
        assert (count <= 4);
        if (count == 0) assert (owed == 0);
        if (was_reset && was_quiet) assert (count == 0);
        if (was_reset) assert (\reader.room_reg == QUEUE && queued == 0);
        if (!was_reset) assert (\reader.room_reg + owed + queued <= QUEUE);
        if (!was_reset && !dropped) assert (\reader.room_reg + owed + queued == QUEUE);
    end

    cover (begun && aresetn && done && \reader.packet_end && count == 4);
    cover (begun && aresetn && error_valid && count == 3);
    cover (begun && aresetn && was_reset && !was_quiet && m_axi_rvalid);
    cover (begun && aresetn && was_reset && quiet && !reset);
    cover (begun && aresetn && \reader.room_reg == 0);
end

endmodule

`resetall
