# The processor of a Zynq UltraScale+, for block_design.tcl. Its ports are AXI4, and by default 128 bits wide: here they are as
# wide as the accelerator's, so that the interconnects convert no width. pl_ps_irq0[0] is interrupt 121.

set spk_ps zynq_ultra_ps_e
array set spk_port {
    control M_AXI_HPM0_FPD    control_clock maxihpm0_fpd_aclk
    memory  S_AXI_HP0_FPD     memory_clock  saxihp0_fpd_aclk    segments SAXIGP2
    clock   pl_clk0           reset pl_resetn0                  interrupt pl_ps_irq0
}
set spk_registers $spk_base(ACCELERATOR_ULTRASCALE)
set spk_automation {}
set spk_ps_parameters [list \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL IOPLL \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $spk_clock_mhz \
    CONFIG.PSU__USE__FABRIC__RST 1 \
    CONFIG.PSU__USE__M_AXI_GP0 1 \
    CONFIG.PSU__MAXIGP0__DATA_WIDTH $spk_register_bits \
    CONFIG.PSU__USE__M_AXI_GP1 0 \
    CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__USE__S_AXI_GP2 1 \
    CONFIG.PSU__SAXIGP2__DATA_WIDTH $spk_memory_bits \
    CONFIG.PSU__USE__IRQ0 1]
