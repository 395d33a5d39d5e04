"""docs/imagenet-cost.md shows what benchmarks/imagenet_cost.py computes."""

from __future__ import annotations

import pytest

from tests.pages import load_script


@pytest.mark.slow
def test_the_tables_in_the_docs_are_the_script_s() -> None:
    script = load_script("benchmarks/imagenet_cost.py")
    shown = script.BLOCK.search(script.PAGE.read_text())
    assert shown is not None
    assert shown.group() == script.tables(), "run python benchmarks/imagenet_cost.py --write"
