// SPDX-License-Identifier: Apache-2.0
// spk_unpack shows each spike of a position once a round, lowest map first, in every round, and each position once.
//
// The position that was taken last is kept here, and of it what has to come next: the lowest map that has not come in
// this round, or the end of a step. It must stand at the output until it is taken, and the next position must not be
// taken before the last spike of the last round.
`resetall
`timescale 1ns / 1ps
`default_nettype none

module formal_unpack (
    input wire aclk
);

localparam MAPS = 4;
localparam DATA_BITS = 4; // it does not look at them
localparam ROUND_BITS = 2;

(* anyconst *) wire [ROUND_BITS-1:0] config_last_round;
(* anyseq *) wire                 reset;
(* anyseq *) wire                 s_end;
(* anyseq *) wire [MAPS-1:0]      s_spikes;
(* anyseq *) wire [DATA_BITS-1:0] s_data;
(* anyseq *) wire                 s_valid;
(* anyseq *) wire                 m_ready;
wire                  s_ready;
wire                  m_end;
wire [1:0]            m_map;
wire [ROUND_BITS-1:0] m_round;
wire                  m_first;
wire                  m_last;
wire [DATA_BITS-1:0]  m_data;
wire                  m_valid;

spk_unpack #(.MAPS(MAPS), .DATA_BITS(DATA_BITS), .ROUND_BITS(ROUND_BITS)) unpack (
    .aclk(aclk),
    .reset(reset),
    .config_last_round(config_last_round),
    .s_end(s_end),
    .s_spikes(s_spikes),
    .s_data(s_data),
    .s_valid(s_valid),
    .s_ready(s_ready),
    .m_end(m_end),
    .m_map(m_map),
    .m_round(m_round),
    .m_first(m_first),
    .m_last(m_last),
    .m_data(m_data),
    .m_valid(m_valid),
    .m_ready(m_ready)
);

// The module's own registers, for invariants alone
(* hierconn *) wire [MAPS-1:0] \unpack.spikes_reg ;
(* hierconn *) wire [MAPS-1:0] \unpack.left_reg ;

reg                  begun = 1'b0;
reg                  busy = 1'b0;
reg                  ending;
reg [MAPS-1:0]       spikes;
reg [MAPS-1:0]       left;  // of this round
reg [ROUND_BITS-1:0] round;
reg [DATA_BITS-1:0]  data;
wire [1:0]           lowest = left[0] ? 0 : left[1] ? 1 : left[2] ? 2 : 3;
wire [MAPS-1:0]      after = left & ~(4'd1 << lowest);
wire                 done = ending || (after == 0 && round == config_last_round);

always @(posedge aclk) begin
    begun <= 1'b1;
    if (m_valid && m_ready) begin
        left <= after == 0 ? spikes : after;
        if (after == 0) round <= round + 1'b1;
        if (done) busy <= 1'b0;
    end
    if (s_valid && s_ready) begin
        busy <= 1'b1;
        ending <= s_end;
        spikes <= s_spikes;
        left <= s_spikes;
        round <= 0;
        data <= s_data;
    end
    if (reset) busy <= 1'b0;
end

always @* begin
    if (!begun) assume (reset);
    if (s_valid && !s_end) assume (s_spikes != 0); // positions without a spike are not handed on

    if (begun) begin
        assert (m_valid == busy);
        assert (s_ready == (!busy || (m_ready && done)));
        if (busy) begin
            assert ({m_end, m_data} == {ending, data});
            if (!ending) begin
                assert (left[m_map] && m_map == lowest);
                assert (m_round == round && round <= config_last_round);
                assert (m_first == (left == spikes));
                assert (m_last == (after == 0));
            end
        end

        // Invariants
        if (busy && !ending) begin
            assert (spikes != 0 && left != 0 && (left & ~spikes) == 0);
            assert ({\unpack.spikes_reg , \unpack.left_reg } == {spikes, left});
        end
    end

    cover (busy && !ending && round == 2 && after == 0 && spikes == 11 && config_last_round == 2 && m_ready && s_valid);
    cover (busy && ending && m_ready && s_valid && !s_end);
end

endmodule

`resetall
