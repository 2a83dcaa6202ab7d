# Builds the bitstream of a board: puts the accelerator into a block design and implements that.
#
#   vivado -mode batch -source build.tcl -tclargs OUT [SAIF]
#
# OUT holds board.tcl and spikeline_ip.v, which bit.py writes; all that is made goes there. Vivado's Tcl is 8.5: no lmap, no try.

lassign $argv out saif
set out [file normalize $out]
set here [file dirname [file normalize [info script]]]
set rtl [file dirname $here]

# An error of Vivado's own stands in the log already; here it gets the word by which bit.py finds it.
if {[catch {
    if {[scan [version -short] %d.%d year release] != 2 || 10 * $year + $release < 20221} {
        error "Vivado [version -short] is too old; install 2022.1 or newer"
    }
    source $here/spec.tcl
    source $out/board.tcl
    source $here/$spk_processor.tcl
    foreach step {block_design implement} {
        puts "spikeline: $step"
        source $here/$step.tcl
    }
} message]} {
    puts "ERROR: $message"
    exit 1
}
