// Packets of a network of one layer, 3 inputs and 2 neurons, two steps an image; `label` says what a word is.
reg [63:0]  s_axis_tdata;
reg         s_axis_tvalid = 1'b0;
reg         s_axis_tlast = 1'b0;
reg [8*8:1] label;

task word(input [8*8:1] what, input [63:0] data, input last);
    begin
        label <= what;
        s_axis_tdata <= data;
        s_axis_tlast <= last;
        s_axis_tvalid <= 1'b1;
        cycles(1);
        while (!dut.s_axis_tready) cycles(1);
        s_axis_tvalid <= 1'b0;
        s_axis_tdata <= 64'dx;
        s_axis_tlast <= 1'b0;
    end
endtask

task header(input [31:0] length, input [7:0] kind);
    word("head", {length, 16'h4B50, 8'd0, kind}, 0);
endtask

task configuration;
    begin
        header(3, 1);
        word("CONFIG", {8'd0, 24'd0, 8'd0, 16'd2, 8'd1}, 0); // membranes are read, two steps, one layer
        word("LAYER", {32'd0, 16'd2, 16'd3}, 0);
        word("check", 64'h8150CBC7, 1);
    end
endtask

task thresholds;
    begin
        header(2, 2);
        word("θ 0, 1", {32'd1, 32'd2}, 0);
        word("check", 64'h00F67524, 1);
    end
endtask

task weights;
    begin
        header(4, 3);
        word("row 0", 64'h13, 0);
        word("row 1", 64'h2F, 0);
        word("row 2", 64'h41, 0);
        word("check", 64'h981DFB15, 1);
    end
endtask
