"""The block design's IP by the names under which `pynq` finds them in the hand-off file."""

VLNV = {"ACCELERATOR": "spikeline:ip:spikeline:1.0", "DMA": "xilinx.com:ip:axi_dma:7.1"}
MODULE_REFERENCE = "xilinx.com:module_ref:spikeline:1.0"  # the accelerator's if it was not packaged
