// SPDX-License-Identifier: Apache-2.0
// spk_scan visits each set bit of its lane exactly once, lowest first, and nothing else; it wastes no cycle.
//
// The solver picks any one vector as it is accepted. Within the step of that vector, from the cycle after its `start`
// to its `done`, every cycle must show the lowest set bit that is left: so a step lasts as many cycles as there are set
// bits, one if there are none. Outside of steps nothing may be shown. `start` comes only when spk_layer may give it
// (proved in layer.v).
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_scan #(
    parameter integer INPUTS = 40,
    parameter integer LANES = 1,
    parameter integer LANE = 0,
    // 1: no stalls and no second reset, to reach the covers soon
    parameter integer GUIDED = 0
) (
    input wire aclk
);

localparam USER_BITS = 2;
localparam WIDTH = (INPUTS + LANES - 1) / LANES;
localparam INDEX_BITS = $clog2(WIDTH);
localparam OWN = (INPUTS - LANE + LANES - 1) / LANES; // bits of this lane that there are
localparam GROUPS = (WIDTH + 15) / 16;
localparam GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
localparam PADDED = GROUPS * 16;

(* anyseq *) wire                 reset;
(* anyseq *) wire [INPUTS-1:0]    s_spikes;
(* anyseq *) wire [USER_BITS-1:0] s_user;
(* anyseq *) wire                 s_valid;
(* anyseq *) wire                 start;
(* anyseq *) wire                 pick;
wire                  s_ready;
wire                  next_valid;
wire [USER_BITS-1:0]  next_user;
wire                  done;
wire                  empty;
wire                  valid;
wire [INDEX_BITS-1:0] index;

spk_scan #(.INPUTS(INPUTS), .LANES(LANES), .LANE(LANE), .USER_BITS(USER_BITS)) scan (
    .aclk(aclk),
    .reset(reset),
    .s_spikes(s_spikes),
    .s_user(s_user),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .next_valid(next_valid),
    .next_user(next_user),
    .hold(1'b0),
    .start(start),
    .done(done),
    .empty(empty),
    .valid(valid),
    .index(index)
);

// The scanner's own signals, for invariants alone
(* hierconn *) wire                  \scan.full_reg ;
(* hierconn *) wire [PADDED-1:0]     \scan.vector_reg ;
(* hierconn *) wire [GROUPS-1:0]     \scan.pending_reg ;
(* hierconn *) wire [USER_BITS-1:0]  \scan.user_reg ;
(* hierconn *) wire                  \scan.fetched_valid_reg ;
(* hierconn *) wire [15:0]           \scan.fetched_reg ;
(* hierconn *) wire [GROUP_BITS-1:0] \scan.fetched_group_reg ;
(* hierconn *) wire                  \scan.fetched_last_reg ;
(* hierconn *) wire [USER_BITS-1:0]  \scan.fetched_user_reg ;
(* hierconn *) wire [15:0]           \scan.bits_reg ;
(* hierconn *) wire                  \scan.exhausted_reg ;
(* hierconn *) wire                  \scan.fetched_exhausted_reg ;
(* hierconn *) wire [GROUP_BITS-1:0] \scan.group_reg ;
(* hierconn *) wire                  \scan.last_reg ;
(* hierconn *) wire                  \scan.fetch ;
(* hierconn *) wire                  \scan.fetched_last_next ;
(* hierconn *) wire                  \scan.take ;

wire accept = s_valid && s_ready;

reg [OWN-1:0] lane;
integer i;
always @* for (i = 0; i < OWN; i = i + 1) lane[i] = s_spikes[i*LANES+LANE];

// ---- steps ----
reg       begun = 1'b0;
reg       running = 1'b0; // a step is under way
reg [1:0] queued = 0;     // vectors accepted whose step has not begun
reg       waited = 1'b0;  // one of them, and no step, in the cycle before too

