// A command of 20 words that begins two words before a border of 4 KiB, and one of a single word; the bus waits.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg         aresetn = 1'b0;
reg  [31:0] address;
reg  [28:0] words;
reg         s_valid = 1'b0;
reg         m_axi_ready = 1'b1;
reg         close = 1'b0;
wire [31:0] next = {dut.burst_address, 3'd0};

spk_bursts dut (
    .aclk(aclk),
    .aresetn(aresetn),
    .reset(1'b0),
    .s_address(address[31:3]),
    .s_words(words),
    .s_last(1'b1),
    .s_valid(s_valid),
    .burst_ready(1'b1),
    .m_axi_ready(m_axi_ready),
    .close(close)
);

initial begin
    cycles(2);
    aresetn <= 1'b1;
    show <= 1'b1;
    cycles(1);
    s_valid <= 1'b1;
    address <= 32'h1FF0;
    words <= 29'd20;
    cycles(1);
    address <= 32'h3000;
    words <= 29'd1;
    m_axi_ready <= 1'b0;
    cycles(3);
    m_axi_ready <= 1'b1;
    cycles(2);
    s_valid <= 1'b0;
    cycles(1);
    close <= 1'b1;
    cycles(3);
    close <= 1'b0;
    cycles(1);
    $finish;
end

endmodule
