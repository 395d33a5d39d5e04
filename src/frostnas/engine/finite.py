"""Where in a network values stop being finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from frostnas.quant import RangeError


def first_broken(model: nn.Module, *forwards: Callable[[], object]) -> str | None:
    """The first layer of ``model``, in the order they finish, whose output holds NaN or infinity.

    Args:
        forwards: computations with the model; its statistics move as in any of them.
    """
    found: list[str] = []

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def look(module: nn.Module, inputs: object, output: object) -> None:
            if not found and not all(bool(torch.isfinite(one).all()) for one in _tensors(output)):
                found.append(name)

        return module.register_forward_hook(look)

    handles = [watch(name, module) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            for forward in forwards:
                forward()
    except RangeError:  # behind the layer that is looked for
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def _tensors(output: object) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple):
        for one in output:
            yield from _tensors(one)
