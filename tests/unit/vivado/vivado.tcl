# Stands in for Vivado where there is none: runs the scripts of rtl/boards and records what they would build.
#
#   tclsh vivado.tcl SETUP -mode batch -nojournal -log LOG -source SCRIPT -tclargs ...
#
# SETUP is a Tcl dictionary: `boards`, whose board files are installed; `result`, what differs from a run that succeeds; `record`,
# the JSON file to write.
#
# The stand-ins know the commands that the scripts use, with the options that they use, and are stricter than Vivado: whatever
# does not exist is an error, not a warning. What they cannot know is whether Vivado agrees; rtl/boards/README.md lists that.

namespace eval stand {
    variable setup
    variable objects [dict create]  ;# id, that is kind:name: properties
    variable steps {}
    variable result {WNS 0.127 WHS 0.021 TPWS 0.000 FAILED_NETS 0 version 2022.1 fails {}}
    variable project {}
    variable net                    ;# of a pin
    variable peer                   ;# of an interface
    variable addresses {}
    variable external {}            ;# interfaces that leave the design
    variable state [dict create]
    variable log
}
set stand::here [file dirname [file normalize [info script]]]
source [file join $stand::here catalogue.tcl]

# ---- objects and their properties ----

# The properties of each kind that can be set, with their legal values as in the catalogue.
set stand::writable {
    project {board_part {text}}
    fileset {top {text}}
    file {synth_checkpoint_mode {None Hierarchical Singular}}
    run {strategy {text}}
    bd_cell {}
}

proc stand::make {kind name {properties {}}} {
    variable objects
    if {[dict exists $objects $kind:$name]} {error "there is a $kind $name already"}
    dict set objects $kind:$name [dict merge [list name [lindex [split $name |] end]] $properties]
    return $kind:$name
}

proc stand::need {id args} {
    variable objects
    if {![dict exists $objects $id] || [lindex [split $id :] 0] ni $args} {error "{$id} is no [join $args { or }]"}
    return $id
}

proc stand::get {id name} {
    variable objects
    return [dict get $objects $id $name]
}

proc stand::put {id name value} {
    variable objects
    dict set objects $id $name $value
}

# Objects of a kind, of a parent if it has one, whose name matches.
proc stand::find {kind {pattern *} {parent {}}} {
    variable objects
    set found {}
    foreach id [dict keys $objects $kind:*] {
        set of [expr {[dict exists $objects $id of] ? [dict get $objects $id of] : {}}]
        if {$of eq $parent && [string match $pattern [dict get $objects $id name]]} {lappend found $id}
    }
    return $found
}

# The options of a command, of `known`: name and whether a value follows. Returns them and the other words.
proc stand::options {command known words} {
    set options {}
    set rest {}
    while {[llength $words]} {
        set words [lassign $words word]
        if {[dict exists $known $word]} {
            if {[dict get $known $word]} {
                if {![llength $words]} {error "$command: no value for $word"}
                set words [lassign $words value]
                dict set options $word $value
            } else {
                dict set options $word 1
            }
        } elseif {[regexp {^-[a-z]} $word]} {
            error "$command: unknown option $word"
        } else {
            lappend rest $word
        }
    }
    return [list $options $rest]
}

