// Port A writes two words and reads them back beside port B, which reads in vain once: its word is masked.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg       a_read = 1'b0;
reg       a_write = 1'b0;
reg       b_read = 1'b0;
reg [2:0] a_address;
reg [2:0] b_address;
reg [7:0] a_wdata;
reg       a_valid = 1'b0;
reg       b_valid = 1'b0;

spk_ram #(.WIDTH(8), .DEPTH(8)) dut (
    .aclk(aclk),
    .a_read(a_read),
    .a_write(a_write),
    .a_address(a_address),
    .a_wdata(a_wdata),
    .b_read(b_read),
    .b_address(b_address),
    .a_valid(a_valid),
    .b_valid(b_valid)
);

always @(posedge aclk) {a_valid, b_valid} <= {a_read, b_read};

initial begin
    cycles(3);
    show <= 1'b1;
    cycles(1);
    {a_write, a_address, a_wdata} <= {1'b1, 3'd4, 8'h17};
    cycles(1);
    {a_address, a_wdata} <= {3'd5, 8'h2A};
    cycles(1);
    {a_write, a_wdata} <= {1'b0, 8'hxx};
    {a_read, a_address, b_read, b_address} <= {1'b1, 3'd4, 1'b1, 3'd5};
    cycles(1);
    {a_read, a_address, b_read, b_address} <= {1'b1, 3'd5, 1'b0, 3'dx};
    cycles(1);
    {a_read, a_address, b_read, b_address} <= {1'b0, 3'dx, 1'b1, 3'd4};
    cycles(1);
    b_read <= 1'b0;
    b_address <= 3'dx;
    cycles(3);
    $finish;
end

endmodule
