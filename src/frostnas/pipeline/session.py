"""One command on one run directory: its config, and every input resolved from a path, a name or the run."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from frostnas.artifacts import (
    BlockResult,
    BlockSpec,
    LatencyTable,
    NetResult,
    NetSpec,
    TrainResult,
    load,
    load_table,
    sha256_of,
)
from frostnas.config import Config
from frostnas.data import Splits
from frostnas.data import load as load_data
from frostnas.engine import Workspace, pick_device, seed_all
from frostnas.errors import InputError
from frostnas.nets import NAMED_BLOCKS, Net, check_block, zoo_names, zoo_spec
from frostnas.pipeline.target import with_integers
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.search.spaces.network import NetworkSpace

if TYPE_CHECKING:
    from frostnas.artifacts import SplitRecord

BLOCK, TABLE, NET, TRAIN, EXPORT = "block.json", "latency.json", "net.json", "train.json", "export.json"
ROWS, PARETO, WEIGHTS = "latency.csv", "pareto.csv", "weights.safetensors"


class Session:
    """What the stages of one command share; inputs are loaded once, on first use."""

    def __init__(self, config: Config, workspace: Workspace) -> None:
        self.table_path = Path(config.table) if config.table else workspace.run_dir / TABLE
        self.config = with_integers(config, self.table_path)
        self.workspace = workspace
        seed_all(config.seed)

    def path(self, name: str) -> Path:
        """A file of the run directory."""
        return self.workspace.run_dir / name

    @cached_property
    def device(self) -> torch.device:
        return pick_device(self.config.device)

    @cached_property
    def data(self) -> Splits:
        return load_data(self.config.data, self.device)

    @property
    def record(self) -> SplitRecord:
        return self.data.record

    @property
    def block(self) -> BlockSpec:
        """`block=`: a block.json, a named block, else the run's own block.json, else the Frost bottleneck."""
        given = self.config.block
        if given is None and not self.path(BLOCK).exists():
            return NAMED_BLOCKS["frost"]
        if given is None or given.endswith(".json"):
            return load_block(Path(given) if given else self.path(BLOCK))
        if given not in NAMED_BLOCKS:
            raise InputError(f"block={given}: expected a block.json or one of {', '.join(NAMED_BLOCKS)}")
        return NAMED_BLOCKS[given]

    @property
    def space(self) -> NetworkSpace:
        """The network space for this block, image size and number of classes."""
        images = self.data.format
        return NetworkSpace(self.config.space.network, self.block, images.image_size, len(images.classes))

    @property
    def table(self) -> LatencyTable:
        """`table=`: a latency.json with its latency.csv beside it, else the run's own."""
        return load_table(self.table_path)

    @property
    def net(self) -> NetSpec:
        """`net=`: a net.json, a zoo name, else the run's own net.json; at the data's image size and classes."""
        images = self.data.format
        given = self.config.net
        if given is None or given.endswith(".json"):
            spec = load(Path(given) if given else self.path(NET), NetResult).value.net
        elif given in zoo_names():
            spec = zoo_spec(given, len(images.classes), images.image_size)
        else:
            raise InputError(f"net={given}: expected a net.json or a name that `frostnas zoo` lists")
        return spec.with_classes(len(images.classes)).at_size(images.image_size)

    @cached_property
    def teacher(self) -> Net | None:
        """`train.distill.teacher`: the network of a finished training, in floating point.

        Raises:
            InputError: it was not trained, or on images of another format.
        """
        given = self.config.train.distill.teacher
        if given is None:
            return None
        trained = load(Path(given) / TRAIN, TrainResult).value
        if trained.images != self.data.format:
            raise InputError(f"train.distill.teacher={given}: was trained on images of another size, classes or scale")
        net = load_net(Path(given) / WEIGHTS, trained).to(self.device)
        set_state(net, QuantState.FLOAT)
        return net

    def trained_net(self, trained: TrainResult) -> Net:
        """The run's trained network, evaluating as it is exported."""
        return load_net(self.path(WEIGHTS), trained).to(self.device)


def load_block(path: Path) -> BlockSpec:
    """The block that a block.json found.

    Raises:
        InputError: the file does not fit, or a slot holds an operation that is not registered.
    """
    block = load(path, BlockResult).value.block
    try:
        check_block(block)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return block


def load_net(weights: Path, trained: TrainResult) -> Net:
    """A trained network from its record and `weights.safetensors`, frozen, in evaluation mode.

    Raises:
        InputError: the weights are missing or not those of the record.
    """
    from safetensors.torch import load_file

    if not weights.is_file():
        raise InputError(f"{weights}: no such file; train first")
    if sha256_of(weights) != trained.weights_sha256:
        raise InputError(f"{weights}: is not the file that its train.json was written with; train again")
    net = Net(trained.net, Scheme(trained.weight_bits, trained.signed_activations))
    net.load_state_dict(load_file(weights))
    set_state(net, QuantState.FROZEN)
    return net.eval().to(memory_format=torch.channels_last)
