// SPDX-License-Identifier: Apache-2.0
// spk_memory takes each command once or refuses it, keeps the first error, stops, and counts what completes.
//
// Reader, writer and the queues of commands are cut out: they do what reader.v, writer.v and fifo.v prove, and whatever
// else, errors at any time among it. What the queues hold, the first error and the counts are modelled here.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_memory (
    input wire aclk
);

localparam ADDRESS_BITS = 32;
localparam DEPTH = 8;
localparam [2:0] FULL = 6, UNFIT = 7;

(* anyseq *) wire                    aresetn;
(* anyseq *) wire                    reset;
(* anyseq *) wire [ADDRESS_BITS-1:0] command_address;
(* anyseq *) wire [            31:0] command_bytes;
(* anyseq *) wire                    command_last;
(* anyseq *) wire                    command_receive;
(* anyseq *) wire                    command_valid;
(* anyseq *) wire                    m_axis_tready;
(* anyseq *) wire [            63:0] s_axis_tdata;
(* anyseq *) wire                    s_axis_tlast;
(* anyseq *) wire                    s_axis_tvalid;
(* anyseq *) wire                    m_axi_awready;
(* anyseq *) wire                    m_axi_wready;
(* anyseq *) wire [             1:0] m_axi_bresp;
(* anyseq *) wire                    m_axi_bvalid;
(* anyseq *) wire                    m_axi_arready;
(* anyseq *) wire [            63:0] m_axi_rdata;
(* anyseq *) wire [             1:0] m_axi_rresp;
(* anyseq *) wire                    m_axi_rlast;
(* anyseq *) wire                    m_axi_rvalid;
wire                    quiet;
wire                    idle;
wire [            63:0] m_axis_tdata;
wire                    m_axis_tlast;
wire                    m_axis_tvalid;
wire                    s_axis_tready;
wire [ADDRESS_BITS-1:0] m_axi_awaddr;
wire [             7:0] m_axi_awlen;
wire [             2:0] m_axi_awsize;
wire [             1:0] m_axi_awburst;
wire [             3:0] m_axi_awcache;
wire [             2:0] m_axi_awprot;
wire                    m_axi_awvalid;
wire [            63:0] m_axi_wdata;
wire [             7:0] m_axi_wstrb;
wire                    m_axi_wlast;
wire                    m_axi_wvalid;
wire                    m_axi_bready;
wire [ADDRESS_BITS-1:0] m_axi_araddr;
wire [             7:0] m_axi_arlen;
wire [             2:0] m_axi_arsize;
wire [             1:0] m_axi_arburst;
wire [             3:0] m_axi_arcache;
wire [             2:0] m_axi_arprot;
wire                    m_axi_arvalid;
wire                    m_axi_rready;
wire                    send_done;
wire                    receive_done;
wire [            31:0] sends;
wire [            31:0] receives;
wire [             7:0] sends_left;
wire [             7:0] receives_left;
wire                    error_valid;
wire [             2:0] error_code;
wire                    error_receive;
wire [ADDRESS_BITS-1:0] error_address;

spk_memory #(
    .ADDRESS_BITS(ADDRESS_BITS)
) memory (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .quiet(quiet),
    .idle(idle),
    .command_address(command_address),
    .command_bytes(command_bytes),
    .command_last(command_last),
    .command_receive(command_receive),
    .command_valid(command_valid),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tlast(m_axis_tlast),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tlast(s_axis_tlast),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready),
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
    .send_done(send_done),
    .receive_done(receive_done),
    .sends(sends),
    .receives(receives),
    .sends_left(sends_left),
    .receives_left(receives_left),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_receive(error_receive),
    .error_address(error_address)
);

// What passes between the module and those that are cut out
(* hierconn *) wire                    \memory.send ;
(* hierconn *) wire                    \memory.receive ;
(* hierconn *) wire                    \memory.send_valid ;
(* hierconn *) wire                    \memory.send_ready ;
(* hierconn *) wire                    \memory.receive_valid ;
(* hierconn *) wire                    \memory.receive_ready ;
(* hierconn *) wire                    \memory.send_quiet ;
(* hierconn *) wire                    \memory.receive_quiet ;
(* hierconn *) wire                    \memory.send_error ;
(* hierconn *) wire [             2:0] \memory.send_error_code ;
(* hierconn *) wire [ADDRESS_BITS-1:3] \memory.send_error_address ;
(* hierconn *) wire                    \memory.receive_error ;
(* hierconn *) wire [             2:0] \memory.receive_error_code ;
(* hierconn *) wire [ADDRESS_BITS-1:3] \memory.receive_error_address ;
// The module's own registers, for invariants alone
(* hierconn *) wire [             3:0] \memory.sends_queued_reg ;
(* hierconn *) wire [             3:0] \memory.receives_queued_reg ;