# Defines a command with options, `known`, and words, `names`, and notes that it was called.
proc stand::command {name known names body} {
    set check [list stand::options $name $known]
    proc ::$name args "
        if {\[lindex \$stand::steps end] ne {$name}} {lappend stand::steps $name}
        lassign \[$check \$args] options words
        if {\[llength \$words] != [llength $names]} {error \"$name: needs the words {$names}, not {\$words}\"}
        lassign \$words $names
        $body
    "
}

proc stand::option {options name {default {}}} {
    return [expr {[dict exists $options $name] ? [dict get $options $name] : $default}]
}

proc stand::exists {path} {
    if {![file exists $path]} {error "no file $path"}
    return $path
}

proc set_property {args} {
    lassign [stand::options set_property {-dict 1} $args] options words
    if {[dict exists $options -dict]} {
        set pairs [dict get $options -dict]
        lassign $words id
        if {[llength $words] != 1} {error "set_property -dict: needs one object, not {$words}"}
        if {[llength $pairs] % 2} {error "set_property -dict: a name without a value in {$pairs}"}
    } else {
        if {[llength $words] != 3} {error "set_property: needs name, value and object, not {$words}"}
        lassign $words name value id
        set pairs [list $name $value]
    }
    stand::need $id {*}[dict keys $stand::writable]
    set kind [lindex [split $id :] 0]
    foreach {name value} $pairs {
        if {$kind eq "bd_cell" && [regexp {^CONFIG\.(.+)$} $name -> parameter]} {
            stand::configure $id $parameter $value
            continue
        }
        set name [string tolower $name]
        if {![dict exists $stand::writable $kind $name]} {error "$kind has no property $name that can be set"}
        if {![catalogue::legal $value [dict get $stand::writable $kind $name]]} {error "$name of $id cannot be $value"}
        if {[info commands stand::set_$name] ne ""} {stand::set_$name $value}
        stand::put $id $name $value
    }
}

proc get_property {name id} {
    set kind [lindex [split $id :] 0]
    if {$kind eq "bd_cell" && [regexp {^CONFIG\.(.+)$} $name -> parameter]} {
        set parameters [stand::get $id parameters]
        if {![dict exists $parameters $parameter]} {error "$id has no parameter $parameter"}
        return [dict get $parameters $parameter]
    }
    if {$kind eq "run" && [regexp {^STATS\.(.+)$} $name -> figure]} {
        if {$figure ni {WNS WHS TPWS FAILED_NETS} || [stand::get $id progress] ne "100%"} {error "$id has no property $name"}
        return [dict get $stand::result $figure]
    }
    set name [string tolower $name]
    if {![dict exists $stand::objects $id $name]} {error "{$id} has no property $name"}
    return [stand::get $id $name]
}

proc stand::set_board_part {value} {
    if {$value ni [dict get $stand::setup boards]} {error "no board files of $value"}
    set part [lindex [dict get $catalogue::boards $value] 0]
    if {$part ne [get $stand::project part]} {error "$value is a board of $part, not of [get $stand::project part]"}
}
proc stand::set_strategy {value} {
    if {$value ni $catalogue::strategies} {error "no strategy $value"}
}
proc stand::set_top {value} {
    foreach path [dict get $stand::state files] {
        if {[file extension $path] eq ".v" && [regexp "(?n)^module $value\\M" [stand::slurp $path]]} return
    }
    error "no module $value in the files of the project"
}

proc stand::slurp {path} {
    set file [open $path]
    set text [read $file]
    close $file
    return $text
}
proc stand::spill {path text} {
    if {![file isdirectory [file dirname $path]]} {error "no folder [file dirname $path]"}
    set file [open $path w]
    puts $file $text
    close $file
}

# ---- project ----

stand::command version {-short 0} {} {
    return [dict get $stand::result version]
}

stand::command create_project {-part 1} {name folder} {
    if {$stand::project ne ""} {error "create_project: a project is open already"}
    set part [stand::option $options -part]
    if {$part ni $catalogue::parts} {error "create_project: no part $part"}
    file mkdir $folder
    set stand::project [stand::make project $name [list directory $folder part $part]]
    set stand::state [dict create files {} open {}]
    stand::make fileset $name|sources_1
    foreach run {synth_1 impl_1} {stand::make run $name|$run {progress 0% status {Not started} directory none}}
}
stand::command current_project {} {} {
    return [stand::need $stand::project project]
}
stand::command current_fileset {} {} {
    return fileset:[get_property name $stand::project]|sources_1
}
stand::command get_runs {} {name} {
    return [stand::need run:[get_property name $stand::project]|$name run]
}
stand::command get_board_parts {-quiet 0} {pattern} {
    return [lsearch -all -inline [dict get $stand::setup boards] $pattern]
}
stand::command get_ipdefs {} {pattern} {
    set found [lsort -dictionary [dict keys $catalogue::ip $pattern]]
    if {![llength $found]} {error "get_ipdefs: no IP $pattern"}
    set vlnv [lindex $found end]  ;# without -all, the newest
    if {![dict exists $stand::objects ip:$vlnv]} {stand::make ip $vlnv [list vlnv $vlnv]}
    return ip:$vlnv
}
stand::command add_files {-norecurse 0} {paths} {
    foreach path $paths {dict lappend stand::state files [stand::exists $path]}
}
stand::command get_files {} {pattern} {
    foreach path [dict get $stand::state files] {
        if {[string match $pattern [file tail $path]]} {
            if {![dict exists $stand::objects file:$path]} {stand::make file $path}
            return file:$path
        }
    }
    error "get_files: no $pattern in the project"
}
stand::command update_compile_order {-fileset 1} {} {
    if {[stand::option $options -fileset] ne "sources_1"} {error "no fileset [stand::option $options -fileset]"}
}
source [file join $stand::here reference.tcl]
source [file join $stand::here design.tcl]

# ---- from design to bitstream ----

stand::command generate_target {} {what file} {
    if {$what ne "all"} {error "generate_target: no target $what"}
    if {![dict get $stand::state validated]} {error "generate_target: the design is not validated"}
    set name [file rootname [file tail [get_property name [stand::need $file file]]]]
    set folder [get_property directory $stand::project]/[get_property name $stand::project].gen/sources_1/bd/$name
    file mkdir $folder/hw_handoff
    stand::spill $folder/hw_handoff/$name.hwh "<EDKSYSTEM/>"
    dict set stand::state generated $folder
}
stand::command make_wrapper {-files 1 -top 0} {} {
    set name [file rootname [file tail [get_property name [stand::need [stand::option $options -files] file]]]]
    set folder [dict get $stand::state generated]
    file mkdir $folder/hdl
    stand::spill $folder/hdl/${name}_wrapper.v "module ${name}_wrapper;\nendmodule"
    return $folder/hdl/${name}_wrapper.v
}
stand::command launch_runs {-jobs 1} {name} {
    set run [get_runs $name]
    get_property top [current_fileset]
    if {$name eq "impl_1" && [get_property progress [get_runs synth_1]] ne "100%"} {error "launch_runs: synth_1 is not done"}
    stand::put $run directory [get_property directory $stand::project]/runs/$name
    dict set stand::state launched $name
}
stand::command wait_on_run {} {name} {
    if {[dict get $stand::state launched] ne $name} {error "wait_on_run: $name was not launched"}
    set fails [expr {$name in [dict get $stand::result fails]}]
    stand::put [get_runs $name] progress [expr {$fails ? "37%" : "100%"}]
    stand::put [get_runs $name] status [expr {$fails ? "ERROR" : "Complete!"}]
}
stand::command open_run {} {name} {
    if {$name ne "impl_1" || [get_property progress [get_runs $name]] ne "100%"} {error "open_run: $name is not done"}
    dict set stand::state open $name
}

proc stand::report {name path} {
    if {[dict get $stand::state open] eq ""} {error "report: no design is open"}
    set saif [expr {[dict exists $stand::state saif] ? [dict get $stand::state saif] : "---"}]
    set met "All user specified timing constraints are met."
    foreach slack {WNS WHS} {
        if {[string match -* [dict get $stand::result $slack]]} {set met "Timing constraints are not met."}
    }
    spill $path [string map [list \
        %WNS% [dict get $stand::result WNS] %WHS% [dict get $stand::result WHS] %TPWS% [dict get $stand::result TPWS] \
        %MET% $met %SAIF% $saif %MATCHED% [expr {$saif eq "---" ? "NA" : "61%  (60104/98530)"}] \
    ] [slurp [file join $stand::here $name.rpt]]]
}
foreach {command name} {
    report_utilization utilization report_timing_summary timing report_power power report_route_status route
} {
    stand::command $command {-file 1} {} "
        if {{$command} in \[dict get \$stand::result fails]} {
            if {{exit} in \[dict get \$stand::result fails]} {exit 9}
            error {$command fails}
        }
        stand::report $name \[stand::option \$options -file]
    "
}
stand::command read_saif {-strip_path 1 -out_file 1} {path} {
    if {[dict get $stand::state open] eq ""} {error "read_saif: no design is open"}
    set strip [stand::option $options -strip_path]
    set inside [list $strip [dict get $stand::state design]_i spikeline_0 inst accelerator]
    if {![regexp "\\(INSTANCE [join $inside {\s*\(INSTANCE }]\\M" [stand::slurp [stand::exists $path]]] || \
            $strip ne [get_property top [current_fileset]]} {
        error "read_saif: $path has no [join $inside /]"
    }
    # A generate block is no cell in Vivado's netlist, only a part of the names in it.
    if {[regexp -line {\(INSTANCE ([^\s.]*\])$} [stand::slurp $path] -> block]} {error "read_saif: no cell $block in the design"}
    stand::spill [stand::option $options -out_file] ""
    dict set stand::state saif $path
}
stand::command write_bitstream {} {path} {
    if {[dict get $stand::state open] eq ""} {error "write_bitstream: no design is open"}
    if {[file exists $path]} {error "write_bitstream: there is a $path"}
    stand::spill $path bitstream
}

# ---- record ----

proc stand::text {value} {
    return "\"[string map {\\ \\\\ \" \\\" \n \\n} $value]\""
}
proc stand::array {values} {
    return "\[[join $values {, }]]"
}
# Of pairs of a name and a value that is JSON already.
proc stand::dictionary {pairs} {
    set members {}
    foreach {name value} $pairs {lappend members "[text $name]: $value"}
    return "{[join $members {, }]}"
}
# The properties of an object that are named, as text.
proc stand::members {id names} {
    set pairs {}
    foreach name $names {lappend pairs $name [text [get $id $name]]}
    return $pairs
}
proc stand::strings {values} {
    set all {}
    foreach value $values {lappend all [text $value]}
    return [array $all]
}

proc stand::save {} {
    variable objects
    set cells {}
    foreach id [find bd_cell] {
        set parameters {}
        dict for {name value} [get $id parameters] {lappend parameters $name [text $value]}
        lappend cells [get $id name] [dictionary [list vlnv [text [get $id vlnv]] parameters [dictionary $parameters]]]
    }
    set streams {}
    foreach {from to} [::array get stand::peer] {
        set from [get $from name]
        if {[lindex [lookup record interfaces $from] 0] eq "Master"} {lappend streams $from [text [get $to name]]}
    }
    set nets {}
    foreach pin [::array names stand::net] {
        if {[driver $pin] ni [list "" [get $pin name]]} {lappend nets [get $pin name] [text [driver $pin]]}
    }
    set addresses {}
    foreach address $stand::addresses {lappend addresses [strings $address]}
    set projects {}
    foreach id [dict keys $objects project:*] {
        set board [expr {[dict exists $objects $id board_part] ? [get $id board_part] : ""}]
        lappend projects [get $id name] [dictionary [concat [members $id {part}] [list board_part [text $board]]]]
    }
    spill [dict get $stand::setup record] [dictionary [list \
        steps [strings $stand::steps] projects [dictionary $projects] files [strings [dict get $stand::state files]] \
        cells [dictionary $cells] interfaces [dictionary $streams] drivers [dictionary $nets] addresses [array $addresses] \
        external [strings $stand::external]]]
}

# ---- run ----

proc stand::main {setup_file args} {
    lassign [options vivado {-mode 1 -nojournal 0 -log 1 -source 1} [lrange $args 0 [lsearch $args -tclargs]-1]] options words
    if {[llength $words] || [option $options -mode] ne "batch"} {error "vivado: {$args}"}
    set stand::setup [dict merge {boards {} result {}} [slurp $setup_file]]
    set stand::result [dict merge $stand::result [dict get $stand::setup result]]
    set stand::log [open [option $options -log] w]
    set ::argv [lrange $args [lsearch $args -tclargs]+1 end]
    uplevel #0 [list source [option $options -source]]
    finish 0
}
proc stand::finish {status} {
    save
    close $stand::log
    leave $status
}

# What is printed also stands in the log; a run that ends is recorded.
rename puts stand::print
proc puts {args} {
    stand::print {*}$args
    if {[llength $args] == 1} {stand::print $stand::log {*}$args}
}
rename exit stand::leave
proc exit {{status 0}} {
    stand::finish $status
}

# The Tcl of Vivado 2022.1 is 8.5.
foreach command {lmap try throw tailcall coroutine} {rename $command {}}
namespace ensemble configure string -map [dict remove [namespace ensemble configure string -map] cat]

stand::main {*}$argv
