// SPDX-License-Identifier: Apache-2.0
// One of the nine banks of a convolution: its copy of the weights, and the currents I = Σ w of every third row and
// column of the maps. A spike moves at most one position of each bank, so all nine take it in the same cycle.
//
//   stage   0  the weights of the kernel's place that lies over this bank are read
//           1  they are added to the sum over the spikes of one position; the currents are read
//           2  current + sum, or twice the current, or 0
//           3  it is written
//
// What the operations before have not written yet is taken from them, so that positions side by side may follow each
// other; the currents that go out do without it, for they are decided long after they were written. Distributed RAM is
// read in stage 2. A word holds all maps that are summed at once.
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
    // Stage 0: weights, which are read
    input  wire                          read,
    input  wire [          ROW_BITS-1:0] row,
    // Stage 1: they are added to the sum, which begins with them; currents, and what happens to them
    input  wire                          add,
    input  wire                          first,
    input  wire [      ADDRESS_BITS-1:0] address,
    input  wire                          update,
    input  wire                          clear,
    input  wire                          twice,
    // Stage 2: what the currents were, without the two operations before
    output wire [MAPS*MEMBRANE_BITS-1:0] currents,
    // Loading: 64 bits of a word of weights
    input  wire [             PARTS-1:0] weight_write,
    input  wire [          ROW_BITS-1:0] write_row,
    input  wire [                  63:0] write_data
);

localparam STYLE = DISTRIBUTED != 0 ? "distributed" : "block";

reg  [MAPS*WEIGHT_BITS-1:0]   weights_word_reg; // stage 1
reg  [MAPS*SUM_BITS-1:0]      sums_reg;    // stage 2
reg  [ADDRESS_BITS-1:0]       address_reg;
reg                           update_reg;
reg                           clear_reg;
reg  [1:0]                    from_reg;    // 0: memory, 1: the operation before, 2: that before it, 3: memory, twice
reg  [MAPS*MEMBRANE_BITS-1:0] write_reg;   // stage 3
reg  [ADDRESS_BITS-1:0]       write_address_reg;
reg                           write_valid_reg;
wire [MAPS*MEMBRANE_BITS-1:0] wrote;       // a stage later
wire                          doubles = DIRECT != 0 && twice;
wire                          newest = update_reg && address_reg == address;
wire                          newer = DISTRIBUTED == 0 && write_valid_reg && write_address_reg == address;

genvar p;
generate
    for (p = 0; p < PARTS; p = p + 1) begin : part
        (* ram_style = "block" *) reg [63:0] weights [0:ROWS-1];
        always @(posedge aclk) begin
            if (weight_write[p]) weights[write_row] <= write_data;
            if (read) weights_word_reg[p*64 +: 64] <= weights[row];
        end
    end
endgenerate

(* ram_style = STYLE *) reg [MAPS*MEMBRANE_BITS-1:0] words [0:WORDS-1];
always @(posedge aclk) if (write_valid_reg) words[write_address_reg] <= write_reg;

generate
    if (DISTRIBUTED != 0) begin : at_once // read in stage 2, where one operation before is not written yet
        assign currents = words[address_reg];
        assign wrote = 0;
    end else begin : in_turn // read in stage 1, where two are not
        reg [MAPS*MEMBRANE_BITS-1:0] current_word_reg;
        reg [MAPS*MEMBRANE_BITS-1:0] wrote_reg;
        assign currents = current_word_reg;
        assign wrote = wrote_reg;
        always @(posedge aclk) begin
            if (update) current_word_reg <= words[address];
            if (write_valid_reg) wrote_reg <= write_reg;
        end
    end
endgenerate

genvar m;
generate
    for (m = 0; m < MAPS; m = m + 1) begin : map
        wire [WEIGHT_BITS-1:0]   weight = weights_word_reg[m*WEIGHT_BITS +: WEIGHT_BITS];
        wire [SUM_BITS-1:0]      sum = sums_reg[m*SUM_BITS +: SUM_BITS];
        wire [MEMBRANE_BITS-1:0] stored = currents[m*MEMBRANE_BITS +: MEMBRANE_BITS];
        reg  [MEMBRANE_BITS-1:0] current;
        wire [MEMBRANE_BITS-1:0] more = {{(MEMBRANE_BITS-SUM_BITS){sum[SUM_BITS-1]}}, sum};
        always @*
            case (from_reg)
                2'd0: current = stored;
                2'd1: current = write_reg[m*MEMBRANE_BITS +: MEMBRANE_BITS];
                2'd2: current = wrote[m*MEMBRANE_BITS +: MEMBRANE_BITS];
                default: current = {stored[MEMBRANE_BITS-2:0], 1'b0};
            endcase
        always @(posedge aclk)
            if (doubles) sums_reg[m*SUM_BITS +: SUM_BITS] <= 0; // to add nothing
            else if (add)
                sums_reg[m*SUM_BITS +: SUM_BITS] <= (first ? {SUM_BITS{1'b0}} : sum)
                    + {{(SUM_BITS-WEIGHT_BITS){weight[WEIGHT_BITS-1]}}, weight};
        always @(posedge aclk)
            if (update_reg)
                write_reg[m*MEMBRANE_BITS +: MEMBRANE_BITS] <= clear_reg ? {MEMBRANE_BITS{1'b0}} : current + more;
    end
endgenerate

always @(posedge aclk) begin
    address_reg <= address;
    update_reg <= update;
    clear_reg <= clear;
    from_reg <= doubles ? 2'd3 : newest ? 2'd1 : newer ? 2'd2 : 2'd0;
    write_address_reg <= address_reg;
    write_valid_reg <= update_reg;
end

endmodule

`resetall
