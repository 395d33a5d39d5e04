"""Weights in files: tensors by name, read without running anything that a pickle may hold, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from frostnas.errors import InputError

NAMED_AT_MOST = 4
"""Keys that one error message names."""
LARGEST = 2**30
"""Bytes of a file that is read at all: a whole checkpoint of the largest network here has a quarter of that."""
HOLDERS = ("state_dict", "model", "model_state_dict", "net", "module")
"""Where checkpoints hold the network's own tensors, the likeliest first."""
WRAPPERS = ("module.", "_orig_mod.")
"""What is put before every name by torch's wrappers of a model."""


def read_state_dict(path: Path, largest: int = LARGEST) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, without batch norm's `num_batches_tracked`, which has no part in evaluation.

    A `.safetensors` file, or what `torch.save` wrote: a state dict, or a checkpoint that holds one beside an optimizer
    and the like. Pickles that hold anything but tensors and plain values are refused.

    Raises:
        InputError: the file is missing or damaged, too large, or holds something else.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected weights.safetensors or a saved state dict")
    if path.stat().st_size > largest:
        raise InputError(f"{path}: has {path.stat().st_size / 2**30:.1f} GiB; expected at most {largest / 2**30:g}")
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    found = next(_state_dicts(content), None)
    if found is None:
        raise InputError(f"{path}: holds no state dict; expected tensors by name")
    for wrapper in WRAPPERS:
        found = {key.removeprefix(wrapper): value for key, value in found.items()}
    return {key: value for key, value in found.items() if not key.endswith("num_batches_tracked")}


def _state_dicts(content: object) -> Iterator[dict[str, Tensor]]:
    """Every mapping of names to nothing but tensors, the likeliest first."""
    if not isinstance(content, Mapping):
        return
    if content and all(isinstance(value, Tensor) for value in content.values()):
        yield {str(key): value for key, value in content.items()}
        return
    order = [key for key in HOLDERS if key in content]
    for key in [*order, *(key for key in content if key not in HOLDERS and key != "optimizer")]:
        yield from _state_dicts(content[key])


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file, or half of one ({error})") from None


def _pickled(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise InputError(f"{path}: refused, a pickle of more than tensors; expected a saved state dict") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: cannot be read as a saved state dict ({reason})") from None


def differences(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """In words, which names or shapes of ``given`` are not those of ``wanted``; fully connected layers count as 1x1."""
    shapes = [
        f"{key} has shape {tuple(given[key].shape)}, the network {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in given and _core(given[key]) != _core(tensor)
    ]
    missing = [f"{key} is missing" for key in wanted if key not in given]
    unknown = [f"{key} is unknown" for key in given if key not in wanted]
    return shapes + missing + unknown


def first_of(problems: list[str]) -> str:
    """The first differences in one line."""
    more = f" and {len(problems) - NAMED_AT_MOST} more" if len(problems) > NAMED_AT_MOST else ""
    return f"{'; '.join(problems[:NAMED_AT_MOST])}{more}"


def other_classes(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], classes: int) -> int | None:
    """The number of classes of ``given``, if nothing but that sets it apart from ``wanted``, which has ``classes``."""
    if wanted.keys() != given.keys():
        return None
    odd = [(_core(given[key]), _core(tensor)) for key, tensor in wanted.items() if _core(given[key]) != _core(tensor)]
    numbers = {theirs[0] for theirs, _ in odd if theirs}
    of_outputs = all(ours[:1] == (classes,) and theirs[1:] == ours[1:] for theirs, ours in odd)
    return int(numbers.pop()) if of_outputs and len(numbers) == 1 else None


def _core(tensor: Tensor) -> tuple[int, ...]:
    """The shape without the two sides of a 1x1 convolution, which a fully connected layer does not have."""
    shape = tuple(tensor.shape)
    return shape[:2] if len(shape) == 4 and shape[2:] == (1, 1) else shape
