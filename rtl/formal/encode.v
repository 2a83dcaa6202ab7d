// SPDX-License-Identifier: Apache-2.0
// spk_encode gives T · ceil(N / 64) words for each image, marked right, and images in the order in which they came.
//
// The solver picks any one image as it arrives; its marks must be on its words. No image is decided early here, and
// what the bits of a word are is left to simulation.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_encode #(
    // Room, for two words
    parameter integer INPUTS = 70,
    // 1 a long image, 2 short ones, without stalls and a second reset, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

localparam ROW_BITS = $clog2((INPUTS + 31) / 32);

(* anyseq *)   wire        reset;
(* anyconst *) wire [15:0] config_inputs;
(* anyconst *) wire [15:0] config_time_steps;
(* anyconst *) wire        config_bernoulli;
(* anyconst *) wire        config_direct;
(* anyseq *)   wire [63:0] s_data;
(* anyseq *)   wire        s_begin;
(* anyseq *)   wire        s_last;
(* anyseq *)   wire        s_valid;
(* anyseq *)   wire        m_ready;
(* anyseq *)   wire        pick;
wire        s_ready;
wire        s_image_end;
wire [63:0] m_data;
wire        m_first;
wire        m_start;
wire        m_last;
wire        m_valid;
wire        idle;

spk_encode #(.INPUTS(INPUTS), .DIRECT(1)) encode (
    .aclk(aclk),
    .reset(reset),
    .config_inputs(config_inputs),
    .config_time_steps(config_time_steps),
    .config_bernoulli(config_bernoulli),
    .config_latency(1'b0),
    .config_latency_band(8'd0),
    .config_direct(config_direct),
    .s_begin(s_begin),
    .s_data(s_data),
    .s_last(s_last),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .s_image_end(s_image_end),
    .m_data(m_data),
    .m_first(m_first),
    .m_start(m_start),
    .m_last(m_last),
    .m_valid(m_valid),
    .m_ready(m_ready),
    .skip(1'b0),
    .idle(idle)
);

// The encoder's own registers, for invariants alone
(* hierconn *) wire [63:0]         \encode.seed ;
(* hierconn *) wire                \encode.seed_busy ;
(* hierconn *) wire                \encode.seed_load ;
(* hierconn *) wire                \encode.seed_next ;
(* hierconn *) wire [1:0]          \encode.full_reg ;
(* hierconn *) wire [1:0]          \encode.first_reg ;
(* hierconn *) wire [1:0]          \encode.last_reg ;
(* hierconn *) wire                \encode.arriving_reg ;
(* hierconn *) wire                \encode.pixels_reg ;
(* hierconn *) wire                \encode.packet_reg ;
(* hierconn *) wire [15:0]         \encode.word_reg ;
(* hierconn *) wire [15:0]         \encode.last_word_reg ;
(* hierconn *) wire                \encode.encoding_reg ;
(* hierconn *) wire                \encode.running_reg ;
(* hierconn *) wire [ROW_BITS-1:0] \encode.row_reg ;
(* hierconn *) wire [ROW_BITS-1:0] \encode.last_row_reg ;
(* hierconn *) wire [15:0]         \encode.steps_left_reg ;
(* hierconn *) wire                \encode.first_step_reg ;
(* hierconn *) wire                \encode.last_step_reg ;
(* hierconn *) wire                \encode.one_step_reg ;
(* hierconn *) wire [7:0]          \encode.plane_reg ;
(* hierconn *) wire                \encode.valid_1_reg ;
(* hierconn *) wire                \encode.high_1_reg ;
(* hierconn *) wire                \encode.end_1_reg ;
(* hierconn *) wire                \encode.start_1_reg ;
(* hierconn *) wire                \encode.first_1_reg ;
(* hierconn *) wire                \encode.last_1_reg ;

reg         begun = 1'b0;
reg [1:0]   settled = 0;
reg         packet = 1'b0;
reg         seeded;         // the packet's first word, its SEED, has come
reg [15:0]  came;           // words of its pixels that have
reg         word = 0;       // of the step that is given
reg [15:0]  step = 0;
reg [2:0]   held_images = 0;     // images that came and were not given whole
reg         held = 1'b0;
reg [66:0]  was;
reg         next_first;     // the next image is its packet's first

wire [15:0] pixel_words = (config_inputs + 16'd7) >> 3;
wire        two = config_inputs > 64; // words a step
wire        take = s_valid && s_ready;
wire        give = m_valid && m_ready;
reg         picked = 1'b0;
wire        picks = take && seeded && came == 0 && pick && !picked; // with an image's first word
wire        step_out = give && word == two;
wire        image_in = take && seeded && came + 16'd1 == pixel_words;
wire        image_out = step_out && step + 16'd1 == config_time_steps;

// ---- the picked image: how many go before it, and its marks ----
reg         arrives = 1'b0; // it has not come whole
reg [2:0]   ahead;
reg         first;
reg         last;

reg [1:0]   given = 0;      // for covers

always @(posedge aclk) begin
    begun <= 1'b1;
    if (settled != 3) settled <= settled + 1'b1;
    packet <= packet || s_begin;
    if (take) begin
        seeded <= 1'b1;
        came <= seeded && !image_in ? came + 16'd1 : 16'd0;
    end
    if (image_in) next_first <= 1'b0;
    if (picks) {picked, arrives} <= 2'b11;
    if (image_in && (arrives || picks)) begin
        arrives <= 1'b0;
        ahead <= held_images - image_out;
        {first, last} <= {next_first, s_last};
    end else if (image_out && picked && !arrives) begin
        ahead <= ahead - 3'd1;
        if (ahead == 0) picked <= 1'b0;
    end
    if (s_begin) begin
        seeded <= 1'b0;
        next_first <= 1'b1;
        if (arrives) {picked, arrives} <= 2'b00;
    end
    if (give) word <= word != two;
    if (step_out) step <= image_out ? 16'd0 : step + 16'd1;
    held_images <= held_images + image_in - image_out;
    if (image_out && given != 3) given <= given + 1'b1;
    held <= m_valid && !m_ready;
    was <= {m_data, m_first, m_start, m_last};
    if (reset) begin
        packet <= 1'b0;
        word <= 0;
        step <= 0;
        held_images <= 0;
        held <= 1'b0;
        {picked, arrives} <= 2'b00;
        given <= 0;
    end
end

// ---- invariants: words given and words in the pipeline add up to the rows that were read ----
wire [17:0] all = two ? {1'b0, config_time_steps, 1'b0} : {2'd0, config_time_steps};
wire [17:0] at = two ? {1'b0, step, word} : {2'd0, step};
wire [15:0] steps_read = config_time_steps - \encode.steps_left_reg ;
wire [17:0] row_word = \encode.row_reg [ROW_BITS-1:1];
wire [17:0] read = !\encode.running_reg ? 18'd0 : (two ? {1'b0, steps_read, 1'b0} : {2'd0, steps_read}) + row_word;
wire        complete = \encode.valid_1_reg && (\encode.high_1_reg || \encode.end_1_reg );
wire [17:0] behind = at + m_valid + complete - read; // whole images that were read and are still on their way out
wire [2:0]  tails = behind == 0 ? 3'd0 : behind == all ? 3'd1 : 3'd2;
wire [17:0] at_1 = at + m_valid;                     // the word that the first stage is part of
wire        next_1 = at_1 >= all;                    // and it is of the next image
// The first stage holds the row before.
wire        bounded = \encode.running_reg && (\encode.row_reg != 0 || steps_read != 0);
wire [ROW_BITS-1:0] row_1 = bounded && \encode.row_reg != 0 ? \encode.row_reg - 1'b1 : \encode.last_row_reg ;
wire [2:0]  full = \encode.full_reg [0] + \encode.full_reg [1];
wire [2:0]  place = ahead - tails;                  // of the picked image among those that are there
wire        slot = \encode.encoding_reg ^ place[0];

always @* begin
    if (!begun || settled != 3) assume (reset); // a CONFIG leaves more cycles than that
    assume (config_inputs != 0 && config_inputs <= INPUTS && config_time_steps != 0);
    if (!packet || s_begin) assume (!s_valid);
    if (GUIDED != 0 && settled == 3) assume (!reset && m_ready && (!packet || (s_valid && !s_begin)));

    if (GUIDED != 0) assume (!config_bernoulli && \encode.seed == 0 && !\encode.seed_busy );
    if (GUIDED != 0) assume (s_data == 0 && !s_last && s_begin == (settled == 3 && !packet));
    if (GUIDED == 1) assume (config_inputs == 70 && config_time_steps == 2);
    if (GUIDED == 2) assume (config_inputs == 8 && config_time_steps == 4);

    if (begun && settled == 3) begin
        // A packet's SEED and each image bring on one seed, if there are to be any
        if (config_bernoulli) assert (\encode.seed_load == (take && !seeded) && \encode.seed_next == image_in);
        else assert (!\encode.seed_load && !\encode.seed_next );
        if (\encode.seed_next ) assert (!\encode.seed_busy );
        if (packet) assert (s_image_end == (seeded && came + 16'd1 == pixel_words));
        if (held) assert (m_valid && {m_data, m_first, m_start, m_last} == was);
        if (m_valid) assert (held_images != 0 && m_start == (word == 0 && step == 0));
        if (m_valid && picked && !arrives && ahead == 0) assert (m_last == last && m_first == (first && m_start));
        if (idle) assert (held_images == 0 && word == 0 && step == 0);
        if (held_images == 0) assert (idle);

        // Invariants
        assert (\encode.last_word_reg == pixel_words - 16'd1 && \encode.last_row_reg == (config_inputs - 16'd1) >> 5);
        assert (\encode.one_step_reg == (config_time_steps == 1));
        assert (step < config_time_steps && word <= two);
        if (packet) assert (\encode.pixels_reg == seeded && \encode.packet_reg == next_first);
        if (packet && seeded) assert (\encode.word_reg == came && came < pixel_words);
        if (\encode.running_reg ) begin
            assert (\encode.row_reg <= \encode.last_row_reg && \encode.full_reg [\encode.encoding_reg ]);
            assert (steps_read < config_time_steps && \encode.first_step_reg == (steps_read == 0));
            assert (\encode.last_step_reg == (\encode.steps_left_reg == 1));
            assert (\encode.plane_reg == 8'h80 >> steps_read);
        end
        assert (behind == 0 || behind == all || (behind == 2 && all == 1));
        assert (held_images == full + tails);
        assert (\encode.arriving_reg == (\encode.encoding_reg ^ full[0]));
        if (full == 1) assert (\encode.full_reg [\encode.encoding_reg ]);
        if (bounded) assert (\encode.valid_1_reg );
        if (\encode.valid_1_reg ) begin
            assert (\encode.high_1_reg == row_1[0] && \encode.end_1_reg == (!bounded || \encode.row_reg == 0));
            assert (\encode.start_1_reg == (at_1 == 0 || at_1 == all));
        end
        if (arrives) assert (picked && packet && seeded);
        if (picked && !arrives) begin
            assert (ahead < held_images);
            if (ahead >= tails) assert (\encode.first_reg [slot] == first && \encode.last_reg [slot] == last);
            if (ahead == next_1 && \encode.valid_1_reg )
                assert (\encode.first_1_reg == first && \encode.last_1_reg == last);
        end
    end

    if (GUIDED == 1) begin
        cover (settled == 3 && given == 1);
    end else begin
        cover (settled == 3 && given == 2);
        cover (settled == 3 && m_valid && picked && !arrives && ahead == 1 && !first);
        cover (settled == 3 && tails == 1 && \encode.running_reg );
    end
end

endmodule

`resetall
