"""The authors' published weights land where they belong."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from frostnas import InputError, create_model, load_weights
from frostnas.nets import Net
from frostnas.nets.namings import naming_of

NAME = "frostnet_small_0_35"


def conv_bn(prefix: str, inputs: int, outputs: int, kernel: int, groups: int = 1) -> dict[str, tuple[int, ...]]:
    norm = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (outputs,))
    return {
        f"{prefix}.conv.0.weight": (outputs, inputs // groups, kernel, kernel),
        **{f"{prefix}.conv.1.{leaf}": shape for leaf, shape in norm.items()},
        f"{prefix}.conv.1.num_batches_tracked": (),
    }


def published_file() -> OrderedDict[str, Tensor]:
    """Keys and shapes of the authors' small model at width 0.35, from the paper's table; all values distinct."""
    stages = {
        1: [(3, 8, 1, 1), (5, 8, 3, 4), (3, 8, 3, 4)],
        2: [(5, 16, 3, 4)],
        3: [(5, 32, 3, 4), (5, 32, 3, 4), (3, 32, 3, 4), (5, 32, 3, 2), (5, 32, 3, 4), (5, 32, 3, 4)],
        4: [(5, 64, 6, 4), (5, 64, 6, 4), (5, 64, 6, 4)],
        5: [(5, 112, 6, 2)],
    }
    shapes: dict[str, tuple[int, ...]] = conv_bn("conv1", 3, 16, 3)
    width = 16
    for stage, rows in stages.items():
        for index, (kernel, channels, expand, squeeze) in enumerate(rows):
            prefix, joined = f"layer{stage}.{index}", width
            if expand > 1:
                if width // squeeze >= 8:
                    squeezed = max(8, (width // squeeze + 4) // 8 * 8)
                    shapes |= conv_bn(f"{prefix}.squeeze_conv", width, squeezed, 1)
                    joined += squeezed
                shapes |= conv_bn(f"{prefix}.conv1", joined, joined * expand, 1)
            hidden = joined * expand
            shapes |= conv_bn(f"{prefix}.conv2", hidden, hidden, kernel, groups=hidden)
            shapes |= conv_bn(f"{prefix}.reduce_conv", hidden, channels, 1)
            width = channels
    shapes |= conv_bn("last_layer", width, 1280, 1)
    shapes |= {"classifier.2.weight": (1000, 1280, 1, 1), "classifier.2.bias": (1000,)}
    generator = torch.Generator().manual_seed(1)
    return OrderedDict(
        (key, torch.rand(shape, generator=generator) + 0.5 if shape else torch.tensor(7))
        for key, shape in shapes.items()
    )


def published_names(model: Net) -> dict[str, str]:
    naming = naming_of(published_file())
    assert naming is not None and naming.whose == "the FrostNet authors"
    return naming.theirs(model.spec)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "published.pth"
    torch.save(published_file(), path)
    return path


def test_every_tensor_of_the_file_is_loaded_and_nothing_else_moves(saved: Path) -> None:
    model = create_model(NAME)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_weights(model, saved)
    names, given = published_names(model), published_file()
    assert {*names.values()} == {key for key in given if not key.endswith("num_batches_tracked")}
    for name, value in model.state_dict().items():
        expected = given[names[name]] if name in names else before[name]
        assert torch.equal(value, expected), name


def test_the_loaded_network_computes_what_the_published_wiring_does(saved: Path) -> None:
    torch.manual_seed(0)
    model = create_model(NAME).eval()
    load_weights(model, saved)
    state = {key: value for key, value in published_file().items() if key.startswith(("conv1.", "layer1.0."))}
    image = torch.randn(1, 3, 16, 16)

    def layer(prefix: str, x: Tensor, stride: int, groups: int) -> Tensor:
        weight, *norm = (state[f"{prefix}.conv.{leaf}"] for leaf in ("0.weight", "1.running_mean", "1.running_var"))
        y = nn.functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)
        return nn.functional.batch_norm(y, *norm, state[f"{prefix}.conv.1.weight"], state[f"{prefix}.conv.1.bias"])

    y = layer("conv1", image, 2, 1).relu()
    y = layer("layer1.0.conv2", y, 1, 16).relu()
    y = layer("layer1.0.reduce_conv", y, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model.layers[0](model.stem(model.input(image))).value, y)


def test_wrapped_files_and_backbones_are_served(saved: Path, tmp_path: Path) -> None:
    wrapped = tmp_path / "wrapped.pth"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in published_file().items()}}, wrapped)
    plain, whole, backbone = create_model(NAME), create_model(NAME), create_model(NAME, features_only=True)
    load_weights(plain, saved)
    load_weights(whole, wrapped)
    load_weights(backbone, saved)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]) and torch.equal(value, whole.state_dict()[name])


def test_a_mismatch_names_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    state = published_file()
    state["layer9.0.conv1.conv.0.weight"] = state.pop("layer3.2.conv2.conv.1.bias")
    torch.save(state, path)
    model = create_model(NAME)
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(InputError) as caught:
        load_weights(model, path)
    message = str(caught.value)
    assert f"{path}: not a {NAME}: " in message and "like no network that `frostnas zoo` lists" in message
    assert "layer3.2.conv2.conv.1.bias is missing" in message
    assert "layer9.0.conv1.conv.0.weight is unknown" in message
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


class Trap:
    """Unpickling it would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("ran",))


def test_a_pickle_of_more_than_tensors_is_refused_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trap.pth"
    torch.save({"state_dict": Trap()}, path)
    with pytest.raises(InputError, match="refused, a pickle of more than tensors"):
        load_weights(create_model(NAME), path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"PK\x03\x04broken"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.pth"):
        load_weights(create_model(NAME), path)


def test_a_missing_file_and_a_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_weights(create_model(NAME), tmp_path / "none.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        load_weights(create_model(NAME), tmp_path / "list.pth")


def test_a_file_of_another_network_says_which_it_is(saved: Path) -> None:
    with pytest.raises(InputError, match=f"not a ghostnet_1_0; it looks like {NAME} by the FrostNet authors"):
        load_weights(create_model("ghostnet_1_0"), saved)
    with pytest.raises(
        InputError, match=f"layer1.1.conv1.conv.0.weight has shape .*it looks like {NAME} by the .*; give net={NAME}"
    ):
        load_weights(create_model("frostnet_base_0_35"), saved)
    with pytest.raises(InputError, match="knows 1000 classes; the network has 10"):
        load_weights(create_model(NAME, num_classes=10), saved)
