// An image of 100 inputs and two steps, two words a step; layer 0 takes the second vector one cycle late.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg        s_begin = 1'b0;
reg [63:0] s_data;
reg        s_valid = 1'b0;
reg        m_ready = 1'b1;

spk_input #(.INPUTS(128)) dut (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(16'd100),
    .config_time_steps(16'd2),
    .s_begin(s_begin),
    .s_data(s_data),
    .s_first(1'b0),
    .s_start(1'b0),
    .s_last(1'b1),
    .s_valid(s_valid),
    .e_begin(1'b0),
    .e_valid(1'b0),
    .e_step_end(1'b0),
    .e_input(16'd0),
    .m_ready(m_ready)
);

task send(input [63:0] word);
    begin
        s_data <= word;
        s_valid <= 1'b1;
        cycles(1);
        while (!dut.s_ready) cycles(1);
        s_valid <= 1'b0;
        s_data <= 64'dx;
    end
endtask

initial begin
    cycles(3);
    reset <= 1'b0;
    cycles(1);
    s_begin <= 1'b1;
    show <= 1'b1;
    cycles(1);
    s_begin <= 1'b0;
    send(64'd1 << 7);
    send(64'd1 << 40 | 64'd1 << 3); // input 104 does not exist
    send(64'd1 << 1);
    m_ready <= 1'b0;
    send(64'd1);
    cycles(2);
    m_ready <= 1'b1;
    cycles(2);
    $finish;
end

endmodule
