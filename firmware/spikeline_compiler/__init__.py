"""ONNX network → integer network → model, proved to be the same spike for spike."""
