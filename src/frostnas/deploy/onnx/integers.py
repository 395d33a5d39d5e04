"""Whether ONNX Runtime runs an exported network in integers: its own optimized graph is read back."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort

from frostnas.artifacts import scratch

MOVES = ("Transpose", "Pad", "Reshape", "Flatten", "MaxPool", "NhwcMaxPool")  # same kernels on integers


def optimized_graph(path: Path) -> onnx.ModelProto:
    """The model as ONNX Runtime executes it after all graph optimizations on this machine."""
    with scratch("graph") as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(folder / "optimized.onnx")
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def float_operations(path: Path) -> list[str]:
    """Operations that the runtime left in floating point, as `type name`; empty for an integer network.

    What stands before the first QuantizeLinear or after the last DequantizeLinear does not count.
    """
    nodes = list(optimized_graph(path).graph.node)
    kinds = [node.op_type for node in nodes]
    first = kinds.index("QuantizeLinear") if "QuantizeLinear" in kinds else 0
    last = len(kinds) - 1 - kinds[::-1].index("DequantizeLinear") if "DequantizeLinear" in kinds else len(kinds)
    inner = nodes[first + 1 : last]
    return [
        f"{node.op_type} {node.name}"
        for node in inner
        if not node.op_type.startswith("QLinear") and node.op_type not in MOVES
    ]
