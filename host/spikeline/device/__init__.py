"""The accelerator from the host's side: packets, registers and transfers, and who owns the board."""
