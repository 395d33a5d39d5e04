"""The base of every quantization-aware layer: the units that networks are traced, counted and exported in."""

from __future__ import annotations

from torch import nn


class Layer(nn.Module):
    """`QTensor`s -> `QTensor`: arithmetic that a deployed network does in one step, and the grid of its result.

    What reads a network (`nets.trace`) has a function per layer and refuses a layer that it has none for, and whatever
    a network computes outside of layers. `ActivationQuantizer` alone takes a plain tensor: the image.
    """
