# Stand-in for a cell of a plain module, a module reference: UG994, "HDL Parameters for Interface Inference". Unlike Vivado, which
# infers what no attribute says, it wants every port in an interface that is named, whole, and has a clock.

# What an interface consists of: signal, direction in a slave, and of which protocols it must be there.
set stand::logical {
    signal:clock:1.0 {CLK {input any}}
    signal:reset:1.0 {RST {input any}}
    signal:interrupt:1.0 {INTERRUPT {output any}}
    interface:aximm:1.0 {
        AWADDR {input any} AWLEN {input AXI4} AWSIZE {input AXI4} AWBURST {input AXI4} AWCACHE {input {}} AWPROT {input {}}
        AWVALID {input any} AWREADY {output any} WDATA {input any} WSTRB {input {}} WLAST {input AXI4} WVALID {input any}
        WREADY {output any} BRESP {output any} BVALID {output any} BREADY {input any} ARADDR {input any} ARLEN {input AXI4}
        ARSIZE {input AXI4} ARBURST {input AXI4} ARCACHE {input {}} ARPROT {input {}} ARVALID {input any} ARREADY {output any}
        RDATA {output any} RRESP {output any} RLAST {output AXI4} RVALID {output any} RREADY {input any}
    }
}

# Properties that an interface of each kind can have, with their legal values; those that it must have.
set stand::properties {
    signal:clock:1.0 {ASSOCIATED_BUSIF {text} ASSOCIATED_RESET {text}}
    signal:reset:1.0 {POLARITY {ACTIVE_LOW ACTIVE_HIGH}}
    signal:interrupt:1.0 {SENSITIVITY {LEVEL_HIGH LEVEL_LOW EDGE_RISING EDGE_FALLING}}
    interface:aximm:1.0 {
        PROTOCOL {AXI3 AXI4 AXI4LITE} MAX_BURST_LENGTH {from 1 to 256} NUM_READ_OUTSTANDING {from 0 to 32}
        NUM_WRITE_OUTSTANDING {from 0 to 32} SUPPORTS_NARROW_BURST {0 1}
    }
}
set stand::required {
    signal:clock:1.0 ASSOCIATED_RESET signal:reset:1.0 POLARITY signal:interrupt:1.0 SENSITIVITY interface:aximm:1.0 PROTOCOL
}

