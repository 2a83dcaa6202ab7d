// A packet of three words that come with a pause, then a soft reset while the second word of its burst waits.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"
`include "command.vh"

reg [7:0] s_axis_tdata;
reg       s_axis_tlast = 1'b0;
reg       s_axis_tvalid = 1'b0;
reg       m_axi_wready = 1'b1;
reg       m_axi_bvalid = 1'b0;
wire [31:0] address = {command_address, 3'd0};

spk_writer dut (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .stop(stop),
    .command_address(command_address),
    .command_words(command_words),
    .command_valid(command_valid),
    .s_axis_tdata({56'd0, s_axis_tdata}),
    .s_axis_tlast(s_axis_tlast),
    .s_axis_tvalid(s_axis_tvalid),
    .m_axi_awready(1'b1),
    .m_axi_wready(m_axi_wready),
    .m_axi_bresp(2'b00),
    .m_axi_bvalid(m_axi_bvalid)
);

task result(input [7:0] data, input last);
    begin
        s_axis_tdata <= data;
        s_axis_tlast <= last;
        s_axis_tvalid <= 1'b1;
        cycles(1);
        s_axis_tvalid <= 1'b0;
    end
endtask

initial begin
    cycles(2);
    aresetn <= 1'b1;
    reset <= 1'b0;
    show <= 1'b1;
    cycles(1);
    command(32'h1000, 29'd3);
    result(8'hE0, 0);
    cycles(1);
    result(8'hE1, 0);
    result(8'hE2, 1);
    cycles(2);
    m_axi_wready <= 1'b0;
    reset <= 1'b1;
    cycles(1);
    m_axi_wready <= 1'b1;
    cycles(3);
    m_axi_bvalid <= 1'b1;
    cycles(1);
    m_axi_bvalid <= 1'b0;
    cycles(1);
    reset <= 1'b0;
    cycles(1);
    $finish;
end

endmodule
