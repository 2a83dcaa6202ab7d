// Four words into a queue of four, which the reader takes with a pause.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg [7:0] s_data;
reg       s_valid = 1'b0;
reg       m_ready = 1'b0;
integer   n;

spk_fifo #(.WIDTH(8), .DEPTH(4)) dut (.aclk(aclk), .reset(reset), .s_data(s_data), .s_valid(s_valid), .m_ready(m_ready));

initial begin
    cycles(2);
    reset <= 1'b0;
    show <= 1'b1;
    cycles(1);
    for (n = 0; n < 4; n = n + 1) begin
        s_valid <= 1'b1;
        s_data <= 8'hA0 + n;
        m_ready <= n == 2;
        cycles(1);
    end
    s_valid <= 1'b0;
    s_data <= 8'hxx;
    m_ready <= 1'b0;
    cycles(1);
    m_ready <= 1'b1;
    cycles(4);
    $finish;
end

endmodule
