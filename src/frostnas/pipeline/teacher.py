"""`train.distill.teacher`: a run directory, a zoo name or a library's model, as a network that teaches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from frostnas.artifacts import ImageFormat, Normalisation, TrainResult, load, sha256_of_value
from frostnas.config import DistillConfig
from frostnas.data.loaders import given_normalisation
from frostnas.engine.distill import Teacher, View
from frostnas.errors import InputError
from frostnas.nets import Net, libraries, load_weights, read_weights, zoo_family, zoo_names, zoo_spec
from frostnas.nets.state_dicts import differences, first_of, other_classes, read_state_dict
from frostnas.nets.weights import identity as identity_of_weights
from frostnas.pipeline.trained import TRAIN, WEIGHTS, load_net
from frostnas.quant import QuantState, set_state

DEFAULT = "DEFAULT"
KEY, WEIGHTS_KEY = "train.distill.teacher", "train.distill.weights"
LARGEST = 2**33
"""Bytes of a library's state dict: teachers are larger than students."""


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
    elif libraries.is_library(given):
        net, own = _of_library(given, config, len(images.classes)), libraries.normalisation_of(given)
    else:
        net, own = _of_zoo(given, config, images)
    view = View(_given(config) or own, size, config.crop)
    teacher = Teacher(net.eval(), view, images).eval()
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
        return sha256_of_value([given, libraries.weights_name(given)])
    return sha256_of_value([given, identity_of_weights(config.weights, WEIGHTS_KEY)])


def _check_words(config: DistillConfig) -> str:
    """The teacher's name or path, if it and the other keys of `train.distill` go together."""
    given = str(config.teacher)
    of_library, of_zoo = libraries.is_library(given), given in zoo_names()
    if of_library:
        libraries.check_name(KEY, given)
    if not config.weights:
        if of_library or (of_zoo and not Path(given).is_dir()):
            raise InputError(
                f"train.distill.teacher={given}: expected train.distill.weights=PATH with a network's name"
            )
        for key in ("mean", "std", "image_size"):
            if (value := getattr(config, key)) is not None:
                raise InputError(f"train.distill.{key}={value}: a run knows its own; expected null with {given}")
    elif not (of_library or of_zoo):
        raise InputError(
            f"train.distill.teacher={given}: expected a name that `frostnas zoo` lists, torchvision:NAME or timm:NAME "
            "with train.distill.weights, or a run directory without it"
        )
    elif config.weights == DEFAULT and of_zoo:
        raise InputError(
            f"train.distill.weights={DEFAULT}: expected a path; only torchvision:NAME and timm:NAME have a default"
        )
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
    return net, Normalisation(theirs.mean, theirs.std)


def _of_zoo(given: str, config: DistillConfig, images: ImageFormat) -> tuple[nn.Module, Normalisation]:
    """A network of ours by weights in any known naming."""
    weights = read_weights(str(config.weights), WEIGHTS_KEY)
    net = Net(zoo_spec(given, len(images.classes), config.image_size or images.image_size))
    load_weights(net, weights)
    source = weights.source(zoo_family(net.spec))
    return net, source.normalisation if source else Normalisation(images.mean, images.std)


def _of_library(given: str, config: DistillConfig, classes: int) -> nn.Module:
    """Any classification model of a library, by its own weights or by a state dict."""
    if config.weights == DEFAULT:
        number = libraries.classes_of(given)
        if number != classes:
            raise _wrong_number(f"weights={DEFAULT}", number, classes)
        return libraries.pretrained(f"{WEIGHTS_KEY}={DEFAULT}", given)
    net = libraries.fresh(given, classes)
    try:
        content = read_state_dict(Path(str(config.weights)), LARGEST)
    except InputError as error:
        raise InputError(f"{WEIGHTS_KEY}={error}") from None
    wanted = {name: tensor for name, tensor in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    number_given = other_classes(wanted, content, classes)
    if number_given is not None:
        raise _wrong_number(f"weights={config.weights}", number_given, classes)
    if problems := differences(wanted, content):
        raise InputError(f"{WEIGHTS_KEY}={config.weights}: not a {given}: {first_of(problems)}")
    net.load_state_dict(content, strict=False)
    return net


def _wrong_number(key: str, theirs: int, ours: int) -> InputError:
    return InputError(f"train.distill.{key}: knows {theirs} classes; the data have {ours}")


def _given(config: DistillConfig) -> Normalisation | None:
    """`train.distill.mean` and `train.distill.std`."""
    return given_normalisation("train.distill", config.mean, config.std)


@torch.no_grad()
def _try(teacher: Teacher, given: str) -> None:
    """Some architectures take one image size alone, and say so in their own ways."""
    size = teacher.view.size
    try:
        teacher(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"train.distill.teacher={given}: does not take images of {size} pixels ({reason})") from None
