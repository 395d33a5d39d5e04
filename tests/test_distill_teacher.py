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
from frostnas.config import AugmentConfig, DistillConfig
from frostnas.config.compose import compose_config
from frostnas.engine.distill import Remembering, Teacher, View, repeats_pixels
from frostnas.nets import Net
from frostnas.nets.namings import NAMINGS
from frostnas.pipeline.teacher import identity, load_teacher, teacher_side

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


def loaded(teacher: str, weights: Path | str, images: ImageFormat = IMAGES, **more: list[float] | float) -> Teacher:
    found = load_teacher(DistillConfig(teacher=teacher, weights=str(weights), **more), images)
    assert found is not None
    return found


def assert_apart(one: torch.Tensor, other: torch.Tensor) -> None:
    """That the normalisation shows in the logits at all."""
    assert (one - other).abs().max() > 0.1 * other.abs().max()


@torch.no_grad()
def test_a_teacher_sees_its_own_normalisation(net: Net, raw: torch.Tensor) -> None:
    own = Normalisation((0.1, 0.2, 0.3), (0.3, 0.2, 0.4))
    said = Teacher(net, View(own, 32), IMAGES)(normalised(raw, IMAGES))
    torch.testing.assert_close(said, net(normalised(raw, own)), rtol=1e-3, atol=1e-3)
    assert_apart(said, net(normalised(raw, IMAGES)))
    same = View(Normalisation(IMAGES.mean, IMAGES.std), 32)
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
    accuracy, split = Accuracy(0.0, 0.0), SplitRecord("made up", 0, 1, 1, 1, None, None, ())
    digest = sha256_of(folder / "weights.safetensors")
    result = TrainResult(net.spec, images, split, 8, False, accuracy, accuracy, 0, 1, 1, digest, 0, 0.0)
    save(folder / "train.json", result, Provenance())
    return str(folder)


@torch.no_grad()
def test_a_run_teaches_by_the_normalisation_of_its_training(net: Net, raw: torch.Tensor, tmp_path: Path) -> None:
    own = replace(IMAGES, mean=(0.1, 0.2, 0.3), std=(0.3, 0.2, 0.4))
    teacher = load_teacher(DistillConfig(teacher=finished(tmp_path / "run", net, own)), IMAGES)
    assert teacher is not None
    said = teacher(normalised(raw, IMAGES))
    torch.testing.assert_close(said, net(normalised(raw, own)), rtol=1e-3, atol=1e-3)
    assert_apart(said, net(normalised(raw, IMAGES)))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (replace(IMAGES, classes=("a", "b", "c")), "knows 10 classes; the data have 3"),
        (replace(IMAGES, classes=tuple("abcdefghji")), "other names or another order"),
    ],
)
def test_a_run_on_other_images_is_refused(net: Net, tmp_path: Path, images: ImageFormat, said: str) -> None:
    config = DistillConfig(teacher=finished(tmp_path / "run", net, IMAGES))
    with pytest.raises(InputError, match=rf"train\.distill\.teacher=.*{said}"):
        load_teacher(config, images)


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


@torch.no_grad()
def test_a_teacher_sees_the_picture_at_its_own_size_and_crop(net: Net, raw: torch.Tensor, tmp_path: Path) -> None:
    student = replace(IMAGES, image_size=16)
    config = DistillConfig(teacher=finished(tmp_path / "run", net, IMAGES))
    assert teacher_side(config) == 32
    teacher = load_teacher(config, student)
    assert teacher is not None
    pixels = normalised(raw, IMAGES)
    torch.testing.assert_close(teacher(pixels), net(pixels), rtol=1e-3, atol=1e-3)

    save_file(net.state_dict(), tmp_path / "ours.safetensors")
    cropped = DistillConfig(teacher=NAME, weights=str(tmp_path / "ours.safetensors"), image_size=16, crop=0.5)
    assert teacher_side(cropped) == 32
    middle = load_teacher(cropped, student)
    assert middle is not None
    torch.testing.assert_close(middle(pixels), net(pixels[..., 8:24, 8:24]), rtol=1e-3, atol=1e-3)


class Counting(nn.Module):
    """Says the mean of each channel, and counts the images that it was asked about."""

    asked = 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.asked += len(pixels)
        return pixels.mean((2, 3))


def test_a_remembering_teacher_is_asked_once_for_each_image(raw: torch.Tensor) -> None:
    asked = Counting()
    teacher = Remembering(asked)
    for pixels in (raw, raw.flip(0), raw[1:3], raw.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(teacher(pixels), pixels.mean((2, 3)))
    assert asked.asked == len(raw)
    changed = raw.clone()
    changed[0, 0, 0, 0] = torch.nextafter(changed[0, 0, 0, 0], torch.tensor(2.0))
    teacher(changed)
    assert asked.asked == len(raw) + 1


def test_pixels_come_again_where_nothing_but_mirroring_changes_them() -> None:
    assert repeats_pixels(AugmentConfig(flip=True), mixed=False)
    assert not repeats_pixels(AugmentConfig(flip=True), mixed=True)
    for moved in (AugmentConfig(crop=0.5), AugmentConfig(rotate=5), AugmentConfig(erase=0.1)):
        assert not repeats_pixels(moved, mixed=False)


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
        load_teacher(DistillConfig(teacher=words[0], weights=words[1]), IMAGES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("mean", "std"), [([0.5, 0.5, 0.5], None), ([0.5], [0.5]), ([0.5, 0.5, 0.5], [0.5, 0.0, 0.5])])
def test_half_a_normalisation_is_refused(net: Net, tmp_path: Path, mean: list[float], std: list[float] | None) -> None:
    save_file(net.state_dict(), tmp_path / "ours.safetensors")
    config = DistillConfig(teacher=NAME, weights=str(tmp_path / "ours.safetensors"), mean=mean, std=std)
    with pytest.raises(InputError, match="expected three numbers each"):
        load_teacher(config, IMAGES)


def test_the_config_takes_weights_with_a_teacher_alone() -> None:
    with pytest.raises(InputError, match=r"train\.distill\.weights=a\.pth: expected train\.distill\.teacher"):
        compose_config(["train.distill.weights=a.pth"])
    words = [f"train.distill.teacher={NAME}", "train.distill.weights=a.pth", "train.distill.mean=[0.1,0.2,0.3]"]
    assert compose_config(words).train.distill.mean == [0.1, 0.2, 0.3]


def test_without_a_connection_the_default_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # nothing was downloaded before
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("no_proxy", "")
    urllib.request.install_opener(urllib.request.build_opener())  # of these proxies, not those of the first use
    thousand = replace(IMAGES, classes=tuple(map(str, range(1000))))
    with pytest.raises(InputError, match=r"weights=DEFAULT: https://\S*resnet18\S* cannot be had .*refused") as caught:
        loaded("torchvision:resnet18", "DEFAULT", thousand)
    assert "\n" not in str(caught.value)


def test_the_content_of_the_weights_decides_what_is_the_same_teacher(net: Net, tmp_path: Path) -> None:
    identities = []
    for name in ("one", "same", "other"):
        if name == "other":
            net.stem.conv.weight.data += 1
        path = tmp_path / f"{name}.safetensors"
        save_file(net.state_dict(), path)
        identities.append(identity(DistillConfig(teacher=NAME, weights=str(path))))
    assert identities[0] == identities[1] != identities[2]
