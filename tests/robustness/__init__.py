"""Damaged and hostile files of every kind, and what reads and writes them."""
