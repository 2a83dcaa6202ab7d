// SPDX-License-Identifier: Apache-2.0
// spk_regs obeys AXI4-Lite, and reads and writes give what docs/registers.md says.
//
// Requests accepted and not yet answered are counted here, for writes and for reads. The master keeps the rules too:
// what it offers stays until it is taken. Registers that change, commands and resets are modelled beside the module.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module formal_axi_lite (
    input wire aclk
);

localparam LAYERS = 2;
localparam [31:0] BUILD = 32'h12345678;

(* anyseq *) wire        aresetn;
(* anyseq *) wire [11:0] s_axil_awaddr;
(* anyseq *) wire        s_axil_awvalid;
(* anyseq *) wire [31:0] s_axil_wdata;
(* anyseq *) wire [ 3:0] s_axil_wstrb;
(* anyseq *) wire        s_axil_wvalid;
(* anyseq *) wire        s_axil_bready;
(* anyseq *) wire [11:0] s_axil_araddr;
(* anyseq *) wire        s_axil_arvalid;
(* anyseq *) wire        s_axil_rready;
(* anyseq *) wire        idle;
(* anyseq *) wire        loaded;
(* anyseq *) wire [31:0] model;
(* anyseq *) wire        error_valid;
(* anyseq *) wire [ 7:0] error_code;
(* anyseq *) wire [ 7:0] error_packet;
(* anyseq *) wire [ 7:0] error_layer;
(* anyseq *) wire        quiet;
(* anyseq *) wire        send_done;
(* anyseq *) wire        receive_done;
(* anyseq *) wire [31:0] sends;
(* anyseq *) wire [31:0] receives;
(* anyseq *) wire [ 7:0] sends_left;
(* anyseq *) wire [ 7:0] receives_left;
(* anyseq *) wire        memory_error;
(* anyseq *) wire [ 2:0] memory_error_code;
(* anyseq *) wire        memory_error_receive;
(* anyseq *) wire [39:0] memory_error_address;
(* anyseq *) wire        count_cycle;
(* anyseq *) wire        count_image;
(* anyseq *) wire        count_step;
(* anyseq *) wire        count_stall_input;
(* anyseq *) wire        count_stall_output;
(* anyseq *) wire [LAYERS*4-1:0] count_row_reads;
wire        s_axil_awready;
wire        s_axil_wready;
wire [ 1:0] s_axil_bresp;
wire        s_axil_bvalid;
wire        s_axil_arready;
wire [31:0] s_axil_rdata;
wire [ 1:0] s_axil_rresp;
wire        s_axil_rvalid;
wire        soft_reset;
wire        scores;
wire        every_step;
wire        irq;
wire        command_valid;
wire        command_receive;
wire        command_last;
wire [31:0] command_bytes;
wire [39:0] command_address;