reg        begun = 1'b0;
reg [ 3:0] sends_queued = 0;
reg [ 3:0] receives_queued = 0;
reg [ 7:0] sends_open = 0; // given and not done
reg [ 7:0] receives_open = 0;
reg [31:0] sends_done = 0;
reg [31:0] receives_done = 0;
reg        failed = 1'b0;
reg [ 2:0] code;
reg        direction;
reg        located; // the error has an address
reg [31:0] address;

wire fits = command_address % 8 == 0 && command_bytes % 8 == 0 && command_bytes != 0;
wire room = command_receive ? receives_queued != DEPTH : sends_queued != DEPTH;
wire refused = command_valid && !(fits && room);
wire read_failed = \memory.send_error ;
wire write_failed = \memory.receive_error ;

always @(posedge aclk) begin
    begun <= 1'b1;
    sends_queued <= sends_queued + \memory.send - (\memory.send_valid && \memory.send_ready );
    receives_queued <= receives_queued + \memory.receive - (\memory.receive_valid && \memory.receive_ready );
    sends_open <= sends_open + \memory.send - send_done;
    receives_open <= receives_open + \memory.receive - receive_done;
    sends_done <= sends_done + send_done;
    receives_done <= receives_done + receive_done;
    if (!failed && (read_failed || write_failed || refused)) begin
        failed <= 1'b1;
        located <= read_failed || write_failed;
        direction <= !read_failed && (write_failed || command_receive);
        code <= read_failed ? \memory.send_error_code : write_failed ? \memory.receive_error_code : fits ? FULL : UNFIT;
        address <= {read_failed ? \memory.send_error_address : \memory.receive_error_address , 3'd0};
    end
    if (!aresetn || reset) begin
        sends_queued <= 0;
        receives_queued <= 0;
        sends_open <= 0;
        receives_open <= 0;
        sends_done <= 0;
        receives_done <= 0;
        failed <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (!aresetn);
    // Proved in fifo.v
    assume (\memory.send_valid == (sends_queued != 0));
    assume (\memory.receive_valid == (receives_queued != 0));

    if (begun && aresetn) begin
        // Each command that fits goes once into the queue of its kind, which has room for it; each other is an error
        assert (\memory.send == (command_valid && fits && room && !command_receive));
        assert (\memory.receive == (command_valid && fits && room && command_receive));
        if (\memory.send ) assert (sends_queued < DEPTH);
        if (\memory.receive ) assert (receives_queued < DEPTH);
        // The first error stays; without one there is no code
        assert (error_valid == failed);
        if (failed) assert (error_code == code && error_receive == direction);
        if (failed && located) assert (error_address == address);
        if (!failed) assert (error_code == 0);
        // Counts
        assert (sends == sends_done && receives == receives_done);
        assert (sends_left == sends_open && receives_left == receives_open);
        if (idle) assert (quiet && sends_open == 0 && !m_axis_tvalid);
        // The bus: 8 bytes a word, INCR, normal and not cached
        assert (m_axi_awsize == 3 && m_axi_arsize == 3 && m_axi_awburst == 1 && m_axi_arburst == 1);
        assert (m_axi_awcache == 3 && m_axi_arcache == 3 && m_axi_awprot == 0 && m_axi_arprot == 0);
        assert (quiet == (\memory.send_quiet && \memory.receive_quiet ));

        // Invariants
        assert (\memory.sends_queued_reg == sends_queued && sends_queued <= DEPTH);
        assert (\memory.receives_queued_reg == receives_queued && receives_queued <= DEPTH);
    end

    cover (begun && aresetn && sends_queued == DEPTH && failed && code == FULL && !direction);
    cover (begun && aresetn && receives_queued == 2 && failed && code == UNFIT && direction);
    cover (begun && aresetn && failed && code == 3 && !direction && address == 32'h128);
    cover (begun && aresetn && sends == 2 && receives == 1);
    cover (begun && aresetn && failed && reset);
end

endmodule

`resetall
