// Four decisions, one a cycle, of neurons 0 and 1 in turn: θ = 3 and 5, biases 1 and 0, a leak of half. States are 5 bits.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg  [5:0] active = 6'd0;
reg  [5:0] index;
reg  [4:0] kept;
reg  [5:0] current;
reg        threshold_write = 1'b0;
reg        bias_write = 1'b0;
reg        write_index;
reg  [5:0] write_value;

spk_decide #(.INDEXES(2), .MEMBRANE_BITS(6), .CONTINUOUS(1), .MAX_LEAK(1)) dut (
    .aclk(aclk),
    .active(active),
    .index(index),
    .kept(kept),
    .current(current),
    .keep(2'b01), // half of 2
    .config_biased(1'b1),
    .config_reset_zero(1'b0),
    .used(1'b1),
    .threshold_write(threshold_write),
    .bias_write(bias_write),
    .write_index(write_index),
    .write_value(write_value)
);

task load(input neuron, input signed [5:0] threshold, input signed [5:0] bias);
    begin
        write_index <= neuron;
        write_value <= -threshold;
        threshold_write <= 1'b1;
        cycles(1);
        threshold_write <= 1'b0;
        write_value <= bias;
        bias_write <= 1'b1;
        cycles(1);
        bias_write <= 1'b0;
    end
endtask

// A neuron goes in; the current of the neuron before it comes two cycles after its state.
reg [5:0] currents [0:3];
reg [4:0] states [0:3];
integer   n;

initial begin
    {states[0], currents[0]} = {5'd0, 6'd4};
    {states[1], currents[1]} = {5'd7, 6'd0};
    {states[2], currents[2]} = {-5'sd3, 6'd0};
    {states[3], currents[3]} = {5'd14, 6'd21};
    load(0, 3, 1);
    load(1, 5, 0);
    cycles(2);
    show <= 1'b1;
    for (n = 0; n < 10; n = n + 1) begin
        active <= {active[4:0], n < 4};
        index <= {index[4:0], n[0]};
        kept <= n > 0 && n < 5 ? states[n - 1] : 5'dx; // with stage 1
        current <= n > 2 && n < 7 ? currents[n - 3] : 6'dx; // with stage 3
        cycles(1);
    end
    cycles(1);
    $finish;
end

endmodule