spk_regs #(
    .BUILD(BUILD),
    .LAYERS(LAYERS),
    .LAYER_INPUTS({16'd256, 16'd784}),
    .LAYER_NEURONS({16'd16, 16'd256}),
    .LAYER_PARALLEL({16'd2, 16'd4})
) regs (
    .aclk(aclk),
    .aresetn(aresetn),
    .s_axil_awaddr(s_axil_awaddr),
    .s_axil_awvalid(s_axil_awvalid),
    .s_axil_awready(s_axil_awready),
    .s_axil_wdata(s_axil_wdata),
    .s_axil_wstrb(s_axil_wstrb),
    .s_axil_wvalid(s_axil_wvalid),
    .s_axil_wready(s_axil_wready),
    .s_axil_bresp(s_axil_bresp),
    .s_axil_bvalid(s_axil_bvalid),
    .s_axil_bready(s_axil_bready),
    .s_axil_araddr(s_axil_araddr),
    .s_axil_arvalid(s_axil_arvalid),
    .s_axil_arready(s_axil_arready),
    .s_axil_rdata(s_axil_rdata),
    .s_axil_rresp(s_axil_rresp),
    .s_axil_rvalid(s_axil_rvalid),
    .s_axil_rready(s_axil_rready),
    .irq(irq),
    .soft_reset(soft_reset),
    .scores(scores),
    .every_step(every_step),
    .idle(idle),
    .loaded(loaded),
    .model(model),
    .error_valid(error_valid),
    .error_code(error_code),
    .error_packet(error_packet),
    .error_layer(error_layer),
    .command_valid(command_valid),
    .command_receive(command_receive),
    .command_last(command_last),
    .command_bytes(command_bytes),
    .command_address(command_address),
    .quiet(quiet),
    .send_done(send_done),
    .receive_done(receive_done),
    .sends(sends),
    .receives(receives),
    .sends_left(sends_left),
    .receives_left(receives_left),
    .memory_error(memory_error),
    .memory_error_code(memory_error_code),
    .memory_error_receive(memory_error_receive),
    .memory_error_address(memory_error_address),
    .count_cycle(count_cycle),
    .count_image(count_image),
    .count_step(count_step),
    .count_stall_input(count_stall_input),
    .count_stall_output(count_stall_output),
    .count_row_reads(count_row_reads)
);

// The module's own registers, for invariants alone
(* hierconn *) wire [(5+LAYERS)*48-1:0] \regs.counter_reg ;
(* hierconn *) wire [31:0]              \regs.high_reg ;
(* hierconn *) wire [7:0]               \regs.error_code_reg ;
(* hierconn *) wire [7:0]               \regs.error_packet_reg ;
(* hierconn *) wire [7:0]               \regs.error_layer_reg ;
(* hierconn *) wire [2:0]               \regs.enable_reg ;
(* hierconn *) wire [2:0]               \regs.pending_reg ;
(* hierconn *) wire [1:0]               \regs.failed_reg ;
(* hierconn *) wire                     \regs.clear_error_reg ;
(* hierconn *) wire                     \regs.clear_counters_reg ;

wire aw = s_axil_awvalid && s_axil_awready;
wire w = s_axil_wvalid && s_axil_wready;
wire b = s_axil_bvalid && s_axil_bready;
wire ar = s_axil_arvalid && s_axil_arready;
wire r = s_axil_rvalid && s_axil_rready;

