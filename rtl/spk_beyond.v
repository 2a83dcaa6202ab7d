// SPDX-License-Identifier: Apache-2.0
// Has a membrane left the range of its state, one bit narrower? A module of its own, kept: mapped into the adder that
// follows, this would be repeated for every bit of every membrane.
`resetall
`timescale 1ns / 1ps
`default_nettype none

(* keep_hierarchy = "yes" *)
module spk_beyond (
    input  wire       saturate, // only then
    input  wire [1:0] top,      // the two highest bits
    output wire       beyond
);

assign beyond = saturate && top[1] != top[0];

endmodule

`resetall
