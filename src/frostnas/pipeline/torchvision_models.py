"""Torchvision's classification models by `torchvision:NAME`, with fresh weights or its own pretrained ones."""

from __future__ import annotations

import difflib
import sys
import warnings
from contextlib import redirect_stdout
from typing import Any

from torch import nn

from frostnas.errors import InputError

PREFIX = "torchvision:"


def check_name(given: str) -> None:
    """Raise InputError if torchvision has no such model."""
    from torchvision import models

    name, known = given.removeprefix(PREFIX), models.list_models(module=models)  # without detection and the like
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3) or known
        raise InputError(f"train.distill.teacher={given}: torchvision has no such model; expected {', '.join(close)}")


def fresh(given: str, classes: int) -> nn.Module:
    """The model with weights that are to be replaced."""
    from torchvision import models

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # two of them announce another initialisation
        model: nn.Module = models.get_model(given.removeprefix(PREFIX), weights=None, num_classes=classes)
    return model


def default_weights(given: str) -> Any:
    """What torchvision knows of its own weights; its `url` ends in a hash of their content."""
    from torchvision import models

    return models.get_model_weights(given.removeprefix(PREFIX)).DEFAULT


def pretrained(given: str) -> nn.Module:
    """The model with torchvision's own weights, downloaded where they are not yet in its cache.

    Raises:
        InputError: they cannot be downloaded.
    """
    from torchvision import models

    weights = default_weights(given)
    try:
        with redirect_stdout(sys.stderr):  # it says what it downloads
            weights.get_state_dict(progress=False, check_hash=True, weights_only=True)  # tensors, or nothing
            model: nn.Module = models.get_model(given.removeprefix(PREFIX), weights=weights, progress=False)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"train.distill.weights=DEFAULT: {weights.url} cannot be had ({error}); expected a network connection, "
            "or the path of the file"
        ) from None
    return model
