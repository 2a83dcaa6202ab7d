# What the vendor's IP of a board design looks like from outside: parameters with their legal values, and the pins, interfaces
# and addresses that follow from them. From the product guides: UG585 and PG082, UG1085 and PG201 (processing systems), PG059
# (interconnect), PG164 (resets). Only what a Zynq design of this size needs.

namespace eval catalogue {
    variable parts {
        xc7z010clg400-1 xc7z020clg400-1 xc7z020clg484-1 xc7z045ffg900-2
        xczu3eg-sfvc784-2-e xczu3eg-sbva484-1-e xczu7ev-ffvc1156-2-e xck26-sfvc784-2LV-c
    }
    # What the board files set of a processor, as far as it is modelled here: part, then parameters
    variable boards {
        www.digilentinc.com:pynq-z1:part0:1.0 {xc7z020clg400-1 zynq}
        tul.com.tw:pynq-z2:part0:1.0 {xc7z020clg400-1 zynq}
        xilinx.com:zcu104:part0:1.1 {xczu7ev-ffvc1156-2-e {PSU_DDR_RAM_HIGHADDR 0x7FFFFFFF}}
        xilinx.com:kv260_som:part0:1.3 {xck26-sfvc784-2LV-c {PSU_DDR_RAM_HIGHADDR 0xFFFFFFFF}}
        xilinx.com:kv260_som:part0:1.4 {xck26-sfvc784-2LV-c {PSU_DDR_RAM_HIGHADDR 0xFFFFFFFF}}
        realdigital.org:aup-zu3-8gb:part0:1.0 {xczu3eg-sfvc784-2-e {PSU_DDR_RAM_HIGHADDR 0x1FFFFFFFF}}
    }
    dict for {board settings} $boards {
        if {[lindex $settings 1] eq "zynq"} {
            dict set boards $board [list [lindex $settings 0] {
                PCW_UIPARAM_DDR_PARTNO {MT41J256M16 RE-125} PCW_UIPARAM_DDR_BUS_WIDTH {16 Bit}
                PCW_CRYSTAL_PERIPHERAL_FREQMHZ 50
            }]
        }
    }
    variable strategies {
        {Vivado Implementation Defaults} Performance_Explore Performance_ExplorePostRoutePhysOpt Performance_Retiming
        Area_Explore Congestion_SpreadLogic_high
    }
    variable ip [dict create]
}

# Name, default, legal values: a list of them, or {from LOW to HIGH}, {text}, {follows} for what cannot be set.
proc catalogue::add {vlnv parameters} {
    variable ip
    set known [dict create]
    foreach {name default legal} $parameters {dict set known $name [list $default $legal]}
    dict set ip $vlnv $known
}

proc catalogue::legal {value legal} {
    switch -- [lindex $legal 0] {
        text {return 1}
        follows {return 0}
        from {return [expr {[string is double -strict $value] && $value >= [lindex $legal 1] && $value <= [lindex $legal 3]}]}
    }
    return [expr {$value in $legal}]
}

# ---- resets and interconnect ----

catalogue::add xilinx.com:ip:proc_sys_reset:5.0 {
    C_NUM_BUS_RST 1 {from 1 to 8}
    C_NUM_PERP_RST 1 {from 1 to 16}
    C_NUM_INTERCONNECT_ARESETN 1 {from 1 to 8}
    C_NUM_PERP_ARESETN 1 {from 1 to 16}
    C_EXT_RST_WIDTH 4 {from 1 to 16}
    C_AUX_RST_WIDTH 4 {from 1 to 16}
    C_AUX_RESET_HIGH 0 {0 1}
    C_EXT_RESET_HIGH 0 {follows}
}

proc catalogue::proc_sys_reset {p} {
    return {
        pins {
            slowest_sync_clk {I clk} ext_reset_in {I rst} aux_reset_in {I optional} mb_debug_sys_rst {I optional}
            dcm_locked {I optional} mb_reset {O rst} bus_struct_reset {O rst} peripheral_reset {O rst}
            interconnect_aresetn {O rst} peripheral_aresetn {O rst}
        }
        interfaces {} spaces {} segments {}
    }
}

