"""Networks: candidate operations, blocks, whole nets, and the zoo of published ones."""

from frostnas.nets.blocks import build_block, check_block
from frostnas.nets.count import Counts, count
from frostnas.nets.net import FeatureMap, Net, build_head, build_stem
from frostnas.nets.published import load_published_weights, published_names
from frostnas.nets.zoo import NAMED_BLOCKS, ZooEntry, create_model, frostnet, zoo_entries, zoo_names, zoo_spec

__all__ = [
    "NAMED_BLOCKS",
    "Counts",
    "FeatureMap",
    "Net",
    "ZooEntry",
    "build_block",
    "build_head",
    "build_stem",
    "check_block",
    "count",
    "create_model",
    "frostnet",
    "load_published_weights",
    "published_names",
    "zoo_entries",
    "zoo_names",
    "zoo_spec",
]
