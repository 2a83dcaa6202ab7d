// SPDX-License-Identifier: Apache-2.0
// spk_memory with the ID wires that the AxiRam of cocotbext-axi asks for: always zero, and not looked at.
`timescale 1ns / 1ps

module memory_with_ids #(
    parameter integer ADDRESS_BITS = 32
) (
    input  wire                    aclk, aresetn, reset,
    output wire                    quiet,
    input  wire [ADDRESS_BITS-1:0] command_address,
    input  wire [            31:0] command_bytes,
    input  wire                    command_last, command_receive, command_valid,
    output wire [            63:0] m_axis_tdata,
    output wire                    m_axis_tlast, m_axis_tvalid,
    input  wire                    m_axis_tready,
    input  wire [            63:0] s_axis_tdata,
    input  wire                    s_axis_tlast, s_axis_tvalid,
    output wire                    s_axis_tready,
    output wire                    m_axi_awid, m_axi_arid,
    input  wire                    m_axi_bid, m_axi_rid,
    output wire [ADDRESS_BITS-1:0] m_axi_awaddr, m_axi_araddr,
    output wire [             7:0] m_axi_awlen, m_axi_arlen,
    output wire [             2:0] m_axi_awsize, m_axi_arsize,
    output wire [             1:0] m_axi_awburst, m_axi_arburst,
    output wire [             3:0] m_axi_awcache, m_axi_arcache,
    output wire [             2:0] m_axi_awprot, m_axi_arprot,
    output wire                    m_axi_awvalid, m_axi_arvalid,
    input  wire                    m_axi_awready, m_axi_arready,
    output wire [            63:0] m_axi_wdata,
    output wire [             7:0] m_axi_wstrb,
    output wire                    m_axi_wlast, m_axi_wvalid,
    input  wire                    m_axi_wready,
    input  wire [             1:0] m_axi_bresp, m_axi_rresp,
    input  wire                    m_axi_bvalid, m_axi_rvalid,
    output wire                    m_axi_bready, m_axi_rready,
    input  wire [            63:0] m_axi_rdata,
    input  wire                    m_axi_rlast,
    output wire                    send_done, receive_done,
    output wire [            31:0] sends, receives,
    output wire                    error_valid,
    output wire [             2:0] error_code,
    output wire                    error_receive,
    output wire [ADDRESS_BITS-1:0] error_address
);

assign m_axi_awid = 1'b0;
assign m_axi_arid = 1'b0;

spk_memory #(.ADDRESS_BITS(ADDRESS_BITS)) memory (.*);

endmodule
