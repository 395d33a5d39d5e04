"""Where an exported file begins to differ from the network in torch: layer by layer, in steps of each layer's grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from frostnas.nets import Net
from frostnas.nets.trace import trace
from frostnas.quant import QTensor

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """One layer's output in the file against that in torch."""

    layer: str
    share: float
    """Of the values, that differ by half a step or more."""
    steps: float
    """Greatest difference, in steps of the layer's scale."""


@torch.no_grad()
def layer_differences(net: Net, path: Path, images: Tensor) -> list[LayerDifference]:
    """Differences of every quantized layer in the order of execution.

    Args:
        net: the network in evaluation mode, `FROZEN`.
        path: the INT8 file that was made of it.
        images: float32 (N, 3, S, S), normalised.
    """
    taken: dict[str, Values] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if isinstance(output, QTensor):
                taken[name] = output.value.cpu().numpy()

        return hook

    layers = [call.name for call in trace(net).calls]
    hooks = [net.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    net(images)
    for hook in hooks:
        hook.remove()
    model = onnx.load(path)
    made = [output.removesuffix(".q") for node in model.graph.node for output in node.output if output.endswith(".q")]
    return _compare(model, [name for name in made if name in taken], taken, images)


def _compare(
    model: onnx.ModelProto, layers: Sequence[str], taken: dict[str, Values], images: Tensor
) -> list[LayerDifference]:
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    for name in layers:
        kind = helper.np_dtype_to_tensor_dtype(constants[f"{name}.zero_point"].dtype)
        model.graph.output.append(helper.make_tensor_value_info(f"{name}.q", kind, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    stored = session.run([f"{name}.q" for name in layers], {"image": images.cpu().numpy()})
    found = []
    for name, levels in zip(layers, stored, strict=True):
        scale = constants[f"{name}.scale"]
        values = (levels.astype(np.float32) - constants[f"{name}.zero_point"].astype(np.float32)) * scale
        steps = np.abs(values - taken[name]) / scale
        found.append(LayerDifference(name, float((steps >= 0.5).mean()), float(steps.max())))
    return found


def as_text(differences: Sequence[LayerDifference]) -> str:
    """A table of all layers from the first that differs, as lines: a tie may come long before the fault."""
    first = next((number for number, one in enumerate(differences) if one.share), len(differences))
    width = max((len(one.layer) for one in differences), default=0)
    lines = [
        f"  {'layer':{width}}  differ  largest, in steps",
        f"  ({first} of {len(differences)} layers before are equal)",
    ]
    lines += [f"  {one.layer:{width}}  {one.share:6.2%}  {one.steps:.1f}" for one in differences[first:]]
    return "\n".join(lines)
