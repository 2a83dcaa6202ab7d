// Two words of a message, a cycle apart, and a second message right behind them.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg        first = 1'b0;
reg        valid = 1'b0;
reg [63:0] data;

spk_crc dut (
    .aclk(aclk),
    .data(data),
    .first(first),
    .valid(valid)
);

initial begin
    cycles(3);
    show <= 1'b1;
    cycles(1);
    {valid, first, data} <= {2'b11, 64'h13};
    cycles(1);
    {valid, first, data} <= {2'b00, 64'dx};
    cycles(1);
    {valid, first, data} <= {2'b10, 64'h2F};
    cycles(1);
    {valid, first, data} <= {2'b11, 64'h13};
    cycles(1);
    {valid, first, data} <= {2'b00, 64'dx};
    cycles(3);
    $finish;
end

endmodule
