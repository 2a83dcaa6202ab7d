"""Quantised training of binary-activation spiking networks with Brevitas, and their export to ONNX."""

import warnings

# Brevitas says so at every import; we use neither.
warnings.filterwarnings("ignore", message="fast_hadamard_transform package not found")
warnings.filterwarnings("ignore", message="brevitas.fx is deprecated")