# The text of a module in the files of the project, all modules and headers of which must be there too.
proc stand::module {name} {
    set names {}
    set texts {}
    foreach path [dict get $stand::state files] {
        dict set names [file tail $path] 1
        if {[file extension $path] ne ".v"} continue
        set text [regsub -all -line {//.*$} [slurp $path] {}]
        foreach {line module} [regexp -all -inline -line {^module (\w+)} $text] {dict set texts $module $text}
    }
    if {![dict exists $texts $name]} {error "create_bd_cell: no module $name in the files of the project"}
    foreach text [dict values $texts] {
        foreach {line module} [regexp -all -inline -line {^ *(sp(?:k_|ikelin)\w*) (?:#\(|\w+ \()} $text] {
            if {![dict exists $texts $module]} {error "create_bd_cell: no module $module in the files of the project"}
        }
        foreach {line header} [regexp -all -inline {`include "([^"]+)"} $text] {
            if {![dict exists $names $header]} {error "create_bd_cell: no header $header in the files of the project"}
        }
    }
    return [dict get $texts $name]
}

# The shape of its cells, as those of the catalogue.
proc stand::reference {name} {
    variable logical
    regexp "(?w)^module $name\\M\[^;]*;" [stand::module $name] head
    set buses [dict create]  ;# name: kind, mode, properties and, of each signal, width
    set attribute {\(\*[^*]*\*\)\s*}
    foreach {all attributes direction high port} \
            [regexp -all -inline "((?:$attribute)*)(input|output)\\s+wire\\s+(?:\\\[\\s*(\\d+)\\s*:\\s*0\\s*]\\s*)?(\\w+)" $head] {
        if {![regexp {X_INTERFACE_INFO = "xilinx\.com:(\S+) (\w+) (\w+)"} $attributes -> kind bus signal]} {
            error "create_bd_cell: port $port of $name is of no interface"
        }
        if {![dict exists $logical $kind]} {error "create_bd_cell: port $port: no interface $kind"}
        if {![dict exists $logical $kind $signal]} {error "create_bd_cell: port $port: $signal is no signal of $kind"}
        if {[dict exists $buses $bus signals $signal]} {error "create_bd_cell: port $port: $bus has a $signal already"}
        set mode [expr {$direction eq [lindex [dict get $logical $kind $signal] 0] ? "Slave" : "Master"}]
        if {$kind eq "signal:interrupt:1.0"} {set mode [expr {$direction eq "output" ? "Master" : "Slave"}]}
        foreach {property value} [list kind $kind mode $mode] {
            if {[dict exists $buses $bus $property] && [dict get $buses $bus $property] ne $value} {
                error "create_bd_cell: port $port: $bus is $kind, $mode and [dict get $buses $bus $property]"
            }
            dict set buses $bus $property $value
        }
        dict set buses $bus signals $signal [expr {$high eq "" ? 1 : $high + 1}]
        if {[regexp {X_INTERFACE_PARAMETER = "XIL_INTERFACENAME (\w+), ([^"]*)"} $attributes -> named properties]} {
            if {$named ne $bus} {error "create_bd_cell: port $port of $bus tells of $named"}
            foreach pair [split $properties ,] {
                lassign $pair property value
                if {![dict exists $stand::properties $kind $property]} {error "create_bd_cell: $bus has no property $property"}
                if {![catalogue::legal $value [dict get $stand::properties $kind $property]]} {
                    error "create_bd_cell: $property of $bus cannot be $value"
                }
                dict set buses $bus properties $property $value
            }
        }
    }
    return [stand::cell $buses]
}

# Pins, interfaces, address spaces and segments, or an error for what an interface lacks.
proc stand::cell {buses} {
    variable logical
    set clocks [dict create]
    dict for {bus shape} $buses {
        dict with shape {}
        set needed [dict get $stand::required $kind]
        if {![dict exists $shape properties $needed]} {error "create_bd_cell: $bus has no $needed"}
        if {$kind ne "signal:clock:1.0"} continue
        set reset [dict get $properties ASSOCIATED_RESET]
        if {![dict exists $buses $reset] || [dict get $buses $reset kind] ne "signal:reset:1.0"} {
            error "create_bd_cell: $bus: no reset $reset"
        }
        foreach other [split [dict get $properties ASSOCIATED_BUSIF] :] {
            if {![dict exists $buses $other]} {error "create_bd_cell: $bus: no interface $other"}
            dict set clocks $other $bus
        }
    }
    set found {pins {} interfaces {} spaces {} segments {}}
    dict for {bus shape} $buses {
        dict with shape {}
        switch -- $kind {
            signal:clock:1.0 {dict lappend found pins $bus {I clk}}
            signal:reset:1.0 {dict lappend found pins $bus {I rst}}
            signal:interrupt:1.0 {dict lappend found pins $bus [list [expr {$mode eq "Master" ? "O" : "I"}] intr]}
            default {
                set protocol [dict get $properties PROTOCOL]
                dict for {signal rule} [dict get $logical $kind] {
                    lassign $rule direction protocols
                    set there [dict exists $signals $signal]
                    if {!$there && ("any" in $protocols || $protocol in $protocols)} {
                        error "create_bd_cell: $bus lacks $signal"
                    }
                    if {$there && $protocols ne "" && "any" ni $protocols && $protocol ni $protocols} {
                        error "create_bd_cell: $bus has $signal, which $protocol has not"
                    }
                }
                if {![dict exists $clocks $bus]} {error "create_bd_cell: interface $bus has no clock"}
                dict lappend found interfaces $bus [list $mode aximm [dict get $signals WDATA] [dict get $clocks $bus]]
                set size [expr {1 << [dict get $signals AWADDR]}]
                if {$mode eq "Slave"} {
                    dict lappend found segments $bus/reg0 $size
                } else {
                    dict lappend found spaces $bus [list $bus [list 0 [expr {$size - 1}]]]
                }
            }
        }
    }
    return $found
}
