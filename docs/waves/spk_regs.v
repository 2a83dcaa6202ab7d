// An error is kept; software reads ERROR and takes the answer one cycle late, then clears it by CONTROL.
`timescale 1ns / 1ps

module wave;

`include "clock.vh"

reg [11:0] s_axil_awaddr;
reg        s_axil_awvalid = 1'b0;
reg [31:0] s_axil_wdata;
reg        s_axil_wvalid = 1'b0;
reg [11:0] s_axil_araddr;
reg        s_axil_arvalid = 1'b0;
reg        s_axil_rready = 1'b0;
reg        error_valid = 1'b0;

spk_regs #(.LAYERS(1), .LAYER_INPUTS(16'd16), .LAYER_NEURONS(16'd16), .LAYER_PARALLEL(16'd1)) dut (
    .aclk(aclk),
    .aresetn(!reset),
    .s_axil_awaddr(s_axil_awaddr),
    .s_axil_awvalid(s_axil_awvalid),
    .s_axil_wdata(s_axil_wdata),
    .s_axil_wstrb(4'b1111),
    .s_axil_wvalid(s_axil_wvalid),
    .s_axil_bready(1'b1),
    .s_axil_araddr(s_axil_araddr),
    .s_axil_arvalid(s_axil_arvalid),
    .s_axil_rready(s_axil_rready),
    .idle(1'b1),
    .loaded(1'b1),
    .error_valid(error_valid),
    .error_code(8'd4),
    .error_packet(8'd3),
    .error_layer(8'd0),
    .count_cycle(1'b0),
    .count_image(1'b0),
    .count_step(1'b0),
    .count_stall_input(1'b0),
    .count_stall_output(1'b0),
    .count_row_reads(4'd0)
);

initial begin
    cycles(3);
    reset <= 1'b0;
    show <= 1'b1;
    cycles(1);
    error_valid <= 1'b1;
    s_axil_araddr <= 12'h014; // ERROR
    cycles(1);
    error_valid <= 1'b0;
    s_axil_arvalid <= 1'b1;
    cycles(1);
    s_axil_arvalid <= 1'b0;
    s_axil_araddr <= 12'dx;
    cycles(1);
    s_axil_rready <= 1'b1;
    cycles(1);
    s_axil_rready <= 1'b0;
    s_axil_awvalid <= 1'b1;
    s_axil_awaddr <= 12'h00C; // CONTROL
    cycles(1);
    s_axil_wvalid <= 1'b1;
    s_axil_wdata <= 32'd2; // clear_error
    cycles(1);
    {s_axil_awvalid, s_axil_wvalid} <= 2'b00;
    s_axil_awaddr <= 12'dx;
    s_axil_wdata <= 32'dx;
    cycles(3);
    $finish;
end

endmodule
