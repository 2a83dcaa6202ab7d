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
    s_axis  xilinx.com:interface:axis_rtl:1.0  {s_axis_tdata s_axis_tvalid s_axis_tlast s_axis_tready}
    m_axis  xilinx.com:interface:axis_rtl:1.0  {m_axis_tdata m_axis_tvalid m_axis_tlast m_axis_tready}
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
foreach name {s_axil s_axis m_axis} {ipx::associate_bus_interfaces -busif $name -clock aclk $core}
ipx::associate_bus_interfaces -clock aclk -reset aresetn $core
set reset [ipx::get_bus_interfaces aresetn -of_objects $core]
set polarity [ipx::get_bus_parameters -quiet POLARITY -of_objects $reset] ;# inferred with the interface, in most releases
if {![llength $polarity]} {set polarity [ipx::add_bus_parameter POLARITY $reset]}
set_property value ACTIVE_LOW $polarity

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

# ---- registers ----

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
