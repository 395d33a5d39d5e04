"""The exported ONNX file: its graph, written layer by layer, and whether a runtime runs it in integers."""
