// SPDX-License-Identifier: Apache-2.0
// Output of the network: adds up each class over the time steps, finds the largest value, sends the result.
//
//   membrane      value = Σ_t (u − θ)          spike count   value = Σ_t (u ≥ θ)          lowest of equal classes wins
//
// A step first waits in a register, because it comes late out of the layers' queues and reaches every bit of the
// values. The values are compared one class a cycle, CLASSES cycles, while those of the next image are added up.
//
// Early exit: values are compared after every step, and the image ends once the largest leads the second by
// `config_margin`. `exit_tag` names it, and its steps that are under way are dropped wherever they are. The margin is
// taken from each largest value as it comes, so that only one subtraction is left for the decision.
// `every_step`: values are compared after every step, and each comparison is a result, the running class.
//
// Latency: CLASSES + 3 cycles from the last step at `s_valid` to its result, if no image before it is being compared.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module spk_decode #(
    // Most classes, an even number from 2 to 64 / WEIGHT_BITS of the layers
    parameter integer CLASSES = 16,
    // Bits of a membrane, 4 to 24
    parameter integer MEMBRANE_BITS = 14,
    // Bits of an image's tag
    parameter integer TAG_BITS = 8
) (
    input  wire                             aclk,
    input  wire                             reset,
    input  wire [                     15:0] config_classes,
    input  wire                             config_decode,
    input  wire                             config_exit,
    input  wire [                     31:0] config_margin,
    // Each result is followed by its values; a result after every step, and no early exit
    input  wire                             scores,
    input  wire                             every_step,
    // The last layer, step by step
    input  wire [CLASSES*MEMBRANE_BITS-1:0] s_membranes,
    input  wire [              CLASSES-1:0] s_spikes,
    input  wire [             TAG_BITS+3:0] s_user,
    input  wire                             s_valid,
    output wire                             s_ready,
    // The image that was decided early, until the first step of the next one is added
    output reg                              exit_valid,
    output reg  [             TAG_BITS-1:0] exit_tag,
    // Results
    output reg  [                     63:0] m_axis_tdata,
    output reg                              m_axis_tvalid,
    output reg                              m_axis_tlast,
    input  wire                             m_axis_tready,
    output wire                             image_done,
    output wire                             idle
);

localparam VALUE_BITS = 32;
localparam COUNT_BITS = $clog2(CLASSES + 1);
localparam [COUNT_BITS-1:0] TWO = 2;
localparam [VALUE_BITS-1:0] LEAST = {1'b1, {(VALUE_BITS-1){1'b0}}};

// ---- a step, as the last layer gave it ----
reg [CLASSES*MEMBRANE_BITS-1:0] addend_reg; // membranes or spikes, a signed number each
reg [TAG_BITS+3:0]              user_reg;
reg                             valid_reg;

wire                first_step = user_reg[0];
wire                last_step = user_reg[1];
wire                first_image = user_reg[2];
wire                last_image = user_reg[3];
wire [TAG_BITS-1:0] tag = user_reg[4 +: TAG_BITS];
wire                drop = exit_valid && tag == exit_tag;
wire                compare = last_step || config_exit || every_step;
wire                free;
wire                done = drop || !compare || free;
wire                take = valid_reg && done && !drop;

assign s_ready = !valid_reg || done;

