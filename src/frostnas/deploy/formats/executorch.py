"""ExecuTorch's `.pte` with XNNPACK, for phones: written, and run back by ExecuTorch's own runtime."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frostnas.artifacts import write_atomic
from frostnas.deploy.formats.base import Exported, ParityError, hushed
from frostnas.deploy.formats.decomposed import Decomposed
from frostnas.nets import Net

PTE_NAME = "model.int8.pte"


def export(net: Net, int8: Path, metadata: Mapping[str, str], threads: int) -> Exported:
    """Write the network, of one image, beside ``int8``; it knows its metadata by methods of their names.

    Raises:
        ParityError: XNNPACK does not take the whole network.
    """
    path = int8.with_name(PTE_NAME)
    size = net.spec.image_size
    with hushed():
        write_atomic(path, _lowered(net, torch.zeros(1, 3, size, size), metadata))
        model = PteClassifier(path, threads)
    return Exported(path, (path,), f"executorch {version('executorch')}", model)


def _lowered(net: Net, image: torch.Tensor, metadata: Mapping[str, str]) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported = torch.export.export(Decomposed(net).eval(), (image,))
    about = {f"get_{key}": value for key, value in metadata.items()}
    try:
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()], constant_methods=about)
    except Exception as error:  # its passes raise whatever they meet, the cause inside
        raise ParityError(f"{PTE_NAME}: ExecuTorch cannot lower the network: {error.__cause__ or error}") from error
    nodes = lowered.exported_program().graph.nodes
    called = [str(node.target) for node in nodes if node.op == "call_function"]
    left = [name for name in called if "getitem" not in name and "call_delegate" not in name]
    if left or len(called) != 2:
        raise ParityError(f"{PTE_NAME}: XNNPACK takes the network in parts and leaves {', '.join(left) or 'nothing'}")
    content: bytes = lowered.to_executorch().buffer
    return content


class PteClassifier:
    """A `.pte` file in this process, one image at a time."""

    def __init__(self, path: Path, threads: int) -> None:
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

        portable_lib._unsafe_reset_threadpool(threads)
        self._program = Runtime.get().load_program(path)
        self._method: Any = self._program.load_method("forward")

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N, 3, S, S) -> float32 (N, classes)."""
        each = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1)  # (N, 1, 3, S, S)
        return np.concatenate([self._method.execute([one])[0].numpy().copy() for one in each])