catalogue::add xilinx.com:ip:axi_interconnect:2.1 {
    NUM_SI 1 {from 1 to 16}
    NUM_MI 2 {from 1 to 64}
    STRATEGY 0 {0 1 2}
}

proc catalogue::axi_interconnect {p} {
    set pins {ACLK {I clk} ARESETN {I rst}}
    set interfaces {}
    foreach {letter count mode} [list S [dict get $p NUM_SI] Slave M [dict get $p NUM_MI] Master] {
        for {set n 0} {$n < $count} {incr n} {
            set port [format %s%02d $letter $n]
            lappend pins ${port}_ACLK {I clk} ${port}_ARESETN {I rst}
            lappend interfaces ${port}_AXI [list $mode aximm any ${port}_ACLK]
        }
    }
    return [dict create pins $pins interfaces $interfaces spaces {} segments {}]
}

# ---- processing system of a Zynq-7000 ----

catalogue::add xilinx.com:ip:processing_system7:5.5 {
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ 33.333333 {from 30 to 60}
    PCW_APU_PERIPHERAL_FREQMHZ 666.666666 {from 50 to 667}
    PCW_PRESET_BANK0_VOLTAGE {LVCMOS 3.3V} {{LVCMOS 1.8V} {LVCMOS 2.5V} {LVCMOS 3.3V}}
    PCW_PRESET_BANK1_VOLTAGE {LVCMOS 3.3V} {{LVCMOS 1.8V} {LVCMOS 2.5V} {LVCMOS 3.3V}}

    PCW_UIPARAM_DDR_ENABLE 1 {0 1}
    PCW_UIPARAM_DDR_PARTNO {MT41J256M8 HX-15E} {
        {MT41J128M8 JP-125} {MT41J256M8 HX-15E} {MT41J128M16 HA-15E} {MT41J256M16 RE-125} {MT41K256M16 RE-125} Custom
    }
    PCW_UIPARAM_DDR_BUS_WIDTH {32 Bit} {{16 Bit} {32 Bit}}
    PCW_UIPARAM_DDR_FREQ_MHZ 533.333333 {from 200 to 534}
    PCW_UIPARAM_DDR_BOARD_DELAY0 0.25 {from 0 to 10}
    PCW_UIPARAM_DDR_BOARD_DELAY1 0.25 {from 0 to 10}
    PCW_UIPARAM_DDR_BOARD_DELAY2 0.25 {from 0 to 10}
    PCW_UIPARAM_DDR_BOARD_DELAY3 0.25 {from 0 to 10}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_0 0.0 {from -10 to 10}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_1 0.0 {from -10 to 10}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_2 0.0 {from -10 to 10}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_3 0.0 {from -10 to 10}
    PCW_UIPARAM_DDR_TRAIN_WRITE_LEVEL 0 {0 1}
    PCW_UIPARAM_DDR_TRAIN_READ_GATE 0 {0 1}
    PCW_UIPARAM_DDR_TRAIN_DATA_EYE 0 {0 1}

    PCW_QSPI_PERIPHERAL_ENABLE 0 {0 1}
    PCW_QSPI_QSPI_IO <Select> {<Select> {MIO 1 .. 6}}
    PCW_QSPI_GRP_SINGLE_SS_ENABLE 0 {0 1}
    PCW_QSPI_GRP_FBCLK_ENABLE 0 {0 1}
    PCW_QSPI_PERIPHERAL_FREQMHZ 200 {from 10 to 200}
    PCW_ENET0_PERIPHERAL_ENABLE 0 {0 1}
    PCW_ENET0_ENET0_IO <Select> {<Select> {MIO 16 .. 27} EMIO}
    PCW_ENET0_GRP_MDIO_ENABLE 0 {0 1}
    PCW_ENET0_GRP_MDIO_IO <Select> {<Select> {MIO 52 .. 53} EMIO}
    PCW_ENET0_RESET_ENABLE 0 {0 1}
    PCW_ENET0_RESET_IO <Select> {text}
    PCW_SD0_PERIPHERAL_ENABLE 0 {0 1}
    PCW_SD0_SD0_IO <Select> {<Select> {MIO 16 .. 21} {MIO 28 .. 33} {MIO 40 .. 45} EMIO}
    PCW_SD0_GRP_CD_ENABLE 0 {0 1}
    PCW_SD0_GRP_CD_IO <Select> {text}
    PCW_SDIO_PERIPHERAL_FREQMHZ 100 {from 10 to 125}
    PCW_UART0_PERIPHERAL_ENABLE 0 {0 1}
    PCW_UART0_UART0_IO <Select> {<Select> {MIO 10 .. 11} {MIO 14 .. 15} {MIO 18 .. 19} {MIO 22 .. 23} {MIO 26 .. 27} EMIO}
    PCW_UART1_PERIPHERAL_ENABLE 0 {0 1}
    PCW_UART_PERIPHERAL_FREQMHZ 100 {from 10 to 100}
    PCW_USB0_PERIPHERAL_ENABLE 0 {0 1}
    PCW_USB0_USB0_IO <Select> {<Select> {MIO 28 .. 39}}
    PCW_USB0_RESET_ENABLE 0 {0 1}
    PCW_USB0_RESET_IO <Select> {text}
    PCW_GPIO_MIO_GPIO_ENABLE 0 {0 1}
    PCW_TTC0_PERIPHERAL_ENABLE 0 {0 1}

    PCW_EN_CLK0_PORT 1 {0 1}
    PCW_EN_CLK1_PORT 0 {0 1}
    PCW_EN_RST0_PORT 1 {0 1}
    PCW_FPGA0_PERIPHERAL_FREQMHZ 50 {from 0.1 to 250}
    PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ 50 {follows}
    PCW_USE_M_AXI_GP0 1 {0 1}
    PCW_USE_M_AXI_GP1 0 {0 1}
    PCW_USE_S_AXI_GP0 0 {0 1}
    PCW_USE_S_AXI_ACP 0 {0 1}
    PCW_USE_S_AXI_HP0 0 {0 1}
    PCW_USE_S_AXI_HP1 0 {0 1}
    PCW_S_AXI_HP0_DATA_WIDTH 64 {32 64}
    PCW_USE_FABRIC_INTERRUPT 0 {0 1}
    PCW_IRQ_F2P_INTR 0 {0 1}
}