wire [11:0] write_address = {s_axil_awaddr[11:2], 2'b00};
wire [11:0] read_address = {s_axil_araddr[11:2], 2'b00};
wire        mapped = read_address <= `SPK_REG_PARALLEL
    || (read_address >= `SPK_REG_LAYER && read_address < `SPK_REG_LAYER + 4 * LAYERS)
    || (read_address >= `SPK_REG_FEATURES && read_address <= `SPK_REG_INTERRUPT
        && read_address != `SPK_REG_SEND && read_address != `SPK_REG_RECEIVE) // FEATURES, MODEL, commands, interrupt
    || (read_address >= `SPK_REG_CYCLES_LO && read_address <= `SPK_REG_STALL_OUTPUT_HI)
    || (read_address >= `SPK_REG_ROW_READS_LO && read_address < `SPK_REG_ROW_READS_LO + 8 * LAYERS);
wire        control = aw && write_address == `SPK_REG_CONTROL;
wire        send = aw && write_address == `SPK_REG_SEND && &s_axil_wstrb;
wire        receive = aw && write_address == `SPK_REG_RECEIVE && &s_axil_wstrb;
wire [31:0] strobe = {{8{s_axil_wstrb[3]}}, {8{s_axil_wstrb[2]}}, {8{s_axil_wstrb[1]}}, {8{s_axil_wstrb[0]}}};

// ---- requests and answers ----
reg begun = 1'b0;
reg released = 1'b0; // was out of reset in the cycle before
reg [3:0] writes = 0;
reg [3:0] reads = 0;
reg [1:0] write_wait = 0;
reg [1:0] read_wait = 0;

// ---- the cycle before ----
reg        was_aw, was_w, was_b, was_ar, was_r;
reg        aw_held, w_held, ar_held, b_held, r_held;
reg [11:0] was_awaddr, was_araddr;
reg [31:0] was_wdata, was_rdata;
reg [ 3:0] was_wstrb;
reg [ 1:0] was_bresp, was_rresp;
reg        was_mapped, was_idle, was_loaded;
reg [11:0] was_address;
reg        was_soft_reset, was_quiet, was_soft_reset_write, was_send, was_receive;
reg [31:0] memory_says; // what is read of the memory at was_address

// ---- models ----
reg [31:0] options = 0; // CONTROL as written, byte by byte
reg [31:0] was_options;
reg [31:0] was_model;
reg [39:0] place = 0; // ADDRESS
reg [39:0] was_place;
reg [ 2:0] enable = 0;
reg [ 2:0] was_enable;
reg [ 2:0] pending = 0; // INTERRUPT
reg [ 2:0] was_pending;
reg        was_wrong = 1'b0; // ERROR was not 0
reg        was_memory_error = 1'b0;
reg [23:0] error = 0;
reg [23:0] was_error;
reg [47:0] cycles = 0;
reg [47:0] was_cycles;
reg        clear_error = 1'b0;
reg        clear_counters = 1'b0;
reg        low_read = 1'b0; // the last low word that was read is that of CYCLES
reg        was_low_read;
reg [15:0] captured;
reg [15:0] was_captured;

always @(posedge aclk) begin
    begun <= 1'b1;
    released <= aresetn;
    writes <= writes + aw - b;
    reads <= reads + ar - r;
    write_wait <= s_axil_awvalid && s_axil_wvalid && !aw ? write_wait + 1'b1 : 0;
    read_wait <= s_axil_arvalid && !ar ? read_wait + 1'b1 : 0;
    if (!s_axil_bready) write_wait <= 0;
    if (!s_axil_rready) read_wait <= 0;

    {was_aw, was_w, was_b, was_ar, was_r} <= {aw, w, b, ar, r};
    aw_held <= s_axil_awvalid && !aw;
    w_held <= s_axil_wvalid && !w;
    ar_held <= s_axil_arvalid && !ar;
    b_held <= s_axil_bvalid && !b;
    r_held <= s_axil_rvalid && !r;
    {was_awaddr, was_araddr} <= {s_axil_awaddr, s_axil_araddr};
    {was_wdata, was_wstrb, was_rdata} <= {s_axil_wdata, s_axil_wstrb, s_axil_rdata};
    {was_bresp, was_rresp} <= {s_axil_bresp, s_axil_rresp};
    {was_mapped, was_idle, was_loaded, was_address} <= {mapped, idle, loaded, read_address};
    was_soft_reset_write <= control && |(strobe & s_axil_wdata & 32'd1);
    {was_soft_reset, was_quiet, was_send, was_receive} <= {soft_reset, quiet, send, receive};
    case (read_address)
        `SPK_REG_SENT: memory_says <= sends;
        `SPK_REG_RECEIVED: memory_says <= receives;
        `SPK_REG_COMMANDS: memory_says <= {receives_left, sends_left};
        `SPK_REG_MEMORY_ERROR: memory_says <= {memory_error_receive, 5'd0, memory_error_code};
        `SPK_REG_ERROR_ADDRESS_LO: memory_says <= memory_error_address[31:0];
        `SPK_REG_ERROR_ADDRESS_HI: memory_says <= memory_error_address[39:32];
        default: memory_says <= s_axil_rdata;
    endcase

    if (control) options <= ((options & ~strobe) | (s_axil_wdata & strobe)) & 32'h300;
    if (aw && write_address == `SPK_REG_ADDRESS_LO)
        place[31:0] <= (place[31:0] & ~strobe) | (s_axil_wdata & strobe);
    if (aw && write_address == `SPK_REG_ADDRESS_HI)
        place[39:32] <= (place[39:32] & ~strobe[7:0]) | (s_axil_wdata[7:0] & strobe[7:0]);
    if (aw && write_address == `SPK_REG_INTERRUPT_ENABLE)
        enable <= (enable & ~strobe[2:0]) | (s_axil_wdata[2:0] & strobe[2:0]);
    // Cleared by a 1, but what happens in that cycle is not lost
    if (aw && write_address == `SPK_REG_INTERRUPT) pending <= pending & ~(s_axil_wdata[2:0] & strobe[2:0]);
    if (receive_done) pending[`SPK_INTERRUPT_RECEIVED] <= 1'b1;
    if (send_done) pending[`SPK_INTERRUPT_SENT] <= 1'b1;
    was_wrong <= error[7:0] != 0;
    was_memory_error <= memory_error;
    if ((error[7:0] != 0 && !was_wrong) || (memory_error && !was_memory_error)) pending[`SPK_INTERRUPT_FAILED] <= 1'b1;
    if (soft_reset || !aresetn) {pending, was_wrong, was_memory_error} <= 0;
    clear_error <= control && |(strobe & s_axil_wdata & 32'd2);
    clear_counters <= control && |(strobe & s_axil_wdata & 32'd4);
    if (error[7:0] == 0 && error_valid) error <= {error_layer, error_packet, error_code};
    if (soft_reset || clear_error) error <= 0;
    cycles <= clear_counters ? 48'd0 : cycles + count_cycle;
    if (ar && read_address[11:3] >= 9'h010 && !read_address[2] && mapped) begin
        low_read <= read_address == `SPK_REG_CYCLES_LO;
        captured <= cycles[47:32];
    end
    {was_options, was_model, was_error} <= {options, loaded ? model : 32'd0, error};
    {was_place, was_enable, was_pending} <= {place, enable, pending};
    {was_cycles, was_low_read, was_captured} <= {cycles, low_read, captured};

    if (!aresetn) begin
        writes <= 0;
        reads <= 0;
        write_wait <= 0;
        read_wait <= 0;
        options <= 0;
        place <= 0;
        enable <= 0;
        error <= 0;
        cycles <= 0;
        low_read <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (!aresetn);
    // The master
    if (!aresetn) assume (!s_axil_awvalid && !s_axil_wvalid && !s_axil_arvalid);
    if (released && aw_held) assume (!aresetn || (s_axil_awvalid && s_axil_awaddr == was_awaddr));
    if (released && w_held)
        assume (!aresetn || (s_axil_wvalid && s_axil_wdata == was_wdata && s_axil_wstrb == was_wstrb));
    if (released && ar_held) assume (!aresetn || (s_axil_arvalid && s_axil_araddr == was_araddr));

    if (begun) begin
        // Each request is answered once, nothing else is, and always OKAY
        assert (aw == w);
        assert (writes == s_axil_bvalid && reads == s_axil_rvalid);
        assert (s_axil_bresp == 0 && s_axil_rresp == 0);
        // An answer stays as it is until it is taken
        if (released && b_held) assert (s_axil_bvalid && s_axil_bresp == was_bresp);
        if (released && r_held) assert (s_axil_rvalid && s_axil_rdata == was_rdata && s_axil_rresp == was_rresp);
        // Reset takes back all answers
        if (!released) assert (!s_axil_bvalid && !s_axil_rvalid && !soft_reset && !scores && !every_step);
        if (!released) assert (!command_valid && !irq);
        // A ready master waits at most a cycle for its request, and none for its answer
        assert (write_wait <= 1 && read_wait <= 1);

        if (released) begin
            // Writes: byte by byte
            assert (scores == options[8] && every_step == options[9]);
            // A reset lasts until the memory is quiet, and one that is given meanwhile as well
            assert (soft_reset == (was_soft_reset_write || (was_soft_reset && !was_quiet)));
            // A command is pushed once, by a write of all its bytes, and none during a reset
            assert (command_valid == ((was_send || was_receive) && !was_soft_reset));
            if (was_send) assert (!command_receive && !command_bytes[0]);
            if (was_send) assert ({command_bytes[31:1], command_last} == was_wdata);
            if (was_receive) assert (command_receive && command_bytes == was_wdata);
            assert (irq == |(was_pending & was_enable));
            // Reads
            if (was_ar) begin
                if (!was_mapped) assert (s_axil_rdata == 0);
                if (was_address == `SPK_REG_ID) assert (s_axil_rdata == `SPK_ID_VALUE_RESET);
                if (was_address == `SPK_REG_BUILD) assert (s_axil_rdata == BUILD);
                if (was_address == `SPK_REG_CONTROL) assert (s_axil_rdata == was_options);
                if (was_address == `SPK_REG_MODEL) assert (s_axil_rdata == was_model);
                if (was_address == `SPK_REG_ADDRESS_LO) assert (s_axil_rdata == was_place[31:0]);
                if (was_address == `SPK_REG_ADDRESS_HI) assert (s_axil_rdata == was_place[39:32]);
                if (was_address >= `SPK_REG_SENT && was_address <= `SPK_REG_ERROR_ADDRESS_HI)
                    assert (s_axil_rdata == memory_says);
                if (was_address == `SPK_REG_INTERRUPT_ENABLE) assert (s_axil_rdata == was_enable);
                if (was_address == `SPK_REG_INTERRUPT) assert (s_axil_rdata == was_pending);
                if (was_address == `SPK_REG_STATUS) assert (s_axil_rdata == {was_loaded, was_idle});
                if (was_address == `SPK_REG_ERROR) assert (s_axil_rdata == was_error);
                if (was_address == `SPK_REG_PARALLEL) assert (s_axil_rdata == 32'h24);
                if (was_address == `SPK_REG_LAYER + 4) assert (s_axil_rdata == {16'd16, 16'd256});
                if (was_address == `SPK_REG_CYCLES_LO) assert (s_axil_rdata == was_cycles[31:0]);
                if (was_address == `SPK_REG_CYCLES_HI && was_low_read) assert (s_axil_rdata == was_captured);
            end
        end

        // Invariants
        assert (options == {22'd0, every_step, scores, 8'd0});
        assert (place == command_address && enable == \regs.enable_reg && pending == \regs.pending_reg );
        assert ({was_memory_error, was_wrong} == \regs.failed_reg );
        assert (error == {\regs.error_layer_reg , \regs.error_packet_reg , \regs.error_code_reg });
        assert (cycles == \regs.counter_reg [47:0]);
        if (low_read) assert (captured == \regs.high_reg );
        if (released) assert (clear_error == \regs.clear_error_reg && clear_counters == \regs.clear_counters_reg );
    end

    cover (released && was_b && aw);                              // a write each cycle or two
    cover (released && s_axil_bvalid && b_held && s_axil_rvalid && r_held && aresetn);
    cover (released && scores && !every_step && was_b);
    cover (released && soft_reset);
    cover (released && was_ar && was_address == `SPK_REG_MODEL && was_model == 32'h01020304);
    cover (released && was_ar && was_address == `SPK_REG_ERROR && was_error == 24'h010203);
    cover (released && was_ar && was_address == `SPK_REG_CYCLES_HI && was_low_read && was_cycles[31:0] == 3);
    cover (released && was_ar && !was_mapped);
    cover (released && command_valid && command_last && command_address == 40'h0100000008 && command_bytes == 16);
    cover (released && command_valid && command_receive && was_wdata == 24);
    cover (released && was_send && was_soft_reset && !soft_reset && aresetn);
    cover (released && irq && pending == 3'b100 && memory_error);
    cover (released && was_ar && was_address == `SPK_REG_INTERRUPT && was_pending == 3'b011 && pending == 3'b010);
    cover (begun && !aresetn && s_axil_rvalid && s_axil_bvalid);
end

endmodule

`resetall
