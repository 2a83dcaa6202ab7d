// SPDX-License-Identifier: Apache-2.0
// spk_queue loses, repeats and reorders nothing, and says rightly whether half of it is free.
//
// As in fifo.v the solver picks any one word as it is written, and it must come out when all before it have. The writer
// keeps to what spk_convolve.v does: it begins with as many words as half of the queue holds when there is `room`.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_queue (
    input wire aclk
);

localparam WIDTH = 4; // the queue does not look at its words
localparam DEPTH = 8;
localparam [2:0] HALF = DEPTH / 2;

(* anyseq *) wire             reset;
(* anyseq *) wire [WIDTH-1:0] s_data;
(* anyseq *) wire             s_valid;
(* anyseq *) wire             m_ready;
(* anyseq *) wire             pick;
(* anyseq *) wire             begins;
wire [WIDTH-1:0] m_data;
wire             m_valid;
wire             room;
wire             empty;

spk_queue #(.WIDTH(WIDTH), .DEPTH(DEPTH)) queue (
    .aclk(aclk),
    .reset(reset),
    .s_data(s_data),
    .s_valid(s_valid),
    .m_data(m_data),
    .m_valid(m_valid),
    .m_ready(m_ready),
    .room(room),
    .empty(empty)
);

// The queue's own registers, for invariants alone
(* hierconn *) wire [3:0]       \queue.write_reg ;
(* hierconn *) wire [3:0]       \queue.read_reg ;
(* hierconn *) wire [WIDTH-1:0] \queue.memory[0] , \queue.memory[1] , \queue.memory[2] , \queue.memory[3] ;
(* hierconn *) wire [WIDTH-1:0] \queue.memory[4] , \queue.memory[5] , \queue.memory[6] , \queue.memory[7] ;
wire [DEPTH*WIDTH-1:0] memory = {
    \queue.memory[7] , \queue.memory[6] , \queue.memory[5] , \queue.memory[4] ,
    \queue.memory[3] , \queue.memory[2] , \queue.memory[1] , \queue.memory[0] };

reg             begun = 1'b0;
reg [3:0]       count = 0;  // words in it, with that at the output
reg [2:0]       left = 0;   // that the writer may still write
reg             picked = 1'b0;
reg [WIDTH-1:0] word;
reg [3:0]       ahead;
wire            take = m_valid && m_ready;
wire [2:0]      place = \queue.read_reg [2:0] + ahead[2:0] - {2'd0, m_valid};

always @(posedge aclk) begin
    begun <= 1'b1;
    count <= count + s_valid - take;
    left <= begins ? HALF : left - s_valid;
    if (s_valid && pick && !picked) begin
        picked <= 1'b1;
        word <= s_data;
        ahead <= count - take;
    end else if (take && picked) begin
        ahead <= ahead - 4'd1;
        if (ahead == 0) picked <= 1'b0;
    end
    if (reset) begin
        count <= 0;
        left <= 0;
        picked <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (reset);
    if (begins) assume (room && left == 0 && !s_valid);
    if (left == 0) assume (!s_valid);

    if (begun) begin
        if (m_valid) assert (count != 0);
        assert (empty == (count == 0));
        assert (room == (count - m_valid <= DEPTH / 2));
        if (picked) assert (ahead < count);
        if (picked && ahead == 0 && m_valid) assert (m_data == word);

        // Invariants
        assert (count <= DEPTH + 1);
        assert (count - m_valid + left <= DEPTH);
        assert (\queue.write_reg - \queue.read_reg == count - m_valid);
        if (picked && !(m_valid && ahead == 0)) assert (memory[place*WIDTH +: WIDTH] == word);
    end

    cover (count == DEPTH + 1);
    cover (picked && ahead == 5 && word == 10 && take);
    cover (picked && ahead == 0 && take && s_valid);
end

endmodule

`resetall