proc catalogue::processing_system7 {p} {
    dict with p {}
    set pins {}
    set interfaces {DDR {Master ddrx any {}} FIXED_IO {Master fixedio any {}}}
    set spaces {}
    set segments {}
    if {$PCW_EN_CLK0_PORT} {lappend pins FCLK_CLK0 {O clk}}
    if {$PCW_EN_CLK1_PORT} {lappend pins FCLK_CLK1 {O clk}}
    if {$PCW_EN_RST0_PORT} {lappend pins FCLK_RESET0_N {O rst}}
    foreach {n low high} {0 0x40000000 0x7FFFFFFF 1 0x80000000 0xBFFFFFFF} {
        if {[set PCW_USE_M_AXI_GP$n]} {
            lappend pins M_AXI_GP${n}_ACLK {I clk}
            lappend interfaces M_AXI_GP$n [list Master aximm 32 M_AXI_GP${n}_ACLK]
            if {!$n} {lappend spaces Data [list M_AXI_GP0 [list $low $high]]}
        }
    }
    # A 16-bit bus of one 4 Gbit part; other memories are not modelled.
    set memory [expr {$PCW_UIPARAM_DDR_BUS_WIDTH eq "16 Bit" ? 0x20000000 : 0x40000000}]
    foreach n {0 1} {
        if {[set PCW_USE_S_AXI_HP$n]} {
            lappend pins S_AXI_HP${n}_ACLK {I clk}
            lappend interfaces S_AXI_HP$n [list Slave aximm [expr {$n ? 64 : $PCW_S_AXI_HP0_DATA_WIDTH}] S_AXI_HP${n}_ACLK]
            lappend segments S_AXI_HP$n/HP${n}_DDR_LOWOCM [list $memory 0]
        }
    }
    if {$PCW_USE_FABRIC_INTERRUPT && $PCW_IRQ_F2P_INTR} {lappend pins IRQ_F2P {I intr}}
    return [dict create pins $pins interfaces $interfaces spaces $spaces segments $segments]
}

