// Two commands of two words, the second with TLAST, from a memory that answers after three cycles; the stream waits.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"
`include "command.vh"

reg        command_last;
reg        m_axis_tready = 1'b1;
reg [2:0]  asked = 3'b000; // addresses taken one, two and three cycles ago
reg [2:0]  owed = 3'd0;    // words
reg [7:0]  rdata = 8'hD0;
wire       rvalid = owed != 0;
wire [31:0] address = {command_address, 3'd0};

spk_reader dut (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(1'b0),
    .stop(stop),
    .command_address(command_address),
    .command_words(command_words),
    .command_last(command_last),
    .command_valid(command_valid),
    .m_axi_arready(1'b1),
    .m_axi_rdata({56'd0, rdata}),
    .m_axi_rresp(2'b00),
    .m_axi_rlast(rdata[0]),
    .m_axi_rvalid(rvalid),
    .m_axis_tready(m_axis_tready)
);

always @(posedge aclk) if (aresetn) begin
    asked <= {asked[1:0], dut.m_axi_arvalid};
    owed <= owed + (asked[1] ? 3'd2 : 3'd0) - rvalid;
    if (rvalid) rdata <= rdata + 8'd1;
end

initial begin
    cycles(2);
    aresetn <= 1'b1;
    show <= 1'b1;
    cycles(1);
    command_last <= 1'b0;
    command(32'h1000, 29'd2);
    command_last <= 1'b1;
    command(32'h2000, 29'd2);
    cycles(4);
    m_axis_tready <= 1'b0;
    cycles(1);
    m_axis_tready <= 1'b1;
    cycles(4);
    $finish;
end

endmodule
