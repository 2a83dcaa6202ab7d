"""ONNX network → integer network → memory image, and the integer golden model that executes the image."""
