"""Export: the ONNX emitter, the runtimes, and the check that both do the same."""
