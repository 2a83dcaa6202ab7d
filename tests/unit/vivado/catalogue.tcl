# What the vendor's IP of a board design looks like from outside: parameters with their legal values, and the pins, interfaces
# and addresses that follow from them. From the product guides: UG585 and PG082 (processing system), PG059 (interconnect), PG164
# (resets). Only what a Zynq design of this size needs.

namespace eval catalogue {
    variable parts {xc7z010clg400-1 xc7z020clg400-1 xc7z020clg484-1 xc7z045ffg900-2}
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
            if {!$n} {lappend spaces Data [list M_AXI_GP0 $low $high]}
        }
    }
    # A 16-bit bus of one 4 Gbit part; other memories are not modelled.
    set memory [expr {$PCW_UIPARAM_DDR_BUS_WIDTH eq "16 Bit" ? 0x20000000 : 0x40000000}]
    foreach n {0 1} {
        if {[set PCW_USE_S_AXI_HP$n]} {
            lappend pins S_AXI_HP${n}_ACLK {I clk}
            lappend interfaces S_AXI_HP$n [list Slave aximm [expr {$n ? 64 : $PCW_S_AXI_HP0_DATA_WIDTH}] S_AXI_HP${n}_ACLK]
            lappend segments S_AXI_HP$n/HP${n}_DDR_LOWOCM $memory
        }
    }
    if {$PCW_USE_FABRIC_INTERRUPT && $PCW_IRQ_F2P_INTR} {lappend pins IRQ_F2P {I intr}}
    return [dict create pins $pins interfaces $interfaces spaces $spaces segments $segments]
}
