"""Which sizes of images a run is of: given, those of a network, or those that were chosen before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frostnas.artifacts import BlockResult, ChosenSizes, LatencyTable, NetResult, load
from frostnas.config import Config, TargetName
from frostnas.nets import zoo_names

SIZES = "sizes.json"
BLOCK, TABLE, NET = "block.json", "latency.json", "net.json"


def with_sizes(config: Config, run_dir: Path) -> Config:
    """``config`` with the sizes that are known, else for the data set's usual one.

    Raises:
        InputError: a file that says them cannot be read.
    """
    return at_sizes(config, known_sizes(config, run_dir) or [config.data.usual_size])


def at_sizes(config: Config, sizes: Sequence[int]) -> Config:
    """``config`` with the pictures as large as the largest network of the space wants them; one size is no choice."""
    space = replace(config.space, resolutions=list(sizes) if len(sizes) > 1 else [])
    return replace(config, space=space, data=replace(config.data, image_size=max(sizes)))


def known_sizes(config: Config, run_dir: Path) -> Sequence[int]:
    """Sides in pixels; none where they are still to be chosen.

    A run stays with the sizes that it was begun with: those of its table, or of one that is given, and of its block.
    """
    if config.space.resolutions:
        return config.space.resolutions
    if config.data.image_size is not None:
        return [config.data.image_size]
    if config.net is not None:
        return [_of_net(config.net) or config.data.usual_size]
    if (kept := run_dir / SIZES).is_file():
        return load(kept, ChosenSizes).value.sizes
    if not chooses(config):
        return [config.data.usual_size]
    return _begun(Path(config.table) if config.table else run_dir / TABLE, run_dir / BLOCK)


def chooses(config: Config) -> bool:
    """Whether the search is left to choose a size.

    From scratch it needs a budget to choose for, and a skeleton that does not itself follow from the size.
    """
    if config.space.resolutions or config.data.image_size is not None or config.net is not None:
        return False
    return config.parent.net is not None or (config.budget.latency_ms is not None and not config.space.network.fit)


def measurable(config: Config) -> bool:
    """Whether there is a budget, nothing that was measured before, and a machine to measure on."""
    carried = config.latency.target.name is TargetName.bundle
    return config.budget.latency_ms is not None and config.table is None and config.net is None and not carried


def _of_net(given: str) -> int | None:
    """Of what `net=` names by a path; None for a zoo name."""
    path = Path(given) if given.endswith(".json") else Path(given) / NET
    if given in zoo_names() or not path.is_file():  # which is refused where the network is wanted
        return None
    return load(path, NetResult).value.net.image_size


def _begun(table: Path, block: Path) -> list[int]:
    for path, kind in ((table, LatencyTable), (block, BlockResult)):
        if path.is_file():
            made = load(path, kind).provenance
            side = made.config.get("data.image_size") or (made.images and made.images.image_size)
            if sizes := made.config.get("space.resolutions") or ([side] if side else []):
                return list(sizes)
    return []
