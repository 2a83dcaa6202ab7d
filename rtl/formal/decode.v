// SPDX-License-Identifier: Apache-2.0
// spk_decode keeps the rules of AXI4-Stream, names the largest class, and gives each image one result, in order.
//
// The solver picks any two classes; their values are added up here. A result that names one of them must have the
// larger of the two, the first of equals, and one that ends an image early must have it by the margin. As any two may
// be picked, the named class leads all others. The steps come as spk_input and the layers give them: image by image,
// first to last.
`resetall
`timescale 1ns / 1ps
`default_nettype none
`include "spikeline.vh"

module formal_decode #(
    parameter integer CLASSES = 4,
    // 1: the order of results instead of the rest
    parameter integer ORDER = 0,
    // 1: no stalls and no second reset, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

localparam MEMBRANE_BITS = 4;
localparam TAG_BITS = 2;
localparam VALUE_BITS = 32;
localparam COUNT_BITS = $clog2(CLASSES + 1);

(* anyseq *)   wire                             reset;
(* anyconst *) wire [15:0]                      config_classes;
(* anyconst *) wire                             config_decode;
(* anyconst *) wire                             config_exit;
(* anyconst *) wire [31:0]                      config_margin;
(* anyconst *) wire                             every_step;
(* anyseq *)   wire                             scores;
(* anyseq *)   wire [CLASSES*MEMBRANE_BITS-1:0] s_membranes;
(* anyseq *)   wire [CLASSES-1:0]               s_spikes;
(* anyseq *)   wire [TAG_BITS+3:0]              s_user;
(* anyseq *)   wire                             s_valid;
(* anyseq *)   wire                             m_axis_tready;
(* anyconst *) wire [7:0]                       one;
(* anyconst *) wire [7:0]                       other; // a later class
wire                s_ready;
wire                exit_valid;
wire [TAG_BITS-1:0] exit_tag;
wire [63:0]         m_axis_tdata;
wire                m_axis_tvalid;
wire                m_axis_tlast;
wire                image_done;
wire                idle;

spk_decode #(.CLASSES(CLASSES), .MEMBRANE_BITS(MEMBRANE_BITS), .TAG_BITS(TAG_BITS)) decode (
    .aclk(aclk),
    .reset(reset),
    .config_classes(config_classes),
    .config_decode(config_decode),
    .config_exit(config_exit),
    .config_margin(config_margin),
    .scores(scores),
    .every_step(every_step),
    .s_membranes(s_membranes),
    .s_spikes(s_spikes),
    .s_user(s_user),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .exit_valid(exit_valid),
    .exit_tag(exit_tag),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tlast(m_axis_tlast),
    .m_axis_tready(m_axis_tready),
    .image_done(image_done),
    .idle(idle)
);

