"""Weights in files: tensors by name, read without running anything that a pickle may hold, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from frostnas.errors import InputError

NAMED_AT_MOST = 4
"""Keys that one error message names."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, without batch norm's `num_batches_tracked`, which has no part in evaluation.

    A `.safetensors` file, or what `torch.save` wrote of a state dict; one under the key `state_dict`, or with
    `module.` before each name, is read too. Pickles that hold anything but tensors are refused.

    Raises:
        InputError: the file is missing or damaged, or holds something else.
    """
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: holds no state dict; expected tensors by name")
    named = {str(key).removeprefix("module."): value for key, value in content.items()}
    return {key: value for key, value in named.items() if not key.endswith("num_batches_tracked")}


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a weights.safetensors") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from None


def _pickled(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a saved state dict") from None
    except UnpicklingError:
        raise InputError(f"{path}: refused, a pickle of more than tensors; expected a saved state dict") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: cannot be read as a saved state dict ({reason})") from None


def check_fits(path: str | Path, name: str, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise InputError, with the first differences, if the names or shapes of ``given`` are not those of ``wanted``.

    Args:
        path: of the file that ``given`` is from.
        name: of the network that ``wanted`` is of.
    """
    shapes = [
        f"{key} has shape {tuple(given[key].shape)}, the network {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in given and given[key].shape != tensor.shape
    ]
    missing = [f"{key} is missing" for key in wanted if key not in given]
    unknown = [f"{key} is unknown" for key in given if key not in wanted]
    problems = shapes + missing + unknown
    if problems:
        more = f" and {len(problems) - NAMED_AT_MOST} more" if len(problems) > NAMED_AT_MOST else ""
        raise InputError(f"{path}: not a {name}: {'; '.join(problems[:NAMED_AT_MOST])}{more}")


def other_classes(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], classes: int) -> int | None:
    """The number of classes of ``given``, if nothing but that sets it apart from ``wanted``, which has ``classes``."""
    if wanted.keys() != given.keys():
        return None
    odd = [(given[key].shape, tensor.shape) for key, tensor in wanted.items() if given[key].shape != tensor.shape]
    numbers = {theirs[0] for theirs, _ in odd if theirs}
    of_outputs = all(ours[:1] == (classes,) and theirs[1:] == ours[1:] for theirs, ours in odd)
    return int(numbers.pop()) if of_outputs and len(numbers) == 1 else None
