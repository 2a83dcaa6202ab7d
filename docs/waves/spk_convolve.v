// Two steps through a convolution of two maps of 2 × 4 into one of 2 × 4, pooled to 1 × 2. Its kernel of 3 × 3 has the
// weights 1 to 9 for map 0 and 10 to 90 for map 1, line by line; θ = 45.
`timescale 1ns / 1ps

module wave;

parameter MAPS_USED = 1; // with more than 8 there are two rounds
parameter CYCLES = 34;   // that are shown after the last word

`include "clock.vh"

localparam ROUNDS = (MAPS_USED + 7) / 8;

reg        clear = 1'b0;
reg        weight_write = 1'b0;
reg        threshold_write = 1'b0;
reg [15:0] write_row;
reg [15:0] write_slice;
reg [63:0] write_data;
reg        s_end;
reg [1:0]  s_spikes;
reg [5:0]  y;
reg [5:0]  x;
reg [11:0] s_user;
reg        s_valid = 1'b0;

spk_convolve #(
    .MAPS(8), .IN_MAPS(2), .ROWS(64), .WORDS(16), .POSITIONS(8), .WEIGHT_BITS(8), .MEMBRANE_BITS(10)
) dut (
    .aclk(aclk),
    .reset(reset),
    .clear(clear),
    .config_channels(16'd2),
    .config_maps(MAPS_USED[15:0]),
    .config_window({1'b1, 1'b1, 1'b0, 7'd4, 7'd2, 2'd3}), // pooled, padded, stride 1, 4 columns, 2 rows, kernel 3
    .config_direct(1'b0),
    .config_continuous(1'b0),
    .config_reset_zero(1'b0),
    .config_biased(1'b0),
    .config_leak(4'd0),
    .weight_write(weight_write),
    .threshold_write(threshold_write),
    .bias_write(1'b0),
    .write_row(write_row),
    .write_slice(write_slice),
    .write_pair(16'd0),
    .write_odd(1'b0),
    .write_data(write_data),
    .s_end(s_end),
    .s_spikes(s_spikes),
    .s_data(s_end ? {19'd0, s_user} : {16'd0, y, x, 3'd0}),
    .s_valid(s_valid),
    .m_ready(1'b1)
);

task send(input last, input [1:0] spikes);
    begin
        s_end <= last;
        s_spikes <= spikes;
        s_valid <= 1'b1;
        cycles(1);
        while (!dut.s_ready) cycles(1);
        s_valid <= 1'b0;
    end
endtask

task position(input [5:0] row, input [5:0] column, input [1:0] spikes);
    begin
        y <= row;
        x <= column;
        send(0, spikes);
    end
endtask

integer n;

initial begin
    cycles(8);
    reset <= 1'b0;
    clear <= 1'b1;
    cycles(1);
    clear <= 1'b0;
    weight_write <= 1'b1;
    for (n = 0; n < 18 * ROUNDS; n = n + 1) begin
        write_row <= n % 18;
        write_slice <= n / 18;
        write_data <= n % 18 < 9 ? n % 18 + 1 : 10 * (n % 18 - 8);
        cycles(1);
    end
    weight_write <= 1'b0;
    write_data <= {32'd0, -32'sd45};
    threshold_write <= 1'b1;
    cycles(1);
    threshold_write <= 1'b0;
    cycles(20); // until all currents are 0
    show <= 1'b1;
    cycles(1);
    position(1, 1, 2'b11);
    position(1, 2, 2'b01);
    s_user <= 12'h001;
    send(1, 2'b00);
    position(0, 0, 2'b10);
    s_user <= 12'h002;
    send(1, 2'b00);
    cycles(CYCLES);
    $finish;
end

endmodule
