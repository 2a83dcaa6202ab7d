# Stand-ins for the block design: UG994, and `bd` in UG835.

# ---- cells ----

stand::command create_bd_design {} {name} {
    dict set stand::state design $name
    dict set stand::state validated 0
}
stand::command create_bd_cell {-type 1 -vlnv 1 -reference 1} {name} {
    set parameters {}
    switch -- [stand::option $options -type] {
        ip {
            set vlnv [stand::option $options -vlnv]
            if {![dict exists $catalogue::ip $vlnv]} {error "create_bd_cell: no IP $vlnv in the catalogue"}
            set known [dict get $catalogue::ip $vlnv]
            dict for {parameter shape} $known {dict set parameters $parameter [lindex $shape 0]}
            set shape {}
        }
        module {
            set module [stand::option $options -reference]
            set vlnv xilinx.com:module_ref:$module:1.0
            set known {}
            set shape [stand::reference $module]
        }
        default {error "create_bd_cell: type [stand::option $options -type]"}
    }
    return [stand::make bd_cell $name [list vlnv $vlnv parameters $parameters known $known shape $shape]]
}

proc stand::configure {cell parameter value} {
    set known [get $cell known]
    if {![dict exists $known $parameter]} {error "[get $cell vlnv] has no parameter $parameter"}
    set legal [lindex [dict get $known $parameter] 1]
    if {![catalogue::legal $value $legal]} {error "$parameter of $cell cannot be $value, only {$legal}"}
    set parameters [get $cell parameters]
    dict set parameters $parameter $value
    # A PLL is divided by whole numbers.
    foreach {asked actual pll} {
        PCW_FPGA0_PERIPHERAL_FREQMHZ PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ 1000.0
        PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ 1499.985
    } {
        if {$parameter eq $asked} {dict set parameters $actual [expr {$pll / round($pll / $value)}]}
    }
    put $cell parameters $parameters
}

proc stand::shape {cell} {
    set vlnv [get $cell vlnv]
    if {[string match *:module_ref:* $vlnv]} {return [get $cell shape]}
    return [catalogue::[lindex [split $vlnv :] 2] [get $cell parameters]]
}

# What `name`, cell/rest, is of a cell: looks it up in the `part` of its shape.
proc stand::lookup {command part name} {
    set rest [join [lassign [split $name /] cell] /]
    if {![dict exists $stand::objects bd_cell:$cell]} {error "$command: no cell $cell"}
    if {![dict exists [shape bd_cell:$cell] $part $rest]} {error "$command: $cell has no $rest"}
    return [dict get [shape bd_cell:$cell] $part $rest]
}
foreach {command part kind} {
    get_bd_pins pins bd_pin get_bd_intf_pins interfaces bd_intf_pin get_bd_addr_spaces spaces bd_addr_space
    get_bd_addr_segs segments bd_addr_seg
} {
    stand::command $command {} {name} [string map [list COMMAND $command PART $part KIND $kind] {
        set found {}
        foreach name [stand::matching COMMAND PART $name] {
            stand::lookup COMMAND PART $name
            if {![dict exists $stand::objects KIND:$name]} {stand::make KIND $name}
            lappend found KIND:$name
        }
        return $found
    }]
}

# The names that a pattern, cell/rest*, stands for; at least one.
proc stand::matching {command part name} {
    if {![string match {*\**} $name]} {return [list $name]}
    set rest [join [lassign [split $name /] cell] /]
    if {![dict exists $stand::objects bd_cell:$cell]} {error "$command: no cell $cell"}
    set found {}
    foreach match [dict keys [dict get [shape bd_cell:$cell] $part] $rest] {lappend found $cell/$match}
    if {![llength $found]} {error "$command: $cell has no $rest"}
    return $found
}

stand::command apply_bd_automation {-rule 1 -config 1} {cell} {
    stand::need $cell bd_cell
    if {[stand::option $options -rule] ne "xilinx.com:bd_rule:[lindex [split [get_property vlnv $cell] :] 2]"} {
        error "apply_bd_automation: no rule [stand::option $options -rule]"
    }
    dict for {name value} [stand::option $options -config] {
        switch -- $name {
            make_external {
                foreach interface [split [string map {{ } {}} $value] ,] {
                    stand::lookup apply_bd_automation interfaces [get_property name $cell]/$interface
                    lappend stand::external [get_property name $cell]/$interface
                }
            }
            apply_board_preset {
                if {$value} {
                    set settings [dict get $catalogue::boards [get_property board_part $stand::project]]
                    foreach {parameter setting} [lindex $settings 1] {stand::configure $cell $parameter $setting}
                }
            }
            Master - Slave {if {$value ne "Disable"} {error "apply_bd_automation: $name $value"}}
            default {error "apply_bd_automation: no setting $name"}
        }
    }
}

