"""The arithmetic contract: integer networks, how they execute, the file that holds one, and what an accelerator has room for."""
