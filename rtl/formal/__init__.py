"""Formal proofs of the Verilog's modules."""
