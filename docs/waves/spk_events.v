// An image of two steps: inputs 3 and 8 fire in the first, input 5 in the second. Two words hold it, the second a filler.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

localparam [15:0] STEP = 16'h8000, FILLER = 16'hFFFF;

reg        s_begin = 1'b0;
reg [63:0] s_data;
reg        s_valid = 1'b0;
reg        m_ready = 1'b1;

spk_events dut (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(16'd10),
    .config_time_steps(16'd2),
    .s_begin(s_begin),
    .s_data(s_data),
    .s_valid(s_valid),
    .no_image_left(1'b0),
    .m_ready(m_ready)
);

initial begin
    cycles(3);
    reset <= 1'b0;
    s_begin <= 1'b1;
    show <= 1'b1;
    cycles(1);
    s_begin <= 1'b0;
    s_valid <= 1'b1;
    s_data <= {16'd5, STEP | 16'd1, 16'd8, 16'd3};
    cycles(1);
    s_data <= {FILLER, FILLER, FILLER, STEP | 16'd2};
    cycles(1);
    s_valid <= 1'b0;
    s_data <= 64'dx;
    m_ready <= 1'b0;
    cycles(1);
    m_ready <= 1'b1;
    cycles(5);
    $finish;
end

endmodule
