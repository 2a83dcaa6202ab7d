# Generated from rtl/spec/spikeline.rdl by `make gen`; do not edit.

set spk_base(ACCELERATOR) 0x43C00000
set spk_base(ACCELERATOR_ULTRASCALE) 0xA0000000
set spk_register_bits 32
set spk_memory_bits 64
