// Five words through a queue of four, whose reader pauses.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg [31:0] s_data;
reg        s_valid = 1'b0;
reg        m_ready = 1'b1;

spk_queue #(.WIDTH(32), .DEPTH(4)) dut (
    .aclk(aclk),
    .reset(reset),
    .s_data(s_data),
    .s_valid(s_valid),
    .m_ready(m_ready)
);

task send(input [31:0] word);
    begin
        s_data <= word;
        s_valid <= 1'b1;
        cycles(1);
        s_valid <= 1'b0;
    end
endtask

initial begin
    cycles(3);
    reset <= 1'b0;
    cycles(1);
    show <= 1'b1;
    cycles(1);
    send("a");
    cycles(3);
    m_ready <= 1'b0;
    send("b");
    send("c");
    send("d");
    send("e");
    cycles(2);
    m_ready <= 1'b1;
    cycles(6);
    $finish;
end

endmodule
