# Synthesis, place and route; then the bitstream, unless timing fails, and the reports. Nothing that only describes the design may
# lose it: a report that fails is told, as a warning, and missing.

proc spk_report {name script} {
    if {[catch {uplevel $script} message]} {puts "WARNING: spikeline: no $name.rpt: $message"}
}

set design [get_files system.bd]
set_property synth_checkpoint_mode None $design
generate_target all $design
file copy $out/project/spikeline.gen/sources_1/bd/system/hw_handoff/system.hwh $out/spikeline.hwh
add_files -norecurse [make_wrapper -files $design -top]
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1

# The larger geometries fill the device: worth the longer run.
set_property strategy Performance_ExplorePostRoutePhysOpt [get_runs impl_1]
foreach run {synth_1 impl_1} {
    launch_runs $run -jobs 4
    wait_on_run $run
    set made [get_runs $run]
    if {[get_property PROGRESS $made] ne "100%"} {
        error "$run: [get_property STATUS $made]; see [get_property DIRECTORY $made]/runme.log"
    }
}

open_run impl_1
set figures {}
set met 1
foreach name {WNS WHS TPWS} {
    set value [get_property STATS.$name [get_runs impl_1]]
    lappend figures "$name $value ns"
    if {![string is double -strict $value] || $value < 0} {set met 0}
}
set nets [get_property STATS.FAILED_NETS [get_runs impl_1]]
if {$nets != 0} {set met 0}
if {$met} {write_bitstream $out/spikeline.bit}

spk_report utilization {report_utilization -file $out/utilization.rpt}
spk_report timing {report_timing_summary -file $out/timing.rpt}
spk_report route {report_route_status -file $out/route.rpt}
spk_report power {
    if {$saif ne ""} {read_saif -strip_path system_wrapper -out_file $out/saif_unmatched.txt $saif}
    report_power -file $out/power.rpt
}
if {!$met} {
    error "no bitstream, timing or routing fails: [join $figures {, }], $nets nets not routed; the reports are in $out"
}