# ---- connections and addresses ----

stand::command connect_bd_net {} {from to} {
    set pins {}
    foreach pin [list $from $to] {
        stand::need $pin bd_pin
        set joined [expr {[info exists stand::net($pin)] ? $stand::net($pin) : [list $pin]}]
        foreach other $joined {if {$other ni $pins} {lappend pins $other}}
    }
    set drivers {}
    set kinds {}
    foreach pin $pins {
        lassign [stand::lookup connect_bd_net pins [get_property name $pin]] direction kind
        if {$direction eq "O"} {lappend drivers $pin}
        if {$kind ne "optional"} {lappend kinds $kind}
    }
    if {[llength $drivers] > 1} {error "connect_bd_net: $drivers drive one net"}
    if {[llength [lsort -unique $kinds]] > 1} {error "connect_bd_net: $from and $to are [join [lsort -unique $kinds] { and }]"}
    foreach pin $pins {set stand::net($pin) $pins}
    dict set stand::state validated 0
}

# The output pin of the net of a pin.
proc stand::driver {pin} {
    foreach other $stand::net($pin) {
        if {[lindex [lookup driver pins [get $other name]] 0] eq "O"} {return [get $other name]}
    }
}

stand::command connect_bd_intf_net {} {from to} {
    foreach end [list $from $to] {
        stand::need $end bd_intf_pin
        if {[info exists stand::peer($end)]} {error "connect_bd_intf_net: $end is connected to $stand::peer($end)"}
    }
    lassign [stand::lookup connect_bd_intf_net interfaces [get_property name $from]] mode1 kind1 width1
    lassign [stand::lookup connect_bd_intf_net interfaces [get_property name $to]] mode2 kind2 width2
    if {$mode1 eq $mode2} {error "connect_bd_intf_net: $from and $to are both $mode1"}
    if {$kind1 ne $kind2} {error "connect_bd_intf_net: $from is $kind1, $to $kind2"}
    if {"any" ni [list $width1 $width2] && $width1 != $width2} {
        error "connect_bd_intf_net: $from is $width1 bits wide, $to $width2"
    }
    set stand::peer($from) $to
    set stand::peer($to) $from
    dict set stand::state validated 0
}

# The segments that a master interface, cell/interface, reaches. One is named after the interface, or tells it.
proc stand::reached {master} {
    if {![info exists stand::peer(bd_intf_pin:$master)]} {return {}}
    set slave [get $stand::peer(bd_intf_pin:$master) name]
    set cell bd_cell:[lindex [split $slave /] 0]
    set found {}
    if {[string match *:axi_interconnect:* [get $cell vlnv]]} {
        dict for {name shape} [dict get [shape $cell] interfaces] {
            if {[lindex $shape 0] eq "Master"} {lappend found {*}[reached [get $cell name]/$name]}
        }
    } else {
        dict for {segment shape} [dict get [shape $cell] segments] {
            set interface [expr {[llength $shape] > 2 ? [lindex $shape 2] : [lindex [split $segment /] 0]}]
            if {$interface eq [lindex [split $slave /] 1]} {lappend found [get $cell name]/$segment}
        }
    }
    return $found
}

# The names of an address space and a segment that it reaches.
proc stand::pair {command space segment} {
    set space [get [need $space bd_addr_space] name]
    set segment [get [need $segment bd_addr_seg] name]
    set interface [lindex [lookup $command spaces $space] 0]
    if {$segment ni [reached [lindex [split $space /] 0]/$interface]} {error "$command: $space does not reach $segment"}
    return [list $space $segment]
}

