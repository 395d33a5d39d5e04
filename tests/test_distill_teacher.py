"""Teachers: where they come from, what they see, and what is refused."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from frostnas import InputError, create_model
from frostnas.artifacts import (
    IMAGENET,
    Accuracy,
    ImageFormat,
    Normalisation,
    Provenance,
    SplitRecord,
    TrainResult,
    save,
    sha256_of,
)
from frostnas.config import Config, DataConfig, DistillConfig, TrainConfig
from frostnas.config.compose import compose_config
from frostnas.data import Splits, load
from frostnas.nets import Net
from frostnas.nets.namings import NAMINGS
from frostnas.pipeline.teacher import identity, load_teacher
from frostnas.training.distill import Teacher
from frostnas.training.stage import _fingerprint

NAME = "frostnet_small_0_35"
IMAGES = ImageFormat(tuple("abcdefghij"), 32, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))


@pytest.fixture
def raw() -> torch.Tensor:
    """RGB images in 0..1."""
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def normalised(raw: torch.Tensor, by: Normalisation | ImageFormat) -> torch.Tensor:
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (by.mean, by.std))
    return (raw - mean) / std


@pytest.fixture
def net() -> Net:
    """A zoo network whose logits depend on the pixels: its batch norm has the statistics of a batch."""
    torch.manual_seed(0)
    net = create_model(NAME, 10, image_size=32)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the first batch counts in full
    net.train()(torch.randn(32, 3, 32, 32))
    return net.eval()


def published(net: Net) -> dict[str, torch.Tensor]:
    """The state of ``net`` under the authors' names."""
    own = net.state_dict()
    return {theirs: own[ours] for ours, theirs in NAMINGS[-1].theirs(net.spec).items()}


def loaded(teacher: str, weights: Path | str, images: ImageFormat = IMAGES, **more: list[float]) -> Teacher:
    found = load_teacher(DistillConfig(teacher=teacher, weights=str(weights), **more), images, {images.image_size})
    assert found is not None
    return found


def assert_apart(one: torch.Tensor, other: torch.Tensor) -> None:
    """That the normalisation shows in the logits at all."""
    assert (one - other).abs().max() > 0.1 * other.abs().max()


@torch.no_grad()
def test_a_teacher_sees_its_own_normalisation(net: Net, raw: torch.Tensor) -> None:
    own = Normalisation((0.1, 0.2, 0.3), (0.3, 0.2, 0.4))
    said = Teacher(net, own, IMAGES)(normalised(raw, IMAGES))
    torch.testing.assert_close(said, net(normalised(raw, own)), rtol=1e-3, atol=1e-3)
    assert_apart(said, net(normalised(raw, IMAGES)))
    same = Normalisation(IMAGES.mean, IMAGES.std)
    assert torch.equal(Teacher(net, same, IMAGES)(raw), net(raw))


@torch.no_grad()
def test_a_zoo_network_teaches_by_our_file_and_by_a_published_one(net: Net, raw: torch.Tensor, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "ours.safetensors")
    torch.save({"state_dict": published(net)}, tmp_path / "theirs.pth")
    pixels = normalised(raw, IMAGES)
    ours, theirs = loaded(NAME, tmp_path / "ours.safetensors"), loaded(NAME, tmp_path / "theirs.pth")
    assert torch.equal(ours(pixels), net(pixels))
    torch.testing.assert_close(theirs(pixels), net(normalised(raw, IMAGENET)), rtol=1e-3, atol=1e-3)
    assert_apart(theirs(pixels), net(pixels))
    given = loaded(NAME, tmp_path / "theirs.pth", mean=list(IMAGES.mean), std=list(IMAGES.std))
    assert torch.equal(given(pixels), net(pixels))


@torch.no_grad()
def test_a_torchvision_model_sees_what_imagenet_models_see(raw: torch.Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10).eval()
    torch.save(model.state_dict(), tmp_path / "resnet.pth")
    teacher = loaded("torchvision:resnet18", tmp_path / "resnet.pth")
    wanted = model(normalised(raw, IMAGENET))
    torch.testing.assert_close(teacher(normalised(raw, IMAGES)), wanted, rtol=1e-3, atol=1e-3)
    assert_apart(wanted, model(normalised(raw, IMAGES)))
    assert not teacher.training


def finished(folder: Path, net: Net, images: ImageFormat) -> str:
    """A run directory as a training of ``net`` on ``images`` leaves it."""
    folder.mkdir()
    save_file(net.state_dict(), folder / "weights.safetensors")
    accuracy, split = Accuracy(0.0, 0.0), SplitRecord("made up", 0, 1, 1, 1, None, None)
    digest = sha256_of(folder / "weights.safetensors")
    result = TrainResult(net.spec, images, split, 8, False, accuracy, accuracy, 0, 1, 1, digest, 0, 0.0)
    save(folder / "train.json", result, Provenance())
    return str(folder)


@torch.no_grad()
def test_a_run_teaches_by_the_normalisation_of_its_training(net: Net, raw: torch.Tensor, tmp_path: Path) -> None:
    own = replace(IMAGES, mean=(0.1, 0.2, 0.3), std=(0.3, 0.2, 0.4))
    teacher = load_teacher(DistillConfig(teacher=finished(tmp_path / "run", net, own)), IMAGES, {32})
    assert teacher is not None
    said = teacher(normalised(raw, IMAGES))
    torch.testing.assert_close(said, net(normalised(raw, own)), rtol=1e-3, atol=1e-3)
    assert_apart(said, net(normalised(raw, IMAGES)))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (replace(IMAGES, classes=("a", "b", "c")), "knows 10 classes; the data have 3"),
        (replace(IMAGES, classes=tuple("abcdefghji")), "other names or another order"),
        (replace(IMAGES, image_size=64), r"was trained at 32 pixels; expected .* data\.image_size=64"),
    ],
)
def test_a_run_on_other_images_is_refused(net: Net, tmp_path: Path, images: ImageFormat, said: str) -> None:
    config = DistillConfig(teacher=finished(tmp_path / "run", net, IMAGES))
    with pytest.raises(InputError, match=rf"train\.distill\.teacher=.*{said}"):
        load_teacher(config, images, {images.image_size})


