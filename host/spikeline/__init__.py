"""Spikeline runtime: spiking networks on the accelerator, simulated or on a PYNQ board."""
