# The board's design: processor and accelerator.
#
#   processor control ── control_0 ── spikeline_0 registers                  one clock: the processor's first
#   DDR ── processor memory ── memory_0 ── spikeline_0 memory
#   processor interrupt ── spikeline_0 irq
#
# What these ports of the processor are called is in the file of its kind, such as zynq7000.tcl. The accelerator's are AXI4-Lite
# and AXI4. The interconnects convert between the protocols and do nothing else, since all is one clock, so they are
# axi_interconnect: SmartConnect takes some thousand LUTs more, of which the larger geometries leave few. The accelerator's
# bursts are no longer than AXI3 allows, so none is split.

create_project spikeline $out/project -part $spk_part
set board_part [lindex [lsort -dictionary [get_board_parts -quiet $spk_board_part]] end]
if {$board_part ne ""} {
    set_property board_part $board_part [current_project]
} elseif {$spk_preset eq ""} {
    error "no board files $spk_board_part; install them: $spk_board_files"
}
add_files [concat [lsort [concat [glob $rtl/*.v] [glob $rtl/*.vh]]] $out/spikeline_ip.v]
update_compile_order -fileset sources_1
create_bd_design system

# ---- cells ----

# A cell of the vendor's IP, in the version that this Vivado has.
proc spk_cell {name ip {parameters {}}} {
    set cell [create_bd_cell -type ip -vlnv [get_property VLNV [get_ipdefs xilinx.com:ip:$ip:*]] $name]
    if {[llength $parameters]} {set_property -dict $parameters $cell}
    return $cell
}

set ps ${spk_ps}_0
set cell [spk_cell $ps $spk_ps]
apply_bd_automation -rule xilinx.com:bd_rule:$spk_ps \
    -config [concat $spk_automation apply_board_preset [expr {$board_part ne ""}]] $cell
if {$board_part eq ""} {set_property -dict $spk_preset $cell}
set_property -dict $spk_ps_parameters $cell

spk_cell reset_0 proc_sys_reset
foreach interconnect {control_0 memory_0} {
    spk_cell $interconnect axi_interconnect {CONFIG.NUM_SI 1 CONFIG.NUM_MI 1}
}

create_bd_cell -type module -reference spikeline_ip spikeline_0

# ---- connections ----

foreach {from to} [list \
    $ps/$spk_port(control)   control_0/S00_AXI \
    control_0/M00_AXI        spikeline_0/s_axil \
    spikeline_0/m_axi        memory_0/S00_AXI \
    memory_0/M00_AXI         $ps/$spk_port(memory) \
] {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

foreach {from to} [list \
    $ps/$spk_port(clock) [concat $ps/$spk_port(control_clock) $ps/$spk_port(memory_clock) {
        reset_0/slowest_sync_clk spikeline_0/aclk
        control_0/ACLK control_0/S00_ACLK control_0/M00_ACLK
        memory_0/ACLK memory_0/S00_ACLK memory_0/M00_ACLK
    }] \
    $ps/$spk_port(reset) reset_0/ext_reset_in \
    reset_0/interconnect_aresetn {control_0/ARESETN memory_0/ARESETN} \
    reset_0/peripheral_aresetn {
        spikeline_0/aresetn
        control_0/S00_ARESETN control_0/M00_ARESETN
        memory_0/S00_ARESETN memory_0/M00_ARESETN
    } \
    spikeline_0/irq $ps/$spk_port(interrupt) \
] {
    foreach pin $to {connect_bd_net [get_bd_pins $from] [get_bd_pins $pin]}
}

# ---- addresses ----

assign_bd_address -offset $spk_registers -range 64K -target_address_space [get_bd_addr_spaces $ps/Data] \
    [get_bd_addr_segs spikeline_0/s_axil/reg0]

# All of the DDR, where the processor has it, in as many segments as that has; and nothing else.
set space [get_bd_addr_spaces spikeline_0/m_axi]
foreach segment [get_bd_addr_segs $ps/$spk_port(segments)/*] {
    if {[string match *DDR* $segment]} {
        assign_bd_address -target_address_space $space $segment
    } else {
        exclude_bd_addr_seg $segment -target_address_space $space
    }
}

validate_bd_design
save_bd_design
