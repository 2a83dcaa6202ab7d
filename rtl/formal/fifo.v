// SPDX-License-Identifier: Apache-2.0
// spk_fifo loses, repeats and reorders nothing.
//
// The solver picks any one word as it is written. How many words stand before it is counted here; the word must come
// out exactly when all of those have, and stand still at the output until it is taken. As any word may be picked, this
// holds for all.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_fifo #(
    // 1: fill, then drain, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

localparam WIDTH = 4; // the queue does not look at its words
localparam DEPTH = 16;

(* anyseq *) wire             reset;
(* anyseq *) wire [WIDTH-1:0] s_data;
(* anyseq *) wire             s_valid;
(* anyseq *) wire             m_ready;
(* anyseq *) wire             pick;
wire [WIDTH-1:0] m_data;
wire             m_valid;

spk_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) queue (
    .aclk(aclk),
    .reset(reset),
    .s_data(s_data),
    .s_valid(s_valid),
    .m_data(m_data),
    .m_valid(m_valid),
    .m_ready(m_ready)
);

// The queue's own registers, for invariants alone
(* hierconn *) wire [4:0]       \queue.write_reg ;
(* hierconn *) wire [4:0]       \queue.read_reg ;
(* hierconn *) wire [WIDTH-1:0] \queue.memory[0] , \queue.memory[1] , \queue.memory[2] , \queue.memory[3] ;
(* hierconn *) wire [WIDTH-1:0] \queue.memory[4] , \queue.memory[5] , \queue.memory[6] , \queue.memory[7] ;
(* hierconn *) wire [WIDTH-1:0] \queue.memory[8] , \queue.memory[9] , \queue.memory[10] , \queue.memory[11] ;
(* hierconn *) wire [WIDTH-1:0] \queue.memory[12] , \queue.memory[13] , \queue.memory[14] , \queue.memory[15] ;
wire [DEPTH*WIDTH-1:0] memory = {
    \queue.memory[15] , \queue.memory[14] , \queue.memory[13] , \queue.memory[12] ,
    \queue.memory[11] , \queue.memory[10] , \queue.memory[9] , \queue.memory[8] ,
    \queue.memory[7] , \queue.memory[6] , \queue.memory[5] , \queue.memory[4] ,
    \queue.memory[3] , \queue.memory[2] , \queue.memory[1] , \queue.memory[0] };

reg             begun = 1'b0;
reg [4:0]       count = 0;
reg             picked = 1'b0;
reg [WIDTH-1:0] word;
reg [4:0]       ahead;
reg             was_full = 1'b0;
reg             drained = 1'b0;
wire            take = m_valid && m_ready;
wire [3:0]      place = \queue.read_reg [3:0] + ahead[3:0];

always @(posedge aclk) begin
    begun <= 1'b1;
    count <= count + s_valid - take;
    if (s_valid && pick && !picked) begin
        picked <= 1'b1;
        word <= s_data;
        ahead <= count - take;
    end else if (take && picked) begin
        ahead <= ahead - 5'd1;
        if (ahead == 0) picked <= 1'b0;
    end
    was_full <= was_full || count == DEPTH - 1;
    drained <= was_full && count == 0;
    if (reset) begin
        count <= 0;
        picked <= 1'b0;
        was_full <= 1'b0;
        drained <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (reset);
    if (count == DEPTH) assume (!s_valid); // the writer keeps count of the room: proved of spk_layer in layer.v

    if (GUIDED != 0 && begun) assume (!reset && s_valid == !was_full && m_ready == was_full);

    if (begun) begin
        assert (m_valid == (count != 0));
        if (picked) assert (ahead < count);
        if (picked && ahead == 0) assert (m_data == word);

        // Invariants
        assert (count <= DEPTH);
        assert (\queue.write_reg - \queue.read_reg == count);
        if (picked) assert (memory[place*WIDTH +: WIDTH] == word);
    end

    cover (count == DEPTH);
    cover (drained);
    cover (picked && ahead == 5 && word == 10 && take);
    cover (picked && ahead == 0 && take);
end

endmodule

`resetall
