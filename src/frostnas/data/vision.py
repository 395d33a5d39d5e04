"""The public data sets that torchvision reads."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torchvision

from frostnas.config import DataConfig, DataName
from frostnas.data.pictures import ArrayPictures
from frostnas.data.split import Indices
from frostnas.errors import InputError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PublicSet:
    """A torchvision data set and the channel statistics of its training images (pixels in 0..1)."""

    reader: Any
    folder: str
    """Where its files lie under the root."""
    mean: Triple
    std: Triple


PUBLIC = {
    DataName.cifar10: PublicSet(
        torchvision.datasets.CIFAR10, "cifar-10-batches-py", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    ),
    DataName.cifar100: PublicSet(
        torchvision.datasets.CIFAR100, "cifar-100-python", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    ),
    DataName.fashion_mnist: PublicSet(
        torchvision.datasets.FashionMNIST, "FashionMNIST/raw", (0.2860, 0.2860, 0.2860), (0.3530, 0.3530, 0.3530)
    ),
}


@dataclass(frozen=True)
class PublicPart:
    """The training or the test part of a public data set."""

    pictures: ArrayPictures
    labels: Indices
    classes: tuple[str, ...]


def read_public(config: DataConfig, *, train: bool) -> PublicPart:
    """The training or the test part of ``data.name``.

    Raises:
        InputError: the files are not there and may not, or cannot, be downloaded.
    """
    public = PUBLIC[config.name]
    expected = Path(config.root) / public.folder
    try:
        with contextlib.redirect_stdout(sys.stderr):
            data = public.reader(config.root, train=train, download=config.download)
    except RuntimeError as error:
        raise InputError(
            f"data.root={config.root}: no complete {config.name.value} in {expected} ({_first_line(error)}); "
            "put it there, or set data.download=true"
        ) from None
    except OSError as error:
        raise InputError(f"data.download=true: {config.name.value} cannot be fetched to {expected} ({error})") from None
    return PublicPart(ArrayPictures(np.asarray(data.data)), np.asarray(data.targets, np.int64), tuple(data.classes))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
