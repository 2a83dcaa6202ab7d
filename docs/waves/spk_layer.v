// Three steps through a layer of 16 inputs, one spike a cycle. Neuron 0 has weights 5, 4 and −2 at inputs 1, 4 and 9.
`timescale 1ns / 1ps

module wave;

parameter CONTINUOUS = 0;

`include "clock.vh"

reg         weight_write = 1'b0;
reg         threshold_write = 1'b0;
reg         bias_write = 1'b0;
reg  [15:0] write_row;
reg  [63:0] write_data;
reg  [15:0] s_spikes;
reg  [11:0] s_user;
reg         s_valid = 1'b0;

spk_layer #(
    .INPUTS(16), .NEURONS(8), .PARALLEL(1), .WEIGHT_BITS(8), .MEMBRANE_BITS(10), .CLASSES(2),
    .CONTINUOUS(CONTINUOUS), .MAX_LEAK(2)
) dut (
    .aclk(aclk),
    .reset(reset),
    .config_neurons(16'd8),
    .config_direct(1'b0),
    .config_continuous(CONTINUOUS != 0),
    .config_reset_zero(1'b0),
    .config_biased(1'b1),
    .config_leak(4'd1),
    .weight_write(weight_write),
    .threshold_write(threshold_write),
    .bias_write(bias_write),
    .write_row(write_row),
    .write_slice(16'd0),
    .write_pair(16'd0),
    .write_odd(1'b0),
    .write_data(write_data),
    .s_spikes(s_spikes),
    .s_user(s_user),
    .s_valid(s_valid),
    .exit_valid(1'b0),
    .exit_tag(8'd0),
    .m_ready(1'b1)
);

task weight(input [15:0] row, input signed [7:0] value);
    begin
        write_row <= row;
        write_data <= {56'd0, value};
        weight_write <= 1'b1;
        cycles(1);
        weight_write <= 1'b0;
    end
endtask

task step(input [15:0] spikes, input first, input last);
    begin
        s_spikes <= spikes;
        s_user <= {10'd0, last, first};
        s_valid <= 1'b1;
        cycles(1);
        while (!dut.s_ready) cycles(1);
        s_valid <= 1'b0;
        s_spikes <= 16'dx;
    end
endtask

initial begin
    cycles(8);
    reset <= 1'b0;
    weight(1, 5);
    weight(4, 4);
    weight(9, -2);
    write_data <= {32'd0, -32'sd3}; // θ = 3
    threshold_write <= 1'b1;
    cycles(1);
    threshold_write <= 1'b0;
    write_data <= 64'd1;
    bias_write <= CONTINUOUS != 0;
    cycles(1);
    bias_write <= 1'b0;
    cycles(3);
    show <= 1'b1;
    cycles(1);
    step(16'h0202, 1, 0);
    step(16'h0000, 0, 0);
    step(16'h0010, 0, 1);
    cycles(CONTINUOUS ? 34 : 10);
    $finish;
end

endmodule
