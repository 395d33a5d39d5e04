"""The plots beside block.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frostnas.artifacts import BlockHistoryRow, BlockResult, BlockSpec, CandidateCosts, SeedResult, SlotResult
from frostnas.report.block_plots import block_figure, block_steps, history_figure, write_block_plots
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


def test_both_plots_are_written_as_png_and_svg(tmp_path: Path) -> None:
    paths = write_block_plots(result_of(parse_block("frost")), tmp_path)
    assert [path.name for path in paths] == ["block_history.png", "block_history.svg", "block.png", "block.svg"]


def test_a_panel_per_slot_has_the_probabilities_of_both_candidates_over_the_epochs() -> None:
    panels = history_figure(result_of(parse_block("frost"))).axes
    assert [panel.get_title().partition(":")[0] for panel in panels] == list(SLOTS)
    for panel in panels:
        drawn = {str(line.get_label()): np.asarray(line.get_xydata()).tolist() for line in panel.lines}
        assert drawn == {"a": [[1, 0.7], [2, 0.7]], "b": [[1, 0.3], [2, 0.3]]}


@pytest.mark.parametrize(("name", "beside", "lines"), [("frost", 1, 1), ("none-3-max_pool_3-relu-none-none", 0, 0)])
def test_the_drawn_graph_has_a_box_per_step_the_squeeze_and_the_skip(name: str, beside: int, lines: int) -> None:
    block = parse_block(name)
    axes = block_figure(block).axes[0]
    boxes = [text for text in axes.texts if text.get_bbox_patch() is not None]
    trunk = [text.get_text() for text in boxes if text.get_position()[0] == 0]
    assert trunk == block_steps(block) and len(boxes) - len(trunk) == beside and len(axes.lines) == lines


def test_the_graph_shows_the_slots_that_a_block_uses() -> None:
    frost = block_steps(parse_block("frost"))
    assert frost[1] == "concat"
    assert frost[-2] == "add"
    pooled = block_steps(parse_block("none-3-max_pool_3-relu-squeeze_excite-none"))
    assert pooled[2:4] == ["3x3 max pool", "squeeze and excite"]
    assert "concat" not in pooled
    assert "add" not in pooled
