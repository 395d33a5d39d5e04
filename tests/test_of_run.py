"""What a command takes from the run that it works on, and what the command line says instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostnas import InputError
from frostnas.cli.of_run import with_board_of_run, with_data_of_run
from frostnas.config import DataName, TargetName
from frostnas.config.compose import compose_config, to_yaml


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a folder of photos, measured on a board."""
    words = ["data=imagefolder", "data.root=photos", "data.image_size=48", "latency/target=ssh", "host=pi@board"]
    return a_run(tmp_path, *words, "data.augment.flip=false")


def a_run(folder: Path, *words: str) -> Path:
    (folder / "config.yaml").write_text(to_yaml(compose_config(words)))
    (folder / "frostnas.log").touch()
    return folder


@pytest.mark.parametrize(
    ("words", "name", "root", "size"),
    [
        ([], DataName.imagefolder, "photos", 48),
        (["seed=3"], DataName.imagefolder, "photos", 48),
        (["data.root=/elsewhere"], DataName.imagefolder, "/elsewhere", 48),
        (["data.image_size=32"], DataName.imagefolder, "photos", 32),
        (["data=digits"], DataName.digits, "data", 16),
        (["experiment=cifar10"], DataName.cifar10, "data", 32),
    ],
)
def test_data_are_those_of_the_run_but_for_what_is_named(
    run: Path, words: list[str], name: DataName, root: str, size: int
) -> None:
    data = with_data_of_run(compose_config(words), words, run).data
    assert (data.name, data.root, data.side) == (name, root, size)
    if name is DataName.imagefolder:
        assert not data.augment.flip and data.augment.scale == 0.5


def test_a_part_of_a_group_is_replaced_alone(run: Path) -> None:
    words = ["data.augment.rotate=5"]
    augment = with_data_of_run(compose_config(words), words, run).data.augment
    assert (augment.rotate, augment.flip, augment.scale) == (5, False, 0.5)


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ([], TargetName.ssh),
        (["latency.rounds=3"], TargetName.ssh),
        (["latency/target=local"], TargetName.local),
        (["latency/target=bundle"], TargetName.bundle),
    ],
)
def test_the_board_is_that_of_the_run_unless_another_is_named(run: Path, words: list[str], target: TargetName) -> None:
    latency = with_board_of_run(compose_config(words), words, run).latency
    assert latency.target.name is target
    assert latency.target.host == ("pi@board" if target is TargetName.ssh else "")


def test_a_run_measured_here_or_on_foot_says_nothing_of_later_commands(tmp_path: Path) -> None:
    for words in (["latency/target=bundle"], []):
        a_run(tmp_path, *words)
        config = compose_config(["latency.rounds=3"])
        assert with_board_of_run(config, ["latency.rounds=3"], tmp_path) == config


def test_where_there_is_no_run_the_config_stays_as_it_is(tmp_path: Path) -> None:
    config = compose_config()
    for _ in range(2):
        assert with_data_of_run(config, [], tmp_path) is config is with_board_of_run(config, [], tmp_path)
        (tmp_path / "config.yaml").write_text("data: something of another program")


@pytest.mark.parametrize(
    "text", ["data: [", "data: 3", "data: {image_size: big}", "data: {image_size: 2}", "{}", "\xff"]
)
def test_settings_that_cannot_be_read_are_named(tmp_path: Path, text: str) -> None:
    (a_run(tmp_path) / "config.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"config\.yaml|data\.image_size=2") as caught:
        with_data_of_run(compose_config(), [], tmp_path)
    assert "\n" not in str(caught.value)
