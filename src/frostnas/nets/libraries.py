"""`torchvision:NAME` and `timm:NAME`: those libraries' models, with fresh weights or their own pretrained ones."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from torch import nn

from frostnas.artifacts import IMAGENET, Convention, Normalisation
from frostnas.errors import InputError
from frostnas.extras import need

TORCHVISION, TIMM = "torchvision:", "timm:"
PREFIXES = (TORCHVISION, TIMM)


def is_library(given: str) -> bool:
    """Whether ``given`` names a model of a library."""
    return given.startswith(PREFIXES)


def check_name(key: str, given: str) -> None:
    """Raise InputError if the library is not installed or has no such model. Args: key: that gave it."""
    prefix, known = _prefix(given), _known(key, given)
    name = given.removeprefix(prefix)
    if name.partition(".")[0] not in known:
        close = difflib.get_close_matches(name, known, n=3) or known[:20]
        raise InputError(f"{key}={given}: {prefix[:-1]} has no such model; expected {', '.join(close)}")


def fresh(given: str, classes: int) -> nn.Module:
    """The model with weights that are to be replaced."""
    name, model = given.removeprefix(_prefix(given)), None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # two of torchvision's announce another initialisation
        if given.startswith(TORCHVISION):
            from torchvision import models

            model = models.get_model(name, weights=None, num_classes=classes)
        else:
            import timm

            model = timm.create_model(name, pretrained=False, num_classes=classes)
    assert isinstance(model, nn.Module)
    return model


def weights_name(given: str) -> str:
    """What the library's own weights are known by; it changes where they change."""
    if given.startswith(TORCHVISION):
        return str(_torchvision_weights(given).url)  # ends in a hash of their content
    card = _timm_card(given)
    return f"{card.architecture}.{card.tag} {card.url} {card.hf_hub_id}"


def classes_of(given: str) -> int:
    """How many classes the library's own weights know."""
    if given.startswith(TORCHVISION):
        return len(_torchvision_weights(given).meta["categories"])
    return int(_timm_card(given).num_classes)


def pretrained(key: str, given: str) -> nn.Module:
    """The model with the library's own weights, downloaded where they are not yet in its cache.

    Raises:
        InputError: they cannot be downloaded.
    """
    with _downloading(key, given):
        if given.startswith(TORCHVISION):
            from torchvision import models

            weights = _torchvision_weights(given)
            weights.get_state_dict(progress=False, check_hash=True, weights_only=True)  # tensors, or nothing
            model: nn.Module = models.get_model(given.removeprefix(TORCHVISION), weights=weights, progress=False)
        else:
            import timm

            model = timm.create_model(given.removeprefix(TIMM), pretrained=True)
    return model


def convention_of(model: nn.Module) -> Convention:
    """How the library's model pads and normalises."""
    epsilons = [part.eps for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    same = any(type(part).__name__ == "Conv2dSame" for part in model.modules())
    return Convention("same" if same else "symmetric", epsilons[0] if epsilons else Convention().epsilon)


def normalisation_of(given: str) -> Normalisation:
    """What the library's own weights expect."""
    if given.startswith(TIMM):
        card = _timm_card(given)
        return Normalisation(tuple(card.mean), tuple(card.std)) if card else IMAGENET
    about = _torchvision_weights(given).transforms()
    return Normalisation(tuple(about.mean), tuple(about.std)) if hasattr(about, "mean") else IMAGENET


def _prefix(given: str) -> str:
    return next(prefix for prefix in PREFIXES if given.startswith(prefix))


def _known(key: str, given: str) -> list[str]:
    if given.startswith(TORCHVISION):
        from torchvision import models

        return list(models.list_models(module=models))  # without detection and the like
    need("timm", f"{key}={given}")
    import timm

    return list(timm.list_models())


def _torchvision_weights(given: str) -> Any:
    from torchvision import models

    return models.get_model_weights(given.removeprefix(TORCHVISION)).DEFAULT


def _timm_card(given: str) -> Any:
    """What timm knows of its own weights."""
    import timm

    return timm.get_pretrained_cfg(given.removeprefix(TIMM))


@contextmanager
def _downloading(key: str, given: str) -> Iterator[None]:
    try:
        with redirect_stdout(sys.stderr):  # what is downloaded is said there
            yield
    except Exception as error:  # clients of the hub raise classes of their own
        where = weights_name(given)
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{key}: {where} cannot be had ({reason}); expected a network connection, or the path of the file"
        ) from None
