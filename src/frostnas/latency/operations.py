"""Where the time of whole networks goes, per kind of operation, from the runtime's own profile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from frostnas.artifacts import OperationShare

ROLES = ("stem", "head", "gate", "squeeze", "expand", "spatial", "project", "primary", "cheap", "shortcut")
"""Names of layers inside a network that an operation is said to belong to."""


def kind_of(name: str, operation: str) -> str:
    """What a node of a network does: "expand QLinearConv", or the bare operation where it has no such layer.

    Args:
        name: of the node; it begins with the layer's, "layers.3.expand.conv".
        operation: the runtime's name of it.
    """
    words = name.split(".")
    role = next((role for role in ROLES if role in words), "")
    return f"{role} {operation}".strip()


def shares(networks: Sequence[Mapping[str, float]]) -> tuple[OperationShare, ...]:
    """Mean share of every kind of operation, largest first.

    Args:
        networks: of each, mean ms per run by "node name|operation".
    """
    total: dict[str, float] = defaultdict(float)
    for times in networks:
        whole = sum(times.values())
        for key, ms in times.items():
            name, _, operation = key.partition("|")
            total[kind_of(name, operation)] += ms / whole / len(networks)
    return tuple(OperationShare(*item) for item in sorted(total.items(), key=lambda item: -item[1]))
