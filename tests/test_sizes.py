"""Which sizes of images a search chooses from: given ones, those of before, or those that pictures and budget allow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from frostnas.artifacts import ChosenSizes, Provenance, load, save, write_rows
from frostnas.config import BudgetConfig, Config, DataConfig, DataName
from frostnas.config.compose import compose_config
from frostnas.config.stages import OtherTarget
from frostnas.data.sides import Sides, sides_of
from frostnas.engine import Workspace, weights_of
from frostnas.errors import InputError
from frostnas.nets import Net, zoo_spec
from frostnas.pipeline.session import Session
from frostnas.pipeline.size_choice import Ends, all_sizes, budgets_of, choose_sizes, spread, worth_it
from frostnas.pipeline.sizes import SIZES, with_sizes
from tests.latency_parts import table as latency_table
from tests.made_run import make_run

NAME = "frostnet_small_0_35"
SMALL = ["latency.rounds=2", "latency.round_ms=0.1", "space=[block,network_small]"]


def pictures_in(root: Path, *shapes: tuple[int, int]) -> Path:
    """Two classes, each with a picture of every height and width."""
    noise = np.random.default_rng(0)
    for label in ("one", "two"):
        (root / label).mkdir(parents=True)
        for number, (height, width) in enumerate(shapes):
            pixels = noise.integers(0, 255, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


def parent_words(folder: Path) -> list[str]:
    torch.manual_seed(0)
    save_file(weights_of(Net(zoo_spec(NAME, 2, 32))), folder / "parent.safetensors")
    return [f"parent.net={NAME}", f"parent.weights={folder / 'parent.safetensors'}"]


def chosen(words: list[str], run_dir: Path) -> Config:
    with Workspace.open(run_dir, quiet=True) as workspace:
        session = Session(compose_config([*SMALL, *words, f"run_dir={run_dir}"]), workspace)
        choose_sizes(session)
    return session.config


def test_what_pictures_have_is_the_median_of_their_shorter_sides(tmp_path: Path) -> None:
    root = pictures_in(tmp_path / "photos", (90, 40), (50, 70), (60, 200))
    (root / "one" / "notes.txt").write_text("no picture")
    assert sides_of(DataConfig(name=DataName.imagefolder, root=str(root))) == Sides(50, 2)
    assert sides_of(DataConfig()) == Sides(8, 10)


def test_sizes_lie_between_32_pixels_and_what_pictures_have_but_224_at_most() -> None:
    assert all_sizes(500)[0] == 32 and all_sizes(500)[-1] == 224
    assert all_sizes(50) == [32, 40, 48]
    assert all_sizes(28) == []
    assert spread(all_sizes(500)) == [32, 64, 96, 160, 224]


def test_sizes_at_which_all_networks_are_too_slow_or_far_too_fast_are_left_out() -> None:
    ends = {size: Ends(size / 100, size / 20) for size in (32, 48, 64, 80, 96)}  # 0.32 to 1.6, …, 0.96 to 4.8 ms
    assert worth_it(ends, [0.5]) == [32, 48]
    assert worth_it(ends, [4.0]) == [48, 64, 80, 96]
    assert worth_it(ends, [0.5, 4.0]) == [32, 48, 64, 80, 96]
    assert worth_it(ends, [0.1]) == [32]
    assert worth_it(ends, [100.0]) == [96]


def test_all_latencies_of_the_runs_own_target_count() -> None:
    others = [OtherTarget(latency_ms=2.0), OtherTarget(table="board.json", latency_ms=9.0), OtherTarget(fraction=0.1)]
    assert budgets_of(BudgetConfig(latency_ms=1.0, others=others)) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("words", "sizes", "largest"),
    [
        (["data.image_size=48", "budget.latency_ms=1"], [], 48),
        (["space.resolutions=[32,48]", "data.image_size=16"], [32, 48], 48),
        (["space.resolutions=[24]"], [], 24),
        ([], [], 16),
        (["budget.fraction=0.3"], [], 16),
        (["net=mobilenet_v2_1_0", "budget.latency_ms=1"], [], 16),
        (["budget.latency_ms=1", "space=[block,fitted]"], [], 16),
    ],
)
def test_a_given_size_stands_and_without_a_budget_the_usual_one(
    words: list[str], sizes: list[int], largest: int, tmp_path: Path
) -> None:
    config = chosen(words, tmp_path)
    assert (config.space.resolutions, config.data.image_size) == (sizes, largest)
    assert not (tmp_path / SIZES).exists()


def test_pictures_smaller_than_that_keep_the_usual_size(tmp_path: Path) -> None:
    config = chosen(["budget.latency_ms=1"], tmp_path)
    assert (config.space.resolutions, config.data.image_size) == ([], 16)


def test_what_is_cut_out_of_a_parent_chooses_its_size_up_to_that_of_the_pictures(tmp_path: Path) -> None:
    root, run = pictures_in(tmp_path / "photos", (60, 50)), tmp_path / "run"
    config = chosen(["data=imagefolder", f"data.root={root}", *parent_words(tmp_path)], run)
    assert (config.space.resolutions, config.data.image_size) == ([32, 40, 48], 48)
    assert load(run / SIZES, ChosenSizes).value == ChosenSizes((32, 40, 48), 50, None)
    again = compose_config([f"run_dir={run}", "data=imagefolder"])  # as `train` and `export` are asked for
    assert with_sizes(again, run).space.resolutions == [32, 40, 48]
    other = compose_config(["data.image_size=64"])
    assert (with_sizes(other, run).space.resolutions, with_sizes(other, run).data.image_size) == ([], 64)


@pytest.mark.slow
@pytest.mark.parametrize(("with_parent", "budget_ms", "size"), [(True, 0.001, 32), (False, 10000, 64)])
def test_a_budget_moves_the_sizes(with_parent: bool, budget_ms: float, size: int, tmp_path: Path) -> None:
    root = pictures_in(tmp_path / "photos", (100, 70))
    words = ["data=imagefolder", f"data.root={root}", *(parent_words(tmp_path) if with_parent else [])]
    config = chosen([*words, f"budget.latency_ms={budget_ms}"], tmp_path / "run")
    assert (config.space.resolutions, config.data.image_size) == ([], size)
    assert load(tmp_path / "run" / SIZES, ChosenSizes).value == ChosenSizes((size,), 70, budget_ms)


def test_a_run_stays_with_the_sizes_of_its_table(tmp_path: Path) -> None:
    made, run = latency_table(4), tmp_path / "run"
    digest = write_rows(run / "latency.csv", made.rows)
    for settings, sizes in (({"data.image_size": 24}, []), ({"space.resolutions": [16, 24]}, [16, 24])):
        save(run / "latency.json", replace(made, rows=(), csv_sha256=digest), Provenance(settings))
        config = compose_config(["budget.latency_ms=1", *SMALL])
        assert (with_sizes(config, run).space.resolutions, with_sizes(config, run).data.image_size) == (sizes, 24)
        elsewhere = compose_config(["budget.latency_ms=1", *SMALL, f"table={run / 'latency.json'}"])
        assert with_sizes(elsewhere, tmp_path / "other").space.resolutions == sizes


def test_a_network_that_is_given_has_its_own_size(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert with_sizes(compose_config([f"net={run / 'net.json'}"]), tmp_path).data.image_size == 8
    with Workspace.open(tmp_path / "new", quiet=True) as workspace:
        session = Session(compose_config([f"net={run}", f"run_dir={tmp_path / 'new'}"]), workspace)
        assert session.net.image_size == session.data_to_train.format.image_size == 8


def test_several_processes_are_asked_for_a_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"data\.image_size=null: expected a size, or space\.resolutions"):
        chosen(["budget.latency_ms=1"], tmp_path)
