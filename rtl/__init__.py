"""The accelerator in Verilog, and the programs that generate from it, prove it, synthesise it and build bitstreams of it."""
