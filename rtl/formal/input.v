// SPDX-License-Identifier: Apache-2.0
// spk_input gathers each time step whole: T vectors an image, the bits of its words or events and no other, in their
// place.
//
// The solver picks any one input; whether it is to fire in the vector that is being gathered is told here from the
// words and events that came. What spk_loader and spk_events promise is assumed: sizes within the built ones, events
// below the size.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_input #(
    parameter integer INPUTS = 130,
    // 1: events alone, 0: words alone
    parameter integer EVENTS = 0,
    // 1: no stalls and small numbers, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

localparam TAG_BITS = 2;
localparam WORDS = (INPUTS + 63) / 64;

(* anyseq *)   wire        reset;
(* anyconst *) wire [15:0] config_inputs;
(* anyconst *) wire [15:0] config_time_steps;
(* anyconst *) wire [15:0] chosen;
(* anyseq *)   wire        s_begin;
(* anyseq *)   wire [63:0] s_data;
(* anyseq *)   wire        s_last;
(* anyseq *)   wire        s_valid;
(* anyseq *)   wire        e_begin;
(* anyseq *)   wire        e_valid;
(* anyseq *)   wire        e_step_end;
(* anyseq *)   wire [15:0] e_input;
(* anyseq *)   wire        m_ready;
wire                s_ready;
wire                s_image_end;
wire                e_ready;
wire [INPUTS-1:0]   m_spikes;
wire [TAG_BITS+3:0] m_user;
wire                m_valid;
wire [TAG_BITS-1:0] tag;

