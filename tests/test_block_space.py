"""The block space."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostnas.artifacts import BlockSpec
from frostnas.config import BlockSpaceConfig
from frostnas.errors import InputError
from frostnas.nets import NAMED_BLOCKS
from frostnas.search.spaces.block import BlockSpace, block_code, block_name, parse_block

SPACE = BlockSpace(BlockSpaceConfig())


def test_the_space_has_as_many_blocks_as_it_enumerates_and_none_twice() -> None:
    blocks = list(SPACE)
    assert len(blocks) == len(set(blocks)) == len(SPACE) == 3 * 2 * 5 * 3 * 2 * 2


@given(st.integers(0, len(SPACE) - 1))
def test_codes_and_names_lead_back_to_the_block(number: int) -> None:
    block = list(SPACE)[number]
    assert SPACE.decode(SPACE.encode(block)) == block
    assert parse_block(block_code(block)) == parse_block(block_name(block)) == block


@pytest.mark.parametrize("name", ["frost", "mobilenet_v2", "mobilenet_v3"])
def test_published_blocks_are_points_of_the_space(name: str) -> None:
    assert NAMED_BLOCKS[name] in SPACE
    assert block_name(SPACE.decode(SPACE.encode(NAMED_BLOCKS[name]))) == name


def test_a_block_of_another_kind_is_no_point() -> None:
    other = replace(BlockSpec(), kind="ghost")
    assert other not in SPACE
    with pytest.raises(InputError, match="kind ghost"):
        SPACE.encode(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spatial": ["depthwise_4x"]}, "space.block.spatial=depthwise_4x: expected one of depthwise_3"),
        ({"reuse": ["squeeze_1"]}, "space.block.reuse=squeeze_1: expected none or squeeze_R"),
        ({"expand": [1, 6]}, "space.block.expand=1: expected a number above 1"),
        ({"gate": []}, "space.block.gate=.*at least one"),
        ({"skip": ["add", "add"]}, "space.block.skip=.*once"),
    ],
)
def test_impossible_candidates_are_refused_with_their_key(change: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        BlockSpace(replace(BlockSpaceConfig(), **change))


def test_impossible_points_are_refused() -> None:
    with pytest.raises(InputError, match=r"space\.block\.spatial: has no depthwise_9"):
        SPACE.encode(BlockSpec(spatial="depthwise_9"))
    with pytest.raises(InputError, match="block code"):
        SPACE.decode((0, 0, 9, 0, 0, 0))
    with pytest.raises(InputError, match="expand is six"):
        parse_block("none-six-depthwise_3-relu-none-add")


def test_random_blocks_differ_from_each_other_and_from_those_left_out() -> None:
    frost = NAMED_BLOCKS["frost"]
    drawn = SPACE.distinct(random.Random(0), 359, (frost,))
    assert len(set(drawn)) == 359
    assert frost not in drawn
    assert len(SPACE.distinct(random.Random(0), 1000, (frost,))) == 359