@pytest.mark.parametrize("form", ["ours", "theirs"])
def test_another_number_of_classes_names_both(net: Net, tmp_path: Path, form: str) -> None:
    if form == "ours":
        path = tmp_path / "weights.safetensors"
        save_file(net.state_dict(), path)
    else:
        path = tmp_path / "weights.pth"
        torch.save(published(net), path)
    with pytest.raises(InputError, match=r"train\.distill\.weights=.*knows 10 classes; the network has 3"):
        loaded(NAME, path, replace(IMAGES, classes=("a", "b", "c")))


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    torch.save(torchvision.models.squeezenet1_1(num_classes=10).state_dict(), tmp_path / "squeeze.pth")
    with pytest.raises(InputError, match=r"squeeze\.pth: not a torchvision:squeezenet1_0: .* has shape"):
        loaded("torchvision:squeezenet1_0", tmp_path / "squeeze.pth")


def test_images_that_a_teacher_cannot_take_are_refused_before_training(tmp_path: Path) -> None:
    torch.save(torchvision.models.squeezenet1_1(num_classes=10).state_dict(), tmp_path / "squeeze.pth")
    with pytest.raises(InputError, match="torchvision:squeezenet1_1: does not take images of 8 pixels"):
        loaded("torchvision:squeezenet1_1", tmp_path / "squeeze.pth", replace(IMAGES, image_size=8))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["torchvision:resnet81", "x.pth"], "torchvision has no such model; expected resnet18"),
        (["torchvision:fasterrcnn_resnet50_fpn", "x.pth"], "torchvision has no such model"),
        (["torchvision:resnet18", None], r"expected train\.distill\.weights=PATH"),
        ([NAME, None], r"expected train\.distill\.weights=PATH"),
        ([NAME, "DEFAULT"], "expected a path; only torchvision:NAME"),
        (["runs/mine", "x.pth"], "expected a name that `frostnas zoo` lists, torchvision:NAME or timm:NAME"),
        ([NAME, "absent.pth"], r"train\.distill\.weights=absent\.pth: no such file"),
        (["torchvision:resnet18", "DEFAULT"], "weights=DEFAULT: knows 1000 classes; the data have 10"),
    ],
)
def test_what_does_not_go_together_is_one_line(words: list[str | None], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_teacher(DistillConfig(teacher=words[0], weights=words[1]), IMAGES, {32})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("mean", "std"), [([0.5, 0.5, 0.5], None), ([0.5], [0.5]), ([0.5, 0.5, 0.5], [0.5, 0.0, 0.5])])
def test_half_a_normalisation_is_refused(net: Net, tmp_path: Path, mean: list[float], std: list[float] | None) -> None:
    save_file(net.state_dict(), tmp_path / "ours.safetensors")
    config = DistillConfig(teacher=NAME, weights=str(tmp_path / "ours.safetensors"), mean=mean, std=std)
    with pytest.raises(InputError, match="expected three numbers each"):
        load_teacher(config, IMAGES, {32})


def test_the_config_takes_weights_with_a_teacher_alone() -> None:
    with pytest.raises(InputError, match=r"train\.distill\.weights=a\.pth: expected train\.distill\.teacher"):
        compose_config(["train.distill.weights=a.pth"])
    words = [f"train.distill.teacher={NAME}", "train.distill.weights=a.pth", "train.distill.mean=[0.1,0.2,0.3]"]
    assert compose_config(words).train.distill.mean == [0.1, 0.2, 0.3]


def test_without_a_connection_the_default_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # nothing was downloaded before
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of the first use
    thousand = replace(IMAGES, classes=tuple(map(str, range(1000))))
    with pytest.raises(InputError, match=r"weights=DEFAULT: https://\S*resnet18\S* cannot be had .*refused") as caught:
        loaded("torchvision:resnet18", "DEFAULT", thousand)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def digits() -> Splits:
    return load(DataConfig(image_size=32), torch.device("cpu"))


def test_the_content_of_the_weights_decides_what_is_the_same_run(net: Net, tmp_path: Path, digits: Splits) -> None:
    for name in ("one", "same", "other"):
        if name == "other":
            net.stem.conv.weight.data += 1
        save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
    identities, fingerprints = [], []
    for name in ("one", "same", "other"):
        distill = DistillConfig(teacher=NAME, weights=str(tmp_path / f"{name}.safetensors"))
        teacher = load_teacher(distill, digits.format, {32})
        identities.append(identity(distill))
        fingerprints.append(_fingerprint(Config(train=TrainConfig(distill=distill)), digits, net.spec, teacher))
    for one, same, other in (identities, fingerprints):
        assert one == same != other


def test_another_normalisation_is_another_run(net: Net, tmp_path: Path, digits: Splits) -> None:
    own = [Normalisation(digits.format.mean, digits.format.std), IMAGENET]
    first, second = (_fingerprint(Config(), digits, net.spec, Teacher(net, one, digits.format)) for one in own)
    assert first != second
