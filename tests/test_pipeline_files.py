"""Files of a stage: nothing of a failed one gets to where the good ones are."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostnas.artifacts import sha256_of
from frostnas.pipeline.files import aside, publish


def made(folder: Path, text: str) -> None:
    """What a search of networks writes beside its artifact."""
    for name in ("net.safetensors", "pareto.csv", "pareto.svg", "front/1/net.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_stage_that_fails_after_writing_replaces_no_file_and_leaves_its_own_for_inspection(tmp_path: Path) -> None:
    run, part = tmp_path / "run", tmp_path / "run" / "search-net.part"
    made(run, "good")
    with pytest.raises(ValueError, match="its checks"), aside(part) as folder:
        made(folder, "bad")
        raise ValueError("its checks")
    assert {path.read_text() for path in run.rglob("*") if path.is_file() and part not in path.parents} == {"good"}
    assert (part / "pareto.csv").read_text() == "bad"
    with aside(part) as folder:
        assert list(folder.iterdir()) == []


def test_a_stage_that_ends_puts_all_of_its_files_in_place_with_a_digest_of_each_but_plots(tmp_path: Path) -> None:
    run, part = tmp_path / "run", tmp_path / "run" / "search-net.part"
    made(run, "old")
    with aside(part) as folder:
        made(folder, "new")
        digests = publish(folder, run)
    assert not part.exists()
    assert {path.read_text() for path in run.rglob("*") if path.is_file()} == {"new"}
    assert digests == {
        name: sha256_of(run / name) for name in ("net.safetensors", "pareto.csv", "front/1/net.safetensors")
    }
