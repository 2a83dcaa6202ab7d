// What the benches of the waveforms share. They drive the module at rising edges, as its neighbours would; the picture
// shows the cycles in which `show` is 1.
reg aclk = 1'b0;
reg reset = 1'b1;
reg show = 1'b0;

always #5 aclk = !aclk;

task cycles(input integer count);
    repeat (count) @(posedge aclk);
endtask
