"""Where `pynq` looks for spikeline.bit and spikeline.hwh when the name alone is given; put those of `make bit` here."""
