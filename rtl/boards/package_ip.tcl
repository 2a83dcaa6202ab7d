# Packages the Verilog as spikeline:ip:spikeline:1.0, with the sizes of this build as its defaults and with its registers, so
# that the .hwh file names them.

create_project package $out/package -part $spk_part
add_files [lsort [concat [glob $rtl/*.v] [glob $rtl/*.vh]]]
set_property top spikeline [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir $out/ip -vendor spikeline -library ip -taxonomy /UserIP -import_files
set core [ipx::current_core]
set_property -dict {
    name spikeline
    version 1.0
    display_name Spikeline
    description {Accelerator of binary-activation spiking networks}
    supported_families {zynq Production}
} $core

# ---- interfaces: what is inferred by itself depends on the release, so they are named ----

set interfaces {
    aclk    xilinx.com:signal:clock_rtl:1.0    {aclk}
    aresetn xilinx.com:signal:reset_rtl:1.0    {aresetn}
    s_axil  xilinx.com:interface:aximm_rtl:1.0 {
        s_axil_awaddr s_axil_awvalid s_axil_awready s_axil_wdata s_axil_wstrb s_axil_wvalid s_axil_wready
        s_axil_bresp s_axil_bvalid s_axil_bready s_axil_araddr s_axil_arvalid s_axil_arready
        s_axil_rdata s_axil_rresp s_axil_rvalid s_axil_rready
    }
    m_axi   xilinx.com:interface:aximm_rtl:1.0 {
        m_axi_araddr m_axi_arlen m_axi_arsize m_axi_arburst m_axi_arcache m_axi_arprot m_axi_arvalid m_axi_arready
        m_axi_rdata m_axi_rresp m_axi_rlast m_axi_rvalid m_axi_rready
        m_axi_awaddr m_axi_awlen m_axi_awsize m_axi_awburst m_axi_awcache m_axi_awprot m_axi_awvalid m_axi_awready
        m_axi_wdata m_axi_wstrb m_axi_wlast m_axi_wvalid m_axi_wready
        m_axi_bresp m_axi_bvalid m_axi_bready
    }
    irq     xilinx.com:signal:interrupt_rtl:1.0 {irq}
}
set expected {}
set found {}
foreach {name kind ports} $interfaces {lappend expected {*}$ports}
foreach port [ipx::get_ports -of_objects $core] {lappend found [get_property name $port]}
spk_same ports $expected $found

ipx::remove_all_bus_interface $core
foreach {name kind ports} $interfaces {
    ipx::infer_bus_interface $ports $kind $core
    if {[llength [ipx::get_bus_interfaces $name -of_objects $core]] != 1} {error "no interface $name in the packaged IP"}
}
foreach name {s_axil m_axi} {ipx::associate_bus_interfaces -busif $name -clock aclk $core}
ipx::associate_bus_interfaces -clock aclk -reset aresetn $core
foreach {name parameter value} {aresetn POLARITY ACTIVE_LOW irq SENSITIVITY LEVEL_HIGH} {
    set bus [ipx::get_bus_interfaces $name -of_objects $core]
    set found [ipx::get_bus_parameters -quiet $parameter -of_objects $bus] ;# inferred with the interface, in most releases
    if {![llength $found]} {set found [ipx::add_bus_parameter $parameter $bus]}
    set_property value $value $found
}

# ---- parameters: the packager cannot follow a width that depends on LAYERS, so each build packages its own ----

set found {}
foreach parameter [ipx::get_hdl_parameters -of_objects $core] {lappend found [get_property name $parameter]}
spk_same parameters [dict keys $spk_parameters] $found
foreach {name value} $spk_parameters {
    foreach kind {user hdl} {
        set parameter [ipx::get_${kind}_parameters $name -of_objects $core]
        if {[string match 0x* $value]} {
            set_property value_format bitString $parameter
            set_property value_bit_string_length [expr {4 * ([string length $value] - 2)}] $parameter
        }
        set_property value $value $parameter
    }
}

# ---- memory that it reaches, and registers ----

foreach space [ipx::get_address_spaces -of_objects $core] {ipx::remove_address_space [get_property name $space] $core}
set space [ipx::add_address_space m_axi $core]
set_property master_address_space_ref m_axi [ipx::get_bus_interfaces m_axi -of_objects $core]
set bits [dict get $spk_parameters ADDRESS_BITS]
set_property -dict [list range [expr {1 << $bits}] width $bits] $space

foreach map [ipx::get_memory_maps -of_objects $core] {ipx::remove_memory_map [get_property name $map] $core}
set map [ipx::add_memory_map s_axil $core]
set_property slave_memory_map_ref s_axil [ipx::get_bus_interfaces s_axil -of_objects $core]
set block [ipx::add_address_block Reg $map]
set_property -dict {range 4096 width 32 usage register} $block
foreach register $spk_registers {
    lassign $register name offset access description fields
    set added [ipx::add_register $name $block]
    set_property -dict [list address_offset $offset size 32 access $access description $description] $added
    foreach field $fields {
        lassign $field name lowest bits access description
        set_property -dict [list bit_offset $lowest bit_width $bits access $access description $description] \
            [ipx::add_field $name $added]
    }
}

ipx::create_xgui_files $core
ipx::update_checksums $core
if {![ipx::check_integrity $core]} {error "the packaged IP fails its integrity check; see the messages above"}
ipx::save_core $core
close_project
