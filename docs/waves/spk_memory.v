// A send that completes, one that the bus refuses with an error, one that comes too late, and the reset after that.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg         aresetn = 1'b0;
reg  [31:0] command_address;
reg  [31:0] command_bytes;
reg         command_valid = 1'b0;
reg  [31:0] araddr; // of the burst that is answered
reg         rvalid = 1'b0;

spk_memory dut (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(reset),
    .command_address(command_address),
    .command_bytes(command_bytes),
    .command_last(1'b1),
    .command_receive(1'b0),
    .command_valid(command_valid),
    .m_axis_tready(1'b1),
    .s_axis_tdata(64'd0),
    .s_axis_tlast(1'b0),
    .s_axis_tvalid(1'b0),
    .m_axi_awready(1'b1),
    .m_axi_wready(1'b1),
    .m_axi_bresp(2'b00),
    .m_axi_bvalid(1'b0),
    .m_axi_arready(1'b1),
    .m_axi_rdata(64'hDA),
    .m_axi_rresp(araddr == 32'h2000 ? 2'b10 : 2'b00),
    .m_axi_rlast(1'b1),
    .m_axi_rvalid(rvalid)
);

always @(posedge aclk) begin
    araddr <= dut.m_axi_araddr;
    rvalid <= dut.m_axi_arvalid;
end

task send(input [31:0] address);
    begin
        command_address <= address;
        command_bytes <= 32'd8;
        command_valid <= 1'b1;
        cycles(1);
        command_valid <= 1'b0;
    end
endtask

initial begin
    cycles(2);
    aresetn <= 1'b1;
    reset <= 1'b0;
    show <= 1'b1;
    cycles(1);
    send(32'h1000);
    send(32'h2000);
    cycles(6);
    send(32'h3000);
    cycles(2);
    reset <= 1'b1;
    cycles(1);
    reset <= 1'b0;
    cycles(2);
    $finish;
end

endmodule