integer m;
always @(posedge aclk) begin
    if (s_ready) begin
        user_reg <= s_user;
        for (m = 0; m < CLASSES; m = m + 1)
            addend_reg[m*MEMBRANE_BITS +: MEMBRANE_BITS] <= config_decode == `SPK_DECODE_SPIKE_COUNT
                ? {{(MEMBRANE_BITS-1){1'b0}}, s_spikes[m]} : s_membranes[m*MEMBRANE_BITS +: MEMBRANE_BITS];
    end
    valid_reg <= !reset && (s_valid || !s_ready);
end

// ---- values, step by step ----
reg [CLASSES*VALUE_BITS-1:0] value_reg;
reg [CLASSES*VALUE_BITS-1:0] value_next;
reg [VALUE_BITS-1:0]         addend;
reg [15:0]                   step_reg;
reg [31:0]                   image_reg;
wire [15:0]                  step = first_step ? 16'd1 : step_reg + 16'd1;
wire [31:0]                  image = !first_step ? image_reg : first_image ? 32'd0 : image_reg + 32'd1;

integer c;
always @* begin
    addend = 0;
    for (c = 0; c < CLASSES; c = c + 1) begin
        addend = {{(VALUE_BITS-MEMBRANE_BITS){addend_reg[(c+1)*MEMBRANE_BITS-1]}},
            addend_reg[c*MEMBRANE_BITS +: MEMBRANE_BITS]};
        value_next[c*VALUE_BITS +: VALUE_BITS]
            = (first_step ? {VALUE_BITS{1'b0}} : value_reg[c*VALUE_BITS +: VALUE_BITS]) + addend;
    end
end

always @(posedge aclk) if (take) value_reg <= value_next;

// ---- compare one class a cycle: the values rotate past, and stand as before after CLASSES cycles ----
localparam [1:0] STATE_FREE = 2'd0, STATE_COMPARE = 2'd1, STATE_RESULT = 2'd2, STATE_VALUES = 2'd3;

reg [1:0]                    state_reg;
reg [CLASSES*VALUE_BITS-1:0] rotate_reg;
reg [COUNT_BITS-1:0]         count_reg;
reg signed [VALUE_BITS-1:0]  best_reg;
reg signed [VALUE_BITS-1:0]  second_reg;
reg signed [VALUE_BITS+1:0]  level_reg; // the largest less the margin
reg [COUNT_BITS-1:0]         label_reg;
reg                          last_step_reg;
reg                          last_image_reg;
reg [TAG_BITS-1:0]           tag_reg;
reg [15:0]                   m_steps_reg;
reg [31:0]                   m_image_reg;

wire signed [VALUE_BITS-1:0] current = rotate_reg[VALUE_BITS-1:0];
wire signed [VALUE_BITS+1:0] level = {{2{current[VALUE_BITS-1]}}, current} - {2'b00, config_margin};
wire signed [VALUE_BITS+1:0] second = {{2{second_reg[VALUE_BITS-1]}}, second_reg};
wire                         decided = last_step_reg || (!every_step && level_reg >= second);
wire [15:0]                  count = {{(16-COUNT_BITS){1'b0}}, count_reg};
wire                         out_ready = !m_axis_tvalid || m_axis_tready;
wire                         values_end = count + 16'd2 >= config_classes;

assign free = state_reg == STATE_FREE;
assign image_done = state_reg == STATE_RESULT && decided && out_ready;
assign idle = free && !valid_reg && !m_axis_tvalid;

always @(posedge aclk) begin
    if (m_axis_tready) m_axis_tvalid <= 1'b0;
    if (take && first_step) exit_valid <= 1'b0; // no step of the image that was decided is under way any more
    if (take) begin
        step_reg <= step;
        image_reg <= image;
    end
    case (state_reg)
        STATE_FREE:
            if (take && compare) begin
                rotate_reg <= value_next;
                last_step_reg <= last_step;
                last_image_reg <= last_image;
                tag_reg <= tag;
                m_steps_reg <= step;
                m_image_reg <= image;
                count_reg <= 0;
                state_reg <= STATE_COMPARE;
            end
        STATE_COMPARE: begin
            if (count < config_classes) begin
                if (count == 0 || current > best_reg) begin
                    best_reg <= current;
                    level_reg <= level;
                    label_reg <= count_reg;
                    second_reg <= count == 0 ? LEAST : best_reg;
                end else if (current > second_reg) begin
                    second_reg <= current;
                end
            end
            rotate_reg <= {rotate_reg[VALUE_BITS-1:0], rotate_reg[CLASSES*VALUE_BITS-1:VALUE_BITS]};
            count_reg <= count_reg + 1'b1;
            if (count + 16'd1 == CLASSES[15:0]) state_reg <= STATE_RESULT;
        end
        STATE_RESULT:
            if (!decided && !every_step) begin
                state_reg <= STATE_FREE;
            end else if (out_ready) begin
                m_axis_tvalid <= 1'b1;
                m_axis_tlast <= last_image_reg && decided && !scores;
                m_axis_tdata[`SPK_RESULT_LABEL] <= {{(16-COUNT_BITS){1'b0}}, label_reg};
                m_axis_tdata[`SPK_RESULT_STEPS] <= m_steps_reg;
                m_axis_tdata[`SPK_RESULT_IMAGE] <= m_image_reg;
                count_reg <= 0;
                state_reg <= scores ? STATE_VALUES : STATE_FREE;
                if (decided && !last_step_reg) begin
                    exit_valid <= 1'b1;
                    exit_tag <= tag_reg;
                end
            end
        default: // STATE_VALUES
            if (out_ready) begin
                m_axis_tvalid <= 1'b1;
                m_axis_tlast <= last_image_reg && decided && values_end;
                m_axis_tdata[`SPK_SCORE_PAIR_EVEN] <= current;
                m_axis_tdata[`SPK_SCORE_PAIR_ODD]
                    <= count + 16'd1 < config_classes ? rotate_reg[VALUE_BITS +: VALUE_BITS] : 0;
                rotate_reg <= rotate_reg >> 2*VALUE_BITS;
                count_reg <= count_reg + TWO;
                if (values_end) state_reg <= STATE_FREE;
            end
    endcase
    if (reset) begin
        state_reg <= STATE_FREE;
        exit_valid <= 1'b0;
        m_axis_tvalid <= 1'b0;
    end
end

endmodule

`resetall
