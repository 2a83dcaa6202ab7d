// SPDX-License-Identifier: Apache-2.0
// Has a membrane left the range of its state, which is one bit narrower than the membrane?
//
//   overflow = saturate and the two highest bits differ           combinational
//
// A module of its own, and kept: mapped into the adder that follows, this gate would be repeated for every bit of every
// membrane.
`resetall
`timescale 1ns / 1ps
`default_nettype none

(* keep_hierarchy = "yes" *)
module spk_overflow (
    input  wire       saturate, // the range is to be kept in this cycle
    input  wire [1:0] top,      // the two highest bits of the membrane
    output wire       overflow
);

assign overflow = saturate && top[1] != top[0];

endmodule

`resetall
