"""Quantised training of binary-activation spiking networks with Brevitas, and their export to ONNX."""
