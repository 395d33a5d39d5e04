"""Small spaces, tables and settings for the tests of the network search."""

from __future__ import annotations

import random
from collections.abc import Sequence

from frostnas.artifacts import BlockSpec, Calibration, Host, LatencyTable, Protocol, Timing, Validation, row_of
from frostnas.config import Config, NetworkSpaceConfig
from frostnas.config.compose import compose_config
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

TINY = (
    "data.image_size=8",
    "space.network.stem_channels=8",
    "space.network.widths=[16,24]",
    "space.network.depths=[2,2]",
    "space.network.strides=[1,2]",
    "space.network.head_channels=32",
    "search_net.float_epochs=1",
    "search_net.epochs=2",
    "search_net.population=4",
    "search_net.generations=2",
    "search_net.front_networks=3",
    "search_net.recalibration_batches=1",
)


def tiny_config(*overrides: str) -> Config:
    return compose_config([*TINY, *overrides])


def space_of(config: Config) -> NetworkSpace:
    return NetworkSpace(from_scratch(config.space.network, BlockSpec(), [config.data.side], 10))


BLOCKS = (
    BlockSpec(),
    BlockSpec(reuse="none", gate="squeeze_excite", activation="hard_swish"),
    BlockSpec(reuse="squeeze_2", spatial="max_pool_3"),
    BlockSpec(reuse="none", spatial="dilated_3", skip="none"),
)


def table_of(space: NetworkSpace, seed: int = 0) -> LatencyTable:
    """A table with random rows."""
    rng = random.Random(seed)
    check = Validation(10, 0.01, 0.02, 0.03, 0.99)
    rows = []
    for part in space.workloads():
        timing = Timing(*sorted(rng.uniform(0.01, 0.2) for _ in range(3)))
        rows.append(row_of(part, timing, timing))
    return LatencyTable(
        host=Host("x86_64", "test", (), "Linux"),
        protocol=Protocol("onnxruntime", "1", "int8", 1, (0,), 1, "uint8", 8),
        calibration=Calibration(0.6, 0.4, 0.001),
        fitted=check,
        held_out=check,
        repeatability=0.01,
        seconds=1.0,
        csv_sha256="",
        rows=tuple(rows),
    )


def tiny(block: BlockSpec | None = None, sizes: Sequence[int] = (8,), **changes: object) -> NetworkSpace:
    settings = {
        "stem_channels": 8, "stem_stride": 1, "first_channels": 16, "widths": [16, 24], "depths": [2, 1],
        "strides": [1, 2], "kernels": [3, 5], "expands": [3], "squeezes": [2, 4], "head_channels": 16,
    }  # fmt: skip
    config = NetworkSpaceConfig(**(settings | changes))  # type: ignore[arg-type]
    return NetworkSpace(from_scratch(config, block or BlockSpec(), sizes, 10))
