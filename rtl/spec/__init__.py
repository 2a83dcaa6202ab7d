"""Registers, packets and file fields: one description, and the files generated from it."""
