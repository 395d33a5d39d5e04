"""Where networks are trained, and the seeds of everything random."""

from __future__ import annotations

import random

import numpy as np
import torch

from frostnas.config import Device
from frostnas.engine.distributed import local_cuda
from frostnas.errors import InputError


def pick_device(device: Device) -> torch.device:
    """The torch device for the `device` key; `auto` takes CUDA where there is one.

    Raises:
        InputError: `cuda` is asked for and there is none.
    """
    if device is Device.cuda and not torch.cuda.is_available():
        raise InputError("device=cuda: no CUDA device is available; expected cpu or auto")
    return local_cuda() if device is not Device.cpu and torch.cuda.is_available() else torch.device("cpu")


def seed_all(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries draw from the global one)
    torch.manual_seed(seed)