# Without an offset, where the segment has its own.
stand::command assign_bd_address {-offset 1 -range 1 -target_address_space 1} {segment} {
    lassign [stand::pair assign_bd_address [stand::option $options -target_address_space] $segment] space segment
    set windows [lassign [stand::lookup assign_bd_address spaces $space] interface]
    lassign [stand::lookup assign_bd_address segments $segment] size own
    if {$own ne ""} {
        if {[dict size $options] > 1} {error "assign_bd_address: $segment is where it is"}
        set offset [expr {$own + 0}]
        set range $size
    } else {
        set offset [expr {[stand::option $options -offset] + 0}]
        if {![regexp {^(\d+)([KMG]?)$} [stand::option $options -range] -> number unit]} {error "assign_bd_address: bad range"}
        set range [expr {$number << [dict get {{} 0 K 10 M 20 G 30} $unit]}]
    }
    set where [format {%s at 0x%08llX, 0x%llX bytes} $segment $offset $range]
    if {$own eq "" && ($range & ($range - 1) || $offset % $range || $range < 4096)} {
        error "assign_bd_address: $where is not aligned"
    }
    set fits 0
    foreach window $windows {
        lassign $window low high
        if {$offset >= $low && $offset + $range - 1 <= $high} {set fits 1}
    }
    if {!$fits} {error "assign_bd_address: $where is outside of $space"}
    if {$range < $size} {error "assign_bd_address: $where, but the segment has $size"}
    foreach assigned $stand::addresses {
        lassign $assigned other name at length
        if {$other eq $space && $at < $offset + $range && $offset < $at + $length} {
            error "assign_bd_address: $where overlaps $name"
        }
    }
    lappend stand::addresses [list $space $segment $offset $range]
}

stand::command exclude_bd_addr_seg {-target_address_space 1} {segment} {
    lassign [stand::pair exclude_bd_addr_seg [stand::option $options -target_address_space] $segment] space segment
    if {[lsearch -index 1 $stand::addresses $segment] >= 0} {error "exclude_bd_addr_seg: $segment is assigned"}
    dict set stand::state excluded $space/$segment 1
}

stand::command validate_bd_design {} {} {
    set problems {}
    foreach cell [stand::find bd_cell] {
        set name [get_property name $cell]
        set shape [stand::shape $cell]
        dict for {pin kinds} [dict get $shape pins] {
            lassign $kinds direction kind
            if {$direction eq "I" && $kind ne "optional" && ![info exists stand::net(bd_pin:$name/$pin)]} {
                lappend problems "$name/$pin is not connected"
            }
        }
        dict for {interface kinds} [dict get $shape interfaces] {
            lassign $kinds mode kind width clock
            set end bd_intf_pin:$name/$interface
            if {![info exists stand::peer($end)]} {
                if {"$name/$interface" ni $stand::external} {lappend problems "$name/$interface is not connected"}
                continue
            }
            set other [split [get_property name $stand::peer($end)] /]
            set clocked [lindex [dict get [stand::shape bd_cell:[lindex $other 0]] interfaces [lindex $other 1]] 3]
            set nets {}
            foreach pin [list bd_pin:$name/$clock bd_pin:[lindex $other 0]/$clocked] {
                lappend nets [expr {[info exists stand::net($pin)] ? [lsort $stand::net($pin)] : $pin}]
            }
            if {[lindex $nets 0] ne [lindex $nets 1]} {lappend problems "$name/$interface and [join $other /]: two clocks"}
        }
        dict for {space shape} [dict get $shape spaces] {
            foreach segment [stand::reached $name/[lindex $shape 0]] {
                set assigned [dict exists $stand::state excluded $name/$space/$segment]
                foreach address $stand::addresses {
                    if {[lindex $address 0] eq "$name/$space" && [lindex $address 1] eq $segment} {set assigned 1}
                }
                if {!$assigned} {lappend problems "$segment has no address in $name/$space"}
            }
        }
    }
    foreach pin [array names stand::net] {
        if {[stand::driver $pin] eq ""} {lappend problems "nothing drives [get_property name $pin]"}
    }
    if {[llength $problems]} {error "validate_bd_design: [join $problems {; }]"}
    dict set stand::state validated 1
}

stand::command save_bd_design {} {} {
    set name [dict get $stand::state design]
    set folder [get_property directory $stand::project]/[get_property name $stand::project].srcs/sources_1/bd/$name
    file mkdir $folder
    stand::spill $folder/$name.bd "{}"
    dict lappend stand::state files $folder/$name.bd
}

