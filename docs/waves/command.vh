// A master behind spk_bursts: both resets, and a command that is offered until it is taken.
reg         aresetn = 1'b0;
reg         stop = 1'b0;
reg [31:3]  command_address;
reg [28:0]  command_words;
reg         command_valid = 1'b0;

task command(input [31:0] address, input [28:0] words);
    begin
        command_address <= address[31:3];
        command_words <= words;
        command_valid <= 1'b1;
        cycles(1);
        while (!dut.command_ready) cycles(1);
        command_valid <= 1'b0;
    end
endtask
