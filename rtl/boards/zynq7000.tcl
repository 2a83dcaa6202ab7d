# The processor of a Zynq-7000, for block_design.tcl. Its ports are AXI3; IRQ_F2P[0] is interrupt 61.

set spk_ps processing_system7
array set spk_port {
    control M_AXI_GP0    control_clock M_AXI_GP0_ACLK
    memory  S_AXI_HP0    memory_clock  S_AXI_HP0_ACLK    segments S_AXI_HP0
    clock   FCLK_CLK0    reset FCLK_RESET0_N             interrupt IRQ_F2P
}
set spk_registers $spk_base(ACCELERATOR)
set spk_automation {make_external {FIXED_IO, DDR} Master Disable Slave Disable}
set spk_ps_parameters [list \
    CONFIG.PCW_EN_CLK0_PORT 1 \
    CONFIG.PCW_EN_RST0_PORT 1 \
    CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $spk_clock_mhz \
    CONFIG.PCW_USE_M_AXI_GP0 1 \
    CONFIG.PCW_USE_S_AXI_HP0 1 \
    CONFIG.PCW_S_AXI_HP0_DATA_WIDTH $spk_memory_bits \
    CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
    CONFIG.PCW_IRQ_F2P_INTR 1]
