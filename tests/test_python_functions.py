"""The stages as functions: what programs set is checked, artifacts go in and come out, and docs/python.md runs."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import frostnas
from frostnas.config import TargetName
from frostnas.config.compose import typed
from frostnas.errors import InputError
from tests.in_process import NET, SHORT, write_photos
from tests.pages import blocks
from tests.tiny import TINY


def test_a_config_is_the_same_after_its_check() -> None:
    from omegaconf import OmegaConf

    config = frostnas.compose_config(["data=imagefolder", "data.root=photos", "latency=openvino", "seed=7"])
    assert typed(OmegaConf.structured(config)) == config


def test_what_a_program_sets_is_checked_before_anything_is_made(tmp_path: Path) -> None:
    config = frostnas.compose_config([f"run_dir={tmp_path / 'run'}"])
    config.train.epochs = -1
    with pytest.raises(InputError, match=r"train.epochs=-1: expected"):
        frostnas.train(config)
    config = frostnas.compose_config([f"run_dir={tmp_path / 'run'}"])
    config.latency.target.name = TargetName.bundle
    with pytest.raises(InputError, match="expected local or ssh"):
        frostnas.profile_latency(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_network_of_ones_own_is_trained_and_exported(tmp_path: Path) -> None:
    data = ["data=imagefolder", f"data.root={write_photos(tmp_path / 'photos')}"]
    config = frostnas.compose_config([*data, *SHORT, f"run_dir={tmp_path / 'run'}"])
    trained = frostnas.train(config, NET, quiet=True)
    assert trained.net == NET
    report = frostnas.export(config, quiet=True)
    assert frostnas.load(tmp_path / "run" / "export.json", frostnas.ExportReport).value == report
    assert frostnas.train(config, NET, quiet=True) == trained
    other = frostnas.NetSpec("other", 8, NET.stem, NET.layers * 2, NET.head)
    with pytest.raises(InputError, match="was made with other input net"):
        frostnas.train(config, other, quiet=True)


@pytest.mark.slow
def test_a_table_is_of_the_block_that_is_given(tmp_path: Path) -> None:
    config = frostnas.compose_config([*TINY, f"run_dir={tmp_path}"])
    plain = frostnas.BlockSpec(reuse="none", expand=3, spatial="depthwise_3", activation="relu")
    table = frostnas.profile_latency(config, plain, quiet=True)
    assert table.rows and {row.squeeze for row in table.rows} <= {0, 1}
    found = frostnas.search_net(config, plain, quiet=True)
    assert found.block == plain


@pytest.mark.slow
def test_the_page_leads_from_images_to_a_found_network_and_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = write_photos(tmp_path / "photos", each=40)
    given = ("export.", "space.network.")  # by SHORT, and by the space that fits the images
    small = [word for word in TINY if not word.startswith(given)] + [*SHORT, "search_block.batch_size=16"]
    scripts = {block.name: block.text for block in blocks("python.md") if block.language == "python"}
    found = scripts["found.py"]
    assert len([line for line in found.splitlines() if line]) <= 5
    assert '"run_dir=runs/photos"]' in found
    (tmp_path / "found.py").write_text(found.replace('"run_dir=runs/photos"]', f'"run_dir=runs/photos", *{small}]'))
    runpy.run_path(str(tmp_path / "found.py"))
    cats = sorted((photos / "red").iterdir())[:2]
    for name, picture in zip(("cat.jpg", "dog.png"), cats, strict=True):
        (tmp_path / name).write_bytes(picture.read_bytes())
    (tmp_path / "answers.py").write_text(scripts["answers.py"])
    runpy.run_path(str(tmp_path / "answers.py"))
    assert set(eval(capsys.readouterr().out.splitlines()[-1])) <= {"blue", "green", "red"}
    runpy.run_path(str(_write(tmp_path / "last.py", scripts[""])))


@pytest.mark.slow
def test_the_page_trains_and_scores_a_network_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scripts = {block.name: block.text for block in blocks("python.md")}
    runpy.run_path(str(_write(tmp_path / "own.py", scripts["own.py"])))
    validation, test, latency = map(float, capsys.readouterr().out.splitlines()[-1].split())
    assert validation > 0.5 and test > 0.5 and latency > 0
    runpy.run_path(str(_write(tmp_path / "scored.py", scripts["scored.py"])))
    assert float(capsys.readouterr().out.splitlines()[-1].split()[0]) == test


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
