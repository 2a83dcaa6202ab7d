// A network of one layer takes a packet of one image as spikes, 3 inputs and two steps, and sends its result.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"
`include "packets.vh"

spk_core #(
    .LAYERS(1), .LAYER_INPUTS(16'd64), .LAYER_NEURONS(16'd16), .LAYER_PARALLEL(16'd1), .CLASSES(2)
) dut (
    .aclk(aclk),
    .reset(reset),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tlast(s_axis_tlast),
    .m_axis_tready(1'b1),
    .scores(1'b0),
    .every_step(1'b0)
);

initial begin
    cycles(8);
    reset <= 1'b0;
    configuration;
    thresholds;
    weights;
    cycles(8);
    show <= 1'b1;
    cycles(1);
    header(2, 4);
    word("step 0", 64'b101, 0);
    word("step 1", 64'b010, 1);
    cycles(17);
    $finish;
end

endmodule
