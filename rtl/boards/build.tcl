# Builds the bitstream of a board: package the accelerator, put it into a block design, implement that.
#
#   vivado -mode batch -source build.tcl -tclargs BOARD_FOLDER OUT [SAIF]
#
# OUT holds geometry.tcl, which bit.py writes; all that is made goes there. Vivado's Tcl is 8.5: no lmap, no try.

lassign $argv board out saif
set out [file normalize $out]
set here [file dirname [file normalize [info script]]]
set rtl [file dirname $here]

# Raises an error that names what differs, unless `found` has just the names that are expected.
proc spk_same {what expected found} {
    set missing {}
    set surplus {}
    foreach name $expected {if {$name ni $found} {lappend missing $name}}
    foreach name $found {if {$name ni $expected} {lappend surplus $name}}
    if {[llength $missing] || [llength $surplus]} {
        error "$what of spikeline.v: missing: [join $missing {, }]; not expected: [join $surplus {, }]"
    }
}

# An error of Vivado's own stands in the log already; here it gets the word by which bit.py finds it.
if {[catch {
    if {[scan [version -short] %d.%d year release] != 2 || 10 * $year + $release < 20221} {
        error "Vivado [version -short] is too old; install 2022.1 or newer"
    }
    source $here/spec.tcl
    source $out/geometry.tcl
    source $board/board.tcl
    foreach step {package_ip block_design implement} {
        puts "spikeline: $step"
        source $here/$step.tcl
    }
} message]} {
    puts "ERROR: $message"
    exit 1
}