spk_input #(.INPUTS(INPUTS), .TAG_BITS(TAG_BITS)) gather (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(config_inputs),
    .config_time_steps(config_time_steps),
    .s_begin(s_begin),
    .s_data(s_data),
    .s_first(1'b0),
    .s_start(1'b0),
    .s_last(s_last),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .s_image_end(s_image_end),
    .e_begin(e_begin),
    .e_valid(e_valid),
    .e_step_end(e_step_end),
    .e_input(e_input),
    .e_ready(e_ready),
    .m_spikes(m_spikes),
    .m_user(m_user),
    .m_valid(m_valid),
    .m_ready(m_ready),
    .tag(tag)
);

// The module's own registers, for invariants alone
(* hierconn *) wire [15:0]         \gather.last_word_reg ;
(* hierconn *) wire [63:0]         \gather.last_mask_reg ;
(* hierconn *) wire                \gather.one_step_reg ;
(* hierconn *) wire [15:0]         \gather.word_reg ;
(* hierconn *) wire [15:0]         \gather.steps_left_reg ;
(* hierconn *) wire                \gather.first_step_reg ;
(* hierconn *) wire                \gather.last_step_reg ;
(* hierconn *) wire                \gather.first_image_reg ;
(* hierconn *) wire                \gather.events_reg ;
(* hierconn *) wire [WORDS*64-1:0] \gather.vector_reg ;

reg        begun = 1'b0;
reg [1:0]  settled = 0;   // cycles since sizes are there
reg        packet = 1'b0;
reg [15:0] word;          // words of this step that have come
reg [15:0] step;          // steps of this image that have ended
reg        first_image;
reg        fires;         // the chosen input does, in this step
// Of the vector at the output
reg        full = 1'b0;
reg        full_fires;
reg [3:0]  full_user;
reg        held = 1'b0;
reg [INPUTS-1:0]   was_spikes;
reg [TAG_BITS+3:0] was_user;
reg [1:0]  images = 0;    // tags so far

wire        begins = EVENTS != 0 ? e_begin : s_begin;
wire        take = s_valid && s_ready;
wire        take_event = e_valid && e_ready;
wire [15:0] words = (config_inputs + 16'd63) >> 6;
wire        ends = EVENTS != 0 ? take_event && e_step_end : take && word + 16'd1 == words;

always @(posedge aclk) begin
    begun <= 1'b1;
    if (settled != 3) settled <= settled + 1'b1;
    packet <= packet || begins;
    held <= m_valid && !m_ready;
    {was_spikes, was_user} <= {m_spikes, m_user};
    if (full && m_ready) full <= 1'b0;
    if (take || take_event) begin
        if (EVENTS == 0) begin
            word <= ends ? 16'd0 : word + 16'd1;
            if (chosen >> 6 == word && chosen < config_inputs) fires <= s_data[chosen[5:0]];
        end else if (!e_step_end && e_input == chosen) fires <= 1'b1;
        if (ends) begin
            full <= 1'b1;
            full_fires <= EVENTS == 0 && chosen >> 6 == word && chosen < config_inputs ? s_data[chosen[5:0]] : fires;
            full_user <= {s_last, first_image, step + 16'd1 == config_time_steps, step == 0};
            fires <= 1'b0;
            step <= step + 16'd1 == config_time_steps ? 16'd0 : step + 16'd1;
            if (step + 16'd1 == config_time_steps) first_image <= 1'b0;
        end
    end
    if (begins) begin
        word <= 0;
        step <= 0;
        first_image <= 1'b1;
        fires <= 1'b0;
    end
    if (reset) begin
        packet <= 1'b0;
        full <= 1'b0;
        held <= 1'b0;
    end
end

reg exact; // no word of the vector that did not come holds a spike
integer g;
always @* begin
    exact = 1'b1;
    for (g = 0; g < WORDS; g = g + 1) begin
        if (EVENTS == 0 && packet && !full && word != 0 && g >= word && \gather.vector_reg [g*64 +: 64] != 0)
            exact = 1'b0;
        if (EVENTS == 0 && full && g >= words && \gather.vector_reg [g*64 +: 64] != 0) exact = 1'b0;
    end
end

always @* begin
    if (!begun || settled != 3) assume (reset); // a CONFIG leaves more cycles than that before its first image
    assume (config_inputs != 0 && config_inputs <= INPUTS && config_time_steps != 0 && chosen < INPUTS);
    assume (EVENTS != 0 ? !s_begin && !s_valid : !e_begin && !e_valid);
    if (!packet || begins) assume (!s_valid && !e_valid);
    if (begins) assume (!m_valid || EVENTS == 0); // a packet of events waits for the input to be idle
    if (e_valid && !e_step_end) assume (e_input < config_inputs);
    if (GUIDED != 0 && settled == 3) assume (!reset && m_ready && (!packet || (!begins && (s_valid || e_valid))));

    if (begun && settled == 3) begin
        assert (m_valid == full);
        if (m_valid) begin
            assert (m_spikes[chosen] == full_fires);
            assert (m_user[3:0] == full_user);
            if (chosen >= config_inputs) assert (!m_spikes[chosen]);
        end
        if (held) assert (m_valid && m_spikes == was_spikes && m_user == was_user);
        if (packet && EVENTS == 0) assert (s_image_end == (word + 16'd1 == words && step + 16'd1 == config_time_steps));

        // Invariants
        assert (\gather.last_word_reg == words - 16'd1 && \gather.one_step_reg == (config_time_steps == 1));
        assert (\gather.last_mask_reg == ~64'd0 >> (6'd0 - config_inputs[5:0]));
        if (packet) begin
            assert (step < config_time_steps && \gather.steps_left_reg == config_time_steps - step);
            assert (\gather.first_step_reg == (step == 0)
                && \gather.last_step_reg == (step + 16'd1 == config_time_steps));
            assert (\gather.first_image_reg == first_image);
            if (EVENTS == 0) assert (word < words && \gather.word_reg == word);
            assert (EVENTS == 0 || \gather.events_reg );
        end
        assert (exact);
        if (EVENTS == 0 && packet && !full && word > chosen >> 6) assert (\gather.vector_reg [chosen] == fires);
        if (EVENTS == 0 && packet && word <= chosen >> 6) assert (!fires);
        if (EVENTS != 0 && packet && !full) assert (\gather.vector_reg [chosen] == fires);
        if (full && word != 0) assert (EVENTS != 0);
        if (full) assert (!fires);
        if (packet && chosen >= config_inputs) assert (!fires && (!full || !full_fires));
    end

    cover (settled == 3 && m_valid && full_fires && m_user[1:0] == 2'b01 && config_inputs == INPUTS
        && chosen == INPUTS - 1);
    cover (settled == 3 && m_valid && m_user[2:0] == 3'b010 && config_time_steps == 3);
    cover (settled == 3 && m_valid && chosen >= config_inputs && &m_spikes[4:0]);
    cover (settled == 3 && m_valid && m_user[1:0] == 2'b11 && !m_user[2]);
end

endmodule

`resetall
