// Two maps of 6 × 8 into 12 maps, pooled; then without pooling; then into 8 maps; then from nine maps.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg [15:0] channels = 16'd2;
reg [15:0] maps = 16'd12;
reg        pool = 1'b1;

spk_window #(.MAPS(8), .ROWS(64), .WORDS(32), .POSITIONS(64)) dut (
    .aclk(aclk),
    .channels(channels),
    .maps(maps),
    .window({pool, 1'b1, 1'b0, 7'd8, 7'd6, 2'd3}) // padded, stride 1, 8 columns, 6 rows, kernel 3
);

initial begin
    cycles(8);
    show <= 1'b1;
    cycles(2);
    pool <= 1'b0;
    cycles(6);
    maps <= 16'd8;
    cycles(6);
    channels <= 16'd9;
    cycles(7);
    $finish;
end

endmodule
