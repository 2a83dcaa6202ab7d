"""The vendor flow: block design, bitstream, reports."""
