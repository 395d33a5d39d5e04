"""What is kept of a live network: its tensors, and the hash that names them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor, nn

from frostnas.artifacts import Source
from frostnas.nets.state_files import weights_file


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The state of a network, wherever and in whatever memory format it is."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def weights_digest(weights: Mapping[str, Tensor], source: Source | None = None) -> str:
    """SHA-256 of the file of ``weights``."""
    return hashlib.sha256(weights_file(weights, source)).hexdigest()
