"""The formats beside ONNX, a file each."""
