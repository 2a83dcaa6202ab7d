// Two steps of two positions and one, with up to four maps each. The first vector is taken late.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg         s_end;
reg  [3:0]  s_spikes;
reg  [15:0] number;
reg  [11:0] s_user;
reg         s_valid = 1'b0;
reg         m_ready = 1'b0;

spk_gather #(.INPUTS(16), .MAPS(4)) dut (
    .aclk(aclk),
    .reset(reset),
    .s_end(s_end),
    .s_spikes(s_spikes),
    .s_data(s_end ? {19'd0, s_user} : {number, 15'd0}),
    .s_valid(s_valid),
    .m_ready(m_ready)
);

task send(input last, input [15:0] first, input [3:0] spikes);
    begin
        s_end <= last;
        number <= first;
        s_spikes <= spikes;
        s_valid <= 1'b1;
        cycles(1);
        while (!dut.s_ready) cycles(1);
        s_valid <= 1'b0;
    end
endtask

initial begin
    cycles(3);
    reset <= 1'b0;
    cycles(1);
    show <= 1'b1;
    cycles(1);
    send(0, 0, 4'b1010);
    send(0, 8, 4'b0001);
    s_user <= 12'd1;
    send(1, 0, 4'b0000);
    send(0, 4, 4'b0100);
    s_user <= 12'd2;
    send(1, 0, 4'b0000);
    cycles(5);
    $finish;
end

initial begin
    @(posedge show);
    cycles(9);
    m_ready <= 1'b1;
end

endmodule
