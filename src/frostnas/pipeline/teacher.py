"""`train.distill.teacher`: a run directory, a zoo name or `torchvision:NAME`, as a network that teaches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frostnas.artifacts import ImageFormat, TrainResult, load, sha256_of, sha256_of_value
from frostnas.config import DistillConfig
from frostnas.data.folder import IMAGENET_MEAN, IMAGENET_STD
from frostnas.engine.distill import Teacher, View
from frostnas.errors import InputError
from frostnas.nets import Net, create_model, published_names, zoo_names
from frostnas.nets.state_dicts import check_fits, other_classes, read_state_dict
from frostnas.pipeline import torchvision_models
from frostnas.pipeline.torchvision_models import PREFIX
from frostnas.pipeline.trained import TRAIN, WEIGHTS, load_net
from frostnas.quant import QuantState, set_state

DEFAULT = "DEFAULT"
Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of RGB pixels scaled to 0..1."""
IMAGENET: Normalisation = (IMAGENET_MEAN, IMAGENET_STD)


def teacher_side(config: DistillConfig) -> int:
    """Side of the pictures that the teacher wants to see, pixels; 0 where it takes the student's.

    Raises:
        InputError: the teacher's record cannot be read.
    """
    if config.teacher is None:
        return 0
    size = config.image_size
    if not config.weights:
        size = load(Path(_check_words(config)) / TRAIN, TrainResult).value.images.image_size
    return math.ceil((size or 0) / config.crop)


@contextmanager
def speaking_of(key: str) -> Iterator[None]:
    """What is wrong with a teacher is said of the config group that named it."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace("train.distill.", f"{key}.")) from None


def load_teacher(config: DistillConfig, images: ImageFormat) -> Teacher | None:
    """The network of `train.distill`, in floating point and in evaluation mode, on the CPU; None for none.

    Args:
        images: what the student is trained on.

    Raises:
        InputError: there is no such network or no weights of it, or it is not one for these images.
    """
    if config.teacher is None:
        return None
    given = _check_words(config)
    size = config.image_size or images.image_size
    if not config.weights:
        trained, own = _of_run(given, images)
        net: nn.Module = trained
        size = trained.spec.image_size
    elif given.startswith(PREFIX):
        net, own = _of_torchvision(given, config, len(images.classes)), IMAGENET
    else:
        net, own = _of_zoo(given, config, images)
    mean, std = _given(config) or own
    teacher = Teacher(net.eval(), View(mean, std, size, config.crop), images).eval()
    _try(teacher, given)
    return teacher


def identity(config: DistillConfig) -> str:
    """Hash of the network's name and the content of its weights, wherever they are.

    Raises:
        InputError: they are not there, or do not go together.
    """
    given = _check_words(config)
    if not config.weights:
        trained = load(Path(given) / TRAIN, TrainResult).value
        return sha256_of_value([trained.net, trained.images, trained.weights_sha256])
    if config.weights == DEFAULT:
        return sha256_of_value([given, torchvision_models.default_weights(given).url])  # its file is named by its hash
    path = Path(config.weights)
    if not path.is_file():
        raise InputError(f"train.distill.weights={path}: no such file; expected weights of {given}")
    return sha256_of_value([given, sha256_of(path)])


def _check_words(config: DistillConfig) -> str:
    """The teacher's name or path, if it and the other keys of `train.distill` go together."""
    given = str(config.teacher)
    of_torchvision, of_zoo = given.startswith(PREFIX), given in zoo_names()
    if of_torchvision:
        torchvision_models.check_name(given)
    if not config.weights:
        if of_torchvision or (of_zoo and not Path(given).is_dir()):
            raise InputError(
                f"train.distill.teacher={given}: expected train.distill.weights=PATH with a network's name"
            )
        for key in ("mean", "std", "image_size"):
            if (value := getattr(config, key)) is not None:
                raise InputError(f"train.distill.{key}={value}: a run knows its own; expected null with {given}")
    elif not (of_torchvision or of_zoo):
        raise InputError(
            f"train.distill.teacher={given}: expected a name that `frostnas zoo` lists or {PREFIX}NAME with "
            "train.distill.weights, or a run directory without it"
        )
    elif config.weights == DEFAULT and of_zoo:
        raise InputError(f"train.distill.weights={DEFAULT}: expected a path; only {PREFIX}NAME has default weights")
    return given


