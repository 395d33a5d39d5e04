"""A network of ours in floating point, run by ONNX Runtime: on a CPU a third of torch's time in evaluation."""

from __future__ import annotations

import onnxruntime as ort
import torch
from torch import Tensor, nn

from frostnas.deploy.onnx.emitter import emit_net
from frostnas.deploy.runtime import INPUT, OUTPUT
from frostnas.nets import Net


class Live(nn.Module):
    """Normalised images float32 (B, 3, S, S) -> logits (B, classes) as the network gives them now, on the CPU."""

    def __init__(self, net: Net) -> None:
        """Args: net: with the weights that it keeps; it stays a part of this, so that its state is this one's too."""
        super().__init__()
        self.net = net
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        model = emit_net(net, {}, quantized=False).SerializeToString()
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def forward(self, images: Tensor) -> Tensor:
        (logits,) = self.session.run([OUTPUT], {INPUT: images.contiguous().numpy()})
        return torch.from_numpy(logits)
