// SPDX-License-Identifier: Apache-2.0
// spk_events names no input that the network lacks, ends each image after exactly its time steps, and stops at what is
// invalid.
//
// The solver picks any one word as it comes; its four events are looked at when they are taken apart. So no word is
// lost, repeated or overtaken either, until the first invalid event: after that nothing comes out before the next
// packet begins.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_events #(
    // 1: no stalls and small numbers, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

(* anyseq *)   wire        reset;
(* anyconst *) wire [15:0] config_inputs;
(* anyconst *) wire [15:0] config_time_steps;
(* anyseq *)   wire        s_begin;
(* anyseq *)   wire [63:0] s_data;
(* anyseq *)   wire        s_valid;
(* anyseq *)   wire        no_image_left;
(* anyseq *)   wire        m_ready;
(* anyseq *)   wire        pick;
wire        s_ready;
wire        image_end;
wire        invalid;
wire        idle;
wire        m_valid;
wire        m_step_end;
wire [15:0] m_input;

spk_events events (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(config_inputs),
    .config_time_steps(config_time_steps),
    .s_begin(s_begin),
    .s_data(s_data),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .no_image_left(no_image_left),
    .image_end(image_end),
    .invalid(invalid),
    .idle(idle),
    .m_valid(m_valid),
    .m_step_end(m_step_end),
    .m_input(m_input),
    .m_ready(m_ready)
);

// The module's own registers, for invariants alone
(* hierconn *) wire        \events.valid_reg ;
(* hierconn *) wire        \events.next_valid_reg ;
(* hierconn *) wire [63:0] \events.word_reg ;
(* hierconn *) wire [63:0] \events.next_reg ;
(* hierconn *) wire [1:0]  \events.event_reg ;
(* hierconn *) wire [15:0] \events.step_reg ;
(* hierconn *) wire        \events.is_done ;
(* hierconn *) wire        \events.take_word ;

wire take = s_valid && s_ready;
wire handshake = m_valid && m_ready;

reg        begun = 1'b0;
reg        packet = 1'b0;  // one has begun
reg [15:0] steps = 0;      // of this image, that have ended
reg        held = 1'b0;    // an output was not taken
reg        was_step_end;
reg [15:0] was_input;
reg        ended = 1'b0;   // the last step of an image ended
reg        was_invalid = 1'b0;

// ---- the picked word ----
reg        picked = 1'b0;
reg        next;           // a word stands before it
reg [63:0] word;
reg [1:0]  place;          // of its events that is looked at
wire       current = picked && !next;
wire [15:0] looked_at = word[place*16 +: 16];

reg [3:0]  spikes = 0;     // for covers
reg [3:0]  images = 0;

always @(posedge aclk) begin
    begun <= 1'b1;
    packet <= packet || s_begin;
    held <= m_valid && !m_ready && !s_begin;
    was_step_end <= m_step_end;
    was_input <= m_input;
    was_invalid <= invalid && !s_begin;
    ended <= handshake && m_step_end && steps + 16'd1 == config_time_steps;
    if (handshake && m_step_end) steps <= steps + 16'd1 == config_time_steps ? 16'd0 : steps + 16'd1;
    if (s_begin) steps <= 16'd0;

    if (take && pick && !picked) begin
        picked <= 1'b1;
        next <= \events.valid_reg && !\events.take_word ;
        word <= s_data;
        place <= 0;
    end else if (picked) begin
        if (next) next <= !\events.take_word ;
        else begin
            place <= place + \events.is_done ;
            if (\events.take_word ) picked <= 1'b0;
        end
    end
    spikes <= spikes + (handshake && !m_step_end);
    images <= images + ended;
    if (s_begin || invalid || reset) picked <= 1'b0;
    if (s_begin || reset) begin
        spikes <= 0;
        images <= 0;
    end
    if (reset) begin
        packet <= 1'b0;
        held <= 1'b0;
        ended <= 1'b0;
        was_invalid <= 1'b0;
    end
end

always @* begin
    if (!begun) assume (reset);
    assume (config_inputs != 0 && config_inputs <= 16'h7FFF && config_time_steps != 0 && config_time_steps <= 16'h7FFE);
    if (!packet) assume (!s_valid); // the loader begins each packet
    if (s_begin) assume (!s_valid);
    if (GUIDED != 0 && begun)
        assume (!reset && (!packet || (!s_begin && m_ready && !no_image_left)) && config_time_steps <= 3);

    if (begun && !packet) assert (idle && !m_valid && !image_end && !ended && !invalid);
    if (begun && packet) begin
        if (m_valid && !m_step_end) assert (m_input < config_inputs);
        assert (steps < config_time_steps);
        assert (image_end == ended);
        if (held && !invalid && !no_image_left)
            assert (m_valid && m_step_end == was_step_end && (m_step_end || m_input == was_input));
        if (was_invalid) assert (invalid && !m_valid && idle);
        if (idle) assert (!m_valid && s_ready);
        if (no_image_left) assert (!m_valid);

        // What comes out is what the events of the picked word say
        if (current) begin
            if (m_valid) assert (m_step_end == looked_at[15]);
            if (m_valid && !m_step_end) assert (m_input == looked_at);
            if (m_valid && m_step_end) assert (steps < looked_at[14:0]);
            if (looked_at == 16'hFFFF) assert (!m_valid);
            if (looked_at[15] == 0 && looked_at[14:0] < config_inputs && !no_image_left && !invalid) assert (m_valid);
        end

        // Invariants
        if (!invalid) assert (\events.step_reg == steps);
        if (picked && !invalid) begin
            assert (next ? \events.next_valid_reg && \events.valid_reg && \events.next_reg == word
                : \events.valid_reg && \events.event_reg == place && \events.word_reg == word >> {place, 4'd0});
        end
        if (picked && next) assert (place == 0);
        if (\events.next_valid_reg ) assert (\events.valid_reg );
    end

    cover (begun && packet && spikes == 3 && images == 1 && !invalid);
    cover (begun && images == 2);
    cover (begun && current && place == 3 && handshake);
    cover (begun && packet && invalid && spikes == 1);
end

endmodule

`resetall
