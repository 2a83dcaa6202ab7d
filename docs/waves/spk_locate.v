// Three steps of two maps of 4 × 4 inputs: spikes at 6, 21 and 23, none, at 9. What is shown is not taken for a cycle.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg [255:0] s_spikes;
reg [11:0]  s_user;
reg         s_valid = 1'b0;
reg         m_ready = 1'b1;

spk_locate #(.INPUTS(256)) dut (
    .aclk(aclk),
    .reset(reset),
    .config_height(7'd4),
    .config_width(7'd4),
    .s_spikes(s_spikes),
    .s_user(s_user),
    .s_valid(s_valid),
    .exit_valid(1'b0),
    .exit_tag(8'd0),
    .m_ready(m_ready)
);

task send(input [255:0] spikes, input first, input last);
    begin
        s_spikes <= spikes;
        s_user <= {10'd0, last, first};
        s_valid <= 1'b1;
        cycles(1);
        while (!dut.s_ready) cycles(1);
        s_valid <= 1'b0;
        s_spikes <= 256'dx;
    end
endtask

initial begin
    cycles(3);
    reset <= 1'b0;
    cycles(2);
    show <= 1'b1;
    cycles(1);
    send(256'd1 << 6 | 256'd1 << 21 | 256'd1 << 23, 1, 0);
    send(256'd0, 0, 0);
    send(256'd1 << 9, 0, 1);
    cycles(12);
    $finish;
end

initial begin
    @(posedge show);
    cycles(10);
    m_ready <= 1'b0;
    cycles(1);
    m_ready <= 1'b1;
end

endmodule