# ---- processing system of a Zynq UltraScale+ ----

foreach version {3.3 3.4} {
    catalogue::add xilinx.com:ip:zynq_ultra_ps_e:$version {
        PSU_DDR_RAM_HIGHADDR 0x7FFFFFFF {text}
        PSU__DDRC__ENABLE 1 {0 1}

        PSU__FPGA_PL0_ENABLE 1 {0 1}
        PSU__FPGA_PL1_ENABLE 0 {0 1}
        PSU__CRL_APB__PL0_REF_CTRL__SRCSEL IOPLL {IOPLL RPLL DPLL}
        PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 100 {from 0 to 400}
        PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ 100 {follows}
        PSU__USE__FABRIC__RST 1 {0 1}
        PSU__NUM_FABRIC_RESETS 1 {0 1 2 3 4}
        PSU__USE__M_AXI_GP0 1 {0 1}
        PSU__USE__M_AXI_GP1 1 {0 1}
        PSU__USE__M_AXI_GP2 0 {0 1}
        PSU__MAXIGP0__DATA_WIDTH 128 {32 64 128}
        PSU__MAXIGP1__DATA_WIDTH 128 {32 64 128}
        PSU__MAXIGP2__DATA_WIDTH 32 {32 64 128}
        PSU__USE__S_AXI_GP2 0 {0 1}
        PSU__USE__S_AXI_GP3 0 {0 1}
        PSU__SAXIGP2__DATA_WIDTH 128 {32 64 128}
        PSU__SAXIGP3__DATA_WIDTH 128 {32 64 128}
        PSU__USE__IRQ0 1 {0 1}
        PSU__USE__IRQ1 0 {0 1}
    }
}

proc catalogue::zynq_ultra_ps_e {p} {
    dict with p {}
    set pins {}
    set interfaces {}
    set spaces {}
    set segments {}
    foreach n {0 1} {if {[set PSU__FPGA_PL${n}_ENABLE]} {lappend pins pl_clk$n {O clk}}}
    if {$PSU__USE__FABRIC__RST && $PSU__NUM_FABRIC_RESETS} {lappend pins pl_resetn0 {O rst}}
    foreach {n port low high} {
        0 HPM0_FPD 0xA0000000 0xAFFFFFFF 1 HPM1_FPD 0xB0000000 0xBFFFFFFF 2 HPM0_LPD 0x80000000 0x9FFFFFFF
    } {
        if {[set PSU__USE__M_AXI_GP$n]} {
            set clock m[string tolower axi$port]_aclk
            lappend pins $clock {I clk}
            lappend interfaces M_AXI_$port [list Master aximm [set PSU__MAXIGP${n}__DATA_WIDTH] $clock]
            if {!$n} {lappend spaces Data [list M_AXI_$port [list $low $high] {0x400000000 0x4FFFFFFFF}]}
        }
    }
    # The first 2 GiB of the DDR are low, the rest is high; HIGHADDR counts them as if they were one.
    set high [expr {$PSU_DDR_RAM_HIGHADDR - 0x7FFFFFFF}]
    foreach {n port} {2 HP0 3 HP1} {
        if {[set PSU__USE__S_AXI_GP$n]} {
            set clock [string tolower saxi${port}]_fpd_aclk
            lappend pins $clock {I clk}
            lappend interfaces S_AXI_${port}_FPD [list Slave aximm [set PSU__SAXIGP${n}__DATA_WIDTH] $clock]
            foreach {segment size at} [list DDR_LOW 0x80000000 0 DDR_HIGH $high 0x800000000 \
                    LPS_OCM 0x1000000 0xFF000000 QSPI 0x20000000 0xC0000000] {
                if {$size} {lappend segments SAXIGP$n/${port}_$segment [list [expr {$size + 0}] $at S_AXI_${port}_FPD]}
            }
        }
    }
    if {$PSU__USE__IRQ0} {lappend pins pl_ps_irq0 {I intr}}
    return [dict create pins $pins interfaces $interfaces spaces $spaces segments $segments]
}
