// Two images of two steps and three classes. The second step of the second image waits until the first image is told.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg [4*8-1:0] s_membranes;
reg [11:0]    s_user;
reg           s_valid = 1'b0;

spk_decode #(.CLASSES(4), .MEMBRANE_BITS(8)) dut (
    .aclk(aclk),
    .reset(reset),
    .config_classes(16'd3),
    .config_decode(1'b0),
    .config_exit(1'b0),
    .config_margin(32'd0),
    .scores(1'b0),
    .every_step(1'b0),
    .s_membranes(s_membranes),
    .s_spikes(4'd0),
    .s_user(s_user),
    .s_valid(s_valid),
    .m_axis_tready(1'b1)
);

task step(input signed [7:0] c0, input signed [7:0] c1, input signed [7:0] c2, input [7:0] tag, input last);
    begin
        s_membranes <= {8'd0, c2, c1, c0};
        s_user <= {tag, tag == 2, tag == 1, last, !last};
        s_valid <= 1'b1;
        cycles(1);
        while (!dut.s_ready) cycles(1);
        s_valid <= 1'b0;
        s_membranes <= 32'dx;
        s_user <= 12'dx;
    end
endtask

initial begin
    cycles(3);
    reset <= 1'b0;
    show <= 1'b1;
    cycles(1);
    step(-3, 2, 1, 1, 0);
    step(-1, 4, 5, 1, 1);
    step(7, 0, -2, 2, 0);
    step(1, 0, 9, 2, 1);
    cycles(9);
    $finish;
end

endmodule
