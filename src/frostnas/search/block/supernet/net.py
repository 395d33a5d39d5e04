"""The proxy network with every block of the space in every layer, under one architecture."""

from __future__ import annotations

from torch import Tensor, nn

from frostnas.artifacts import NetSpec
from frostnas.nets import build_stem
from frostnas.quant import ActivationQuantizer, ConvBN, GlobalAveragePool, InputQuantizer, QTensor, Scheme
from frostnas.search.block.supernet.block import MixedBlock
from frostnas.search.block.supernet.mixture import Mixture
from frostnas.search.block.supernet.shared import SharedConv
from frostnas.search.spaces.block import BlockSpace


class MixedSupernet(nn.Module):
    """Image float32 (N, 3, S, S) and a mixture -> logits float32 (N, classes).

    It stays in training mode, and batch norm takes the statistics of the batch at hand: see `SharedConv`.
    """

    def __init__(self, space: BlockSpace, proxy: NetSpec, scheme: Scheme) -> None:
        """Args: proxy: stem, widths, strides and head; its blocks are not looked at."""
        super().__init__()
        self.space = space
        self.input = InputQuantizer(scheme)
        self.stem = build_stem(proxy.stem, scheme)
        self.blocks = nn.ModuleList()
        channels = proxy.stem.channels
        for layer in proxy.layers:
            self.blocks.append(MixedBlock(space, channels, layer.out_channels, layer.stride, scheme))
            channels = layer.out_channels
        self.head = SharedConv(channels, proxy.head.channels, scheme=scheme)
        self.head_act = ActivationQuantizer(scheme, 0.0)
        self.pool = GlobalAveragePool(scheme)
        self.classifier = ConvBN(proxy.head.channels, proxy.head.classes, scheme=scheme, batch_norm=False)
        for name, module in self.named_modules():
            if isinstance(module, ActivationQuantizer):
                module.name = name
            elif isinstance(module, nn.BatchNorm2d):
                _keep_no_statistics(module)

    def forward(self, image: Tensor, mixture: Mixture) -> Tensor:
        x: QTensor = self.stem(self.input(image))
        for block in self.blocks:
            x = block(x, mixture)
        y = self.head(x.value, self.head.conv.out_channels, self.head_act.state.quantizes)
        logits: Tensor = self.classifier(self.pool(self.head_act(y))).value
        return logits.flatten(1)


def _keep_no_statistics(bn: nn.BatchNorm2d) -> None:
    """What candidates that run whole, and the stem, would keep are the statistics of every path they ever met."""
    bn.track_running_stats = False
    bn.running_mean = bn.running_var = bn.num_batches_tracked = None
