// SPDX-License-Identifier: Apache-2.0
// spk_bank adds, doubles and clears each current in the order in which it is told, however close the operations follow.
//
// The solver picks any one word. What its first map's current is after all operations so far is worked out here, one
// operation at a time, and the sum over the spikes of a position beside it; each operation must write that. As any word
// may be picked, this holds for all. What goes out to be decided must be that current as well, wherever the two
// operations before were on other words: spk_convolve.v decides a step later than that after its last spike.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_bank #(
    parameter integer DISTRIBUTED = 0,
    parameter integer DIRECT = 0
) (
    input wire aclk
);

localparam MAPS = 16;
localparam ROWS = 2;
localparam WORDS = 4;
localparam WEIGHT_BITS = 4;
localparam SUM_BITS = 5;
localparam MEMBRANE_BITS = 6;

(* anyseq *) wire        read;
(* anyseq *) wire        row;
(* anyseq *) wire        add;
(* anyseq *) wire        first;
(* anyseq *) wire [ 1:0] address;
(* anyseq *) wire        update;
(* anyseq *) wire        clear;
(* anyseq *) wire        twice;
(* anyseq *) wire        weight_write;
(* anyseq *) wire        write_row;
(* anyseq *) wire [63:0] write_data;
(* anyconst *) wire [1:0] picked;
wire [MAPS*MEMBRANE_BITS-1:0] currents;

spk_bank #(
    .MAPS(MAPS),
    .ROWS(ROWS),
    .WORDS(WORDS),
    .WEIGHT_BITS(WEIGHT_BITS),
    .SUM_BITS(SUM_BITS),
    .MEMBRANE_BITS(MEMBRANE_BITS),
    .DISTRIBUTED(DISTRIBUTED),
    .DIRECT(DIRECT)
) bank (
    .aclk(aclk),
    .read(read),
    .row(row),
    .add(add),
    .first(first),
    .address(address),
    .update(update),
    .clear(clear),
    .twice(twice),
    .currents(currents),
    .weight_write(weight_write),
    .write_row(write_row),
    .write_data(write_data)
);

// The module's own registers, for invariants alone
(* hierconn *) wire [MAPS*WEIGHT_BITS-1:0]   \bank.weights_word_reg ;
(* hierconn *) wire [MAPS*SUM_BITS-1:0]      \bank.sums_reg ;
(* hierconn *) wire [1:0]                    \bank.from_reg ;
(* hierconn *) wire [MAPS*MEMBRANE_BITS-1:0] \bank.write_reg ;
(* hierconn *) wire [1:0]                    \bank.write_address_reg ;
(* hierconn *) wire                          \bank.write_valid_reg ;
(* hierconn *) wire                          \bank.update_reg ;
(* hierconn *) wire [MAPS*MEMBRANE_BITS-1:0] \bank.words[0] , \bank.words[1] , \bank.words[2] , \bank.words[3] ;
localparam WORD_BITS = MAPS * MEMBRANE_BITS;
wire [4*WORD_BITS-1:0]   memory = {\bank.words[3] , \bank.words[2] , \bank.words[1] , \bank.words[0] };
wire [MEMBRANE_BITS-1:0] stored = memory[picked*WORD_BITS +: MEMBRANE_BITS];
wire [MEMBRANE_BITS-1:0] shown = currents[MEMBRANE_BITS-1:0];

// Stage 2: the operation, and what the sum must be
reg                     update_reg = 1'b0;
reg                     clear_reg;
reg                     twice_reg;
reg [1:0]               address_reg;
reg [SUM_BITS-1:0]      sum;
reg                     sum_known = 1'b0;
// Stage 3, and the current after all operations up to there
reg                     begun = 1'b0;
reg                     here_reg = 1'b0; // the operation in stage 3 is on the picked word
reg                     here_before_reg = 1'b0;
reg                     valid_reg = 1'b0;
reg                     known = 1'b0;    // since it was cleared
reg [MEMBRANE_BITS-1:0] current;

wire [WEIGHT_BITS-1:0]   weight = \bank.weights_word_reg [WEIGHT_BITS-1:0];
wire [MEMBRANE_BITS-1:0] wide_sum = {{(MEMBRANE_BITS-SUM_BITS){sum[SUM_BITS-1]}}, sum};
wire                     here = update_reg && address_reg == picked;

always @(posedge aclk) begin
    begun <= 1'b1;
    update_reg <= update;
    clear_reg <= clear;
    twice_reg <= twice && DIRECT != 0;
    address_reg <= address;
    if (twice && DIRECT != 0) sum_known <= 1'b0;
    else if (add) begin
        sum <= (first ? 0 : sum) + {{(SUM_BITS-WEIGHT_BITS){weight[WEIGHT_BITS-1]}}, weight};
        sum_known <= first || sum_known;
    end
    here_reg <= here;
    here_before_reg <= here_reg;
    valid_reg <= update_reg;
    if (here) begin
        known <= clear_reg || (known && (twice_reg || sum_known));
        current <= clear_reg ? 0 : twice_reg ? current << 1 : current + wide_sum;
    end
end

always @* begin
    if (!begun) assume (!\bank.update_reg && !\bank.write_valid_reg );
    // What spk_convolve.v does: doubling goes over words that nothing was done to in the two cycles before, and adds up
    // nothing in that cycle.
    if (twice) assume (update && !clear && !add);
    if (twice && address == picked) assume (!here && !here_reg);

    if (begun) begin
        if (here_reg && known) assert (\bank.write_reg [MEMBRANE_BITS-1:0] == current);
        if (here && known && !here_reg && !here_before_reg)
            assert (shown == current);

        // Invariants
        assert (\bank.write_valid_reg == valid_reg);
        if (valid_reg) assert (here_reg == (\bank.write_address_reg == picked));
        if (!valid_reg) assert (!here_reg);
        if (sum_known) assert (\bank.sums_reg [SUM_BITS-1:0] == sum);
        if (known && !here_reg) assert (stored == current);
        if (here && twice_reg) assert (\bank.from_reg == 3);
        if (here && !twice_reg)
            assert (\bank.from_reg == (here_reg ? 1 : here_before_reg && DISTRIBUTED == 0 ? 2 : 0));
        if (here && twice_reg) assert (!sum_known && \bank.sums_reg [SUM_BITS-1:0] == 0);
    end

    cover (here && here_reg && known && !clear_reg && current == 5);
    cover (here && !here_reg && here_before_reg && known && !clear_reg && current == 9);
    cover (here && twice_reg && known && current == 3);
    cover (here && clear_reg && known && here_reg && current == 7);
end

endmodule

`resetall
