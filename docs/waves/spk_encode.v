// An image of 64 pixels, two of them bright, whose spikes are made for two steps. The reader waits once.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg        s_begin = 1'b0;
reg [63:0] s_data;
reg        s_valid = 1'b0;
reg        m_ready = 1'b1;

spk_encode #(.INPUTS(64)) dut (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(16'd64),
    .config_time_steps(16'd2),
    .config_bernoulli(1'b0),
    .config_latency(1'b0),
    .config_latency_band(8'd0),
    .config_direct(1'b0),
    .s_begin(s_begin),
    .s_data(s_data),
    .s_last(1'b1),
    .s_valid(s_valid),
    .m_ready(m_ready),
    .skip(1'b0)
);

task send(input [63:0] word);
    begin
        s_data <= word;
        s_valid <= 1'b1;
        cycles(1);
    end
endtask

initial begin
    cycles(4);
    reset <= 1'b0;
    s_begin <= 1'b1;
    show <= 1'b1;
    cycles(1);
    s_begin <= 1'b0;
    send(64'h5EED); // the packet's SEED
    send(64'h00000000_00C80000); // pixel 2 is 200
    repeat (6) send(64'd0);
    send(64'h00FF0000_00000000); // pixel 62 is 255
    s_valid <= 1'b0;
    s_data <= 64'dx;
    cycles(4);
    m_ready <= 1'b0;
    cycles(1);
    m_ready <= 1'b1;
    cycles(3);
    $finish;
end

endmodule
