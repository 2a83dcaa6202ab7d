// SPDX-License-Identifier: Apache-2.0
// One of the nine banks of a convolution: its copy of the weights, and the currents I = Σ w of every third row and
// column of the maps. A spike moves at most one position of each bank, so all nine take it in the same cycle.
//
//   stage   0  the weights of the kernel's place that lies over this bank are read
//           1  they are added to the sum over the spikes of one position; the currents are read
//           2  current + sum, or twice the current, or 0
//           3  it is written
//
// What the two operations before have not written yet is taken from them, so that positions side by side may follow
// each other. Distributed RAM is read and written in stage 2. A word holds all maps that are summed at once.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module spk_bank #(
    // Maps that are summed side by side, a multiple of 64 / WEIGHT_BITS
    parameter integer MAPS = 32,
    // Words of weights, and of currents
    parameter integer ROWS = 512,
    parameter integer WORDS = 256,
    // Bits of a weight (2, 4 or 8), of the sum over the spikes of a position, and of a current
    parameter integer WEIGHT_BITS = 4,
    parameter integer SUM_BITS = 9,
    parameter integer MEMBRANE_BITS = 12,
    // 1: currents are in distributed RAM
    parameter integer DISTRIBUTED = 0,
    // 1: currents can be doubled
    parameter integer DIRECT = 0,
    parameter integer PARTS = MAPS * WEIGHT_BITS / 64,
    parameter integer ROW_BITS = $clog2(ROWS),
    parameter integer ADDRESS_BITS = $clog2(WORDS)
) (
    input  wire                          aclk,
    // Stage 0: weights
    input  wire [          ROW_BITS-1:0] row,
    // Stage 1: they are added to the sum, which begins with them; currents, and what happens to them
    input  wire                          add,
    input  wire                          first,
    input  wire [      ADDRESS_BITS-1:0] address,
    input  wire                          update,
    input  wire                          clear,
    input  wire                          twice,
    // Stage 2: what the currents were
    output wire [MAPS*MEMBRANE_BITS-1:0] currents,
    // Loading: 64 bits of a word of weights
    input  wire [             PARTS-1:0] weight_write,
    input  wire [          ROW_BITS-1:0] write_row,
    input  wire [                  63:0] write_data
);

reg  [MAPS*WEIGHT_BITS-1:0]   weights_reg; // stage 1
reg  [MAPS*SUM_BITS-1:0]      sums_reg;    // stage 2
reg  [ADDRESS_BITS-1:0]       address_reg;
reg                           update_reg;
reg                           clear_reg;
reg                           twice_reg;
wire [MAPS*MEMBRANE_BITS-1:0] next;

genvar p;
generate
    for (p = 0; p < PARTS; p = p + 1) begin : part
        (* ram_style = "block" *) reg [63:0] weights [0:ROWS-1];
        always @(posedge aclk) begin
            if (weight_write[p]) weights[write_row] <= write_data;
            weights_reg[p*64 +: 64] <= weights[row];
        end
    end
endgenerate

generate
    if (DISTRIBUTED != 0) begin : at_once // it is read and written in the same cycle
        (* ram_style = "distributed" *) reg [MAPS*MEMBRANE_BITS-1:0] words [0:WORDS-1];
        assign currents = words[address_reg];
        always @(posedge aclk) if (update_reg) words[address_reg] <= next;
    end else begin : in_turn
        (* ram_style = "block" *) reg [MAPS*MEMBRANE_BITS-1:0] words [0:WORDS-1];
        reg [MAPS*MEMBRANE_BITS-1:0] read_reg;
        reg [MAPS*MEMBRANE_BITS-1:0] write_reg; // stage 3
        reg [ADDRESS_BITS-1:0]       write_address_reg;
        reg                          write_valid_reg;
        reg [MAPS*MEMBRANE_BITS-1:0] wrote_reg; // a stage later
        reg [ADDRESS_BITS-1:0]       wrote_address_reg;
        reg                          wrote_valid_reg;
        wire newest = write_valid_reg && write_address_reg == address_reg;
        wire newer = wrote_valid_reg && wrote_address_reg == address_reg;
        assign currents = newest ? write_reg : newer ? wrote_reg : read_reg;
        always @(posedge aclk) begin
            if (write_valid_reg) words[write_address_reg] <= write_reg;
            read_reg <= words[address];
            write_reg <= next;
            write_address_reg <= address_reg;
            write_valid_reg <= update_reg;
            wrote_reg <= write_reg;
            wrote_address_reg <= write_address_reg;
            wrote_valid_reg <= write_valid_reg;
        end
    end
endgenerate

genvar m;
generate
    for (m = 0; m < MAPS; m = m + 1) begin : map
        wire [WEIGHT_BITS-1:0]   weight = weights_reg[m*WEIGHT_BITS +: WEIGHT_BITS];
        wire [SUM_BITS-1:0]      sum = sums_reg[m*SUM_BITS +: SUM_BITS];
        wire [MEMBRANE_BITS-1:0] current = currents[m*MEMBRANE_BITS +: MEMBRANE_BITS];
        wire [MEMBRANE_BITS-1:0] more = DIRECT != 0 && twice_reg ? current
            : {{(MEMBRANE_BITS-SUM_BITS){sum[SUM_BITS-1]}}, sum};
        always @(posedge aclk)
            if (add)
                sums_reg[m*SUM_BITS +: SUM_BITS] <= (first ? {SUM_BITS{1'b0}} : sum)
                    + {{(SUM_BITS-WEIGHT_BITS){weight[WEIGHT_BITS-1]}}, weight};
        assign next[m*MEMBRANE_BITS +: MEMBRANE_BITS] = clear_reg ? {MEMBRANE_BITS{1'b0}} : current + more;
    end
endgenerate

always @(posedge aclk) begin
    address_reg <= address;
    update_reg <= update;
    clear_reg <= clear;
    twice_reg <= twice;
end

endmodule

`resetall
