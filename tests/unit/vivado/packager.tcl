# Stand-ins for the IP packager: UG1118, and `ipx::` in UG835.

namespace eval ipx {}
stand::command ipx::package_project {-root_dir 1 -vendor 1 -library 1 -taxonomy 1 -import_files 0} {} {
    set top [get_property top [current_fileset]]
    if {$top ne "spikeline"} {error "ipx::package_project: top is $top, the setup describes spikeline"}
    set names {}
    foreach path [dict get $stand::state files] {lappend names [file tail $path]}
    foreach path [dict get $stand::state files] {
        foreach {line name} [regexp -all -inline {`include "([^"]+)"} [stand::slurp $path]] {
            if {$name ni $names} {error "ipx::package_project: [file tail $path] includes $name, which is not in the project"}
        }
    }
    set folder [stand::option $options -root_dir]
    file mkdir $folder
    set stand::core [stand::make core $top [list directory $folder vendor [stand::option $options -vendor] \
        library [stand::option $options -library] version 1.0 files [dict get $stand::state files]]]
    dict for {name value} [dict get $stand::setup module parameters] {
        foreach kind {user hdl} {
            stand::make ${kind}_parameter $name [list of $stand::core value $value value_format long value_bit_string_length 0]
        }
    }
    stand::make user_parameter Component_Name [list of $stand::core value spikeline_v1_0]
    dict for {name shape} [dict get $stand::setup module ports] {
        stand::make port $name [list of $stand::core direction [lindex $shape 0] width [lindex $shape 1]]
    }
    stand::make memory_map inferred [list of $stand::core]
    stand::make address_space inferred [list of $stand::core range 4294967296 width 32]
}
stand::command ipx::current_core {} {} {
    return [stand::need $stand::core core]
}

foreach {name kind} {
    get_ports port get_bus_interfaces bus_interface get_hdl_parameters hdl_parameter get_user_parameters user_parameter
    get_memory_maps memory_map get_address_spaces address_space get_bus_parameters bus_parameter
} {
    proc ipx::$name args [string map [list NAME ipx::$name KIND $kind] {
        lassign [stand::options NAME {-of_objects 1 -quiet 0} $args] options words
        if {[llength $words] > 1} {error "NAME: one pattern, not {$words}"}
        set parent [stand::need [stand::option $options -of_objects] core bus_interface]
        set found [stand::find KIND [expr {[llength $words] ? [lindex $words 0] : "*"}] $parent]
        if {[llength $words] && ![llength $found] && ![dict exists $options -quiet]} {error "NAME: no KIND [lindex $words 0]"}
        return $found
    }]
}

stand::command ipx::remove_all_bus_interface {} {core} {
    foreach bus [stand::find bus_interface * $core] {dict unset stand::objects $bus}
}

# What an interface consists of: name in it, direction in a slave, whether it can be left out.
set stand::logical {
    xilinx.com:signal:clock_rtl:1.0 {CLK {input 0}}
    xilinx.com:signal:reset_rtl:1.0 {RST {input 0}}
    xilinx.com:signal:interrupt_rtl:1.0 {INTERRUPT {output 0}}
    xilinx.com:interface:aximm_rtl:1.0 {
        AWADDR {input 0} AWLEN {input 1} AWSIZE {input 1} AWBURST {input 1} AWCACHE {input 1} AWPROT {input 1} AWVALID {input 0}
        AWREADY {output 0} WDATA {input 0} WSTRB {input 1} WLAST {input 1} WVALID {input 0} WREADY {output 0} BRESP {output 0}
        BVALID {output 0} BREADY {input 0} ARADDR {input 0} ARLEN {input 1} ARSIZE {input 1} ARBURST {input 1} ARCACHE {input 1}
        ARPROT {input 1} ARVALID {input 0} ARREADY {output 0} RDATA {output 0} RRESP {output 0} RLAST {output 1} RVALID {output 0}
        RREADY {input 0}
    }
}

stand::command ipx::infer_bus_interface {} {ports vlnv core} {
    stand::need $core core
    if {![dict exists $stand::logical $vlnv]} {error "ipx::infer_bus_interface: no interface $vlnv"}
    set signals [dict get $stand::logical $vlnv]
    set maps {}
    set mode {}
    foreach port $ports {
        set direction [get_property direction [ipx::get_ports $port -of_objects $core]]
        if {[llength $signals] == 2} {
            set bus $port
            set signal [lindex $signals 0]
        } else {
            set bus [join [lrange [split $port _] 0 end-1] _]
            set signal [string toupper [lindex [split $port _] end]]
            if {![dict exists $signals $signal]} {error "ipx::infer_bus_interface: $port is no signal of $vlnv"}
        }
        lappend mode [expr {$direction eq [lindex [dict get $signals $signal] 0] ? "slave" : "master"}]
        lappend buses $bus
        dict set maps $signal $port
    }
    if {[llength [lsort -unique $mode]] != 1} {error "ipx::infer_bus_interface: directions of {$ports} do not agree"}
    if {[llength [lsort -unique $buses]] != 1} {error "ipx::infer_bus_interface: {$ports} have no common prefix"}
    dict for {signal shape} $signals {
        if {![lindex $shape 1] && ![dict exists $maps $signal]} {error "ipx::infer_bus_interface: $bus lacks $signal"}
    }
    set made [stand::make bus_interface $bus [list of $core vlnv $vlnv mode [lindex $mode 0] maps $maps clock {} reset {}]]
    # Vivado 2022.1 and newer know by the name of a reset that it is active low.
    if {[string match *:reset_rtl:* $vlnv] && [dict get $stand::result infers]} {
        stand::make bus_parameter $bus|POLARITY [list of $made value ACTIVE_LOW]
    }
    if {[string match *:interrupt_rtl:* $vlnv] && [dict get $stand::result infers]} {
        stand::make bus_parameter $bus|SENSITIVITY [list of $made value LEVEL_HIGH]
    }
    return $made
}
stand::command ipx::associate_bus_interfaces {-busif 1 -clock 1 -reset 1} {core} {
    set clock [ipx::get_bus_interfaces [stand::option $options -clock] -of_objects $core]
    if {[get_property vlnv $clock] ne "xilinx.com:signal:clock_rtl:1.0"} {error "ipx::associate_bus_interfaces: $clock no clock"}
    foreach {option property} {-busif clock -reset reset} {
        if {[dict exists $options $option]} {
            set bus [ipx::get_bus_interfaces [dict get $options $option] -of_objects $core]
            if {$option eq "-busif"} {stand::put $bus clock $clock} else {stand::put $clock reset $bus}
        }
    }
}
stand::command ipx::add_bus_parameter {} {name bus} {
    stand::need $bus bus_interface
    return [stand::make bus_parameter [get_property name $bus]|$name [list of $bus value {}]]
}

stand::command ipx::remove_memory_map {} {name core} {
    dict unset stand::objects [ipx::get_memory_maps $name -of_objects $core]
}
stand::command ipx::add_memory_map {} {name core} {
    return [stand::make memory_map $name [list of [stand::need $core core]]]
}
stand::command ipx::remove_address_space {} {name core} {
    dict unset stand::objects [ipx::get_address_spaces $name -of_objects $core]
}
stand::command ipx::add_address_space {} {name core} {
    return [stand::make address_space $name [list of [stand::need $core core] range 4294967296 width 32]]
}
stand::command ipx::add_address_block {} {name map} {
    return [stand::make address_block $name [list of [stand::need $map memory_map] range 65536 width 32 usage register]]
}
stand::command ipx::add_register {} {name block} {
    return [stand::make register $name [list of [stand::need $block address_block] \
        address_offset 0 size 32 access read-write description {}]]
}
stand::command ipx::add_field {} {name register} {
    return [stand::make field [get_property name $register]|$name [list of [stand::need $register register] \
        bit_offset 0 bit_width 1 access read-write description {}]]
}

stand::command ipx::create_xgui_files {} {core} {stand::need $core core}
stand::command ipx::update_checksums {} {core} {stand::need $core core}

# Whether all ports belong to interfaces with a clock, both sets of parameters agree and no register lies on another.
stand::command ipx::check_integrity {} {core} {
    set problems {}
    set mapped {}
    foreach bus [stand::find bus_interface * $core] {
        lappend mapped {*}[dict values [get_property maps $bus]]
        set name [get_property name $bus]
        switch -glob -- [get_property vlnv $bus] {
            *:interface:* {if {[get_property clock $bus] eq ""} {lappend problems "interface $name has no clock"}}
            *:clock_rtl:* {if {[get_property reset $bus] eq ""} {lappend problems "clock $name has no reset"}}
            *:reset_rtl:* {
                set polarity [stand::find bus_parameter POLARITY $bus]
                if {$polarity eq "" || [get_property value $polarity] ni {ACTIVE_LOW ACTIVE_HIGH}} {
                    lappend problems "reset $name has no polarity"
                }
            }
            *:interrupt_rtl:* {
                set sensitivity [stand::find bus_parameter SENSITIVITY $bus]
                if {$sensitivity eq "" || [get_property value $sensitivity] ni {LEVEL_HIGH LEVEL_LOW EDGE_RISING EDGE_FALLING}} {
                    lappend problems "interrupt $name has no sensitivity"
                }
            }
        }
    }
    foreach port [stand::find port * $core] {
        if {[get_property name $port] ni $mapped} {lappend problems "port [get_property name $port] has no interface"}
    }
    foreach hdl [stand::find hdl_parameter * $core] {
        set user [stand::find user_parameter [get_property name $hdl] $core]
        foreach property {value value_format value_bit_string_length} {
            if {[get_property $property $hdl] ne [get_property $property $user]} {
                lappend problems "parameter [get_property name $hdl]: $property differs between user and HDL"
            }
        }
        set value [get_property value $hdl]
        set vector [string match 0x* $value]
        if {$vector != ([get_property value_format $hdl] eq "bitString")} {
            lappend problems "parameter [get_property name $hdl] = $value is of format [get_property value_format $hdl]"
        } elseif {$vector && [get_property value_bit_string_length $hdl] < 4 * ([string length $value] - 2)} {
            lappend problems "parameter [get_property name $hdl] = $value has [get_property value_bit_string_length $hdl] bits"
        }
    }
    foreach map [stand::find memory_map * $core] {
        foreach block [stand::find address_block * $map] {
            set taken {}
            foreach register [stand::find register * $block] {
                set name [get_property name $register]
                set offset [expr {[get_property address_offset $register] + 0}]
                set bytes [expr {[get_property size $register] / 8}]
                if {$offset in $taken || $offset % $bytes || $offset + $bytes > [get_property range $block]} {
                    lappend problems "register $name cannot lie at $offset"
                }
                lappend taken $offset
                set bits {}
                foreach field [stand::find field * $register] {
                    for {set n 0} {$n < [get_property bit_width $field]} {incr n} {
                        set bit [expr {[get_property bit_offset $field] + $n}]
                        if {$bit in $bits || $bit >= 8 * $bytes} {
                            lappend problems "field [get_property name $field] of $name cannot take bit $bit"
                        }
                        lappend bits $bit
                    }
                }
            }
        }
    }
    foreach problem $problems {puts "ERROR: \[IP_Flow\] $problem"}
    return [expr {![llength $problems]}]
}

# Keeps the core as a catalogue entry: parameters, and the shape of its cells.
stand::command ipx::save_core {} {core} {
    set interfaces {}
    set pins {}
    set segments {}
    set spaces {}
    foreach bus [stand::find bus_interface * $core] {
        set name [get_property name $bus]
        set maps [get_property maps $bus]
        set mode [string totitle [get_property mode $bus]]
        switch -glob -- [get_property vlnv $bus] {
            *:clock_rtl:* {lappend pins $name {I clk}}
            *:reset_rtl:* {lappend pins $name {I rst}}
            *:interrupt_rtl:* {lappend pins $name {O intr}}
            default {
                set data [ipx::get_ports [dict get $maps WDATA] -of_objects $core]
                lappend interfaces $name [list $mode aximm [get_property width $data] [get_property name [get_property clock $bus]]]
                set addresses [get_property width [ipx::get_ports [dict get $maps AWADDR] -of_objects $core]]
                if {[dict exists $stand::objects $bus slave_memory_map_ref]} {
                    set map [ipx::get_memory_maps [get_property slave_memory_map_ref $bus] -of_objects $core]
                    foreach block [stand::find address_block * $map] {
                        if {[get_property range $block] > 1 << $addresses} {
                            error "ipx::save_core: [get_property range $block] bytes behind $addresses address bits"
                        }
                        lappend segments $name/[get_property name $block] [get_property range $block]
                    }
                } elseif {[dict exists $stand::objects $bus master_address_space_ref]} {
                    set space [ipx::get_address_spaces [get_property master_address_space_ref $bus] -of_objects $core]
                    if {[get_property range $space] != 1 << $addresses} {
                        error "ipx::save_core: [get_property range $space] bytes behind $addresses address bits"
                    }
                    lappend spaces [get_property name $space] [list $name 0 [expr {[get_property range $space] - 1}]]
                } else {
                    error "ipx::save_core: $name has no [expr {$mode eq "Slave" ? "memory map" : "address space"}]"
                }
            }
        }
    }
    set parameters {}
    foreach parameter [stand::find hdl_parameter * $core] {
        dict set parameters [get_property name $parameter] [list [get_property value $parameter] {text}]
    }
    set vlnv [join [list [get_property vendor $core] [get_property library $core] [get_property name $core] \
        [get_property version $core]] :]
    dict set stand::cores [get_property directory $core] [dict create vlnv $vlnv parameters $parameters \
        shape [dict create pins $pins interfaces $interfaces spaces $spaces segments $segments]]
    stand::spill [get_property directory $core]/component.xml "<component/>"
}

