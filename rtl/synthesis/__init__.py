"""Area, clock and power by open tools."""