// The decoder's own signals: when a step counts and when a result is ready, and registers for invariants
localparam [1:0] FREE = 0, COMPARE = 1, RESULT = 2, VALUES = 3;
(* hierconn *) wire                             \decode.take ;
(* hierconn *) wire                             \decode.compare ;
(* hierconn *) wire                             \decode.decided ;
(* hierconn *) wire                             \decode.out_ready ;
(* hierconn *) wire [1:0]                       \decode.state_reg ;
(* hierconn *) wire [COUNT_BITS-1:0]            \decode.count_reg ;
(* hierconn *) wire [COUNT_BITS-1:0]            \decode.label_reg ;
(* hierconn *) wire [VALUE_BITS-1:0]            \decode.best_reg ;
(* hierconn *) wire [VALUE_BITS-1:0]            \decode.second_reg ;
(* hierconn *) wire [VALUE_BITS+1:0]            \decode.level_reg ;
(* hierconn *) wire [CLASSES*VALUE_BITS-1:0]    \decode.rotate_reg ;
(* hierconn *) wire [CLASSES*VALUE_BITS-1:0]    \decode.value_reg ;
(* hierconn *) wire [CLASSES*MEMBRANE_BITS-1:0] \decode.addend_reg ;
(* hierconn *) wire [TAG_BITS+3:0]              \decode.user_reg ;
(* hierconn *) wire                             \decode.valid_reg ;
(* hierconn *) wire                             \decode.last_step_reg ;
(* hierconn *) wire                             \decode.last_image_reg ;
(* hierconn *) wire [31:0]                      \decode.m_image_reg ;
(* hierconn *) wire [31:0]                      \decode.image_reg ;
(* hierconn *) wire [TAG_BITS-1:0]              \decode.tag_reg ;
wire [1:0] state = \decode.state_reg ;
wire [7:0] count = \decode.count_reg ;
wire [7:0] label = \decode.label_reg ;
wire       result = state == RESULT && \decode.out_ready && (\decode.decided || every_step);
wire       ends_early = result && \decode.decided && !\decode.last_step_reg ;
wire [7:0] pairs = (config_classes[7:0] + 8'd1) >> 1; // words of values

// ---- steps as they come ----
reg                begun = 1'b0;
reg                first_step = 1'b1; // of an image comes next
reg                first_image = 1'b1;
reg [TAG_BITS-1:0] tag = 0;           // of the step before
reg                last_image;
reg                taken = 1'b0;      // a step was added up, since reset
wire               accept = s_valid && s_ready;
wire               next_image = first_step || (exit_valid && exit_tag == tag); // the rest of an image may be left out

// ---- the two classes ----
reg signed [VALUE_BITS-1:0] one_sum, other_sum; // of the image so far
reg signed [VALUE_BITS-1:0] one_value, other_value; // that are compared
reg [MEMBRANE_BITS-1:0]     one_step, other_step;
wire signed [VALUE_BITS-1:0] one_next = (\decode.user_reg [0] ? 0 : one_sum)
    + {{(VALUE_BITS-MEMBRANE_BITS){one_step[MEMBRANE_BITS-1]}}, one_step};
wire signed [VALUE_BITS-1:0] other_next = (\decode.user_reg [0] ? 0 : other_sum)
    + {{(VALUE_BITS-MEMBRANE_BITS){other_step[MEMBRANE_BITS-1]}}, other_step};
wire [VALUE_BITS-1:0] one_lead = one_value - other_value;
wire [VALUE_BITS-1:0] other_lead = other_value - one_value;

// ---- results as they leave ----
reg        held = 1'b0;
reg [63:0] was_data;
reg        was_last;
reg        was_scores, was_result, was_last_word;
reg [7:0]  owed = 0;       // words of values still to come
reg [31:0] images = 0;     // results of this packet
reg [3:0]  results = 0;    // and of all
reg [3:0]  starts = 0;     // images whose first step came
reg        early = 1'b0;   // for covers: an image ended early

// ---- the newest image of which a step was added up ----
reg                newest_compared; // it is that which is compared
reg                newest_whole;    // up to its last step
reg                newest_done;     // it has its result
reg                newest_last;     // it is its packet's last
reg [TAG_BITS-1:0] newest_tag;
wire               comparing = state == COMPARE || state == RESULT;
wire               next_taken = \decode.take && \decode.user_reg [0];

always @(posedge aclk) begin
    begun <= 1'b1;
    if (accept) begin
        first_step <= s_user[1];
        first_image <= s_user[1] ? s_user[3] : s_user[2];
        tag <= s_user[4 +: TAG_BITS];
        last_image <= s_user[3];
    end
    if (s_ready) begin
        one_step <= config_decode == `SPK_DECODE_SPIKE_COUNT ? s_spikes[one]
            : s_membranes[one*MEMBRANE_BITS +: MEMBRANE_BITS];
        other_step <= config_decode == `SPK_DECODE_SPIKE_COUNT ? s_spikes[other]
            : s_membranes[other*MEMBRANE_BITS +: MEMBRANE_BITS];
    end
    if (\decode.take ) {taken, one_sum, other_sum} <= {1'b1, one_next, other_next};
    if (\decode.take && \decode.compare && state == FREE) {one_value, other_value} <= {one_next, other_next};

    held <= m_axis_tvalid && !m_axis_tready;
    {was_data, was_last} <= {m_axis_tdata, m_axis_tlast};
    was_scores <= scores;
    was_result <= result;
    was_last_word <= \decode.last_image_reg && \decode.decided ;
    if (result) owed <= scores ? pairs : 8'd0;
    else if (state == VALUES && \decode.out_ready ) owed <= owed - 8'd1;
    if (image_done) begin
        images <= \decode.last_image_reg ? 0 : images + 1;
        results <= results + 1'b1;
    end
    early <= early || ends_early;
    starts <= starts + (accept && s_user[0]);
    if (\decode.take ) begin
        newest_compared <= \decode.compare || (newest_compared && !\decode.user_reg [0]);
        newest_whole <= \decode.user_reg [1];
        newest_last <= \decode.user_reg [3];
        newest_tag <= \decode.user_reg [4 +: TAG_BITS];
    end
    if (next_taken) newest_done <= 1'b0;
    else if (image_done && newest_compared) newest_done <= 1'b1;
    if (reset) begin
        first_step <= 1'b1;
        first_image <= 1'b1;
        held <= 1'b0;
        taken <= 1'b0;
        was_result <= 1'b0;
        owed <= 0;
        images <= 0;
        results <= 0;
        starts <= 0;
        early <= 1'b0;
    end
end

wire [7:0] one_place = (one + CLASSES - count) % CLASSES; // of the class in the turning values
wire [7:0] other_place = (other + CLASSES - count) % CLASSES;

always @* begin
    if (!begun) assume (reset);
    assume (config_classes != 0 && config_classes <= CLASSES && other < config_classes && one < other);
    // Images whole and in order, but for what an early exit leaves out
    if (s_valid) begin
        assume (s_user[0] ? next_image : !first_step && s_user[4 +: TAG_BITS] == tag && s_user[3] == last_image);
        assume (!s_user[0] || s_user[4 +: TAG_BITS] == tag + 1'b1);
        if (first_step) assume (s_user[2] == first_image);
        // After the last image of a packet comes the first of the next.
        else if (s_user[0]) assume (s_user[2] == last_image);
        else assume (s_user[2] == first_image);
    end
    if (GUIDED != 0 && begun) assume (!reset && s_valid && m_axis_tready);

    if (begun && ORDER != 0) begin
        // One result an image, in order
        if (image_done) assert (\decode.m_image_reg == images && starts != results);
        if (idle && first_step) assert (starts == results);

        // Invariants
        if (!taken)
            assert (state != COMPARE && state != RESULT && !exit_valid
                && (\decode.valid_reg ? \decode.user_reg [0] : first_step));
        if (!taken) assert (\decode.valid_reg ? \decode.user_reg [2] : first_image);
        if (!taken) assert (starts - results == \decode.valid_reg && images == 0 && results == 0);
        if (\decode.valid_reg ) assert (tag == \decode.user_reg [4 +: TAG_BITS] && last_image == \decode.user_reg [3]);
        if (\decode.valid_reg )
            assert (first_step == \decode.user_reg [1]
                && first_image == (first_step ? last_image : \decode.user_reg [2]));
        if (taken) begin
            assert (starts - results == (\decode.valid_reg && \decode.user_reg [0]) + !newest_done
                + (comparing && !newest_compared));
            if (\decode.valid_reg && \decode.user_reg [0]) begin
                assert (tag == newest_tag + 1'b1 && \decode.user_reg [2] == newest_last);
                assert (newest_done || newest_whole);
            end else begin
                assert (tag == newest_tag && last_image == newest_last);
                if (!\decode.valid_reg && first_step)
                    assert ((newest_done || newest_whole) && first_image == newest_last);
                if (\decode.valid_reg ) assert (!newest_whole);
                else if (!exit_valid) assert (first_step == newest_whole);
            end
            if (newest_whole) assert (newest_done || (comparing && newest_compared && \decode.last_step_reg ));
            if (comparing) begin
                assert (\decode.m_image_reg == images);
                if (newest_compared)
                    assert (!newest_done && \decode.m_image_reg == \decode.image_reg
                        && \decode.last_image_reg == newest_last
                        && \decode.tag_reg == newest_tag && \decode.last_step_reg == newest_whole);
                else assert (!newest_done && !config_exit && !every_step && \decode.last_step_reg
                    && \decode.image_reg == (\decode.last_image_reg ? 0 : images + 1));
                assert (\decode.last_step_reg || config_exit || every_step);
            end else begin
                assert (newest_done ? images == (newest_last ? 0 : \decode.image_reg + 1)
                    : \decode.image_reg == images);
            end
            if (exit_valid)
                assert (newest_done && exit_tag == newest_tag && config_exit && !every_step && !newest_whole);
            if (newest_done) assert (newest_whole || exit_valid);
        end
    end

    if (begun && ORDER == 0) begin
        // AXI4-Stream: what is offered stays until it is taken
        if (held) assert (m_axis_tvalid && m_axis_tdata == was_data && m_axis_tlast == was_last);
        // A result, then values if they are asked for; TLAST with the last word of a packet alone
        assert ((state == VALUES) == (owed != 0));
        if (was_result)
            assert (m_axis_tvalid && m_axis_tdata[15:0] < config_classes
                && m_axis_tlast == (was_last_word && !was_scores));
        if (state == VALUES) assert (owed <= pairs);
        // The named class leads the other
        if (result && label == one) assert (one_value >= other_value);
        if (result && label == other) assert (other_value > one_value);
        if (ends_early && label == one) assert (one_lead >= config_margin && !every_step && config_exit);
        if (ends_early && label == other) assert (other_lead >= config_margin && !every_step && config_exit);

        // Invariants
        if (\decode.valid_reg ) begin
            assert (\decode.addend_reg [one*MEMBRANE_BITS +: MEMBRANE_BITS] == one_step);
            assert (\decode.addend_reg [other*MEMBRANE_BITS +: MEMBRANE_BITS] == other_step);
        end
        if (taken) assert (\decode.value_reg [one*VALUE_BITS +: VALUE_BITS] == one_sum);
        if (taken) assert (\decode.value_reg [other*VALUE_BITS +: VALUE_BITS] == other_sum);
        if (!taken) assert (state == FREE && !exit_valid && (\decode.valid_reg ? \decode.user_reg [0] : first_step));
        if (state == VALUES) assert (count + 2 * owed == 2 * pairs);
        if (state == COMPARE) assert (count < CLASSES);
        if (state == RESULT) assert (count == CLASSES);
        if (state == COMPARE || state == RESULT) begin
            assert (\decode.rotate_reg [one_place*VALUE_BITS +: VALUE_BITS] == one_value);
            assert (\decode.rotate_reg [other_place*VALUE_BITS +: VALUE_BITS] == other_value);
            assert (\decode.last_step_reg || config_exit || every_step);
            if (count != 0) assert (label < count && label < config_classes);
            if (count != 0) assert ($signed(\decode.best_reg ) >= $signed(\decode.second_reg ));
            if (count != 0)
                assert (\decode.level_reg == {{2{\decode.best_reg [VALUE_BITS-1]}}, \decode.best_reg } - config_margin);
            if (count > one) begin
                assert ($signed(\decode.best_reg ) >= one_value && (label != one || \decode.best_reg == one_value));
                if (\decode.best_reg == one_value) assert (label <= one);
                if (label != one) assert ($signed(\decode.second_reg ) >= one_value);
            end
            if (count > other) begin
                assert ($signed(\decode.best_reg ) >= other_value
                    && (label != other || \decode.best_reg == other_value));
                if (\decode.best_reg == other_value) assert (label <= other);
                if (label != other) assert ($signed(\decode.second_reg ) >= other_value);
            end
        end
    end

    cover (begun && results == 2 && !early);
    cover (begun && results == 2 && early);
    cover (begun && ends_early && other_value > one_value && config_margin == 3);
    cover (begun && m_axis_tvalid && m_axis_tlast && was_scores && owed == 0 && !was_result);
    cover (begun && s_valid && !s_ready);
end

endmodule

`resetall
