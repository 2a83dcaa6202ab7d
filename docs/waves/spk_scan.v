// Three vectors: no spike, spikes in two groups of 16, one spike. Each starts as soon as the one before is done.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg [39:0] s_spikes;
reg        s_valid = 1'b0;

spk_scan #(.INPUTS(40), .LANES(1), .LANE(0), .USER_BITS(1)) dut (
    .aclk(aclk),
    .reset(reset),
    .s_spikes(s_spikes),
    .s_user(1'b0),
    .s_valid(s_valid),
    .hold(1'b0),
    .start(dut.next_valid && dut.done)
);

task send(input [39:0] spikes);
    begin
        s_spikes <= spikes;
        s_valid <= 1'b1;
        cycles(1);
        while (!dut.s_ready) cycles(1);
        s_valid <= 1'b0;
        s_spikes <= 40'dx;
    end
endtask

initial begin
    cycles(3);
    reset <= 1'b0;
    show <= 1'b1;
    cycles(1);
    send(40'd0);
    send(40'd1 << 2 | 40'd1 << 7 | 40'd1 << 33);
    send(40'd1 << 16);
    cycles(5);
    $finish;
end

endmodule