def _of_run(given: str, images: ImageFormat) -> tuple[Net, Normalisation]:
    trained = load(Path(given) / TRAIN, TrainResult).value
    theirs = trained.images
    if len(theirs.classes) != len(images.classes):
        raise _wrong_number(f"teacher={given}", len(theirs.classes), len(images.classes))
    if theirs.classes != images.classes:
        raise InputError(
            f"train.distill.teacher={given}: its classes have other names or another order than the data's"
        )
    net = load_net(Path(given) / WEIGHTS, trained)
    set_state(net, QuantState.FLOAT)
    return net, (theirs.mean, theirs.std)


def _of_zoo(given: str, config: DistillConfig, images: ImageFormat) -> tuple[nn.Module, Normalisation]:
    """A network of ours by `weights.safetensors`, or by the authors' state dict of a published FrostNet."""
    net = create_model(given, len(images.classes), image_size=config.image_size or images.image_size)
    content = _content(config)
    if content.keys() & net.state_dict().keys():
        _fill(net, content, config, len(images.classes))
        return net, (images.mean, images.std)
    _fill(net, content, config, len(images.classes), published_names(net.spec))
    return net, IMAGENET


def _fill(
    net: nn.Module, content: dict[str, Tensor], config: DistillConfig, classes: int, names: dict[str, str] | None = None
) -> None:
    """Load weights into ``net``. Args: names: the file's name of every tensor that it holds, by ours."""
    own = {name: tensor for name, tensor in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    theirs = names or {name: name for name in own}
    wanted = {file_name: own[name] for name, file_name in theirs.items()}
    number = other_classes(wanted, content, classes)
    if number is not None:
        raise _wrong_number(f"weights={config.weights}", number, classes)
    check_fits(f"train.distill.weights={config.weights}", str(config.teacher), wanted, content)
    net.load_state_dict({name: content[file_name] for name, file_name in theirs.items()}, strict=False)


def _content(config: DistillConfig) -> dict[str, Tensor]:
    try:
        return read_state_dict(Path(str(config.weights)))
    except InputError as error:
        raise InputError(f"train.distill.weights={error}") from None


def _of_torchvision(given: str, config: DistillConfig, classes: int) -> nn.Module:
    if config.weights != DEFAULT:
        net = torchvision_models.fresh(given, classes)
        _fill(net, _content(config), config, classes)
        return net
    number = len(torchvision_models.default_weights(given).meta["categories"])
    if number != classes:
        raise _wrong_number(f"weights={DEFAULT}", number, classes)
    return torchvision_models.pretrained(given)


def _wrong_number(key: str, theirs: int, ours: int) -> InputError:
    return InputError(f"train.distill.{key}: knows {theirs} classes; the data have {ours}")


def _given(config: DistillConfig) -> Normalisation | None:
    """`train.distill.mean` and `train.distill.std`."""
    values: list[Any] = [config.mean, config.std]
    if values == [None, None]:
        return None
    if any(value is None or len(value) != 3 for value in values) or min(config.std or [0]) <= 0:
        raise InputError(
            f"train.distill.mean={config.mean}, train.distill.std={config.std}: expected three numbers each, "
            "those of std above 0"
        )
    return tuple(values[0]), tuple(values[1])


@torch.no_grad()
def _try(teacher: Teacher, given: str) -> None:
    """Some architectures take one image size alone, and say so in their own ways."""
    size = teacher.view.size
    try:
        teacher(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"train.distill.teacher={given}: does not take images of {size} pixels ({reason})") from None
