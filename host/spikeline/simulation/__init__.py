"""The accelerator where there is no board: its Verilog compiled by Verilator, behind what `pynq` expects of a board."""
