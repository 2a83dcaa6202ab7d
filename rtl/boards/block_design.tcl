# The board's design: processor and accelerator.
#
#   processor M_AXI_GP0 ── control_0 ── spikeline_0 registers                one clock: FCLK_CLK0
#   DDR ── S_AXI_HP0 ── memory_0 ── spikeline_0 memory
#   processor IRQ_F2P ── spikeline_0 irq
#
# The processor's ports are AXI3, the accelerator's AXI4-Lite and AXI4. The interconnects convert between them and do nothing
# else, since all is one clock, so they are axi_interconnect: SmartConnect takes some thousand LUTs more, of which the larger
# geometries leave few. The accelerator's bursts are no longer than AXI3 allows, so none is split.

create_project spikeline $out/project -part $spk_part
set preset [llength [get_board_parts -quiet $spk_board_part]]
if {$preset} {set_property board_part $spk_board_part [current_project]}
add_files [concat [lsort [concat [glob $rtl/*.v] [glob $rtl/*.vh]]] $out/spikeline_ip.v]
update_compile_order -fileset sources_1
create_bd_design system

# ---- cells ----

proc spk_cell {name vlnv {parameters {}}} {
    set cell [create_bd_cell -type ip -vlnv $vlnv $name]
    if {[llength $parameters]} {set_property -dict $parameters $cell}
    return $cell
}

set ps [spk_cell processing_system7_0 xilinx.com:ip:processing_system7:5.5]
apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
    -config [list make_external {FIXED_IO, DDR} apply_board_preset $preset Master Disable Slave Disable] $ps
if {!$preset} {set_property -dict $spk_ps7 $ps}
set_property -dict [list \
    CONFIG.PCW_EN_CLK0_PORT 1 \
    CONFIG.PCW_EN_RST0_PORT 1 \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $spk_clock_mhz \
    CONFIG.PCW_USE_M_AXI_GP0 1 \
    CONFIG.PCW_USE_S_AXI_HP0 1 \
    CONFIG.PCW_S_AXI_HP0_DATA_WIDTH $spk_memory_bits \
    CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
    CONFIG.PCW_IRQ_F2P_INTR 1] $ps

spk_cell reset_0 xilinx.com:ip:proc_sys_reset:5.0
foreach interconnect {control_0 memory_0} {
    spk_cell $interconnect xilinx.com:ip:axi_interconnect:2.1 {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1}
}

create_bd_cell -type module -reference spikeline_ip spikeline_0

# ---- connections ----

foreach {from to} {
    processing_system7_0/M_AXI_GP0 control_0/S00_AXI
    control_0/M00_AXI              spikeline_0/s_axil
    spikeline_0/m_axi              memory_0/S00_AXI
    memory_0/M00_AXI               processing_system7_0/S_AXI_HP0
} {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

foreach {from to} {
    processing_system7_0/FCLK_CLK0 {
        processing_system7_0/M_AXI_GP0_ACLK processing_system7_0/S_AXI_HP0_ACLK reset_0/slowest_sync_clk spikeline_0/aclk
        control_0/ACLK control_0/S00_ACLK control_0/M00_ACLK
        memory_0/ACLK memory_0/S00_ACLK memory_0/M00_ACLK
    }
    processing_system7_0/FCLK_RESET0_N {reset_0/ext_reset_in}
    reset_0/interconnect_aresetn {control_0/ARESETN memory_0/ARESETN}
    reset_0/peripheral_aresetn {
        spikeline_0/aresetn
        control_0/S00_ARESETN control_0/M00_ARESETN
        memory_0/S00_ARESETN memory_0/M00_ARESETN
    }
    spikeline_0/irq {processing_system7_0/IRQ_F2P}
} {
    foreach pin $to {connect_bd_net [get_bd_pins $from] [get_bd_pins $pin]}
}

# ---- addresses ----

foreach {space segment offset range} [list \
    processing_system7_0/Data spikeline_0/s_axil/reg0 $spk_base(ACCELERATOR) 64K \
    spikeline_0/m_axi processing_system7_0/S_AXI_HP0/HP0_DDR_LOWOCM 0x00000000 $spk_memory \
] {
    assign_bd_address -offset $offset -range $range -target_address_space [get_bd_addr_spaces $space] \
        [get_bd_addr_segs $segment]
}

validate_bd_design
save_bd_design