// ---- the picked vector ----
reg                 picked = 1'b0;
reg                 watched = 1'b0;   // its step is under way
reg [1:0]           ahead;           // steps to begin before its own
reg [OWN-1:0]       left;             // its bits that were not shown yet
reg [USER_BITS-1:0] user;
reg                 unshown;          // none of its cycles has passed
wire [OWN-1:0]      lowest = left & (~left + 1'b1);
wire [OWN-1:0]      shown = {{(OWN-1){1'b0}}, 1'b1} << index;

// Which stage of the scanner holds some of it
reg own_vector = 1'b0;
reg own_fetched = 1'b0;

// For covers: bits of the watched vector, and whether it has come to its end
reg [7:0] spikes = 0;

always @(posedge aclk) begin
    begun <= 1'b1;
    running <= start || (running && !done);
    queued <= queued + accept - start;
    waited <= queued != 0 && !running;

    if (accept && pick && !picked && !watched) begin
        picked <= 1'b1;
        ahead <= queued - start;
        left <= lane;
        user <= s_user;
        unshown <= 1'b1;
        own_vector <= 1'b1;
        spikes <= 0;
    end
    if (picked && start) begin
        ahead <= ahead - 2'd1;
        if (ahead == 0) {picked, watched} <= 2'b01;
    end
    if (watched) begin
        left <= left & ~lowest;
        unshown <= 1'b0;
        spikes <= spikes + valid;
        if (done) watched <= 1'b0;
    end
    if (\scan.fetch ) begin
        own_fetched <= own_vector;
        if (\scan.fetched_last_next ) own_vector <= 1'b0;
    end else if (\scan.take ) own_fetched <= 1'b0;

    if (reset) begin
        running <= 1'b0;
        queued <= 0;
        waited <= 1'b0;
        picked <= 1'b0;
        watched <= 1'b0;
        own_vector <= 1'b0;
        own_fetched <= 1'b0;
    end
end

// ---- invariants: what is left of the picked vector is what the stages hold of it ----
// The first stage holds the rest of the word's vector.
wire partly = \scan.fetched_valid_reg && !\scan.fetched_last_reg ;
reg [PADDED-1:0] held;
reg              ordered;
reg              sound;  // pending groups hold a spike
reg              bounded; // nothing beyond the lane
wire [PADDED-1:0] outside = ~{PADDED{1'b0}} << OWN;
integer g;
always @* begin
    held = 0;
    ordered = 1'b1;
    sound = 1'b1;
    bounded = !\scan.full_reg || (\scan.vector_reg & outside) == 0;
    for (g = 0; g < GROUPS; g = g + 1) begin
        if (own_vector && \scan.pending_reg [g]) held[g*16 +: 16] = held[g*16 +: 16] | \scan.vector_reg [g*16 +: 16];
        if (own_fetched && \scan.fetched_group_reg == g) held[g*16 +: 16] = held[g*16 +: 16] | \scan.fetched_reg ;
        if (watched && \scan.group_reg == g) held[g*16 +: 16] = held[g*16 +: 16] | \scan.bits_reg ;
        if (\scan.fetched_valid_reg && \scan.fetched_group_reg == g && (\scan.fetched_reg & outside[g*16 +: 16]) != 0)
            bounded = 1'b0;
        if (\scan.group_reg == g && (\scan.bits_reg & outside[g*16 +: 16]) != 0) bounded = 1'b0;
        if (\scan.pending_reg [g]) begin
            if (\scan.vector_reg [g*16 +: 16] == 0) sound = 1'b0;
            if (partly && g <= \scan.fetched_group_reg ) ordered = 1'b0;
        end else if (!partly && \scan.vector_reg [g*16 +: 16] != 0) sound = 1'b0;
    end
    if (!\scan.last_reg && \scan.fetched_group_reg <= \scan.group_reg ) ordered = 1'b0;
end

always @* begin
    if (!begun) assume (reset);
    if (start) assume (next_valid && done);
    if (GUIDED != 0 && begun) assume (!reset && s_valid && start == (next_valid && done));

    if (begun) begin
        // Nothing beside steps; a step ends
        if (!running) assert (!valid && done);
        if (valid) assert (index < OWN);
        // The picked vector, bit by bit
        if (watched) begin
            assert (valid == (left != 0));
            if (valid) assert (shown == lowest);
            assert (done == (left == lowest));
            if (!unshown) assert (left != 0);
        end
        if (picked && ahead == 0 && next_valid && done) assert (next_user == user);
        // A vector that was accepted can start soon, and then there is room for another
        if (waited && !running) assert (next_valid);
        if (next_valid && done) assert (queued != 0);
        if (queued == 0 && done) assert (empty && s_ready);
        if (empty) assert (queued == 0);

        // Invariants
        assert (sound || !\scan.full_reg );
        assert (\scan.exhausted_reg == ((\scan.bits_reg & (\scan.bits_reg - 1'b1)) == 0));
        if (\scan.fetched_valid_reg )
            assert (\scan.fetched_exhausted_reg == ((\scan.fetched_reg & (\scan.fetched_reg - 1'b1)) == 0));
        assert (ordered && bounded);
        if (\scan.bits_reg != 0) assert (\scan.group_reg < GROUPS);
        if (\scan.fetched_valid_reg ) assert (\scan.fetched_group_reg < GROUPS);
        assert (queued == (\scan.fetched_valid_reg && \scan.last_reg ) + (\scan.full_reg && !partly));
        if (partly) assert (\scan.full_reg && \scan.pending_reg != 0);
        if (partly && \scan.last_reg ) assert (\scan.fetched_reg != 0);
        if (!\scan.last_reg ) assert (\scan.fetched_valid_reg && \scan.fetched_reg != 0 && \scan.bits_reg != 0);
        if (!running) assert (\scan.last_reg && \scan.bits_reg == 0);
        assert (picked + watched < 2);
        if (picked || watched) assert ({{(PADDED-OWN){1'b0}}, left} == held);
        assert (own_vector ? (picked || watched) && \scan.full_reg : 1'b1);
        assert (own_fetched ? (picked || watched) && \scan.fetched_valid_reg : 1'b1);
        if (partly) assert (own_fetched == own_vector);
        if (own_fetched && own_vector) assert (partly);
        if (picked) begin
            assert (unshown && (own_vector || own_fetched));
            assert (ahead < queued);
            assert (ahead == (own_fetched ? 0 : (\scan.fetched_valid_reg && \scan.last_reg )));
            if (own_fetched) assert (\scan.last_reg && \scan.fetched_user_reg == user);
            if (own_vector) assert (\scan.user_reg == user);
        end
        if (watched) begin
            assert (running && own_fetched == !\scan.last_reg );
            if (own_vector) assert (own_fetched);
        end
    end

    cover (watched && done && spikes == 3);
    cover (watched && done && !valid);
    cover (watched && valid && index == OWN - 1);
    cover (watched && done && next_valid && start && queued == 2);
    if (OWN == WIDTH && WIDTH > 16) cover (watched && &(~left[15:0]) && valid && index >= 16 && spikes == 16);
end

endmodule

`resetall
