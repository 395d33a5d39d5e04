"""docs/folder-to-model.md does what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from frostnas.config import Config, DataName
from frostnas.config.compose import compose_config
from tests.pages import DOCS, FENCE, Block, blocks, run, save_files

PAGE = "folder-to-model.md"
OVERRIDE = re.compile(r"`([a-z_.]+=[^`]+)`")


def commands() -> list[list[str]]:
    """The page's calls of frostnas, as words."""
    lines = [line for block in blocks(PAGE) if block.language == "sh" for line in block.text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("frostnas ")]


def shell_of(first: int, last: int) -> list[Block]:
    """Blocks of commands of some sections."""
    parts = re.split(r"^## \d+\. ", (DOCS / PAGE).read_text(), flags=re.MULTILINE)
    found = [Block(*one) for part in parts[first : last + 1] for one in FENCE.findall(part)]
    return [block for block in found if block.language == "sh"]


def composed(words: list[str], folder: Path) -> Config:
    return compose_config([word for word in words if "=" in word], folder / "conf")


def test_every_command_of_the_page_works_in_its_run_directory(tmp_path: Path) -> None:
    save_files(PAGE, tmp_path)
    configured = [words for words in commands() if words[0] not in ("predict", "report")]
    short, long = (
        ["train", "export", "evaluate", "ladder"],
        ["run", "search-block", "profile-latency", "run", "evaluate"],
    )
    assert [words[0] for words in configured] == short + long
    folders = ["runs/lite0"] * 3 + ["runs/ladder"] + ["runs/photos"] * 5
    for words, folder in zip(configured, folders, strict=True):
        config = composed(words, tmp_path)
        assert (config.run_dir, config.data.root, config.data.name) == (folder, "photos", DataName.imagefolder)


@pytest.mark.slow
def test_every_setting_that_the_page_names_is_accepted(tmp_path: Path) -> None:
    save_files(PAGE, tmp_path)
    named = OVERRIDE.findall((DOCS / PAGE).read_text())
    assert len(named) > 10
    for setting in named:
        composed(["experiment=photos", *setting.split()], tmp_path)


@pytest.mark.slow
def test_the_short_way_leads_from_images_to_a_file_and_a_ladder(tmp_path: Path) -> None:
    save_files(PAGE, tmp_path)
    for block in shell_of(1, 1):
        run(block, tmp_path, timeout=1800)
    for folder in (tmp_path / "photos").iterdir():  # a small part of the images
        for path in sorted(folder.iterdir())[24:]:
            path.unlink()
    for block in shell_of(2, 2):
        run(block, tmp_path, timeout=1800)
    assert (tmp_path / "runs" / "lite0" / "model.int8.onnx").is_file()
    assert "post-training quantization loses" in (tmp_path / "runs" / "lite0" / "frostnas.log").read_text()
    assert (tmp_path / "runs" / "ladder" / "ladder.png").is_file()
    assert (tmp_path / "runs" / "ladder" / "sizes" / "48" / "model.int8.onnx").is_file()


@pytest.mark.slow
def test_the_page_leads_from_images_to_answers_of_the_exported_file(tmp_path: Path) -> None:
    save_files(PAGE, tmp_path)
    printed = [run(block, tmp_path, timeout=900) for block in [*shell_of(1, 1), *shell_of(3, 7)]]
    for line, digit in zip(printed[-1].splitlines(), (3, 7), strict=True):
        assert line.endswith(f" digit-{digit}")
        assert f"digit-{digit}/000{digit}.png │ digit-{digit}" in printed[-2]
    named = re.findall(r"^\| (`.*?) \|", (DOCS / PAGE).read_text().partition("## 6.")[2], re.MULTILINE)
    for file in re.findall(r"`([^`]+)`", " ".join(named)):
        assert (tmp_path / "runs" / "photos" / file).is_file(), file
