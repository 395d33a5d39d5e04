"""The block space: one candidate per slot. It enumerates, encodes and names blocks, and refuses impossible ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from frostnas.artifacts import BlockSpec
from frostnas.config import BlockSpaceConfig
from frostnas.errors import InputError
from frostnas.nets import NAMED_BLOCKS
from frostnas.nets.ops import ACTIVATIONS, GATES, SPATIAL

SLOTS = ("reuse", "expand", "spatial", "activation", "gate", "skip")
"""Slots in the order of data flow; fields of `BlockSpec`."""
KIND = BlockSpec().kind


def label(value: str | float) -> str:
    """A candidate as text: numbers without a trailing zero."""
    return value if isinstance(value, str) else f"{value:g}"


@dataclass(frozen=True)
class BlockSpace:
    """Every block that takes one candidate in each slot.

    Raises:
        InputError: a slot is empty or repeats a candidate, or no module belongs to a candidate.
    """

    config: BlockSpaceConfig

    def __post_init__(self) -> None:
        for slot, candidates in self.slots.items():
            key = f"space.block.{slot}"
            if not candidates:
                raise InputError(f"{key}=[]: expected at least one candidate")
            if len(set(candidates)) < len(candidates):
                raise InputError(f"{key}={list(candidates)}: expected each candidate once")
            for value in candidates:
                _check_candidate(key, slot, value)

    @property
    def slots(self) -> Mapping[str, tuple[str | float, ...]]:
        """Slot -> its candidates."""
        return {slot: tuple(getattr(self.config, slot)) for slot in SLOTS}

    def __len__(self) -> int:
        """Number of different blocks."""
        return prod(map(len, self.slots.values()))

    def __contains__(self, block: object) -> bool:
        if not isinstance(block, BlockSpec) or block.kind != KIND:
            return False
        return all(getattr(block, slot) in candidates for slot, candidates in self.slots.items())

    def __iter__(self) -> Iterator[BlockSpec]:
        """Every block, the last slot changing fastest."""
        for values in product(*self.slots.values()):
            yield _block(dict(zip(self.slots, values, strict=True)))

    def encode(self, block: BlockSpec) -> tuple[int, ...]:
        """Position of the choice in every slot.

        Raises:
            InputError: the block takes something that the space does not have.
        """
        if block.kind != KIND:
            raise InputError(f"block kind {block.kind}: expected {KIND}")
        code = []
        for slot, candidates in self.slots.items():
            value = getattr(block, slot)
            if value not in candidates:
                accepted = ", ".join(map(label, candidates))
                raise InputError(f"space.block.{slot}: has no {label(value)}; expected one of {accepted}")
            code.append(candidates.index(value))
        return tuple(code)

    def decode(self, code: tuple[int, ...]) -> BlockSpec:
        """The block at these positions.

        Raises:
            InputError: too many or too few positions, or one outside its slot.
        """
        sizes = tuple(map(len, self.slots.values()))
        if len(code) != len(sizes) or not all(0 <= at < size for at, size in zip(code, sizes, strict=True)):
            raise InputError(f"block code {code}: expected {len(sizes)} positions below {sizes}")
        values = {slot: candidates[at] for (slot, candidates), at in zip(self.slots.items(), code, strict=True)}
        return _block(values)

    def sample(self, rng: random.Random) -> BlockSpec:
        """A block drawn uniformly."""
        return self.decode(tuple(rng.randrange(len(candidates)) for candidates in self.slots.values()))

    def distinct(self, rng: random.Random, count: int, without: tuple[BlockSpec, ...] = ()) -> list[BlockSpec]:
        """Different random blocks, none of them in ``without``; fewer than ``count`` where the space has no more."""
        return rng.sample(pool := [block for block in self if block not in without], min(count, len(pool)))

    def restricted(self, keep: Mapping[str, tuple[int, ...]]) -> BlockSpace:
        """The space of the candidates at these positions only."""
        kept = {slot: [self.slots[slot][at] for at in places] for slot, places in keep.items()}
        return BlockSpace(replace(self.config, **kept))  # type: ignore[arg-type]


def block_name(block: BlockSpec) -> str:
    """The published name of a block, else its choices: `squeeze_4-6-depthwise_3-relu-none-add`."""
    for name, published in NAMED_BLOCKS.items():
        if block == published:
            return name
    return block_code(block)


def block_code(block: BlockSpec) -> str:
    """The choices in one line; different blocks have different codes."""
    return "-".join(label(getattr(block, slot)) for slot in SLOTS)


def parse_block(name: str) -> BlockSpec:
    """The block that `block_name` or `block_code` named.

    Raises:
        InputError: there is no such block.
    """
    if name in NAMED_BLOCKS:
        return NAMED_BLOCKS[name]
    parts = name.split("-")
    if len(parts) != len(SLOTS):
        raise InputError(f"block {name}: expected {', '.join(NAMED_BLOCKS)} or {'-'.join(SLOTS).upper()}")
    values: dict[str, str | float] = dict(zip(SLOTS, parts, strict=True))
    try:
        values["expand"] = float(parts[SLOTS.index("expand")])
    except ValueError:
        raise InputError(f"block {name}: expand is {values['expand']}; expected a number") from None
    for slot, value in values.items():
        _check_candidate(f"block {name}: {slot}", slot, value)
    return _block(values)


def _block(values: Mapping[str, str | float]) -> BlockSpec:
    return BlockSpec(**values)  # type: ignore[arg-type]


def _check_candidate(key: str, slot: str, value: str | float) -> None:
    """Raise InputError unless a module belongs to ``value``."""
    match slot:
        case "expand":
            accepted, known = "a number above 1", isinstance(value, int | float) and value > 1
        case "reuse":
            accepted, known = "none or squeeze_R with R from 2", _is_reuse(str(value))
        case _:
            names = {
                "spatial": tuple(SPATIAL),
                "activation": ACTIVATIONS,
                "gate": ("none", *GATES),
                "skip": ("none", "add"),
            }[slot]
            accepted, known = f"one of {', '.join(names)}", value in names
    if not known:
        raise InputError(f"{key}={label(value)}: expected {accepted}")


def _is_reuse(value: str) -> bool:
    kind, _, ratio = value.partition("_")
    return value == "none" or (kind == "squeeze" and ratio.isdigit() and int(ratio) >= 2)
