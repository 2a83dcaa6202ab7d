"""ONNX network → integer network → memory image, proved to be the same spike for spike."""
