// A packet of weights whose second word comes late, and one that names too many words: refused, drained, told.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"
`include "packets.vh"

spk_loader #(.LAYERS(1), .LAYER_INPUTS(16'd16), .LAYER_NEURONS(16'd16)) dut (
    .aclk(aclk),
    .reset(reset),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tlast(s_axis_tlast),
    .spikes_ready(1'b1),
    .pixels_ready(1'b1),
    .events_ready(1'b1),
    .spikes_image_end(1'b0),
    .pixels_image_end(1'b0),
    .events_image_end(1'b0),
    .events_invalid(1'b0),
    .events_idle(1'b1),
    .encode_idle(1'b1),
    .input_idle(1'b1),
    .layers_idle(1'b1)
);

initial begin
    cycles(3);
    reset <= 1'b0;
    configuration;
    thresholds;
    cycles(2);
    show <= 1'b1;
    cycles(1);
    header(4, 3);
    word("row 0", 64'h13, 0);
    cycles(1);
    word("row 1", 64'h2F, 0);
    word("row 2", 64'h41, 0);
    word("check", 64'h981DFB15, 1);
    header(5, 3);
    word("row 0", 64'h13, 0);
    word("row 1", 64'h2F, 1);
    cycles(2);
    $finish;
end

endmodule
