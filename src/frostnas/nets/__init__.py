"""Networks: candidate operations, blocks, whole nets, and the zoo of published ones."""

from frostnas.nets.blocks import build_block, check_block
from frostnas.nets.count import Counts, count
from frostnas.nets.create import create_model
from frostnas.nets.net import FeatureMap, Net, build_head, build_stem
from frostnas.nets.weights import Weights, load_weights, read_weights
from frostnas.nets.zoo import NAMED_BLOCKS, ZooEntry, frostnet, zoo_entries, zoo_family, zoo_names, zoo_spec

__all__ = [
    "NAMED_BLOCKS",
    "Counts",
    "FeatureMap",
    "Net",
    "Weights",
    "ZooEntry",
    "build_block",
    "build_head",
    "build_stem",
    "check_block",
    "count",
    "create_model",
    "frostnet",
    "load_weights",
    "read_weights",
    "zoo_entries",
    "zoo_family",
    "zoo_names",
    "zoo_spec",
]
