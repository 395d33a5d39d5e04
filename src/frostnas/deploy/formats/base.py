"""What every format beside ONNX is: a function from the trained network to a written model that runs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from frostnas.nets import Net


class ParityError(RuntimeError):
    """The exported file does not do what the trained network does; the message gives the figures."""


class Classifier(Protocol):
    """An exported file in its runtime."""

    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised images float32 (N, 3, S, S) -> float32 (N, classes)."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A written model, loaded back."""

    path: Path
    files: tuple[Path, ...]
    """All that belong to it."""
    runtime: str
    """Name and version."""
    model: Classifier


Write = Callable[[Net, Path, Mapping[str, str], int], Exported]
"""From the network in `FROZEN`, its INT8 ONNX file, that file's metadata and a number of threads; writes beside it."""


@contextmanager
def hushed() -> Iterator[None]:
    """Without the warnings of a library's imports, of which none is about its use here, and without their handlers.

    They configure the root logger, which would print every line of ours a second time.
    """
    root = logging.root
    level, handlers = root.manager.disable, list(root.handlers)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        root.handlers[:] = handlers
