"""The plots beside block.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from frostnas.artifacts import BlockHistoryRow, BlockResult, BlockSpec, CandidateCosts, SeedResult, SlotResult
from frostnas.report.block_plots import block_steps, write_block_plots
from frostnas.search.spaces.block import SLOTS, block_code, parse_block

HALF = dict.fromkeys(SLOTS, (0.7, 0.3))
FIGURES = dict.fromkeys(SLOTS, 0.4)


def result_of(block: BlockSpec) -> BlockResult:
    slots = tuple(SlotResult(slot, "a", ("a", "b"), (0.7, 0.3), 0.4, True, 1.0) for slot in SLOTS)
    rows = tuple(
        BlockHistoryRow(0, epoch, phase, HALF, FIGURES, FIGURES, 0.5, 1.0, 0.5, 0.4, block_code(block))
        for epoch, phase in ((1, "warm-up"), (2, "search"))
    )
    seeds = (SeedResult(0, block, 2, HALF, 1.0, {block_code(block): 1.0}, {block_code(block): 1.0}, block),)
    return BlockResult(block, slots, rows, (), seeds, CandidateCosts(1.0, HALF), (), 0, 1.0)


@pytest.mark.parametrize("name", ["frost", "mobilenet_v2", "none-3-max_pool_3-relu-squeeze_excite-none"])
def test_both_plots_are_written_as_png_and_svg(name: str, tmp_path: Path) -> None:
    paths = write_block_plots(result_of(parse_block(name)), tmp_path)
    assert [path.name for path in paths] == ["block_history.png", "block_history.svg", "block.png", "block.svg"]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_the_graph_shows_the_slots_that_a_block_uses() -> None:
    frost = block_steps(parse_block("frost"))
    assert frost[1] == "concat"
    assert frost[-2] == "add"
    pooled = block_steps(parse_block("none-3-max_pool_3-relu-squeeze_excite-none"))
    assert pooled[2:4] == ["3x3 max pool", "squeeze and excite"]
    assert "concat" not in pooled
    assert "add" not in pooled
